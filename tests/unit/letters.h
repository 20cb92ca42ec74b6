/*
 * letters: messages for tests of what is behind 250, without envelope and
 * spool; and what is in the mailboxes afterwards.
 */
#ifndef LETTERS_H
#define LETTERS_H

#include "dest/destination.h"
#include "journal/segment.h"
#include "mail/message.h"

/*
 * Number n, for that many mailboxes u0, u1, ... below root, with a body of
 * so many octets that nothing else has.
 */
void letter_init(struct message *m, struct destination *root, unsigned n,
    unsigned copies, size_t size);
void letter_free(struct message *m);

/* Into the segment, each a commit of its own; the offset of the record. */
uint64_t letter_commit(struct segment *s, struct message *m);

/*
 * Copies of number n below root, in new/ and cur/ of all mailboxes; each must
 * be whole.
 */
unsigned letter_count(const struct destination *root, struct message *m);

#endif

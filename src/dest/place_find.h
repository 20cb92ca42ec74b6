/*
 * place_find: is a message in its mailbox already?
 */
#ifndef DEST_PLACE_FIND_H
#define DEST_PLACE_FIND_H

#include <limits.h>
#include <stdbool.h>

#include "dest/maildir.h"
#include "mail/message.h"

struct place_listing;

struct place_found {
	int dir; /* new/ or cur/, opened here and the caller's; -1: no such file
		  */
	char name[NAME_MAX + 1]; /* with the flags that a reader gave it */
	bool same;               /* it has exactly our octets */
};

/*
 * Looks in new/, then in cur/ for the name with any flags behind ':'. 0, or
 * -1 with errno when it cannot be known. l: of this cur/, kept between calls.
 */
int place_find(const struct maildir_box *b, struct place_listing *l,
    const struct message *m, const struct message_copy *c,
    struct place_found *f);

/*
 * fsync of it and of its directory. 0, or -1 with errno; when one of the two
 * has failed it is not there any more.
 */
int place_find_sync(const struct place_found *f);

#endif

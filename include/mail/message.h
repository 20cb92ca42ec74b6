/*
 * message: one message to all its mailboxes. Copies of all that a job thread
 * needs, and no way back to the loop.
 *
 * It is made from an envelope and a spool, or from a record of a journal.
 */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dest/maildir.h"
#include "mail/spool.h"
#include "proto/envelope.h"

/* One target, and how far it has come. */
struct message_copy {
	const struct maildir_root *root;
	const char *path; /* below the root */
	const char *address;
	const char *name;         /* of its file */
	struct span delivered_to; /* the line, our part of the header */
	uint64_t size;            /* of the whole file */
	int error;                /* of message_place(): 0, it is there */
	struct maildir_file file;
};

struct message {
	char id[MESSAGE_ID_MAX];
	const char *hostname;
	int64_t when; /* seconds since 1970 */
	struct arena arena;
	struct spool *spool; /* NULL: made from a record */
	struct buf return_path, received;
	struct spool_content body; /* from message_ready() on */
	int dirfd;                 /* where its body's file has this name: */
	const char *link;          /* NULL: it has none */
	struct message_copy *copies;
	unsigned ncopies;
	atomic_bool abandoned; /* set by the loop, read before the last step */

	/* the result, to be read when the job is over */
	int error; /* 0: everything is on disk; else nothing is there */
	const struct message_copy *failed; /* where; NULL: at no mailbox */
};

/* Takes *spool over. hostname must outlive it. */
void message_init(struct message *m, const struct envelope *e,
    struct spool **spool, const char *hostname);

/* Once the spool is finished: fixes the sizes and names of the files. */
void message_ready(struct message *m);

/* How many copies have an error. */
unsigned message_failed_copies(const struct message *m);

/* On the loop. */
void message_free(struct message *m);

/* What stands on top of the first copy; for spool_new(). */
void message_head(struct buf *out, const struct envelope *e,
    const char *hostname, int64_t when);

/*
 * On a thread: all or nothing, and durable when it is over. ECANCELED: it was
 * abandoned in time. ESTALE: the path of a root leads elsewhere by now.
 */
void message_deliver(struct message *m);

/*
 * On a thread: writes n copies, whose files are open, reading what is in a
 * file once: first message_write_top() for each, then message_write_rest() for
 * all. 0, or -1 with errno and m->failed.
 */
int message_write_top(struct message *m, struct message_copy *c);
int message_write_rest(struct message *m, struct message_copy *c, unsigned n);

#endif

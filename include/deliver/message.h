/*
 * message: one message to all its mailboxes, all or nothing. What a job
 * thread works on: copies of all it needs, and no way back to the loop.
 */
#ifndef DELIVER_MESSAGE_H
#define DELIVER_MESSAGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "deliver/maildir.h"
#include "deliver/spool.h"
#include "proto/envelope.h"

/* One target, and how far it has come. */
struct message_copy {
	const struct maildir_root *root;
	const char *path;
	const char *address;
	struct span delivered_to; /* the line, our part of the header */
	uint64_t size;            /* of the whole file */
	struct maildir_file file;
};

struct message {
	char id[MESSAGE_ID_MAX];
	const char *hostname;
	int64_t when; /* seconds since 1970 */
	struct arena arena;
	struct spool *spool;
	struct buf return_path, received;
	struct message_copy *copies;
	unsigned ncopies;
	atomic_bool abandoned; /* set by the loop, read before the last step */

	/* the result, to be read when the job is over */
	int error; /* 0: everything is on disk; else nothing is there */
	const struct message_copy *failed; /* where; NULL: at no mailbox */
};

/* Takes *spool over. hostname must outlive it. */
void message_init(struct message *m, const struct envelope *e,
    struct spool **spool, const char *hostname, int64_t when);

/* On a thread. ECANCELED: it was abandoned in time. */
void message_deliver(struct message *m);

/* On the loop. */
void message_free(struct message *m);

#endif

/*
 * message: one message to all its mailboxes. Copies of all that a job thread
 * needs, and no way back to the loop.
 *
 * It is made from an envelope and a spool, or from a record of a journal.
 */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/spool.h"
#include "proto/envelope.h"
#include "proto/fate.h"
#include "proto/smtp_reply.h"

struct destination; /* dest/destination.h */

/* One target, and how far it has come. */
struct message_copy {
	const struct destination *dest;
	const char *path; /* below its root; NULL: it is for a route */
	const char *to;   /* what a route is given as its recipient; or NULL */
	const char *address;
	const char *name;               /* of its file */
	struct span delivered_to;       /* the line, our part of the header */
	uint64_t size;                  /* of the whole file */
	int error;                      /* of place_message(): 0, it is there */
	enum fate fate;                 /* of a route */
	const struct smtp_reply *reply; /* why, in the message's arena or
					   constant; NULL: NONE, or TAKEN
					   without a word */
	const char *peer; /* of several places the one; constant, or NULL */
	/* Why, for held and failed mail; "": nothing. Of a copy with a path it
	 * is in the header. Printable, one line. */
	const char *note;
};

struct message {
	char id[MESSAGE_ID_MAX];
	const char *hostname;
	int64_t when; /* seconds since 1970 */
	/* Of the envelope, "" for none: what a route is told. sender as
	 * smtp_path_format() writes it. */
	const char *sender, *client, *helo, *login;
	bool eightbit, utf8; /* declared */
	struct arena arena;
	struct spool *spool; /* NULL: made from a record */
	/* received: with what stands above it */
	struct buf return_path, received;
	struct spool_content body;   /* from message_ready() on */
	uint64_t wire;               /* spool_wire() of it */
	int dirfd;                   /* where its body's file has this name: */
	const char *link;            /* NULL: it has none */
	struct message_copy *copies; /* those with a path come first */
	unsigned ncopies;
	/* whose lines are on top of the body's file, so that it is this copy
	 * as well; NULL: nobody's */
	const struct message_copy *headed;
	atomic_bool abandoned; /* set by the loop, read before it is too late */
};

/*
 * Takes *spool over. hostname must outlive it. copies: dest, path or to, and
 * address of each, of which all but dest are copied; none at all for a message
 * that is dropped.
 */
void message_init(struct message *m, const struct envelope *e,
    struct spool **spool, const char *hostname,
    const struct message_copy *copies, unsigned n);

/* Once the spool is finished: fixes the sizes and names of the files. */
void message_ready(struct message *m);

/* delivered_to, from its address and its note. */
void message_copy_line(struct message *m, struct message_copy *c);

/*
 * It is to be put into this Maildir, of a kind with a place, with the reason
 * in its header: its note. Its error, fate and reply stay.
 */
void message_copy_fail(struct message *m, struct message_copy *c,
    const struct destination *failed, const char *reason);

/* The same without copies, none of it its own: never freed. */
struct message message_same(const struct message *m);

/* How many copies have an error. */
unsigned message_failed_copies(const struct message *m);

/* On the loop. */
void message_free(struct message *m);

/* What stands on top of the first copy with a path, which has this address. */
void message_head(struct buf *out, const struct envelope *e,
    const char *address, const char *hostname, int64_t when);

/* On a thread: all of a copy, to this file. 0, or -1 with errno. */
int message_write(const struct message *m, const struct message_copy *c,
    int fd);

#endif

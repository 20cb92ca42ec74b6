/*
 * held: mail that a mailbox could not take, in files of its own
 * (held_file.h), and what becomes of it.
 *
 * Every worker goes through them now and then (held_round.h); whoever locks a
 * file tries it. While something is held for a mailbox, it gets nothing new.
 */
#ifndef DELIVER_HELD_H
#define DELIVER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "io/jobs.h"
#include "io/shared.h"
#include "mail/message.h"
#include "proto/smtp_reply.h"

struct held_options {
	uint64_t limit;     /* octets; see held_full() */
	uint64_t expire;    /* ms, then it is put into failed */
	unsigned reserve;   /* percent of a file system, not for mailboxes */
	const char *failed; /* a Maildir; absolute */
	const struct shared_slot *counts; /* NULL: nowhere */
};

struct held;
struct held_route; /* held_look.h */

/*
 * aside: job threads of which rounds take one, and each look and held_hold()
 * another for a moment. NULL with errno.
 */
struct held *held_new(const struct held_options *o, int spool,
    struct jobs *aside);
/* After jobs_free(aside). errno is kept. */
void held_free(struct held **h);

int held_dirfd(const struct held *h);

/* A round and a look, on a thread each, unless the last one is not over. */
void held_tick(struct held *h);
/* A look alone, as soon as there can be one. */
void held_look(struct held *h);

/*
 * Called behind each look. again: somebody wants everything to be tried now,
 * whatever its block said before.
 */
void held_on_look(struct held *h, void (*looked)(void *ctx, bool again),
    void *ctx);
/* What waits for routes, of the last look and until the next; NULL: nothing. */
const struct held_route *held_routes(const struct held *h);
/* As much waits for this route as one may have: half of the limit. */
bool held_route_full(const struct held *h, const char *text);

bool held_any(const struct held *h);
/*
 * Is anything held for this mailbox? As of the last round, or held_note().
 * *error_r: why, if it is known, else 0.
 */
bool held_has(const struct held *h, const char *root, const char *path,
    int *error_r);
/* What the client hears of a mailbox that cannot take mail: 4.2.x. */
const struct smtp_reply *held_reply(int error);
/* The copies of m that have a mailbox and an error are held now. */
void held_note(struct held *h, const struct message *m);
/*
 * As much as there may be, where one mailbox counts as a sixteenth of the
 * limit at most, and those below one root, or what waits for one route, as half
 * of it: no mailbox, root or route keeps mail from all others.
 */
bool held_full(const struct held *h);

/* On the loop: 0, and it is on disk; or errno. */
typedef void held_fn(void *ctx, int error);
/*
 * Writes the copies of m that have an error, on a thread; m stays as it is
 * until fn(ctx, error) is called, which it is not any more after
 * jobs_free(aside).
 */
void held_hold(struct held *h, const struct message *m, held_fn *fn, void *ctx);

/*
 * The same of these copies for routes, route by route: one file for each. An
 * error: none is there.
 */
void held_keep(struct held *h, const struct message *m,
    struct message_copy *const *copies, unsigned n, held_fn *fn, void *ctx);
/* They are to go no more. An error: one is being sent, or was. */
void held_forget(struct held *h, const struct message *m,
    struct message_copy *const *copies, unsigned n, held_fn *fn, void *ctx);

#endif

/*
 * deliver: what the session asks of this floor. Routes a recipient, takes a
 * message, says whether there is room.
 *
 * Requests have ids. A cancelled request is silent; a message that was
 * handed over is delivered all the same, because the client that sent its
 * last dot and went away was promised nothing and lost nothing.
 */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/recipients.h"
#include "deliver/spool.h"
#include "io/jobs.h"
#include "proto/envelope.h"
#include "proto/smtp_reply.h"

struct deliver_options {
	const char *hostname;
	const char *spool; /* directory; its tmp/ holds bodies */
	unsigned reserve;  /* percent of bytes and inodes kept free */
	struct recipients *recipients;
};

struct deliver;

/*
 * Opens the spool and every Maildir root as the process is now. NULL with
 * errno, and *what names the path. The options must outlive it.
 */
struct deliver *deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what);
/* After jobs_free(): jobs use its descriptors to their very end. */
void deliver_free(struct deliver **d);

/* Room for n octets above the reserve, on the spool and every root. */
bool deliver_space(struct deliver *d, uint64_t n);

/* NULL is yes. The reply is valid during the call. */
typedef void deliver_fn(void *ctx, const struct smtp_reply *reply);

/*
 * May mail go to path? On yes its targets are in e->targets. fn may be
 * called before the function returns, which is then 0.
 */
uint64_t deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx);

/* recipients_owns(), for a session. */
bool deliver_owns(const struct deliver *d, const char *login,
    const struct smtp_path *from);

/* The smallest message-size of the targets' domains; 0: none has one. */
uint64_t deliver_size_max(const struct envelope *e);

/* A spool for a body that will go to e->targets. */
struct spool *deliver_spool(struct deliver *d);

/*
 * Takes *spool over (NULL afterwards), finishes it, and copies what it needs
 * of e, which must have targets. fn is called when every file and directory
 * is on disk, or with the reply that says why not; then nothing was
 * delivered. Never called before it returns.
 */
uint64_t deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, deliver_fn *fn, void *ctx);

/* Silence; *id is 0 afterwards. The message is still delivered. */
void deliver_cancel(struct deliver *d, uint64_t *id);
/* Silence, and not delivered unless it is too late to stop. */
void deliver_abandon(struct deliver *d, uint64_t *id);

/* Messages under way: a worker leaves when there are none. */
unsigned deliver_pending(const struct deliver *d);

#endif

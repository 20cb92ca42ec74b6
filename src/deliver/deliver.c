/*
 * deliver: requests of sessions, answered by jobs.
 *
 * Owns the descriptor of the spool's directory and the list of messages under
 * way. Everything here runs on the loop and blocks nowhere but for statvfs,
 * once a second; what waits for a disk is in message.c and lookup.c, on
 * threads. What is said and logged about a delivery is made here, and nowhere
 * deeper.
 */
#include "deliver/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "deliver/lookup.h"
#include "deliver/message.h"
#include "deliver/space.h"
#include "io/log.h"

struct deliver {
	const struct deliver_options *options;
	struct loop *loop;
	struct jobs *jobs;
	struct space space;
	struct delivery *deliveries;
	unsigned pending;
	uint64_t last_id;
	int tmp; /* the spool's tmp directory */
};

/* Ids of messages, apart from those of jobs. */
#define MESSAGE_IDS (UINT64_C(1) << 63)

/* A message under way; fn NULL: nobody waits for it any more. */
struct delivery {
	struct job job;
	struct message message;
	struct deliver *d; /* NULL once it is off the list */
	uint64_t id;
	deliver_fn *fn;
	void *ctx;
	struct delivery *prev, *next;
};

static int
open_tmp(const char *spool)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int dir = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;
	int err;

	if (dir < 0)
		return -1;
	if (!mkdirat(dir, "tmp", 0700) || errno == EEXIST)
		fd = openat(dir, "tmp", flags);
	if (fd >= 0 && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		err = errno;
		close(fd);
		errno = err;
		fd = -1;
	}
	err = errno;
	close(dir);
	errno = err;
	return fd;
}

/* Opens all there is; -1 with errno, and *what is where it stopped. */
static int
open_all(struct deliver *d, const char **what)
{
	struct maildir_root *root;

	*what = d->options->spool;
	d->tmp = open_tmp(d->options->spool);
	if (d->tmp < 0 || space_add(&d->space, d->tmp) < 0)
		return -1;
	for (unsigned i = 0;
	     (root = recipients_root(d->options->recipients, i)); i++) {
		*what = root->path;
		if (maildir_root_open(root) < 0 ||
		    space_add(&d->space, root->fd) < 0)
			return -1;
	}
	*what = NULL;
	return 0;
}

struct deliver *
deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what)
{
	struct deliver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		abort();
	d->options = o;
	d->loop = loop;
	d->jobs = jobs;
	d->space.reserve = o->reserve;
	d->tmp = -1;
	if (open_all(d, what) < 0) {
		err = errno;
		deliver_free(&d);
		errno = err;
	}
	return d;
}

static void delivery_free(struct job *job);

void
deliver_free(struct deliver **p)
{
	struct deliver *d = *p;
	struct delivery *v, *next;

	*p = NULL;
	if (!d)
		return;
	/* no job ever took these: their bodies were still being written */
	DL_FOREACH_SAFE(d->deliveries, v, next)
	{
		v->d = NULL; /* the list goes with d */
		delivery_free(&v->job);
	}
	space_free(&d->space);
	if (d->tmp >= 0)
		close(d->tmp);
	free(d);
}

bool
deliver_space(struct deliver *d, uint64_t n)
{
	return space_room(&d->space, loop_now(d->loop), n);
}

uint64_t
deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx)
{
	return lookup_start(d->options->recipients, d->jobs, e, path, fn, ctx);
}

bool
deliver_owns(const struct deliver *d, const char *login,
    const struct smtp_path *from)
{
	return recipients_owns(d->options->recipients, login, from);
}

uint64_t
deliver_size_max(const struct envelope *e)
{
	uint64_t max = 0;

	for (const struct target *t = e->targets; t; t = t->next) {
		uint64_t n = mail_domain_size(t->domain);

		if (n && (!max || n < max))
			max = n;
	}
	return max;
}

/* Line ends as Maildirs have them: there is no other destination. */
struct spool *
deliver_spool(struct deliver *d)
{
	return spool_new(d->jobs, d->tmp, true);
}

static const struct smtp_reply *
message_reply(int error)
{
	switch (error) {
	case 0:
		return NULL;
	case ENOSPC:
		return SMTP_REPLY(452, "4.3.1", "Insufficient system storage");
	case EDQUOT:
		return SMTP_REPLY(452, "4.2.2", "Mailbox full");
	default:
		return SMTP_REPLY(451, "4.3.0",
		    "Cannot store the message now, try again later");
	}
}

static void
log_failure(const struct message *m, const char *spool)
{
	const struct message_copy *c = m->failed;
	bool full = m->error == ENOSPC || m->error == EDQUOT;

	log_event(full ? LOG_WARN : LOG_ERROR, "undelivered",
	    LOG_STR("message", m->id),
	    LOG_STR("root", c ? c->root->path : NULL),
	    LOG_STR("mailbox", c ? c->path : NULL),
	    LOG_STR("spool", c ? NULL : spool), LOG_ERRNO(m->error));
}

static void
log_result(const struct message *m, const char *spool)
{
	if (m->error == ECANCELED) {
		log_event(LOG_INFO, "abandoned", LOG_STR("message", m->id));
		return;
	}
	if (m->error) {
		log_failure(m, spool);
		return;
	}
	for (unsigned i = 0; i < m->ncopies; i++)
		log_event(LOG_INFO, "delivered", LOG_STR("message", m->id),
		    LOG_STR("rcpt", m->copies[i].address),
		    LOG_STR("mailbox", m->copies[i].path),
		    LOG_UINT("size", m->copies[i].size));
}

static void
delivery_unlink(struct delivery *v)
{
	DL_DELETE(v->d->deliveries, v);
	v->d->pending--;
	v->d = NULL;
}

static void
delivery_run(struct job *job)
{
	message_deliver(&((struct delivery *)job)->message);
}

static void
delivery_done(struct job *job, void *ctx)
{
	struct delivery *v = (struct delivery *)job;
	struct deliver *d = ctx;

	log_result(&v->message, d->options->spool);
	delivery_unlink(v);
	if (v->fn)
		v->fn(v->ctx, message_reply(v->message.error));
}

/* Still on the list: the worker leaves before it is over. */
static void
delivery_free(struct job *job)
{
	struct delivery *v = (struct delivery *)job;

	if (v->d)
		delivery_unlink(v);
	message_free(&v->message);
	free(v);
}

/* Nothing of the body is still being written. */
static void
on_spooled(void *ctx)
{
	struct delivery *v = ctx;

	jobs_submit(v->d->jobs, &v->job, delivery_done, v->d);
}

uint64_t
deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, deliver_fn *fn, void *ctx)
{
	struct delivery *v = calloc(1, sizeof(*v));

	if (!v)
		abort();
	message_init(&v->message, e, spool, d->options->hostname,
	    loop_wall(d->loop) / 1000);
	v->job.run = delivery_run;
	v->job.free = delivery_free;
	v->d = d;
	v->id = MESSAGE_IDS | ++d->last_id;
	v->fn = fn;
	v->ctx = ctx;
	DL_APPEND(d->deliveries, v);
	d->pending++;
	spool_finish(v->message.spool, on_spooled, v);
	return v->id;
}

/* A message is silenced here; it goes on. Anything else is only a job. */
static void
silence(struct deliver *d, uint64_t *id, bool abandon)
{
	struct delivery *v;

	DL_SEARCH_SCALAR(d->deliveries, v, id, *id);
	if (v) {
		v->fn = NULL;
		if (abandon)
			atomic_store(&v->message.abandoned, true);
		*id = 0;
	} else if (*id) {
		jobs_cancel(d->jobs, id);
	}
}

void
deliver_cancel(struct deliver *d, uint64_t *id)
{
	silence(d, id, false);
}

void
deliver_abandon(struct deliver *d, uint64_t *id)
{
	silence(d, id, true);
}

unsigned
deliver_pending(const struct deliver *d)
{
	return d->pending;
}

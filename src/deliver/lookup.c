/*
 * lookup: what RCPT is answered with.
 *
 * The job has copies of the path and an arena of its own: the transaction
 * that asked may end before it does, and then nobody is told.
 */
#include "deliver/lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "io/log.h"

struct lookup {
	struct job job;
	const struct recipients *recipients;
	struct arena arena;
	struct smtp_path path;
	struct ipaddr server;
	struct targets found;
	enum rcpt_result result;
	int error;
	struct envelope *e; /* for the loop, if it was not cancelled */
	const struct held *held;
	deliver_fn *fn;
	void *ctx;
};

static const struct smtp_reply *
rcpt_reply(enum rcpt_result r)
{
	switch (r) {
	case RCPT_OK:
		return NULL;
	case RCPT_UNKNOWN:
		return SMTP_REPLY(550, "5.1.1", "No such mailbox here");
	case RCPT_FOREIGN:
		return SMTP_REPLY(550, "5.7.1", "We do not relay mail there");
	case RCPT_SHUT:
	case RCPT_AGAIN:
		break;
	}
	return SMTP_REPLY(451, "4.3.0",
	    "Cannot look that recipient up now, try again later");
}

static void
answer(const struct envelope *e, const struct smtp_path *path,
    enum rcpt_result result, int error, deliver_fn *fn, void *ctx)
{
	if (result == RCPT_AGAIN)
		log_event(LOG_ERROR, "lookup-failed",
		    LOG_STR("session", e->session),
		    LOG_STR("local", path->local),
		    LOG_STR("domain", path->domain), LOG_ERRNO(error));
	if (result == RCPT_SHUT)
		fn(ctx, held_reply(error), maildir_error(error));
	else
		fn(ctx, rcpt_reply(result), NULL);
}

/* Something is held for one of them, so all of them wait. */
static bool
any_held(const struct held *held, const struct targets *found, int *error_r)
{
	const struct target *t;
	bool any = false;

	if (held && held_any(held))
		for (t = found->first; t && !any; t = t->next)
			any = held_has(held, t->root->path, t->path, error_r);
	return any;
}

/* Takes what was found into the envelope, or says why not. */
static void
take(const struct recipients *r, const struct held *held, struct envelope *e,
    const struct targets *found, deliver_fn *fn, void *ctx)
{
	int error;

	if (any_held(held, found, &error))
		fn(ctx, held_reply(error), maildir_error(error));
	else if (!targets_merge(r, &e->targets, found, &e->arena))
		fn(ctx, SMTP_REPLY(452, "4.5.3", "Too many recipients"), NULL);
	else
		fn(ctx, NULL, NULL);
}

static void
lookup_run(struct job *job)
{
	struct lookup *l = (struct lookup *)job;

	errno = 0;
	l->result = recipients_resolve(l->recipients, &l->path, &l->server,
	    &l->arena, &l->found);
	l->error = errno;
}

static void
lookup_done(struct job *job, void *ctx)
{
	struct lookup *l = (struct lookup *)job;

	(void)ctx;
	if (l->result == RCPT_OK)
		take(l->recipients, l->held, l->e, &l->found, l->fn, l->ctx);
	else
		answer(l->e, &l->path, l->result, l->error, l->fn, l->ctx);
}

static void
lookup_free(struct job *job)
{
	struct lookup *l = (struct lookup *)job;

	arena_reset(&l->arena);
	free(l);
}

static void
look_up_now(const struct recipients *r, const struct held *held,
    struct envelope *e, const struct smtp_path *path, deliver_fn *fn, void *ctx)
{
	struct arena scratch = {0};
	struct targets found = {0};
	enum rcpt_result result;

	result = recipients_resolve(r, path, &e->server, &scratch, &found);
	if (result == RCPT_OK)
		take(r, held, e, &found, fn, ctx);
	else
		answer(e, path, result, 0, fn, ctx);
	arena_reset(&scratch);
}

uint64_t
lookup_start(const struct recipients *r, const struct held *held,
    struct jobs *jobs, struct envelope *e, const struct smtp_path *path,
    deliver_fn *fn, void *ctx)
{
	struct lookup *l;

	if (!recipients_live(r, path, &e->server)) {
		look_up_now(r, held, e, path, fn, ctx);
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->job.run = lookup_run;
	l->job.free = lookup_free;
	l->recipients = r;
	l->held = held;
	l->path = *path;
	l->server = e->server;
	l->path.local = arena_dup(&l->arena, span_str(path->local));
	l->path.domain = arena_dup(&l->arena, span_str(path->domain));
	l->e = e;
	l->fn = fn;
	l->ctx = ctx;
	return jobs_submit(jobs, &l->job, lookup_done, NULL);
}

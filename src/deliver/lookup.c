/*
 * lookup: what RCPT is answered with.
 *
 * First from the tables alone; where they are not sure, once more in a job.
 * That has copies of the path and an arena of its own: the transaction that
 * asked may end before it does, and then nobody is told. What was found and is
 * a server's to know it is asked for, in the same question of the session's.
 */
#include "deliver/lookup.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "deliver/verify.h"
#include "io/clock.h"
#include "io/log.h"

/* What is looked up, and what came of it. */
struct query {
	struct smtp_path path;
	struct ipaddr server;
	struct arena arena; /* of found, and in a job of path */
	struct targets found;
	enum rcpt_result result;
	int error;
};

struct lookup_job {
	struct job job;
	const struct recipients *recipients;
	struct query q;
};

/* The job is gone by the time that a server is asked. */
struct lookup {
	struct ask ask;
	const struct lookups *all;
	struct query q;
	uint64_t job; /* 0: none */
	struct verify verify;
	struct envelope *e;
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
	case RCPT_AGAIN:
	case RCPT_SHUT: /* not here: its own reply says why */
	case RCPT_LIVE: /* not of a job */
		break;
	}
	return SMTP_REPLY(451, "4.3.0",
	    "Cannot look that recipient up now, try again later");
}

static void
resolve(const struct recipients *r, struct query *q, enum rcpt_how how)
{
	errno = 0;
	q->result = recipients_resolve(r, &q->path, &q->server, how, &q->arena,
	    &q->found);
	q->error = errno;
}

/* Something is held for one of them, so all of them wait. */
static bool
any_held(const struct lookup *l, int *error_r)
{
	const struct held *held = l->all->held;
	const struct target *t = l->q.found.first;
	bool any = false;

	if (held && held_any(held))
		for (; t && !any; t = t->next)
			any = t->path &&
			      held_has(held, t->dest->text, t->path, error_r);
	return any;
}

static bool
any_full(const struct lookup *l)
{
	const struct target *t = l->q.found.first;
	bool any = false;

	for (; t && !any; t = t->next)
		any = t->dest->route &&
		      carriers_full(l->all->carriers, t->dest->route);
	return any;
}

/* What makes a target for a domain of others': nothing else does. */
static enum rcpt_result
deliver_relay(struct lookup *l)
{
	const struct destination *smarthost = l->all->smarthost;

	if (!l->e->login || !smarthost)
		return RCPT_FOREIGN;
	targets_add_relayed(l->all->recipients, &l->q.found, smarthost,
	    &l->q.path, &l->q.arena);
	return RCPT_OK;
}

/* What is there twice counts twice, until it is merged. */
static bool
have_room(const struct lookup *l)
{
	const struct targets *old = l->e->targets;
	uint64_t n = l->q.found.n, octets = l->q.found.octets;

	if (old) {
		n += old->n;
		octets += old->octets;
	}
	return octets + n * l->all->each <= l->all->room;
}

/* Takes what was found into the envelope; false: there is no room for it. */
static bool
take(const struct lookup *l)
{
	struct envelope *e = l->e;

	return have_room(l) && targets_merge(l->all->recipients, &e->targets,
				   &l->q.found, &e->arena);
}

/* The last word; nothing of l is used afterwards. */
static void
answer(struct lookup *l, const struct smtp_reply *reply)
{
	if (!reply && l->q.result == RCPT_OK && !take(l))
		reply = SMTP_REPLY(452, "4.5.3", "Too many recipients");
	l->fn(l->ctx, reply, NULL);
}

/* True: it was told. */
static bool
judge(struct lookup *l)
{
	struct query *q = &l->q;
	int error = q->error;

	if (q->result == RCPT_FOREIGN)
		q->result = deliver_relay(l);
	if (q->result == RCPT_AGAIN)
		log_event(LOG_ERROR, "lookup-failed",
		    LOG_STR("session", l->e->session),
		    LOG_STR("local", q->path.local),
		    LOG_STR("domain", q->path.domain), LOG_ERRNO(error));
	if (q->result == RCPT_SHUT || any_held(l, &error))
		l->fn(l->ctx, held_reply(error), maildir_error(error));
	else if (l->all->dry)
		answer(l, rcpt_reply(q->result));
	else if (any_full(l))
		l->fn(l->ctx, carriers_full_reply(), NULL);
	else if (q->result == RCPT_OK && verify_is_due(&q->found))
		return false;
	else
		answer(l, rcpt_reply(q->result));
	return true;
}

static void
lookup_free(struct lookup *l)
{
	arena_reset(&l->q.arena);
	free(l);
}

static void
on_verified(void *ctx)
{
	struct lookup *l = ctx;

	answer(l, l->verify.reply);
	lookup_free(l);
}

/* NULL: it was told. */
static struct ask *
ask_servers(struct lookup *l)
{
	struct query *q = &l->q;

	l->verify = (struct verify){.carriers = l->all->carriers,
	    .held = l->all->held,
	    .recipients = l->all->recipients,
	    .found = &q->found,
	    .arena = &q->arena,
	    .sender = smtp_path_text(&l->e->sender, &q->arena),
	    .session = l->e->session,
	    .needed = smtp_path_is_postmaster(&q->path) ||
		      ascii_equal_str(span_str(q->path.local), "abuse"),
	    .deadline = clock_now() + VERIFY_MS,
	    .told = on_verified,
	    .ctx = l};
	if (!verify_begin(&l->verify))
		return &l->ask;
	on_verified(l);
	return NULL;
}

/* --- in a job --- */

static struct lookup_job *
of_job(struct job *job)
{
	return (struct lookup_job *)job;
}

static void
job_run(struct job *job)
{
	struct lookup_job *j = of_job(job);

	resolve(j->recipients, &j->q, RCPT_ASK);
}

static void
job_done(struct job *job, void *ctx)
{
	struct lookup *l = ctx;

	l->job = 0;
	l->q = of_job(job)->q;
	of_job(job)->q.arena = (struct arena){0};
	if (judge(l))
		lookup_free(l);
	else
		ask_servers(l);
}

static void
job_free(struct job *job)
{
	arena_reset(&of_job(job)->q.arena);
	free(job);
}

static void
submit(struct lookup *l)
{
	struct lookup_job *j = mem_new(sizeof(*j));
	struct query *q = &j->q;

	j->job.run = job_run;
	j->job.free = job_free;
	j->recipients = l->all->recipients;
	q->path = l->q.path;
	q->path.local = arena_dup(&q->arena, span_str(q->path.local));
	q->path.domain = arena_dup(&q->arena, span_str(q->path.domain));
	q->server = l->q.server;
	arena_reset(&l->q.arena); /* of the first look */
	l->job = jobs_submit(l->all->jobs, &j->job, job_done, l);
}

/* --- the question --- */

/* Either way: nobody is told. */
static void
cancel(struct ask *a, enum ask_end end)
{
	struct lookup *l = (struct lookup *)a;

	(void)end;
	if (l->job)
		jobs_cancel(l->all->jobs, &l->job);
	verify_stop(&l->verify);
	lookup_free(l);
}

struct ask *
lookup_start(const struct lookups *all, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx)
{
	struct lookup first = {.ask.cancel = cancel,
	    .all = all,
	    .q = {.path = *path, .server = e->server},
	    .e = e,
	    .fn = fn,
	    .ctx = ctx};
	struct lookup *l;

	resolve(all->recipients, &first.q, RCPT_LOOK);
	if (first.q.result != RCPT_LIVE && judge(&first)) {
		arena_reset(&first.q.arena);
		return NULL;
	}
	l = mem_new(sizeof(*l));
	*l = first;
	if (l->q.result != RCPT_LIVE)
		return ask_servers(l);
	submit(l);
	return &l->ask;
}

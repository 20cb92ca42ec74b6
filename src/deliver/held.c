/*
 * held: what the loop knows of held mail.
 *
 * A round at a time runs on a thread and brings back the whole set of
 * mailboxes; what is held meanwhile is noted here at once. Logs what came of
 * each message.
 */
#include "deliver/held.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "deliver/held_keep.h"
#include "deliver/held_look.h"
#include "deliver/held_round.h"
#include "dest/destination.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/journal_dir.h"

struct held {
	struct job job; /* the round; first */
	struct held_options o;
	struct jobs *aside;
	struct crc32c crc;
	struct held_round round; /* the thread's while it runs */
	struct job look_job;
	struct held_look look;     /* the same */
	struct held_route *routes; /* of the last look */
	void (*looked)(void *ctx, bool again);
	void *looked_ctx;
	struct held_box *boxes;
	struct held_box *noted; /* since the last round began */
	struct held_box *older; /* before, until that round is over */
	uint64_t size;          /* what counts against the limit */
	uint64_t routes_size;   /* of it, what waits for routes */
	int dirfd, damaged;
	bool running;
	bool looking, look_again;
	bool told; /* that it is full */
};

static void
round_run(struct job *job)
{
	held_round_run(&((struct held *)job)->round);
}

static void
round_free(struct job *job)
{
	(void)job; /* held's */
}

static void
look_run(struct job *job)
{
	struct held *h =
	    (struct held *)((char *)job - offsetof(struct held, look_job));

	held_look_run(&h->look);
}

struct held *
held_new(const struct held_options *o, int spool, struct jobs *aside)
{
	struct held *h = mem_new(sizeof(*h));

	h->job.run = round_run;
	h->job.free = round_free;
	h->o = *o;
	h->aside = aside;
	crc32c_init(&h->crc);
	h->damaged = -1;
	if ((h->dirfd = journal_dir_open(spool, "held")) < 0 ||
	    (h->damaged = journal_dir_open(spool, "damaged")) < 0) {
		held_free(&h);
		return NULL;
	}
	h->look_job.run = look_run;
	h->look_job.free = round_free;
	h->look = (struct held_look){.crc = &h->crc, .dirfd = h->dirfd};
	h->round = (struct held_round){.o = &h->o,
	    .crc = &h->crc,
	    .dirfd = h->dirfd,
	    .damaged = h->damaged};
	return h;
}

void
held_free(struct held **p)
{
	struct held *h = *p;

	*p = NULL;
	if (!h)
		return;
	held_round_free(&h->round);
	held_look_free(&h->look);
	held_routes_free(&h->routes);
	held_boxes_free(&h->boxes);
	held_boxes_free(&h->noted);
	held_boxes_free(&h->older);
	full_close(&h->dirfd);
	full_close(&h->damaged);
	free(h);
}

int
held_dirfd(const struct held *h)
{
	return h->dirfd;
}

/* --- rounds --- */

static void
log_copy(const struct held *h, const struct held_event *e)
{
	bool good = e->fate == HELD_DELIVERED;

	if (h->o.counts)
		shared_add(h->o.counts->shared, h->o.counts->slot,
		    good ? e->kind->count : SHARED_FAILED, 1);
	if (h->o.counts && !good)
		shared_set(h->o.counts->shared, h->o.counts->slot,
		    SHARED_FAILED_AT, clock_wall() / 1000);
	log_event(good ? LOG_INFO : LOG_ERROR, good ? "delivered" : "failed",
	    LOG_STR("message", e->id), LOG_STR("rcpt", e->address),
	    LOG_STR("mailbox", e->mailbox),
	    LOG_STR("error", maildir_error(e->error)));
}

static void
log_file(const struct held *h, const struct held_event *e)
{
	(void)h;
	if (e->fate == HELD_UNREADABLE)
		log_event(LOG_ERROR, "held-unreadable",
		    LOG_STR("message", e->name),
		    LOG_STR("error", maildir_error(e->error)));
	else if (e->fate == HELD_NEWER)
		log_event(LOG_ERROR, "held-version", LOG_STR("held", e->name),
		    LOG_STR("help", "a newer smtpd wrote this file: start that "
				    "one, it is left alone here"));
	else
		log_event(LOG_ERROR, "set-aside", LOG_STR("held", e->name),
		    LOG_STR("help", "no file that smtpd made, or too large: it "
				    "is in damaged/ now"));
}

static void
log_events(const struct held *h)
{
	const struct held_round *r = &h->round;
	const struct held_event *e;

	STAILQ_FOREACH (e, &r->events, next)
		(e->name ? log_file : log_copy)(h, e);
	if (r->error)
		log_event(LOG_ERROR, "held-failed", LOG_ERRNO(r->error));
}

/* Once, until there is room again: of what. */
static void
log_full(struct held *h, const struct held_box *roots)
{
	static const struct held_box none;
	const struct held_box *most = &none;

	if (held_full(h) && !h->told) {
		for (; roots; roots = roots->hh.next)
			if (roots->size > most->size)
				most = roots;
		log_event(LOG_ERROR, "held-full", LOG_UINT("octets", h->size),
		    LOG_UINT("limit", h->o.limit),
		    LOG_UINT("routes", h->routes_size),
		    LOG_SPAN("root", ((struct span){most->name, most->root})),
		    LOG_UINT("mailboxes", most->mailboxes),
		    LOG_STR("help",
			"MAIL gets 452 until the mailboxes and routes of the "
			"held events take theirs, or held in journal is "
			"larger"));
	}
	h->told = held_full(h);
}

static void
show_level(const struct held *h)
{
	const struct shared_slot *to = h->o.counts;

	if (!to)
		return;
	shared_set(to->shared, to->slot, SHARED_HELD, h->round.messages);
	shared_set(to->shared, to->slot, SHARED_HELD_BYTES,
	    (int64_t)h->round.octets);
}

static void
round_done(struct job *job, void *ctx)
{
	struct held *h = ctx;
	struct held_round *r = &h->round;

	(void)job;
	log_events(h);
	show_level(h);
	held_events_free(&r->events);
	held_boxes_free(&h->boxes);
	h->boxes = r->boxes;
	h->size = r->size + h->routes_size;
	r->boxes = NULL;
	log_full(h, r->roots);
	held_boxes_free(&r->roots);
	held_boxes_free(&h->older);
	h->running = false;
}

/* --- looks --- */

static void
look_done(struct job *job, void *ctx)
{
	struct held *h = ctx;
	bool again = h->look.again; /* the thread's, when it begins anew */

	(void)job;
	held_routes_free(&h->routes);
	h->routes = h->look.routes;
	h->look.routes = NULL;
	h->size -= h->routes_size;
	h->routes_size = held_routes_count(h->routes, h->o.limit);
	h->size += h->routes_size;
	h->looking = false;
	if (h->look_again)
		held_look(h);
	if (h->looked)
		h->looked(h->looked_ctx, again);
}

void
held_look(struct held *h)
{
	h->look_again = h->looking;
	if (h->looking)
		return;
	h->looking = true;
	jobs_submit(h->aside, &h->look_job, look_done, h);
}

void
held_on_look(struct held *h, void (*looked)(void *ctx, bool again), void *ctx)
{
	h->looked = looked;
	h->looked_ctx = ctx;
}

const struct held_route *
held_routes(const struct held *h)
{
	return h->routes;
}

bool
held_route_full(const struct held *h, const char *text)
{
	const struct held_route *r = held_route_find(h->routes, text);

	return r && r->size >= h->o.limit / 2;
}

/* --- both --- */

void
held_tick(struct held *h)
{
	if (!h->looking)
		held_look(h);
	if (h->running)
		return;
	h->running = true;
	/* whatever is written by now, this round will see */
	h->older = h->noted;
	h->noted = NULL;
	jobs_submit(h->aside, &h->job, round_done, h);
}

/* --- holding --- */

struct hold {
	struct job job;
	struct held_keep keep; /* without copies: those that have an error */
	int error;
	held_fn *fn;
	void *ctx;
};

static void
hold_run(struct job *job)
{
	struct hold *j = (struct hold *)job;
	const struct held_keep *k = &j->keep;

	if (held_file_write(k->crc, k->held, k->m, false, NULL) < 0)
		j->error = errno;
}

static void
keep_run(struct job *job)
{
	struct hold *j = (struct hold *)job;

	if (held_keep_write(&j->keep) < 0)
		j->error = errno;
}

static void
forget_run(struct job *job)
{
	struct hold *j = (struct hold *)job;

	if (held_keep_remove(&j->keep) < 0)
		j->error = errno;
}

static void
hold_free(struct job *job)
{
	free(job);
}

static void
hold_done(struct job *job, void *ctx)
{
	const struct hold *j = (struct hold *)job;

	(void)ctx;
	j->fn(j->ctx, j->error);
}

static void
submit(struct held *h, void (*run)(struct job *), struct held_keep keep,
    held_fn *fn, void *ctx)
{
	struct hold *j = mem_new(sizeof(*j));

	j->job.run = run;
	j->job.free = hold_free;
	j->keep = keep;
	j->keep.crc = &h->crc;
	j->keep.held = h->dirfd;
	j->fn = fn;
	j->ctx = ctx;
	jobs_submit(h->aside, &j->job, hold_done, NULL);
}

void
held_hold(struct held *h, const struct message *m, held_fn *fn, void *ctx)
{
	submit(h, hold_run, (struct held_keep){.m = m}, fn, ctx);
}

void
held_keep(struct held *h, const struct message *m,
    struct message_copy *const *copies, unsigned n, held_fn *fn, void *ctx)
{
	submit(h, keep_run,
	    (struct held_keep){.m = m, .copies = copies, .n = n}, fn, ctx);
}

void
held_forget(struct held *h, const struct message *m,
    struct message_copy *const *copies, unsigned n, held_fn *fn, void *ctx)
{
	submit(h, forget_run,
	    (struct held_keep){.m = m, .copies = copies, .n = n}, fn, ctx);
}

/* --- what is held --- */

bool
held_any(const struct held *h)
{
	return h->boxes || h->noted || h->older;
}

bool
held_has(const struct held *h, const char *root, const char *path, int *error_r)
{
	const struct held_box *sets[] = {h->noted, h->boxes, h->older};
	const struct held_box *b = NULL;

	for (unsigned i = 0; i < 3 && !b; i++)
		b = held_box_find(sets[i], root, path);
	if (b)
		*error_r = b->error;
	return b != NULL;
}

const struct smtp_reply *
held_reply(int error)
{
	if (error == ENOSPC || error == EDQUOT)
		return SMTP_REPLY(452, "4.2.2", "Mailbox full");
	return SMTP_REPLY(450, "4.2.1", "Mailbox cannot take mail now");
}

void
held_note(struct held *h, const struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++)
		if (m->copies[i].error && m->copies[i].path)
			held_box_add(&h->noted, m->copies[i].dest->text,
			    m->copies[i].path)
			    ->error = m->copies[i].error;
}

bool
held_full(const struct held *h)
{
	return h->size >= h->o.limit;
}

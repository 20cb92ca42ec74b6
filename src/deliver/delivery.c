/*
 * delivery: the states of a message, and what is done in each.
 *
 * A body that is in memory is written to the journal from where it gathered;
 * one that is in a file is sealed first, and its record names it. When the
 * record is on disk the client hears 250, and only then the mailboxes are
 * thought of; what one of them does not take is held. Whoever else is to have
 * it is asked before there is a record (delivery_ask.c). Without a journal the
 * client hears 250 when every copy is in its mailbox or held, on disk. On the
 * loop; what blocks is a job. Owns the messages under way.
 */
#include "deliver/delivery.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "deliver/budget.h"
#include "deliver/copies.h"
#include "deliver/deliver_state.h"
#include "deliver/delivery_ask.h"
#include "deliver/delivery_edit.h"
#include "deliver/delivery_log.h"
#include "deliver/look.h"
#include "deliver/message_record.h"
#include "deliver/seal.h"
#include "io/clock.h"

/* About what a message costs without its body, and each copy of it. */
#define BACKLOG_EACH 2048
#define BACKLOG_COPY 512

/* --- the end --- */

void
delivery_refuse(struct delivery *v, int error, const struct smtp_reply *reply)
{
	v->error = error;
	v->reply = reply;
	delivery_become(v, v->nkept ? DELIVERY_FORGETTING : DELIVERY_REFUSED);
}

static void
refuse(struct delivery *v, int error)
{
	delivery_refuse(v, error, delivery_reply(error));
}

/* Once: tells whoever waits, and the log what went nowhere. */
static void
answer(struct delivery *v)
{
	deliver_fn *fn = v->fn;

	v->fn = NULL;
	if (!v->reply)
		delivery_log_discarded(v);
	v->ndiscarded = 0;
	if (fn)
		fn(v->ctx, v->reply, maildir_error(v->error));
}

static void
tell_refused(struct delivery *v)
{
	delivery_log_refused(v);
	delivery_become(v, DELIVERY_DONE);
}

/* What comes to its end meanwhile hears it in the turn behind this one. */
void
delivery_tell(void *ctx)
{
	struct deliver *d = ctx;
	const struct delivery_list *l = &d->lists[DELIVERY_REFUSED];
	unsigned n;

	for (n = l->n; n; n--)
		tell_refused(l->first);
	l = &d->lists[DELIVERY_DROPPED];
	for (n = l->n; n; n--)
		delivery_become(l->first, DELIVERY_DONE);
}

static void
enter_told(struct delivery *v)
{
	loop_timer_set(v->d->refusal, 0);
}

/* --- into the mailboxes --- */

static void
enter_queued(struct delivery *v)
{
	lanes_wake(v->d->lanes);
}

unsigned
delivery_queued(void *ctx)
{
	const struct deliver *d = ctx;

	return d->lists[DELIVERY_QUEUED].n;
}

struct lanes_item
delivery_next_queued(void *ctx)
{
	struct deliver *d = ctx;
	struct delivery *v = d->lists[DELIVERY_QUEUED].first;

	delivery_become(v, DELIVERY_PLACING);
	return (struct lanes_item){.message = &v->message,
	    .size = v->backlog,
	    .synced = !d->journal || journal_entry_at_risk(&v->entry)};
}

static void
finish(struct delivery *v)
{
	if (v->d->journal)
		journal_finish(v->d->journal, &v->entry);
	delivery_become(v, DELIVERY_DONE);
}

void
delivery_placed(void *ctx, const struct lanes_item *i)
{
	struct message *m = i->message;
	struct delivery *v =
	    (struct delivery *)((char *)m - offsetof(struct delivery, message));
	const struct deliver *d = ctx;

	delivery_log_delivered(v, i->ns);
	if (!message_failed_copies(m))
		finish(v);
	else if (!d->journal && atomic_load(&m->abandoned))
		refuse(v, ECANCELED);
	else
		delivery_become(v, DELIVERY_HOLDING);
}

/* What is neither in its mailbox nor held has its record, or nobody has it. */
static void
not_held(struct delivery *v, int error)
{
	if (v->d->journal) {
		delivery_log_held(v,
		    "cannot write to held/ in the spool: its record stays in "
		    "the journal");
		held_note(v->d->held, &v->message);
		delivery_become(v, DELIVERY_UNHELD);
	} else {
		delivery_log_held(v,
		    "cannot write to held/ in the spool: so it is refused");
		delivery_refuse(v, error, delivery_reply(EIO));
	}
}

static void
on_held(void *ctx, int error)
{
	struct delivery *v = ctx;

	if (error) {
		not_held(v, error);
		return;
	}
	delivery_log_held(v, NULL);
	held_note(v->d->held, &v->message);
	finish(v);
}

static void
enter_holding(struct delivery *v)
{
	held_hold(v->d->held, &v->message, on_held, v);
}

void
delivery_hold_again(struct deliver *d)
{
	const struct delivery_list *l = &d->lists[DELIVERY_UNHELD];

	while (l->first)
		delivery_become(l->first, DELIVERY_HOLDING);
}

/* --- through the journal --- */

/* It is on disk, or it is not, and then it is not tried again. */
static void
on_committed(struct journal_entry *e, int error)
{
	struct delivery *v =
	    (struct delivery *)((char *)e - offsetof(struct delivery, entry));

	buf_free(&e->record);
	if (error) {
		refuse(v, error);
		return;
	}
	v->file = NULL; /* the journal's now */
	if (atomic_load(&v->message.abandoned)) {
		/* the client was told so, and sends it again */
		journal_drop(v->d->journal, e);
		refuse(v, ECANCELED);
	} else {
		answer(v);
		delivery_become(v, DELIVERY_QUEUED);
	}
}

static void
enter_committing(struct delivery *v)
{
	struct message *m = &v->message;

	v->entry.body = m->body.tail;
	v->entry.file = v->file;
	v->entry.done = on_committed;
	message_record_encode(&v->entry.record, m, v->file);
	if (v->entry.record.len + m->body.tail.len > deliver_record_max(v->d)) {
		refuse(v, EMSGSIZE);
		return;
	}
	journal_commit(v->d->journal, &v->entry);
}

uint64_t
delivery_memory(const struct delivery *v)
{
	return v->message.body.tail.len + BACKLOG_EACH +
	       v->message.ncopies * BACKLOG_COPY;
}

void
delivery_commit(struct delivery *v)
{
	struct deliver *d = v->d;

	v->backlog = delivery_memory(v);
	d->backlog += v->backlog;
	delivery_become(v, d->journal ? DELIVERY_COMMITTING : DELIVERY_QUEUED);
}

/* Mailboxes that are slower than clients must not fill the memory. Behind the
 * asking it is too late to wait for that. */
static void
go_on(struct delivery *v)
{
	if (v->nlocal && v->d->backlog >= BACKLOG_MAX)
		delivery_become(v, DELIVERY_PARKED);
	else if (atomic_load(&v->message.abandoned))
		refuse(v, ECANCELED);
	else if (delivery_has_outgrown(v))
		refuse(v, EMSGSIZE);
	else if (v->nlocal < v->message.ncopies)
		delivery_become(v, DELIVERY_ASKING);
	else
		delivery_commit(v);
}

static void
unpark(struct deliver *d)
{
	const struct delivery_list *l = &d->lists[DELIVERY_PARKED];

	while (l->first && d->backlog < BACKLOG_MAX)
		go_on(l->first);
}

void
delivery_refuse_parked(struct deliver *d, bool waited_for)
{
	struct delivery *v, *next;

	DL_FOREACH_SAFE (d->lists[DELIVERY_PARKED].first, v, next)
		if (waited_for || !v->fn)
			refuse(v, ECANCELED);
		else if (v->nlocal < v->message.ncopies &&
			 clock_now() >= v->asking.dot_by)
			delivery_become(v, DELIVERY_ASKING);
}

/* --- a body in a file of its own --- */

static void
on_sealed(void *ctx, int error)
{
	struct delivery *v = ctx;

	if (error)
		refuse(v, error);
	else
		go_on(v);
}

static void
enter_sealing(struct delivery *v)
{
	struct message *m = &v->message;

	if (asprintf(&v->file, "%s.body", m->id) < 0)
		abort();
	m->dirfd = journal_dirfd(v->d->journal);
	m->link = arena_dup(&m->arena, span_str(v->file));
	seal_message(v->d->jobs, m, on_sealed, v);
}

/* --- the beginning --- */

/* Since RCPT something is held for one of its mailboxes. */
static bool
refuse_held(struct delivery *v)
{
	struct message *m = &v->message;
	int error;

	if (!held_any(v->d->held))
		return false;
	for (unsigned i = 0; i < v->nlocal; i++) {
		const struct message_copy *c = &m->copies[i];

		if (!held_has(v->d->held, c->dest->text, c->path, &error))
			continue;
		v->failed = c;
		delivery_refuse(v, error, held_reply(error));
		return true;
	}
	return false;
}

/* A lone copy that nobody here gets, ever, needs none. */
static bool
needs_file(const struct delivery *v)
{
	const struct message *m = &v->message;

	return v->d->journal && m->body.fd >= 0 &&
	       (m->ncopies > 1 || v->nlocal || m->copies[0].dest->route->hold);
}

static void
enter_spooled(struct delivery *v)
{
	struct message *m = &v->message;
	int error = spool_error(m->spool);

	if (error) {
		refuse(v, error);
		return;
	}
	message_ready(m);
	if (refuse_held(v))
		return;
	if (!m->ncopies)
		delivery_become(v, DELIVERY_DROPPED);
	else if (!budget_take(v))
		refuse(v, ENOSPC);
	else if (needs_file(v))
		delivery_become(v, DELIVERY_SEALING);
	else
		go_on(v);
}

/* It goes on, or as far as it has come. */
static void
cancel(struct ask *a, enum ask_end end)
{
	struct delivery *v = (struct delivery *)a;

	v->fn = NULL;
	if (end != ASK_ABANDON)
		return;
	atomic_store(&v->message.abandoned, true);
	if (v->state == DELIVERY_ASKING) {
		asking_abandon(&v->asking);
		refuse(v, ECANCELED);
	}
}

struct ask *
delivery_start(struct deliver *d, const struct envelope *e,
    struct spool **spool, const struct delivery_edit *how, int64_t answer_by,
    deliver_fn *fn, void *ctx)
{
	struct delivery *v = mem_new(sizeof(*v));

	v->d = d;
	v->asking.dot_by = answer_by - ASKING_DOT_MS;
	v->asking.wait_by = answer_by - ASKING_WAIT_MS;
	copies_init(v, e, spool);
	v->ask.cancel = cancel;
	v->fn = fn;
	v->ctx = ctx;
	if (how)
		delivery_edit(v, how);
	else
		delivery_become(v, DELIVERY_SPOOLED);
	return &v->ask;
}

/* --- states --- */

static void
unlink_from(struct delivery_list *l, struct delivery *v)
{
	DL_DELETE(l->first, v);
	l->n--;
	v->prev = v->next = NULL;
}

static void
link_to(struct delivery_list *l, struct delivery *v)
{
	assert(!v->prev); /* on no other: what is on one has one before it */
	DL_APPEND(l->first, v);
	l->n++;
}

void
delivery_free(struct delivery **p)
{
	struct delivery *v = *p;

	*p = NULL;
	unlink_from(&v->d->lists[v->state], v);
	v->d->backlog -= v->backlog;
	budget_return(v);
	buf_free(&v->entry.record);
	message_free(&v->message);
	free(v->file);
	free(v);
}

static void
enter_done(struct delivery *v)
{
	struct deliver *d = v->d;

	answer(v);
	if (v->file)
		unlinkat(journal_dirfd(d->journal), v->file, 0);
	delivery_free(&v);
	unpark(d);
}

static const struct {
	void (*enter)(struct delivery *);
} states[DELIVERY_STATES] = {
    [DELIVERY_EDITING] = {NULL},
    [DELIVERY_SPOOLED] = {enter_spooled},
    [DELIVERY_SEALING] = {enter_sealing},
    [DELIVERY_PARKED] = {NULL},
    [DELIVERY_ASKING] = {delivery_enter_asking},
    [DELIVERY_KEEPING] = {delivery_enter_keeping},
    [DELIVERY_COMMITTING] = {enter_committing},
    [DELIVERY_QUEUED] = {enter_queued},
    [DELIVERY_PLACING] = {NULL},
    [DELIVERY_HOLDING] = {enter_holding},
    [DELIVERY_UNHELD] = {NULL},
    [DELIVERY_FORGETTING] = {delivery_enter_forgetting},
    [DELIVERY_REFUSED] = {enter_told},
    [DELIVERY_DROPPED] = {enter_told},
    [DELIVERY_DONE] = {enter_done},
};

void
delivery_become(struct delivery *v, enum delivery_state s)
{
	struct deliver *d = v->d;

	if (v->prev) /* not a new one */
		unlink_from(&d->lists[v->state], v);
	v->state = s;
	link_to(&d->lists[s], v);
	if (states[s].enter)
		states[s].enter(v);
}

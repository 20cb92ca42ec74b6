/*
 * delivery: a message through the journal.
 *
 * A body that is in memory is written from where it gathered; one that is in
 * a file is sealed first, and its record names it. When the record is on disk
 * the client hears 250, and only then the mailboxes are thought of. On the
 * loop; what blocks is a job.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/budget.h"
#include "deliver/deliver_state.h"
#include "io/log.h"

#define BACKLOG_EACH 2048 /* about what a message costs without its body */
#define LARGE        (1u << 20)

static struct delivery *
of_entry(struct journal_entry *e)
{
	return (
	    struct delivery *)((char *)e - offsetof(struct delivery, entry));
}

static void
refuse_now(struct delivery *v)
{
	delivery_log_failure(&v->message, v->d->options->spool);
	if (v->file)
		unlinkat(journal_dirfd(v->d->journal), v->file, 0);
	delivery_answer(v, v->message.error);
	delivery_free(v);
}

void
delivery_refuse_all(void *ctx)
{
	struct deliver *d = ctx;
	struct delivery *v = d->refused, *next;

	d->refused = NULL;
	for (; v; v = next) {
		next = v->queued;
		refuse_now(v);
	}
	delivery_unpark(d);
}

void
delivery_refuse(struct delivery *v, int error)
{
	struct deliver *d = v->d;

	v->message.error = error;
	v->queued = d->refused;
	d->refused = v;
	loop_timer_set(d->refusal, 0);
}

/* It is on disk, or it is not, and then it is not tried again. */
static void
on_committed(struct journal_entry *e, int error)
{
	struct delivery *v = of_entry(e);
	struct deliver *d = v->d;

	buf_free(&e->record);
	if (!error)
		v->file = NULL; /* the journal's now */
	if (error) {
		delivery_refuse(v, error);
	} else if (atomic_load(&v->message.abandoned)) {
		/* the client was told so, and sends it again */
		log_event(LOG_INFO, "abandoned",
		    LOG_STR("message", v->message.id));
		journal_drop(d->journal, e);
		delivery_free(v);
		delivery_unpark(d);
	} else {
		delivery_answer(v, 0);
		lanes_put(v);
	}
}

/* Mailboxes that are slower than the journal must not fill the memory. */
static bool
park(struct delivery *v)
{
	struct deliver *d = v->d;

	if (d->backlog < BACKLOG_MAX)
		return false;
	v->queued = NULL;
	*d->parked_end = v;
	d->parked_end = &v->queued;
	return true;
}

static void
commit(struct delivery *v)
{
	struct message *m = &v->message;

	if (park(v))
		return;
	if (atomic_load(&m->abandoned)) {
		delivery_refuse(v, ECANCELED);
		return;
	}
	v->entry.body = m->body.tail;
	v->entry.file = v->file;
	v->entry.done = on_committed;
	record_encode(&v->entry.record, m, v->file);
	v->d->backlog += v->backlog = m->body.tail.len + BACKLOG_EACH;
	journal_commit(v->d->journal, &v->entry);
}

void
delivery_refuse_parked(struct deliver *d, bool waited_for)
{
	struct delivery **end = &d->parked, *v;

	while ((v = *end)) {
		if (v->fn && !waited_for) {
			end = &v->queued;
			continue;
		}
		*end = v->queued;
		delivery_refuse(v, ECANCELED);
	}
	d->parked_end = end;
}

void
delivery_unpark(struct deliver *d)
{
	struct delivery *v;

	while ((v = d->parked) && d->backlog < BACKLOG_MAX) {
		d->parked = v->queued;
		if (!d->parked)
			d->parked_end = &d->parked;
		commit(v);
	}
}

/* --- a body in a file of its own --- */

struct seal {
	struct job job;
	struct delivery *v;
	int error;
};

static void
seal_run(struct job *job)
{
	struct seal *s = (struct seal *)job;
	struct message *m = &s->v->message;
	struct stat st;

	s->error = spool_seal(&m->body, m->dirfd, m->link) < 0 ? errno : 0;
	/* one mailbox gets this very file: who reads it reads it once, and may
	 * read it from the disk; its pages are worth more to everybody else */
	if (!s->error && m->ncopies == 1 && m->body.filed >= LARGE &&
	    !fstat(m->body.fd, &st) && st.st_dev == m->copies[0].root->dev)
		posix_fadvise(m->body.fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void
seal_free(struct job *job)
{
	free(job);
}

static void
seal_done(struct job *job, void *ctx)
{
	const struct seal *s = (struct seal *)job;

	if (s->error)
		delivery_refuse(ctx, s->error);
	else
		commit(ctx);
}

static void
seal(struct delivery *v)
{
	struct message *m = &v->message;
	struct seal *s = calloc(1, sizeof(*s));

	if (!s || asprintf(&v->file, "%s.body", m->id) < 0)
		abort();
	m->dirfd = journal_dirfd(v->d->journal);
	m->link = arena_dup(&m->arena, span_str(v->file));
	s->v = v;
	s->job.run = seal_run;
	s->job.free = seal_free;
	jobs_submit(v->d->jobs, &s->job, seal_done, v);
}

/* Since RCPT something is held for one of its mailboxes. */
static bool
refuse_held(struct delivery *v)
{
	struct message *m = &v->message;
	int error;

	if (!held_any(v->d->held))
		return false;
	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (!held_has(v->d->held, c->root->path, c->path, &error))
			continue;
		v->held = true;
		m->failed = c;
		delivery_refuse(v, error);
		return true;
	}
	return false;
}

/* So many recipients that no segment has room for its record? */
static bool
is_too_large(const struct delivery *v)
{
	uint64_t n = v->message.body.tail.len;

	for (unsigned i = 0; i < v->message.ncopies; i++) {
		const struct message_copy *c = &v->message.copies[i];

		n += strlen(c->address) + strlen(c->root->path) +
		     strlen(c->path) + strlen(c->name) + 16;
	}
	return !journal_takes(v->d->journal, n + RECORD_PAGE);
}

void
delivery_commit(struct delivery *v)
{
	struct message *m = &v->message;
	int error = spool_error(m->spool);

	if (error) {
		delivery_refuse(v, error);
		return;
	}
	message_ready(m);
	if (refuse_held(v))
		return;
	if (!budget_take(v))
		delivery_refuse(v, ENOSPC);
	else if (is_too_large(v))
		delivery_direct(v);
	else if (m->body.fd >= 0)
		seal(v);
	else
		commit(v);
}

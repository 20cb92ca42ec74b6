/*
 * hold: what a mailbox did not take goes into held/, on a thread of its own,
 * so that everybody else's mail goes on. Until that is on disk its record
 * stays in the journal.
 */
#include <errno.h>
#include <stdlib.h>

#include "deliver/deliver_state.h"
#include "io/log.h"

struct hold {
	struct job job;
	struct delivery *v;
	struct deliver *d;
	struct crc32c crc;
	int error;
};

static void
hold_run(struct job *job)
{
	struct hold *h = (struct hold *)job;

	crc32c_init(&h->crc);
	if (held_write(&h->crc, held_dirfd(h->d->held), &h->v->message, NULL) <
	    0)
		h->error = errno;
}

static void
hold_free(struct job *job)
{
	free(job);
}

static void
log_held(const struct delivery *v, int error)
{
	const struct log_field none = LOG_END;
	const struct log_field not_yet = LOG_STR("help",
	    "cannot write to held/ in the spool: its record stays in the "
	    "journal");

	for (unsigned i = 0; i < v->message.ncopies; i++) {
		const struct message_copy *c = &v->message.copies[i];

		if (c->error)
			log_event(error ? LOG_ERROR : LOG_WARN, "held",
			    LOG_STR("message", v->message.id),
			    LOG_STR("rcpt", c->address),
			    LOG_STR("mailbox", c->path),
			    LOG_STR("error", maildir_error(c->error)),
			    error ? not_yet : none);
	}
}

static void
hold_done(struct job *job, void *ctx)
{
	struct hold *h = (struct hold *)job;
	struct delivery *v = ctx;

	log_held(v, h->error);
	held_note(h->d->held, &v->message);
	if (h->error) {
		v->queued = h->d->stuck;
		h->d->stuck = v;
		return;
	}
	journal_finish(h->d->journal, &v->entry);
	delivery_free(v);
	delivery_unpark(h->d);
}

void
hold_put(struct delivery *v)
{
	struct hold *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->job.run = hold_run;
	h->job.free = hold_free;
	h->v = v;
	h->d = v->d;
	jobs_submit(v->d->aside, &h->job, hold_done, v);
}

void
hold_again(struct deliver *d)
{
	struct delivery *v = d->stuck, *next;

	d->stuck = NULL;
	for (; v; v = next) {
		next = v->queued;
		hold_put(v);
	}
}

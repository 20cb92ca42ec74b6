/*
 * held: what the loop knows of held mail.
 *
 * A pass at a time runs on a thread and brings back the whole set of
 * mailboxes; what is held meanwhile is noted here at once. Logs what came of
 * each message.
 */
#include "deliver/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver/held_pass.h"
#include "io/log.h"
#include "journal/journal_dir.h"

#define HELP "no file that smtpd made, or too large: it is in damaged/ now"

struct held {
	struct held_options o;
	struct jobs *aside;
	struct crc32c crc;
	struct held_pass pass; /* the thread's while it runs */
	struct held_box *boxes;
	struct held_box *noted; /* since the last pass began */
	struct held_box *older; /* before, until that pass is over */
	uint64_t size;          /* what counts against the limit */
	int dirfd, damaged;
	bool running;
	bool told; /* that it is full */
};

struct held_job {
	struct job job;
	struct held *h;
};

struct held *
held_new(const struct held_options *o, int spool, struct jobs *aside)
{
	struct held *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		abort();
	h->o = *o;
	h->aside = aside;
	crc32c_init(&h->crc);
	h->dirfd = journal_dir_open(spool, "held");
	h->damaged = journal_dir_open(spool, "damaged");
	if (h->dirfd < 0 || h->damaged < 0) {
		err = errno;
		held_free(&h);
		errno = err;
		return NULL;
	}
	h->pass = (struct held_pass){.o = &h->o,
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
	held_pass_free(&h->pass);
	held_boxes_free(&h->boxes);
	held_boxes_free(&h->noted);
	held_boxes_free(&h->older);
	if (h->dirfd >= 0)
		close(h->dirfd);
	if (h->damaged >= 0)
		close(h->damaged);
	free(h);
}

int
held_dirfd(const struct held *h)
{
	return h->dirfd;
}

static void
pass_run(struct job *job)
{
	held_pass_run(&((struct held_job *)job)->h->pass);
}

static void
pass_free(struct job *job)
{
	free(job);
}

static void
log_events(const struct held_pass *p)
{
	for (const struct held_event *e = p->events; e; e = e->next) {
		bool good = e->fate == HELD_DELIVERED;

		if (e->fate == HELD_ASIDE) {
			log_event(LOG_ERROR, "set-aside",
			    LOG_STR("held", e->mailbox), LOG_STR("help", HELP));
			continue;
		}
		log_event(good ? LOG_INFO : LOG_ERROR,
		    good                     ? "delivered"
		    : e->fate == HELD_FAILED ? "failed"
					     : "held-unreadable",
		    LOG_STR("message", e->id), LOG_STR("rcpt", e->address),
		    LOG_STR("mailbox", e->mailbox),
		    LOG_STR("error", maildir_error(e->error)));
	}
	if (p->error)
		log_event(LOG_ERROR, "held-failed", LOG_ERRNO(p->error));
}

/* Once, until there is room again: of what. */
static void
log_full(struct held *h, const struct held_box *roots)
{
	const struct held_box *most = roots;

	if (most && held_full(h) && !h->told) {
		for (; roots; roots = roots->hh.next)
			if (roots->size > most->size)
				most = roots;
		log_event(LOG_ERROR, "held-full", LOG_UINT("octets", h->size),
		    LOG_UINT("limit", h->o.limit),
		    LOG_SPAN("root", ((struct span){most->name, most->root})),
		    LOG_UINT("mailboxes", most->mailboxes),
		    LOG_STR("help",
			"MAIL gets 452 until the mailboxes of the held events "
			"take theirs, or held in journal is larger"));
	}
	h->told = held_full(h);
}

static void
pass_done(struct job *job, void *ctx)
{
	struct held *h = ctx;
	struct held_pass *p = &h->pass;

	(void)job;
	log_events(p);
	held_pass_free_events(p);
	held_boxes_free(&h->boxes);
	h->boxes = p->boxes;
	h->size = p->size;
	p->boxes = NULL;
	log_full(h, p->roots);
	held_boxes_free(&p->roots);
	held_boxes_free(&h->older);
	h->running = false;
}

void
held_tick(struct held *h)
{
	struct held_job *job;

	if (h->running)
		return;
	job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	job->job.run = pass_run;
	job->job.free = pass_free;
	job->h = h;
	h->running = true;
	/* whatever is written by now, this pass will see */
	h->older = h->noted;
	h->noted = NULL;
	jobs_submit(h->aside, &job->job, pass_done, h);
}

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
		if (m->copies[i].error)
			held_box_add(&h->noted, m->copies[i].root->path,
			    m->copies[i].path)
			    ->error = m->copies[i].error;
}

bool
held_full(const struct held *h)
{
	return h->size >= h->o.limit;
}

/*
 * journal_segments: which file the next commit goes to.
 *
 * One is written to; when it is half full the next one is begun on a thread,
 * from a file that all checkpoints have passed, or a new one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/log.h"
#include "journal/journal_state.h"

struct prepare {
	struct job job;
	struct journal *j;
	struct segment *segment; /* to be used again, or NULL */
	char name[SEGMENT_NAME_MAX];
	int error;
};

/* On a thread. */
static void
prepare_run(struct job *job)
{
	struct prepare *p = (struct prepare *)job;
	struct journal *j = p->j;

	if (!p->segment)
		p->segment = segment_create(&j->crc, j->o->owner.version,
		    j->dir.fd, p->name, j->o->segment);
	if (!p->segment || segment_begin(p->segment) < 0)
		p->error = errno;
}

static void
prepare_free(struct job *job)
{
	struct prepare *p = (struct prepare *)job;

	segment_free(&p->segment);
	free(p);
}

/* For want of room or descriptors, not because the disk is bad. */
static bool
is_passing(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EMFILE ||
	       error == ENFILE;
}

static void
put_back(struct journal *j, struct prepare *p)
{
	LL_PREPEND(j->clean, p->segment);
	p->segment = NULL;
}

/* A file that cannot be begun is left alone: nothing in it counts. */
static void
prepare_done(struct job *job, void *ctx)
{
	struct prepare *p = (struct prepare *)job;
	struct journal *j = ctx;

	j->preparing = false;
	if (p->error) {
		log_event(LOG_ERROR, "journal-segment",
		    LOG_STR("journal", j->dir.name), LOG_ERRNO(p->error));
		/* a full disk is nobody's fault; all else counts */
		if (!is_passing(p->error))
			journal_failed(j);
		else if (p->segment)
			put_back(j, p);
		if (!j->current)
			journal_tell_all(&j->gathering, p->error);
		return;
	}
	j->spare = p->segment;
	p->segment = NULL;
	journal_start_commit(j);
}

void
journal_prepare(struct journal *j)
{
	struct prepare *p;

	if (j->preparing || j->spare)
		return;
	p = mem_new(sizeof(*p));
	p->job.run = prepare_run;
	p->job.free = prepare_free;
	p->j = j;
	p->segment = j->clean;
	if (p->segment)
		LL_DELETE(j->clean, p->segment);
	snprintf(p->name, sizeof(p->name), "%08u.log", ++j->last_name);
	j->preparing = true;
	jobs_submit(j->aside, &p->job, prepare_done, j);
}

void
journal_retire(struct journal *j, struct segment *s, bool bad)
{
	s->bad |= bad;
	if (s == j->current) {
		j->current = NULL;
		LL_PREPEND(j->retired, s);
	}
}

void
journal_recycle(struct journal *j, struct segment *s)
{
	LL_DELETE(j->retired, s);
	LL_PREPEND(j->clean, s);
}

/* A segment with room for the first that waits; false: not yet. */
bool
journal_have_segment(struct journal *j)
{
	const struct journal_entry *e = STAILQ_FIRST(&j->gathering);
	uint64_t n = segment_next_commit(e->record.len + e->body.len);

	if (j->current && !segment_fits(j->current, j->current->end, n))
		journal_retire(j, j->current, false);
	if (!j->current) {
		j->current = j->spare;
		j->spare = NULL;
	}
	if (!j->current || j->current->end > j->o->segment / 2)
		journal_prepare(j);
	return j->current != NULL;
}

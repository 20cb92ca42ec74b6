/*
 * journal: commits, on the loop; the writing itself is a job of its own
 * thread.
 *
 * Entries gather in a list while a commit runs. A commit that fails is never
 * tried again on that file: its entries are told, the file is retired, and
 * the next one is used; when that fails too, the disk is not to be trusted,
 * and the owner is told to take no more mail.
 */
#include "journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/checkpoint.h"
#include "journal/journal_state.h"

#define COMMIT_MAX 4096 /* records in one commit */

/* What is put into the queue meanwhile waits for another time. */
void
journal_tell_all(struct journal_queue *q, int error)
{
	struct journal_queue told = STAILQ_HEAD_INITIALIZER(told);
	struct journal_entry *e;

	STAILQ_CONCAT(&told, q);
	while ((e = STAILQ_FIRST(&told))) {
		STAILQ_REMOVE_HEAD(&told, next);
		e->done(e, error);
	}
}

/* --- commits --- */

struct commit {
	struct job job;
	struct journal *j;
	/* its own: a checkpoint may retire j->current meanwhile */
	struct segment *segment;
	int64_t ns; /* writing took */
	int error;
};

static void
commit_run(struct job *job)
{
	struct commit *c = (struct commit *)job;
	struct journal *j = c->j;
	int64_t begun = clock_ns();

	/* in a spool that was moved away no reader would find it */
	if (full_leads_to(j->o->spool, &j->is) < 0)
		c->error = ESTALE;
	else if (segment_commit(c->segment, j->parts, j->nparts) < 0)
		c->error = errno;
	c->ns = clock_ns() - begun;
}

static void
commit_free(struct job *job)
{
	free(job);
}

void
journal_failed(struct journal *j)
{
	if (++j->failures < 2 || j->broken)
		return;
	j->broken = true;
	j->o->broken(j->o->ctx);
}

static void
commit_failed(struct journal *j, struct segment *s, int error)
{
	log_event(LOG_ERROR, "journal-commit", LOG_STR("journal", j->dir.name),
	    LOG_STR("segment", s->name), LOG_ERRNO(error));
	journal_retire(j, s, true);
	journal_failed(j);
	journal_tell_all(&j->committing, EIO);
}

static void
commit_succeeded(struct journal *j, struct segment *s)
{
	struct segment_part *last = &j->parts[j->nparts - 1];
	struct journal_entry *e;

	j->failures = 0;
	s->end = segment_next_commit(
	    last->offset + last->record->len + last->body.len);
	for (e = STAILQ_FIRST(&j->committing); e; e = STAILQ_NEXT(e, next)) {
		e->segment = s;
		e->mark = segment_mark(s, e->offset, e->file);
	}
	journal_tell_all(&j->committing, 0);
}

void
journal_observe(const struct journal *j, enum shared_counter c, int64_t ns)
{
	const struct shared_slot *to = j->o->counts;

	if (to)
		shared_observe(to->shared, to->slot, c, COUNTER_SECONDS,
		    (uint64_t)ns);
}

static void
count_commit(const struct journal *j, const struct commit *c)
{
	const struct shared_slot *to = j->o->counts;

	journal_observe(j, SHARED_COMMIT, c->ns);
	if (to)
		shared_observe(to->shared, to->slot, SHARED_BATCH,
		    COUNTER_BATCH, j->nparts);
}

static void
commit_done(struct job *job, void *ctx)
{
	const struct commit *c = (struct commit *)job;
	struct journal *j = ctx;

	count_commit(j, c);
	c->segment->committing = false;
	if (c->error == ESTALE) {
		j->o->look(j->o->ctx);
		journal_tell_all(&j->committing, ESTALE);
	} else if (c->error) {
		commit_failed(j, c->segment, c->error);
	} else {
		commit_succeeded(j, c->segment);
	}
	j->nparts = 0;
	journal_start_commit(j);
}

/* Moves what fits behind the segment's end from gathering to committing. */
static void
take_parts(struct journal *j)
{
	uint64_t at = j->current->end;
	struct journal_entry *e;

	while ((e = STAILQ_FIRST(&j->gathering)) && j->nparts < COMMIT_MAX) {
		uint64_t n = e->record.len + e->body.len;

		/* padded to a page behind the last one */
		if (!segment_fits(j->current, at, segment_next_commit(n)))
			break;
		STAILQ_REMOVE_HEAD(&j->gathering, next);
		STAILQ_INSERT_TAIL(&j->committing, e, next);
		e->offset = at;
		j->parts[j->nparts++] =
		    (struct segment_part){&e->record, e->body, at};
		at = segment_next_record(at + n);
	}
}

void
journal_start_commit(struct journal *j)
{
	struct commit *c;

	if (j->nparts || STAILQ_EMPTY(&j->gathering))
		return;
	if (j->broken) {
		journal_tell_all(&j->gathering, EIO);
		return;
	}
	if (!journal_have_segment(j))
		return;
	take_parts(j);
	c = mem_new(sizeof(*c));
	c->job.run = commit_run;
	c->job.free = commit_free;
	c->j = j;
	c->segment = j->current;
	c->segment->committing = true;
	jobs_submit(j->committer, &c->job, commit_done, j);
}

bool
journal_takes(const struct journal *j, uint64_t n)
{
	return n <= j->o->segment - RECORD_FIRST - RECORD_PAGE;
}

void
journal_commit(struct journal *j, struct journal_entry *e)
{
	assert(journal_takes(j, e->record.len + e->body.len));
	STAILQ_INSERT_TAIL(&j->gathering, e, next);
	journal_start_commit(j);
}

void
journal_finish(struct journal *j, const struct journal_entry *e)
{
	(void)j;
	e->segment->marks[e->mark].finished = true;
}

void
journal_drop(struct journal *j, const struct journal_entry *e)
{
	e->segment->marks[e->mark].dropped = true;
	journal_finish(j, e);
}

bool
journal_entry_at_risk(const struct journal_entry *e)
{
	return e->segment->bad;
}

/* --- life --- */

static uint64_t
unpassed(const struct segment *s)
{
	return s->first < s->nmarks ? s->end - s->marks[s->first].offset : 0;
}

uint64_t
journal_size(const struct journal *j)
{
	uint64_t n = j->current ? unpassed(j->current) : 0;

	for (const struct segment *s = j->retired; s; s = s->next)
		n += unpassed(s);
	return n;
}

/* A disk that takes nothing more must not keep a worker. */
bool
journal_settled(const struct journal *j)
{
	return !j->nparts && STAILQ_EMPTY(&j->gathering) && !j->checkpoint &&
	       !j->preparing && (j->stuck || !checkpoint_wanted(j));
}

void
journal_wind_up(struct journal *j)
{
	if (!j->stuck)
		checkpoint_start(j);
}

static void
on_timer(void *ctx)
{
	struct journal *j = ctx;

	/* a segment that could not be made before may be possible now */
	if (!j->current)
		journal_prepare(j);
	checkpoint_start(j);
	j->o->tick(j->o->ctx);
	loop_timer_set(j->timer, j->o->checkpoint);
}

struct journal *
journal_new(const struct journal_options *o, int spool, struct loop *l,
    struct jobs *aside)
{
	struct journal *j = mem_new(sizeof(*j));

	j->o = o;
	j->loop = l;
	j->aside = aside;
	j->spool = spool;
	j->dir.fd = -1;
	crc32c_init(&j->crc);
	STAILQ_INIT(&j->gathering);
	STAILQ_INIT(&j->committing);
	j->parts = mem_new(COMMIT_MAX * sizeof(j->parts[0]));
	j->root = j->damaged = -1;
	if (fstat(spool, &j->is) == 0 &&
	    (j->root = journal_dir_open(spool, "journal")) >= 0 &&
	    (j->damaged = journal_dir_open(spool, "damaged")) >= 0 &&
	    !journal_dir_make(j->root, &j->dir))
		j->committer = jobs_new(l, 1);
	if (j->committer)
		j->timer = loop_timer(l, on_timer, j);
	if (!j->timer) {
		journal_free(&j);
		return NULL;
	}
	loop_timer_set(j->timer, 0);
	return j;
}

int
journal_dirfd(const struct journal *j)
{
	return j->dir.fd;
}

const char *
journal_name(const struct journal *j)
{
	return j->dir.name;
}

static void
free_list(struct segment *s)
{
	struct segment *next;

	for (; s; s = next) {
		next = s->next;
		segment_free(&s);
	}
}

void
journal_free(struct journal **p)
{
	struct journal *j = *p;
	int err = errno;

	*p = NULL;
	if (!j)
		return;
	jobs_free(&j->committer);
	loop_event_free(&j->timer);
	/* empty, or as good as: nothing in it was ever answered */
	if (j->dir.fd >= 0 && !j->stuck && !journal_size(j))
		journal_dir_remove(&j->dir);
	journal_dir_close(&j->dir);
	segment_free(&j->current);
	segment_free(&j->spare);
	free_list(j->retired);
	free_list(j->clean);
	full_close(&j->root);
	full_close(&j->damaged);
	free(j->parts);
	free(j);
	errno = err;
}

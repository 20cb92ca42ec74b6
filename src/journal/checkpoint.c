/*
 * checkpoint: passes what was delivered.
 *
 * First the loop notes which records are finished; then a thread has synced
 * what was placed for them, and only then says in each segment that the
 * records below need nothing more. A sync that fails frees nothing: the pages
 * that it was about may be gone from memory, so each record is read back and
 * redone. Owns nothing beyond one run.
 */
#include "journal/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/journal_state.h"
#include "journal/reader.h"

/* A segment, and how far it is passed. */
struct step {
	struct segment *segment;
	unsigned first;
	uint64_t from, done;
	char **files; /* bodies of their own below done; the segment's */
	unsigned nfiles;
	uint64_t doubt;    /* below it a record is written anew */
	uint64_t *dropped; /* offsets that are not */
	unsigned ndropped;
	bool over; /* and then there is nothing left */
	bool bad;
	bool moved; /* to damaged/ */
	bool kept;  /* moved away meanwhile: not passed this time */
	int error;
};

struct checkpoint {
	struct job job;
	struct journal *j;
	struct step *steps;
	unsigned nsteps;
	int64_t ns;     /* it took */
	int error;      /* of the sync */
	unsigned moves; /* of the journal, when this began */
	bool again; /* what was placed is not where it should be, or may be */
	unsigned held;
};

/* --- what is finished --- */

static unsigned
finished(const struct segment *s)
{
	unsigned i = s->first;

	while (i < s->nmarks && s->marks[i].finished)
		i++;
	/* of a bad one nothing can be noted, so that it passes whole */
	return s->bad && i < s->nmarks ? s->first : i;
}

/* Full or bad, and nothing in it was ever acknowledged or all is passed. */
static bool
is_over(const struct journal *j, const struct segment *s)
{
	return s != j->current && !s->committing && s->first == s->nmarks;
}

static void
note_files(struct step *t, const struct segment *s)
{
	unsigned n = 0;

	for (unsigned i = s->first; i < t->first; i++)
		n += s->marks[i].file != NULL;
	if (!n)
		return;
	t->files = mem_new(n * sizeof(t->files[0]));
	for (unsigned i = s->first; i < t->first; i++)
		if (s->marks[i].file)
			t->files[t->nfiles++] = s->marks[i].file;
}

static void
note_dropped(struct step *t, const struct segment *s)
{
	unsigned n = 0;

	for (unsigned i = s->first; i < t->first; i++)
		n += s->marks[i].dropped;
	if (!n)
		return;
	t->dropped = mem_new(n * sizeof(t->dropped[0]));
	for (unsigned i = s->first; i < t->first; i++)
		if (s->marks[i].dropped)
			t->dropped[t->ndropped++] = s->marks[i].offset;
}

static void
note_step(struct checkpoint *c, struct segment *s)
{
	unsigned first = finished(s);
	struct step *t;

	if (first == s->first && !is_over(c->j, s))
		return;
	t = &c->steps[c->nsteps++];
	*t = (struct step){.segment = s,
	    .first = first,
	    .over = s != c->j->current && !s->committing && first == s->nmarks,
	    .bad = s->bad,
	    .doubt = s->doubt,
	    .done = first < s->nmarks ? s->marks[first].offset : s->end};
	t->from = first > s->first ? s->marks[s->first].offset : t->done;
	note_files(t, s);
	note_dropped(t, s);
}

/* --- on a thread --- */

static bool
is_wanted(void *ctx, uint64_t offset)
{
	const struct step *t = ctx;

	for (unsigned i = 0; i < t->ndropped; i++)
		if (t->dropped[i] == offset)
			return false;
	return true;
}

/* Each record from the file, and on disk by itself. */
static void
rewrite(struct checkpoint *c, struct step *t, uint64_t to)
{
	const struct journal *j = c->j;
	const struct journal_owner *o = &j->o->owner;
	struct reader r = {.crc = &j->crc,
	    .owner = o,
	    .dirfd = j->dir.fd,
	    .how = REDO_REWRITE,
	    .at = is_wanted,
	    .ctx = t};

	if (reader_range(&r, t->segment->fd, &t->segment->header, t->from, to) <
	    0)
		t->error = errno;
	else if (r.count.damaged || r.torn)
		t->error = EIO;
	else
		t->kept = o->sync(o->ctx) < 0 && errno == ESTALE;
	c->held += r.count.held;
}

/* A bad one goes where somebody may look at it, when all else is done. */
static void
pass(struct checkpoint *c, struct step *t)
{
	struct segment *s = t->segment;
	struct journal *j = c->j;
	char name[IDENT_LEN + SEGMENT_NAME_MAX + 2];

	if (!t->bad) {
		if (segment_pass(s->crc, s->header_fd, &s->header, t->done) < 0)
			t->error = errno;
	} else if (t->over) {
		snprintf(name, sizeof(name), "%s-%s", j->dir.name, s->name);
		/* or it is there, and a sync has failed since */
		if ((renameat(j->dir.fd, s->name, j->damaged, name) < 0 &&
			errno != ENOENT) ||
		    full_sync_dir(j->damaged) < 0 ||
		    full_sync_dir(j->dir.fd) < 0)
			t->error = errno;
		t->moved = !t->error;
	}
	for (unsigned i = 0; i < t->nfiles && !t->error; i++)
		unlinkat(j->dir.fd, t->files[i], 0);
}

static void
checkpoint_run(struct job *job)
{
	struct checkpoint *c = (struct checkpoint *)job;
	struct journal *j = c->j;
	int64_t begun = clock_ns();

	if (j->o->sync(j->o->ctx) < 0)
		c->error = errno;
	c->again = c->error || j->moves != c->moves;
	/* whoever reads this back after us must not trust what it finds */
	if (c->error && journal_dir_doubt(&j->dir) < 0)
		c->error = errno;
	for (unsigned i = 0; i < c->nsteps; i++) {
		struct step *t = &c->steps[i];
		bool all = c->again || t->done < t->doubt;
		uint64_t to = all ? t->done : t->doubt;

		if (t->from < to)
			rewrite(c, t, to);
		if (!t->error && !t->kept)
			pass(c, t);
	}
	c->ns = clock_ns() - begun;
}

/* --- on the loop again --- */

static void
apply(struct checkpoint *c, struct step *t)
{
	struct journal *j = c->j;
	struct segment *s = t->segment;

	if (t->error) {
		log_event(LOG_ERROR, "checkpoint-failed",
		    LOG_STR("journal", j->dir.name),
		    LOG_STR("segment", s->name), LOG_ERRNO(t->error));
		journal_retire(j, s, true);
		j->stuck = true;
		return;
	}
	if (t->kept) {
		s->doubt = s->end;
		return;
	}
	s->first = t->first;
	if (!is_over(j, s))
		return;
	if (!s->bad) {
		journal_recycle(j, s);
	} else if (t->moved) {
		log_event(LOG_ERROR, "journal-damaged",
		    LOG_STR("journal", j->dir.name),
		    LOG_STR("segment", s->name));
		LL_DELETE(j->retired, s);
		segment_free(&s);
	}
}

void
journal_doubt(struct journal *j)
{
	struct segment *s;

	j->moves++;
	if (j->current)
		j->current->doubt = j->current->end;
	LL_FOREACH (j->retired, s)
		s->doubt = s->end;
}

static void
checkpoint_done(struct job *job, void *ctx)
{
	struct checkpoint *c = (struct checkpoint *)job;
	struct journal *j = ctx;

	journal_observe(j, SHARED_CHECKPOINT, c->ns);
	/* what was placed while it ran may be among what it lost */
	if (c->error)
		journal_doubt(j);
	if (c->error && c->error != ESTALE)
		log_event(LOG_ERROR, "sync-failed",
		    LOG_STR("journal", j->dir.name), LOG_UINT("held", c->held),
		    LOG_ERRNO(c->error));
	j->stuck = false;
	for (unsigned i = 0; i < c->nsteps; i++)
		apply(c, &c->steps[i]);
	j->checkpoint = NULL;
	if (c->again)
		j->o->look(j->o->ctx);
}

static void
checkpoint_free(struct job *job)
{
	struct checkpoint *c = (struct checkpoint *)job;

	for (unsigned i = 0; i < c->nsteps; i++) {
		free(c->steps[i].files);
		free(c->steps[i].dropped);
	}
	free(c->steps);
	free(c);
}

static bool
would_pass(const struct journal *j, const struct segment *s)
{
	return s && (finished(s) > s->first || is_over(j, s));
}

bool
checkpoint_wanted(const struct journal *j)
{
	bool wanted = would_pass(j, j->current);

	for (const struct segment *s = j->retired; s && !wanted; s = s->next)
		wanted = would_pass(j, s);
	return wanted;
}

void
checkpoint_start(struct journal *j)
{
	struct checkpoint *c;
	struct segment *s;
	unsigned n;

	if (j->checkpoint || !checkpoint_wanted(j))
		return;
	c = j->checkpoint = mem_new(sizeof(*c));
	LL_COUNT(j->retired, s, n);
	c->steps = mem_new((n + 1) * sizeof(c->steps[0]));
	c->job.run = checkpoint_run;
	c->job.free = checkpoint_free;
	c->j = j;
	c->moves = j->moves;
	if (j->current)
		note_step(c, j->current);
	LL_FOREACH (j->retired, s)
		note_step(c, s);
	jobs_submit(j->aside, &c->job, checkpoint_done, j);
}

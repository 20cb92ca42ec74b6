/*
 * checkpoint: passes what was delivered.
 *
 * First the loop notes which records are finished; then a thread syncs the
 * file systems they were delivered to, and only then says in each segment
 * that the records below need nothing more. A sync that fails frees nothing:
 * the pages that it was about may be gone from memory, so each record is read
 * back and written anew. Owns nothing beyond one run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "deliver/held.h"
#include "deliver/replay.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/journal_state.h"
#include "rcpt/recipients.h"

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
	bool kept;  /* a root changed meanwhile: not passed this time */
	int error;
};

struct checkpoint {
	struct job job;
	struct journal *j;
	int *fds; /* file systems */
	unsigned nfds;
	struct step *steps;
	unsigned nsteps;
	int sync_error;
	unsigned moves; /* of the journal, when this began */
	bool again;     /* a root is not where its mail was placed */
	unsigned held_back;
};

static void *
make(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		abort();
	return p;
}

/* --- what is finished --- */

static unsigned
finished(const struct segment *s)
{
	unsigned i = s->first;

	while (i < s->nmarks && s->marks[i].finished)
		i++;
	return i;
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
	t->files = make(n, sizeof(t->files[0]));
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
	t->dropped = make(n, sizeof(t->dropped[0]));
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

static void
note_file_systems(struct checkpoint *c)
{
	struct recipients *r = c->j->o->recipients;
	const struct maildir_root *root, *other;
	unsigned n = 0;

	while (recipients_root(r, n))
		n++;
	c->fds = make(n + 1, sizeof(c->fds[0]));
	for (unsigned i = 0; (root = recipients_root(r, i)); i++) {
		bool known = maildir_root_sync_each(root);

		for (unsigned k = 0; k < i && !known; k++) {
			other = recipients_root(r, k);
			known = !maildir_root_sync_each(other) &&
				other->dev == root->dev;
		}
		if (known)
			continue;
		c->fds[c->nfds++] = root->sync;
	}
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

/* Each record from the file, written anew and synced by itself. */
static void
rewrite(struct checkpoint *c, struct step *t, uint64_t to)
{
	struct journal *j = c->j;
	struct replay r;

	replay_init(&r, &j->crc, j->dir.fd, j->held, PLACE_REWRITE);
	place_reserve(r.boxes, j->o->reserve);
	r.at = is_wanted;
	r.ctx = t;
	if (replay_range(&r, t->segment->fd, t->segment->header.nonce, t->from,
		to) < 0)
		t->error = errno;
	else if (r.damaged || r.torn)
		t->error = EIO;
	else
		t->kept = replay_same(&r) < 0;
	c->held_back += r.held_back;
	replay_free(&r);
}

/* A bad one goes where somebody may look at it, when all else is done. */
static void
pass(struct checkpoint *c, struct step *t)
{
	const struct segment *s = t->segment;
	struct journal *j = c->j;
	char name[IDENT_LEN + SEGMENT_NAME_MAX + 2];

	if (!t->bad) {
		if (segment_write_done(t->segment, t->done) < 0)
			t->error = errno;
	} else if (t->over) {
		snprintf(name, sizeof(name), "%s-%s", j->dir.name, s->name);
		if (renameat(j->dir.fd, s->name, j->damaged, name) < 0 ||
		    full_sync_dir(j->damaged) < 0 ||
		    full_sync_dir(j->dir.fd) < 0)
			t->error = errno;
		t->moved = !t->error;
	}
	for (unsigned i = 0; i < t->nfiles && !t->error; i++)
		unlinkat(j->dir.fd, t->files[i], 0);
}

/*
 * What is passed must be where its path leads to: a root that was moved away,
 * replaced or mounted over took its mail with it, and what was placed there
 * is placed again.
 */
static bool
any_moved(const struct checkpoint *c)
{
	const struct journal *j = c->j;
	const struct maildir_root *root;

	for (unsigned i = 0; (root = recipients_root(j->o->recipients, i)); i++)
		if (maildir_root_changed(root))
			return true;
	return j->moves != c->moves;
}

static void
checkpoint_run(struct job *job)
{
	struct checkpoint *c = (struct checkpoint *)job;

	for (unsigned i = 0; i < c->nfds; i++)
		if (full_syncfs(c->fds[i]) < 0)
			c->sync_error = errno;
	/* whoever reads this back after us must not trust what it finds */
	if (c->sync_error && journal_dir_doubt(&c->j->dir) < 0)
		c->sync_error = errno;
	c->again = any_moved(c);
	for (unsigned i = 0; i < c->nsteps; i++) {
		struct step *t = &c->steps[i];
		bool all = c->sync_error || c->again || t->done < t->doubt;
		uint64_t to = all ? t->done : t->doubt;

		if (t->from < to)
			rewrite(c, t, to);
		if (!t->error && !t->kept)
			pass(c, t);
	}
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

	if (c->sync_error) {
		/* what was placed while it ran may be among what it lost */
		journal_doubt(j);
		log_event(LOG_ERROR, "sync-failed",
		    LOG_STR("journal", j->dir.name),
		    LOG_UINT("held", c->held_back), LOG_ERRNO(c->sync_error));
	}
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
	free(c->fds);
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
	c = j->checkpoint = make(1, sizeof(*c));
	LL_COUNT(j->retired, s, n);
	c->steps = make(n + 1, sizeof(c->steps[0]));
	c->job.run = checkpoint_run;
	c->job.free = checkpoint_free;
	c->j = j;
	c->moves = j->moves;
	if (j->current)
		note_step(c, j->current);
	LL_FOREACH (j->retired, s)
		note_step(c, s);
	note_file_systems(c);
	jobs_submit(j->aside, &c->job, checkpoint_done, j);
}

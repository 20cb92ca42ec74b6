/*
 * budget: the level of this worker in the shared mapping. On the loop; blocks
 * for statvfs as space does, and seldom for a name in the spool.
 */
#include "deliver/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "deliver/deliver_state.h"
#include "io/clock.h"

static void
count(struct deliver *d, const struct space_need *n, bool back)
{
	int64_t octets = (int64_t)n->octets, files = (int64_t)n->files;

	if (back) {
		octets = -octets;
		files = -files;
	}
	d->unplaced.octets += (uint64_t)octets;
	d->unplaced.files += (uint64_t)files;
	if (!d->counts.shared)
		return;
	shared_add(d->counts.shared, d->counts.slot, SHARED_UNPLACED, octets);
	shared_add(d->counts.shared, d->counts.slot, SHARED_UNPLACED_FILES,
	    files);
}

static uint64_t
total(const struct deliver *d, enum shared_counter c, uint64_t mine)
{
	int64_t all = d->counts.shared ? shared_total(d->counts.shared, c) : 0;

	return all > 0 ? (uint64_t)all : mine;
}

/* A body that has a file on the spool's disk is linked there, not written. */
static struct space_need
cost(const struct deliver *d, const struct message *m)
{
	bool linked = d->journal && m->body.fd >= 0 && m->headed &&
		      m->headed->dest->root.dev == d->spool_dev;
	struct space_need n = {0, 0};

	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (c->path && !(linked && c == m->headed))
			space_need_file(&n, c->size);
	}
	return n;
}

bool
budget_take(struct delivery *v)
{
	struct deliver *d = v->d;
	const struct message *m = &v->message;
	const struct maildir_root *last = NULL;
	struct space_need all;

	v->need = cost(d, m);
	all.octets =
	    v->need.octets + total(d, SHARED_UNPLACED, d->unplaced.octets);
	all.files =
	    v->need.files + total(d, SHARED_UNPLACED_FILES, d->unplaced.files);
	for (unsigned i = 0; i < m->ncopies && m->copies[i].path; i++) {
		const struct maildir_root *r = &m->copies[i].dest->root;

		if (r != last && !space_room_on(&d->space, clock_now(), r->dev,
				     r->fd, &all)) {
			v->failed = &m->copies[i];
			v->need = (struct space_need){0, 0};
			return false;
		}
		last = r;
	}
	count(d, &v->need, false);
	return true;
}

void
budget_return(struct delivery *v)
{
	count(v->d, &v->need, true);
	v->need = (struct space_need){0, 0};
}

static bool
is_gone(void *ctx, const char *journal)
{
	const struct deliver *d = ctx;
	char path[sizeof("journal/") + SHARED_ID_LEN];

	snprintf(path, sizeof(path), "journal/%.*s", SHARED_ID_LEN, journal);
	return faccessat(d->spool, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/* Mail's is the fullest of them. */
static void
show_disks(struct deliver *d)
{
	struct recipients *all = d->options->recipients;
	const struct shared_slot *to = &d->counts;
	struct destination *place;
	int64_t now = clock_now();
	unsigned mail = UINT_MAX;

	for (unsigned i = 0; (place = recipients_place(all, i)); i++) {
		const struct maildir_root *r = &place->root;
		unsigned part =
		    r->gone ? UINT_MAX
			    : space_free_part(&d->space, now, r->dev, r->fd);

		if (part < mail)
			mail = part;
	}
	if (mail != UINT_MAX)
		shared_set(to->shared, to->slot, SHARED_FREE_MAIL, mail);
	shared_set(to->shared, to->slot, SHARED_FREE_SPOOL,
	    space_free_part(&d->space, now, d->spool_dev, d->tmp));
}

void
budget_tick(struct deliver *d)
{
	if (!d->counts.shared)
		return;
	shared_forget(d->counts.shared, is_gone, d);
	show_disks(d);
}

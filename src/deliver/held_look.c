/*
 * held_look: reads each file once, and of those with a route the block again
 * when it has changed. Owns what it remembers of them. Blocks; logs nothing.
 */
#include "deliver/held_look.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "journal/journal_dir.h"
#include "journal/segment.h"

/* --- what waits for a route --- */

static struct held_route *
find(const struct held_route *set, const char *text)
{
	struct held_route *r;

	HASH_FIND_STR(set, text, r);
	return r;
}

const struct held_route *
held_route_find(const struct held_route *set, const char *text)
{
	return find(set, text);
}

static struct held_route *
intern(struct held_route **set, const char *text)
{
	struct held_route *r = find(*set, text);
	size_t n = strlen(text);

	if (r)
		return r;
	r = mem_new(sizeof(*r) + n + 1);
	memcpy(r->text, text, n);
	HASH_ADD_STR(*set, text, r);
	return r;
}

static void
add_file(struct held_route *r, const struct held_known *k)
{
	struct held_wait *w;

	if (r->n == r->capacity) {
		r->capacity = r->capacity ? 2 * r->capacity : 16;
		r->files = realloc(r->files, r->capacity * sizeof(*r->files));
		if (!r->files)
			abort();
	}
	w = &r->files[r->n++];
	*w = (struct held_wait){.name = strdup(k->name),
	    .block = k->block,
	    .size = k->size};
	if (!w->name)
		abort();
	r->size += k->size;
}

/* A name begins with the message's id, and that with when it came. */
static int
by_name(const void *a, const void *b)
{
	const struct held_wait *x = a, *y = b;

	return strcmp(x->name, y->name);
}

uint64_t
held_routes_count(const struct held_route *set, uint64_t limit)
{
	uint64_t size = 0, most = limit / 2;

	for (; set; set = set->hh.next)
		size += set->size < most ? set->size : most;
	return size;
}

void
held_routes_free(struct held_route **set)
{
	struct held_route *r = *set, *next;

	HASH_CLEAR(hh, *set);
	for (; r; r = next) {
		next = r->hh.next;
		for (unsigned i = 0; i < r->n; i++)
			free(r->files[i].name);
		free(r->files);
		free(r);
	}
}

/* --- a file --- */

static int
read_new(const struct held_look *l, struct held_known *k)
{
	struct held_file f;

	if (held_file_look(&f, l->crc, l->dirfd, k->name) < 0)
		return -1;
	k->told = true;
	if (f.m.copies[0].to && !(k->route = strdup(f.m.copies[0].dest->text)))
		abort();
	k->size = (uint64_t)f.st.st_size + f.m.body.filed;
	k->block_at = f.block_at;
	k->block = held_block_read(f.fd, f.block_at);
	k->changed = f.st.st_mtim;
	held_file_close(&f);
	return 0;
}

static int
read_changed(const struct held_look *l, struct held_known *k)
{
	struct stat st;
	int fd = full_open(l->dirfd, k->name, O_RDONLY, SEGMENT_MAX);

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st))
		k->changed = st.st_mtim;
	k->block = held_block_read(fd, k->block_at);
	close(fd);
	return 0;
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* -1: it is not there, or nothing is known of it. */
static int
look_at(const struct held_look *l, struct held_known *k)
{
	struct stat st;

	if (!k->told)
		return read_new(l, k);
	if (fstatat(l->dirfd, k->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!l->again && same_time(&st.st_mtim, &k->changed))
		return 0;
	return read_changed(l, k);
}

/* Who has a mailbox is the rounds' business, and not looked at again. */
static void
take_turn(struct held_look *l, struct held_known *k)
{
	if (!held_name_is_record(k->name) || (k->told && !k->route) ||
	    look_at(l, k) < 0)
		return;
	if (k->route)
		add_file(intern(&l->routes, k->route), k);
}

/* --- all of them --- */

static void
look_at_now(struct held_look *l)
{
	struct timespec now = {0};
	struct stat st;

	if (!fstatat(l->dirfd, HELD_NOW, &st, AT_SYMLINK_NOFOLLOW))
		now = st.st_mtim;
	l->again = l->looked && now.tv_sec && !same_time(&now, &l->now);
	l->now = now;
	l->looked = true;
}

static int
note_name(void *ctx, const char *name)
{
	held_known_add(&((struct held_look *)ctx)->known, name)->seen = true;
	return 0;
}

void
held_look_run(struct held_look *l)
{
	struct held_known *k;
	struct held_route *r;

	look_at_now(l);
	for (k = l->known; k; k = k->hh.next)
		k->seen = false;
	/* what it fails at, a round says */
	(void)journal_dir_each(l->dirfd, note_name, l);
	for (k = l->known; k; k = k->hh.next)
		if (k->seen)
			take_turn(l, k);
	held_known_forget(&l->known);
	for (r = l->routes; r; r = r->hh.next)
		qsort(r->files, r->n, sizeof(*r->files), by_name);
}

void
held_look_free(struct held_look *l)
{
	held_routes_free(&l->routes);
	for (struct held_known *k = l->known; k; k = k->hh.next)
		k->seen = false;
	held_known_forget(&l->known);
}

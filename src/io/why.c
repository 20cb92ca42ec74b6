/*
 * why: two files, of which one is written to. Nothing is known of them but
 * what the file system says each time: others may write there, too, and
 * somebody may have removed them.
 */
#include "io/why.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "io/log_sink.h"
#include "io/shared.h"

#define HALVES 2

struct why {
	int dir;
	unsigned slot;
	/* A half is full when it lacks room for the longest line. */
	uint64_t full;
	uint64_t longest;
	int fd[HALVES];
	unsigned at; /* the one that is written to */
	pthread_t thread;
};

struct name {
	char text[16];
};

static struct name
name_of(unsigned slot, unsigned half)
{
	struct name n;

	snprintf(n.text, sizeof(n.text), "%u.%c", slot, WHY_HALVES[half]);
	return n;
}

/* A file that nobody can reach by another name. */
static bool
is_ours(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static int
open_file(int dir, const char *name)
{
	int fd = openat(dir, name,
	    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
		O_CLOEXEC,
	    0600);
	struct stat st;

	if (fd < 0 || is_ours(fd, &st))
		return fd;
	errno = EMLINK;
	return full_close(&fd);
}

static int
open_half(const struct why *w, unsigned half)
{
	struct name n = name_of(w->slot, half);
	int fd = open_file(w->dir, n.text);

	if (fd < 0 && unlinkat(w->dir, n.text, 0) == 0)
		fd = open_file(w->dir, n.text);
	return fd;
}

static bool
is_newer(const struct stat *a, const struct stat *b)
{
	const struct timespec *x = &a->st_mtim, *y = &b->st_mtim;

	return x->tv_sec > y->tv_sec ||
	       (x->tv_sec == y->tv_sec && x->tv_nsec > y->tv_nsec);
}

static int
open_halves(struct why *w)
{
	struct stat st[HALVES];

	for (unsigned i = 0; i < HALVES; i++) {
		full_close(&w->fd[i]);
		w->fd[i] = open_half(w, i);
		if (w->fd[i] < 0 || fstat(w->fd[i], &st[i]) < 0)
			return -1;
	}
	w->at = st[1].st_size && is_newer(&st[1], &st[0]);
	return 0;
}

static void
remove_beyond(int dir, unsigned slots)
{
	for (unsigned slot = slots; slot < SHARED_WORKERS; slot++)
		for (unsigned i = 0; i < HALVES; i++)
			unlinkat(dir, name_of(slot, i).text, 0);
}

static int
open_dir(const char *spool)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int at = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (at >= 0 && (mkdirat(at, "why", 0700) == 0 || errno == EEXIST))
		fd = openat(at, "why", flags);
	full_close(&at);
	return fd;
}

struct why *
why_open(const char *spool, unsigned slot, unsigned slots, uint64_t octets)
{
	struct why *w = mem_new(sizeof(*w));
	bool good;

	*w = (struct why){.dir = open_dir(spool),
	    .slot = slot,
	    .fd = {-1, -1},
	    .thread = pthread_self()};
	good = w->dir >= 0;
	if (good && !slot)
		remove_beyond(w->dir, octets ? slots : 0);
	octets = octets / HALVES / slots;
	w->longest = octets / 2 < LOG_LINE_MAX ? octets / 2 : LOG_LINE_MAX;
	w->full = octets - w->longest;
	if (good && !octets)
		errno = 0;
	if (!good || !octets || open_halves(w) < 0)
		why_free(&w);
	return w;
}

void
why_free(struct why **p)
{
	struct why *w = *p;
	int err = errno;

	*p = NULL;
	if (!w)
		return;
	for (unsigned i = 0; i < HALVES; i++)
		full_close(&w->fd[i]);
	full_close(&w->dir);
	free(w);
	errno = err;
}

/* Somebody who has taken its file away wants to see it anew. */
static int
look(struct why *w, struct stat *st)
{
	if (is_ours(w->fd[w->at], st))
		return 0;
	return open_halves(w) < 0 || fstat(w->fd[w->at], st) < 0 ? -1 : 0;
}

static bool
is_full(const struct why *w, const struct stat *st)
{
	return (uint64_t)st->st_size > w->full;
}

/* The other one is older, and emptied, unless another worker of this slot has
 * turned to it already. */
static int
turn(struct why *w, struct stat *st)
{
	w->at = !w->at;
	if (look(w, st) < 0)
		return -1;
	if (!is_full(w, st))
		return 0;
	st->st_size = 0;
	return ftruncate(w->fd[w->at], 0);
}

int
why_put(struct why *w, struct span line)
{
	struct stat st;
	ssize_t n;

	assert(pthread_equal(w->thread, pthread_self()));
	if (line.len > w->longest)
		return 0;
	if (look(w, &st) < 0)
		return -1;
	if (is_full(w, &st) && turn(w, &st) < 0)
		return -1;
	n = write(w->fd[w->at], line.ptr, line.len);
	if (n == (ssize_t)line.len)
		return 0;
	/* a part of a line would spoil the next one */
	if (n >= 0 && ftruncate(w->fd[w->at], st.st_size) == 0)
		errno = ENOSPC;
	return -1;
}

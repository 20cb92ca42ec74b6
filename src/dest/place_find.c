/*
 * place_find: a file in new/ or cur/, whatever a reader has made of it.
 *
 * A reader moves files from new/ to cur/ and renames them there while we
 * look. So new/ comes before cur/, and a listing of cur/ in which the name is
 * missing counts only if nothing changed there meanwhile: otherwise a file
 * that is being renamed may be in neither half of it. Blocks.
 */
#include "dest/place_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dest/place_listing.h"
#include "io/beneath.h"
#include "io/full_io.h"

#define CHUNK 65536
#define TRIES 4 /* renames of one file, each in the middle of a listing */
#define TICK  20000000L /* ns: what the clock of a file system may lag */

/* --- the same octets? --- */

static bool
same_span(int fd, struct span s, uint64_t *at, char *chunk)
{
	while (s.len) {
		size_t n = s.len < CHUNK ? s.len : CHUNK;

		if (full_pread(fd, chunk, n, *at) < 0 ||
		    memcmp(chunk, s.ptr, n))
			return false;
		span_skip(&s, n);
		*at += n;
	}
	return true;
}

static bool
same_file(int fd, int body, uint64_t from, uint64_t to, uint64_t *at,
    char *chunk)
{
	char *mine = chunk + CHUNK;

	while (from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

		if (full_pread(body, mine, n, from) < 0 ||
		    !same_span(fd, (struct span){mine, n}, at, chunk))
			return false;
		from += n;
	}
	return true;
}

static bool
same_octets(int fd, const struct message *m, const struct message_copy *c)
{
	char *chunk = malloc(2 * CHUNK);
	uint64_t at = 0;
	bool same;

	if (!chunk)
		abort();
	same = same_span(fd, buf_span(&m->return_path), &at, chunk) &&
	       same_span(fd, c->delivered_to, &at, chunk) &&
	       same_span(fd, buf_span(&m->received), &at, chunk) &&
	       same_file(fd, m->body.fd, m->body.from, m->body.filed, &at,
		   chunk) &&
	       same_span(fd, m->body.tail, &at, chunk);
	free(chunk);
	return same;
}

static int
compare(int dir, const char *name, const struct message *m,
    const struct message_copy *c, bool *same)
{
	struct stat st;
	int fd =
	    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	*same = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
		(uint64_t)st.st_size == c->size && same_octets(fd, m, c);
	close(fd);
	return 0;
}

/* --- cur --- */

static bool
unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Was the last change long enough ago to have another time than one now? */
static bool
is_quiet(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_mtim.tv_sec) * 1000000000L + now.tv_nsec -
		   st->st_mtim.tv_nsec >
	       TICK;
}

/* Reads all names. 0, or -1 with errno. */
static int
list(int dir, struct place_listing *l)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int err;

	if (!d)
		return full_close(&fd);
	place_listing_free(l);
	while (errno = 0, (e = readdir(d)))
		place_listing_add(l, e->d_name);
	err = errno;
	closedir(d);
	errno = err;
	return err ? -1 : 0;
}

static int
list_again(int dir, struct place_listing *l)
{
	struct stat before, after;
	bool quiet;

	if (fstat(dir, &before) < 0)
		return -1;
	quiet = is_quiet(&before); /* now: a change from here on is seen */
	if (list(dir, l) < 0 || fstat(dir, &after) < 0)
		return -1;
	l->when = after;
	l->quiet = quiet && unchanged(&before, &after);
	return 0;
}

/* Nothing came since it was listed, nor while. */
static bool
still_counts(int dir, const struct place_listing *l)
{
	struct stat now;

	return l->quiet && !fstat(dir, &now) && unchanged(&l->when, &now);
}

/* --- both --- */

/*
 * What is not in cur must be missing from a listing during which, and since
 * which, nothing changed; or, where a reader is at work all the time, from
 * several in a row. What was listed may have another name by now.
 */
static int
find_in(int dir, struct place_listing *l, const struct message *m,
    const struct message_copy *c, struct place_found *f)
{
	for (int i = 0; i <= TRIES; i++) {
		const char *entry = place_listing_find(l, c->name);

		if (entry && !compare(dir, entry, m, c, &f->same)) {
			snprintf(f->name, sizeof(f->name), "%s", entry);
			return 1;
		}
		if (entry && errno != ENOENT)
			return -1;
		if (!entry && still_counts(dir, l))
			return 0;
		if (i < TRIES && list_again(dir, l) < 0)
			return -1;
	}
	return 0;
}

static int
find_in_cur(const struct maildir_box *b, struct place_listing *l,
    const struct message *m, const struct message_copy *c,
    struct place_found *f)
{
	int dir = beneath_dir_sync(b->dir, "cur");
	int r;

	if (dir < 0)
		return errno == ENOENT ? 0 : -1;
	r = find_in(dir, l, m, c, f);
	if (r > 0) {
		f->dir = dir;
		return 0;
	}
	full_close(&dir);
	return r;
}

int
place_find(const struct maildir_box *b, struct place_listing *l,
    const struct message *m, const struct message_copy *c,
    struct place_found *f)
{
	f->dir = -1;
	if (compare(b->new, c->name, m, c, &f->same) == 0) {
		f->dir =
		    openat(b->new, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		snprintf(f->name, sizeof(f->name), "%s", c->name);
		return f->dir < 0 ? -1 : 0;
	}
	return errno == ENOENT ? find_in_cur(b, l, m, c, f) : -1;
}

int
place_find_sync(const struct place_found *f)
{
	int fd = openat(f->dir, f->name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0) /* a reader moved it: what matters is who has it */
		return errno == ENOENT ? 0 : -1;
	r = fsync(fd) < 0 ? -1 : full_sync_dir(f->dir);
	full_close(&fd);
	/* nobody is to find it and to trust the next sync */
	return r < 0 ? full_unlink(f->dir, f->name) : 0;
}

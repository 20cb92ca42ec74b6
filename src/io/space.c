/*
 * space: what statvfs said a moment ago. Counts inodes as well as octets:
 * small mail uses up the one long before the other.
 */
#include "io/space.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SPACE_AGE 1000 /* ms for which an answer is good, if there is more */
#define PLENTY    ((struct space_need){1u << 30, 1u << 18}) /* than this */
#define BLOCK     4096u

struct space_fs {
	dev_t dev;
	int fd;
	int64_t measured, until; /* until 0: never */
	struct space_need room;  /* above the reserve */
	unsigned part;           /* free, in millionths */
};

void
space_need_file(struct space_need *n, uint64_t octets)
{
	n->octets += (octets + BLOCK - 1) / BLOCK * BLOCK;
	n->files++;
}

static struct space_fs *
find(struct space *s, dev_t dev, int fd)
{
	struct space_fs *more;

	for (unsigned i = 0; i < s->nfs; i++)
		if (s->fs[i].dev == dev)
			return &s->fs[i];
	more = realloc(s->fs, (s->nfs + 1) * sizeof(s->fs[0]));
	if (!more)
		abort();
	s->fs = more;
	s->fs[s->nfs] = (struct space_fs){.dev = dev, .fd = fd};
	return &s->fs[s->nfs++];
}

int
space_add(struct space *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	(void)find(s, st.st_dev, fd);
	return 0;
}

void
space_free(struct space *s)
{
	free(s->fs);
	s->fs = NULL;
	s->nfs = 0;
}

/* What of all may be used without touching the reserve. */
static uint64_t
above_reserve(uint64_t available, uint64_t all, unsigned percent)
{
	uint64_t kept = all / 100 * percent + all % 100 * percent / 100;

	return available > kept ? available - kept : 0;
}

static void
measure(struct space_fs *f, unsigned reserve)
{
	struct statvfs v;

	f->room = (struct space_need){0, 0};
	f->part = 0;
	if (fstatvfs(f->fd, &v) < 0)
		return;
	f->room.octets =
	    above_reserve(v.f_bavail, v.f_blocks, reserve) * v.f_frsize;
	/* some file systems (btrfs) have no fixed number of inodes */
	f->room.files = v.f_files
			    ? above_reserve(v.f_favail, v.f_files, reserve)
			    : UINT64_MAX;
	if (v.f_blocks)
		f->part =
		    (unsigned)((double)v.f_bavail / (double)v.f_blocks * 1e6);
}

static bool
fits(const struct space_need *n, const struct space_need *room)
{
	return room->octets && n->octets <= room->octets &&
	       n->files <= room->files;
}

/* A second of writing cannot use up what is left. */
static bool
is_plenty(const struct space_fs *f, const struct space_need *n)
{
	return fits(n, &f->room) &&
	       f->room.octets - n->octets > PLENTY.octets &&
	       f->room.files - n->files > PLENTY.files;
}

static bool
has_room(const struct space *s, struct space_fs *f, int64_t now,
    const struct space_need *n)
{
	if (!f->until || now >= f->until ||
	    (now != f->measured && !is_plenty(f, n))) {
		measure(f, s->reserve);
		f->measured = now;
		f->until = now + SPACE_AGE;
	}
	return fits(n, &f->room);
}

bool
space_room(struct space *s, int64_t now, const struct space_need *n)
{
	for (unsigned i = 0; i < s->nfs; i++)
		if (!has_room(s, &s->fs[i], now, n))
			return false;
	return true;
}

bool
space_room_on(struct space *s, int64_t now, dev_t dev, int fd,
    const struct space_need *n)
{
	struct space_fs *f = find(s, dev, fd);

	f->fd = fd;
	return has_room(s, f, now, n);
}

unsigned
space_free_part(struct space *s, int64_t now, dev_t dev, int fd)
{
	const struct space_need none = {0, 0};

	(void)space_room_on(s, now, dev, fd, &none);
	return find(s, dev, fd)->part;
}

bool
space_take(struct space *s, int64_t now, dev_t dev, int fd,
    const struct space_need *n)
{
	struct space_fs *f;

	if (!space_room_on(s, now, dev, fd, n))
		return false;
	f = find(s, dev, fd);
	f->room.octets -= n->octets;
	f->room.files -= n->files;
	return true;
}

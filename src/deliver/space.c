/*
 * space: what statvfs said a moment ago. Counts inodes as well as octets:
 * small mail uses up the one long before the other.
 */
#include "deliver/space.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SPACE_AGE 1000 /* ms for which an answer is good */

struct space_fs {
	dev_t dev;
	int fd;
	int64_t until;
	uint64_t octets; /* free above the reserve */
};

int
space_add(struct space *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	for (unsigned i = 0; i < s->nfs; i++) {
		if (s->fs[i].dev == st.st_dev)
			return 0;
	}
	s->fs = realloc(s->fs, (s->nfs + 1) * sizeof(s->fs[0]));
	if (!s->fs)
		abort();
	s->fs[s->nfs++] = (struct space_fs){.dev = st.st_dev, .fd = fd};
	return 0;
}

void
space_free(struct space *s)
{
	free(s->fs);
	*s = (struct space){0};
}

/* What of all may be used without touching the reserve. */
static uint64_t
above_reserve(uint64_t available, uint64_t all, unsigned percent)
{
	uint64_t kept = all / 100 * percent + all % 100 * percent / 100;

	return available > kept ? available - kept : 0;
}

static uint64_t
measure(int fd, unsigned reserve)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return 0;
	/* some file systems (btrfs) have no fixed number of inodes */
	if (v.f_files && !above_reserve(v.f_favail, v.f_files, reserve))
		return 0;
	return above_reserve(v.f_bavail, v.f_blocks, reserve) * v.f_frsize;
}

bool
space_room(struct space *s, int64_t now, uint64_t octets)
{
	for (unsigned i = 0; i < s->nfs; i++) {
		struct space_fs *f = &s->fs[i];

		if (now >= f->until) {
			f->octets = measure(f->fd, s->reserve);
			f->until = now + SPACE_AGE;
		}
		if (!f->octets || f->octets < octets)
			return false;
	}
	return true;
}

/*
 * full_io: interrupted and short calls, gone on with in one place, and what
 * file systems do not say by themselves.
 */
#include "io/full_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK 65536

int
full_open(int dir, const char *name, int flags, uint64_t max)
{
	const int safe = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(dir, name, flags | safe, 0600);
	struct stat st;

	if (fd < 0) {
		/* a link; a FIFO or socket; a directory */
		if (errno == ELOOP || errno == ENXIO || errno == EISDIR)
			errno = EMEDIUMTYPE;
		return -1;
	}
	if (fstat(fd, &st) == 0) {
		if (S_ISREG(st.st_mode) && (uint64_t)st.st_size <= max)
			return fd;
		errno = EMEDIUMTYPE;
	}
	full_close(&fd);
	return -1;
}

int
full_close(int *fd)
{
	int err = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = err;
	return -1;
}

int
full_unlink(int dir, const char *name)
{
	int err = errno;

	unlinkat(dir, name, 0);
	errno = err;
	return -1;
}

int
full_leads_to(const char *path, const struct stat *open)
{
	struct stat named;

	if (stat(path, &named) < 0)
		return -1;
	if (named.st_ino == open->st_ino && named.st_dev == open->st_dev)
		return 0;
	errno = ESTALE;
	return -1;
}

int
full_same(const char *path, int fd)
{
	struct stat open;

	return fstat(fd, &open) < 0 ? -1 : full_leads_to(path, &open);
}

int
full_pread(int fd, char *to, size_t n, uint64_t at)
{
	while (n) {
		ssize_t r = pread(fd, to, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			errno = r ? errno : EIO;
			return -1;
		}
		to += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return 0;
}

int
full_pwrite(int fd, struct span s, uint64_t at)
{
	while (s.len) {
		ssize_t n = pwrite(fd, s.ptr, s.len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO;
			return -1;
		}
		span_skip(&s, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

static int
copy_chunks(int from, uint64_t at, int to, uint64_t to_at, uint64_t left)
{
	char chunk[CHUNK];

	while (left) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		if (full_pread(from, chunk, n, at) < 0 ||
		    full_pwrite(to, (struct span){chunk, n}, to_at) < 0)
			return -1;
		at += n;
		to_at += n;
		left -= n;
	}
	return 0;
}

int
full_copy(int from, uint64_t at, int to, uint64_t to_at, uint64_t left)
{
	while (left) {
		off_t in = (off_t)at, out = (off_t)to_at;
		ssize_t n =
		    copy_file_range(from, &in, to, &out, (size_t)left, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == ENOSYS ||
				 errno == EOPNOTSUPP || errno == EINVAL))
			return copy_chunks(from, at, to, to_at, left);
		if (n <= 0) {
			errno = n ? errno : EIO;
			return -1;
		}
		at += (uint64_t)n;
		to_at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return 0;
}

/* Drops n written octets from the front of the parts. */
static void
skip_parts(struct iovec **iov, int *parts, size_t n)
{
	while (*parts && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		++*iov;
		--*parts;
	}
	if (*parts) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int
full_writev(int fd, struct iovec *iov, int parts)
{
	skip_parts(&iov, &parts, 0);
	while (parts) {
		ssize_t n = writev(fd, iov, parts);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		skip_parts(&iov, &parts, (size_t)n);
	}
	return 0;
}

int
full_pwritev(int fd, struct iovec *iov, int parts, uint64_t at)
{
	skip_parts(&iov, &parts, 0);
	while (parts) {
		ssize_t n = pwritev(fd, iov, parts, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO;
			return -1;
		}
		at += (uint64_t)n;
		skip_parts(&iov, &parts, (size_t)n);
	}
	return 0;
}

int
full_sync_dir(int fd)
{
	struct stat st;

	/* a file system that was shut down answers no fstat, and it is so
	 * before anything is thrown away */
	return fsync(fd) < 0 ? -1 : fstat(fd, &st);
}

int
full_syncfs(int fd)
{
	struct statvfs vfs;
	struct stat st;

	if (syncfs(fd) < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &vfs) < 0)
		return -1;
	if (!(vfs.f_flag & ST_RDONLY))
		return 0;
	errno = EROFS;
	return -1;
}

struct iovec
full_part(struct span s)
{
	union {
		const char *in;
		void *out;
	} u = {.in = s.ptr};

	return (struct iovec){u.out, s.len};
}

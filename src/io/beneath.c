/*
 * beneath: the one place that calls openat2.
 *
 * glibc 2.36 has no wrapper, so it is a raw system call (Linux 5.6). Blocks;
 * owns nothing.
 */
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int
beneath_open(int dirfd, const char *path, int flags, unsigned mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && errno == EINTR);
	return (int)fd;
}

int
beneath_dir(int dirfd, const char *path)
{
	return beneath_open(dirfd, path, O_PATH | O_DIRECTORY, 0);
}

int
beneath_dir_sync(int dirfd, const char *path)
{
	return beneath_open(dirfd, path, O_RDONLY | O_DIRECTORY, 0);
}

int
beneath_is_dir(int dirfd, const char *path)
{
	int fd = beneath_dir(dirfd, path);

	if (fd >= 0) {
		close(fd);
		return 1;
	}
	/* too long a name is the name of nothing */
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
	    errno == ENAMETOOLONG)
		return 0;
	return -1;
}

int
beneath_step(const char **path, char name[NAME_MAX + 1])
{
	const char *from = *path + strspn(*path, "/");
	size_t n = strcspn(from, "/");

	if (n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, from, n);
	name[n] = '\0';
	*path = from + n + strspn(from + n, "/");
	return n > 0;
}

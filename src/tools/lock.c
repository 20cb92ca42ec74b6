/*
 * lock: the kernel is asked; what the file says may be of long ago.
 */
#include "tools/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io/full_io.h"

#define TEXT_MAX 64 /* octets of the file; a process id and its end */

enum lock_state
lock_holder(const char *spool, pid_t *pid_r)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int dir = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : full_open(dir, "lock", O_RDONLY, TEXT_MAX);
	int r;

	full_close(&dir);
	if (fd < 0)
		return errno == ENOENT ? LOCK_FREE : LOCK_FAILED;
	r = fcntl(fd, F_GETLK, &lock);
	full_close(&fd);
	if (r < 0)
		return LOCK_FAILED;
	if (lock.l_type == F_UNLCK)
		return LOCK_FREE;
	if (lock.l_pid <= 0)
		return LOCK_UNSEEN;
	*pid_r = lock.l_pid;
	return LOCK_HELD;
}

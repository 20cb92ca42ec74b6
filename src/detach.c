/*
 * detach: one fork, and a pipe to the parent.
 */
#include "detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/log.h"
#include "setup.h"

int
detach_begin(void)
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_event(LOG_ERROR, "detach", LOG_ERRNO(errno));
		exit(EXIT_FAILED);
	}
	if (pid > 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) == 1 ? c : EXIT_FAILED);
	}
	close(p[0]);
	setsid();
	return p[1];
}

void
detach_tell(int started, int status)
{
	const char c = (char)status;

	if (started < 0)
		return;
	if (write(started, &c, 1) < 0)
		log_event(LOG_WARN, "start", LOG_ERRNO(errno));
	close(started);
}

void
detach_end(int started, bool keep_stderr)
{
	int null;

	if (started < 0)
		return;
	detach_tell(started, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, 0);
	dup2(null, 1);
	if (!keep_stderr)
		dup2(null, 2);
	close(null);
}

/*
 * notify: the two small protocols of the service manager: a datagram that
 * says how we are, and environment variables that say what we inherit.
 */
#include "notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"

void
notify(const char *state)
{
	/* one who does not listen must not make the master deaf, too */
	static const struct timeval patience = {1, 0};
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(a.sun_path) || !strchr("/@", path[0]))
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@') /* the abstract name space */
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

static uint64_t
env_number(const char *name, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t n = 0;

	if (!text || ascii_parse_u64(span_str(text), max, &n))
		return 0;
	return n;
}

int
notify_listen_fds(void)
{
	uint64_t pid = env_number("LISTEN_PID", INT32_MAX);
	int n = (int)env_number("LISTEN_FDS", 1024);

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != (uint64_t)getpid())
		return 0;
	for (int fd = NOTIFY_FIRST_FD; fd < NOTIFY_FIRST_FD + n; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return n;
}

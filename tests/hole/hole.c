/*
 * hole: a worker that was taken over. To a client from 127.6.6.6 it says where
 * a buffer of its own is; then it makes, for ever, whatever call it is told to:
 *
 *	client: the number, six arguments (64 bits each), the buffer's octets
 *	answer: the result, errno (64 bits each), the buffer's octets
 *
 * See tests/system/test_sandbox.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/full_io.h"
#include "session/session.h"

#define WHO  "127.6.6.6"
#define ROOM 4096

struct session *__real_session_new(struct sessions *all,
    const struct config_listen *l, int fd, const struct ipaddr *client,
    uint16_t port);
struct session *__wrap_session_new(struct sessions *all,
    const struct config_listen *l, int fd, const struct ipaddr *client,
    uint16_t port);

static struct {
	int64_t nr, arg[6];
	char room[ROOM];
} call;

static struct {
	int64_t result, error;
	char room[ROOM];
} answer;

static _Noreturn void
serve(int fd)
{
	const uint64_t hello[2] = {(uintptr_t)call.room, (uint64_t)fd};
	const int64_t *a = call.arg;

	fcntl(fd, F_SETFL, 0);
	if (send(fd, hello, sizeof(hello), 0) < 0)
		_exit(0);
	while (recv(fd, &call, sizeof(call), MSG_WAITALL) == sizeof(call)) {
		errno = 0;
		answer.result =
		    syscall(call.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		answer.error = errno;
		if (!answer.result && call.nr == SYS_clone)
			_exit(0); /* the child */
		for (unsigned i = 0; i < ROOM; i++)
			answer.room[i] = call.room[i];
		if (send(fd, &answer, sizeof(answer), 0) < 0)
			break;
	}
	_exit(0);
}

struct session *
__wrap_session_new(struct sessions *all, const struct config_listen *l, int fd,
    const struct ipaddr *client, uint16_t port)
{
	char name[IPADDR_STRLEN];

	if (span_equal(span_str(ipaddr_format(client, name)), SPAN_LIT(WHO)))
		serve(fd);
	return __real_session_new(all, l, fd, client, port);
}

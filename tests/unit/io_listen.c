/*
 * A descriptor table that is full: who waits longest hears 421, again and
 * again, and nobody spins meanwhile.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/listen.h"
#include "io/log.h"

#define CLIENTS 20

/* --- how long the listener pauses: this stands before libevent's --- */

static struct timeval pause_for;

int
event_add(struct event *e, const struct timeval *tv)
{
	static int (*add)(struct event *, const struct timeval *);

	if (!add)
		*(void **)&add = dlsym(RTLD_NEXT, "event_add");
	return add(e, tv ? &pause_for : NULL);
}

/* --- the log: how often it was said --- */

static unsigned pauses;

enum log_level
log_level(void)
{
	return LOG_INFO;
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	(void)level;
	(void)fields;
	pauses += !strcmp(event, "accept-paused");
}

/* --- a listener with clients in its queue --- */

static struct loop loop;
static struct listener *listener;
static struct rlimit old;
static int fd, clients[CLIENTS];
static unsigned taken;

static void
on_client(void *ctx, unsigned tag, int client, const struct ipaddr *a,
    uint16_t port)
{
	(void)ctx;
	(void)tag;
	(void)a;
	(void)port;
	taken++;
	close(client);
}

/* The table is full as soon as this is called. */
static int
start(void **state)
{
	const uint8_t loopback[] = {127, 0, 0, 1};
	struct ipaddr addr = ipaddr_v4(loopback);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct rlimit none;

	(void)state;
	taken = pauses = 0;
	assert_int_equal(loop_init(&loop), 0);
	fd = listen_open(&addr, 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	listener = listener_new(&loop, fd, 0, on_client, NULL);
	assert_non_null(listener);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&a,
				     len),
		    0);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)clients[CLIENTS - 1] + 1;
	return setrlimit(RLIMIT_NOFILE, &none);
}

static int
finish(void **state)
{
	(void)state;
	setrlimit(RLIMIT_NOFILE, &old);
	listener_free(&listener);
	loop_free(&loop);
	close(fd);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	return 0;
}

/* FAULT F16: what was let go for a 421 is taken again for the next one. */
static void
each_hears_421(void **state)
{
	char said[64];

	(void)state;
	pause_for = (struct timeval){0, 1000};
	while (pauses + taken < CLIENTS)
		event_base_loop(loop.base, EVLOOP_ONCE);
	assert_int_equal(taken, 0);
	for (int i = 0; i < CLIENTS; i++) {
		ssize_t n = recv(clients[i], said, sizeof(said), 0);

		assert_int_equal(n, 29);
		assert_memory_equal(said, "421 4.3.2 ", 10);
	}
}

/* FAULT F16: the pause is one, however many wait. */
static void
nobody_spins(void **state)
{
	(void)state;
	pause_for = (struct timeval){3600, 0};
	for (int i = 0; i < CLIENTS; i++)
		event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(pauses, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_hears_421, start, finish),
	    cmocka_unit_test_setup_teardown(nobody_spins, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

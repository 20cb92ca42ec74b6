/*
 * Dovecot's auth service, saying anything in any cutting to two who log in.
 * Nobody gets in whom it did not name. The first octet cuts.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/log.h"
#include "policy/auth_users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t *said;
static size_t nsaid;
static int pair[2];

/* These two stand before the C library's: the service is a socketpair. */
int
socket(int domain, int type, int protocol)
{
	return socketpair(domain, type, protocol, pair) < 0 ? -1 : pair[0];
}

int
connect(int fd, const struct sockaddr *a, socklen_t n)
{
	return fd == pair[0] && a && n ? 0 : -1;
}

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static bool
has(struct span text)
{
	return memmem(said, nsaid, text.ptr, text.len);
}

static void
on_outcome(void *ctx, const struct auth_outcome *o)
{
	struct ask **x = ctx;
	struct buf user = {0};

	check(o->result != AUTH_MALFORMED && o->result != AUTH_BUSY);
	check(*x != NULL);
	check(!o->login.len || auth_users_name_valid(o->login));
	if (o->result == AUTH_YES) {
		buf_append_str(&user, "\tuser=");
		buf_append_span(&user, o->login);
		check(o->login.len && has(SPAN_LIT("OK\t")));
		check(has(buf_span(&user)) && !o->login.ptr[o->login.len]);
		buf_free(&user);
	}
	if (o->result == AUTH_CHALLENGE)
		auth_continue(*x, o->data);
	else
		*x = NULL;
}

static void
stop(void *loop)
{
	loop_stop(loop);
}

/* Up to what follows from what follows. */
static void
settle(struct loop *loop)
{
	struct loop_event *e = loop_timer(loop, stop, loop);

	for (int i = 0; i < 5; i++) {
		loop->stop = 0;
		loop_timer_set(e, 0);
		loop_run(loop);
	}
	loop_event_free(&e);
}

/* Whoever has no exchange begins one, as soon as there is a mechanism. */
static void
log_in(struct auth *a, struct ask *x[2])
{
	static const char *const names[2] = {"PLAIN", "LOGIN"};
	static uint32_t host; /* nobody is late for what others failed */
	struct auth_channel c = {.client.family = IP_V4};

	for (unsigned i = 0; i < 2 && *auth_list(a, false); i++) {
		check(!strstr(auth_list(a, true), "PLUS"));
		check(has(SPAN_LIT("VERSION\t1")) && has(SPAN_LIT("DONE")));
		host++;
		memcpy(&c.client.bytes, &host, sizeof(host));
		if (!x[i])
			x[i] = auth_start(a, span_str(names[i]), &c,
			    SPAN_LIT("x"), on_outcome, &x[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct auth_options o = {.dovecot = "/x",
	    .mechanisms = 15};
	static struct shared *shared;
	struct ask *x[2] = {NULL, NULL};
	struct loop loop;
	struct auth *a;

	if (!shared) {
		log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
		shared = shared_new();
	}
	loop_init(&loop);
	a = auth_new(&o, &loop, NULL, shared);
	said = data;
	nsaid = n;
	settle(&loop);
	for (size_t at = 1, piece; at < n; at += piece) {
		piece = n - at <= data[0] ? n - at : data[0] + 1u;
		send(pair[1], data + at, piece, MSG_NOSIGNAL);
		settle(&loop);
		log_in(a, x);
	}
	close(pair[1]);
	settle(&loop);
	check(!*auth_list(a, true));
	for (int i = 0; i < 2; i++) {
		check(!x[i] || has(SPAN_LIT("FAIL\t")));
		ask_cancel(&x[i], ASK_GO_ON);
	}
	auth_free(&a);
	loop_free(&loop);
	return 0;
}

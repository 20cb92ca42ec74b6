/*
 * An auth service in this same thread that says what each test wants of it:
 * well-behaved, confused, slow, and gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/log.h"
#include "policy/auth.h"
#include "scratch.h"

static struct loop loop;
static struct jobs *jobs;
static struct shared *shared;
static struct auth_options options;
static struct auth *auth;
static int listener = -1, peer = -1;
static uint16_t host; /* where the client's address ends */

struct said {
	unsigned count;
	enum auth_result result;
	char data[512];
	struct ask *x;
};

static bool
is_busy(void)
{
	return jobs && jobs_pending(jobs);
}

/* Everything that is due happens. */
static void
settle(void)
{
	clock_pass(4);
}

/* --- the service --- */

static void
listen_at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", scratch_path(name));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 5), 0);
}

static void
say(const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL),
	    strlen(text));
}

/* What the next line from smtpd is. */
static void
hears(const char *want)
{
	char line[8192];
	size_t n = 0;

	do
		assert_int_equal(recv(peer, &line[n], 1, 0), 1);
	while (line[n++] != '\n' && n < sizeof(line));
	line[n - 1] = '\0';
	assert_string_equal(line, want);
}

static void
hears_nothing(void)
{
	char c;

	assert_int_equal(recv(peer, &c, 1, MSG_DONTWAIT), -1);
}

#define MECHANISMS                                                             \
	"MECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"                     \
	"MECH\tCRAM-MD5\tdictionary\tactive\nMECH\tSCRAM-SHA-256\n"            \
	"MECH\tSCRAM-SHA-256-PLUS\n"
#define SHAKE                                                                  \
	"VERSION\t1\t2\n" MECHANISMS "SPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n"

static void
take(int fd)
{
	const struct timeval patience = {.tv_sec = 10};
	char cpid[32];

	peer = fd;
	assert_true(peer >= 0);
	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	snprintf(cpid, sizeof(cpid), "CPID\t%d", (int)getpid());
	hears("VERSION\t1\t2");
	hears(cpid);
}

/* It tries again by itself, after a while. */
static void
take_next_connection(void)
{
	const struct timeval now = {.tv_usec = 1};
	int fd = -1;

	close(peer);
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &now, sizeof(now));
	for (int i = 0; i < 500 && fd < 0; i++) {
		clock_pass(100);
		fd = accept(listener, NULL, NULL);
	}
	take(fd);
}

static int
open_world(void **state)
{
	assert_int_equal(scratch_setup(state), 0);
	log_open(LOG_TO_SYSLOG, LOG_TEXT, LOG_ERROR);
	clock_stop(&loop, is_busy);
	assert_int_equal(loop_init(&loop), 0);
	shared = shared_new();
	jobs = jobs_new(&loop, 1);
	listen_at("auth");
	options = (struct auth_options){.dovecot = scratch_path("auth"),
	    .mechanisms =
		AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM | AUTH_SCRAM_PLUS};
	auth = auth_new(&options, &loop, jobs, shared);
	assert_non_null(auth);
	assert_string_equal(auth_list(auth, true), "");
	settle();
	take(accept(listener, NULL, NULL));
	return 0;
}

static int
open_shaken(void **state)
{
	open_world(state);
	say(SHAKE);
	settle();
	return 0;
}

static int
close_world(void **state)
{
	jobs_free(&jobs);
	auth_free(&auth);
	loop_free(&loop);
	clock_go();
	close(peer);
	close(listener);
	return scratch_teardown(state);
}

/* --- the client --- */

static void
on_result(void *ctx, const struct auth_outcome *o)
{
	struct span data = o->result == AUTH_CHALLENGE ? o->data : o->login;
	struct said *s = ctx;

	s->count++;
	s->result = o->result;
	if (o->result != AUTH_CHALLENGE)
		s->x = NULL;
	assert_true(data.len < sizeof(s->data));
	if (data.len)
		memcpy(s->data, data.ptr, data.len);
	s->data[data.len] = '\0';
	if (o->result == AUTH_YES) /* promised to be a string */
		assert_int_equal(data.ptr[data.len], '\0');
}

static void
start(struct said *s, const char *mechanism, const char *message, size_t n)
{
	struct auth_channel c = {.bound = true};
	const uint8_t ip[4] = {192, 0, (uint8_t)(2 + (host >> 8)),
	    (uint8_t)host};

	c.client = ipaddr_v4(ip);
	memset(s, 0, sizeof(*s));
	s->x = auth_start(auth, span_str(mechanism), &c,
	    (struct span){message, n}, on_result, s);
	assert_int_equal(s->count, 0);
}

/* PLAIN with a message, each from an address of its own, so that none waits
 * for another; the service has heard of it. */
static void
start_plain(struct said *s, unsigned id)
{
	static uint8_t last;
	char want[128];

	last = last == 255 ? 1 : (uint8_t)(last + 1);
	host = last;
	start(s, "PLAIN", "\0u\0p", 4);
	snprintf(want, sizeof(want),
	    "AUTH\t%u\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.%u"
	    "\tresp=AHUAcA==",
	    id, host);
	host = 0;
	hears(want);
}

static void
answered(struct said *s, unsigned count, enum auth_result result)
{
	settle();
	/* a no is late */
	for (int i = 0; i < 2000 && s->count < count; i++)
		settle();
	assert_int_equal(s->count, count);
	assert_int_equal(s->result, result);
	if (result != AUTH_CHALLENGE)
		assert_null(s->x);
}

/* --- what it offers --- */

static void
lists(void **state)
{
	static const char line[] = "MECH\tPLAIN\n";

	(void)state;
	say("VERSION\t1\t7\textra\nMECH\tGSSAPI\nMECH\tplain\tplaintext\n");
	settle();
	assert_string_equal(auth_list(auth, false), "");
	say("MECH\tSCRAM-SHA-256-PLUS\nMECH\nMECH\t\nSPID\t1\nDONE\n");
	settle();
	assert_string_equal(auth_list(auth, false), "PLAIN");
	/* nothing here carries the channel's binding to it */
	assert_string_equal(auth_list(auth, true), "PLAIN");
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		assert_int_equal(send(peer, line + i, 1, MSG_NOSIGNAL), 1);
	settle();
	assert_string_equal(auth_list(auth, false), "PLAIN");
}

static void
only_what_is_wanted(void **state)
{
	struct said s;

	(void)state;
	options.mechanisms = AUTH_LOGIN | AUTH_SCRAM;
	say(SHAKE);
	settle();
	assert_string_equal(auth_list(auth, true), "LOGIN SCRAM-SHA-256");
	start(&s, "PLAIN", NULL, 0);
	answered(&s, 1, AUTH_UNKNOWN);
	start(&s, "CRAM-MD5", NULL, 0);
	answered(&s, 1, AUTH_UNKNOWN);
	hears_nothing();
}

/* Lost during what is none of ours. */
static void
another_protocol(void **state)
{
	static const char *const bad[] = {"VERSION\t2\t0\n" MECHANISMS "DONE\n",
	    MECHANISMS "DONE\n", "VERSION\t12\t0\nDONE\n", "VERSION\nDONE\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char c;

		say(bad[i]);
		settle();
		assert_string_equal(auth_list(auth, true), "");
		assert_int_equal(recv(peer, &c, 1, 0), 0);
		take_next_connection();
	}
	say(SHAKE);
	settle();
	assert_string_equal(auth_list(auth, true), "PLAIN LOGIN SCRAM-SHA-256");
}

/* --- exchanges --- */

static void
yes_and_no(void **state)
{
	struct said s;

	(void)state;
	start_plain(&s, 1);
	settle();
	assert_int_equal(s.count, 0);
	/* the name is the service's to say */
	say("OK\t1\tuser=u@example.org\tfuture=x\n");
	answered(&s, 1, AUTH_YES);
	assert_string_equal(s.data, "u@example.org");
	start_plain(&s, 2);
	say("FAIL\t2\tuser=u\treason=no\n");
	answered(&s, 1, AUTH_NO);
	assert_string_equal(s.data, "u"); /* for the log */
	start_plain(&s, 3);
	say("FAIL\t3\n");
	answered(&s, 1, AUTH_NO);
	start_plain(&s, 4);
	say("FAIL\t4\tuser=u\ttemp\n");
	answered(&s, 1, AUTH_DOWN);
	start_plain(&s, 5);
	say("FAIL\t5\tuser=u\tcode=temp_fail\n");
	answered(&s, 1, AUTH_DOWN);
	hears_nothing(); /* nothing of what is over is cancelled */
}

static void
challenges(void **state)
{
	struct said s;

	(void)state;
	start(&s, "login", NULL, 0);
	hears("AUTH\t1\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	say("CONT\t1\tVXNlcm5hbWU6\n");
	answered(&s, 1, AUTH_CHALLENGE);
	assert_string_equal(s.data, "Username:");
	auth_continue(s.x, SPAN_LIT("u"));
	hears("CONT\t1\tdQ==");
	say("CONT\t1\tUGFzc3dvcmQ6\n");
	answered(&s, 2, AUTH_CHALLENGE);
	assert_string_equal(s.data, "Password:");
	auth_continue(s.x, SPAN_LIT(""));
	hears("CONT\t1\t");
	say("OK\t1\tuser=u\n");
	answered(&s, 3, AUTH_YES);
	/* an empty initial response is not none; an empty challenge neither */
	start(&s, "PLAIN", "", 0);
	hears("AUTH\t2\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0"
	      "\tresp=");
	say("CONT\t2\t\n");
	answered(&s, 1, AUTH_CHALLENGE);
	assert_string_equal(s.data, "");
	ask_cancel(&s.x, ASK_GO_ON);
	hears("CANCEL\t2");
}

static void
many_at_once(void **state)
{
	enum { MANY = 50 };
	struct said s[MANY];
	char line[64];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		start_plain(&s[i], i + 1);
	for (unsigned i = MANY; i-- > 0;) {
		snprintf(line, sizeof(line), "OK\t%u\tuser=u%u\n", i + 1, i);
		say(line);
	}
	for (unsigned i = 0; i < MANY; i++) {
		answered(&s[i], 1, AUTH_YES);
		snprintf(line, sizeof(line), "u%u", i);
		assert_string_equal(s[i].data, line);
	}
}

/* FAULT A10: it does not read, and so much comes that it will never be sent:
 * those who do not fit hear so, and nobody loses what was begun before. */
static void
more_than_it_takes(void **state)
{
	enum { MANY = 1000 };
	static struct said s[MANY];
	static char message[4096];
	struct said first;
	unsigned down = 0;
	char buffer[8192];

	(void)state;
	start_plain(&first, 1);
	memset(message, 'x', sizeof(message));
	for (unsigned i = 0; i < MANY; i++) {
		host = (uint16_t)(256 + i);
		start(&s[i], "PLAIN", message, sizeof(message));
	}
	host = 0;
	settle();
	for (unsigned i = 0; i < MANY; i++) {
		down += s[i].count;
		assert_true(!s[i].count || s[i].result == AUTH_DOWN);
		assert_true(!i || s[i].count >= s[i - 1].count);
	}
	assert_true(down > MANY / 2 && down < MANY);
	assert_int_equal(first.count, 0);
	assert_string_not_equal(auth_list(auth, true), "");
	say("OK\t1\tuser=u\n");
	answered(&first, 1, AUTH_YES);
	for (unsigned i = 0; i < MANY; i++)
		ask_cancel(&s[i].x, ASK_GO_ON);
	/* it reads again: all is as it was */
	while (recv(peer, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		settle();
	start(&first, "PLAIN", "\0u\0p", 4);
	say("OK\t");
	snprintf(buffer, sizeof(buffer), "%u\tuser=u\n", MANY - down + 2);
	say(buffer);
	answered(&first, 1, AUTH_YES);
}

/* A login that could be no login, and answers that answer nothing. */
static void
nonsense(void **state)
{
	static const char *const ok[] = {"", "\tuser=", "\tuser=a\001tb",
	    "\tuser=\xff", "\tUser=u"};
	static const char *const nothing[] = {"\n", "OK\n", "OK\t\n",
	    "OK\tx\tuser=u\n", "OK\t99\tuser=u\n", "OK\t0\tuser=u\n",
	    "OK\t4294967297\tuser=u\n", "OK\t-1\tuser=u\n", "FAIL\n",
	    "FAIL\t2\n", "CONT\t99\tAAAA\n", "ok\t1\tuser=u\n", "BYE\t1\n",
	    "OK \t1\tuser=u\n"};
	struct said s;
	char line[64];

	(void)state;
	start_plain(&s, 1);
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		say(nothing[i]);
		settle();
		assert_int_equal(s.count, 0);
	}
	say("OK\t1\tuser=u\nOK\t1\tuser=v\nFAIL\t1\n");
	answered(&s, 1, AUTH_YES);
	assert_string_equal(s.data, "u");
	for (unsigned i = 0; i < sizeof(ok) / sizeof(ok[0]); i++) {
		start_plain(&s, i + 2);
		snprintf(line, sizeof(line), "OK\t%u%s\n", i + 2, ok[i]);
		say(line);
		answered(&s, 1, AUTH_DOWN);
	}
}

/* In the client's turn nothing was asked, and no answer is one. */
static void
out_of_turn(void **state)
{
	struct said s;

	(void)state;
	start(&s, "LOGIN", NULL, 0);
	hears("AUTH\t1\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	say("CONT\t1\tVXNlcm5hbWU6\nOK\t1\tuser=u\n");
	answered(&s, 1, AUTH_CHALLENGE);
	say("OK\t1\tuser=u\nCONT\t1\tVXNlcm5hbWU6\nFAIL\t1\n");
	settle();
	assert_int_equal(s.count, 1);
	auth_continue(s.x, SPAN_LIT("u"));
	hears("CONT\t1\tdQ==");
	say("FAIL\t1\n");
	answered(&s, 2, AUTH_NO);
}

/* A challenge that is no base64: it is not what we took it for. */
static void
broken_challenge(void **state)
{
	struct said s, other;

	(void)state;
	start_plain(&s, 1);
	start_plain(&other, 2);
	say("CONT\t1\t!\nOK\t2\tuser=u\n");
	answered(&s, 1, AUTH_DOWN);
	answered(&other, 1, AUTH_DOWN);
	assert_string_equal(auth_list(auth, true), "");
}

/* One line of 8 KiB would end the connection of all. */
static void
a_message_too_long(void **state)
{
	static char message[12288];
	struct said s;

	(void)state;
	memset(message, 'x', sizeof(message));
	start(&s, "PLAIN", message, 4097);
	answered(&s, 1, AUTH_MALFORMED);
	start(&s, "PLAIN", message, sizeof(message));
	answered(&s, 1, AUTH_MALFORMED);
	hears_nothing();
	start(&s, "LOGIN", NULL, 0);
	hears("AUTH\t1\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	say("CONT\t1\tVXNlcm5hbWU6\n");
	answered(&s, 1, AUTH_CHALLENGE);
	auth_continue(s.x, (struct span){message, sizeof(message)});
	answered(&s, 2, AUTH_MALFORMED);
	hears("CANCEL\t1");
}

/* --- silence --- */

static void
cancelled(void **state)
{
	struct said s;

	(void)state;
	start_plain(&s, 1); /* while it is asked */
	ask_cancel(&s.x, ASK_GO_ON);
	assert_null(s.x);
	hears("CANCEL\t1");
	say("OK\t1\tuser=u\n");
	settle();
	assert_int_equal(s.count, 0);
	start_plain(&s, 2); /* when the answer is there, and not told */
	say("OK\t2\tuser=u\n");
	ask_cancel(&s.x, ASK_GO_ON);
	settle();
	assert_int_equal(s.count, 0);
	hears("CANCEL\t2");
	start_plain(&s, 3); /* in the delay of a no */
	say("FAIL\t3\n");
	settle();
	assert_int_equal(s.count, 0);
	ask_cancel(&s.x, ASK_GO_ON);
	settle();
	hears_nothing();
	start(&s, "LOGIN", NULL, 0); /* in the client's turn */
	hears("AUTH\t4\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	say("CONT\t4\tVXNlcm5hbWU6\n");
	answered(&s, 1, AUTH_CHALLENGE);
	ask_cancel(&s.x, ASK_GO_ON);
	hears("CANCEL\t4");
	say("FAIL\t4\n");
	settle();
	assert_int_equal(s.count, 1);
}

/* --- gone --- */

static void
gone_in_between(void **state)
{
	struct said asked, turn, no, again;

	(void)state;
	start_plain(&asked, 1);
	start(&turn, "LOGIN", NULL, 0);
	hears("AUTH\t2\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	start_plain(&no, 3);
	say("CONT\t2\tVXNlcm5hbWU6\nFAIL\t3\n");
	answered(&turn, 1, AUTH_CHALLENGE);
	shutdown(peer, SHUT_RDWR);
	answered(&asked, 1, AUTH_DOWN);
	assert_string_equal(auth_list(auth, true), "");
	/* it is the client's turn: it hears when it has spoken */
	settle();
	assert_int_equal(turn.count, 1);
	auth_continue(turn.x, SPAN_LIT("u"));
	answered(&turn, 2, AUTH_DOWN);
	answered(&no, 1, AUTH_NO); /* that much was known */
	start(&again, "PLAIN", "\0u\0p", 4);
	answered(&again, 1, AUTH_DOWN);

	/* and back, with less than before: ids begin anew */
	take_next_connection();
	say("VERSION\t1\t2\nMECH\tPLAIN\nDONE\n");
	settle();
	assert_string_equal(auth_list(auth, true), "PLAIN");
	start_plain(&again, 1);
	say("OK\t1\tuser=u\n");
	answered(&again, 1, AUTH_YES);
}

/* An exchange of the old connection has no id on the new one. */
static void
ids_are_of_a_connection(void **state)
{
	struct said old, new;

	(void)state;
	start(&old, "LOGIN", NULL, 0);
	hears("AUTH\t1\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.0");
	say("CONT\t1\tVXNlcm5hbWU6\n");
	answered(&old, 1, AUTH_CHALLENGE);
	take_next_connection();
	say(SHAKE);
	settle();
	start_plain(&new, 1);
	auth_continue(old.x, SPAN_LIT("u"));
	answered(&old, 2, AUTH_DOWN);
	hears_nothing();
	say("OK\t1\tuser=n\n");
	answered(&new, 1, AUTH_YES);
	assert_string_equal(new.data, "n");
}

static void
a_path_that_is_too_long(void **state)
{
	char path[200];
	struct auth_options o = {.dovecot = path, .mechanisms = AUTH_PLAIN};

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_null(auth_new(&o, &loop, jobs, shared));
}

int
main(void)
{
#define WORLD(f, o) cmocka_unit_test_setup_teardown(f, o, close_world)
	const struct CMUnitTest tests[] = {
	    WORLD(lists, open_world),
	    WORLD(only_what_is_wanted, open_world),
	    WORLD(another_protocol, open_world),
	    WORLD(yes_and_no, open_shaken),
	    WORLD(challenges, open_shaken),
	    WORLD(many_at_once, open_shaken),
	    WORLD(more_than_it_takes, open_shaken),
	    WORLD(nonsense, open_shaken),
	    WORLD(out_of_turn, open_shaken),
	    WORLD(broken_challenge, open_shaken),
	    WORLD(a_message_too_long, open_shaken),
	    WORLD(cancelled, open_shaken),
	    WORLD(gone_in_between, open_shaken),
	    WORLD(ids_are_of_a_connection, open_shaken),
	    WORLD(a_path_that_is_too_long, open_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

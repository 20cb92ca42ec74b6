/*
 * Messages to a web address: the octets of a request, what is made of each
 * kind of answer, and what ends in the middle of it.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "certify.h"
#include "fake_clock.h"
#include "gate.h"
#include "http_rig.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/neighbour.h"
#include "io/resolve.h"
#include "io/tls_client.h"
#include "liar.h"
#include "log_catch.h"

#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define AGAIN     "451 4.3.0 The server for this address does not take it now"
#define SETUP     "451 4.3.5 The server for this address is not set up for mail"
#define GONE      "451 4.4.1 The server for this address is not there now"
#define LOST      "451 4.4.2 No answer to the end of the message"
#define TOOBIG    "552 5.3.4 Too big for the server for this address"
#define NET       0xc00002 /* 192.0.2.0/24 */
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* Behind the last line of the body this is said. */
static void
answer(const char *say, enum peer_then then, uint64_t after)
{
	static struct peer_turn script[2];
	static const struct peer_turn *const scripts[] = {script};

	script[0] = (struct peer_turn){"END", say, then, after};
	script[1] = (struct peer_turn){0};
	http_rig_peer(scripts, 1, NULL);
}

static void
assert_told(enum fate fate, const char *reply)
{
	assert_string_equal(http_rig_reply(), reply);
	assert_int_equal(web.copies[0].fate, fate);
}

/* --- requests --- */

static void
a_request(void **state)
{
	char want[1000];

	(void)state;
	answer(OK, PEER_STAY, 0);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	snprintf(want, sizeof(want),
	    "POST /mail?key=1 HTTP/1.1\n"
	    "Host: a.example.org:%u\n"
	    "User-Agent: smtpd/" SMTPD_VERSION "\n"
	    "Content-Type: message/rfc822\n"
	    "Smtp-Envelope: {\"id\":\"06H0PK0E2J2OMQPA.1\",\"from\":\"a@b\","
	    "\"to\":[\"c@d\"],\"client\":\"192.0.2.1\",\"helo\":\"x\","
	    "\"login\":null,\"received\":1764111212}\n"
	    "webhook-id: 06H0PK0E2J2OMQPA.1-d14c5ac8\n"
	    "Content-Length: 64\n"
	    "\n"
	    "Return-Path: <a@b>\nReceived: from x\n\tby y\n"
	    "Subject: x\n\nEND\n",
	    peer_port(web.peer));
	assert_string_equal(peer_heard(web.peer), want);
}

/* What was heard behind the empty line, as it was on the wire. */
static struct buf
heard_body(void)
{
	const char *at = strstr(peer_heard(web.peer), "\n\n");
	struct buf body = {0};

	assert_non_null(at);
	for (at += 2; *at; at++)
		buf_append(&body, *at == '\n' ? "\r\n" : at,
		    *at == '\n' ? 2 : 1);
	return body;
}

static void
assert_signed(struct span key)
{
	struct buf body = heard_body(), text = {0}, want = {0};
	uint8_t digest[DIGEST_LEN];
	long length = strtol(http_rig_heard("Content-Length: "), NULL, 10);

	assert_int_equal(body.len, length);
	buf_printf(&text, "%s.", http_rig_heard("webhook-id: "));
	assert_int_equal(strtol(http_rig_heard("webhook-timestamp: "), NULL,
			     10),
	    clock_wall() / 1000 - 120);
	buf_printf(&text, "%s.", http_rig_heard("webhook-timestamp: "));
	buf_append_span(&text, buf_span(&body));
	digest_hmac(key, buf_span(&text), digest);
	buf_append_str(&want, "v1,");
	base64_encode((struct span){(char *)digest, DIGEST_LEN}, &want);
	buf_append(&want, "", 1);
	assert_string_equal(http_rig_heard("webhook-signature: "), want.data);
	buf_free(&body);
	buf_free(&text);
	buf_free(&want);
}

static void
a_signature(void **state)
{
	(void)state;
	web.route.secret = SPAN_LIT("whsec_c2VjcmV0");
	answer(OK, PEER_STAY, 0);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	assert_signed(SPAN_LIT("secret"));
}

/* A CR is a bare one, and what ends without a line end gets one. */
static void
a_body_as_on_the_wire(void **state)
{
	(void)state;
	web.route.secret = SPAN_LIT("secret");
	http_rig_body(SPAN_LIT(".\n\n\rx\r\n..\nEND"));
	for (int i = 0; i < 2; i++) {
		answer(OK, PEER_STAY, 0);
		http_rig_send();
		assert_told(FATE_TAKEN, "");
		assert_non_null(
		    strstr(peer_heard(web.peer), "\n.\n\n x \n..\nEND\n"));
		if (i == 0)
			assert_signed(SPAN_LIT("secret"));
		web.route.secret.len = 0;
	}
	assert_null(http_rig_heard("webhook-signature"));
	assert_null(http_rig_heard("webhook-timestamp"));
}

static bool
is_asking(void)
{
	return !web.told;
}

/* Read by jobs, twice for a signature; whatever is there of it. */
static void
a_body_in_a_file(void **state)
{
	static char text[1500000];
	FILE *f = tmpfile();

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 900 == 899 ? '\n' : (char)('a' + i % 26);
	assert_int_equal(fwrite(text, 1, sizeof(text), f), sizeof(text));
	assert_int_equal(fflush(f), 0);
	http_rig_body((struct span){text, sizeof(text)});
	web.m.wire += 6;
	web.m.body = (struct spool_content){.fd = fileno(f),
	    .from = 0,
	    .filed = sizeof(text),
	    .tail = SPAN_LIT("x\nEND\n")};
	clock_stop(&web.loop, is_asking);
	for (int i = 0; i < 2; i++) {
		answer(OK, PEER_STAY, 0);
		http_rig_ask();
		clock_pass(0);
		assert_int_equal(web.told, 1);
		assert_told(FATE_TAKEN, "");
		assert_non_null(strstr(peer_heard(web.peer), "x\nEND\n"));
		web.route.secret = SPAN_LIT("secret");
	}
	clock_pass(120000);
	assert_signed(SPAN_LIT("secret"));
	fclose(f);
}

static void
a_file_that_is_too_short(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	web.m.body = (struct spool_content){.fd = fileno(f), .filed = 10};
	clock_stop(&web.loop, is_asking);
	for (int i = 0; i < 2; i++) {
		answer(OK, PEER_STAY, 0);
		http_rig_ask();
		clock_pass(0);
		assert_told(FATE_AGAIN, "451 4.3.0 The message cannot be read");
		web.route.secret = SPAN_LIT("secret");
	}
	fclose(f);
}

/* --- answers --- */

static const struct answer {
	const char *say;
	enum peer_then then;
	enum fate fate;
	const char *reply;
	uint64_t after;
} answers[] = {
    {OK, PEER_STAY, FATE_TAKEN, "", 0},
    {OK, PEER_STAY, FATE_TAKEN, "", 59000},
    {OK, PEER_STAY, FATE_LOST, LOST, 61000},
    {NULL, PEER_STAY, FATE_LOST, LOST, 0},
    {NULL, PEER_CLOSE, FATE_LOST, LOST, 0},
    {NULL, PEER_RESET, FATE_LOST, LOST, 0},
    {"HTTP/1.1 204 No Content\r\n\r\n", PEER_STAY, FATE_TAKEN, "", 0},
    {"HTTP/1.0 200 OK\r\n\r\nx", PEER_CLOSE, FATE_TAKEN, "", 0},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK, PEER_STAY, FATE_TAKEN, "", 0},
    {"HTTP/1.1 100 Continue\r\n\r\n", PEER_CLOSE, FATE_LOST, LOST, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n0\r\n\r\n",
	PEER_STAY, FATE_TAKEN, "", 0},
    /* taken, whatever becomes of the rest */
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", PEER_CLOSE, FATE_TAKEN,
	"", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", PEER_RESET, FATE_TAKEN,
	"", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", PEER_STAY, FATE_TAKEN, "",
	0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", PEER_STAY,
	FATE_TAKEN, "", 0},
    {"HTTP/1.1 200 OK\r\nLocation: /x\r\nContent-Le", PEER_CLOSE, FATE_TAKEN,
	"", 0},
    /* nonsense, and half of something */
    {"220 mail.example.org ESMTP\r\n", PEER_STAY, FATE_LOST, LOST, 0},
    {"HTTP/1.1 20", PEER_CLOSE, FATE_LOST, LOST, 0},
    {"\r\n\r\n", PEER_CLOSE, FATE_LOST, LOST, 0},
    {"HTTP/1.1 301 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", PEER_STAY,
	FATE_DOWN, SETUP, 0},
    {"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/\r\n\r\n", PEER_CLOSE,
	FATE_DOWN, SETUP, 0},
    {"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
	PEER_STAY, FATE_DOWN, SETUP, 0},
    {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY, FATE_DOWN,
	SETUP, 0},
    {"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY, FATE_REFUSED,
	TOOBIG, 0},
    {"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
	PEER_STAY, FATE_AGAIN, AGAIN, 0},
    {"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY, FATE_AGAIN,
	AGAIN, 0},
    {"HTTP/1.1 422 No\r\nContent-Type: Text/Plain; charset=utf-8\r\n"
     "Transfer-Encoding: chunked\r\n\r\n"
     "4\r\n552 \r\nb\r\n5.2.2 Full\n\r\n0\r\n\r\n",
	PEER_STAY, FATE_REFUSED, "552 5.2.2 Full", 0},
    {"HTTP/1.1 422 No\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\n"
     "451 4.7.1 Not now\n",
	PEER_CLOSE, FATE_AGAIN, "451 4.7.1 Not now", 0},
    {"HTTP/1.1 422 No\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n"
     "<html>\n",
	PEER_STAY, FATE_REFUSED, "550 5.7.1 <html>", 0},
    {"HTTP/1.1 422 No\r\nContent-Type: application/json\r\n"
     "Content-Length: 2\r\n\r\n{}",
	PEER_STAY, FATE_REFUSED,
	"550 5.7.1 The server for this address does not want it", 0},
};

static void
each_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(answers); i++) {
		const struct answer *a = &answers[i];

		answer(a->say, a->then, a->after);
		http_rig_send();
		if (web.copies[0].fate != a->fate)
			print_error("answer %zu\n", i);
		assert_told(a->fate, a->reply);
		/* never followed, never repeated */
		assert_int_equal(peer_connections(web.peer), 1);
		http_free(&web.carrier);
	}
}

/* A header or a body without end is cut, and what was said before it counts. */
static void
endless_answers(void **state)
{
	static char junk[8000];
	static struct peer_turn script[14];
	static const struct peer_turn *const scripts[] = {script};

	(void)state;
	memset(junk, 'x', sizeof(junk) - 3);
	memcpy(junk, "X: ", 3);
	memcpy(junk + sizeof(junk) - 3, "\r\n", 3);
	for (unsigned i = 1; i < LENGTH(script) - 1; i++)
		script[i] = (struct peer_turn){.say = junk};
	script[0] = (struct peer_turn){"END",
	    "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", PEER_STAY,
	    0};
	http_rig_peer(scripts, 1, NULL);
	http_rig_ask();
	clock_pass(1);
	assert_int_equal(web.told, 1);
	assert_told(FATE_TAKEN, "");
	script[0].say = "HTTP/1.1 422 No\r\nContent-Type: text/x\r\n\r\n";
	http_rig_peer(scripts, 1, NULL);
	http_rig_ask();
	clock_pass(1);
	assert_int_equal(web.told, 1);
	assert_int_equal(web.copies[0].fate, FATE_REFUSED);
	assert_int_equal(strlen(http_rig_reply()), 10 + 200);
	script[0].say = "HTTP/1.1 503 No\r\n";
	http_rig_peer(scripts, 1, NULL);
	http_rig_ask();
	clock_pass(1);
	assert_int_equal(web.told, 1);
	assert_told(FATE_AGAIN, AGAIN);
}

/* --- answers before the end of the body --- */

static char large[6000000];

static void
answer_early(const char *say, enum peer_then then)
{
	static struct peer_turn script[2];
	static const struct peer_turn *const scripts[] = {script};

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = i % 1000 == 999 ? '\n' : 'x';
	memcpy(large + sizeof(large) - 5, "\nEND\n", 5);
	http_rig_body((struct span){large, sizeof(large)});
	script[0] = (struct peer_turn){"Smtp-Envelope", say, then, 0};
	http_rig_peer(scripts, 1, NULL);
}

static void
no_before_the_end_counts(void **state)
{
	(void)state;
	answer_early("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY);
	http_rig_send();
	assert_told(FATE_REFUSED, TOOBIG);
	assert_null(strstr(peer_heard(web.peer), "\nEND"));
	answer_early("HTTP/1.1 422 No\r\nContent-Type: text/plain\r\n"
		     "Content-Length: 3\r\n\r\nBah",
	    PEER_STAY);
	http_rig_send();
	assert_told(FATE_REFUSED, "550 5.7.1 Bah");
	answer_early("HTTP/1.1 302 No\r\nLocation: /\r\n\r\n", PEER_STAY);
	http_rig_send();
	assert_told(FATE_DOWN, SETUP);
	answer_early("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY);
	http_rig_send();
	assert_told(FATE_AGAIN, AGAIN);
	assert_null(strstr(peer_heard(web.peer), "\nEND"));
}

static void
yes_before_the_end_is_nonsense(void **state)
{
	(void)state;
	answer_early(OK, PEER_STAY);
	http_rig_send();
	assert_told(FATE_AGAIN, AGAIN);
	assert_null(strstr(peer_heard(web.peer), "\nEND"));
}

static void
an_end_before_the_end(void **state)
{
	(void)state;
	answer_early(NULL, PEER_CLOSE);
	http_rig_send();
	assert_told(FATE_AGAIN, AGAIN);
	answer_early(NULL, PEER_RESET);
	http_rig_send();
	assert_told(FATE_AGAIN, AGAIN);
	assert_int_equal(peer_connections(web.peer), 1);
}

/* It has no end of data later than it may. */
static void
no_end_of_data_is_too_late(void **state)
{
	(void)state;
	web.parcel.dot_by = 1;
	answer(OK, PEER_STAY, 0);
	http_rig_send();
	assert_told(FATE_AGAIN, AGAIN);
	assert_null(strstr(peer_heard(web.peer), "END"));
}

/* --- connections --- */

static void
a_connection_is_kept_for_a_while(void **state)
{
	static const struct peer_turn script[] = {{"END", OK, PEER_STAY, 0},
	    {"END", OK, PEER_STAY, 0}, {0}};
	static const struct peer_turn *const scripts[] = {script};

	(void)state;
	http_rig_peer(scripts, 1, NULL);
	for (int i = 0; i < 2; i++) {
		http_rig_ask();
		clock_pass(9000);
		assert_int_equal(web.told, 1);
		assert_told(FATE_TAKEN, "");
	}
	assert_int_equal(peer_connections(web.peer), 1);
	clock_pass(2000);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	assert_int_equal(peer_connections(web.peer), 2);
}

/* Nobody has read it: the same once more, with the same id. */
static void
a_kept_connection_that_is_dead(void **state)
{
	static const enum peer_then ends[] = {PEER_CLOSE, PEER_RESET};
	static struct peer_turn first[] = {{"END", OK, PEER_STAY, 0},
	    {"webhook-id", NULL, PEER_CLOSE, 0}, {0}};
	static const struct peer_turn then[] = {{"END", OK, PEER_STAY, 0}, {0}};
	static const struct peer_turn *const scripts[] = {first, then};

	(void)state;
	web.route.secret = SPAN_LIT("secret");
	for (unsigned i = 0; i < LENGTH(ends); i++) {
		first[1].then = ends[i];
		http_rig_peer(scripts, 2, NULL);
		http_rig_ask();
		clock_pass(1000);
		assert_int_equal(web.told, 1);
		assert_told(FATE_TAKEN, "");
		http_rig_send();
		assert_told(FATE_TAKEN, "");
		assert_int_equal(peer_connections(web.peer), 2);
		assert_string_equal(http_rig_heard("webhook-id: "),
		    "06H0PK0E2J2OMQPA.1-d14c5ac8");
	}
}

static void
on_one(void *ctx)
{
	(void)ctx;
	web.told++;
}

/* --- health --- */

static bool
is_down(void)
{
	const struct smtp_reply *r = NULL;

	if (http_health(web.carrier, &r) == CARRIER_UP)
		return false;
	assert_string_equal(r->status, "4.4.1");
	return true;
}

static void
nobody_is_there(void **state)
{
	(void)state;
	answer(OK, PEER_STAY, 0);
	peer_free(&web.peer);
	log_forget();
	assert_false(is_down());
	http_rig_ask();
	clock_pass(1);
	assert_int_equal(web.told, 1);
	assert_told(FATE_DOWN, GONE);
	assert_true(is_down());
	/* nobody is asked */
	http_rig_ask();
	clock_pass(0);
	assert_int_equal(web.told, 1);
	assert_told(FATE_DOWN, GONE);
	clock_pass(3900);
	assert_true(is_down());
	clock_pass(2200);
	assert_false(is_down());
	/* twice as long */
	http_rig_ask();
	clock_pass(7900);
	assert_told(FATE_DOWN, GONE);
	assert_true(is_down());
	clock_pass(4200);
	assert_false(is_down());
	/* but when somebody says that it is back */
	http_rig_ask();
	clock_pass(1);
	assert_true(is_down());
	http_again(web.carrier);
	assert_false(is_down());
	http_rig_ask();
	clock_pass(3900);
	assert_told(FATE_DOWN, GONE);
	assert_true(is_down());
	clock_pass(2200);
	assert_false(is_down());
	assert_int_equal(logged("route-down", "route=app error=Failed to"), 1);
}

static void
it_comes_back(void **state)
{
	static const struct peer_turn no[] =
	    {{"END", "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", PEER_CLOSE,
		 0},
		{0}};
	static const struct peer_turn yes[] = {{"END", OK, PEER_CLOSE, 0}, {0}};
	static const struct peer_turn *const scripts[] = {no, yes};

	(void)state;
	http_rig_peer(scripts, 2, NULL);
	log_forget();
	http_rig_ask();
	clock_pass(1000);
	assert_told(FATE_DOWN, SETUP);
	/* nobody is asked now */
	http_rig_ask();
	clock_pass(6000);
	assert_told(FATE_DOWN, GONE);
	assert_int_equal(peer_connections(web.peer), 1);
	assert_int_equal(logged("route-misconfigured", "reply=HTTP 404"), 1);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	assert_false(is_down());
	assert_int_equal(logged("route-down", "route=app"), 1);
	assert_int_equal(logged("route-up", "route=app down-ms=7000"), 1);
}

/* Three in a row, and no answer between. */
static void
silence(void **state)
{
	(void)state;
	answer(NULL, PEER_STAY, 0);
	log_forget();
	web.route.timeout = 3000;
	for (int i = 0; i < 3; i++) {
		assert_false(is_down());
		http_rig_ask();
		clock_pass(3000);
		assert_int_equal(web.told, 1);
		assert_told(FATE_LOST, LOST);
	}
	assert_true(is_down());
	assert_int_equal(logged("route-down", "error=no answer in time"), 1);
	assert_int_equal(logged("route-too-slow", "route=app ms=3000"), 1);
}

/* A disk of ours that hangs is no fault of whoever is asked. */
static void
nothing_to_send(void **state)
{
	FILE *f = tmpfile();
	bool down = false;
	unsigned n = 0;

	(void)state;
	assert_int_equal(fwrite("x\n", 1, 2, f), 2);
	assert_int_equal(fflush(f), 0);
	web.m.body = (struct spool_content){.fd = fileno(f), .filed = 2};
	web.m.wire = 3;
	web.route.timeout = 3000;
	gate_close(web.jobs, NULL);
	for (int secret = 0; secret < 2; secret++) {
		answer(OK, PEER_STAY, 0);
		for (int i = 0; i < 3; i++) {
			http_rig_ask();
			clock_pass(3000);
			n += web.told == 1 && web.copies[0].fate == FATE_AGAIN;
		}
		down |= is_down();
		web.route.secret = SPAN_LIT("secret");
	}
	gate_open();
	http_free(&web.carrier);
	jobs_free(&web.jobs);
	fclose(f);
	assert_int_equal(n, 6);
	assert_false(down);
}

/* Others may be shown alike: of the same server, with another query. */
static void
seen_by_its_text(void **state)
{
	struct shared *shared = shared_new();

	(void)state;
	web.services.shared = shared;
	http_rig_open();
	assert_int_equal(neighbour_look(shared, NEIGHBOUR_ROUTE, web.route.text)
			     .workers,
	    1);
	assert_int_equal(neighbour_look(shared, NEIGHBOUR_ROUTE,
			     web.route.shown)
			     .workers,
	    0);
	http_free(&web.carrier);
}

/* Where a resolver of the tests leads to is here. */
int
connect(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sockaddr_in in = *(const struct sockaddr_in *)(const void *)a;

	if (a->sa_family != AF_INET || ntohl(in.sin_addr.s_addr) >> 8 != NET)
		return (int)syscall(SYS_connect, fd, a, len);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (int)syscall(SYS_connect, fd, &in, sizeof(in));
}

/* libcurl is told of it, and asks nobody itself. */
static void
a_name_of_the_dns(void **state)
{
	struct liar *liar = liar_new(&web.loop);
	const struct resolve_options o = {.servers = liar_server(liar)};

	(void)state;
	clock_stop(&web.loop, liar_busy);
	web.services.resolve = resolve_new(&web.loop, &o);
	web.route.to[0].naddrs = 0;
	web.route.to[0].host = "a.test";
	answer(OK, PEER_STAY, 0);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	assert_int_equal(strncmp(http_rig_heard("Host: "), "a.test:", 7), 0);
	web.route.to[0].host = "nx.test";
	answer(OK, PEER_STAY, 0);
	log_forget();
	http_rig_send();
	assert_told(FATE_DOWN, GONE);
	assert_int_equal(peer_connections(web.peer), 0);
	assert_int_equal(logged("route-down", "error=no address"), 1);
	/* and without a resolver */
	http_free(&web.carrier);
	resolve_free(&web.services.resolve);
	answer(OK, PEER_STAY, 0);
	http_rig_send();
	assert_told(FATE_DOWN, GONE);
	/* cancelled, and freed, while it is asked for */
	web.services.resolve = resolve_new(&web.loop, &o);
	for (int i = 0; i < 2; i++) {
		answer(OK, PEER_STAY, 0);
		http_rig_ask();
		if (i)
			http_free(&web.carrier);
		else
			ask_cancel(&web.ask, ASK_ABANDON);
		clock_pass(120000);
		assert_int_equal(web.told, 0);
	}
	http_free(&web.carrier);
	resolve_free(&web.services.resolve);
	liar_free(&liar);
}

/* More wait than may connect: each has its turn. */
static void
one_connection_for_all(void **state)
{
	static struct peer_turn script[5];
	static const struct peer_turn *const scripts[] = {script};
	struct parcel parcels[4];
	struct ask *asks[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		script[i] = (struct peer_turn){"END", OK, PEER_STAY, 1000};
	web.route.connections = 1;
	http_rig_peer(scripts, 1, NULL);
	web.told = 0;
	web.parcel.deadline = web.parcel.dot_by = clock_now() + 100000;
	for (unsigned i = 0; i < 4; i++) {
		parcels[i] = web.parcel;
		parcels[i].copies = &web.all[i];
		asks[i] = http_ask(web.carrier, &parcels[i], on_one, NULL);
		assert_non_null(asks[i]);
	}
	clock_pass(100);
	/* who waits can be cancelled */
	ask_cancel(&asks[3], ASK_ABANDON);
	clock_pass(10000);
	assert_int_equal(web.told, 3);
	assert_int_equal(peer_connections(web.peer), 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(web.copies[i].fate, FATE_TAKEN);
	assert_int_equal(web.copies[3].fate, FATE_NONE);
	/* whose turn does not come has not met a server that is down */
	script[0].after = 100000;
	web.route.timeout = 3000;
	http_rig_peer(scripts, 1, NULL);
	for (unsigned i = 0; i < 2; i++)
		http_ask(web.carrier, &parcels[i], on_one, NULL);
	clock_pass(5000);
	assert_int_equal(web.copies[0].fate, FATE_LOST);
	assert_int_equal(web.copies[1].fate, FATE_AGAIN);
	for (unsigned i = 0; i < 4; i++)
		http_ask(web.carrier, &parcels[i], on_one, NULL);
	clock_pass(5000);
	assert_int_equal(web.copies[3].fate, FATE_AGAIN);
	assert_false(is_down());
}

/* --- several recipients --- */

static void
several_posts(void **state)
{
	static struct peer_turn script[COPIES];
	static const struct peer_turn *const scripts[] = {script};

	(void)state;
	for (int i = 0; i < COPIES - 1; i++)
		script[i] = (struct peer_turn){"END", OK, PEER_STAY, 0};
	http_rig_peer(scripts, 1, NULL);
	web.parcel.n = COPIES;
	http_rig_send();
	for (unsigned i = 0; i < COPIES; i++) {
		assert_int_equal(web.copies[i].fate, FATE_TAKEN);
		assert_non_null(strstr(peer_heard(web.peer), web.copies[i].to));
	}
}

static void
what_others_are_told(void **state)
{
	static struct peer_turn script[] = {{"END", OK, PEER_STAY, 0},
	    {"END", "HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n", PEER_STAY,
		0},
	    {0}};
	static const struct peer_turn *const scripts[] = {script};
	unsigned last = COPIES - 1;

	(void)state;
	web.parcel.n = COPIES;
	http_rig_peer(scripts, 1, NULL);
	http_rig_send();
	assert_int_equal(web.copies[0].fate, FATE_TAKEN);
	assert_int_equal(web.copies[last].fate, FATE_REFUSED);
	/* nobody has it: nobody else is asked, unless it was held */
	script[0].say = script[1].say;
	http_rig_peer(scripts, 1, NULL);
	http_rig_send();
	assert_int_equal(web.copies[0].fate, FATE_REFUSED);
	assert_int_equal(web.copies[last].fate, FATE_NONE);
	web.parcel.whole = false;
	http_rig_peer(scripts, 1, NULL);
	http_rig_send();
	assert_int_equal(web.copies[last].fate, FATE_REFUSED);
	/* down for all */
	script[0].say = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
	http_rig_peer(scripts, 1, NULL);
	http_rig_send();
	assert_int_equal(web.copies[last].fate, FATE_DOWN);
	/* no time for the others */
	script[0] = (struct peer_turn){"END", OK, PEER_STAY, 59999};
	script[1].after = 2;
	http_rig_peer(scripts, 1, NULL);
	http_rig_send();
	assert_int_equal(web.copies[0].fate, FATE_TAKEN);
	assert_int_equal(web.copies[last].fate, FATE_LOST);
}

/* --- cancelled, and freed --- */

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

/* One alone, whatever comes next. */
static void
turn(void)
{
	struct loop_event *e = loop_timer(&web.loop, stop, &web.loop);

	loop_timer_set(e, 0);
	clock_pass(0);
	loop_event_free(&e);
}

static void
cancelled_before_its_end(void **state)
{
	(void)state;
	log_forget();
	for (int i = 0; i < 2; i++) {
		answer(OK, PEER_STAY, 0);
		http_rig_ask();
		ask_cancel(&web.ask, i ? ASK_GO_ON : ASK_ABANDON);
		clock_pass(120000);
		assert_int_equal(web.told, 0);
		assert_null(strstr(peer_heard(web.peer), "END"));
	}
	answer_early(NULL, PEER_STAY);
	http_rig_ask();
	while (!strstr(peer_heard(web.peer), "\nxxx"))
		turn();
	ask_cancel(&web.ask, ASK_ABANDON);
	/* from now on it is somebody else's */
	memset(large, 'y', sizeof(large));
	clock_pass(120000);
	assert_int_equal(web.told, 0);
	assert_null(strstr(peer_heard(web.peer), "yyy"));
	assert_int_equal(logged("unanswered", ""), 0);
}

static void
cancelled_behind_its_end(void **state)
{
	(void)state;
	answer(OK, PEER_STAY, 1000);
	log_forget();
	http_rig_ask();
	clock_pass(500);
	ask_cancel(&web.ask, ASK_GO_ON);
	clock_pass(120000);
	assert_int_equal(web.told, 0);
	assert_int_equal(logged("unanswered",
			     "message=06H0PK0E2J2OMQPA.1 from=a@b "
			     "rcpt=list@d route=app\n"),
	    1);
}

static void
freed_with_what_is_under_way(void **state)
{
	(void)state;
	for (int ms = 0; ms < 3; ms++) {
		answer(OK, PEER_STAY, 1000);
		http_rig_ask();
		if (ms)
			clock_pass(ms * 500);
		http_free(&web.carrier);
		clock_pass(120000);
		assert_int_equal(web.told, ms == 2);
	}
	/* cancelled in the same turn */
	answer(OK, PEER_STAY, 0);
	http_rig_ask();
	ask_cancel(&web.ask, ASK_ABANDON);
	http_free(&web.carrier);
	clock_pass(1);
	assert_int_equal(web.told, 0);
}

/* --- TLS --- */

static struct tls_client *
trust(const struct certify *c)
{
	struct tls_client_options o = {.verify = true, .file = "ca.pem"};
	struct tls_client *t;
	const char *fault;
	FILE *f = fopen(o.file, "w");

	assert_non_null(f);
	fwrite(c->chain.data, 1, c->chain.len, f);
	fclose(f);
	t = tls_client_new(&o, &fault);
	assert_non_null(t);
	unlink(o.file);
	return t;
}

static void
only_who_is_trusted(void **state)
{
	static const struct peer_turn script[] = {{NULL, NULL, PEER_TLS, 0},
	    {"END", OK, PEER_STAY, 0}, {0}};
	static const struct peer_turn *const scripts[] = {script};
	struct certify good, other;

	(void)state;
	certify(&good, "EC", "a.example.org", NULL);
	certify(&other, "EC", "b.example.org", NULL);
	web.route.to[0].tls = true;
	web.route.strict = trust(&good);
	http_rig_peer(scripts, 1, &good);
	http_rig_send();
	assert_told(FATE_TAKEN, "");
	assert_string_equal(http_rig_heard("webhook-id: "),
	    "06H0PK0E2J2OMQPA.1-d14c5ac8");
	http_rig_peer(scripts, 1, &other);
	http_rig_send();
	assert_told(FATE_DOWN, GONE);
	assert_string_equal(peer_heard(web.peer), "");
	http_free(&web.carrier);
	tls_client_free(&web.route.strict);
	/* trusted, but somebody else */
	web.route.strict = trust(&other);
	http_rig_peer(scripts, 1, &other);
	http_rig_send();
	assert_told(FATE_DOWN, GONE);
	assert_string_equal(peer_heard(web.peer), "");
	http_free(&web.carrier);
	tls_client_free(&web.route.strict);
	certify_free(&good);
	certify_free(&other);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, http_rig_setup, http_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_request),
	    TEST(a_signature),
	    TEST(a_body_as_on_the_wire),
	    TEST(a_body_in_a_file),
	    TEST(a_file_that_is_too_short),
	    TEST(each_answer),
	    TEST(endless_answers),
	    TEST(no_before_the_end_counts),
	    TEST(yes_before_the_end_is_nonsense),
	    TEST(an_end_before_the_end),
	    TEST(no_end_of_data_is_too_late),
	    TEST(a_connection_is_kept_for_a_while),
	    TEST(a_kept_connection_that_is_dead),
	    TEST(nobody_is_there),
	    TEST(it_comes_back),
	    TEST(silence),
	    TEST(nothing_to_send),
	    TEST(seen_by_its_text),
	    TEST(a_name_of_the_dns),
	    TEST(one_connection_for_all),
	    TEST(several_posts),
	    TEST(what_others_are_told),
	    TEST(cancelled_before_its_end),
	    TEST(cancelled_behind_its_end),
	    TEST(freed_with_what_is_under_way),
	    TEST(only_who_is_trusted),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	log_forget();
	return failed;
}

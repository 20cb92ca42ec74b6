/*
 * One address as the probe sees it, with a server that keeps to a script. Time
 * passes where the loop would wait, so that patience costs none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "certify.h"
#include "fake_clock.h"
#include "io/clock.h"
#include "peer.h"
#include "scratch.h"
#include "tools/probe_try.h"

#define NAME "mx.example.org"
#define HI   "220 " NAME " ESMTP ready\r\n"

static struct certify root, leaf;

struct world {
	struct loop loop;
	struct loop_event *idle; /* a loop without any would not wait */
	struct stream_pool pool;
	struct probe_options o;
	struct probe_target target;
	struct tls_client *tls, *old;
	struct peer *peer;
	struct arena arena;
	struct probe_result r;
	struct ask *ask;
	unsigned calls;
	char text[4096];
};

static void
never(void *ctx)
{
	(void)ctx;
	fail();
}

static void
open_world(struct world *w)
{
	static const struct tls_client_options looks = {.file = "root.pem"};
	static const struct tls_client_options old = {.old = true};
	FILE *f = fopen("root.pem", "w");
	const char *fault;

	*w = (struct world){0};
	assert_int_equal(fwrite(root.chain.data, root.chain.len, 1, f), 1);
	fclose(f);
	w->tls = tls_client_new(&looks, &fault);
	w->old = tls_client_new(&old, &fault);
	assert_true(w->tls && w->old);
	assert_int_equal(loop_init(&w->loop), 0);
	clock_stop(&w->loop, NULL);
	w->idle = loop_timer(&w->loop, never, NULL);
	loop_timer_set(w->idle, 1000000000);
	assert_int_equal(stream_pool_init(&w->pool, &w->loop), 0);
	w->o = (struct probe_options){.pool = &w->pool,
	    .tls = w->tls,
	    .old = w->old,
	    .helo = "me.example.net",
	    .connect = 10000,
	    .greeting = 30000,
	    .reply = 10000,
	    .handshake = 10000,
	    .nudge = 2000,
	    .quit = 1000,
	    .slow = 5000};
	w->target = (struct probe_target){.addr = ipaddr_v4(
					      (const uint8_t[]){127, 0, 0, 1}),
	    .host = NAME,
	    .where = "there"};
}

static void
close_world(struct world *w)
{
	assert_null(w->ask);
	peer_free(&w->peer);
	stream_pool_free(&w->pool);
	loop_event_free(&w->idle);
	loop_free(&w->loop);
	tls_client_free(&w->tls);
	tls_client_free(&w->old);
	arena_reset(&w->arena);
	clock_go();
}

static void
on_tried(void *ctx, struct probe_result *r)
{
	struct world *w = ctx;

	assert_ptr_equal(r, &w->r);
	w->ask = NULL;
	w->calls++;
}

static void
start(struct world *w)
{
	if (w->peer)
		w->target.port = peer_port(w->peer);
	w->ask = probe_try(&w->o, &w->target, &w->arena, &w->r, on_tried, w);
	assert_non_null(w->ask);
	assert_int_equal(w->calls, 0);
}

static void
finish(struct world *w)
{
	clock_pass(200000);
	assert_int_equal(w->calls, 1);
}

/* "40 refused", "25 starttls-broken (closed) 19 ...": what was found. */
static const char *
found(struct world *w)
{
	const struct probe_finding *f;
	char *p = w->text;

	*p = '\0';
	for (f = w->r.findings.first; f; f = f->next) {
		assert_string_equal(f->where, "there");
		p += sprintf(p, "%s%u %s", p > w->text ? " " : "",
		    probe_causes[f->cause].code, probe_causes[f->cause].name);
		if (f->detail)
			p += sprintf(p, " (%s)", f->detail);
	}
	return w->text;
}

/* "connect greeting(closed) ..." */
static const char *
steps(struct world *w)
{
	char *p = w->text;

	*p = '\0';
	for (unsigned i = 0; i < w->r.nsteps; i++) {
		const struct probe_step *s = &w->r.steps[i];

		p +=
		    sprintf(p, "%s%s", i ? " " : "", probe_step_names[s->name]);
		if (s->error)
			p += sprintf(p, "(%s)", s->error);
	}
	return w->text;
}

static int64_t
ms_of(const struct world *w, enum probe_step_name name)
{
	for (unsigned i = 0; i < w->r.nsteps; i++)
		if (w->r.steps[i].name == name)
			return w->r.steps[i].ms;
	return -1;
}

#define SCRIPT(...) ((const struct peer_turn[]){__VA_ARGS__, {0}})

static void
listen_for(struct world *w, const struct peer_turn *const *scripts, unsigned n,
    const struct certify *tls, int version)
{
	w->peer = peer_new(&w->loop, scripts, n, tls, version);
}

/* One server, one connection: what is found. */
static void
finds(const struct peer_turn *script, const char *want)
{
	struct world w;

	open_world(&w);
	listen_for(&w, &script, 1, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), want);
	close_world(&w);
}

/* --- what is good --- */

static const struct peer_turn good[] = {
    {NULL, HI, 0, 0},
    {"EHLO me.example.net", "250-" NAME "\r\n250-SIZE 100\r\n250 StartTLS\r\n",
	0, 0},
    {"STARTTLS", "220 Go\r\n", PEER_TLS, 0},
    {"EHLO me.example.net", "250-" NAME "\r\n250 AUTH PLAIN\r\n", 0, 0},
    {"QUIT", "221 Bye\r\n", PEER_CLOSE, 0},
    {0},
};

static void
all_is_well(void **state)
{
	const struct peer_turn *script = good;
	struct world w;

	(void)state;
	open_world(&w);
	listen_for(&w, &script, 1, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "");
	assert_string_equal(steps(&w),
	    "connect greeting ehlo starttls handshake ehlo-in-tls quit");
	assert_string_equal(peer_heard(w.peer),
	    "EHLO me.example.net\nSTARTTLS\nEHLO me.example.net\nQUIT\n");
	assert_true(w.r.greets && w.r.ready && w.r.secured && w.r.peered);
	assert_int_equal(w.r.code, 220);
	assert_true(span_equal(w.r.greeting, span_str(NAME " ESMTP ready")));
	assert_true(span_equal(w.r.name, span_str(NAME)));
	assert_int_equal(w.r.lines, 1);
	assert_int_equal(w.r.longest, sizeof(HI) - 1);
	assert_false(w.r.bare_lf);
	assert_string_equal(w.r.version, "TLSv1.3");
	assert_int_equal(w.r.nextensions, 1);
	assert_true(span_equal(w.r.extensions[0], span_str("AUTH PLAIN")));
	assert_int_equal(w.r.local.family, IP_V4);
	close_world(&w);
}

static void
tls_from_the_first_octet(void **state)
{
	const struct peer_turn *script = SCRIPT({NULL, NULL, PEER_TLS, 0},
	    {NULL, HI, 0, 0}, /* what it offers makes no sense there */
	    {"EHLO", "250-a\r\n250 STARTTLS\r\n", 0, 0});
	struct world w;

	(void)state;
	open_world(&w);
	w.target.tls = true;
	listen_for(&w, &script, 1, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "");
	assert_string_equal(steps(&w),
	    "connect handshake greeting ehlo quit(no answer in time)");
	assert_int_equal(ms_of(&w, PROBE_STEP_QUIT), 1000);
	assert_true(w.r.ready && w.r.peered);
	close_world(&w);
}

/* In one go, and an octet at a time. */
static void
replies_in_pieces(void **state)
{
	static const char text[] = HI "250-" NAME "\r\n250 SIZE\r\n221 Bye\r\n";
	struct peer_turn turns[sizeof(text)] = {{0}};
	const struct peer_turn *script = turns;
	static char octets[sizeof(text)][2];
	struct world w;

	(void)state;
	finds(SCRIPT({NULL, text, 0, 0}), "19 no-starttls");
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		octets[i][0] = text[i];
		turns[i] = (struct peer_turn){NULL, octets[i], 0, 10};
	}
	open_world(&w);
	listen_for(&w, &script, 1, NULL, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "19 no-starttls");
	assert_string_equal(steps(&w), "connect greeting ehlo quit");
	assert_int_equal(w.r.nextensions, 1);
	close_world(&w);
}

static void
only_so_deep(void **state)
{
	const struct peer_turn *script = good;
	struct world w;

	(void)state;
	open_world(&w);
	w.target.depth = PROBE_CONNECT;
	listen_for(&w, &script, 1, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(steps(&w), "connect");
	close_world(&w);
	open_world(&w);
	w.target.depth = PROBE_GREETING;
	listen_for(&w, &script, 1, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(steps(&w),
	    "connect greeting quit(no answer in time)");
	assert_string_equal(peer_heard(w.peer), "QUIT\n");
	assert_true(w.r.greets && !w.r.ready);
	close_world(&w);
}

static void
who_has_no_name(void **state)
{
	const struct peer_turn *script =
	    SCRIPT({NULL, HI, 0, 0}, {"EHLO", "500 What\r\n", 0, 0},
		{"HELO", "250-Hi\r\n250 STARTTLS\r\n", 0, 0});
	struct world w;

	(void)state;
	open_world(&w);
	w.o.helo = "";
	listen_for(&w, &script, 1, NULL, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "18 no-ehlo");
	assert_string_equal(peer_heard(w.peer),
	    "EHLO [127.0.0.1]\nHELO [127.0.0.1]\nQUIT\n");
	assert_true(w.r.ready);
	assert_int_equal(w.r.nextensions, 0);
	close_world(&w);
}

/* --- no connection --- */

static void
refused_or_silent(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	struct world w;
	int fd, other;

	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a.sin_port = 0;
		assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len),
		    0);
		other = socket(AF_INET, SOCK_STREAM, 0);
		if (silent) {
			listen(fd, 0);
			connect(other, (struct sockaddr *)&a, len);
		}
		open_world(&w);
		w.target.port = ntohs(a.sin_port);
		start(&w);
		finish(&w);
		assert_string_equal(found(&w),
		    silent ? "42 filtered" : "40 refused");
		assert_string_equal(steps(&w),
		    silent ? "connect(no answer in time)" : "connect(refused)");
		assert_int_equal(w.r.err, silent ? ETIMEDOUT : ECONNREFUSED);
		assert_int_equal(ms_of(&w, PROBE_STEP_CONNECT),
		    silent ? 10000 : 0);
		close_world(&w);
		close(fd);
		close(other);
	}
}

/* --- greetings --- */

static void
greetings(void **state)
{
	static const struct {
		struct peer_turn turn;
		const char *want;
	} all[] = {
	    {{NULL, NULL, PEER_RESET, 10}, "44 reset"},
	    {{NULL, NULL, PEER_CLOSE, 0}, "45 closed"},
	    {{NULL, "421 4.3.2 Full\r\n", PEER_CLOSE, 0},
		"49 busy (421 \"4.3.2 Full\")"},
	    {{NULL, "554-No\r\n554 \"\x1b[2J\r\n", 0, 0},
		"50 denied (554 \"No\")"},
	    {{NULL, "450 \x1b[2J\r\n", 0, 0}, "51 odd-code (450 \"\\x1b[2J\")"},
	    {{NULL, "220-a\r\n250 b\r\n", 0, 0},
		"48 greeting-broken (the code changes)"},
	    {{NULL, "Hello there\r\n", 0, 0},
		"48 greeting-broken (it says \"Hello there\\r\\n\")"},
	    {{NULL, "220 a", 0, 0},
		"48 greeting-broken (it does not end: \"220 a\")"},
	    {{NULL, "220 a", PEER_CLOSE, 0},
		"48 greeting-broken (it ends early: \"220 a\")"},
	    {{NULL, "HTTP/1.1 400 Bad Request\r\n", PEER_CLOSE, 0},
		"47 not-smtp (it speaks HTTP)"},
	    {{NULL, "<html>\r\n", 0, 0}, "47 not-smtp (it speaks HTTP or XML)"},
	    {{NULL, "SSH-2.0-OpenSSH_9.2\r\n", 0, 0},
		"47 not-smtp (it speaks SSH)"},
	    {{NULL, "+OK", 0, 0}, "47 not-smtp (it speaks POP3)"},
	    {{NULL, "* OK IMAP4rev1\r\n", 0, 0},
		"47 not-smtp (it speaks IMAP)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		finds(SCRIPT(all[i].turn), all[i].want);
	/* how it begins says what it is, and nothing later */
	finds(SCRIPT({NULL, "220-a\r\n", 0, 0}, {NULL, "SSH-2.0\r\n", 0, 10}),
	    "48 greeting-broken (a line without a code of a reply)");
}

/* OpenSSL hangs up at what is no TLS, and says nothing. */
static void
silence_of_tls(void **state)
{
	const struct peer_turn *both[] = {SCRIPT({"QUIT", NULL, PEER_CLOSE, 0}),
	    SCRIPT({NULL, NULL, PEER_TLS, 0}, {0})};
	const struct peer_turn *within[] = {SCRIPT({NULL, NULL, PEER_TLS, 0},
						{"QUIT", NULL, PEER_CLOSE, 0}),
	    both[1]};
	struct world w;

	(void)state;
	open_world(&w);
	listen_for(&w, both, 2, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w),
	    "47 not-smtp (it speaks TLS: use --tls)");
	assert_string_equal(steps(&w),
	    "connect greeting(no answer in time) quit-to-silent(closed) "
	    "tls-to-silent");
	assert_false(w.r.secured);
	close_world(&w);
	open_world(&w);
	w.target.tls = true;
	listen_for(&w, within, 2, &leaf, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "46 silent");
	assert_int_equal(peer_connections(w.peer), 1);
	close_world(&w);
}

static void
silence(void **state)
{
	struct world w;
	const struct peer_turn *script = SCRIPT({0});

	(void)state;
	open_world(&w);
	listen_for(&w, &script, 1, NULL, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), "46 silent");
	assert_string_equal(steps(&w), "connect greeting(no answer in time) "
				       "quit-to-silent(no answer in time)");
	assert_int_equal(ms_of(&w, PROBE_STEP_GREETING), 30000);
	assert_int_equal(ms_of(&w, PROBE_STEP_NUDGE), 2000);
	assert_string_equal(peer_heard(w.peer), "QUIT\n");
	close_world(&w);
	finds(SCRIPT({"QUIT", NULL, PEER_CLOSE, 0}), "46 silent");
	finds(SCRIPT({"QUIT", NULL, PEER_RESET, 0}), "46 silent");
	finds(SCRIPT({"QUIT", "\x15\3\1", PEER_CLOSE, 0}),
	    "47 not-smtp (it speaks TLS: use --tls)");
	finds(SCRIPT({"QUIT", "HTTP/1.1 400 Bad Request\r\n", 0, 0}),
	    "47 not-smtp (it speaks HTTP)");
	finds(SCRIPT({NULL, HI, 0, 31000}),
	    "46 silent (it greets, but later: see --wait)");
	finds(SCRIPT({"QUIT", "421 Too slow\r\n", PEER_CLOSE, 0}),
	    "49 busy (421 \"Too slow\")");
}

static void
a_slow_one(void **state)
{
	(void)state;
	finds(SCRIPT({NULL, HI, 0, 5000}, {"EHLO", "250 Hi\r\n", 0, 0}),
	    "19 no-starttls");
	finds(SCRIPT({NULL, HI, 0, 7300}, {"EHLO", "250 Hi\r\n", 0, 0}),
	    "16 slow (after 7.3 s) 19 no-starttls");
}

/* Said beside the greeting, and no finding. */
static void
quirks(void **state)
{
	const struct peer_turn *script =
	    SCRIPT({NULL, "220-a b\n220 c\n", 0, 0},
		{"EHLO", "250 STARTTLS\r\n", 0, 0});
	struct world w;

	(void)state;
	open_world(&w);
	listen_for(&w, &script, 1, NULL, 0);
	start(&w);
	finish(&w);
	assert_true(w.r.bare_lf);
	assert_int_equal(w.r.lines, 2);
	assert_true(span_equal(w.r.name, span_str("a")));
	/* the first line of an answer names the server, whatever it is */
	assert_string_equal(found(&w), "19 no-starttls");
	close_world(&w);
}

/* --- EHLO --- */

static void
hellos(void **state)
{
	static const struct {
		struct peer_turn turns[2];
		const char *want;
	} all[] = {
	    {{{"EHLO", NULL, PEER_CLOSE, 0}}, "52 ehlo-closed (closed)"},
	    {{{"EHLO", NULL, PEER_RESET, 0}}, "52 ehlo-closed (reset)"},
	    {{{"EHLO", NULL, 0, 11000}}, "52 ehlo-closed (no answer in time)"},
	    {{{"EHLO", "what\r\n", 0, 0}},
		"53 ehlo-refused (a line without a code of a reply)"},
	    {{{"EHLO", "421 Bye\r\n", PEER_CLOSE, 0}},
		"49 busy (EHLO: 421 \"Bye\")"},
	    {{{"EHLO", "450 Later\r\n", 0, 0}},
		"53 ehlo-refused (EHLO: 450 \"Later\")"},
	    {{{"EHLO", "502 What\r\n", 0, 0}, {"HELO", "550 No\r\n", 0, 0}},
		"53 ehlo-refused (HELO: 550 \"No\")"},
	    {{{"EHLO", "502 What\r\n", 0, 0}, {"HELO", NULL, PEER_CLOSE, 0}},
		"52 ehlo-closed (closed)"},
	    {{{"EHLO", "502 What\r\n", 0, 0}, {"HELO", "250 Hi\r\n", 0, 0}},
		"18 no-ehlo"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		finds(SCRIPT({NULL, HI, 0, 0}, all[i].turns[0],
			  all[i].turns[1]),
		    all[i].want);
	finds(SCRIPT({NULL, "220 **2******0*\r\n", 0, 0},
		  {"EHLO", "500 What\r\n", 0, 0}, {"HELO", "250 Hi\r\n", 0, 0}),
	    "18 no-ehlo (its greeting is asterisks: a firewall's fixup)");
}

/* --- STARTTLS --- */

/* clang-format off */
#define OFFER {NULL, HI, 0, 0}, {"EHLO", "250-a\r\n250 STARTTLS\r\n", 0, 0}
/* clang-format on */

static void
starttls(void **state)
{
	static const struct {
		struct peer_turn turns[2];
		const char *want;
	} all[] = {
	    {{{"STARTTLS", "454 \"No\"\r\n", 0, 0}},
		"25 starttls-broken (454 \"\\\"No\\\"\")"},
	    {{{"STARTTLS", NULL, PEER_CLOSE, 0}},
		"25 starttls-broken (closed)"},
	    {{{"STARTTLS", NULL, 0, 11000}},
		"25 starttls-broken (no answer in time)"},
	    {{{"STARTTLS", "220 Go\r\n250 x\r\n", 0, 0}},
		"25 starttls-broken (octets behind its 220)"},
	    {{{"STARTTLS", "220 Go\r\n", 0, 0}, {NULL, "hi\r\n", 0, 50}},
		"25 starttls-broken (it answers in clear: \"hi\\r\\n\")"},
	    /* it has greeted, so it is SMTP */
	    {{{"STARTTLS", "220 Go\r\n", 0, 0}, {NULL, "<x>", 0, 50}},
		"25 starttls-broken (it answers in clear: \"<x>\")"},
	    {{{"STARTTLS", "220 Go\r\n", 0, 0}},
		"25 starttls-broken (no answer in time)"},
	    {{{"STARTTLS", "220 Go\r\n", PEER_TLS, 0},
		 {"EHLO", "554 No\r\n", 0, 0}},
		"25 starttls-broken (EHLO within TLS: 554 \"No\")"},
	    {{{"STARTTLS", "220 Go\r\n", PEER_TLS, 0},
		 {"EHLO", NULL, PEER_CLOSE, 0}},
		"25 starttls-broken (closed)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		finds(SCRIPT(OFFER, all[i].turns[0], all[i].turns[1]),
		    all[i].want);
}

/* The second try, and that it is silent about all else. */
static void
old_tls(void **state)
{
	const struct peer_turn *both[] = {good,
	    SCRIPT({NULL, HI, 0, 9000},
		{"EHLO", "250-a\r\n250 STARTTLS\r\n", 0, 0},
		{"STARTTLS", "220 Go\r\n", PEER_TLS, 0})};
	const struct peer_turn *once[] = {good,
	    SCRIPT({NULL, "421 Once is enough\r\n", PEER_CLOSE, 0})};
	struct world w;

	(void)state;
	open_world(&w);
	listen_for(&w, both, 2, &leaf, TLS1_VERSION);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w),
	    "25 starttls-broken (nothing newer is spoken there than "
	    "\"TLSv1\")");
	assert_string_equal(steps(&w),
	    "connect greeting ehlo starttls "
	    "handshake(tlsv1 alert protocol version) old-tls");
	assert_int_equal(ms_of(&w, PROBE_STEP_OLD_TLS), 9000);
	assert_string_equal(w.r.old_version, "TLSv1");
	assert_true(w.r.ready && !w.r.secured);
	assert_int_equal(peer_connections(w.peer), 2);
	close_world(&w);
	open_world(&w);
	listen_for(&w, once, 2, &leaf, TLS1_VERSION);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w),
	    "25 starttls-broken (tlsv1 alert protocol version)");
	assert_null(w.r.old_version);
	assert_true(w.r.ready);
	assert_int_equal(w.r.code, 220);
	close_world(&w);
}

/* --- where TLS is the transport --- */

static void
no_transport(void **state)
{
	static const struct {
		struct peer_turn turn;
		const char *want;
		unsigned connections;
	} all[] = {
	    {{NULL, HI, 0, 0},
		"54 tls-failed (it answers in clear: "
		"\"220 mx.example.org ESMTP ready\\r\\n\")",
		1},
	    {{NULL, "SSH-2.0-x\r\n", 0, 0}, "47 not-smtp (it speaks SSH)", 1},
	    {{NULL, NULL, PEER_CLOSE, 20}, "54 tls-failed (closed)", 2},
	    {{NULL, "\x15\3\3", PEER_CLOSE, 20}, "54 tls-failed (closed)", 2},
	    {{NULL, NULL, 0, 20000}, "54 tls-failed (no answer in time)", 1},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct peer_turn *script = SCRIPT(all[i].turn);

		open_world(&w);
		w.target.tls = true;
		listen_for(&w, &script, 1, NULL, 0);
		start(&w);
		finish(&w);
		assert_string_equal(found(&w), all[i].want);
		assert_int_equal(peer_connections(w.peer), all[i].connections);
		close_world(&w);
	}
}

/* --- certificates --- */

static void
shows(const struct certify *c, const char *host, int64_t now, const char *want)
{
	const struct peer_turn *script = good;
	struct world w;

	open_world(&w);
	w.target.host = host;
	w.target.now = now;
	listen_for(&w, &script, 1, c, 0);
	start(&w);
	finish(&w);
	assert_string_equal(found(&w), want);
	assert_true(w.r.ready);
	assert_string_equal(steps(&w),
	    "connect greeting ehlo starttls handshake ehlo-in-tls quit");
	close_world(&w);
}

static void
certificates(void **state)
{
	static const char names[] = "a.example,b.example,c.example,d.example,"
				    "e.example,f.example";
	struct certify other, self, many;
	char want[400], date[16];
	time_t now = time(NULL), end = now + 90l * 86400;

	(void)state;
	certify(&other, "EC", "Other", NULL);
	certify(&self, "EC", NAME, &other);
	shows(&self, NAME, 0,
	    "20 cert-untrusted (an intermediate one is missing)");
	certify_free(&self);
	certify(&self, "EC", NAME, NULL);
	shows(&self, NAME, 0, "21 cert-self-signed");
	certify(&many, "EC", names, &root);
	shows(&many, NAME, 0,
	    "23 cert-wrong-name (it covers \"a.example\", \"b.example\", "
	    "\"c.example\", \"d.example\", \"e.example\", ...)");
	shows(&many, NULL, 0, "");
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&end));
	snprintf(want, sizeof(want), "22 cert-expired (%s)", date);
	shows(&leaf, NAME, now + 100l * 86400, want);
	now -= 3600;
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
	snprintf(want, sizeof(want), "22 cert-not-yet (%s)", date);
	shows(&leaf, NAME, now - 86400, want);
	assert_true(X509_sign(leaf.cert, root.private, EVP_sha1()) > 0);
	shows(&leaf, NAME, 0,
	    "24 weak-tls (EC with 256 bits, signed with SHA1)");
	assert_true(X509_sign(leaf.cert, root.private, EVP_sha256()) > 0);
	certify_free(&other);
	certify_free(&self);
	certify_free(&many);
}

/* --- cancelled, wherever it is --- */

static void
cancelled(void **state)
{
	const struct peer_turn slow[] = {
	    {NULL, HI, 0, 1000},
	    {"EHLO", "250-a\r\n250 STARTTLS\r\n", 0, 1000},
	    {"STARTTLS", "220 Go\r\n", PEER_TLS, 1000},
	    {"EHLO", "250 a\r\n", 0, 1000},
	    {"QUIT", "221 Bye\r\n", PEER_CLOSE, 900},
	    {0},
	};
	const struct peer_turn *script = slow;
	struct world w;

	(void)state;
	for (int ms = 0; ms < 11; ms++) {
		open_world(&w);
		listen_for(&w, &script, 1, &leaf,
		    ms % 2 ? TLS1_VERSION : TLS1_3_VERSION);
		start(&w);
		if (ms)
			clock_pass(500 * ms);
		if (w.calls)
			w.ask = NULL;
		w.calls = 0;
		ask_cancel(&w.ask, ASK_ABANDON);
		clock_pass(100000);
		assert_int_equal(w.calls, 0);
		close_world(&w);
	}
}

static int
make_certificates(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	certify(&root, "EC", "Root", NULL);
	certify(&leaf, "EC", NAME, &root);
	return 0;
}

static int
free_certificates(void **state)
{
	(void)state;
	certify_free(&root);
	certify_free(&leaf);
	return 0;
}

int
main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(all_is_well),
	    TEST(tls_from_the_first_octet),
	    TEST(replies_in_pieces),
	    TEST(only_so_deep),
	    TEST(who_has_no_name),
	    TEST(refused_or_silent),
	    TEST(greetings),
	    TEST(silence_of_tls),
	    TEST(silence),
	    TEST(a_slow_one),
	    TEST(quirks),
	    TEST(hellos),
	    TEST(starttls),
	    TEST(old_tls),
	    TEST(no_transport),
	    TEST(certificates),
	    TEST(cancelled),
	};

	return cmocka_run_group_tests(tests, make_certificates,
	    free_certificates);
}

/*
 * A message on its way through milters that keep to the protocol, and through
 * those that do not: all that they can do is what when-down says.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/jobs.h"
#include "io/loop.h"
#include "io/neighbour.h"
#include "io/resolve.h"
#include "io/shared.h"
#include "io/stream.h"
#include "liar.h"
#include "log_catch.h"
#include "mill.h"
#include "policy/filter.h"
#include "proto/envelope.h"

#define ASKS 20
#define MESSAGE                                                                \
	"From: a@b\n"                                                          \
	"Subject:  two\n"                                                      \
	"\tlines\n"                                                            \
	"\n"                                                                   \
	"one\n"                                                                \
	"two"

static struct rig {
	struct loop loop;
	struct loop_event *idle;
	struct stream_pool pool;
	struct jobs *jobs;
	struct shared *shared;
	struct resolve *resolve;
	struct liar *liar;
	struct ipaddr local;
	struct filter_config confs[2];
	struct filters_config conf;
	struct filters *filters;
	struct mill *mills[2];
	struct envelope env;
	struct envelope_rcpt second;
	struct filter_message message;
	struct asked {
		struct ask *ask;
		unsigned told;
		int64_t when;
		struct filter_result r;
		char reply[600], header[4096], above[4096];
	} asked[ASKS];
	unsigned n;
	int64_t begun;
} rig;

static bool
busy(void)
{
	static unsigned n;

	/* a resolver answers in its own time, too */
	return jobs_pending(rig.jobs) > 0 ||
	       (rig.resolve && (liar_busy() || ++n % 8));
}

static void
never(void *ctx)
{
	(void)ctx;
	fail();
}

static int
setup(void **state)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1},
			     client[4] = {192, 0, 2, 1};
	static const char *const names[] = {"mx.example.org"};

	(void)state;
	rig = (struct rig){.local = ipaddr_v4(loopback)};
	assert_int_equal(loop_init(&rig.loop), 0);
	clock_stop(&rig.loop, busy);
	rig.begun = clock_now();
	rig.idle = loop_timer(&rig.loop, never, NULL);
	loop_timer_set(rig.idle, 1000000000);
	stream_pool_init(&rig.pool, &rig.loop);
	rig.jobs = jobs_new(&rig.loop, 1);
	rig.shared = shared_new();
	for (unsigned i = 0; i < 2; i++)
		rig.confs[i] =
		    (struct filter_config){.name = i ? "second" : "first",
			.check = i ? "milter \"second\"" : "milter \"first\"",
			.socket = "127.0.0.1:1",
			.at = {"smtpd.conf", 7 + i},
			.host = "127.0.0.1",
			.addrs = &rig.local,
			.naddrs = 1,
			.when_down = FILTER_DEFER,
			.timeout = 30000,
			.connections = 50};
	rig.conf = (struct filters_config){.all = rig.confs,
	    .hostname = "host.example.org",
	    .names = names,
	    .nnames = 1};
	strcpy(rig.env.session, "06H0SESSION");
	rig.env.serial = 3;
	rig.env.client = ipaddr_v4(client);
	rig.env.port = 1025;
	envelope_set_helo(&rig.env, SPAN_LIT("client.example.com"), true);
	rig.env.sender = (struct smtp_path){.local = "a", .domain = "b"};
	rig.env.size = 50;
	envelope_add_rcpt(&rig.env,
	    &(struct smtp_path){.local = "x y", .domain = "example.org"});
	envelope_add_rcpt(&rig.env,
	    &(struct smtp_path){.local = "postmaster", .domain = ""});
	rig.message = (struct filter_message){.env = &rig.env,
	    .body = {-1, 0, 0, SPAN_LIT(MESSAGE)},
	    .hostname = "mx.example.org",
	    .port = 25,
	    .until = clock_now() + 100000};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < rig.n; i++)
		ask_cancel(&rig.asked[i].ask, ASK_ABANDON);
	clock_pass(0);
	filters_free(&rig.filters);
	resolve_free(&rig.resolve);
	if (rig.liar)
		liar_free(&rig.liar);
	mill_free(&rig.mills[0]);
	mill_free(&rig.mills[1]);
	envelope_free(&rig.env);
	jobs_free(&rig.jobs);
	stream_pool_free(&rig.pool);
	loop_event_free(&rig.idle);
	loop_free(&rig.loop);
	clock_go();
	log_forget();
	return 0;
}

/* --- what is done --- */

static struct mill *
serve(const struct mill_turn *turns, bool quick)
{
	struct mill *m = mill_new(&rig.loop, turns, quick);

	rig.mills[rig.conf.n] = m;
	rig.confs[rig.conf.n++].port = mill_port(m);
	return m;
}

#define TURNS(...) ((const struct mill_turn[]){__VA_ARGS__, {0}})

static void
open_filters(void)
{
	const struct filter_services s = {.loop = &rig.loop,
	    .pool = &rig.pool,
	    .jobs = rig.jobs,
	    .resolve = rig.resolve,
	    .shared = rig.shared,
	    .slot = 1};

	rig.filters = filters_new(&rig.conf, &s);
}

static void
copy(char *to, size_t size, const struct buf *from)
{
	snprintf(to, size, "%.*s", (int)from->len, from->len ? from->data : "");
}

static void
on_answer(void *ctx, const struct filter_result *r)
{
	struct asked *a = ctx;

	a->ask = NULL;
	a->told++;
	a->r = *r;
	a->when = clock_now() - rig.begun;
	if (r->v.kind)
		snprintf(a->reply, sizeof(a->reply), "%u %s %s", r->v.code,
		    r->v.status ? r->v.status : "-", r->v.text);
	copy(a->header, sizeof(a->header), &r->header);
	copy(a->above, sizeof(a->above), &r->above);
}

static struct asked *
ask(void)
{
	struct asked *a = &rig.asked[rig.n++];

	if (!rig.filters)
		open_filters();
	a->ask = filter_start(rig.filters, &rig.message, on_answer, a);
	assert_int_equal(a->told, 0);
	return a;
}

/* And what comes of it without any time. */
static struct asked *
asked(void)
{
	struct asked *a = ask();

	clock_pass(0);
	return a;
}

static struct asked *
one(const struct mill_turn *turns)
{
	serve(turns, false);
	return asked();
}

static void
passed(const struct asked *a)
{
	assert_int_equal(a->told, 1);
	assert_int_equal(a->r.v.kind, VERDICT_PASS);
	assert_false(a->r.discard);
}

#define DOWN "451 4.7.1 A filter is not there, try later"

static void
is(const struct asked *a, const char *reply)
{
	assert_int_equal(a->told, 1);
	assert_string_equal(a->reply, reply);
	assert_int_equal(a->r.v.kind,
	    *reply == '4' ? VERDICT_DEFER : VERDICT_REJECT);
	assert_false(a->r.edited);
}

/* With this reason. */
static void
is_down(const struct asked *a, const char *why)
{
	is(a, DOWN);
	assert_string_equal(a->r.v.value, why);
	assert_int_equal(a->r.v.at.line, 7);
	assert_string_equal(a->r.by->name, "first");
}

/* --- good ones --- */

static const char all_of_it[] =
    "O|||\6|||\x31|\x1f\xf7\xff\n"
    "DCj|host.example.org|{daemon_name}|mx.example.org|{daemon_port}|25|"
    "{client_addr}|192.0.2.1|{client_port}|1025|{client_name}|unknown|"
    "{client_ptr}|unknown|v|smtpd " SMTPD_VERSION "|\n"
    "Cunknown|4\4\1"
    "192.0.2.1|\n"
    "Hclient.example.com|\n"
    "DMi|06H0SESSION.3|{mail_addr}|a@b|{mail_host}|b|\n"
    "M<a@b>|SIZE=50|\n"
    "DR{rcpt_addr}|\"x y\"@example.org|{rcpt_host}|example.org|\n"
    "R<\"x y\"@example.org>|\n"
    "DR{rcpt_addr}|postmaster|\n"
    "R<postmaster>|\n"
    "DTi|06H0SESSION.3|\n"
    "T\n"
    "LFrom|a@b|\n"
    "LSubject| two\n\tlines|\n"
    "DNi|06H0SESSION.3|\n"
    "N\n"
    "B\n"
    "DEi|06H0SESSION.3|\n"
    "E\n"
    "Q\n";

static void
is_told_all(void **state)
{
	struct asked *a;

	(void)state;
	for (int quick = 0; quick < 2; quick++) {
		serve(NULL, quick);
		a = asked();
		passed(a);
		assert_false(a->r.edited);
		assert_string_equal(mill_heard(rig.mills[0]), all_of_it);
		assert_true(span_equal(mill_body(rig.mills[0]),
		    SPAN_LIT("one\r\ntwo\r\n")));
		mill_free(&rig.mills[0]);
		filters_free(&rig.filters);
		rig.conf.n = 0;
	}
}

static void
is_told_what_it_wants(void **state)
{
	(void)state;
	/* no connect, helo, rcpt, body, header, end of it, data; with blanks */
	passed(one(TURNS({'O', MILL_AGREE("\1", "\0\x10\x02\x7b"), 0, 0, 0})));
	assert_null(strstr(mill_heard(rig.mills[0]), "\nC"));
	assert_null(strstr(mill_heard(rig.mills[0]), "\nR"));
	assert_null(strstr(mill_heard(rig.mills[0]), "\nL"));
	assert_null(strstr(mill_heard(rig.mills[0]), "\nB"));
	assert_non_null(strstr(mill_heard(rig.mills[0]), "\nM<a@b>"));
	assert_non_null(strstr(mill_heard(rig.mills[0]), "\nE\nQ\n"));
}

static void
large_bodies(void **state)
{
	struct buf body = {0};
	int fd = memfd_create("body", MFD_CLOEXEC);

	(void)state;
	buf_append_str(&body, "A: b\n\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(&body, "line %d\n", i);
	assert_int_equal(write(fd, body.data, body.len), body.len);
	rig.message.body =
	    (struct spool_content){fd, 0, body.len, SPAN_LIT("tail\n")};
	serve(NULL, true);
	passed(asked());
	assert_int_equal(mill_body(rig.mills[0]).len,
	    body.len - 6 + 100000 + 6);
	assert_memory_equal(mill_body(rig.mills[0]).ptr, "line 0\r\n", 8);
	/* or not all of it */
	mill_free(&rig.mills[0]);
	filters_free(&rig.filters);
	rig.conf.n = 0;
	passed(one(TURNS({'O', MILL_AGREE("\1", "\0\0\4\0"), 0, 0, 0},
	    {'B', SPAN_LIT("\0\0\0\1s"), 0, 0, 2})));
	assert_true(mill_body(rig.mills[0]).len <= 4 * 65535);
	buf_free(&body);
	close(fd);
}

static void
verdicts(void **state)
{
	static const struct {
		struct span say;
		const char *reply; /* NULL: it passes */
	} all[] = {
	    {SPAN_LIT("\0\0\0\1a"), NULL},
	    {SPAN_LIT("\0\0\0\1r"), "550 5.7.1 A filter refuses this message"},
	    {SPAN_LIT("\0\0\0\1t"),
		"451 4.7.1 A filter says to try again later"},
	    {SPAN_LIT("\0\0\0\0014"), "421 4.7.1 A filter ends this session"},
	    {SPAN_LIT("\0\0\0\1f"), "421 4.7.1 A filter ends this session"},
	    {SPAN_LIT("\0\0\0\x13y554 5.7.1 Is spam\0"), "554 5.7.1 Is spam"},
	    {SPAN_LIT("\0\0\0\7y450 \0\0"), DOWN},
	    {SPAN_LIT("\0\0\0\5y450\0"), "450 - A filter refuses this message"},
	};
	static const char commands[] = "CHMRTLNBE";
	struct asked *a;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const char *c = commands; *c; c++) {
			rig.n = 0;
			rig.asked[0] = (struct asked){.told = 0};
			a = one(TURNS({*c, all[i].say, 0, 0, 0}));
			if (all[i].reply)
				is(a, all[i].reply);
			else
				passed(a);
			mill_free(&rig.mills[0]);
			filters_free(&rig.filters);
			rig.conf.n = 0;
		}
}

static void
discard(void **state)
{
	struct asked *a = one(TURNS({'M', SPAN_LIT("\0\0\0\1d"), 0, 0, 0}));

	(void)state;
	assert_int_equal(a->told, 1);
	assert_true(a->r.discard && !a->r.edited && !a->r.v.kind);
	assert_string_equal(a->r.by->name, "first");
}

/* --- edits --- */

#define EDITS                                                                  \
	"\0\0\0\x0bhX-Spam\0no\0"                                              \
	"\0\0\0\x0di\0\0\0\0A-R\0x;y\0"                                        \
	"\0\0\0\x0ci\0\0\0\1One\0 1\0"                                         \
	"\0\0\0\x0fm\0\0\0\1Subject\0 \0"

static void
edits(void **state)
{
	struct asked *a =
	    one(TURNS({'E', SPAN_LIT(EDITS MILL_CONTINUE), 0, 0, 0}));

	(void)state;
	passed(a);
	assert_true(a->r.edited);
	assert_int_equal(a->r.edits, 4);
	assert_int_equal(a->r.head, strlen(MESSAGE) - 7);
	assert_string_equal(a->above, "A-R: x;y\n");
	assert_string_equal(a->header,
	    "One: 1\nFrom: a@b\nSubject: \nX-Spam: no\n");
}

/* The second one sees what the first one did, and has its own say. */
static void
a_chain(void **state)
{
	struct asked *a;

	(void)state;
	serve(TURNS({'E', SPAN_LIT(EDITS MILL_CONTINUE), 0, 0, 0}), false);
	serve(TURNS({'E',
		  SPAN_LIT("\0\0\0\x0dm\0\0\0\1From\0 z\0"
			   "\0\0\0\1a"),
		  0, 0, 0}),
	    true);
	a = asked();
	passed(a);
	assert_non_null(strstr(mill_heard(rig.mills[1]),
	    "LA-R|x;y|\nLOne|1|\nLFrom|a@b|\nLSubject||\nLX-Spam|no|\nDN"));
	assert_string_equal(a->header,
	    "One: 1\nFrom: z\nSubject: \nX-Spam: no\n");
	assert_string_equal(a->above, "A-R: x;y\n");
	assert_int_equal(a->r.edits, 5);
}

/* Of whose edits one is not possible: what the first one did stays. */
static void
a_bad_second(void **state)
{
	struct asked *a;

	(void)state;
	rig.confs[1].when_down = FILTER_ACCEPT;
	serve(TURNS({'E', SPAN_LIT(EDITS MILL_CONTINUE), 0, 0, 0}), false);
	serve(TURNS({'E',
		  SPAN_LIT("\0\0\0\x0dm\0\0\0\1From\0 z\0"
			   "\0\0\0\x0bhX-Spam\0ye\0"
			   "\0\0\0\x0ai\0\0\0\0X\0 b\0"
			   "\0\0\0\6hA B\0\0" MILL_CONTINUE),
		  0, 0, 0}),
	    false);
	a = asked();
	passed(a);
	assert_int_equal(a->r.unseen, 1);
	assert_int_equal(a->r.edits, 4);
	assert_string_equal(a->above, "A-R: x;y\n");
	assert_string_equal(a->header,
	    "One: 1\nFrom: a@b\nSubject: \nX-Spam: no\n");
}

/* Who comes first ends it. */
static void
the_first_no(void **state)
{
	(void)state;
	serve(TURNS({'H', SPAN_LIT("\0\0\0\1r"), 0, 0, 0}), false);
	serve(NULL, false);
	is(asked(), "550 5.7.1 A filter refuses this message");
	assert_int_equal(mill_connections(rig.mills[1]), 0);
}

static void
roles(void **state)
{
	(void)state;
	rig.confs[0].role = FILTER_SUBMISSION;
	rig.confs[1].role = FILTER_MX;
	serve(NULL, false);
	serve(NULL, false);
	passed(asked());
	assert_int_equal(mill_connections(rig.mills[0]), 0);
	assert_int_equal(mill_connections(rig.mills[1]), 1);
	rig.message.submission = true;
	passed(asked());
	assert_int_equal(mill_connections(rig.mills[0]), 1);
	assert_int_equal(mill_connections(rig.mills[1]), 1);
	rig.confs[0].role = FILTER_MX;
	assert_false(filters_want(rig.filters, true));
	assert_true(filters_want(rig.filters, false));
	assert_false(filters_want(NULL, false));
}

static void
observed(void **state)
{
	struct asked *a;

	(void)state;
	rig.confs[0].observe = rig.confs[1].observe = true;
	serve(TURNS({'E', SPAN_LIT("\0\0\0\x13y554 5.7.1 Is spam\0"), 0, 0, 0}),
	    false);
	serve(TURNS({'E', SPAN_LIT(EDITS MILL_CONTINUE), 0, 0, 0}), false);
	a = asked();
	passed(a);
	assert_false(a->r.edited);
	assert_int_equal(logged("observed",
			     "message=06H0SESSION.3 client=192.0.2.1 "
			     "check=milter \"first\" reply=554 5.7.1 Is spam"),
	    1);
}

/* --- bad ones --- */

#define SAYS(c, s) TURNS({(c), SPAN_LIT(s), 0, 0, 0})

static void
lies(void **state)
{
	static const struct {
		char hear;
		struct span say;
		const char *why;
	} all[] = {
	    {'O', SPAN_LIT(MILL_CONTINUE), "no such protocol"},
	    {'O', SPAN_LIT("\0\0\0\x0dO\0\0\0\7\0\0\0\0\0\0\0\0"),
		"no such protocol"},
	    {'O', SPAN_LIT("\0\0\0\5O\0\0\0\6"), "no such protocol"},
	    {'M', SPAN_LIT("\0\0\0\0"), "a packet that is none"},
	    {'M', SPAN_LIT("\xff\xff\xff\xffy"), "a packet that is none"},
	    {'M', SPAN_LIT("\0\0\0\1z"), "an answer that makes no sense"},
	    {'M', SPAN_LIT("\0\0\0\6+<a@b>"), "an answer that makes no sense"},
	    {'E', SPAN_LIT("\0\0\0\2b!"), "an answer that makes no sense"},
	    {'E', SPAN_LIT("\0\0\0\2q!"), "an answer that makes no sense"},
	    {'M', SPAN_LIT("\0\0\0\1s"), "nothing to skip"},
	    {'B', SPAN_LIT("\0\0\0\1s"), "nothing to skip"},
	    {'D', SPAN_LIT(MILL_CONTINUE), "an answer to nothing"},
	    {'M', SPAN_LIT(EDITS MILL_CONTINUE),
		"an edit before the end of the message"},
	    {'E', SPAN_LIT("\0\0\0\3hX\0"), "an edit that is none"},
	    {'E', SPAN_LIT(EDITS "\0\0\0\6hA B\0\0" MILL_CONTINUE),
		"an edit that is not possible"},
	    {'E', SPAN_LIT(EDITS "\0\0\0\6hA\0b\r\0" MILL_CONTINUE),
		"an edit that is not possible"},
	    {'M', SPAN_LIT("\0\0\0\7y250 ok"), "a reply that is none"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		rig.n = 0;
		rig.asked[0] = (struct asked){.told = 0};
		is_down(one(TURNS({all[i].hear, all[i].say, 0, 0, 0})),
		    all[i].why);
		mill_free(&rig.mills[0]);
		filters_free(&rig.filters);
		rig.conf.n = 0;
	}
}

static void
edits_without_agreement(void **state)
{
	(void)state;
	is_down(one(TURNS({'O', MILL_AGREE("\1", "\0\0\0\0"), 0, 0, 0},
		    {'E', SPAN_LIT(EDITS MILL_CONTINUE), 0, 0, 0})),
	    "an edit that was not agreed on");
}

/* Wherever it goes away, and also in the middle of its edits. */
static void
dies(void **state)
{
	static const char commands[] = "ODCHMRTLNBE";
	static const char ends[] = EDITS MILL_CONTINUE;

	(void)state;
	for (const char *c = commands; *c; c++) {
		rig.n = 0;
		rig.asked[0] = (struct asked){.told = 0};
		is_down(one(TURNS({*c, {"", 0}, true, 0, 0})), "it went away");
		mill_free(&rig.mills[0]);
		filters_free(&rig.filters);
		rig.conf.n = 0;
	}
	for (size_t n = 0; n < sizeof(ends) - 1; n++) {
		rig.n = 0;
		rig.asked[0] = (struct asked){.told = 0};
		is_down(one(TURNS({'E', {ends, n}, true, 0, 0})),
		    "it went away");
		mill_free(&rig.mills[0]);
		filters_free(&rig.filters);
		rig.conf.n = 0;
	}
}

static void
too_many(void **state)
{
	struct buf say = {0};

	(void)state;
	for (int i = 0; i < 1001; i++)
		buf_append(&say, "\0\0\0\5hX\0a\0", 9);
	buf_append(&say, MILL_CONTINUE, 5);
	is_down(one(TURNS({'E', buf_span(&say), 0, 0, 0})), "too many edits");
	say.len = 0;
	for (int i = 0; i < 10001; i++)
		buf_append(&say, "\0\0\0\1p", 5);
	mill_free(&rig.mills[0]);
	filters_free(&rig.filters);
	rig.conf.n = 0;
	is_down(one(TURNS({'E', buf_span(&say), 0, 0, 0})),
	    "it only asks for time");
	buf_free(&say);
}

/* --- time --- */

static void
silence(void **state)
{
	struct asked *a = one(TURNS({'R', {"", 0}, 0, 0, 0}));

	(void)state;
	clock_pass(29999);
	assert_int_equal(a->told, 0);
	clock_pass(1);
	is_down(a, "no answer in time");
	assert_int_equal(logged("filter-down",
			     "message=06H0SESSION.3 milter=first "
			     "socket=127.0.0.1:1 reason=no answer in time "
			     "when-down=defer"),
	    1);
}

/* It works: but not for ever. */
static void
progress(void **state)
{
	struct asked *a;

	(void)state;
	a = one(TURNS({'C', SPAN_LIT("\0\0\0\1p" MILL_CONTINUE), 0, 20000, 0},
	    {'M', SPAN_LIT("\0\0\0\1p" MILL_CONTINUE), 0, 29000, 0},
	    {'E', SPAN_LIT("\0\0\0\1p"), 0, 29000, 0}));
	clock_pass(78000);
	assert_int_equal(a->told, 0);
	clock_pass(100000 - 78000 - 1);
	assert_int_equal(a->told, 0);
	clock_pass(1);
	is_down(a, "no answer in time");
}

/* What is left of all milters' time is the next one's. */
static void
time_of_all(void **state)
{
	struct asked *a;

	(void)state;
	rig.message.until = clock_now() + 45000;
	rig.confs[0].when_down = FILTER_ACCEPT;
	serve(TURNS({'E', {"", 0}, 0, 0, 0}), false);
	serve(TURNS({'E', {"", 0}, 0, 0, 0}), false);
	a = asked();
	clock_pass(44999);
	assert_int_equal(a->told, 0);
	clock_pass(1);
	is(a, DOWN);
	assert_string_equal(a->r.by->name, "second");
	assert_int_equal(a->r.unseen, 1);
	assert_int_equal(a->when, 45000);
}

static void
when_down(void **state)
{
	struct asked *a;

	(void)state;
	rig.confs[0].when_down = FILTER_REJECT;
	is(one(TURNS({'H', {"", 0}, true, 0, 0})),
	    "550 5.7.1 The filter is not there");
	rig.confs[0].when_down = FILTER_ACCEPT;
	a = asked();
	passed(a);
	assert_int_equal(a->r.unseen, 1);
	assert_false(a->r.edited);
	rig.confs[0].when_down = FILTER_REJECT;
	rig.confs[0].observe = true;
	passed(asked());
}

static void
is_seen(unsigned down, enum neighbour_error e, int64_t since, unsigned in_use)
{
	struct neighbour_view v =
	    neighbour_look(rig.shared, NEIGHBOUR_MILTER, "first");

	assert_int_equal(v.workers, 1);
	assert_int_equal(v.down, down);
	assert_int_equal(v.error, e);
	assert_int_equal(v.since, since ? rig.begun + since : 0);
	assert_int_equal(v.in_use, in_use);
}

/* Down from the first message of which nothing came until one is through. */
static void
what_the_master_sees(void **state)
{
	static struct mill_turn turns[] = {{'E', {"", 0}, 0, 0, 0}, {0}};
	struct asked *a = one(turns);

	(void)state;
	is_seen(0, NEIGHBOUR_NO_ERROR, 0, 1);
	clock_pass(30000);
	is_down(a, "no answer in time");
	is_seen(1, NEIGHBOUR_SILENT, 30000, 0);
	rig.message.until = clock_now() + 100000;
	turns[0].say = SPAN_LIT("\0\0\0\1!");
	is_down(asked(), "an answer that makes no sense");
	is_seen(1, NEIGHBOUR_NONSENSE, 30000, 0);
	turns[0].say = SPAN_LIT(MILL_CONTINUE);
	passed(asked());
	is_seen(0, NEIGHBOUR_NO_ERROR, 0, 0);
}

/* Three times nobody, then it is left alone for a second. */
static void
breaker(void **state)
{
	struct asked *a;

	(void)state;
	rig.conf.n = 1;
	rig.confs[0].port = 1;
	for (int i = 0; i < 3; i++)
		is_down(asked(), "no connection");
	is_down(asked(), "no connection a moment ago");
	clock_pass(999);
	is_down(asked(), "no connection a moment ago");
	clock_pass(1);
	is_down(asked(), "no connection");
	is_down(asked(), "no connection a moment ago");
	assert_int_equal(logged("filter-down", "milter=first"), 1);
	clock_pass(60000);
	is_down(asked(), "no connection");
	assert_int_equal(logged("filter-down", "suppressed=6"), 1);
	clock_pass(1000);
	rig.conf.n = 0;
	rig.mills[0] = mill_new(&rig.loop, NULL, false);
	rig.conf.n = 1;
	rig.confs[0].port = mill_port(rig.mills[0]);
	filters_free(&rig.filters);
	a = asked();
	passed(a);
}

/* --- who waits with a header --- */

/* Some 460 KiB each, of which 25 MiB may wait for the second milter. */
static void
headers_that_wait(void **state)
{
	static struct asked many[60];
	struct buf body = {0};
	unsigned told = 0;

	(void)state;
	for (int i = 0; i < 8000; i++)
		buf_append_str(&body, "A:\n");
	buf_append_str(&body, "\nx\n");
	rig.message.body.tail = buf_span(&body);
	serve(NULL, true);
	serve(TURNS({'E', {"", 0}, 0, 0, 0}), false);
	rig.confs[1].connections = 1;
	open_filters();
	for (unsigned i = 0; i < 60; i++) {
		many[i] = (struct asked){.told = 0};
		many[i].ask = filter_start(rig.filters, &rig.message, on_answer,
		    &many[i]);
		clock_pass(0);
		told += many[i].told;
		if (many[i].told)
			is(&many[i], DOWN);
	}
	assert_in_range(told, 1, 16);
	for (unsigned i = 0; i < 60; i++)
		ask_cancel(&many[i].ask, ASK_GO_ON);
	clock_pass(0);
	for (unsigned i = 0; i < 2; i++) { /* and now there is room again */
		many[i] = (struct asked){.told = 0};
		many[i].ask = filter_start(rig.filters, &rig.message, on_answer,
		    &many[i]);
		clock_pass(0);
		assert_int_equal(many[i].told, 0);
	}
	for (unsigned i = 0; i < 2; i++)
		ask_cancel(&many[i].ask, ASK_GO_ON);
	clock_pass(0);
	buf_free(&body);
}

/* --- names --- */

/* What the resolver of the tests says of a name is this machine. */
int
connect(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sockaddr_in to;

	if (a->sa_family != AF_INET)
		return (int)syscall(SYS_connect, fd, a, len);
	to = *(const struct sockaddr_in *)(const void *)a;
	if (to.sin_addr.s_addr == htonl(0xc0000200))
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (int)syscall(SYS_connect, fd, &to, sizeof(to));
}

/* Asked once a minute; what was known serves while nobody knows. */
static void
names(void **state)
{
	struct resolve_options o;

	(void)state;
	rig.liar = liar_new(&rig.loop);
	o = (struct resolve_options){.servers = liar_server(rig.liar)};
	rig.resolve = resolve_new(&rig.loop, &o);
	rig.confs[0].naddrs = 0;
	rig.confs[0].host = "a.test";
	serve(NULL, true);
	passed((ask(), clock_pass(100), &rig.asked[0]));
	assert_true(liar_asked(rig.liar) > 0);
	passed((ask(), clock_pass(100), &rig.asked[1]));
	assert_int_equal(liar_asked(rig.liar), 0);
	clock_pass(60000);
	liar_mute(rig.liar, true);
	rig.message.until = clock_now() + 100000;
	passed((ask(), clock_pass(31000), &rig.asked[2]));
	assert_true(liar_asked(rig.liar) > 0);
	liar_mute(rig.liar, false);
	filters_free(&rig.filters);
	rig.confs[0].host = "nx.test";
	is_down((ask(), clock_pass(100), &rig.asked[3]),
	    "no address for its name");
}

/* What the resolver says when a milter's time is over is not the next one's. */
static void
a_late_name(void **state)
{
	struct resolve_options o;

	(void)state;
	rig.liar = liar_new(&rig.loop);
	o = (struct resolve_options){.servers = liar_server(rig.liar)};
	rig.resolve = resolve_new(&rig.loop, &o);
	liar_mute(rig.liar, true);
	rig.confs[0].naddrs = 0;
	rig.confs[0].host = "a.test";
	rig.confs[0].timeout = 1000;
	rig.confs[0].when_down = FILTER_ACCEPT;
	serve(NULL, true);
	serve(TURNS({'E', SPAN_LIT(MILL_CONTINUE), 0, 9000, 0}), false);
	passed((ask(), clock_pass(20000), &rig.asked[0]));
	assert_int_equal(rig.asked[0].r.unseen, 1);
	assert_int_equal(mill_connections(rig.mills[1]), 1);
}

/* --- who waits --- */

static void
the_line(void **state)
{
	struct asked *all[4];
	struct neighbour *n;

	(void)state;
	rig.confs[0].connections = 2;
	serve(TURNS({'E', SPAN_LIT(MILL_CONTINUE), 0, 1000, 0}), false);
	for (int i = 0; i < 4; i++)
		all[i] = asked();
	n = neighbour_open(rig.shared, 7, NEIGHBOUR_MILTER, "first",
	    clock_now());
	assert_int_equal(neighbour_in_use(n), 2);
	assert_int_equal(mill_connections(rig.mills[0]), 2);
	ask_cancel(&all[2]->ask, ASK_GO_ON);
	clock_pass(1000);
	passed(all[0]);
	passed(all[1]);
	assert_int_equal(mill_connections(rig.mills[0]), 3);
	assert_int_equal(neighbour_in_use(n), 1);
	clock_pass(1000);
	passed(all[3]);
	assert_int_equal(all[2]->told, 0);
	assert_int_equal(neighbour_in_use(n), 0);
	/* another worker has them all: one is always ours */
	neighbour_use(n, 7, 2);
	all[0] = asked();
	clock_pass(1000);
	passed(all[0]);
	for (int i = 0; i < 2; i++)
		all[i] = asked();
	assert_int_equal(mill_connections(rig.mills[0]), 5);
	clock_pass(2000);
	passed(all[0]);
	passed(all[1]);
}

static void
waits_too_long(void **state)
{
	struct asked *a, *b;

	(void)state;
	rig.confs[0].connections = 1;
	serve(TURNS({'E', SPAN_LIT("\0\0\0\1p"), 0, 20000, 0}), false);
	a = asked();
	b = asked();
	clock_pass(30000);
	is_down(b, "too many wait for it");
	assert_int_equal(a->told, 0);
}

/* At each point, and nothing is left. */
static void
cancelled(void **state)
{
	static const char commands[] = "OCHMRTLNBE";

	(void)state;
	for (const char *c = commands; *c; c++) {
		struct asked *a;

		rig.n = 0;
		rig.asked[0] = (struct asked){.told = 0};
		a = one(TURNS({*c, {"", 0}, 0, 0, 0}));
		ask_cancel(&a->ask, ASK_GO_ON);
		clock_pass(40000);
		assert_int_equal(a->told, 0);
		rig.message.until = clock_now() + 100000;
		mill_free(&rig.mills[0]);
		filters_free(&rig.filters);
		rig.conf.n = 0;
	}
}

/* What is still to be freed does not need the others. */
static void
the_end_of_a_worker(void **state)
{
	struct asked *a = one(TURNS({'E', {"", 0}, 0, 0, 0}));

	(void)state;
	ask_cancel(&a->ask, ASK_GO_ON);
	filters_free(&rig.filters);
	clock_pass(0);
	assert_int_equal(a->told, 0);
}

/* --- headers --- */

/* open: somebody else might find more fields in it. */
static void
bodies(struct span whole, const char *heard, const char *body, bool open)
{
	char *text = malloc(whole.len + 1);

	memcpy(text, whole.ptr, whole.len);
	rig.n = 0;
	rig.asked[0] = (struct asked){.told = 0};
	rig.message.body = (struct spool_content){-1, 0, 0, {text, whole.len}};
	serve(NULL, true);
	passed(asked());
	assert_non_null(strstr(mill_heard(rig.mills[0]), heard));
	assert_true(span_equal(mill_body(rig.mills[0]), span_str(body)));
	assert_int_equal(rig.asked[0].r.edited, open);
	mill_free(&rig.mills[0]);
	filters_free(&rig.filters);
	rig.conf.n = 0;
	free(text);
}

static void
odd_headers(void **state)
{
	(void)state;
	bodies(SPAN_LIT("\nbody\n"), "T\nDN", "body\r\n", false);
	bodies(SPAN_LIT("body\n"), "T\nDN", "body\r\n", true);
	bodies(SPAN_LIT(""), "T\nDN", "", false);
	bodies(SPAN_LIT(" \nA: b\n\nx\n"), "T\nDN", " \r\nA: b\r\n\r\nx\r\n",
	    true);
	bodies(SPAN_LIT("A: b"), "T\nLA|b|\nDN", "", false);
	bodies(SPAN_LIT("A: b\nno-field"), "T\nLA|b|\nDN", "no-field\r\n",
	    true);
	bodies(SPAN_LIT("A: b\n"), "T\nLA|b|\nDN", "", false);
	bodies(SPAN_LIT("A: b\n\n"), "T\nLA|b|\nDN", "", false);
	bodies(SPAN_LIT("A: b\nno field\nC: d\n\nx\n"), "T\nLA|b|\nDN",
	    "no field\r\nC: d\r\n\r\nx\r\n", true);
}

/* Before the first milter: nobody but ours writes them. */
static void
forged(void **state)
{
	struct asked *a;

	(void)state;
	rig.message.body.tail =
	    SPAN_LIT("Authentication-Results: (x) MX.example.org; spf=pass\n"
		     "Authentication-Results: other.example; spf=pass\n"
		     "authentication-results : \"mx.example.org\"; none\n\n");
	serve(NULL, false);
	a = asked();
	passed(a);
	assert_int_equal(a->r.forged, 2);
	assert_string_equal(a->header,
	    "Authentication-Results: other.example; spf=pass\n");
	assert_null(strstr(mill_heard(rig.mills[0]), "MX.example"));
	assert_null(strstr(mill_heard(rig.mills[0]), "none"));
}

static void
header_too_big(void **state)
{
	struct buf body = {0};

	(void)state;
	for (int i = 0; i < 30000; i++)
		buf_append_str(&body, "A: 234567\n");
	rig.message.body.tail = buf_span(&body);
	is(one(NULL), "552 5.3.4 Header too big");
	assert_null(rig.asked[0].r.by);
	buf_free(&body);
}

static void
unreadable(void **state)
{
	(void)state;
	rig.message.body =
	    (struct spool_content){open("/", O_RDONLY), 0, 100, SPAN_LIT("")};
	is(one(NULL), "451 4.3.0 The message cannot be read, try later");
	close(rig.message.body.fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(is_told_all),
	    T(is_told_what_it_wants),
	    T(large_bodies),
	    T(verdicts),
	    T(discard),
	    T(edits),
	    T(a_chain),
	    T(a_bad_second),
	    T(the_first_no),
	    T(roles),
	    T(observed),
	    T(lies),
	    T(edits_without_agreement),
	    T(dies),
	    T(too_many),
	    T(silence),
	    T(progress),
	    T(time_of_all),
	    T(when_down),
	    T(what_the_master_sees),
	    T(breaker),
	    T(names),
	    T(a_late_name),
	    T(the_line),
	    T(headers_that_wait),
	    T(waits_too_long),
	    T(cancelled),
	    T(the_end_of_a_worker),
	    T(odd_headers),
	    T(forged),
	    T(header_too_big),
	    T(unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * resolve: against a resolver that lies, on a clock that stands still: what
 * answers come to, the shares, cancelling at each moment, and the breaker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/hosts.h"
#include "io/resolve.h"
#include "liar.h"
#include "log_catch.h"

#define LONG 20000 /* ms: c-ares has given up, and so would we */

static struct loop loop;
static struct liar *liar;
static struct resolve *resolve;

/* What came of an ask. */
struct got {
	unsigned calls;
	struct dns_answer answer; /* without what it points to */
	char first[64], last[64], alias[64];
	struct ask *ask;
	struct ask **cancel; /* in the call */
};

static void
show(const struct dns_record *r, char out[64])
{
	if (r->addr.family)
		ipaddr_format(&r->addr, out);
	else if (r->name)
		snprintf(out, 64, "%u %s", r->preference, r->name);
	else
		snprintf(out, 64, "%u %u %u %.*s", r->usage, r->selector,
		    r->matching, (int)r->data.len, r->data.ptr);
}

static void
on_answer(void *ctx, const struct dns_answer *a)
{
	struct got *got = ctx;

	got->calls++;
	got->ask = NULL;
	got->answer = *a;
	if (a->n) {
		show(&a->records[0], got->first);
		show(&a->records[a->n - 1], got->last);
	}
	if (a->naliases)
		snprintf(got->alias, 64, "%s", a->aliases[a->naliases - 1]);
	if (got->cancel)
		ask_cancel(got->cancel, ASK_ABANDON);
}

static void
ask_as(struct got *got, const char *name, enum dns_type type, unsigned flags,
    uint32_t stranger)
{
	*got = (struct got){.cancel = got->cancel};
	got->ask = resolve_ask(resolve, type, name, flags, stranger,
	    clock_now() + LONG, on_answer, got);
	assert_non_null(got->ask);
	assert_int_equal(got->calls, 0);
}

static struct got
ask_for(const char *name, enum dns_type type, unsigned flags)
{
	struct got got = {0};

	ask_as(&got, name, type, flags, 0);
	clock_pass(LONG);
	assert_int_equal(got.calls, 1);
	return got;
}

static struct got
ask_host(const char *name)
{
	struct got got = {0};

	got.ask =
	    resolve_host(resolve, name, clock_now() + LONG, on_answer, &got);
	assert_int_equal(got.calls, 0);
	clock_pass(LONG);
	assert_int_equal(got.calls, 1);
	return got;
}

static void
finds(const char *name, enum dns_type type, const char *first)
{
	struct got got = ask_for(name, type, 0);

	assert_int_equal(got.answer.status, DNS_FOUND);
	assert_string_equal(got.first, first);
}

static void
fails(const char *name, enum dns_why why)
{
	struct got got = ask_for(name, DNS_A, 0);

	assert_int_equal(got.answer.status, DNS_FAILED);
	assert_int_equal(got.answer.why, why);
	assert_int_equal(got.answer.n, 0);
}

static void
open_resolve(const char *servers)
{
	static const struct known_host known = {.name = "mail.test",
	    .n = 2,
	    .addrs = {{IP_V6, {0x20, 1}}, {IP_V4, {192, 0, 2, 77}}}};
	const struct resolve_options o = {.servers = servers,
	    .hosts = &known,
	    .nhosts = 1,
	    .files = true};

	resolve = resolve_new(&loop, &o);
}

static int
set_up(void **state)
{
	(void)state;
	if (loop_init(&loop) < 0)
		return -1;
	clock_stop(&loop, liar_busy);
	liar = liar_new(&loop);
	open_resolve(liar_server(liar));
	return resolve ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	resolve_free(&resolve);
	liar_free(&liar);
	loop_free(&loop);
	clock_go();
	log_forget();
	return 0;
}

/* --- what is found, and what is not --- */

static void
records(void **state)
{
	(void)state;
	finds("a.test", DNS_A, "192.0.2.0");
	finds("two.test", DNS_AAAA, "2001:db8::1");
	finds("mx.test", DNS_MX, "10 host.test");
	finds("ptr.test", DNS_PTR, "0 host.test");
	finds("cname.test", DNS_CNAME, "0 host.test");
	finds("txt.test", DNS_TXT, "0 0 0 abcd");
	finds("tlsa.test", DNS_TLSA, "3 1 1 xyz");
	finds("a.test", DNS_A, "192.0.2.0");
	assert_int_equal(ask_for("a.test", DNS_MX, 0).answer.status,
	    DNS_NODATA);
	assert_int_equal(ask_for("nx.test", DNS_MX, 0).answer.status,
	    DNS_NXDOMAIN);
	assert_int_equal(liar_asked(liar), 10);
	assert_int_equal(liar_asked_tcp(liar), 0);
	assert_true(liar_ids_jump(liar));
}

static void
names(void **state)
{
	char longest[DNS_NAME_MAX + 3] = {0};
	const char *const bad[] = {"", ".", "..", ".test", "a..test", "a test",
	    "a\xff.test", "a\\.test", "a.onion", longest,
	    "0123456789012345678901234567890123456789"
	    "012345678901234567890123.test",
	    NULL};

	(void)state;
	for (size_t i = 0; i < DNS_NAME_MAX - 2; i += 2)
		memcpy(longest + i, i ? "b." : "a.", 2);
	memcpy(longest + DNS_NAME_MAX - 1, "c", 2);
	finds("A.Test.", DNS_A, "192.0.2.0");
	finds(longest, DNS_A, "192.0.2.0");
	assert_int_equal(liar_asked(liar), 2);
	memcpy(longest + DNS_NAME_MAX - 1, "c.c", 4);
	longest[1] = 'a';
	for (const char *const *n = bad; *n; n++)
		assert_int_equal(ask_for(*n, DNS_A, 0).answer.status,
		    DNS_NXDOMAIN);
	assert_int_equal(liar_asked(liar), 0);
}

static void
lies(void **state)
{
	struct got got;

	(void)state;
	fails("servfail.test", DNS_SERVFAIL);
	fails("refused.test", DNS_REFUSED);
	fails("formerr.test", DNS_FORMERR);
	fails("silent.test", DNS_TIMEOUT);
	fails("wrongid.test", DNS_TIMEOUT);
	fails("wrongname.test", DNS_TIMEOUT);
	/* here versions of c-ares differ: wait for more, or give up */
	got = ask_for("short.test", DNS_A, 0);
	assert_int_equal(got.answer.status, DNS_FAILED);
	fails("circle.test", DNS_NONSENSE);
	got = ask_for("chain.test", DNS_A, 0);
	assert_int_equal(got.answer.status, DNS_FOUND);
	assert_string_equal(got.alias, "end.test");
	got = ask_for("twice.test", DNS_A, 0);
	assert_int_equal(got.answer.status, DNS_FOUND);
}

static void
many(void **state)
{
	struct got got = ask_for("many40.test", DNS_A, 0);

	(void)state;
	assert_int_equal(got.answer.n, 40);
	assert_string_equal(got.last, "192.0.2.39");
	assert_int_equal(liar_asked_tcp(liar), 0);
	got = ask_for("many128.test", DNS_A, 0);
	assert_int_equal(got.answer.n, 128);
	assert_string_equal(got.last, "192.0.2.127");
	fails("many129.test", DNS_NONSENSE);
	assert_int_equal(liar_asked_tcp(liar), 2);
}

static void
signatures(void **state)
{
	struct got got;

	(void)state;
	got = ask_for("bogus.test", DNS_A, 0);
	assert_int_equal(got.answer.why, DNS_SERVFAIL);
	got = ask_for("bogus.test", DNS_A, RESOLVE_CD);
	assert_int_equal(got.answer.status, DNS_FOUND);
	assert_false(got.answer.authentic);
	got = ask_for("ad.test", DNS_A, 0);
	assert_false(got.answer.authentic);
	got = ask_for("ad.test", DNS_A, RESOLVE_AD);
	assert_true(got.answer.authentic);
}

static void
by_tcp(void **state)
{
	(void)state;
	finds("tc.test", DNS_A, "192.0.2.0");
	finds("pieces.test", DNS_A, "192.0.2.0");
	assert_int_equal(liar_asked_tcp(liar), 2);
	assert_int_equal(ask_for("tcdrop.test", DNS_A, 0).answer.status,
	    DNS_FAILED);
	fails("tcsilent.test", DNS_TIMEOUT);
	finds("a.test", DNS_A, "192.0.2.0");
}

static void
late(void **state)
{
	struct got got = {0};

	(void)state;
	finds("late.test", DNS_A, "192.0.2.0");
	got.ask = resolve_ask(resolve, DNS_A, "late.test", 0, 0,
	    clock_now() + 500, on_answer, &got);
	clock_pass(490);
	assert_int_equal(got.calls, 0);
	clock_pass(LONG);
	assert_int_equal(got.calls, 1);
	assert_int_equal(got.answer.why, DNS_TIMEOUT);
	/* it has passed already */
	got.ask = resolve_ask(resolve, DNS_A, "a.test", 0, 0, clock_now() - 1,
	    on_answer, &got);
	clock_pass(LONG);
	assert_int_equal(got.calls, 2);
}

/* c-ares may do without EDNS by itself, and then tell us the next time. */
static void
no_edns(void **state)
{
	(void)state;
	finds("old.test", DNS_A, "192.0.2.0");
	ask_for("old.test", DNS_A, 0);
	finds("old.test", DNS_A, "192.0.2.0");
	finds("many40.test", DNS_A, "192.0.2.0");
}

static void
servers(void **state)
{
	static const char *const none[] = {"", ",", "192.0.2.1,", "host.test",
	    "192.0.2.1:65536", "192.0.2.1:0", "192.0.2.1,host.test", "[::1"};
	char two[128], text[1000];
	struct liar *dead = liar_new(&loop);

	(void)state;
	assert_string_equal(resolve_servers(resolve), liar_server(liar));
	/* nobody listens at the first */
	snprintf(two, sizeof(two), "%s,%s", liar_server(dead),
	    liar_server(liar));
	liar_free(&dead);
	resolve_free(&resolve);
	open_resolve(two);
	assert_string_equal(resolve_servers(resolve), two);
	finds("a.test", DNS_A, "192.0.2.0");
	assert_int_equal(ask_for("servfail.test", DNS_A, 0).answer.status,
	    DNS_FAILED);
	two[strcspn(two, ",")] = '\0';
	resolve_free(&resolve);
	open_resolve(two);
	fails("a.test", DNS_UNREACHABLE);
	resolve_free(&resolve);
	open_resolve("[::1]:5353,192.0.2.1,2001:db8::1");
	assert_string_equal(resolve_servers(resolve),
	    "[::1]:5353,192.0.2.1,2001:db8::1");
	resolve_free(&resolve);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		open_resolve(none[i]);
		assert_null(resolve);
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	open_resolve(text);
	assert_null(resolve);
	open_resolve(NULL);
	assert_true(*resolve_servers(resolve));
}

static void
reverse(void **state)
{
	char text[RESOLVE_REVERSE_MAX];
	struct ipaddr ip;

	(void)state;
	ipaddr_parse(span_str("192.0.2.17"), &ip);
	assert_string_equal(resolve_reverse(&ip, text),
	    "17.2.0.192.in-addr.arpa");
	ipaddr_parse(span_str("2001:db8::f00d"), &ip);
	assert_string_equal(resolve_reverse(&ip, text),
	    "d.0.0.f.0.0.0.0.0.0.0.0.0.0.0.0."
	    "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

/* --- hosts --- */

static void
known_hosts(void **state)
{
	const char *const name = "localhost";
	const struct known_host *in_file;
	struct arena arena = {0};
	struct got got = ask_host("Mail.test");

	(void)state;
	assert_int_equal(got.answer.n, 2);
	assert_string_equal(got.first, "2001::");
	assert_string_equal(got.last, "192.0.2.77");
	assert_true(got.answer.known);
	assert_int_equal(liar_asked(liar), 0);
	/* this machine's file may have it, or not even be there */
	got = ask_host(name);
	if (hosts_read("/etc/hosts", &name, 1, &arena, &in_file) > 0) {
		assert_int_equal(got.answer.status, DNS_FOUND);
		assert_int_equal(got.answer.n, in_file->n);
		assert_int_equal(liar_asked(liar), 0);
	} else {
		assert_int_equal(liar_asked(liar), 2);
	}
	arena_reset(&arena);
}

static void
hosts(void **state)
{
	struct got got;

	(void)state;
	got = ask_host("two.test");
	assert_int_equal(got.answer.n, 3);
	assert_string_equal(got.first, "192.0.2.0");
	assert_string_equal(got.last, "2001:db8::2");
	assert_int_equal(liar_asked(liar), 2);
	got = ask_host("chain.test");
	assert_string_equal(got.alias, "end.test");
	/* one of the two fails */
	got = ask_host("v4.test");
	assert_int_equal(got.answer.n, 1);
	got = ask_host("half.test");
	assert_int_equal(got.answer.status, DNS_FAILED);
	assert_int_equal(got.answer.why, DNS_SERVFAIL);
	got = ask_host("nx.test");
	assert_int_equal(got.answer.status, DNS_NXDOMAIN);
	got = ask_host("many40.test");
	assert_int_equal(got.answer.n, 41);
	got = ask_host("many128.test");
	assert_int_equal(got.answer.why, DNS_NONSENSE);
	assert_int_equal(got.answer.n, 0);
	got = ask_host("a..test");
	assert_int_equal(got.answer.status, DNS_NXDOMAIN);
}

/* --- silence --- */

static void
cancelled(void **state)
{
	static struct got got[4];

	(void)state;
	memset(got, 0, sizeof(got));
	/* as soon as it was asked, known without a question, or under way */
	ask_as(&got[0], "a.test", DNS_A, 0, 0);
	ask_cancel(&got[0].ask, ASK_GO_ON);
	ask_as(&got[1], "a..test", DNS_A, 0, 0);
	ask_cancel(&got[1].ask, ASK_ABANDON);
	ask_as(&got[2], "late.test", DNS_A, 0, 0);
	clock_pass(100);
	ask_cancel(&got[2].ask, ASK_ABANDON);
	clock_pass(LONG);
	/* answered, in the turn in which it would be told */
	got[0].cancel = &got[1].ask;
	got[1].cancel = &got[0].ask;
	ask_as(&got[0], "a.test", DNS_A, 0, 0);
	ask_as(&got[1], "a.test", DNS_A, 0, 0);
	clock_pass(LONG);
	assert_int_equal(got[0].calls + got[1].calls, 1);
	got[0].cancel = NULL;
	for (int i = 2; i < 4; i++) {
		const char *name = i == 2 ? "mail.test" : "late.test";

		got[i].ask = resolve_host(resolve, name, clock_now() + LONG,
		    on_answer, &got[i]);
		clock_pass(i == 2 ? 0 : 100);
		if (got[i].ask)
			ask_cancel(&got[i].ask, ASK_ABANDON);
	}
	clock_pass(LONG);
	assert_int_equal(got[2].calls, 1);
	assert_int_equal(got[3].calls, 0);
	finds("a.test", DNS_A, "192.0.2.0");
}

static void
freed(void **state)
{
	static struct got got[7];

	(void)state;
	memset(got, 0, sizeof(got));
	ask_as(&got[0], "silent.test", DNS_A, 0, 7);
	ask_as(&got[1], "tcsilent.test", DNS_A, 0, 7);
	got[2].ask = resolve_host(resolve, "silent.test", clock_now() + LONG,
	    on_answer, &got[2]);
	ask_as(&got[3], "silent.test", DNS_A, 0, 0);
	clock_pass(100);
	ask_cancel(&got[3].ask, ASK_ABANDON);
	/* and what nobody has looked at */
	got[4].ask = resolve_host(resolve, "mail.test", clock_now() + LONG,
	    on_answer, &got[4]);
	ask_as(&got[5], "a..test", DNS_A, 0, 0);
	ask_as(&got[6], "a.test", DNS_A, 0, 0);
	resolve_free(&resolve);
	assert_null(resolve);
	clock_pass(LONG);
	for (int i = 0; i < 7; i++)
		assert_int_equal(got[i].calls, 0);
}

/* --- shares --- */

static struct got crowd[RESOLVE_MAX + 1];

/* Asks until one is turned away; how many were not. */
static unsigned
fill(uint32_t stranger)
{
	static struct got one;
	uint64_t before = resolve_overloads(resolve);
	unsigned n = 0;

	for (;;) {
		ask_as(&one, "silent.test", DNS_A, 0, stranger);
		ask_cancel(&one.ask, ASK_ABANDON);
		if (resolve_overloads(resolve) != before)
			return n;
		/* what it was asked is read */
		if (++n % 32 == 0)
			clock_pass(0);
	}
}

static void
shares(void **state)
{
	(void)state;
	assert_int_equal(fill(1), RESOLVE_STRANGER);
	assert_int_equal(fill(1), 0);
	for (uint32_t i = 2; i <= RESOLVE_STRANGERS / RESOLVE_STRANGER; i++)
		assert_int_equal(fill(i), RESOLVE_STRANGER);
	assert_int_equal(fill(1000), 0);
	assert_int_equal(fill(0), RESOLVE_MAX - RESOLVE_STRANGERS);
	fails("a.test", DNS_OVERLOAD);
	/* c-ares has given them all up */
	assert_int_equal(fill(1), RESOLVE_STRANGER);
}

/* More than there are ids, in one turn. */
static void
no_share_of_nothing(void **state)
{
	struct got got = {0};

	(void)state;
	for (unsigned i = 0; i < 70000; i++)
		resolve_ask(resolve, DNS_A, "a..test", 0, 0, clock_now() + LONG,
		    on_answer, &got);
	clock_pass(LONG);
	assert_int_equal(got.calls, 70000);
}

/* --- the breaker --- */

static void
crowd_asks(const char *name, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ask_as(&crowd[i], name, DNS_A, 0, 0);
}

static void
down_and_up(void **state)
{
	struct got got = {0};

	(void)state;
	liar_mute(liar, true);
	crowd_asks("a.test", RESOLVE_DOWN_QUERIES - 1);
	clock_pass(LONG);
	assert_int_equal(caught.len, 0);
	/* one more, and only then so long */
	ask_as(&got, "a.test", DNS_A, 0, 0);
	clock_pass(RESOLVE_DOWN_AFTER - 1000);
	assert_int_equal(caught.len, 0);
	clock_pass(1000);
	assert_int_equal(logged("dns-down", "unanswered=20"), 1);
	/* who asks is told at once; one question a second, and its
	 * repetitions */
	liar_asked(liar);
	crowd_asks("a.test", 50);
	clock_pass(0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(crowd[i].answer.why, DNS_DOWN);
	clock_pass(9000);
	assert_in_range(liar_asked(liar), 9, 55);
	assert_int_equal(logged("dns-down", ""), 1);
	liar_mute(liar, false);
	clock_pass(2000);
	assert_int_equal(logged("dns-up", "seconds="), 1);
	finds("a.test", DNS_A, "192.0.2.0");
	liar_asked(liar);
	clock_pass(LONG);
	assert_int_equal(liar_asked(liar), 0);
}

static void
any_answer_counts(void **state)
{
	(void)state;
	/* a dead zone among living ones */
	for (int i = 0; i < 10; i++) {
		crowd_asks("silent.test", 30);
		fails("servfail.test", DNS_SERVFAIL);
		clock_pass(RESOLVE_DOWN_AFTER - 1000);
	}
	assert_int_equal(caught.len, 0);
	/* what came between the two starts it anew */
	crowd_asks("silent.test", RESOLVE_DOWN_QUERIES);
	clock_pass(RESOLVE_DOWN_AFTER - 1000);
	finds("tc.test", DNS_A, "192.0.2.0");
	clock_pass(LONG);
	assert_int_equal(caught.len, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(records),
	    TEST(names),
	    TEST(lies),
	    TEST(many),
	    TEST(signatures),
	    TEST(by_tcp),
	    TEST(late),
	    TEST(no_edns),
	    TEST(servers),
	    TEST(reverse),
	    TEST(known_hosts),
	    TEST(hosts),
	    TEST(cancelled),
	    TEST(freed),
	    TEST(shares),
	    TEST(no_share_of_nothing),
	    TEST(down_and_up),
	    TEST(any_answer_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

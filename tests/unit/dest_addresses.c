/*
 * Where a route leads, by a resolver that lies and is silent at times. Time
 * passes where the loop would wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dest/addresses.h"
#include "fake_clock.h"
#include "io/clock.h"
#include "io/resolve.h"
#include "liar.h"

static struct world {
	struct loop loop;
	struct liar *liar;
	struct resolve *resolve;
	struct route route;
	struct addresses *addresses;
	unsigned ready;
	char text[4096];
} w;

static int
set_up(void **state)
{
	struct resolve_options o = {0};

	(void)state;
	w = (struct world){0};
	if (loop_init(&w.loop) < 0)
		return -1;
	clock_stop(&w.loop, liar_busy);
	w.liar = liar_new(&w.loop);
	o.servers = liar_server(w.liar);
	w.resolve = resolve_new(&w.loop, &o);
	return w.resolve ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	addresses_free(&w.addresses);
	resolve_free(&w.resolve);
	liar_free(&w.liar);
	loop_free(&w.loop);
	clock_go();
	return 0;
}

static void
on_ready(void *ctx)
{
	(void)ctx;
	w.ready++;
}

static struct route_place *
add(const char *host)
{
	struct route_place *to = &w.route.to[w.route.nto++];

	*to = (struct route_place){.host = host, .port = 25};
	return to;
}

static void
start(void)
{
	w.addresses = addresses_new(&w.route, w.resolve, on_ready, NULL);
	assert_int_equal(w.ready, 0);
}

/* "192.0.2.0 2001:db8::1 /run/x", as they are dialled. */
static const char *
list(void)
{
	struct address all[ADDRESSES_MAX];
	unsigned n = addresses_list(w.addresses, clock_now(), all);
	char *p = w.text, ip[IPADDR_STRLEN];

	*p = '\0';
	for (unsigned i = 0; i < n; i++)
		p += snprintf(p, 64, "%s%s", i ? " " : "",
		    all[i].place.path ? all[i].place.path
				      : ipaddr_format(&all[i].place.addr, ip));
	return w.text;
}

static bool
ready(void)
{
	return addresses_ready(w.addresses, clock_now());
}

static void
mark(unsigned which, bool failed)
{
	struct address all[ADDRESSES_MAX];

	addresses_list(w.addresses, clock_now(), all);
	addresses_mark(w.addresses, &all[which], failed ? clock_now() : 0);
}

static void
what_needs_no_question(void **state)
{
	struct route_place *to = add("192.0.2.7");

	(void)state;
	to->addrs[0] = ipaddr_v4((const uint8_t[]){192, 0, 2, 7});
	to->naddrs = 1;
	add(NULL)->path = "/run/x";
	start();
	assert_true(ready());
	assert_string_equal(list(), "192.0.2.7 /run/x");
	assert_int_equal(liar_asked(w.liar), 0);
}

/* In the order of `to`; of each IPv4 first, and eight at most. */
static void
names(void **state)
{
	(void)state;
	add("two.test");
	add("nx.test");
	add("many40.test");
	start();
	assert_false(ready());
	assert_false(ready());
	clock_pass(100);
	assert_int_equal(w.ready, 1);
	assert_int_equal(liar_asked(w.liar), 6);
	assert_true(ready());
	assert_string_equal(list(),
	    "192.0.2.0 2001:db8::1 2001:db8::2 192.0.2.0 192.0.2.1 192.0.2.2 "
	    "192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7");
	assert_int_equal(liar_asked(w.liar), 0);
}

static void
an_answer_is_good_for_a_minute(void **state)
{
	(void)state;
	add("v4.test");
	add("a.test");
	start();
	clock_pass(100);
	liar_asked(w.liar);
	clock_pass(59000);
	assert_true(ready());
	clock_pass(1000);
	assert_false(ready());
	clock_pass(100);
	assert_int_equal(w.ready, 2);
	assert_true(ready());
}

/* What was known serves on; a name that is gone does not. */
static void
the_resolver_is_silent(void **state)
{
	(void)state;
	add("a.test");
	start();
	clock_pass(100);
	assert_string_equal(list(), "192.0.2.0");
	liar_mute(w.liar, true);
	clock_pass(60000);
	assert_false(ready());
	assert_int_equal(w.ready, 1);
	for (int i = 0; i < 50 && w.ready < 2; i++)
		clock_pass(100);
	assert_int_equal(w.ready, 2);
	assert_string_equal(list(), "192.0.2.0");
	clock_pass(59000);
	assert_true(ready());
	clock_pass(1000);
	assert_false(ready());
	liar_mute(w.liar, false);
	clock_pass(5100);
	assert_true(ready());
	assert_string_equal(list(), "192.0.2.0");
}

static void
who_failed_comes_last(void **state)
{
	(void)state;
	add("two.test");
	add("a.test");
	start();
	clock_pass(100);
	assert_string_equal(list(),
	    "192.0.2.0 2001:db8::1 2001:db8::2 192.0.2.0");
	mark(0, true);
	assert_string_equal(list(),
	    "2001:db8::1 2001:db8::2 192.0.2.0 192.0.2.0");
	clock_pass(58000);
	mark(0, true);
	assert_string_equal(list(),
	    "2001:db8::2 192.0.2.0 192.0.2.0 2001:db8::1");
	clock_pass(1900);
	assert_false(ready()); /* asked again: those of it are remembered */
	clock_pass(50);
	assert_true(ready());
	assert_string_equal(list(),
	    "2001:db8::2 192.0.2.0 192.0.2.0 2001:db8::1");
	clock_pass(100);
	assert_string_equal(list(),
	    "192.0.2.0 2001:db8::2 192.0.2.0 2001:db8::1");
	mark(3, false);
	assert_string_equal(list(),
	    "192.0.2.0 2001:db8::1 2001:db8::2 192.0.2.0");
}

/* Of what leads nowhere more is asked soon. */
static void
a_name_that_is_not_there(void **state)
{
	(void)state;
	add("nx.test");
	start();
	clock_pass(4000);
	assert_true(ready());
	clock_pass(1100);
	assert_false(ready());
	clock_pass(100);
	assert_string_equal(list(), "");
}

static void
nobody_to_ask(void **state)
{
	(void)state;
	add("a.test");
	w.addresses = addresses_new(&w.route, NULL, on_ready, NULL);
	assert_true(ready());
	assert_string_equal(list(), "");
}

static void
freed_with_open_questions(void **state)
{
	(void)state;
	add("silent.test");
	start();
	addresses_free(&w.addresses);
	clock_pass(20000);
	assert_int_equal(w.ready, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(what_needs_no_question),
	    TEST(names),
	    TEST(an_answer_is_good_for_a_minute),
	    TEST(the_resolver_is_silent),
	    TEST(who_failed_comes_last),
	    TEST(a_name_that_is_not_there),
	    TEST(nobody_to_ask),
	    TEST(freed_with_open_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

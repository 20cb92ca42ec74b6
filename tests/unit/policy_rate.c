/*
 * rate: what is let through and when, with the time as an argument; and that
 * all processes have one count.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "policy/rate.h"

#define NOW  INT64_C(1000000)
#define SETS 64

static const uint8_t hash_key[SIPHASH_KEY_LEN] = "drawn by master";
static struct shared_cells cells;

static int
open_cells(void **state)
{
	(void)state;
	cells = (struct shared_cells){.hash_key = hash_key, .nsets = SETS};
	cells.sets = mmap(NULL, SETS * sizeof(*cells.sets),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(cells.sets, MAP_FAILED);
	return 0;
}

static int
close_cells(void **state)
{
	(void)state;
	return munmap(cells.sets, SETS * sizeof(*cells.sets));
}

static struct ipaddr
address(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(span_str(text), &a), 0);
	return a;
}

static bool
take(struct rate r, const char *client, int64_t now)
{
	struct ipaddr a = address(client);

	return rate_take(&cells, &r, (struct rate_key){&a, 1}, now);
}

static void
give_back(struct rate r, const char *client)
{
	struct ipaddr a = address(client);

	rate_give_back(&cells, &r, (struct rate_key){&a, 1});
}

/* How many of so many tries at once. */
static unsigned
burst(struct rate r, const char *client, int64_t now, unsigned tries)
{
	unsigned n = 0;

	while (tries--)
		n += take(r, client, now);
	return n;
}

/* As many at once as the rate has, then one each interval. */
static void
burst_and_refill(void **state)
{
	static const struct {
		struct rate rate;
		unsigned after,
		    n; /* ms since the burst; then there are so many */
	} rows[] = {
	    {{120, 60000}, 0, 0},
	    {{120, 60000}, 499, 0},
	    {{120, 60000}, 500, 1},
	    {{120, 60000}, 999, 1},
	    {{120, 60000}, 1000, 2},
	    {{120, 60000}, 30000, 60},
	    {{120, 60000}, 59999, 119},
	    {{120, 60000}, 60000, 120},
	    {{120, 60000}, 86400000, 120},
	    {{1, 1000}, 999, 0},
	    {{1, 1000}, 1000, 1},
	    {{20, 60000}, 3000, 1},
	    {{1, 3600000}, 3599999, 0},
	    {{1, 3600000}, 3600000, 1},
	    {{60000, 60000}, 1, 1},
	    {{60000, 3600000}, 60, 1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rate r = rows[i].rate;

		memset(cells.sets, 0, SETS * sizeof(*cells.sets));
		assert_int_equal(burst(r, "192.0.2.1", NOW, r.count + 9),
		    r.count);
		assert_int_equal(burst(r, "192.0.2.1", NOW + rows[i].after,
				     r.count + 9),
		    rows[i].n);
	}
	/* at the start of the machine, too */
	assert_int_equal(burst((struct rate){2, 1000}, "192.0.2.2", 0, 9), 2);
}

/* Nobody who keeps to it is refused, whatever the rounding; nor is anybody
 * let through more than a tenth more. */
static void
a_steady_client(void **state)
{
	static const unsigned counts[] = {1, 7, 500, 999, 5900, 6000};

	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct rate r = {counts[i], 1000};
		unsigned n = 0;

		memset(cells.sets, 0, SETS * sizeof(*cells.sets));
		for (int64_t k = 0; k < 10 * counts[i]; k++)
			assert_true(
			    take(r, "192.0.2.1", NOW + k * 1000 / counts[i]));
		burst(r, "192.0.2.1", NOW + 10000, counts[i]);
		for (int64_t ms = 1; ms <= 10000; ms++)
			n += burst(r, "192.0.2.1", NOW + 10000 + ms, 20);
		assert_in_range(n, 10 * counts[i], 11 * counts[i]);
	}
}

/* Hammering costs nothing but the time. */
static void
the_refused_pay_nothing(void **state)
{
	struct rate r = {2, 1000};

	(void)state;
	assert_int_equal(burst(r, "192.0.2.1", NOW, 1000), 2);
	assert_int_equal(burst(r, "192.0.2.1", NOW + 499, 1000), 0);
	assert_int_equal(burst(r, "192.0.2.1", NOW + 500, 1000), 1);
}

static void
whose_it_is(void **state)
{
	struct rate r = {1, 1000};
	struct ipaddr a = address("192.0.2.1");

	(void)state;
	assert_true(take(r, "192.0.2.1", NOW));
	assert_false(take(r, "::ffff:192.0.2.1", NOW));
	assert_true(take(r, "192.0.2.2", NOW));
	assert_true(rate_take(&cells, &r, (struct rate_key){&a, 2}, NOW));
	/* one client is a /64 */
	assert_true(take(r, "2001:db8:0:1::1", NOW));
	assert_false(take(r, "2001:db8:0:1:ffff::2", NOW));
	assert_true(take(r, "2001:db8:0:2::1", NOW));
}

static void
none(void **state)
{
	struct rate r = {0, 0};

	(void)state;
	assert_int_equal(burst(r, "192.0.2.1", NOW, 1000), 1000);
	give_back(r, "192.0.2.1");
	for (unsigned i = 0; i < SETS * SHARED_CELLS_SET; i++)
		assert_int_equal(cells.sets[i / SHARED_CELLS_SET]
				     .words[i % SHARED_CELLS_SET],
		    0);
}

static void
given_back(void **state)
{
	struct rate r = {2, 1000}, slow = {1, 3600000};

	(void)state;
	give_back(r, "192.0.2.1"); /* it has none */
	assert_int_equal(burst(r, "192.0.2.1", NOW, 9), 2);
	give_back(r, "192.0.2.1");
	assert_int_equal(burst(r, "192.0.2.1", NOW, 9), 1);
	/* more than were taken do not make more than the rate has */
	for (unsigned i = 0; i < 100; i++)
		give_back(r, "192.0.2.1");
	assert_int_equal(burst(r, "192.0.2.1", NOW, 9), 2);
	/* nor when the clock has only begun */
	assert_true(take(slow, "192.0.2.2", 1));
	give_back(slow, "192.0.2.2");
	give_back(slow, "192.0.2.2");
	assert_true(take(slow, "192.0.2.2", 1));
}

/* After a reload; and a word that nobody can have written. */
static void
another_rate(void **state)
{
	struct rate slow = {1, 3600000}, fast = {60, 60000};

	(void)state;
	assert_true(take(slow, "192.0.2.1", NOW));
	assert_false(take(fast, "192.0.2.1", NOW));
	assert_true(take(fast, "192.0.2.1", NOW + 1000));
	for (unsigned i = 0; i < SETS * SHARED_CELLS_SET; i++)
		if (cells.sets[i / 8].words[i % 8])
			cells.sets[i / 8].words[i % 8] |= SHARED_CELLS_VALUE;
	assert_false(take(fast, "192.0.2.1", NOW + 2000));
	assert_true(take(fast, "192.0.2.1", NOW + 3000));
}

/* More clients than there is room for: those who owe most are remembered. */
static void
a_full_table_lets_in(void **state)
{
	struct rate r = {10, 60000};
	unsigned refused = 0;
	char text[32];

	(void)state;
	burst(r, "198.51.100.1", NOW, 10);
	for (unsigned i = 0; i < 8 * SETS * SHARED_CELLS_SET; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
		refused += !take(r, text, NOW);
	}
	assert_int_equal(refused, 0);
	assert_false(take(r, "198.51.100.1", NOW));
}

/* All at once take from one count. Whoever loses four times is let in: how
 * often that is depends on the machine, but for each that wins three lose at
 * most, once. */
static void
several_processes(void **state)
{
	enum { PROCESSES = 4, COUNT = 1000000 };
	struct rate r = {COUNT, 3600000};
	struct {
		_Atomic unsigned here, let_in;
	} *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES];

	(void)state;
	assert_ptr_not_equal(all, MAP_FAILED);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (all->here++; all->here < PROCESSES;)
			sched_yield();
		all->let_in += burst(r, "192.0.2.1", NOW, COUNT / 2);
		_exit(0);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_in_range(all->let_in, COUNT, COUNT * 7 / 4);
	munmap(all, sizeof(*all));
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_cells, close_cells)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(burst_and_refill),
	    T(a_steady_client),
	    T(the_refused_pay_nothing),
	    T(whose_it_is),
	    T(none),
	    T(given_back),
	    T(another_rate),
	    T(a_full_table_lets_in),
	    T(several_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

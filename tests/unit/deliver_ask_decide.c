/*
 * What is said for several copies: each row of the table of the design, and
 * all combinations of three copies, their fates and their parcels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/ask_decide.h"

#define N     3
#define FATES (FATE_LOST + 1)

/* A dot is local, a letter a fate, in upper case on a route with hold; a
 * blank ends a parcel. */
static const char fates[] = "ntradl";
static const char whats[] = "-PKF";

static unsigned
read_copies(const char *text, struct ask_copy *c, unsigned *parcels)
{
	unsigned n = 0;

	*parcels = 0;
	for (; *text; text++) {
		const char *f = strchr(fates, *text | 32);

		if (*text == ' ')
			++*parcels;
		else if (*text == '.')
			c[n++] = (struct ask_copy){.local = true};
		else
			c[n++] = (struct ask_copy){.hold = *text < 'a',
			    .fate = (enum fate)(f - fates),
			    .parcel = *parcels};
	}
	++*parcels;
	return n;
}

static void
rows(void **state)
{
	static const struct {
		const char *copies;
		unsigned asked;
		enum ask_verdict verdict;
		unsigned reply;
		const char *what;
	} all[] = {
	    {".t", 1, ASK_COMMIT, 0, "P-"},
	    {".t", 0, ASK_NEXT, 0, "--"},
	    {".r n", 1, ASK_REPLY, 1, "---"},
	    {".d n", 1, ASK_REPLY, 1, "---"},
	    {".D n", 1, ASK_NEXT, 0, "---"},
	    {".D t", 2, ASK_COMMIT, 0, "PK-"},
	    {".t r", 2, ASK_COMMIT, 0, "P-F"},
	    {".t a", 2, ASK_COMMIT, 0, "P-K"},
	    {"ta", 1, ASK_DONE, 0, "-K"},
	    {"rn", 1, ASK_REPLY, 0, "--"},
	    {"nr", 1, ASK_REPLY, 1, "--"},
	    {"aa", 1, ASK_REPLY, 0, "--"},
	    {"ra", 1, ASK_REPLY, 1, "--"},
	    {"l", 1, ASK_REPLY, 0, "-"},
	    {"t", 1, ASK_DONE, 0, "-"},
	    {"tr", 1, ASK_COMMIT, 0, "-F"},
	    {"rt", 1, ASK_COMMIT, 0, "F-"},
	    {"D r", 2, ASK_REPLY, 1, "--"},
	    {"D A", 2, ASK_DONE, 0, "KK"},
	    {"DR", 1, ASK_REPLY, 0, "--"},
	    {"NA", 1, ASK_DONE, 0, "KK"},
	    {"n", 1, ASK_REPLY, 0, "-"},
	    {"D t d", 3, ASK_DONE, 0, "K-K"},
	    {"t d t", 3, ASK_DONE, 0, "-K-"},
	    {".", 0, ASK_COMMIT, 0, "P"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct ask_copy c[N];
		unsigned parcels;
		unsigned n = read_copies(all[i].copies, c, &parcels);
		struct ask_decision d = ask_decide(c, n, all[i].asked);

		assert_int_equal(d.verdict, all[i].verdict);
		if (d.verdict == ASK_REPLY)
			assert_int_equal(d.reply, all[i].reply);
		assert_int_equal(strlen(all[i].what), n);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(whats[c[k].what], all[i].what[k]);
	}
}

/* --- all of them --- */

static bool
taken_before(const struct ask_copy *c, unsigned n, unsigned parcel)
{
	bool taken = false;

	for (unsigned i = 0; i < n; i++)
		taken |= !c[i].local && c[i].parcel < parcel &&
			 c[i].fate == FATE_TAKEN;
	return taken;
}

static bool
taken_in(const struct ask_copy *c, unsigned n, unsigned parcel)
{
	bool taken = false;

	for (unsigned i = 0; i < n; i++)
		taken |= !c[i].local && c[i].parcel == parcel &&
			 c[i].fate == FATE_TAKEN;
	return taken;
}

/* A copy that is no reason to stop, by the rules themselves. */
static bool
is_settled(const struct ask_copy *c, unsigned n, const struct ask_copy *one)
{
	return one->local || one->fate == FATE_TAKEN ||
	       taken_before(c, n, one->parcel) || taken_in(c, n, one->parcel) ||
	       (one->hold && one->fate != FATE_REFUSED);
}

static void
assert_reply(const struct ask_copy *c, unsigned n, unsigned asked,
    unsigned reply)
{
	const struct ask_copy *r = &c[reply];
	bool later = false;

	assert_false(r->local);
	assert_true(r->parcel < asked);
	assert_false(taken_before(c, n, r->parcel + 1));
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(c[i].what, ASK_NOTHING);
		if (c[i].local)
			continue;
		later |= c[i].parcel == r->parcel && c[i].fate >= FATE_AGAIN;
		if (c[i].parcel < r->parcel) /* those had settled */
			assert_true(is_settled(c, n, &c[i]));
	}
	/* a 4xx where one has it; of equals the first */
	assert_int_equal(later, r->fate >= FATE_AGAIN);
	for (unsigned i = 0; i < reply; i++)
		if (!c[i].local && c[i].parcel == r->parcel)
			assert_true(later ? c[i].fate < FATE_AGAIN
					  : c[i].fate < r->fate);
}

static void
assert_yes(const struct ask_copy *c, unsigned n, enum ask_verdict verdict)
{
	bool record = false;

	for (unsigned i = 0; i < n; i++) {
		assert_true(is_settled(c, n, &c[i]));
		if (c[i].local)
			assert_int_equal(c[i].what, ASK_PLACE);
		else if (c[i].fate == FATE_TAKEN)
			assert_int_equal(c[i].what, ASK_NOTHING);
		else if (c[i].fate == FATE_REFUSED)
			assert_int_equal(c[i].what, ASK_LATE);
		else
			assert_int_equal(c[i].what, ASK_KEEP);
		record |= c[i].what == ASK_PLACE || c[i].what == ASK_LATE;
	}
	assert_int_equal(verdict, record ? ASK_COMMIT : ASK_DONE);
}

static unsigned
try_one(const struct ask_copy *copies, unsigned asked, unsigned parcels)
{
	struct ask_copy c[N];
	struct ask_decision d;
	bool stop = false;

	memcpy(c, copies, sizeof(c));
	d = ask_decide(c, N, asked);
	for (unsigned i = 0; i < N; i++)
		stop |= !c[i].local && c[i].parcel < asked &&
			!is_settled(c, N, &c[i]);
	assert_int_equal(stop, d.verdict == ASK_REPLY);
	if (stop)
		assert_reply(c, N, asked, d.reply);
	else if (asked < parcels)
		assert_int_equal(d.verdict, ASK_NEXT);
	else
		assert_yes(c, N, d.verdict);
	return 1;
}

/* Each of three is local or has one of six fates, with hold or not; parcels
 * are cut in each way, and asked up to each of them. */
static void
all_combinations(void **state)
{
	const unsigned each = 1 + 2 * FATES;
	unsigned tried = 0;

	(void)state;
	for (unsigned x = 0; x < each * each * each * 4; x++) {
		unsigned cut = x % 4, v = x / 4, parcel = 0, parcels;
		struct ask_copy c[N] = {{.local = false}};
		bool remote = false, sorted = true;

		for (unsigned i = 0; i < N; i++, v /= each) {
			unsigned k = v % each;

			c[i].local = k == 0;
			sorted &= !(c[i].local && remote);
			if (c[i].local)
				continue;
			parcel += remote && cut & 1u << (i - 1);
			remote = true;
			c[i].fate = (k - 1) / 2;
			c[i].hold = (k - 1) % 2;
			c[i].parcel = parcel;
		}
		parcels = remote ? parcel + 1 : 0;
		for (unsigned a = 0; sorted && a <= parcels; a++)
			tried += try_one(c, a, parcels);
	}
	assert_true(tried > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows),
	    cmocka_unit_test(all_combinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

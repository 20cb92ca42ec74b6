/*
 * How a question goes through the table of checks, with checks and facts that
 * do as they are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/door_state.h"

/* --- three facts, and who gathers them --- */

enum { NAME, LISTS, SENDER, NFACTS };

static struct gather {
	struct ask ask;
	fact_fn *fn; /* NULL: not asked, answered or cancelled */
	void *ctx;
	unsigned asked, cancelled;
	bool at_once;
	int64_t deadline;
} gathers[NFACTS];

static const enum fact bits[] = {FACT_NAME, FACT_LISTS, FACT_SENDER};

static void
cancel(struct ask *a, enum ask_end end)
{
	struct gather *g = (struct gather *)a;

	(void)end;
	g->fn = NULL;
	g->cancelled++;
}

static struct ask *
gather(unsigned i, const struct fact_from *from, fact_fn *fn, void *ctx)
{
	struct gather *g = &gathers[i];

	assert_null(g->fn);
	assert_int_not_equal(from->stranger, 0);
	g->asked++;
	g->deadline = from->deadline;
	if (g->at_once)
		return NULL;
	g->ask.cancel = cancel;
	g->fn = fn;
	g->ctx = ctx;
	return &g->ask;
}

#define GATHER(name, i)                                                        \
	static struct ask *name(const struct fact_from *from, struct facts *f, \
	    fact_fn *fn, void *ctx)                                            \
	{                                                                      \
		(void)f;                                                       \
		return gather(i, from, fn, ctx);                               \
	}
GATHER(gather_name, NAME)
GATHER(gather_lists, LISTS)
GATHER(gather_sender, SENDER)

static const struct door_fact facts[] = {
    {FACT_NAME, gather_name, POLICY_CONNECT},
    {FACT_LISTS, gather_lists, POLICY_CONNECT},
    {FACT_SENDER, gather_sender, POLICY_MAIL},
};

static void
comes(unsigned i)
{
	fact_fn *fn = gathers[i].fn;

	assert_non_null(fn);
	gathers[i].fn = NULL;
	fn(gathers[i].ctx, bits[i]);
}

/* --- checks --- */

enum { CLIENT, LOGIN, RCPT, FIRST, SECOND, THIRD, GREY, NCHECKS };

static struct {
	enum verdict_kind finds;
	unsigned judged;
	struct check_action action;
} rows[NCHECKS];

static void
find(unsigned i, struct verdict *v)
{
	static const char values[][2] = {"0", "1", "2", "3", "4", "5", "6"};

	rows[i].judged++;
	v->kind = rows[i].finds;
	v->code = v->kind == VERDICT_DEFER ? 450 : 550;
	v->status = v->kind == VERDICT_DEFER ? "4.1.8" : "5.7.27";
	v->text = "No";
	memcpy(v->value, values[i], 2);
}

#define CHECK(i)                                                               \
	static void judge_##i(const struct check_case *c, struct verdict *v)   \
	{                                                                      \
		(void)c;                                                       \
		find(i, v);                                                    \
	}                                                                      \
	static struct check_action action_##i(const struct door_config *c)     \
	{                                                                      \
		(void)c;                                                       \
		return rows[i].action;                                         \
	}
CHECK(CLIENT)
CHECK(LOGIN)
CHECK(RCPT)
CHECK(FIRST)
CHECK(SECOND)
CHECK(THIRD)
CHECK(GREY)

#define NEEDS(name, fact)                                                      \
	static unsigned name(const struct check_case *c)                       \
	{                                                                      \
		(void)c;                                                       \
		return fact;                                                   \
	}
NEEDS(needs_name, FACT_NAME)
NEEDS(needs_lists, FACT_LISTS)
NEEDS(needs_sender, FACT_SENDER)

/* clang-format off */
#define ROW(i, stage, ...)                                                     \
	{#i, stage, .action = action_##i, .judge = judge_##i, __VA_ARGS__}
/* clang-format on */
#define KEPT .reputation = true, .once = true, .defer = 451

static const struct check checks[] = {
    ROW(CLIENT, POLICY_CONNECT, .scope = SCOPE_SESSION),
    ROW(LOGIN, POLICY_MAIL, .scope = SCOPE_TRANSACTION),
    ROW(RCPT, POLICY_RCPT, .scope = SCOPE_RCPT),
    ROW(FIRST, POLICY_RCPT, KEPT, .needs = needs_name),
    ROW(SECOND, POLICY_RCPT, KEPT, .needs = needs_lists,
	.scope = SCOPE_SESSION),
    ROW(THIRD, POLICY_RCPT, KEPT, .needs = needs_sender),
    ROW(GREY, POLICY_DATA, .reputation = true, .wants = FACT_NAME),
};

static const struct door_tables tables = {checks, NCHECKS, facts, NFACTS};

/* --- a session --- */

static struct door_config conf = {.dns_timeout = 3000};
static const struct doors all = {.conf = &conf};
static struct envelope env = {.session = "06H0000000000001"};
static struct door *door;
static struct ask *question;
static unsigned told, observed;
static const struct verdict *answer;

static void
on_answer(void *ctx, const struct verdict *no)
{
	assert_ptr_equal(ctx, &told);
	told++;
	question = NULL;
	answer = no;
}

static void
on_observed(void *ctx, const char *check, const struct verdict *v)
{
	(void)ctx;
	assert_true(v->observed);
	assert_non_null(check);
	observed++;
}

static void
open_door(void)
{
	const struct door_subject s = {.env = &env, .hostname = "mx"};

	door = door_new_with(&all, &s, &tables);
	door_on_observed(door, on_observed, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	memset(gathers, 0, sizeof(gathers));
	memset(rows, 0, sizeof(rows));
	for (unsigned i = 0; i < NCHECKS; i++)
		rows[i].action.act = ACTION_REJECT;
	told = observed = 0;
	question = NULL;
	envelope_free(&env);
	open_door();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	door_free(&door);
	assert_null(door);
	return 0;
}

/* NULL: it waits, or it is yes. */
static const struct verdict *
ask(enum policy_stage stage)
{
	const struct smtp_path rcpt = {.local = "alice"};
	unsigned before = told;

	question = door_ask(door, stage, stage == POLICY_RCPT ? &rcpt : NULL,
	    &answer, on_answer, &told);
	assert_int_equal(told, before);
	if (question)
		assert_null(answer);
	return answer;
}

static bool
is_yes(enum policy_stage stage)
{
	return !ask(stage) && !question;
}

/* All that comes before RCPT, and passes. */
static void
hello(void)
{
	assert_true(is_yes(POLICY_CONNECT));
	door_begin(door);
	assert_true(is_yes(POLICY_MAIL));
}

static void
all_come(void)
{
	for (unsigned i = 0; i < NFACTS; i++)
		comes(i);
}

/* There is a door if anything stands at it. */
static void
one_check_is_enough(void **state)
{
	const struct check_action on = {.act = ACTION_OBSERVE};
	const struct door_config rows_of[] = {{.helo = on}, {.fcrdns = on},
	    {.sender_domain = on}, {.dnsbl = on}, {.greylist = on},
	    {.pregreet = on, .pregreet_wait = 1},
	    {.access = (const struct access *)&rows}};
	const struct door_config off[] = {{.pregreet = on},
	    {.pregreet_wait = 1}, {.refuse_at = 5}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows_of) / sizeof(rows_of[0]); i++)
		assert_true(door_config_is_on(&rows_of[i]));
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		assert_false(door_config_is_on(&off[i]));
}

/* --- facts --- */

static void
facts_begin_early_and_once(void **state)
{
	(void)state;
	assert_true(is_yes(POLICY_CONNECT));
	assert_int_equal(gathers[NAME].asked + gathers[LISTS].asked, 0);
	door_begin(door);
	door_begin(door);
	assert_int_equal(gathers[NAME].asked, 1);
	assert_int_equal(gathers[LISTS].asked, 1);
	assert_int_equal(gathers[SENDER].asked, 0);
	assert_true(is_yes(POLICY_MAIL));
	assert_int_equal(gathers[SENDER].asked, 1);
	all_come();
	assert_true(is_yes(POLICY_RCPT));
	assert_true(is_yes(POLICY_RCPT));
	assert_int_equal(gathers[NAME].asked, 1);
	assert_int_equal(told, 0);
}

/* Nobody wants what only checks that are off would ask for. */
static void
what_is_off_gathers_nothing(void **state)
{
	(void)state;
	rows[FIRST].action.act = ACTION_OFF;
	rows[SECOND].action.act = ACTION_OFF;
	hello();
	assert_int_equal(gathers[LISTS].asked, 0);
	assert_int_equal(gathers[NAME].asked, 1); /* greylist's */
	comes(SENDER);
	assert_true(is_yes(POLICY_RCPT));
	assert_int_equal(rows[FIRST].judged, 0);
}

/* What each of them finds, and in which order they come: it is all the same. */
static void
no_order_changes_a_verdict(void **state)
{
	static const unsigned orders[][NFACTS] = {{0, 1, 2}, {0, 2, 1},
	    {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const enum verdict_kind kinds[] = {VERDICT_PASS, VERDICT_ALLOW,
	    VERDICT_DEFER, VERDICT_REJECT};
	char want;

	(void)state;
	for (unsigned found = 0; found < 64; found++) {
		want = '\0';
		for (unsigned o = 0; o < 6; o++) {
			tear_down(NULL);
			set_up(NULL);
			for (unsigned i = 0; i < NFACTS; i++)
				rows[FIRST + i].finds =
				    kinds[found >> 2 * i & 3];
			hello();
			ask(POLICY_RCPT);
			assert_non_null(question);
			for (unsigned i = 0; i < NFACTS; i++)
				comes(orders[o][i]);
			assert_int_equal(told, 1);
			if (!want)
				want = answer ? *answer->value : '-';
			assert_int_equal(answer ? *answer->value : '-', want);
			/* and it is kept */
			assert_ptr_equal(ask(POLICY_RCPT) == NULL, want == '-');
			assert_null(question);
		}
	}
}

static void
a_final_verdict_does_not_wait(void **state)
{
	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	hello();
	ask(POLICY_RCPT);
	assert_non_null(question);
	comes(NAME);
	assert_int_equal(told, 1);
	assert_int_equal(answer->code, 550);
	assert_string_equal(door_said(door), "FIRST");
	/* the others come when they come */
	comes(LISTS);
	comes(SENDER);
	assert_int_equal(told, 1);
	assert_int_equal(rows[SECOND].judged, 0);
}

static void
a_fact_that_never_comes_is_cancelled_with_the_door(void **state)
{
	(void)state;
	hello();
	ask(POLICY_RCPT);
	comes(LISTS);
	comes(SENDER);
	assert_int_equal(told, 0);
	ask_cancel(&question, ASK_ABANDON);
	door_free(&door);
	assert_int_equal(gathers[NAME].cancelled, 1);
	assert_int_equal(told, 0);
	open_door();
}

/* A gatherer that calls twice is not heard twice. */
static void
a_fact_comes_once(void **state)
{
	struct gather late;

	(void)state;
	hello();
	ask(POLICY_RCPT);
	late = gathers[NAME];
	comes(NAME);
	late.fn(late.ctx, FACT_NAME);
	late.fn(late.ctx, FACT_NAME);
	assert_int_equal(rows[FIRST].judged, 1);
	assert_int_equal(told, 0);
	comes(LISTS);
	comes(SENDER);
	assert_int_equal(told, 1);
}

static void
a_cancelled_question_is_silent_and_its_facts_stay(void **state)
{
	(void)state;
	hello();
	ask(POLICY_RCPT);
	ask_cancel(&question, ASK_GO_ON);
	all_come();
	assert_int_equal(told, 0);
	assert_int_equal(gathers[NAME].cancelled, 0);
	rows[THIRD].finds = VERDICT_REJECT;
	assert_non_null(ask(POLICY_RCPT));
	assert_int_equal(gathers[NAME].asked, 1);
}

static void
what_cannot_be_asked_is_unknown_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NFACTS; i++)
		gathers[i].at_once = true;
	hello();
	assert_true(is_yes(POLICY_RCPT));
	assert_int_equal(rows[THIRD].judged, 1);
}

/* Begun when it is needed, with those of the rows behind. */
static void
a_question_begins_what_nobody_has(void **state)
{
	(void)state;
	assert_true(is_yes(POLICY_CONNECT));
	ask(POLICY_RCPT);
	assert_non_null(question);
	assert_int_equal(gathers[NAME].asked + gathers[LISTS].asked +
			     gathers[SENDER].asked,
	    3);
	all_come();
	assert_int_equal(told, 1);
}

static void
another_sender_is_another_fact(void **state)
{
	(void)state;
	rows[THIRD].finds = VERDICT_REJECT;
	hello();
	all_come();
	assert_non_null(ask(POLICY_RCPT));
	rows[THIRD].finds = VERDICT_PASS;
	assert_true(is_yes(POLICY_MAIL));
	assert_int_equal(gathers[SENDER].asked, 2);
	assert_int_equal(gathers[NAME].asked, 1);
	ask(POLICY_RCPT);
	assert_non_null(question);
	ask_cancel(&question, ASK_ABANDON);
	/* its predecessor's, still on its way, is not heard */
	door_reset(door);
	assert_int_equal(gathers[SENDER].cancelled, 1);
	assert_true(is_yes(POLICY_MAIL));
	comes(SENDER);
	assert_true(is_yes(POLICY_RCPT));
}

/* What is kept of one transaction is not said in the next. */
static void
another_transaction_is_judged_anew(void **state)
{
	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	hello();
	all_come();
	assert_non_null(ask(POLICY_RCPT));
	rows[FIRST].finds = VERDICT_PASS;
	assert_true(is_yes(POLICY_MAIL));
	comes(SENDER);
	assert_true(is_yes(POLICY_RCPT));
	assert_true(is_yes(POLICY_RCPT));
	assert_int_equal(rows[FIRST].judged, 2);
}

/* --- what a check may do --- */

static void
observed_verdicts_are_told_and_hide_nothing(void **state)
{
	(void)state;
	for (unsigned i = FIRST; i <= THIRD; i++)
		rows[i].finds = VERDICT_REJECT;
	rows[FIRST].action.act = ACTION_OBSERVE;
	rows[SECOND].finds = VERDICT_DEFER;
	rows[SECOND].action.act = ACTION_OBSERVE;
	hello();
	all_come();
	assert_int_equal(*ask(POLICY_RCPT)->value, '0' + THIRD);
	assert_int_equal(observed, 2);
	assert_non_null(ask(POLICY_RCPT));
	assert_int_equal(observed, 2);
}

/* What is only tried out opens nothing. */
static void
an_observed_allow_covers_nothing(void **state)
{
	(void)state;
	rows[SECOND].finds = VERDICT_ALLOW;
	rows[SECOND].action.act = ACTION_OBSERVE;
	rows[THIRD].finds = VERDICT_REJECT;
	hello();
	all_come();
	assert_int_equal(*ask(POLICY_RCPT)->value, '0' + THIRD);
	assert_int_equal(observed, 1);
}

static void
defer_is_the_rejection_with_a_4(void **state)
{
	const struct verdict *no;

	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	rows[FIRST].action =
	    (struct check_action){ACTION_DEFER, {"smtpd.conf", 7}};
	hello();
	all_come();
	no = ask(POLICY_RCPT);
	assert_int_equal(no->kind, VERDICT_DEFER);
	assert_int_equal(no->code, 451);
	assert_string_equal(no->status, "4.7.27");
	assert_string_equal(no->at.file, "smtpd.conf");
	assert_int_equal(no->at.line, 7);
	/* what is one already stays as it is */
	rows[FIRST].finds = VERDICT_DEFER;
	assert_true(is_yes(POLICY_MAIL));
	no = ask(POLICY_RCPT);
	assert_int_equal(no->code, 450);
	assert_string_equal(verdict_reply(no).status, "4.1.8");
	assert_string_equal(verdict_reply(no).text, "No");
}

/* Each that says something, by what it says. */
static void
verdicts_are_counted(void **state)
{
	static const struct check helo[] = {
	    {"helo", POLICY_RCPT, .action = action_FIRST, .judge = judge_FIRST,
		.defer = 451, .counter = SHARED_CHECK_HELO}};
	static const struct door_tables counted = {helo, 1, NULL, 0};
	static const enum action acts[] = {ACTION_OBSERVE, ACTION_DEFER,
	    ACTION_REJECT, ACTION_REJECT};
	struct doors with = {.conf = &conf, .shared = shared_new()};
	const struct door_subject s = {.env = &env, .hostname = "mx"};
	unsigned first = SHARED_CHECK_HELO;

	(void)state;
	door_free(&door);
	door = door_new_with(&with, &s, &counted);
	ask(POLICY_RCPT); /* a pass is nothing */
	rows[FIRST].finds = VERDICT_REJECT;
	for (unsigned i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		rows[FIRST].action.act = acts[i];
		ask(POLICY_RCPT);
	}
	assert_int_equal(shared_total(with.shared, first + COUNTER_OBSERVED),
	    1);
	assert_int_equal(shared_total(with.shared, first + COUNTER_DEFERRED),
	    1);
	assert_int_equal(shared_total(with.shared, first + COUNTER_REJECTED),
	    2);
	door_free(&door);
}

static void
a_greeting_is_refused_in_two_ways(void **state)
{
	(void)state;
	rows[CLIENT].finds = VERDICT_REJECT;
	assert_int_equal(ask(POLICY_CONNECT)->code, 554);
	rows[CLIENT].finds = VERDICT_DEFER;
	assert_int_equal(ask(POLICY_CONNECT)->code, 421);
}

/* --- what an ALLOW covers --- */

static void
an_allowed_client_has_no_reputation(void **state)
{
	(void)state;
	rows[CLIENT].finds = VERDICT_ALLOW;
	rows[FIRST].finds = rows[GREY].finds = VERDICT_REJECT;
	hello();
	assert_int_equal(gathers[NAME].asked, 0);
	assert_true(is_yes(POLICY_RCPT));
	door_took_rcpt(door);
	assert_true(is_yes(POLICY_DATA));
	assert_true(is_yes(POLICY_MAIL));
	assert_true(is_yes(POLICY_RCPT));
	/* a rule is no reputation */
	rows[RCPT].finds = VERDICT_REJECT;
	assert_non_null(ask(POLICY_RCPT));
}

static void
an_allowed_login_has_its_transaction(void **state)
{
	(void)state;
	rows[LOGIN].finds = VERDICT_ALLOW;
	rows[FIRST].finds = VERDICT_REJECT;
	hello();
	assert_true(is_yes(POLICY_RCPT));
	rows[LOGIN].finds = VERDICT_PASS;
	assert_true(is_yes(POLICY_MAIL));
	comes(NAME);
	assert_non_null(ask(POLICY_RCPT));
}

/* Of one recipient, in either order, and of nobody else. */
static void
an_allowed_recipient_opens_for_itself(void **state)
{
	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	hello();
	all_come();
	for (unsigned i = 0; i < 3; i++) {
		rows[RCPT].finds = VERDICT_ALLOW;
		assert_true(is_yes(POLICY_RCPT));
		rows[RCPT].finds = VERDICT_PASS;
		assert_non_null(ask(POLICY_RCPT));
		if (i == 1)
			assert_true(is_yes(POLICY_MAIL));
	}
	assert_int_equal(rows[FIRST].judged, 2);
}

static void
greylist_asks_for_whom_nothing_allows(void **state)
{
	(void)state;
	rows[GREY].finds = VERDICT_DEFER;
	hello();
	all_come();
	rows[RCPT].finds = VERDICT_ALLOW;
	assert_true(is_yes(POLICY_RCPT));
	door_took_rcpt(door);
	assert_true(is_yes(POLICY_DATA));
	rows[RCPT].finds = VERDICT_PASS;
	assert_true(is_yes(POLICY_RCPT));
	/* one that delivery does not take does not count */
	assert_true(is_yes(POLICY_DATA));
	assert_true(is_yes(POLICY_RCPT));
	door_took_rcpt(door);
	assert_int_equal(ask(POLICY_DATA)->code, 450);
	/* and the next message has its own */
	assert_true(is_yes(POLICY_MAIL));
	rows[RCPT].finds = VERDICT_ALLOW;
	assert_true(is_yes(POLICY_RCPT));
	door_took_rcpt(door);
	assert_true(is_yes(POLICY_DATA));
}

/* A list that vouches, in the middle of the table. */
static void
who_is_vouched_for_is_asked_nothing_more(void **state)
{
	(void)state;
	rows[SECOND].finds = VERDICT_ALLOW;
	rows[THIRD].finds = rows[GREY].finds = VERDICT_REJECT;
	hello();
	ask(POLICY_RCPT);
	comes(NAME);
	comes(LISTS);
	assert_int_equal(told, 1);
	assert_null(answer);
	door_took_rcpt(door);
	assert_true(is_yes(POLICY_DATA));
}

static void
who_logs_in_has_no_reputation(void **state)
{
	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	envelope_set_login(&env, "alice");
	hello();
	assert_int_equal(gathers[NAME].asked, 0);
	assert_true(is_yes(POLICY_RCPT));
}

/* --- the trail --- */

static void
the_trail_says_what_was_said(void **state)
{
	struct buf out = {0};

	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	rows[FIRST].action =
	    (struct check_action){ACTION_OBSERVE, {"smtpd.conf", 9}};
	rows[SECOND].finds = VERDICT_REJECT;
	hello();
	all_come();
	ask(POLICY_RCPT);
	door_trail(door, &out);
	buf_append(&out, "", 1);
	assert_string_equal(out.data, "CLIENT pass 0 default\n"
				      "LOGIN pass 1 default\n"
				      "RCPT pass 2 default\n"
				      "FIRST observed reject 3 smtpd.conf:9\n"
				      "SECOND reject 4 default");
	buf_free(&out);
}

static void
a_thousand_recipients_do_not_drive_out_a_no(void **state)
{
	struct buf out = {0};

	(void)state;
	rows[FIRST].finds = VERDICT_REJECT;
	hello();
	all_come();
	ask(POLICY_RCPT);
	rows[RCPT].finds = VERDICT_PASS;
	for (unsigned i = 0; i < 1000; i++)
		ask(POLICY_RCPT);
	door_trail(door, &out);
	buf_append(&out, "", 1);
	assert_non_null(strstr(out.data, "FIRST reject 3 default\n"));
	assert_null(strstr(out.data, "CLIENT"));
	buf_free(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_check_is_enough),
	    TEST(facts_begin_early_and_once),
	    TEST(what_is_off_gathers_nothing),
	    TEST(no_order_changes_a_verdict),
	    TEST(a_final_verdict_does_not_wait),
	    TEST(a_fact_that_never_comes_is_cancelled_with_the_door),
	    TEST(a_fact_comes_once),
	    TEST(a_cancelled_question_is_silent_and_its_facts_stay),
	    TEST(what_cannot_be_asked_is_unknown_at_once),
	    TEST(a_question_begins_what_nobody_has),
	    TEST(another_sender_is_another_fact),
	    TEST(another_transaction_is_judged_anew),
	    TEST(observed_verdicts_are_told_and_hide_nothing),
	    TEST(an_observed_allow_covers_nothing),
	    TEST(defer_is_the_rejection_with_a_4),
	    TEST(verdicts_are_counted),
	    TEST(a_greeting_is_refused_in_two_ways),
	    TEST(an_allowed_client_has_no_reputation),
	    TEST(an_allowed_login_has_its_transaction),
	    TEST(an_allowed_recipient_opens_for_itself),
	    TEST(greylist_asks_for_whom_nothing_allows),
	    TEST(who_is_vouched_for_is_asked_nothing_more),
	    TEST(who_logs_in_has_no_reputation),
	    TEST(the_trail_says_what_was_said),
	    TEST(a_thousand_recipients_do_not_drive_out_a_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

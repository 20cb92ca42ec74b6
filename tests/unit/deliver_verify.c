/*
 * What RCPT is answered with when a recipient is a server's: whom it is asked
 * of, what is remembered, and what happens when nobody waits any more. What
 * the servers say is a test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/verify_cache.h"
#include "io/clock.h"
#include "log_catch.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)

enum { WEB, RUN, BOX, OUT };

static void
alias(const char *line)
{
	assert_null(
	    recipients_add_alias(post.options.recipients, post.org, line));
}

static int
start_with(bool hold)
{
	log_forget();
	if (routes_start(hold))
		return -1;
	for (unsigned i = 0; i < ROUTES; i++)
		routes[i].route.verify = true;
	rig.deliver->lookups.smarthost = &routes[OUT].dest;
	alias("box: route:box");
	alias("both: route:web, u, route:box");
	alias("postmaster: route:box");
	alias("abuse: u, route:box");
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(false);
}

static int
start_hold(void **state)
{
	(void)state;
	return start_with(true);
}

static int
finish(void **state)
{
	int r;

	for (unsigned i = 0; i < ROUTES; i++)
		assert_null(routes[i].verify.told);
	r = routes_finish(state);
	log_forget();
	return r;
}

/* It is asked there now, and nothing is answered yet. */
static void
asks_of(const char *local, unsigned which, const char *text)
{
	assert_non_null(*post_ask(local, "example.org"));
	assert_non_null(routes[which].verify.told);
	assert_string_equal(routes[which].verify.text, text);
	assert_int_equal(post.replies + post.refusals, 0);
}

/* It was answered, with "" for yes; and is forgotten. */
static void
heard(const char *reply)
{
	assert_int_equal(post.replies + post.refusals, 1);
	assert_string_equal(post.reply, reply);
	post.replies = post.refusals = 0;
}

/* At once: nobody is asked. */
static void
is_known(const char *local, const char *reply)
{
	assert_null(*post_ask(local, "example.org"));
	heard(reply);
}

/* The targets that the envelope has. */
static void
has(unsigned n)
{
	const struct targets *t = post.env.targets;

	assert_int_equal(t ? t->n : 0, n);
}

static const char *said; /* the text of the last reply */
static char text[256];

static void
hear(const struct smtp_reply *r)
{
	said = r ? strcpy(text, r->text) : "";
}

/* --- what it says --- */

static void
its_own_words(void **state)
{
	(void)state;
	post.heard = hear;
	asks_of("box", BOX, " box@example.org");
	assert_int_equal(routes[BOX].verify.deadline,
	    clock_now() + 20 * SECOND);
	has(0);
	routes_verified(BOX, 'r');
	heard("550 5.1.1");
	assert_string_equal(said, "Nobody");
	has(0);
	said = "";
	is_known("box", "550 5.1.1");
	assert_string_equal(said, "Nobody");
	assert_int_equal(logged("verified", "session=" POST_ID
					    " rcpt=box@example.org route=box "
					    "code=550 cached=0\n"),
	    1);
	assert_int_equal(logged("verified", "code=550 cached=1\n"), 1);
	post.heard = NULL;
}

static void
a_yes(void **state)
{
	(void)state;
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("");
	has(1);
	is_known("box", "");
	has(1);
	/* but not any other address */
	alias("box2: route:box");
	asks_of("box2", BOX, " box2@example.org");
	routes_verified(BOX, 't');
	heard("");
	has(2);
	assert_int_equal(logged("verified", "code=250 cached=0\n"), 2);
	assert_int_equal(logged("verified", "code=250 cached=1\n"), 1);
}

/* Each for its time, and then it is asked again. */
static void
it_is_remembered(void **state)
{
	static const struct {
		char fate;
		const char *reply;
		int64_t ms;
	} rows[] = {{'r', "550 5.1.1", MINUTE}, {'a', "450 4.2.1", 10 * SECOND},
	    {'t', "", 10 * MINUTE}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		asks_of("box", BOX, " box@example.org");
		routes_verified(BOX, rows[i].fate);
		heard(rows[i].reply);
		rig_pass(rows[i].ms - 1);
		is_known("box", rows[i].reply);
		rig_pass(1);
	}
	for (unsigned i = 0; i < 2; i++) {
		asks_of("box", BOX, " box@example.org");
		routes_verified(BOX, "dl"[i]);
		heard(i ? "451 4.4.2" : "451 4.4.1");
	}
	assert_int_equal(routes[BOX].verify.asked, 5);
}

static void
nobody_is_asked(void **state)
{
	(void)state;
	routes[BOX].route.verify = false;
	is_known("box", "");
	routes[BOX].route.verify = true;
	routes[BOX].kind.verify = NULL;
	is_known("box", "");
	is_known("u", "");
	has(2);
	assert_int_equal(logged("verified", ""), 0);
}

/* --- several --- */

static void
one_after_the_other(void **state)
{
	(void)state;
	asks_of("both", WEB, " both@example.org");
	assert_null(routes[BOX].verify.told);
	rig_pass(7 * SECOND);
	routes_verified(WEB, 't');
	assert_int_equal(post.replies + post.refusals, 0);
	assert_string_equal(routes[BOX].verify.text, " both@example.org");
	/* one time for both */
	assert_int_equal(routes[BOX].verify.deadline,
	    clock_now() + 13 * SECOND);
	routes_verified(BOX, 'a');
	heard("450 4.2.1");
	has(0);
	is_known("both", "450 4.2.1");
	rig_pass(10 * SECOND);
	asks_of("both", BOX, " both@example.org");
	routes_verified(BOX, 't');
	heard("");
	has(3);
}

static void
the_first_no(void **state)
{
	(void)state;
	asks_of("both", WEB, " both@example.org");
	routes_verified(WEB, 'r');
	heard("550 5.1.1");
	assert_int_equal(routes[BOX].verify.asked, 0);
	has(0);
}

/* --- it is not there --- */

static void
down_is_said_at_once(void **state)
{
	(void)state;
	routes[BOX].away = true;
	is_known("box", "451 4.4.1");
	/* whatever it said before, and whether or not it would be asked */
	routes[BOX].away = false;
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("");
	routes[BOX].away = true;
	is_known("box", "451 4.4.1");
	routes[BOX].route.verify = false;
	is_known("box", "451 4.4.1");
	/* behind another one, too */
	asks_of("both", WEB, " both@example.org");
	routes_verified(WEB, 't');
	heard("451 4.4.1");
	assert_int_equal(routes[BOX].verify.asked, 1);
}

/* What is kept for it is taken unseen, but not what it refuses. */
static void
held_is_a_yes(void **state)
{
	(void)state;
	routes[BOX].away = true;
	is_known("box", "");
	has(1);
	routes[BOX].away = false;
	for (unsigned i = 0; i < 2; i++) {
		asks_of("box", BOX, " box@example.org");
		routes_verified(BOX, "dl"[i]);
		heard("");
	}
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 'a');
	heard("");
	is_known("box", "");
	rig_pass(10 * SECOND);
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 'r');
	heard("550 5.1.1");
	is_known("box", "550 5.1.1");
	routes[WEB].away = true;
	asks_of("both", BOX, " both@example.org");
	routes_verified(BOX, 't');
	heard("");
}

/* --- what a message shows --- */

static void
begin_again(void)
{
	envelope_reset(&post.env);
	post.env.sender =
	    (struct smtp_path){.local = "s", .domain = "example.com"};
}

static void
send_with(char fate)
{
	const char fates[] = {fate, '\0'};

	routes_rcpt(BOX, "box@example.org");
	post_submit(NULL, 10);
	rig_pass(0);
	routes_answer(BOX, fates);
	rig_pass(0);
	post.replies = post.refusals = 0;
	begin_again();
}

static void
a_message_knows_better(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		asks_of("box", BOX, " box@example.org");
		routes_verified(BOX, 't');
		heard("");
		begin_again();
		send_with("ra"[i]);
	}
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("");
	begin_again();
	send_with('d'); /* says nothing of it */
	rig_pass(9 * MINUTE);
	is_known("box", "");
	begin_again();
	send_with('t');
	rig_pass(9 * MINUTE);
	is_known("box", "");
	rig_pass(MINUTE);
	begin_again();
	/* and what was not known is not known by that */
	send_with('t');
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("");
	routes_settle();
}

/* --- what is held --- */

/* Nobody is held unseen for whom too much is by now. */
static void
held_is_full(void **state)
{
	(void)state;
	routes_rcpt(BOX, "x@x");
	post_submit(NULL, post.options.held / 2);
	rig_pass(0);
	routes_answer(BOX, "d");
	rig_pass(0);
	heard("");
	begin_again();
	routes[BOX].away = true;
	is_known("box", "");
	held_look(rig.deliver->held);
	rig_pass(0);
	is_known("box", "451 4.4.1");
}

/* What a mailbox does not take is no reason for others to wait. */
static void
held_for_a_mailbox(void **state)
{
	(void)state;
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u");
	routes_local();
	post_submit(NULL, 10);
	rig_pass(20);
	heard("");
	begin_again();
	is_known("u", "450 4.2.1");
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("");
	is_known("both", "450 4.2.1");
}

/* --- relayed --- */

static void
relayed_with_its_sender(void **state)
{
	struct verify_cache *cache =
	    rig.deliver->carriers.routes[routes[OUT].route.number].cache;
	const struct smtp_reply *known;

	(void)state;
	assert_null(*post_ask("x", "example.net"));
	heard("550 5.7.1");
	envelope_set_login(&post.env, "s");
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(*post_ask("x", "example.net"));
		assert_string_equal(routes[OUT].verify.text,
		    "s@example.com x@example.net");
		routes_verified(OUT, "rt"[i]);
		heard(i ? "" : "550 5.1.1");
	}
	post_submit(NULL, 10);
	rig_pass(0);
	routes_answer(OUT, "t");
	rig_pass(0);
	post.replies = post.refusals = 0;
	post.env.sender = (struct smtp_path){.local = "", .domain = ""};
	assert_non_null(*post_ask("x", "example.net"));
	assert_string_equal(routes[OUT].verify.text, " x@example.net");
	routes_verified(OUT, 'a');
	heard("450 4.2.1");
	assert_int_equal(routes[OUT].verify.asked, 3);
	assert_int_equal(verify_cache_find(cache, "x@example.net", clock_now(),
			     &known),
	    FATE_NONE);
	routes_settle();
}

/* Others' postmasters are their own affair. */
static void
a_postmaster_elsewhere(void **state)
{
	(void)state;
	envelope_set_login(&post.env, "s");
	post_ask("postmaster", "example.net");
	routes_verified(OUT, 'r');
	heard("550 5.1.1");
	assert_int_equal(logged("route-misconfigured", ""), 0);
}

/* --- whom everybody must have --- */

static void
is_not_refused(const char *local, const char *to)
{
	asks_of(local, BOX, to);
	routes_verified(BOX, 'r');
	heard("451 4.3.5");
	is_known(local, "451 4.3.5");
	has(0);
}

static void
postmaster_and_abuse(void **state)
{
	(void)state;
	is_not_refused("postmaster", " postmaster@example.org");
	assert_int_equal(logged("route-misconfigured",
			     "route=box rcpt=postmaster@example.org reply=550"),
	    1);
	is_not_refused("ABUSE", " ABUSE@example.org");
	/* once for each time that it was asked */
	assert_int_equal(logged("route-misconfigured", ""), 2);
	rig_pass(MINUTE);
	asks_of("postmaster", BOX, " postmaster@example.org");
	routes_verified(BOX, 'a');
	heard("450 4.2.1");
}

static void
replace_with(const char *address)
{
	assert_null(recipients_postmaster(post.options.recipients, address));
}

static void
the_one_of_all_domains(void **state)
{
	(void)state;
	replace_with("u@example.org");
	asks_of("postmaster", BOX, " postmaster@example.org");
	routes_verified(BOX, 'r');
	heard("");
	has(1);
	assert_string_equal(post.env.targets->first->path, "example.org/u");
	assert_string_equal(post.env.targets->first->address,
	    "postmaster@example.org");
	is_known("postmaster", "");
	/* he is there once */
	asks_of("abuse", BOX, " abuse@example.org");
	routes_verified(BOX, 'r');
	heard("");
	has(1);
	assert_int_equal(logged("route-misconfigured", ""), 0);
	rig_pass(MINUTE);
	asks_of("postmaster", BOX, " postmaster@example.org");
	routes_verified(BOX, 't');
	heard("");
	has(2);
}

static void
he_is_asked_for_as_well(void **state)
{
	(void)state;
	alias("root: route:web, route:run");
	replace_with("root@example.org");
	asks_of("postmaster", BOX, " postmaster@example.org");
	routes_verified(BOX, 'r');
	assert_string_equal(routes[WEB].verify.text, " root@example.org");
	routes_verified(WEB, 't');
	assert_string_equal(routes[RUN].verify.text, " root@example.org");
	routes_verified(RUN, 't');
	heard("");
	has(2);
}

/* In the place of the server that refused; the others stay. */
static void
he_is_one_of_several(void **state)
{
	(void)state;
	alias("root: route:web");
	replace_with("root@example.org");
	asks_of("abuse", BOX, " abuse@example.org");
	routes_verified(BOX, 'r');
	assert_string_equal(routes[WEB].verify.text, " root@example.org");
	routes_verified(WEB, 't');
	heard("");
	has(2);
	assert_string_equal(post.env.targets->first->path, "example.org/u");
	assert_string_equal(post.env.targets->last->dest->text, "route:web");
}

static void
he_is_refused_as_well(void **state)
{
	(void)state;
	alias("root: route:web, route:run");
	replace_with("root@example.org");
	asks_of("postmaster", BOX, " postmaster@example.org");
	routes_verified(BOX, 'r');
	routes_verified(WEB, 't');
	routes_verified(RUN, 'r');
	heard("451 4.3.5");
	has(0);
	assert_int_equal(logged("route-misconfigured",
			     "route=run rcpt=root@example.org reply=550"),
	    1);
	is_known("postmaster", "451 4.3.5");
	assert_int_equal(logged("route-misconfigured", ""), 1);
}

static void
he_leads_nowhere_else(void **state)
{
	(void)state;
	replace_with("postmaster@example.org");
	is_not_refused("postmaster", " postmaster@example.org");
	assert_int_equal(logged("route-misconfigured", ""), 1);
}

/* Only a directory would say whether he is there. */
static void
he_may_not_be_there(void **state)
{
	(void)state;
	assert_null(recipients_users_from(post.options.recipients, post.org,
	    scratch_path("live")));
	replace_with("root@example.org");
	assert_non_null(*post_ask("postmaster", "example.org"));
	rig_pass(0); /* he may be one himself */
	routes_verified(BOX, 'r');
	heard("451 4.3.5");
}

/* --- behind a job --- */

static void
live(void)
{
	scratch_mkdirs("live");
	assert_null(recipients_users_from(post.options.recipients, post.org,
	    scratch_path("live")));
	assert_null(recipients_catch_all(post.options.recipients, post.org,
	    "route:box"));
}

/* One question, from the look-up to the server. */
static void
a_job_comes_first(void **state)
{
	struct ask **a;

	(void)state;
	live();
	a = post_ask("x", "example.org");
	assert_non_null(*a);
	assert_int_equal(routes[BOX].verify.asked, 0);
	rig_pass(0);
	assert_non_null(*a);
	assert_string_equal(routes[BOX].verify.text, " x@example.org");
	routes_verified(BOX, 't');
	assert_null(*a);
	heard("");
	has(1);
	/* nobody is asked behind it, either */
	post_ask("x", "example.org");
	assert_int_equal(post.replies, 0);
	rig_pass(0);
	heard("");
	routes[BOX].away = true;
	post_ask("y", "example.org");
	rig_pass(0);
	heard("451 4.4.1");
}

static void
cancel_the_second(enum ask_end end)
{
	struct ask **a = post_ask("both", "example.org");

	rig_pass(0);
	if (routes[WEB].verify.told)
		routes_verified(WEB, 't');
	assert_non_null(routes[BOX].verify.told);
	ask_cancel(a, end);
	assert_null(routes[BOX].verify.told);
	assert_null(*a);
}

/* Silence, wherever it was. */
static void
nobody_waits(void **state)
{
	struct ask **a;

	(void)state;
	live();
	for (unsigned i = 0; i < 2; i++) {
		enum ask_end end = i ? ASK_GO_ON : ASK_ABANDON;

		/* before the job, */
		rig_hold(RIG_JOBS);
		a = post_ask("x", "example.org");
		rig_pass(0);
		ask_cancel(a, end);
		rig_go_on();
		rig_pass(0);
		assert_int_equal(routes[BOX].verify.asked, 2 * i);
		/* behind it, */
		a = post_ask("x", "example.org");
		rig_pass(0);
		assert_non_null(routes[BOX].verify.told);
		ask_cancel(a, end);
		assert_int_equal(routes[BOX].verify.cancelled, 2 * i + 1);
		/* and at the second of two */
		cancel_the_second(end);
	}
	assert_int_equal(post.replies + post.refusals, 0);
	has(0);
}

/* It is held up, and the envelope is gone when it comes to its end. */
static void
the_session_ends(void **state)
{
	struct ask **a;

	(void)state;
	live();
	a = post_ask("x", "example.org");
	ask_cancel(a, ASK_ABANDON);
	envelope_free(&post.env);
	rig_pass(0);
	assert_int_equal(routes[BOX].verify.asked, 0);
	assert_int_equal(post.replies + post.refusals, 0);
}

/* --- no room --- */

static void
what_is_too_much(void **state)
{
	(void)state;
	rig.deliver->lookups.room = 10;
	asks_of("box", BOX, " box@example.org");
	routes_verified(BOX, 't');
	heard("452 4.5.3");
	has(0);
	carriers_add(&rig.deliver->carriers, &routes[BOX].route, WAITING_MAX);
	is_known("box", "451 4.3.2");
	carriers_take(&rig.deliver->carriers, &routes[BOX].route, WAITING_MAX);
}

#define T(f)  cmocka_unit_test_setup_teardown(f, start, finish)
#define TH(f) cmocka_unit_test_setup_teardown(f, start_hold, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(its_own_words),
	    T(a_yes),
	    T(it_is_remembered),
	    T(nobody_is_asked),
	    T(one_after_the_other),
	    T(the_first_no),
	    T(down_is_said_at_once),
	    TH(held_is_a_yes),
	    TH(held_is_full),
	    T(held_for_a_mailbox),
	    T(a_message_knows_better),
	    T(relayed_with_its_sender),
	    T(a_postmaster_elsewhere),
	    T(postmaster_and_abuse),
	    T(the_one_of_all_domains),
	    T(he_is_asked_for_as_well),
	    T(he_is_one_of_several),
	    T(he_is_refused_as_well),
	    T(he_leads_nowhere_else),
	    T(he_may_not_be_there),
	    T(a_job_comes_first),
	    T(nobody_waits),
	    T(the_session_ends),
	    T(what_is_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

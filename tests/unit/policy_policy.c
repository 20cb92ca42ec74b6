/*
 * Who is heard at which stage of a session.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "policy/senders.h"

static const struct limits_config none = {.sessions = 9, .per_address = 0};
static const struct limits_config some = {.sessions = 9, .per_address = 5};
static unsigned owns_asked;

/* A login owns the local part of its name. */
static bool
owns(const void *ctx, const char *login, const struct smtp_path *from)
{
	owns_asked++;
	assert_ptr_equal(ctx, &owns_asked);
	return !strcmp(login, from->local);
}

static struct policy
policy(const struct limits_config *c)
{
	return (struct policy){.owns = owns,
	    .owns_ctx = &owns_asked,
	    .limits = {.conf = c, .shared = shared_new()}};
}

static void
limits_speak_at_connect(void **state)
{
	const struct policy full = policy(&none), open = policy(&some);
	struct limits_place place = {0};
	struct envelope e = {0};
	struct limits_ask ask = {.client = &e.client};
	struct policy_subject s = {.env = &e, .ask = &ask, .place = &place};

	(void)state;
	for (enum policy_stage i = POLICY_MAIL; i <= POLICY_MESSAGE; i++)
		assert_null(policy_ask(&full, i, &s));
	assert_int_equal(policy_ask(&full, POLICY_CONNECT, &s)->code, 421);
	limits_leave(&full.limits, &place);
	assert_null(policy_ask(&open, POLICY_CONNECT, &s));
	assert_int_equal(place.ncells, 1);
	limits_leave(&open.limits, &place);
}

/* Once at its stage, and never at another one. */
static void
rates_speak_at_their_stage(void **state)
{
	static const struct limits_config c = {.sessions = 9,
	    .per_address = 5,
	    .rates = {[LIMITS_MESSAGES] = {1, 1000},
		[LIMITS_RECIPIENTS] = {2, 1000}}};
	struct policy p = policy(&c);
	struct envelope e = {.client = ipaddr_v4((uint8_t[]){192, 0, 2, 1}),
	    .sender = {.local = "alice"}};
	struct limits_ask ask = {.client = &e.client, .now = 1000};
	struct policy_subject s = {.env = &e, .ask = &ask};

	(void)state;
	assert_null(policy_ask(&p, POLICY_MAIL, &s));
	assert_non_null(policy_ask(&p, POLICY_MAIL, &s));
	assert_null(policy_ask(&p, POLICY_RCPT, &s));
	assert_null(policy_ask(&p, POLICY_RCPT, &s));
	assert_non_null(policy_ask(&p, POLICY_RCPT, &s));
	assert_null(policy_ask(&p, POLICY_DATA, &s));
	assert_null(policy_ask(&p, POLICY_MESSAGE, &s));
	/* a login's messages have no rate; its recipients do */
	envelope_set_login(&e, "alice");
	assert_null(policy_ask(&p, POLICY_MAIL, &s));
	assert_non_null(policy_ask(&p, POLICY_RCPT, &s));
	envelope_free(&e);
}

static unsigned
mail(const struct policy *p, const char *login, const char *from)
{
	struct envelope e = {
	    .sender = {.local = from, .domain = "example.org"}};
	const struct smtp_reply *no;

	if (login)
		envelope_set_login(&e, login);
	no = policy_ask(p, POLICY_MAIL, &(struct policy_subject){.env = &e});
	envelope_free(&e);
	return no ? no->code : 0;
}

static void
a_login_sends_as_itself(void **state)
{
	struct senders *s = senders_new();
	struct policy p = policy(&some);

	(void)state;
	assert_int_equal(mail(&p, NULL, "anybody"), 0);
	assert_int_equal(owns_asked, 0);
	assert_int_equal(mail(&p, "alice", "alice"), 0);
	assert_int_equal(mail(&p, "alice", "bob"), 553);
	assert_int_equal(owns_asked, 2);
	/* who has a line is held to it */
	assert_null(senders_add(s, SPAN_LIT("alice: bob@example.org")));
	p.senders = s;
	assert_int_equal(mail(&p, "alice", "bob"), 0);
	assert_int_equal(mail(&p, "alice", "alice"), 553);
	assert_int_equal(owns_asked, 2);
	senders_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(limits_speak_at_connect),
	    cmocka_unit_test(a_login_sends_as_itself),
	    cmocka_unit_test(rates_speak_at_their_stage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

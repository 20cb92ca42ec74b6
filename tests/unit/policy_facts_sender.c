/*
 * What is learned of a sender's domain: where its mail goes, that it takes
 * none, that it is not there, or nothing.
 */
#include "facts_rig.h"

#include "base/ascii.h"

static void
send_from(const char *path)
{
	envelope_reset(&rig.env);
	assert_int_equal(smtp_path_parse(span_str(path), SMTP_PATH_REVERSE,
			     &rig.env.arena, &rig.env.sender),
	    0);
}

static void
learn(const char *domain, enum fact_sender is)
{
	char path[300];

	snprintf(path, sizeof(path), "<a@%s>", domain);
	send_from(path);
	rig_learn(fact_sender_ask, FACT_SENDER);
	if (rig.facts.sender != is)
		print_error("%s\n", domain);
	assert_int_equal(rig.facts.sender, is);
}

static void
domains(void **state)
{
	static const struct {
		const char *domain;
		enum fact_sender is;
		unsigned asked;
	} rows[] = {
	    {"mx.test", SENDER_GOOD, 1},
	    {"MX.Test", SENDER_GOOD, 1},
	    {"null.test", SENDER_NULL_MX, 1},
	    {"prefers.test", SENDER_GOOD, 1},  /* RFC 7505 3: 0 is part of it */
	    {"several.test", SENDER_GOOD, 1},  /* and that it is alone */
	    {"alias.test", SENDER_NULL_MX, 1}, /* a CNAME to it */
	    {"nx.test", SENDER_NONE, 1},
	    {"a.test", SENDER_GOOD, 3},
	    {"six.test", SENDER_GOOD, 3},
	    {"nothing.test", SENDER_NONE, 3},
	    {"chain.test", SENDER_GOOD, 3},
	    {"servfail.test", SENDER_UNKNOWN, 2},
	    {"refused.test", SENDER_UNKNOWN, 2},
	    {"silent.test", SENDER_UNKNOWN, 2},
	    {"tcsilent.test", SENDER_UNKNOWN, 2},
	    {"circle.test", SENDER_UNKNOWN, 1},
	};

	(void)state;
	liar_add(rig.liar, "null.test", DNS_MX, "0 .");
	liar_add(rig.liar, "prefers.test", DNS_MX, "10 .");
	liar_add(rig.liar, "several.test", DNS_MX, "0 .");
	liar_add(rig.liar, "several.test", DNS_MX, "0 host.test");
	liar_add(rig.liar, "alias.test", DNS_CNAME, "null.test");
	liar_add(rig.liar, "six.test", DNS_AAAA, "2001:db8::1");
	liar_add(rig.liar, "nothing.test", DNS_TXT, "x");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* how often nobody is asked again is c-ares's */
		unsigned more = rows[i].is == SENDER_UNKNOWN ? 5 : 0;

		liar_asked(rig.liar);
		learn(rows[i].domain, rows[i].is);
		assert_in_range(liar_asked(rig.liar), rows[i].asked,
		    rows[i].asked + more);
	}
}

/* No MX, and one of the two addresses is not told. */
static void
half(void **state)
{
	static const struct {
		const char *v4, *v6;
		enum fact_sender is;
	} rows[] = {
	    {"a", "silent", SENDER_GOOD},
	    {"silent", "two", SENDER_GOOD},
	    {"a", "servfail", SENDER_GOOD},
	    {"servfail", "two", SENDER_GOOD},
	    {"nx", "nx", SENDER_NONE}, /* a server that contradicts itself */
	    {"txt", "nx", SENDER_GOOD},
	    {"nx", "a", SENDER_NONE},
	    {"nx", "servfail", SENDER_UNKNOWN},
	    {"silent", "nx", SENDER_UNKNOWN},
	    {"servfail", "silent", SENDER_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		liar_forget(rig.liar);
		liar_like(rig.liar, "half.example", DNS_MX, "a");
		liar_like(rig.liar, "half.example", DNS_A, rows[i].v4);
		liar_like(rig.liar, "half.example", DNS_AAAA, rows[i].v6);
		learn("half.example", rows[i].is);
	}
}

/* In the form in which the DNS knows it. */
static void
beyond_ascii(void **state)
{
	(void)state;
	liar_add(rig.liar, "xn--bcher-kva.test", DNS_MX, "0 .");
	learn("b\xc3\xbc"
	      "cher.test",
	    SENDER_NULL_MX);
	learn("B\xc3\x9c"
	      "CHER.test",
	    SENDER_NULL_MX);
	send_from("<a@\xe2\x80\xa4.test>");
	liar_asked(rig.liar);
	assert_false(rig_ask(fact_sender_ask));
	assert_int_equal(rig.facts.sender, SENDER_UNKNOWN);
	assert_int_equal(liar_asked(rig.liar), 0);
}

/* What cannot be a name is none, and nobody is asked. */
static void
no_names(void **state)
{
	(void)state;
	learn("a.onion", SENDER_NONE);
	assert_int_equal(liar_asked(rig.liar), 0);
}

static bool
serves(const void *ctx, struct span domain)
{
	assert_ptr_equal(ctx, &rig);
	return ascii_equal_str(domain, "ours.test");
}

static void
not_asked(void **state)
{
	static const char *const senders[] = {"<>", "<a@[192.0.2.1]>",
	    "<a@[IPv6:2001:db8::1]>", "<a@ours.test>", "<a@Ours.TEST>"};

	(void)state;
	rig.conf.serves = serves;
	rig.conf.serves_ctx = &rig;
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
		send_from(senders[i]);
		rig.facts.sender = SENDER_NONE;
		assert_false(rig_ask(fact_sender_ask));
		assert_int_equal(rig.facts.sender, SENDER_UNKNOWN);
	}
	send_from("<a@sub.ours.test>");
	rig.doors.resolve = NULL;
	assert_false(rig_ask(fact_sender_ask));
	assert_int_equal(liar_asked(rig.liar), 0);
}

static void
cancelled(void **state)
{
	(void)state;
	liar_like(rig.liar, "late.example", DNS_MX, "late");
	liar_like(rig.liar, "late.example", DNS_A, "silent");
	liar_like(rig.liar, "late.example", DNS_AAAA, "silent");
	send_from("<a@late.example>");
	rig_cancel_always(fact_sender_ask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(domains, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(half, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(beyond_ascii, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(no_names, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(not_asked, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(cancelled, rig_up, rig_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

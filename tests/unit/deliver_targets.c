/*
 * What the recipients of one transaction may cost: the engine, the look-up
 * and the set of mailboxes together, as a client drives them.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "deliver/lookup.h"
#include "proto/smtp.h"

#define RCPTS 1000

static const struct smtp_config conf = {.hostname = "mx.example.org",
    .greeting = "ready",
    .message_size = 1 << 20,
    .line = 1000,
    .recipients = 2 * RCPTS,
    .errors = 20};

static struct recipients *r;
static struct lookups lookups;
static struct mail_domain *org;
static struct envelope env;
static struct smtp smtp;
static struct buf out;

static int
finish(void **state)
{
	(void)state;
	envelope_free(&env);
	smtp_free(&smtp);
	buf_free(&out);
	recipients_free(&r);
	return 0;
}

static void
on_rcpt(void *ctx, const struct smtp_reply *reply, const char *error)
{
	(void)error;
	(void)ctx;
	smtp_answer(&smtp, reply, &out);
}

/* The code of the reply to a line. */
static int
say(const char *line)
{
	struct span in = span_str(line);
	enum smtp_step step;
	int code = 0;

	out.len = 0;
	while ((step = smtp_step(&smtp, &in, &out)) != SMTP_NEED_INPUT) {
		if (step == SMTP_REFUSED)
			continue;
		assert_int_equal(step, SMTP_NEED_VERDICT);
		if (smtp.ask == SMTP_ASK_RCPT)
			lookup_start(&lookups, &env, &smtp.rcpt, on_rcpt, NULL);
		else
			smtp_answer(&smtp, NULL, &out);
	}
	buf_append(&out, "", 1);
	assert_int_equal(sscanf(out.data, "%d", &code), 1);
	return code;
}

static int
rcpt(const char *local)
{
	char line[64];

	snprintf(line, sizeof(line), "RCPT TO:<%s@example.org>\r\n", local);
	return say(line);
}

static void
start(unsigned targets)
{
	struct recipients_options o = {.fold = true, .targets = targets};

	r = recipients_new(&o);
	lookups = (struct lookups){.recipients = r, .room = UINT64_MAX};
	assert_null(
	    recipients_add_domain(r, "example.org", "maildir:/m/%d/%u", &org));
	smtp_init(&smtp, &conf, &env);
	assert_int_equal(say("EHLO client.example.net\r\n"), 220);
	assert_int_equal(say("MAIL FROM:<a@example.net>\r\n"), 250);
}

/* "name: u<from>, ...", n of them, who are users from now on. */
static void
fan(const char *name, int from, int n)
{
	struct buf line = {0};
	char user[16];

	buf_append_str(&line, name);
	for (int i = from; i < from + n; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		assert_null(recipients_add_user(r, org, user));
		buf_printf(&line, "%s %s", i == from ? ":" : ",", user);
	}
	buf_append(&line, "", 1);
	assert_null(recipients_add_alias(r, org, line.data));
	buf_free(&line);
}

static size_t
allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static double
microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* What RCPTS of them keep; distinct: a0, a1 and so on, else all "all". */
static size_t
keeps(bool distinct)
{
	size_t before = allocated(), n;
	double since = microseconds();
	char local[16] = "all";

	for (int i = 0; i < RCPTS; i++) {
		if (distinct)
			snprintf(local, sizeof(local), "a%d", i);
		assert_int_equal(rcpt(local), 250);
	}
	since = microseconds() - since;
	n = allocated() - before;
	print_message("%zu octets kept, %.1f us for each RCPT\n", n,
	    since / RCPTS);
	return n;
}

/* FAULT A3: who asks for the same again and again costs no more memory. */
static void
test_again_and_again(void **state)
{
	(void)state;
	start(10 * RCPTS);
	fan("all", 0, 100);
	assert_true(keeps(false) < 128 << 10);
	assert_int_equal(env.nrcpts, RCPTS);
	assert_int_equal(env.targets->n, 100);
}

/* FAULT A3: through aliases of aliases as well. */
static void
test_tall_aliases(void **state)
{
	struct buf all = {0};
	char name[16];

	(void)state;
	start(10 * RCPTS);
	fan("one", 0, 1);
	for (int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "n%d: one", i);
		assert_null(recipients_add_alias(r, org, name));
		buf_printf(&all, "%s n%d", i ? "," : "all:", i);
	}
	buf_append(&all, "", 1);
	assert_null(recipients_add_alias(r, org, all.data));
	buf_free(&all);
	assert_true(keeps(false) < 128 << 10);
	assert_int_equal(env.targets->n, 1);
}

/* FAULT A3: and a long list of different ones only what it is. */
static void
test_distinct(void **state)
{
	char name[16];

	(void)state;
	start(10 * RCPTS);
	for (int i = 0; i < RCPTS; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		fan(name, i, 1);
	}
	assert_true(keeps(true) < 1 << 20);
	assert_int_equal(env.targets->n, RCPTS);
}

/* FAULT A3: a transaction has a bound; what came before it stays. */
static void
test_bound(void **state)
{
	(void)state;
	start(150);
	fan("first", 0, 100);
	fan("second", 50, 100);
	fan("third", 149, 2);
	assert_int_equal(rcpt("first"), 250);
	assert_int_equal(rcpt("second"), 250);
	assert_int_equal(env.targets->n, 150);
	assert_int_equal(rcpt("third"), 452);
	assert_non_null(strstr(out.data, "452 4.5.3 "));
	assert_int_equal(env.targets->n, 150);
	assert_int_equal(rcpt("u150"), 452);
	/* what is in already costs nothing */
	assert_int_equal(rcpt("u149"), 250);
	assert_int_equal(rcpt("first"), 250);
	assert_int_equal(env.nrcpts, 4);
	assert_int_equal(say("RSET\r\n"), 250);
	assert_null(env.targets);
	assert_int_equal(say("MAIL FROM:<>\r\n"), 250);
	assert_int_equal(rcpt("third"), 250);
}

/* A no leaves nothing that the next RCPT could find. */
static void
test_refused_first(void **state)
{
	(void)state;
	start(99);
	fan("all", 0, 100);
	assert_int_equal(rcpt("all"), 452);
	assert_null(env.targets);
	assert_int_equal(rcpt("u1"), 250);
	assert_int_equal(rcpt("nobody"), 550);
	assert_int_equal(rcpt("u0"), 250);
	assert_string_equal(env.targets->first->path, "example.org/u1");
	assert_string_equal(env.targets->last->path, "example.org/u0");
}

/* The same path below many roots is as many mailboxes. */
static void
test_many_roots(void **state)
{
	char line[64];

	(void)state;
	start(10 * RCPTS);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < RCPTS / 2; i++) {
			struct mail_domain *d;

			snprintf(line, sizeof(line), "d%d.org", i);
			if (!round) {
				char path[64];

				snprintf(path, sizeof(path), "maildir:/m%d/%%u",
				    i);
				assert_null(
				    recipients_add_domain(r, line, path, &d));
				assert_null(recipients_add_user(r, d, "a"));
			}
			snprintf(line, sizeof(line), "RCPT TO:<a@d%d.org>\r\n",
			    i);
			assert_int_equal(say(line), 250);
		}
	}
	assert_int_equal(env.targets->n, RCPTS / 2);
	assert_string_equal(env.targets->first->dest->text, "/m0");
	assert_string_equal(env.targets->first->next->dest->text, "/m1");
}

#define T(f) cmocka_unit_test_teardown(f, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_again_and_again),
	    T(test_tall_aliases),
	    T(test_distinct),
	    T(test_bound),
	    T(test_refused_first),
	    T(test_many_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

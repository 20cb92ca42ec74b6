/*
 * Every dialogue against the engine: whole, by line, byte by byte, and in
 * 200 random cuttings; each with answers at once and late. All of them must
 * say and store the same octets, and those of the file.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "dialogue.h"
#include "drive.h"

#define CUTTINGS 200

/* --- the world of dialogue.h --- */

static bool
is_mailbox(struct span local)
{
	static const char *const known[] = {"alice", "bob", "carol", "odd user",
	    "postmaster", "abuse", "team"};
	const char *plus = local.len ? memchr(local.ptr, '+', local.len) : NULL;

	if (plus)
		local.len = (size_t)(plus - local.ptr);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (ascii_equal_str(local, known[i]))
			return true;
	return false;
}

/* Reached under the server's own names. */
static bool
is_of_server(const struct smtp_path *p)
{
	return (smtp_path_is_postmaster(p) ||
		   ascii_equal_str(span_str(p->local), "abuse")) &&
	       (ascii_equal_str(span_str(p->domain), "mx.example.org") ||
		   ascii_equal_str(span_str(p->domain), "[127.0.0.1]"));
}

static const struct smtp_reply *
world(struct drive *d)
{
	const struct smtp_path *to = &d->smtp.rcpt;

	if (d->smtp.ask != SMTP_ASK_RCPT)
		return NULL;
	if (is_of_server(to) ||
	    ascii_equal_str(span_str(to->domain), "example.net"))
		return NULL;
	if (to->domain[0] &&
	    !ascii_equal_str(span_str(to->domain), "example.org"))
		return SMTP_REPLY(550, "5.7.1", "We do not relay mail there");
	if (is_mailbox(span_str(to->local)))
		return NULL;
	return SMTP_REPLY(550, "5.1.1", "No such mailbox here");
}

static const struct smtp_reply *
greylist(struct drive *d)
{
	return d->smtp.ask == SMTP_ASK_DATA
		   ? SMTP_REPLY(451, "4.7.1", "Greylisted, come back later")
		   : world(d);
}

/* --- runs --- */

static void
start(struct drive *d, const struct dialogue *t, bool late)
{
	*d = (struct drive){.answer = t->greylisted ? greylist : world,
	    .late = late};
	drive_init(d, &t->conf);
	d->smtp.normalize = t->normalize;
	d->smtp.nobody = t->nobody;
}

static void
check_fault(const struct drive *d, const char *how)
{
	if (d->fault)
		fail_msg("%s: does not hold: %s", how, d->fault);
}

/* What has to have been said after this many octets. */
static void
check_said(const struct drive *d, const struct dialogue *t, size_t sent,
    const char *how)
{
	const char *want;
	struct span got;

	check_fault(d, how);
	if (!dialogue_match(t, sent, buf_span(&d->said), &want, &got))
		fail_msg("%s, after %zu octets: expected \"%s\", got \"%.*s\"",
		    how, sent, want ? want : "nothing more", (int)got.len,
		    got.len ? got.ptr : "");
}

static void
check_envelopes(const struct drive *d, const struct dialogue *t)
{
	struct span rest = buf_span(&d->envelopes);

	for (size_t i = 0; i < t->nbodies && rest.len; i++) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		struct span got = {rest.ptr, (size_t)(lf - rest.ptr)};

		if (t->envelopes[i] &&
		    !span_equal(got, span_str(t->envelopes[i])))
			fail_msg("message %zu is from and to %.*s", i + 1,
			    (int)got.len, got.ptr);
		span_skip(&rest, got.len + 1);
	}
}

static void
check_stored(const struct drive *d, const struct dialogue *t)
{
	size_t n = d->ends.len / sizeof(size_t);
	size_t from = 0;
	size_t end;

	for (size_t i = 0; i < n && i < t->nbodies; i++) {
		memcpy(&end, d->ends.data + i * sizeof(end), sizeof(end));
		if (!span_equal(buf_span(&t->bodies[i]),
			(struct span){d->stored.data + from, end - from}))
			fail_msg("message %zu is not what was sent:\n%.*s",
			    i + 1, (int)(end - from), d->stored.data + from);
		from = end;
	}
	assert_int_equal(n, t->nbodies);
	check_envelopes(d, t);
	assert_int_equal(d->closed, t->closes);
}

/* By line, or byte by byte: every reply must be there when it is due. */
static void
run_in_order(const struct dialogue *t, struct drive *d, bool bytes)
{
	const char *how = bytes ? "byte by byte" : "by line";
	size_t sent = 0;

	d->bytes = bytes;
	if (dialogue_due(t, 0)) {
		drive_feed(d, (struct span){"", 0});
		drive_settle(d);
		check_said(d, t, 0, how);
	}
	for (size_t i = 0; i < t->nlines; i++) {
		size_t step = bytes ? 1 : t->lines[i] - sent;

		for (; sent < t->lines[i]; sent += step)
			drive_feed(d, (struct span){t->sent.data + sent, step});
		if (!dialogue_due(t, sent))
			continue;
		drive_settle(d);
		check_said(d, t, sent, how);
	}
	drive_settle(d);
	check_said(d, t, sent, how);
	check_stored(d, t);
}

static void
compare(const struct drive *d, const struct drive *whole, unsigned seed)
{
	const char *what = drive_differs(d, whole);

	if (what)
		fail_msg("cutting %u: %s", seed, what);
}

static void
run_cuttings(const struct dialogue *t, const struct drive *whole, bool late)
{
	struct drive d;

	for (unsigned seed = 1; seed <= CUTTINGS; seed++) {
		start(&d, t, late);
		drive_run(&d, buf_span(&t->sent), DRIVE_RANDOM, seed);
		compare(&d, whole, seed);
		drive_free(&d);
	}
}

static void
run_all(const struct dialogue *t, bool late)
{
	struct drive whole, d;

	start(&whole, t, late);
	drive_feed(&whole, buf_span(&t->sent));
	drive_settle(&whole);
	check_said(&whole, t, t->sent.len, "whole");
	check_stored(&whole, t);
	for (int bytes = 0; bytes < 2; bytes++) {
		start(&d, t, late);
		run_in_order(t, &d, bytes);
		compare(&d, &whole, 0);
		drive_free(&d);
	}
	run_cuttings(t, &whole, late);
	drive_free(&whole);
}

static void
test_dialogue(void **state)
{
	struct dialogue t;
	unsigned line;
	const char *bad = dialogue_load(*state, &t, &line);

	if (bad)
		fail_msg("line %u: %s", line, bad);
	run_all(&t, false);
	run_all(&t, true);
	dialogue_free(&t);
}

/* --- the harness itself must be able to fail --- */

static bool
differs(struct dialogue *t, const char *said)
{
	const char *want;
	struct span got;

	return !dialogue_match(t, 0, span_str(said), &want, &got);
}

static void
test_match(void **state)
{
	static const char id[] = " [" DIALOGUE_SESSION "]\r\n";
	struct dialogue t = {.nreplies = 3};
	char said[200];

	(void)state;
	t.replies[0].pattern = (char[]){"250-*"};
	t.replies[1].pattern = (char[]){"550 5.1.1 ..."};
	t.replies[2].pattern = (char[]){"250 2.6.0 <id> x"};
#define SAID(head, tail)                                                       \
	(snprintf(said, sizeof(said), "%s%s%s", (head), id, (tail)), said)
#define GOOD "250 2.6.0 " DIALOGUE_SESSION ".1 x\r\n"
	assert_false(differs(&t, SAID("550 5.1.1 no", GOOD)));
	assert_false(differs(&t, SAID("250-a\r\n550 5.1.1 no", GOOD)));
	assert_true(differs(&t, SAID("550 5.1.2 no", GOOD)));
	assert_true(differs(&t, SAID("550-5.1.1 no", GOOD)));
	assert_true(differs(&t, SAID("550 5.1.1 no", "")));
	assert_true(differs(&t, SAID("550 5.1.1 no", GOOD GOOD)));
	assert_true(differs(&t, "550 5.1.1 no\r\n" GOOD));
	assert_true(differs(&t, SAID("550 5.1.1 no", "250 2.6.0 x\r\n")));
	assert_true(differs(&t, ""));
}

int
main(int argc, char **argv)
{
	struct CMUnitTest *tests;
	size_t n = 0;
	glob_t files;
	int failed;

	if (chdir(argc > 1 ? argv[1] : "tests/dialogues") ||
	    glob("*.smtp", 0, NULL, &files)) {
		fprintf(stderr, "no dialogues found\n");
		return 1;
	}
	tests = calloc(files.gl_pathc + 1, sizeof(*tests));
	if (!tests)
		abort();
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_match);
	for (size_t i = 0; i < files.gl_pathc; i++)
		tests[n++] = (struct CMUnitTest){.name = files.gl_pathv[i],
		    .test_func = test_dialogue,
		    .initial_state = files.gl_pathv[i]};
	failed = _cmocka_run_group_tests("dialogues", tests, n, NULL, NULL);
	globfree(&files);
	free(tests);
	return failed;
}

/*
 * Metrics as text: every row once, histograms that add up, labels that no name
 * can leave.
 */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "certify.h"
#include "policy/dnsbl.h"

static struct buf out;

/* Renders, with a NUL behind it. */
static void
render(struct shared *s, const struct tls *tls)
{
	static const struct sandbox_state seven = {.landlock = 7};
	static const struct dnsbl_zone zones[] = {
	    {.name = "bl.test", .untested = true},
	    {.name = "wl.test"},
	};
	static const struct dnsbl two = {zones, 2};
	const struct metrics_source from = {s, tls, &seven, &two};

	out.len = 0;
	metrics_render(&out, &from);
	buf_append(&out, "", 1);
}

/* How often there is a line that begins like this. */
static unsigned
lines(const char *begin)
{
	unsigned n = 0;

	for (const char *at = out.data; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		n += strncmp(at, begin, strlen(begin)) == 0;
	}
	return n;
}

static void
rows(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	shared_add(s, 0, SHARED_MESSAGES, 2);
	shared_add(s, 9, SHARED_MESSAGES, 3);
	shared_add(s, 0, SHARED_SESSIONS, -1);
	shared_set(s, 0, SHARED_HELD, 4);
	shared_set(s, 1, SHARED_HELD, 3);
	shared_set(s, 1, SHARED_FREE_MAIL, 40506);
	shared_set(s, 1, SHARED_FREE_SPOOL, 1000000);
	render(s, NULL);
	assert_int_equal(lines("smtpd_messages_total{result=\"accepted\"} 5\n"),
	    1);
	assert_int_equal(lines("smtpd_messages_total{result=\"refused\"} 0\n"),
	    1);
	assert_int_equal(lines("smtpd_sessions 0\n"), 1);
	assert_int_equal(lines("smtpd_held_messages 4\n"), 1);
	assert_int_equal(lines("smtpd_filesystem_free_ratio{use=\"mail\"} "
			       "0.040506\n"),
	    1);
	assert_int_equal(lines("smtpd_filesystem_free_ratio{use=\"spool\"} "
			       "1.000000\n"),
	    1);
	assert_int_equal(lines("smtpd_build_info{version=\""), 1);
	assert_int_equal(lines("smtpd_sandbox_info{seccomp=\"yes\",landlock="
			       "\"7\"} 1"),
	    1);
	assert_int_equal(lines("# TYPE smtpd_messages_total counter\n"), 1);
	assert_int_equal(lines("# HELP smtpd_messages_total "), 1);
	assert_int_equal(lines("# TYPE smtpd_held_messages gauge\n"), 1);
}

static void
histograms(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	shared_observe(s, 0, SHARED_COMMIT, COUNTER_SECONDS, 250000);
	shared_observe(s, 1, SHARED_COMMIT, COUNTER_SECONDS, 20000000001);
	shared_observe(s, 1, SHARED_MAILDIR_TIME, COUNTER_SECONDS, 50);
	shared_observe(s, 1, SHARED_BATCH, COUNTER_BATCH, 5);
	shared_observe(s, 1, SHARED_BATCH, COUNTER_BATCH, 1025);
	render(s, NULL);
#define COMMIT "smtpd_journal_commit_seconds_"
	assert_int_equal(lines(COMMIT "bucket{le=\"0.0001\"} 0\n"), 1);
	assert_int_equal(lines(COMMIT "bucket{le=\"0.00025\"} 1\n"), 1);
	assert_int_equal(lines(COMMIT "bucket{le=\"10\"} 1\n"), 1);
	assert_int_equal(lines(COMMIT "bucket{le=\"+Inf\"} 2\n"), 1);
	assert_int_equal(lines(COMMIT "bucket"), 16);
	assert_int_equal(lines(COMMIT "count 2\n"), 1);
	assert_int_equal(lines(COMMIT "sum 20.000250001\n"), 1);
#define PLACING "smtpd_delivery_seconds_"
	assert_int_equal(lines(PLACING
			     "bucket{kind=\"maildir\",le=\"0.0001\"} 1\n"),
	    1);
	assert_int_equal(lines(PLACING "count{kind=\"maildir\"} 1\n"), 1);
	assert_int_equal(lines(PLACING "sum{kind=\"maildir\"} 0.000000050\n"),
	    1);
#define BATCH "smtpd_journal_batch_messages_"
	assert_int_equal(lines(BATCH "bucket{le=\"4\"} 0\n"), 1);
	assert_int_equal(lines(BATCH "bucket{le=\"8\"} 1\n"), 1);
	assert_int_equal(lines(BATCH "bucket{le=\"+Inf\"} 2\n"), 1);
	assert_int_equal(lines(BATCH "bucket"), 12);
	assert_int_equal(lines(BATCH "sum 1030\n"), 1);
}

static void
replies(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	render(s, NULL);
	assert_int_equal(lines("smtpd_replies_total"), 0);
	shared_reply(s, 0, 550, SHARED_STATUS(5, 1, 1));
	shared_reply(s, 1, 550, SHARED_STATUS(5, 1, 1));
	shared_reply(s, 1, 421, SHARED_STATUS(4, 999, 0));
	shared_reply(s, 1, 554, 0);
	render(s, NULL);
#define REPLIES "smtpd_replies_total{code="
	assert_int_equal(lines(REPLIES "\"550\",enhanced=\"5.1.1\"} 2\n"), 1);
	assert_int_equal(lines(REPLIES "\"421\",enhanced=\"4.999.0\"} 1\n"), 1);
	assert_int_equal(lines(REPLIES "\"554\",enhanced=\"\"} 1\n"), 1);
	assert_int_equal(lines(REPLIES), 3);
	for (unsigned i = 0; i < 200; i++)
		shared_reply(s, 0, 450, SHARED_STATUS(4, 0, i));
	render(s, NULL);
	assert_int_equal(lines(REPLIES "\"other\",enhanced=\"\"} "), 1);
	assert_int_equal(lines(REPLIES), SHARED_REPLIES);
}

static void
add(struct tls *t, const char *name, struct certify *c)
{
	const char *detail;
	enum tls_fault fault = tls_add(t, name, buf_span(&c->chain),
	    buf_span(&c->key), time(NULL), &detail);

	assert_true(fault == TLS_GOOD || fault == TLS_EXPIRING);
}

/* One with two keys has one line, of the certificate that ends first. */
static void
certificates(void **state)
{
	struct shared *s = shared_new();
	struct tls *t = tls_new();
	struct certify mx, twin, other;
	long ends = 0;

	(void)state;
	certify(&mx, "EC", "mx.example.org", NULL);
	certify(&twin, "RSA", "mx.example.org", NULL);
	certify(&other, "EC", "mail.example.org", NULL);
	certify_days(&twin, -1, 10);
	add(t, "mx.example.org", &mx);
	add(t, "mx.example.org", &twin);
	add(t, "mail.example.org", &other);
	render(s, t);
#define ENDS "smtpd_certificate_expiry_timestamp_seconds{name="
	assert_int_equal(lines(ENDS "\"mx.example.org\"} "), 1);
	assert_int_equal(lines(ENDS "\"mail.example.org\"} "), 1);
	assert_int_equal(lines(ENDS), 2);
	assert_int_equal(sscanf(strstr(out.data, ENDS "\"mx"), "%*s %ld",
			     &ends),
	    1);
	assert_in_range(ends, time(NULL) + 9 * 86400, time(NULL) + 11 * 86400);
	tls_free(&t);
	certify_free(&mx);
	certify_free(&twin);
	certify_free(&other);
}

/* Each family has its head once, and each line of it stands behind that. */
static void
families(void **state)
{
	struct shared *s = shared_new();
	char *list = NULL, *line, *rest, name[128];
	size_t len = 0;
	FILE *f = open_memstream(&list, &len);
	unsigned n = 0;

	(void)state;
	metrics_list(f);
	fclose(f);
	render(s, NULL);
	for (char *p = list; (line = strtok_r(p, "\n", &rest)); p = NULL) {
		char type[16], help[128], head[256];

		assert_int_equal(sscanf(line, "%127[^\t]\t%15[^\t]\t%127[^\t]",
				     name, type, help),
		    3);
		snprintf(head, sizeof(head), "# TYPE %s %s\n", name, type);
		assert_int_equal(lines(head), 1);
		n++;
	}
	assert_int_equal(lines("# TYPE "), n);
	assert_int_equal(lines("# HELP "), n);
	assert_true(n > 30);
	free(list);
}

/* One that nobody tests is good, one that nobody has tested yet is not. */
static void
lists(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	render(s, NULL);
	assert_int_equal(lines("smtpd_dnsbl_good{zone=\"bl.test\"} 1\n"), 1);
	assert_int_equal(lines("smtpd_dnsbl_good{zone=\"wl.test\"} 0\n"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows),
	    cmocka_unit_test(histograms),
	    cmocka_unit_test(replies),
	    cmocka_unit_test(certificates),
	    cmocka_unit_test(families),
	    cmocka_unit_test(lists),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&out);
	return failed;
}

/*
 * Where the log's lines go: one write each, to stderr, to systemd's journal,
 * to syslog; whole, whoever else writes, and never at the cost of errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/log.h"
#include "log_read.h"

#define LINE_MAX 4096 /* PIPE_BUF */

static char line[2 * LINE_MAX];
static struct log_pair pairs[4];

static int saved = -1;

/* stderr becomes a pipe; with O_DIRECT each read is exactly one write. */
static int
capture(int flags)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC | flags), 0);
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	return fd[0];
}

static int
restore(void **state)
{
	(void)state;
	if (saved >= 0) {
		dup2(saved, STDERR_FILENO);
		close(saved);
		saved = -1;
	}
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_INFO);
	return 0;
}

static void
assert_packet(int fd, const char *begin, const char *end)
{
	ssize_t n = read(fd, line, sizeof(line) - 1);

	assert_true(n > 0);
	line[n] = '\0';
	assert_memory_equal(line, begin, strlen(begin));
	assert_true((size_t)n >= strlen(end));
	assert_string_equal(line + (size_t)n - strlen(end), end);
}

static void
one_write_a_line(void **state)
{
	static char s[5000];
	int fd = capture(O_DIRECT);

	(void)state;
	memset(s, '\xff', sizeof(s) - 1);
	errno = ENOTTY;
	log_event(LOG_INFO, "short", LOG_STR("a", "\n"));
	log_event(LOG_ERROR, "long", LOG_STR("a", s), LOG_STR("b", s),
	    LOG_STR("c", s), LOG_STR("d", s), LOG_STR("e", s));
	log_event(LOG_TRACE, "unseen", LOG_STR("a", s));
	assert_int_equal(errno, ENOTTY);
	restore(NULL);
	assert_packet(fd, "20", " info short a=\"\\n\"\n");
	assert_packet(fd, "20", " cut=1\n");
	assert_int_equal(read(fd, line, 1), 0);
	close(fd);
}

static void
nobody_reads(void **state)
{
	int fd = capture(0);

	(void)state;
	close(fd);
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_event(LOG_ERROR, "event", LOG_UINT("a", 1));
	assert_int_equal(errno, ENOTTY);
}

static void
unseen_is_not_evaluated(void **state)
{
	uint64_t n = 0;

	(void)state;
	log_event(LOG_TRACE, "event", LOG_UINT("a", ++n));
	assert_int_equal(n, 0);
}

static void
the_journal_has_its_own_clock(void **state)
{
	int fd = capture(O_DIRECT);
	struct stat st;
	char id[64];

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(id, sizeof(id), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", id, 1);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_TRACE);
	for (enum log_level level = LOG_ERROR; level <= LOG_TRACE; level++)
		log_event(level, "event", LOG_UINT("a", 1));
	log_open(LOG_TO_STDERR, LOG_JSON, LOG_INFO);
	log_event(LOG_WARN, "event", LOG_UINT("a", 1));
	/* inherited from a service, but stderr leads elsewhere now */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_INFO);
	log_event(LOG_WARN, "event", LOG_UINT("a", 1));
	restore(NULL);
	assert_packet(fd, "<3>error event a=1\n", "");
	assert_packet(fd, "<4>warn event a=1\n", "");
	assert_packet(fd, "<6>info event a=1\n", "");
	assert_packet(fd, "<7>trace event a=1\n", "");
	assert_packet(fd, "<4>{\"level\":\"warn\",\"event\":\"event\",", "}\n");
	assert_packet(fd, "20", "Z warn event a=1\n");
	close(fd);
}

/* --- syslog(3), taken for the C library's own --- */

static char syslogged[512];
static int priority, facility;

void openlog(const char *name, int option, int f);
void
openlog(const char *name, int option, int f)
{
	(void)option;
	assert_string_equal(name, "smtpd");
	facility = f;
}

static void __attribute__((format(printf, 2, 0)))
take_syslog(int p, const char *fmt, va_list ap)
{
	priority = p;
	vsnprintf(syslogged, sizeof(syslogged), fmt, ap);
}

void syslog(int p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void
syslog(int p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	take_syslog(p, fmt, ap);
	va_end(ap);
}

/* what _FORTIFY_SOURCE calls */
void __syslog_chk(int p, int flag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void
__syslog_chk(int p, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	take_syslog(p, fmt, ap);
	va_end(ap);
}

static void
syslog_has_its_own_clock(void **state)
{
	static const int priorities[] = {3, 4, 6, 7};
	int fd = capture(0);

	(void)state;
	log_open(LOG_TO_SYSLOG, LOG_TEXT, LOG_TRACE);
	for (enum log_level level = LOG_ERROR; level <= LOG_TRACE; level++) {
		log_event(level, "event", LOG_STR("a", "%s%n\n"));
		assert_int_equal(facility, 2 << 3); /* LOG_MAIL */
		assert_int_equal(priority & 7, priorities[level]);
		assert_non_null(strstr(syslogged, " event a=\"%s%n\\n\""));
		assert_true(syslogged[0] > '9');
	}
	restore(NULL);
	assert_int_equal(read(fd, line, 1), 0);
	close(fd);
}

/* Several processes on one pipe: no line is ever in another. */
static void
lines_do_not_mix(void **state)
{
	int fd = capture(0), status;
	pid_t pids[4];
	struct buf all = {0};
	char *at, *end;
	ssize_t n;

	(void)state;
	for (int i = 0; i < 4; i++) {
		static char s[1001];

		memset(s, 'a' + i, sizeof(s) - 1);
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int k = 0; k < 200; k++)
			log_event(LOG_INFO, "event", LOG_STR("a", s),
			    LOG_STR("b", s), LOG_STR("c", s));
		_exit(0);
	}
	restore(NULL);
	while ((n = read(fd, buf_reserve(&all, LINE_MAX), LINE_MAX)) > 0)
		all.len += (size_t)n;
	close(fd);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	buf_append(&all, "", 1);
	n = 0;
	for (at = all.data; (end = strchr(at, '\n')); at = end + 1, n++) {
		*end = '\0';
		at = strchr(at, ' '); /* behind the time */
		assert_non_null(at);
		assert_int_equal(log_read_text(at + 1, pairs, 4), 3);
		assert_int_equal(pairs[2].len, 1000);
		assert_int_equal(strspn(pairs[2].value,
				     (char[]){pairs[0].value[0], 0}),
		    1000);
	}
	assert_int_equal(n, 800);
	buf_free(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(one_write_a_line, restore),
	    cmocka_unit_test_teardown(nobody_reads, restore),
	    cmocka_unit_test(unseen_is_not_evaluated),
	    cmocka_unit_test_teardown(the_journal_has_its_own_clock, restore),
	    cmocka_unit_test_teardown(syslog_has_its_own_clock, restore),
	    cmocka_unit_test_teardown(lines_do_not_mix, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

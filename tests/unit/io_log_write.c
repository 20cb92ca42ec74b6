/*
 * Where the log's lines go: to stderr, to systemd's journal, to syslog;
 * whole, whoever else writes, never at the cost of errno, and never waiting
 * for who reads them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "io/log.h"
#include "log_read.h"

#define LINE_MAX 4096 /* PIPE_BUF */

static char line[2 * LINE_MAX];
static struct log_pair pairs[4];

static int saved = -1;
static unsigned writes;   /* to the log */
static bool closed_to_us; /* stderr cannot be opened anew */
static struct sockaddr_un syslogd;

/* --- taken for the C library's own --- */

ssize_t
write(int fd, const void *data, size_t n)
{
	writes++;
	return syscall(SYS_write, fd, data, n);
}

int
open(const char *path, int flags, ...)
{
	if (closed_to_us) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

int
connect(int fd, const struct sockaddr *a, socklen_t len)
{
	const struct sockaddr_un *un = (const void *)a;

	assert_string_equal(un->sun_path, "/dev/log");
	assert_true(len >= sizeof(*un));
	return (int)syscall(SYS_connect, fd, &syslogd, sizeof(syslogd));
}

/* --- */

static void
lead_stderr(int fd)
{
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_INFO);
	writes = 0;
}

/* stderr becomes a pipe, whose reader this is. */
static int
capture(void)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	lead_stderr(fd[1]);
	return fd[0];
}

/* Whatever is there, up to what the last line says. */
static char *
read_all(int fd, struct buf *all)
{
	ssize_t n;

	while ((n = read(fd, buf_reserve(all, LINE_MAX), LINE_MAX)) > 0)
		all->len += (size_t)n;
	buf_append(all, "", 1);
	return all->data;
}

static int
restore(void **state)
{
	int wait;

	(void)state;
	log_gather(false);
	closed_to_us = false;
	if (saved >= 0) {
		dup2(saved, STDERR_FILENO);
		close(saved);
		saved = -1;
	}
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_INFO);
	log_flush(&wait); /* what the test left */
	return 0;
}

static void
assert_line(char **at, const char *begin, const char *end)
{
	char *nl = strchr(*at, '\n');

	assert_non_null(nl);
	*nl = '\0';
	assert_memory_equal(*at, begin, strlen(begin));
	assert_true((size_t)(nl - *at) >= strlen(end));
	assert_string_equal(nl - strlen(end), end);
	*at = nl + 1;
}

static void
one_write_a_line(void **state)
{
	static char s[5000];
	struct buf all = {0};
	int fd = capture();
	char *at;

	(void)state;
	memset(s, '\xff', sizeof(s) - 1);
	errno = ENOTTY;
	log_event(LOG_INFO, "short", LOG_STR("a", "\n"));
	log_event(LOG_ERROR, "long", LOG_STR("a", s), LOG_STR("b", s),
	    LOG_STR("c", s), LOG_STR("d", s), LOG_STR("e", s));
	log_event(LOG_TRACE, "unseen", LOG_STR("a", s));
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(writes, 2);
	restore(NULL);
	at = read_all(fd, &all);
	assert_line(&at, "20", " info short a=\"\\n\"");
	assert_line(&at, "20", " cut=1");
	assert_string_equal(at, "");
	buf_free(&all);
	close(fd);
}

/* FAULT A7: the lines of one turn leave with one write. */
static void
one_write_a_turn(void **state)
{
	char path[] = "/tmp/io_log_XXXXXX";
	int fd = mkstemp(path), wait;
	struct buf all = {0};
	char *at;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	lead_stderr(dup(fd));
	log_gather(true);
	for (uint64_t i = 0; i < 500; i++)
		log_event(LOG_INFO, "event", LOG_UINT("i", i));
	assert_int_equal(writes, 0);
	assert_true(log_flush(&wait));
	assert_int_equal(writes, 1);
	/* more than is kept: nothing is lost where it can be written */
	for (uint64_t i = 500; i < 10000; i++)
		log_event(LOG_INFO, "event", LOG_UINT("i", i));
	assert_true(log_flush(&wait));
	assert_true(writes < 10);
	restore(NULL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	at = read_all(fd, &all);
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof(line), " i=%d", i);
		assert_line(&at, "20", line);
	}
	assert_string_equal(at, "");
	buf_free(&all);
	close(fd);
}

static void
nobody_reads(void **state)
{
	int fd = capture(), wait;

	(void)state;
	close(fd);
	errno = ENOTTY;
	log_event(LOG_ERROR, "event", LOG_UINT("a", 1));
	assert_int_equal(errno, ENOTTY);
	/* it may be readable any time: asking for that would spin */
	assert_false(log_flush(&wait));
	assert_int_equal(wait, -1);
}

static unsigned
fill(void)
{
	static char s[201];
	unsigned n;

	memset(s, 'x', sizeof(s) - 1);
	errno = ENOTTY;
	for (n = 0; n < 10000; n++)
		log_event(LOG_INFO, "event", LOG_UINT("n", n), LOG_STR("a", s));
	assert_int_equal(errno, ENOTTY);
	return n;
}

/* A line is whole and behind the one before it; the last says how many are
 * not here. True: that is it. */
static bool
is_last(const char *text, int64_t *before, unsigned *seen)
{
	const char *event = strchr(text, ' ') + 1; /* behind the time */
	unsigned lost, n;

	if (sscanf(event, "warn log-lost lines=%u", &lost) == 1) {
		*seen += lost;
		return true;
	}
	assert_int_equal(sscanf(event, "info event n=%u", &n), 1);
	assert_true(n > *before);
	*before = n;
	++*seen;
	assert_int_equal(log_read_text(event, pairs, 4), 2);
	assert_int_equal(pairs[1].len, 200);
	return false;
}

/* Reads on and lets the log go on, until it has said what is lost. */
static void
assert_all_but_lost(int fd, unsigned n)
{
	struct buf all = {0};
	int64_t before = -1;
	unsigned seen = 0;
	bool last = false;
	int wait;

	while (!last) {
		ssize_t r = read(fd, buf_reserve(&all, LINE_MAX), LINE_MAX);
		size_t used = 0;
		char *nl;

		assert_true(r > 0);
		all.len += (size_t)r;
		while (all.len > used &&
		       (nl = memchr(all.data + used, '\n', all.len - used))) {
			*nl = '\0';
			assert_false(last);
			last = is_last(all.data + used, &before, &seen);
			used = (size_t)(nl - all.data) + 1;
		}
		buf_consume(&all, used);
		log_flush(&wait);
	}
	assert_int_equal(all.len, 0);
	assert_true(log_flush(&wait));
	assert_int_equal(seen, n);
	buf_free(&all);
}

/* FAULT A7: a reader who lives and does not read keeps nobody waiting. */
static void
a_sleeping_reader(void **state)
{
	int fd = capture(), wait;
	unsigned n = fill();

	(void)state;
	assert_false(log_flush(&wait));
	assert_true(wait > STDERR_FILENO); /* a description of our own */
	assert_all_but_lost(fd, n);
	close(fd);
}

/* FAULT A7: nor where stderr cannot be opened anew. */
static void
a_thread_waits_instead(void **state)
{
	int fd;
	unsigned n;

	(void)state;
	closed_to_us = true;
	fd = capture();
	n = fill();
	assert_all_but_lost(fd, n);
	close(fd);
}

/* FAULT A7: a socket, as systemd and inetd give it. */
static void
a_socket_that_nobody_reads(void **state)
{
	int fd[2], wait;
	unsigned n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd),
	    0);
	lead_stderr(fd[1]);
	n = fill();
	assert_false(log_flush(&wait));
	assert_int_equal(wait, STDERR_FILENO);
	assert_all_but_lost(fd[0], n);
	close(fd[0]);
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
	int fd = capture();
	struct buf all = {0};
	struct stat st;
	char id[64], *at;

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
	at = read_all(fd, &all);
	assert_line(&at, "<3>error event a=1", "");
	assert_line(&at, "<4>warn event a=1", "");
	assert_line(&at, "<6>info event a=1", "");
	assert_line(&at, "<7>trace event a=1", "");
	assert_line(&at, "<4>{\"level\":\"warn\",\"event\":\"event\",", "}");
	assert_line(&at, "20", "Z warn event a=1");
	assert_string_equal(at, "");
	buf_free(&all);
	close(fd);
}

static int
listen_as_syslogd(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(syslogd.sun_path, sizeof(syslogd.sun_path), "/tmp/io_log_%d",
	    (int)getpid());
	syslogd.sun_family = AF_UNIX;
	unlink(syslogd.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&syslogd,
			     sizeof(syslogd)),
	    0);
	return fd;
}

/* The event of the next datagram; its severity is checked. */
static const char *
syslogged(int fd, int severity)
{
	ssize_t n = recv(fd, line, sizeof(line) - 1, 0);
	char head[32], tag[32];
	char *end;

	assert_true(n > 0);
	line[n] = '\0';
	snprintf(head, sizeof(head), "<%d>", 2 << 3 | severity);
	assert_memory_equal(line, head, strlen(head));
	/* Nov 26 02:31:15 */
	assert_int_equal(line[strlen(head) + 12], ':');
	snprintf(tag, sizeof(tag), " smtpd[%d]: ", (int)getpid());
	end = line + strlen(head) + 15;
	assert_memory_equal(end, tag, strlen(tag));
	return end + strlen(tag);
}

static void
syslog_has_its_own_clock(void **state)
{
	static const int severities[] = {3, 4, 6, 7};
	static const char *const names[] = {"error", "warn", "info", "trace"};
	int fd = listen_as_syslogd();
	char text[64];

	(void)state;
	log_open(LOG_TO_SYSLOG, LOG_TEXT, LOG_TRACE);
	for (enum log_level level = LOG_ERROR; level <= LOG_TRACE; level++) {
		log_event(level, "event", LOG_STR("a", "%s%n\n"));
		snprintf(text, sizeof(text), "%s event a=\"%%s%%n\\n\"",
		    names[level]);
		assert_string_equal(syslogged(fd, severities[level]), text);
	}
	restore(NULL);
	unlink(syslogd.sun_path);
	close(fd);
}

/* FAULT A7: a syslogd that sleeps; and one that is started anew. */
static void
syslogd_sleeps(void **state)
{
	int fd = listen_as_syslogd(), wait;
	unsigned n, lost, seen = 0;
	bool all = false;

	(void)state;
	log_open(LOG_TO_SYSLOG, LOG_TEXT, LOG_INFO);
	n = fill();
	while (!all) {
		all = log_flush(&wait);
		assert_true(all || wait >= 0);
		while (recv(fd, line, sizeof(line), MSG_PEEK) > 0 &&
		       memcmp(line, "<20>", 4) != 0) {
			syslogged(fd, 6);
			seen++;
		}
	}
	assert_int_equal(sscanf(syslogged(fd, 4), "warn log-lost lines=%u",
			     &lost),
	    1);
	assert_int_equal(seen + lost, n);
	unlink(syslogd.sun_path);
	close(fd);
	log_event(LOG_INFO, "event", LOG_UINT("n", 1));
	assert_false(log_flush(&wait));
	assert_int_equal(wait, -1);
	fd = listen_as_syslogd();
	assert_true(log_flush(&wait));
	assert_string_equal(syslogged(fd, 6), "info event n=1");
	restore(NULL);
	unlink(syslogd.sun_path);
	close(fd);
}

/* Several processes on one pipe: no line is ever in another. */
static void
lines_do_not_mix(void **state)
{
	int fd = capture(), status, n = 0;
	pid_t pids[4];
	struct buf all = {0};
	char *at, *end;

	(void)state;
	for (int i = 0; i < 4; i++) {
		static char s[1001];

		memset(s, 'a' + i, sizeof(s) - 1);
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int k = 0; k < 200; k++) {
			struct pollfd p = {.events = POLLOUT};

			log_event(LOG_INFO, "event", LOG_STR("a", s),
			    LOG_STR("b", s), LOG_STR("c", s));
			while (!log_flush(&p.fd))
				poll(&p, 1, -1);
		}
		_exit(0);
	}
	restore(NULL);
	read_all(fd, &all);
	close(fd);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
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

/* FAULT A7: what waited for the end of the turn is not lost with it. */
static void
lines_of_a_last_turn(void **state)
{
	(void)state;
	for (int aborts = 0; aborts < 2; aborts++) {
		int fd = capture(), status;
		struct buf all = {0};
		pid_t pid = fork();
		char *at;

		if (!pid) {
			const struct rlimit none = {0, 0};

			setrlimit(RLIMIT_CORE, &none);
			log_gather(true);
			log_event(LOG_INFO, "last", LOG_UINT("a", 1));
			if (aborts)
				abort();
			exit(0);
		}
		restore(NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WIFSIGNALED(status), aborts);
		at = read_all(fd, &all); /* a sanitizer may say more */
		assert_line(&at, "20", " info last a=1");
		buf_free(&all);
		close(fd);
	}
}

/* FAULT A7: what waits is said once, by the parent. */
static void
a_fork_has_none_of_it(void **state)
{
	int fd, status, wait;
	struct buf all = {0};
	char *at;
	ssize_t n;
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		closed_to_us = i; /* the thread stays behind, too */
		fd = capture();
		log_gather(true);
		log_event(LOG_INFO, "before", LOG_UINT("a", 1));
		pid = fork();
		if (!pid) {
			log_event(LOG_INFO, "child", LOG_UINT("a", 1));
			exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		while (!log_flush(&wait))
			;
		log_gather(false);
		log_event(LOG_INFO, "behind", LOG_UINT("a", 1));
		while (!all.len || !memmem(all.data, all.len, " behind ", 8)) {
			n = read(fd, buf_reserve(&all, LINE_MAX), LINE_MAX);
			assert_true(n > 0);
			all.len += (size_t)n;
		}
		restore(NULL);
		at = read_all(fd, &all);
		assert_non_null(strstr(at, " child "));
		at = strstr(at, " before ");
		assert_non_null(at);
		assert_null(strstr(at + 1, " before "));
		buf_free(&all);
		close(fd);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(one_write_a_line, restore),
	    cmocka_unit_test_teardown(one_write_a_turn, restore),
	    cmocka_unit_test_teardown(nobody_reads, restore),
	    cmocka_unit_test_teardown(a_sleeping_reader, restore),
	    cmocka_unit_test_teardown(a_thread_waits_instead, restore),
	    cmocka_unit_test_teardown(a_socket_that_nobody_reads, restore),
	    cmocka_unit_test(unseen_is_not_evaluated),
	    cmocka_unit_test_teardown(the_journal_has_its_own_clock, restore),
	    cmocka_unit_test_teardown(syslog_has_its_own_clock, restore),
	    cmocka_unit_test_teardown(syslogd_sleeps, restore),
	    cmocka_unit_test_teardown(lines_do_not_mix, restore),
	    cmocka_unit_test_teardown(lines_of_a_last_turn, restore),
	    cmocka_unit_test_teardown(a_fork_has_none_of_it, restore),
	};

	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_INFO);
	signal(SIGPIPE, SIG_IGN); /* as master and workers do */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * control: nothing is believed of a file that the workers can write: neither
 * the lock's text nor a status that names another process. What has no
 * process id here is never signalled: kill(-1) hits everybody.
 */
#include "tools/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "config/print.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "setup.h"
#include "status.h"
#include "tools/lock.h"
#include "tools/tool.h"

#define STATUS_MAX 65536
#define LOOK_MS    20
#define ANSWER_MS  30000
#define HURRY_MS   500

static int
fail(const struct control *c, int status, const char *text, const char *help)
{
	fprintf(stderr, "smtpd %s: %s%s%s\n", c->tool, text, help ? ": " : "",
	    help ? help : "");
	return status;
}

/* --- who it is --- */

/* Of /proc/PID/status: the first number behind a key. */
static bool
proc_field(const char *text, const char *key, unsigned base, uint64_t *r)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = strstr(text, key), *d;

	if (!p)
		return false;
	*r = 0;
	for (p += strlen(key); *p && (d = strchr(digits, *p)); p++)
		*r = *r * base + (uint64_t)(d - digits);
	return true;
}

/*
 * One that does not ignore the two signals would die of them. (What it waits
 * for with sigtimedwait() is not among SigBlk meanwhile.)
 */
static int
look_at(struct control *c)
{
	const uint64_t needed =
	    UINT64_C(1) << (SIGUSR1 - 1) | UINT64_C(1) << (SIGUSR2 - 1);
	uint64_t uid, ignored;
	char path[32], text[4096];
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	full_close(&fd);
	if (n <= 0)
		return fail(c, CONTROL_FORBIDDEN,
		    "its process cannot be looked at", "try it as root");
	text[n] = '\0';
	if (!proc_field(text, "\nUid:\t", 10, &uid) ||
	    !proc_field(text, "\nSigIgn:\t", 16, &ignored))
		return fail(c, EXIT_FAILED, "/proc says nothing of it",
		    "mount proc here");
	c->uid = (uid_t)uid;
	c->start = status_start(c->pid);
	if (uid != 0 && (stat(c->spool, &st) < 0 || uid != st.st_uid))
		return fail(c, CONTROL_FORBIDDEN,
		    "whoever has the lock is another user's process", path);
	if ((ignored & needed) != needed)
		return fail(c, EXIT_FAILED,
		    "an older smtpd is running, which cannot be asked",
		    "restart it once");
	return 0;
}

static int
find(struct control *c)
{
	char text[320];
	int status;

	switch (lock_holder(c->spool, &c->pid)) {
	case LOCK_FREE:
		snprintf(text, sizeof(text),
		    "it is not running, as nobody holds %.200s/lock", c->spool);
		return fail(c, CONTROL_STOPPED, text,
		    "its log says why it ended, if it was not stopped");
	case LOCK_UNSEEN:
		return fail(c, CONTROL_FORBIDDEN,
		    "whoever holds the lock cannot be seen from here",
		    "ask in the container that it runs in");
	case LOCK_FAILED:
		status = errno == EACCES ? CONTROL_FORBIDDEN : EXIT_FAILED;
		snprintf(text, sizeof(text), "%.200s/lock: %s", c->spool,
		    strerror(errno));
		return fail(c, status, text,
		    status == CONTROL_FORBIDDEN ? "try it as root"
						: "it is no lock of smtpd's");
	default:
		break;
	}
	/* before it is looked at: the number may be another's afterwards */
	c->process = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->process < 0)
		return fail(c, EXIT_FAILED, "pidfd_open", strerror(errno));
	return look_at(c);
}

int
control_open(struct control *c, int argc, char **argv, const char *option)
{
	int status = 0;

	*c = (struct control){.tool = argv[0],
	    .file = CONFIG_PATH,
	    .process = -1};
	for (int i = 1; i < argc && !status; i++)
		if (strcmp(argv[i], option) == 0)
			c->flag = true;
		else if (strcmp(argv[i], "-f") == 0 && i + 1 < argc)
			c->file = argv[++i];
		else
			status = EXIT_USAGE;
	if (status) {
		fprintf(stderr, "usage: smtpd %s [-f file] [%s]\n", c->tool,
		    option);
		return status;
	}
	c->conf = config_glance(c->file, config_print_error, stderr);
	if (!c->conf)
		return EXIT_CONFIG;
	c->spool = c->conf->spool;
	status = c->spool ? find(c)
			  : fail(c, EXIT_CONFIG,
				"the configuration names no spool", c->file);
	return status;
}

void
control_free(struct control *c)
{
	full_close(&c->process);
	config_free(&c->conf);
	buf_free(&c->status);
}

int
control_signal(struct control *c, int sig)
{
	if (syscall(SYS_pidfd_send_signal, c->process, sig, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return fail(c, CONTROL_STOPPED, "it has just ended",
		    "its log says why");
	return fail(c, errno == EPERM ? CONTROL_FORBIDDEN : EXIT_FAILED,
	    "it cannot be signalled", strerror(errno));
}

/* --- what it says --- */

/* The text of an open file that is the master's own, or empty. */
static void
take(struct control *c, int fd, const struct stat *st)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "pid %d %llu\n", (int)c->pid,
	    (unsigned long long)c->start);
	size_t len = (size_t)st->st_size;

	c->status.len = 0;
	if (st->st_uid != c->uid || st->st_nlink != 1 || len < (size_t)n ||
	    full_pread(fd, buf_reserve(&c->status, len), len, 0) < 0 ||
	    memcmp(c->status.data, head, (size_t)n) != 0)
		return;
	c->status.len = len;
}

/* Is there one that was not heard yet? */
static bool
read_new(struct control *c)
{
	int dir = open(c->spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : full_open(dir, "status", O_RDONLY, STATUS_MAX);
	struct stat st;
	int64_t when;
	bool new = false;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		when = (int64_t)st.st_ctim.tv_sec * 1000000000 +
		       st.st_ctim.tv_nsec;
		/* no clock tells two of one tick apart, but the inode does */
		when ^= (int64_t)((uint64_t)st.st_ino << 40);
		new = when != c->heard;
		if (new)
			take(c, fd, &st);
		c->heard = when;
	}
	full_close(&fd);
	full_close(&dir);
	return new && c->status.len;
}

static bool
hear(struct control *c, int64_t until)
{
	struct pollfd p = {.fd = c->process, .events = POLLIN};

	while (!read_new(c))
		if (clock_now() >= until || poll(&p, 1, LOOK_MS) > 0)
			return false;
	return true;
}

int
control_ask(struct control *c)
{
	int status;

	(void)read_new(c); /* which is of before */
	status = control_signal(c, SIGUSR1);
	if (!status && !hear(c, clock_now() + ANSWER_MS))
		return fail(c, EXIT_FAILED, "no answer", "the log may say why");
	return status;
}

int
control_end(const char *tool, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "smtpd %s: cannot write the answer: %s\n", tool,
	    strerror(errno));
	return EXIT_FAILED;
}

void
control_show(FILE *f, struct span text)
{
	struct buf quoted = {0};
	bool plain = utf8_shows(text);

	for (size_t i = 0; i < text.len; i++)
		plain &= !ascii_is_control(text.ptr[i]);
	if (!plain) {
		quote_put(&quoted, QUOTE_TEXT, STATUS_MAX, text);
		text = buf_span(&quoted);
	}
	fwrite(text.ptr, 1, text.len, f);
	buf_free(&quoted);
}

bool
control_line(const struct control *c, size_t *at, struct span *key,
    struct span *value)
{
	struct span left = buf_span(&c->status);
	const char *lf, *space;

	span_skip(&left, *at);
	lf = left.len ? memchr(left.ptr, '\n', left.len) : NULL;
	if (!lf)
		return false;
	*key = (struct span){left.ptr, (size_t)(lf - left.ptr)};
	*at += key->len + 1;
	*value = SPAN_LIT("");
	space = memchr(key->ptr, ' ', key->len);
	if (space) {
		*value = *key;
		key->len = (size_t)(space - key->ptr);
		span_skip(value, key->len + 1);
	}
	return true;
}

/* Behind a key's first line; {NULL, 0}: there is none. */
static struct span
value_of(const struct control *c, const char *key)
{
	struct span k, value;
	size_t at = 0;

	while (control_line(c, &at, &k, &value))
		if (span_equal(k, span_str(key)))
			return value;
	return (struct span){NULL, 0};
}

static uint64_t
number(const struct control *c, const char *key)
{
	struct span s = value_of(c, key);
	uint64_t n = 0;

	return ascii_parse_u64(s, UINT32_MAX, &n) == 0 ? n : 0;
}

/* --- reload, upgrade --- */

static int
check(const char *file)
{
	struct config *c;
	enum config_status status =
	    config_load(file, NULL, config_print_fault, stderr, &c);

	if (c && config_check(c, config_print_fault, stderr) == CONFIG_ERRORS)
		status = CONFIG_ERRORS;
	config_free(&c);
	return status == CONFIG_OK || status == CONFIG_WARNINGS ? 0
								: EXIT_CONFIG;
}

/* What the master can be asked to do, and how its status speaks of it. */
struct change {
	int sig;
	const char *count, *result;
	const char *done;
	int failed; /* exit status */
};

static int
tell(const struct control *c, const struct change *what)
{
	struct span serving = value_of(c, "serving");
	struct span result = value_of(c, what->result);
	size_t good = strlen(" good");
	bool is_good =
	    result.len > good &&
	    memcmp(result.ptr + result.len - good, " good", good) == 0;

	if (is_good)
		printf("%s: ", what->done);
	else
		fprintf(stderr, "smtpd %s: ", c->tool);
	control_show(is_good ? stdout : stderr, is_good ? serving : result);
	fputs("\n", is_good ? stdout : stderr);
	return is_good ? 0 : what->failed;
}

/* Until one more of them has come to an end. */
static int
await(struct control *c, const struct change *what)
{
	uint64_t before = number(c, what->count);
	int64_t until = c->flag ? INT64_MAX : clock_now() + ANSWER_MS;
	int status = control_signal(c, what->sig);

	if (status)
		return status;
	while (hear(c, until))
		if (number(c, what->count) > before)
			return tell(c, what);
	status = control_ask(c);
	if (status)
		return status;
	if (number(c, what->count) > before)
		return tell(c, what);
	if (!value_of(c, "waits").ptr)
		return fail(c, EXIT_FAILED, "it did not hear of it",
		    "try it again");
	fputs("it will be done when those that leave are gone: ", stdout);
	control_show(stdout, value_of(c, "serving"));
	fputs("\n", stdout);
	return 2;
}

int
reload_main(int argc, char **argv)
{
	static const struct change what = {SIGHUP, "reloads", "reload",
	    "reloaded", EXIT_CONFIG};
	struct control c;
	int status = control_open(&c, argc, argv, "--wait");

	if (!status)
		status = check(c.file);
	if (!status)
		status = control_ask(&c);
	if (!status)
		status = await(&c, &what);
	control_free(&c);
	return status;
}

/* The program looks at the configuration itself, before it takes over. */
int
upgrade_main(int argc, char **argv)
{
	static const struct change what = {SIGUSR2, "upgrades", "upgrade",
	    "upgraded", EXIT_WARNINGS};
	struct control c;
	int status = control_open(&c, argc, argv, "--wait");

	if (!status)
		status = control_ask(&c);
	if (!status && !value_of(&c, what.count).ptr)
		status = fail(&c, EXIT_FAILED,
		    "an older smtpd is running, which cannot be upgraded",
		    "restart it once");
	if (!status)
		status = await(&c, &what);
	control_free(&c);
	return status;
}

/* --- stop --- */

int
stop_main(int argc, char **argv)
{
	struct control c;
	int status = control_open(&c, argc, argv, "--now");
	struct pollfd p = {.fd = c.process, .events = POLLIN};

	/* a second one hurries it, but not while the first is pending */
	do
		status = status ? status : control_signal(&c, SIGTERM);
	while (!status && poll(&p, 1, c.flag ? HURRY_MS : -1) == 0);
	control_free(&c);
	return status;
}

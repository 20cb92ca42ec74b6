/*
 * upgrade: what the next program needs, as rows, and how it is run.
 */
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "setup.h"
#include "upgrade_rows.h"

#define TRIAL_MS 15000
#define FLUSH_MS 1000

/* --- writing --- */

static void
put_number(struct buf *out, const char *key, uint64_t n)
{
	buf_printf(out, "%s %" PRIu64, key, n);
	buf_append(out, "", 1);
}

static void
put_text(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s %s", key, value);
	buf_append(out, "", 1);
}

static void
put_sockets(struct buf *out, const struct sockets *s)
{
	char addr[IPADDR_STRLEN];

	for (unsigned i = 0; i < s->nlistens; i++) {
		const struct sockets_place *p = &s->places[i];

		buf_printf(out, "listen %u %u %u %s", i, p->inherited, p->port,
		    ipaddr_format(&p->addr, addr));
		buf_append(out, "", 1);
	}
	for (unsigned i = 0; i < s->nlistens * s->nslots; i++) {
		if (s->fds[i] < 0)
			continue;
		buf_printf(out, "socket %u %d", i, s->fds[i]);
		buf_append(out, "", 1);
	}
}

static void
put_all(struct buf *out, const struct upgrade *u)
{
#define TEXT(key, field) put_text(out, key, u->field);
	UPGRADE_TEXTS(TEXT)
#undef TEXT
#define NUMBER(key, field) put_number(out, key, (uint64_t)u->field);
	UPGRADE_NUMBERS(NUMBER)
#undef NUMBER
	put_text(out, "fault", u->status.fault);
	put_sockets(out, &u->serving.sockets);
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		const struct slot *s = &u->serving.slots[i];

		if (!s->pid)
			continue;
		buf_printf(out, "worker %u %d %" PRId64, i, (int)s->pid,
		    s->begun);
		buf_append(out, "", 1);
	}
	for (unsigned i = 0; i < u->dirs.n; i++)
		put_text(out, "dir", u->dirs.paths[i]);
	put_text(out, "end", "");
}

/* The file, or -1 with errno. */
static int
write_state(const struct upgrade *u)
{
	int fd = memfd_create("smtpd-upgrade", MFD_CLOEXEC);
	struct buf out = {0};

	put_all(&out, u);
	if (fd >= 0 && full_pwrite(fd, buf_span(&out), 0) < 0)
		full_close(&fd);
	buf_free(&out);
	return fd;
}

/* --- running it --- */

void
upgrade_hand_over(const struct upgrade *u, int flags)
{
	const struct sockets *s = &u->serving.sockets;

	fcntl(u->lock, F_SETFD, flags);
	fcntl(u->serving.alive[1], F_SETFD, flags);
	for (unsigned i = 0; i < s->nlistens * s->nslots; i++)
		if (s->fds[i] >= 0)
			fcntl(s->fds[i], F_SETFD, flags);
}

/* Comes back only if it cannot be run, with errno. */
static void
execute(const struct upgrade *u, char **argv, int state, int client)
{
	char env[64];
	int err;

	snprintf(env, sizeof(env), "%d %d", UPGRADE_FORMAT, state);
	if (client >= 0)
		snprintf(env, sizeof(env), "%d %d trial=%d", UPGRADE_FORMAT,
		    state, client);
	setenv(UPGRADE_ENV, env, 1);
	upgrade_hand_over(u, 0);
	fcntl(state, F_SETFD, 0);
	execv(u->program, argv);
	err = errno;
	upgrade_hand_over(u, FD_CLOEXEC);
	unsetenv(UPGRADE_ENV);
	errno = err;
}

static _Noreturn void
become_trial(const struct upgrade *u, char **argv, int state, int client)
{
	/* the service manager hears one process */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	fcntl(client, F_SETFD, 0);
	execute(u, argv, state, client);
	dprintf(client, "%s cannot be run: %s\n", u->program, strerror(errno));
	_exit(EXIT_FAILED);
}

int
upgrade_try(struct trial *t, const struct upgrade *u, char **argv)
{
	int pair[2], state = write_state(u);

	*t = (struct trial){.until = clock_now() + TRIAL_MS};
	stat(u->program, &t->file); /* if it is not there, it cannot be run */
	if (state < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) < 0) {
		full_close(&state);
		return -1;
	}
	t->pid = fork();
	if (t->pid == 0)
		become_trial(u, argv, state, pair[1]);
	full_close(&state);
	full_close(&pair[1]);
	if (t->pid < 0) {
		t->pid = 0;
		return full_close(&pair[0]);
	}
	/* so that its session ends behind the greeting */
	shutdown(pair[0], SHUT_WR);
	t->fd = pair[0];
	return 0;
}

const char *
upgrade_judge(struct trial *t, int status, char *why, size_t n)
{
	char said[512];
	ssize_t len = read(t->fd, said, sizeof(said) - 1);
	bool greets;

	said[len > 0 ? len : 0] = '\0';
	greets = strncmp(said, "220 ", 4) == 0;
	said[strcspn(said, "\r\n")] = '\0';
	full_close(&t->fd);
	t->pid = 0;
	if (t->late)
		snprintf(why, n,
		    "the new program has not ended its trial "
		    "within 15 s");
	else if (!greets && said[0])
		snprintf(why, n, "%s", said);
	else if (WIFSIGNALED(status))
		snprintf(why, n, "the new program died in its trial: %s",
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) || !greets)
		snprintf(why, n,
		    "the new program ended its trial with status %d%s",
		    WEXITSTATUS(status),
		    greets ? "" : ", and did not greet: the log may say why");
	else
		return NULL;
	return why;
}

bool
upgrade_same(const struct trial *t, const struct upgrade *u)
{
	struct stat now;

	return stat(u->program, &now) == 0 && now.st_dev == t->file.st_dev &&
	       now.st_ino == t->file.st_ino &&
	       now.st_ctim.tv_sec == t->file.st_ctim.tv_sec &&
	       now.st_ctim.tv_nsec == t->file.st_ctim.tv_nsec;
}

int
upgrade_run(const struct upgrade *u, char **argv)
{
	int64_t end = clock_now() + FLUSH_MS;
	struct pollfd p = {.events = POLLOUT};
	int state = write_state(u);

	if (state < 0)
		return -1;
	/* lines that nobody reads are lost with this program */
	while (!log_flush(&p.fd) && clock_now() < end)
		poll(&p, 1, 10);
	execute(u, argv, state, -1);
	return full_close(&state);
}

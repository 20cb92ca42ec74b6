/*
 * upgrade_read: what the program before has left. Nothing of it is taken for
 * granted: it may be of another version.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "io/full_io.h"
#include "io/listen.h"
#include "upgrade_rows.h"

#define STATE_MAX   (4u << 20)
#define LISTENS_MAX 4096

/* Up to the next blank. */
static int
take_number(struct span *s, uint64_t max, uint64_t *r)
{
	const char *blank = s->len ? memchr(s->ptr, ' ', s->len) : NULL;
	struct span n = {s->ptr, blank ? (size_t)(blank - s->ptr) : s->len};

	span_skip(s, n.len + (blank != NULL));
	return ascii_parse_u64(n, max, r);
}

static int
take_listen(struct sockets *s, struct span row)
{
	uint64_t i, inherited, port;
	struct sockets_place *p;

	if (!s->places) {
		if (!s->nlistens || s->nlistens > LISTENS_MAX || !s->nslots ||
		    s->nslots > WORKERS_MAX)
			return -1;
		sockets_init(s, s->nlistens, s->nslots);
	}
	if (take_number(&row, s->nlistens - 1, &i) < 0 ||
	    take_number(&row, 1, &inherited) < 0 ||
	    take_number(&row, UINT16_MAX, &port) < 0)
		return -1;
	p = &s->places[i];
	p->inherited = inherited;
	p->port = (uint16_t)port;
	return ipaddr_parse(row, &p->addr);
}

static int
take_socket(struct sockets *s, struct span row)
{
	uint64_t i, fd;

	if (!s->places ||
	    take_number(&row, s->nlistens * s->nslots - 1, &i) < 0 ||
	    take_number(&row, INT32_MAX, &fd) < 0)
		return -1;
	s->fds[i] = (int)fd;
	return 0;
}

static int
take_worker(struct generation *g, struct span row)
{
	uint64_t i, pid, begun;

	if (take_number(&row, WORKERS_MAX - 1, &i) < 0 ||
	    take_number(&row, INT32_MAX, &pid) < 0 ||
	    take_number(&row, INT64_MAX, &begun) < 0)
		return -1;
	g->slots[i].pid = (pid_t)pid;
	g->slots[i].begun = (int64_t)begun;
	return 0;
}

/* value ends with a NUL. */
static int
take_row(struct upgrade *u, struct span key, char *text, struct span value)
{
	struct sockets *s = &u->serving.sockets;
	uint64_t n;

#define TEXT(name, field)                                                      \
	if (span_equal(key, SPAN_LIT(name))) {                                 \
		u->field = text;                                               \
		return 0;                                                      \
	}
	UPGRADE_TEXTS(TEXT)
#undef TEXT
#define NUMBER(name, field)                                                    \
	if (span_equal(key, SPAN_LIT(name))) {                                 \
		if (take_number(&value, INT64_MAX, &n) < 0)                    \
			return -1;                                             \
		u->field = (__typeof__(u->field))n;                            \
		return 0;                                                      \
	}
	UPGRADE_NUMBERS(NUMBER)
#undef NUMBER
	if (span_equal(key, SPAN_LIT("listen")))
		return take_listen(s, value);
	if (span_equal(key, SPAN_LIT("socket")))
		return take_socket(s, value);
	if (span_equal(key, SPAN_LIT("worker")))
		return take_worker(&u->serving, value);
	if (span_equal(key, SPAN_LIT("dir")))
		sandbox_dirs_put(&u->dirs, text);
	else if (span_equal(key, SPAN_LIT("fault")))
		snprintf(u->status.fault, sizeof(u->status.fault), "%s", text);
	else
		return -1;
	return 0;
}

/* Each row, up to the one that says that all are there. */
static int
take_rows(struct upgrade *u)
{
	char *at = u->text.data, *end = at + u->text.len;

	while (at < end) {
		char *nul = memchr(at, '\0', (size_t)(end - at));
		char *blank = nul ? memchr(at, ' ', (size_t)(nul - at)) : NULL;
		struct span key, value;

		if (!blank)
			return -1;
		key = (struct span){at, (size_t)(blank - at)};
		value = (struct span){blank + 1, (size_t)(nul - blank) - 1};
		if (span_equal(key, SPAN_LIT("end")))
			return 0;
		if (take_row(u, key, blank + 1, value) < 0)
			return -1;
		at = nul + 1;
	}
	return -1;
}

/* Whoever is on trial hears of another format, too. */
static int
take_env(const char *env, int *state, int *client)
{
	struct span s = span_str(env), trial = SPAN_LIT("trial=");
	uint64_t format, fd;

	if (take_number(&s, UINT32_MAX, &format) < 0 ||
	    take_number(&s, INT32_MAX, &fd) < 0)
		return -1;
	*state = (int)fd;
	if (s.len >= trial.len && memcmp(s.ptr, trial.ptr, trial.len) == 0) {
		span_skip(&s, trial.len);
		if (take_number(&s, INT32_MAX, &fd) < 0)
			return -1;
		*client = (int)fd;
	}
	return format == UPGRADE_FORMAT && !s.len ? 0 : -1;
}

static int
read_text(struct buf *text, int fd)
{
	struct stat st;
	size_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > STATE_MAX)
		return -1;
	n = (size_t)st.st_size;
	if (full_pread(fd, buf_reserve(text, n), n, 0) < 0)
		return -1;
	text->len = n;
	return 0;
}

static bool
is_known(const struct upgrade *u, int fd)
{
	const struct sockets *s = &u->serving.sockets;

	if (fd <= STDERR_FILENO || fd == u->lock || fd == u->serving.alive[1])
		return true;
	for (unsigned i = 0; i < s->nlistens * s->nslots; i++)
		if (s->fds[i] == fd)
			return true;
	return false;
}

/* Whatever the program before had open without our knowing of it. */
static void
close_others(const struct upgrade *u, int client)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	uint64_t fd;

	while (dir && (e = readdir(dir)))
		if (ascii_parse_u64(span_str(e->d_name), INT32_MAX, &fd) == 0 &&
		    (int)fd != dirfd(dir) && (int)fd != client &&
		    !is_known(u, (int)fd))
			close((int)fd);
	if (dir)
		closedir(dir);
}

const char *
upgrade_read(struct upgrade *u, const char *env, int *client)
{
	int state = -1;

	*u = (struct upgrade){.lock = -1,
	    .serving = {.taken = true, .alive = {-1, -1}}};
	*client = -1;
	if (take_env(env, &state, client) < 0)
		return "its environment is of another smtpd";
	if (read_text(&u->text, state) < 0 || take_rows(u) < 0 ||
	    !u->serving.sockets.places || u->serving.half > 1 || !u->version ||
	    !u->program || !u->was.spool || !u->was.failed || !u->was.user)
		return "the smtpd that runs says what this one does not know";
	close_others(u, *client);
	upgrade_hand_over(u, FD_CLOEXEC);
	if (*client >= 0)
		fcntl(*client, F_SETFD, FD_CLOEXEC);
	return NULL;
}

static bool
is_there(const struct sockets *s, unsigned i)
{
	const struct sockets_place *p = &s->places[i % s->nlistens];
	struct ipaddr addr;
	uint16_t port;

	return listen_address(s->fds[i], &addr, &port) == 0 &&
	       port == p->port && ipaddr_equal(&addr, &p->addr);
}

const char *
upgrade_check(const struct upgrade *u)
{
	const struct sockets *s = &u->serving.sockets;
	int spool = open(u->was.spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat is, ours;
	bool same = spool >= 0 &&
		    fstatat(spool, "lock", &is, AT_SYMLINK_NOFOLLOW) == 0 &&
		    fstat(u->lock, &ours) == 0 && is.st_ino == ours.st_ino &&
		    is.st_dev == ours.st_dev;

	full_close(&spool);
	if (!same)
		return "the lock in the spool is another file now: restart it";
	if (fstat(u->serving.alive[1], &is) < 0 || !S_ISFIFO(is.st_mode))
		return "the workers' pipe was not handed over";
	for (unsigned i = 0; i < s->nlistens * s->nslots; i++)
		if (s->fds[i] >= 0 && !is_there(s, i))
			return "a listening socket was not handed over";
	return NULL;
}

void
upgrade_free(struct upgrade *u)
{
	sandbox_dirs_free(&u->dirs);
	buf_free(&u->text);
}

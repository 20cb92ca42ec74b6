/*
 * log_out: stderr, or syslog's socket, written to without waiting.
 *
 * O_NONBLOCK belongs to a description, and that of stderr is shared with
 * whoever started us: a pipe or a terminal is opened anew for it, by its
 * name in /proc. syslog(3) would wait, so its two lines of protocol are
 * spoken here.
 */
#include "io/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FACILITY_MAIL (2 << 3)

static int
syslog_connect(int fd)
{
	static const struct sockaddr_un to = {AF_UNIX, "/dev/log"};

	return connect(fd, (const struct sockaddr *)&to, sizeof(to));
}

static void
open_syslog(struct log_out *o)
{
	o->way = LOG_WAY_SYSLOG;
	o->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	o->own = o->fd >= 0;
	syslog_connect(o->fd); /* or when there is something to say */
}

static void
open_stderr(struct log_out *o, const struct stat *st)
{
	*o = (struct log_out){LOG_WAY_BLOCKS, STDERR_FILENO, false, st->st_dev,
	    st->st_ino};
	if (S_ISREG(st->st_mode)) {
		o->way = LOG_WAY_FILE;
	} else if (S_ISSOCK(st->st_mode)) {
		o->way = LOG_WAY_SOCKET;
	} else {
		int fd = open("/proc/self/fd/2",
		    O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd < 0)
			return;
		o->way = LOG_WAY_OPENED;
		o->fd = fd;
		o->own = true;
	}
}

void
log_out_open(struct log_out *o, enum log_to to)
{
	struct stat st = {0};

	fstat(STDERR_FILENO, &st);
	if (to == LOG_TO_STDERR && o->way != LOG_WAY_SYSLOG &&
	    o->dev == st.st_dev && o->ino == st.st_ino)
		return;
	if (o->own)
		close(o->fd);
	*o = (struct log_out){.fd = -1};
	if (to == LOG_TO_SYSLOG)
		open_syslog(o);
	else
		open_stderr(o, &st);
}

/* As much as a pipe takes in one piece. */
static size_t
whole_lines(const char *lines, size_t n)
{
	const char *end;

	if (n <= PIPE_BUF)
		return n;
	end = memrchr(lines, '\n', PIPE_BUF);
	return end ? (size_t)(end - lines) + 1 : PIPE_BUF;
}

/* One line, as one datagram; syslogd may have been started anew. */
static ssize_t
send_line(const struct log_out *o, const char *lines, size_t n)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	const char *end = memchr(lines, '\n', n);
	size_t len = end ? (size_t)(end - lines) : n;
	ssize_t r = send(o->fd, lines, len, flags);

	if (r < 0 && errno != EAGAIN && syslog_connect(o->fd) == 0)
		r = send(o->fd, lines, len, flags);
	return r < 0 ? -1 : (ssize_t)len + (end != NULL);
}

ssize_t
log_out_write(const struct log_out *o, const char *lines, size_t n)
{
	switch (o->way) {
	case LOG_WAY_FILE:
		return write(o->fd, lines, n);
	case LOG_WAY_SOCKET:
		return send(o->fd, lines, whole_lines(lines, n),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	case LOG_WAY_SYSLOG:
		return send_line(o, lines, n);
	default:
		return write(o->fd, lines, whole_lines(lines, n));
	}
}

void
log_out_syslog_head(struct buf *line, int severity)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%b %e %H:%M:%S", &tm);
	buf_printf(line, "<%d>%s smtpd[%d]: ", FACILITY_MAIL | severity, text,
	    (int)getpid());
}

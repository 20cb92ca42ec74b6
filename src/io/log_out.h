/*
 * log_out: where the log's lines leave the process, without ever waiting
 * for whoever reads them. Of the log alone; see io/log.h.
 */
#ifndef IO_LOG_OUT_H
#define IO_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "io/log.h"

enum log_way {
	LOG_WAY_FILE,   /* a regular file: it does not block so */
	LOG_WAY_OPENED, /* a description of our own, O_NONBLOCK */
	LOG_WAY_SOCKET, /* MSG_DONTWAIT */
	LOG_WAY_SYSLOG, /* likewise, a datagram for each line */
	LOG_WAY_BLOCKS, /* none of that works: write(2) waits */
};

struct log_out {
	enum log_way way;
	int fd;
	bool own; /* fd is to be closed */
	dev_t dev;
	ino_t ino; /* what stderr was then */
};

/*
 * Closes what it had, unless it leads there already. A description that
 * root opened serves those who could not open it.
 */
void log_out_open(struct log_out *o, enum log_to to);

/*
 * Some octets from the front of these lines, each of which ends in a
 * newline. How many were taken; or -1 with errno: EAGAIN if o->fd can be
 * waited for, anything else is worth another try in a second. What is taken
 * ends with a line, so that lines of several processes stay whole, unless a
 * terminal or a stream would have it otherwise.
 */
ssize_t log_out_write(const struct log_out *o, const char *lines, size_t n);

/* What syslog wants in front of a line; severity: RFC 5424, facility mail. */
void log_out_syslog_head(struct buf *line, int severity);

#endif

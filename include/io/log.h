/*
 * log: one event per line, with typed fields. No string of a client ever
 * meets a format: values are escaped here, and nowhere else.
 *
 *	log_event(LOG_INFO, "connect", LOG_STR("session", id),
 *	    LOG_IP("client", &addr), LOG_UINT("port", 25));
 *
 * text: 2026-11-24T08:11:56.123Z info connect session=06... client=192.0.2.1
 * json: {"time":"...","level":"info","event":"connect","session":"06..."}
 */
#ifndef IO_LOG_H
#define IO_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"

enum log_level {
	LOG_ERROR, /* somebody must act */
	LOG_WARN,  /* somebody should look */
	LOG_INFO,  /* what happened to mail */
	LOG_TRACE, /* -v: each session's steps */

	/* with one of them: kept for smtpd why, also where it is not logged */
	LOG_KEEP = 8,
};

enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_type {
	LOG_TYPE_END,
	LOG_TYPE_STR,
	LOG_TYPE_SPAN,
	LOG_TYPE_UINT,
	LOG_TYPE_INT,
	LOG_TYPE_IP,
	LOG_TYPE_ERRNO, /* the text of an errno value */
};

struct log_field {
	const char *key; /* NULL: the field is left out */
	enum log_type type;
	union {
		const char *str;  /* NULL: the field is left out */
		struct span span; /* ptr NULL: likewise */
		uint64_t uint;
		int64_t sint;
		const struct ipaddr *ip;
		int err;
	} v;
};

#define LOG_STR(k, x)                                                          \
	{                                                                      \
		(k), LOG_TYPE_STR,                                             \
		{                                                              \
			.str = (x)                                             \
		}                                                              \
	}
#define LOG_SPAN(k, x)                                                         \
	{                                                                      \
		(k), LOG_TYPE_SPAN,                                            \
		{                                                              \
			.span = (x)                                            \
		}                                                              \
	}
#define LOG_UINT(k, x)                                                         \
	{                                                                      \
		(k), LOG_TYPE_UINT,                                            \
		{                                                              \
			.uint = (x)                                            \
		}                                                              \
	}
#define LOG_INT(k, x)                                                          \
	{                                                                      \
		(k), LOG_TYPE_INT,                                             \
		{                                                              \
			.sint = (x)                                            \
		}                                                              \
	}
#define LOG_IP(k, x)                                                           \
	{                                                                      \
		(k), LOG_TYPE_IP,                                              \
		{                                                              \
			.ip = (x)                                              \
		}                                                              \
	}
#define LOG_ERRNO(x)                                                           \
	{                                                                      \
		"error", LOG_TYPE_ERRNO,                                       \
		{                                                              \
			.err = (x)                                             \
		}                                                              \
	}
#define LOG_END                                                                \
	{                                                                      \
		NULL, LOG_TYPE_END,                                            \
		{                                                              \
			.str = NULL                                            \
		}                                                              \
	}

/*
 * Before the first line and again in each worker; to stderr until then. The
 * log never waits for who reads it: 256 KiB of lines do, and those beyond
 * are counted, and the number logged (log-lost) when all that waited is out.
 * Lines that wait when a process forks stay the parent's; when it ends they
 * get a second more.
 */
void log_open(enum log_to to, enum log_format format, enum log_level level);
enum log_level log_level(void);

/*
 * Lines go out at once, or, while a loop gathers those of a turn, all with
 * one write at its end.
 */
void log_gather(bool on);

/*
 * True when nothing waits any more. Otherwise try again when *fd can be
 * written to, or in a second if it is -1.
 */
bool log_flush(int *fd);

/*
 * Lines with LOG_KEEP are kept from now on, in the format of the log and always
 * with their time; see why_open(). If they cannot be, that is logged. spool
 * NULL: no more.
 */
void log_keep(const char *spool, unsigned slot, unsigned slots,
    uint64_t octets);

/*
 * By the thread of the loop alone. fields ends with LOG_END. errno is kept. A
 * line is at most 4 KiB, a value about 1: one that is longer ends in "...".
 * Where a line has no room for all fields it ends with cut=1.
 */
void log_write(enum log_level level, const char *event,
    const struct log_field *fields);

/* At least one field. */
#define log_event(level, event, ...)                                           \
	do {                                                                   \
		if ((level) >= LOG_KEEP || (level) <= log_level())             \
			log_write((level), (event),                            \
			    (const struct log_field[]){__VA_ARGS__, LOG_END}); \
	} while (0)

/*
 * The line itself, without a newline, as log_write would send it: what the
 * tests read. wall_ms is the time written into it; 0: none.
 */
void log_render(struct buf *out, enum log_format format, int64_t wall_ms,
    enum log_level level, const char *event, const struct log_field *fields);

#endif

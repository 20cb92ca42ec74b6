/*
 * log: renders events, each as one line.
 *
 * Whatever a client said is a value, and a value can end neither itself nor
 * its line: in text it is quoted unless it is made of harmless octets, in
 * JSON always. Controls and octets that are no UTF-8 are written as escapes.
 * Where the lines go is the sink's business; what they look like is the only
 * state, set when a process starts.
 */
#include "io/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/quote.h"
#include "io/clock.h"
#include "io/log_out.h"
#include "io/log_sink.h"
#include "io/why.h"

#define TAIL_MAX  128  /* what may follow the octet at which a line is cut */
#define VALUE_MAX 1024 /* a long value must not push others off the line */

static struct {
	enum log_to to;
	enum log_format format;
	enum log_level level;
	bool journal; /* stderr is the journal: it has its own clock */
	struct why *why;
	struct buf kept;
	bool why_lost;             /* it was said */
	int64_t second;            /* of the last line, */
	char time[CLOCK_TEXT_MAX]; /* and its text */
} sink = {.to = LOG_TO_STDERR,
    .format = LOG_TEXT,
    .level = LOG_INFO,
    .second = -1};

static const char *const level_names[] = {"error", "warn", "info", "trace"};
static const int severities[] = {3, 4, 6, 7};

/* systemd names the journal's socket by device and inode. */
static bool
stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	char here[48];
	struct stat st;

	if (!env || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(env, here) == 0;
}

enum log_level
log_level(void)
{
	return sink.level;
}

/* --- values --- */

/* Octets that a line which began there still has room for. */
static size_t
room(const struct buf *out, size_t begin)
{
	size_t used = out->len - begin;

	return used < LOG_LINE_MAX - TAIL_MAX ? LOG_LINE_MAX - TAIL_MAX - used
					      : 0;
}

/* May stand without quotes: nothing in it could be taken for syntax. */
static bool
is_bare(struct span s)
{
	static const bool bare[256] = {
	    ['0' ... '9'] = true,
	    ['A' ... 'Z'] = true,
	    ['a' ... 'z'] = true,
	    ['.'] = true,
	    ['_'] = true,
	    [':'] = true,
	    ['/'] = true,
	    ['@'] = true,
	    ['+'] = true,
	    [','] = true,
	    ['-'] = true,
	    ['['] = true,
	    [']'] = true,
	    ['<'] = true,
	    ['>'] = true,
	    ['%'] = true,
	    ['*'] = true,
	};

	for (size_t i = 0; i < s.len; i++)
		if (!bare[(unsigned char)s.ptr[i]])
			return false;
	return s.len > 0;
}

static void
put_text(struct buf *out, size_t begin, enum log_format format, struct span s)
{
	size_t max = room(out, begin);

	if (max > VALUE_MAX)
		max = VALUE_MAX;
	if (format == LOG_TEXT && s.len <= max && is_bare(s))
		buf_append_span(out, s);
	else
		quote_put(out, format == LOG_JSON ? QUOTE_JSON : QUOTE_TEXT,
		    max, s);
}

static void
put_value(struct buf *out, size_t begin, enum log_format format,
    const struct log_field *f)
{
	char ip[IPADDR_STRLEN];
	char err[128];

	switch (f->type) {
	case LOG_TYPE_UINT:
		buf_append_uint(out, f->v.uint, 0);
		break;
	case LOG_TYPE_INT:
		buf_printf(out, "%" PRId64, f->v.sint);
		break;
	case LOG_TYPE_SPAN:
		put_text(out, begin, format, f->v.span);
		break;
	case LOG_TYPE_IP:
		ipaddr_format(f->v.ip, ip);
		put_text(out, begin, format, span_str(ip));
		break;
	case LOG_TYPE_ERRNO:
		put_text(out, begin, format,
		    span_str(strerror_r(f->v.err, err, sizeof(err))));
		break;
	default:
		put_text(out, begin, format, span_str(f->v.str));
	}
}

/* Absent: it has nothing to say, and its key is left out. */
static bool
is_absent(const struct log_field *f)
{
	return !f->key || (f->type == LOG_TYPE_STR && !f->v.str) ||
	       (f->type == LOG_TYPE_SPAN && !f->v.span.ptr);
}

/* --- lines --- */

static void
put_time(struct buf *out, int64_t wall_ms)
{
	if (wall_ms / 1000 != sink.second) {
		sink.second = wall_ms / 1000;
		clock_text(sink.second, sink.time);
	}
	buf_append(out, sink.time, CLOCK_TIME);
	buf_append(out, ".", 1);
	buf_append_uint(out, (uint64_t)(wall_ms % 1000), 3);
	buf_append(out, "Z", 1);
}

/* wall_ms 0: whoever reads the line has the time already. */
static void
put_head(struct buf *out, enum log_format format, int64_t wall_ms,
    enum log_level level, const char *event)
{
	if (format == LOG_TEXT) {
		if (wall_ms) {
			put_time(out, wall_ms);
			buf_append(out, " ", 1);
		}
		buf_append_str(out, level_names[level]);
		buf_append(out, " ", 1);
		buf_append_str(out, event);
		return;
	}
	buf_append(out, "{", 1);
	if (wall_ms) {
		buf_append_str(out, "\"time\":\"");
		put_time(out, wall_ms);
		buf_append_str(out, "\",");
	}
	buf_printf(out, "\"level\":\"%s\",\"event\":\"%s\"", level_names[level],
	    event);
}

static void
put_key(struct buf *out, enum log_format format, const char *key)
{
	buf_append_str(out, format == LOG_TEXT ? " " : ",\"");
	buf_append_str(out, key);
	buf_append_str(out, format == LOG_TEXT ? "=" : "\":");
}

void
log_render(struct buf *out, enum log_format format, int64_t wall_ms,
    enum log_level level, const char *event, const struct log_field *fields)
{
	size_t begin = out->len;

	put_head(out, format, wall_ms, level, event);
	for (; fields->type != LOG_TYPE_END && room(out, begin); fields++) {
		if (is_absent(fields))
			continue;
		put_key(out, format, fields->key);
		put_value(out, begin, format, fields);
	}
	if (fields->type != LOG_TYPE_END) {
		put_key(out, format, "cut");
		buf_append(out, "1", 1);
	}
	if (format == LOG_JSON)
		buf_append(out, "}", 1);
}

/* Syslog and the journal have clocks of their own. */
static void
put_line(struct buf *line, enum log_level level, const char *event,
    const struct log_field *fields)
{
	bool has_clock = sink.to == LOG_TO_SYSLOG || sink.journal;

	if (sink.journal)
		buf_printf(line, "<%d>", severities[level]);
	else if (sink.to == LOG_TO_SYSLOG)
		log_out_syslog_head(line, severities[level]);
	log_render(line, sink.format, has_clock ? 0 : clock_wall(), level,
	    event, fields);
	buf_append(line, "\n", 1);
}

static void
render_lost(struct buf *line, uint64_t lines)
{
	const struct log_field fields[] = {LOG_UINT("lines", lines), LOG_END};

	put_line(line, LOG_WARN, "log-lost", fields);
}

void
log_open(enum log_to to, enum log_format format, enum log_level level)
{
	sink.to = to;
	sink.format = format;
	sink.level = level;
	sink.journal = to == LOG_TO_STDERR && stderr_is_journal();
	log_sink_open(to, render_lost);
}

void
log_keep(const char *spool, unsigned slot, unsigned slots, uint64_t octets)
{
	why_free(&sink.why);
	buf_free(&sink.kept);
	errno = 0;
	if (spool)
		sink.why = why_open(spool, slot, slots, octets);
	if (!sink.why && errno)
		log_event(LOG_WARN, "why-lost", LOG_ERRNO(errno));
	sink.why_lost = false;
}

/* That it fails is said once, until it does not. */
static void
keep(enum log_level level, const char *event, const struct log_field *fields)
{
	bool lost;

	sink.kept.len = 0;
	log_render(&sink.kept, sink.format, clock_wall(), level, event, fields);
	buf_append(&sink.kept, "\n", 1);
	lost = why_put(sink.why, buf_span(&sink.kept)) < 0;
	if (lost && !sink.why_lost)
		log_event(LOG_WARN, "why-lost", LOG_ERRNO(errno));
	sink.why_lost = lost;
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	enum log_level plain = level & (LOG_KEEP - 1);
	int err = errno;

	if (plain <= sink.level) {
		put_line(log_sink_line(), plain, event, fields);
		log_sink_put();
	}
	if (plain != level && sink.why)
		keep(plain, event, fields);
	errno = err;
}

/*
 * log_catch: what would be logged, kept as "event key=value key=value". One
 * file of a test includes it: its functions take the place of io/log's.
 */
#ifndef LOG_CATCH_H
#define LOG_CATCH_H

#include <inttypes.h>
#include <string.h>

#include "io/log.h"

static struct buf caught; /* lines */

enum log_level
log_level(void)
{
	return LOG_TRACE;
}

/* The runner's process has none. */
void
log_open(enum log_to to, enum log_format format, enum log_level level)
{
	(void)to;
	(void)format;
	(void)level;
}

static inline void
catch_value(const struct log_field *f)
{
	char ip[IPADDR_STRLEN];

	buf_printf(&caught, " %s=", f->key);
	switch (f->type) {
	case LOG_TYPE_UINT:
		buf_printf(&caught, "%" PRIu64, f->v.uint);
		break;
	case LOG_TYPE_INT:
		buf_printf(&caught, "%" PRId64, f->v.sint);
		break;
	case LOG_TYPE_SPAN:
		buf_append_span(&caught, f->v.span);
		break;
	case LOG_TYPE_IP:
		ipaddr_format(f->v.ip, ip);
		buf_append_str(&caught, ip);
		break;
	case LOG_TYPE_ERRNO:
		buf_append_str(&caught, strerror(f->v.err));
		break;
	default:
		buf_append_str(&caught, f->v.str);
	}
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	(void)level;
	buf_append_str(&caught, event);
	for (; fields->type != LOG_TYPE_END; fields++)
		if (fields->key &&
		    (fields->type != LOG_TYPE_STR || fields->v.str) &&
		    (fields->type != LOG_TYPE_SPAN || fields->v.span.ptr))
			catch_value(fields);
	buf_append(&caught, "\n", 1);
}

/* Lines of this event with such a part in them, "key=value key=value"; behind
 * the last value is a newline. */
static inline unsigned
logged(const char *event, const char *part)
{
	struct span rest = buf_span(&caught);
	size_t n = strlen(event);
	unsigned count = 0;

	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = (size_t)(end - rest.ptr) + 1;

		if (len > n && !memcmp(rest.ptr, event, n) &&
		    rest.ptr[n] == ' ' &&
		    memmem(rest.ptr + n, len - n, part, strlen(part)))
			count++;
		span_skip(&rest, len);
	}
	return count;
}

static inline void
log_forget(void)
{
	buf_free(&caught);
}

#endif

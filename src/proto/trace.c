/*
 * trace: writes Return-Path, Delivered-To and Received, counts Received.
 *
 * Dates are computed here and in UTC: a time zone would need the system's
 * files, and this room asks nobody.
 */
#include "proto/trace.h"

#include "base/ascii.h"

void
trace_return_path(struct buf *out, const struct envelope *e, const char *eol)
{
	buf_append_str(out, "Return-Path: <");
	smtp_path_format(&e->sender, out);
	buf_append_str(out, ">");
	buf_append_str(out, eol);
}

void
trace_delivered_to(struct buf *out, const char *address, const char *eol)
{
	buf_append_str(out, "Delivered-To: ");
	buf_append_str(out, address);
	buf_append_str(out, eol);
}

/* Days since 1970 to a date, by 400-year eras that begin in March. */
static void
civil_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int64_t)yoe + era * 400 + (*month <= 2);
}

void
trace_date(struct buf *out, int64_t when)
{
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon",
	    "Tue", "Wed"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t day = when / 86400;
	unsigned sec = (unsigned)(when % 86400);
	int64_t year;
	unsigned month, mday;

	if (when < 0) /* a clock before 1970 is a broken clock */
		day = sec = 0;
	civil_date(day, &year, &month, &mday);
	buf_append(out, days[day % 7], 3);
	buf_append_str(out, ", ");
	buf_append_uint(out, mday, 0);
	buf_append_str(out, " ");
	buf_append(out, months[month - 1], 3);
	buf_append_str(out, " ");
	buf_append_uint(out, (uint64_t)(year % 10000), 4);
	buf_append_str(out, " ");
	buf_append_uint(out, sec / 3600, 2);
	buf_append_str(out, ":");
	buf_append_uint(out, sec / 60 % 60, 2);
	buf_append_str(out, ":");
	buf_append_uint(out, sec % 60, 2);
	buf_append_str(out, " +0000");
}

/* How the message came (RFC 3848, RFC 6531 section 4.3). */
static void
put_with(struct buf *out, const struct envelope *e)
{
	if (!e->esmtp) {
		buf_append_str(out, "SMTP");
		return;
	}
	buf_append_str(out, e->utf8 ? "UTF8SMTP" : "ESMTP");
	if (e->tls)
		buf_append_str(out, "S");
	if (e->login)
		buf_append_str(out, "A");
}

void
trace_received(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when, const char *eol)
{
	char ip[SMTP_LITERAL_MAX];
	char id[MESSAGE_ID_MAX];

	buf_append_str(out, "Received: from ");
	buf_append_str(out, e->helo ? e->helo : "unknown");
	buf_append_str(out, " (");
	if (e->name) {
		buf_append_str(out, e->name);
		buf_append_str(out, " ");
	}
	buf_append_str(out, smtp_literal_format(&e->client, ip));
	buf_append_str(out, ")");
	buf_append_str(out, eol);
	buf_append_str(out, "\tby ");
	buf_append_str(out, hostname);
	buf_append_str(out, " with ");
	put_with(out, e);
	buf_append_str(out, " id ");
	envelope_message_id(e, id);
	buf_append_str(out, id);
	if (e->nrcpts == 1) {
		buf_append_str(out, eol);
		buf_append_str(out, "\tfor <");
		smtp_path_format(&e->rcpts->path, out);
		buf_append_str(out, ">");
	}
	if (e->tls) /* the clause of RFC 8314 section 7.4 */
		buf_printf(out, "%s\ttls %s (%s)", eol, e->tls_cipher,
		    e->tls_version);
	buf_append_str(out, ";");
	buf_append_str(out, eol);
	buf_append_str(out, "\t");
	trace_date(out, when);
	buf_append_str(out, eol);
}

/*
 * matched: 0 to 8 octets of the name, 9 for a line that is no such, 10 for
 * a line of which only a CR was seen.
 */
enum { HOP_NAME_LEN = 9, HOP_OTHER = 9, HOP_CR = 10 };

static void
hops_octet(struct trace_hops *h, char c)
{
	static const char name[] = "received:";

	if (c == '\n') {
		/* an empty line: nothing matched, or only its CR */
		if (h->matched == 0 || h->matched == HOP_CR)
			h->over = true;
		h->matched = 0;
		return;
	}
	if (h->matched == 0 && c == '\r') {
		h->matched = HOP_CR;
	} else if (h->matched < HOP_NAME_LEN &&
		   ascii_lower(c) == name[h->matched]) {
		if (++h->matched == HOP_NAME_LEN)
			h->count++;
	} else {
		h->matched = HOP_OTHER;
	}
}

void
trace_hops_feed(struct trace_hops *h, struct span s)
{
	while (s.len && !h->over) {
		if (h->matched == HOP_OTHER) {
			const char *lf = memchr(s.ptr, '\n', s.len);

			if (!lf)
				return;
			span_skip(&s, (size_t)(lf - s.ptr));
		}
		hops_octet(h, s.ptr[0]);
		span_skip(&s, 1);
	}
}

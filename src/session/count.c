/*
 * session_count: no more than an addition in the worker's own slot, and the
 * time once for each message. A refusal's numbers are read from the reply, as
 * whoever said it has written them.
 */
#include "session/count.h"

#include <string.h>

#include "base/ascii.h"
#include "io/clock.h"

#define MS 1000000 /* ns */

static void
count(const struct session *s, enum shared_counter c, int64_t n)
{
	shared_add(s->all->shared, s->all->slot, c, n);
}

/* Behind the yes stand its 5xx and its 4xx. */
static enum shared_counter
by_code(enum shared_counter yes, unsigned code)
{
	return yes + (code >= 500 ? 1 : 2);
}

/* One of the numbers of "550 5.1.1 ", with the octet behind it. */
static bool
number(struct span *in, char end, unsigned *r)
{
	size_t len = 0;
	uint64_t n;

	while (len < in->len && in->ptr[len] != end)
		len++;
	if (len == in->len ||
	    ascii_parse_u64((struct span){in->ptr, len}, 999, &n) < 0)
		return false;
	*r = (unsigned)n;
	span_skip(in, len + 1);
	return true;
}

void
session_count_refused(const struct session *s)
{
	struct span reply = buf_span(&s->all->out);
	unsigned code = 0, a, b, c;
	uint32_t status = 0;

	span_skip(&reply, s->smtp.reply_at);
	number(&reply, ' ', &code);
	if (number(&reply, '.', &a) && number(&reply, '.', &b) &&
	    number(&reply, ' ', &c))
		status = SHARED_STATUS(a, b, c);
	shared_reply(s->all->shared, s->all->slot, code, status);
	if (s->smtp.whole)
		count(s, by_code(SHARED_MESSAGES, code), 1);
	else if (s->smtp.asked == SMTP_ASK_RCPT)
		count(s, by_code(SHARED_RECIPIENTS, code), 1);
}

void
session_count_rcpt(const struct session *s)
{
	count(s, SHARED_RECIPIENTS, 1);
}

_Static_assert(1 << (SHARED_QUIRKS_SENDER - SHARED_QUIRKS) == SMTP_QUIRK_SENDER,
    "a row for each quirk, in their order");

void
session_count_accepted(const struct session *s)
{
	count(s, SHARED_MESSAGES, 1);
	count(s, SHARED_MESSAGE_BYTES, (int64_t)s->smtp.received);
	for (unsigned i = 0; s->smtp.quirks >> i; i++)
		if (s->smtp.quirks >> i & 1)
			count(s, SHARED_QUIRKS + i, 1);
}

static void
observe(const struct session *s, enum shared_counter c, int64_t ns)
{
	shared_observe(s->all->shared, s->all->slot, c, COUNTER_SECONDS,
	    ns > 0 ? (uint64_t)ns : 0);
}

void
session_count_greeted(const struct session *s)
{
	observe(s, SHARED_GREETING, (clock_now() - s->time.begun) * MS);
}

void
session_count_filtered(const struct session *s, const struct filter_result *r)
{
	count(s, SHARED_FORGED, r->forged);
	count(s,
	    r->v.kind == VERDICT_DEFER ? SHARED_FILTERED_DEFERRED
	    : r->v.kind                ? SHARED_FILTERED_REFUSED
	    : r->discard               ? SHARED_FILTERED_DISCARDED
				       : SHARED_FILTERED,
	    1);
}

void
session_count_answered(const struct session *s)
{
	observe(s, SHARED_MESSAGE, clock_ns() - s->ended);
}

void
session_count_login(const struct session *s, const struct auth_outcome *o)
{
	static const struct {
		const char *name;
		enum shared_counter first;
	} mechanisms[] = {
	    {"PLAIN", SHARED_AUTH_PLAIN},
	    {"LOGIN", SHARED_AUTH_LOGIN},
	    {"SCRAM-SHA-256", SHARED_AUTH_SCRAM},
	    {"SCRAM-SHA-256-PLUS", SHARED_AUTH_SCRAM_PLUS},
	};
	static const unsigned results[] = {
	    [AUTH_YES] = COUNTER_LOGIN_GOOD,
	    [AUTH_NO] = COUNTER_LOGIN_WRONG,
	    [AUTH_MALFORMED] = COUNTER_LOGIN_MALFORMED,
	    [AUTH_DOWN] = COUNTER_LOGIN_UNAVAILABLE,
	    [AUTH_BUSY] = COUNTER_LOGIN_UNAVAILABLE,
	};
	enum shared_counter c = SHARED_AUTH_UNKNOWN;

	if (o->result == AUTH_CHALLENGE)
		return;
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (o->result != AUTH_UNKNOWN && o->mechanism &&
		    strcmp(o->mechanism, mechanisms[i].name) == 0)
			c = mechanisms[i].first + results[o->result];
	count(s, c, 1);
}

void
session_count_tls(const struct session *s, const char *version)
{
	if (!version)
		count(s, SHARED_TLS_FAILED, 1);
	else
		count(s,
		    strcmp(version, "TLSv1.3") == 0 ? SHARED_TLS
						    : SHARED_TLS_OLD,
		    1);
}

/*
 * session_log: one event for each refusal, each message taken and each one
 * that broke off, under the session's id. The logger escapes what the client
 * said.
 */
#include "session/log.h"

#include <string.h>

#include "io/clock.h"
#include "io/log.h"
#include "proto/proxyhdr.h"

/* In a row, each with a line of its own; and so many that are only found. */
#define REFUSALS_LOGGED 10
/* No refusal for so long: the flood is over. */
#define QUIET_MS 1000
#define MS       1000000 /* ns */
/* Octets of a trail in one value: longer ones end in "...". */
#define TRAIL_VALUE 1000

static const char *const phases[] = {
    [PHASE_COMMAND] = "command",
    [PHASE_REFUSED] = "refused",
    [PHASE_BODY] = "body",
    [PHASE_VERDICT] = "verdict",
    [PHASE_DISK] = "disk",
    [PHASE_PROXY] = "proxy",
    [PHASE_HANDSHAKE] = "handshake",
    [PHASE_FLUSH] = "flush",
};

/* Absent, "<>", or the address. */
static struct span
show(const struct smtp_path *p, struct buf *text)
{
	if (p && p->local && smtp_path_is_null(p))
		return SPAN_LIT("<>");
	if (p && p->local)
		smtp_path_format(p, text);
	return buf_span(text);
}

static const struct smtp_path *
first_rcpt(const struct session *s)
{
	return s->env.rcpts ? &s->env.rcpts->path : NULL;
}

/* The one that is asked about or was refused, or else the first one. */
static const struct smtp_path *
asked_rcpt(const struct session *s)
{
	enum smtp_ask about = s->smtp.ask ? s->smtp.ask : s->smtp.asked;

	return about == SMTP_ASK_RCPT && s->smtp.rcpt.local ? &s->smtp.rcpt
							    : first_rcpt(s);
}

static uint64_t
size(const struct session *s)
{
	return s->smtp.received ? s->smtp.received : s->env.size;
}

static void
on_quiet(void *ctx)
{
	struct sessions *all = ctx;
	uint64_t n;

	if (shared_may_log(all->shared, NULL, clock_now(), &n))
		log_event(LOG_INFO, "refused", LOG_UINT("suppressed", n));
}

/*
 * Whether this client's refusal is to be logged, and with how many before it
 * that were not. Those that nobody comes behind get a line of their own.
 */
static bool
may_log(struct sessions *all, const struct ipaddr *client, uint64_t *left_out)
{
	if (shared_may_log(all->shared, client, clock_now(), left_out))
		return true;
	if (!all->quiet)
		all->quiet = loop_timer(all->loop, on_quiet, all);
	if (all->quiet)
		loop_timer_set(all->quiet, QUIET_MS);
	return false;
}

void
session_log_connect(const struct session *s)
{
	log_event(LOG_TRACE, "connect", LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client), LOG_UINT("port", s->env.port),
	    LOG_IP(s->proxied ? "via" : NULL, &s->env.via));
}

/* Whose fault it is cannot be seen: both sides must know of it. */
static void
help_with_header(const struct session *s, struct buf *out)
{
	char net[IPADDR_STRLEN + 4];

	if (s->header->have <= 1) /* not even its beginning */
		buf_printf(out,
		    "client \"%s\" has proxy = yes: everybody in it must "
		    "send a PROXY header first",
		    ipnet_format(&s->client->net, net));
}

void
session_log_no_header(const struct session *s, const char *reason)
{
	struct buf help = {0};
	uint64_t n;

	if (!may_log(s->all, &s->env.client, &n))
		return;
	help_with_header(s, &help);
	log_event(LOG_INFO, "proxy-header", LOG_STR("session", s->env.session),
	    LOG_IP("via", &s->env.client), LOG_STR("reason", reason),
	    LOG_UINT("suppressed", n), LOG_SPAN("help", buf_span(&help)));
	buf_free(&help);
}

/* A private address that does too much is often everybody's. */
static void
help_with_nat(const struct ipaddr *client, struct buf *out)
{
	char text[IPADDR_STRLEN];

	ipaddr_format(client, text);
	if (ipaddr_is_private(client))
		buf_printf(out,
		    "if all clients come from %s, a NAT hides them: "
		    "client \"%s\" { limits = no }",
		    text, text);
}

/* "/etc/smtpd/smtpd.conf:42", or "default"; absent when it has no name. */
static struct span
show_place(const struct session_why *why, struct buf *text)
{
	if (why->check && why->at.file)
		buf_printf(text, "%s:%u", why->at.file, why->at.line);
	else if (why->check)
		buf_append_str(text, "default");
	return buf_span(text);
}

/* The lines of a trail that one value has room for; they begin at *at. */
static struct span
cut_trail(struct buf *trail, size_t *at)
{
	struct span s = {trail->data + *at, trail->len - *at};

	if (!s.len)
		return (struct span){NULL, 0};
	if (s.len > TRAIL_VALUE) {
		const char *lf = memrchr(s.ptr, '\n', TRAIL_VALUE);

		s.len = lf ? (size_t)(lf - s.ptr) : TRAIL_VALUE;
	}
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\n')
			trail->data[*at + i] = ';';
	*at += s.len + (*at + s.len < trail->len);
	return s;
}

/* All that the checks have said, in one line. */
static void
log_trail(const struct session *s, bool keep)
{
	struct span part[3] = {{NULL, 0}};
	struct buf trail = {0};
	size_t at = 0;

	if (!s->door || (!keep && log_level() < LOG_TRACE))
		return;
	door_trail(s->door, &trail);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		part[i] = cut_trail(&trail, &at);
	log_event(keep ? LOG_TRACE | LOG_KEEP : LOG_TRACE, "passed",
	    LOG_STR("session", s->env.session), LOG_SPAN("checks", part[0]),
	    LOG_SPAN("then", part[1]), LOG_SPAN("last", part[2]));
	buf_free(&trail);
}

static void
log_limit(const struct session *s, const struct smtp_reply *no,
    const struct session_why *why, bool observed)
{
	struct buf reply = {0}, help = {0}, at = {0};
	uint64_t n;

	if (!may_log(s->all, &s->env.client, &n))
		return;
	if (observed || s->place.apart)
		help_with_nat(&s->env.client, &help);
	smtp_reply_write(&reply, no, s->env.session);
	reply.len -= 2;
	log_event(observed ? LOG_INFO : LOG_INFO | LOG_KEEP,
	    observed ? "observed" : "refused",
	    LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client),
	    LOG_SPAN("reply", buf_span(&reply)), LOG_STR("check", why->check),
	    LOG_STR("value", why->value), LOG_SPAN("at", show_place(why, &at)),
	    LOG_UINT("suppressed", n), LOG_SPAN("help", buf_span(&help)));
	if (!observed)
		log_trail(s, true);
	buf_free(&at);
	buf_free(&help);
	buf_free(&reply);
}

void
session_log_turned_away(const struct session *s)
{
	log_limit(s, s->refusal, &s->why, false);
}

void
session_log_observed(const struct session *s, const struct smtp_reply *no,
    const struct session_why *why)
{
	log_limit(s, no, why, true);
}

void
session_log_found(struct session *s, const struct smtp_reply *no,
    const struct session_why *why)
{
	struct buf reply = {0}, at = {0}, from = {0}, rcpt = {0};

	if (++s->found > REFUSALS_LOGGED)
		return;
	if (no->code) {
		smtp_reply_write(&reply, no, s->env.session);
		reply.len -= 2;
	}
	log_event(LOG_INFO, "observed", LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client),
	    LOG_SPAN("reply", buf_span(&reply)), LOG_STR("check", why->check),
	    LOG_STR("value", why->value), LOG_SPAN("at", show_place(why, &at)),
	    LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", show(&s->env.sender, &from)),
	    LOG_SPAN("rcpt", show(asked_rcpt(s), &rcpt)));
	buf_free(&rcpt);
	buf_free(&from);
	buf_free(&at);
	buf_free(&reply);
}

/* It would have to be trusted first, and then it must always send one. */
static void
help_with_proxy(const struct session *s, struct buf *out)
{
	char text[IPADDR_STRLEN];

	if (s->smtp.foreign == SMTP_FOREIGN_PROXY && !s->proxied)
		buf_printf(out, "client \"%s\" { proxy = yes }",
		    ipaddr_format(&s->env.client, text));
}

void
session_log_turn(struct smtp *s)
{
	s->line = (struct span){NULL, 0};
	if (s->asked && s->verb)
		s->line = span_str(s->verb);
}

void
session_log_refused(struct session *s)
{
	struct span reply = buf_span(&s->all->out);
	struct span command = s->smtp.line;
	struct buf from = {0}, rcpt = {0}, at = {0}, help = {0};
	bool mail = s->env.sender.local != NULL;
	struct auth_outcome login = {.mechanism = NULL};
	struct session_why why = {.check = NULL};

	/* the last one ends the session: why, must be known */
	if (s->smtp.state != SMTP_STATE_CLOSED && ++s->in_row > REFUSALS_LOGGED)
		return;
	span_skip(&reply, s->smtp.reply_at);
	reply.len -= 2;
	if (s->denied && s->smtp.asked == SMTP_ASK_AUTH)
		login = *s->denied;
	help_with_proxy(s, &help);
	if (s->smtp.asked)
		why = s->why;
	log_event(LOG_INFO | LOG_KEEP, "refused",
	    LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client), LOG_SPAN("reply", reply),
	    LOG_SPAN("command", command),
	    LOG_UINT(!command.ptr && command.len ? "length" : NULL,
		command.len),
	    LOG_STR("check", why.check), LOG_STR("value", why.value),
	    LOG_SPAN("at", show_place(&why, &at)), LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", show(&s->env.sender, &from)),
	    LOG_SPAN("rcpt", show(asked_rcpt(s), &rcpt)),
	    LOG_UINT(mail ? "recipients" : NULL, s->env.nrcpts),
	    LOG_UINT(mail ? "size" : NULL, size(s)),
	    LOG_STR("mechanism", login.mechanism),
	    LOG_SPAN("login", login.login),
	    LOG_STR("reason", smtp_foreign_name(s->smtp.foreign)),
	    LOG_STR("error", s->smtp.asked ? s->error : NULL),
	    LOG_SPAN("help", buf_span(&help)));
	log_trail(s, true);
	buf_free(&help);
	buf_free(&at);
	buf_free(&rcpt);
	buf_free(&from);
}

/* Those without a line. */
static void
log_suppressed(struct session *s)
{
	if (s->in_row > REFUSALS_LOGGED)
		log_event(LOG_INFO | LOG_KEEP, "refused",
		    LOG_STR("session", s->env.session),
		    LOG_IP("client", &s->env.client),
		    LOG_STR("helo", s->env.helo),
		    LOG_UINT("suppressed", s->in_row - REFUSALS_LOGGED));
	s->in_row = s->found = 0;
}

void
session_log_accepted(struct session *s)
{
	char id[MESSAGE_ID_MAX];
	struct buf from = {0}, rcpt = {0};

	log_suppressed(s);
	envelope_message_id(&s->env, id);
	log_event(LOG_INFO, "accepted", LOG_STR("message", id),
	    LOG_IP("client", &s->env.client), LOG_STR("login", s->env.login),
	    LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", show(&s->env.sender, &from)),
	    LOG_SPAN("rcpt", show(first_rcpt(s), &rcpt)),
	    LOG_UINT("recipients", s->env.nrcpts),
	    LOG_UINT("size", s->smtp.received),
	    LOG_INT("ms", (clock_ns() - s->ended) / MS),
	    LOG_STR("tls", s->env.tls_version),
	    LOG_UINT("quirks", s->smtp.quirks));
	log_trail(s, false);
	buf_free(&rcpt);
	buf_free(&from);
}

void
session_log_filtered(const struct session *s, const struct filter_result *r)
{
	char id[MESSAGE_ID_MAX];

	if (!r->edits && !r->forged && !r->unseen)
		return;
	envelope_message_id(&s->env, id);
	log_event(LOG_INFO, "filtered", LOG_STR("message", id),
	    LOG_UINT(r->edits ? "edits" : NULL, r->edits),
	    LOG_UINT(r->forged ? "forged" : NULL, r->forged),
	    LOG_UINT(r->unseen ? "unseen" : NULL, r->unseen),
	    LOG_INT("ms", (clock_ns() - s->ended) / MS));
}

void
session_log_discarded(struct session *s, const struct filter_result *r)
{
	char id[MESSAGE_ID_MAX];
	struct buf from = {0}, rcpt = {0};

	log_suppressed(s);
	envelope_message_id(&s->env, id);
	log_event(LOG_INFO, "discarded", LOG_STR("message", id),
	    LOG_IP("client", &s->env.client), LOG_STR("login", s->env.login),
	    LOG_STR("check", r->by->check),
	    LOG_SPAN("from", show(&s->env.sender, &from)),
	    LOG_SPAN("rcpt", show(first_rcpt(s), &rcpt)),
	    LOG_UINT("recipients", s->env.nrcpts),
	    LOG_UINT("size", s->smtp.received));
	buf_free(&rcpt);
	buf_free(&from);
}

static void
log_lost(const struct session *s)
{
	struct log_field reason = LOG_STR("reason", "closed");
	struct buf from = {0}, rcpt = {0};

	if (s->stream.error) {
		reason.type = LOG_TYPE_ERRNO;
		reason.v.err = s->stream.error;
	}
	log_event(LOG_INFO | LOG_KEEP, "lost",
	    LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client), LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", show(&s->env.sender, &from)),
	    LOG_SPAN("rcpt", show(first_rcpt(s), &rcpt)),
	    LOG_UINT("octets", s->smtp.received),
	    LOG_STR("phase", phases[s->time.phase]), reason);
	buf_free(&rcpt);
	buf_free(&from);
}

void
session_log_left(struct session *s, bool lost)
{
	int64_t ms = clock_now() - s->time.begun;
	bool abrupt = s->env.helo && !s->smtp.quit;

	log_suppressed(s);
	if (lost && smtp_in_transaction(&s->smtp))
		log_lost(s);
	log_event(abrupt ? LOG_TRACE | LOG_KEEP : LOG_TRACE, "left",
	    LOG_STR("session", s->env.session),
	    LOG_STR("phase", phases[s->time.phase]),
	    LOG_INT("seconds", ms / 1000),
	    LOG_UINT("commands", s->smtp.commands),
	    LOG_UINT("refusals", s->refusals));
}

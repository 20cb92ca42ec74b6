/*
 * session: moves octets between stream and engine, and questions between
 * engine, policy and delivery.
 *
 * It decides nothing: what is legal is the engine's, what is wanted is
 * policy's and delivery's, how long to wait is deadline's. A session runs
 * until it needs input, or is blocked: behind an open question, a spool that
 * is full, or a client that does not read. Octets that come meanwhile stay
 * in the socket.
 */
#include "session/session.h"

#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/ident.h"
#include "io/clock.h"
#include "io/log.h"
#include "mail/spool.h"
#include "session/ask.h"
#include "session/auth.h"
#include "session/body.h"
#include "session/count.h"
#include "session/door.h"
#include "session/log.h"
#include "session/proxy.h"
#include "session/time.h"
#include "session/tls.h"

/* --- the end --- */

/* Lets go of everything that could call back, but the stream. */
static void
let_go(struct session *s)
{
	ask_cancel(&s->ask, ASK_GO_ON);
	if (s->door)
		door_reset(s->door);
	spool_free(&s->spool);
	session_release(s);
}

static void
leave(struct session *s)
{
	let_go(s);
	stream_close(&s->stream);
	limits_leave(&s->all->policy.limits, &s->place);
}

static void
leave_list(void *arg)
{
	struct session *s = arg;
	struct sessions *all = s->all;

	DL_DELETE(all->list, s);
	all->count--;
	door_free(&s->door);
	envelope_free(&s->env);
	smtp_free(&s->smtp);
	free(s->header);
	free(s);
	if (!all->count && all->on_empty)
		all->on_empty(all->ctx);
}

/* The only place where a session's state changes: forward, never back. */
static void
session_become(struct session *s, enum session_state state)
{
	if (state <= s->state)
		return;
	if (s->state == SESSION_OPEN)
		session_log_left(s, state == SESSION_GONE);
	s->state = state;
	if (state == SESSION_CLOSING) {
		let_go(s);
		stream_shutdown(&s->stream);
	} else {
		leave(s);
		loop_defer(s->all->loop, leave_list, s);
	}
}

/* --- steps --- */

/* True: the client reads what we say. */
static bool
flush(struct session *s)
{
	return stream_write(&s->stream, &s->all->out) && !session_behind(s);
}

/* Does what a step says; false when the session must wait or end. */
static bool
handle(struct session *s, enum smtp_step step)
{
	switch (step) {
	case SMTP_NEED_VERDICT:
		return session_ask(s);
	case SMTP_HAVE_BODY:
		return session_body_store(s);
	case SMTP_REFUSED:
		s->refusals++;
		session_count_refused(s);
		if (!s->refusal) /* or it is logged already */
			session_log_refused(s);
		if (s->all->refused)
			s->all->refused(s->all->ctx, s);
		return true;
	case SMTP_FLUSH:
		return flush(s);
	default:
		return false;
	}
}

static void
start_tls(struct session *s)
{
	if (session_tls_begin(s) == SESSION_TLS_ENDED)
		session_become(s, SESSION_GONE);
	else
		session_time_update(s);
}

static void
session_run(struct session *s, struct span in)
{
	enum smtp_step step;

	s->running = true;
	session_log_turn(&s->smtp);
	while (
	    (step = smtp_step(&s->smtp, &in, &s->all->out)) != SMTP_NEED_INPUT)
		if (!handle(s, step))
			break;
	s->running = false;
	stream_keep(&s->stream, in);
	if (step == SMTP_CLOSE)
		stream_last(&s->stream);
	if (!stream_write(&s->stream, &s->all->out)) {
		session_become(s, SESSION_GONE);
		return;
	}
	/* to the end: less and less unsent is not yet a reader */
	s->stalled = step == SMTP_FLUSH || session_behind(s);
	if (s->smtp.secret)
		stream_wipe(&s->stream);
	s->smtp.secret = false;
	if (step == SMTP_START_TLS && !stream_unsent(&s->stream))
		start_tls(s);
	if (step == SMTP_CLOSE)
		session_become(s,
		    s->place.held ? SESSION_CLOSING : SESSION_GONE);
	if (s->state != SESSION_OPEN)
		return;
	session_body_tidy(s);
	if (!smtp_in_transaction(&s->smtp))
		session_release(s);
	session_auth_tidy(s);
	if (s->door)
		session_door_turn(s);
	if (!session_blocked(s))
		stream_resume(&s->stream);
	session_time_update(s);
}

void
session_continue(struct session *s)
{
	session_run(s, stream_kept(&s->stream));
}

/* --- events --- */

_Static_assert(SMTP_AUTH_LINE_MAX <= STREAM_KEEP_MAX,
    "a stream keeps the longest line until it is whole");

static void
on_readable(struct session *s)
{
	struct span in;

	if (s->header) {
		session_proxy_readable(s);
		return;
	}
	/* paused only when octets do come: most questions are quicker */
	if (session_blocked(s)) {
		if (s->pause)
			session_door_early(s);
		stream_pause(&s->stream);
		return;
	}
	switch (stream_read(&s->stream, &in)) {
	case STREAM_DATA:
		session_run(s, in);
		break;
	case STREAM_EOF:
		session_become(s, SESSION_GONE);
		break;
	case STREAM_ABUSE:
		session_hangup(s, &(struct smtp_reply){421, "4.7.0",
				      stream_tls_reason(&s->stream)});
		break;
	case STREAM_AGAIN:
		break;
	}
}

void
session_hangup(struct session *s, const struct smtp_reply *reply)
{
	if (s->state != SESSION_OPEN)
		return;
	if (s->handshaking || s->header) { /* no words that it could read */
		session_become(s, SESSION_GONE);
		return;
	}
	ask_cancel(&s->ask, ASK_ABANDON);
	s->full = s->asking = false;
	s->pause = 0;
	smtp_hangup(&s->smtp, reply, &s->all->out);
	session_continue(s);
}

/* No TLS, and so no session; whoever spoke in clear may hear why. */
static void
give_up_tls(struct session *s, const char *reason)
{
	if (session_tls_failed(s, reason))
		session_run(s, (struct span){NULL, 0});
	else
		session_become(s, SESSION_CLOSING);
}

static void
on_deadline(struct session *s)
{
	const struct smtp_reply *reply =
	    deadline_reply(&s->time, &s->all->conf->deadlines, clock_now());

	if (s->header) {
		session_proxy_give_up(s, "too slow");
	} else if (s->handshaking) {
		give_up_tls(s, "too slow");
	} else if (s->pause) {
		session_door_greet(s);
	} else if (s->time.phase != PHASE_VERDICT) {
		session_hangup(s, reply);
	} else {
		ask_cancel(&s->ask, ASK_ABANDON);
		session_answer(s, reply);
	}
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct session *s = owner;

	switch (what) {
	case STREAM_READABLE:
		on_readable(s);
		break;
	case STREAM_WRITABLE:
		s->stalled = false;
		if (!session_blocked(s))
			session_continue(s);
		break;
	case STREAM_DEADLINE:
		on_deadline(s);
		break;
	case STREAM_SECURED:
		session_tls_secured(s);
		session_run(s, (struct span){NULL, 0});
		break;
	case STREAM_PLAIN:
	case STREAM_INSECURE:
		give_up_tls(s, stream_tls_reason(&s->stream));
		break;
	case STREAM_CLOSED:
	case STREAM_FAILED:
		session_become(s, SESSION_GONE);
		break;
	}
}

/* --- the beginning, and what the worker asks --- */

static void
init(struct session *s, const struct config_listen *l,
    const struct ipaddr *peer, uint16_t port)
{
	int64_t now = clock_now();

	s->listen = l;
	ident_format((uint64_t)clock_wall(), sessions_draw(s->all),
	    s->env.session);
	smtp_init(&s->smtp, &l->smtp, &s->env);
	s->env.client = *peer;
	s->env.port = port;
	s->client = config_client(s->all->conf, peer);
	if (s->all->draining)
		smtp_drain(&s->smtp);
	s->time = (struct deadline){.drain = s->all->draining,
	    .pressure = s->all->pressure,
	    .begun = now,
	    .since = now};
}

/* The first octets are the greeting, or the handshake's. */
static void
begin(struct session *s)
{
	if (s->listen->tls != TLS_IMPLICIT)
		session_run(s, (struct span){NULL, 0});
	else if (s->refusal) /* not worth a handshake */
		session_become(s, SESSION_GONE);
	else
		start_tls(s);
}

void
session_meet(struct session *s, const struct ipaddr *client, uint16_t port)
{
	s->smtp.nobody = !client;
	if (client) {
		s->env.client = *client;
		s->env.port = port;
		s->client = config_client(s->all->conf, client);
		s->smtp.normalize = s->client->normalize;
	}
	session_log_connect(s);
	session_auth_offer(s);
	if (client && !s->refusal)
		s->refusal = session_policy(s, POLICY_CONNECT);
	if (client && !s->refusal)
		s->refusal = session_door_open(s);
	if (s->refusal)
		session_log_turned_away(s);
	begin(s);
}

struct session *
session_new(struct sessions *all, const struct config_listen *l, int fd,
    const struct ipaddr *peer, uint16_t port)
{
	static const struct ipaddr nobody = {.family = IP_NONE};
	const struct ipaddr *from = peer ? peer : &nobody;
	struct session *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return NULL;
	}
	s->all = all;
	DL_APPEND(all->list, s);
	all->count++;
	init(s, l, from, port);
	stream_init(&s->stream, all->pool, fd, on_stream, s);
	s->refusal = limits_enter(&all->policy.limits, from, &s->place);
	if (s->refusal)
		s->why = session_limit(s, LIMITS_SESSIONS);
	if (peer && s->client->proxy && !s->refusal)
		session_proxy_begin(s);
	else if (peer)
		session_meet(s, peer, port);
	return s;
}

void
session_drain(struct session *s)
{
	s->time.drain = true;
	smtp_drain(&s->smtp);
	if (s->state == SESSION_OPEN)
		session_time_update(s);
}

void
session_free(struct session **p)
{
	struct session *s = *p;

	*p = NULL;
	if (!s)
		return;
	if (s->state == SESSION_OPEN)
		session_log_left(s, false);
	leave(s);
	leave_list(s);
}

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
#include "session.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <utlist.h>

#include "base/ident.h"
#include "deliver/spool.h"
#include "io/log.h"
#include "session_log.h"
#include "session_time.h"

static void session_run(struct session *s, struct span in);

/* --- the end --- */

/* Lets go of everything that could call back. */
static void
let_go(struct session *s)
{
	if (s->request)
		deliver_cancel(s->all->deliver, &s->request);
	spool_free(&s->spool);
}

static void
leave_list(void *arg)
{
	struct session *s = arg;
	struct sessions *all = s->all;

	DL_DELETE(all->list, s);
	all->count--;
	envelope_free(&s->env);
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
	s->state = state;
	let_go(s);
	if (state == SESSION_CLOSING) {
		stream_shutdown(&s->stream);
		return;
	}
	stream_close(&s->stream);
	limits_leave(&s->all->limits, &s->place);
	loop_defer(s->all->loop, leave_list, s);
}

/* --- questions --- */

/* The answer to the open question; the session goes on with it. */
static void
answer(struct session *s, const struct smtp_reply *reply)
{
	s->request = 0;
	smtp_answer(&s->smtp, reply, &s->all->out);
	if (!s->running)
		session_run(s, stream_kept(&s->stream));
}

static void
on_rcpt(void *ctx, const struct smtp_reply *reply)
{
	struct session *s = ctx;
	uint64_t max = reply ? 0 : deliver_size_max(&s->env);

	if (max)
		smtp_limit_size(&s->smtp, max);
	answer(s, reply);
}

static void
on_message(void *ctx, const struct smtp_reply *reply)
{
	struct session *s = ctx;

	shared_add(s->all->shared, s->all->limits.slot,
	    reply ? SHARED_REJECTED : SHARED_MESSAGES, 1);
	if (!reply)
		session_log_accepted(s);
	answer(s, reply);
}

static void
ask_connect(struct session *s)
{
	answer(s, limits_enter(&s->all->limits, &s->env.client, &s->place));
}

static void
ask_mail(struct session *s)
{
	uint64_t size = s->env.size ? s->env.size : SPOOL_MEMORY;
	bool room = deliver_space(s->all->deliver, size);

	answer(s,
	    room ? NULL : SMTP_REPLY(452, "4.3.1", "No room on the disk"));
}

static void
ask_rcpt(struct session *s)
{
	uint64_t id =
	    deliver_rcpt(s->all->deliver, &s->env, &s->smtp.rcpt, on_rcpt, s);

	if (id)
		s->request = id;
}

static void
ask_data(struct session *s)
{
	spool_free(&s->spool); /* of a BDAT that RSET has forgotten */
	s->spool = deliver_spool(s->all->deliver);
	answer(s, NULL);
}

static void
ask_message(struct session *s)
{
	s->request =
	    deliver_message(s->all->deliver, &s->env, &s->spool, on_message, s);
}

/* True: answered already. */
static bool
ask(struct session *s)
{
	static void (*const asks[])(struct session *) = {
	    [SMTP_ASK_CONNECT] = ask_connect,
	    [SMTP_ASK_MAIL] = ask_mail,
	    [SMTP_ASK_RCPT] = ask_rcpt,
	    [SMTP_ASK_DATA] = ask_data,
	    [SMTP_ASK_MESSAGE] = ask_message,
	};

	if (!s->request)
		asks[s->smtp.ask](s);
	return s->smtp.ask == SMTP_ASK_NONE;
}

/* --- steps --- */

static void
on_room(void *ctx)
{
	struct session *s = ctx;

	s->full = false;
	session_run(s, stream_kept(&s->stream));
}

static bool
store_body(struct session *s)
{
	if (!spool_write(s->spool, s->smtp.body)) {
		s->full = true;
		spool_on_room(s->spool, on_room, s);
	}
	return !s->full;
}

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
		return ask(s);
	case SMTP_HAVE_BODY:
		return store_body(s);
	case SMTP_REFUSED:
		shared_add(s->all->shared, s->all->limits.slot, SHARED_REFUSED,
		    1);
		session_log_refused(s);
		return true;
	case SMTP_FLUSH:
		return flush(s);
	default:
		return false;
	}
}

static void
session_run(struct session *s, struct span in)
{
	enum smtp_step step;

	s->running = true;
	s->smtp.line = (struct span){NULL, 0};
	while (
	    (step = smtp_step(&s->smtp, &in, &s->all->out)) != SMTP_NEED_INPUT)
		if (!handle(s, step))
			break;
	s->running = false;
	stream_keep(&s->stream, in);
	if (!stream_write(&s->stream, &s->all->out)) {
		session_become(s, SESSION_GONE);
		return;
	}
	if (step == SMTP_CLOSE) {
		session_become(s, SESSION_CLOSING);
		return;
	}
	/* a body that ended badly, or was forgotten by RSET */
	if (s->spool && !smtp_receiving(&s->smtp))
		spool_free(&s->spool);
	if (!session_blocked(s))
		stream_resume(&s->stream);
	session_time_update(s);
}

/* --- events --- */

static void
on_readable(struct session *s)
{
	struct span in;

	/* paused only when octets do come: most questions are quicker */
	if (session_blocked(s)) {
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
	case STREAM_AGAIN:
		break;
	}
}

void
session_hangup(struct session *s, const struct smtp_reply *reply)
{
	if (s->state != SESSION_OPEN)
		return;
	if (s->request)
		deliver_abandon(s->all->deliver, &s->request);
	s->full = false;
	smtp_hangup(&s->smtp, reply, &s->all->out);
	session_run(s, stream_kept(&s->stream));
}

static void
on_deadline(struct session *s)
{
	const struct smtp_reply *reply = deadline_reply(&s->time,
	    &s->all->conf->deadlines, loop_now(s->all->loop));

	if (s->time.phase != PHASE_VERDICT) {
		session_hangup(s, reply);
		return;
	}
	deliver_abandon(s->all->deliver, &s->request);
	answer(s, reply);
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
		if (!session_blocked(s))
			session_run(s, stream_kept(&s->stream));
		break;
	case STREAM_DEADLINE:
		on_deadline(s);
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
    const struct ipaddr *client, uint16_t port)
{
	int64_t now = loop_now(s->all->loop);
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) < 0)
		abort();
	ident_format((uint64_t)loop_wall(s->all->loop), random, s->env.session);
	s->env.client = *client;
	s->env.port = port;
	smtp_init(&s->smtp, &l->smtp, &s->env);
	s->smtp.keep_bare = config_keep_bare(s->all->conf, client);
	if (s->all->draining)
		smtp_drain(&s->smtp);
	s->time = (struct deadline){.drain = s->all->draining,
	    .pressure = s->all->pressure,
	    .begun = now,
	    .since = now};
}

struct session *
session_new(struct sessions *all, const struct config_listen *l, int fd,
    const struct ipaddr *client, uint16_t port)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return NULL;
	}
	s->all = all;
	DL_APPEND(all->list, s);
	all->count++;
	init(s, l, client, port);
	log_event(LOG_TRACE, "connect", LOG_STR("session", s->env.session),
	    LOG_IP("client", client), LOG_UINT("port", port));
	stream_init(&s->stream, all->pool, fd, on_stream, s);
	session_run(s, (struct span){NULL, 0});
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
	let_go(s);
	stream_close(&s->stream);
	limits_leave(&s->all->limits, &s->place);
	leave_list(s);
}

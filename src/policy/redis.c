/*
 * redis: one connection, what is under way on it, and when it is not used.
 *
 * Replies come in the order of the commands: a line of them, in which a
 * question that has run out of time, or was cancelled, has no name any more.
 * A connection is good when it has said PONG.
 */
#include "policy/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/dial.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/stream.h"
#include "policy/redis_wire.h"

#define CONNECT_MS  1000 /* to be connected and to have said PONG */
#define DELAY_MIN   1000
#define DELAY_MAX   30000
#define ERRORS      5 /* in a row */
#define SILENCE     5 /* times what one answer may take */
#define OUTSTANDING 1000

static const char closed[] = "it closed the connection";

struct question {
	struct ask ask;
	TAILQ_ENTRY(question) link;
	struct redis *r;
	redis_fn *fn;
	void *ctx;
	struct loop_event *timer;
	struct redis_reply replies[REDIS_COMMANDS];
	unsigned n, come;
};

/* A reply that will come. */
struct due {
	STAILQ_ENTRY(due) link;
	struct question *q; /* NULL: nobody waits for it */
	bool hello;
};

enum state { DOWN, CONNECTING, GREETING, UP };

struct redis {
	const struct redis_config *conf;
	struct redis_services s;
	enum state state;
	bool told; /* that it is down */
	struct loop_event
	    *timer;     /* DOWN: to try again; else: it took too long */
	uint64_t delay; /* ms, before the next try */
	struct ask *resolving, *dialing;
	struct stream stream;
	struct redis_wire wire;
	unsigned errors; /* in a row */
	int64_t silent;  /* monotonic ms: it owes replies, and says nothing */
	unsigned ndues;
	STAILQ_HEAD(dues, due) dues;
	TAILQ_HEAD(questions, question) questions;
	const char *fault; /* found where nobody may be called back */
};

/* --- questions --- */

static void
free_question(void *ptr)
{
	free(ptr);
}

/* It is over, and nothing that comes is for it. */
static void
end_question(struct question *q)
{
	struct due *d;

	STAILQ_FOREACH (d, &q->r->dues, link)
		if (d->q == q)
			d->q = NULL;
	TAILQ_REMOVE(&q->r->questions, q, link);
	loop_event_free(&q->timer);
	loop_defer(q->r->s.loop, free_question, q);
}

static void
cancel(struct ask *a, enum ask_end end)
{
	(void)end;
	end_question((struct question *)a);
}

static void
answer(struct question *q, bool good)
{
	redis_fn *fn = q->fn;
	void *ctx = q->ctx;

	end_question(q);
	fn(ctx, good ? q->replies : NULL);
}

/* --- down --- */

static void
drop_dues(struct redis *r)
{
	struct due *d;

	while ((d = STAILQ_FIRST(&r->dues))) {
		STAILQ_REMOVE_HEAD(&r->dues, link);
		free(d);
	}
	r->ndues = 0;
}

static void
disconnect(struct redis *r)
{
	ask_cancel(&r->resolving, ASK_ABANDON);
	ask_cancel(&r->dialing, ASK_ABANDON);
	if (r->state >= GREETING) {
		stream_close(&r->stream);
		redis_wire_free(&r->wire);
	}
	drop_dues(r);
}

static void
tell_down(struct redis *r, const char *why, const struct redis_reply *said)
{
	struct span text = {NULL, 0};

	if (said)
		text = (struct span){said->text, said->len};
	if (!r->told)
		log_event(LOG_WARN, "redis-down",
		    LOG_STR("server", r->conf->server), LOG_STR("why", why),
		    LOG_SPAN("said", text), LOG_UINT("retry_ms", r->delay));
	r->told = true;
}

/* From the loop, and not within a question: those that are open end. */
static void
go_down(struct redis *r, const char *why, const struct redis_reply *said)
{
	struct question *q;

	tell_down(r, why, said); /* before what says so is gone */
	disconnect(r);
	r->state = DOWN;
	r->fault = NULL;
	r->errors = 0;
	loop_timer_set(r->timer, r->delay);
	r->delay = 2 * r->delay < DELAY_MAX ? 2 * r->delay : DELAY_MAX;
	while ((q = TAILQ_FIRST(&r->questions)))
		answer(q, false);
}

/* At the next turn. */
static void
go_down_later(struct redis *r, const char *why)
{
	r->fault = why;
	loop_timer_set(r->timer, 0);
}

/* --- what it says --- */

static void
come_up(struct redis *r)
{
	if (r->told)
		log_event(LOG_INFO, "redis-up",
		    LOG_STR("server", r->conf->server));
	r->told = false;
	r->state = UP;
	r->delay = DELAY_MIN;
}

/* False: it went down. */
static bool
take_hello(struct redis *r, const struct redis_reply *reply)
{
	if (reply->kind == REDIS_STATUS) {
		if (STAILQ_EMPTY(&r->dues))
			come_up(r);
		return true;
	}
	go_down(r, "it does not let us in", reply);
	return false;
}

static bool
take_answer(struct redis *r, struct question *q,
    const struct redis_reply *reply)
{
	if (reply->kind == REDIS_ERROR) {
		answer(q, false);
		if (++r->errors < ERRORS)
			return true;
		go_down(r, "it answers with errors", reply);
		return false;
	}
	q->replies[q->come++] = *reply;
	if (q->come == q->n) {
		r->errors = 0;
		answer(q, true);
	}
	return true;
}

/* False: it went down. */
static bool
take(struct redis *r, const struct redis_reply *reply)
{
	struct due *d = STAILQ_FIRST(&r->dues);
	struct question *q;
	bool hello;

	if (!d) {
		go_down(r, "it speaks without being asked", NULL);
		return false;
	}
	q = d->q;
	hello = d->hello;
	STAILQ_REMOVE_HEAD(&r->dues, link);
	r->ndues--;
	r->silent = clock_now();
	free(d);
	if (hello)
		return take_hello(r, reply);
	return !q || take_answer(r, q, reply);
}

static void
read_all(struct redis *r)
{
	const struct redis_reply *reply;
	const char *why;
	struct span in;

	switch (stream_read(&r->stream, &in)) {
	case STREAM_DATA:
		break;
	case STREAM_AGAIN:
		return;
	default:
		go_down(r, closed, NULL);
		return;
	}
	if (redis_wire_feed(&r->wire, in, &why)) {
		stream_keep(&r->stream, (struct span){NULL, 0});
		while ((reply = redis_wire_next(&r->wire, &why)))
			if (!take(r, reply))
				return;
	}
	if (why)
		go_down(r, why, NULL);
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct redis *r = owner;

	if (what == STREAM_READABLE)
		read_all(r);
	else if (what == STREAM_FAILED)
		go_down(r, closed, NULL);
}

/* --- what is said to it --- */

static void
put(struct redis *r, struct buf *out, const struct redis_command *c,
    struct question *q, bool hello)
{
	struct due *d = mem_new(sizeof(*d));

	d->q = q;
	d->hello = hello;
	STAILQ_INSERT_TAIL(&r->dues, d, link);
	if (!r->ndues++)
		r->silent = clock_now();
	redis_wire_put(out, c);
}

static void
send_out(struct redis *r, struct buf *out)
{
	if (!stream_write(&r->stream, out))
		go_down_later(r, closed);
	buf_wipe(out); /* it may have the password */
}

static void
greet(struct redis *r)
{
	const struct redis_command auth = {{SPAN_LIT("AUTH"),
					       r->conf->password},
	    2};
	const struct redis_command ping = {{SPAN_LIT("PING")}, 1};
	struct buf out = {0};

	if (r->conf->password.len)
		put(r, &out, &auth, NULL, true);
	put(r, &out, &ping, NULL, true);
	send_out(r, &out);
}

static void
on_late(void *ctx)
{
	struct question *q = ctx;
	struct redis *r = q->r;
	int64_t silence = clock_now() - r->silent;

	answer(q, false);
	if (silence >= SILENCE * (int64_t)r->conf->timeout)
		go_down(r, "it does not answer in time", NULL);
}

struct ask *
redis_ask(struct redis *r, const struct redis_command *c, unsigned n,
    redis_fn *fn, void *ctx)
{
	struct question *q;
	struct buf out = {0};

	if (!redis_is_up(r))
		return NULL;
	if (r->ndues + n > OUTSTANDING) {
		go_down_later(r, "too much is under way");
		return NULL;
	}
	q = mem_new(sizeof(*q));
	*q = (struct question){.ask = {cancel},
	    .r = r,
	    .fn = fn,
	    .ctx = ctx,
	    .n = n};
	q->timer = loop_timer(r->s.loop, on_late, q);
	if (!q->timer)
		abort();
	loop_timer_set(q->timer, r->conf->timeout);
	TAILQ_INSERT_TAIL(&r->questions, q, link);
	for (unsigned i = 0; i < n; i++)
		put(r, &out, &c[i], q, false);
	send_out(r, &out);
	return &q->ask;
}

void
redis_tell(struct redis *r, const struct redis_command *c)
{
	struct buf out = {0};

	if (!redis_is_up(r) || r->ndues >= OUTSTANDING)
		return;
	put(r, &out, c, NULL, false);
	send_out(r, &out);
}

/* --- up --- */

static void
on_dialed(void *ctx, int fd, int err, unsigned which)
{
	struct redis *r = ctx;

	(void)which;
	r->dialing = NULL;
	if (fd < 0) {
		go_down(r, strerror(err), NULL);
		return;
	}
	stream_init(&r->stream, r->s.pool, fd, on_stream, r);
	redis_wire_init(&r->wire);
	r->state = GREETING;
	greet(r);
}

static void
dial_all(struct redis *r, const struct dial_place *places, unsigned n)
{
	r->dialing = dial(r->s.loop, places, n, CONNECT_MS / 2, CONNECT_MS,
	    on_dialed, r);
}

static void
on_resolved(void *ctx, const struct dns_answer *a)
{
	struct dial_place places[REDIS_ADDRS_MAX];
	struct redis *r = ctx;
	unsigned found = a->status == DNS_FOUND ? a->n : 0, n = 0;

	r->resolving = NULL;
	for (unsigned i = 0; i < found && n < REDIS_ADDRS_MAX; i++)
		places[n++] = (struct dial_place){.addr = a->records[i].addr,
		    .port = r->conf->port};
	if (n)
		dial_all(r, places, n);
	else
		go_down(r, "its name leads nowhere", NULL);
}

static void
begin_connect(struct redis *r)
{
	const struct redis_config *c = r->conf;
	struct dial_place places[REDIS_ADDRS_MAX];
	unsigned n = 0;

	r->state = CONNECTING;
	loop_timer_set(r->timer, CONNECT_MS);
	if (c->path)
		places[n++] = (struct dial_place){.path = c->path};
	for (unsigned i = 0; i < c->naddrs && n < REDIS_ADDRS_MAX; i++)
		places[n++] =
		    (struct dial_place){.addr = c->addrs[i], .port = c->port};
	if (n)
		dial_all(r, places, n);
	else if (r->s.resolve)
		r->resolving = resolve_host(r->s.resolve, c->host,
		    clock_now() + CONNECT_MS, on_resolved, r);
}

static void
on_timer(void *ctx)
{
	struct redis *r = ctx;

	if (r->fault)
		go_down(r, r->fault, NULL);
	else if (r->state == DOWN)
		begin_connect(r);
	else if (r->state != UP)
		go_down(r, "it does not greet in time", NULL);
}

struct redis *
redis_new(const struct redis_config *c, const struct redis_services *s)
{
	struct redis *r = mem_new(sizeof(*r));

	r->conf = c;
	r->s = *s;
	r->delay = DELAY_MIN;
	STAILQ_INIT(&r->dues);
	TAILQ_INIT(&r->questions);
	r->timer = loop_timer(s->loop, on_timer, r);
	if (!r->timer)
		abort();
	begin_connect(r);
	return r;
}

void
redis_free(struct redis **p)
{
	struct redis *r = *p;
	struct question *q;

	*p = NULL;
	if (!r)
		return;
	while ((q = TAILQ_FIRST(&r->questions)))
		end_question(q);
	disconnect(r);
	loop_event_free(&r->timer);
	free(r);
}

bool
redis_is_up(const struct redis *r)
{
	return r && r->state == UP && !r->fault;
}

const struct redis_config *
redis_conf(const struct redis *r)
{
	return r->conf;
}

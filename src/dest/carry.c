/*
 * carry: the shell around proto/client.
 *
 * Nothing is read but when the loop says that something is there, and the
 * owner is called when what must stay of it was given back. What a peer does
 * not take is heard out: a server may have said why before it went away.
 */
#include "dest/carry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dest/carrier_mail.h"
#include "dest/carry_state.h"
#include "io/clock.h"

#define HELLO   20000
#define COMMAND 30000
#define BODY    30000 /* without an octet taken */
#define UNSENT  65536 /* octets of a message that wait for a peer */
#define TRIPLED 3     /* no octet becomes more on its way out */
#define FAIR    5000  /* for a verification, which others may come before */

static const struct smtp_reply unreadable = {451, "4.3.0",
    "The message cannot be read here"};

void
carry_tell(struct carry *y)
{
	y->fn(y->owner, y);
}

/* --- ends --- */

static void
forget_message(struct carry *y)
{
	content_free(&y->content);
	y->piece = (struct span){0};
	y->handed = false;
}

static void
close_it(struct carry *y)
{
	ask_cancel(&y->dialling, ASK_ABANDON);
	stream_close(&y->stream);
	forget_message(y);
	buf_wipe(&y->out);
}

/* AGAIN, for this reason, and not for one of the engine. */
static void
give(struct errand *e, const struct smtp_reply *reply)
{
	for (unsigned i = 0; i < e->mail.n; i++) {
		struct client_rcpt *r = &e->mail.rcpts[i];

		if (r->fate != FATE_NONE || r->later)
			continue;
		r->fate = FATE_AGAIN;
		r->reply = reply;
	}
}

/* If one that had waited ends now, another one takes all of it. */
static bool
is_stale(const struct carry *y)
{
	return y->client.transactions > 1 && !y->handed;
}

/* The errand goes on elsewhere, or has what it can have. */
static void
leave_errand(struct carry *y)
{
	struct errand *e = y->errand;

	y->again = is_stale(y) && !y->silent;
	client_lost(&y->client, false);
	if (y->again) {
		e->mail.n = 0;
	} else {
		errand_take(e);
		errand_end(e, FATE_AGAIN,
		    SMTP_REPLY(451, "4.4.2",
			"The server for this address went away"));
	}
	y->over = !y->again;
}

/* Why is kept; of several addresses that of the last. */
void
carry_lose(struct carry *y, enum neighbour_error error, const char *why,
    int err)
{
	y->error = error;
	y->why = why;
	y->err = err;
	if (y->state == CARRY_DIALS) {
		carry_next_address(y);
		return;
	}
	if (y->errand && !y->over)
		leave_errand(y);
	close_it(y);
	y->state = CARRY_GONE;
}

/* The engine has closed it, and knows why. */
static void
broken(struct carry *y)
{
	const struct client *c = &y->client;

	carry_lose(y, c->misconfigured ? NEIGHBOUR_SETUP : NEIGHBOUR_REFUSES,
	    c->why[0] ? c->why : c->broken, 0);
}

/* It has taken all that there is of a message: a disk of ours is late. */
static bool
has_all_there_is(const struct carry *y)
{
	return y->state == CARRY_BUSY && !y->deaf &&
	       client_waits(&y->client) == CLIENT_WAIT_BODY &&
	       !stream_unsent(&y->stream);
}

/* own: the time of the server, not what others have left of it. */
static void
time_is_up(struct carry *y, bool own)
{
	bool ours = has_all_there_is(y);

	if (ours)
		give(y->errand, &unreadable);
	y->silent = own && !ours && y->state != CARRY_DIALS;
	carry_lose(y, NEIGHBOUR_SILENT, "no answer in time", 0);
}

static void
leave(struct carry *y)
{
	client_quit(&y->client, &y->out);
	stream_write(&y->stream, &y->out);
	close_it(y);
	y->state = CARRY_GONE;
}

/* --- writing --- */

/* What waits has memory of its own. A secret may be in it until the server
 * knows us, and in the turn in which it does. */
static void
flush(struct carry *y)
{
	y->sent += y->out.len;
	if (y->out.len && !y->deaf)
		y->deaf = !stream_write(&y->stream, &y->out);
	if (y->state != CARRY_BUSY || stream_unsent(&y->stream))
		buf_wipe(&y->out);
	else
		y->out.len = 0;
}

/* Nobody's fault but ours. */
static void
fail_content(struct carry *y)
{
	give(y->errand, &unreadable);
	carry_lose(y, NEIGHBOUR_NO_ERROR, NULL, content_error(y->content));
}

/* As much as may wait for the peer. False: it cannot be read. */
static bool
fill(struct carry *y)
{
	while (y->out.len < UNSENT / 2) {
		size_t room = (UNSENT - y->out.len) / TRIPLED;
		struct span now = y->piece;

		if (now.len > room)
			now.len = room;
		client_content(&y->client, now, &y->out);
		span_skip(&y->piece, now.len);
		if (y->piece.len)
			continue;
		switch (content_next(y->content, &y->piece)) {
		case CONTENT_DATA:
			break;
		case CONTENT_WAIT:
			return true;
		case CONTENT_END:
			client_end(&y->client, &y->out);
			y->errand->dot = clock_now();
			y->errand->p->handed = true;
			return true;
		case CONTENT_FAILED:
			return false;
		}
	}
	return true;
}

static void on_more(void *ctx);

static void
feed(struct carry *y)
{
	struct message *m = y->errand->p->m;

	if (!y->content)
		y->content = content_new(y->s->jobs, buf_span(&m->received),
		    &m->body, on_more, y);
	y->handed = true;
	while (client_waits(&y->client) == CLIENT_WAIT_BODY && !y->deaf &&
	       !stream_unsent(&y->stream)) {
		if (!fill(y)) {
			fail_content(y);
			return;
		}
		if (!y->out.len) /* it waits */
			return;
		flush(y);
	}
}

/* --- time --- */

static int64_t
time_of(const struct carry *y)
{
	switch (client_waits(&y->client)) {
	case CLIENT_WAIT_NOTHING:
		return CARRY_IDLE;
	case CLIENT_WAIT_HELLO:
		return HELLO;
	case CLIENT_WAIT_COMMAND:
		return COMMAND;
	case CLIENT_WAIT_BODY:
		return BODY;
	case CLIENT_WAIT_DOT:
		break;
	}
	return INT32_MAX; /* the errand's */
}

/* It begins anew with each reply, and each octet of a message taken. */
void
carry_wait(struct carry *y)
{
	const struct parcel *p = y->errand ? y->errand->p : NULL;
	uint64_t taken = y->sent - stream_unsent(&y->stream);
	int64_t until;

	if (!y->limit || y->client.state != y->state_then ||
	    y->client.answered != y->replies_then || taken != y->taken_then)
		y->limit = clock_now() + time_of(y);
	y->state_then = y->client.state;
	y->replies_then = y->client.answered;
	y->taken_then = taken;
	until = y->limit;
	if (p && !y->client.dot_sent && p->dot_by < until)
		until = p->dot_by;
	stream_deadline(&y->stream, until);
}

/* --- the engine --- */

static void
become_ready(struct carry *y)
{
	if (y->state == CARRY_DIALS)
		addresses_mark(y->addresses, &y->places[y->at], 0);
	forget_message(y);
	y->reached = true;
	y->state = CARRY_READY;
	if (y->errand && !y->over) {
		y->state = CARRY_BUSY;
		client_begin(&y->client, &y->errand->mail, &y->out);
	} else if (y->client.transactions >= CARRY_MESSAGES) {
		leave(y);
	}
}

static void
end_transaction(struct carry *y)
{
	if (y->client.said_421 && is_stale(y)) /* see leave_errand() */
		return;
	errand_take(y->errand);
	y->over = !errand_next(y->errand);
}

/* False: there is nothing more to do now. */
static bool
follow(struct carry *y, enum client_step step)
{
	switch (step) {
	case CLIENT_NEED_INPUT:
		break;
	case CLIENT_NEED_BODY:
		feed(y);
		break;
	case CLIENT_START_TLS:
		stream_keep(&y->stream, (struct span){0});
		carry_start_tls(y);
		break;
	case CLIENT_READY:
		become_ready(y);
		return y->state != CARRY_GONE;
	case CLIENT_DONE:
		end_transaction(y);
		return true;
	case CLIENT_BROKEN:
		broken(y);
		break;
	}
	return false;
}

/* in: all that is there of what it said. */
static void
run(struct carry *y, struct span in)
{
	while (follow(y, client_step(&y->client, &in, &y->out)))
		;
	if (y->stream.fd < 0 || y->dialling)
		return;
	if (!y->shaking) {
		stream_keep(&y->stream, in);
		flush(y);
	}
	carry_wait(y);
}

/* --- what happens --- */

static void
on_readable(struct carry *y)
{
	struct span in;

	switch (stream_read(&y->stream, &in)) {
	case STREAM_AGAIN:
		break;
	case STREAM_DATA:
		run(y, in);
		break;
	case STREAM_EOF:
		carry_lose(y, NEIGHBOUR_NO_CONNECTION, "it hung up",
		    y->stream.error);
		break;
	case STREAM_ABUSE:
		carry_lose(y, NEIGHBOUR_NO_TLS, stream_tls_reason(&y->stream),
		    0);
		break;
	}
}

static void
on_secured(struct carry *y)
{
	y->shaking = false;
	if (!y->options.implicit)
		client_secured(&y->client);
	run(y, (struct span){0});
}

static void
on_deadline(struct carry *y)
{
	const struct parcel *p = y->errand ? y->errand->p : NULL;
	int64_t now = clock_now();

	if (y->state == CARRY_READY) {
		leave(y);
		return;
	}
	carry_wait(y); /* it may have taken something meanwhile */
	if (now < y->stream.deadline)
		return;
	if (y->shaking)
		carry_no_tls(y, "no answer in time");
	else
		time_is_up(y, now >= y->limit || (p && now >= p->deadline));
}

void
carry_on_stream(void *owner, enum stream_event what)
{
	struct carry *y = owner;

	switch (what) {
	case STREAM_READABLE:
		on_readable(y);
		break;
	case STREAM_WRITABLE:
		run(y, stream_kept(&y->stream));
		break;
	case STREAM_FAILED: /* what it said, and its end, are still to come */
		y->deaf = true;
		return;
	case STREAM_DEADLINE:
		on_deadline(y);
		break;
	case STREAM_SECURED:
		on_secured(y);
		break;
	case STREAM_PLAIN:
		carry_no_tls(y, "it speaks in clear");
		break;
	case STREAM_INSECURE:
		carry_no_tls(y, stream_tls_reason(&y->stream));
		break;
	case STREAM_CLOSED: /* never: it is not asked to linger */
		return;
	}
	carry_tell(y);
}

static void
on_more(void *ctx)
{
	struct carry *y = ctx;

	run(y, stream_kept(&y->stream));
	carry_tell(y);
}

/* --- from outside --- */

struct carry *
carry_open(const struct route *r, bool lmtp, const struct dest_services *s,
    struct addresses *addresses, const struct address *places, unsigned n,
    carry_fn *fn, void *owner)
{
	struct carry *y = mem_new(sizeof(*y));

	assert(n && n <= ADDRESSES_MAX);
	*y = (struct carry){.route = r,
	    .lmtp = lmtp,
	    .s = s,
	    .addresses = addresses,
	    .fn = fn,
	    .owner = owner,
	    .n = n,
	    .stream.fd = -1};
	memcpy(y->places, places, n * sizeof(*places));
	carry_dial(y, n);
	return y;
}

void
carry_start(struct carry *y, struct errand *e)
{
	assert(y->state == CARRY_READY && !y->errand);
	y->errand = e;
	e->begun = clock_now();
	e->peer = y->places[y->at].to->text;
	y->over = y->again = false;
	y->state = CARRY_BUSY;
	errand_next(e);
	client_begin(&y->client, &e->mail, &y->out);
	run(y, (struct span){0});
}

void
carry_expire(struct carry *y)
{
	bool hurried = !y->errand->p && clock_now() - y->errand->begun < FAIR;

	if (!y->errand->p)
		give(y->errand, &carrier_away);
	time_is_up(y, true);
	if (hurried) /* others had its time */
		y->silent = false;
	carry_tell(y);
}

void
carry_free(struct carry **p)
{
	struct carry *y = *p;

	*p = NULL;
	if (!y)
		return;
	if (y->state == CARRY_READY)
		leave(y);
	close_it(y);
	loop_defer(y->s->loop, free, y);
}

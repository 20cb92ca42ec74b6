/*
 * probe_try: a row for each state says which step that is, how long it may
 * take, what is said first, and who judges the reply or its lack.
 *
 * When a handshake has failed there is a second run, on a connection of its
 * own, that allows old versions, and when it hung up at QUIT before a word one
 * that begins with TLS: the same machine, which writes to a result that nobody
 * sees.
 */
#include "tools/probe_try.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/dial.h"
#include "io/listen.h"
#include "tools/probe_peer.h"
#include "tools/probe_try_state.h"

const char *const probe_step_names[PROBE_STEPS] = {
    [PROBE_STEP_CONNECT] = "connect",
    [PROBE_STEP_GREETING] = "greeting",
    [PROBE_STEP_NUDGE] = "quit-to-silent",
    [PROBE_STEP_EHLO] = "ehlo",
    [PROBE_STEP_HELO] = "helo",
    [PROBE_STEP_STARTTLS] = "starttls",
    [PROBE_STEP_HANDSHAKE] = "handshake",
    [PROBE_STEP_EHLO_TLS] = "ehlo-in-tls",
    [PROBE_STEP_QUIT] = "quit",
    [PROBE_STEP_OLD_TLS] = "old-tls",
    [PROBE_STEP_SILENT_TLS] = "tls-to-silent",
};

static void
begin_step(struct try *t, enum probe_step_name name)
{
	struct probe_result *r = t->r;

	t->step = &r->steps[r->nsteps++];
	*t->step = (struct probe_step){.name = name};
	t->begun = clock_now();
}

static void
end_step(struct try *t, const char *error, unsigned code)
{
	t->step->ms = clock_now() - t->begun;
	t->step->error = error;
	t->step->code = code;
}

/* --- connect --- */

static enum probe_cause
cause_of(int err)
{
	if (dial_is_no_route(err))
		return PROBE_NO_ROUTE;
	switch (err) {
	case EACCES:
	case EPERM:
	case EINVAL:
		return PROBE_LOCAL_FIREWALL;
	case ECONNREFUSED:
		return PROBE_REFUSED;
	case ETIMEDOUT:
		return PROBE_FILTERED;
	case ECONNRESET:
		return PROBE_RESET;
	default:
		return PROBE_UNREACHABLE;
	}
}

/* NULL: its cause says it all. */
static const char *
detail_of(int err)
{
	return err == ECONNREFUSED || err == ETIMEDOUT || err == ECONNRESET
		   ? NULL
		   : strerrordesc_np(err);
}

static const char *
connect_word(int err)
{
	const char *detail = detail_of(err);

	return detail                ? detail
	       : err == ECONNREFUSED ? "refused"
	       : err == ETIMEDOUT    ? "no answer in time"
				     : "reset";
}

static void on_stream(void *owner, enum stream_event what);

static void
on_dial(void *ctx, int fd, int err, unsigned which)
{
	struct try *t = ctx;
	enum try_state next = t->r->target.tls ? TRY_HANDSHAKE : TRY_GREETING;

	(void)which;
	t->dialling = NULL;
	t->r->err = err;
	end_step(t, err ? connect_word(err) : NULL, 0);
	if (fd >= 0) {
		listen_local(fd, &t->r->local);
		stream_init(&t->s, t->o->pool, fd, on_stream, t);
	} else {
		try_find(t, cause_of(err), detail_of(err));
	}
	if (fd < 0 || t->r->target.depth == PROBE_CONNECT)
		next = TRY_OVER;
	try_become(t, next);
}

static void
start_dial(struct try *t)
{
	const struct dial_place there = {.addr = t->r->target.addr,
	    .port = t->r->target.port};

	t->dialling = dial(t->o->pool->loop, &there, 1, t->o->connect,
	    t->o->connect, on_dial, t);
}

/* --- what is said first --- */

/* Whether it arrives is seen by what comes back. */
static void
say(struct try *t, const char *line)
{
	struct buf out = {0};

	buf_printf(&out, "%s\r\n", line);
	stream_write(&t->s, &out);
	buf_free(&out);
}

static void
say_quit(struct try *t)
{
	say(t, "QUIT");
}

static void
say_starttls(struct try *t)
{
	say(t, "STARTTLS");
}

/* Who has no name says his address (RFC 5321 4.1.3). */
static void
say_hello(struct try *t)
{
	const char *verb = t->state == TRY_HELO ? "HELO" : "EHLO";
	struct buf line = {0};
	char text[IPADDR_STRLEN];

	t->r->nextensions = 0;
	if (t->o->helo[0])
		buf_printf(&line, "%s %s", verb, t->o->helo);
	else
		buf_printf(&line, "%s [%s%s]", verb,
		    t->r->local.family == IP_V6 ? "IPv6:" : "",
		    ipaddr_format(&t->r->local, text));
	buf_append(&line, "", 1);
	say(t, line.data);
	buf_free(&line);
}

/* --- TLS --- */

static void
start_handshake(struct try *t)
{
	if (!stream_start_tls_client(&t->s,
		t->r == t->told ? t->o->tls : t->o->old, t->r->target.host))
		abort();
}

static void
on_secured(struct try *t)
{
	struct probe_result *r = t->r;
	int64_t now = r->target.now ? r->target.now : clock_wall() / 1000;

	end_step(t, NULL, 0);
	r->secured = true;
	r->version = stream_tls_version(&t->s);
	r->cipher = stream_tls_cipher(&t->s);
	if (r != t->told) { /* that was to be found out */
		try_become(t, TRY_OVER);
		return;
	}
	r->peered =
	    tls_client_look(&t->s, r->target.host, now, t->arena, &r->peer);
	if (r->peered)
		probe_peer_judge(r, now, t->arena);
	try_become(t, r->target.tls ? TRY_GREETING : TRY_EHLO_TLS);
}

static void
on_insecure(struct try *t)
{
	end_step(t, stream_tls_reason(&t->s), 0);
	if (t->r == t->told)
		t->insecure = t->step->error;
	try_become(t, TRY_OVER);
}

static void
keep_first(struct try *t, struct span in)
{
	t->nfirst = in.len < TRY_FIRST_MAX ? in.len : TRY_FIRST_MAX;
	memcpy(t->first, in.ptr, t->nfirst);
}

static void
on_plain(struct try *t)
{
	struct span in;

	end_step(t, "no TLS", 0);
	if (stream_read(&t->s, &in) == STREAM_DATA)
		keep_first(t, in);
	try_plain(t);
}

/* --- the end --- */

static void
release(struct try *t)
{
	ask_cancel(&t->dialling, ASK_ABANDON);
	stream_close(&t->s);
	loop_defer(t->o->pool->loop, free, t);
}

static void
start_again(struct try *t)
{
	begin_step(t, t->silent ? PROBE_STEP_SILENT_TLS : PROBE_STEP_OLD_TLS);
	t->again = t->begun;
	t->r = arena_alloc(t->arena, sizeof(*t->r));
	t->r->target = t->told->target;
	t->r->target.tls = t->r->target.tls || t->silent;
	try_become(t, TRY_CONNECT);
}

static void
end_again(struct try *t)
{
	const struct probe_result *second = t->r;

	t->r = t->told;
	t->r->old_version = second->version;
	t->step = &t->r->steps[t->r->nsteps - 1];
	t->begun = t->again;
	end_step(t, second->version ? NULL : "no TLS either", 0);
}

static void
finish(struct try *t)
{
	stream_close(&t->s);
	if ((t->insecure || t->silent) && t->r == t->told && t->o->old) {
		start_again(t);
		return;
	}
	if (t->r != t->told)
		end_again(t);
	if (t->silent)
		try_silent(t);
	else if (t->r->old_version)
		try_find_said(t, try_tls_cause(t),
		    "nothing newer is spoken there than ",
		    span_str(t->r->old_version));
	else if (t->insecure)
		try_find(t, try_tls_cause(t), t->insecure);
	release(t);
	t->fn(t->ctx, t->r);
}

static void
on_quit(struct try *t)
{
	try_become(t, TRY_OVER);
}

static void
no_quit(struct try *t, enum try_loss how)
{
	(void)how;
	try_become(t, TRY_OVER);
}

/* --- the states --- */

#define ROW(state, hoped, time, enter, reply, lost)                            \
	[TRY_##state] = {PROBE_STEP_##state, hoped,                            \
	    offsetof(struct probe_options, time), enter, reply, lost}

/* hoped: another code is an error of the step. */
static const struct {
	enum probe_step_name step;
	unsigned hoped;
	size_t time;
	void (*enter)(struct try *t);
	void (*reply)(struct try *t);
	void (*lost)(struct try *t, enum try_loss how);
} states[] = {
    ROW(CONNECT, 0, connect, start_dial, NULL, NULL),
    ROW(GREETING, 220, greeting, NULL, try_greeting, try_no_greeting),
    ROW(NUDGE, 0, nudge, say_quit, try_greeting, try_no_greeting),
    ROW(EHLO, 250, reply, say_hello, try_ehlo, try_no_hello),
    ROW(HELO, 250, reply, say_hello, try_helo, try_no_hello),
    ROW(STARTTLS, 220, reply, say_starttls, try_starttls, try_no_tls),
    ROW(HANDSHAKE, 0, handshake, start_handshake, NULL, try_no_tls),
    ROW(EHLO_TLS, 250, reply, say_hello, try_ehlo_tls, try_no_tls),
    ROW(QUIT, 221, quit, say_quit, on_quit, no_quit),
    [TRY_OVER] = {.enter = finish},
};

static uint32_t
time_of(const struct try *t)
{
	uint32_t ms;

	memcpy(&ms, (const char *)t->o + states[t->state].time, sizeof(ms));
	return ms;
}

void
try_become(struct try *t, enum try_state s)
{
	t->state = s;
	t->reply = (struct client_reply){0};
	t->nfirst = 0;
	if (s != TRY_OVER)
		begin_step(t, states[s].step);
	if (s != TRY_OVER && s != TRY_CONNECT)
		stream_deadline(&t->s, t->begun + time_of(t));
	if (states[s].enter)
		states[s].enter(t);
}

/* --- what comes back --- */

static void
lose(struct try *t, enum try_loss how)
{
	end_step(t, try_word(t, how), 0);
	states[t->state].lost(t, how);
}

/* Several replies may come in one go. */
static void
take(struct try *t, struct span in)
{
	while (in.len && states[t->state].reply) {
		enum client_reply_step step;
		unsigned hoped = states[t->state].hoped;

		if (!t->reply.octets)
			keep_first(t, in);
		while ((step = client_reply_step(&t->reply, &in)) ==
		       CLIENT_REPLY_LINE)
			if (t->state == TRY_EHLO || t->state == TRY_EHLO_TLS)
				try_extension(t);
		stream_keep(&t->s, in);
		if (step == CLIENT_REPLY_NEED_INPUT)
			return;
		if (step == CLIENT_REPLY_BROKEN) {
			lose(t, TRY_BROKEN);
			return;
		}
		end_step(t, hoped && t->reply.code != hoped ? "refused" : NULL,
		    t->reply.code);
		states[t->state].reply(t);
	}
}

static void
on_readable(struct try *t)
{
	struct span in;

	switch (stream_read(&t->s, &in)) {
	case STREAM_AGAIN:
		break;
	case STREAM_DATA:
		take(t, in);
		break;
	case STREAM_EOF:
		lose(t, t->s.error ? TRY_RESET : TRY_CLOSED);
		break;
	case STREAM_ABUSE:
		lose(t, TRY_BROKEN);
		break;
	}
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct try *t = owner;

	switch (what) {
	case STREAM_READABLE:
		on_readable(t);
		break;
	case STREAM_DEADLINE:
		lose(t, TRY_TIME);
		break;
	case STREAM_FAILED:
		lose(t, TRY_RESET);
		break;
	case STREAM_SECURED:
		on_secured(t);
		break;
	case STREAM_PLAIN:
		on_plain(t);
		break;
	case STREAM_INSECURE:
		on_insecure(t);
		break;
	case STREAM_WRITABLE:
	case STREAM_CLOSED:
		break;
	}
}

static void
on_cancel(struct ask *a, enum ask_end end)
{
	(void)end;
	release((struct try *)(void *)a);
}

struct ask *
probe_try(const struct probe_options *o, const struct probe_target *target,
    struct arena *a, struct probe_result *r, probe_try_fn *fn, void *ctx)
{
	struct try *t = mem_new(sizeof(*t));

	*r = (struct probe_result){.target = *target};
	*t = (struct try){.ask.cancel = on_cancel,
	    .o = o,
	    .r = r,
	    .told = r,
	    .arena = a,
	    .fn = fn,
	    .ctx = ctx,
	    .s.fd = -1};
	try_become(t, TRY_CONNECT);
	return &t->ask;
}

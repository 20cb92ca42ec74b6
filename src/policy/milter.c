/*
 * milter: tells a milter all of a message, and takes its word at each step.
 *
 * What it wants no answer to goes out in one burst, as far as the socket takes
 * it. What it says is read at once, whatever we are about to say; none of it
 * is kept but a packet that is not whole yet, and edits. Owns its connection
 * and what it reads of the body. It has no clock.
 */
#include "policy/milter.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/milter_state.h"

#define BURST        65536 /* octets that the socket is given at a time */
#define PROGRESS_MAX 10000 /* times that it may ask for more time */
#define CONNECT      5000  /* ms for an address that is not the last one */
/* Of all edits: what a header takes, and the rest of each packet. */
#define PACKETS_MAX (HEADER_TEXT_MAX + HEADER_EDITS_MAX * 16)

/* --- the end --- */

static void
release(struct milter *m)
{
	ask_cancel(&m->dial, ASK_ABANDON);
	content_free(&m->content);
	if (m->connected)
		stream_close(&m->stream);
	buf_free(&m->in);
	buf_free(&m->out);
	buf_free(&m->text);
}

static void
finish(struct milter *m, const struct milter_verdict *v)
{
	if (m->over)
		return;
	m->over = true;
	m->out.len = 0;
	if (m->connected && !stream_unsent(&m->stream)) {
		milter_wire_command(&m->out, MILTER_QUIT);
		stream_write(&m->stream, &m->out);
	}
	release(m);
	m->task.done(m->task.ctx, v);
}

static void
gone(struct milter *m, enum neighbour_error e, int error)
{
	finish(m, &(struct milter_verdict){.end = MILTER_GONE,
		      .gone = m->connected ? e : NEIGHBOUR_NO_CONNECTION,
		      .why = neighbour_errors[e],
		      .error = error});
}

static void
nonsense(struct milter *m, const char *why)
{
	finish(m, &(struct milter_verdict){.end = MILTER_GONE,
		      .gone = NEIGHBOUR_NONSENSE,
		      .why = why});
}

void
milter_expire(struct milter *m)
{
	gone(m, NEIGHBOUR_SILENT, 0);
}

/* --- its word --- */

static void
say_no(struct milter *m, unsigned code, const char *status, const char *text)
{
	struct milter_verdict v = {.end = MILTER_NO, .no.code = code};

	snprintf(v.no.status, sizeof(v.no.status), "%s", status);
	snprintf(v.no.text, sizeof(v.no.text), "%s", text);
	finish(m, &v);
}

static void
reply_code(struct milter *m, const struct milter_packet *p)
{
	struct milter_verdict v = {.end = MILTER_NO};

	if (!milter_wire_read_text(p->data, &v.no))
		nonsense(m, "a reply that is none");
	else
		finish(m, &v);
}

static void
edit(struct milter *m, const struct milter_packet *p)
{
	struct milter_edit e;
	/* it stands in front of its data */
	struct span whole = {p->data.ptr - 5, p->data.len + 5};

	if (m->step != STEP_ALL)
		nonsense(m, "an edit before the end of the message");
	else if (!milter_may_edit(&m->options, p->command))
		nonsense(m, "an edit that was not agreed on");
	else if (!milter_wire_read_edit(p, &e))
		nonsense(m, "an edit that is none");
	else if (m->edits == HEADER_EDITS_MAX ||
		 m->packets.len + whole.len > PACKETS_MAX)
		nonsense(m, "too many edits");
	else
		buf_append_span(&m->packets, whole);
	m->edits++;
}

unsigned
milter_edits(const struct milter *m)
{
	return m->edits;
}

bool
milter_edit(const struct milter *m, struct header *h)
{
	struct span left = buf_span(&m->packets);
	struct milter_packet p;
	struct milter_edit e;
	bool good = true;

	while (good && milter_wire_cut(&left, &p) == MILTER_CUT_PACKET) {
		milter_wire_read_edit(&p, &e);
		if (p.command == MILTER_ADD)
			good = header_add(h, e.name, e.value);
		else if (p.command == MILTER_INSERT)
			good = header_insert(h, e.n, e.name, e.value);
		else
			good = header_change(h, e.n, e.name, e.value);
	}
	return good;
}

/* It does not mind what we have said last, or all of it. */
static void
agree(struct milter *m)
{
	if (!m->awaits)
		nonsense(m, "an answer to nothing");
	else if (m->step == STEP_ALL)
		finish(m, &(struct milter_verdict){.end = MILTER_PASS});
	m->awaits = false;
}

static void
skip(struct milter *m)
{
	if (m->step != STEP_BODY || !milter_may_skip(&m->options)) {
		nonsense(m, "nothing to skip");
		return;
	}
	m->step = STEP_BODY_END;
	m->awaits = false;
}

static void
progress(struct milter *m)
{
	if (++m->progress > PROGRESS_MAX)
		nonsense(m, "it only asks for time");
	else
		m->task.progress(m->task.ctx);
}

static void
take_options(struct milter *m, const struct milter_packet *p)
{
	if (p->command != MILTER_OPTIONS ||
	    !milter_wire_read_options(p->data, &m->options))
		nonsense(m, "no such protocol");
	m->agreed = true;
	m->awaits = false;
}

static void
take(struct milter *m, const struct milter_packet *p)
{
	if (!m->agreed) {
		take_options(m, p);
		return;
	}
	switch (p->command) {
	case MILTER_CONTINUE:
		agree(m);
		break;
	case MILTER_ACCEPT:
		finish(m, &(struct milter_verdict){.end = MILTER_PASS});
		break;
	case MILTER_DISCARD:
		finish(m, &(struct milter_verdict){.end = MILTER_DISCARDS});
		break;
	case MILTER_REJECT:
		say_no(m, 550, "5.7.1", "A filter refuses this message");
		break;
	case MILTER_TEMPFAIL:
		say_no(m, 451, "4.7.1", "A filter says to try again later");
		break;
	case MILTER_SHUTDOWN:
	case MILTER_FAIL:
		say_no(m, 421, "4.7.1", "A filter ends this session");
		break;
	case MILTER_REPLYCODE:
		reply_code(m, p);
		break;
	case MILTER_SKIP:
		skip(m);
		break;
	case MILTER_PROGRESS:
		progress(m);
		break;
	case MILTER_ADD:
	case MILTER_INSERT:
	case MILTER_CHANGE:
		edit(m, p);
		break;
	default:
		nonsense(m, "an answer that makes no sense");
	}
}

/* --- the connection --- */

/* Nothing more can be said now. */
static bool
is_blocked(const struct milter *m)
{
	return m->over || m->awaits || m->step == STEP_ALL ||
	       stream_unsent(&m->stream);
}

void
milter_go_on(struct milter *m)
{
	enum milter_said said = MILTER_SAID;

	while (said == MILTER_SAID && !is_blocked(m)) {
		while (
		    said == MILTER_SAID && !is_blocked(m) && m->out.len < BURST)
			said = milter_say(m);
		if (!stream_write(&m->stream, &m->out))
			gone(m, NEIGHBOUR_WENT, m->stream.error);
	}
	if (said == MILTER_FAILS && !m->over)
		finish(m, &(struct milter_verdict){.end = MILTER_UNREAD,
			      .error = content_error(m->content)});
}

static void
on_readable(struct milter *m)
{
	struct milter_packet p;
	enum milter_cut cut = MILTER_CUT_MORE;
	enum stream_read r;
	struct span in;

	r = stream_read(&m->stream, &in);
	if (r == STREAM_AGAIN)
		return;
	if (r != STREAM_DATA) {
		gone(m, NEIGHBOUR_WENT, m->stream.error);
		return;
	}
	buf_append_span(&m->in, in);
	in = buf_span(&m->in);
	while (
	    !m->over && (cut = milter_wire_cut(&in, &p)) == MILTER_CUT_PACKET)
		take(m, &p);
	if (m->over)
		return;
	buf_consume(&m->in, m->in.len - in.len);
	if (cut == MILTER_CUT_BAD)
		nonsense(m, "a packet that is none");
	else
		milter_go_on(m);
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct milter *m = owner;

	if (what == STREAM_READABLE)
		on_readable(m);
	else if (what == STREAM_WRITABLE)
		milter_go_on(m);
	else
		gone(m, NEIGHBOUR_WENT, m->stream.error);
}

static void
on_dial(void *ctx, int fd, int err, unsigned which)
{
	struct milter *m = ctx;

	(void)which;
	m->dial = NULL;
	if (fd < 0) {
		gone(m, NEIGHBOUR_NO_CONNECTION, err);
		return;
	}
	m->connected = true;
	stream_init(&m->stream, m->task.services->pool, fd, on_stream, m);
	milter_go_on(m);
}

struct milter *
milter_new(const struct milter_task *t)
{
	struct milter *m = mem_new(sizeof(*m));
	uint32_t each = t->within < CONNECT ? t->within : CONNECT;

	*m = (struct milter){.task = *t};
	m->dial = dial(t->services->loop, t->places, t->n, each, t->within,
	    on_dial, m);
	return m;
}

void
milter_free(struct milter **p)
{
	struct milter *m = *p;

	*p = NULL;
	if (!m)
		return;
	m->over = true;
	release(m);
	buf_free(&m->packets);
	loop_defer(m->task.services->loop, free, m);
}

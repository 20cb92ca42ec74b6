/*
 * drive: runs the engine and watches it.
 *
 * Owns copies: what the engine is shown lies in memory of exactly its size,
 * so that a sanitizer sees one octet too many, and is freed behind the step,
 * so that it sees what was kept too long.
 */
#include "drive.h"

#include <stdlib.h>
#include <string.h>

#include "drive_check.h"

void
drive_init(struct drive *d, const struct smtp_config *conf)
{
	memcpy(d->env.session, "0123456789ABCDEF", IDENT_LEN + 1);
	smtp_init(&d->smtp, conf, &d->env);
}

void
drive_free(struct drive *d)
{
	envelope_free(&d->env);
	buf_free(&d->said);
	buf_free(&d->stored);
	buf_free(&d->ends);
	buf_free(&d->envelopes);
	buf_free(&d->in);
	buf_free(&d->out);
	buf_free(&d->body);
	buf_free(&d->raw);
}

static void
flush(struct drive *d)
{
	buf_append_span(&d->said, buf_span(&d->out));
	buf_consume(&d->out, d->out.len);
}

/* --- questions --- */

static void
note_path(struct drive *d, const struct smtp_path *p, const char *end)
{
	buf_append_str(&d->envelopes, "<");
	smtp_path_format(p, &d->envelopes);
	buf_append_str(&d->envelopes, end);
}

static void
store(struct drive *d)
{
	const struct envelope_rcpt *r = d->env.rcpts;

	note_path(d, &d->env.sender, "> ");
	for (; r; r = r->next)
		note_path(d, &r->path, r->next ? "> " : ">\n");
	buf_append_span(&d->stored, buf_span(&d->body));
	buf_append(&d->ends, &d->stored.len, sizeof(d->stored.len));
}

static void
answer(struct drive *d)
{
	enum smtp_ask ask = d->smtp.ask;
	const struct smtp_reply *reply;

	drive_expect(d,
	    (ask != SMTP_ASK_DATA && ask != SMTP_ASK_MESSAGE) ||
		d->env.nrcpts > 0,
	    "a message has a recipient");
	reply = d->answer(d);
	d->questions++;
	d->asked = false;
	if (d->smtp.ask == SMTP_ASK_NONE) /* the answer was to hang up */
		return;
	if (ask == SMTP_ASK_DATA) {
		buf_consume(&d->body, d->body.len);
		buf_consume(&d->raw, d->raw.len);
	}
	if (ask == SMTP_ASK_MESSAGE && !reply)
		store(d);
	smtp_answer(&d->smtp, reply, &d->out);
}

/* Steps that must change nothing while the question is open. */
static void
insist(struct drive *d, struct span in)
{
	struct smtp before = d->smtp;
	size_t out = d->out.len;

	for (int i = 0; i < 3; i++) {
		struct span again = in;

		drive_expect(d,
		    smtp_step(&d->smtp, &again, &d->out) == SMTP_NEED_VERDICT,
		    "the question stays open");
		drive_expect(d, again.ptr == in.ptr && again.len == in.len,
		    "nothing is read behind a question");
	}
	drive_expect(d,
	    d->out.len == out && d->smtp.ask == before.ask &&
		d->smtp.state == before.state &&
		d->smtp.commands == before.commands &&
		d->smtp.received == before.received,
	    "a step behind a question changes nothing");
}

/* --- steps --- */

/* False: wait for the caller. */
static bool
handle(struct drive *d, enum smtp_step step, struct span in)
{
	switch (step) {
	case SMTP_NEED_VERDICT:
		if (d->late)
			insist(d, in);
		if (d->late && !d->asked) {
			d->asked = true;
			return false;
		}
		if (d->smtp.ask == SMTP_ASK_MESSAGE && d->raw.len)
			drive_check_body(d);
		answer(d);
		return true;
	case SMTP_HAVE_BODY:
		buf_append_span(&d->body, d->smtp.body);
		return true;
	case SMTP_FLUSH:
		flush(d);
		return true;
	case SMTP_REFUSED:
		d->refusals++;
		drive_check_refusal(d);
		return true;
	case SMTP_START_TLS: /* a handshake that takes no octets */
		drive_expect(d, in.len == 0, "nothing behind STARTTLS");
		d->smtp.env->tls = true;
		smtp_tls_started(&d->smtp);
		return true;
	case SMTP_CLOSE:
		d->closed = true;
		return false;
	default:
		drive_expect(d,
		    smtp_in_body(&d->smtp) ? in.len == 0
					   : in.len < SMTP_AUTH_LINE_MAX,
		    "a partial line is bounded");
		return false;
	}
}

static void
step_all(struct drive *d)
{
	/* nothing is NULL here, as it is for a caller that goes on unasked */
	char *copy = d->in.len ? malloc(d->in.len) : NULL;
	struct span in = {copy, d->in.len};
	struct span before;
	enum smtp_step step;

	if (d->in.len && !copy)
		abort();
	if (copy)
		memcpy(copy, d->in.data, d->in.len);
	d->shown = in;
	d->smtp.line = (struct span){NULL, 0};
	do {
		before = in;
		step = smtp_step(&d->smtp, &in, &d->out);
		drive_expect(d, d->out.len <= DRIVE_OUT_MAX, "out is bounded");
		if (step == SMTP_HAVE_BODY)
			drive_check_span(d, before);
	} while (handle(d, step, in) && !d->fault);
	buf_consume(&d->in, d->in.len - in.len);
	free(copy);
	flush(d);
}

/* One octet, or none, and answers at once: what it may have done. */
static void
feed_octet(struct drive *d, struct span octet)
{
	enum smtp_state state = d->smtp.state;
	unsigned commands = d->smtp.commands;

	if (state == SMTP_STATE_CONNECT)
		d->replies++;
	if (smtp_in_body(&d->smtp))
		buf_append_span(&d->raw, octet);
	buf_append_span(&d->in, octet);
	step_all(d);
	if (d->smtp.commands != commands && d->smtp.state != SMTP_STATE_CHUNK)
		d->replies++;
	if (state == SMTP_STATE_DATA && d->smtp.state != SMTP_STATE_DATA) {
		struct buf text = {0};

		drive_expect(d, drive_decode_dots(buf_span(&d->raw), &text),
		    "only CRLF.CRLF ends DATA");
		buf_free(&text);
	}
}

void
drive_feed(struct drive *d, struct span octets)
{
	if (d->closed || d->fault)
		return;
	if (d->bytes && !d->late) {
		feed_octet(d, octets);
		return;
	}
	buf_append_span(&d->in, octets);
	step_all(d);
}

void
drive_settle(struct drive *d)
{
	unsigned n, refusals;

	while (d->asked && !d->closed && !d->fault)
		step_all(d);
	n = drive_count_replies(d, &refusals);
	drive_expect(d, refusals == d->refusals, "every refusal is told once");
	drive_expect(d, !d->replies || n == d->replies,
	    "one reply per command");
}

const char *
drive_differs(const struct drive *a, const struct drive *b)
{
	if (a->fault || b->fault)
		return a->fault ? a->fault : b->fault;
	if (!span_equal(buf_span(&a->said), buf_span(&b->said)))
		return "other replies";
	if (!span_equal(buf_span(&a->stored), buf_span(&b->stored)) ||
	    !span_equal(buf_span(&a->ends), buf_span(&b->ends)))
		return "other messages";
	if (!span_equal(buf_span(&a->envelopes), buf_span(&b->envelopes)))
		return "other envelopes";
	return a->closed == b->closed ? NULL : "only one of them closed";
}

/* --- cuts --- */

/* splitmix64 */
uint64_t
drive_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

size_t
drive_next_cut(enum drive_cut cut, uint64_t *rng, size_t n)
{
	static const size_t most[] = {2, 3, 5, 16, 64, 1000, 20000};
	size_t max;

	if (cut == DRIVE_WHOLE)
		return n;
	if (cut == DRIVE_BYTES)
		return 1;
	max = most[drive_random(rng) % (sizeof(most) / sizeof(most[0]))];
	max = 1 + drive_random(rng) % max;
	return max < n ? max : n;
}

void
drive_run(struct drive *d, struct span octets, enum drive_cut cut, uint64_t rng)
{
	d->bytes = cut == DRIVE_BYTES;
	while (octets.len && !d->closed && !d->fault) {
		struct span part = octets;

		part.len = drive_next_cut(cut, &rng, octets.len);
		span_skip(&octets, part.len);
		drive_feed(d, part);
		drive_feed(d, (struct span){NULL, 0});
	}
	drive_settle(d);
}

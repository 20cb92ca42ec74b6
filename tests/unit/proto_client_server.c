/*
 * The client and our own server, octets cut at random between them: what is
 * sent on by one of us arrives at the other as it was, from and to the same,
 * and who is refused there is refused here with the same words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drive.h"
#include "proto/client.h"

#define LETTERS 400

static const struct {
	const char *to;
	enum fate fate;
	struct smtp_reply reply;
} people[] = {
    {"bob@example.org", FATE_TAKEN, {0}},
    {"no@example.org", FATE_REFUSED, {550, "5.1.1", "Nobody"}},
    {"b\xc3\xb6\x62@example.org", FATE_TAKEN, {0}},
    {"later@example.org", FATE_AGAIN, {450, "4.2.1", "Not now"}},
    {"\"odd user\"@example.org", FATE_TAKEN, {0}},
};
#define PEOPLE (sizeof(people) / sizeof(people[0]))

struct pair {
	struct drive d;
	struct client c;
	struct buf in, out, body, wire, envelope;
	size_t heard; /* of what the server said */
	uint64_t rng;
	struct arena arena;
	struct client_rcpt rcpts[PEOPLE];
	unsigned who[PEOPLE]; /* among people */
	struct client_mail mail;
};

static unsigned
any(struct pair *p, unsigned n)
{
	return (unsigned)(drive_random(&p->rng) % n);
}

static const struct smtp_reply *
answer(struct drive *d)
{
	const char *local = d->smtp.rcpt.local;

	if (d->smtp.ask != SMTP_ASK_RCPT)
		return NULL;
	for (size_t i = 0; i < PEOPLE; i++)
		if (strncmp(local, people[i].to, strlen(local)) == 0 &&
		    people[i].reply.code)
			return &people[i].reply;
	return NULL;
}

/* What we said, and what is said to it. */
static void
exchange(struct pair *p)
{
	struct span s = buf_span(&p->out);

	while (s.len) {
		size_t n = drive_next_cut(DRIVE_RANDOM, &p->rng, s.len);

		drive_feed(&p->d, (struct span){s.ptr, n});
		span_skip(&s, n);
	}
	p->out.len = 0;
	drive_settle(&p->d);
	if (p->d.fault)
		fail_msg("%s", p->d.fault);
}

/* To where nothing more is to be heard; the step that it stops with. */
static enum client_step
hear(struct pair *p)
{
	struct span said = buf_span(&p->d.said);
	enum client_step step;

	span_skip(&said, p->heard);
	do {
		size_t n = said.len
			       ? drive_next_cut(DRIVE_RANDOM, &p->rng, said.len)
			       : 0;
		struct span in;

		buf_append(&p->in, said.ptr, n);
		span_skip(&said, n);
		in = buf_span(&p->in);
		step = client_step(&p->c, &in, &p->out);
		buf_consume(&p->in, p->in.len - in.len);
	} while (step == CLIENT_NEED_INPUT && said.len);
	p->heard = p->d.said.len - said.len;
	return step;
}

static enum client_step
talk(struct pair *p)
{
	enum client_step step;

	do {
		exchange(p);
		step = hear(p);
	} while (step == CLIENT_NEED_INPUT);
	return step;
}

/* --- letters --- */

static void
write_letter(struct pair *p)
{
	unsigned n = any(p, 200);

	p->mail = (struct client_mail){
	    .sender = any(p, 4) ? "alice@example.com" : "",
	    .eightbit = any(p, 2),
	    .rcpts = p->rcpts,
	    .arena = &p->arena,
	};
	for (unsigned i = 0; i < PEOPLE; i++)
		if (any(p, 2)) {
			p->who[p->mail.n] = i;
			p->rcpts[p->mail.n++] =
			    (struct client_rcpt){.to = people[i].to,
				.utf8 = i == 2};
		}
	p->body.len = p->wire.len = 0;
	for (unsigned i = 0; i < n; i++)
		buf_append(&p->body, &"x\n.. y\xff\n.\n"[any(p, 11)], 1);
	buf_append(&p->body, "\n", 1);
	for (size_t i = 0; i < p->body.len; i++)
		buf_append(&p->wire,
		    p->body.data[i] == '\n' ? "\r\n" : &p->body.data[i],
		    p->body.data[i] == '\n' ? 2 : 1);
	p->mail.wire = p->wire.len;
	p->envelope.len = 0;
	buf_printf(&p->envelope, "<%s>", p->mail.sender);
}

static void
send_body(struct pair *p)
{
	struct span s = buf_span(&p->body);

	while (s.len) {
		size_t n = drive_next_cut(DRIVE_RANDOM, &p->rng, s.len);

		client_content(&p->c, (struct span){s.ptr, n}, &p->out);
		span_skip(&s, n);
	}
	client_end(&p->c, &p->out);
}

static bool
ends_with(const struct buf *b, struct span s)
{
	return b->len >= s.len &&
	       memcmp(b->data + b->len - s.len, s.ptr, s.len) == 0;
}

static void
check_letter(struct pair *p)
{
	bool taken = false;

	for (unsigned i = 0; i < p->mail.n; i++) {
		const struct client_rcpt *r = &p->rcpts[i];
		const struct smtp_reply *said = &people[p->who[i]].reply;

		assert_int_equal(r->fate, people[p->who[i]].fate);
		if (said->code) {
			assert_int_equal(r->reply->code, said->code);
			assert_string_equal(r->reply->status, said->status);
			assert_memory_equal(r->reply->text, said->text,
			    strlen(said->text));
			continue;
		}
		buf_printf(&p->envelope, " <%s>", r->to);
		taken = true;
	}
	buf_append(&p->envelope, "\n", 1);
	if (!taken)
		return;
	assert_true(ends_with(&p->d.stored, buf_span(&p->wire)));
	assert_true(ends_with(&p->d.envelopes, buf_span(&p->envelope)));
}

static void
send_letters(bool pipelining, uint64_t seed)
{
	const struct smtp_config conf = {
	    .hostname = "mx.example.org",
	    .greeting = "ESMTP ready",
	    .message_size = 1 << 20,
	    .line = 65536,
	    .recipients = 100,
	    .errors = 100000,
	};
	const struct client_options o = {.helo = "client.example.com"};
	struct pair p = {.d = {.answer = answer}, .rng = seed};
	size_t before;

	drive_init(&p.d, &conf);
	client_init(&p.c, &o);
	drive_feed(&p.d, (struct span){"", 0});
	assert_int_equal(talk(&p), CLIENT_READY);
	for (int i = 0; i < LETTERS; i++) {
		enum client_step step;

		write_letter(&p);
		if (!p.mail.n)
			continue;
		before = p.d.ends.len;
		p.c.caps.pipelining = pipelining;
		client_begin(&p.c, &p.mail, &p.out);
		if ((step = talk(&p)) == CLIENT_NEED_BODY) {
			send_body(&p);
			step = talk(&p);
			assert_true(p.d.ends.len == before + sizeof(size_t));
		}
		assert_int_equal(step, CLIENT_DONE);
		check_letter(&p);
		assert_int_equal(hear(&p), CLIENT_READY);
	}
	client_quit(&p.c, &p.out);
	exchange(&p);
	assert_true(p.d.closed);
	drive_free(&p.d);
	buf_free(&p.in);
	buf_free(&p.out);
	buf_free(&p.body);
	buf_free(&p.wire);
	buf_free(&p.envelope);
	arena_reset(&p.arena);
}

static void
our_own_server_takes_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		send_letters(true, seed);
		send_letters(false, seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(our_own_server_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A server that says anything: what we say and everybody's fate are the same
 * whole and in pieces, everybody has one, and nothing of our secret is kept to
 * be read. Two octets choose how we are set up, a third the size of a piece;
 * behind a NUL we go on as far as we may (TLS, a message, its body, its end).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/client.h"

#define RCPTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct run {
	struct client c;
	struct client_mail mail;
	struct client_rcpt rcpts[RCPTS];
	struct arena arena;
	struct buf said, fates;
	enum client_step last;
	unsigned begun, done; /* transactions */
	bool stall;
};

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
setup(struct run *r, const uint8_t *data)
{
	static const char *const to[RCPTS] = {"a@b", "c@d", "\xc3\xa4@e", "f"};
	struct client_options o = {
	    .lmtp = data[0] & 1,
	    .helo = "h",
	    .tls = (data[0] >> 1) % 3,
	    .implicit = data[0] & 8,
	    .login = data[0] & 16 ? "login" : NULL,
	    .secret = SPAN_LIT("secret"),
	    .may_log_in = data[0] & 32,
	};

	*r = (struct run){.stall = data[1] & 64};
	for (int i = 0; i < RCPTS; i++)
		r->rcpts[i] = (struct client_rcpt){.to = to[i], .utf8 = i == 2};
	r->mail = (struct client_mail){.sender = data[1] & 1 ? "" : "x",
	    .eightbit = data[1] & 2,
	    .utf8 = data[1] & 4,
	    .whole = data[1] & 8,
	    .verify = data[1] & 16,
	    .wire = 1000,
	    .rcpts = r->rcpts,
	    .n = RCPTS - !!(data[1] & 32),
	    .arena = &r->arena};
	client_init(&r->c, &o);
}

static void
check_reply(const struct client_rcpt *r)
{
	int class = r->fate == FATE_TAKEN ? 2 : r->fate == FATE_REFUSED ? 5 : 4;

	check(r->fate != FATE_NONE || !r->reply);
	check(r->reply || r->fate == FATE_NONE || r->fate == FATE_TAKEN);
	check(!r->later || r->fate == FATE_NONE);
	if (!r->reply)
		return;
	check((int)r->reply->code / 100 == class && r->reply->code != 421);
	check(r->reply->status[0] - '0' == (int)r->reply->code / 100);
	check(strlen(r->reply->text) <= CLIENT_REPLY_TEXT_MAX);
	for (const char *p = r->reply->text; *p; p++)
		check(*p >= ' ' && *p <= '~');
}

static void
take_fates(struct run *r)
{
	bool some = false;

	r->done++;
	for (unsigned i = 0; i < r->mail.n; i++) {
		const struct client_rcpt *to = &r->rcpts[i];

		check_reply(to);
		check(
		    to->fate != FATE_TAKEN || r->mail.verify || r->c.dot_sent);
		check(to->fate != FATE_LOST || r->c.dot_sent);
		some |= to->fate != FATE_NONE;
		buf_printf(&r->fates, "%d%d%s|", to->fate, to->later,
		    to->reply ? to->reply->text : "");
	}
	check(some); /* or it would be asked for ever */
	for (unsigned i = 0; i < r->mail.n && !r->mail.whole; i++)
		check(r->rcpts[i].fate || r->rcpts[i].later);
}

static void
run_steps(struct run *r, struct span *in)
{
	while ((r->last = client_step(&r->c, in, &r->said)) == CLIENT_DONE ||
	       r->last == CLIENT_READY)
		if (r->last == CLIENT_DONE)
			take_fates(r);
}

static void
go_on(struct run *r, struct span *in)
{
	if (r->last == CLIENT_START_TLS) {
		client_secured(&r->c);
	} else if (r->last == CLIENT_NEED_BODY) {
		client_content(&r->c, SPAN_LIT(".a\n\r.\n"), &r->said);
		if (!r->stall)
			client_end(&r->c, &r->said);
	} else if (!r->c.mail && !r->c.broken &&
		   client_waits(&r->c) == CLIENT_WAIT_NOTHING) {
		client_begin(&r->c, &r->mail, &r->said);
		r->begun++;
	}
	run_steps(r, in);
}

static void
run(struct run *r, const uint8_t *data, size_t n, size_t piece)
{
	struct span all = {(const char *)data + 3, n - 3};
	struct span in = {all.ptr, 0};

	setup(r, data);
	while (in.ptr + in.len < all.ptr + all.len) {
		const char *from = in.ptr + in.len;
		size_t left = (size_t)(all.ptr + all.len - from);
		const char *nul = memchr(from, '\0', left);
		size_t batch = nul ? (size_t)(nul - from) : left;

		for (size_t at = 0; at < batch; at += piece) {
			in.len += batch - at < piece ? batch - at : piece;
			run_steps(r, &in);
		}
		if (!nul)
			break;
		/* what is left of a line does not go on behind it */
		if (in.len)
			break;
		in.ptr = nul + 1;
		go_on(r, &in);
	}
	if (r->c.mail) {
		client_lost(&r->c, n & 1);
		take_fates(r);
	}
	check(r->begun == r->done && !r->c.mail);
	check(!memmem(r->c.why, sizeof(r->c.why), "secret", 6) ||
	      memmem(all.ptr, all.len, "secret", 6));
	check(strlen(r->c.why) < sizeof(r->c.why));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct run a, b;

	if (n < 3)
		return 0;
	run(&a, data, n, n);
	run(&b, data, n, data[2] % 16 + 1u);
	check(span_equal(buf_span(&a.said), buf_span(&b.said)));
	check(span_equal(buf_span(&a.fates), buf_span(&b.fates)));
	check(a.c.broken == b.c.broken && a.c.state == b.c.state);
	check(!strcmp(a.c.why, b.c.why));
	buf_free(&a.said);
	buf_free(&b.said);
	buf_free(&a.fates);
	buf_free(&b.fates);
	arena_reset(&a.arena);
	arena_reset(&b.arena);
	return 0;
}

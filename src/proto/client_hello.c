/*
 * client_hello: from the greeting to READY: who we are, what the server can
 * do, STARTTLS (RFC 3207), AUTH (RFC 4954). What it can do counts from the
 * last EHLO alone, and no password goes where somebody might listen.
 */
#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "proto/client_state.h"

void
client_on_greeting(struct client *c, struct buf *out)
{
	if (client_class(c) == 2)
		client_ask(c, CLIENT_EHLO, out);
	else
		client_break_reply(c, "its greeting is no");
}

/* --- EHLO --- */

static void
say_name(struct client *c, const char *verb, struct buf *out)
{
	assert(!strpbrk(c->options.helo, "\r\n"));
	buf_append_str(out, verb);
	buf_append_str(out, c->options.helo);
	buf_append_str(out, "\r\n");
}

void
client_say_ehlo(struct client *c, struct buf *out)
{
	c->caps = (struct client_caps){0};
	say_name(c, c->options.lmtp ? "LHLO " : "EHLO ", out);
}

void
client_say_helo(struct client *c, struct buf *out)
{
	say_name(c, "HELO ", out);
}

/* The next word of *s, without blanks. */
static struct span
next_word(struct span *s)
{
	struct span word = *s = ascii_trim(*s);
	size_t n = 0;

	while (n < s->len && s->ptr[n] != ' ' && s->ptr[n] != '\t')
		n++;
	word.len = n;
	span_skip(s, n);
	return word;
}

static void
on_auth_offered(struct client_caps *caps, struct span rest)
{
	for (struct span word; (word = next_word(&rest)).len;) {
		caps->auth_plain |= ascii_equal_str(word, "PLAIN");
		caps->auth_login |= ascii_equal_str(word, "LOGIN");
	}
}

/* RFC 1870; what is no number is no limit. */
static void
on_size(struct client_caps *caps, struct span rest)
{
	caps->size = true;
	caps->size_max = 0;
	ascii_parse_u64(next_word(&rest), UINT64_MAX, &caps->size_max);
}

/* RFC 9422 */
static void
on_limits(struct client_caps *caps, struct span rest)
{
	static const char name[] = "RCPTMAX=";
	const size_t len = sizeof(name) - 1;
	uint64_t n;

	for (struct span word; (word = next_word(&rest)).len;) {
		if (word.len <= len ||
		    !ascii_equal_str((struct span){word.ptr, len}, name))
			continue;
		span_skip(&word, len);
		if (!ascii_parse_u64(word, UINT32_MAX, &n))
			caps->rcpt_max = (unsigned)n;
	}
}

void
client_on_extension(struct client *c)
{
	struct client_caps *caps = &c->caps;
	struct span rest = c->reply.line;
	struct span word;

	if (c->reply.lines == 1) /* it names itself */
		return;
	word = next_word(&rest);
	caps->pipelining |= ascii_equal_str(word, "PIPELINING");
	caps->eightbit |= ascii_equal_str(word, "8BITMIME");
	caps->utf8 |= ascii_equal_str(word, "SMTPUTF8");
	caps->starttls |= ascii_equal_str(word, "STARTTLS");
	if (ascii_equal_str(word, "AUTH"))
		on_auth_offered(caps, rest);
	if (ascii_equal_str(word, "SIZE"))
		on_size(caps, rest);
	if (ascii_equal_str(word, "LIMITS"))
		on_limits(caps, rest);
}

/* --- and what follows from it --- */

static void
misconfigured(struct client *c, const char *why)
{
	c->misconfigured = true;
	client_break(c, why);
}

static void
log_in(struct client *c, struct buf *out)
{
	const struct client_options *o = &c->options;
	bool verified =
	    c->secured && (o->implicit || o->tls == CLIENT_TLS_REQUIRED);

	if (!verified && !o->may_log_in)
		misconfigured(c, "no login where somebody may listen");
	else if (c->caps.auth_plain)
		client_ask(c, CLIENT_AUTH_PLAIN, out);
	else if (c->caps.auth_login)
		client_ask(c, CLIENT_AUTH_LOGIN, out);
	else
		misconfigured(c, "it offers neither AUTH PLAIN nor LOGIN");
}

static void
go_on(struct client *c, struct buf *out)
{
	enum client_tls tls = c->secured ? CLIENT_TLS_OFF : c->options.tls;

	if (tls != CLIENT_TLS_OFF && c->caps.starttls)
		client_ask(c, CLIENT_STARTTLS, out);
	else if (tls == CLIENT_TLS_REQUIRED)
		misconfigured(c, "it does not offer STARTTLS");
	else if (c->options.login)
		log_in(c, out);
	else
		client_become(c, CLIENT_GREETED);
}

void
client_on_ehlo(struct client *c, struct buf *out)
{
	if (client_class(c) == 2)
		go_on(c, out);
	else if (client_class(c) == 5 && !c->options.lmtp)
		client_ask(c, CLIENT_HELO, out);
	else
		client_break_reply(c, "it refuses EHLO");
}

void
client_on_helo(struct client *c, struct buf *out)
{
	c->caps = (struct client_caps){0};
	if (client_class(c) == 2)
		go_on(c, out);
	else
		client_break_reply(c, "it refuses HELO");
}

/* --- STARTTLS --- */

void
client_on_starttls(struct client *c, struct buf *out)
{
	if (client_class(c) == 2) {
		client_become(c, CLIENT_HANDSHAKE);
	} else if (c->options.tls == CLIENT_TLS_REQUIRED) {
		client_break_reply(c, "it refuses STARTTLS");
	} else {
		/* a server without a certificate that it can read */
		c->caps.starttls = false;
		go_on(c, out);
	}
}

/* --- AUTH --- */

/* RFC 4616, with an initial response. */
void
client_say_plain(struct client *c, struct buf *out)
{
	struct buf plain = {0};

	/* once, so that no copy of it stays behind */
	buf_reserve(&plain,
	    strlen(c->options.login) + c->options.secret.len + 2);
	buf_append(&plain, "", 1);
	buf_append_str(&plain, c->options.login);
	buf_append(&plain, "", 1);
	buf_append_span(&plain, c->options.secret);
	buf_reserve(out, plain.len * 2 + 32);
	buf_append_str(out, "AUTH PLAIN ");
	base64_encode(buf_span(&plain), out);
	buf_append_str(out, "\r\n");
	buf_wipe(&plain);
}

void
client_say_name(struct client *c, struct buf *out)
{
	base64_encode(span_str(c->options.login), out);
	buf_append_str(out, "\r\n");
}

void
client_say_secret(struct client *c, struct buf *out)
{
	buf_reserve(out, c->options.secret.len * 2 + 32);
	base64_encode(c->options.secret, out);
	buf_append_str(out, "\r\n");
}

void
client_on_auth(struct client *c, struct buf *out)
{
	const bool last =
	    c->state == CLIENT_AUTH_PLAIN || c->state == CLIENT_AUTH_SECRET;

	if (last && client_class(c) == 2) {
		client_become(c, CLIENT_GREETED);
	} else if (!last && client_class(c) == 3) {
		client_ask(c,
		    c->state == CLIENT_AUTH_LOGIN ? CLIENT_AUTH_NAME
						  : CLIENT_AUTH_SECRET,
		    out);
	} else {
		client_break_reply(c, "it refuses the login");
		c->misconfigured = client_class(c) == 5;
	}
}

/*
 * smtp_verb: the table of verbs (RFC 5321 4.1) and their handlers.
 *
 * A row says in which states a verb is legal and what is said elsewhere;
 * no handler asks for the state again, but BDAT: its octets follow whether
 * it is legal or not (RFC 3030 section 2).
 */
#include "proto/smtp_verb.h"

#include <string.h>

#include "base/ascii.h"
#include "proto/smtp_cmd.h"
#include "proto/smtp_say.h"

#define IN(state)      (1u << (SMTP_STATE_##state))
#define IN_TRANSACTION (IN(MAIL) | IN(RCPT) | IN(BETWEEN))
#define IN_ANY         (IN(START) | IN(READY) | IN_TRANSACTION)

enum {
	ARGS_NONE = 1,   /* an argument is 501 */
	ARGS_FREE = 2,   /* octets above 127 are the handler's */
	ARGS_UTF8 = 4,   /* the same with SMTPUTF8 behind them (RFC 6531) */
	NOT_OFFERED = 8, /* known, and not served: 502 */
	TO_NOBODY = 16,  /* served to whoever has no address: a health check */
};

struct verb {
	const char *name;
	void (*run)(struct smtp *s, struct span args, struct buf *out);
	unsigned states;
	unsigned flags;
	const char *refusal; /* 503 in all other states */
};

/* Somebody could make a proxy say so, and be the proxy. */
static const struct smtp_reply to_nobody = {554, "5.7.1",
    "Not without a client's address"};

/*
 * False: refused. Whoever submits may call itself anything: it logs in, and
 * what its library calls it is nothing that its user could mend.
 */
static bool
hello(struct smtp *s, struct span args, bool esmtp, struct buf *out)
{
	struct smtp_helo helo;
	const struct smtp_reply *bad = smtp_cmd_helo(args,
	    s->conf->submission ? &s->env->client : NULL, &helo);

	if (bad) {
		smtp_say(s, bad, out);
		return false;
	}
	envelope_set_helo(s->env, helo.name, esmtp);
	s->odd_name = helo.quirk;
	smtp_end_transaction(s);
	s->state = SMTP_STATE_READY;
	return true;
}

static void
run_helo(struct smtp *s, struct span args, struct buf *out)
{
	if (!hello(s, args, false, out))
		return;
	buf_append_str(out, "250 ");
	buf_append_str(out, s->conf->hostname);
	buf_append_str(out, "\r\n");
}

static bool
may_log_in(const struct smtp *s)
{
	return s->conf->submission && s->env->tls && !s->env->login &&
	       !s->nobody && s->auth && s->auth[0];
}

static void
run_ehlo(struct smtp *s, struct span args, struct buf *out)
{
	if (!hello(s, args, true, out))
		return;
	buf_append_str(out, "250-");
	buf_append_str(out, s->conf->hostname);
	buf_append_str(out, " at your service\r\n"
			    "250-PIPELINING\r\n"
			    "250-SIZE ");
	buf_append_uint(out, s->conf->message_size, 0);
	buf_append_str(out, "\r\n"
			    "250-8BITMIME\r\n"
			    "250-SMTPUTF8\r\n"
			    "250-ENHANCEDSTATUSCODES\r\n"
			    "250-CHUNKING\r\n");
	if (s->conf->starttls && !s->env->tls)
		buf_append_str(out, "250-STARTTLS\r\n");
	if (may_log_in(s)) {
		buf_append_str(out, "250-AUTH ");
		buf_append_str(out, s->auth);
		buf_append_str(out, "\r\n");
	}
	buf_append_str(out, "250 LIMITS RCPTMAX=");
	buf_append_uint(out, s->conf->recipients, 0);
	buf_append_str(out, "\r\n");
}

/* NULL, or why no message may begin now. */
static const struct smtp_reply *
mail_refusal(const struct smtp *s)
{
	if (s->draining)
		return SMTP_REPLY(421, "4.3.2", "Going down, come back soon");
	if (s->conf->submission && !s->env->login)
		return SMTP_REPLY(530, "5.7.0", "Log in first");
	return NULL;
}

static void
take_mail(struct smtp *s, const struct smtp_mail *mail)
{
	s->env->sender = mail->path;
	s->env->size = mail->size;
	s->env->eightbit = mail->eightbit;
	s->env->utf8 = mail->utf8;
	s->size_max = s->conf->message_size;
	s->received = 0;
	s->beyond = 0;
	s->quirks = (mail->quirk ? SMTP_QUIRK_SPACE : 0u) |
		    (mail->path.odd ? SMTP_QUIRK_SENDER : 0u) |
		    (s->odd_name ? SMTP_QUIRK_NAME : 0u);
}

static void
run_mail(struct smtp *s, struct span args, struct buf *out)
{
	const struct smtp_reply *bad = mail_refusal(s);
	struct smtp_mail mail = {0};

	if (!bad)
		bad = smtp_cmd_mail(args, s->env->login != NULL, &s->env->arena,
		    &mail);
	take_mail(s, &mail); /* the log wants it refused, too */
	if (!bad && mail.size > s->conf->message_size)
		bad = SMTP_REPLY(552, "5.3.4", "Message too big");
	if (bad) {
		smtp_say(s, bad, out);
		smtp_end_transaction(s);
		return;
	}
	s->env->serial++;
	s->ask = SMTP_ASK_MAIL;
}

/* The rest of an honest list comes again; its message must not be lost. */
static void
refuse_beyond(struct smtp *s, struct buf *out)
{
	const struct smtp_reply *no =
	    SMTP_REPLY(452, "4.5.3", "Too many recipients");

	if (s->beyond++ < s->conf->recipients)
		smtp_tell(s, no, out);
	else
		smtp_say(s, no, out);
}

static void
run_rcpt(struct smtp *s, struct span args, struct buf *out)
{
	const struct smtp_reply *bad;
	struct smtp_rcpt rcpt;

	s->state = SMTP_STATE_RCPT;
	if (s->env->nrcpts >= s->conf->recipients) {
		refuse_beyond(s, out);
		return;
	}
	/* kept until now, so that the caller could log what was refused */
	if (s->rewind)
		arena_rewind(&s->env->arena, s->mark);
	s->mark = arena_mark(&s->env->arena);
	s->rewind = true;
	bad = smtp_cmd_rcpt(args, &s->env->arena, s->env->utf8, &rcpt);
	if (bad) {
		smtp_say(s, bad, out);
		return;
	}
	if (rcpt.quirk)
		s->quirks |= SMTP_QUIRK_SPACE;
	s->rcpt = rcpt.path;
	s->ask = SMTP_ASK_RCPT;
}

static const struct smtp_reply *
no_recipients(const struct smtp *s)
{
	if (s->env->nrcpts)
		return NULL;
	return SMTP_REPLY(554, "5.5.1", "No valid recipients");
}

static void
run_data(struct smtp *s, struct span args, struct buf *out)
{
	const struct smtp_reply *bad = no_recipients(s);

	(void)args;
	if (bad)
		smtp_say(s, bad, out);
	else
		s->ask = SMTP_ASK_DATA;
}

/* Why this chunk cannot be taken; its octets will be read all the same. */
static const struct smtp_reply *
bdat_refusal(const struct smtp *s, uint64_t size)
{
	if (s->nobody)
		return &to_nobody;
	if (!((IN(RCPT) | IN(BETWEEN)) & (1u << s->state)))
		return SMTP_REPLY(503, "5.5.1", "Say MAIL and RCPT first");
	if (!s->env->nrcpts)
		return no_recipients(s);
	if (s->refusal.code)
		return &s->refusal;
	if (size > s->size_max || s->received > s->size_max - size)
		return SMTP_REPLY(552, "5.3.4", "Message too big");
	return NULL;
}

static void
run_bdat(struct smtp *s, struct span args, struct buf *out)
{
	struct smtp_bdat bdat;
	const struct smtp_reply *bad = smtp_cmd_bdat(args, &bdat);

	if (bad) {
		smtp_say(s, bad, out);
		return;
	}
	bad = bdat_refusal(s, bdat.size);
	s->after = s->state;
	s->last = bdat.last;
	if (bad) {
		s->refusal = *bad;
		/* a size that was passed stays passed; the rest is a slip */
		s->begun = s->begun || bad->code == 552;
	}
	if (!s->begun) {
		smtp_body_init(&s->scan, 0);
		s->hops = (struct trace_hops){0};
		s->ask = bad ? SMTP_ASK_NONE : SMTP_ASK_DATA;
	}
	s->scan.chunk = bdat.size;
	s->state = SMTP_STATE_CHUNK;
}

static void
run_rset(struct smtp *s, struct span args, struct buf *out)
{
	(void)args;
	smtp_end_transaction(s);
	smtp_say(s, SMTP_REPLY(250, "2.0.0", "Forgotten"), out);
}

static void
run_noop(struct smtp *s, struct span args, struct buf *out)
{
	(void)args;
	smtp_say(s, SMTP_REPLY(250, "2.0.0", "Ok"), out);
}

static void
run_quit(struct smtp *s, struct span args, struct buf *out)
{
	(void)args;
	s->quit = true;
	smtp_say(s, SMTP_REPLY(221, "2.0.0", "Bye"), out);
	smtp_end_transaction(s);
	s->state = SMTP_STATE_CLOSED;
}

/*
 * Octets behind the command would be read before the handshake and obeyed
 * after it: they end the session (RFC 3207 errata, CVE-2011-0411).
 */
static void
run_starttls(struct smtp *s, struct span args, struct buf *out)
{
	(void)args;
	if (s->env->tls) {
		smtp_say(s, SMTP_REPLY(503, "5.5.1", "TLS is there"), out);
	} else if (!s->conf->starttls) {
		smtp_say(s, SMTP_REPLY(502, "5.5.1", "Not offered here"), out);
	} else if (s->pipelined) {
		smtp_say(s, SMTP_REPLY(554, "5.5.0", "Octets behind STARTTLS"),
		    out);
		s->state = SMTP_STATE_CLOSED;
	} else {
		smtp_say(s, SMTP_REPLY(220, "2.0.0", "Go ahead"), out);
		s->state = SMTP_STATE_TLS;
	}
}

static void
run_vrfy(struct smtp *s, struct span args, struct buf *out)
{
	smtp_say(s,
	    args.len ? SMTP_REPLY(252, "2.0.0", "Send it and see")
		     : SMTP_REPLY(501, "5.5.4", "Say VRFY address"),
	    out);
}

static void
run_help(struct smtp *s, struct span args, struct buf *out)
{
	(void)args;
	smtp_say(s, SMTP_REPLY(214, "2.0.0", "See RFC 5321"), out);
}

/* Sorted by use. */
static const struct verb verbs[] = {
    {"RCPT", run_rcpt, IN(MAIL) | IN(RCPT), ARGS_FREE, "Say MAIL first"},
    {"MAIL", run_mail, IN(READY), ARGS_FREE,
	"Say EHLO first, and one MAIL at a time"},
    {"DATA", run_data, IN(RCPT), ARGS_NONE, "Say MAIL and RCPT first"},
    {"BDAT", run_bdat, IN_ANY, 0, ""},
    {"EHLO", run_ehlo, IN_ANY, TO_NOBODY, ""},
    {"HELO", run_helo, IN_ANY, TO_NOBODY, ""},
    {"QUIT", run_quit, IN_ANY | IN(REFUSED), ARGS_NONE | TO_NOBODY, ""},
    {"RSET", run_rset, IN_ANY, ARGS_NONE | TO_NOBODY, ""},
    {"NOOP", run_noop, IN_ANY, ARGS_FREE | TO_NOBODY, ""},
    {"VRFY", run_vrfy, IN_ANY, ARGS_UTF8, ""},
    {"HELP", run_help, IN_ANY, ARGS_FREE | TO_NOBODY, ""},
    {"EXPN", NULL, 0, NOT_OFFERED, ""},
    {"STARTTLS", run_starttls, IN_ANY, ARGS_NONE | TO_NOBODY, ""},
    {"AUTH", smtp_auth_begin, IN(READY), 0, "Say EHLO first, MAIL later"},
    {"ETRN", NULL, 0, NOT_OFFERED, ""},
    {"XCLIENT", NULL, 0, NOT_OFFERED, ""},
    {"XFORWARD", NULL, 0, NOT_OFFERED, ""},
    {"TURN", NULL, 0, NOT_OFFERED, ""},
    {"SEND", NULL, 0, NOT_OFFERED, ""},
    {"SOML", NULL, 0, NOT_OFFERED, ""},
    {"SAML", NULL, 0, NOT_OFFERED, ""},
};

static const struct verb *
find_verb(struct span name)
{
	char first = name.len ? ascii_lower(name.ptr[0]) : '\0';

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (first == ascii_lower(verbs[i].name[0]) &&
		    ascii_equal_str(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static bool
says_utf8(struct span args)
{
	const struct span word = SPAN_LIT(" SMTPUTF8");

	if (args.len < word.len)
		return false;
	span_skip(&args, args.len - word.len);
	return ascii_equal(args, word);
}

static const struct smtp_reply *
args_refusal(const struct verb *v, struct span args)
{
	bool eightbit = false;

	for (size_t i = 0; i < args.len; i++) {
		if (ascii_is_control(args.ptr[i]))
			return SMTP_REPLY(501, "5.5.2",
			    "Control octet in the argument");
		eightbit = eightbit || (unsigned char)args.ptr[i] > 127;
	}
	if (eightbit && !(v->flags & ARGS_FREE) &&
	    !(v->flags & ARGS_UTF8 && says_utf8(args)))
		return SMTP_REPLY(501, "5.5.4", "Eight-bit argument");
	if (args.len && (v->flags & ARGS_NONE))
		return SMTP_REPLY(501, "5.5.4", "No argument belongs here");
	return NULL;
}

/* The verb at the front of a line, or NULL; and what is behind it. */
static const struct verb *
split(struct span line, struct span *args)
{
	struct span name;
	const char *sp;

	while (line.len && (line.ptr[line.len - 1] == ' ' ||
			       line.ptr[line.len - 1] == '\t'))
		line.len--;
	name = line;
	*args = (struct span){NULL, 0};
	sp = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
	if (sp) {
		name.len = (size_t)(sp - line.ptr);
		*args = line;
		span_skip(args, name.len + 1);
	}
	return find_verb(name);
}

void
smtp_verb_show(struct smtp *s, struct span line)
{
	const struct verb *v;
	struct span args;

	/* behind the octet that made it wrong there is nothing */
	while (line.len && memchr("\r\n", line.ptr[line.len - 1], 3))
		line.len--;
	v = split(line, &args);
	s->line = line;
	s->verb = v ? v->name : NULL;
	if (!v) {
		s->line.ptr = NULL;
		s->secret = s->secret || s->wary;
		return;
	}
	s->wary = v->run == smtp_auth_begin;
	if (s->wary)
		s->line.len = strlen(v->name);
}

/* AUTH, too, is none of our verbs where nobody can ever log in. */
static bool
is_offered(const struct smtp *s, const struct verb *v)
{
	if (v->run == smtp_auth_begin)
		return s->conf->submission && s->auth;
	return !(v->flags & NOT_OFFERED);
}

/* A BDAT is refused when its octets have been read. */
static bool
is_for_nobody(const struct verb *v)
{
	return v && (v->flags & TO_NOBODY || v->run == run_bdat);
}

void
smtp_verb_run(struct smtp *s, struct span line, struct buf *out)
{
	const struct smtp_reply *bad;
	struct smtp_reply refusal = {503, "5.5.1", "You may only QUIT"};
	struct span args;
	const struct verb *v = split(line, &args);

	if (s->state == SMTP_STATE_REFUSED &&
	    (!v || !(v->states & IN(REFUSED))))
		bad = &refusal;
	else if (s->nobody && !is_for_nobody(v))
		bad = &to_nobody;
	else if (!v)
		bad = SMTP_REPLY(500, "5.5.1", "Unknown command");
	else if (!is_offered(s, v))
		bad = SMTP_REPLY(502, "5.5.1", "Not offered here");
	else if (v->states & (1u << s->state))
		bad = args_refusal(v, args);
	else {
		refusal.text = v->refusal;
		bad = &refusal;
	}
	if (bad)
		smtp_say(s, bad, out);
	else
		v->run(s, args, out);
}

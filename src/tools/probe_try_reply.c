/*
 * probe_try_reply: what a reply means, or its lack: findings, and what is
 * worth asking next.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "tools/probe_try_state.h"

#define SPEAKS_TLS "it speaks TLS: use --tls"

void
try_find(struct try *t, enum probe_cause cause, const char *detail)
{
	probe_find(&t->r->findings, t->arena, cause, t->r->target.where,
	    detail);
}

void
try_find_said(struct try *t, enum probe_cause cause, const char *detail,
    struct span said)
{
	try_find(t, cause, probe_quote(t->arena, detail, said));
}

/* The reply's code and its first line. */
static void
find_reply(struct try *t, enum probe_cause cause, const char *verb)
{
	try_find_said(t, cause,
	    probe_printf(t->arena, "%s%u ", verb, t->reply.code),
	    (struct span){t->reply.text, t->reply.text_len});
}

const char *
try_word(const struct try *t, enum try_loss how)
{
	switch (how) {
	case TRY_CLOSED:
		return "closed";
	case TRY_RESET:
		return "reset";
	case TRY_TIME:
		return "no answer in time";
	default:
		return t->reply.broken ? t->reply.broken
				       : stream_tls_reason(&t->s);
	}
}

/* --- the greeting --- */

/* What the first octets say that it is; NULL: who knows. */
static const char *
other_protocol(const struct try *t)
{
	static const struct {
		const char *first, *what;
	} all[] = {
	    {"HTTP/", "it speaks HTTP"},
	    {"<", "it speaks HTTP or XML"},
	    {"SSH-", "it speaks SSH"},
	    {"\x15\x03", SPEAKS_TLS},
	    {"\x16\x03", SPEAKS_TLS},
	    {"+OK", "it speaks POP3"},
	    {"* OK", "it speaks IMAP"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t n = strlen(all[i].first);

		if (t->nfirst >= n && memcmp(t->first, all[i].first, n) == 0)
			return all[i].what;
	}
	return NULL;
}

static void
take_greeting(struct try *t)
{
	struct probe_result *r = t->r;
	struct span text = {t->reply.text, t->reply.text_len};
	const char *blank;

	r->greeting = (struct span){arena_dup(t->arena, text), text.len};
	blank = memchr(r->greeting.ptr, ' ', text.len);
	r->name = r->greeting;
	if (blank)
		r->name.len = (size_t)(blank - r->greeting.ptr);
	r->code = t->reply.code;
	r->lines = t->reply.lines;
	r->bare_lf = t->reply.bare_lf;
	r->longest = t->reply.longest;
}

void
try_greeting(struct try *t)
{
	unsigned code = t->reply.code;

	take_greeting(t);
	if (code == 220 && t->state == TRY_NUDGE) {
		try_find(t, PROBE_SILENT, "it greets, but later: see --wait");
	} else if (code == 220) {
		t->r->greets = true;
		if (t->step->ms > t->o->slow)
			try_find(t, PROBE_SLOW,
			    probe_printf(t->arena, "after %.1f s",
				(double)t->step->ms / 1000));
	} else {
		find_reply(t,
		    code == 421   ? PROBE_BUSY
		    : code == 554 ? PROBE_DENIED
				  : PROBE_ODD_CODE,
		    "");
	}
	try_become(t, t->r->greets && t->r->target.depth == PROBE_ALL
			  ? TRY_EHLO
			  : TRY_QUIT);
}

static void
find_broken(struct try *t, enum try_loss how)
{
	const struct span first = {t->first, t->nfirst};

	if (how == TRY_BROKEN && (t->reply.lines || !t->reply.broken))
		try_find(t, PROBE_GREETING_BROKEN, try_word(t, how));
	else
		try_find_said(t, PROBE_GREETING_BROKEN,
		    how == TRY_BROKEN ? "it says "
		    : how == TRY_TIME ? "it does not end: "
				      : "it ends early: ",
		    first);
}

void
try_no_greeting(struct try *t, enum try_loss how)
{
	const char *other = other_protocol(t);

	if (!t->nfirst && how == TRY_TIME && t->state == TRY_GREETING) {
		try_become(t, TRY_NUDGE);
		return;
	}
	if (other)
		try_find(t, PROBE_NOT_SMTP, other);
	else if (t->nfirst || how == TRY_BROKEN)
		find_broken(t, how);
	else if (t->state == TRY_NUDGE && (how == TRY_TIME || t->r->target.tls))
		try_find(t, PROBE_SILENT, NULL);
	else if (t->state == TRY_NUDGE)
		t->silent = true; /* OpenSSL sends no alert for it */
	else
		try_find(t, how == TRY_RESET ? PROBE_RESET : PROBE_CLOSED,
		    NULL);
	try_become(t, TRY_OVER);
}

void
try_silent(struct try *t)
{
	if (t->r->old_version)
		try_find(t, PROBE_NOT_SMTP, SPEAKS_TLS);
	else
		try_find(t, PROBE_SILENT, NULL);
}

/* --- EHLO, and HELO --- */

void
try_extension(struct try *t)
{
	struct probe_result *r = t->r;
	struct span line = t->reply.line;

	if (t->reply.lines == 1 || t->reply.code != 250)
		return; /* the first names the server */
	if (!r->extensions)
		r->extensions = arena_alloc(t->arena,
		    CLIENT_REPLY_LINES_MAX * sizeof(*r->extensions));
	r->extensions[r->nextensions++] =
	    (struct span){arena_dup(t->arena, line), line.len};
}

static bool
offers_starttls(const struct probe_result *r)
{
	for (unsigned i = 0; i < r->nextensions; i++)
		if (ascii_equal_str(ascii_trim(r->extensions[i]), "STARTTLS"))
			return true;
	return false;
}

void
try_ehlo(struct try *t)
{
	unsigned code = t->reply.code;

	if (code >= 500) {
		try_become(t, TRY_HELO);
		return;
	}
	t->r->ready = code == 250;
	if (t->r->ready && !t->r->secured && offers_starttls(t->r)) {
		try_become(t, TRY_STARTTLS);
		return;
	}
	if (!t->r->ready)
		find_reply(t, code == 421 ? PROBE_BUSY : PROBE_EHLO_REFUSED,
		    "EHLO: ");
	else if (!t->r->secured)
		try_find(t, PROBE_NO_STARTTLS, NULL);
	try_become(t, TRY_QUIT);
}

/* What some firewalls leave of a greeting that they do not understand. */
static bool
is_masked(struct span greeting)
{
	size_t stars = 0;

	for (size_t i = 0; i < greeting.len; i++)
		stars += greeting.ptr[i] == '*';
	return stars > greeting.len / 2;
}

void
try_helo(struct try *t)
{
	unsigned code = t->reply.code;

	t->r->ready = code == 250;
	if (!t->r->ready)
		find_reply(t, code == 421 ? PROBE_BUSY : PROBE_EHLO_REFUSED,
		    "HELO: ");
	else
		try_find(t, PROBE_NO_EHLO,
		    is_masked(t->r->greeting)
			? "its greeting is asterisks: a firewall's fixup"
			: NULL);
	try_become(t, TRY_QUIT);
}

void
try_no_hello(struct try *t, enum try_loss how)
{
	try_find(t, how == TRY_BROKEN ? PROBE_EHLO_REFUSED : PROBE_EHLO_CLOSED,
	    try_word(t, how));
	try_become(t, TRY_OVER);
}

/* --- TLS --- */

enum probe_cause
try_tls_cause(const struct try *t)
{
	return t->r->target.tls ? PROBE_TLS_FAILED : PROBE_STARTTLS_BROKEN;
}

void
try_no_tls(struct try *t, enum try_loss how)
{
	try_find(t, try_tls_cause(t), try_word(t, how));
	try_become(t, TRY_OVER);
}

void
try_starttls(struct try *t)
{
	if (t->reply.code == 220 && !stream_kept(&t->s).len) {
		try_become(t, TRY_HANDSHAKE);
		return;
	}
	if (t->reply.code == 220)
		try_find(t, PROBE_STARTTLS_BROKEN, "octets behind its 220");
	else
		find_reply(t, PROBE_STARTTLS_BROKEN, "");
	try_become(t, TRY_QUIT);
}

void
try_ehlo_tls(struct try *t)
{
	if (t->reply.code != 250)
		find_reply(t, PROBE_STARTTLS_BROKEN, "EHLO within TLS: ");
	try_become(t, TRY_QUIT);
}

void
try_plain(struct try *t)
{
	const char *other = other_protocol(t);

	if (other && t->r->target.tls)
		try_find(t, PROBE_NOT_SMTP, other);
	else
		try_find_said(t, try_tls_cause(t), "it answers in clear: ",
		    (struct span){t->first, t->nfirst});
	try_become(t, TRY_OVER);
}

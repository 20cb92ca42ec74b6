/*
 * authres: reads the front of an Authentication-Results value, up to the
 * semicolon or the end: [CFWS] authserv-id [CFWS version] [CFWS], where the id
 * is a token or a quoted string (RFC 8601 2.2, RFC 2045 5.1).
 */
#include "proto/authres.h"

#include <string.h>

#include "base/ascii.h"

static bool
next_is(struct span s, const char *any)
{
	return s.len && s.ptr[0] && strchr(any, s.ptr[0]);
}

/* A comment, which may hold others. False: it does not end. */
static bool
skip_comment(struct span *s)
{
	unsigned depth = 0;

	for (; s->len; span_skip(s, 1)) {
		if (next_is(*s, "\\") && s->len > 1)
			span_skip(s, 1);
		else if (next_is(*s, "("))
			depth++;
		else if (next_is(*s, ")") && !--depth)
			break;
	}
	if (!s->len)
		return false;
	span_skip(s, 1);
	return true;
}

static bool
skip_cfws(struct span *s)
{
	while (next_is(*s, " \t\r\n("))
		if (!next_is(*s, "("))
			span_skip(s, 1);
		else if (!skip_comment(s))
			return false;
	return true;
}

/* RFC 2045 5.1: a token holds no blanks, controls and tspecials. */
static bool
is_token(char c)
{
	return c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

static bool
take_token(struct span *s, struct buf *id)
{
	struct span token = {s->ptr, 0};

	while (token.len < s->len && is_token(s->ptr[token.len]))
		token.len++;
	span_skip(s, token.len);
	buf_append_span(id, token);
	return token.len > 0;
}

/* Without its quotes, backslashes and folding. */
static bool
take_quoted(struct span *s, struct buf *id)
{
	for (span_skip(s, 1); s->len && s->ptr[0] != '"'; span_skip(s, 1)) {
		if (next_is(*s, "\r\n"))
			continue;
		if (s->ptr[0] == '\\' && s->len > 1)
			span_skip(s, 1);
		if ((unsigned char)s->ptr[0] >= 127)
			return false;
		buf_append(id, s->ptr, 1);
	}
	if (!s->len)
		return false;
	span_skip(s, 1);
	return id->len > 0;
}

static bool
take_id(struct span *s, struct buf *id)
{
	return skip_cfws(s) && s->len &&
	       (s->ptr[0] == '"' ? take_quoted(s, id) : take_token(s, id));
}

/* The version, if there is one, and nothing else up to the results. */
static bool
take_rest(struct span *s)
{
	const char *behind = s->ptr;

	if (!skip_cfws(s))
		return false;
	while (s->ptr > behind && s->len && ascii_is_digit(s->ptr[0]))
		span_skip(s, 1);
	return skip_cfws(s) && (!s->len || s->ptr[0] == ';');
}

bool
authres_is_ours(struct span value, const char *const *names, unsigned n)
{
	struct buf id = {0};
	bool ours = !take_id(&value, &id) || !take_rest(&value);

	for (unsigned i = 0; !ours && i < n; i++)
		ours = ascii_equal_str(buf_span(&id), names[i]);
	buf_free(&id);
	return ours;
}

unsigned
authres_delete(struct header *h, const char *const *names, unsigned n)
{
	const struct header_field *f, *next;
	unsigned deleted = 0;

	for (f = h->fields; f; f = next) {
		next = f->next;
		if (!ascii_equal_str(f->name, "Authentication-Results") ||
		    !authres_is_ours(f->value, names, n))
			continue;
		header_delete(h, f);
		deleted++;
	}
	return deleted;
}

/*
 * dialogue: reads transcripts and compares replies with them.
 *
 * Owns what it reads until dialogue_free(). Never runs anything: the same
 * files are sent to the engine by proto_dialogues.c and to the daemon by
 * tests/system/.
 */
#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

static const struct smtp_config defaults = {
    .hostname = "mx.example.org",
    .greeting = "ESMTP ready",
    .message_size = 50 << 20,
    .line = 65536,
    .recipients = 1000,
    .errors = 20,
};

static int
hex(char c)
{
	c = ascii_lower(c);
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct span s, struct buf *out);

/* "{N:text}" behind a backslash; *s is moved behind it. */
static const char *
decode_repeat(struct span *s, struct buf *out)
{
	const char *colon = memchr(s->ptr, ':', s->len);
	const char *bad = NULL;
	struct buf text = {0};
	struct span inner;
	uint64_t n;
	size_t end = 0;

	if (!colon)
		return "a repeat without a colon";
	if (ascii_parse_u64((struct span){s->ptr + 1,
				(size_t)(colon - s->ptr) - 1},
		1 << 24, &n))
		return "a bad repeat count";
	span_skip(s, (size_t)(colon - s->ptr) + 1);
	while (end < s->len && s->ptr[end] != '}')
		end += s->ptr[end] == '\\' ? 2 : 1;
	if (end >= s->len)
		return "a repeat without its end";
	inner = (struct span){s->ptr, end};
	span_skip(s, end + 1);
	bad = decode(inner, &text);
	while (!bad && n--)
		buf_append_span(out, buf_span(&text));
	buf_free(&text);
	return bad;
}

/* What stands behind a backslash; *s is moved behind it. */
static const char *
decode_escape(struct span *s, struct buf *out)
{
	static const char names[] = "rnt0\\}";
	static const char octets[] = "\r\n\t\0\\}";
	const char *at = memchr(names, s->ptr[0], sizeof(names) - 1);

	if (at) {
		buf_append(out, &octets[at - names], 1);
		span_skip(s, 1);
		return NULL;
	}
	if (s->ptr[0] == 'x' && s->len >= 3 && hex(s->ptr[1]) >= 0 &&
	    hex(s->ptr[2]) >= 0) {
		char c = (char)(hex(s->ptr[1]) << 4 | hex(s->ptr[2]));

		buf_append(out, &c, 1);
		span_skip(s, 3);
		return NULL;
	}
	return s->ptr[0] == '{' ? decode_repeat(s, out) : "a bad escape";
}

static const char *
decode(struct span s, struct buf *out)
{
	const char *bad = NULL;

	while (s.len && !bad) {
		char c = s.ptr[0];

		span_skip(&s, 1);
		if (c != '\\')
			buf_append(out, &c, 1);
		else if (s.len)
			bad = decode_escape(&s, out);
		else
			return "a backslash at the end";
	}
	return bad;
}

/* A whole line: without its CRLF if an unescaped backslash ends it. */
static const char *
decode_line(struct span s, struct buf *out)
{
	size_t slashes = 0;
	const char *bad;

	while (slashes < s.len && s.ptr[s.len - 1 - slashes] == '\\')
		slashes++;
	s.len -= slashes % 2;
	bad = decode(s, out);
	if (slashes % 2 == 0)
		buf_append_str(out, "\r\n");
	return bad;
}

static const char *
set_config(struct dialogue *d, struct span s)
{
	const char *eq = memchr(s.ptr, '=', s.len);
	struct span key = s;
	struct span value;
	uint64_t n;

	if (span_equal(s, SPAN_LIT("role=submission"))) {
		d->conf.submission = true;
		return NULL;
	}
	if (!eq)
		return "config: key=value is expected";
	key.len = (size_t)(eq - s.ptr);
	value = (struct span){eq + 1, s.len - key.len - 1};
	if (ascii_parse_u64(value, 1 << 30, &n))
		return "a bad number";
	if (span_equal(key, SPAN_LIT("message-size")))
		d->conf.message_size = n;
	else if (span_equal(key, SPAN_LIT("line")))
		d->conf.line = n;
	else if (span_equal(key, SPAN_LIT("recipients")))
		d->conf.recipients = (unsigned)n;
	else if (span_equal(key, SPAN_LIT("errors")))
		d->conf.errors = (unsigned)n;
	else
		return "an unknown key";
	return NULL;
}

static const char *
add_reply(struct dialogue *d, struct span s)
{
	struct dialogue_reply *r = &d->replies[d->nreplies];

	if (d->closes)
		return "a reply behind the close";
	if (span_equal(s, SPAN_LIT("close"))) {
		d->closes = true;
		return NULL;
	}
	if (d->nreplies == DIALOGUE_MAX)
		return "too many replies";
	r->pattern = strndup(s.ptr, s.len);
	if (!r->pattern)
		abort();
	r->at = d->sent.len;
	d->nreplies++;
	return NULL;
}

/* "\\{N:reply}" */
static const char *
add_replies(struct dialogue *d, struct span s)
{
	const char *colon = memchr(s.ptr, ':', s.len);
	const char *bad = NULL;
	uint64_t n;

	if (s.len < 2 || memcmp(s.ptr, "\\{", 2) != 0)
		return add_reply(d, s);
	if (!colon || s.ptr[s.len - 1] != '}')
		return "a repeat without its end";
	span_skip(&s, 2);
	if (ascii_parse_u64((struct span){s.ptr, (size_t)(colon - s.ptr)},
		DIALOGUE_MAX, &n))
		return "a bad repeat count";
	span_skip(&s, (size_t)(colon - s.ptr) + 1);
	s.len--;
	while (!bad && n--)
		bad = add_reply(d, s);
	return bad;
}

static const char *
add_sent(struct dialogue *d, struct span s)
{
	const char *bad = decode_line(s, &d->sent);

	if (d->closes)
		return "a command behind the close";
	if (d->nlines == DIALOGUE_MAX)
		return "too many lines";
	d->lines[d->nlines++] = d->sent.len;
	return bad;
}

static const char *
add_body(struct dialogue *d, struct span s, bool more)
{
	if (!more && d->nbodies++ == DIALOGUE_MAX)
		return "too many messages";
	return decode_line(s, &d->bodies[d->nbodies - 1]);
}

static bool
skip_word(struct span *s, struct span word)
{
	if (s->len < word.len || memcmp(s->ptr, word.ptr, word.len) != 0)
		return false;
	span_skip(s, word.len);
	return true;
}

static const char *
read_line(struct dialogue *d, struct span s, bool more)
{
	if (s.len == 0 || s.ptr[0] == '#')
		return NULL;
	if (skip_word(&s, SPAN_LIT("C: ")))
		return add_sent(d, s);
	if (skip_word(&s, SPAN_LIT("S: ")))
		return add_replies(d, s);
	if (skip_word(&s, SPAN_LIT("M: ")))
		return add_body(d, s, more);
	if (skip_word(&s, SPAN_LIT("config: ")))
		return set_config(d, s);
	if (span_equal(s, SPAN_LIT("client: bare-newline=keep"))) {
		d->keep_bare = true;
		return NULL;
	}
	return "not a line of a dialogue";
}

const char *
dialogue_load(const char *path, struct dialogue *d, unsigned *line)
{
	FILE *f = fopen(path, "r");
	const char *bad = NULL;
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	bool more = false;

	*d = (struct dialogue){.conf = defaults};
	*line = 0;
	if (!f)
		return "it cannot be opened";
	while (!bad && (n = getline(&text, &cap, f)) > 0) {
		struct span s = {text, (size_t)n};

		++*line;
		if (text[n - 1] == '\n')
			s.len--;
		bad = read_line(d, s, more);
		more = s.len && text[0] == 'M';
	}
	free(text);
	fclose(f);
	return bad ? bad : d->nreplies ? NULL : "no reply in it";
}

void
dialogue_free(struct dialogue *d)
{
	for (size_t i = 0; i < d->nreplies; i++)
		free(d->replies[i].pattern);
	for (size_t i = 0; i < d->nbodies; i++)
		buf_free(&d->bodies[i]);
	buf_free(&d->sent);
}

bool
dialogue_due(const struct dialogue *d, size_t sent)
{
	for (size_t i = 0; i < d->nreplies; i++)
		if (d->replies[i].at == sent)
			return true;
	return false;
}

/* "<session>.<n>" at the front of *s. */
static bool
skip_id(struct span *s)
{
	if (!skip_word(s, SPAN_LIT(DIALOGUE_SESSION ".")) || s->len == 0 ||
	    !ascii_is_digit(s->ptr[0]))
		return false;
	while (s->len && ascii_is_digit(s->ptr[0]))
		span_skip(s, 1);
	return true;
}

static bool
match_text(const char *pattern, struct span s)
{
	while (*pattern) {
		if (strcmp(pattern, "...") == 0)
			return true;
		if (strncmp(pattern, "<id>", 4) == 0) {
			if (!skip_id(&s))
				return false;
			pattern += 4;
			continue;
		}
		if (s.len == 0 || s.ptr[0] != *pattern)
			return false;
		span_skip(&s, 1);
		pattern++;
	}
	return s.len == 0;
}

/* One line without CRLF; what a refusal ends with is cut off first. */
static bool
match_line(const char *pattern, struct span s)
{
	static const char id[] = " [" DIALOGUE_SESSION "]";
	size_t n = sizeof(id) - 1;

	if (s.len > 3 && s.ptr[3] == ' ' && s.ptr[0] >= '4') {
		if (s.len < n || memcmp(s.ptr + s.len - n, id, n) != 0)
			return false;
		s.len -= n;
	}
	return match_text(pattern, s);
}

/* The next line of *s without its CRLF; all of it when it has none. */
static struct span
next_line(struct span *s)
{
	const char *lf = s->len ? memchr(s->ptr, '\n', s->len) : NULL;
	struct span line = *s;

	if (lf)
		line.len = (size_t)(lf - s->ptr) + 1;
	span_skip(s, line.len);
	if (lf && line.len > 1 && lf[-1] == '\r')
		line.len -= 2;
	return line;
}

/* "250-*" */
static bool
is_any(const char *pattern)
{
	return strlen(pattern) == 5 && strcmp(pattern + 3, "-*") == 0;
}

bool
dialogue_match(const struct dialogue *d, size_t sent, struct span said,
    const char **pattern, struct span *line)
{
	for (size_t i = 0; i < d->nreplies && d->replies[i].at <= sent; i++) {
		*pattern = d->replies[i].pattern;
		if (is_any(*pattern)) {
			while (
			    said.len >= 4 && memcmp(said.ptr, *pattern, 4) == 0)
				next_line(&said);
			continue;
		}
		*line = next_line(&said);
		if (!match_line(*pattern, *line))
			return false;
	}
	*pattern = NULL;
	*line = said;
	return said.len == 0;
}

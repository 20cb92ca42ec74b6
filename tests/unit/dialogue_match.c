/*
 * dialogue_match: compares what was said with what should have been.
 */
#include <string.h>

#include "base/ascii.h"
#include "dialogue.h"

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
	if (!dialogue_skip(s, SPAN_LIT(DIALOGUE_SESSION ".")) || s->len == 0 ||
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

/*
 * scan: a first look at a file, for what libconfuse gets wrong.
 *
 * A quote or a block that is never closed would be blamed on some later
 * token or not at all; a comment makes its line numbers drift; * and + that
 * are not quoted, NUL, unknown escapes, variables that are not set, empty
 * lists and all that stands behind an empty key would vanish without a word;
 * and the first unknown key would end the parsing. So comments are blanked
 * here, the rest is refused, and every unknown key is reported. Values are
 * left to libconfuse.
 */
#include "config/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "config/shape.h"

/* The octet n places further on; 0 at the end. */
static char
peek(const struct scan *s, size_t n)
{
	return s->pos + n < s->len ? s->text[s->pos + n] : '\0';
}

static void
blank(struct scan *s)
{
	if (s->text[s->pos] != '\n')
		s->text[s->pos] = ' ';
	s->pos++;
}

static void
blank_line(struct scan *s)
{
	while (s->pos < s->len && s->text[s->pos] != '\n')
		blank(s);
}

static void
blank_comment(struct scan *s)
{
	unsigned opened = s->line;

	blank(s);
	blank(s);
	while (s->pos < s->len) {
		bool end = peek(s, 0) == '*' && peek(s, 1) == '/';

		if (peek(s, 0) == '\n')
			s->line++;
		blank(s);
		if (!end)
			continue;
		blank(s);
		return;
	}
	SCAN_FAULT(s, opened,
	    "this comment is never closed: write */ at its end");
}

/* At "${": NAME or NAME:-default up to a brace on the same line. */
static void
scan_variable(struct scan *s)
{
	const char *start = s->text + s->pos + 2;
	size_t n = strcspn(start, "}\"\n");
	char name[64];

	if (start[n] != '}') {
		SCAN_FAULT(s, s->line, "${ is never closed: write ${NAME}");
		s->pos += 2;
		return;
	}
	s->pos += n + 3;
	if (memmem(start, n, ":-", 2))
		return;
	if (n == 0 || n >= sizeof(name)) {
		SCAN_FAULT(s, s->line, "no variable can have such a name");
		return;
	}
	memcpy(name, start, n);
	name[n] = '\0';
	if (!getenv(name))
		SCAN_FAULT(s, s->line,
		    "${%s} is not set: set it, or write ${%s:-default}", name,
		    name);
}

/* At a backslash in double quotes. */
static void
scan_escape(struct scan *s)
{
	if (!peek(s, 1) || !strchr("\"\\$", peek(s, 1))) {
		SCAN_FAULT(s, s->line,
		    "in double quotes a \\ stands before another \\, \" or $ "
		    "only: write \\\\ for one");
		s->pos++;
		return;
	}
	s->pos += 2;
}

/* Nothing is begun: neither a value nor a title, a list or a call. */
static bool
is_at_key(const struct scan *s)
{
	return !s->assigned && !s->list && !s->call && !s->word.ptr &&
	       s->section;
}

static void
scan_quoted(struct scan *s)
{
	char quote = s->text[s->pos++];
	size_t start = s->pos;

	/* for libconfuse it would be the end of the file */
	if (peek(s, 0) == quote && is_at_key(s))
		SCAN_FAULT(s, s->line,
		    "an empty pair of quotes stands where a key should begin: "
		    "take it out");

	while (s->pos < s->len && peek(s, 0) != quote) {
		if (peek(s, 0) == '\n')
			break;
		if (quote == '"' && peek(s, 0) == '\\')
			scan_escape(s);
		else if (quote == '"' && peek(s, 0) == '$' && peek(s, 1) == '{')
			scan_variable(s);
		else if (peek(s, 0) == '\\' &&
			 (peek(s, 1) == quote || peek(s, 1) == '\\'))
			s->pos += 2;
		else
			s->pos++;
	}
	shape_word(s, (struct span){s->text + start, s->pos - start});
	if (peek(s, 0) != quote)
		SCAN_FAULT(s, s->line,
		    "this quote is never closed: write %c at the "
		    "end of the value",
		    quote);
	else
		s->pos++;
}

static void
scan_bare_variable(struct scan *s)
{
	size_t start = s->pos;

	scan_variable(s);
	shape_word(s, (struct span){s->text + start, s->pos - start});
}

/* What other files have around their keys. */
static void
check_habits(struct scan *s, struct span word)
{
	if (!is_at_key(s))
		return;
	if (word.ptr[0] == ';')
		SCAN_FAULT(s, s->line,
		    "nothing needs a ; at its end: take it out");
	else if (word.len > 1 && word.ptr[word.len - 1] == ':')
		SCAN_FAULT(s, s->line,
		    "a key and its value have a = between them: write "
		    "%.*s = ...",
		    (int)(word.len > 40 ? 40 : word.len - 1), word.ptr);
}

/* What libconfuse takes for one unquoted string. */
static void
scan_word(struct scan *s)
{
	size_t start = s->pos;

	s->pos += strcspn(s->text + start, " #\"'\t\n\r={}()+,*");
	check_habits(s, (struct span){s->text + start, s->pos - start});
	shape_word(s, (struct span){s->text + start, s->pos - start});
	if (peek(s, 0) == '{' && s->text[s->pos - 1] == '$') {
		SCAN_FAULT(s, s->line,
		    "put a value with ${ inside into quotes");
		s->pos--;
		scan_variable(s);
	}
}

static void
scan_punctuation(struct scan *s)
{
	char c = s->text[s->pos++];

	if (c == '{')
		shape_open(s);
	else if (c == '}')
		shape_close(s);
	else if (c == '=')
		shape_assign(s);
	else if (c == '*' || (c == '+' && peek(s, 0) != '='))
		SCAN_FAULT(s, s->line, "put a value with %c into quotes", c);
	else if (c == '(')
		shape_call(s);
	else if (c == ')')
		shape_call_end(s);
	else if (c == ',')
		shape_comma(s);
}

static bool
scan_space(struct scan *s)
{
	char c = s->text[s->pos];

	if (c == '\n')
		s->line++;
	else if (c != ' ' && c != '\t' && c != '\r')
		return false;
	s->pos++;
	return true;
}

static bool
scan_comment(struct scan *s)
{
	char c = s->text[s->pos];

	if (c == '#' || (c == '/' && peek(s, 1) == '/'))
		blank_line(s);
	else if (c == '/' && peek(s, 1) == '*')
		blank_comment(s);
	else
		return false;
	return true;
}

static void
scan_token(struct scan *s)
{
	char c = s->text[s->pos];

	if (scan_space(s) || scan_comment(s))
		return;
	if (c == '"' || c == '\'')
		scan_quoted(s);
	else if (strchr("={}()+,*", c))
		scan_punctuation(s);
	else if (c == '$' && peek(s, 1) == '{')
		scan_bare_variable(s);
	else
		scan_word(s);
	shape_blank(s);
}

/* NUL and its like, once: the rest of such a file is not worth a look. */
static bool
is_text(struct scan *s)
{
	unsigned line = 1;

	for (size_t i = 0; i < s->len; i++) {
		char c = s->text[i];

		if (c == '\n')
			line++;
		else if (ascii_is_control(c) && c != '\t' && c != '\r') {
			SCAN_FAULT(s, line,
			    "octet 0x%02x has no place in a text file: is this "
			    "the configuration?",
			    (unsigned)(unsigned char)c);
			return false;
		}
	}
	return true;
}

enum config_scanned
config_scan(struct config_faults *f, const char *file, char *text, size_t len)
{
	struct scan s = {.faults = f,
	    .file = file,
	    .text = text,
	    .len = len,
	    .line = 1,
	    .section = &section_top};

	if (!is_text(&s))
		return SCAN_BAD;
	while (s.pos < s.len)
		scan_token(&s);
	shape_end(&s);
	if (s.bad)
		return SCAN_BAD;
	return s.blanked ? SCAN_UNKNOWN : SCAN_GOOD;
}

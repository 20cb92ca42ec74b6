/*
 * shape: which words are keys and which braces are blocks, so that
 * what is unknown is reported by name and what is never closed by the line
 * in which it begins. Knows nothing of values.
 */
#include "config/shape.h"

#include <string.h>

#include "config/suggest.h"

/* What belongs between parentheses is one word and nothing else. */
static void
check_call(struct scan *s)
{
	if (s->call)
		SCAN_FAULT(s, s->call,
		    "write include(\"file\"), with one name in quotes");
	s->call = 0;
}

static void
no_words(struct scan *s)
{
	s->word = s->before = (struct span){NULL, 0};
	s->assigned = false;
}

void
shape_word(struct scan *s, struct span word)
{
	s->unknown_over = s->unknown && s->section && s->assigned;
	s->filled = true;
	s->args++;
	if (s->assigned) { /* a value: what follows is not its title */
		no_words(s);
		return;
	}
	s->before = s->word;
	s->word = word;
}

/* What begins with this word, quoted or not, is not for libconfuse. */
static void
begin_unknown(struct scan *s, struct span word)
{
	bool quoted = word.ptr > s->text && strchr("\"'", word.ptr[-1]);

	s->unknown = word.ptr - (quoted ? 1 : 0);
}

static void
check_key(struct scan *s)
{
	char why[CONFIG_WHY_MAX];

	s->key = NULL;
	if (!s->word.ptr || !s->section)
		return;
	s->key = config_key_find(s->section, s->word);
	if (s->key)
		return;
	begin_unknown(s, s->word);
	config_suggest(s->section, s->word, false, why);
	config_error(s->faults, s->file, s->line, "unknown key \"%.*s\": %s",
	    (int)(s->word.len > 40 ? 40 : s->word.len), s->word.ptr, why);
}

/* A title is there where it has to be, and only there. */
static void
check_title(struct scan *s)
{
	const struct config_section *to = s->section;

	if (to->title && !s->before.ptr)
		SCAN_FAULT(s, s->line,
		    "a %s block needs a name in quotes: write %s \"%s\" { }",
		    to->name, to->name, to->title);
	else if (!to->title && s->before.ptr)
		SCAN_FAULT(s, s->line, "a %s block has no name: write %s { }",
		    to->name, to->name);
}

static void
open_block(struct scan *s)
{
	struct span name = s->before.ptr ? s->before : s->word;
	char why[CONFIG_WHY_MAX];

	if (s->block) /* go on as if it were not missing */
		SCAN_FAULT(s, s->line,
		    "a block cannot stand inside another one: is the } of the "
		    "block of line %u missing?",
		    s->block);
	s->block = s->line;
	s->section = config_section_find(name);
	if (s->section)
		check_title(s);
	if (s->section || !name.ptr)
		return;
	begin_unknown(s, name);
	config_suggest(&section_top, name, true, why);
	config_error(s->faults, s->file, s->line, "unknown block \"%.*s\": %s",
	    (int)(name.len > 40 ? 40 : name.len), name.ptr, why);
}

static void
check_list(struct scan *s)
{
	if (s->list)
		SCAN_FAULT(s, s->list,
		    "this list is never closed: write } at its end");
	s->list = 0;
}

static void
open_list(struct scan *s)
{
	s->list = s->line;
	if (s->key && s->key->type != KEY_LIST)
		SCAN_FAULT(s, s->line,
		    "%s takes one value: write it without { }", s->key->name);
}

void
shape_open(struct scan *s)
{
	check_call(s);
	check_list(s);
	if (s->block && !s->section)
		s->inner++;
	else if (s->assigned)
		open_list(s);
	else
		open_block(s);
	s->filled = false;
	no_words(s);
}

void
shape_close(struct scan *s)
{
	check_call(s);
	s->unknown_over = s->unknown && !s->inner;
	if (s->inner) {
		s->inner--;
	} else if (s->list) {
		if (!s->filled)
			SCAN_FAULT(s, s->line,
			    "this list is empty: take the key out");
		s->list = 0;
	} else if (s->block) {
		s->block = 0;
		s->section = &section_top;
	} else {
		SCAN_FAULT(s, s->line, "this } closes nothing");
	}
	no_words(s);
}

void
shape_assign(struct scan *s)
{
	check_call(s);
	check_list(s);
	check_key(s);
	no_words(s);
	s->assigned = true;
}

void
shape_comma(struct scan *s)
{
	if (s->call)
		check_call(s);
	else if (!s->list && (!s->block || s->section))
		SCAN_FAULT(s, s->line,
		    "a comma stands between the values of a list alone, as in "
		    "{ \"one\", \"two\" }");
	no_words(s);
}

/* libconfuse leaks what stands in a call that is not whole. */
void
shape_call(struct scan *s)
{
	check_call(s);
	if (!s->word.ptr || !span_equal(s->word, SPAN_LIT("include")))
		SCAN_FAULT(s, s->line,
		    "nothing can stand before ( but include(\"file\")");
	s->call = s->line;
	s->args = 0;
	no_words(s);
}

void
shape_call_end(struct scan *s)
{
	if (s->args == 1)
		s->call = 0;
	check_call(s);
	no_words(s);
}

/* So that libconfuse stays with what is known. */
void
shape_blank(struct scan *s)
{
	if (!s->unknown_over)
		return;
	for (size_t i = (size_t)(s->unknown - s->text); i < s->pos; i++) {
		if (s->text[i] != '\n')
			s->text[i] = ' ';
	}
	s->unknown = NULL;
	s->blanked = true;
	s->unknown_over = false;
}

void
shape_end(struct scan *s)
{
	check_call(s);
	check_list(s);
	if (s->block)
		SCAN_FAULT(s, s->block,
		    "this block is never closed: write } at its end");
}

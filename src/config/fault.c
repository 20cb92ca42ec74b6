/*
 * fault: they are found by stage, file after file and key after key, and
 * sorted at the end.
 */
#include "config/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "config/format.h"
#include "config/tree.h"

struct config_fault {
	bool warn;
	bool inner; /* not in the main file */
	const char *file;
	unsigned line;
	unsigned serial;
	const char *text;
};

/* What is quoted may be cut in a letter, or steer a terminal. */
static char *
mask(char *text)
{
	size_t n;

	for (struct span s = span_str(text); s.len; span_skip(&s, n)) {
		n = utf8_char(s);
		if (!n && ((unsigned char)s.ptr[0] > 0x7f ||
			      ascii_is_control(s.ptr[0])))
			text[strlen(text) - s.len] = '?';
		n += !n;
	}
	return text;
}

__attribute__((format(printf, 5, 0))) static void
add(struct config_faults *f, bool warn, const char *file, unsigned line,
    const char *fmt, va_list ap)
{
	unsigned n = f->errors + f->warnings;
	char text[1024];

	if (warn)
		f->warnings++;
	else
		f->errors++;
	vsnprintf(text, sizeof(text), fmt, ap);
	f->list = reallocarray(f->list, n + 1, sizeof(*f->list));
	if (!f->list)
		abort();
	f->list[n] = (struct config_fault){
	    .warn = warn,
	    .inner = strcmp(file, f->main) != 0,
	    .file = mask(arena_dup(&f->arena, span_str(file))),
	    .line = line,
	    .serial = n,
	    .text = arena_dup(&f->arena, span_str(mask(text))),
	};
}

void
config_error(struct config_faults *f, const char *file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, false, file, line, fmt, ap);
	va_end(ap);
}

void
config_warn(struct config_faults *f, const char *file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, true, file, line, fmt, ap);
	va_end(ap);
}

void
config_fault_item(struct config_faults *f, const char *key,
    const struct config_item *item, const char *why)
{
	struct buf text = {0};

	if (!why)
		return;
	config_public(item->text, &text);
	config_error(f, item->file, item->line, "%s \"%.*s\": %s", key,
	    (int)(text.len < 80 ? text.len : 80), text.data, why);
	buf_free(&text);
}

void
config_fault_twin(struct config_faults *f, const struct config_block *b,
    const struct config_block *other)
{
	config_error(f, b->file, b->line,
	    "%s \"%.80s\" is there already, in line %u of %s: join them",
	    b->section->name, b->title, other->line, other->file);
}

/* The main file first, then each other one; by line, then as found. */
static int
compare(const void *pa, const void *pb)
{
	const struct config_fault *a = pa, *b = pb;
	int r = a->inner - b->inner;

	if (!r)
		r = strcmp(a->file, b->file);
	if (!r)
		r = (a->line > b->line) - (a->line < b->line);
	return r ? r : (a->serial > b->serial) - (a->serial < b->serial);
}

enum config_status
config_faults_show(struct config_faults *f)
{
	unsigned n = f->errors + f->warnings;

	if (n)
		qsort(f->list, n, sizeof(*f->list), compare);
	for (unsigned i = 0; i < n; i++) {
		const struct config_fault *x = &f->list[i];

		f->fn(f->ctx, x->warn, x->file, x->line, x->text);
	}
	free(f->list);
	arena_reset(&f->arena);
	return f->errors     ? CONFIG_ERRORS
	       : f->warnings ? CONFIG_WARNINGS
			     : CONFIG_OK;
}

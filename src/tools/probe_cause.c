/*
 * probe_cause: the table, and lists of what was found. Owns nothing:
 * all of it is in an arena.
 */
#include "tools/probe_cause.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/quote.h"

#define QUOTED_MAX 300

const struct probe_row probe_causes[PROBE_NCAUSES] = {
#define X(code, id, name, sentence, remedy) {code, name, sentence, remedy},
    PROBE_CAUSES(X)
#undef X
};

static bool
same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void
probe_find(struct probe_findings *f, struct arena *a, enum probe_cause cause,
    const char *where, const char *detail)
{
	struct probe_finding *n;

	for (n = f->first; n; n = n->next)
		if (n->cause == cause && same(n->where, where) &&
		    same(n->detail, detail))
			return;
	n = arena_alloc(a, sizeof(*n));
	n->cause = cause;
	n->where = arena_dup(a, span_str(where));
	if (detail)
		n->detail = arena_dup(a, span_str(detail));
	if (f->last)
		f->last->next = n;
	else
		f->first = n;
	f->last = n;
}

const char *
probe_printf(struct arena *a, const char *fmt, ...)
{
	char text[1024]; /* names of DNS have 253 octets */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_dup(a, span_str(text));
}

const char *
probe_quote(struct arena *a, const char *before, struct span said)
{
	struct buf text = {0};
	const char *kept;

	buf_append_str(&text, before);
	quote_put(&text, QUOTE_TEXT, QUOTED_MAX, said);
	kept = arena_dup(a, buf_span(&text));
	buf_free(&text);
	return kept;
}

const struct probe_finding *
probe_found(const struct probe_findings *f, enum probe_cause cause)
{
	const struct probe_finding *n = f->first;

	while (n && n->cause != cause)
		n = n->next;
	return n;
}

unsigned
probe_worst(const struct probe_findings *f)
{
	unsigned worst = 0;

	for (const struct probe_finding *n = f->first; n; n = n->next)
		if (probe_causes[n->cause].code > worst)
			worst = probe_causes[n->cause].code;
	return worst;
}

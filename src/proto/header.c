/*
 * header: cut into lists of fields, which edits change; written out again.
 *
 * A field is never changed in place: it is replaced, so that what nobody
 * replaced is what came. Memory is bounded by the header's size, the number of
 * its fields and what edits may bring, replaced fields included.
 */
#include "proto/header.h"

#include <string.h>

#include "base/ascii.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_name(char c)
{
	return c > ' ' && c < 127 && c != ':';
}

static size_t
name_length(struct span s)
{
	size_t n = 0;

	while (n < s.len && is_name(s.ptr[n]))
		n++;
	return n;
}

/* Octets up to the colon, with it, of the field that s begins with. 0: it
 * begins with none; -1: it may become one. Blanks before the colon are obsolete
 * (RFC 5322 4.5), but none the less there. */
static ssize_t
colon(struct span s)
{
	size_t n = name_length(s);

	if (!n && s.len)
		return 0;
	while (n < s.len && is_blank(s.ptr[n]))
		n++;
	if (n == s.len)
		return -1;
	return s.ptr[n] == ':' ? (ssize_t)n + 1 : 0;
}

/* Takes the first line with its end, which may be missing. */
static struct span
take_line(struct span *s)
{
	const char *lf = s->len ? memchr(s->ptr, '\n', s->len) : NULL;
	struct span line = {s->ptr, lf ? (size_t)(lf + 1 - s->ptr) : s->len};

	span_skip(s, line.len);
	return line;
}

ssize_t
header_length(struct span s)
{
	struct span left = s;

	while (left.len) {
		bool folded = left.len < s.len && is_blank(left.ptr[0]);
		ssize_t c = folded ? 1 : colon(left);

		if (c < 0)
			return -1;
		if (c == 0)
			return (ssize_t)(s.len - left.len);
		take_line(&left);
	}
	return -1;
}

/* --- the lists --- */

/* The field that raw is. */
static void
cut(struct header_field *f, struct span raw)
{
	ssize_t c = colon(raw);

	f->raw = raw;
	if (c <= 0)
		return;
	f->name = (struct span){raw.ptr, name_length(raw)};
	f->value = raw;
	span_skip(&f->value, (size_t)c);
	if (f->value.len && raw.ptr[raw.len - 1] == '\n')
		f->value.len--;
}

static struct header_field **
end(struct header_field **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

bool
header_init(struct header *h, struct span block)
{
	struct header_field **last = &h->fields;
	unsigned n = 0;

	*h = (struct header){0};
	block.ptr = arena_dup(&h->arena, block);
	while (block.len) {
		struct span raw = take_line(&block);

		while (block.len && is_blank(block.ptr[0]))
			raw.len += take_line(&block).len;
		if (n++ == HEADER_FIELDS_MAX) {
			header_free(h);
			return false;
		}
		*last = arena_alloc(&h->arena, sizeof(**last));
		cut(*last, raw);
		last = &(*last)->next;
	}
	return true;
}

void
header_free(struct header *h)
{
	arena_reset(&h->arena);
	*h = (struct header){0};
}

/* --- edits --- */

static bool
edit_counts(struct header *h, struct span name)
{
	if (!name.len || name_length(name) < name.len ||
	    h->edits == HEADER_EDITS_MAX)
		return false;
	h->edits++;
	return true;
}

/* The value so that it is one, with its line end. False: it cannot be. */
static bool
fold(struct buf *out, struct span value)
{
	bool more = true;

	for (bool first = true; more; first = false) {
		struct span line = take_line(&value);

		more = line.len && line.ptr[line.len - 1] == '\n';
		if (more && --line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len && (memchr(line.ptr, '\0', line.len) ||
				    memchr(line.ptr, '\r', line.len)))
			return false;
		if (!first && !ascii_trim(line).len)
			continue;
		buf_append(out, "\n", !first);
		buf_append(out, " ", line.len && !is_blank(line.ptr[0]));
		buf_append_span(out, line);
	}
	buf_append(out, "\n", 1);
	return true;
}

static struct header_field *
new_field(struct header *h, struct span name, struct span value, bool above)
{
	struct header_field *f = NULL;
	struct buf raw = {0};

	if (name.len > HEADER_TEXT_MAX || value.len > HEADER_TEXT_MAX)
		return NULL;
	buf_append_span(&raw, name);
	buf_append(&raw, ":", 1);
	if (fold(&raw, value) && raw.len <= HEADER_TEXT_MAX - h->added &&
	    (!above || raw.len <= HEADER_ABOVE_MAX - h->added_above) &&
	    edit_counts(h, name)) {
		f = arena_alloc(&h->arena, sizeof(*f));
		cut(f, (struct span){arena_dup(&h->arena, buf_span(&raw)),
			   raw.len});
		h->added += raw.len;
		h->added_above += above ? raw.len : 0;
	}
	buf_free(&raw);
	return f;
}

static bool
put(struct header *h, struct header_field **at, struct span name,
    struct span value, bool above)
{
	struct header_field *f = new_field(h, name, value, above);

	if (!f)
		return false;
	f->next = *at;
	*at = f;
	return true;
}

bool
header_add(struct header *h, struct span name, struct span value)
{
	return put(h, end(&h->fields), name, value, false);
}

bool
header_insert(struct header *h, unsigned n, struct span name, struct span value)
{
	struct header_field **at = &h->fields;

	if (!n)
		return put(h, &h->above, name, value, true);
	while (--n && *at)
		at = &(*at)->next;
	return put(h, at, name, value, false);
}

/* Where the k-th of a name hangs, or where the list ends; counts k down. */
static struct header_field **
find(struct header_field **list, unsigned *k, struct span name)
{
	for (; *list; list = &(*list)->next)
		if (ascii_equal((*list)->name, name) && !--*k)
			break;
	return list;
}

bool
header_change(struct header *h, unsigned k, struct span name, struct span value)
{
	unsigned left = k ? k : 1;
	struct header_field **at = find(&h->above, &left, name);
	bool above = *at != NULL;

	if (!above)
		at = find(&h->fields, &left, name);
	if (value.len ? !put(h, at, name, value, above) : !edit_counts(h, name))
		return false;
	if (value.len)
		at = &(*at)->next;
	if (*at)
		*at = (*at)->next;
	return true;
}

static bool
take_out(struct header_field **list, const struct header_field *f)
{
	while (*list && *list != f)
		list = &(*list)->next;
	if (!*list)
		return false;
	*list = f->next;
	return true;
}

void
header_delete(struct header *h, const struct header_field *f)
{
	if (!take_out(&h->above, f))
		take_out(&h->fields, f);
}

/* --- and out again --- */

static void
render(const struct header_field *f, struct buf *out)
{
	for (; f; f = f->next) {
		buf_append_span(out, f->raw);
		if (out->data[out->len - 1] != '\n')
			buf_append(out, "\n", 1);
	}
}

void
header_render(const struct header *h, struct buf *out)
{
	render(h->fields, out);
}

void
header_render_above(const struct header *h, struct buf *out)
{
	render(h->above, out);
}

/*
 * A header, cut and edited, against a model that has the same fields in an
 * array: what no edit touched is there octet for octet and in its order, what
 * one brought is one field with its octets, and no edit ends the header. The
 * input is the message's beginning, a NUL, and edits: op, number, name, ':',
 * value, NUL.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/header.h"

#define INPUT  2048
#define FIELDS (INPUT / 2)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* As it came, or as an edit brought it. */
struct field {
	struct span raw;
	struct span name, value;
};

struct model {
	struct field above[FIELDS], below[FIELDS];
	unsigned nabove, nbelow;
};

static void
want(bool so)
{
	if (!so)
		abort();
}

static struct span
take(struct span *s, char end)
{
	const char *at = s->len ? memchr(s->ptr, end, s->len) : NULL;
	struct span r = {s->ptr, at ? (size_t)(at - s->ptr) : s->len};

	span_skip(s, r.len + (at != NULL));
	return r;
}

/* --- the beginning: a second opinion, line by line --- */

/* Of a line without its end: blanks go on with a field, a name begins one. */
static bool
is_of_header(struct span line, bool first)
{
	size_t n = 0;

	if (!first && line.len && (*line.ptr == ' ' || *line.ptr == '\t'))
		return true;
	while (n < line.len && line.ptr[n] != ':' && line.ptr[n] >= '!' &&
	       line.ptr[n] <= '~')
		n++;
	if (!n)
		return false;
	while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
		n++;
	return n < line.len && line.ptr[n] == ':';
}

static size_t
length(struct span all)
{
	struct span left = all;
	size_t at = 0;

	while (left.len && is_of_header(take(&left, '\n'), !at))
		at = all.len - left.len;
	return at;
}

static void
cut(struct model *m, struct span block)
{
	while (block.len) {
		const char *begin = block.ptr;

		take(&block, '\n');
		if (m->nbelow && (*begin == ' ' || *begin == '\t'))
			m->below[m->nbelow - 1].raw.len +=
			    (size_t)(block.ptr - begin);
		else
			m->below[m->nbelow++].raw =
			    (struct span){begin, (size_t)(block.ptr - begin)};
	}
	for (unsigned i = 0; i < m->nbelow; i++) {
		struct span s = m->below[i].raw, name = take(&s, ':');

		while (strchr(" \t", name.ptr[name.len - 1]))
			name.len--;
		m->below[i].name = name;
	}
}

/* --- edits --- */

static void
insert(struct field *list, unsigned *n, unsigned at, const struct field *f)
{
	at = at < *n ? at : *n;
	memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
	list[at] = *f;
	++*n;
}

static bool
change(struct field *list, unsigned *n, unsigned *k, const struct field *f)
{
	for (unsigned i = 0; i < *n; i++) {
		if (list[i].name.len != f->name.len ||
		    strncasecmp(list[i].name.ptr, f->name.ptr, f->name.len) ||
		    --*k)
			continue;
		list[i] = *f;
		if (!f->value.len) {
			memmove(list + i, list + i + 1,
			    (*n - i - 1) * sizeof(*list));
			--*n;
		}
		return true;
	}
	return false;
}

static void
edit(struct header *h, struct model *m, struct span in)
{
	char op = in.len ? in.ptr[0] : 'a';
	unsigned at = in.len > 1 ? (uint8_t)in.ptr[1] - (unsigned)'0' : 0;
	struct field f = {0};

	span_skip(&in, in.len > 1 ? 2 : in.len);
	f.name = take(&in, ':');
	f.value = in;
	if (op == 'c') {
		unsigned k = at ? at : 1;

		if (header_change(h, at, f.name, f.value) &&
		    !change(m->above, &m->nabove, &k, &f) &&
		    !change(m->below, &m->nbelow, &k, &f) && f.value.len)
			insert(m->below, &m->nbelow, UINT32_MAX, &f);
	} else if (op == 'i') {
		if (!header_insert(h, at, f.name, f.value))
			return;
		if (at)
			insert(m->below, &m->nbelow, at - 1, &f);
		else
			insert(m->above, &m->nabove, 0, &f);
	} else if (header_add(h, f.name, f.value)) {
		insert(m->below, &m->nbelow, UINT32_MAX, &f);
	}
}

/* --- and what came of them --- */

static void
put_visible(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(" \t\r\n", s.ptr[i]) || !s.ptr[i])
			buf_append(out, s.ptr + i, 1);
}

static void
check_edited(const struct field *f, const struct header_field *is)
{
	struct buf was = {0}, now = {0};

	want(span_equal(f->name, is->name));
	want(is->raw.ptr[is->name.len] == ':');
	want(is->value.ptr == is->raw.ptr + is->name.len + 1);
	put_visible(&was, f->value);
	put_visible(&now, is->value);
	want(span_equal(buf_span(&was), buf_span(&now)));
	want(!memchr(is->raw.ptr, '\r', is->raw.len));
	buf_free(&was);
	buf_free(&now);
}

static void
check_list(const struct field *list, unsigned n, const struct header_field *f,
    struct buf *all)
{
	for (unsigned i = 0; i < n; i++, f = f->next) {
		want(f != NULL);
		if (list[i].raw.len)
			want(span_equal(list[i].raw, f->raw));
		else
			check_edited(&list[i], f);
		buf_append_span(all, f->raw);
		if (all->data[all->len - 1] != '\n')
			buf_append(all, "\n", 1);
	}
	want(!f);
}

static void
check(const struct header *h, const struct model *m)
{
	struct buf all = {0}, out = {0};

	check_list(m->above, m->nabove, h->above, &all);
	check_list(m->below, m->nbelow, h->fields, &all);
	header_render_above(h, &out);
	header_render(h, &out);
	want(span_equal(buf_span(&all), buf_span(&out)));
	buf_append(&out, "\n", 1);
	want(header_length(buf_span(&out)) == (ssize_t)all.len);
	buf_free(&all);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct model m;
	struct span in = {(const char *)data, n}, block = take(&in, '\0');
	ssize_t len = header_length(block);
	struct header h;

	if (n > INPUT)
		return 0;
	if (len >= 0)
		want((size_t)len == length(block));
	block.len = length(block);
	memset(&m, 0, sizeof(m));
	cut(&m, block);
	want(header_init(&h, block));
	check(&h, &m);
	while (in.len) {
		edit(&h, &m, take(&in, '\0'));
		check(&h, &m);
	}
	header_free(&h);
	return 0;
}

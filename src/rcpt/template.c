/*
 * template: from text to parts, and from parts and values to a path.
 *
 * Pure: asks no file system. What it lets through still meets openat2 with
 * RESOLVE_BENEATH, which trusts none of this.
 */
#include "rcpt/template.h"

#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "dest/maildir.h"

/* Takes one component off the front; false at the end. */
static bool
next_component(struct span *path, struct span *c)
{
	const char *slash;

	while (path->len && path->ptr[0] == '/')
		span_skip(path, 1);
	slash = path->len ? memchr(path->ptr, '/', path->len) : NULL;
	c->ptr = path->ptr;
	c->len = slash ? (size_t)(slash - path->ptr) : path->len;
	span_skip(path, c->len);
	return c->len > 0;
}

static bool
is_dots(struct span c)
{
	return span_equal(c, SPAN_LIT(".")) || span_equal(c, SPAN_LIT(".."));
}

/* Notes the % sequences of c in t; detail: whether it has %t. */
static const char *
scan_component(struct span c, struct template *t, bool *detail)
{
	for (size_t i = 0; i < c.len; i++) {
		if (c.ptr[i] != '%')
			continue;
		switch (++i < c.len ? c.ptr[i] : '\0') {
		case 'u':
			t->user = true;
			break;
		case 'd':
			t->domain = true;
			break;
		case 't':
			*detail = t->detail = true;
			break;
		default:
			return "knows only %u (user), %d (domain) and %t "
			       "(detail) behind a %";
		}
	}
	return NULL;
}

static const char *
check_component(struct span c, bool below_root)
{
	if (c.len > NAME_MAX)
		return "has a component of more than 255 octets";
	if (is_dots(c))
		return "must not have . or .. as a component: write the path "
		       "that is meant";
	if (below_root && maildir_reserved(c))
		return "must not use cur, new or tmp below the first %: every "
		       "mailbox has them inside";
	return NULL;
}

static void
append_component(struct buf *b, struct span c)
{
	if (b->len)
		buf_append(b, "/", 1);
	buf_append_span(b, c);
}

/* An empty path below the root is the root itself. */
static const char *
rel_dup(struct arena *a, const struct buf *b)
{
	return arena_dup(a, b->len ? buf_span(b) : SPAN_LIT("."));
}

static const char *
parse_components(struct span path, struct template *t, struct buf *root,
    struct buf *rel, struct buf *base)
{
	struct span c;
	const char *bad;

	while (next_component(&path, &c)) {
		bool detail = false;

		if (t->detail)
			return "may have %t in its last component only";
		if (!(bad = check_component(c, rel->len > 0)))
			bad = scan_component(c, t, &detail);
		if (bad)
			return bad;
		if (!rel->len && !memchr(c.ptr, '%', c.len)) {
			buf_append(root, "/", 1);
			buf_append_span(root, c);
			continue;
		}
		append_component(rel, c);
		if (!detail)
			append_component(base, c);
	}
	return NULL;
}

const char *
template_parse(const char *text, struct arena *a, struct template *t)
{
	struct buf root = {0}, rel = {0}, base = {0};
	const char *bad;

	*t = (struct template){0};
	if (text[0] != '/')
		return "must be an absolute path, as in /var/mail/%d/%u";
	bad = parse_components(span_str(text), t, &root, &rel, &base);
	if (!bad) {
		t->root =
		    arena_dup(a, root.len ? buf_span(&root) : SPAN_LIT("/"));
		t->rel = rel_dup(a, &rel);
		t->base = rel_dup(a, &base);
	}
	buf_free(&root);
	buf_free(&rel);
	buf_free(&base);
	return bad;
}

static bool
append_value(struct buf *out, const char *value)
{
	if (!value || !maildir_component_valid(value))
		return false;
	buf_append_str(out, value);
	return true;
}

/*
 * One component. Its first octet may be a dot only if the template's is,
 * since no value begins with one.
 */
static bool
fill_component(struct span c, const struct template_values *v, struct buf *out)
{
	size_t from = out->len;
	struct span made;

	for (size_t i = 0; i < c.len; i++) {
		const char *value;

		if (c.ptr[i] != '%') {
			buf_append(out, &c.ptr[i], 1);
			continue;
		}
		i++;
		value = c.ptr[i] == 'u'   ? v->user
			: c.ptr[i] == 'd' ? v->domain
					  : v->detail;
		if (!append_value(out, value))
			return false;
	}
	made = (struct span){out->data + from, out->len - from};
	return made.len <= NAME_MAX && !is_dots(made) &&
	       !maildir_reserved(made);
}

const char *
template_fill(const struct template *t, const struct template_values *v,
    struct arena *a)
{
	struct span rel = span_str(v->detail ? t->rel : t->base);
	struct buf out = {0};
	struct span c;
	bool good = true;
	const char *r = NULL;

	if (span_equal(rel, SPAN_LIT(".")))
		return arena_dup(a, rel);
	while (good && next_component(&rel, &c)) {
		if (out.len)
			buf_append(&out, "/", 1);
		good = fill_component(c, v, &out);
	}
	if (good)
		r = arena_dup(a, buf_span(&out));
	buf_free(&out);
	return r;
}

/*
 * senders: a list of logins, each with its addresses. Lists are short and
 * written by hand: they are walked.
 */
#include "policy/senders.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ascii.h"

struct address {
	const char *local; /* NULL: the whole domain */
	const char *domain;
	struct address *next;
};

struct login {
	const char *name;
	struct address *addresses;
	struct login *next;
};

struct senders {
	struct arena arena;
	struct login *logins;
};

struct senders *
senders_new(void)
{
	struct senders *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	return s;
}

void
senders_free(struct senders **p)
{
	struct senders *s = *p;

	*p = NULL;
	if (!s)
		return;
	arena_reset(&s->arena);
	free(s);
}

static struct login *
find(const struct senders *s, struct span name)
{
	struct login *l = s->logins;

	while (l && !ascii_equal(span_str(l->name), name))
		l = l->next;
	return l;
}

static const char *
add_address(struct senders *s, struct login *l, struct span text)
{
	struct address *a = arena_alloc(&s->arena, sizeof(*a));
	struct smtp_path p;

	if (text.len > 1 && text.ptr[0] == '@') {
		span_skip(&text, 1);
		if (!smtp_domain_valid(text))
			return "behind the @ stands no domain";
		a->domain = arena_dup(&s->arena, text);
	} else {
		if (smtp_mailbox_parse(text, &s->arena, &p) < 0)
			return "write addresses as user@example.org, and "
			       "whole domains as @example.org";
		a->local = p.local;
		a->domain = p.domain;
	}
	a->next = l->addresses;
	l->addresses = a;
	return NULL;
}

const char *
senders_add(struct senders *s, struct span line)
{
	const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
	struct span name = line, rest = line;
	const char *bad = NULL;
	struct login *l;

	if (!colon)
		return "write \"login: address, @domain\"";
	name.len = (size_t)(colon - line.ptr);
	span_skip(&rest, name.len + 1);
	name = ascii_trim(name);
	if (!name.len)
		return "before the colon stands no login";
	if (find(s, name))
		return "this login has a line already: join them";
	l = arena_alloc(&s->arena, sizeof(*l));
	l->name = arena_dup(&s->arena, name);
	l->next = s->logins;
	s->logins = l;
	rest = ascii_trim(rest);
	while (!bad && rest.len) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		struct span one = rest;

		if (comma)
			one.len = (size_t)(comma - rest.ptr);
		span_skip(&rest, one.len + (comma ? 1 : 0));
		bad = add_address(s, l, ascii_trim(one));
	}
	return bad;
}

enum senders_verdict
senders_look(const struct senders *s, const char *login,
    const struct smtp_path *from)
{
	const struct login *l = s ? find(s, span_str(login)) : NULL;

	if (smtp_path_is_null(from))
		return SENDERS_YES;
	if (!l)
		return SENDERS_UNLISTED;
	for (const struct address *a = l->addresses; a; a = a->next) {
		if (!ascii_equal_str(span_str(a->domain), from->domain))
			continue;
		if (!a->local ||
		    ascii_equal_str(span_str(a->local), from->local))
			return SENDERS_YES;
	}
	return SENDERS_NO;
}

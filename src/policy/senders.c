/*
 * senders: a list of logins, each with its addresses. Lists are short and
 * written by hand: they are walked.
 */
#include "policy/senders.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "base/mem.h"
#include "io/idn.h"

/* Domains are kept as idn_key() makes them. */
struct address {
	const char *local; /* NULL: the whole domain */
	const char *domain;
	struct address *next;
};

struct login {
	const char *local;  /* with its @, if it is an address */
	const char *domain; /* or "" */
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
	return mem_new(sizeof(struct senders));
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

/* A login may be an address, and its domain has many spellings. */
static int
split_login(struct span *local, char domain[IDN_MAX + 1])
{
	const char *at =
	    local->len ? memrchr(local->ptr, '@', local->len) : NULL;
	struct span rest = *local;

	domain[0] = '\0';
	if (!at)
		return 0;
	local->len = (size_t)(at - local->ptr) + 1;
	span_skip(&rest, local->len);
	return idn_key(rest, domain);
}

static struct login *
find(const struct senders *s, struct span local, const char *domain)
{
	struct login *l = s->logins;

	while (l && (!ascii_equal(span_str(l->local), local) ||
			strcmp(l->domain, domain) != 0))
		l = l->next;
	return l;
}

static const char *
add_address(struct senders *s, struct login *l, struct span text)
{
	struct address *a = arena_alloc(&s->arena, sizeof(*a));
	char domain[IDN_MAX + 1];
	struct smtp_path p;

	if (text.len > 1 && text.ptr[0] == '@') {
		span_skip(&text, 1);
		if (!smtp_domain_valid(text))
			return "behind the @ stands no domain";
	} else {
		if (smtp_mailbox_parse(text, &s->arena, &p) < 0)
			return "write addresses as user@example.org, and "
			       "whole domains as @example.org";
		a->local = p.local;
		text = span_str(p.domain);
	}
	if (idn_key(text, domain) < 0)
		return "IDNA2008 has no such domain";
	a->domain = arena_dup(&s->arena, span_str(domain));
	a->next = l->addresses;
	l->addresses = a;
	return NULL;
}

static const char *
add_login(struct senders *s, struct span name, struct login **r)
{
	char domain[IDN_MAX + 1];
	struct login *l;

	if (!name.len)
		return "before the colon stands no login";
	if (split_login(&name, domain) < 0)
		return "IDNA2008 has no such domain as the login's";
	if (find(s, name, domain))
		return "this login has a line already: join them";
	l = arena_alloc(&s->arena, sizeof(*l));
	l->local = arena_dup(&s->arena, name);
	l->domain = arena_dup(&s->arena, span_str(domain));
	l->next = s->logins;
	s->logins = *r = l;
	return NULL;
}

const char *
senders_add(struct senders *s, struct span line)
{
	const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
	struct span name = line, rest = line;
	const char *bad;
	struct login *l;

	if (!colon)
		return "write \"login: address, @domain\"";
	name.len = (size_t)(colon - line.ptr);
	span_skip(&rest, name.len + 1);
	bad = add_login(s, ascii_trim(name), &l);
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
	char domain[IDN_MAX + 1];
	struct span local = span_str(login);
	const struct login *l = NULL;

	if (smtp_path_is_null(from))
		return SENDERS_YES;
	if (s && split_login(&local, domain) == 0)
		l = find(s, local, domain);
	if (!l)
		return SENDERS_UNLISTED;
	if (idn_key(span_str(from->domain), domain) < 0)
		return SENDERS_NO;
	for (const struct address *a = l->addresses; a; a = a->next) {
		if (strcmp(a->domain, domain) != 0)
			continue;
		if (!a->local ||
		    ascii_equal_str(span_str(a->local), from->local))
			return SENDERS_YES;
	}
	return SENDERS_NO;
}

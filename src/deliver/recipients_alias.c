/*
 * recipients_alias: lines of aliases, the catch-all, the top-level
 * postmaster. Reads syntax only; where a target leads is recipients_check()'s
 * question, when all domains are known.
 */
#include <string.h>

#include "base/ascii.h"
#include "deliver/tables.h"

/* The index of the first c outside quotes, or s.len. */
static size_t
find_unquoted(struct span s, char c)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.len && (quoted || s.ptr[i] != c); i++) {
		if (s.ptr[i] == '"')
			quoted = !quoted;
		else if (quoted && s.ptr[i] == '\\' && i + 1 < s.len)
			i++;
	}
	return i;
}

/* A local part alone belongs to domain. */
static int
parse_local(struct span s, const char *domain, struct arena *a,
    struct smtp_path *r)
{
	struct buf text = {0};
	int bad;

	buf_append_span(&text, s);
	buf_append_str(&text, "@");
	buf_append_str(&text, domain);
	bad = smtp_mailbox_parse(buf_span(&text), a, r);
	buf_free(&text);
	return bad;
}

/* domain NULL: only a whole address will do. */
static int
parse_target(struct span s, const char *domain, struct arena *a,
    struct smtp_path *r)
{
	if (!smtp_mailbox_parse(s, a, r))
		return 0;
	return domain ? parse_local(s, domain, a, r) : -1;
}

static const char *
parse_targets(struct recipients *r, struct mail_domain *d, struct span s,
    struct alias_target **list)
{
	bool more;

	do {
		struct alias_target *t = arena_alloc(&r->arena, sizeof(*t));
		struct span one = {s.ptr, find_unquoted(s, ',')};

		more = one.len < s.len;
		span_skip(&s, one.len + more);
		one = ascii_trim(one);
		if (!one.len)
			return "needs a target on both sides of each comma: "
			       "write \"name: target, target\"";
		if (parse_target(one, d->name, &r->arena, &t->path) < 0)
			return "has a target that is no address: write a local "
			       "part, or local@domain";
		*list = t;
		list = &t->next;
	} while (more);
	return NULL;
}

const char *
recipients_add_alias(struct recipients *r, struct mail_domain *d,
    const char *line)
{
	struct span s = span_str(line), name = s;
	struct alias_target *targets = NULL;
	struct mail_name *n;
	struct smtp_path p;
	const char *bad;

	name.len = find_unquoted(s, ':');
	if (name.len == s.len)
		return "needs a colon: write \"name: target, target\"";
	span_skip(&s, name.len + 1);
	if (parse_local(ascii_trim(name), d->name, &r->arena, &p) < 0)
		return "needs a local part, without a domain, before its colon";
	bad = parse_targets(r, d, s, &targets);
	if (bad)
		return bad;
	n = recipients_intern(r, d, recipients_key(r, p.local, &r->arena));
	if (n->targets)
		return "is there already: write all its targets on one line";
	n->targets = targets;
	return NULL;
}

/* An alias that no name leads to. */
static const char *
add_nameless(struct recipients *r, const char *domain, const char *address,
    struct mail_name **alias)
{
	struct alias_target *t = arena_alloc(&r->arena, sizeof(*t));

	if (*alias)
		return "is there already";
	if (parse_target(span_str(address), domain, &r->arena, &t->path) < 0)
		return domain ? "must be a local part, or local@domain"
			      : "must be an address, as in root@example.org";
	*alias = arena_alloc(&r->arena, sizeof(**alias));
	(*alias)->name = "";
	(*alias)->targets = t;
	return NULL;
}

const char *
recipients_catch_all(struct recipients *r, struct mail_domain *d,
    const char *address)
{
	return add_nameless(r, d->name, address, &d->catch_all);
}

const char *
recipients_postmaster(struct recipients *r, const char *address)
{
	return add_nameless(r, NULL, address, &r->postmaster);
}

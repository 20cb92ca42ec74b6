/*
 * recipients_add: users, aliases, the catch-all and the top-level postmaster,
 * as the configuration writes them. Where a target leads is the question of
 * recipients_check(), when all domains are known.
 */
#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "io/idn.h"
#include "rcpt/tables.h"

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

/* Has this user its paths? Said when it is added rather than at every RCPT. */
static bool
has_path(const struct mail_domain *d, const char *user)
{
	struct template_values v = {.user = user, .domain = d->name};
	const struct deliver_to *to = d->deliver;
	struct arena a = {0};
	bool r = true;

	for (; to && r; to = to->next)
		r = template_fill(&to->template, &v, &a) != NULL;
	arena_reset(&a);
	return r;
}

static const char wildcard[] = "is no wildcard here: write catch-all";

/* As other servers have them. */
static bool
is_wildcard(struct span s)
{
	return s.len && (s.ptr[0] == '@' || span_equal(s, SPAN_LIT("*")));
}

static const char *
add_user(struct recipients *r, struct mail_domain *d, const char *user,
    struct arena *a)
{
	struct mail_name *n;
	struct smtp_path p;
	const char *key;

	assert(d->deliver);
	if (is_wildcard(span_str(user)))
		return wildcard;
	if (parse_local(span_str(user), d->name, a, &p) < 0)
		return "must be a local part, without its domain, as it is "
		       "written in an address";
	key = recipients_key(r, p.local, a);
	if (!has_path(d, key))
		return "cannot be part of a path: no leading dot, no /, at "
		       "most 200 octets, not cur, new or tmp";
	n = recipients_intern(r, d, key);
	if (!n->user)
		n->user_at = r->at;
	n->user = true;
	return NULL;
}

const char *
recipients_add_user(struct recipients *r, struct mail_domain *d,
    const char *user)
{
	struct arena a = {0};
	const char *bad = add_user(r, d, user, &a);

	arena_reset(&a);
	return bad;
}

const char *
recipients_users_from(struct recipients *r, struct mail_domain *d,
    const char *path)
{
	struct template_values v = {.domain = d->name};
	struct template t;
	const char *bad = template_parse(path, &r->arena, &t);
	const char *rel;
	struct buf full = {0};

	assert(d->deliver);
	if (bad)
		return bad;
	if (t.user || t.detail)
		return "may hold %d only: it is the directory in which each "
		       "user has one";
	rel = template_fill(&t, &v, &r->arena);
	if (!rel)
		return "cannot hold %d for this domain: write the directory";
	buf_printf(&full, "%s/%s", t.root, rel);
	d->users_from = arena_dup(&r->arena, buf_span(&full));
	d->users_from_at = r->at;
	buf_free(&full);
	return NULL;
}

/* domain NULL: only a whole address will do. */
static int
parse_address(struct span s, const char *domain, struct arena *a,
    struct alias_target *t)
{
	char key[IDN_MAX + 1];

	if (smtp_mailbox_parse(s, a, &t->path) < 0 &&
	    (!domain || parse_local(s, domain, a, &t->path) < 0))
		return -1;
	if (idn_key(span_str(t->path.domain), key) < 0)
		return -1;
	t->domain = arena_dup(a, span_str(key));
	return 0;
}

static const char *
parse_destination(struct recipients *r, const char *text,
    struct alias_target *t)
{
	struct deliver_to to;
	const char *bad = recipients_destination(r, text, &to);

	if (!bad && strcmp(to.template.rel, ".") != 0)
		return "would make a mailbox for every name that a stranger "
		       "invents: write a path without %";
	t->dest = bad ? NULL : to.dest;
	return bad;
}

/* otherwise: what is wrong with what is neither. */
static const char *
parse_target(struct recipients *r, const struct mail_domain *d, struct span s,
    const char *otherwise, struct alias_target *t)
{
	const char *text = arena_dup(&r->arena, s);

	if (destination_is_meant(text))
		return parse_destination(r, text, t);
	return parse_address(s, d->name, &r->arena, t) < 0 ? otherwise : NULL;
}

static const char *
parse_targets(struct recipients *r, const struct mail_domain *d, struct span s,
    struct alias_target **list)
{
	const char *bad;
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
		bad = parse_target(r, d, one,
		    "has a target that is no address: write a local part, "
		    "local@domain, or a destination",
		    t);
		if (bad)
			return bad;
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
	if (is_wildcard(ascii_trim(name)))
		return wildcard;
	if (parse_local(ascii_trim(name), d->name, &r->arena, &p) < 0)
		return "needs a local part, without a domain, before its colon";
	bad = parse_targets(r, d, s, &targets);
	if (bad)
		return bad;
	n = recipients_intern(r, d, recipients_key(r, p.local, &r->arena));
	if (n->targets)
		return "is there already: write all its targets on one line";
	n->targets = targets;
	n->alias_at = r->at;
	return NULL;
}

/* One more target of an alias that no name leads to. */
static void
add_nameless(struct recipients *r, struct alias_target *t,
    struct mail_name **alias)
{
	struct alias_target **end;

	if (!*alias) {
		*alias = arena_alloc(&r->arena, sizeof(**alias));
		(*alias)->name = "";
		(*alias)->alias_at = r->at;
	}
	for (end = &(*alias)->targets; *end;)
		end = &(*end)->next;
	*end = t;
}

const char *
recipients_catch_all(struct recipients *r, struct mail_domain *d,
    const char *target)
{
	struct alias_target *t = arena_alloc(&r->arena, sizeof(*t));
	const char *bad = parse_target(r, d, span_str(target),
	    "must be a local part, local@domain, or a destination", t);

	if (!bad)
		add_nameless(r, t, &d->catch_all);
	return bad;
}

const char *
recipients_postmaster(struct recipients *r, const char *address)
{
	struct alias_target *t = arena_alloc(&r->arena, sizeof(*t));

	if (r->postmaster)
		return "is there already";
	if (parse_address(span_str(address), NULL, &r->arena, t) < 0)
		return "must be an address with its domain, as in "
		       "alice@example.org";
	add_nameless(r, t, &r->postmaster);
	return NULL;
}

/*
 * recipients_owns: whose address is this? What a login may use in MAIL FROM
 * when nobody wrote it down. Asks tables only, never the file system.
 */
#include <string.h>

#include "rcpt/tables.h"

/* The part in front of the detail, or all of it. */
static const char *
without_detail(const struct recipients *r, const char *key, struct arena *a)
{
	const char *p =
	    r->options.delimiter ? strchr(key, r->options.delimiter) : NULL;

	if (!p || p == key)
		return key;
	return arena_dup(a, (struct span){key, (size_t)(p - key)});
}

/* One of the names of a user: as it is, or with a detail behind it. */
static bool
is_user(const struct recipients *r, const struct mail_domain *d,
    const char *user, const char *key, struct arena *a)
{
	const struct mail_name *exact = recipients_name(r, d, key);

	if (strcmp(user, key) == 0)
		return true;
	/* alice+x may be somebody else who is called so */
	return !exact && strcmp(user, without_detail(r, key, a)) == 0;
}

/* Not somebody whose mail a catch-all takes: that is another's mailbox. */
static bool
has_mailbox(const struct recipients *r, const struct mail_domain *d,
    const char *user)
{
	const struct mail_name *n = recipients_name(r, d, user);

	return d->users_from || (n && n->user);
}

/* Is one of these mailboxes the user's in this domain? */
static bool
has_target(const struct recipients *r, const struct targets *found,
    const struct mail_domain *home, const char *user, struct arena *a)
{
	struct arena_mark before = arena_mark(a);
	const struct target *t;
	struct walk w;
	bool yes;

	if (!found->n || !has_mailbox(r, home, user))
		return false;
	walk_init(&w, r, a, "", true);
	t = walk_local(&w, home, user) == WALK_OK ? w.found.first : NULL;
	yes = t && targets_have(r, found, t->root, t->path);
	arena_rewind(a, before);
	return yes;
}

/* What an alias leads to; nothing when it is none. */
static struct targets
alias_targets(const struct recipients *r, const struct mail_domain *d,
    const struct mail_name *n, struct arena *a)
{
	struct walk w;

	walk_init(&w, r, a, "", true);
	if (!n || n->user || !n->targets || walk_alias(&w, d, n) != WALK_OK)
		return (struct targets){0};
	return w.found;
}

static bool
owns(const struct recipients *r, const struct mail_domain *home,
    const char *user, const struct mail_domain *d, const char *key,
    const struct targets *found, struct arena *a)
{
	return (home == d && is_user(r, d, user, key, a)) ||
	       has_target(r, found, home, user, a);
}

bool
recipients_owns(const struct recipients *r, const char *login,
    const struct smtp_path *from)
{
	const struct mail_domain *d =
	    from->literal ? NULL : recipients_domain(r, from->domain);
	struct arena a = {0};
	struct smtp_path address;
	struct targets found;
	const char *key;
	bool yes = false;

	if (!d)
		return false;
	key = recipients_key(r, from->local, &a);
	found = alias_targets(r, d, recipients_name(r, d, key), &a);
	if (strchr(login, '@')) {
		const struct mail_domain *home =
		    smtp_mailbox_parse(span_str(login), &a, &address) == 0
			? recipients_domain(r, address.domain)
			: NULL;

		yes =
		    home && owns(r, home, recipients_key(r, address.local, &a),
				d, key, &found, &a);
	} else {
		const char *user = recipients_key(r, login, &a);
		const struct mail_domain *home = r->domains;

		for (; home && !yes; home = home->hh.next)
			yes = owns(r, home, user, d, key, &found, &a);
	}
	arena_reset(&a);
	return yes;
}

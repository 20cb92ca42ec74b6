/*
 * recipients_owns: whose address is this? What a login may use in MAIL FROM
 * when nobody wrote it down. Asks tables only, never the file system.
 */
#include <string.h>

#include "deliver/tables.h"

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

/* Does the alias lead to the user's mailbox in this domain? */
static bool
alias_leads_to(const struct recipients *r, const struct mail_domain *d,
    const struct mail_name *alias, const struct mail_domain *home,
    const char *user, struct arena *a)
{
	struct walk from, to;

	walk_init(&from, r, a, "", true);
	walk_init(&to, r, a, "", true);
	if (!has_mailbox(r, home, user) ||
	    walk_alias(&from, d, alias) != WALK_OK ||
	    walk_local(&to, home, user) != WALK_OK || !to.found)
		return false;
	return targets_have(from.found, to.found->root, to.found->path);
}

static bool
owns(const struct recipients *r, const struct mail_domain *home,
    const char *user, const struct mail_domain *d, const char *key,
    struct arena *a)
{
	const struct mail_name *n = recipients_name(r, d, key);

	if (home == d && is_user(r, d, user, key, a))
		return true;
	return n && !n->user && n->targets &&
	       alias_leads_to(r, d, n, home, user, a);
}

bool
recipients_owns(const struct recipients *r, const char *login,
    const struct smtp_path *from)
{
	const struct mail_domain *d =
	    from->literal ? NULL : recipients_domain(r, from->domain);
	struct arena a = {0};
	struct smtp_path address;
	const char *key;
	bool yes = false;

	if (!d)
		return false;
	key = recipients_key(r, from->local, &a);
	if (strchr(login, '@')) {
		const struct mail_domain *home =
		    smtp_mailbox_parse(span_str(login), &a, &address) == 0
			? recipients_domain(r, address.domain)
			: NULL;

		yes =
		    home && owns(r, home, recipients_key(r, address.local, &a),
				d, key, &a);
	} else {
		const char *user = recipients_key(r, login, &a);

		for (const struct mail_domain *home = r->domains; home && !yes;
		     home = home->hh.next)
			yes = owns(r, home, user, d, key, &a);
	}
	arena_reset(&a);
	return yes;
}

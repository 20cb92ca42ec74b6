/*
 * recipients_owns: whose address is this? What a login may use in MAIL FROM
 * when nobody wrote it down. Asks tables only, never the file system.
 */
#include <string.h>

#include "rcpt/tables.h"

/* One of the names of a user: as it is, or with a detail behind it. */
static bool
is_user(const struct recipients *r, const struct mail_domain *d,
    const char *user, const char *key)
{
	const char *detail = recipients_detail(r, key);
	size_t n = strlen(user);

	if (strcmp(user, key) == 0)
		return true;
	/* alice+x may be somebody else who is called so */
	return detail && (size_t)(detail - key) == n + 1 &&
	       memcmp(user, key, n) == 0 && !recipients_name(r, d, key);
}

/* Then whoever is behind it has a mailbox for each name. */
static bool
catches_all(const struct mail_domain *d)
{
	const struct alias_target *t =
	    d->catch_all ? d->catch_all->targets : NULL;

	while (t && !(t->dest && t->dest->kind->remote))
		t = t->next;
	return t != NULL;
}

/* Not somebody whose mail a catch-all takes into another's mailbox. */
static bool
has_mailbox(const struct recipients *r, const struct mail_domain *d,
    const char *user)
{
	const struct mail_name *n = recipients_name(r, d, user);

	return d->users_from || (n ? n->user : catches_all(d));
}

/* Are the user's mailboxes in this domain, all of them, among these? */
static bool
has_target(const struct recipients *r, const struct targets *found,
    const struct mail_domain *home, const char *user, struct arena *a)
{
	struct arena_mark before = arena_mark(a);
	unsigned n = 0; /* of mailboxes: who has none has none in common */
	const struct smtp_path at = {.local = user, .domain = home->name};
	const struct target *t;
	struct walk w;
	bool yes;

	if (!found->n || !has_mailbox(r, home, user))
		return false;
	walk_init(&w, r, a, "", true);
	yes = walk_local(&w, home, &at) == WALK_OK;
	for (t = w.found.first; t && yes; t = t->next) {
		yes = targets_have(r, found, t);
		n += t->dest->kind->place || t->dest->kind->remote;
	}
	arena_rewind(a, before);
	return yes && n;
}

/* What an alias leads to; nothing when it is none. */
static struct targets
alias_targets(const struct recipients *r, const struct mail_domain *d,
    const struct mail_name *n, const struct smtp_path *from, struct arena *a)
{
	struct walk w;

	walk_init(&w, r, a, "", true);
	w.at = from;
	if (!n || n->user || !n->targets || walk_alias(&w, d, n) != WALK_OK)
		return (struct targets){0};
	return w.found;
}

static bool
owns(const struct recipients *r, const struct mail_domain *home,
    const char *user, const struct mail_domain *d, const char *key,
    const struct targets *found, struct arena *a)
{
	return (home == d && is_user(r, d, user, key)) ||
	       has_target(r, found, home, user, a);
}

bool
recipients_owns(const struct recipients *r, const char *login,
    const struct smtp_path *from)
{
	const struct mail_domain *d = recipients_domain(r, from->domain);
	struct arena a = {0};
	struct smtp_path address;
	struct targets found;
	const char *key;
	bool yes = false;

	if (!d)
		return false;
	key = recipients_key(r, from->local, &a);
	found = alias_targets(r, d, recipients_name(r, d, key), from, &a);
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

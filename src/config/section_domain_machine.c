/*
 * section_domain_machine: what is no fault of the file: whose directories the
 * mailboxes are in.
 */
#include <pwd.h>
#include <string.h>

#include "config/file.h"
#include "config/section_domain.h"

#define PEOPLE_FROM 1000 /* the first uid of somebody who logs in */
#define PEOPLE_TO   60000

/* Is one of them the other, or above it? */
static bool
are_nested(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	size_t n = na < nb ? na : nb;

	return memcmp(a, b, n) == 0 &&
	       (na == nb || (na > nb ? a : b)[n] == '/');
}

/* Where people live: those whose home is there, or whose home it is in. */
static bool
is_home(const struct config_all *all, const char *root)
{
	const struct passwd *pw;
	bool found = strcmp(root, "/home") == 0 ||
		     strncmp(root, "/home/", strlen("/home/")) == 0;

	setpwent();
	while (!found && (pw = getpwent()))
		found = pw->pw_uid >= PEOPLE_FROM && pw->pw_uid < PEOPLE_TO &&
			strlen(pw->pw_dir) > 1 &&
			strcmp(pw->pw_name, all->pub.user) != 0 &&
			are_nested(root, pw->pw_dir);
	endpwent();
	return found;
}

/* Does a destination in this value have that root? */
static bool
leads_to(const char *value, const char *root)
{
	const char *at = value;

	while ((at = strstr(at, root))) {
		if (at > value && at[-1] == ':' &&
		    strchr("/, \t", at[strlen(root)]))
			return true;
		at++;
	}
	return false;
}

static const struct config_item *
find_root(const struct config_list *l, const char *root)
{
	for (unsigned i = 0; i < l->n; i++)
		if (leads_to(l->items[i].text, root))
			return &l->items[i];
	return NULL;
}

/* The first block whose mail goes there. */
static struct config_item
where_root(const struct config_all *all, const char *root)
{
	static const char *const with[] = {"deliver", "catch-all", "aliases"};
	const struct config_block *b = config_block_first(all, &section_domain);
	const struct config_item *item = NULL;

	for (; b && !item; b = config_block_next(b)) {
		const struct domain_block *data = b->data;

		for (unsigned i = 0; i < 3 && !item; i++)
			item = find_root(config_values(b, with[i]), root);
		if (!item)
			item = find_root(&data->aliases, root);
	}
	return item ? *item : config_where(all->top, "spool");
}

void
domain_machine(const struct config_all *all, struct config_faults *f)
{
	const struct destination *place;
	unsigned i = 0;

	while ((place = recipients_place(all->pub.deliver.recipients, i++))) {
		const char *root = place->root.path;
		struct config_item at = where_root(all, root);

		config_check_directory(all, f, &at, root);
		if (is_home(all, root))
			config_warn(f, at.file, at.line,
			    "%s: system users have their homes there, but all "
			    "mailboxes belong to user %.80s: theirs take LMTP, "
			    "catch-all = \"lmtp:/run/dovecot/lmtp\"; or write "
			    "deliver = \"maildir:/var/lib/smtpd/mail/%%d/%%u\"",
			    root, all->pub.user);
	}
}

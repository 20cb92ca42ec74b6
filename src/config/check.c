/*
 * config_check: what is no fault of the file, but of the machine that it is
 * for: asked by -n, before a start asks in earnest.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/tree.h"

#define PEOPLE_FROM 1000 /* the first uid of somebody who logs in */
#define PEOPLE_TO   60000

/* --- the user --- */

const char *
identity_make(const char *key, const char *name, char help[IDENTITY_HELP])
{
	const char *make =
	    key[0] == 'u'
		? "useradd --system --user-group --no-create-home --home-dir / "
		  "--shell /usr/sbin/nologin"
		: "groupadd --system";

	snprintf(help, IDENTITY_HELP, "make it: %s %.60s", make, name);
	return help;
}

/* root: has its rights; only who is root can become anybody. */
static void
fault_identity(struct config_all *all, struct config_faults *f, const char *key,
    const char *name, bool root)
{
	struct config_item at = config_where(all->top, key);
	const char *file = at.file ? at.file : all->pub.file;
	char help[IDENTITY_HELP];

	if (root)
		config_error(f, file, at.line, "%s = \"%.80s\": " IDENTITY_ROOT,
		    key, name);
	else if (geteuid() == 0)
		config_warn(f, file, at.line, "%s \"%.80s\" is missing: %s",
		    key, name, identity_make(key, name, help));
}

static void
check_identity(struct config_all *all, struct config_faults *f)
{
	const char *group = all->pub.group;
	const struct passwd *pw = getpwnam(all->pub.user);
	const struct group *gr;

	if (!pw || !pw->pw_uid || (!pw->pw_gid && !group))
		fault_identity(all, f, "user", all->pub.user, pw != NULL);
	if (!group)
		return;
	gr = getgrnam(group);
	if (!gr || !gr->gr_gid)
		fault_identity(all, f, "group", group, gr != NULL);
}

/* --- directories --- */

static void
check_directory(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
		config_error(f, at->file ? at->file : all->pub.file, at->line,
		    "%s: others than user %.80s can write there: name a "
		    "directory that is its alone",
		    path, all->pub.user);
}

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

/* The first block whose mail goes there. */
static struct config_item
where_root(const struct config_all *all, const char *root)
{
	const struct config_block *b = all->blocks;
	size_t n = strlen(root);

	for (; b; b = b->next) {
		const struct config_domain_block *data = b->data;
		const char *path;

		if (b->section != &config_sections[SECTION_DOMAIN])
			continue;
		path = data->deliver + strlen("maildir:");
		if (!strncmp(path, root, n) && strchr("/", path[n]))
			return config_where(b, "deliver");
	}
	return config_where(all->top, "spool");
}

static void
check_roots(const struct config_all *all, struct config_faults *f)
{
	const struct maildir_root *root;
	unsigned i = 0;

	while ((root = recipients_root(all->pub.deliver.recipients, i++))) {
		struct config_item at = where_root(all, root->path);

		check_directory(all, f, &at, root->path);
		if (is_home(all, root->path))
			config_warn(f, at.file, at.line,
			    "%s: system users have their homes there, but all "
			    "mailboxes belong to user %.80s: theirs take LMTP, "
			    "which this version does not speak yet; write "
			    "deliver = \"maildir:/var/lib/smtpd/mail/%%d/%%u\"",
			    root->path, all->pub.user);
	}
}

enum config_status
config_check(struct config *c, config_fault_fn *fault, void *ctx)
{
	struct config_all *all = (struct config_all *)c;
	struct config_faults f = {.fn = fault, .ctx = ctx, .main = c->file};
	struct config_item spool = config_where(all->top, "spool");
	struct config_item failed = config_where(all->top, "failed");
	struct stat st;
	enum config_status status;

	check_identity(all, &f);
	check_directory(all, &f, &spool, c->spool);
	if (!all->failed_by_default)
		check_directory(all, &f, &failed, c->failed);
	check_roots(all, &f);
	if (stat(c->file, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
		config_warn(&f, c->file, 0,
		    "others can write this file: chmod go-w");
	status = f.errors     ? CONFIG_ERRORS
		 : f.warnings ? CONFIG_WARNINGS
			      : CONFIG_OK;
	config_faults_show(&f);
	return status;
}

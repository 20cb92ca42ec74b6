/*
 * recipients_walk: from a local part to mailboxes, through aliases.
 *
 * The order in which a name is looked up is in find(), once, for addresses
 * and for the targets of aliases alike: exact user, exact alias, user and
 * alias without the detail; for postmaster the top-level one; catch-all. So
 * an alias whose target is nobody's falls to the catch-all of the target's
 * domain, if it has one, as any address there would.
 *
 * An alias is expanded once per walk: a second way to it leads to the same
 * mailboxes, and the work is bounded by the size of the tables.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "io/beneath.h"
#include "rcpt/tables.h"

#define SEEN_MAX 1000 /* aliases in one walk */

/* A tree that branches by the bits of the alias's address. */
struct walk_seen {
	const struct mail_name *alias;
	struct walk_seen *below[2];
};

struct found {
	const char *user;   /* %u */
	const char *detail; /* %t, or NULL */
	const char *maybe;  /* in a dry walk: a directory may make it a user */
	bool seen;          /* a directory did make it a user */
	const struct mail_name *alias;
};

void
walk_init(struct walk *w, const struct recipients *r, struct arena *arena,
    const char *address, bool dry)
{
	*w = (struct walk){.r = r, .arena = arena, .address = address};
	w->dry = dry;
}

/* Has users-from this directory? 1, 0 or -1. */
static int
has_directory(const struct mail_domain *d, const char *user)
{
	int dir = open(d->users_from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	r = beneath_is_dir(dir, user);
	close(dir);
	return r;
}

/* A file system makes lost+found, and nobody meant it. */
static bool
may_be_user(const char *key)
{
	return maildir_component_valid(key) && strcmp(key, "lost+found") != 0;
}

/* One key: user, then alias. WALK_NOBODY when it is neither. */
static enum walk_result
match(struct walk *w, const struct mail_domain *d, const char *key,
    struct found *f)
{
	const struct mail_name *n = recipients_name(w->r, d, key);
	int there = n && n->user;

	if (!there && d->users_from && may_be_user(key)) {
		if (!w->dry)
			there = has_directory(d, key);
		else if (!f->maybe)
			f->maybe = key;
	}
	if (there < 0)
		return WALK_AGAIN;
	if (there) {
		f->user = key;
		f->seen = !n || !n->user;
	} else if (n && n->targets)
		f->alias = n;
	return f->user || f->alias ? WALK_OK : WALK_NOBODY;
}

/* Behind the first delimiter, if something stands before it. */
static const char *
find_detail(const struct recipients *r, const char *local)
{
	const char *at =
	    r->options.delimiter ? strchr(local, r->options.delimiter) : NULL;

	return at && at != local ? at + 1 : NULL;
}

static enum walk_result
find(struct walk *w, const struct mail_domain *d, const char *local,
    struct found *f)
{
	char *key = arena_dup(w->arena, span_str(local));
	const char *detail = find_detail(w->r, local);
	enum walk_result r;

	r = match(w, d, recipients_key(w->r, key, w->arena), f);
	if (r == WALK_NOBODY && detail) {
		key[detail - local - 1] = '\0';
		r = match(w, d, recipients_key(w->r, key, w->arena), f);
		if (detail[0])
			f->detail = detail;
	}
	if (r == WALK_NOBODY && w->r->postmaster &&
	    smtp_path_is_postmaster(&(struct smtp_path){.local = local}))
		f->alias = w->r->postmaster;
	else if (r == WALK_NOBODY)
		f->alias = d->catch_all;
	return f->alias ? WALK_OK : r;
}

static enum walk_result
add_target(struct walk *w, const struct mail_domain *d, const char *path)
{
	const struct target t = {.root = d->root,
	    .path = path,
	    .address = w->address,
	    .domain = d};

	targets_add(w->r, &w->found, &t, w->arena);
	return w->found.n > RECIPIENTS_EXPAND_MAX ? WALK_WIDE : WALK_OK;
}

/* The user's mailbox, or the folder of the detail where that exists. */
static enum walk_result
add_user(struct walk *w, const struct mail_domain *d, const struct found *f)
{
	struct template_values v = {f->user, d->name, NULL};
	const char *path = template_fill(&d->template, &v, w->arena);
	const char *folder = NULL;
	int there = 0;

	if (path && f->seen && maildir_access(d->root, path) < 0)
		return WALK_SHUT;
	v.detail = f->detail;
	if (v.detail && d->template.detail && !w->dry)
		folder = template_fill(&d->template, &v, w->arena);
	if (folder)
		there = maildir_exists(d->root, folder);
	if (there < 0)
		return WALK_AGAIN;
	if (there)
		path = folder;
	return path ? add_target(w, d, path) : WALK_NOBODY;
}

static bool
was_seen(struct walk *w, const struct mail_name *alias)
{
	struct walk_seen **at = &w->seen;
	uint64_t bits = (uintptr_t)alias * POINTER_MIX;

	while (*at && (*at)->alias != alias) {
		at = &(*at)->below[bits >> 63];
		bits <<= 1;
	}
	if (*at)
		return true;
	*at = arena_alloc(w->arena, sizeof(**at));
	(*at)->alias = alias;
	w->nseen++;
	return false;
}

static bool
is_on_path(const struct walk *w, const struct mail_name *alias)
{
	for (unsigned i = 0; i < w->depth; i++) {
		if (w->path[i] == alias)
			return true;
	}
	return false;
}

static enum walk_result
walk_target(struct walk *w, const struct alias_target *t)
{
	const struct mail_domain *d = recipients_domain(w->r, t->domain);
	enum walk_result r = d ? walk_local(w, d, t->path.local) : WALK_FOREIGN;

	if (r != WALK_OK && !w->culprit)
		w->culprit = &t->path;
	return r;
}

enum walk_result
walk_alias(struct walk *w, const struct mail_domain *d,
    const struct mail_name *alias)
{
	enum walk_result r = WALK_OK;
	const struct alias_target *t;

	if (is_on_path(w, alias)) /* a catch-all that does not catch its own */
		return alias == d->catch_all ? WALK_NOBODY : WALK_LOOP;
	if (was_seen(w, alias))
		return WALK_OK;
	if (w->depth == RECIPIENTS_DEPTH_MAX)
		return WALK_DEEP;
	if (w->nseen > SEEN_MAX)
		return WALK_WIDE;
	w->path[w->depth++] = alias;
	for (t = alias->targets; t && r == WALK_OK; t = t->next)
		r = walk_target(w, t);
	w->depth--;
	return r;
}

/*
 * A name that a directory may make a user is taken to be one; what it would
 * lead to without that directory is walked as well, but for a catch-all that
 * leads to this very name.
 */
static enum walk_result
walk_maybe(struct walk *w, const struct mail_domain *d, const struct found *f)
{
	const struct found maybe = {.user = f->maybe};
	enum walk_result r = add_user(w, d, &maybe);

	if (r != WALK_OK || !f->alias ||
	    (f->alias == d->catch_all && is_on_path(w, f->alias)))
		return r;
	return walk_alias(w, d, f->alias);
}

enum walk_result
walk_local(struct walk *w, const struct mail_domain *d, const char *local)
{
	struct found f = {0};
	enum walk_result r = find(w, d, local, &f);

	if (f.maybe)
		return walk_maybe(w, d, &f);
	if (f.user)
		return add_user(w, d, &f);
	if (f.alias)
		return walk_alias(w, d, f.alias);
	return r;
}

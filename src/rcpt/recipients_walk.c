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
 * mailboxes, and the work is bounded by the size of the tables. Only its own
 * remote destinations are given that other address as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
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

/* May the file system be asked? If not, the walk is unsure from here on. */
static bool
may_ask(struct walk *w)
{
	w->unsure = w->dry;
	return !w->dry;
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
		if (may_ask(w))
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

static enum walk_result
find(struct walk *w, const struct mail_domain *d, const char *local,
    struct found *f)
{
	char *key = arena_dup(w->arena, span_str(local));
	const char *detail = recipients_detail(w->r, local);
	enum walk_result r;

	r = match(w, d, recipients_key(w->r, key, w->arena), f);
	if (r == WALK_NOBODY && detail) {
		key[detail - local - 1] = '\0';
		r = match(w, d, recipients_key(w->r, key, w->arena), f);
		f->detail = detail;
	}
	if (r == WALK_NOBODY && w->r->postmaster &&
	    smtp_path_is_postmaster(&(struct smtp_path){.local = local}))
		f->alias = w->r->postmaster;
	else if (r == WALK_NOBODY)
		f->alias = d->catch_all;
	return f->alias ? WALK_OK : r;
}

/* What a route is given: the address that is looked up, with this local part.
 */
static const char *
format_to(struct walk *w, const char *local)
{
	struct smtp_path p = *w->at;
	char *domain = arena_dup(w->arena, span_str(p.domain));

	ascii_fold(domain, strlen(domain));
	p.local = local;
	p.domain = domain;
	return smtp_path_text(&p, w->arena);
}

/* path: below its root; or NULL, and local is what it is given. */
static enum walk_result
add_target(struct walk *w, const struct mail_domain *d,
    const struct destination *dest, const char *path, const char *local)
{
	const struct target t = {.dest = dest,
	    .path = path,
	    .to = path ? NULL : format_to(w, local),
	    .address = w->address,
	    .domain = d};

	targets_add(w->r, &w->found, &t, w->arena);
	return w->found.n > RECIPIENTS_EXPAND_MAX ? WALK_WIDE : WALK_OK;
}

/* The user's mailbox, or the folder of the detail where that exists. */
static enum walk_result
add_mailbox(struct walk *w, const struct mail_domain *d,
    const struct deliver_to *to, const struct found *f)
{
	struct template_values v = {f->user, d->name, NULL};
	const char *path = template_fill(&to->template, &v, w->arena);
	const char *folder = NULL;
	int there = 0;

	if (path && f->seen && to->dest->kind->place &&
	    maildir_access(&to->dest->root, path) < 0)
		return WALK_SHUT;
	v.detail = f->detail;
	if (v.detail && to->template.detail)
		folder = template_fill(&to->template, &v, w->arena);
	if (folder && may_ask(w))
		there = maildir_exists(&to->dest->root, folder);
	if (there < 0)
		return WALK_AGAIN;
	if (there)
		path = folder;
	return path ? add_target(w, d, to->dest, path, NULL) : WALK_NOBODY;
}

/* Its key, and what stands behind it as it was written. */
static const char *
with_detail(struct walk *w, const struct found *f)
{
	struct buf text = {0};
	const char *r = f->user;

	if (!f->detail)
		return r;
	buf_printf(&text, "%s%c%s", f->user, w->r->options.delimiter,
	    f->detail);
	r = arena_dup(w->arena, buf_span(&text));
	buf_free(&text);
	return r;
}

/* A copy for each of the domain's destinations. */
static enum walk_result
add_user(struct walk *w, const struct mail_domain *d, const struct found *f)
{
	const struct deliver_to *to = d->deliver;
	enum walk_result r = WALK_OK;

	for (; to && r == WALK_OK; to = to->next)
		r = to->dest->kind->remote
			? add_target(w, d, to->dest, NULL, with_detail(w, f))
			: add_mailbox(w, d, to, f);
	return r;
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
walk_address(struct walk *w, const struct alias_target *t)
{
	const struct mail_domain *d = recipients_domain(w->r, t->domain);

	return d ? walk_local(w, d, &t->path) : WALK_FOREIGN;
}

/* d: whose alias it is. */
static enum walk_result
walk_target(struct walk *w, const struct mail_domain *d,
    const struct alias_target *t)
{
	const char *path = t->dest && t->dest->kind->remote ? NULL : ".";
	enum walk_result r = t->dest
				 ? add_target(w, d, t->dest, path, w->at->local)
				 : walk_address(w, t);

	if (r != WALK_OK && !w->culprit)
		w->culprit = t;
	return r;
}

/* The alias has been expanded for another address. */
static enum walk_result
walk_again(struct walk *w, const struct mail_domain *d,
    const struct mail_name *alias)
{
	const struct alias_target *t = alias->targets;
	enum walk_result r = WALK_OK;

	for (; t && r == WALK_OK; t = t->next)
		if (t->dest && t->dest->kind->remote)
			r = walk_target(w, d, t);
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
		return walk_again(w, d, alias);
	if (w->depth == RECIPIENTS_DEPTH_MAX)
		return WALK_DEEP;
	if (w->nseen > SEEN_MAX)
		return WALK_WIDE;
	w->path[w->depth++] = alias;
	for (t = alias->targets; t && r == WALK_OK; t = t->next)
		r = walk_target(w, d, t);
	w->depth--;
	return r;
}

struct rcpt_origin
walk_origin(struct walk *w, const struct mail_domain *d,
    const struct smtp_path *p)
{
	struct found f = {0};
	const struct mail_name *n;

	find(w, d, p->local, &f);
	n = f.user ? recipients_name(w->r, d, f.user) : f.alias;
	if (f.user && f.seen)
		return (
		    struct rcpt_origin){"directory", f.user, d->users_from_at};
	if (f.user)
		return (struct rcpt_origin){"user", f.user, n->user_at};
	if (!n)
		return (struct rcpt_origin){.what = NULL};
	if (n == w->r->postmaster)
		return (struct rcpt_origin){"postmaster", NULL, n->alias_at};
	if (n == d->catch_all)
		return (struct rcpt_origin){"catch-all", NULL, n->alias_at};
	return (struct rcpt_origin){"alias", n->name, n->alias_at};
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

static enum walk_result
walk_at(struct walk *w, const struct mail_domain *d)
{
	struct found f = {0};
	enum walk_result r = find(w, d, w->at->local, &f);

	if (f.maybe)
		return walk_maybe(w, d, &f);
	if (f.user)
		return add_user(w, d, &f);
	if (f.alias)
		return walk_alias(w, d, f.alias);
	return r;
}

enum walk_result
walk_local(struct walk *w, const struct mail_domain *d,
    const struct smtp_path *at)
{
	const struct smtp_path *before = w->at;
	enum walk_result r;

	w->at = at;
	r = walk_at(w, d);
	w->at = before;
	return r;
}

/*
 * recipients_check: walks every alias dry before the first client comes, so
 * that whoever wrote the configuration hears of a fault, not a sender.
 */
#include "rcpt/tables.h"

struct check {
	const struct recipients *r;
	recipients_fault_fn *fault;
	void *ctx;
	unsigned errors;
};

static void
report(struct check *c, bool warn, const char *domain, const char *name,
    const char *text)
{
	if (!warn)
		c->errors++;
	c->fault(c->ctx, warn, domain, name, text);
}

/* Said behind the target at which the walk ended. */
static const char *
walk_text(enum walk_result r)
{
	static const char foreign[] =
	    "leads to another domain: mail of strangers is never sent on; "
	    "forward from the mailbox (Sieve), or name a destination";
	static const char *const texts[] = {
	    [WALK_OK] = "",
	    [WALK_NOBODY] = "leads to nobody: add that user or alias",
	    [WALK_FOREIGN] = foreign,
	    [WALK_LOOP] = "leads back to where it came from",
	    [WALK_DEEP] = "is more than 10 aliases deep",
	    [WALK_WIDE] = "makes it more than 100 mailboxes",
	    [WALK_AGAIN] = "cannot be looked up",
	    [WALK_SHUT] = "cannot take mail",
	};

	return texts[r];
}

_Static_assert(RECIPIENTS_DEPTH_MAX == 10 && RECIPIENTS_EXPAND_MAX == 100,
    "walk_text names the limits");

static const char *
shown(const struct destination *d)
{
	return d->route ? d->route->shown : d->text;
}

/* what: how the reader knows it, "alias target". */
static void
check_alias(struct check *c, const char *what, const struct mail_domain *d,
    const struct mail_name *alias, const char *domain, const char *name)
{
	struct arena a = {0};
	struct buf text = {0};
	struct walk w;
	enum walk_result r;

	walk_init(&w, c->r, &a, "", true);
	w.at = &(struct smtp_path){.local = alias->name, .domain = d->name};
	r = walk_alias(&w, d, alias);
	if (r != WALK_OK) {
		buf_printf(&text, "%s ", what);
		if (w.culprit->dest)
			buf_append_str(&text, shown(w.culprit->dest));
		else
			smtp_path_format(&w.culprit->path, &text);
		buf_printf(&text, " %s%c", walk_text(r), '\0');
		report(c, false, domain, name, text.data);
	}
	buf_free(&text);
	arena_reset(&a);
}

static void
check_name(struct check *c, const struct mail_domain *d,
    const struct mail_name *n)
{
	if (!n->targets)
		return;
	if (n->user)
		report(c, true, d->name, n->name,
		    "is a user as well, who gets this mail: the alias is "
		    "never used");
	else
		check_alias(c, "alias target", d, n, d->name, n->name);
}

/* Does anything take mail for this name, whatever the directories say? */
static bool
is_taken(const struct check *c, const struct mail_domain *d, const char *name)
{
	const struct mail_name *n = recipients_name(c->r, d, name);

	return (n && (n->user || n->targets)) || d->catch_all;
}

static void
check_domain(struct check *c, const struct mail_domain *d)
{
	for (const struct mail_name *n = d->names; n; n = n->hh.next)
		check_name(c, d, n);
	if (d->catch_all)
		check_alias(c, "catch-all", d, d->catch_all, d->name, NULL);
	if (!c->r->postmaster && !is_taken(c, d, "postmaster"))
		report(c, false, d->name, NULL,
		    "has no postmaster: add the alias \"postmaster: user\", "
		    "or postmaster = \"user@domain\" for all domains");
	if (!d->users_from && !is_taken(c, d, "abuse"))
		report(c, true, d->name, NULL,
		    "has no abuse address: add the alias \"abuse: user\"");
}

unsigned
recipients_check(const struct recipients *r, recipients_fault_fn *fault,
    void *ctx)
{
	struct check c = {.r = r, .fault = fault, .ctx = ctx};

	for (const struct mail_domain *d = r->domains; d; d = d->hh.next)
		check_domain(&c, d);
	if (r->postmaster && r->domains)
		check_alias(&c, "postmaster", r->domains, r->postmaster, "",
		    "postmaster");
	return c.errors;
}

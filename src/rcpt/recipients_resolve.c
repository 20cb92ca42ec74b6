/*
 * recipients_resolve: an address of a client to the mailboxes of a message.
 * All or nothing: there are targets only when every one was found.
 */
#include <string.h>

#include "base/ascii.h"
#include "rcpt/tables.h"

/* Is this the server itself, by name or by address? */
static bool
is_server(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server)
{
	struct ipaddr ip;

	if (!p->literal)
		return recipients_host(r, p->domain);
	return smtp_literal_parse(span_str(p->domain), &ip) == 0 &&
	       ipaddr_equal(&ip, server);
}

/*
 * In whose tables the address is looked up, and as what. <postmaster> is that
 * of the first domain, and so are postmaster and abuse of the server.
 */
static const struct mail_domain *
domain_of(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server, struct smtp_path *at)
{
	const struct mail_domain *d = recipients_domain(r, p->domain);
	bool postmaster = smtp_path_is_postmaster(p);

	*at = *p;
	if (d || (!postmaster && !ascii_equal_str(span_str(p->local), "abuse")))
		return d;
	if (!r->domains ||
	    !(p->domain[0] ? is_server(r, p, server) : postmaster))
		return NULL;
	*at = (struct smtp_path){.local = "postmaster",
	    .domain = r->domains->name};
	return r->domains;
}

static enum rcpt_result
rcpt_result(enum walk_result r)
{
	switch (r) {
	case WALK_OK:
		return RCPT_OK;
	case WALK_SHUT:
		return RCPT_SHUT;
	case WALK_NOBODY:
		return RCPT_UNKNOWN;
	case WALK_FOREIGN:
	case WALK_LOOP:
	case WALK_DEEP:
	case WALK_WIDE: /* recipients_check() refuses such tables */
	case WALK_AGAIN:
		break;
	}
	return RCPT_AGAIN;
}

enum rcpt_result
recipients_resolve(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server, enum rcpt_how how, struct arena *a,
    struct targets *found)
{
	struct smtp_path at, whole = *p;
	const struct mail_domain *d = domain_of(r, p, server, &at);
	enum rcpt_result result;
	struct walk w;

	if (!d)
		return RCPT_FOREIGN;
	if (!whole.domain[0])
		whole.domain = d->name;
	walk_init(&w, r, a, smtp_path_text(&whole, a), how == RCPT_LOOK);
	result = rcpt_result(walk_local(&w, d, &at));
	if (w.unsure)
		return RCPT_LIVE;
	if (result == RCPT_OK)
		*found = w.found;
	return result;
}

struct rcpt_origin
recipients_origin(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server, struct arena *a)
{
	struct smtp_path at;
	const struct mail_domain *d = domain_of(r, p, server, &at);
	struct walk w;

	if (!d)
		return (struct rcpt_origin){.what = NULL};
	walk_init(&w, r, a, "", false);
	return walk_origin(&w, d, &at);
}

bool
recipients_instead(const struct recipients *r, struct targets *s,
    const struct target *t, struct arena *a)
{
	struct targets all = {0};
	struct walk w;

	if (!r->postmaster)
		return false;
	walk_init(&w, r, a, t->address, true);
	if (walk_alias(&w, r->domains, r->postmaster) != WALK_OK || w.unsure ||
	    targets_have(r, &w.found, t))
		return false;
	for (const struct target *x = s->first; x; x = x->next) {
		if (x != t) {
			targets_add(r, &all, x, a);
			continue;
		}
		for (const struct target *y = w.found.first; y; y = y->next)
			targets_add(r, &all, y, a);
	}
	*s = all;
	return true;
}

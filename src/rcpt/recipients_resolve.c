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
 * In whose tables the local part is looked up, and as what. <postmaster> is
 * that of the first domain, and so are postmaster and abuse of the server.
 */
static const struct mail_domain *
domain_of(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server, const char **local)
{
	const struct mail_domain *d = NULL;
	bool postmaster = smtp_path_is_postmaster(p);

	*local = p->local;
	if (p->domain[0] && !p->literal)
		d = recipients_domain(r, p->domain);
	if (d || (!postmaster && !ascii_equal_str(span_str(p->local), "abuse")))
		return d;
	*local = "postmaster";
	return (p->domain[0] ? is_server(r, p, server) : postmaster)
		   ? r->domains
		   : NULL;
}

/*
 * Where a table says it all, nothing is live. Else it may be wrong in one
 * direction only: a job that need not have been one.
 */
bool
recipients_live(const struct recipients *r, const struct smtp_path *p,
    const struct ipaddr *server)
{
	const char *local;
	const struct mail_domain *d = domain_of(r, p, server, &local);
	struct arena a = {0};
	const struct mail_name *n;
	bool live;

	if (!d || !r->live)
		return false;
	n = recipients_name(r, d, recipients_key(r, local, &a));
	live = !n || !n->user;
	arena_reset(&a);
	return live;
}

static const char *
format_address(const struct smtp_path *p, const struct mail_domain *d,
    struct arena *a)
{
	struct smtp_path whole = *p;
	struct buf text = {0};
	const char *r;

	if (!whole.domain[0])
		whole.domain = d->name;
	smtp_path_format(&whole, &text);
	r = arena_dup(a, buf_span(&text));
	buf_free(&text);
	return r;
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
    const struct ipaddr *server, struct arena *a, struct targets *found)
{
	const char *local;
	const struct mail_domain *d = domain_of(r, p, server, &local);
	enum rcpt_result result;
	struct walk w;

	if (!d)
		return RCPT_FOREIGN;
	walk_init(&w, r, a, format_address(p, d, a), false);
	result = rcpt_result(walk_local(&w, d, local));
	if (result == RCPT_OK)
		*found = w.found;
	return result;
}

/*
 * recipients: the tables of domains and names, filled once.
 *
 * Owns the arena everything is in, the hash tables and the destinations with
 * their roots' descriptors. Tables are keyed by a keyed hash, since what is
 * looked up comes from strangers. Opens nothing and reads no file.
 */
#include "rcpt/recipients.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "io/idn.h"
#include "rcpt/tables.h"

struct recipients *
recipients_new(const struct recipients_options *o)
{
	struct recipients *r = mem_new(sizeof(*r));

	r->options = *o;
	r->destinations_end = &r->destinations;
	return r;
}

void
recipients_at(struct recipients *r, struct where at)
{
	r->at = at;
}

char
recipients_delimiter(const struct recipients *r)
{
	return r->options.delimiter;
}

void
recipients_free(struct recipients **p)
{
	struct recipients *r = *p;
	struct mail_domain *d, *next;

	*p = NULL;
	if (!r)
		return;
	HASH_ITER (hh, r->domains, d, next) {
		HASH_CLEAR(hh, d->names);
		HASH_DELETE(hh, r->domains, d);
	}
	for (struct destination_node *n = r->destinations; n; n = n->next)
		maildir_root_close(&n->dest->root);
	arena_reset(&r->arena);
	free(r);
}

static unsigned
hash(const struct recipients *r, const char *key, size_t len)
{
	return (unsigned)siphash(r->options.key, key, len);
}

static char *
dup_folded(struct arena *a, const char *s, bool fold)
{
	size_t n = strlen(s);
	char *copy = arena_dup(a, (struct span){s, n});

	if (fold)
		ascii_fold(copy, n);
	return copy;
}

const char *
recipients_key(const struct recipients *r, const char *local, struct arena *a)
{
	return dup_folded(a, local,
	    r->options.fold || ascii_equal_str(span_str(local), "postmaster"));
}

const char *
recipients_detail(const struct recipients *r, const char *local)
{
	const char *at =
	    r->options.delimiter ? strchr(local, r->options.delimiter) : NULL;

	return at && at != local ? at + 1 : NULL;
}

struct mail_name *
recipients_name(const struct recipients *r, const struct mail_domain *d,
    const char *key)
{
	size_t len = strlen(key);
	struct mail_name *n;

	HASH_FIND_BYHASHVALUE(hh, d->names, key, len, hash(r, key, len), n);
	return n;
}

struct mail_name *
recipients_intern(struct recipients *r, struct mail_domain *d, const char *key)
{
	struct mail_name *n = recipients_name(r, d, key);
	size_t len = strlen(key);

	if (n)
		return n;
	n = arena_alloc(&r->arena, sizeof(*n));
	n->name = arena_dup(&r->arena, (struct span){key, len});
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, d->names, n->name, len,
	    hash(r, n->name, len), n);
	return n;
}

/* Whoever delivers below the same root shares it. */
static const struct destination *
intern_text(struct recipients *r, const char *text, const struct route *route)
{
	struct destination_node *n;

	for (n = r->destinations; n; n = n->next) {
		if (!strcmp(n->dest->text, text))
			return n->dest;
	}
	n = arena_alloc(&r->arena, sizeof(*n));
	n->dest = destination_new(&r->arena, text);
	n->dest->route = route;
	if (route)
		n->dest->kind = route->kind;
	*r->destinations_end = n;
	r->destinations_end = &n->next;
	return n->dest;
}

const char *
recipients_destination(struct recipients *r, const char *text,
    struct deliver_to *to)
{
	const struct destination_kind *kind;
	const char *rest;
	const char *bad = destination_parse(text, &kind, &rest);
	const struct route *route = NULL;
	struct buf whole = {0};

	to->template = (struct template){.root = "", .rel = ".", .base = "."};
	if (!bad && kind->place)
		bad = template_parse(rest, &r->arena, &to->template);
	if (!bad && kind->remote && r->options.route)
		bad = r->options.route(r->options.ctx, text, &route);
	if (bad)
		return bad;
	destination_format(kind, kind->remote ? rest : to->template.root,
	    &whole);
	buf_append(&whole, "", 1);
	to->dest = intern_text(r, whole.data, route);
	buf_free(&whole);
	return NULL;
}

const char *
recipients_remote(struct recipients *r, const char *text,
    const struct destination **d)
{
	struct deliver_to to;
	const char *bad = recipients_destination(r, text, &to);

	assert(bad || to.dest->kind->remote);
	*d = bad ? NULL : to.dest;
	return bad;
}

static struct mail_domain *
find_domain(const struct recipients *r, const char *name)
{
	char key[IDN_MAX + 1];
	struct mail_domain *d;
	size_t len;

	if (idn_key(span_str(name), key) < 0)
		return NULL;
	len = strlen(key);
	HASH_FIND_BYHASHVALUE(hh, r->domains, key, len, hash(r, key, len), d);
	return d;
}

const char *
recipients_deliver(struct recipients *r, struct mail_domain *d,
    const char *deliver)
{
	struct deliver_to *to = arena_alloc(&r->arena, sizeof(*to));
	const char *bad = recipients_destination(r, deliver, to);
	struct deliver_to **end = &d->deliver;

	if (bad)
		return bad;
	if (to->template.domain && !maildir_component_valid(d->name))
		return "cannot be the name of a directory: write a deliver "
		       "path without %d";
	while (*end)
		end = &(*end)->next;
	*end = to;
	return NULL;
}

const char *
recipients_add_domain(struct recipients *r, const char *name,
    const char *deliver, struct mail_domain **domain_r)
{
	struct mail_domain *d = arena_alloc(&r->arena, sizeof(*d));
	char key[IDN_MAX + 1];
	const char *bad;

	d->name = dup_folded(&r->arena, name, true);
	if (!smtp_domain_valid(span_str(name)) ||
	    idn_key(span_str(name), key) < 0)
		return "is not a domain name: write it as in example.org";
	if (find_domain(r, name))
		return "is there already: a domain has one block";
	bad = deliver ? recipients_deliver(r, d, deliver) : NULL;
	if (bad)
		return bad;
	d->key = arena_dup(&r->arena, span_str(key));
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, r->domains, d->key, strlen(d->key),
	    hash(r, d->key, strlen(d->key)), d);
	*domain_r = d;
	return NULL;
}

bool
recipients_host(const struct recipients *r, const char *name)
{
	const struct host_node *h = r->hosts;

	while (h && !ascii_equal_str(span_str(h->name), name))
		h = h->next;
	return h != NULL;
}

void
recipients_add_host(struct recipients *r, const char *name)
{
	struct host_node *h;

	if (recipients_host(r, name))
		return;
	h = arena_alloc(&r->arena, sizeof(*h));
	h->name = arena_dup(&r->arena, span_str(name));
	h->next = r->hosts;
	r->hosts = h;
}

void
recipients_limit_size(struct mail_domain *d, uint64_t octets)
{
	d->size = octets;
}

const struct destination *
recipients_maildir(struct recipients *r, const char *path)
{
	return intern_text(r, path, NULL);
}

struct destination *
recipients_place(struct recipients *r, unsigned i)
{
	const struct destination_node *n = r->destinations;

	for (; n; n = n->next)
		if (n->dest->kind->place && !i--)
			return n->dest;
	return NULL;
}

const struct mail_domain *
recipients_domain(const struct recipients *r, const char *name)
{
	return find_domain(r, name);
}

const struct mail_domain *
recipients_next_domain(const struct recipients *r, const struct mail_domain *d)
{
	return d ? d->hh.next : r->domains;
}

const char *
mail_domain_name(const struct mail_domain *d)
{
	return d->name;
}

uint64_t
mail_domain_size(const struct mail_domain *d)
{
	return d->size;
}

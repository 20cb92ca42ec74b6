/*
 * recipients: the tables of domains and names, filled once.
 *
 * Owns the arena everything is in, the hash tables and the roots with their
 * descriptors. Tables are keyed by a keyed hash, since what is looked up
 * comes from strangers. Opens nothing and reads no file.
 */
#include "rcpt/recipients.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "io/idn.h"
#include "rcpt/tables.h"

struct recipients *
recipients_new(const struct recipients_options *o)
{
	struct recipients *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->options = *o;
	r->roots_end = &r->roots;
	return r;
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
	for (struct root_node *n = r->roots; n; n = n->next) {
		maildir_root_close(&n->root);
	}
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

/* Domains that deliver below the same root share it. */
static struct maildir_root *
intern_root(struct recipients *r, const char *path)
{
	struct root_node *n;

	for (n = r->roots; n; n = n->next) {
		if (!strcmp(n->root.path, path))
			return &n->root;
	}
	n = arena_alloc(&r->arena, sizeof(*n));
	n->root.path = arena_dup(&r->arena, span_str(path));
	n->root.fd = -1;
	n->root.sync = -1;
	*r->roots_end = n;
	r->roots_end = &n->next;
	return &n->root;
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
recipients_add_domain(struct recipients *r, const char *name,
    const char *template, struct mail_domain **domain_r)
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
	bad = template_parse(template, &r->arena, &d->template);
	if (bad)
		return bad;
	if (d->template.domain && !maildir_component_valid(d->name))
		return "cannot be the name of a directory: write a deliver "
		       "path without %d";
	d->root = intern_root(r, d->template.root);
	r->live |= d->template.detail;
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

struct maildir_root *
recipients_root(struct recipients *r, unsigned i)
{
	struct root_node *n = r->roots;

	while (n && i--)
		n = n->next;
	return n ? &n->root : NULL;
}

const struct mail_domain *
recipients_domain(const struct recipients *r, const char *name)
{
	return find_domain(r, name);
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

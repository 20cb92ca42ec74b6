/*
 * recipients_targets: the mailboxes of a message, in the order in which they
 * were found, each of them once.
 *
 * The set has no memory of its own: the targets are the nodes of a tree that
 * branches by the bits of a hash. Destination and path, or `to`, are equal
 * where two are the same; the hash is keyed, since clients say what some are
 * made of.
 */
#include <string.h>

#include "rcpt/tables.h"

static const char *
path_or_to(const struct target *t)
{
	return t->path ? t->path : t->to;
}

/* Where it is in the tree whose top this is, or would be. */
static struct target **
find(const struct recipients *r, struct target **at, const struct target *t)
{
	const char *key = path_or_to(t);
	uint64_t bits;

	if (!*at)
		return at;
	bits = siphash(r->options.key, key, strlen(key)) ^
	       (uintptr_t)t->dest * POINTER_MIX;
	while (*at &&
	       ((*at)->dest != t->dest || strcmp(path_or_to(*at), key) != 0)) {
		at = &(*at)->below[bits >> 63];
		bits <<= 1;
	}
	return at;
}

bool
targets_have(const struct recipients *r, const struct targets *s,
    const struct target *t)
{
	struct target *first = s->first;

	return *find(r, &first, t) != NULL;
}

void
targets_add(const struct recipients *r, struct targets *s,
    const struct target *t, struct arena *a)
{
	struct target **at = find(r, &s->first, t);
	uint64_t size = t->domain ? t->domain->size : 0;

	if (*at)
		return;
	*at = arena_alloc(a, sizeof(**at));
	**at = *t;
	(*at)->next = (*at)->below[0] = (*at)->below[1] = NULL;
	if (s->last)
		s->last->next = *at;
	s->last = *at;
	s->n++;
	s->octets +=
	    strlen(t->dest->text) + strlen(path_or_to(t)) + strlen(t->address);
	if (size && (!s->size || size < s->size))
		s->size = size;
}

/* How many of from are not in s. */
static unsigned
count_new(const struct recipients *r, const struct targets *s,
    const struct targets *from)
{
	unsigned n = 0;

	for (const struct target *t = from->first; t; t = t->next)
		n += !targets_have(r, s, t);
	return n;
}

bool
targets_merge(const struct recipients *r, struct targets **p,
    const struct targets *from, struct arena *a)
{
	static const struct targets none;
	const char *address = NULL, *copy = NULL;
	const struct targets *old = *p ? *p : &none;
	struct targets *s;

	if (old->n + count_new(r, old, from) > r->options.targets)
		return false;
	if (!*p)
		*p = arena_alloc(a, sizeof(**p));
	s = *p;
	for (const struct target *t = from->first; t; t = t->next) {
		struct target new = *t;

		if (targets_have(r, s, t))
			continue;
		/* most often one for all */
		if (!copy || t->address != address)
			copy = arena_dup(a, span_str(t->address));
		address = t->address;
		new.address = copy;
		if (t->path)
			new.path = arena_dup(a, span_str(t->path));
		else
			new.to = arena_dup(a, span_str(t->to));
		targets_add(r, s, &new, a);
	}
	return true;
}

void
targets_add_relayed(const struct recipients *r, struct targets *s,
    const struct destination *smarthost, const struct smtp_path *p,
    struct arena *a)
{
	const char *to = smtp_path_text(p, a);
	const struct target t = {.dest = smarthost, .to = to, .address = to};

	targets_add(r, s, &t, a);
}

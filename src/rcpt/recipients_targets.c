/*
 * recipients_targets: the mailboxes of a message, in the order in which they
 * were found, each of them once.
 *
 * The set has no memory of its own: the targets are the nodes of a tree that
 * branches by the bits of a hash. Root and path are equal where two are the
 * same; the hash is keyed, since some paths are made of what clients say.
 */
#include <string.h>

#include "rcpt/tables.h"

/* Where it is in the tree whose top this is, or would be. */
static struct target **
find(const struct recipients *r, struct target **at,
    const struct maildir_root *root, const char *path)
{
	uint64_t bits;

	if (!*at)
		return at;
	bits = siphash(r->options.key, path, strlen(path)) ^
	       (uintptr_t)root * POINTER_MIX;
	while (*at && ((*at)->root != root || strcmp((*at)->path, path) != 0)) {
		at = &(*at)->below[bits >> 63];
		bits <<= 1;
	}
	return at;
}

bool
targets_have(const struct recipients *r, const struct targets *s,
    const struct maildir_root *root, const char *path)
{
	struct target *first = s->first;

	return *find(r, &first, root, path) != NULL;
}

void
targets_add(const struct recipients *r, struct targets *s,
    const struct target *t, struct arena *a)
{
	struct target **at = find(r, &s->first, t->root, t->path);
	uint64_t size = t->domain->size;

	if (*at)
		return;
	*at = arena_alloc(a, sizeof(**at));
	**at = *t;
	(*at)->next = (*at)->below[0] = (*at)->below[1] = NULL;
	if (s->last)
		s->last->next = *at;
	s->last = *at;
	s->n++;
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
		n += !targets_have(r, s, t->root, t->path);
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

		if (targets_have(r, s, t->root, t->path))
			continue;
		if (t->address != address) /* most often one for all */
			copy = arena_dup(a, span_str(t->address));
		address = t->address;
		new.address = copy;
		new.path = arena_dup(a, span_str(t->path));
		targets_add(r, s, &new, a);
	}
	return true;
}

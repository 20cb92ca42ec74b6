/*
 * held_table: sets by name. What each mailbox may count of the limit.
 */
#include "deliver/held_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* --- mailboxes --- */

#define BOX_PART  16 /* of the limit, at most, one mailbox's */
#define ROOT_PART 2  /* and all of one root */

static struct buf
box_name(const char *root, const char *path)
{
	struct buf name = {0};

	buf_printf(&name, "%s/%s", root, path);
	return name;
}

static struct held_box *
find(const struct held_box *set, struct span name)
{
	struct held_box *b;

	HASH_FIND(hh, set, name.ptr, name.len, b);
	return b;
}

static struct held_box *
intern(struct held_box **set, struct span name, size_t root)
{
	struct held_box *b = find(*set, name);

	if (b)
		return b;
	b = mem_new(sizeof(*b) + name.len + 1);
	memcpy(b->name, name.ptr, name.len);
	b->root = root;
	HASH_ADD(hh, *set, name, name.len, b);
	return b;
}

struct held_box *
held_box_add(struct held_box **set, const char *root, const char *path)
{
	struct buf name = box_name(root, path);
	struct held_box *b = intern(set, buf_span(&name), strlen(root));

	buf_free(&name);
	return b;
}

const struct held_box *
held_box_find(const struct held_box *set, const char *root, const char *path)
{
	const struct held_box *b;
	struct buf name;

	if (!set) /* nearly always */
		return NULL;
	name = box_name(root, path);
	b = find(set, buf_span(&name));
	buf_free(&name);
	return b;
}

void
held_boxes_merge(struct held_box **set, const struct held_box *from,
    uint64_t size)
{
	unsigned n = HASH_COUNT(from);

	for (; from; from = from->hh.next) {
		struct held_box *b =
		    intern(set, span_str(from->name), from->root);

		b->size += size / n;
		if (from->error)
			b->error = from->error;
	}
}

static uint64_t
at_most(uint64_t n, uint64_t max)
{
	return n < max ? n : max;
}

uint64_t
held_boxes_count(const struct held_box *set, uint64_t limit,
    struct held_box **roots)
{
	uint64_t size = 0;

	for (const struct held_box *b = set; b; b = b->hh.next) {
		struct held_box *r =
		    intern(roots, (struct span){b->name, b->root}, b->root);
		uint64_t before = r->size;

		r->mailboxes++;
		r->size = at_most(before + at_most(b->size, limit / BOX_PART),
		    limit / ROOT_PART);
		size += r->size - before;
	}
	return size;
}

void
held_boxes_free(struct held_box **set)
{
	struct held_box *b = *set, *next;

	HASH_CLEAR(hh, *set);
	for (; b; b = next) {
		next = b->hh.next;
		free(b);
	}
}

/* --- files --- */

struct held_known *
held_known_add(struct held_known **set, const char *name)
{
	size_t n = strlen(name);
	struct held_known *k;

	HASH_FIND(hh, *set, name, n, k);
	if (k)
		return k;
	k = mem_new(sizeof(*k) + n + 1);
	memcpy(k->name, name, n);
	HASH_ADD(hh, *set, name, n, k);
	return k;
}

void
held_known_forget(struct held_known **set)
{
	struct held_known *k = *set, *next;

	HASH_CLEAR(hh, *set);
	for (; k; k = next) {
		next = k->hh.next;
		if (k->seen) {
			HASH_ADD_STR(*set, name, k);
		} else {
			held_boxes_free(&k->boxes);
			free(k->route);
			free(k);
		}
	}
}

/* --- events --- */

static struct held_event *
add_event(struct held_events *l, enum held_fate fate, int error)
{
	struct held_event *e = mem_new(sizeof(*e));

	e->fate = fate;
	e->error = error;
	STAILQ_INSERT_TAIL(l, e, next);
	return e;
}

void
held_tell_file(struct held_events *l, enum held_fate fate, const char *name,
    int error)
{
	add_event(l, fate, error)->name = strdup(name);
}

void
held_tell_copy(struct held_events *l, enum held_fate fate, const char *id,
    const struct message_copy *c, int error)
{
	struct held_event *e = add_event(l, fate, error);

	snprintf(e->id, sizeof(e->id), "%s", id);
	e->address = strdup(c->address);
	e->mailbox = strdup(c->path);
	e->kind = c->dest->kind;
}

void
held_events_free(struct held_events *l)
{
	struct held_event *e;

	while ((e = STAILQ_FIRST(l))) {
		STAILQ_REMOVE_HEAD(l, next);
		free(e->name);
		free(e->address);
		free(e->mailbox);
		free(e);
	}
}

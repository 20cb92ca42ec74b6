/*
 * held_table: the files that a pass knows, and the mailboxes that they wait
 * for. Nothing here blocks or touches a file.
 */
#include <stdlib.h>
#include <string.h>

#include "deliver/held_pass.h"

/* --- sets of mailboxes --- */

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
	b = calloc(1, sizeof(*b) + name.len + 1);
	if (!b)
		abort();
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

static void
file_free(struct held_file *f)
{
	held_boxes_free(&f->boxes);
	free(f);
}

void
held_files_forget(struct held_pass *p)
{
	struct held_file *f = p->files, *next;

	HASH_CLEAR(hh, p->files);
	for (; f; f = next) {
		next = f->hh.next;
		if (f->seen)
			HASH_ADD_STR(p->files, name, f);
		else
			file_free(f);
	}
}

struct held_file *
held_file_find(struct held_pass *p, const char *name)
{
	size_t n = strlen(name);
	struct held_file *f;

	HASH_FIND(hh, p->files, name, n, f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f) + n + 1);
	if (!f)
		abort();
	memcpy(f->name, name, n);
	HASH_ADD(hh, p->files, name, n, f);
	return f;
}

/*
 * held_table: the files that a pass knows, and the mailboxes that they wait
 * for. Nothing here blocks or touches a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/held_pass.h"

/* --- sets of mailboxes --- */

static char *
box_name(const char *root, const char *path)
{
	char *name;

	if (asprintf(&name, "%s/%s", root, path) < 0)
		abort();
	return name;
}

void
held_box_add(struct held_box **set, const char *root, const char *path)
{
	char *name = box_name(root, path);
	size_t n = strlen(name);
	struct held_box *b;

	HASH_FIND(hh, *set, name, n, b);
	if (!b) {
		b = calloc(1, sizeof(*b) + n + 1);
		if (!b)
			abort();
		memcpy(b->name, name, n);
		HASH_ADD(hh, *set, name, n, b);
	}
	free(name);
}

bool
held_box_has(const struct held_box *set, const char *root, const char *path)
{
	struct held_box *b;
	char *name;

	if (!set) /* nearly always */
		return false;
	name = box_name(root, path);
	HASH_FIND(hh, set, name, strlen(name), b);
	free(name);
	return b != NULL;
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

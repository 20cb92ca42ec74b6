/*
 * roots: found, opened, synced. Blocks, logs nothing.
 */
#include "deliver/roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/full_io.h"
#include "rcpt/recipients.h"

void
roots_init(struct roots *r, unsigned reserve)
{
	*r = (struct roots){.boxes = place_boxes_new()};
	place_reserve(r->boxes, reserve);
}

void
roots_free(struct roots *r)
{
	place_boxes_free(&r->boxes);
	for (unsigned i = 0; i < r->n; i++)
		maildir_root_close(&r->all[i]->root);
	free(r->all);
	arena_reset(&r->arena);
	*r = (struct roots){0};
}

static struct destination *
add(struct roots *r, const char *text)
{
	struct destination *d = destination_new(&r->arena, text);

	r->all = realloc(r->all, (r->n + 1) * sizeof(r->all[0]));
	if (!r->all)
		abort();
	d->root.gone = true; /* until it is open */
	r->all[r->n++] = d;
	return d;
}

static struct destination *
intern(struct roots *r, const char *text)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!strcmp(r->all[i]->text, text))
			return r->all[i];
	return add(r, text);
}

const struct destination *
roots_find(void *ctx, const char *text)
{
	struct destination *d = intern(ctx, text);

	if (d->root.gone)
		(void)maildir_root_open(&d->root);
	return d;
}

const struct destination *
roots_name(void *ctx, const char *text)
{
	return intern(ctx, text);
}

/* --- syncing --- */

typedef const struct maildir_root *root_fn(void *ctx, unsigned i);

static const struct maildir_root *
opened(void *ctx, unsigned i)
{
	const struct roots *r = ctx;

	return i < r->n ? &r->all[i]->root : NULL;
}

static const struct maildir_root *
live(void *ctx, unsigned i)
{
	const struct destination *d = recipients_place(ctx, i);

	return d ? &d->root : NULL;
}

/* Each file system once. */
static bool
is_synced(root_fn *root, void *ctx, unsigned i)
{
	const struct maildir_root *r = root(ctx, i), *other;
	bool known = maildir_root_sync_each(r);

	for (unsigned k = 0; k < i && !known; k++) {
		other = root(ctx, k);
		known = !maildir_root_sync_each(other) && other->dev == r->dev;
	}
	return known;
}

static int
sync_all(root_fn *root, void *ctx)
{
	const struct maildir_root *r;
	int error = 0;

	for (unsigned i = 0; (r = root(ctx, i)); i++)
		if (!is_synced(root, ctx, i) && full_syncfs(r->sync) < 0)
			error = errno;
	for (unsigned i = 0; (r = root(ctx, i)); i++)
		if (maildir_root_changed(r))
			error = ESTALE;
	errno = error;
	return error ? -1 : 0;
}

int
roots_sync(struct roots *r)
{
	return sync_all(opened, r);
}

int
roots_sync_live(struct recipients *r)
{
	return sync_all(live, r);
}

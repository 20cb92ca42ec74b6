/*
 * copies: which of a message there are, when it comes and when everybody was
 * asked. Never blocks.
 */
#include "deliver/copies.h"

#include <stdlib.h>

#include "base/mem.h"
#include "deliver/deliver_state.h"
#include "dest/destination.h"

/* Of those targets that are places, or else that are asked. */
static unsigned
add_copies(struct message_copy *copies, const struct targets *to, bool place)
{
	unsigned n = 0;

	for (const struct target *t = to->first; t; t = t->next)
		if (place ? t->dest->kind->place != NULL
			  : t->dest->kind->remote)
			copies[n++] = (struct message_copy){.dest = t->dest,
			    .path = t->path,
			    .to = t->to,
			    .address = t->address};
	return n;
}

void
copies_init(struct delivery *v, const struct envelope *e, struct spool **spool)
{
	struct message_copy *copies = mem_new(e->targets->n * sizeof(*copies));
	struct message *m = &v->message;
	unsigned n;

	v->nlocal = add_copies(copies, e->targets, true);
	n = v->nlocal + add_copies(copies + v->nlocal, e->targets, false);
	message_init(m, e, spool, v->d->options->hostname, copies, n);
	free(copies);
	v->discarded = arena_alloc(&m->arena,
	    (e->targets->n - n) * sizeof(v->discarded[0]));
	for (const struct target *t = e->targets->first; t; t = t->next)
		if (!t->dest->kind->place && !t->dest->kind->remote)
			v->discarded[v->ndiscarded++] =
			    arena_dup(&m->arena, span_str(t->address));
}

void
copies_settle(struct delivery *v)
{
	struct message *m = &v->message;
	const struct asking *a = &v->asking;
	struct message_copy *placed =
	    arena_alloc(&m->arena, a->n * sizeof(*placed));
	unsigned n = 0;

	v->kept = arena_alloc(&m->arena, a->n * sizeof(v->kept[0]));
	for (unsigned i = 0; i < a->n; i++) {
		struct message_copy *c = a->copies[i];

		if (a->views[i].what == ASK_KEEP) {
			c->note = copies_note(m, c);
			v->kept[v->nkept++] = c;
		}
		if (a->views[i].what == ASK_LATE)
			message_copy_fail(m, c, v->d->failed,
			    copies_note(m, c));
		if (a->views[i].what != ASK_LATE &&
		    a->views[i].what != ASK_PLACE)
			continue;
		placed[n] = *c;
		if (m->headed == c)
			m->headed = &placed[n];
		n++;
	}
	m->copies = placed;
	m->ncopies = n;
}

void
copies_put_reply(struct buf *out, const struct smtp_reply *r)
{
	smtp_reply_write(out, r, NULL);
	out->len -= 2;
}

const char *
copies_note(struct message *m, const struct message_copy *c)
{
	struct buf text = {0};
	const char *copy;

	if (c->reply)
		copies_put_reply(&text, c->reply);
	copy = arena_dup(&m->arena, buf_span(&text));
	buf_free(&text);
	return copy;
}

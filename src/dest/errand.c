/*
 * errand: the recipients of a parcel are its own until they are told, so that
 * a connection may end at any time.
 */
#include "dest/errand.h"

#include <stdlib.h>

#include "base/mem.h"

static struct errand *
new_errand(unsigned n)
{
	struct errand *e = mem_new(sizeof(*e));

	e->n = n;
	e->all = arena_alloc(&e->arena, n * sizeof(*e->all));
	e->mail.rcpts = arena_alloc(&e->arena, n * sizeof(*e->all));
	e->which = arena_alloc(&e->arena, n * sizeof(*e->which));
	return e;
}

static bool
is_utf8(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return *text;
}

uint64_t
errand_wire(const struct message *m)
{
	uint64_t n = m->wire + m->received.len;

	for (size_t i = 0; i < m->received.len; i++)
		n += m->received.data[i] == '\n';
	return n;
}

struct errand *
errand_parcel(struct parcel *p, parcel_fn *fn, void *ctx)
{
	const struct message *m = p->m;
	struct errand *e = new_errand(p->n);

	e->p = p;
	e->told = fn;
	e->ctx = ctx;
	for (unsigned i = 0; i < p->n; i++) {
		p->copies[i]->fate = FATE_NONE;
		p->copies[i]->reply = NULL;
		e->all[i] = (struct client_rcpt){.to = p->copies[i]->to,
		    .utf8 = is_utf8(p->copies[i]->to),
		    .later = true};
	}
	e->mail.sender = m->sender;
	e->mail.sender_utf8 = is_utf8(m->sender);
	e->mail.eightbit = m->eightbit;
	e->mail.utf8 = m->utf8;
	e->mail.wire = errand_wire(m);
	e->mail.arena = &p->m->arena;
	return e;
}

struct errand *
errand_verify(const char *sender, const char *to, verify_fn *fn, void *ctx)
{
	struct errand *e = new_errand(1);

	e->verified = fn;
	e->ctx = ctx;
	e->all[0] =
	    (struct client_rcpt){.to = arena_dup(&e->arena, span_str(to)),
		.utf8 = is_utf8(to),
		.later = true};
	e->mail.sender = arena_dup(&e->arena, span_str(sender));
	e->mail.sender_utf8 = is_utf8(sender);
	e->mail.verify = true;
	e->mail.arena = &e->arena;
	return e;
}

void
errand_free(struct errand *e)
{
	loop_event_free(&e->timer);
	arena_reset(&e->arena);
	free(e);
}

bool
errand_has(const struct errand *e, enum fate fate)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->all[i].fate == fate)
			return true;
	return false;
}

bool
errand_next(struct errand *e)
{
	e->mail.whole = e->p && e->p->whole && !errand_has(e, FATE_TAKEN) &&
			!errand_has(e, FATE_LOST);
	e->mail.n = 0;
	for (unsigned i = 0; i < e->n; i++) {
		if (!e->all[i].later)
			continue;
		e->which[e->mail.n] = i;
		e->mail.rcpts[e->mail.n++] = e->all[i];
	}
	return e->mail.n;
}

void
errand_take(struct errand *e)
{
	for (unsigned i = 0; i < e->mail.n; i++)
		e->all[e->which[i]] = e->mail.rcpts[i];
	e->mail.n = 0;
}

void
errand_end(struct errand *e, enum fate fate, const struct smtp_reply *r)
{
	for (unsigned i = 0; i < e->n; i++) {
		struct client_rcpt *rcpt = &e->all[i];

		if (!rcpt->later)
			continue;
		rcpt->later = false;
		rcpt->fate = fate;
		rcpt->reply = r;
	}
}

void
errand_tell(struct errand *e)
{
	struct errand all = *e;

	loop_event_free(&all.timer);
	free(e);
	for (unsigned i = 0; all.p && i < all.n; i++) {
		all.p->copies[i]->fate = all.all[i].fate;
		all.p->copies[i]->reply = all.all[i].reply;
		all.p->copies[i]->peer = all.peer;
	}
	if (all.p)
		all.told(all.ctx);
	else
		all.verified(all.ctx, all.all[0].fate, all.all[0].reply);
	arena_reset(&all.arena);
}

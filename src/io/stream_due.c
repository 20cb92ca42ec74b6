/*
 * stream_due: a heap, whose first has the loop's timer; a timer of the loop
 * for each would be the larger half of an idle stream.
 */
#include "io/stream_due.h"

#include <stdlib.h>

#include "io/clock.h"

/* --- the heap --- */

static void
put(struct stream_pool *p, uint32_t at, struct stream *s)
{
	p->due[at] = s;
	s->place = at + 1;
}

/* s belongs there, or nearer to the front. */
static void
rise(struct stream_pool *p, uint32_t at, struct stream *s)
{
	while (at && p->due[(at - 1) / 2]->armed > s->armed) {
		put(p, at, p->due[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(p, at, s);
}

/* s belongs there, or behind. */
static void
sink(struct stream_pool *p, uint32_t at, struct stream *s)
{
	uint32_t next;

	while ((next = 2 * at + 1) < p->ndue) {
		if (next + 1 < p->ndue &&
		    p->due[next + 1]->armed < p->due[next]->armed)
			next++;
		if (p->due[next]->armed >= s->armed)
			break;
		put(p, at, p->due[next]);
		at = next;
	}
	put(p, at, s);
}

static void
append(struct stream_pool *p, struct stream *s)
{
	struct stream **due;

	if (p->ndue == p->due_max) {
		p->due_max = p->due_max ? 2 * p->due_max : 64;
		due = realloc(p->due, p->due_max * sizeof(struct stream *));
		if (!due)
			abort();
		p->due = due;
	}
	put(p, p->ndue++, s);
}

/* --- the timer --- */

static void
wind(struct stream_pool *p)
{
	int64_t ms;

	if (!p->ndue || (p->timer_at && p->timer_at <= p->due[0]->armed))
		return;
	p->timer_at = p->due[0]->armed;
	ms = p->timer_at - clock_now();
	loop_timer_set(p->timer, ms > 0 ? (uint64_t)ms : 0);
}

static void
on_timer(void *ctx)
{
	struct stream_pool *p = ctx;
	int64_t now = clock_now();

	p->timer_at = 0;
	while (p->ndue && p->due[0]->armed <= now) {
		struct stream *s = p->due[0];

		stream_due_leave(s);
		stream_on_due(s);
	}
	wind(p);
}

int
stream_due_init(struct stream_pool *p)
{
	p->timer = loop_timer(p->loop, on_timer, p);
	p->timer_at = 0;
	p->due = NULL;
	p->ndue = p->due_max = 0;
	return p->timer ? 0 : -1;
}

void
stream_due_free(struct stream_pool *p)
{
	loop_event_free(&p->timer);
	free(p->due);
	p->due = NULL;
}

void
stream_due_set(struct stream *s, int64_t when)
{
	struct stream_pool *p = s->pool;
	int64_t soonest = clock_now() + 1; /* not in this turn of the timer */

	stream_due_leave(s);
	s->armed = when > soonest ? when : soonest;
	append(p, s);
	rise(p, s->place - 1, s);
	wind(p);
}

void
stream_due_leave(struct stream *s)
{
	struct stream_pool *p = s->pool;
	struct stream *last;

	if (!s->place)
		return;
	last = p->due[--p->ndue];
	if (last != s) {
		rise(p, s->place - 1, last);
		sink(p, last->place - 1, last);
	}
	s->place = 0;
	s->armed = 0;
}

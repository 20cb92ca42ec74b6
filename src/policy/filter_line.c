/*
 * filter_line: who has a connection of a milter, who waits for one, and when
 * none is tried. A worker that has none may always make one, so that none
 * waits for another worker's to end.
 */
#include <stdlib.h>

#include "io/clock.h"
#include "policy/filter_state.h"

#define FAILED_MAX 3    /* connections in a row, and then: */
#define AVOID_MS   1000 /* that none is tried */
/* Octets of headers in a worker, beyond which none waits for another milter. */
#define HEADS_MAX (25u << 20)

static bool
may_open(const struct filter_row *r)
{
	unsigned n = r->place ? neighbour_in_use(r->place) : r->connections;

	return !r->connections || n < r->conf->connections;
}

static bool
is_avoided(const struct filter_row *r)
{
	return clock_now() < r->avoid;
}

static void
begin(struct filter *f)
{
	struct filter_row *r = f->row;

	f->holds = true;
	r->connections++;
	neighbour_use(r->place, r->all->services.slot, 1);
	filter_begin(f);
}

static void
on_wake(void *ctx)
{
	struct filter_row *r = ctx;
	struct filter *f = TAILQ_FIRST(&r->line);

	if (!f || !(may_open(r) || is_avoided(r)))
		return;
	filter_leave(f);
	loop_timer_set(r->wake, 0); /* there may be room for the next one */
	filter_enter(f);
}

void
filter_enter(struct filter *f)
{
	struct filter_row *r = f->row;

	if (is_avoided(r)) {
		filter_down(f, NEIGHBOUR_NO_CONNECTION,
		    "no connection a moment ago");
	} else if (may_open(r)) {
		begin(f);
	} else if (f->cut && r->all->heads > HEADS_MAX) {
		filter_down(f, NEIGHBOUR_BUSY, "too many headers wait for it");
	} else {
		f->waits = true;
		TAILQ_INSERT_TAIL(&r->line, f, next);
	}
}

void
filter_leave(struct filter *f)
{
	struct filter_row *r = f->row;

	if (f->waits)
		TAILQ_REMOVE(&r->line, f, next);
	f->waits = false;
	if (!f->holds)
		return;
	f->holds = false;
	r->connections--;
	neighbour_use(r->place, r->all->services.slot, -1);
	if (!TAILQ_EMPTY(&r->line))
		loop_timer_set(r->wake, 0);
}

void
filter_failed(struct filter_row *r, enum neighbour_error e)
{
	if (e != NEIGHBOUR_NO_CONNECTION && e != NEIGHBOUR_NO_ADDRESS) {
		r->failed = 0;
		return;
	}
	if (++r->failed < FAILED_MAX)
		return;
	r->failed = FAILED_MAX - 1; /* the next one decides */
	r->avoid = clock_now() + AVOID_MS;
	loop_timer_set(r->wake, 0); /* nobody waits for nothing */
}

void
filter_row_down(struct filter_row *r, enum neighbour_error e)
{
	if (!r->since)
		r->since = clock_now();
	neighbour_set(r->place, r->all->services.slot, NEIGHBOUR_DOWN, e,
	    r->since);
}

void
filter_worked(struct filter_row *r)
{
	r->failed = 0;
	r->avoid = 0;
	if (!r->since)
		return;
	r->since = 0;
	neighbour_set(r->place, r->all->services.slot, NEIGHBOUR_UP,
	    NEIGHBOUR_NO_ERROR, clock_now());
	filter_log_up(r);
}

void
filter_line_open(struct filter_row *r)
{
	const struct filter_services *s = &r->all->services;

	TAILQ_INIT(&r->line);
	r->place = neighbour_open(s->shared, s->slot, NEIGHBOUR_MILTER,
	    r->conf->name, clock_now());
	r->wake = loop_timer(s->loop, on_wake, r);
	if (!r->wake)
		abort();
}

void
filter_line_close(struct filter_row *r)
{
	neighbour_close(r->place, r->all->services.slot);
	loop_event_free(&r->wake);
}

/*
 * held_lanes: which routes can be asked, and of which none is configured.
 */
#include <string.h>

#include "deliver/deliver_state.h"
#include "deliver/held_look.h"
#include "deliver/held_send_state.h"
#include "io/log.h"

bool
held_lane_is_away(const struct held_lane *l, const struct smtp_reply **reply)
{
	const struct route *r = l->dest.route;

	*reply = NULL;
	return !r || r->kind->health(carriers_find(&l->s->d->carriers, r),
			 reply) == CARRIER_DOWN;
}

/* "route:NAME", or a URL, of which no more is shown than its server. */
static const char *
show(struct arena *a, const char *text)
{
	const struct destination_kind *kind;
	struct route_place place;
	const char *rest;

	if (destination_parse(text, &kind, &rest))
		return "?";
	if (kind->syntax != ROUTE_NAME && kind->syntax != ROUTE_PROGRAM &&
	    route_parse_place(kind, rest, a, &place))
		return kind->scheme;
	return route_shown(kind, rest, a);
}

static bool
is_known(const struct held_send *s, const char *text)
{
	const struct deliver_options *o = s->d->options;
	const struct held_lane *l = s->missing;

	for (unsigned i = 0; i < o->nroutes; i++)
		if (!strcmp(s->lanes[i].dest.text, text))
			return true;
	while (l && strcmp(l->dest.text, text) != 0)
		l = l->next;
	return l != NULL;
}

/* All workers look at the same files, and one says what is there. */
static bool
is_first_worker(const struct held_send *s)
{
	return s->d->counts.slot % SHARED_WORKERS == 0;
}

static void
add(struct held_send *s, const struct held_route *r)
{
	struct held_lane *l = arena_alloc(&s->arena, sizeof(*l));

	l->s = s;
	l->dest = *destination_new(&s->arena, r->text);
	l->shown = show(&s->arena, r->text);
	l->next = s->missing;
	s->missing = l;
	if (!is_first_worker(s))
		return;
	log_event(LOG_ERROR, "route-missing", LOG_STR("route", l->shown),
	    LOG_UINT("held", r->n),
	    LOG_STR("help", "mail waits for a route that is not configured any "
			    "more: it goes when there is one of that name, or "
			    "is put into failed"));
}

void
held_lanes_add_missing(struct held_send *s)
{
	const struct held_route *r = held_routes(s->d->held);

	for (; r; r = r->hh.next)
		if (!is_known(s, r->text))
			add(s, r);
}

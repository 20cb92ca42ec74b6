/*
 * http_health: see http_health.h. What goes on for a while is said when it
 * begins and when it ends.
 */
#include "dest/http_health.h"

#include "io/log.h"

static void
say_misconfigured(const struct http_health *h, unsigned status)
{
	struct buf reply = {0};

	buf_printf(&reply, "HTTP %u", status);
	log_event(LOG_ERROR, "route-misconfigured", LOG_STR("route", h->route),
	    LOG_SPAN("reply", buf_span(&reply)),
	    LOG_STR("help",
		"it refuses us, not a message: see the route's address, and "
		"what that server allows"));
	buf_free(&reply);
}

static void
say_down(const struct http_health *h, enum neighbour_error e, const char *error,
    int64_t now)
{
	neighbour_set(h->place, h->slot, NEIGHBOUR_DOWN, e, h->health.since);
	log_event(LOG_WARN, "route-down", LOG_STR("route", h->route),
	    LOG_STR("error", error), LOG_INT("for-ms", h->health.until - now));
}

/* Those who were under way together say it once. */
static void
go_down(struct http_health *h, const struct http_event *e)
{
	if (health_is_down(&h->health, e->now))
		return;
	if (e->status)
		say_misconfigured(h, e->status);
	if (!health_fail(&h->health, e->now))
		return;
	if (e->status)
		say_down(h, NEIGHBOUR_SETUP, "set up wrongly", e->now);
	else if (e->error)
		say_down(h, NEIGHBOUR_NO_CONNECTION, e->error, e->now);
	else
		say_down(h, NEIGHBOUR_NO_ADDRESS, "no address for its name",
		    e->now);
}

static void
come_up(struct http_health *h, int64_t now)
{
	int64_t down_ms = health_good(&h->health, now);

	if (!down_ms)
		return;
	neighbour_set(h->place, h->slot, NEIGHBOUR_UP, NEIGHBOUR_NO_ERROR, now);
	log_event(LOG_INFO, "route-up", LOG_STR("route", h->route),
	    LOG_INT("down-ms", down_ms));
}

void
http_health_judge(struct http_health *h, const struct http_event *e)
{
	if (e->late)
		health_lost(&h->lost, e->fate == FATE_LOST, h->route,
		    e->now - e->begun);
	if (e->fate == FATE_DOWN) {
		go_down(h, e);
	} else if (e->status) {
		h->lost = 0;
		come_up(h, e->now);
	} else if (e->late && health_late(&h->health, e->now)) {
		say_down(h, NEIGHBOUR_SILENT, "no answer in time", e->now);
	}
}

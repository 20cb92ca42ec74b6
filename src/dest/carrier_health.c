/*
 * carrier_health: UP, or DOWN until a probe reaches READY. Each worker judges
 * by what it meets itself. A server that has taken connections and takes no
 * more of them is not DOWN: those it has serve who waits.
 */
#include "dest/carrier_mail.h"

#include <string.h>

#include "io/clock.h"
#include "io/log.h"

#define SILENT_MAX   3     /* errands in a row */
#define PATIENCE     5000  /* ms until it may take one more connection */
#define COMPLAIN_MIN 60000 /* ms between two complaints about a set-up */

const struct smtp_reply carrier_away = {451, "4.4.1",
    "The server for this address is not there now"};

bool
carrier_is_down(const struct carrier_mail *c)
{
	return c->health.since;
}

static void
complain(struct carrier_mail *c, const char *reply)
{
	int64_t now = clock_now();

	if (c->complained && now - c->complained < COMPLAIN_MIN)
		return;
	c->complained = now;
	log_event(LOG_ERROR, "route-misconfigured",
	    LOG_STR("route", c->carrier.route->shown), LOG_STR("reply", reply),
	    LOG_STR("help",
		"it refuses us, not a message: see the route's tls, login and "
		"secret-file, and what that server allows"));
}

/* first: it was UP. If not, the pause has become longer. */
static void
go_down(struct carrier_mail *c, bool first, enum neighbour_error e,
    const char *why, int err)
{
	static const struct smtp_reply setup = {451, "4.3.5",
	    "The server for this address does not take it from us"};
	int64_t now = clock_now();
	const char *error = why ? why : strerrordesc_np(err);

	if (first)
		log_event(LOG_WARN, "route-down",
		    LOG_STR("route", c->carrier.route->shown),
		    LOG_STR("error", error),
		    LOG_INT("for-ms", c->health.until - now));
	c->reply = e == NEIGHBOUR_SETUP ? &setup : &carrier_away;
	neighbour_set(c->place, c->s.slot, NEIGHBOUR_DOWN, e, c->health.since);
	loop_timer_set(c->timer,
	    c->health.until > now ? (uint64_t)(c->health.until - now) : 0);
	carrier_give_up(c);
}

void
carrier_begin(struct carrier_mail *c)
{
	const struct route *r = c->carrier.route;

	c->reply = &carrier_away;
	c->place = neighbour_open(c->s.shared, c->s.slot, NEIGHBOUR_ROUTE,
	    r->text, clock_now());
}

static bool
is_reached(const struct carrier_mail *c)
{
	const struct carry *y;

	LIST_FOREACH (y, &c->all, next)
		if (y->state == CARRY_READY || y->state == CARRY_BUSY)
			return true;
	return false;
}

void
carrier_failed_dial(struct carrier_mail *c, const struct carry *y)
{
	if (y->client.misconfigured)
		complain(c, y->why);
	if (!carrier_is_down(c) && is_reached(c)) {
		c->patience = true;
		loop_timer_set(c->timer, PATIENCE);
		return;
	}
	go_down(c, health_fail(&c->health, clock_now()), y->error, y->why,
	    y->err);
}

void
carrier_no_address(struct carrier_mail *c)
{
	go_down(c, health_fail(&c->health, clock_now()), NEIGHBOUR_NO_ADDRESS,
	    "no address for its name", 0);
}

/* The next pause is longer for all that: no message was answered yet. */
void
carrier_reached(struct carrier_mail *c)
{
	int64_t now = clock_now();

	c->patience = false;
	if (!carrier_is_down(c))
		return;
	neighbour_set(c->place, c->s.slot, NEIGHBOUR_UP, NEIGHBOUR_NO_ERROR,
	    now);
	log_event(LOG_INFO, "route-up",
	    LOG_STR("route", c->carrier.route->shown),
	    LOG_INT("down-ms", now - c->health.since));
	c->health.since = c->health.until = 0;
}

void
carrier_again(struct carrier *carrier)
{
	struct carrier_mail *c = (struct carrier_mail *)carrier;

	if (!carrier_is_down(c))
		return;
	health_again(&c->health);
	loop_timer_set(c->timer, 0);
}

void
carrier_judge(struct carrier_mail *c, struct carry *y, const struct errand *e)
{
	bool down = errand_has(e, FATE_DOWN);
	int64_t now = clock_now();

	if (y->client.misconfigured)
		complain(c, y->client.why);
	y->client.misconfigured = false;
	if (e->p)
		health_lost(&c->lost, errand_has(e, FATE_LOST),
		    c->carrier.route->shown, now - e->dot);
	if (carrier_is_down(c))
		return;
	if (e->p && down)
		go_down(c, health_fail(&c->health, now), NEIGHBOUR_SETUP,
		    y->client.why, 0);
	else if (y->silent && health_late(&c->health, now))
		go_down(c, true, NEIGHBOUR_SILENT, "no answer in time", 0);
	else if (y->state != CARRY_GONE)
		health_good(&c->health, now);
}

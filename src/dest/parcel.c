/*
 * parcel: what is said of one, whatever carries it.
 */
#include "dest/parcel.h"

#include "io/log.h"

void
parcel_log_unanswered(const struct parcel *p, unsigned i, const struct route *r)
{
	log_event(LOG_WARN, "unanswered", LOG_STR("message", p->m->id),
	    LOG_STR("from", p->m->sender),
	    LOG_STR("rcpt", p->copies[i]->address), LOG_STR("route", r->shown));
}

/*
 * carrier_mail: what a carrier of mail has, and its two halves: carrier.c, who
 * is carried by whom; carrier_health.c, whether the server is there.
 */
#ifndef DEST_CARRIER_MAIL_H
#define DEST_CARRIER_MAIL_H

#include "dest/addresses.h"
#include "dest/carrier.h"
#include "dest/carry.h"
#include "dest/errand.h"
#include "dest/health.h"
#include "io/loop.h"
#include "io/neighbour.h"

struct carrier_mail {
	struct carrier carrier; /* first */
	struct dest_services s;
	bool lmtp;
	struct addresses *addresses;
	struct neighbour *place;          /* NULL: this worker counts alone */
	struct loop_event *timer;         /* when it may dial again */
	struct errands verifies, parcels; /* they wait, */
	unsigned waiting;                 /* so many */
	struct errands carried;
	struct errands over;           /* told in the next turn */
	LIST_HEAD(carries, carry) all; /* the one used last comes first */
	unsigned connections;

	struct health health; /* DOWN from its since on, until a probe says
				 otherwise; who waits is told reply then */
	const struct smtp_reply *reply;
	bool patience;      /* UP, but it takes no more connections just now */
	bool names_wait;    /* it dials as soon as it knows where */
	unsigned lost;      /* parcels in a row */
	int64_t complained; /* when last; 0: never */
};

extern const struct smtp_reply carrier_away; /* 451 4.4.1 */

/* UP, and seen to be. */
void carrier_begin(struct carrier_mail *c);
bool carrier_is_down(const struct carrier_mail *c);
/* A connection was lost before it was READY. */
void carrier_failed_dial(struct carrier_mail *c, const struct carry *y);
void carrier_no_address(struct carrier_mail *c);
/* It reached READY. */
void carrier_reached(struct carrier_mail *c);
/* y is done with e, which has its fates. */
void carrier_judge(struct carrier_mail *c, struct carry *y,
    const struct errand *e);

/* It has become DOWN: all who wait are over, nobody dials. */
void carrier_give_up(struct carrier_mail *c);

#endif

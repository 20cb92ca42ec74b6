/*
 * errand: what a connection is sent with: a parcel or one recipient's
 * verification, as transactions of the engine. It waits, is carried, or has
 * ended and is told in the next turn.
 */
#ifndef DEST_ERRAND_H
#define DEST_ERRAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dest/parcel.h"
#include "proto/client.h"

struct carry;
struct carrier_mail;
struct errand;

TAILQ_HEAD(errands, errand);

struct errand {
	struct ask ask; /* first */
	struct carrier_mail *home;
	struct errands *list; /* that it is on */
	TAILQ_ENTRY(errand) next;
	struct loop_event *timer; /* its deadline; or, ended, it is told */
	struct carry *on;         /* NULL: nobody carries it */
	int64_t begun;            /* when that one began with it */
	const char *peer;         /* who did last, an entry of `to`; or NULL */
	struct parcel *p;         /* NULL: a verification */
	parcel_fn *told;
	verify_fn *verified;
	void *ctx;
	bool fresh; /* only for a connection that nobody had before */
	/* The transaction under way: its recipients, and whose they are. */
	struct client_mail mail;
	unsigned *which;
	unsigned n; /* recipients in all */
	struct client_rcpt *all;
	int64_t dot;        /* when the last end of data was sent; 0: none */
	struct arena arena; /* of it and of a verification's reply */
};

/* p: its copies get FATE_NONE. */
struct errand *errand_parcel(struct parcel *p, parcel_fn *fn, void *ctx);
struct errand *errand_verify(const char *sender, const char *to, verify_fn *fn,
    void *ctx);
/* Silence. */
void errand_free(struct errand *e);

/* mail becomes the next transaction, of all that are not asked yet. False:
 * there are none. */
bool errand_next(struct errand *e);
/* That transaction is over; whom it left for later is there again. */
void errand_take(struct errand *e);
/* Who is not asked yet has this fate. */
void errand_end(struct errand *e, enum fate fate, const struct smtp_reply *r);
bool errand_has(const struct errand *e, enum fate fate);

/* Octets of the message on the wire, with our lines on top. */
uint64_t errand_wire(const struct message *m);

/* Frees it, then calls; the last thing. */
void errand_tell(struct errand *e);

#endif

/*
 * ask_decide: one reply for several copies. What is local waits for what is
 * asked of others; as long as none of them has it a refusal leaves nothing
 * behind, and from then on what fails is kept here. Pure.
 */
#ifndef DELIVER_ASK_DECIDE_H
#define DELIVER_ASK_DECIDE_H

#include <stdbool.h>

#include "proto/fate.h"

enum ask_what {
	ASK_NOTHING, /* they have it, or nobody is to have it */
	ASK_PLACE,   /* local: into the record */
	ASK_KEEP,    /* into held/ */
	ASK_LATE,    /* refused behind another's yes: into failed */
};

/* A copy. Local ones come first, then parcel by parcel as they are asked. */
struct ask_copy {
	bool local;
	bool hold;       /* its route's when-down */
	enum fate fate;  /* of a route; NONE in one that was asked: as AGAIN */
	unsigned parcel; /* from 0; of a route */
	enum ask_what what;
};

enum ask_verdict {
	ASK_NEXT,   /* the next parcel is to be asked; no what is decided */
	ASK_REPLY,  /* nobody has it: the client hears one copy's reply */
	ASK_COMMIT, /* some are to be placed, or were refused late */
	ASK_DONE,   /* none are: a yes, once what is kept is on disk */
};

struct ask_decision {
	enum ask_verdict verdict;
	unsigned reply; /* ASK_REPLY: whose */
};

/* asked: parcels that have their answers. Fills in what of each copy. */
struct ask_decision ask_decide(struct ask_copy *copies, unsigned n,
    unsigned asked);

#endif

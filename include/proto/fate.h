/*
 * fate: what became of one recipient's copy at a server, a program or whoever
 * else was asked to take it.
 */
#ifndef PROTO_FATE_H
#define PROTO_FATE_H

enum fate {
	FATE_NONE,    /* not asked, or asked and nothing was begun */
	FATE_TAKEN,   /* they have it, and it is theirs */
	FATE_REFUSED, /* they do not want it, now or later */
	FATE_AGAIN,   /* not now: nobody has it */
	FATE_DOWN,    /* the same, and it is not about this mail */
	FATE_LOST,    /* no answer to its end: perhaps they have it */
};

#endif

/*
 * ask: a question whose answer comes later, from the loop. It is the first
 * member of whatever carries the question; who asked has a pointer to it and
 * nothing else, until it is answered or cancelled.
 */
#ifndef IO_ASK_H
#define IO_ASK_H

#include <stddef.h>

enum ask_end {
	ASK_GO_ON,   /* silence; what was begun goes on by itself */
	ASK_ABANDON, /* silence, and undone unless it is too late for that */
};

struct ask {
	void (*cancel)(struct ask *a, enum ask_end end);
};

/* *a is NULL afterwards; NULL is harmless. */
static inline void
ask_cancel(struct ask **a, enum ask_end end)
{
	struct ask *old = *a;

	*a = NULL;
	if (old)
		old->cancel(old, end);
}

#endif

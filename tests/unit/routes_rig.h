/*
 * routes_rig: routes to nobody, whose answers are the test's. Four of them,
 * asked in their order; of each kind's recipients two at a time.
 */
#ifndef ROUTES_RIG_H
#define ROUTES_RIG_H

#include <stdbool.h>

#include "deliver/delivery.h"
#include "dest/destination.h"

#define ROUTES 4

extern struct routes_one {
	struct destination_kind kind;
	struct destination dest;
	struct route route;
	struct carrier carrier;
	bool away;            /* it is DOWN */
	void (*judged)(void); /* when that is asked for; NULL: nothing */
	/* the question in flight; NULL: there is none */
	struct ask ask;
	struct parcel *parcel;
	parcel_fn *told;
	void *ctx;
	/* what came to it */
	unsigned asked, cancelled;
	unsigned again; /* but of the first, which never waits */
	char to[256];   /* recipients, each with a blank behind it */
	enum ask_end end;
	/* of its health; and the verification in flight, told NULL: there is
	 * none */
	struct routes_verify {
		struct ask ask;
		verify_fn *told;
		void *ctx;
		int64_t deadline;
		unsigned asked, cancelled;
		char text[128]; /* "sender to" of the last one */
	} verify;
} routes[ROUTES];

/* A rig with them: u@example.org has a mailbox, and no rounds are made. In its
 * tables they are route:web, run, box and out, in this order. */
int routes_start(bool hold);
/* Fixtures for cmocka: it does not hold, or does. */
int routes_setup(void **state);
int routes_setup_hold(void **state);
int routes_finish(void **state);
/* Of any other rig that is open. */
void routes_carry(void);

unsigned routes_count(enum delivery_state s);
/* Messages of that mailbox. */
unsigned routes_mail(void);
/* Files that a pattern of the shell finds. */
unsigned routes_files(const char *pattern);
/* All is done: nothing waits for anything, or counts as if it did. */
void routes_settle(void);

/* That mailbox is a recipient of the next message. */
void routes_local(void);

/* This one is a recipient of the next message. */
void routes_rcpt(unsigned which, const char *to);

/*
 * A letter for the fate of each copy of the question in flight: not begun,
 * taken, refused, again, down, lost.
 */
void routes_answer(unsigned which, const char *fates);
/* The one of the verification in flight. */
void routes_verified(unsigned which, char fate);

#endif

/*
 * greylist: whoever writes for the first time is asked to come back, as every
 * mail server does and most of those that send spam do not.
 *
 * A tuple is who sends, the sender's domain and the first recipient's. It is
 * new, then it has passed; and a client of whom so many have passed is let
 * through itself. Each of them is one word, in sets of eight, one cache line
 * each (io/shared_grey.h): it changes by one compare-and-swap, so there are no
 * locks, and nothing is half written. A set that is full forgets what has
 * expired, then the oldest that is new, then the oldest that has passed: a
 * flood of new ones cannot push out who came back.
 *
 * wall: ms since 1970.
 */
#ifndef POLICY_GREYLIST_H
#define POLICY_GREYLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/shared_grey.h"
#include "proto/envelope.h"

#define GREYLIST_AFTER_MAX 100

/* ms; after: tuples, 0: a client is never let through itself. */
struct greylist {
	uint64_t delay, window, keep;
	unsigned after;
};

/* The longest is a name. */
#define GREYLIST_WHO_MAX 256
#define GREYLIST_KEY_MAX (GREYLIST_WHO_MAX + 2 * (SMTP_DOMAIN_MAX + 1))

/* A tuple as text that is the same on each machine: who is its beginning, up
 * to the first line end. */
struct greylist_key {
	char text[GREYLIST_KEY_MAX];
	size_t who, len; /* octets */
};

enum greylist_state {
	GREYLIST_NEW,    /* not seen before, or too long ago */
	GREYLIST_EARLY,  /* seen, and it did not wait */
	GREYLIST_BACK,   /* it did: it passes, and will */
	GREYLIST_PASSED, /* it has passed before */
	GREYLIST_KNOWN,  /* so many others of this client have */
};

/* The first two of them are to come back; *wait: in how many seconds. */
struct greylist_answer {
	enum greylist_state state;
	unsigned wait;
	/* GREYLIST_BACK: tuples of the client that have passed by now */
	unsigned passed;
	bool written; /* GREYLIST_BACK, or the first in a day */
};

/*
 * The client as others of its kind are: the domain of its pool when its name
 * is one of a pool (RFC 5321 says nothing of who comes back, and large senders
 * come from another network each time), else its /24, or /64. name: it leads
 * to this address and back, in lower case; NULL: none that does. Returns out.
 */
const char *greylist_who(const struct ipaddr *client, const char *name,
    char out[GREYLIST_WHO_MAX]);

/* e has a client's address and a recipient. */
void greylist_key_of(const struct envelope *e, const char *name,
    struct greylist_key *r);

/* What this one is, and by being asked becomes. */
struct greylist_answer greylist_ask(const struct greylist *g,
    struct shared_grey *t, const struct greylist_key *k, int64_t wall);
/* Whether it would have to come back; changes nothing. */
bool greylist_would_defer(const struct greylist *g, struct shared_grey *t,
    const struct greylist_key *k, int64_t wall);
/* It has passed elsewhere. */
void greylist_pass(const struct greylist *g, struct shared_grey *t,
    const struct greylist_key *k, int64_t wall);

#endif

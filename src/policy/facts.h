/*
 * facts: what others say of a client and of a sender's domain.
 */
#ifndef POLICY_FACTS_H
#define POLICY_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/door.h"

#define FACTS_LISTS_MAX 16
#define FACTS_NAME_MAX  254

enum fact {
	FACT_NAME = 1,   /* the client's reverse name; begun at EHLO */
	FACT_LISTS = 2,  /* the same */
	FACT_SENDER = 4, /* its domain; begun at MAIL, forgotten with it */
	FACT_GREY = 8,   /* other nodes' greylist; begun at DATA */
};

enum fact_name {
	NAME_UNKNOWN,
	NAME_NONE, /* there is no PTR */
	NAME_UNCONFIRMED,
	NAME_CONFIRMED,
};

enum fact_list {
	LIST_SILENT, /* no answer in time, or it is switched off */
	LIST_NOT,    /* not listed there, or with an unknown code */
	LIST_LISTED,
};

enum fact_sender {
	SENDER_UNKNOWN,
	SENDER_GOOD,
	SENDER_NULL_MX, /* RFC 7505 */
	SENDER_NONE,    /* no such domain, or neither MX nor address */
};

enum fact_grey { GREY_UNKNOWN, GREY_NEW, GREY_PASSED };

struct facts {
	unsigned known; /* mask of enum fact */
	enum fact_name name;
	enum fact_sender sender;
	enum fact_grey grey;
	char client_name[FACTS_NAME_MAX]; /* with NAME_CONFIRMED */
	struct {
		enum fact_list state;
		int weight;       /* with LISTED: of its heaviest code */
		uint8_t code[4];  /* which is this */
	} lists[FACTS_LISTS_MAX]; /* in the order of the blocks */
};

/* What a gatherer is told. */
struct fact_from {
	const struct doors *all;
	const struct envelope *env;
	uint32_t stranger; /* for resolve_ask(): the session's number */
	int64_t deadline;  /* monotonic ms */
};

typedef void fact_fn(void *ctx, enum fact which);

/*
 * Fills its part of *f but known, and calls fn once, from the loop and never
 * before it returns, at the latest at the deadline: what is not there by then
 * stays UNKNOWN or SILENT. NULL: that is all that can be known, and fn is not
 * called. from need not last, what it points to does. Cancelled, either way:
 * silence.
 */
typedef struct ask *fact_ask(const struct fact_from *from, struct facts *f,
    fact_fn *fn, void *ctx);

fact_ask fact_name_ask, fact_lists_ask, fact_sender_ask, fact_grey_ask;

#endif

/*
 * dnsbl: block and allow lists in the DNS (RFC 5782): which there are, what
 * their answers weigh, and whether each of them is well.
 *
 * A list that is not what it was does more harm than none: one may list
 * everybody on its last day, or be sold. So each is tested: 127.0.0.2 must
 * be listed, and 127.0.0.1 must not. What is not known to be well is not asked.
 */
#ifndef POLICY_DNSBL_H
#define POLICY_DNSBL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/where.h"
#include "io/shared.h"

#define DNSBL_MAX        16  /* lists */
#define DNSBL_ZONE_MAX   120 /* nibbles fit before it, and it into a reply */
#define DNSBL_WEIGHT_MAX 1000

struct doors;

/* "127.0.2-15.1: -2": each octet from one to the other. */
struct dnsbl_code {
	uint8_t from[4], to[4];
	int weight;
};

enum dnsbl_family { DNSBL_BOTH, DNSBL_IPV4, DNSBL_IPV6 };

struct dnsbl_zone {
	const char *name; /* lower case */
	struct where at;
	enum dnsbl_family family; /* of clients it knows */
	bool untested; /* it has no test entries, so it counts as good */
	const struct dnsbl_code *codes;
	unsigned ncodes;
};

struct dnsbl {
	const struct dnsbl_zone *zones; /* in the order of the blocks */
	unsigned n;                     /* at most DNSBL_MAX */
};

/*
 * NULL, or what is wrong with it, as the end of a sentence: also with codes
 * that are no listing, whatever a list says.
 */
const char *dnsbl_code_parse(struct span text, struct dnsbl_code *r);
/* Is there an answer that is both? */
bool dnsbl_codes_meet(const struct dnsbl_code *a, const struct dnsbl_code *b);

/* The largest of its weights and the smallest, each 0 if there is none. */
int dnsbl_most(const struct dnsbl_zone *z);
int dnsbl_least(const struct dnsbl_zone *z);

/* --- is it well? --- */

enum dnsbl_state {
	DNSBL_UNTESTED, /* as OFF, but nothing is wrong */
	DNSBL_GOOD,
	DNSBL_OFF,
};

enum dnsbl_fault {
	DNSBL_WELL,
	DNSBL_SILENT,    /* it does not answer */
	DNSBL_EVERYBODY, /* it lists what must not be listed, */
	DNSBL_NOBODY,    /* or not what must be */
	DNSBL_FOREIGN,   /* its answers are not in 127.0.0.0/8 */
	DNSBL_BLOCKED,   /* 127.0.0.1 */
	DNSBL_MISTYPED,  /* 127.255.255.252 */
	DNSBL_PUBLIC,    /* .254 */
	DNSBL_TOO_MANY,  /* .255; 127.0.0.255 */
	DNSBL_ERROR,     /* another of 127.255.255.0/24 */
	DNSBL_FAULTS
};

/* Constant, for people. */
extern const struct dnsbl_fault_text {
	const char *reason, *help;
} dnsbl_faults[DNSBL_FAULTS];

struct dnsbl_view {
	enum dnsbl_state state;
	enum dnsbl_fault fault; /* with OFF */
	int64_t since;          /* monotonic ms, with OFF */
};
struct dnsbl_view dnsbl_look(struct shared *s, const struct dnsbl_zone *z);

/*
 * A worker's: tests its lists when it is their time, so that each is tested by
 * one of all workers, and says so when one is switched off or on. all outlives
 * it, and has lists, a resolver and a mapping.
 */
struct dnsbl_watch;
struct dnsbl_watch *dnsbl_watch_new(const struct doors *all);
void dnsbl_watch_free(struct dnsbl_watch **w);

#endif

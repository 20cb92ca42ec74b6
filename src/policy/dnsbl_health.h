/*
 * dnsbl_health: what all workers know of one list, in one word that changes
 * by compare-and-swap, and when whose turn it is to test it.
 *
 * Whoever is told that a test is due has taken it: nobody else is told for
 * DNSBL_AGAIN, and after that anybody. Times are monotonic ms.
 */
#ifndef POLICY_DNSBL_HEALTH_H
#define POLICY_DNSBL_HEALTH_H

#include "policy/dnsbl.h"
#include "policy/dnsbl_codes.h"

#define DNSBL_AGAIN    10000   /* ms, after a test without an answer */
#define DNSBL_HOURLY   3600000 /* while it is good, a tenth more or less */
#define DNSBL_OFF_WAIT 600000  /* the same while it is off */
#define DNSBL_LISTINGS 20      /* in a row: a test, at once */
#define DNSBL_ERRORS   5       /* the same */
#define DNSBL_MISSES   3       /* tests in a row without an answer: off */

struct shared_place;

/* Its place. NULL, which all below take: it is tested by nobody. */
struct shared_place *dnsbl_place(struct shared *s, const struct dnsbl_zone *z);

/* Is it to be asked, and does what it said count? */
bool dnsbl_is_good(const struct shared_place *p, const struct dnsbl_zone *z);

/* True: a test is due, and the caller's. */
bool dnsbl_test_due(struct shared_place *p, int64_t now);
/* When one will be due, from now on. */
int64_t dnsbl_test_next(const struct shared_place *p, int64_t now);

/* What it said of a client. True: a test is due, and the caller's. */
bool dnsbl_heard(struct shared_place *p, enum dnsbl_said said, int64_t now);

enum dnsbl_tested {
	DNSBL_TEST_UNASKED, /* that was not its fault */
	DNSBL_TEST_MISSED,  /* no answer */
	DNSBL_TEST_GOOD,
	DNSBL_TEST_BAD, /* of this fault */
};

enum dnsbl_news {
	DNSBL_NO_NEWS,
	DNSBL_IS_OFF, /* since now, for another reason, or still: hourly */
	DNSBL_IS_ON,  /* after it was off */
};

/* random: any number. */
enum dnsbl_news dnsbl_test_done(struct shared_place *p, enum dnsbl_tested how,
    enum dnsbl_fault fault, uint32_t random, int64_t now);

struct dnsbl_view dnsbl_view(const struct shared_place *p);

/* Is there to be a line about its unknown codes? Once an hour. */
bool dnsbl_may_say_code(struct shared_place *p, int64_t now);

#endif

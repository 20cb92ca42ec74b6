/*
 * health: is it any use to ask a route now? Each worker judges for itself.
 */
#ifndef DEST_HEALTH_H
#define DEST_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: it is well. Times are monotonic ms. */
struct health {
	int64_t since; /* when it went down; 0: it is up */
	int64_t until; /* nobody asks before */
	uint64_t wait; /* the last one */
	unsigned late; /* timeouts since the last answer */
};

/* Nobody should ask now. */
bool health_is_down(const struct health *h, int64_t now);
/* It cannot be asked. True: it went down by this. */
bool health_fail(struct health *h, int64_t now);
/* Out of time, without an answer. True: the third of them in a row, and it
 * went down by this. */
bool health_late(struct health *h, int64_t now);
/* Somebody says that it is there again: nobody waits to find out. */
void health_again(struct health *h);
/* Was the end of a message answered by nobody? In ms. The third time in a row
 * is a complaint; *lost are those before. */
void health_lost(unsigned *lost, bool is_lost, const char *route, int64_t ms);
/* An answer. How many ms it was down; 0: it was up. */
int64_t health_good(struct health *h, int64_t now);

#endif

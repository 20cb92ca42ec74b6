/*
 * clock: the time, in milliseconds. Asked in few places, and an argument in
 * all others.
 */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stdint.h>

/* Monotonic, for deadlines; the last tick of the kernel's. */
int64_t clock_now(void);
/* Monotonic, in ns, to measure what takes little time. */
int64_t clock_ns(void);
/* For dates. */
int64_t clock_wall(void);
/* Since the machine was started, asleep or not. */
int64_t clock_boot(void);

/*
 * In UTC, "2026-11-24T08:11:56Z", of which the first so many octets are the
 * day, and the day with the time; "" for what no calendar has. Returns out.
 */
#define CLOCK_TEXT_MAX 32
#define CLOCK_DAY      10
#define CLOCK_TIME     19
const char *clock_text(int64_t seconds, char out[CLOCK_TEXT_MAX]);

#endif

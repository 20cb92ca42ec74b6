/*
 * fake_clock: time stands still but for what a test lets pass, or the timers
 * of the loop before that. The clocks of libc and the waiting of the loop go
 * through it; until clock_stop() they are the world's.
 */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

/*
 * busy: does a thread work on what will wake the loop? Then it is waited for,
 * however long it takes the world, and no time passes. NULL: no thread does,
 * but sockets on loopback may.
 */
void clock_stop(struct loop *l, bool (*busy)(void));
/*
 * Turns the loop until ms have passed and nothing more is to be done. Each
 * timer before that is due at its own time.
 */
void clock_pass(int64_t ms);
/* The world's again. */
void clock_go(void);

#endif

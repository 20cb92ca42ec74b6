/*
 * held_block: how often and for how long one file in held/ was tried.
 *
 * It stands behind the record, at the next multiple of 512:
 *
 *	  0  attempts 8, age in ms 8, when the last attempt was 8 (ms of
 *	     CLOCK_BOOTTIME), errno 8, all little-endian
 *	 32  the reason in words, ended by a NUL
 *
 * It is written over in place and never synced: a lost one only makes a
 * message wait longer. A file that ends before it has one of zeros. The wall
 * clock has no part in it: a machine whose clock jumps gives up no mail.
 */
#ifndef DELIVER_HELD_BLOCK_H
#define DELIVER_HELD_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define HELD_BLOCK 512

struct held_block {
	uint64_t attempts;
	int64_t age;  /* ms, as of the last attempt */
	int64_t last; /* 0: it was never tried */
	int error;    /* of the last attempt; 0: nobody knows */
};

void held_block_encode(const struct held_block *b, char out[HELD_BLOCK]);
/* What no clock ever said is a block of zeros. */
void held_block_decode(const char in[HELD_BLOCK], struct held_block *b);

/* Where it stands, behind what ends at this offset. */
uint64_t held_block_offset(uint64_t end);

/* ms of CLOCK_BOOTTIME, for all below. */
int64_t held_block_clock(void);

/* How long it has waited by now. */
int64_t held_block_age(const struct held_block *b, int64_t now);
/* Is it time to try, or to give up, because it has waited for expire ms? */
bool held_block_is_due(const struct held_block *b, int64_t now,
    uint64_t expire);
/* It is being tried now. */
void held_block_count(struct held_block *b, int64_t now);

#endif

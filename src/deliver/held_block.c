/*
 * held_block: attempts and age of held mail. Blocks nowhere, owns nothing.
 */
#include "deliver/held_block.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/le.h"
#include "dest/maildir.h"
#include "journal/record.h"

#define REASON    32
#define WAIT_MIN  2000 /* ms */
#define WAIT_MAX  (15 * 60 * 1000)
#define TIME_MAX  (INT64_MAX / 4)
#define ERROR_MAX 4095 /* the kernel's */

void
held_block_encode(const struct held_block *b, char out[HELD_BLOCK])
{
	const char *reason = maildir_error(b->error);

	memset(out, 0, HELD_BLOCK);
	le_put(out, b->attempts, 8);
	le_put(out + 8, (uint64_t)b->age, 8);
	le_put(out + 16, (uint64_t)b->last, 8);
	le_put(out + 24, (uint64_t)b->error, 8);
	snprintf(out + REASON, HELD_BLOCK - REASON, "%s", reason ? reason : "");
}

void
held_block_decode(const char in[HELD_BLOCK], struct held_block *b)
{
	uint64_t age = le_get(in + 8, 8), last = le_get(in + 16, 8);
	uint64_t error = le_get(in + 24, 8);

	*b = (struct held_block){0};
	if (age > TIME_MAX || last > TIME_MAX || error > ERROR_MAX)
		return;
	b->attempts = le_get(in, 8);
	b->age = (int64_t)age;
	b->last = (int64_t)last;
	b->error = (int)error;
}

uint64_t
held_block_offset(uint64_t end)
{
	return (end + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

int64_t
held_block_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Since the machine was started anew this clock knows nothing of before. */
static bool
began_anew(const struct held_block *b, int64_t now)
{
	return !b->last || now < b->last;
}

/* What lies between two attempts counts as far as it can be a wait. */
int64_t
held_block_age(const struct held_block *b, int64_t now)
{
	int64_t since = began_anew(b, now) ? 0 : now - b->last;

	return b->age + (since < WAIT_MAX ? since : WAIT_MAX);
}

bool
held_block_is_due(const struct held_block *b, int64_t now, uint64_t expire)
{
	int64_t wait = b->age / 2;

	if (wait < WAIT_MIN)
		wait = WAIT_MIN;
	if (wait > WAIT_MAX)
		wait = WAIT_MAX;
	return began_anew(b, now) || now - b->last >= wait ||
	       (uint64_t)held_block_age(b, now) >= expire;
}

void
held_block_count(struct held_block *b, int64_t now)
{
	b->age = held_block_age(b, now);
	b->last = now;
	b->attempts++;
}

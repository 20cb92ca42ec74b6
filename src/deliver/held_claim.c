/*
 * held_claim: what blocks of sending a held file. What it is told of a file was
 * true at the last look: the block that counts is read under the lock. Logs
 * nothing.
 */
#include "deliver/held_claim.h"

#include <errno.h>
#include <stdlib.h>

#include "io/clock.h"
#include "io/full_io.h"

/* Of 1024, at most, a wait is longer than another's. */
#define SPREAD 255
/* ms that a file for a route that cannot be asked waits to be counted. */
#define AWAY (15 * 60 * 1000)

bool
held_claim_is_due(const struct held_claim *c, const char *name,
    const struct held_block *b, int64_t now)
{
	uint32_t more = crc32c(c->crc, 0, span_str(name)) & SPREAD;
	int64_t wait = held_block_wait(b, b->last); /* all of it */

	wait = c->away ? AWAY : wait + wait * more / 1024;
	return !b->last || now < b->last || now - b->last >= wait ||
	       (!c->away && b->last < c->since) ||
	       (uint64_t)held_block_age(b, now) >= c->expire;
}

/* None is asked for; each has the reason why not, or of the last attempt. */
static void
give_up(struct held_claim *c)
{
	struct message *m = &c->file.m;
	char last[HELD_REASON_MAX];
	const char *why = last;

	held_block_reason(c->file.fd, c->file.block_at, last);
	if (c->away)
		why = c->why;
	for (unsigned i = 0; i < m->ncopies; i++) {
		m->copies[i].error = EAGAIN;
		if (*why)
			m->copies[i].note = arena_dup(&m->arena, span_str(why));
	}
	held_claim_settle(c);
	if (c->expired)
		(void)full_sync_dir(c->held);
	c->state = HELD_CLAIM_SETTLED;
}

/* With the lock. */
static void
count(struct held_claim *c, int64_t now)
{
	if (c->away) {
		c->block.age = held_block_age(&c->block, now);
		c->block.last = now;
	} else {
		held_block_count(&c->block, now);
	}
	c->expired = (uint64_t)c->block.age >= c->expire;
	if (c->away || c->block.age == HELD_AGE_MAX)
		give_up(c);
	else
		c->state = HELD_CLAIM_ASK;
}

void
held_claim_take(struct held_claim *c)
{
	int64_t now;

	if (held_file_open(&c->file, c->crc, c->held, c->name, c->reserve) < 0)
		return;
	now = clock_boot();
	if (c->file.m.copies[0].to &&
	    !held_file_lock(c->file.fd, c->held, c->name)) {
		c->block = held_block_read(c->file.fd, c->file.block_at);
		if (held_claim_is_due(c, c->name, &c->block, now))
			count(c, now);
	}
	if (c->state == HELD_CLAIM_NOT)
		held_file_close(&c->file);
}

/* Behind a failure it is held all the same. */
static void
fail_copies(struct held_claim *c)
{
	struct held_file *f = &c->file;

	for (unsigned i = 0; i < f->m.ncopies; i++) {
		struct message_copy *copy = &f->m.copies[i];

		if (copy->error && (copy->fate == FATE_REFUSED || c->expired))
			copy->error =
			    held_file_fail(f, copy, c->failed, copy->note);
	}
}

static const char *
reason(const struct message *m)
{
	unsigned i = 0;

	while (!m->copies[i].error)
		i++;
	return m->copies[i].note;
}

void
held_claim_settle(struct held_claim *c)
{
	struct held_file *f = &c->file;
	int result = 0;
	unsigned left;

	fail_copies(c);
	left = message_failed_copies(&f->m);
	f->m.dirfd = c->held;
	f->m.link = *f->body ? f->body : NULL;
	if (!left)
		held_file_remove(f, c->held, c->name);
	else if (left < f->m.ncopies)
		result = held_file_rewrite(c->crc, c->held, c->name, &f->m,
		    &c->block);
	if (!result && left < f->m.ncopies)
		return;
	/* or it would be tried again at once */
	c->error = result < 0 ? errno : 0;
	if (held_block_write(f->fd, f->block_at, &c->block, reason(&f->m)) < 0)
		c->error = errno;
}

void
held_claim_free(struct held_claim *c)
{
	if (c->state != HELD_CLAIM_NOT)
		held_file_close(&c->file);
	free(c->name);
}

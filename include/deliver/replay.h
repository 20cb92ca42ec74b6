/*
 * replay: the records of a segment, into their mailboxes again.
 *
 * A record is delivered when it is intact, whatever is before or behind it.
 * What cannot be delivered is held. Blocks; for one thread.
 */
#ifndef DELIVER_REPLAY_H
#define DELIVER_REPLAY_H

#include <stdatomic.h>
#include <stdint.h>

#include "dest/place.h"
#include "journal/record.h"

struct replay_root;

struct replay {
	const struct crc32c *crc;
	int dirfd; /* of the journal: where bodies have their files */
	int held;
	enum place_how how;
	const atomic_bool *stop; /* NULL, or whether to end before the next */
	/* NULL, or called before each record; false: leave it out */
	bool (*at)(void *ctx, uint64_t offset);
	void *ctx;

	/* copies, but for damaged: places where something was */
	unsigned placed, held_back, lost, damaged;
	/* the last record is but begun: a crash came during its commit */
	bool torn;

	struct place_boxes *boxes;
	struct replay_root *roots;
};

void replay_init(struct replay *r, const struct crc32c *crc, int dirfd,
    int held, enum place_how how);
void replay_free(struct replay *r);

/*
 * From one offset to another; everything that was found is delivered or
 * held. 0; -1 with errno when anything is neither (lost counts them),
 * ECANCELED when it was stopped, or ENOMEM.
 */
int replay_range(struct replay *r, int fd, uint64_t nonce, uint64_t from,
    uint64_t to);

/*
 * Everything placed so far is on disk: 0, or -1 with errno. ESTALE: not where
 * the path of its root leads to by now.
 */
int replay_sync(struct replay *r);
/* That alone: 0, or -1 with ESTALE. */
int replay_same(const struct replay *r);

/* A root that was opened before, or is opened now. Never NULL. */
record_root_fn replay_root;

#endif

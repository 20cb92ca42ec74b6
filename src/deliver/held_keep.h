/*
 * held_keep: copies for routes into held/, one file for each route, before
 * their message is answered; and out of it again, if it is refused after all.
 */
#ifndef DELIVER_HELD_KEEP_H
#define DELIVER_HELD_KEEP_H

#include "base/crc32c.h"
#include "mail/message.h"

struct held_keep {
	const struct crc32c *crc;
	int held; /* the directory */
	const struct message *m;
	struct message_copy *const *copies; /* route by route */
	unsigned n;
};

/* Blocks: 0, and they are on disk; or -1 with errno, and none is there. */
int held_keep_write(const struct held_keep *k);
/* Blocks: 0, and none is there; or -1 with errno: EBUSY, it is being sent;
 * EALREADY, some of it was, and the rest is gone. */
int held_keep_remove(const struct held_keep *k);

#endif

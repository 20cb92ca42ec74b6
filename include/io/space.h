/*
 * space: is there room on the file systems that mail goes to?
 *
 * Asked for every message, so it asks them at most once a second, or once a
 * turn (a millisecond) where a second of mail could fill one.
 */
#ifndef IO_SPACE_H
#define IO_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct space_fs;

struct space {
	struct space_fs *fs; /* one for each device */
	unsigned nfs;
	unsigned reserve; /* percent of octets and inodes to keep */
};

struct space_need {
	uint64_t octets, files;
};

/* One more file of this size. */
void space_need_file(struct space_need *n, uint64_t octets);

/* fd must stay open. 0, or -1 with errno. */
int space_add(struct space *s, int fd);
void space_free(struct space *s);

/* On all that were added. now: monotonic milliseconds. A file system that
 * does not answer is full. */
bool space_room(struct space *s, int64_t now, const struct space_need *n);

/* How much of this one is free, octets in millionths; as it was known within
 * the last second. */
unsigned space_free_part(struct space *s, int64_t now, dev_t dev, int fd);

/* On this one, of which fd is some file or directory. */
bool space_room_on(struct space *s, int64_t now, dev_t dev, int fd,
    const struct space_need *n);
/* The same, for what is written now: the next one finds less. */
bool space_take(struct space *s, int64_t now, dev_t dev, int fd,
    const struct space_need *n);

#endif

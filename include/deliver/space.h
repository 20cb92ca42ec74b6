/*
 * space: is there room on the file systems that mail goes to? Asked at
 * every MAIL, so it asks them at most once a second.
 */
#ifndef DELIVER_SPACE_H
#define DELIVER_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct space_fs;

struct space {
	struct space_fs *fs; /* one for each device */
	unsigned nfs;
	unsigned reserve; /* percent of octets and inodes to keep */
};

/* fd must stay open. 0, or -1 with errno. */
int space_add(struct space *s, int fd);
void space_free(struct space *s);

/* now: monotonic milliseconds. A file system that does not answer is full. */
bool space_room(struct space *s, int64_t now, uint64_t octets);

#endif

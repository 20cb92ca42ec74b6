/*
 * sockets: where the master listens, kept over workers and reloads.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>

#include "config/config.h"

/* Where a listen block listens. */
struct sockets_place {
	struct ipaddr addr;
	uint16_t port;
	bool inherited; /* one socket, shared by all slots */
};

/*
 * One socket per listen block and worker slot: fds[slot * nlistens + i]. A
 * block whose socket was handed over has it in slot 0, and -1 elsewhere
 * where the workers share it. Owned by the caller.
 */
struct sockets {
	int *fds;
	unsigned nlistens;
	unsigned nslots;
	struct sockets_place *places; /* per listen block */
};

/* Without any yet. */
void sockets_init(struct sockets *s, unsigned nlistens, unsigned nslots);
/*
 * old: those that serve already: an address that both have keeps them, and
 * slots never become fewer. NULL: this is the start, and sockets that were
 * handed over are taken.
 */
int sockets_open(const struct config *c, const struct sockets *old,
    struct sockets *s);
/* Frees s, and closes those of its sockets that keep (or NULL) has not. */
void sockets_release(struct sockets *s, const struct sockets *keep);
int sockets_fd(const struct sockets *s, unsigned slot, unsigned listen);
/* In the worker of this slot: closes those of all others, as a copy held here
 * would keep clients waiting in a queue that nobody empties. */
void sockets_keep(const struct sockets *s, unsigned slot);

#endif

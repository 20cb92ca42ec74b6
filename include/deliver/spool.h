/*
 * spool: a body on its way in. Up to SPOOL_MEMORY octets in memory, then an
 * unnamed file in the spool directory. A job writes one block while the next
 * one gathers; when both are full the caller stops reading.
 *
 * Lines may be converted on the way in: CRLF becomes LF when every
 * destination is a Maildir (the Maildir convention).
 */
#ifndef DELIVER_SPOOL_H
#define DELIVER_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/jobs.h"

#define SPOOL_MEMORY 65536

struct spool;

/*
 * dirfd: the spool directory, for the unnamed file; it must stay open until
 * no job is left (a freed spool's last write may still run). Never NULL.
 */
struct spool *spool_new(struct jobs *jobs, int dirfd, bool lf);

/*
 * Takes all of s (at most 64 KiB at once). True: go on. False: too much is
 * outstanding; take no more until room(ctx) is called. After an error the
 * octets are dropped and spool_error() says why.
 */
bool spool_write(struct spool *s, struct span data);

/* Called when there is room again, once per false of spool_write(). */
void spool_on_room(struct spool *s, void (*room)(void *ctx), void *ctx);

/*
 * The body is complete: ready(ctx) is called when no write is outstanding,
 * perhaps at once. Only then may spool_content() be used.
 */
void spool_finish(struct spool *s, void (*ready)(void *ctx), void *ctx);

/* 0, or the errno of the first failed write. */
int spool_error(const struct spool *s);
/* Octets stored, after conversion. */
uint64_t spool_size(const struct spool *s);

/*
 * The content: fd holds the first `filed` octets (fd -1: none), tail the
 * rest. For a delivery that owns the spool; safe on a thread then.
 */
struct spool_content {
	int fd;
	uint64_t filed;
	struct span tail;
};
struct spool_content spool_content(const struct spool *s);

/*
 * Silence, and *s is NULL; a write under way goes on without it. Also good
 * after jobs_free().
 */
void spool_free(struct spool **s);

#endif

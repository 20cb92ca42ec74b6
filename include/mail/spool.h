/*
 * spool: a body on its way in. Up to so many octets in memory, then an
 * unnamed file in the spool directory. A job writes one block while the next
 * one gathers; when both are full the caller stops reading.
 *
 * Lines end in LF from here on (the Maildir convention): CRLF becomes LF, and
 * a bare LF that was let in is a line end. A CR in it is a bare one. What would
 * go on with the last of the lines on top of it - with a blank, or with a bare
 * CR, which is one on every way out - has an empty line of ours in front.
 */
#ifndef MAIL_SPOOL_H
#define MAIL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/jobs.h"

/* What a body may have in memory before it becomes a file, by default. */
#define SPOOL_MEMORY 65536

struct envelope;
struct spool;

/* Lines that stand on top of the file, if there will be one. */
typedef void spool_head_fn(struct buf *out, const struct envelope *e,
    const char *hostname, int64_t when);

struct spool_options {
	struct jobs *jobs;
	/* for the unnamed file; open until no job is left, because a freed
	 * spool's last write may still run */
	int dirfd;
	size_t memory; /* octets before it becomes a file */
	int64_t when;  /* seconds since 1970: when it began */
	/* NULL, or asked for each block that goes into the file: no room is
	 * ENOSPC */
	bool (*room)(void *ctx, size_t n);
	void *room_ctx;
	/* NULL: no lines; else called by spool_write() with what follows */
	spool_head_fn *head;
	const struct envelope *env;
	const char *hostname;
	/* spool_edit() is to follow: its file need not reach the disk */
	bool edited;
};

/* On a thread: such a file, to be read and written, or -1 with errno. */
int spool_unnamed(int dirfd);

/* Never NULL. */
struct spool *spool_new(const struct spool_options *o);

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
int64_t spool_when(const struct spool *s);
/*
 * Octets that what it holds has with CRLF at the end of each line, and of the
 * last one if that has none. Dots are not doubled.
 */
uint64_t spool_wire(const struct spool *s);

/*
 * Of one that is finished, and nobody reads: front takes the place of the first
 * skip octets of what it holds, and ours is what stands on top if it is in a
 * file. Both are lines, each with its end, and are copied. done(ctx) is called
 * when spool_content() is the new one, perhaps at once, or spool_error() says
 * why not.
 */
void spool_edit(struct spool *s, struct span ours, struct span front,
    uint64_t skip, void (*done)(void *ctx), void *ctx);

/*
 * The content: what the file fd holds between from and filed (fd -1, 0 and 0:
 * nothing), then tail. Below from are the lines of head. For a delivery that
 * owns the spool; safe on a thread then.
 */
struct spool_content {
	int fd;
	uint64_t from, filed;
	struct span tail;
};
struct spool_content spool_content(const struct spool *s);

/*
 * On a thread: gives the file a name in dirfd, with the tail written, all of
 * it and its name on disk. *c has no tail afterwards. 0, or -1 with errno.
 */
int spool_seal(struct spool_content *c, int dirfd, const char *name);

/*
 * Silence, and *s is NULL; a write under way goes on without it. Also good
 * after jobs_free().
 */
void spool_free(struct spool **s);

#endif

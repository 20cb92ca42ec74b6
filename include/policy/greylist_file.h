/*
 * greylist_file: the greylist in the spool, as it was when it was written:
 * `greylist`, and greylist.SLOT.new while somebody writes it. A crash leaves
 * the old one or the new one.
 *
 * No mapping of a file: its pages would be written by each checkpoint, the
 * loop would wait for those under way, and an error of the disk be a signal.
 */
#ifndef POLICY_GREYLIST_FILE_H
#define POLICY_GREYLIST_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/shared_grey.h"

#define GREYLIST_FILE "greylist"

/* A header, and so many blocks, each with its checksum behind it. */
#define GREYLIST_FILE_HEADER 4096
#define GREYLIST_FILE_BLOCK  65536
#define GREYLIST_FILE_BLOCKS                                                   \
	(SHARED_GREY_SETS * sizeof(struct shared_set) / GREYLIST_FILE_BLOCK)

/*
 * What is in dir becomes the table's, before anybody else uses it. The blocks
 * that were damaged, and are empty now; or -1 with errno, and nothing has
 * changed: ENOENT, EMEDIUMTYPE when it is no such file, EBADMSG when it is one
 * that says nothing.
 */
int greylist_file_read(struct shared_grey *t, int dir);

/*
 * Writes, syncs and renames. still() false, asked at the end: nobody wants it
 * any more (ECANCELED). Whoever has the slot is the only one who writes there.
 * 0, or -1 with errno.
 */
int greylist_file_write(struct shared_grey *t, int dir, unsigned slot,
    int64_t wall, bool (*still)(const struct shared_grey *t, unsigned slot));

/* What those left who died while they wrote. */
void greylist_file_tidy(int dir);

#endif

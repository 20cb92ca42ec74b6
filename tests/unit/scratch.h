/*
 * scratch: an empty directory for one test, which becomes the working
 * directory; and short questions about the files in it. All paths are
 * relative to it.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Fixtures for cmocka: in memory, where no disk is waited for. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* The absolute path of something in it; good until the next but eight. */
const char *scratch_path(const char *rel);
/* "maildir:" and that; good until the next. */
const char *scratch_maildir(const char *rel);

void scratch_mkdir(const char *path);
/* And what is missing above it; it may be there. */
void scratch_mkdirs(const char *path);
void scratch_touch(const char *path);

/* Permission bits; -1 if there is nothing. Links are not followed. */
int scratch_mode(const char *path);
bool scratch_exists(const char *path);

/* Entries of a directory, without dots; 0 when it is not there. */
unsigned scratch_count(const char *dir);
/* Regular files in the whole tree below. */
unsigned scratch_files(const char *dir);
/* The only entry of a directory, as "dir/entry"; good until the next call. */
const char *scratch_only(const char *dir);

/* The whole file; the caller frees it. */
struct buf scratch_read(const char *path);

#endif

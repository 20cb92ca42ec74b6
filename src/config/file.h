/*
 * file: the configuration's own files, and those that it names.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/fault.h"
#include "config/tree.h"

/* The largest file that is read; 16 MiB are half a million users. */
#define CONFIG_FILE_MAX (16u << 20)

/*
 * Appends a whole file, without a byte order mark at its start, and notes it
 * in all; path is in the arena. 0, or -1 with
 * errno; EFBIG over CONFIG_FILE_MAX, ENXIO for what is no regular file: nobody
 * waits here for whoever writes to a FIFO.
 */
int config_read(struct config_all *all, const char *path, struct buf *out);
/* What errno says then. */
const char *config_read_why(void);

/* at, below: where the file is named, and so where its faults are. */

/* The same, but for the error, which says what to do about it, too. */
int config_read_named(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out);
/* The same of a certificate, a key or a secret, which may be renewed. */
bool config_read_pem(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct buf *out);
/* Adds every line of a file but the empty ones and those that begin with #. */
void config_read_lines(struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, struct config_list *out);
/* A warning if others can read this file, or write it. */
void config_check_secret(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path);
/*
 * A warning if the user that workers run as cannot connect to this socket, or
 * run this program. listener: what it is called in Dovecot; NULL: it is
 * another's.
 */
void config_check_socket(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path, const char *listener);
void config_check_program(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *path);
/* An error if others can write to this directory. */
void config_check_directory(const struct config_all *all,
    struct config_faults *f, const struct config_item *at, const char *path);

#endif

/*
 * full_io: reads, writes and syncs that leave nothing half done.
 */
#ifndef IO_FULL_IO_H
#define IO_FULL_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/buf.h"

/*
 * What lies in a directory that others write: opened without following a link
 * or waiting for anybody (0600 with O_CREAT). -1 with errno: EMEDIUMTYPE when
 * it is no regular file, or has more than max octets.
 */
int full_open(int dir, const char *name, int flags, uint64_t max);

/* Closes *fd, if it is one, and makes it -1. errno stays. Always -1. */
int full_close(int *fd);
/* The same for what is not to have this name any more. */
int full_unlink(int dir, const char *name);

/*
 * Does path still lead to the directory that fd is? 0, or -1 with errno:
 * ESTALE when it leads to another one.
 */
int full_same(const char *path, int fd);
/* The same, for what fstat() has said of it. */
int full_leads_to(const char *path, const struct stat *open);

/* Each: 0, or -1 with errno. A file that ends before n octets is EIO. */
int full_pread(int fd, char *to, size_t n, uint64_t at);
int full_pwrite(int fd, struct span s, uint64_t at);
/* n octets of another file, which the file system may copy. */
int full_copy(int from, uint64_t at, int to, uint64_t to_at, uint64_t n);

/* iov is used up. At most IOV_MAX parts. */
int full_writev(int fd, struct iovec *iov, int parts);
int full_pwritev(int fd, struct iovec *iov, int parts, uint64_t at);

/*
 * fsync of a directory. xfs says that it is done, too, after it gave up and
 * threw its log away (a write to it failed): then this is EIO.
 */
int full_sync_dir(int fd);
/*
 * syncfs. It does nothing, and says that all is well, on what the kernel has
 * made read-only after an error (EROFS here), and older kernels say so of
 * what was shut down (EIO).
 */
int full_syncfs(int fd);

/* writev takes no const, and changes nothing. */
struct iovec full_part(struct span s);

#endif

/*
 * maildir: roots and mailboxes, made and opened.
 *
 * Blocking; runs on a job thread. Every path is opened below its root's
 * descriptor with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so that no
 * address can lead outside, whatever it holds.
 */
#ifndef DEST_MAILDIR_H
#define DEST_MAILDIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * The part of a deliver template before its first %, opened. The loop may
 * open it anew while threads use it: they find the old one or the new.
 */
struct maildir_root {
	char *path;       /* absolute */
	int fd;           /* O_PATH directory; -1 before maildir_root_open() */
	_Atomic int sync; /* the same, for syncfs(); -1: there is none */
	_Atomic dev_t dev;
	atomic_bool each; /* sync is not to be trusted: fsync each file there */
	atomic_bool gone; /* the path leads nowhere: nothing is written */
	/* how often it was opened anew: who saw less may have used another */
	atomic_uint renewals;
};

/*
 * 0, or -1 with errno: EACCES when this process cannot write there; ESTALE
 * when its user could, but a sandbox that it entered before does not know what
 * is there now. sync is
 * opened where syncfs() is known to mean what it says: ext4, xfs, btrfs, f2fs.
 */
int maildir_root_open(struct maildir_root *r);
void maildir_root_close(struct maildir_root *r);

/*
 * Has what the path leads to changed since it was opened, or gone, or come
 * back? On any thread.
 */
bool maildir_root_changed(const struct maildir_root *r);
/*
 * If so opens it anew: its descriptors keep their numbers. 1; 0: it is what
 * was open; -1 with errno of maildir_root_open(): it is gone.
 */
int maildir_root_renew(struct maildir_root *r);
/* Not by the next checkpoint's syncfs(). */
bool maildir_root_sync_each(const struct maildir_root *r);

/*
 * May this become one component of a path? Not: empty, a leading dot, '/',
 * a control octet, over 200 bytes, or one of cur, new, tmp.
 */
bool maildir_component_valid(const char *s);
/* cur, new or tmp: what every mailbox has inside. */
bool maildir_reserved(struct span name);

/* Is there a Maildir, with cur/ in it, at rel? 1, 0, or -1 with errno. */
int maildir_exists(const struct maildir_root *r, const char *rel);

/*
 * May this process read, write and enter the mailbox at rel? Also when there
 * is none yet. 0, or -1 with errno.
 */
int maildir_access(const struct maildir_root *r, const char *rel);

/*
 * Why a mailbox was not opened or written, in words; NULL for 0. A link is
 * never followed, and that is said of ELOOP.
 */
const char *maildir_error(int error);

/*
 * One mailbox, open: tmp and new in it. Makes what is missing (0700) and
 * fsyncs each new directory's parent. 0, or -1 with errno.
 */
struct maildir_box {
	int dir, tmp, new;
	dev_t dev;
};
int maildir_box_open(const struct maildir_root *r, const char *rel,
    struct maildir_box *b);
/* errno is kept. Idempotent. */
void maildir_box_close(struct maildir_box *b);

#endif

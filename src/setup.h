/*
 * setup: what the master does once, before the first worker: users,
 * directories, the lock. Every failure is said in one line that
 * says what to do, and returns the exit status.
 */
#ifndef SETUP_H
#define SETUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"

enum {
	EXIT_WARNINGS = 1,
	EXIT_USAGE = 64,
	EXIT_FAILED = 70, /* the system would not */
	EXIT_CONFIG = 78,
};

/* Whom the workers become. */
struct identity {
	bool change; /* started as root */
	uid_t uid;
	gid_t gid;
};

/* 0 or an exit status. */
int setup_identity(const struct config *c, struct identity *id);

/*
 * Acts as the user until identity_resume(): uid, gid and groups; nothing if
 * this is not root. For a process of one thread. 0, or -1 with errno and
 * nothing changed.
 */
struct identity_own {
	bool away;
	gid_t gid, *groups;
	int ngroups;
};
int identity_assume(const struct identity *id, struct identity_own *own);
/* Aborts rather than go on as anybody else. Idempotent; errno is kept. */
void identity_resume(struct identity_own *own);

/*
 * Opens a directory that is the user's alone, and makes it (0700) with what
 * is missing above it (0711) and syncs it, as root only as far as nobody
 * else can change where the path leads. -1: it was said why not.
 */
int setup_directory(const char *path, const struct identity *id);

/*
 * Makes and checks the spool and every Maildir root; at a reload too. *spool
 * is the spool, open: the caller closes it. 0 or an exit status.
 */
int setup_directories(struct config *c, const struct identity *id, int *spool);

/*
 * The key in spool/auth-key, made at the first start: with it a user that is
 * none looks the same in every worker and after a restart.
 */
int setup_auth_key(struct config *c, int spool);

/* Whether what is in the spool lasts; said once per start. */
int setup_spool(const struct config *c, int spool);

/*
 * Takes lock in the spool, with our pid as its text, until setup_unlock(*fd);
 * names who holds it.
 */
int setup_lock(const struct config *c, int spool, int *fd);
void setup_unlock(int fd);

/* Drops to the identity for good. 0, or -1 with errno. */
int setup_become(const struct identity *id);

#endif

/*
 * upgrade: another program in this process. Its workers stay, as do the lock
 * and the sockets; the program is told of them by a file in memory, whose
 * number is in the environment. It is tried before, in a child: that does all
 * of it, but for taking over.
 *
 * The file has rows "key value", each with a NUL behind it. A key that is not
 * known to who reads them fails it: what it means would be lost.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "config/config.h"
#include "generation.h"
#include "master.h"
#include "status.h"

#define UPGRADE_ENV "SMTPD_UPGRADE"

/* What a program leaves to the next one. */
struct upgrade {
	char *version;     /* of who leaves it */
	char *program;     /* the file that is run */
	struct config was; /* of its configuration what is still needed */
	struct status status;
	struct generation serving;
	struct sandbox_dirs dirs;
	int lock;
	bool reload;     /* asked for, and not done yet */
	struct buf text; /* read: the strings above point into it */
};

/* --- the program that is to go --- */

/* Runs the next one in a child. 0, or -1 with errno. */
int upgrade_try(struct trial *t, const struct upgrade *u, char **argv);

/* How it went, when it has ended with this status. NULL: well; else why[n]. */
const char *upgrade_judge(struct trial *t, int status, char *why, size_t n);

/* Whether what was tried is what would be run now. */
bool upgrade_same(const struct trial *t, const struct upgrade *u);

/* Runs the next one in this process; -1 with errno: nothing has changed. */
int upgrade_run(const struct upgrade *u, char **argv);

/* --- the one that comes --- */

/*
 * env: what stood in the environment. Closes every descriptor that it is not
 * told of. *client: this is a trial, with this client; else -1. NULL, or what
 * is wrong.
 */
const char *upgrade_read(struct upgrade *u, const char *env, int *client);

/* Whether descriptors are what is said of them; NULL, or what is wrong. */
const char *upgrade_check(const struct upgrade *u);

/* But for what was taken out of it. */
void upgrade_free(struct upgrade *u);

/* In a trial: one worker, and its exit status; the client hears of faults. */
int upgrade_trial(struct upgrade *u, const struct master_options *o,
    int client);

#endif

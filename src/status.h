/*
 * status: what the master knows about its service, as the file spool/status.
 * The first line is "pid PID START", START as in proc(5); each other one is a
 * key, a space and a text for people. Keys may come again: one worker is one
 * line. "fault" lines say what somebody should look at.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "generation.h"

/* Of what is wrong, with its NUL. */
#define STATUS_WHY 512

struct status {
	const char *file; /* the configuration's */
	int64_t started;  /* wall ms */
	unsigned generation;
	unsigned reloads;   /* that came to an end, good or bad */
	int64_t reloaded;   /* wall ms, when the last one did; 0: none */
	bool waits;         /* one was asked for, and is not done yet */
	bool renewal_waits; /* of a certificate: a reload is to be asked for */
	char fault[STATUS_WHY]; /* of the last one; "": it was good */
	unsigned upgrades;      /* the same of them */
	int64_t upgraded;
	char upgrade_fault[STATUS_WHY];
};

/*
 * Writes it anew, whole or not at all, in the spool of current; what is wrong
 * then is in the log. leaves: it serves nobody any more.
 */
void status_write(const struct status *s, const struct generations *all,
    const struct generation *current, bool leaves);

/* When a process was started, as in proc(5); 0 when nobody says so. */
uint64_t status_start(pid_t pid);

#endif

/*
 * upgrade_rows: what writer and reader of the file agree on. For them alone.
 */
#ifndef UPGRADE_ROWS_H
#define UPGRADE_ROWS_H

#include "upgrade.h"

#define UPGRADE_FORMAT 1 /* of the rows */

/* Rows that are one field: its key, and its place in struct upgrade. */
#define UPGRADE_NUMBERS(X)                                                     \
	X("started", status.started)                                           \
	X("generation", status.generation)                                     \
	X("reloads", status.reloads)                                           \
	X("reloaded", status.reloaded)                                         \
	X("upgrades", status.upgrades)                                         \
	X("log-to", was.log_to)                                                \
	X("log-format", was.log_format)                                        \
	X("log-level", was.log_level)                                          \
	X("drain", was.drain)                                                  \
	X("sandbox", was.sandbox)                                              \
	X("volatile", was.spool_volatile)                                      \
	X("half", serving.half)                                                \
	X("alive", serving.alive[1])                                           \
	X("seccomp", serving.seccomp)                                          \
	X("landlock", serving.landlock)                                        \
	X("slots", serving.sockets.nslots)                                     \
	X("listens", serving.sockets.nlistens)                                 \
	X("lock", lock)                                                        \
	X("reload", reload)

#define UPGRADE_TEXTS(X)                                                       \
	X("smtpd", version)                                                    \
	X("program", program)                                                  \
	X("spool", was.spool)                                                  \
	X("failed", was.failed)                                                \
	X("user", was.user)                                                    \
	X("group", was.group)                                                  \
	X("machine", was.machine)

/* The flags of all descriptors that the next program takes, or has taken. */
void upgrade_hand_over(const struct upgrade *u, int flags);

#endif

/*
 * landlock: the half of the sandbox that knows files and ports. See
 * io/sandbox.h.
 */
#ifndef IO_LANDLOCK_H
#define IO_LANDLOCK_H

struct sandbox_rules;

/* The version in force, or 0 with errno. no_new_privs is set. */
int landlock_enter(const struct sandbox_rules *rules);

#endif

/*
 * identity: what to do about a user or a group that cannot be ours; said by
 * -n and by a start.
 */
#ifndef CONFIG_IDENTITY_H
#define CONFIG_IDENTITY_H

#define IDENTITY_HELP 160
#define IDENTITY_ROOT "it has root's rights: name one that has none"

/* The command that makes the "user" or "group" of this name. Returns help. */
const char *identity_make(const char *key, const char *name,
    char help[IDENTITY_HELP]);

#endif

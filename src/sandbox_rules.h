/*
 * sandbox_rules: from a configuration to what its workers may still do.
 */
#ifndef SANDBOX_RULES_H
#define SANDBOX_RULES_H

#include "config/config.h"
#include "io/sandbox.h"

/*
 * Every directory that mail was kept in since the start: journals and held
 * mail name those of earlier configurations. Owns its paths.
 */
struct sandbox_dirs {
	char **paths;
	unsigned n;
};

void sandbox_dirs_put(struct sandbox_dirs *d, const char *path);
/* Those of c too: the spool, failed, each Maildir root. */
void sandbox_dirs_add(struct sandbox_dirs *d, const struct config *c);
void sandbox_dirs_free(struct sandbox_dirs *d);

/* Borrows the paths of d, and the ports of c. */
struct sandbox_rules sandbox_rules(const struct config *c,
    const struct sandbox_dirs *d);

/*
 * In a worker before its first thread: its capabilities go, and it enters the
 * sandbox; *state is what is in force. first: it says so, for all of its
 * generation. 0, or -1 when something that is required is missing, which was
 * said.
 */
int sandbox_begin(enum config_sandbox how, const struct sandbox_rules *r,
    bool first, struct sandbox_state *state);

/* What Landlock of this version holds; NULL: nothing. */
const char *sandbox_held_by(int landlock);

#endif

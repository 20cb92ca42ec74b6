/*
 * value: text into values. The way back is format.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/arena.h"
#include "config/section.h"

/*
 * Stores text in the struct at data. cwd: what a relative path is put
 * behind; NULL: relative paths are refused. Strings go into the arena. 0, or
 * -1 and why not, as the end of a sentence that begins with the value.
 */
int config_value_set(const struct config_key *k, void *data, const char *text,
    const char *cwd, struct arena *arena, char why[CONFIG_WHY_MAX]);

struct config_unit {
	char name;
	unsigned ms;
	unsigned max; /* in one */
};

/* Of rates; ends with one without a name. */
extern const struct config_unit config_units[];

#endif

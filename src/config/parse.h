/*
 * parse: a file into blocks.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/fault.h"
#include "config/tree.h"

/*
 * With the files that it includes; all->top is there then, and all->whole says
 * whether all of it was understood. text is changed; a NUL is behind it.
 */
void config_parse(struct config_all *all, struct config_faults *f,
    const char *file, char *text, size_t len);

#endif

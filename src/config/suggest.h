/*
 * suggest: what somebody meant who wrote what does not exist.
 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include "config/section.h"

/*
 * Could name be a typing error for known, closer than *best, which begins with
 * CONFIG_RESEMBLE_MAX? Then *best is how close.
 */
#define CONFIG_RESEMBLE_MAX 32 /* octets; longer ones resemble nothing */
bool config_resembles(struct span name, const char *known, unsigned *best);

/* What another server's word is here; NULL: it is nobody's. */
const char *config_our_word(struct span name);
/*
 * Why s has no such key, or the file no such block, and what to write instead,
 * as the end of a sentence; NUL-terminated.
 */
void config_suggest(const struct config_section *s, struct span name,
    bool block, char why[CONFIG_WHY_MAX]);

#endif

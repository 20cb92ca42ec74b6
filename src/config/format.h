/*
 * format: values into text.
 */
#ifndef CONFIG_FORMAT_H
#define CONFIG_FORMAT_H

#include "base/buf.h"
#include "config/section.h"

/*
 * Appends the value in the syntax of the file; false, and nothing, when it
 * is not set. Not for lists.
 */
bool config_value_format(const struct config_key *k, const void *data,
    struct buf *out);

/*
 * Appends text without what may be a secret in its URLs: "..." for credentials,
 * nothing for a query.
 */
void config_public(const char *text, struct buf *out);

/* Appends text in double quotes, so that it reads back as it is. */
void config_quote(const char *text, struct buf *out);

#endif

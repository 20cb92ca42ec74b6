/*
 * senders: who may use which address in MAIL FROM. A table of lines "login:
 * address, @domain", built once, constant afterwards. A login that has no
 * line is not its business: see recipients_owns().
 */
#ifndef POLICY_SENDERS_H
#define POLICY_SENDERS_H

#include <stdbool.h>

#include "base/buf.h"
#include "proto/smtp_addr.h"

struct senders;

struct senders *senders_new(void);
void senders_free(struct senders **s);
/* NULL, or a constant text that says what is wrong. */
const char *senders_add(struct senders *s, struct span line);

enum senders_verdict { SENDERS_NO, SENDERS_YES, SENDERS_UNLISTED };
/*
 * The null sender is always SENDERS_YES. ASCII case is ignored, and so is the
 * spelling of domains.
 */
enum senders_verdict senders_look(const struct senders *s, const char *login,
    const struct smtp_path *from);

#endif

/*
 * probe_sts: the MTA-STS policy (RFC 8461 3.2) that our configuration comes to:
 * dns prints it, the probe compares what is published with it.
 */
#ifndef TOOLS_PROBE_STS_H
#define TOOLS_PROBE_STS_H

#include <stdbool.h>

#include "base/buf.h"

struct config;

#define PROBE_STS_TESTING "testing"
#define PROBE_STS_ENFORCE "enforce"
#define PROBE_STS_NONE    "none"
#define PROBE_STS_ID_LEN  20

/* One of these; NULL: it is none of them. */
const char *probe_sts_mode(const char *text);

/* The nth of the names that take mail, from 0; false: no more. */
bool probe_sts_host(const struct config *c, unsigned nth, const char **r);

/* Appends it; the same for every domain. */
void probe_sts_policy(const struct config *c, const char *mode,
    struct buf *out);
/* Another one for each other policy. */
void probe_sts_id(const struct config *c, const char *mode,
    char id[PROBE_STS_ID_LEN + 1]);

/* Is this the id of our policy in one of its modes? */
bool probe_sts_is_ours(const struct config *c, const char *id);

#endif

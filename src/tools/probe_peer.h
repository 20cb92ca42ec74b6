/*
 * probe_peer: what is wrong with the certificate that a server showed.
 */
#ifndef TOOLS_PROBE_PEER_H
#define TOOLS_PROBE_PEER_H

#include "base/arena.h"
#include "tools/probe_try.h"

/* Of r->peer into r->findings: 20 to 24. now: seconds since 1970. */
void probe_peer_judge(struct probe_result *r, int64_t now, struct arena *a);

#endif

/*
 * carrier: a route to an SMTP or LMTP server at work in this worker: what
 * waits, the connections, and whether the server is there. The functions are
 * those of struct destination_kind.
 */
#ifndef DEST_CARRIER_H
#define DEST_CARRIER_H

#include "dest/parcel.h"

struct carrier *carrier_open_smtp(const struct route *r,
    const struct dest_services *s);
struct carrier *carrier_open_lmtp(const struct route *r,
    const struct dest_services *s);
void carrier_free(struct carrier **c);
struct ask *carrier_ask(struct carrier *c, struct parcel *p, parcel_fn *fn,
    void *ctx);
struct ask *carrier_verify(struct carrier *c, const char *sender,
    const char *to, int64_t deadline, verify_fn *fn, void *ctx);
enum carrier_health carrier_health(const struct carrier *c,
    const struct smtp_reply **reply);
void carrier_again(struct carrier *c);

#endif

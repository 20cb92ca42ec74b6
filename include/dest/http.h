/*
 * http: messages as POSTs to a web address. A copy's recipients are in the
 * request's Smtp-Envelope, the message as it is in its body, signed as
 * Standard Webhooks are if the route has a secret. libcurl speaks, on our
 * loop; it opens no files, asks no resolver and reads no environment. SIGPIPE
 * must be ignored.
 */
#ifndef DEST_HTTP_H
#define DEST_HTTP_H

#include "dest/destination.h"

/*
 * libcurl's and OpenSSL's own beginnings, which read files: in a process that
 * has such a route, before its sandbox and its threads. 0, or -1.
 */
#ifdef SMTPD_NO_HTTP
static inline int
http_begin(void)
{
	return 0;
}

static inline void
http_end(void)
{
}
#else
int http_begin(void);
void http_end(void);
#endif

/* As struct destination_kind has them. */
struct carrier *http_open(const struct route *r, const struct dest_services *s);
void http_free(struct carrier **c);
struct ask *http_ask(struct carrier *c, struct parcel *p, parcel_fn *fn,
    void *ctx);
void http_again(struct carrier *c);
enum carrier_health http_health(const struct carrier *c,
    const struct smtp_reply **reply);

#endif

/*
 * smtp_foreign: protocols that are not ours, told by their first octets.
 *
 * What answers them with one error after the other comes to the body of a web
 * request in the end, and that may be written by a stranger to speak SMTP.
 */
#ifndef PROTO_SMTP_FOREIGN_H
#define PROTO_SMTP_FOREIGN_H

#include "base/buf.h"

enum smtp_foreign {
	SMTP_FOREIGN_NOT, /* or not yet known */
	SMTP_FOREIGN_HTTP,
	SMTP_FOREIGN_TLS,
	SMTP_FOREIGN_PROXY,
};

/*
 * in: the octets behind `empty` empty lines that a session begins with.
 * *len: how many of them are a line that has ended or gone wrong, 0 as long as
 * none has; then how many decided it. (RFC 9112 3, RFC 8446 5.1, and the PROXY
 * protocol, both versions.)
 */
enum smtp_foreign smtp_foreign_tell(struct span in, unsigned empty,
    size_t *len);

/* "HTTP"; NULL for SMTP_FOREIGN_NOT. Constant. */
const char *smtp_foreign_name(enum smtp_foreign f);

#endif

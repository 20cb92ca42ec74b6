/*
 * smtp_cmd: the arguments of commands, parsed into named results.
 *
 * Every function takes what stands behind the verb and its space, without
 * the CRLF and without trailing blanks, and answers with NULL or with the
 * reply that explains what is wrong (constant, never freed).
 */
#ifndef PROTO_SMTP_CMD_H
#define PROTO_SMTP_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proto/smtp_addr.h"
#include "proto/smtp_reply.h"

/* MAIL FROM:<path> parameters (RFC 5321 4.1.1.2, 1870, 4954, 6152, 6531). */
struct smtp_mail {
	struct smtp_path path;
	uint64_t size; /* SIZE=, 0 when absent */
	bool eightbit; /* BODY=8BITMIME */
	bool utf8;     /* SMTPUTF8 */
	bool quirk;    /* a space after the colon */
};

struct smtp_rcpt {
	struct smtp_path path;
	bool quirk;
};

/* BDAT size [LAST] (RFC 3030). */
struct smtp_bdat {
	uint64_t size; /* below 2^63 */
	bool last;
};

/*
 * auth: AUTH is offered, so AUTH= may be there: it is read and dropped, since
 * nobody is trusted to say who else has logged in (RFC 4954 section 5).
 */
const struct smtp_reply *smtp_cmd_mail(struct span args, bool auth,
    struct arena *arena, struct smtp_mail *r);
/* utf8: whether MAIL said SMTPUTF8; without it an eight-bit path is 553. */
const struct smtp_reply *smtp_cmd_rcpt(struct span args, struct arena *arena,
    bool utf8, struct smtp_rcpt *r);
const struct smtp_reply *smtp_cmd_bdat(struct span args, struct smtp_bdat *r);
/* Of HELO and EHLO. */
struct smtp_helo {
	struct span name; /* as it may stand in a header; in args or in text */
	bool quirk;       /* a dot behind it, hyphens, a literal to mend */
	char text[SMTP_LITERAL_MAX];
};
/*
 * A domain or an address literal. client: NULL, or whose literal the name is
 * where the argument is neither.
 */
const struct smtp_reply *smtp_cmd_helo(struct span args,
    const struct ipaddr *client, struct smtp_helo *r);

#endif

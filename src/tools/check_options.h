/*
 * check_options: what `smtpd check` is asked, and the message it is asked with.
 */
#ifndef TOOLS_CHECK_OPTIONS_H
#define TOOLS_CHECK_OPTIONS_H

#include <stdbool.h>

#include "config/config.h"

/* Each as it may stand in a command. */
struct check_options {
	const char *file, *ip, *helo, *from, *rcpt, *user, *message;
	bool no_dns, no_milter;
	struct ipaddr client;           /* ip */
	char literal[SMTP_LITERAL_MAX]; /* helo, if none was given */
};

/* argv ends with NULL. 0, or -1 and it was said why. */
int check_options_read(struct check_options *o, char **argv);

/* As DATA has it, with its dot; no more of it than is refused for its size. 0,
 * or an exit status, and it was said why. */
int check_options_message(const struct check_options *o, const struct config *c,
    struct buf *out);

#endif

/*
 * milter_state: a conversation, for the files that it is in.
 */
#ifndef POLICY_MILTER_STATE_H
#define POLICY_MILTER_STATE_H

#include "io/stream.h"
#include "mail/content.h"
#include "policy/milter.h"
#include "proto/client_body.h"
#include "proto/envelope.h"

/* What is to be told next. */
enum milter_step {
	STEP_OPTIONS,
	STEP_CONNECT,
	STEP_HELO,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_HEADER,
	STEP_HEADER_END,
	STEP_BODY,
	STEP_BODY_END,
	STEP_ALL, /* its last word is awaited */
};

struct milter {
	struct milter_task task;
	struct ask *dial;
	struct stream stream;
	struct milter_options options;
	enum milter_step step;
	bool connected;
	bool agreed; /* on options */
	bool awaits; /* an answer to what was said last */
	bool over;
	unsigned progress; /* times */
	unsigned edits;
	struct buf packets; /* of them, as they came */
	struct buf in, out;

	/* what is told */
	const struct envelope_rcpt *rcpt;
	const struct header_field *field;
	bool below; /* it is of those below our own lines */
	struct content *content;
	struct client_body lines;
	struct buf text; /* of the body, as it goes out */
	bool read;       /* there is no more of it */
};

enum milter_said {
	MILTER_SAID,  /* it is in m->out */
	MILTER_WAITS, /* for a disk: milter_go_on() will be called */
	MILTER_FAILS, /* the disk: content_error() */
};

/* The next of what it wants to hear. */
enum milter_said milter_say(struct milter *m);

/* Says as much as can be said now. */
void milter_go_on(struct milter *m);

#endif

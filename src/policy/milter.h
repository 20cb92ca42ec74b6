/*
 * milter: one conversation about one message with one milter.
 */
#ifndef POLICY_MILTER_H
#define POLICY_MILTER_H

#include "io/dial.h"
#include "io/neighbour.h"
#include "policy/filter.h"
#include "proto/header.h"

struct milter;

enum milter_end {
	MILTER_PASS,     /* with what it edits: milter_edit() */
	MILTER_DISCARDS, /* take it, and forget it */
	MILTER_NO,       /* its reply */
	MILTER_GONE,     /* nothing came of it */
	MILTER_UNREAD,   /* we ourselves cannot read the message */
};

struct milter_verdict {
	enum milter_end end;
	struct milter_text no;
	enum neighbour_error gone; /* with GONE, and in words, constant: */
	const char *why;
	int error; /* behind that, or with UNREAD; 0: none */
};

struct milter_task {
	const struct filter_services *services;
	const struct filter_message *message;
	const char *machine; /* our name */
	const struct header *header;
	struct spool_content body; /* behind the header */
	const struct dial_place *places;
	unsigned n;
	uint32_t within; /* ms: a connection */
	/* It works on it, and asks for more time. */
	void (*progress)(void *ctx);
	/* Once, from the loop: the last that is called. */
	void (*done)(void *ctx, const struct milter_verdict *v);
	void *ctx;
};

/* Never NULL; what *t leads to must last, places need not. */
struct milter *milter_new(const struct milter_task *t);
/* In silence, also from done(): from its loop alone. */
void milter_free(struct milter **m);

/* It knows nothing of time: whoever does, ends it so. done() is called. */
void milter_expire(struct milter *m);

/* After PASS: how many edits there are, and to make them, in their order.
 * False: one of them is not possible, and *h is to be thrown away. */
unsigned milter_edits(const struct milter *m);
bool milter_edit(const struct milter *m, struct header *h);

#endif

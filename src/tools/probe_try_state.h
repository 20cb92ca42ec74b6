/*
 * probe_try_state: a try from within. probe_try.c goes from state to state,
 * probe_try_reply.c judges what came, or did not.
 */
#ifndef TOOLS_PROBE_TRY_STATE_H
#define TOOLS_PROBE_TRY_STATE_H

#include "proto/client_reply.h"
#include "tools/probe_try.h"

#define TRY_FIRST_MAX 64

/* What is waited for. */
enum try_state {
	TRY_CONNECT,
	TRY_GREETING,
	TRY_NUDGE,
	TRY_EHLO,
	TRY_HELO,
	TRY_STARTTLS,
	TRY_HANDSHAKE,
	TRY_EHLO_TLS,
	TRY_QUIT,
	TRY_OVER,
};

/* Why there is no reply. */
enum try_loss {
	TRY_CLOSED,
	TRY_RESET,
	TRY_TIME,
	TRY_BROKEN, /* it is none, or TLS that must end */
};

struct
try {
	struct ask ask;
	const struct probe_options *o;
	struct probe_result *r;    /* of this run */
	struct probe_result *told; /* of the first */
	struct arena *arena;
	probe_try_fn *fn;
	void *ctx;
	struct ask *dialling;
	struct stream s; /* fd -1: none */
	struct client_reply reply;
	enum try_state state;
	struct probe_step *step;
	int64_t begun;             /* the step */
	int64_t again;             /* the second run */
	const char *insecure;      /* why the first handshake failed; NULL */
	bool silent;               /* not a word, and hung up at QUIT */
	char first[TRY_FIRST_MAX]; /* of what came in this state */
	size_t nfirst;
};

/* The only way from one state to another. */
void try_become(struct try *t, enum try_state s);

/* "closed"; constant. */
const char *try_word(const struct try *t, enum try_loss how);

/* detail: NULL or text; with what a stranger said behind it, quoted. */
void try_find(struct try *t, enum probe_cause cause, const char *detail);
void try_find_said(struct try *t, enum probe_cause cause, const char *detail,
    struct span said);

/* Each a whole reply, or the lack of one; then it is another state's turn. */
void try_greeting(struct try *t);
void try_no_greeting(struct try *t, enum try_loss how);
void try_silent(struct try *t); /* and whether it speaks TLS is known */
void try_ehlo(struct try *t);
void try_helo(struct try *t);
void try_no_hello(struct try *t, enum try_loss how);
void try_starttls(struct try *t);
void try_ehlo_tls(struct try *t);
void try_no_tls(struct try *t, enum try_loss how);
/* It speaks in clear where TLS was to be: the first octets say what. */
void try_plain(struct try *t);

/* A line of the answer to EHLO. */
void try_extension(struct try *t);

/* Where TLS fails: 25 or 54. */
enum probe_cause try_tls_cause(const struct try *t);

#endif

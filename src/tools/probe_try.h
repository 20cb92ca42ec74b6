/*
 * probe_try: one address of a server, from connect to QUIT. What it finds is
 * written down step by step; nothing is printed.
 */
#ifndef TOOLS_PROBE_TRY_H
#define TOOLS_PROBE_TRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ipaddr.h"
#include "io/ask.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls_client.h"
#include "tools/probe_cause.h"

/* The same for all tries; all of it must outlive them. Times in ms. */
struct probe_options {
	struct stream_pool *pool;     /* and its loop */
	const struct tls_client *tls; /* that does not verify */
	const struct tls_client *old; /* the same, with TLS 1.0 */
	const char *helo;   /* "": the literal of the socket's address */
	uint32_t connect;   /* 10,000 */
	uint32_t greeting;  /* --wait; 30,000 */
	uint32_t reply;     /* each; 10,000 */
	uint32_t handshake; /* 10,000 */
	uint32_t nudge;     /* for the silent, behind a QUIT; 2,000 */
	uint32_t quit;      /* 1,000 */
	uint32_t slow;      /* a greeting after this is; 5,000 */
};

enum probe_depth {
	PROBE_ALL,
	PROBE_CONNECT,  /* and no further */
	PROBE_GREETING, /* and QUIT */
};

/* Copied; its texts must outlive the result. */
struct probe_target {
	struct ipaddr addr;
	uint16_t port;
	bool tls; /* from the first octet; else STARTTLS, if offered */
	enum probe_depth depth;
	const char *host; /* SNI, and what the certificate should cover; NULL */
	const char *where; /* of its findings */
	/* In UTC; 0: the machine's clock says (certificates). */
	int64_t now;
};

enum probe_step_name {
	PROBE_STEP_CONNECT,
	PROBE_STEP_GREETING,
	PROBE_STEP_NUDGE, /* QUIT to one that is silent */
	PROBE_STEP_EHLO,
	PROBE_STEP_HELO,
	PROBE_STEP_STARTTLS,
	PROBE_STEP_HANDSHAKE,
	PROBE_STEP_EHLO_TLS,
	PROBE_STEP_QUIT,
	/* The second try as a whole: see old_version. */
	PROBE_STEP_OLD_TLS,
	PROBE_STEP_SILENT_TLS,
	PROBE_STEPS
};
/* "connect", "greeting", "quit-to-silent", "ehlo", ... */
extern const char *const probe_step_names[PROBE_STEPS];

struct probe_step {
	enum probe_step_name name;
	int64_t ms; /* what it took; while it is under way 0 */
	/*
	 * NULL: it went well. Else constant: "reset", "closed", "no answer in
	 * time", what strerror says, OpenSSL's reason; "refused" by a code.
	 */
	const char *error;
	unsigned code; /* of the reply; 0: none */
};

/*
 * What is a struct span here came from the server as it is: whoever prints it
 * escapes it. It all lies in the arena.
 */
struct probe_result {
	struct probe_target target;
	struct ipaddr local; /* of the socket; IP_NONE: never connected */
	int err;             /* of connect: an errno; 0: connected */
	struct probe_step steps[PROBE_STEPS]; /* each at most once, in order */
	unsigned nsteps;
	/* Of the greeting. */
	unsigned code;        /* 0: there was none */
	struct span greeting; /* the first line's text, at most 200 octets */
	struct span name;     /* its first word: cause 17 is the caller's */
	unsigned lines;
	bool bare_lf;     /* a line ended without a CR */
	uint32_t longest; /* octets of its longest line; more than 512 is
			     against RFC 5321 4.5.3.1.5 */
	/* Of the last EHLO: its lines but the first. */
	struct span *extensions;
	unsigned nextensions;
	bool greets;  /* with 220 */
	bool ready;   /* EHLO or HELO was answered with 250: mail can come */
	bool secured; /* there was a handshake: */
	const char *version, *cipher; /* "TLSv1.3", constants; NULL without */
	bool peered;                  /* and a certificate: */
	struct tls_peer peer;
	const char *old_version; /* what a second try came to, as the handshake
				    failed or nothing was said: "TLSv1"; NULL */
	/* 16, 18 to 25, 38 to 42, 44 to 54. The caller's: 17, 26, 27, 29 and
	 * 43, which need more than one address. */
	struct probe_findings findings;
};

typedef void probe_try_fn(void *ctx, struct probe_result *r);

/*
 * *r is filled from now on: its last step is what is under way. fn is called
 * once, from the loop, never before this returns; the ask is gone then.
 * Cancelled (either way): silence. SIGPIPE must be ignored.
 */
struct ask *probe_try(const struct probe_options *o,
    const struct probe_target *t, struct arena *a, struct probe_result *r,
    probe_try_fn *fn, void *ctx);

#endif

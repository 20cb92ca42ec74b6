/*
 * session: binds engine, stream, policy and delivery for one client. The
 * only place where they meet.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "deliver/deliver.h"
#include "io/ask.h"
#include "io/stream.h"
#include "policy/deadline.h"
#include "policy/door.h"
#include "policy/limits.h"
#include "proto/envelope.h"
#include "proto/smtp.h"
#include "session/sessions.h"

struct proxyhdr;

enum session_state {
	SESSION_OPEN,
	SESSION_CLOSING, /* our last words are said, the stream lingers */
	SESSION_GONE,    /* to be freed at the end of this turn */
};

/* Who says no, for the log; check NULL: it has no name. */
struct session_why {
	const char *check;
	const char *value; /* or NULL */
	struct where at;
};

struct session {
	struct sessions *all;
	struct session *prev, *next;
	struct stream stream;
	struct smtp smtp;
	struct envelope env;
	struct spool *spool;     /* from DATA to the verdict */
	struct ask *ask;         /* in flight; an exchange until its end */
	uint64_t reserved;       /* octets, by the transaction */
	int64_t ended;           /* ns: when the message was complete */
	struct proxyhdr *header; /* awaited; NULL: not, or not any more */
	struct deadline time;
	struct limits_place place;
	unsigned commands; /* seen complete at the last look */
	unsigned refusals; /* in all */
	unsigned in_row;   /* those since the last accepted message */
	const struct config_listen *listen;
	const struct config_client *client;
	const struct smtp_reply *refusal;  /* of the connection */
	const struct auth_outcome *denied; /* while that no is being said */
	const char *error; /* behind the last answer, for the log; constant */
	struct door *door; /* NULL: no check is on */
	void (*then)(struct session *s); /* behind the yes of its checks */
	/* behind that of its milters */
	void (*filtered)(struct session *s, const struct deliver_edit *e);
	struct smtp_reply said; /* their last no, until the next question */
	struct session_why why; /* behind the last answer, or refusal */
	int64_t pause;          /* until then (monotonic ms) nobody greets; 0 */
	unsigned found;         /* observed since the last accepted message */
	enum session_state state;
	bool proxied;     /* another names its client: nobody has to pause */
	bool handshaking; /* TLS: the stream will tell */
	bool early;       /* it spoke in the pause before the greeting */
	bool asking;      /* the open question was passed on */
	bool settled;     /* delivery was asked: the next is the answer */
	bool running;     /* inside session_run() */
	bool full;        /* the spool takes no more now */
	bool stalled;     /* was behind; until all replies are out */
};

/*
 * Takes fd over and puts the session on its list; greets or refuses. It frees
 * itself when it is gone. NULL: no memory, and fd is closed. peer NULL: who it
 * is will be said by session_meet(), and until then nothing happens.
 */
struct session *session_new(struct sessions *all, const struct config_listen *l,
    int fd, const struct ipaddr *peer, uint16_t port);

/*
 * The client is known, once: it is let in and greeted, or refused. NULL: its
 * proxy names nobody, and is itself served what a health check needs.
 */
void session_meet(struct session *s, const struct ipaddr *client,
    uint16_t port);

/* Something it waited for is there: runs on the kept input. */
void session_continue(struct session *s);

/* Says this reply now, if there is somebody to hear it, and ends; an open
 * question is abandoned. */
void session_hangup(struct session *s, const struct smtp_reply *reply);

/* No new transaction, and less patience. */
void session_drain(struct session *s);

/* Closes without a word and frees at once: not from a callback. */
void session_free(struct session **s);

#endif

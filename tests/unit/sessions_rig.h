/*
 * sessions_rig: sessions over a rig, and clients that talk to them through
 * sockets. In example.org there are alice, whose password is secret, bob, and
 * whoever has a directory below live/. The certificate is of mx.example.org.
 */
#ifndef SESSIONS_RIG_H
#define SESSIONS_RIG_H

#include <stddef.h>

#include "rig.h"
#include "session/sessions.h"

extern struct sessions sessions;
extern unsigned emptied; /* how often the last one has gone */

/* more: lines of a configuration, or "". */
void sessions_open(const char *more);
/* Fixtures for cmocka: a scratch directory, without sessions yet. */
int sessions_setup(void **state);
int sessions_teardown(void **state);

/* Octets in the journal, or kept for transactions. */
int64_t reserved(void);

/* --- clients, until the teardown --- */

enum client_port { PORT_MX, PORT_SUBMISSION, PORT_SMTPS };

struct client {
	int fd; /* -1: it has left */
	struct ssl_st *ssl;
	struct buf heard; /* and not yet looked at */
};

struct client *client_new(enum client_port port, const char *address);
/* Over a connection that there is: our end, and the client's. */
struct client *client_over(enum client_port port, const char *address, int ours,
    int theirs);
/* All of it; the server has not yet heard it. */
void client_say(struct client *c, const char *text);
/* As many octets of it as the server takes in the end. */
size_t client_pour(struct client *c, struct span octets);
/* For it: the first octets of a body of whole lines. The most of them are
 * more than a spool and the sockets have room for. */
#define LINES_MAX 1000000
struct span lines(size_t n);
void client_leave(struct client *c);
/* A handshake; false: there was none. */
bool client_secure(struct client *c);

/* Takes what the server says when it has done what it can. True: and that was
 * the last of it. */
bool client_listen(struct client *c);
/*
 * What the server says when it has done what it can: the last line of the
 * next reply begins like text, or there is none, or the end.
 */
#define hears(c, text)   client_hears((c), (text), __FILE__, __LINE__)
#define hears_nothing(c) client_hears_nothing((c), __FILE__, __LINE__)
#define hears_end(c)     client_hears_end((c), __FILE__, __LINE__)
#define asks(c, command, text)                                                 \
	do {                                                                   \
		client_say((c), command "\r\n");                               \
		hears((c), (text));                                            \
	} while (0)
void client_hears(struct client *c, const char *text, const char *file,
    int line);
void client_hears_nothing(struct client *c, const char *file, int line);
void client_hears_end(struct client *c, const char *file, int line);

/* Up to the answer of EHLO, of RCPT, of DATA. */
void client_hello(struct client *c);
void client_rcpt(struct client *c);
void client_data(struct client *c);
/* A new one, that may log in now. */
struct client *client_in_tls(const char *address);

#endif

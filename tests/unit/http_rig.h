/*
 * http_rig: a message, a web address and who answers there, on one loop whose
 * time stands still.
 */
#ifndef TESTS_HTTP_RIG_H
#define TESTS_HTTP_RIG_H

#include "dest/http.h"
#include "io/jobs.h"
#include "peer.h"

#define COPIES 100

struct certify;

struct http_rig {
	struct loop loop;
	struct jobs *jobs;
	struct loop_event *idle, *turn;
	struct peer *peer;
	struct route route;
	struct dest_services services;
	struct carrier *carrier;
	struct message m;
	struct message_copy copies[COPIES];
	struct message_copy *all[COPIES];
	char names[COPIES][128];
	struct parcel parcel; /* of the first copy */
	struct ask *ask;
	unsigned told;
};

extern struct http_rig web;

/* Fixtures for cmocka. */
int http_rig_setup(void **state);
int http_rig_teardown(void **state);

/* Who answers from now on, and a carrier that has seen nothing yet. */
void http_rig_peer(const struct peer_turn *const *scripts, unsigned n,
    const struct certify *tls);
/* Another carrier. */
void http_rig_open(void);

/* s must last. */
void http_rig_body(struct span s);

/* Asks, and does nothing more. */
void http_rig_ask(void);
/* Asks, and lets two minutes pass. It was told once. */
void http_rig_send(void);
/* Of the first copy, "552 5.2.2 text"; "" without one. */
const char *http_rig_reply(void);
/* The value of a line that was heard, the last one of its name; or NULL. */
const char *http_rig_heard(const char *name);

#endif

/*
 * road: a route at work in small: a carrier, servers on loopback that keep to
 * a script, and messages for them, all on one loop on which time stands still.
 */
#ifndef TESTS_ROAD_H
#define TESTS_ROAD_H

#include <stdbool.h>
#include <stdint.h>

#include "dest/carrier.h"
#include "io/shared.h"
#include "io/stream.h"
#include "peer.h"

#define ROAD_NAME  "mx.example.org"
#define ROAD_POSTS 12
#define ROAD_FAR   100000 /* ms: a parcel's time */

#define SCRIPT(...) ((const struct peer_turn[]){__VA_ARGS__, {0}})
/* clang-format off */
#define HI   {NULL, "220 hi\r\n", 0, 0}, {"EHLO", "250 hi\r\n", 0, 0}
#define MAIL {"MAIL", "250 ok\r\n", 0, 0}
#define RCPT {"RCPT", "250 ok\r\n", 0, 0}
#define DATA {"DATA", "354 go\r\n", 0, 0}
#define DOT  {".", "250 taken\r\n", 0, 0}
#define ALL  MAIL, RCPT, DATA, DOT
/* clang-format on */

#define GONE "again 451 4.4.2 The server for this address went away"
#define LOST "lost 451 4.4.2 No answer to the end of the message"
#define AWAY "down 451 4.4.1 The server for this address is not there now"
#define SETUP                                                                  \
	"down 451 4.3.5 The server for this address does not take it "         \
	"from us"

struct road_post {
	struct message m;
	struct parcel p;
	struct message_copy copies[3], *list[3];
	struct ask *ask;
	unsigned told;
	int64_t when; /* ms since the beginning */
};

extern struct road {
	struct loop loop;
	struct loop_event *idle; /* a loop without any would not wait */
	struct stream_pool pool;
	struct shared *shared;
	struct tls_client *strict, *lax;
	struct route route;
	struct dest_services services;
	struct carrier *carrier;
	struct peer *peers[2];
	unsigned npeers;
	int closed; /* a port that nobody listens on, or only by hand */
	struct road_post posts[ROAD_POSTS];
	unsigned nposts;
	unsigned verified;
	struct ask *verify;
	enum fate fate;
	char reply[300];
	int64_t begun;
} road;

/* For cmocka: certificates; then each test's world, in a scratch directory. */
int road_begin(void **state);
int road_end(void **state);
int road_open(void **state);
int road_close(void **state);
/* No carrier, servers and messages any more: another road may begin. */
void road_clear(void);

/* A server for the route: a script for each connection; one for all. */
struct peer *road_serve(const struct peer_turn *const *scripts, unsigned n);
struct peer *road_serve_one(const struct peer_turn *script);
/* A port that nobody listens on; listens: a test takes the connections. */
void road_add_port(bool listens);

/* The carrier. */
void road_start(void);
void road_start_lmtp(bool lmtp);
bool road_is_down(void);

/* To a@, b@ and c@ example.org. */
struct road_post *road_prepare(unsigned n);
struct road_post *road_submit(struct road_post *p);
struct road_post *road_post(unsigned n);
/* And lets it have its answer, if that needs no time. */
struct road_post *road_send(unsigned n);
/* It was told, once: "taken", "again 451 4.4.2 text". */
void road_has(const struct road_post *p, unsigned i, const char *want);
/* All are taken. */
void road_has_all(const struct road_post *p);
/* The answer is in road.reply. */
void road_verify(const char *to);
void road_verify_within(const char *to, int64_t ms);

/* Longer than what is waited for, shorter than what is kept. */
void road_soon(void);

#endif

/*
 * road: what happens beyond its sockets is for peer and fake_clock.
 */
#include "road.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "certify.h"
#include "fake_clock.h"
#include "io/clock.h"
#include "io/tls_client.h"
#include "scratch.h"

struct road road;

static struct certify root, leaf;

int
road_begin(void **state)
{
	(void)state;
	certify(&root, "EC", "Authority", NULL);
	certify(&leaf, "EC", ROAD_NAME, &root);
	return 0;
}

int
road_end(void **state)
{
	(void)state;
	certify_free(&leaf);
	certify_free(&root);
	return 0;
}

static void
never(void *ctx)
{
	(void)ctx;
	fail();
}

int
road_open(void **state)
{
	static const struct tls_client_options strict = {.verify = true,
	    .file = "root.pem"};
	static const struct tls_client_options lax = {0};
	FILE *f;
	const char *fault;

	road = (struct road){.closed = -1};
	if (scratch_setup(state))
		return -1;
	f = fopen("root.pem", "w");
	fwrite(root.chain.data, root.chain.len, 1, f);
	fclose(f);
	road.strict = tls_client_new(&strict, &fault);
	road.lax = tls_client_new(&lax, &fault);
	road.shared = shared_new();
	if (loop_init(&road.loop) < 0 || !road.shared || !road.strict ||
	    !road.lax)
		return -1;
	clock_stop(&road.loop, NULL);
	road.begun = clock_now();
	road.idle = loop_timer(&road.loop, never, NULL);
	loop_timer_set(road.idle, 1000000000);
	stream_pool_init(&road.pool, &road.loop);
	road.services = (struct dest_services){.loop = &road.loop,
	    .pool = &road.pool,
	    .shared = road.shared,
	    .slot = 1,
	    .tmp = -1,
	    .hostname = "me.example.net"};
	road.route = (struct route){.text = "route:out",
	    .shown = "out",
	    .block = true,
	    .tls = ROUTE_TLS_OFF,
	    .strict = road.strict,
	    .lax = road.lax,
	    .connections = 20};
	return 0;
}

void
road_clear(void)
{
	carrier_free(&road.carrier);
	for (unsigned i = 0; i < road.npeers; i++)
		peer_free(&road.peers[i]);
	for (unsigned i = 0; i < road.nposts; i++) {
		arena_reset(&road.posts[i].m.arena);
		buf_free(&road.posts[i].m.received);
	}
	road.npeers = road.nposts = road.route.nto = 0;
}

int
road_close(void **state)
{
	road_clear();
	if (road.closed >= 0)
		close(road.closed);
	stream_pool_free(&road.pool);
	loop_event_free(&road.idle);
	loop_free(&road.loop);
	tls_client_free(&road.strict);
	tls_client_free(&road.lax);
	clock_go();
	return scratch_teardown(state);
}

/* --- servers --- */

static void
add_place(uint16_t port)
{
	road.route.to[road.route.nto++] =
	    (struct route_place){.text = "smtp://" ROAD_NAME,
		.host = ROAD_NAME,
		.port = port,
		.addrs = {ipaddr_v4((const uint8_t[]){127, 0, 0, 1})},
		.naddrs = 1,
		.local = true};
}

struct peer *
road_serve(const struct peer_turn *const *scripts, unsigned n)
{
	struct peer *p = peer_new(&road.loop, scripts, n, &leaf, 0);

	road.peers[road.npeers++] = p;
	add_place(peer_port(p));
	return p;
}

struct peer *
road_serve_one(const struct peer_turn *script)
{
	static const struct peer_turn *scripts[2];

	scripts[road.npeers] = script;
	return road_serve(&scripts[road.npeers], 1);
}

/* listens: a test takes the connections itself. */
void
road_add_port(bool listens)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	road.closed = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(road.closed, (struct sockaddr *)&a, len), 0);
	if (listens)
		assert_int_equal(listen(road.closed, 1), 0);
	assert_int_equal(getsockname(road.closed, (struct sockaddr *)&a, &len),
	    0);
	add_place(ntohs(a.sin_port));
}

void
road_start_lmtp(bool lmtp)
{
	road.carrier = lmtp ? carrier_open_lmtp(&road.route, &road.services)
			    : carrier_open_smtp(&road.route, &road.services);
	assert_non_null(road.carrier);
}

void
road_start(void)
{
	road_start_lmtp(false);
}

/* --- mail --- */

static void
on_told(void *ctx)
{
	struct road_post *p = ctx;

	p->ask = NULL;
	p->told++;
	p->when = clock_now() - road.begun;
}

/* To a@, b@ and c@ example.org. */
struct road_post *
road_prepare(unsigned n)
{
	static const char *const to[] = {"a@example.org", "b@example.org",
	    "c@example.org"};
	struct road_post *p = &road.posts[road.nposts++];

	assert_true(road.nposts <= ROAD_POSTS);
	*p = (struct road_post){.m = {.sender = "s@example.com",
				    .body = {.fd = -1,
					.tail = SPAN_LIT("Hi\n.\n")},
				    .wire = 7},
	    .p = {.m = &p->m,
		.copies = p->list,
		.n = n,
		.deadline = clock_now() + ROAD_FAR,
		.dot_by = clock_now() + ROAD_FAR - 10000}};
	strcpy(p->m.id, "0123456789ABCDEF");
	buf_append_str(&p->m.received, "Received: x\n");
	for (unsigned i = 0; i < n; i++) {
		p->copies[i] =
		    (struct message_copy){.to = to[i], .address = to[i]};
		p->list[i] = &p->copies[i];
	}
	return p;
}

struct road_post *
road_submit(struct road_post *p)
{
	p->ask = carrier_ask(road.carrier, &p->p, on_told, p);
	assert_non_null(p->ask);
	assert_int_equal(p->told, 0);
	return p;
}

struct road_post *
road_post(unsigned n)
{
	return road_submit(road_prepare(n));
}

struct road_post *
road_send(unsigned n)
{
	struct road_post *p = road_post(n);

	road_soon();
	return p;
}

static const char *
text_of(enum fate fate, const struct smtp_reply *r)
{
	static const char *const names[] = {"none", "taken", "refused", "again",
	    "down", "lost"};
	static char text[300];

	if (r && fate != FATE_TAKEN)
		snprintf(text, sizeof(text), "%s %u %s %s", names[fate],
		    r->code, r->status, r->text);
	else
		snprintf(text, sizeof(text), "%s", names[fate]);
	return text;
}

void
road_has(const struct road_post *p, unsigned i, const char *want)
{
	assert_int_equal(p->told, 1);
	assert_string_equal(text_of(p->copies[i].fate, p->copies[i].reply),
	    want);
}

void
road_has_all(const struct road_post *p)
{
	for (unsigned i = 0; i < p->p.n; i++)
		road_has(p, i, "taken");
}

static void
on_verified(void *ctx, enum fate fate, const struct smtp_reply *r)
{
	(void)ctx;
	road.verify = NULL;
	road.verified++;
	snprintf(road.reply, sizeof(road.reply), "%s", text_of(fate, r));
}

void
road_verify_within(const char *to, int64_t ms)
{
	road.verify = carrier_verify(road.carrier, "", to, clock_now() + ms,
	    on_verified, NULL);
}

void
road_verify(const char *to)
{
	road_verify_within(to, 20000);
}

/* Longer than what is waited for, shorter than what is kept. */
void
road_soon(void)
{
	clock_pass(5);
}

bool
road_is_down(void)
{
	const struct smtp_reply *r;

	return carrier_health(road.carrier, &r) == CARRIER_DOWN;
}

/*
 * http_rig: see http_rig.h.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "http_rig.h"
#include "io/clock.h"
#include "scratch.h"

struct http_rig web;

static void
never(void *ctx)
{
	(void)ctx;
	fail();
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static void
set_message(void)
{
	web.m = (struct message){.id = "06H0PK0E2J2OMQPA.1",
	    .sender = "a@b",
	    .client = "192.0.2.1",
	    .helo = "x",
	    .login = "",
	    .when = 1764111212};
	buf_append_str(&web.m.return_path, "Return-Path: <a@b>\n");
	buf_append_str(&web.m.received, "Received: from x\n\tby y\n");
	for (unsigned i = 0; i < COPIES; i++) {
		snprintf(web.names[i], sizeof(web.names[0]),
		    "%03u-a-name-that-is-long@a-domain-that-is-as-well.org", i);
		web.copies[i] = (struct message_copy){.to = web.names[i]};
		web.all[i] = &web.copies[i];
	}
	web.copies[0].to = "c@d";
	web.copies[0].address = "list@d"; /* whose target that is */
	http_rig_body(SPAN_LIT("Subject: x\n\nEND\n"));
}

int
http_rig_setup(void **state)
{
	if (scratch_setup(state) < 0)
		return -1;
	web = (struct http_rig){.told = 0};
	signal(SIGPIPE, SIG_IGN); /* as workers do */
	/* nobody asks for them */
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("https_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	if (loop_init(&web.loop) < 0 || http_begin() < 0)
		return -1;
	web.jobs = jobs_new(&web.loop, 1);
	clock_stop(&web.loop, NULL);
	web.idle = loop_timer(&web.loop, never, NULL);
	loop_timer_set(web.idle, 1000000000);
	web.turn = loop_timer(&web.loop, nothing, NULL);
	set_message();
	web.services =
	    (struct dest_services){.loop = &web.loop, .jobs = web.jobs};
	web.route = (struct route){.text = "route:app",
	    .shown = "app",
	    .connections = 4,
	    .timeout = 60000,
	    .nto = 1};
	web.route.to[0] = (struct route_place){.host = "a.example.org",
	    .path = "/mail?key=1",
	    .addrs = {ipaddr_v4((const uint8_t[]){127, 0, 0, 1})},
	    .naddrs = 1};
	web.parcel = (struct parcel){.m = &web.m,
	    .copies = web.all,
	    .n = 1,
	    .whole = true};
	return web.jobs ? 0 : -1;
}

int
http_rig_teardown(void **state)
{
	http_free(&web.carrier);
	http_free(&web.carrier); /* NULL is nothing */
	peer_free(&web.peer);
	loop_event_free(&web.idle);
	loop_event_free(&web.turn);
	jobs_free(&web.jobs);
	loop_free(&web.loop);
	clock_go();
	buf_free(&web.m.return_path);
	buf_free(&web.m.received);
	arena_reset(&web.m.arena);
	http_end();
	return scratch_teardown(state);
}

void
http_rig_open(void)
{
	http_free(&web.carrier);
	web.carrier = http_open(&web.route, &web.services);
}

void
http_rig_peer(const struct peer_turn *const *scripts, unsigned n,
    const struct certify *tls)
{
	http_free(&web.carrier);
	peer_free(&web.peer);
	web.peer = peer_new(&web.loop, scripts, n, tls, 0);
	web.route.to[0].port = peer_port(web.peer);
	http_rig_open();
}

void
http_rig_body(struct span s)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < s.len; i++)
		lines += s.ptr[i] == '\n';
	web.m.body = (struct spool_content){.fd = -1, .tail = s};
	web.m.wire =
	    s.len + lines + (s.len && s.ptr[s.len - 1] != '\n' ? 2 : 0);
}

static void
on_told(void *ctx)
{
	assert_ptr_equal(ctx, &web);
	web.ask = NULL;
	web.told++;
}

void
http_rig_ask(void)
{
	int64_t now = clock_now();

	web.told = 0;
	web.parcel.deadline = now + 110000;
	if (!web.parcel.dot_by || web.parcel.dot_by > 1)
		web.parcel.dot_by = now + 70000;
	for (unsigned i = 0; i < web.parcel.n; i++)
		web.copies[i].fate = FATE_NONE;
	web.ask = http_ask(web.carrier, &web.parcel, on_told, &web);
	/* what was put off until the end of this turn */
	loop_timer_set(web.turn, 0);
	assert_non_null(web.ask);
	assert_int_equal(web.told, 0);
}

void
http_rig_send(void)
{
	http_rig_ask();
	clock_pass(120000);
	assert_int_equal(web.told, 1);
}

const char *
http_rig_reply(void)
{
	static char text[400];
	const struct smtp_reply *r = web.copies[0].reply;

	text[0] = '\0';
	if (r)
		snprintf(text, sizeof(text), "%u %s %s", r->code, r->status,
		    r->text);
	return text;
}

const char *
http_rig_heard(const char *name)
{
	static char value[8192];
	const char *at = peer_heard(web.peer);
	const char *last = NULL;

	while ((at = strstr(at, name))) {
		at += strlen(name);
		last = at;
	}
	if (!last)
		return NULL;
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(last, "\n"), last);
	return value;
}

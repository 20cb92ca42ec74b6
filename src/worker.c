/*
 * worker: drops privileges, opens what it needs as the user it is, serves
 * until the master's pipe ends, drains, leaves.
 *
 * Its configuration is constant. It owns its loop, its job threads and its
 * sessions; the listening sockets stay the master's.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "deliver/deliver.h"
#include "doors.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/jobs.h"
#include "io/listen.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/stream.h"
#include "metrics_http.h"
#include "policy/greylist_saver.h"
#include "rcpt/recipients.h"
#include "routes.h"
#include "sandbox_rules.h"
#include "session/sessions.h"
#include "worker_end.h"

/* How often it says that its loop turns. */
#define PULSE_MS 5000

/* What is in flight gets this much when another worker is to take over: the
 * clients that come meanwhile wait for that one. */
#define OUTGROWN_MS 5000

/* How often a leaving worker looks whether the last job is done. */
#define SETTLE_MS 20

struct worker {
	const struct worker_start *start;
	struct loop loop;
	struct jobs *jobs;
	struct stream_pool pool;
	struct sessions sessions;
	struct metrics_http metrics;
	struct routes routes;
	struct greylist_saver saver;
	struct doors doors;
	struct listener **listeners;
	struct loop_event *alive;
	struct loop_event *term;
	struct loop_event *patience; /* of a drain */
	struct loop_event *pulse;
	struct loop_event *outgrown;
	struct loop_event *settle; /* waiting for what is still on its way */
	bool draining;
	struct sandbox_state sandbox;
	int status; /* to exit with, in the end */
};

static void
on_client(void *ctx, unsigned which, int fd, const struct ipaddr *client,
    uint16_t port)
{
	struct worker *w = ctx;

	if (w->start->conf->listens[which].role == ROLE_METRICS)
		metrics_accept(&w->metrics, fd);
	else
		sessions_accept(&w->sessions, which, fd, client, port);
}

/* --- leaving --- */

/* Gone is gone only when the last accepted message is in its Maildir. */
static void
leave_if_done(void *ctx)
{
	struct worker *w = ctx;

	if (!w->draining || w->sessions.count)
		return;
	deliver_wind_up(w->sessions.deliver);
	if (jobs_pending(w->jobs) || !deliver_is_empty(w->sessions.deliver))
		loop_timer_set(w->settle, SETTLE_MS);
	else
		loop_stop(&w->loop);
}

static void
hang_up(void *ctx)
{
	struct worker *w = ctx;

	deliver_drain(w->sessions.deliver, true);
	sessions_hangup(&w->sessions);
}

static void
stop_accepting(struct worker *w)
{
	const struct sockets *k = w->start->sockets;

	/* the socket lives on elsewhere, so epoll forgets it only if told */
	for (unsigned i = 0; i < k->nlistens; i++) {
		if (!w->listeners[i])
			continue;
		listener_free(&w->listeners[i]);
		close(sockets_fd(k, w->start->slot, i));
	}
}

/* Asked twice, it leaves at once. */
static void
drain(struct worker *w)
{
	if (w->draining) {
		hang_up(w);
		return;
	}
	w->draining = true;
	log_event(LOG_INFO, "draining", LOG_UINT("slot", w->start->slot),
	    LOG_UINT("sessions", w->sessions.count));
	stop_accepting(w);
	greylist_saver_leave(&w->saver);
	deliver_drain(w->sessions.deliver, false);
	sessions_drain(&w->sessions);
	loop_timer_set(w->patience, w->start->conf->drain);
	leave_if_done(w);
}

static void
on_alive(void *ctx)
{
	struct worker *w = ctx;

	loop_event_free(&w->alive);
	if (!w->draining)
		drain(w);
}

static void
on_term(void *ctx)
{
	drain(ctx);
}

/* No program can be started any more: all else goes on to its end. */
static void
on_runner_lost(void *ctx)
{
	struct worker *w = ctx;

	w->status = EXIT_FAILED;
	if (w->draining)
		return;
	drain(w);
	if (w->start->conf->drain > OUTGROWN_MS)
		loop_timer_set(w->patience, OUTGROWN_MS);
}

/* Nothing can be stored: whoever comes back finds a new worker. */
static void
on_broken(void *ctx)
{
	struct worker *w = ctx;

	on_runner_lost(w);
	hang_up(w);
}

/* From a callback of those who are looked for: at the next turn. */
static void
on_outgrown(void *ctx)
{
	struct worker *w = ctx;

	loop_timer_set(w->outgrown, 0);
}

static void
make_way(void *ctx)
{
	struct worker *w = ctx;

	w->status = WORKER_OUTGROWN;
	if (w->draining)
		return;
	drain(w);
	if (w->start->conf->drain > OUTGROWN_MS)
		loop_timer_set(w->patience, OUTGROWN_MS);
}

/* --- signs of life --- */

static void
on_pulse(void *ctx)
{
	struct worker *w = ctx;

	shared_turned(w->start->shared, w->start->shared_slot, clock_now());
	greylist_saver_look(&w->saver, clock_now());
	loop_timer_set(w->pulse, PULSE_MS);
}

/* --- starting --- */

/* As many descriptors as the system lets us have. */
static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int
fail(const char *what)
{
	log_event(LOG_ERROR, "worker-failed", LOG_STR("at", what),
	    LOG_ERRNO(errno));
	return -1;
}

/* Who it is from now on, and with whom it ends. */
static int
become(const struct worker_start *st)
{
	if (setup_become(st->identity) < 0)
		return fail("dropping privileges");
	prctl(PR_SET_DUMPABLE, st->conf->sandbox == SANDBOX_NO);
	return worker_end_with(st->master, st->conf->drain) ? 0 : -1;
}

/* Whatever reads files of the system for itself does so before. */
static int
enter_sandbox(struct worker *w)
{
	const struct worker_start *st = w->start;
	bool first = !st->slot && st->ready >= 0;

	digest_init();
	tzset();
	return sandbox_begin(st->conf->sandbox, &st->sandbox, first,
	    &w->sandbox);
}

static int
open_routes(struct worker *w)
{
	const struct worker_start *st = w->start;
	const struct dest_services rest = {.loop = &w->loop,
	    .pool = &w->pool,
	    .jobs = w->jobs,
	    .shared = st->shared,
	    .slot = st->shared_slot,
	    .hostname = st->conf->hostname,
	    .delimiter = recipients_delimiter(st->conf->deliver.recipients)};

	if (routes_attach(&w->routes, &rest, on_runner_lost, w) < 0)
		return fail("programs");
	deliver_carry(w->sessions.deliver, &w->routes.services);
	return 0;
}

static int
open_services(struct worker *w)
{
	const struct worker_start *st = w->start;
	const char *what;

	log_keep(st->conf->spool, st->slot, st->conf->workers,
	    st->conf->log_keep);
	if (stream_pool_init(&w->pool, &w->loop) < 0)
		return fail("buffers");
	w->jobs = jobs_new(&w->loop, st->conf->threads);
	if (!w->jobs)
		return fail("threads");
	greylist_saver_init(&w->saver, st->shared, st->shared_slot, w->jobs,
	    st->conf->spool);
	w->sessions.deliver =
	    deliver_new(&st->conf->deliver, &w->loop, w->jobs, &what);
	if (!w->sessions.deliver)
		return fail(what);
	deliver_share(w->sessions.deliver, st->shared, st->shared_slot);
	deliver_on_broken(w->sessions.deliver, on_broken, w);
	deliver_on_outgrown(w->sessions.deliver, on_outgrown, w);
	if (open_routes(w) < 0)
		return -1;
	w->sessions.doors = doors_open(&w->doors, st, &w->loop, &w->pool,
	    w->routes.services.resolve);
	w->sessions.filters =
	    filters_open(st, w->jobs, &w->pool, w->routes.services.resolve);
	if (!st->conf->auth.users && !st->conf->auth.dovecot)
		return 0;
	w->sessions.auth =
	    auth_new(&st->conf->auth, &w->loop, w->jobs, st->shared);
	return w->sessions.auth ? 0 : fail("auth");
}

static int
open_events(struct worker *w)
{
	struct loop *l = &w->loop;

	w->alive = loop_readable(l, w->start->alive, on_alive, w);
	w->term = loop_signal(l, SIGTERM, on_term, w);
	w->patience = loop_timer(l, hang_up, w);
	w->settle = loop_timer(l, leave_if_done, w);
	w->pulse = loop_timer(l, on_pulse, w);
	w->outgrown = loop_timer(l, make_way, w);
	if (!w->alive || !w->term || !w->patience || !w->settle || !w->pulse ||
	    !w->outgrown)
		return fail("events");
	on_pulse(w);
	return 0;
}

static bool
owns(const void *recipients, const char *login, const struct smtp_path *from)
{
	return recipients_owns(recipients, login, from);
}

static void
init_sessions(struct worker *w)
{
	const struct worker_start *st = w->start;
	struct sessions *s = &w->sessions;

	s->conf = st->conf;
	s->loop = &w->loop;
	s->pool = &w->pool;
	s->shared = st->shared;
	s->slot = st->shared_slot;
	s->policy = (struct policy){.senders = st->conf->senders,
	    .owns = owns,
	    .owns_ctx = st->conf->deliver.recipients,
	    .limits = {.conf = &st->conf->limits,
		.shared = st->shared,
		.slot = st->shared_slot}};
	s->on_empty = leave_if_done;
	s->ctx = w;
	w->metrics = (struct metrics_http){.loop = &w->loop,
	    .pool = &w->pool,
	    .source = {.shared = st->shared,
		.lists = st->conf->door.lists,
		.tls = st->conf->tls,
		.sandbox = &w->sandbox}};
}

static int
open_listeners(struct worker *w)
{
	const struct sockets *k = w->start->sockets;

	w->listeners = calloc(k->nlistens, sizeof(struct listener *));
	if (!w->listeners)
		return fail("listeners");
	for (unsigned i = 0; i < k->nlistens; i++) {
		int fd = sockets_fd(k, w->start->slot, i);

		if (fd < 0) /* "*" on a machine without IPv6 */
			continue;
		w->listeners[i] = listener_new(&w->loop, fd, i, on_client, w);
		if (!w->listeners[i])
			return fail("listeners");
	}
	return 0;
}

/* As if it had come from this machine. */
static void
serve_client(struct worker *w)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const struct ipaddr client = ipaddr_v4(loopback);

	if (w->start->client >= 0)
		sessions_accept(&w->sessions, 0, w->start->client, &client, 0);
}

/* The master blocked them all for its sigtimedwait(). */
static void
unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whoever hurries a worker that is about to end does not kill it. This one
 * alone: SIGALRM still ends what hangs on its way out. */
static void
block_term(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void
report_ready(const struct worker *w)
{
	const struct worker_start *st = w->start;
	const struct worker_ready ready = {.slot = (uint8_t)st->slot,
	    .seccomp = !w->sandbox.no_seccomp,
	    .landlock = (uint8_t)w->sandbox.landlock};

	if (st->ready < 0)
		return;
	if (write(st->ready, &ready, sizeof(ready)) < 0)
		log_event(LOG_WARN, "worker-not-awaited", LOG_ERRNO(errno));
	close(st->ready);
}

static void
free_worker(struct worker *w)
{
	unsigned n = w->listeners ? w->start->sockets->nlistens : 0;

	sessions_free(&w->sessions);
	filters_free(&w->sessions.filters);
	metrics_free(&w->metrics);
	for (unsigned i = 0; i < n; i++)
		listener_free(&w->listeners[i]);
	free(w->listeners);
	jobs_free(&w->jobs);
	deliver_free(&w->sessions.deliver);
	auth_free(&w->sessions.auth);
	doors_close(&w->doors);
	routes_free(&w->routes);
	stream_pool_free(&w->pool);
	loop_event_free(&w->alive);
	loop_event_free(&w->term);
	loop_event_free(&w->patience);
	loop_event_free(&w->settle);
	loop_event_free(&w->pulse);
	loop_event_free(&w->outgrown);
	loop_free(&w->loop);
}

int
worker_main(const struct worker_start *start)
{
	struct worker w = {.start = start};
	int status = EXIT_FAILED;

	signal(SIGINT, SIG_IGN); /* the terminal's; the master hears it too */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN); /* those of the whole unit, too */
	signal(SIGUSR2, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sockets_keep(start->sockets, start->slot);
	raise_limits();
	if (become(start) < 0)
		return status;
	init_sessions(&w);
	if (loop_init(&w.loop) < 0)
		fail("loop");
	else if (routes_begin(&w.routes, start->conf, &w.loop) == 0 &&
		 enter_sandbox(&w) == 0 && open_services(&w) == 0 &&
		 open_events(&w) == 0 && open_listeners(&w) == 0) {
		unblock_signals();
		serve_client(&w);
		report_ready(&w);
		status = loop_run(&w.loop) == 0 ? w.status : EXIT_FAILED;
		block_term();
	}
	free_worker(&w);
	return status;
}

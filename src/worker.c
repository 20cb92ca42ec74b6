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
#include <unistd.h>

#include "deliver/deliver.h"
#include "io/jobs.h"
#include "io/listen.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/stream.h"
#include "session/sessions.h"

/* Behind the drain, for a loop that does not turn any more. */
#define HANG_S 10

/* How often a leaving worker looks whether the last job is done. */
#define SETTLE_MS 20

struct worker {
	const struct worker_start *start;
	struct loop loop;
	struct jobs *jobs;
	struct stream_pool pool;
	struct sessions sessions;
	struct listener **listeners;
	struct loop_event *alive;
	struct loop_event *term;
	struct loop_event *patience; /* of a drain */
	struct loop_event *settle;   /* waiting for what is still on its way */
	bool draining;
	bool broken; /* its journal cannot be written */
};

static void
on_client(void *ctx, unsigned which, int fd, const struct ipaddr *client,
    uint16_t port)
{
	struct worker *w = ctx;

	sessions_accept(&w->sessions, which, fd, client, port);
}

/* --- leaving --- */

/* Gone is gone only when the last accepted message is in its Maildir. */
static void
leave_if_done(struct worker *w)
{
	if (!w->draining || w->sessions.count)
		return;
	if (jobs_pending(w->jobs) || !deliver_settled(w->sessions.deliver))
		loop_timer_set(w->settle, SETTLE_MS);
	else
		loop_stop(&w->loop);
}

static void
on_empty(void *ctx)
{
	leave_if_done(ctx);
}

static void
on_patience(void *ctx)
{
	struct worker *w = ctx;

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
		sessions_hangup(&w->sessions);
		return;
	}
	w->draining = true;
	log_event(LOG_INFO, "draining", LOG_UINT("slot", w->start->slot),
	    LOG_UINT("sessions", w->sessions.count));
	stop_accepting(w);
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

/* Nothing can be stored: whoever comes back finds a new worker. */
static void
on_broken(void *ctx)
{
	struct worker *w = ctx;

	w->broken = true;
	if (!w->draining)
		drain(w);
	sessions_hangup(&w->sessions);
}

/* --- the master's end --- */

static volatile sig_atomic_t hang_s;

static void
on_master_gone(int sig)
{
	(void)sig;
	alarm((unsigned)hang_s); /* the handler is used up: this one kills */
}

/*
 * The pipe tells the loop that the master is gone; should the loop hang, this
 * ends it. Behind setup_become(), as a change of uid would clear it. False:
 * the master is gone already.
 */
static bool
end_with_master(const struct worker_start *st)
{
	const struct sigaction gone = {.sa_handler = on_master_gone,
	    .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

	hang_s = (int)(st->conf->drain / 1000) + HANG_S;
	return sigaction(SIGALRM, &gone, NULL) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGALRM) == 0 && getppid() == st->master;
}

/* --- starting --- */

/* Sockets of other slots are other workers': a copy held here would keep
 * clients waiting in a queue that nobody empties. */
static void
close_foreign_sockets(const struct worker_start *st)
{
	const struct sockets *k = st->sockets;

	for (unsigned slot = 0; slot < k->nslots; slot++)
		for (unsigned i = 0; i < k->nlistens; i++)
			if (slot != st->slot && !k->inherited[i])
				close(sockets_fd(k, slot, i));
}

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

static int
open_services(struct worker *w)
{
	const struct worker_start *st = w->start;
	const char *what;

	if (loop_init(&w->loop) < 0)
		return fail("loop");
	if (stream_pool_init(&w->pool, &w->loop) < 0)
		return fail("buffers");
	w->jobs = jobs_new(&w->loop, st->conf->threads);
	if (!w->jobs)
		return fail("threads");
	w->sessions.deliver =
	    deliver_new(&st->conf->deliver, &w->loop, w->jobs, &what);
	if (!w->sessions.deliver)
		return fail(what);
	deliver_share(w->sessions.deliver, st->shared, st->shared_slot);
	deliver_on_broken(w->sessions.deliver, on_broken, w);
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
	w->patience = loop_timer(l, on_patience, w);
	w->settle = loop_timer(l, on_empty, w);
	if (!w->alive || !w->term || !w->patience || !w->settle)
		return fail("events");
	return 0;
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
	s->limits = (struct limits){.conf = &st->conf->limits,
	    .shared = st->shared,
	    .slot = st->shared_slot};
	s->on_empty = on_empty;
	s->ctx = w;
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
report_ready(const struct worker_start *st)
{
	const uint8_t slot = (uint8_t)st->slot;

	if (st->ready < 0)
		return;
	if (write(st->ready, &slot, 1) < 0)
		log_event(LOG_WARN, "worker-not-awaited", LOG_ERRNO(errno));
	close(st->ready);
}

static void
free_worker(struct worker *w)
{
	unsigned n = w->listeners ? w->start->sockets->nlistens : 0;

	sessions_free(&w->sessions);
	for (unsigned i = 0; i < n; i++)
		listener_free(&w->listeners[i]);
	free(w->listeners);
	jobs_free(&w->jobs);
	deliver_free(&w->sessions.deliver);
	auth_free(&w->sessions.auth);
	stream_pool_free(&w->pool);
	loop_event_free(&w->alive);
	loop_event_free(&w->term);
	loop_event_free(&w->patience);
	loop_event_free(&w->settle);
	loop_free(&w->loop);
}

int
worker_main(const struct worker_start *start)
{
	struct worker w = {.start = start};
	int status = EXIT_FAILED;

	signal(SIGINT, SIG_IGN); /* the terminal's; the master hears it too */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like others */
	close_foreign_sockets(start);
	raise_limits();
	if (setup_become(start->identity) < 0) {
		fail("dropping privileges");
		return status;
	}
	if (!end_with_master(start))
		return status;
	init_sessions(&w);
	if (open_services(&w) == 0 && open_events(&w) == 0 &&
	    open_listeners(&w) == 0) {
		unblock_signals();
		report_ready(start);
		status = loop_run(&w.loop) == 0 && !w.broken ? 0 : EXIT_FAILED;
		block_term();
	}
	free_worker(&w);
	return status;
}

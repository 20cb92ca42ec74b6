/*
 * loop: a libevent base that turns once at a time, so that there is a place
 * between the turns where memory may be given back.
 */
#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"

struct loop_deferred {
	void (*fn)(void *);
	void *ptr;
	struct loop_deferred *next;
};

/* libevent would write to stderr, and wait for who reads there. */
static void
on_libevent(int severity, const char *text)
{
	log_event(severity == EVENT_LOG_DEBUG ? LOG_TRACE : LOG_WARN,
	    "libevent", LOG_STR("text", text));
}

/* It would exit with 1, which is no status of ours. */
static void
on_fatal(int err)
{
	(void)err;
	exit(EX_SOFTWARE);
}

int
loop_init(struct loop *l)
{
	struct event_config *conf = event_config_new();

	*l = (struct loop){0};
	if (!conf)
		return -1;
	event_set_log_callback(on_libevent);
	event_set_fatal_callback(on_fatal);
	/* tmux exports EVENT_NOEPOLL */
	event_config_set_flag(conf, EVENT_BASE_FLAG_IGNORE_ENV);
	/* one thread owns the base; jobs come back through an eventfd */
	event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(conf);
	event_config_free(conf);
	if (!l->base)
		errno = ENOMEM;
	return l->base ? 0 : -1;
}

static void
run_deferred(struct loop *l)
{
	while (l->deferred) {
		struct loop_deferred *d = l->deferred;

		l->deferred = d->next;
		d->fn(d->ptr);
		free(d);
	}
}

void
loop_free(struct loop *l)
{
	run_deferred(l);
	if (l->base)
		event_base_free(l->base);
	l->base = NULL;
}

static void
on_log(int fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->log_waits = 0; /* it is tried at the end of this turn */
}

static void
flush_log(struct loop *l)
{
	static const struct timeval second = {1, 0};
	int fd;

	if (!l->log_waits && !log_flush(&fd))
		l->log_waits =
		    event_base_once(l->base, fd, fd < 0 ? EV_TIMEOUT : EV_WRITE,
			on_log, l, &second) == 0;
}

int
loop_run(struct loop *l)
{
	int r = 0;

	log_gather(true);
	while (!l->stop && r >= 0) {
		r = event_base_loop(l->base, EVLOOP_ONCE);
		run_deferred(l);
		flush_log(l);
		l->turn = 0;
		l->turns++;
	}
	log_gather(false);
	return r < 0 ? -1 : 0;
}

void
loop_stop(struct loop *l)
{
	l->stop = 1;
}

int64_t
loop_turn(struct loop *l)
{
	if (!l->turn)
		l->turn = clock_ns();
	return l->turn;
}

void
loop_defer(struct loop *l, void (*fn)(void *), void *ptr)
{
	struct loop_deferred *d = mem_new(sizeof(*d));

	*d = (struct loop_deferred){fn, ptr, l->deferred};
	l->deferred = d;
}

/* --- events --- */

struct loop_event {
	struct event *event;
	loop_fn *fn;
	loop_io_fn *io; /* instead of fn */
	void *ctx;
};

static void
on_event(int fd, short what, void *arg)
{
	struct loop_event *e = arg;

	(void)fd;
	if (e->io)
		e->io(e->ctx, what & EV_READ, what & EV_WRITE);
	else
		e->fn(e->ctx);
}

static struct loop_event *
event_of(struct loop *l, int fd, short what, loop_fn *fn, void *ctx)
{
	struct loop_event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	*e = (struct loop_event){.fn = fn, .ctx = ctx};
	e->event = event_new(l->base, fd, what, on_event, e);
	if (!e->event || (what && event_add(e->event, NULL) < 0)) {
		loop_event_free(&e);
		errno = ENOMEM;
	}
	return e;
}

struct loop_event *
loop_timer(struct loop *l, loop_fn *fn, void *ctx)
{
	return event_of(l, -1, 0, fn, ctx);
}

struct loop_event *
loop_signal(struct loop *l, int sig, loop_fn *fn, void *ctx)
{
	return event_of(l, sig, EV_SIGNAL | EV_PERSIST, fn, ctx);
}

struct loop_event *
loop_readable(struct loop *l, int fd, loop_fn *fn, void *ctx)
{
	return event_of(l, fd, EV_READ | EV_PERSIST, fn, ctx);
}

struct loop_event *
loop_io(struct loop *l, int fd, loop_io_fn *fn, void *ctx)
{
	struct loop_event *e = event_of(l, fd, 0, NULL, ctx);

	if (e)
		e->io = fn;
	return e;
}

void
loop_io_want(struct loop_event *e, bool readable, bool writable)
{
	short want = (short)((readable ? EV_READ : 0) |
			     (writable ? EV_WRITE : 0) | EV_PERSIST);

	if (event_get_events(e->event) == want)
		return;
	event_del(e->event);
	event_assign(e->event, event_get_base(e->event), event_get_fd(e->event),
	    want, on_event, e);
	if (want != EV_PERSIST && event_add(e->event, NULL) < 0)
		abort();
}

void
loop_timer_set(struct loop_event *e, uint64_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000)};

	event_add(e->event, &tv);
}

void
loop_event_free(struct loop_event **p)
{
	struct loop_event *e = *p;

	*p = NULL;
	if (!e)
		return;
	if (e->event)
		event_free(e->event);
	free(e);
}

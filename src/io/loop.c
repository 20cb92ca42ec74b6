/*
 * loop: a libevent base that turns once at a time, so that there is a place
 * between the turns where memory may be given back.
 */
#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

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

int
loop_init(struct loop *l)
{
	struct event_config *conf = event_config_new();

	*l = (struct loop){0};
	if (!conf)
		return -1;
	event_set_log_callback(on_libevent);
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
	}
	log_gather(false);
	return r < 0 ? -1 : 0;
}

void
loop_stop(struct loop *l)
{
	l->stop = 1;
}

void
loop_defer(struct loop *l, void (*fn)(void *), void *ptr)
{
	struct loop_deferred *d = malloc(sizeof(*d));

	if (!d)
		abort();
	*d = (struct loop_deferred){fn, ptr, l->deferred};
	l->deferred = d;
}

/* --- events --- */

struct loop_event {
	struct event *event;
	loop_fn *fn;
	void *ctx;
};

static void
on_event(int fd, short what, void *arg)
{
	struct loop_event *e = arg;

	(void)fd;
	(void)what;
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

/* --- the clock --- */

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
loop_now(const struct loop *l)
{
	(void)l;
	return clock_ms(CLOCK_MONOTONIC_COARSE);
}

int64_t
loop_wall(const struct loop *l)
{
	(void)l;
	return clock_ms(CLOCK_REALTIME_COARSE);
}

/*
 * loop: one event base, its clock, and what happens at the end of a turn.
 *
 * Everything on a loop runs in one thread. Nothing is freed inside a
 * callback: loop_defer() runs when the turn is over.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* A timer, a signal or a descriptor that wakes the loop. */
struct loop_event;
typedef void loop_fn(void *ctx);

struct loop_deferred;

struct loop {
	struct event_base *base;
	struct loop_deferred *deferred;
	int stop;
	int log_waits;  /* for whoever reads the log */
	int64_t turn;   /* see loop_turn(); 0: not asked yet */
	unsigned turns; /* so far */
};

/* 0, or -1 with errno. The environment cannot switch epoll off. */
int loop_init(struct loop *l);
void loop_free(struct loop *l);

/* Turns until loop_stop(); -1 if the base fails. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* When this turn's events were there, about: clock_ns(), asked for once. */
int64_t loop_turn(struct loop *l);

/* Calls fn(ptr) once this turn's callbacks have all run. */
void loop_defer(struct loop *l, void (*fn)(void *), void *ptr);

/*
 * Each calls fn(ctx) when it is due. A timer waits for loop_timer_set() and
 * fires once; a signal is heard every time, a descriptor (which stays the
 * caller's) each time it can be read. NULL with errno.
 */
struct loop_event *loop_timer(struct loop *l, loop_fn *fn, void *ctx);
struct loop_event *loop_signal(struct loop *l, int sig, loop_fn *fn, void *ctx);
struct loop_event *loop_readable(struct loop *l, int fd, loop_fn *fn,
    void *ctx);

/*
 * A descriptor in both directions, of which none is wanted at first. An end or
 * an error of its is whatever was wanted. It stays the caller's, who wants
 * nothing more of it, or frees the event, before he closes it. NULL with errno.
 */
typedef void loop_io_fn(void *ctx, bool readable, bool writable);
struct loop_event *loop_io(struct loop *l, int fd, loop_io_fn *fn, void *ctx);
void loop_io_want(struct loop_event *e, bool readable, bool writable);

/* In ms from now; again: the last one counts. */
void loop_timer_set(struct loop_event *e, uint64_t ms);

/* Silence; *e is NULL. From its own function too. */
void loop_event_free(struct loop_event **e);

#endif

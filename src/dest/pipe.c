/*
 * pipe: a carrier whose parcels are runs of one program.
 *
 * A run waits for a place among those that may be at once, then for its input
 * to be written, then for its program. Up to that nobody has the message;
 * behind it nobody knows. Each has a timer, which is for what the runner does
 * not end by itself.
 */
#include "dest/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"

/* The runner's answer is there so long before who waits must be told, in ms. */
#define LEAD 100

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
    "HOME=/", "LC_ALL=C.UTF-8", NULL};

enum run_state {
	RUN_QUEUED,  /* the message is the asker's */
	RUN_WRITING, /* a job has what it needs */
	RUN_STARTED,
};

struct run {
	struct ask ask;
	struct pipe *pipe;
	enum run_state state;
	struct parcel *parcel; /* NULL: nobody asks any more */
	parcel_fn *fn;
	void *ctx;
	struct loop_event *timer;
	uint64_t input;      /* its job */
	struct ask *program; /* in the runner */
	int64_t begun;
	int64_t end; /* of the program */
	char id[MESSAGE_ID_MAX];
	struct run *prev, *next;
};

struct pipe {
	struct carrier carrier;
	const struct dest_services *s;
	struct run *queued, *running;
	unsigned n, max; /* running */
	bool told;       /* the log knows that it is not set up well */
};

struct runner *
dest_runner(const struct route *const *routes, unsigned n, unsigned workers)
{
	struct runner_program *programs = mem_new(n * sizeof(*programs));
	const struct runner_options o = {programs, n, environment, pipe_names};
	struct runner *r = NULL;
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		unsigned share = routes[i]->connections / workers;

		programs[i].argv = routes[i]->argv;
		programs[i].max = share ? share : 1;
		any = any || routes[i]->argv;
	}
	errno = 0;
	if (any)
		r = runner_start(&o);
	free(programs);
	return r;
}

/* --- one run --- */

/* Nothing of it comes back any more. */
static void
end_run(struct run *x)
{
	struct pipe *p = x->pipe;

	jobs_cancel(p->s->jobs, &x->input);
	loop_event_free(&x->timer);
	if (x->state == RUN_QUEUED) {
		DL_DELETE(p->queued, x);
	} else {
		DL_DELETE(p->running, x);
		p->n--;
	}
	loop_defer(p->s->loop, free, x);
}

static void begin_some(struct pipe *p);

/* The last thing that is done. */
static void
tell(struct run *x, enum fate fate, const struct smtp_reply *reply)
{
	struct parcel *parcel = x->parcel;
	parcel_fn *fn = x->fn;
	void *ctx = x->ctx;

	if (parcel) {
		parcel->copies[0]->fate = fate;
		parcel->copies[0]->reply = reply;
	}
	end_run(x);
	begin_some(x->pipe);
	if (parcel)
		fn(ctx);
}

static void
log_program(const struct run *x, const char *status,
    const struct runner_end *end)
{
	log_event(LOG_INFO, "program", LOG_STR("message", x->id),
	    LOG_STR("route", x->pipe->carrier.route->shown),
	    LOG_STR("status", status),
	    LOG_UINT("ms", (uint64_t)(clock_now() - x->begun)),
	    LOG_SPAN("output", end->output),
	    {end->error ? "error" : NULL, LOG_TYPE_ERRNO, {.err = end->error}});
}

/* Once, until it has taken something. */
static void
note_set_up(struct pipe *p, enum fate fate, const char *status,
    const struct smtp_reply *reply)
{
	if (fate == FATE_DOWN && !p->told)
		log_event(LOG_ERROR, "route-misconfigured",
		    LOG_STR("route", p->carrier.route->shown),
		    LOG_STR("reply", reply->text), LOG_STR("status", status),
		    LOG_STR("help", "run it by hand, as the user that smtpd "
				    "is"));
	if (fate == FATE_DOWN || fate == FATE_TAKEN)
		p->told = fate == FATE_DOWN;
}

static void
on_end(void *ctx, const struct runner_end *end)
{
	struct run *x = ctx;
	struct arena nobody = {0};
	struct arena *a = x->parcel ? &x->parcel->m->arena : &nobody;
	char text[PIPE_STATUS_MAX];
	const char *status = pipe_status(end, text);
	const struct smtp_reply *reply;
	enum fate fate = pipe_judge(end, a, &reply);

	x->program = NULL;
	log_program(x, status, end);
	note_set_up(x->pipe, fate, status, reply);
	arena_reset(&nobody);
	tell(x, fate, reply);
}

/* Nothing was started: there is nobody who could, or no time. */
static void
not_started(struct run *x)
{
	const struct smtp_reply *reply;

	if (pipe_health(&x->pipe->carrier, &reply) == CARRIER_DOWN)
		tell(x, FATE_DOWN, reply);
	else
		tell(x, FATE_AGAIN,
		    SMTP_REPLY(451, "4.3.0",
			"The program for this address takes too long"));
}

/* In front of its program; or that is over, and nobody said so. */
static void
on_time(void *ctx)
{
	struct run *x = ctx;

	if (x->state != RUN_STARTED) {
		not_started(x);
		return;
	}
	ask_cancel(&x->program, ASK_ABANDON);
	on_end(x, &(struct runner_end){.how = RUNNER_LOST});
}

static void
start_program(struct run *x, int in)
{
	struct pipe *p = x->pipe;
	const struct message_copy *c = x->parcel->copies[0];
	int64_t now = clock_now();
	struct buf values = {0};

	x->state = RUN_STARTED;
	x->parcel->handed = true;
	x->begun = now;
	loop_timer_set(x->timer, (uint64_t)(x->parcel->deadline - now));
	pipe_values(x->parcel->m, c, p->s->delimiter, &values);
	x->program = runner_run(p->s->runner,
	    &(struct runner_request){p->carrier.route->number,
		(uint32_t)(x->end - now), buf_span(&values), in},
	    on_end, x);
	buf_free(&values);
}

static void
on_input(struct job *job, void *ctx)
{
	struct pipe_input *input = (struct pipe_input *)job;
	struct run *x = ctx;
	int64_t now = clock_now();
	int in = input->fd;

	x->input = 0;
	if (in < 0) {
		on_end(x, &(struct runner_end){.how = RUNNER_NOT_STARTED,
			      .error = input->error});
	} else if (now >= x->end || now > x->parcel->dot_by ||
		   runner_is_lost(x->pipe->s->runner)) {
		not_started(x);
	} else {
		input->fd = -1;
		start_program(x, in);
	}
}

static void
begin_some(struct pipe *p)
{
	const struct smtp_reply *reply;
	struct run *x;

	if (pipe_health(&p->carrier, &reply) == CARRIER_DOWN) {
		DL_FOREACH (p->queued, x)
			loop_timer_set(x->timer, 0);
		return;
	}
	while (p->n < p->max && (x = p->queued)) {
		const struct parcel *parcel = x->parcel;
		struct pipe_input *input =
		    pipe_input_new(parcel->m, parcel->copies[0], p->s->tmp);

		DL_DELETE(p->queued, x);
		DL_APPEND(p->running, x);
		x->state = RUN_WRITING;
		p->n++;
		x->input = jobs_submit(p->s->jobs, &input->job, on_input, x);
	}
}

/* The place of a program is taken until it ends, killed or not: the runner
 * starts none beyond their number. */
static void
cancel(struct ask *ask, enum ask_end end)
{
	struct run *x = (struct run *)ask;
	struct pipe *p = x->pipe;

	if (x->state == RUN_STARTED)
		parcel_log_unanswered(x->parcel, 0, p->carrier.route);
	x->parcel = NULL;
	if (x->state == RUN_STARTED &&
	    (end == ASK_GO_ON || runner_kill(x->program)))
		return;
	end_run(x);
	begin_some(p);
}

/* --- the row --- */

struct carrier *
pipe_open(const struct route *r, const struct dest_services *s)
{
	struct pipe *p = mem_new(sizeof(*p));

	p->carrier.route = r;
	p->s = s;
	p->max = s->runner ? runner_max(s->runner, r->number) : 0;
	return &p->carrier;
}

void
pipe_free(struct carrier **c)
{
	struct pipe *p = (struct pipe *)*c;
	struct run *x;

	*c = NULL;
	if (!p)
		return;
	while ((x = p->queued))
		end_run(x);
	while ((x = p->running)) {
		ask_cancel(&x->program, ASK_ABANDON);
		end_run(x);
	}
	free(p);
}

enum carrier_health
pipe_health(const struct carrier *c, const struct smtp_reply **reply)
{
	const struct pipe *p = (const struct pipe *)c;

	if (p->max && !runner_is_lost(p->s->runner))
		return CARRIER_UP;
	*reply = SMTP_REPLY(451, "4.3.0",
	    "No program can be started for this address now");
	return CARRIER_DOWN;
}

/* What is fresh before what is held. */
static void
queue(struct pipe *p, struct run *x)
{
	struct run *before = NULL;

	if (!x->parcel->held)
		DL_FOREACH (p->queued, before)
			if (before->parcel->held)
				break;
	DL_PREPEND_ELEM(p->queued, before, x);
}

struct ask *
pipe_ask(struct carrier *c, struct parcel *parcel, parcel_fn *fn, void *ctx)
{
	struct pipe *p = (struct pipe *)c;
	struct run *x = mem_new(sizeof(*x));
	int64_t now = clock_now();

	*x = (struct run){.ask = {cancel},
	    .pipe = p,
	    .parcel = parcel,
	    .fn = fn,
	    .ctx = ctx,
	    .begun = now,
	    .end = parcel->deadline - LEAD};
	memcpy(x->id, parcel->m->id, sizeof(x->id));
	x->timer = loop_timer(p->s->loop, on_time, x);
	if (!x->timer)
		abort();
	loop_timer_set(x->timer, x->end > now ? (uint64_t)(x->end - now) : 0);
	queue(p, x);
	begin_some(p);
	return &x->ask;
}

/*
 * jobs: a few threads for what would block the loop (fsync, mostly).
 *
 * A job carries copies of all it needs and knows nobody on the loop. Its
 * completion is looked up by id when it comes back; an id that was
 * cancelled drops the result, and the job still runs to its end.
 */
#ifndef IO_JOBS_H
#define IO_JOBS_H

#include <stdint.h>
#include <sys/queue.h>

#include "io/loop.h"

struct jobs;

struct job {
	void (*run)(struct job *);  /* on a thread */
	void (*free)(struct job *); /* on the loop, always, at the end */
	uint64_t id;
	STAILQ_ENTRY(job) next;
};

typedef void jobs_done_fn(struct job *job, void *ctx);

/* threads: 1 to 64. NULL with errno. */
struct jobs *jobs_new(struct loop *l, unsigned threads);

/* Waits for what runs, drops what waits, frees all. */
void jobs_free(struct jobs **jobs);

/*
 * Takes the job over. When it has run, done(job, ctx) is called on the loop,
 * then job->free. Jobs start in the order they came. Never 0.
 */
uint64_t jobs_submit(struct jobs *jobs, struct job *job, jobs_done_fn *done,
    void *ctx);

/* No call back any more; *id is 0 afterwards. The job itself goes on. */
void jobs_cancel(struct jobs *jobs, uint64_t *id);

unsigned jobs_threads(const struct jobs *jobs);

/* Jobs not yet completed, cancelled ones too. */
unsigned jobs_pending(const struct jobs *jobs);

#endif

/*
 * gate: see gate.h.
 */
#include "gate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/jobs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t may_pass = PTHREAD_COND_INITIALIZER;
static unsigned opened; /* jobs that may pass */

static void
run(struct job *job)
{
	(void)job;
	pthread_mutex_lock(&lock);
	while (!opened)
		pthread_cond_wait(&may_pass, &lock);
	opened--;
	pthread_mutex_unlock(&lock);
}

static void
free_job(struct job *job)
{
	free(job);
}

static void
done(struct job *job, void *ctx)
{
	(void)job;
	if (ctx)
		loop_stop(ctx);
}

void
gate_close(struct jobs *jobs, struct loop *stop)
{
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->run = run;
	job->free = free_job;
	jobs_submit(jobs, job, done, stop);
}

void
gate_open(void)
{
	pthread_mutex_lock(&lock);
	opened++;
	pthread_cond_signal(&may_pass);
	pthread_mutex_unlock(&lock);
}

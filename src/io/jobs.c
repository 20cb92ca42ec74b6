/*
 * jobs: a queue, a few threads, and an eventfd back to the loop. Threads wait
 * at a semaphore: a condition variable's mutex is always thought contended
 * behind a wait, and costs a call of the kernel more.
 *
 * The lock covers the two lists and nothing else; no job runs and no
 * completion is called under it. What a completion needs (a function and a
 * context) never leaves the loop: it waits in a table under the job's id.
 */
#include "io/jobs.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

struct waiting {
	uint64_t id;
	jobs_done_fn *done;
	void *ctx;
	UT_hash_handle hh;
};

STAILQ_HEAD(job_list, job);

struct jobs {
	/* the loop's */
	struct event *wake;
	struct waiting *waiting;
	uint64_t last_id;
	unsigned pending;
	/* shared */
	pthread_mutex_t lock;
	sem_t work; /* one for each in the queue */
	struct job_list queue;
	struct job_list finished;
	bool stop;
	/* constant */
	int fd;
	unsigned nthreads;
	pthread_t threads[];
};

static struct job *
take(struct job_list *l)
{
	struct job *job = STAILQ_FIRST(l);

	if (job)
		STAILQ_REMOVE_HEAD(l, next);
	return job;
}

/* Without the lock. */
static void
run_one(struct jobs *jobs, struct job *job)
{
	const uint64_t one = 1;
	bool first;

	job->run(job);
	pthread_mutex_lock(&jobs->lock);
	first = STAILQ_EMPTY(&jobs->finished);
	STAILQ_INSERT_TAIL(&jobs->finished, job, next);
	pthread_mutex_unlock(&jobs->lock);
	/* the loop takes the whole list: only its first job must wake it */
	if (first && write(jobs->fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

static void *
thread_main(void *arg)
{
	struct jobs *jobs = arg;
	struct job *job;

	for (;;) {
		while (sem_wait(&jobs->work) < 0) /* EINTR */
			;
		pthread_mutex_lock(&jobs->lock);
		job = jobs->stop ? NULL : take(&jobs->queue);
		pthread_mutex_unlock(&jobs->lock);
		if (!job) /* the end */
			return NULL;
		run_one(jobs, job);
	}
}

static void
complete(struct jobs *jobs, struct job *job)
{
	struct waiting *w;

	jobs->pending--;
	HASH_FIND(hh, jobs->waiting, &job->id, sizeof(job->id), w);
	if (w) {
		HASH_DELETE(hh, jobs->waiting, w);
		w->done(job, w->ctx);
		free(w);
	}
	job->free(job);
}

static void
on_finished(int fd, short what, void *arg)
{
	struct jobs *jobs = arg;
	struct job_list list = STAILQ_HEAD_INITIALIZER(list);
	struct job *job;

	(void)fd; /* an edge: what was counted need not be read */
	(void)what;
	pthread_mutex_lock(&jobs->lock);
	STAILQ_CONCAT(&list, &jobs->finished);
	pthread_mutex_unlock(&jobs->lock);
	while ((job = take(&list)))
		complete(jobs, job);
}

/* Signals belong to the loop's thread. */
static int
start_threads(struct jobs *jobs, unsigned threads)
{
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!err && jobs->nthreads < threads) {
		err = pthread_create(&jobs->threads[jobs->nthreads], NULL,
		    thread_main, jobs);
		if (!err)
			jobs->nthreads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return err ? -1 : 0;
}

struct jobs *
jobs_new(struct loop *l, unsigned threads)
{
	struct jobs *jobs =
	    calloc(1, sizeof(*jobs) + threads * sizeof(jobs->threads[0]));

	if (!jobs)
		return NULL;
	pthread_mutex_init(&jobs->lock, NULL);
	sem_init(&jobs->work, 0, 0);
	STAILQ_INIT(&jobs->queue);
	STAILQ_INIT(&jobs->finished);
	jobs->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (jobs->fd >= 0)
		jobs->wake = event_new(l->base, jobs->fd,
		    EV_READ | EV_ET | EV_PERSIST, on_finished, jobs);
	if (!jobs->wake || event_add(jobs->wake, NULL) < 0 ||
	    start_threads(jobs, threads) < 0)
		jobs_free(&jobs);
	return jobs;
}

static void
free_list(struct job_list *l)
{
	struct job *job;

	while ((job = take(l)))
		job->free(job);
}

void
jobs_free(struct jobs **p)
{
	struct jobs *jobs = *p;
	struct waiting *w, *next;
	int err = errno;

	*p = NULL;
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	pthread_mutex_unlock(&jobs->lock);
	for (unsigned i = 0; i < jobs->nthreads; i++)
		sem_post(&jobs->work);
	for (unsigned i = 0; i < jobs->nthreads; i++)
		pthread_join(jobs->threads[i], NULL);
	free_list(&jobs->queue);
	free_list(&jobs->finished);
	w = jobs->waiting;
	HASH_CLEAR(hh, jobs->waiting);
	for (; w; w = next) {
		next = w->hh.next;
		free(w);
	}
	if (jobs->wake)
		event_free(jobs->wake);
	if (jobs->fd >= 0)
		close(jobs->fd);
	sem_destroy(&jobs->work);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
	errno = err;
}

uint64_t
jobs_submit(struct jobs *jobs, struct job *job, jobs_done_fn *done, void *ctx)
{
	struct waiting *w = mem_new(sizeof(*w));

	w->id = job->id = ++jobs->last_id;
	w->done = done;
	w->ctx = ctx;
	HASH_ADD(hh, jobs->waiting, id, sizeof(w->id), w);
	jobs->pending++;
	pthread_mutex_lock(&jobs->lock);
	STAILQ_INSERT_TAIL(&jobs->queue, job, next);
	pthread_mutex_unlock(&jobs->lock);
	/* who wakes up now need not wait for the lock */
	sem_post(&jobs->work);
	return w->id;
}

void
jobs_cancel(struct jobs *jobs, uint64_t *id)
{
	struct waiting *w;

	HASH_FIND(hh, jobs->waiting, id, sizeof(*id), w);
	if (w) {
		HASH_DELETE(hh, jobs->waiting, w);
		free(w);
	}
	*id = 0;
}

unsigned
jobs_threads(const struct jobs *jobs)
{
	return jobs->nthreads;
}

unsigned
jobs_pending(const struct jobs *jobs)
{
	return jobs->pending;
}

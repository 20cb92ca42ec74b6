/*
 * log_sink: lines wait here until whoever reads them can take them.
 *
 * The buffer is bounded: what does not fit is counted, and the number is
 * said once all that waited is out. Where the loop turns, the lines of one
 * turn leave together. The lock is for the thread that writes where nothing
 * but a blocking write works; a fork leaves what waits to the parent.
 */
#include "io/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log_out.h"

#define ROOM        (256 * 1024)
#define PATIENCE_MS 1000 /* of a process that ends with lines left */
#define AGAIN_MS    1000 /* after a write that failed */

static struct {
	struct log_out out;
	bool gather;  /* somebody flushes at the end of each turn */
	int error;    /* of the last try; 0: all went out */
	bool writing; /* the thread is there */
	bool begun;   /* and has come to its work */
	bool busy;    /* and in a write */
	bool hooked;
	uint64_t lost;
	void (*render_lost)(struct buf *line, uint64_t lines);
	struct buf line;
	size_t begin, end; /* of what waits */
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	char room[ROOM];
} sink = {.out = {.fd = STDERR_FILENO},
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER,
    .less = PTHREAD_COND_INITIALIZER};

/* By the clock of dates, which is that of a condition. */
static int
wait_until(pthread_cond_t *cond, int64_t ms)
{
	const struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	return pthread_cond_timedwait(cond, &sink.lock, &ts);
}

/* --- the buffer; all of it under the lock --- */

static bool
put(void)
{
	size_t n = sink.line.len;

	if (sink.end + n > ROOM) {
		sink.end -= sink.begin;
		memmove(sink.room, sink.room + sink.begin, sink.end);
		sink.begin = 0;
	}
	if (sink.end + n > ROOM)
		return false;
	memcpy(sink.room + sink.end, sink.line.data, n);
	sink.end += n;
	return true;
}

static void
taken(size_t n)
{
	sink.begin += n;
	if (sink.begin == sink.end)
		sink.begin = sink.end = 0;
}

/* It flows again: true if there is something to say about that. */
static bool
put_lost(void)
{
	if (sink.end || !sink.lost || !sink.render_lost)
		return false;
	sink.line.len = 0;
	sink.render_lost(&sink.line, sink.lost);
	sink.lost = 0;
	return put();
}

/* Not where that would wait: there the thread does it. */
static void
write_out(void)
{
	if (sink.out.way == LOG_WAY_BLOCKS)
		return;
	sink.error = sink.busy ? EBUSY : 0;
	while (!sink.error && sink.begin < sink.end) {
		ssize_t n = log_out_write(&sink.out, sink.room + sink.begin,
		    sink.end - sink.begin);

		if (n > 0)
			taken((size_t)n);
		else if (n == 0 || errno != EINTR)
			sink.error = n ? errno : EIO;
	}
}

/* --- the thread --- */

/* The lock is held but for the write itself. */
static void
write_waiting(void)
{
	/* one octet more, so that a line which is cut there is seen */
	static char lines[LOG_LINE_MAX + 1];
	const struct log_out out = sink.out;
	size_t n = sink.end - sink.begin;
	ssize_t r;

	if (n > sizeof(lines))
		n = sizeof(lines);
	memcpy(lines, sink.room + sink.begin, n);
	sink.busy = true;
	pthread_mutex_unlock(&sink.lock);
	r = log_out_write(&out, lines, n);
	pthread_mutex_lock(&sink.lock);
	sink.busy = false;
	if (r > 0)
		taken((size_t)r);
	else
		wait_until(&sink.more, clock_wall() + AGAIN_MS);
}

static void *
thread_main(void *arg)
{
	pthread_mutex_lock(&sink.lock);
	sink.begun = true;
	pthread_cond_broadcast(&sink.less);
	for (;;) {
		if (sink.out.way == LOG_WAY_BLOCKS &&
		    (sink.end || put_lost())) {
			write_waiting();
			continue;
		}
		pthread_cond_signal(&sink.less);
		pthread_cond_wait(&sink.more, &sink.lock);
	}
	return arg;
}

static void
wake_thread(void)
{
	sigset_t all, old;
	pthread_t thread;

	pthread_cond_signal(&sink.more);
	if (sink.writing)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	sink.writing = pthread_create(&thread, NULL, thread_main, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (sink.writing)
		pthread_detach(thread);
}

static void
flush(void)
{
	write_out();
	if (put_lost())
		write_out();
	if (sink.out.way == LOG_WAY_BLOCKS && sink.end)
		wake_thread();
}

/* --- hooks --- */

/* A thread that is about to begin may hold locks of the runtime's, which the
 * child would find locked for ever: those of a sanitizer's allocator do. */
static void
before_fork(void)
{
	pthread_mutex_lock(&sink.lock);
	while (sink.writing && !sink.begun)
		pthread_cond_wait(&sink.less, &sink.lock);
	write_out();
}

static void
in_parent(void)
{
	pthread_mutex_unlock(&sink.lock);
}

/* What waits is the parent's, and so is the thread. */
static void
in_child(void)
{
	pthread_mutex_init(&sink.lock, NULL);
	pthread_cond_init(&sink.more, NULL);
	pthread_cond_init(&sink.less, NULL);
	sink.begin = sink.end = 0;
	sink.lost = 0;
	sink.gather = sink.writing = sink.begun = sink.busy = false;
}

/* A reader who is slow gets a moment, one who sleeps no more than that. */
static void
at_exit(void)
{
	const int64_t end = clock_wall() + PATIENCE_MS;
	int64_t left = PATIENCE_MS;

	pthread_mutex_lock(&sink.lock);
	flush();
	while (sink.writing && sink.end && wait_until(&sink.less, end) == 0)
		;
	while (sink.error == EAGAIN && left > 0) {
		struct pollfd p = {.fd = sink.out.fd, .events = POLLOUT};

		if (poll(&p, 1, (int)left) <= 0)
			break;
		flush();
		left = end - clock_wall();
	}
	pthread_mutex_unlock(&sink.lock);
}

/* A broken invariant: the lines of this turn may say how it came to it. */
static void
on_crash(int sig)
{
	if (pthread_mutex_trylock(&sink.lock) == 0)
		write_out();
	raise(sig);
}

/* A sanitizer has its own. */
static void
catch_crashes(void)
{
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	const struct sigaction catch = {.sa_handler = on_crash,
	    .sa_flags = (int)SA_RESETHAND};
	struct sigaction was;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &was) == 0 &&
		    was.sa_handler == SIG_DFL)
			sigaction(signals[i], &catch, NULL);
}

/* --- what the log sees of it --- */

void
log_sink_open(enum log_to to, void (*lost)(struct buf *line, uint64_t lines))
{
	pthread_mutex_lock(&sink.lock);
	flush();
	log_out_open(&sink.out, to);
	sink.render_lost = lost;
	sink.error = 0;
	if (!sink.hooked) {
		sink.hooked = true;
		pthread_atfork(before_fork, in_parent, in_child);
		atexit(at_exit);
		catch_crashes();
	}
	pthread_mutex_unlock(&sink.lock);
}

struct buf *
log_sink_line(void)
{
	pthread_mutex_lock(&sink.lock);
	sink.line.len = 0;
	return &sink.line;
}

void
log_sink_put(void)
{
	bool fits = put();

	if (!fits && !sink.error) { /* more than one write in this turn */
		write_out();
		fits = put();
	}
	sink.lost += !fits;
	if (!sink.gather)
		flush();
	pthread_mutex_unlock(&sink.lock);
}

void
log_gather(bool on)
{
	sink.gather = on;
}

bool
log_flush(int *fd)
{
	bool all;

	pthread_mutex_lock(&sink.lock);
	flush();
	all = !sink.error;
	*fd = sink.error == EAGAIN ? sink.out.fd : -1;
	pthread_mutex_unlock(&sink.lock);
	return all;
}

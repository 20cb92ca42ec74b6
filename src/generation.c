/*
 * generation: forks, counts and buries workers.
 *
 * A worker that dies is replaced at once, then after 1, 2 and 4 s. The write
 * end of one pipe tells the workers that their master lives: closing it is
 * how they are asked to leave, and how they find out that it was killed.
 */
#include "generation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "worker.h"

#define BACKOFF_MAX 4000
#define LIVED_LONG  10000 /* after this a death is a first one again */
#define START_MS    10000 /* for all of them to serve */

_Static_assert(2 * WORKERS_MAX <= SHARED_MASTER,
    "slots for two generations, and one for the master");

unsigned
generation_shared_slot(const struct generation *g, unsigned i)
{
	return i + g->half * WORKERS_MAX;
}

/* --- forking --- */

static void
become_worker(struct generations *all, struct generation *g, unsigned i,
    pid_t master, int ready)
{
	struct worker_start start = {.conf = g->conf,
	    .sockets = &g->sockets,
	    .identity = all->identity,
	    .sandbox = sandbox_rules(g->conf, &all->dirs),
	    .shared = all->shared,
	    .master = master,
	    .slot = i,
	    .shared_slot = generation_shared_slot(g, i),
	    .alive = g->alive[0],
	    .client = -1,
	    .ready = ready};
	struct generation *other = &all->gens[!g->half];

	log_open(g->conf->log_to, g->conf->log_format, g->conf->log_level);
	/* what this worker does not serve must not stay open through it */
	full_close(&g->alive[1]);
	if (all->trial.pid)
		full_close(&all->trial.fd);
	if (other->conf) {
		full_close(&other->alive[0]);
		full_close(&other->alive[1]);
		sockets_release(&other->sockets, &g->sockets);
	}
	exit(worker_main(&start));
}

static void
start_worker(struct generations *all, struct generation *g, unsigned i,
    int ready)
{
	struct slot *s = &g->slots[i];
	pid_t master = getpid();

	s->begun = clock_now();
	s->aborted = false;
	s->pid = fork();
	if (s->pid == 0)
		become_worker(all, g, i, master, ready);
	if (s->pid < 0) {
		log_event(LOG_ERROR, "fork", LOG_ERRNO(errno));
		s->pid = 0;
		s->due = s->begun + 1000;
	}
}

int64_t
generation_start_due(struct generations *all, struct generation *g)
{
	int64_t wait = -1;
	unsigned i;

	for (i = 0; i < g->sockets.nslots && !g->leaving && !g->taken; i++) {
		struct slot *s = &g->slots[i];
		int64_t left;

		if (!s->pid && s->due <= clock_now())
			start_worker(all, g, i, -1);
		left = s->due - clock_now();
		if (!s->pid && (wait < 0 || left < wait))
			wait = left > 0 ? left : 0;
	}
	return wait;
}

/*
 * A word from each worker, or the end of the pipe when one has
 * gone without. A worker that hangs at its start is not waited for for ever.
 */
static bool
await_all(struct generation *g, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t end = clock_now() + START_MS;
	unsigned n = 0;
	struct worker_ready w;

	while (n < g->sockets.nslots) {
		int64_t left = end - clock_now();
		int r = poll(&p, 1, left > 0 ? (int)left : 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			log_event(LOG_ERROR, "workers-late",
			    LOG_UINT("serve", n),
			    LOG_UINT("of", g->sockets.nslots));
		if (r <= 0 || read(fd, &w, sizeof(w)) != sizeof(w) ||
		    w.slot >= WORKERS_MAX)
			break;
		n += !g->slots[w.slot].serves;
		g->slots[w.slot].serves = true;
		g->seccomp = w.seccomp;
		g->landlock = w.landlock;
	}
	return n == g->sockets.nslots;
}

/* Who serves has clients to finish with; who hangs would never leave. */
static void
kill_late(const struct generation *g)
{
	for (unsigned i = 0; i < g->sockets.nslots; i++)
		if (g->slots[i].pid && !g->slots[i].serves)
			kill(g->slots[i].pid, SIGKILL);
}

int
generation_start(struct generations *all, struct generation *g,
    struct config *conf, const struct sockets *sockets)
{
	unsigned half = (unsigned)(g - all->gens);
	int ready[2];
	bool all_serve;

	*g = (struct generation){.conf = conf,
	    .sockets = *sockets,
	    .half = half,
	    .alive = {-1, -1}};
	if (pipe2(g->alive, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		log_event(LOG_ERROR, "start", LOG_ERRNO(errno));
		generation_leave(g);
		return -1;
	}
	for (unsigned i = 0; i < g->sockets.nslots; i++)
		start_worker(all, g, i, ready[1]);
	close(ready[1]);
	all_serve = await_all(g, ready[0]);
	close(ready[0]);
	if (all_serve)
		return 0;
	kill_late(g);
	generation_leave(g);
	return -1;
}

/* --- leaving --- */

void
generation_leave(struct generation *g)
{
	g->leaving = true;
	g->left = clock_now();
	full_close(&g->alive[1]);
}

void
generation_hurry(struct generation *g)
{
	for (unsigned i = 0; g->conf && i < g->sockets.nslots; i++)
		if (g->slots[i].pid)
			kill(g->slots[i].pid, SIGTERM);
}

unsigned
generation_living(const struct generation *g)
{
	unsigned n = 0;

	for (unsigned i = 0; g->conf && i < WORKERS_MAX; i++)
		n += g->slots[i].pid != 0;
	return n;
}

void
generations_show(const struct generations *all,
    const struct generation *serving)
{
	unsigned n = serving ? generation_living(serving) : 0;

	shared_set(all->shared, SHARED_MASTER, SHARED_WORKERS_SERVING, n);
	shared_set(all->shared, SHARED_MASTER, SHARED_WORKERS_LEAVING,
	    generation_living(&all->gens[0]) +
		generation_living(&all->gens[1]) - n);
}

/* Of a generation that leaves nobody is started again. */
static void
log_death(const struct generation *g, unsigned i, int status)
{
	const struct slot *s = &g->slots[i];
	const struct log_field restart = LOG_UINT("restart_ms", s->delay);
	const struct log_field none = LOG_END;
	bool killed = WIFSIGNALED(status);

	log_event(LOG_ERROR, "worker-died", LOG_UINT("slot", i),
	    LOG_INT("pid", s->pid),
	    LOG_STR("signal", killed ? strsignal(WTERMSIG(status)) : NULL),
	    LOG_INT("status", killed ? -1 : WEXITSTATUS(status)),
	    g->leaving ? none : restart);
}

/* It said so, and made way. */
static bool
is_outgrown(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == WORKER_OUTGROWN;
}

/* What the worker counted went with it; when to try again. */
static void
bury(struct generations *all, struct generation *g, unsigned i, int status)
{
	struct slot *s = &g->slots[i];
	int64_t now = clock_now();

	shared_clear_slot(all->shared, generation_shared_slot(g, i));
	if (!g->leaving || status) {
		if (now - s->begun > LIVED_LONG)
			s->delay = 0;
		if (!is_outgrown(status)) {
			log_death(g, i, status);
			shared_add(all->shared, SHARED_MASTER, SHARED_DEATHS,
			    1);
		}
	}
	s->pid = 0;
	s->due = now + s->delay;
	s->delay = s->delay ? s->delay * 2 : 1000;
	if (s->delay > BACKOFF_MAX)
		s->delay = BACKOFF_MAX;
}

bool
generation_reap(struct generations *all, struct generation *g, pid_t pid,
    int status)
{
	for (unsigned i = 0; g->conf && i < WORKERS_MAX; i++) {
		if (g->slots[i].pid != pid)
			continue;
		bury(all, g, i, status);
		return true;
	}
	return false;
}

void
generation_free(struct generation *g, const struct generation *heir)
{
	full_close(&g->alive[0]);
	full_close(&g->alive[1]);
	sockets_release(&g->sockets, heir ? &heir->sockets : NULL);
	if (g->taken)
		g->conf = NULL;
	config_free(&g->conf);
}

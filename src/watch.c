/*
 * watch: a certificate is taken only when its files stand still, and a worker
 * is killed only when it has not even heard that it is to end.
 */
#include "watch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "io/log.h"
#include "notify.h"

#define LOOK_MS  60000
#define STILL_MS 2000 /* between two looks that must agree */
#define TICK_MS  15000
#define STUCK_MS 120000
#define LEAVE_MS 60000

bool
watch_certificates(struct watch *w, const struct config *c, int64_t now,
    bool *again)
{
	uint64_t seen, say;
	bool still, waits;

	*again = false;
	if (now < w->certificates)
		return false;
	seen = config_files_look(c, true);
	still = seen && seen == w->seen;
	w->seen = seen;
	w->certificates = now + (seen && !still ? STILL_MS : LOOK_MS);
	if (!still)
		return false;
	waits = config_files_look(c, false) != 0;
	say = waits ? ~seen : seen;
	*again = say == w->told;
	w->told = say;
	if (waits && !*again)
		log_event(LOG_WARN, "certificate-waits",
		    LOG_STR("why", "the configuration was changed, too"),
		    LOG_STR("help", "reload when that is complete"));
	return !waits;
}

static void
end(struct slot *s, int sig, int64_t late)
{
	if (!s->aborted)
		log_event(LOG_ERROR, "worker-stuck", LOG_INT("pid", s->pid),
		    LOG_INT("seconds", late / 1000),
		    LOG_STR("signal", strsignal(sig)));
	s->aborted = true;
	kill(s->pid, sig);
}

/* A stopped process takes no SIGABRT: the next look takes SIGKILL. */
static void
watch_worker(const struct generations *all, struct generation *g, unsigned i,
    int64_t now)
{
	struct slot *s = &g->slots[i];
	int64_t drain = (int64_t)g->conf->drain;
	int64_t last =
	    shared_last_turn(all->shared, generation_shared_slot(g, i));

	if (g->conf->sandbox == SANDBOX_NO) /* for a debugger, which stops it */
		return;
	if (last < s->begun) /* another's, that had the slot before */
		last = s->begun;
	if (g->leaving && now - g->left >= drain + LEAVE_MS)
		end(s, SIGKILL, now - g->left);
	else if (!g->taken && now - last >= STUCK_MS)
		end(s, s->aborted ? SIGKILL : SIGABRT, now - last);
}

void
watch_workers(struct watch *w, struct generations *all,
    const struct generation *current, int64_t now)
{
	if (now < w->workers)
		return;
	w->workers = now + TICK_MS;
	for (unsigned i = 0; i < 2 * WORKERS_MAX; i++) {
		struct generation *g = &all->gens[i / WORKERS_MAX];

		if (g->conf && g->slots[i % WORKERS_MAX].pid)
			watch_worker(all, g, i % WORKERS_MAX, now);
	}
	if (getenv("WATCHDOG_USEC") && generation_living(current))
		notify("WATCHDOG=1");
}

int64_t
watch_due(const struct watch *w, int64_t now)
{
	int64_t next =
	    w->workers < w->certificates ? w->workers : w->certificates;

	return next > now ? next - now : 0;
}

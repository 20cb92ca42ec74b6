/*
 * greylist_saver: the job, and whose turn it is. The word `saver` says that,
 * and the master clears it when its worker dies.
 */
#include "policy/greylist_saver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "policy/greylist_file.h"

#define EVERY INT64_C(600000)

struct save {
	struct job job;
	struct shared_grey *table;
	const char *spool; /* the configuration's, as long as the worker */
	unsigned slot;
	int error;
};

void
greylist_saver_init(struct greylist_saver *s, struct shared *shared,
    unsigned slot, struct jobs *jobs, const char *spool)
{
	*s = (struct greylist_saver){.table = shared_grey(shared),
	    .jobs = jobs,
	    .spool = spool,
	    .slot = slot};
}

static bool
is_saver(const struct shared_grey *t, unsigned slot)
{
	return t->saver == slot + 1;
}

static void
run(struct job *job)
{
	struct save *s = (struct save *)job;
	int dir = open(s->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || greylist_file_write(s->table, dir, s->slot, clock_wall(),
			   is_saver) < 0)
		s->error = errno;
	full_close(&dir);
}

static void
done(struct job *job, void *ctx)
{
	const struct save *j = (struct save *)job;
	struct greylist_saver *s = ctx;
	uint32_t own = s->slot + 1;

	s->job = 0;
	atomic_compare_exchange_strong(&s->table->saver, &own, 0);
	if (j->error && j->error != ECANCELED)
		log_event(LOG_WARN, "greylist-not-saved",
		    LOG_STR("spool", s->spool), LOG_ERRNO(j->error));
}

static void
free_save(struct job *job)
{
	free(job);
}

static void
submit(struct greylist_saver *s)
{
	struct save *j = mem_new(sizeof(*j));

	j->job.run = run;
	j->job.free = free_save;
	j->table = s->table;
	j->spool = s->spool;
	j->slot = s->slot;
	s->job = jobs_submit(s->jobs, &j->job, done, s);
}

void
greylist_saver_look(struct greylist_saver *s, int64_t now)
{
	struct shared_grey *t = s->table;
	int64_t due = t->due;
	uint32_t nobody = 0;

	if (s->left || s->job)
		return;
	if (!due) {
		atomic_compare_exchange_strong(&t->due, &due, now + EVERY);
		return;
	}
	if (now < due || !t->changed ||
	    !atomic_compare_exchange_strong(&t->saver, &nobody, s->slot + 1))
		return;
	t->due = now + EVERY;
	submit(s);
}

void
greylist_saver_leave(struct greylist_saver *s)
{
	uint32_t own = s->slot + 1;

	s->left = true;
	atomic_compare_exchange_strong(&s->table->saver, &own, 0);
}

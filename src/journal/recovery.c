/*
 * recovery: adopts a journal, redoes its segments, removes it.
 *
 * A record that ended three readers is left out; all others are delivered,
 * and the journal is set aside with it. One that could not be delivered for
 * another reason (a full disk) is left for later.
 */
#include "journal/recovery.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/journal_dir.h"
#include "journal/recovery_run.h"

#define HELP "no file that smtpd made, or too large: it is in damaged/ now"

#define PAUSE_MAX 32 /* ticks, behind one that could not be delivered */

struct recovery {
	struct jobs *aside;
	struct recovery_from from;
	unsigned pause, paused;
	bool running;
	char failed[IDENT_LEN + 1]; /* not again before the others */
	atomic_bool stop;           /* read by the thread */
};

struct recovery_job {
	struct job job;
	struct recovery *r;
	char skip[IDENT_LEN + 1];
	struct recovery_result result;
};

/* --- at the start --- */

static int
check_version(void *ctx, const char *name)
{
	const struct recovery *r = ctx;
	uint32_t version = recovery_version(&r->from, name);

	if (version <= r->from.owner.version)
		return 0;
	log_event(LOG_ERROR, "journal-version", LOG_STR("journal", name),
	    LOG_UINT("version", version),
	    LOG_UINT("ours", r->from.owner.version),
	    LOG_STR("help", "start the smtpd that wrote it, and stop it"));
	errno = EPROTO;
	return -1;
}

struct recovery *
recovery_new(int spool, const struct journal_owner *owner, struct jobs *aside)
{
	struct recovery *r = mem_new(sizeof(*r));

	r->aside = aside;
	crc32c_init(&r->from.crc);
	r->from.owner = *owner;
	r->from.damaged = -1;
	if ((r->from.root = journal_dir_open(spool, "journal")) < 0 ||
	    (r->from.damaged = journal_dir_open(spool, "damaged")) < 0 ||
	    journal_dir_each(r->from.root, check_version, r) < 0)
		recovery_free(&r);
	return r;
}

void
recovery_free(struct recovery **p)
{
	struct recovery *r = *p;

	*p = NULL;
	if (!r)
		return;
	full_close(&r->from.root);
	full_close(&r->from.damaged);
	free(r);
}

void
recovery_stop(struct recovery *r)
{
	atomic_store(&r->stop, true);
}

/* --- now and then --- */

static void
job_run(struct job *job)
{
	struct recovery_job *j = (struct recovery_job *)job;

	recovery_run(&j->r->from, j->skip, &j->r->stop, &j->result);
}

static void
job_free(struct job *job)
{
	buf_free(&((struct recovery_job *)job)->result.aside);
	free(job);
}

static void
log_aside(const struct recovery_result *x)
{
	const char *name;

	for (size_t at = 0; at < x->aside.len; at += strlen(name) + 1) {
		name = x->aside.data + at;
		log_event(LOG_ERROR, "set-aside", LOG_STR("journal", x->name),
		    LOG_STR("file", name), LOG_STR("help", HELP));
	}
}

static void
log_result(const struct recovery_result *x)
{
	const struct log_field error = LOG_ERRNO(x->error);
	const struct log_field none = LOG_END;
	bool bad = x->count.damaged || x->count.lost || x->error;

	if (x->left_out)
		log_event(LOG_ERROR, "quarantine", LOG_STR("journal", x->name),
		    LOG_UINT("records", x->left_out),
		    LOG_STR("help", "each ended three workers that read it; "
				    "all others are delivered"));
	log_aside(x);
	log_event(bad       ? LOG_ERROR
		  : x->torn ? LOG_WARN
			    : LOG_INFO,
	    "recovered", LOG_STR("journal", x->name),
	    LOG_UINT("copies", x->count.placed),
	    LOG_UINT("held", x->count.held),
	    LOG_UINT("damaged", x->count.damaged), LOG_UINT("torn", x->torn),
	    LOG_UINT("undelivered", x->count.lost), x->error ? error : none);
}

static void
job_done(struct job *job, void *ctx)
{
	const struct recovery_result *x = &((struct recovery_job *)job)->result;
	static const char none[IDENT_LEN + 1] = "";
	struct recovery *r = ctx;

	r->running = false;
	memcpy(r->failed, x->error ? x->name : none, sizeof(r->failed));
	if (!x->name[0] && !x->error)
		return;
	log_result(x);
	if (x->error) {
		r->pause = r->pause ? 2 * r->pause : 1;
		if (r->pause > PAUSE_MAX)
			r->pause = PAUSE_MAX;
		r->paused = r->pause;
		return;
	}
	r->pause = 0;
	recovery_tick(r); /* there may be another one */
}

void
recovery_tick(struct recovery *r)
{
	struct recovery_job *j;

	if (r->running)
		return;
	if (r->paused) {
		r->paused--;
		return;
	}
	j = mem_new(sizeof(*j));
	j->job.run = job_run;
	j->job.free = job_free;
	j->r = r;
	memcpy(j->skip, r->failed, sizeof(j->skip));
	r->running = true;
	jobs_submit(r->aside, &j->job, job_done, r);
}

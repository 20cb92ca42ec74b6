/*
 * rig: see rig.h. What it knows of the insides of delivery is where there are
 * threads.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "fake_clock.h"
#include "io/clock.h"
#include "journal/journal_state.h"
#include "rig.h"
#include "scratch.h"

#define MESSAGES 512 /* that may be asked about at a time */

struct rig rig;
struct post post;

static bool held[RIG_POOLS];
static sem_t reached, go_on;

static struct jobs *
pool(enum rig_pool p)
{
	if (p == RIG_JOBS)
		return rig.jobs;
	return rig.deliver->journal ? rig.deliver->journal->committer : NULL;
}

/* Jobs that a thread is at, or will be. */
static bool
is_at_work(enum rig_pool p)
{
	unsigned n = pool(p) && !held[p] ? jobs_pending(pool(p)) : 0;

	if (p != RIG_JOBS || !rig.standing)
		return n > 0;
	return (n < jobs_threads(rig.jobs) ? n : jobs_threads(rig.jobs)) >
	       rig.standing();
}

static bool
is_busy(void)
{
	for (enum rig_pool p = 0; p < RIG_POOLS; p++)
		if (is_at_work(p))
			return true;
	return rig.deliver->aside && jobs_pending(rig.deliver->aside);
}

void
rig_open(const struct deliver_options *o)
{
	const char *what = NULL;

	clock_stop(&rig.loop, is_busy);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	assert_int_equal(loop_init(&rig.loop), 0);
	rig.jobs = jobs_new(&rig.loop, rig.threads ? rig.threads : 2);
	rig.shared = shared_new();
	rig.deliver = deliver_new(o, &rig.loop, rig.jobs, &what);
	if (what)
		print_error("%s: %s\n", what, strerror(errno));
	assert_true(rig.jobs && rig.shared && rig.deliver);
	deliver_share(rig.deliver, rig.shared, RIG_SLOT);
}

void
rig_stop(void)
{
	rig_go_on();
	jobs_free(&rig.jobs);
	deliver_free(&rig.deliver);
}

void
rig_close(void)
{
	rig_stop();
	loop_free(&rig.loop);
	clock_go();
	sem_destroy(&reached);
	sem_destroy(&go_on);
}

void
rig_pass(int64_t ms)
{
	clock_pass(ms);
}

int64_t
counted(enum shared_counter what)
{
	return shared_total(rig.shared, what);
}

/* --- threads that stand still --- */

static void
wait_for(sem_t *s)
{
	while (sem_wait(s) < 0 && errno == EINTR)
		;
}

static void
stand_still(struct job *job)
{
	(void)job;
	sem_post(&reached);
	wait_for(&go_on);
}

static void
on_job(struct job *job, void *ctx)
{
	(void)job;
	(void)ctx;
}

static void
free_job(struct job *job)
{
	free(job);
}

static unsigned
threads_of(enum rig_pool p)
{
	return jobs_threads(pool(p));
}

void
rig_hold(enum rig_pool p)
{
	for (unsigned i = 0; i < threads_of(p); i++) {
		struct job *job = calloc(1, sizeof(*job));

		assert_non_null(job);
		job->run = stand_still;
		job->free = free_job;
		jobs_submit(pool(p), job, on_job, NULL);
	}
	for (unsigned i = 0; i < threads_of(p); i++)
		wait_for(&reached);
	held[p] = true;
}

void
rig_go_on(void)
{
	for (enum rig_pool p = 0; p < RIG_POOLS; p++) {
		for (unsigned i = 0; held[p] && i < threads_of(p); i++)
			sem_post(&go_on);
		held[p] = false;
	}
}

/* --- mail --- */

static struct ask *asked[MESSAGES];

int
post_setup(const char *maildirs)
{
	struct recipients_options o = {.delimiter = '+',
	    .fold = true,
	    .targets = 10000,
	    .route = rig.route};

	if (scratch_setup(NULL))
		return -1;
	scratch_mkdir("spool");
	post = (struct post){.env = {.session = POST_ID, .port = 25}};
	post.options = (struct deliver_options){.hostname = "mx.example.org",
	    .spool = strdup(scratch_path("spool")),
	    .recipients = recipients_new(&o),
	    .journal = true,
	    .segment = 4 << 20,
	    .size = 64 << 20,
	    .inline_size = SPOOL_MEMORY,
	    .checkpoint = 50,
	    .held = 1 << 20,
	    .expire = 3600 * 1000,
	    .failed = strdup(scratch_path("failed"))};
	assert_null(recipients_add_domain(post.options.recipients,
	    "example.org", scratch_maildir(maildirs), &post.org));
	envelope_set_helo(&post.env, SPAN_LIT("client.example.com"), true);
	post.env.sender =
	    (struct smtp_path){.local = "s", .domain = "example.com"};
	return 0;
}

void
post_open(void)
{
	struct recipients *r = post.options.recipients;
	const struct destination *d;

	for (unsigned i = 0; (d = recipients_place(r, i)); i++)
		scratch_mkdirs(d->root.path);
	rig_open(&post.options);
}

int
post_finish(void **state)
{
	rig_stop();
	envelope_free(&post.env);
	rig_close();
	rig.threads = 0;
	rig.standing = NULL;
	rig.route = NULL;
	recipients_free(&post.options.recipients);
	free((char *)(uintptr_t)post.options.spool);
	free((char *)(uintptr_t)post.options.failed);
	return scratch_teardown(state);
}

void
post_user(const char *local)
{
	assert_null(
	    recipients_add_user(post.options.recipients, post.org, local));
}

static void
on_reply(void *ctx, const struct smtp_reply *r, const char *error)
{
	struct ask **a = ctx;

	(void)error;
	if (post.heard)
		post.heard(r);
	*a = NULL;
	post.replies += r == NULL;
	post.refusals += r != NULL;
	snprintf(post.reply, sizeof(post.reply), "%u %s", r ? r->code : 0,
	    r ? r->status : "");
	if (!r)
		post.reply[0] = '\0';
}

struct ask **
post_ask(const char *local, const char *domain)
{
	static struct ask *a;
	struct smtp_path p = {.domain = domain};

	p.local = arena_dup(&post.env.arena, span_str(local));
	a = deliver_rcpt(rig.deliver, &post.env, &p, on_reply, &a);
	return &a;
}

void
post_rcpt(const char *local)
{
	struct smtp_path p = {.domain = "example.org"};
	unsigned before = post.replies + post.refusals;

	if (*post_ask(local, p.domain))
		rig_pass(0);
	assert_int_equal(post.replies + post.refusals, before + 1);
	p.local = arena_dup(&post.env.arena, span_str(local));
	if (!post.reply[0])
		envelope_add_rcpt(&post.env, &p);
}

static void
on_spooled(void *ctx)
{
	*(bool *)ctx = true;
}

static void
on_room(void *ctx)
{
	(void)ctx;
}

static struct spool *
spool(const char *data, size_t n)
{
	struct spool *s =
	    deliver_spool(rig.deliver, &post.env, post.edit != NULL);
	bool spooled = false;

	spool_on_room(s, on_room, NULL);
	for (size_t at = 0, piece; at < n; at += piece) {
		piece = n - at < 65536 ? n - at : 65536;
		if (!spool_write(s, (struct span){data + at, piece}))
			rig_pass(0);
	}
	spool_finish(s, on_spooled, &spooled);
	if (!spooled)
		rig_pass(0);
	assert_true(spooled);
	return s;
}

struct ask **
post_submit(const char *data, size_t n)
{
	struct ask **a = &asked[++post.env.serial % MESSAGES];
	char *all = NULL;
	struct spool *s;
	unsigned before;

	if (!data) {
		data = all = malloc(n);
		assert_non_null(all);
		memset(all, 'x', n);
	}
	s = spool(data, n);
	free(all);
	before = post.replies + post.refusals;
	*a = post.edit ? deliver_filtered(rig.deliver, &post.env, &s, post.edit,
			     clock_now() + 115000, on_reply, a)
		       : deliver_message(rig.deliver, &post.env, &s,
			     clock_now() + 115000, on_reply, a);
	assert_null(s);
	assert_non_null(*a); /* and so not before it returns */
	assert_int_equal(post.replies + post.refusals, before);
	return a;
}

bool
post_is_settled(void)
{
	deliver_wind_up(rig.deliver);
	rig_pass(0);
	return !jobs_pending(rig.jobs) && deliver_is_empty(rig.deliver);
}

#include "jrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "journal/journal_state.h"
#include "scratch.h"

struct jrig jrig;

static bool
is_busy(void)
{
	return jobs_pending(jrig.aside) ||
	       (jrig.journal && jobs_pending(jrig.journal->committer));
}

static void
on_broken(void *ctx)
{
	(void)ctx;
	jrig.broken++;
}

static void
on_tick(void *ctx)
{
	(void)ctx;
}

void
jrig_open(const struct journal_options *o, int spool)
{
	jrig = (struct jrig){.options = *o};
	jrig.options.spool = strdup(scratch_path("spool"));
	jrig.options.segment = o->segment ? o->segment : 1 << 20;
	jrig.options.checkpoint = 3600 * 1000;
	jrig.options.broken = on_broken;
	jrig.options.tick = on_tick;
	clock_stop(&jrig.loop, is_busy);
	assert_int_equal(loop_init(&jrig.loop), 0);
	jrig.aside = jobs_new(&jrig.loop, 4);
	assert_non_null(jrig.aside);
	jrig.journal =
	    journal_new(&jrig.options, spool, &jrig.loop, jrig.aside);
	assert_non_null(jrig.journal);
}

void
jrig_close(void)
{
	jobs_free(&jrig.aside);
	journal_free(&jrig.journal);
	loop_free(&jrig.loop);
	clock_go();
	free((char *)(uintptr_t)jrig.options.spool);
}

void
jrig_turn(void)
{
	clock_pass(1);
}

static void
on_done(struct journal_entry *e, int error)
{
	(void)e;
	jrig.error = error;
	jrig.answers++;
}

void
jrig_commit(struct journal_entry *e)
{
	unsigned before = jrig.answers;

	e->done = on_done;
	journal_commit(jrig.journal, e);
	jrig_turn();
	assert_int_equal(jrig.answers, before + 1);
	buf_free(&e->record);
}

void
jrig_settle(void)
{
	for (int i = 0; i < 10 && !journal_settled(jrig.journal); i++) {
		journal_wind_up(jrig.journal);
		jrig_turn();
	}
	assert_true(journal_settled(jrig.journal));
}

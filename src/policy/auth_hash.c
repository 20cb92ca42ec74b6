/*
 * auth_hash: passwords are hashed a few at a time.
 *
 * Job threads serve the disk as well: they must never all be busy with
 * hashing. Who comes when enough are hashed waits in a queue, which the
 * number of sessions bounds, in the order of coming.
 */
#include <utlist.h>

#include "policy/auth_exchange.h"
#include "policy/auth_password.h"

#define HASHES_DEFAULT 2

static void start_hashing(struct auth *a);

static void
on_checked(struct job *job, void *ctx)
{
	struct auth_check *c = (struct auth_check *)job;
	struct auth_exchange *x = c->x;
	struct auth *a = ctx;

	a->hashing--;
	if (x) {
		x->check = NULL;
		if (c->good)
			auth_answer_yes(x);
		else
			auth_answer(x, AUTH_NO);
	}
	start_hashing(a);
}

static void
submit(struct auth *a, struct auth_exchange *x)
{
	x->check = auth_check_new(a->options->users, buf_span(&x->user),
	    buf_span(&x->password), x);
	buf_wipe(&x->password);
	a->hashing++;
	jobs_submit(a->jobs, &x->check->job, on_checked, a);
}

static void
start_hashing(struct auth *a)
{
	unsigned max = a->options->hashes;

	if (!max)
		max = HASHES_DEFAULT;
	while (a->queue && a->hashing < max) {
		struct auth_exchange *x = a->queue;

		DL_DELETE(a->queue, x);
		x->queued = false;
		submit(a, x);
	}
}

void
auth_hash(struct auth_exchange *x)
{
	DL_APPEND(x->auth->queue, x);
	x->queued = true;
	start_hashing(x->auth);
}

void
auth_hash_forget(struct auth_exchange *x)
{
	if (x->queued)
		DL_DELETE(x->auth->queue, x);
	x->queued = false;
	/* it runs to its end: until then its thread is taken */
	if (x->check)
		x->check->x = NULL;
	x->check = NULL;
}

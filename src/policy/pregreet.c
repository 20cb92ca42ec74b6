/*
 * pregreet: a client that speaks before it is greeted does not read what it
 * is told: most of these send mail that nobody wants.
 */
#include "policy/pregreet.h"

#include "policy/check.h"

#define REMEMBERED (INT64_C(24) * 3600 * 1000) /* ms */

/* Of those in a set, the one that waited first is forgotten first. */
static uint64_t
when(uint64_t value)
{
	return value;
}

static uint64_t
find(struct shared *s, const struct ipaddr *client, struct shared_cell *r)
{
	const struct shared_cells c = shared_cells_of(s, SHARED_WAITED);
	const struct ipaddr net = ipaddr_client_net(client);

	return shared_cells_find(&c,
	    (struct span){(const char *)&net, sizeof(net)}, when, r);
}

bool
pregreet_has_waited(struct shared *s, const struct ipaddr *client, int64_t now)
{
	struct shared_cell cell;
	uint64_t at = find(s, client, &cell);

	return at && (uint64_t)now < at + REMEMBERED;
}

void
pregreet_waited(struct shared *s, const struct ipaddr *client, int64_t now)
{
	struct shared_cell cell;

	find(s, client, &cell);
	/* whoever was quicker has put somebody there who has waited, too */
	shared_cells_put(&cell, (uint64_t)now & SHARED_CELLS_VALUE);
}

void
pregreet_judge(const struct check_case *c, struct verdict *v)
{
	if (!c->subject->early)
		return;
	v->kind = VERDICT_REJECT;
	v->code = 550;
	v->status = "5.7.1";
	v->text = "You spoke before the greeting";
}

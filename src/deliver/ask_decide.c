/*
 * ask_decide: the walk through the parcels.
 *
 * Until somebody has it the client may still hear why not, and sends it again
 * to all; then that would double it for those who have it, and a refusal would
 * be a lie. So what fails from there on is kept here, or is mail for the
 * postmaster. Owns nothing.
 */
#include "deliver/ask_decide.h"

/* Which reply tells most: one that says "not now", else one that says no. */
static int
weight(const struct ask_copy *c)
{
	switch (c->fate) {
	case FATE_AGAIN:
	case FATE_DOWN:
	case FATE_LOST:
		return 3;
	case FATE_REFUSED:
		return 2;
	default:
		return c->fate == FATE_NONE;
	}
}

static bool
is_taken(const struct ask_copy *copies, unsigned n)
{
	bool taken = false;

	for (unsigned i = 0; i < n; i++)
		taken |= copies[i].fate == FATE_TAKEN;
	return taken;
}

/* Of a parcel of which nobody has anything. */
static bool
is_kept(const struct ask_copy *copies, unsigned n)
{
	bool kept = true;

	for (unsigned i = 0; i < n; i++)
		kept &= copies[i].hold && copies[i].fate != FATE_REFUSED;
	return kept;
}

static unsigned
reply(const struct ask_copy *copies, unsigned n)
{
	unsigned most = 0;

	for (unsigned i = 1; i < n; i++)
		if (weight(&copies[i]) > weight(&copies[most]))
			most = i;
	return most;
}

static enum ask_what
what(const struct ask_copy *c)
{
	if (c->local)
		return ASK_PLACE;
	if (c->fate == FATE_TAKEN)
		return ASK_NOTHING;
	return c->fate == FATE_REFUSED ? ASK_LATE : ASK_KEEP;
}

static struct ask_decision
settle(struct ask_copy *copies, unsigned n)
{
	struct ask_decision d = {ASK_DONE, 0};

	for (unsigned i = 0; i < n; i++) {
		copies[i].what = what(&copies[i]);
		if (copies[i].what == ASK_PLACE || copies[i].what == ASK_LATE)
			d.verdict = ASK_COMMIT;
	}
	return d;
}

/* Those of the same parcel, from this one on. */
static unsigned
parcel(const struct ask_copy *copies, unsigned n)
{
	unsigned i = 0;

	while (i < n && copies[i].parcel == copies[0].parcel)
		i++;
	return i;
}

struct ask_decision
ask_decide(struct ask_copy *copies, unsigned n, unsigned asked)
{
	bool taken = false;
	unsigned at = 0, len;

	for (unsigned i = 0; i < n; i++)
		copies[i].what = ASK_NOTHING;
	while (at < n && copies[at].local)
		at++;
	for (; at < n && copies[at].parcel < asked; at += len) {
		len = parcel(copies + at, n - at);
		taken |= is_taken(copies + at, len);
		if (!taken && !is_kept(copies + at, len))
			return (struct ask_decision){ASK_REPLY,
			    at + reply(copies + at, len)};
	}
	return at < n ? (struct ask_decision){ASK_NEXT, 0} : settle(copies, n);
}

/*
 * dnsbl: what a client's listings come to.
 *
 * Whoever would be refused is only put off while a list is missing that might
 * have spoken for it.
 */
#include "policy/dnsbl.h"

#include <stdio.h>

#include "policy/check.h"
#include "policy/dnsbl_health.h"

#define SCORE_MAX 16 /* " score=-16000" */

struct sum {
	int score;
	int most;
	const struct dnsbl_zone *heaviest; /* of those against it */
	bool missing;                      /* one that may speak for it */
	struct buf listings;
};

/* What a list that is off by now has said counts no more. */
static enum fact_list
state_of(const struct check_case *c, unsigned i, const struct dnsbl_zone *z)
{
	struct shared *s = c->all->shared;
	enum fact_list state = c->facts->lists[i].state;

	if (state == LIST_LISTED && s && !dnsbl_is_good(dnsbl_place(s, z), z))
		return LIST_SILENT;
	return state;
}

static void
add(struct sum *sum, const struct dnsbl_zone *z, int weight,
    const uint8_t code[4])
{
	sum->score += weight;
	if (weight > sum->most) {
		sum->most = weight;
		sum->heaviest = z;
	}
	buf_printf(&sum->listings, "%s%s=%u.%u.%u.%u",
	    sum->listings.len ? " " : "", z->name, code[0], code[1], code[2],
	    code[3]);
}

static struct sum
add_up(const struct check_case *c)
{
	const struct dnsbl *lists = c->conf->lists;
	struct sum sum = {0};

	for (unsigned i = 0; lists && i < lists->n; i++) {
		const struct dnsbl_zone *z = &lists->zones[i];

		switch (state_of(c, i, z)) {
		case LIST_LISTED:
			add(&sum, z, c->facts->lists[i].weight,
			    c->facts->lists[i].code);
			break;
		case LIST_SILENT:
			sum.missing |= dnsbl_least(z) < 0;
			break;
		case LIST_NOT:
			break;
		}
	}
	return sum;
}

/* The score is never cut off. */
static void
put_value(struct verdict *v, const struct sum *sum)
{
	size_t room = sizeof(v->value) - SCORE_MAX;
	bool cut = sum->listings.len > room;

	snprintf(v->value, sizeof(v->value), "%.*s%s score=%d",
	    (int)(cut ? room - 3 : sum->listings.len), sum->listings.data,
	    cut ? "..." : "", sum->score);
}

static void
refuse(const struct check_case *c, struct verdict *v, const struct sum *sum)
{
	char ip[IPADDR_STRLEN];

	v->kind = sum->missing ? VERDICT_DEFER : VERDICT_REJECT;
	v->code = sum->missing ? 451 : 550;
	v->status = sum->missing ? "4.7.1" : "5.7.1";
	v->at = sum->heaviest->at;
	snprintf(v->said, sizeof(v->said), "%s is listed by %s",
	    ipaddr_format(&c->subject->env->client, ip), sum->heaviest->name);
}

void
dnsbl_judge(const struct check_case *c, struct verdict *v)
{
	struct sum sum;

	if (!(c->facts->known & FACT_LISTS))
		return;
	sum = add_up(c);
	if (sum.listings.len)
		put_value(v, &sum);
	if (sum.heaviest && sum.score >= (int)c->conf->refuse_at)
		refuse(c, v, &sum);
	else if (sum.listings.len && sum.score <= -(int)c->conf->vouch_at)
		v->kind = VERDICT_ALLOW;
	buf_free(&sum.listings);
}

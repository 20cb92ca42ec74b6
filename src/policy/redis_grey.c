/*
 * redis_grey: plain commands, one round trip.
 */
#include "policy/redis_grey.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/loop.h"
#include "policy/greylist_judge.h"
#include "policy/redis.h"

#define HASH_LEN 16 /* octets of it */
#define KEY_MAX  128

struct names {
	char tuple[KEY_MAX], client[KEY_MAX];
};

static void
name(const struct redis *r, char kind, struct span of, char out[KEY_MAX])
{
	uint8_t hash[DIGEST_LEN];
	char hex[2 * HASH_LEN + 1];

	digest_sha256(of, hash);
	for (unsigned i = 0; i < HASH_LEN; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", hash[i]);
	snprintf(out, KEY_MAX, "%s:%c:%s", redis_conf(r)->prefix, kind, hex);
}

static struct names
names_of(const struct redis *r, const struct greylist_key *k)
{
	struct names n;

	name(r, 'g', (struct span){k->text, k->len}, n.tuple);
	name(r, 'c', (struct span){k->text, k->who}, n.client);
	return n;
}

static const char *
seconds(uint64_t ms, char out[24])
{
	snprintf(out, 24, "%llu", (unsigned long long)(ms / 1000));
	return out;
}

static void
keep_tuple(struct redis *r, const struct greylist *g, const struct names *n)
{
	char keep[24];
	const struct redis_command c = {{SPAN_LIT("EXPIRE"), span_str(n->tuple),
					    span_str(seconds(g->keep, keep))},
	    3};

	redis_tell(r, &c);
}

void
redis_grey_passed(struct redis *r, const struct greylist *g,
    const struct greylist_key *k, bool known)
{
	const struct names n = names_of(r, k);
	char keep[24];
	const struct redis_command c = {{SPAN_LIT("SET"), span_str(n.client),
					    SPAN_LIT("1"), SPAN_LIT("EX"),
					    span_str(seconds(g->keep, keep))},
	    5};

	keep_tuple(r, g, &n);
	if (known)
		redis_tell(r, &c);
}

/* --- the fact --- */

struct grey_ask {
	struct ask ask;
	struct redis *r;
	struct loop *loop;
	const struct greylist *g;
	struct ask *question;
	struct facts *f;
	fact_fn *fn;
	void *ctx;
	int64_t now; /* s since 1970 */
	struct names names;
};

static void
free_ask(void *ptr)
{
	free(ptr);
}

static void
cancel(struct ask *a, enum ask_end end)
{
	struct grey_ask *x = (struct grey_ask *)a;

	ask_cancel(&x->question, end);
	loop_defer(x->loop, free_ask, x);
}

/* It was seen so long ago that it may come back. */
static bool
has_waited(const struct grey_ask *x, const struct redis_reply *first)
{
	uint64_t at;

	if (first->kind != REDIS_TEXT ||
	    ascii_parse_u64((struct span){first->text, first->len}, UINT32_MAX,
		&at) < 0)
		return false;
	return (x->now - (int64_t)at) * 1000 >= (int64_t)x->g->delay;
}

static void
on_answer(void *ctx, const struct redis_reply *replies)
{
	struct grey_ask *x = ctx;

	x->question = NULL;
	if (replies) {
		bool known =
		    replies[2].kind == REDIS_NUMBER && replies[2].number == 1;

		x->f->grey = known || has_waited(x, &replies[1]) ? GREY_PASSED
								 : GREY_NEW;
	}
	if (x->f->grey == GREY_PASSED)
		keep_tuple(x->r, x->g, &x->names);
	x->fn(x->ctx, FACT_GREY);
	loop_defer(x->loop, free_ask, x);
}

struct ask *
fact_grey_ask(const struct fact_from *from, struct facts *f, fact_fn *fn,
    void *ctx)
{
	struct redis *r = from->all->redis;
	struct greylist_key k;
	struct grey_ask *x;
	char now[24], window[24];

	if (!redis_is_up(r) || !greylist_key_now(from->env, f, &k))
		return NULL;
	x = mem_new(sizeof(*x));
	*x = (struct grey_ask){.ask = {cancel},
	    .r = r,
	    .loop = from->all->loop,
	    .g = from->all->conf->grey,
	    .f = f,
	    .fn = fn,
	    .ctx = ctx,
	    .now = clock_wall() / 1000,
	    .names = names_of(r, &k)};
	f->grey = GREY_UNKNOWN;
	const struct redis_command commands[] = {
	    {{SPAN_LIT("SET"), span_str(x->names.tuple),
		 span_str(seconds((uint64_t)clock_wall(), now)), SPAN_LIT("EX"),
		 span_str(seconds(x->g->window, window)), SPAN_LIT("NX")},
		6},
	    {{SPAN_LIT("GET"), span_str(x->names.tuple)}, 2},
	    {{SPAN_LIT("EXISTS"), span_str(x->names.client)}, 2},
	};
	x->question = redis_ask(r, commands, 3, on_answer, x);
	if (x->question)
		return &x->ask;
	free(x);
	return NULL;
}

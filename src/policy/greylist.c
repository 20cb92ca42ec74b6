/*
 * greylist: finds a key's word in its set, or the one to be replaced, and says
 * what becomes of it.
 *
 * Word: tag 24 | passed 1 | count 7 | seconds since 1970 32. The count is that
 * of a client's own word. Which set, and the tag, are a keyed hash, so nobody
 * can aim; another key is taken for this one in 8 of 2^24 look-ups at most.
 *
 * Two processes that bring the same new key in the same moment may choose two
 * places, of which the second is never found and expires.
 */
#include "policy/greylist.h"

#include <string.h>

#include "base/ascii.h"

#define SECONDS   UINT32_MAX
#define COUNT(n)  ((uint64_t)(n) << 32)
#define COUNT_MAX 127u
#define PASSED    (UINT64_C(1) << 39)
#define VALUE     (PASSED | COUNT(COUNT_MAX) | SECONDS)

#define HOUR 3600u
#define DAY  86400u
/* More than so many changed the set meanwhile: what was seen last counts. */
#define TRIES 8

struct look {
	const struct greylist *g;
	struct shared_grey *table;
	int64_t now; /* s */
};

/* Where a key's word stands, or would, as it was at that look. */
struct place {
	_Atomic uint64_t *at;
	uint64_t seen;
	uint64_t tag;
	uint64_t value; /* 0: it has none */
};

static struct look
look_at(const struct greylist *g, struct shared_grey *t, int64_t wall)
{
	return (struct look){g, t, wall / 1000};
}

/* In s. A clock that was set back does not make it younger than new. */
static int64_t
age_of(const struct look *l, uint64_t word)
{
	int64_t age = l->now - (int64_t)(word & SECONDS);

	return age > 0 ? age : 0;
}

/* From further ahead than clocks are wrong, it is rubbish. */
static bool
is_alive(const struct look *l, uint64_t word)
{
	uint64_t lasts = (word & PASSED) ? l->g->keep : l->g->window;

	return word && (int64_t)(word & SECONDS) <= l->now + HOUR &&
	       age_of(l, word) <= (int64_t)(lasts / 1000);
}

/* In a set, that with the smallest is replaced. */
static uint64_t
worth(const struct look *l, uint64_t word)
{
	return is_alive(l, word) ? 1 + (word & (PASSED | SECONDS)) : 0;
}

static void
find(const struct look *l, const char *key, size_t len, struct place *r)
{
	uint64_t hash = siphash(l->table->hash_key, key, len);
	struct shared_set *set = &l->table->sets[hash % SHARED_GREY_SETS];
	uint64_t least = UINT64_MAX;

	*r = (struct place){.tag = hash & ~VALUE};
	for (unsigned i = 0; i < SHARED_CELLS_SET; i++) {
		uint64_t word =
		    atomic_load_explicit(&set->words[i], memory_order_relaxed);
		uint64_t w = worth(l, word);
		bool found = w && (word & ~VALUE) == r->tag;

		if (found || w < least) {
			r->at = &set->words[i];
			r->seen = word;
			least = w;
		}
		if (found) {
			r->value = word & VALUE;
			break;
		}
	}
}

/* False: it was changed since the look. */
static bool
put(const struct look *l, const struct place *p, uint64_t flags)
{
	uint64_t seen = p->seen;

	if (!atomic_compare_exchange_strong(p->at, &seen,
		p->tag | flags | (uint32_t)l->now))
		return false;
	/* read first: a line that all write to is nobody's for long */
	if (!l->table->changed)
		l->table->changed = 1;
	return true;
}

/* It is in use; no write for each message. */
static bool
refresh(const struct look *l, const struct place *p)
{
	return p->value & PASSED && age_of(l, p->value) > DAY &&
	       put(l, p, p->value & ~(uint64_t)SECONDS);
}

/* One more of this client; how many that makes. */
static unsigned
count(const struct look *l, const struct greylist_key *k)
{
	unsigned n = 0;

	for (unsigned i = 0; l->g->after && i < TRIES; i++) {
		struct place p;

		find(l, k->text, k->who, &p);
		n = (unsigned)(p.value >> 32) & COUNT_MAX;
		n += n < COUNT_MAX;
		if (put(l, &p, PASSED | COUNT(n)))
			break;
	}
	return n;
}

/* Is it let through whatever it brings? */
static bool
is_known(const struct look *l, const struct greylist_key *k, bool use)
{
	struct place p;

	if (!l->g->after)
		return false;
	find(l, k->text, k->who, &p);
	if (use)
		refresh(l, &p);
	return p.value & PASSED && ((p.value >> 32) & COUNT_MAX) >= l->g->after;
}

static enum greylist_state
state_of(const struct look *l, const struct place *p)
{
	if (!p->value)
		return GREYLIST_NEW;
	if (p->value & PASSED)
		return GREYLIST_PASSED;
	return (uint64_t)age_of(l, p->value) * 1000 < l->g->delay
		   ? GREYLIST_EARLY
		   : GREYLIST_BACK;
}

/* False: look again. */
static bool
change(const struct look *l, const struct place *p, struct greylist_answer *a)
{
	if (a->state == GREYLIST_NEW)
		return put(l, p, 0);
	if (a->state == GREYLIST_BACK)
		return a->written = put(l, p, PASSED);
	a->written = refresh(l, p);
	return true;
}

struct greylist_answer
greylist_ask(const struct greylist *g, struct shared_grey *t,
    const struct greylist_key *k, int64_t wall)
{
	const struct look l = look_at(g, t, wall);
	struct greylist_answer a = {.state = GREYLIST_KNOWN};
	struct place p;

	if (is_known(&l, k, true))
		return a;
	for (unsigned i = 0; i < TRIES; i++) {
		find(&l, k->text, k->len, &p);
		a.state = state_of(&l, &p);
		if (change(&l, &p, &a)) {
			if (a.state == GREYLIST_BACK)
				a.passed = count(&l, k);
			break;
		}
	}
	if (a.state <= GREYLIST_EARLY)
		a.wait = (unsigned)((g->delay + 999) / 1000);
	if (a.state == GREYLIST_EARLY)
		a.wait -= (unsigned)age_of(&l, p.value);
	return a;
}

bool
greylist_would_defer(const struct greylist *g, struct shared_grey *t,
    const struct greylist_key *k, int64_t wall)
{
	const struct look l = look_at(g, t, wall);
	struct place p;

	find(&l, k->text, k->len, &p);
	return state_of(&l, &p) <= GREYLIST_EARLY && !is_known(&l, k, false);
}

void
greylist_pass(const struct greylist *g, struct shared_grey *t,
    const struct greylist_key *k, int64_t wall)
{
	const struct look l = look_at(g, t, wall);
	struct place p;

	for (unsigned i = 0; i < TRIES; i++) {
		find(&l, k->text, k->len, &p);
		if (put(&l, &p, PASSED))
			break;
	}
}

/* The names of mail come from DNS and from commands, in any case. */
static void
add(struct greylist_key *k, const char *text)
{
	size_t n = strnlen(text, GREYLIST_WHO_MAX - 1);

	memcpy(k->text + k->len, text, n);
	ascii_fold(k->text + k->len, n);
	k->len += n;
}

void
greylist_key_of(const struct envelope *e, const char *name,
    struct greylist_key *r)
{
	char who[GREYLIST_WHO_MAX];

	r->len = 0;
	add(r, greylist_who(&e->client, name, who));
	r->who = r->len;
	r->text[r->len++] = '\n';
	add(r, e->sender.domain);
	r->text[r->len++] = '\n';
	add(r, e->rcpts->path.domain);
}

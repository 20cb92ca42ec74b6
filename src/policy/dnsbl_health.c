/*
 * dnsbl_health: one word a list, and what changes it.
 *
 * Listings in a row are counted from when a test began, also while one is
 * under way: what turns bad in that moment is found by the next one.
 *
 * That so many clients are listed in a row says nothing by itself: a small
 * server sees hardly anybody else. So it is only a reason for a test. But if
 * that has no answer, the list counts as untested until one has.
 */
#include "policy/dnsbl_health.h"

#include <stddef.h>

enum word { STATE, SINCE, SAID_OFF, SAID_CODE };

#define HOUR DNSBL_HOURLY

/* Together a word: 2, 4, 1, 1, 3, 5 and 2 bits, and the rest. */
struct health {
	unsigned state;
	unsigned fault;
	bool testing; /* somebody is, until next */
	bool doubted; /* and it is for its listings */
	unsigned errors, listings, misses;
	int64_t next;
};

#define TESTING (UINT64_C(1) << 6)
#define DOUBTED (UINT64_C(1) << 7)
#define NEXT_AT 18

static struct health
unpack(uint64_t w)
{
	return (struct health){.state = w & 3,
	    .fault = w >> 2 & 15,
	    .testing = w & TESTING,
	    .doubted = w & DOUBTED,
	    .errors = w >> 8 & 7,
	    .listings = w >> 11 & 31,
	    .misses = w >> 16 & 3,
	    .next = (int64_t)(w >> NEXT_AT)};
}

static uint64_t
pack(const struct health *h)
{
	return h->state | h->fault << 2 | (h->testing ? TESTING : 0) |
	       (h->doubted ? DOUBTED : 0) | h->errors << 8 | h->listings << 11 |
	       h->misses << 16 | (uint64_t)h->next << NEXT_AT;
}

/* One whose test is long overdue is nobody's any more. */
static uint64_t
worth(const struct shared_place *p)
{
	return p->words[STATE] >> NEXT_AT;
}

struct shared_place *
dnsbl_place(struct shared *s, const struct dnsbl_zone *z)
{
	return s && !z->untested ? shared_place(s, span_str(z->name), worth)
				 : NULL;
}

bool
dnsbl_is_good(const struct shared_place *p, const struct dnsbl_zone *z)
{
	return z->untested ||
	       (p && unpack(p->words[STATE]).state == DNSBL_GOOD);
}

/* No test is further away than that: then the word is rubbish. */
static bool
is_due(const struct health *h, int64_t now)
{
	return h->next <= now || h->next - now > 2 * HOUR;
}

static void
begin_test(struct health *h, int64_t now)
{
	h->testing = true;
	h->next = now + DNSBL_AGAIN;
	h->errors = h->listings = 0;
}

bool
dnsbl_test_due(struct shared_place *p, int64_t now)
{
	uint64_t seen = p ? (uint64_t)p->words[STATE] : 0;
	struct health h = unpack(seen);

	if (!p || !is_due(&h, now))
		return false;
	begin_test(&h, now);
	return atomic_compare_exchange_strong(&p->words[STATE], &seen,
	    pack(&h));
}

int64_t
dnsbl_test_next(const struct shared_place *p, int64_t now)
{
	struct health h = unpack(p ? (uint64_t)p->words[STATE] : 0);

	if (!p)
		return now + HOUR;
	return is_due(&h, now) ? now : h.next;
}

/* True: it has to be tested now. */
static bool
count(struct health *h, enum dnsbl_said said, int64_t now)
{
	if (said == DNSBL_SAID_NOT)
		h->listings = h->errors = 0;
	else if (said == DNSBL_SAID_LISTED)
		h->errors = 0;
	else if (h->errors < DNSBL_ERRORS)
		h->errors++;
	if (said == DNSBL_SAID_LISTED && h->listings < DNSBL_LISTINGS)
		h->listings++;
	if (h->testing && !is_due(h, now))
		return false;
	if (h->listings < DNSBL_LISTINGS && h->errors < DNSBL_ERRORS)
		return false;
	h->doubted = h->listings == DNSBL_LISTINGS;
	begin_test(h, now);
	return true;
}

bool
dnsbl_heard(struct shared_place *p, enum dnsbl_said said, int64_t now)
{
	uint64_t seen, next;
	bool test;

	if (!p || said == DNSBL_SAID_UNASKED)
		return false;
	seen = p->words[STATE];
	do {
		struct health h = unpack(seen);

		test = count(&h, said, now);
		next = pack(&h);
	} while (next != seen &&
		 !atomic_compare_exchange_weak(&p->words[STATE], &seen, next));
	return test;
}

static int64_t
about(int64_t ms, uint32_t random)
{
	return ms * 9 / 10 + random % (ms / 5);
}

static void
miss(struct health *h)
{
	if (h->state == DNSBL_GOOD && h->doubted)
		h->state = DNSBL_UNTESTED;
	if (++h->misses < DNSBL_MISSES)
		return;
	h->misses = 0;
	if (h->state != DNSBL_OFF)
		h->fault = DNSBL_SILENT;
	h->state = DNSBL_OFF;
}

static void
end_test(struct health *h, enum dnsbl_tested how, enum dnsbl_fault fault,
    uint32_t random, int64_t now)
{
	h->testing = false;
	h->next = now + DNSBL_AGAIN;
	if (how == DNSBL_TEST_MISSED)
		miss(h);
	if (how != DNSBL_TEST_GOOD && how != DNSBL_TEST_BAD)
		return;
	h->misses = 0;
	h->doubted = false;
	h->fault = fault;
	h->state = how == DNSBL_TEST_GOOD ? DNSBL_GOOD : DNSBL_OFF;
	h->next = now + about(fault ? DNSBL_OFF_WAIT : HOUR, random);
}

/* True for one of all who ask, and then for an hour for none. */
static bool
may_say(_Atomic uint64_t *last, int64_t now)
{
	uint64_t seen = *last;

	return (!seen || (int64_t)seen + HOUR <= now) &&
	       atomic_compare_exchange_strong(last, &seen, (uint64_t)now);
}

enum dnsbl_news
dnsbl_test_done(struct shared_place *p, enum dnsbl_tested how,
    enum dnsbl_fault fault, uint32_t random, int64_t now)
{
	uint64_t seen = p ? (uint64_t)p->words[STATE] : 0, next;
	struct health old, h;

	if (!p)
		return DNSBL_NO_NEWS;
	do {
		h = old = unpack(seen);
		end_test(&h, how, fault, random, now);
		next = pack(&h);
	} while (!atomic_compare_exchange_weak(&p->words[STATE], &seen, next));
	if (h.state == DNSBL_OFF &&
	    (old.state != DNSBL_OFF || old.fault != h.fault)) {
		if (old.state != DNSBL_OFF)
			p->words[SINCE] = (uint64_t)now;
		p->words[SAID_OFF] = (uint64_t)now;
		return DNSBL_IS_OFF;
	}
	if (h.state == DNSBL_OFF)
		return may_say(&p->words[SAID_OFF], now) ? DNSBL_IS_OFF
							 : DNSBL_NO_NEWS;
	return old.state == DNSBL_OFF ? DNSBL_IS_ON : DNSBL_NO_NEWS;
}

struct dnsbl_view
dnsbl_view(const struct shared_place *p)
{
	struct health h = unpack(p ? (uint64_t)p->words[STATE] : 0);
	bool off = h.state == DNSBL_OFF;

	return (struct dnsbl_view){h.state <= DNSBL_OFF
				       ? (enum dnsbl_state)h.state
				       : DNSBL_UNTESTED,
	    off && h.fault < DNSBL_FAULTS ? (enum dnsbl_fault)h.fault
					  : DNSBL_WELL,
	    off ? (int64_t)p->words[SINCE] : 0};
}

struct dnsbl_view
dnsbl_look(struct shared *s, const struct dnsbl_zone *z)
{
	if (z->untested)
		return (struct dnsbl_view){DNSBL_GOOD, DNSBL_WELL, 0};
	return dnsbl_view(shared_place_look(s, span_str(z->name)));
}

bool
dnsbl_may_say_code(struct shared_place *p, int64_t now)
{
	return p && may_say(&p->words[SAID_CODE], now);
}

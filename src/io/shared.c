/*
 * shared: counters by slot, and an open-addressed table of addresses.
 *
 * A cell is claimed by its first address and may be taken over by another
 * when nobody counts in it. Two workers that do this in the same moment can
 * put one session's count under the other's address until it leaves: an
 * inaccuracy that ends by itself, since each gives back what it took.
 */
#include "io/shared.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/siphash.h"
#include "io/clock.h"
#include "io/neighbour_places.h"
#include "io/shared_grey.h"
#include "io/shared_replies.h"

#define CELLS   32768u /* a power of two; a busy server's sessions take half */
#define PROBE   32u
#define ORPHANS 32u
#define SETS    2048u /* of a table: 16,384 keys in 128 KiB */
#define RATES   8192u /* of SHARED_RATES: 65,536 keys in 512 KiB */
#define WAITED  1024u /* of SHARED_WAITED: 8,192 keys in 64 KiB */

#define LOGGED     1024u /* addresses; two in one place are both logged */
#define LOG_EVERY  1000  /* ms for one address, and for */
#define LOG_WINDOW 10u   /* lines in all */

struct cell {
	_Atomic uint64_t key; /* 0: never used */
	_Atomic uint16_t count[SHARED_SLOTS];
};

/* Padded, so that no two workers write to one cache line. */
struct slot {
	_Alignas(64) _Atomic int64_t counter[SHARED_COUNTERS];
	_Atomic uint64_t journal[2]; /* its id; 0: it has none */
	_Atomic int64_t turned;
	struct shared_reply_cell replies[SHARED_REPLIES];
};

/* Left by a worker that died. Written by the master while journal[0] is 0,
 * and made 0 by whoever finds that its journal is gone. */
struct orphan {
	_Atomic uint64_t journal[2];
	_Atomic int64_t unplaced[2]; /* octets, files */
};

struct shared {
	uint8_t hash_key[SIPHASH_KEY_LEN];
	_Atomic uint64_t used; /* a bit for each slot that was counted in */
	struct slot slots[SHARED_SLOTS];
	struct orphan orphans[ORPHANS];
	struct cell cells[CELLS];
	_Atomic uint64_t logged[LOGGED]; /* key's high 20 bits, ms */
	_Atomic uint64_t log_window;     /* its first ms << 4, lines */
	_Atomic uint64_t left_out;
	struct shared_set tables[SHARED_RATES][SETS], rates[RATES];
	struct shared_set waited[WAITED];
	struct neighbour neighbours[NEIGHBOURS];
	struct shared_grey grey;
	struct shared_place places[SHARED_PLACES];
};

struct shared *
shared_new(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	if (getrandom(s->hash_key, sizeof(s->hash_key), 0) < 0 ||
	    getrandom(s->grey.hash_key, sizeof(s->grey.hash_key), 0) < 0) {
		munmap(s, sizeof(*s));
		return NULL;
	}
	shared_set(s, SHARED_MASTER, SHARED_START, clock_wall() / 1000);
	return s;
}

void
shared_turned(struct shared *s, unsigned slot, int64_t now)
{
	s->slots[slot].turned = now;
}

int64_t
shared_last_turn(const struct shared *s, unsigned slot)
{
	return s->slots[slot].turned;
}

/* When there are more than can be told apart, the last one stands for all. */
static struct orphan *
find_orphan(struct shared *s)
{
	unsigned i = 0;

	while (i + 1 < ORPHANS && s->orphans[i].journal[0])
		i++;
	return &s->orphans[i];
}

static void
leave_orphan(struct shared *s, struct slot *slot)
{
	struct orphan *o = find_orphan(s);

	if (!slot->journal[0] || slot->counter[SHARED_UNPLACED] <= 0)
		return;
	if (!o->journal[0])
		o->unplaced[0] = o->unplaced[1] = 0;
	o->unplaced[0] += slot->counter[SHARED_UNPLACED];
	o->unplaced[1] += slot->counter[SHARED_UNPLACED_FILES];
	o->journal[1] = slot->journal[1];
	o->journal[0] = slot->journal[0];
}

void
shared_set_journal(struct shared *s, unsigned slot, const char *id)
{
	uint64_t words[2];

	memcpy(words, id, SHARED_ID_LEN);
	s->slots[slot].journal[1] = words[1];
	s->slots[slot].journal[0] = words[0];
}

void
shared_forget(struct shared *s, bool (*gone)(void *ctx, const char *id),
    void *ctx)
{
	for (unsigned i = 0; i < ORPHANS; i++) {
		struct orphan *o = &s->orphans[i];
		uint64_t words[2] = {o->journal[0], o->journal[1]};
		char id[SHARED_ID_LEN];

		memcpy(id, words, SHARED_ID_LEN);
		if (words[0] && gone(ctx, id))
			/* unless it is somebody else's by now */
			atomic_compare_exchange_strong(&o->journal[0],
			    &words[0], 0);
	}
}

static bool
is_level(enum counter_kind k)
{
	return k == COUNTER_LEVEL || k == COUNTER_SAME || k == COUNTER_RATIO;
}

void
shared_clear_slot(struct shared *s, unsigned slot)
{
	uint32_t saver = slot + 1;

	leave_orphan(s, &s->slots[slot]);
	s->slots[slot].journal[0] = 0;
	atomic_compare_exchange_strong(&s->grey.saver, &saver, 0);
	for (const struct counter *c = counters; c->family; c++)
		if (is_level(c->kind))
			s->slots[slot].counter[c->at] = 0;
	for (unsigned i = 0; i < CELLS; i++)
		/* read first: an untouched page must stay untouched */
		if (s->cells[i].key && s->cells[i].count[slot])
			s->cells[i].count[slot] = 0;
	neighbour_clear_slot(s->neighbours, slot);
}

/* Totals look at those alone: most slots are never used. */
static struct slot *
use(struct shared *s, unsigned slot)
{
	uint64_t bit = 1ull << slot;

	if (!(atomic_load_explicit(&s->used, memory_order_relaxed) & bit))
		atomic_fetch_or(&s->used, bit);
	return &s->slots[slot];
}

static void
add(_Atomic int64_t *to, int64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void
shared_add(struct shared *s, unsigned slot, enum shared_counter c, int64_t n)
{
	if (s)
		add(&use(s, slot)->counter[c], n);
}

void
shared_set(struct shared *s, unsigned slot, enum shared_counter c, int64_t n)
{
	if (s)
		atomic_store_explicit(&use(s, slot)->counter[c], n,
		    memory_order_relaxed);
}

void
shared_observe(struct shared *s, unsigned slot, enum shared_counter c,
    enum counter_kind k, uint64_t value)
{
	const struct counter_bounds *b = counter_bounds(k);
	_Atomic int64_t *first;
	unsigned i = 0;

	if (!s)
		return;
	while (i < b->n && value > b->max[i])
		i++;
	first = &use(s, slot)->counter[c];
	add(first + i, 1);
	add(first + b->n + 1, (int64_t)value);
}

void
shared_reply(struct shared *s, unsigned slot, unsigned code, uint32_t status)
{
	if (s)
		shared_replies_add(use(s, slot)->replies, code, status);
}

unsigned
shared_replies(const struct shared *s, struct shared_reply_count *r)
{
	unsigned n = 1;

	r[0] = (struct shared_reply_count){0, 0, 0};
	for (uint64_t left = s->used; left; left &= left - 1)
		n = shared_replies_merge(s->slots[__builtin_ctzll(left)]
					     .replies,
		    r, n);
	return n;
}

static int64_t
orphaned(const struct shared *s, unsigned which)
{
	int64_t total = 0;

	for (unsigned i = 0; i < ORPHANS; i++)
		if (s->orphans[i].journal[0])
			total += s->orphans[i].unplaced[which];
	return total;
}

/* The counter of the lowest of these slots. */
static int64_t
in_slot(const struct shared *s, uint64_t slots, enum shared_counter c)
{
	const struct slot *lowest = &s->slots[__builtin_ctzll(slots)];

	return atomic_load_explicit(&lowest->counter[c], memory_order_relaxed);
}

int64_t
shared_of(const struct shared *s, unsigned slot, enum shared_counter c)
{
	return s->slots[slot].counter[c];
}

int64_t
shared_total(const struct shared *s, enum shared_counter c)
{
	int64_t total = 0;

	if (c == SHARED_UNPLACED || c == SHARED_UNPLACED_FILES)
		total = orphaned(s, c - SHARED_UNPLACED);

	for (uint64_t left = s->used; left; left &= left - 1)
		total += in_slot(s, left, c);
	return total;
}

int64_t
shared_largest(const struct shared *s, enum shared_counter c)
{
	int64_t largest = 0;

	for (uint64_t left = s->used; left; left &= left - 1) {
		int64_t n = in_slot(s, left, c);

		if (n > largest)
			largest = n;
	}
	return largest;
}

static unsigned
cell_total(const struct shared *s, const struct cell *c)
{
	unsigned total = 0;

	for (uint64_t left = s->used; left; left &= left - 1)
		total += c->count[__builtin_ctzll(left)];
	return total;
}

/* Never 0. */
static uint64_t
address_key(const struct shared *s, enum shared_counter of,
    const struct ipaddr *a)
{
	struct ipaddr net = ipaddr_client_net(a);
	uint8_t key[sizeof(net) + 1] = {(uint8_t)of};

	memcpy(key + 1, &net, sizeof(net));
	return siphash(s->hash_key, key, sizeof(key)) | 1;
}

static struct cell *
find_cell(struct shared *s, uint64_t key)
{
	struct cell *spare = NULL;

	for (unsigned i = 0; i < PROBE; i++) {
		struct cell *c = &s->cells[((key >> 1) + i) % CELLS];
		uint64_t seen = c->key;

		if (seen == key)
			return c;
		if (!spare && (!seen || !cell_total(s, c)))
			spare = c;
		if (!seen)
			break;
	}
	if (spare)
		spare->key = key;
	return spare;
}

unsigned
shared_enter(struct shared *s, unsigned slot, enum shared_counter of,
    const struct ipaddr *a, uint32_t *cell)
{
	struct cell *c = find_cell(s, address_key(s, of, a));

	if (!c)
		return 0;
	*cell = (uint32_t)(c - s->cells);
	use(s, slot);
	c->count[slot]++;
	return cell_total(s, c);
}

void
shared_leave(struct shared *s, unsigned slot, uint32_t cell)
{
	struct cell *c = &s->cells[cell % CELLS];

	if (c->count[slot])
		c->count[slot]--;
}

/* One of the lines that all may have in this window. */
static bool
take_line(struct shared *s, uint64_t now)
{
	uint64_t seen = s->log_window;
	uint64_t next;

	do {
		next = seen + 1;
		if ((int64_t)(now - (seen >> 4)) >= LOG_EVERY)
			next = now << 4 | 1;
		else if ((seen & 15) >= LOG_WINDOW)
			return false;
	} while (!atomic_compare_exchange_weak(&s->log_window, &seen, next));
	return true;
}

/* The address's turn, and one of all lines; whoever comes second has none. */
static bool
take_turn(struct shared *s, const struct ipaddr *a, uint64_t now)
{
	uint64_t key = address_key(s, SHARED_REFUSED, a);
	_Atomic uint64_t *last = &s->logged[(key >> 1) % LOGGED];
	uint64_t seen = *last;
	uint64_t turn = (key >> 44) << 44 | now;

	if ((seen ^ turn) >> 44 == 0 && (int64_t)(turn - seen) < LOG_EVERY)
		return false;
	return take_line(s, now) &&
	       atomic_compare_exchange_strong(last, &seen, turn);
}

bool
shared_may_log(struct shared *s, const struct ipaddr *a, int64_t now,
    uint64_t *left_out)
{
	bool yes = a ? take_turn(s, a, (uint64_t)now)
		     : s->left_out && take_line(s, (uint64_t)now);

	if (yes)
		*left_out = atomic_exchange(&s->left_out, 0);
	else if (a)
		s->left_out++;
	return yes && (a || *left_out);
}

struct shared_cells
shared_cells_of(struct shared *s, enum shared_table t)
{
	struct shared_cells c = {.hash_key = s->hash_key};

	if (t == SHARED_WAITED) {
		c.sets = s->waited;
		c.nsets = WAITED;
	} else if (t == SHARED_RATES) {
		c.sets = s->rates;
		c.nsets = RATES;
	} else {
		c.sets = s->tables[t];
		c.nsets = SETS;
	}
	return c;
}

struct shared_grey *
shared_grey(struct shared *s)
{
	return &s->grey;
}

struct neighbour *
shared_neighbours(struct shared *s)
{
	return s->neighbours;
}

struct shared_place *
shared_places(struct shared *s)
{
	return s->places;
}

uint64_t
shared_hash(const struct shared *s, const void *data, size_t n)
{
	return siphash(s->hash_key, data, n);
}

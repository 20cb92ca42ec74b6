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

#define CELLS 16384u /* a power of two; twice a busy server's sessions */
#define PROBE 32u

struct cell {
	_Atomic uint64_t key; /* 0: never used */
	_Atomic uint16_t count[SHARED_SLOTS];
};

/* Padded, so that no two workers write to one cache line. */
struct slot {
	_Alignas(64) _Atomic int64_t counter[SHARED_COUNTERS];
};

struct shared {
	uint8_t hash_key[SIPHASH_KEY_LEN];
	struct slot slots[SHARED_SLOTS];
	struct cell cells[CELLS];
};

struct shared *
shared_new(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	if (getrandom(s->hash_key, sizeof(s->hash_key), 0) < 0) {
		munmap(s, sizeof(*s));
		return NULL;
	}
	return s;
}

void
shared_clear_slot(struct shared *s, unsigned slot)
{
	s->slots[slot].counter[SHARED_SESSIONS] = 0;
	s->slots[slot].counter[SHARED_JOURNAL] = 0;
	for (unsigned i = 0; i < CELLS; i++)
		/* read first: an untouched page must stay untouched */
		if (s->cells[i].key && s->cells[i].count[slot])
			s->cells[i].count[slot] = 0;
}

void
shared_add(struct shared *s, unsigned slot, enum shared_counter c, int64_t n)
{
	atomic_fetch_add_explicit(&s->slots[slot].counter[c], n,
	    memory_order_relaxed);
}

int64_t
shared_total(const struct shared *s, enum shared_counter c)
{
	int64_t total = 0;

	for (unsigned i = 0; i < SHARED_SLOTS; i++)
		total += atomic_load_explicit(&s->slots[i].counter[c],
		    memory_order_relaxed);
	return total;
}

static unsigned
cell_total(const struct cell *c)
{
	unsigned total = 0;

	for (unsigned i = 0; i < SHARED_SLOTS; i++)
		total += c->count[i];
	return total;
}

/* Never 0. An IPv6 client owns its whole /64. */
static uint64_t
address_key(const struct shared *s, const struct ipaddr *a)
{
	struct ipaddr net = *a;

	if (a->family == IP_V6)
		memset(net.bytes + 8, 0, 8);
	return siphash(s->hash_key, &net, sizeof(net)) | 1;
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
		if (!spare && (!seen || !cell_total(c)))
			spare = c;
		if (!seen)
			break;
	}
	if (spare)
		spare->key = key;
	return spare;
}

unsigned
shared_enter(struct shared *s, unsigned slot, const struct ipaddr *a,
    uint32_t *cell)
{
	struct cell *c = find_cell(s, address_key(s, a));

	if (!c)
		return 0;
	*cell = (uint32_t)(c - s->cells);
	c->count[slot]++;
	return cell_total(c);
}

void
shared_leave(struct shared *s, unsigned slot, uint32_t cell)
{
	struct cell *c = &s->cells[cell % CELLS];

	if (c->count[slot])
		c->count[slot]--;
}

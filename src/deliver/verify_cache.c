/*
 * verify_cache: entries by a hash of the address, whose key no stranger knows,
 * and in the order in which they were put.
 */
#include "deliver/verify_cache.h"

#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/siphash.h"

#define TAKEN_MS   600000
#define REFUSED_MS 60000
#define AGAIN_MS   10000

struct entry {
	uint64_t key;
	int64_t until;
	enum fate fate;
	struct smtp_reply reply; /* its strings behind it */
	struct entry *prev, *next;
	UT_hash_handle hh;
};

struct verify_cache {
	uint8_t key[SIPHASH_KEY_LEN];
	struct entry *table, *oldest;
};

struct verify_cache *
verify_cache_new(void)
{
	struct verify_cache *c = mem_new(sizeof(*c));

	if (getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key))
		abort();
	return c;
}

static void
drop(struct verify_cache *c, struct entry *e)
{
	HASH_DEL(c->table, e);
	DL_DELETE(c->oldest, e);
	free(e);
}

void
verify_cache_free(struct verify_cache **p)
{
	struct verify_cache *c = *p;

	*p = NULL;
	if (!c)
		return;
	while (c->oldest)
		drop(c, c->oldest);
	free(c);
}

static struct entry *
find(struct verify_cache *c, const char *to)
{
	uint64_t key = siphash(c->key, to, strlen(to));
	struct entry *e;

	HASH_FIND(hh, c->table, &key, sizeof(key), e);
	return e;
}

enum fate
verify_cache_find(struct verify_cache *c, const char *to, int64_t now,
    const struct smtp_reply **reply)
{
	struct entry *e = find(c, to);

	*reply = NULL;
	if (!e || now >= e->until)
		return FATE_NONE;
	if (e->fate != FATE_TAKEN)
		*reply = &e->reply;
	return e->fate;
}

static int64_t
lasts(enum fate f)
{
	switch (f) {
	case FATE_TAKEN:
		return TAKEN_MS;
	case FATE_REFUSED:
		return REFUSED_MS;
	case FATE_AGAIN:
		return AGAIN_MS;
	case FATE_NONE:
	case FATE_DOWN:
	case FATE_LOST:
		break;
	}
	return 0;
}

static struct entry *
make(const struct smtp_reply *r)
{
	size_t text = r ? strlen(r->text) + 1 : 0;
	size_t status = r && r->status ? strlen(r->status) + 1 : 0;
	struct entry *e = mem_new(sizeof(*e) + text + status);
	char *strings = (char *)(e + 1);

	if (!r)
		return e;
	e->reply = (struct smtp_reply){.code = r->code,
	    .text = memcpy(strings, r->text, text)};
	if (status)
		e->reply.status = memcpy(strings + text, r->status, status);
	return e;
}

void
verify_cache_put(struct verify_cache *c, const char *to, int64_t now,
    enum fate fate, const struct smtp_reply *reply)
{
	struct entry *e = find(c, to);

	if (e)
		drop(c, e);
	if (!lasts(fate) || (!reply && fate != FATE_TAKEN))
		return;
	if (c->oldest && HASH_COUNT(c->table) == VERIFY_CACHE_MAX)
		drop(c, c->oldest);
	e = make(reply);
	e->key = siphash(c->key, to, strlen(to));
	e->until = now + lasts(fate);
	e->fate = fate;
	HASH_ADD(hh, c->table, key, sizeof(e->key), e);
	DL_APPEND(c->oldest, e);
}

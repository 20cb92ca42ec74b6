/*
 * auth_users: reads lines of the password file into a table.
 *
 * Built once by the configuration, constant in the workers. The table is
 * keyed by a hash that strangers cannot steer.
 */
#include "policy/auth_users.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/utf8.h"
#include "io/digest.h"
#include "proto/sasl.h"

#define SCRAM_NAME "SCRAM-SHA-256$"

struct node {
	struct auth_user user;
	UT_hash_handle hh;
};

struct auth_users {
	struct arena arena;
	struct node *table;
	const struct auth_user **all;   /* in the order of the file */
	const struct auth_user **scram; /* those with keys */
	unsigned count, nscram;
	bool addresses; /* a login holds an @ */
	auth_serves_fn *serves;
	const void *serves_ctx;
	uint8_t hash_key[SIPHASH_KEY_LEN];
	uint8_t salt_key[32];
};

/* Of a file without users: a yescrypt setting, which costs like a hash. */
static const struct auth_user nobody = {.name = "",
    .hash = "$y$j9T$kxjeqRUa8v.iRoZ8gJh2k.",
    .scram = {.iterations = SCRAM_ITERATIONS, .salt_len = 16}};

struct auth_users *
auth_users_new(void)
{
	struct auth_users *u = mem_new(sizeof(*u));

	digest_random(u->hash_key, sizeof(u->hash_key));
	digest_random(u->salt_key, sizeof(u->salt_key));
	return u;
}

void
auth_users_free(struct auth_users **p)
{
	struct auth_users *u = *p;

	*p = NULL;
	if (!u)
		return;
	HASH_CLEAR(hh, u->table); /* the users lie in the arena */
	arena_reset(&u->arena);
	free(u->all);
	free(u->scram);
	free(u);
}

void
auth_users_set_key(struct auth_users *u, const uint8_t key[32])
{
	memcpy(u->salt_key, key, sizeof(u->salt_key));
}

void
auth_users_serve(struct auth_users *u, auth_serves_fn *serves, const void *ctx)
{
	u->serves = serves;
	u->serves_ctx = ctx;
}

struct span
auth_users_login(const struct auth_users *u, struct span name)
{
	const char *at = name.len ? memrchr(name.ptr, '@', name.len) : NULL;
	struct span domain = name;

	if (!at || at == name.ptr || u->addresses || !u->serves)
		return name;
	span_skip(&domain, (size_t)(at - name.ptr) + 1);
	if (u->serves(u->serves_ctx, domain))
		name.len = (size_t)(at - name.ptr);
	return name;
}

static unsigned
hash_of(const struct auth_users *u, struct span name)
{
	return (unsigned)siphash(u->hash_key, name.ptr, name.len);
}

static struct node *
find(const struct auth_users *u, struct span name)
{
	struct node *n = NULL;
	unsigned hash = hash_of(u, name);

	if (name.len)
		HASH_FIND_BYHASHVALUE(hh, u->table, name.ptr, name.len, hash,
		    n);
	return n;
}

const struct auth_user *
auth_users_find(const struct auth_users *u, struct span name)
{
	struct node *n = find(u, name);

	return n ? &n->user : NULL;
}

/* One of n, the same one for the same name, also after a restart. */
static const struct auth_user *
pick(const struct auth_users *u, struct span name,
    const struct auth_user **from, unsigned n)
{
	return n ? from[siphash(u->salt_key, name.ptr, name.len) % n] : &nobody;
}

const struct auth_user *
auth_users_dummy(const struct auth_users *u, struct span name)
{
	return pick(u, name, u->all, u->count);
}

void
auth_users_fake(const struct auth_users *u, struct span name,
    struct scram_keys *r)
{
	const struct auth_user *like = pick(u, name, u->scram, u->nscram);
	const struct span key = {(const char *)u->salt_key,
	    sizeof(u->salt_key)};
	uint8_t mac[2][DIGEST_LEN];

	_Static_assert(sizeof(mac) == SCRAM_SALT_MAX, "room for any salt");
	*r = (struct scram_keys){.iterations = like->scram.iterations,
	    .salt_len = like->scram.salt_len};
	digest_hmac(key, name, mac[0]);
	digest_hmac(key, (struct span){(char *)mac[0], DIGEST_LEN}, mac[1]);
	memcpy(r->salt, mac, r->salt_len);
	digest_random(r->stored, sizeof(r->stored));
	digest_random(r->server, sizeof(r->server));
}

bool
auth_users_have_scram(const struct auth_users *u)
{
	return u->nscram > 0;
}

unsigned
auth_users_count(const struct auth_users *u)
{
	return u->count;
}

/* --- lines --- */

/* Takes what stands up to c, and c; -1 when there is none. */
static int
split(struct span *s, char c, struct span *part)
{
	const char *p = s->len ? memchr(s->ptr, c, s->len) : NULL;

	if (!p)
		return -1;
	*part = (struct span){s->ptr, (size_t)(p - s->ptr)};
	span_skip(s, part->len + 1);
	return 0;
}

static int
decode(struct span text, uint8_t *to, size_t min, size_t max, uint8_t *len_r)
{
	struct buf b = {0};
	int ok = base64_decode(text, &b) == 0 && b.len >= min && b.len <= max;

	if (ok)
		memcpy(to, b.data, b.len);
	if (ok && len_r)
		*len_r = (uint8_t)b.len;
	buf_wipe(&b);
	return ok ? 0 : -1;
}

/* "<iterations>:<salt>$<stored>:<server>" */
static int
parse_scram(struct span s, struct scram_keys *r)
{
	struct span iterations, salt, stored;
	uint64_t n;

	if (split(&s, ':', &iterations) < 0 || split(&s, '$', &salt) < 0 ||
	    split(&s, ':', &stored) < 0 ||
	    ascii_parse_u64(iterations, 10000000, &n) < 0 ||
	    n < SCRAM_ITERATIONS_MIN ||
	    decode(salt, r->salt, 1, SCRAM_SALT_MAX, &r->salt_len) < 0 ||
	    decode(stored, r->stored, 32, 32, NULL) < 0 ||
	    decode(s, r->server, 32, 32, NULL) < 0)
		return -1;
	r->iterations = (unsigned)n;
	return 0;
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ascii_is_control(s.ptr[i]))
			return true;
	return false;
}

bool
auth_users_name_valid(struct span name)
{
	return name.len && name.len <= SASL_USER_MAX && utf8_valid(name) &&
	       !has_control(name);
}

static const char *
parse_user(struct auth_users *u, struct span name, struct auth_user *r)
{
	if (!auth_users_name_valid(name))
		return "the user before the first colon is empty, too long, "
		       "not UTF-8 or has control characters";
	if (find(u, name))
		return "this user has a line already";
	r->name = arena_dup(&u->arena, name);
	return NULL;
}

/* Can this system's crypt(3) check it? By its kind, not by its whole form. */
static bool
is_checkable(const char *hash)
{
	int kind = crypt_checksalt(hash);

	return kind == CRYPT_SALT_OK || kind == CRYPT_SALT_METHOD_LEGACY ||
	       kind == CRYPT_SALT_TOO_CHEAP;
}

static const char *
parse_hash(struct auth_users *u, struct span hash, struct auth_user *r)
{
	if (!hash.len)
		return NULL;
	/* plain text and DES are told from a hash by the dollar */
	if (hash.ptr[0] != '$' || has_control(hash))
		return "behind the user stands no password hash: let smtpd "
		       "passwd make the line";
	r->hash = arena_dup(&u->arena, hash);
	if (!is_checkable(r->hash))
		return "this system's crypt(3) does not know this kind of "
		       "hash: let smtpd passwd make the line";
	return NULL;
}

static const char *
parse_keys(struct span keys, struct auth_user *r)
{
	const struct span scheme = SPAN_LIT(SCRAM_NAME);

	r->has_scram = keys.len > 0;
	if (!keys.len)
		return r->hash ? NULL
			       : "behind the user stands neither hash nor "
				 "SCRAM keys";
	if (keys.len > scheme.len &&
	    span_equal((struct span){keys.ptr, scheme.len}, scheme)) {
		span_skip(&keys, scheme.len);
		if (parse_scram(keys, &r->scram) == 0)
			return NULL;
	}
	return "the SCRAM keys are damaged: let smtpd passwd make the line "
	       "anew";
}

static const char *
parse_line(struct auth_users *u, struct span line, struct auth_user *r)
{
	struct span name, hash;
	const char *bad;

	if (split(&line, ':', &name) < 0)
		return "write a line as smtpd passwd prints it";
	if (split(&line, ':', &hash) < 0) {
		hash = line;
		line.len = 0;
	}
	bad = parse_user(u, name, r);
	if (!bad)
		bad = parse_hash(u, hash, r);
	return bad ? bad : parse_keys(line, r);
}

/* Room for one more at the end. */
static const struct auth_user **
grown(const struct auth_user **list, unsigned n)
{
	if (n & (n - 1)) /* full at 0 and at the powers of two */
		return list;
	list = realloc(list, (n ? 2 * (size_t)n : 1) * sizeof(*list));
	if (!list)
		abort();
	return list;
}

static void
list_user(struct auth_users *u, const struct auth_user *user)
{
	u->addresses = u->addresses || strchr(user->name, '@');
	u->all = grown(u->all, u->count);
	u->all[u->count++] = user;
	if (!user->has_scram)
		return;
	u->scram = grown(u->scram, u->nscram);
	u->scram[u->nscram++] = user;
}

const char *
auth_users_add(struct auth_users *u, struct span line)
{
	struct node *n = arena_alloc(&u->arena, sizeof(*n));
	const char *bad = parse_line(u, line, &n->user);
	size_t len;
	unsigned hash;

	if (bad)
		return bad;
	len = strlen(n->user.name);
	hash = hash_of(u, span_str(n->user.name));
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, u->table, n->user.name, len, hash, n);
	list_user(u, &n->user);
	return NULL;
}

/*
 * auth_password: crypt(3) and PBKDF2, slow by design, and so on a thread.
 *
 * An unknown user is checked like one of the file, so that the time it takes
 * says nothing.
 */
#include "policy/auth_password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "io/digest.h"

_Static_assert(AUTH_PASSWORD_MAX == CRYPT_MAX_PASSPHRASE_SIZE - 1,
    "what crypt(3) takes");

static bool
check_hash(const struct auth_check *c)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *got;
	bool good;

	if (!data)
		return false;
	got = crypt_r(c->password.data, c->hash, data);
	/* a result that begins with '*' is crypt's way to fail */
	good = got && got[0] != '*' && strlen(got) == strlen(c->hash) &&
	       digest_equal(got, c->hash, strlen(got));
	digest_wipe(data, sizeof(*data));
	free(data);
	return good;
}

static void
derive(struct span password, struct scram_keys *k)
{
	uint8_t salted[DIGEST_LEN], client[DIGEST_LEN];
	struct span key = {(const char *)salted, sizeof(salted)};

	digest_pbkdf2(password,
	    (struct span){(const char *)k->salt, k->salt_len}, k->iterations,
	    salted);
	digest_hmac(key, SPAN_LIT("Client Key"), client);
	digest_sha256((struct span){(const char *)client, sizeof(client)},
	    k->stored);
	digest_hmac(key, SPAN_LIT("Server Key"), k->server);
	digest_wipe(salted, sizeof(salted));
	digest_wipe(client, sizeof(client));
}

static bool
check_keys(const struct auth_check *c)
{
	struct scram_keys k = c->keys;
	struct span password = {c->password.data, c->password.len - 1};
	bool good;

	derive(password, &k);
	good = digest_equal(k.stored, c->keys.stored, sizeof(k.stored));
	digest_wipe(&k, sizeof(k));
	return good;
}

static void
check_run(struct job *job)
{
	struct auth_check *c = (struct auth_check *)job;
	bool good = c->hash ? check_hash(c) : check_keys(c);

	c->good = good && c->known;
	digest_wipe(c->password.data, c->password.len);
}

static void
check_free(struct job *job)
{
	struct auth_check *c = (struct auth_check *)job;

	buf_wipe(&c->password);
	free(c);
}

struct auth_check *
auth_check_new(const struct auth_users *u, struct span name,
    struct span password, void *x)
{
	const struct auth_user *user = auth_users_find(u, name);
	const struct auth_user *like = user ? user : auth_users_dummy(u, name);
	struct auth_check *c = mem_new(sizeof(*c));

	c->job.run = check_run;
	c->job.free = check_free;
	c->x = x;
	c->known = user != NULL;
	c->hash = like->hash;
	c->keys = like->scram;
	buf_reserve(&c->password, password.len + 1);
	buf_append_span(&c->password, password);
	buf_append(&c->password, "", 1);
	return c;
}

static void
append_keys(struct span password, struct buf *out)
{
	struct scram_keys k = {.iterations = SCRAM_ITERATIONS, .salt_len = 16};

	digest_random(k.salt, k.salt_len);
	derive(password, &k);
	buf_printf(out, ":SCRAM-SHA-256$%u:", k.iterations);
	base64_encode((struct span){(char *)k.salt, k.salt_len}, out);
	buf_append(out, "$", 1);
	base64_encode((struct span){(char *)k.stored, 32}, out);
	buf_append(out, ":", 1);
	base64_encode((struct span){(char *)k.server, 32}, out);
	digest_wipe(&k, sizeof(k));
}

int
auth_password_line(struct span user, struct span password, bool scram,
    struct buf *out)
{
	struct crypt_data *data = mem_new(sizeof(*data));
	struct buf text = {0};
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;
	bool good;

	buf_reserve(&text, password.len + 1);
	buf_append_span(&text, password);
	buf_append(&text, "", 1);
	if (strlen(text.data) == password.len &&
	    crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		hash = crypt_r(text.data, setting, data);
	good = hash && hash[0] != '*';
	if (good) {
		buf_append_span(out, user);
		buf_printf(out, ":%s", hash);
		if (scram)
			append_keys(password, out);
	}
	buf_wipe(&text);
	digest_wipe(data, sizeof(*data));
	free(data);
	return good ? 0 : -1;
}

/*
 * auth_scram: computes and compares proofs.
 *
 * A user that is none gets a salt of its own, always the same, and fails
 * where a wrong password would: at the proof.
 */
#include "policy/auth_scram.h"

#include <string.h>

#include "io/digest.h"
#include "proto/sasl.h"

static struct span
digest_span(const uint8_t d[DIGEST_LEN])
{
	return (struct span){(const char *)d, DIGEST_LEN};
}

/* RFC 5802 section 6: what the client believes must be what we know. */
static bool
binding_agrees(enum scram_binding b, bool plus, bool offered)
{
	if (plus)
		return offered && b == SCRAM_BOUND;
	/* "y": it thinks that we cannot, though we said that we can */
	return b == SCRAM_NONE || (b == SCRAM_UNUSED && !offered);
}

static void
choose_keys(struct auth_scram *s, const struct auth_users *u)
{
	const struct auth_user *user = auth_users_find(u, buf_span(&s->user));

	/* made for everybody, so that it takes everybody the same time */
	auth_users_fake(u, buf_span(&s->user), &s->keys);
	s->fake = !user || !user->has_scram;
	if (!s->fake)
		s->keys = user->scram;
}

enum scram_result
auth_scram_first(struct auth_scram *s, const struct auth_users *u,
    struct span message, bool plus, bool offered, const uint8_t exporter[32],
    struct span nonce)
{
	struct scram_first f;
	struct span login, as;
	bool agrees;

	if (scram_first_parse(message, &f) < 0)
		return SCRAM_MALFORMED;
	login = auth_users_login(u, buf_span(&f.user));
	as = auth_users_login(u, buf_span(&f.authzid));
	agrees = binding_agrees(f.binding, plus, offered) &&
		 (!as.len || span_equal(as, login));
	buf_free(&f.authzid);
	s->user = f.user;
	s->user.len = login.len;
	if (!agrees)
		return SCRAM_WRONG;
	choose_keys(s, u);
	buf_append_span(&s->binding, f.gs2);
	if (plus)
		buf_append(&s->binding, exporter, 32);
	buf_append_span(&s->first_bare, f.bare);
	buf_append_span(&s->nonce, f.nonce);
	buf_append_span(&s->nonce, nonce);
	scram_server_first(f.nonce, nonce,
	    (struct span){(const char *)s->keys.salt, s->keys.salt_len},
	    s->keys.iterations, &s->server_first);
	return SCRAM_GOOD;
}

/* The proof opens the stored key. */
static bool
proof_is_good(const struct auth_scram *s, struct span auth_message,
    const uint8_t proof[32])
{
	uint8_t client[DIGEST_LEN], stored[DIGEST_LEN];
	bool good;

	digest_hmac(digest_span(s->keys.stored), auth_message, client);
	for (size_t i = 0; i < DIGEST_LEN; i++)
		client[i] ^= proof[i];
	digest_sha256(digest_span(client), stored);
	good = digest_equal(stored, s->keys.stored, sizeof(stored));
	digest_wipe(client, sizeof(client));
	return good && !s->fake;
}

enum scram_result
auth_scram_final(struct auth_scram *s, struct span message, struct buf *out)
{
	struct scram_final f;
	struct buf text = {0};
	uint8_t signature[DIGEST_LEN];
	bool good;

	if (scram_final_parse(message, &f) < 0)
		return SCRAM_MALFORMED;
	buf_append_span(&text, buf_span(&s->first_bare));
	buf_append(&text, ",", 1);
	buf_append_span(&text, buf_span(&s->server_first));
	buf_append(&text, ",", 1);
	buf_append_span(&text, f.without_proof);
	good = proof_is_good(s, buf_span(&text), f.proof);
	good = good && span_equal(f.nonce, buf_span(&s->nonce)) &&
	       span_equal(buf_span(&f.binding), buf_span(&s->binding));
	if (good) {
		digest_hmac(digest_span(s->keys.server), buf_span(&text),
		    signature);
		scram_server_final(signature, out);
	}
	/* with StoredKey it gives ClientKey, which is as good as a password */
	digest_wipe(f.proof, sizeof(f.proof));
	buf_free(&f.binding);
	buf_wipe(&text);
	return good ? SCRAM_GOOD : SCRAM_WRONG;
}

void
auth_scram_free(struct auth_scram *s)
{
	buf_free(&s->user);
	buf_wipe(&s->binding);
	buf_wipe(&s->first_bare);
	buf_wipe(&s->server_first);
	buf_wipe(&s->nonce);
	digest_wipe(&s->keys, sizeof(s->keys));
}

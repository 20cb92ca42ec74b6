/*
 * auth_step: the mechanisms with a password file, message by message.
 */
#include <string.h>

#include "base/base64.h"
#include "io/digest.h"
#include "policy/auth_exchange.h"
#include "policy/auth_users.h"
#include "proto/sasl.h"

#define NONCE_LEN 18 /* octets, 24 letters */

/* --- PLAIN: RFC 4616 --- */

void
auth_step_plain(struct auth_exchange *x, struct span message)
{
	const struct auth_users *users = x->auth->options->users;
	struct sasl_plain p;
	const char *bad = sasl_plain_parse(message, &p);

	if (bad) {
		auth_answer_malformed(x, bad);
		return;
	}
	p.user = auth_users_login(users, p.user);
	auth_name(x, p.user);
	/* nobody acts as somebody else */
	if (p.authzid.len &&
	    !span_equal(auth_users_login(users, p.authzid), p.user)) {
		auth_answer(x, AUTH_NO);
		return;
	}
	buf_append_span(&x->password, p.password);
	auth_hash(x);
}

/* --- LOGIN: never a standard, and what many clients speak --- */

static bool
is_text(struct span s, size_t max)
{
	return s.len <= max && !memchr(s.ptr, '\0', s.len);
}

static void
step_login_password(struct auth_exchange *x, struct span message)
{
	if (!message.len || !is_text(message, SASL_PASSWORD_MAX)) {
		auth_answer_malformed(x,
		    message.len ? "The password is too long or has a NUL"
				: "The password is missing");
		return;
	}
	buf_append_span(&x->password, message);
	auth_hash(x);
}

void
auth_step_login(struct auth_exchange *x, struct span message)
{
	if (!message.len || !is_text(message, SASL_USER_MAX)) {
		auth_answer_malformed(x,
		    message.len ? "The user is too long or has a NUL"
				: "The user is missing");
		return;
	}
	auth_name(x, auth_users_login(x->auth->options->users, message));
	auth_challenge(x, SPAN_LIT("Password:"), step_login_password);
}

/* --- SCRAM: RFC 5802 and 7677 --- */

/* The proof was good, and so is ours, unless the client says otherwise. */
static void
step_scram_end(struct auth_exchange *x, struct span message)
{
	if (message.len) {
		auth_answer_malformed(x,
		    "SCRAM was at its end: an empty line belongs here");
		return;
	}
	auth_answer_yes(x);
}

static void
go_on(struct auth_exchange *x, enum scram_result r, struct span challenge,
    auth_step_fn *next, const char *malformed)
{
	if (r == SCRAM_GOOD)
		auth_challenge(x, challenge, next);
	else if (r == SCRAM_WRONG)
		auth_answer(x, AUTH_NO);
	else
		auth_answer_malformed(x, malformed);
}

static void
step_scram_final(struct auth_exchange *x, struct span message)
{
	struct buf challenge = {0};
	enum scram_result r = auth_scram_final(&x->scram, message, &challenge);

	go_on(x, r, buf_span(&challenge), step_scram_end,
	    "That is no client-final-message of SCRAM");
	buf_wipe(&challenge);
}

void
auth_step_scram(struct auth_exchange *x, struct span message)
{
	const struct auth *a = x->auth;
	uint8_t random[NONCE_LEN];
	struct buf nonce = {0};
	enum scram_result r;

	digest_random(random, sizeof(random));
	base64_encode((struct span){(const char *)random, sizeof(random)},
	    &nonce);
	r = auth_scram_first(&x->scram, a->options->users, message,
	    x->mechanism == AUTH_SCRAM_PLUS,
	    auth_offers(a, AUTH_SCRAM_PLUS, x->channel.bound),
	    x->channel.exporter, buf_span(&nonce));
	buf_free(&nonce);
	if (x->scram.user.len)
		auth_name(x, buf_span(&x->scram.user));
	go_on(x, r, buf_span(&x->scram.server_first), step_scram_final,
	    "That is no client-first-message of SCRAM");
}

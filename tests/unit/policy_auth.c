/*
 * Exchanges against a password file, with a SCRAM client of our own: what is
 * right, what is wrong, and that a stranger learns nothing from how.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "fake_clock.h"
#include "io/digest.h"
#include "policy/auth.h"

#define PATIENCE (60 * 1000) /* ms, more than any failure is kept back */

/* --- the world --- */

static struct loop loop;
static struct jobs *jobs;
static struct shared *shared;
static struct auth_users *users;
static struct auth_options options;
static struct auth *auth;

struct said {
	unsigned count;
	enum auth_result result;
	char data[512];
	const char *text;
	char mechanism[32], login[300];
	struct ask *x;
};

static bool
is_busy(void)
{
	return jobs_pending(jobs) > 0;
}

static int
open_world(void **state)
{
	struct buf line = {0};

	(void)state;
	clock_stop(&loop, is_busy);
	assert_int_equal(loop_init(&loop), 0);
	shared = shared_new();
	jobs = jobs_new(&loop, 2);
	users = auth_users_new();
	auth_password_line(SPAN_LIT("alice"), SPAN_LIT("secret"), true, &line);
	assert_null(auth_users_add(users, buf_span(&line)));
	buf_free(&line);
	/* a cheap hash, to be quick: SHA-256 of one block of rounds */
	assert_null(auth_users_add(users,
	    SPAN_LIT("bob:$5$rounds=1000$salt$"
		     "PQX71IaCzzeqbrJtfMVpG6M2.4DE5DkPlMh4Zo5bE./")));
	options = (struct auth_options){.users = users,
	    .mechanisms =
		AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM | AUTH_SCRAM_PLUS};
	auth = auth_new(&options, &loop, jobs, shared);
	return 0;
}

static int
close_world(void **state)
{
	(void)state;
	jobs_free(&jobs);
	auth_free(&auth);
	auth_users_free(&users);
	loop_free(&loop);
	clock_go();
	return 0;
}

static void
on_result(void *ctx, const struct auth_outcome *o)
{
	struct span data = o->result == AUTH_YES ? o->login : o->data;
	struct said *s = ctx;

	s->count++;
	s->result = o->result;
	if (o->result != AUTH_CHALLENGE)
		s->x = NULL;
	s->text = o->text;
	snprintf(s->mechanism, sizeof(s->mechanism), "%s",
	    o->mechanism ? o->mechanism : "");
	snprintf(s->login, sizeof(s->login), "%.*s", (int)o->login.len,
	    o->login.len ? o->login.ptr : "");
	assert_true(data.len < sizeof(s->data));
	if (data.len)
		memcpy(s->data, data.ptr, data.len);
	s->data[data.len] = '\0';
	loop_stop(&loop);
}

/* A failure makes the next one of its address slower: each has its own. */
static struct auth_channel
channel(bool bound)
{
	static uint8_t last;
	const uint8_t ip[4] = {192, 0, 2, last++};
	struct auth_channel c = {.client = ipaddr_v4(ip), .bound = bound};

	memset(c.exporter, 'e', sizeof(c.exporter));
	return c;
}

static void
await(struct said *s, unsigned count)
{
	assert_int_equal(s->count, count - 1); /* not from within the call */
	clock_pass(PATIENCE);
	assert_int_equal(s->count, count);
}

static enum auth_result
start(struct said *s, const char *mechanism, bool bound, const char *message,
    size_t n)
{
	struct auth_channel c = channel(bound);

	memset(s, 0, sizeof(*s));
	s->x = auth_start(auth, span_str(mechanism), &c,
	    (struct span){message, n}, on_result, s);
	await(s, 1);
	return s->result;
}

static enum auth_result
more(struct said *s, const char *message)
{
	auth_continue(s->x, span_str(message));
	await(s, s->count + 1);
	return s->result;
}

#define PLAIN(s, m) start((s), "PLAIN", false, (m), sizeof(m) - 1)

/* --- passwords --- */

static void
plain(void **state)
{
	struct said s;

	(void)state;
	assert_int_equal(PLAIN(&s, "\0alice\0secret"), AUTH_YES);
	assert_string_equal(s.data, "alice");
	assert_int_equal(PLAIN(&s, "alice\0alice\0secret"), AUTH_YES);
	assert_int_equal(PLAIN(&s, "\0alice\0Secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "\0Alice\0secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "\0nobody\0secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "bob\0alice\0secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "secret"), AUTH_MALFORMED);
	assert_int_equal(PLAIN(&s, ""), AUTH_MALFORMED);
	assert_int_equal(start(&s, "plain", false, NULL, 0), AUTH_CHALLENGE);
	assert_string_equal(s.data, "");
	auth_continue(s.x,
	    (struct span){"\0alice\0secret", sizeof("\0alice\0secret") - 1});
	await(&s, 2);
	assert_int_equal(s.result, AUTH_YES);
}

static void
login(void **state)
{
	struct said s;

	(void)state;
	assert_int_equal(start(&s, "LOGIN", false, NULL, 0), AUTH_CHALLENGE);
	assert_string_equal(s.data, "Username:");
	assert_int_equal(more(&s, "alice"), AUTH_CHALLENGE);
	assert_string_equal(s.data, "Password:");
	assert_int_equal(more(&s, "secret"), AUTH_YES);
	assert_int_equal(start(&s, "LOGIN", false, "alice", 5), AUTH_CHALLENGE);
	assert_int_equal(more(&s, "wrong"), AUTH_NO);
	assert_int_equal(start(&s, "LOGIN", false, "", 0), AUTH_MALFORMED);
	assert_int_equal(start(&s, "LOGIN", false, "alice", 5), AUTH_CHALLENGE);
	assert_int_equal(more(&s, ""), AUTH_MALFORMED);
}

static void
unknown(void **state)
{
	static const char *const names[] = {"CRAM-MD5", "", "PLAI", "PLAINX",
	    "SCRAM-SHA-256-PLUS"};
	struct said s;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(start(&s, names[i], false, NULL, 0),
		    AUTH_UNKNOWN);
}

static void
lists(void **state)
{
	struct auth_options some = {.users = users,
	    .mechanisms = AUTH_LOGIN | AUTH_SCRAM_PLUS};
	struct auth *a = auth_new(&some, &loop, jobs, shared);
	struct auth_users *hashes = auth_users_new();

	(void)state;
	assert_string_equal(auth_list(auth, false),
	    "PLAIN LOGIN SCRAM-SHA-256");
	assert_string_equal(auth_list(auth, true),
	    "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS");
	assert_string_equal(auth_list(a, false), "LOGIN");
	assert_string_equal(auth_list(a, true), "LOGIN SCRAM-SHA-256-PLUS");
	auth_free(&a);
	/* nobody has keys: nobody could use SCRAM */
	assert_null(auth_users_add(hashes, SPAN_LIT("bob:$5$x$y")));
	some = (struct auth_options){.users = hashes,
	    .mechanisms = AUTH_PLAIN | AUTH_SCRAM};
	a = auth_new(&some, &loop, jobs, shared);
	assert_string_equal(auth_list(a, true), "PLAIN");
	auth_free(&a);
	auth_users_free(&hashes);
}

/* FAULT C12: in each mechanism, what is missing. */
static void
malformed(void **state)
{
	struct said s;

	(void)state;
	assert_int_equal(start(&s, "PLAIN", false, "", 0), AUTH_MALFORMED);
	assert_string_equal(s.text, "User and password are missing");
	start(&s, "PLAIN", false, NULL, 0);
	assert_int_equal(more(&s, ""), AUTH_MALFORMED);
	assert_string_equal(s.text, "User and password are missing");
	start(&s, "LOGIN", false, "", 0);
	assert_string_equal(s.text, "The user is missing");
	start(&s, "LOGIN", false, "alice", 5);
	assert_int_equal(more(&s, ""), AUTH_MALFORMED);
	assert_string_equal(s.text, "The password is missing");
	start(&s, "LOGIN", false, "a\0b", 3);
	assert_string_equal(s.text, "The user is too long or has a NUL");
	start(&s, "SCRAM-SHA-256", false, "", 0);
	assert_string_equal(s.text, "That is no client-first-message of SCRAM");
}

/* --- SCRAM, from the client's side --- */

/* client-final for this password; c: the binding's base64. */
static void
client_final(const char *server_first, const char *bare, const char *c,
    const char *password, struct buf *out)
{
	uint8_t salted[32], key[32], stored[32], signature[32];
	const char *r = server_first + 2;
	const char *s = strstr(server_first, ",s=") + 3;
	const char *i = strstr(s, ",i=") + 3;
	struct buf salt = {0}, text = {0}, proof = {0};

	assert_int_equal(base64_decode((struct span){s, (size_t)(i - 3 - s)},
			     &salt),
	    0);
	digest_pbkdf2(span_str(password), buf_span(&salt),
	    (unsigned)strtoul(i, NULL, 10), salted);
	digest_hmac((struct span){(char *)salted, 32}, SPAN_LIT("Client Key"),
	    key);
	digest_sha256((struct span){(char *)key, 32}, stored);
	buf_printf(out, "c=%s,r=%.*s", c, (int)(s - 3 - r), r);
	buf_printf(&text, "%s,%s,%.*s", bare, server_first, (int)out->len,
	    out->data);
	digest_hmac((struct span){(char *)stored, 32}, buf_span(&text),
	    signature);
	for (int k = 0; k < 32; k++)
		key[k] ^= signature[k];
	base64_encode((struct span){(char *)key, 32}, &proof);
	buf_printf(out, ",p=%.*s", (int)proof.len, proof.data);
	buf_free(&salt);
	buf_free(&text);
	buf_free(&proof);
}

/* What the client says to our proof. */
static const char *last_word = "";

/* A whole exchange; gs2 with its commas. */
static enum auth_result
scram(struct said *s, const char *mechanism, bool bound, const char *gs2,
    const char *user, const char *password, bool bind)
{
	struct buf first = {0}, bare = {0}, final = {0};
	struct buf binding = {0}, c = {0};

	buf_printf(&bare, "n=%s,r=clientnonce", user);
	buf_append(&bare, "", 1);
	buf_printf(&first, "%s%s", gs2, bare.data);
	start(s, mechanism, bound, first.data, first.len);
	if (s->result == AUTH_CHALLENGE) {
		buf_append_str(&binding, gs2);
		for (int i = 0; bind && i < 32; i++)
			buf_append(&binding, "e", 1);
		base64_encode(buf_span(&binding), &c);
		buf_append(&c, "", 1);
		client_final(s->data, bare.data, c.data, password, &final);
		auth_continue(s->x, buf_span(&final));
		await(s, 2);
	}
	if (s->result == AUTH_CHALLENGE) {
		assert_memory_equal(s->data, "v=", 2);
		more(s, last_word);
	}
	buf_free(&first);
	buf_free(&bare);
	buf_free(&final);
	buf_free(&binding);
	buf_free(&c);
	return s->result;
}

static void
scram_exchanges(void **state)
{
	static const char plain[] = "SCRAM-SHA-256";
	static const char plus[] = "SCRAM-SHA-256-PLUS";
	static const char p[] = "p=tls-exporter,,";
	struct said s;

	(void)state;
	assert_int_equal(scram(&s, plain, false, "n,,", "alice", "secret",
			     false),
	    AUTH_YES);
	assert_string_equal(s.data, "alice");
	assert_int_equal(scram(&s, plain, false, "y,,", "alice", "secret",
			     false),
	    AUTH_YES);
	assert_int_equal(scram(&s, plain, true, "n,,", "alice", "secret",
			     false),
	    AUTH_YES);
	assert_int_equal(scram(&s, plus, true, p, "alice", "secret", true),
	    AUTH_YES);
	assert_int_equal(scram(&s, plain, false, "n,a=alice,", "alice",
			     "secret", false),
	    AUTH_YES);
	/* the wrong password, user, or channel */
	assert_int_equal(scram(&s, plain, false, "n,,", "alice", "wrong",
			     false),
	    AUTH_NO);
	assert_int_equal(scram(&s, plain, false, "n,,", "nobody", "secret",
			     false),
	    AUTH_NO);
	assert_int_equal(scram(&s, plus, true, p, "alice", "secret", false),
	    AUTH_NO);
	/* somebody took PLUS out of our list, or plays with the header */
	assert_int_equal(scram(&s, plain, true, "y,,", "alice", "secret",
			     false),
	    AUTH_NO);
	assert_int_equal(scram(&s, plain, true, p, "alice", "secret", true),
	    AUTH_NO);
	assert_int_equal(scram(&s, plus, true, "n,,", "alice", "secret", false),
	    AUTH_NO);
	assert_int_equal(scram(&s, plain, false, "n,a=bob,", "alice", "secret",
			     false),
	    AUTH_NO);
	/* no keys: as if there were no such user */
	assert_int_equal(scram(&s, plain, false, "n,,", "bob", "secret", false),
	    AUTH_NO);
	assert_int_equal(start(&s, plain, false, "x", 1), AUTH_MALFORMED);
}

static void
scram_end(void **state)
{
	struct said s;

	(void)state;
	start(&s, "SCRAM-SHA-256", false, "n,,n=alice,r=x", 14);
	assert_int_equal(s.result, AUTH_CHALLENGE);
	assert_int_equal(more(&s, "c=biws,r=x,p=no"), AUTH_MALFORMED);
	/* there is nothing left to say, but that it does not trust us */
	last_word = "x";
	assert_int_equal(scram(&s, "SCRAM-SHA-256", false, "n,,", "alice",
			     "secret", false),
	    AUTH_MALFORMED);
	last_word = "";
}

/* --- addresses as logins --- */

static bool
serves(const void *ctx, struct span domain)
{
	(void)ctx;
	return span_equal(domain, SPAN_LIT("example.org"));
}

/* FAULT D3: with every mechanism; the proof is over the name that was sent. */
static void
user_at_our_domain(void **state)
{
	static const char plain[] = "SCRAM-SHA-256";
	static const char *const good[] = {"n,,", "y,,", "n,a=alice,",
	    "n,a=alice@example.org,"};
	struct said s;

	(void)state;
	assert_int_equal(PLAIN(&s, "\0alice@example.org\0secret"), AUTH_NO);
	auth_users_serve(users, serves, NULL);
	assert_int_equal(PLAIN(&s, "\0alice@example.org\0secret"), AUTH_YES);
	assert_string_equal(s.data, "alice");
	assert_int_equal(PLAIN(&s, "alice\0alice@example.org\0secret"),
	    AUTH_YES);
	assert_int_equal(PLAIN(&s, "alice@example.org\0alice\0secret"),
	    AUTH_YES);
	assert_int_equal(PLAIN(&s, "bob@example.org\0alice\0secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "\0alice@example.com\0secret"), AUTH_NO);
	assert_int_equal(PLAIN(&s, "\0alice@example.org\0wrong"), AUTH_NO);
	assert_string_equal(s.login, "alice");
	start(&s, "LOGIN", false, "alice@example.org", 17);
	assert_int_equal(more(&s, "secret"), AUTH_YES);
	assert_string_equal(s.data, "alice");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(scram(&s, plain, false, good[i],
				     "alice@example.org", "secret", false),
		    AUTH_YES);
		assert_string_equal(s.data, "alice");
	}
	assert_int_equal(scram(&s, plain, false, "n,,", "alice@example.org",
			     "wrong", false),
	    AUTH_NO);
	assert_string_equal(s.login, "alice");
	assert_int_equal(scram(&s, plain, false, "n,,", "alice@example.com",
			     "secret", false),
	    AUTH_NO);
	assert_int_equal(scram(&s, plain, false, "n,a=bob@example.org,",
			     "alice@example.org", "secret", false),
	    AUTH_NO);
	auth_users_serve(users, NULL, NULL);
}

/* FAULT D3: who failed, and how, as far as it can be shown. */
static void
what_the_log_may_say(void **state)
{
	static const struct {
		const char *login, *shown;
	} rows[] = {
	    {"nobody", "nobody"},
	    {"a b@\xc3\xa9.example", "a b@\xc3\xa9.example"},
	    {"not\xff"
	     "utf8",
		NULL},
	    {"a\nb", NULL},
	    {"alice:secret", NULL},
	    {"0123456789012345678901234567890123456789012345678901234567890123"
	     "4",
		"01234567890123456789012345678901234567890123456789012345678901"
		"23"},
	    {"012345678901234567890123456789012345678901234567890123456789012"
	     "\xc3\xa9",
		"01234567890123456789012345678901234567890123456789012345678901"
		"2"},
	};
	static const char *const others[] = {"CRAM-MD5", "XOAUTH2", "NTLM",
	    "dGVzdA==", "Hunter2", "HUNTER2", ""};
	struct said s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&s, "login", false, rows[i].login, strlen(rows[i].login));
		assert_int_equal(more(&s, "wrong"), AUTH_NO);
		assert_string_equal(s.mechanism, "LOGIN");
		assert_string_equal(s.login,
		    rows[i].shown ? rows[i].shown : "");
	}
	assert_int_equal(PLAIN(&s, "\0alice\0wrong"), AUTH_NO);
	assert_string_equal(s.mechanism, "PLAIN");
	assert_string_equal(s.login, "alice");
	assert_int_equal(PLAIN(&s, "bob\0alice\0secret"), AUTH_NO);
	assert_string_equal(s.login, "alice");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(start(&s, others[i], false, NULL, 0),
		    AUTH_UNKNOWN);
		assert_string_equal(s.mechanism, i < 3 ? others[i] : "");
		assert_string_equal(s.login, "");
	}
}

/* --- what surrounds it --- */

static void
cancelled_is_silent(void **state)
{
	struct said s, last;
	struct auth_channel c = channel(false);

	(void)state;
	for (int stage = 0; stage < 4; stage++) {
		memset(&s, 0, sizeof(s));
		s.x = auth_start(auth,
		    stage < 2 ? SPAN_LIT("LOGIN") : SPAN_LIT("PLAIN"), &c,
		    stage < 2 ? (struct span){NULL, 0}
			      : (struct span){"\0alice\0secret", 13},
		    on_result, &s);
		if (stage == 1)
			await(&s, 1);
		if (stage == 3)
			PLAIN(&last, "x"); /* while it is being hashed */
		ask_cancel(&s.x, ASK_GO_ON);
		assert_null(s.x);
		ask_cancel(&s.x, ASK_GO_ON);
		assert_int_equal(PLAIN(&last, "\0alice\0secret"), AUTH_YES);
		assert_int_equal(s.count, stage == 1);
	}
}

/* More at once than are hashed at once: each gets its own answer. */
static void
many_wait_in_line(void **state)
{
	enum { MANY = 20 };
	struct said s[MANY];
	unsigned done = 0;

	(void)state;
	memset(s, 0, sizeof(s));
	for (int i = 0; i < MANY; i++) {
		struct auth_channel c = channel(false);

		s[i].x = auth_start(auth, SPAN_LIT("PLAIN"), &c,
		    i % 2 ? (struct span){"\0alice\0secret", 13}
			  : (struct span){"\0nobody\0secret", 14},
		    on_result, &s[i]);
		assert_true(jobs_pending(jobs) <= 2);
	}
	while (done < MANY) {
		clock_pass(PATIENCE);
		done = 0;
		for (int i = 0; i < MANY; i++)
			done += s[i].count;
		assert_true(jobs_pending(jobs) <= 2);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(s[i].result, i % 2 ? AUTH_YES : AUTH_NO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain),
	    cmocka_unit_test(login),
	    cmocka_unit_test(malformed),
	    cmocka_unit_test(unknown),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(scram_exchanges),
	    cmocka_unit_test(scram_end),
	    cmocka_unit_test(user_at_our_domain),
	    cmocka_unit_test(what_the_log_may_say),
	    cmocka_unit_test(cancelled_is_silent),
	    cmocka_unit_test(many_wait_in_line),
	};

	return cmocka_run_group_tests(tests, open_world, close_world);
}

/*
 * The password file in memory: what a line may be, and whom a stranger is
 * taken for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/auth_users.h"

#define KEYS                                                                   \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SCRAM "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" KEYS
#define SCRAM_64                                                               \
	"SCRAM-SHA-256$9000:"                                                  \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                         \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==$" KEYS

static struct auth_users *users;

static int
open_users(void **state)
{
	const uint8_t key[32] = "a key that is kept in the spool";

	(void)state;
	users = auth_users_new();
	auth_users_set_key(users, key);
	return 0;
}

static int
close_users(void **state)
{
	(void)state;
	auth_users_free(&users);
	assert_null(users);
	return 0;
}

/* From memory of exactly its size. */
static const char *
add(const char *line, size_t n)
{
	char *exact = malloc(n ? n : 1);
	const char *bad;

	memcpy(exact, line, n);
	bad = auth_users_add(users, (struct span){exact, n});
	free(exact);
	return bad;
}

static const char *
add_str(const char *line)
{
	return add(line, strlen(line));
}

static const struct auth_user *
find(const char *name)
{
	return auth_users_find(users, span_str(name));
}

static void
good_lines(void **state)
{
	(void)state;
	assert_false(auth_users_have_scram(users));
	assert_null(add_str("alice:$y$j9T$abc$def"));
	assert_false(auth_users_have_scram(users));
	assert_null(add_str("bob@example.org:$6$salt$hash:" SCRAM));
	assert_null(add_str("carol::" SCRAM));
	assert_null(add_str("d\xc3\xa9:$1$s$h:"));
	assert_int_equal(auth_users_count(users), 4);
	assert_true(auth_users_have_scram(users));
	assert_string_equal(find("alice")->hash, "$y$j9T$abc$def");
	assert_false(find("alice")->has_scram);
	assert_string_equal(find("bob@example.org")->hash, "$6$salt$hash");
	assert_int_equal(find("bob@example.org")->scram.iterations, 4096);
	assert_int_equal(find("bob@example.org")->scram.salt_len, 16);
	assert_int_equal(find("bob@example.org")->scram.salt[0], 0x5b);
	assert_int_equal(find("bob@example.org")->scram.stored[0], 0x58);
	assert_int_equal(find("bob@example.org")->scram.server[31], 0xd5);
	assert_null(find("carol")->hash);
	assert_true(find("carol")->has_scram);
	assert_string_equal(find("d\xc3\xa9")->name, "d\xc3\xa9");
	/* not by a part, nor in another case, nor by nothing */
	assert_null(find("alic"));
	assert_null(find("Alice"));
	assert_null(find("bob"));
	assert_null(find(""));
	assert_null(auth_users_find(users, (struct span){NULL, 0}));
	assert_null(auth_users_find(users, (struct span){"alice\0", 6}));
}

static void
bad_lines(void **state)
{
	static const char *const bad[] = {"", "alice",
	    "alice:", "alice::", ":$y$j9T$a$b", "alice:secret",
	    "alice:aCtbT8lJ4DzcA", "alice:{PLAIN}secret",
	    "alice:$9$unknown$kind", "alice:$", "alice:$y$a b\tc",
	    "ali\tce:$y$j9T$a$b", "ali\x7f:$y$j9T$a$b", "\xff:$y$j9T$a$b",
	    "alice::SCRAM-SHA-256$", "alice::SCRAM-SHA-256",
	    "alice::SCRAM-SHA-1$4096:AAAA$" KEYS, "alice::" KEYS,
	    "alice::SCRAM-SHA-256$4095:AAAA$" KEYS,
	    "alice::SCRAM-SHA-256$+4096:AAAA$" KEYS,
	    "alice::SCRAM-SHA-256$99999999999:AAAA$" KEYS,
	    "alice::SCRAM-SHA-256$4096:$" KEYS,
	    "alice::SCRAM-SHA-256$4096:AAA$" KEYS,
	    "alice::SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", "alice::" SCRAM ":",
	    "alice::" SCRAM " ", "alice:$y$j9T$a$b:x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!add_str(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_non_null(add("a\0b:$y$j9T$a$b", 14));
	assert_non_null(add("ab:$y$j9T$a\0b", 13));
	assert_int_equal(auth_users_count(users), 0);
	assert_false(auth_users_have_scram(users));
	assert_null(add_str("alice:$y$j9T$a$b"));
	assert_non_null(add_str("alice:$y$j9T$a$b"));
	assert_int_equal(auth_users_count(users), 1);
}

/* Of a line with keys only the whole is one. */
static void
cut_lines(void **state)
{
	static const char line[] = "u::" SCRAM;

	(void)state;
	for (size_t n = 0; n < sizeof(line) - 1; n++)
		assert_non_null(add(line, n));
	assert_null(add(line, sizeof(line) - 1));
}

static void
name_lengths(void **state)
{
	char line[300];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + 255, ":$y$j9T$a", 10);
	assert_null(add_str(line));
	memset(line + 255, 'x', 1);
	memcpy(line + 256, ":$y$j9T$a", 10);
	assert_non_null(add_str(line));
}

/* With no user there is nobody to be like; the kind is still a slow one. */
static void
nobody(void **state)
{
	struct scram_keys k;

	(void)state;
	assert_memory_equal(auth_users_dummy(users, SPAN_LIT("x"))->hash, "$y$",
	    3);
	auth_users_fake(users, SPAN_LIT("x"), &k);
	assert_int_equal(k.iterations, SCRAM_ITERATIONS);
	assert_int_equal(k.salt_len, 16);
}

/* Strangers are like users, each always like the same one, and not all like
 * one: in a mixed file the others could be told from them. */
static void
strangers_are_spread(void **state)
{
	unsigned slow = 0;

	(void)state;
	assert_null(add_str("a:$y$j9T$a$b"));
	assert_null(add_str("b::" SCRAM));
	assert_null(add_str("c:$y$j9T$a$b"));
	for (char i = 0; i < 100; i++) {
		const char name[3] = {'s', (char)('0' + i / 10),
		    (char)('0' + i % 10)};
		struct span s = {name, sizeof(name)};
		const struct auth_user *like = auth_users_dummy(users, s);

		assert_ptr_equal(like, auth_users_dummy(users, s));
		slow += like->hash != NULL;
	}
	assert_true(slow > 40 && slow < 90); /* two in three of them */
}

/* Salts of any length look drawn, and are the same after a restart. */
static void
fake_salts(void **state)
{
	struct scram_keys once, again, other;

	(void)state;
	assert_null(add_str("a::" SCRAM_64));
	auth_users_fake(users, SPAN_LIT("nobody"), &once);
	assert_int_equal(once.iterations, 9000);
	assert_int_equal(once.salt_len, 64);
	assert_memory_not_equal(once.salt, once.salt + 32, 32);
	auth_users_fake(users, SPAN_LIT("nobod"), &other);
	assert_memory_not_equal(once.salt, other.salt, 16);
	close_users(state);
	open_users(state);
	assert_null(add_str("a::" SCRAM_64));
	auth_users_fake(users, SPAN_LIT("nobody"), &again);
	assert_memory_equal(once.salt, again.salt, 64);
	/* but nothing that anybody could log in with */
	assert_memory_not_equal(once.stored, again.stored, 32);
	auth_users_set_key(users, (const uint8_t[32]){1});
	auth_users_fake(users, SPAN_LIT("nobody"), &other);
	assert_memory_not_equal(once.salt, other.salt, 16);
}

static bool
serves(const void *ctx, struct span domain)
{
	return span_equal(domain, span_str(ctx));
}

static void
means(const char *name, const char *login)
{
	assert_true(span_equal(auth_users_login(users, span_str(name)),
	    span_str(login)));
}

/* FAULT D3: user@ a domain of ours is user, unless addresses are logins. */
static void
addresses_of_ours(void **state)
{
	(void)state;
	means("a@example.org", "a@example.org");
	auth_users_serve(users, serves, "example.org");
	assert_null(add_str("a:$y$j9T$a$b"));
	means("a", "a");
	means("a@example.org", "a");
	means("nobody@example.org", "nobody"); /* and so costs the same */
	means("a@example.com", "a@example.com");
	means("a@", "a@");
	means("@example.org", "@example.org");
	means("", "");
	means("a@b@example.org", "a@b");
	means("a@example.org@", "a@example.org@");
	assert_null(add_str("b@example.com:$y$j9T$a$b"));
	means("a@example.org", "a@example.org");
}

static void
many(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < 5000; i++) {
			struct buf line = {0};

			buf_printf(&line, "user%u:$y$j9T$a$b", i);
			assert_int_equal(auth_users_add(users,
					     buf_span(&line)) != NULL,
			    round);
			buf_free(&line);
		}
	assert_int_equal(auth_users_count(users), 5000);
	assert_string_equal(find("user4999")->name, "user4999");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_users, close_users)
	const struct CMUnitTest tests[] = {
	    TEST(good_lines),
	    TEST(bad_lines),
	    TEST(cut_lines),
	    TEST(name_lengths),
	    TEST(nobody),
	    TEST(strangers_are_spread),
	    TEST(fake_salts),
	    TEST(addresses_of_ours),
	    TEST(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Passwords against every kind of line, as a job checks them: what is right,
 * and that a stranger is checked as a user is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/auth_password.h"

/* RFC 7677 section 3: the password is "pencil". */
#define SCRAM                                                                  \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                         \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* Of each kind, made by another implementation of it. */
static const struct {
	const char *line, *password;
} kinds[] = {
    {"scram::" SCRAM, "pencil"},
    {"sha256:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
	"Hello world!"},
    {"sha512:$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uB"
     "nIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1:" SCRAM,
	"Hello world!"},
    {"bcrypt:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	"U*U"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What the job says, without the threads. */
static bool
check(const struct auth_users *u, const char *user, const char *password)
{
	struct auth_check *c =
	    auth_check_new(u, span_str(user), span_str(password), NULL);
	bool good;

	c->job.run(&c->job);
	good = c->good;
	/* it is not left lying about until the loop comes round */
	for (size_t i = 0; i < c->password.len; i++)
		assert_int_equal(c->password.data[i], 0);
	c->job.free(&c->job);
	return good;
}

static void
every_kind(void **state)
{
	struct auth_users *u = auth_users_new();

	(void)state;
	for (size_t i = 0; i < KINDS; i++)
		assert_null(auth_users_add(u, span_str(kinds[i].line)));
	for (size_t i = 0; i < KINDS; i++) {
		struct buf name = {0}, longer = {0};
		const char *p = kinds[i].password;

		buf_append(&name, kinds[i].line,
		    (size_t)(strchr(kinds[i].line, ':') - kinds[i].line));
		buf_append(&name, "", 1);
		buf_printf(&longer, "%sx", p);
		buf_append(&longer, "", 1);
		assert_true(check(u, name.data, p));
		assert_false(check(u, name.data, longer.data));
		assert_false(check(u, name.data, p + 1));
		assert_false(check(u, name.data, ""));
		/* of another user */
		assert_false(check(u, name.data, i ? "pencil" : "U*U"));
		buf_free(&name);
		buf_free(&longer);
	}
	auth_users_free(&u);
}

/* Not even with the password of the one it is like. */
static void
a_stranger_is_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct auth_users *u = auth_users_new();
		struct auth_check *c;

		assert_null(auth_users_add(u, span_str(kinds[i].line)));
		assert_false(check(u, "nobody", kinds[i].password));
		/* the same work: the same setting, the same iterations */
		c = auth_check_new(u, SPAN_LIT("nobody"), SPAN_LIT("x"), NULL);
		assert_int_equal(c->hash != NULL, i > 0);
		assert_int_equal(c->keys.iterations, i % 2 ? 0 : 4096);
		c->job.free(&c->job);
		auth_users_free(&u);
	}
}

static void
an_empty_file(void **state)
{
	struct auth_users *u = auth_users_new();

	(void)state;
	assert_false(check(u, "", ""));
	assert_false(check(u, "nobody", "x"));
	auth_users_free(&u);
}

/* A hash of a known kind that is damaged: nobody's password. */
static void
damaged(void **state)
{
	static const char *const bad[] = {"a:$y$x", "a:$6$saltstring$",
	    "a:$y$j9T$*$*", "a:$5$saltstring$5B8vYYiY", "a:$2a$05$CCCC"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct auth_users *u = auth_users_new();

		if (!auth_users_add(u, span_str(bad[i]))) {
			assert_false(check(u, "a", "x"));
			assert_false(check(u, "a", "*0"));
			assert_false(check(u, "a", ""));
		}
		auth_users_free(&u);
	}
}

static void
lengths(void **state)
{
	struct auth_users *u = auth_users_new();
	char password[1025];

	(void)state;
	assert_null(auth_users_add(u, span_str(kinds[0].line)));
	assert_null(auth_users_add(u, span_str(kinds[1].line)));
	memset(password, 'x', sizeof(password));
	password[1024] = '\0';
	assert_false(check(u, "scram", password));
	assert_false(check(u, "sha256", password));
	auth_users_free(&u);
}

/* A file of this line: does it know the password, and only that? */
static void
check_line(const char *user, const char *password, struct span line)
{
	struct auth_users *u = auth_users_new();

	assert_null(auth_users_add(u, line));
	assert_true(check(u, user, password));
	assert_false(check(u, user, "wrong"));
	auth_users_free(&u);
}

/* FAULT B5: the keys have their 100,000 rounds. The hash and the keys, each
 * alone, know the same password. */
static void
line_is_good(const char *user, const char *password)
{
	struct buf line = {0}, hash = {0}, keys = {0};
	const char *at;

	assert_int_equal(auth_password_line(span_str(user), span_str(password),
			     true, &line),
	    0);
	check_line(user, password, buf_span(&line));
	buf_append(&line, "", 1);
	assert_null(strchr(line.data, '\n'));
	at = strstr(line.data, ":SCRAM-SHA-256$100000:");
	assert_non_null(at);
	buf_append(&hash, line.data, (size_t)(at - line.data));
	assert_memory_equal(hash.data + strlen(user), ":$y$", 4);
	check_line(user, password, buf_span(&hash));
	buf_printf(&keys, "%s:%s", user, at);
	check_line(user, password, buf_span(&keys));
	buf_free(&line);
	buf_free(&hash);
	buf_free(&keys);
}

static void
lines_of_passwd(void **state)
{
	char longest[AUTH_PASSWORD_MAX + 2];
	struct buf once = {0}, again = {0};

	(void)state;
	line_is_good("alice", "secret");
	line_is_good("b\xc3\xb6@example.org", "p\xc3\xa4ss: w$rd");
	memset(longest, 'x', sizeof(longest));
	longest[AUTH_PASSWORD_MAX] = '\0';
	line_is_good("carol", longest);
	longest[AUTH_PASSWORD_MAX] = 'x';
	longest[AUTH_PASSWORD_MAX + 1] = '\0';
	assert_int_equal(auth_password_line(SPAN_LIT("dave"), span_str(longest),
			     true, &once),
	    -1);
	assert_int_equal(auth_password_line(SPAN_LIT("dave"), SPAN_LIT("a\0b"),
			     true, &once),
	    -1);
	assert_int_equal(once.len, 0);
	/* every line has salts of its own, for either part */
	auth_password_line(SPAN_LIT("eve"), SPAN_LIT("x"), true, &once);
	auth_password_line(SPAN_LIT("eve"), SPAN_LIT("x"), true, &again);
	assert_memory_not_equal(once.data + 8, again.data + 8, 20);
	assert_memory_not_equal(once.data + once.len - 40,
	    again.data + again.len - 40, 40);
	buf_free(&once);
	buf_free(&again);
}

/* FAULT B5: nothing weaker than the hash where nobody needs it. */
static void
without_keys(void **state)
{
	struct buf line = {0};

	(void)state;
	assert_int_equal(auth_password_line(SPAN_LIT("alice"),
			     SPAN_LIT("secret"), false, &line),
	    0);
	check_line("alice", "secret", buf_span(&line));
	buf_append(&line, "", 1);
	assert_null(strstr(line.data, "SCRAM"));
	assert_memory_equal(line.data, "alice:$y$", 9);
	assert_null(strchr(line.data + 9, ':'));
	buf_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind),
	    cmocka_unit_test(a_stranger_is_nobody),
	    cmocka_unit_test(an_empty_file),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(lines_of_passwd),
	    cmocka_unit_test(without_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

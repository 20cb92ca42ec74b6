/*
 * Templates: faults in them, where the root ends, and what values become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rcpt/template.h"

static struct arena arena;

static int
reset(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

/* With a domain of "d" and the others as given; NULL if there is no path. */
static const char *
fill(const char *text, const char *user, const char *detail)
{
	struct template_values v = {user, "d", detail};
	struct template t;

	assert_null(template_parse(text, &arena, &t));
	return template_fill(&t, &v, &arena);
}

static void
assert_path(const char *text, const char *user, const char *detail,
    const char *path)
{
	const char *got = fill(text, user, detail);

	assert_non_null(got);
	assert_string_equal(got, path);
}

static void
test_parts(void **state)
{
	static const struct {
		const char *text, *root, *rel, *base;
	} t[] = {
	    {"/m/%d/%u", "/m", "%d/%u", "%d/%u"},
	    {"/m/%d/%u/.%t", "/m", "%d/%u/.%t", "%d/%u"},
	    {"/var/mail/x-%u", "/var/mail", "x-%u", "x-%u"},
	    {"/m/%u/Maildir", "/m", "%u/Maildir", "%u/Maildir"},
	    {"/%u", "/", "%u", "%u"},
	    {"/%t", "/", "%t", "."},
	    {"/m/box", "/m/box", ".", "."},
	    {"//m///box//", "/m/box", ".", "."},
	    {"/", "/", ".", "."},
	    {"/m//%d//%u//", "/m", "%d/%u", "%d/%u"},
	    {"/tmp/new/%u", "/tmp/new", "%u", "%u"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct template p;

		assert_null(template_parse(t[i].text, &arena, &p));
		assert_string_equal(p.root, t[i].root);
		assert_string_equal(p.rel, t[i].rel);
		assert_string_equal(p.base, t[i].base);
	}
}

static void
test_flags(void **state)
{
	struct template t;

	(void)state;
	assert_null(template_parse("/m/%d/x", &arena, &t));
	assert_true(t.domain);
	assert_false(t.user);
	assert_false(t.detail);
	assert_null(template_parse("/m/%u-%t", &arena, &t));
	assert_false(t.domain);
	assert_true(t.user);
	assert_true(t.detail);
}

static void
test_faults(void **state)
{
	static const char *const bad[] = {"", "m/%u", "./%u", "%u", "/m/../%u",
	    "/m/./%u", "/..", "/.", "/m/%u/..", "/m/%u/.", "/m/%x", "/m/%",
	    "/m/%u%", "/m/%%", "/m/%U", "/m/%t/%u", "/m/%t/x", "/%t/%t",
	    "/m/%u/new", "/m/%d/tmp/%u", "/m/%u/cur/x", "/m/%u/new/%t"};
	char longer[300] = "/";
	struct template t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(template_parse(bad[i], &arena, &t));
	memset(longer + 1, 'x', 256);
	assert_non_null(template_parse(longer, &arena, &t));
	longer[256] = '\0';
	assert_null(template_parse(longer, &arena, &t));
}

static void
test_fill(void **state)
{
	(void)state;
	assert_path("/m/%d/%u", "u", NULL, "d/u");
	assert_path("/m/%d/%u", "u", "t", "d/u");
	assert_path("/m/%d/%u/.%t", "u", "t", "d/u/.t");
	assert_path("/m/%d/%u/.%t", "u", "a.b", "d/u/.a.b");
	assert_path("/m/%d/%u/.%t", "u", NULL, "d/u");
	assert_path("/m/%u-%d%u", "u", NULL, "u-du");
	assert_path("/m/.%u", "u", NULL, ".u");
	assert_path("/m", "../x", "..", ".");
	assert_path("/%t", NULL, "t", "t");
	assert_path("/%t", NULL, NULL, ".");
}

/* A value is put in once: what it looks like means nothing. */
static void
test_never_twice(void **state)
{
	(void)state;
	assert_path("/m/%d/%u", "%d", NULL, "d/%d");
	assert_path("/m/%d/%u", "%u%t", "t", "d/%u%t");
	assert_path("/m/%u/.%t", "%t", "%u", "%t/.%u");
	assert_path("/m/%u", "%", NULL, "%");
	assert_path("/m/%u", "a%", NULL, "a%");
}

static void
test_refused_values(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "/a",
	    "../x", "a\x1f", "cur", "new", "tmp"};
	static const char *const templates[] = {"/m/%u", "/m/%d/%u", "/m/x%u",
	    "/m/.%u", "/m/%u.x", "/m/%u/y"};
	const size_t n = sizeof(templates) / sizeof(templates[0]);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t k = 0; k < n; k++)
			assert_null(fill(templates[k], bad[i], NULL));
		assert_null(fill("/m/%d/.%t", "u", bad[i]));
	}
	assert_null(fill("/m/%u", NULL, NULL));
}

/* Text and value together can be what neither is alone. */
static void
test_whole_component(void **state)
{
	char user[201], text[300] = "/m/";

	(void)state;
	assert_null(fill("/m/ne%u", "w", NULL));
	assert_null(fill("/m/%ump", "t", NULL));
	assert_null(fill("/m/%u%u%u", "tmp", NULL));
	assert_path("/m/ne%u", "x", NULL, "nex");
	memset(user, 'x', 200);
	user[200] = '\0';
	assert_non_null(fill("/m/%u", user, NULL));
	assert_null(fill("/m/%u%u", user, NULL));
	memset(text + 3, 'y', 55);
	memcpy(text + 58, "%u", 3);
	assert_non_null(fill(text, user, NULL));
	memcpy(text + 58, "y%u", 4);
	assert_null(fill(text, user, NULL));
}

#define T(f) cmocka_unit_test_teardown(f, reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_parts),
	    T(test_flags),
	    T(test_faults),
	    T(test_fill),
	    T(test_never_twice),
	    T(test_refused_values),
	    T(test_whole_component),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

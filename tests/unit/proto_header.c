/*
 * A header: where it ends, what its fields are, and what edits make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/header.h"

static void
lengths(void **state)
{
	static const struct {
		const char *text;
		ssize_t length;
	} rows[] = {
	    {"", -1},
	    {"\n", 0},
	    {"\n A: 1\n", 0},
	    {"A", -1},
	    {"A ", -1},
	    {"A:", -1},
	    {"A: 1", -1},
	    {"A: 1\n", -1},
	    {"A: 1\n ", -1},
	    {"A: 1\n\n", 5},
	    {"A: 1\n\nB: 2\n\n", 5},
	    {"A \t: 1\n\n", 7},
	    {"A:\n\tfolded\n \n\n", 13},
	    {"A: 1\nhttp://x\n\n", 14},
	    /* lines that are none end it, as soon as that is seen */
	    {" A: 1\n\n", 0},
	    {"\tA: 1\n\n", 0},
	    {": 1\n\n", 0},
	    {"Hello world", 0},
	    {"A: 1\nHello world\nB: 2\n\n", 5},
	    {"A: 1\nHello\n", 5},
	    {"A: 1\nHello", -1},
	    {"A: 1\n\r\n\n", 5},
	    {"A: 1\nB\r: 2\n\n", 5},
	    {"A: 1\nB\xc3\xa9: 2\n\n", 5},
	    {"A: 1\nB\x7f: 2\n\n", 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span s = span_str(rows[i].text);
		char *exact = malloc(s.len + 1);

		memcpy(exact, s.ptr, s.len); /* where a NUL is not seen */
		exact = realloc(exact, s.len ? s.len : 1);
		s.ptr = exact;
		assert_int_equal(header_length(s), rows[i].length);
		free(exact);
	}
	assert_int_equal(header_length((struct span){NULL, 0}), -1);
	assert_int_equal(header_length(SPAN_LIT("A: 1\nB\0: 2\n\n")), 5);
}

static void
assert_span(struct span s, const char *want)
{
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.ptr ? s.ptr : "", want, s.len);
}

static void
fields(void **state)
{
	static const struct {
		const char *name, *value, *raw;
	} rows[] = {
	    {"A", " 1", "A: 1\n"},
	    {"B", "", "B:\n"},
	    {"C", "two\n lines\n\tand three: ",
		"C \t:two\n lines\n\tand three: \n"},
	    {"", "", "none\n of them\n"},
	    {"D", " x\r", "D: x\r\n"},
	    {"E", " the end", "E: the end"},
	};
	const size_t n = sizeof(rows) / sizeof(rows[0]);
	const struct header_field *f;
	struct buf all = {0}, out = {0};
	struct header h;

	(void)state;
	for (size_t i = 0; i < n; i++)
		buf_append_str(&all, rows[i].raw);
	assert_true(header_init(&h, buf_span(&all)));
	f = h.fields;
	for (size_t i = 0; i < n; i++, f = f->next) {
		assert_span(f->name, rows[i].name);
		assert_span(f->value, rows[i].value);
		assert_span(f->raw, rows[i].raw);
	}
	assert_null(f);
	assert_null(h.above);
	header_render_above(&h, &out);
	assert_int_equal(out.len, 0);
	header_render(&h, &out);
	buf_append_str(&all, "\n");
	assert_true(span_equal(buf_span(&out), buf_span(&all)));
	buf_free(&all);
	buf_free(&out);
	header_free(&h);
	header_free(&h);
}

/* --- edits: op, number, name, value --- */

struct edit {
	char op; /* a(dd), i(nsert), c(hange); 0: no more */
	unsigned n;
	const char *name, *value;
};

static bool
apply(struct header *h, const struct edit *e)
{
	struct span name = span_str(e->name), value = span_str(e->value);

	if (e->op == 'a')
		return header_add(h, name, value);
	if (e->op == 'i')
		return header_insert(h, e->n, name, value);
	return header_change(h, e->n, name, value);
}

static void
assert_header(const struct header *h, const char *above, const char *below)
{
	struct buf out = {0};

	header_render_above(h, &out);
	assert_span(buf_span(&out), above);
	buf_free(&out);
	header_render(h, &out);
	assert_span(buf_span(&out), below);
	buf_free(&out);
}

#define BLOCK "A:  1\nB: 2\n\tfolded\na : 3\nC: 4\n"

static void
edits(void **state)
{
	static const struct {
		struct edit edits[4];
		const char *above, *below;
	} rows[] = {
	    {{{'a', 0, "X", "1"}}, "", BLOCK "X: 1\n"},
	    {{{'a', 0, "X", "1"}, {'a', 0, "Y", "2"}}, "",
		BLOCK "X: 1\nY: 2\n"},
	    {{{'i', 1, "X", "1"}}, "", "X: 1\n" BLOCK},
	    {{{'i', 1, "X", "1"}, {'i', 1, "Y", "2"}}, "",
		"Y: 2\nX: 1\n" BLOCK},
	    {{{'i', 2, "X", "1"}}, "",
		"A:  1\nX: 1\nB: 2\n\tfolded\na : 3\nC: 4\n"},
	    {{{'i', 4, "X", "1"}}, "",
		"A:  1\nB: 2\n\tfolded\na : 3\nX: 1\nC: 4\n"},
	    {{{'i', 5, "X", "1"}}, "", BLOCK "X: 1\n"},
	    {{{'i', UINT32_MAX, "X", "1"}}, "", BLOCK "X: 1\n"},
	    {{{'i', 0, "X", "1"}}, "X: 1\n", BLOCK},
	    {{{'i', 0, "X", "1"}, {'i', 0, "Y", "2"}}, "Y: 2\nX: 1\n", BLOCK},
	    /* changed: only the one, and under the name that was given */
	    {{{'c', 1, "a", "x"}}, "", "a: x\nB: 2\n\tfolded\na : 3\nC: 4\n"},
	    {{{'c', 0, "A", "x"}}, "", "A: x\nB: 2\n\tfolded\na : 3\nC: 4\n"},
	    {{{'c', 2, "A", "x"}}, "", "A:  1\nB: 2\n\tfolded\nA: x\nC: 4\n"},
	    {{{'c', 3, "A", "x"}}, "", BLOCK "A: x\n"},
	    {{{'c', 3, "A", ""}}, "", BLOCK},
	    {{{'c', 1, "Z", ""}}, "", BLOCK},
	    {{{'c', 1, "b", ""}}, "", "A:  1\na : 3\nC: 4\n"},
	    {{{'c', 2, "A", ""}, {'c', 1, "A", ""}}, "",
		"B: 2\n\tfolded\nC: 4\n"},
	    {{{'c', 1, "A", ""}, {'c', 1, "A", "x"}}, "",
		"B: 2\n\tfolded\nA: x\nC: 4\n"},
	    /* those above ours are in front of them */
	    {{{'i', 0, "A", "0"}, {'c', 1, "A", "x"}}, "A: x\n", BLOCK},
	    {{{'i', 0, "A", "0"}, {'c', 1, "A", ""}}, "", BLOCK},
	    {{{'i', 0, "A", "0"}, {'c', 2, "A", ""}}, "A: 0\n",
		"B: 2\n\tfolded\na : 3\nC: 4\n"},
	    {{{'i', 0, "X", "0"}, {'a', 0, "X", "1"}, {'c', 2, "X", "2"}},
		"X: 0\n", BLOCK "X: 2\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct edit *e = rows[i].edits;
		struct header h;

		assert_true(header_init(&h, SPAN_LIT(BLOCK)));
		for (; e->op; e++)
			assert_true(apply(&h, e));
		assert_int_equal(h.edits, e - rows[i].edits);
		assert_header(&h, rows[i].above, rows[i].below);
		header_free(&h);
	}
}

/* What a milter sends as a value ends in one line end, and no header. */
static void
values(void **state)
{
	static const char *const rows[][2] = {
	    {"v", "X: v\n"},
	    {" v", "X: v\n"},
	    {"\tv", "X:\tv\n"},
	    {" ", "X: \n"},
	    {"a\n b", "X: a\n b\n"},
	    {"a\r\n\tb", "X: a\n\tb\n"},
	    {"a\nb", "X: a\n b\n"},
	    {"a\r\nb\r\nc", "X: a\n b\n c\n"},
	    {"\n v", "X:\n v\n"},
	    {"\r\nv", "X:\n v\n"},
	    /* no empty line, and none that looks so */
	    {"a\n", "X: a\n"},
	    {"a\r\n", "X: a\n"},
	    {"a\n\n", "X: a\n"},
	    {"a\r\n\r\nBody", "X: a\n Body\n"},
	    {"a\n \t\n b\n  ", "X: a\n b\n"},
	    {"\n", "X:\n"},
	    {"\xc3\xa9\x01", "X: \xc3\xa9\x01\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct header h = {0};

		assert_true(
		    header_add(&h, SPAN_LIT("X"), span_str(rows[i][0])));
		assert_header(&h, "", rows[i][1]);
		assert_int_equal(h.added, strlen(rows[i][1]));
		header_free(&h);
	}
}

static void
not_possible(void **state)
{
	static const struct span bad[][2] = {
	    {SPAN_LIT(""), SPAN_LIT("v")},
	    {SPAN_LIT("X Y"), SPAN_LIT("v")},
	    {SPAN_LIT("X:"), SPAN_LIT("v")},
	    {SPAN_LIT("X\nY"), SPAN_LIT("v")},
	    {SPAN_LIT("X\0"), SPAN_LIT("v")},
	    {SPAN_LIT("\xc3\xa9"), SPAN_LIT("v")},
	    {SPAN_LIT("X\x7f"), SPAN_LIT("v")},
	    {SPAN_LIT("X"), SPAN_LIT("a\0b")},
	    {SPAN_LIT("X"), SPAN_LIT("a\rb")},
	    {SPAN_LIT("X"), SPAN_LIT("a\r")},
	    {SPAN_LIT("X"), SPAN_LIT("a\r\r\nb")},
	    {SPAN_LIT("X"), SPAN_LIT("a\r\n\r")},
	};
	struct header h;

	(void)state;
	assert_true(header_init(&h, SPAN_LIT(BLOCK)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(header_add(&h, bad[i][0], bad[i][1]));
		for (unsigned n = 0; n < 3; n++) {
			assert_false(
			    header_insert(&h, n, bad[i][0], bad[i][1]));
			assert_false(
			    header_change(&h, n, bad[i][0], bad[i][1]));
		}
	}
	assert_false(header_change(&h, 1, SPAN_LIT("X Y"), SPAN_LIT("")));
	assert_int_equal(h.edits, 0);
	assert_int_equal(h.added, 0);
	assert_header(&h, "", BLOCK);
	header_free(&h);
}

/* --- bounds --- */

static struct span
letters(char *s, size_t n)
{
	memset(s, 'x', n);
	return (struct span){s, n};
}

static void
bounds_of_edits(void **state)
{
	struct header h = {0};

	(void)state;
	for (unsigned i = 0; i < HEADER_EDITS_MAX; i++)
		assert_true(
		    i % 2 ? header_add(&h, SPAN_LIT("X"), SPAN_LIT("1"))
			  : header_change(&h, 1, SPAN_LIT("X"), SPAN_LIT("")));
	assert_false(header_add(&h, SPAN_LIT("X"), SPAN_LIT("1")));
	assert_false(header_change(&h, 1, SPAN_LIT("X"), SPAN_LIT("")));
	assert_int_equal(h.edits, HEADER_EDITS_MAX);
	assert_header(&h, "", "X: 1\n");
	header_delete(&h, h.fields);
	assert_header(&h, "", "");
	header_free(&h);
}

/* "X: " and a line end are four octets. What was replaced counts as well. */
static void
bounds_of_text(void **state)
{
	char *text = malloc(HEADER_TEXT_MAX + 1);
	const struct span x = SPAN_LIT("X");
	struct header h = {0};

	(void)state;
	assert_false(header_add(&h, x, letters(text, HEADER_TEXT_MAX + 1)));
	assert_false(header_add(&h, x, letters(text, HEADER_TEXT_MAX - 3)));
	assert_false(header_add(&h, letters(text, HEADER_TEXT_MAX), x));
	assert_true(header_add(&h, x, letters(text, HEADER_TEXT_MAX - 9)));
	assert_false(header_change(&h, 1, x, SPAN_LIT("ab")));
	assert_true(header_change(&h, 1, x, SPAN_LIT("a")));
	assert_false(header_add(&h, x, SPAN_LIT("")));
	assert_int_equal(h.added, HEADER_TEXT_MAX);
	assert_header(&h, "", "X: a\n");
	header_free(&h);
	/* line ends that get a blank count with it */
	for (size_t i = 0; i < HEADER_TEXT_MAX / 2; i++)
		memcpy(text + 2 * i, "\nx", 2);
	assert_false(
	    header_add(&h, x, (struct span){text, HEADER_TEXT_MAX - 100}));
	header_free(&h);
	free(text);
}

static void
bounds_of_text_above(void **state)
{
	char *text = malloc(HEADER_ABOVE_MAX);
	const struct span x = SPAN_LIT("X");
	struct header h = {0};

	(void)state;
	assert_false(
	    header_insert(&h, 0, x, letters(text, HEADER_ABOVE_MAX - 3)));
	assert_true(
	    header_insert(&h, 0, x, letters(text, HEADER_ABOVE_MAX - 4)));
	assert_false(header_insert(&h, 0, x, SPAN_LIT("")));
	assert_false(header_change(&h, 1, x, SPAN_LIT("a")));
	assert_true(header_insert(&h, 1, x, SPAN_LIT("b")));
	assert_true(header_change(&h, 2, x, SPAN_LIT("c")));
	assert_int_equal(h.added_above, HEADER_ABOVE_MAX);
	header_delete(&h, h.above);
	assert_header(&h, "", "X: c\n");
	header_free(&h);
	free(text);
}

static void
bounds_of_fields(void **state)
{
	struct buf block = {0};
	struct header h;

	(void)state;
	for (unsigned i = 0; i < HEADER_FIELDS_MAX; i++)
		buf_append_str(&block, "A:\n \n");
	assert_true(header_init(&h, buf_span(&block)));
	header_free(&h);
	buf_append_str(&block, "B:\n");
	assert_false(header_init(&h, buf_span(&block)));
	assert_header(&h, "", "");
	header_free(&h);
	buf_free(&block);
}

static void
deletes_a_field(void **state)
{
	struct header h;

	(void)state;
	assert_true(header_init(&h, SPAN_LIT(BLOCK)));
	assert_true(header_insert(&h, 0, SPAN_LIT("X"), SPAN_LIT("1")));
	header_delete(&h, h.fields->next);
	assert_header(&h, "X: 1\n", "A:  1\na : 3\nC: 4\n");
	header_delete(&h, h.above);
	header_delete(&h, h.fields->next->next);
	header_delete(&h, h.fields);
	assert_header(&h, "", "a : 3\n");
	assert_int_equal(h.edits, 1);
	header_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(fields),
	    cmocka_unit_test(edits),
	    cmocka_unit_test(values),
	    cmocka_unit_test(not_possible),
	    cmocka_unit_test(bounds_of_edits),
	    cmocka_unit_test(bounds_of_text),
	    cmocka_unit_test(bounds_of_text_above),
	    cmocka_unit_test(bounds_of_fields),
	    cmocka_unit_test(deletes_a_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

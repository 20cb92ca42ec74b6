/*
 * RFC 4648's vectors, every short input there and back, and every way in
 * which text is no base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static int
decode(const char *text, struct buf *out)
{
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1);
	int r;

	memcpy(exact, text, n);
	r = base64_decode((struct span){exact, n}, out);
	free(exact);
	return r;
}

static void
vectors(void **state)
{
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="},
	    {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf text = {0}, back = {0};

		base64_encode(span_str(rows[i][0]), &text);
		assert_true(span_equal(buf_span(&text), span_str(rows[i][1])));
		assert_int_equal(decode(rows[i][1], &back), 0);
		assert_true(span_equal(buf_span(&back), span_str(rows[i][0])));
		buf_free(&text);
		buf_free(&back);
	}
}

static void
there_and_back(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 1u << 24; v += 251) {
		const char in[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};

		for (size_t n = 1; n <= 3; n++) {
			struct buf text = {0}, back = {0};

			base64_encode((struct span){in, n}, &text);
			assert_int_equal(text.len, 4);
			assert_int_equal(base64_decode(buf_span(&text), &back),
			    0);
			assert_int_equal(back.len, n);
			assert_memory_equal(back.data, in, n);
			buf_free(&text);
			buf_free(&back);
		}
	}
}

static void
refused(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "=",
	    "==", "===", "====", "Z===", "Zg==Zg==", "Zm=v", "Zm9v\n", " Zm9v",
	    "Zm9v ", "Zm 9", "Zm-_",
	    "Zh==", "Zm9=", "Zm9v====", "Z\xc3\xa9=", "Zg=x", "*"};
	struct buf out = {0};

	(void)state;
	buf_append_str(&out, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode(bad[i], &out) != -1)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(span_equal(buf_span(&out), SPAN_LIT("kept")));
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors),
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The log's lines: whatever a value holds, the line reads back as the same
 * keys with the same values, and has at most 4 KiB.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "io/log.h"
#include "log_read.h"

#define LINE_MAX 4096 /* PIPE_BUF, with the newline */
#define NOW      1795507916123

static char line[2 * LINE_MAX];
static struct log_pair pairs[16];

/* Renders without a time and reads back; how many fields there are. */
static unsigned
render(enum log_format format, const struct log_field *fields)
{
	struct buf out = {0};
	unsigned n;

	log_render(&out, format, 0, LOG_INFO, "event", fields);
	assert_true(out.len + sizeof("<6>\n") - 1 <= LINE_MAX);
	assert_true(utf8_valid(buf_span(&out)));
	memcpy(line, out.data, out.len);
	line[out.len] = '\0';
	buf_free(&out);
	n = format == LOG_JSON ? log_read_json(line, pairs, 16)
			       : log_read_text(line, pairs, 16);
	if (n == LOG_READ_BAD)
		fail_msg("does not read back: %s", line);
	return n;
}

static void
assert_value(unsigned i, const char *key, const void *value, size_t len)
{
	assert_string_equal(pairs[i].key, key);
	assert_int_equal(pairs[i].len, len);
	assert_memory_equal(pairs[i].value, value, len);
}

static void
assert_survives(const void *value, size_t len)
{
	struct span s = {value, len};
	const struct log_field fields[] = {LOG_STR("first", "1"),
	    LOG_SPAN("value", s), LOG_SPAN("again", s), LOG_UINT("last", 2),
	    LOG_END};

	for (enum log_format f = LOG_TEXT; f <= LOG_JSON; f++) {
		assert_int_equal(render(f, fields), 4);
		assert_value(0, "first", "1", 1);
		assert_value(1, "value", value, len);
		assert_value(2, "again", value, len);
		assert_value(3, "last", "2", 1);
	}
}

static void
every_octet_survives(void **state)
{
	(void)state;
	assert_survives("", 0);
	for (unsigned c = 0; c < 256; c++) {
		char s[] = {(char)c, 'a', (char)c, (char)c, '\0'};

		for (size_t from = 0; from < 4; from++)
			for (size_t n = 1; n <= 5 - from; n++)
				assert_survives(s + from, n);
	}
}

/* Words of both syntaxes and pieces of characters, in any order. */
static void
nothing_forges(void **state)
{
	static const char *const words[] = {" ", "=", "\"", "\\", "\n", "\r",
	    "\\n", "\\\"", "\\x", "\\u", "000a", " event=", "\",\"event\":\"",
	    "}", "{", ",", ":", "\n<0>", "x", "\xc3", "\xa9", "\xc2\x9b",
	    "\xe2\x80", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\xff", "%s%n",
	    "\x7f", "\x1b[2J", "info", "cut=1", "..."};
	uint64_t seed = 88172645463325252ULL;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char s[256];
		size_t len = 0;

		for (unsigned k = 0; k < 1 + round % 12; k++) {
			const char *w;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			w = words[seed % (sizeof(words) / sizeof(words[0]))];
			memcpy(s + len, w, strlen(w));
			len += strlen(w);
		}
		assert_survives(s, len);
	}
}

static void
assert_line(enum log_format format, const struct log_field *fields,
    const char *want)
{
	struct buf out = {0};

	log_render(&out, format, NOW, LOG_WARN, "event", fields);
	buf_append(&out, "", 1);
	assert_string_equal(out.data, want);
	buf_free(&out);
}

static void
known_lines(void **state)
{
	struct ipaddr v4 = ipaddr_v4((const uint8_t[]){192, 0, 2, 1});
	struct ipaddr v6 = ipaddr_v6((const uint8_t[16]){0x20, 1, [15] = 1});
	const struct log_field fields[] = {LOG_IP("a", &v4), LOG_IP("b", &v6),
	    LOG_UINT("c", UINT64_MAX), LOG_INT("d", INT64_MIN),
	    LOG_STR("e", NULL), LOG_SPAN("f", ((struct span){NULL, 0})),
	    LOG_STR("g", ""), LOG_STR("h", "a@b.c"), LOG_STR("i", "a=b"),
	    LOG_STR("j", "\"\\\n\r\t\x01\x7f"),
	    LOG_STR("k", "\xc3\xa9\xff\xc2\x9b\xe2\x80\xa8"), LOG_ERRNO(ENOENT),
	    LOG_END};

	(void)state;
	assert_line(LOG_TEXT, fields,
	    "2026-11-24T08:11:56.123Z warn event a=192.0.2.1 b=2001::1 "
	    "c=18446744073709551615 d=-9223372036854775808 g=\"\" h=a@b.c "
	    "i=\"a=b\" j=\"\\\"\\\\\\n\\r\\t\\x01\\x7f\" "
	    "k=\"\xc3\xa9\\xff\\xc2\\x9b\\xe2\\x80\\xa8\" "
	    "error=\"No such file or directory\"");
	assert_line(LOG_JSON, fields,
	    "{\"time\":\"2026-11-24T08:11:56.123Z\",\"level\":\"warn\","
	    "\"event\":\"event\",\"a\":\"192.0.2.1\",\"b\":\"2001::1\","
	    "\"c\":18446744073709551615,\"d\":-9223372036854775808,"
	    "\"g\":\"\",\"h\":\"a@b.c\",\"i\":\"a=b\","
	    "\"j\":\"\\\"\\\\\\n\\r\\t\\u0001\\u007f\","
	    "\"k\":\"\xc3\xa9\\u00ff\\u00c2\\u009b\\u00e2\\u0080\\u00a8\","
	    "\"error\":\"No such file or directory\"}");
}

/* A long value is cut, keeps its beginning, and hides no other field. */
static void
long_values_are_cut(void **state)
{
	static const char *const fill[] = {"x", " ", "\"", "\x01", "\xff",
	    "\xf0\x9f\x98\x80"};
	static char s[9000];

	(void)state;
	for (size_t k = 0; k < sizeof(fill) / sizeof(fill[0]); k++) {
		size_t w = strlen(fill[k]);

		for (size_t n = 0; n + w <= sizeof(s); n += w)
			memcpy(s + n, fill[k], w);
		for (size_t len = 900; len <= sizeof(s); len += 61) {
			const struct log_field fields[] = {LOG_SPAN("long",
							       ((struct span){s,
								   len})),
			    LOG_STR("last", "seen"), LOG_END};

			for (enum log_format f = LOG_TEXT; f <= LOG_JSON; f++) {
				size_t got;

				assert_int_equal(render(f, fields), 2);
				assert_value(1, "last", "seen", 4);
				got = pairs[0].len;
				if (got == len)
					continue;
				assert_true(got > 3 && got - 3 < len);
				assert_memory_equal(pairs[0].value, s, got - 3);
				assert_memory_equal(pairs[0].value + got - 3,
				    "...", 3);
			}
		}
	}
}

/* Whatever the length at which the room ends, and whatever comes then. */
static void
full_lines_stay_lines(void **state)
{
	struct ipaddr ip;
	static char s[1000];

	(void)state;
	memset(s, 'x', sizeof(s));
	memset(ip.bytes, 0xff, sizeof(ip.bytes));
	ip = ipaddr_v6(ip.bytes);
	for (size_t len = 0; len <= sizeof(s); len++) {
		struct span v = {s, len}, full = {s, sizeof(s)};
		const struct log_field fields[] = {LOG_STR("session", "id"),
		    LOG_SPAN("a", full), LOG_SPAN("b", full),
		    LOG_SPAN("c", full), LOG_SPAN("d", v),
		    LOG_UINT("e", UINT64_MAX), LOG_IP("client", &ip),
		    LOG_SPAN("g", full), LOG_SPAN("h", full), LOG_END};

		for (enum log_format f = LOG_TEXT; f <= LOG_JSON; f++) {
			unsigned n = render(f, fields);

			assert_true(n >= 6 && n <= 9);
			assert_value(0, "session", "id", 2);
			assert_value(n - 1, "cut", "1", 1);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_octet_survives),
	    cmocka_unit_test(nothing_forges),
	    cmocka_unit_test(known_lines),
	    cmocka_unit_test(long_values_are_cut),
	    cmocka_unit_test(full_lines_stay_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

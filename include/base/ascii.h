/*
 * ascii: text without a locale; bounded numbers, sizes, durations.
 *
 * Bytes above 127 are never letters, digits or space here. All parsers take
 * a span, want all of it, and say with 0 (good) or -1 (not this) what they
 * found; the result is written only when it is good.
 */
#ifndef BASE_ASCII_H
#define BASE_ASCII_H

#include <stdint.h>

#include "base/buf.h"

static inline int
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline int
ascii_is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* 0 to 31 and 127 */
static inline int
ascii_is_control(char c)
{
	return (unsigned char)c < 32 || c == 127;
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Lower-cases ASCII letters in place. */
void ascii_fold(char *s, size_t n);
/* Puts '?' for all that is not printable ASCII, in place. */
void ascii_mask(char *s, size_t n);

/* Equal but for the case of ASCII letters. */
int ascii_equal(struct span a, struct span b);
static inline int
ascii_equal_str(struct span a, const char *b)
{
	struct span s = span_str(b);

	return a.len == s.len && ascii_equal(a, s);
}

/* Without blanks (SP and TAB) at either end. */
struct span ascii_trim(struct span s);

/* Decimal digits only (no sign, no blank), at most max. */
int ascii_parse_u64(struct span s, uint64_t max, uint64_t *r);

/* Bytes: "25M"; the units K, M, G, T (either case) are powers of 1024. */
int ascii_parse_size(struct span s, uint64_t *r);

/* Milliseconds: "500ms" "30s" "5m" "2h" "5d"; a bare "0" is none. */
int ascii_parse_duration(struct span s, uint64_t *r);

/* The decimal digits of n, without a NUL, zeros in front of them up to len;
 * returns where they end. */
#define ASCII_UINT_MAX 20
unsigned ascii_uint_len(uint64_t n);
char *ascii_put_uint(char *out, uint64_t n, size_t len);

/* The shortest text that parses back to the same value; NUL-terminated. */
#define ASCII_UNIT_MAX 24
void ascii_format_size(uint64_t bytes, char out[ASCII_UNIT_MAX]);
void ascii_format_duration(uint64_t ms, char out[ASCII_UNIT_MAX]);

#endif

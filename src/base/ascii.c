/*
 * ascii: letters, digits, numbers, sizes and durations, by the table of
 * RFC 20 and no other. Allocates nothing, asks no locale.
 */
#include "base/ascii.h"

#include <inttypes.h>
#include <stdio.h>

/* A unit and what it stands for; a table of these is sorted, largest last. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"K", 1ULL << 10},
    {"M", 1ULL << 20},
    {"G", 1ULL << 30},
    {"T", 1ULL << 40},
};

static const struct unit duration_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60000},
    {"h", 3600000},
    {"d", 86400000},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void
ascii_fold(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s[i] = ascii_lower(s[i]);
}

void
ascii_mask(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			s[i] = '?';
}

int
ascii_equal(struct span a, struct span b)
{
	if (a.len != b.len)
		return 0;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return 0;
	}
	return 1;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span
ascii_trim(struct span s)
{
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	while (s.len && is_blank(s.ptr[0]))
		span_skip(&s, 1);
	return s;
}

int
ascii_parse_u64(struct span s, uint64_t max, uint64_t *r)
{
	uint64_t n = 0;

	if (!s.len)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit;

		if (!ascii_is_digit(s.ptr[i]))
			return -1;
		digit = (uint64_t)(s.ptr[i] - '0');
		if (digit > max || n > (max - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	*r = n;
	return 0;
}

/* Takes the digits off the front of *s. */
static struct span
split_digits(struct span *s)
{
	struct span digits = {s->ptr, 0};

	while (digits.len < s->len && ascii_is_digit(s->ptr[digits.len]))
		digits.len++;
	span_skip(s, digits.len);
	return digits;
}

/* n units, unless that is more than 64 bits. */
static int
scale(struct span digits, const struct unit *u, uint64_t *r)
{
	uint64_t n;

	if (ascii_parse_u64(digits, UINT64_MAX / u->factor, &n))
		return -1;
	*r = n * u->factor;
	return 0;
}

int
ascii_parse_size(struct span s, uint64_t *r)
{
	struct span digits = split_digits(&s);

	for (size_t i = 0; i < COUNT(size_units); i++) {
		if (ascii_equal_str(s, size_units[i].name))
			return scale(digits, &size_units[i], r);
	}
	return -1;
}

/* The case counts here: whoever writes 5M may well mean months. */
int
ascii_parse_duration(struct span s, uint64_t *r)
{
	struct span digits;

	if (span_equal(s, SPAN_LIT("0"))) {
		*r = 0;
		return 0;
	}
	digits = split_digits(&s);
	for (size_t i = 0; i < COUNT(duration_units); i++) {
		if (span_equal(s, span_str(duration_units[i].name)))
			return scale(digits, &duration_units[i], r);
	}
	return -1;
}

unsigned
ascii_uint_len(uint64_t n)
{
	unsigned len = 1;

	for (uint64_t least = 10; n >= least; least *= 10)
		if (++len == ASCII_UINT_MAX) /* the next would be beyond */
			break;
	return len;
}

char *
ascii_put_uint(char *out, uint64_t n, size_t len)
{
	for (char *p = out + len; p > out; n /= 10)
		*--p = (char)('0' + n % 10);
	return out + len;
}

/* The largest unit that leaves no rest is the shortest text. */
static void
format(uint64_t n, const struct unit *units, size_t count,
    char out[ASCII_UNIT_MAX])
{
	size_t i = count - 1;

	if (!n) {
		snprintf(out, ASCII_UNIT_MAX, "0");
		return;
	}
	while (n % units[i].factor)
		i--;
	snprintf(out, ASCII_UNIT_MAX, "%" PRIu64 "%s", n / units[i].factor,
	    units[i].name);
}

void
ascii_format_size(uint64_t bytes, char out[ASCII_UNIT_MAX])
{
	format(bytes, size_units, COUNT(size_units), out);
}

void
ascii_format_duration(uint64_t ms, char out[ASCII_UNIT_MAX])
{
	format(ms, duration_units, COUNT(duration_units), out);
}

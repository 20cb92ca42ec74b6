/*
 * log_read: the two syntaxes of the log, written down a second time.
 *
 * JSON is RFC 8259 as far as the log uses it: one flat object of strings
 * and integers, no white space. No key may come twice.
 */
#include "log_read.h"

#include <stdbool.h>
#include <string.h>

static bool
take(const char **p, const char *what)
{
	size_t n = strlen(what);

	if (strncmp(*p, what, n) != 0)
		return false;
	*p += n;
	return true;
}

/* Octets of one set, at least one, into out. */
static bool
take_set(const char **p, const char *set, char *out, size_t size)
{
	size_t n = strspn(*p, set);

	if (!n || n >= size)
		return false;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n;
	return true;
}

static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *d = c ? strchr(digits, c) : NULL;

	return d ? (int)(d - digits) : -1;
}

/* Behind a backslash: the octet, or -1. unicode: what stands before HH. */
static int
take_escape(const char **p, const char *unicode)
{
	static const char letter[] = "nrt\"\\";
	const char *l = **p ? strchr(letter, **p) : NULL;
	int high, low;

	if (l) {
		*p += 1;
		return "\n\r\t\"\\"[l - letter];
	}
	if (!take(p, unicode))
		return -1;
	high = hex(**p);
	low = high < 0 ? -1 : hex((*p)[1]);
	if (low < 0)
		return -1;
	*p += 2;
	return high << 4 | low;
}

/* Behind the opening quote, up to and with the closing one. */
static bool
take_quoted(const char **p, const char *unicode, struct log_pair *r)
{
	r->len = 0;
	while (**p != '"') {
		int c = (unsigned char)*(*p)++;

		if (c == '\\')
			c = take_escape(p, unicode);
		else if (c < 32 || c == 127)
			return false;
		if (c < 0 || r->len == sizeof(r->value) - 1)
			return false;
		r->value[r->len++] = (char)c;
	}
	r->value[r->len] = '\0';
	*p += 1;
	return true;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"
#define BARE  LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGIT "._:/@+,-[]<>%*"

static bool
is_twice(const struct log_pair *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(r[i].key, r[n].key) == 0)
			return true;
	return false;
}

unsigned
log_read_text(const char *line, struct log_pair *r, unsigned max)
{
	char word[32];
	unsigned n = 0;

	if (!take_set(&line, LOWER, word, sizeof(word)) || !take(&line, " ") ||
	    !take_set(&line, LOWER "-", word, sizeof(word)))
		return LOG_READ_BAD;
	for (; *line; n++) {
		struct log_pair *f = r + n;

		if (n == max || !take(&line, " ") ||
		    !take_set(&line, LOWER "_", f->key, sizeof(f->key)) ||
		    !take(&line, "=") || is_twice(r, n))
			return LOG_READ_BAD;
		if (take(&line, "\"")) {
			if (!take_quoted(&line, "x", f))
				return LOG_READ_BAD;
		} else {
			if (!take_set(&line, BARE, f->value, sizeof(f->value)))
				return LOG_READ_BAD;
			f->len = strlen(f->value);
		}
	}
	return n;
}

/* An integer without a leading zero. */
static bool
take_number(const char **p, struct log_pair *r)
{
	const char *sign = take(p, "-") ? "-" : "";

	r->len = strlen(sign);
	memcpy(r->value, sign, r->len);
	if (!take_set(p, DIGIT, r->value + r->len, sizeof(r->value) - r->len))
		return false;
	if (r->value[r->len] == '0' && r->value[r->len + 1])
		return false;
	r->len = strlen(r->value);
	return true;
}

static bool
take_member(const char **p, struct log_pair *r)
{
	return take(p, "\"") &&
	       take_set(p, LOWER "_", r->key, sizeof(r->key)) &&
	       take(p, "\":") &&
	       (take(p, "\"") ? take_quoted(p, "u00", r) : take_number(p, r));
}

unsigned
log_read_json(const char *line, struct log_pair *r, unsigned max)
{
	unsigned n = 0;

	if (!take(&line, "{") || !take_member(&line, r) ||
	    strcmp(r->key, "level") != 0 || !take(&line, ",") ||
	    !take_member(&line, r) || strcmp(r->key, "event") != 0)
		return LOG_READ_BAD;
	for (; take(&line, ","); n++)
		if (n == max || !take_member(&line, r + n) || is_twice(r, n))
			return LOG_READ_BAD;
	return take(&line, "}") && !*line ? n : LOG_READ_BAD;
}

/*
 * idn: libidn2 for those names that need it. No state, no locale.
 */
#include "io/idn.h"

#include <idn2.h>
#include <stdint.h>
#include <string.h>

#include "base/ascii.h"

static bool
is_ascii(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] > 127)
			return false;
	}
	return true;
}

/* The mapping makes blanks and slashes of some letters. */
static bool
is_domain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_alpha(s[i]) && !ascii_is_digit(s[i]) &&
		    !strchr("-_.", s[i]))
			return false;
	}
	return n > 0 && n <= IDN_MAX;
}

/* key holds the name as it was written. */
static int
convert(char key[IDN_MAX + 1])
{
	const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	uint8_t *found = NULL;
	size_t n;
	int r = -1;

	if (idn2_lookup_u8((const uint8_t *)key, &found, flags) != IDN2_OK)
		return -1;
	n = strlen((const char *)found);
	if (is_domain((const char *)found, n)) {
		memcpy(key, found, n + 1);
		ascii_fold(key, n);
		r = 0;
	}
	idn2_free(found);
	return r;
}

int
idn_key(struct span name, char key[IDN_MAX + 1])
{
	if (name.len > IDN_MAX)
		return -1;
	if (name.len)
		memcpy(key, name.ptr, name.len);
	key[name.len] = '\0';
	if (strlen(key) != name.len)
		return -1;
	if (!is_ascii(key, name.len))
		return convert(key);
	ascii_fold(key, name.len);
	return 0;
}

bool
idn_equal(struct span a, struct span b)
{
	char key[2][IDN_MAX + 1];

	return !idn_key(a, key[0]) && !idn_key(b, key[1]) &&
	       strcmp(key[0], key[1]) == 0;
}

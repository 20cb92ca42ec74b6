/*
 * smtp_foreign: tells HTTP, TLS and the PROXY protocol by how they begin.
 *
 * Each is known at one octet, the same one however the input was cut. A
 * request line may be longer than any line of ours: then its method tells.
 */
#include "proto/smtp_foreign.h"

#include <stdbool.h>
#include <string.h>

#include "base/ascii.h"

/* s is not empty. */
static bool
begins(struct span s, const char *word)
{
	size_t n;

	if (ascii_lower(s.ptr[0]) != ascii_lower(word[0]))
		return false;
	n = strlen(word);
	return s.len >= n && ascii_equal_str((struct span){s.ptr, n}, word);
}

static bool
is_request(struct span line)
{
	static const char *const methods[] = {"GET ", "POST ", "HEAD ", "PUT ",
	    "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI "};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (begins(line, methods[i]))
			return true;
	return memmem(line.ptr, line.len, " HTTP/", 6) != NULL;
}

enum smtp_foreign
smtp_foreign_tell(struct span in, unsigned empty, size_t *len)
{
	struct span line = {in.ptr, *len};

	if (in.len >= 2 && memcmp(in.ptr, "\x16\x03", 2) == 0) {
		*len = 2;
		return SMTP_FOREIGN_TLS;
	}
	if (!line.len)
		return SMTP_FOREIGN_NOT;
	/* version 2 begins with CR LF CR LF NUL */
	if ((empty == 2 && line.ptr[0] == '\0') || begins(line, "PROXY "))
		return SMTP_FOREIGN_PROXY;
	return is_request(line) ? SMTP_FOREIGN_HTTP : SMTP_FOREIGN_NOT;
}

const char *
smtp_foreign_name(enum smtp_foreign f)
{
	static const char *const names[] = {NULL, "HTTP", "TLS", "PROXY"};

	return names[f];
}

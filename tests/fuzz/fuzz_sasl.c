/*
 * SASL text: what is parsed lies in the message, is bounded and well-formed,
 * and says no more than the grammar allows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

/* A part of the message, in it, without an octet that separates. */
static void
check_part(struct span part, struct span message, char separator)
{
	check(part.ptr >= message.ptr &&
	      part.ptr + part.len <= message.ptr + message.len);
	check(utf8_valid(part) && !memchr(part.ptr, separator, part.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = {n ? (const char *)data : NULL, n};
	struct sasl_plain plain;
	struct scram_first first;
	struct scram_final final;

	if (sasl_plain_parse(s, &plain) == 0) {
		check_part(plain.authzid, s, '\0');
		check_part(plain.user, s, '\0');
		check_part(plain.password, s, '\0');
		check(plain.authzid.len + plain.user.len + plain.password.len +
			  2 ==
		      n);
	}
	if (scram_first_parse(s, &first) == 0) {
		check_part(first.nonce, s, ',');
		check(first.gs2.len + first.bare.len == n && first.user.len);
		check(utf8_valid(buf_span(&first.user)));
		buf_free(&first.user);
		buf_free(&first.authzid);
	}
	if (scram_final_parse(s, &final) == 0) {
		check_part(final.nonce, s, ',');
		check(final.without_proof.len + 3 + 44 == n);
		buf_free(&final.binding);
	}
	return 0;
}

/*
 * base64: three octets to four letters and back, strict in both ways.
 */
#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct span in, struct buf *out)
{
	while (in.len) {
		size_t n = in.len < 3 ? in.len : 3;
		uint32_t v = 0;
		char *p = buf_reserve(out, 4);

		for (size_t i = 0; i < 3; i++)
			v = v << 8 | (i < n ? (unsigned char)in.ptr[i] : 0);
		for (int i = 3; i >= 0; i--, v >>= 6)
			p[i] = alphabet[v & 63];
		for (size_t i = n + 1; i < 4; i++)
			p[i] = '=';
		out->len += 4;
		span_skip(&in, n);
	}
}

/* The six bits of a letter, -1 for what is none. */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four letters, the last `pad` of them '='. */
static int
decode_group(const char *p, unsigned pad, char *out)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int six = i < 4 - pad ? value_of(p[i]) : 0;

		if (six < 0)
			return -1;
		v = v << 6 | (uint32_t)six;
	}
	/* bits that belong to no octet: another spelling of the same text */
	if (v & ((1u << (8 * pad)) - 1))
		return -1;
	for (unsigned i = 0; i < 3 - pad; i++)
		out[i] = (char)(unsigned char)(v >> (16 - 8 * i));
	return 0;
}

static unsigned
padding(struct span in)
{
	if (!in.len || in.ptr[in.len - 1] != '=')
		return 0;
	return in.ptr[in.len - 2] == '=' ? 2 : 1;
}

int
base64_decode(struct span in, struct buf *out)
{
	size_t before = out->len;
	unsigned pad;

	if (in.len % 4)
		return -1;
	pad = padding(in);
	for (size_t i = 0; i < in.len; i += 4) {
		unsigned here = i + 4 == in.len ? pad : 0;
		char *p = buf_reserve(out, 3);

		if (decode_group(in.ptr + i, here, p) < 0) {
			out->len = before;
			return -1;
		}
		out->len += 3 - here;
	}
	return 0;
}

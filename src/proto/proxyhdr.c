/*
 * proxyhdr: one octet after the other, and wrong at the first that is.
 *
 * Names of things behind the addresses (TLVs) are counted and dropped: nothing
 * here believes them.
 */
#include "proto/proxyhdr.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/ascii.h"

#define V2_FIXED 16 /* signature, version and command, family, length */
#define V2_V4    12 /* two addresses, two ports */
#define V2_V6    36

static const char v1_begin[] = "PROXY ";
static const uint8_t v2_begin[12] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n',
    'Q', 'U', 'I', 'T', '\n'};

/* --- version 1: a line --- */

/* Takes a word and the one space behind it, or all that is left. */
static struct span
next_word(struct span *line)
{
	const char *sp = line->len ? memchr(line->ptr, ' ', line->len) : NULL;
	struct span word = {line->ptr,
	    sp ? (size_t)(sp - line->ptr) : line->len};

	span_skip(line, word.len + (sp ? 1 : 0));
	return word;
}

/* Of the family that was announced, in its own spelling. */
static bool
take_address(struct span *line, bool v6, struct ipaddr *a)
{
	struct span word = next_word(line);

	return word.len && (memchr(word.ptr, ':', word.len) != NULL) == v6 &&
	       ipaddr_parse(word, a) == 0;
}

static bool
take_port(struct span *line, uint16_t *port)
{
	struct span word = next_word(line);
	uint64_t n;

	if ((word.len > 1 && word.ptr[0] == '0') ||
	    ascii_parse_u64(word, UINT16_MAX, &n) < 0)
		return false;
	*port = (uint16_t)n;
	return true;
}

static enum proxyhdr_step
read_line(struct proxyhdr *h, struct span line)
{
	struct span family = next_word(&line);
	bool v6 = span_equal(family, SPAN_LIT("TCP6"));
	struct ipaddr server;
	uint16_t port;

	if (span_equal(family, SPAN_LIT("UNKNOWN")))
		return PROXYHDR_LOCAL;
	if (!v6 && !span_equal(family, SPAN_LIT("TCP4")))
		return PROXYHDR_BAD;
	if (!take_address(&line, v6, &h->client) ||
	    !take_address(&line, v6, &server) || !take_port(&line, &h->port))
		return PROXYHDR_BAD;
	/* the last word: a space behind it would be another one */
	if (line.len && memchr(line.ptr, ' ', line.len))
		return PROXYHDR_BAD;
	return take_port(&line, &port) ? PROXYHDR_CLIENT : PROXYHDR_BAD;
}

static enum proxyhdr_step
step_1(struct proxyhdr *h)
{
	unsigned n = h->have;
	uint8_t c = h->bytes[n - 1];
	bool cr = n > 1 && h->bytes[n - 2] == '\r';

	assert(n > 0);
	if (n < sizeof(v1_begin))
		return c == (uint8_t)v1_begin[n - 1] ? PROXYHDR_MORE
						     : PROXYHDR_BAD;
	if (cr != (c == '\n'))
		return PROXYHDR_BAD;
	if (cr)
		return read_line(h,
		    (struct span){(const char *)h->bytes + strlen(v1_begin),
			n - strlen(v1_begin) - 2});
	return n == PROXYHDR_BYTES ? PROXYHDR_BAD : PROXYHDR_MORE;
}

/* --- version 2: octets --- */

static unsigned
rest(const struct proxyhdr *h)
{
	return (unsigned)h->bytes[14] << 8 | h->bytes[15];
}

/* A connection of somebody else's, and not the proxy's own. */
static bool
is_for_another(const struct proxyhdr *h)
{
	return (h->bytes[12] & 15) == 1;
}

/* What its addresses take; 0: they are of no use here. */
static unsigned
addresses(const struct proxyhdr *h)
{
	if (!is_for_another(h))
		return 0;
	return h->bytes[13] == 0x11 ? V2_V4 : h->bytes[13] == 0x21 ? V2_V6 : 0;
}

/* Of the fixed octets the one that came last. */
static bool
fits(const struct proxyhdr *h)
{
	uint8_t c;

	assert(h->have > 0 && h->have <= V2_FIXED);
	c = h->bytes[h->have - 1];
	switch (h->have) {
	case 13:
		return c == 0x20 || c == 0x21;
	case 14: /* families and protocols that there are */
		return !is_for_another(h) || (c >> 4 <= 3 && (c & 15) <= 2);
	case 15:
		return true;
	case V2_FIXED:
		return rest(h) <= PROXYHDR_REST_MAX && rest(h) >= addresses(h);
	default:
		return c == v2_begin[h->have - 1];
	}
}

static enum proxyhdr_step
read_addresses(struct proxyhdr *h)
{
	unsigned size = addresses(h);
	const uint8_t *a = h->bytes + V2_FIXED;
	const uint8_t *port = a + size - 4;

	if (!size)
		return PROXYHDR_LOCAL;
	h->client = size == V2_V4 ? ipaddr_v4(a) : ipaddr_v6(a);
	h->port = (uint16_t)(port[0] << 8 | port[1]);
	return PROXYHDR_CLIENT;
}

static enum proxyhdr_step
step_2(struct proxyhdr *h)
{
	if (h->have <= V2_FIXED && !fits(h))
		return PROXYHDR_BAD;
	if (h->have < V2_FIXED || h->have < V2_FIXED + rest(h))
		return PROXYHDR_MORE;
	return read_addresses(h);
}

enum proxyhdr_step
proxyhdr_read(struct proxyhdr *h, struct span *in)
{
	enum proxyhdr_step step = PROXYHDR_MORE;

	while (in->len && step == PROXYHDR_MORE) {
		if (h->have < PROXYHDR_BYTES)
			h->bytes[h->have] = (uint8_t)*in->ptr;
		h->have++;
		span_skip(in, 1);
		step = h->bytes[0] == 'P' ? step_1(h) : step_2(h);
	}
	return step;
}

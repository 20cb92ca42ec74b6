/*
 * ipaddr: addresses and networks from text and to text.
 *
 * Values only: allocates nothing, asks no resolver. Text is taken whole or
 * not at all, and an address has one text form on the way out.
 */
#include "base/ipaddr.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

#define V6_GROUPS 8

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct ipaddr
ipaddr_v4(const uint8_t bytes[4])
{
	struct ipaddr a = {.family = IP_V4};

	memcpy(a.bytes, bytes, 4);
	return a;
}

struct ipaddr
ipaddr_v6(const uint8_t bytes[16])
{
	struct ipaddr a = {.family = IP_V6};

	if (!memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)))
		return ipaddr_v4(bytes + sizeof(mapped_prefix));
	memcpy(a.bytes, bytes, sizeof(a.bytes));
	return a;
}

struct ipaddr
ipaddr_client_net(const struct ipaddr *a)
{
	return a->family == IP_V6 ? ipnet_of(a, 64).addr : *a;
}

/* A decimal number without leading zeros. */
static int
parse_decimal(struct span s, uint64_t max, uint8_t *r)
{
	uint64_t n;

	if (s.len > 1 && s.ptr[0] == '0')
		return -1;
	if (ascii_parse_u64(s, max, &n))
		return -1;
	*r = (uint8_t)n;
	return 0;
}

/* Splits at the first c; *s becomes what is behind it. 0 if there is none. */
static int
split(struct span *s, char c, struct span *head)
{
	const char *at = s->len ? memchr(s->ptr, c, s->len) : NULL;

	if (!at)
		return 0;
	*head = (struct span){s->ptr, (size_t)(at - s->ptr)};
	span_skip(s, head->len + 1);
	return 1;
}

static int
parse_v4(struct span s, uint8_t out[4])
{
	for (unsigned i = 0; i < 3; i++) {
		struct span part;

		if (!split(&s, '.', &part) || parse_decimal(part, 255, &out[i]))
			return -1;
	}
	return parse_decimal(s, 255, &out[3]);
}

static int
hex_value(char c)
{
	c = ascii_lower(c);
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
parse_group(struct span s, uint8_t out[2])
{
	unsigned n = 0;

	if (!s.len || s.len > 4)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		int v = hex_value(s.ptr[i]);

		if (v < 0)
			return -1;
		n = n << 4 | (unsigned)v;
	}
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	return 0;
}

/*
 * Groups with single colons between them, the last one perhaps a dotted
 * quad. Returns the bytes written to out, at most 16, or -1.
 */
static int
parse_groups(struct span s, int quad_allowed, uint8_t out[16])
{
	struct span group;
	int n = 0;

	if (!s.len)
		return 0;
	while (split(&s, ':', &group)) {
		if (n > 14 || parse_group(group, out + n))
			return -1;
		n += 2;
	}
	if (quad_allowed && n <= 12 && parse_v4(s, out + n) == 0)
		return n + 4;
	if (n > 14 || parse_group(s, out + n))
		return -1;
	return n + 2;
}

/* The first "::", which splits the address into head and tail; or NULL. */
static const char *
find_gap(struct span s)
{
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.ptr[i] == ':' && s.ptr[i + 1] == ':')
			return s.ptr + i;
	}
	return NULL;
}

static int
parse_v6(struct span s, uint8_t out[16])
{
	const char *gap = find_gap(s);
	struct span head = s;
	uint8_t tail[16];
	int n, m;

	if (!gap)
		return parse_groups(s, 1, out) == 16 ? 0 : -1;
	head.len = (size_t)(gap - s.ptr);
	span_skip(&s, head.len + 2);
	n = parse_groups(head, 0, out);
	m = parse_groups(s, 1, tail);
	if (n < 0 || m < 0 || n + m > 14) /* the gap is one group at least */
		return -1;
	memset(out + n, 0, (size_t)(16 - n - m));
	memcpy(out + 16 - m, tail, (size_t)m);
	return 0;
}

int
ipaddr_parse(struct span s, struct ipaddr *r)
{
	uint8_t bytes[16];

	if (parse_v4(s, bytes) == 0)
		*r = ipaddr_v4(bytes);
	else if (parse_v6(s, bytes) == 0)
		*r = ipaddr_v6(bytes);
	else
		return -1;
	return 0;
}

int
ipaddr_cut_port(struct span *s, uint16_t *port)
{
	const char *end = s->ptr + s->len;
	const char *colon = s->len ? memrchr(s->ptr, ':', s->len) : NULL;
	uint64_t n;

	*port = 0;
	if (s->len && s->ptr[0] == '[') {
		const char *close = memchr(s->ptr, ']', s->len);

		if (!close || (close + 1 != end && close + 1 != colon))
			return -1;
		*s = (struct span){s->ptr + 1, (size_t)(close - s->ptr - 1)};
		if (close + 1 == end)
			return 0;
	} else if (!colon || memchr(s->ptr, ':', (size_t)(colon - s->ptr))) {
		return 0;
	} else {
		s->len = (size_t)(colon - s->ptr);
	}
	if (ascii_parse_u64((struct span){colon + 1, (size_t)(end - colon - 1)},
		65535, &n) < 0 ||
	    !n)
		return -1;
	*port = (uint16_t)n;
	return 0;
}

/* The longest run of zero groups, the first of equals; *len 0: none. */
static int
find_run(const uint8_t *b, int *len)
{
	int start = 0, best = 0;

	*len = 0;
	for (int i = 0; i < V6_GROUPS; i++) {
		if (b[2 * i] || b[2 * i + 1])
			start = i + 1;
		else if (i + 1 - start > *len) {
			best = start;
			*len = i + 1 - start;
		}
	}
	if (*len < 2) /* RFC 5952 4.2.2: one group is never shortened */
		*len = 0;
	return best;
}

static void
format_v6(const uint8_t *b, char out[IPADDR_STRLEN])
{
	int len, run = find_run(b, &len);
	size_t at = 0;

	for (int i = 0; i < V6_GROUPS; i++) {
		if (len && i == run) {
			out[at++] = ':';
			i += len - 1;
			if (i == V6_GROUPS - 1)
				out[at++] = ':';
			continue;
		}
		if (i)
			out[at++] = ':';
		at += (size_t)snprintf(out + at, IPADDR_STRLEN - at, "%x",
		    (unsigned)b[2 * i] << 8 | b[2 * i + 1]);
	}
	out[at] = '\0';
}

static char *
put_octet(char *out, unsigned n)
{
	if (n >= 100)
		*out++ = (char)('0' + n / 100);
	if (n >= 10)
		*out++ = (char)('0' + n / 10 % 10);
	*out++ = (char)('0' + n % 10);
	return out;
}

/* Some are in each message and each line of the log: no printf. */
static void
format_v4(const uint8_t *b, char *out)
{
	for (unsigned i = 0; i < 4; i++) {
		out = put_octet(out, b[i]);
		*out++ = i < 3 ? '.' : '\0';
	}
}

const char *
ipaddr_format(const struct ipaddr *a, char out[IPADDR_STRLEN])
{
	const uint8_t *b = a->bytes;

	out[0] = '\0';
	if (a->family == IP_V4)
		format_v4(b, out);
	else if (a->family == IP_V6)
		format_v6(b, out);
	return out;
}

int
ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b)
{
	return a->family == b->family &&
	       !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Do the first n bits agree? */
static int
bits_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	if (memcmp(a, b, n / 8))
		return 0;
	return !(n % 8) || (a[n / 8] ^ b[n / 8]) >> (8 - n % 8) == 0;
}

struct ipnet
ipnet_of(const struct ipaddr *a, unsigned prefix)
{
	struct ipnet n = {*a, (uint8_t)prefix};
	unsigned whole = (prefix + 7) / 8;

	if (prefix % 8)
		n.addr.bytes[prefix / 8] &= (uint8_t)(0xff00 >> (prefix % 8));
	memset(n.addr.bytes + whole, 0, sizeof(n.addr.bytes) - whole);
	return n;
}

/* Is nothing set behind the prefix? */
static int
host_bits_clear(const struct ipnet *n)
{
	struct ipnet masked = ipnet_of(&n->addr, n->prefix);

	return ipaddr_equal(&masked.addr, &n->addr);
}

int
ipnet_parse(struct span s, struct ipnet *r)
{
	struct ipnet net = {0};
	struct span prefix = s, text;
	unsigned skip, max;

	if (!split(&prefix, '/', &text))
		text = s;
	if (ipaddr_parse(text, &net.addr))
		return -1;
	/* ::ffff:192.0.2.0/120 is 192.0.2.0/24, as its address is */
	max = memchr(text.ptr, ':', text.len) ? 128 : 32;
	skip = max == 128 && net.addr.family == IP_V4 ? 96 : 0;
	net.prefix = (uint8_t)max;
	if (text.len < s.len && parse_decimal(prefix, max, &net.prefix))
		return -1;
	if (net.prefix < skip)
		return -1;
	net.prefix = (uint8_t)(net.prefix - skip);
	if (!host_bits_clear(&net))
		return -1;
	*r = net;
	return 0;
}

int
ipnet_contains(const struct ipnet *n, const struct ipaddr *a)
{
	return a->family != IP_NONE && a->family == n->addr.family &&
	       bits_equal(n->addr.bytes, a->bytes, n->prefix);
}

const char *
ipnet_format(const struct ipnet *n, char out[IPADDR_STRLEN + 4])
{
	char text[IPADDR_STRLEN];

	snprintf(out, IPADDR_STRLEN + 4, "%s/%u", ipaddr_format(&n->addr, text),
	    n->prefix);
	return out;
}

int
ipaddr_is_private(const struct ipaddr *a)
{
	static const char *const nets[] = {"0.0.0.0", "10.0.0.0/8",
	    "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	    "192.168.0.0/16", "::", "::1", "fc00::/7", "fe80::/10"};
	struct ipnet net;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (ipnet_parse(span_str(nets[i]), &net) == 0 &&
		    ipnet_contains(&net, a))
			return 1;
	return 0;
}

int
ipaddr_is_loopback(const struct ipaddr *a)
{
	static const uint8_t v6[16] = {[15] = 1};

	return a->family == IP_V4
		   ? a->bytes[0] == 127
		   : a->family == IP_V6 && !memcmp(a->bytes, v6, sizeof(v6));
}

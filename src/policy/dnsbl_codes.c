/*
 * dnsbl_codes: only what is configured counts as a listing. What else a list
 * may answer, and what comes from somebody who stands between, says nothing
 * of a client.
 */
#include "policy/dnsbl_codes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "io/resolve.h"

static const struct dnsbl_code loopback = {{127, 0, 0, 1}, {127, 0, 0, 1}, 0};
static const struct dnsbl_code errors = {{127, 255, 255, 0},
    {127, 255, 255, 255}, 0};

/* --- codes --- */

/* "N" or "N-M" off the front of s, and the point behind it. */
static bool
cut_octet(struct span *s, bool last, uint8_t *from, uint8_t *to)
{
	const char *end = last ? s->ptr + s->len : memchr(s->ptr, '.', s->len);
	struct span first = {s->ptr, end ? (size_t)(end - s->ptr) : 0}, second;
	const char *dash = first.len ? memchr(first.ptr, '-', first.len) : NULL;
	uint64_t a, b;

	if (!end)
		return false;
	second = first;
	if (dash) {
		first.len = (size_t)(dash - first.ptr);
		span_skip(&second, first.len + 1);
	}
	if (ascii_parse_u64(first, 255, &a) || ascii_parse_u64(second, 255, &b))
		return false;
	*from = (uint8_t)a;
	*to = (uint8_t)b;
	span_skip(s, (size_t)(end - s->ptr) + !last);
	return a <= b;
}

static bool
parse_weight(struct span s, int *r)
{
	bool minus = s.len && s.ptr[0] == '-';
	uint64_t n;

	span_skip(&s, minus);
	if (ascii_parse_u64(s, DNSBL_WEIGHT_MAX, &n))
		return false;
	*r = minus ? -(int)n : (int)n;
	return true;
}

static bool
parse(struct span text, struct dnsbl_code *r)
{
	const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
	struct span code, weight = text;

	if (!colon)
		return false;
	code = (struct span){text.ptr, (size_t)(colon - text.ptr)};
	span_skip(&weight, code.len + 1);
	code = ascii_trim(code);
	for (unsigned i = 0; i < 4; i++)
		if (!cut_octet(&code, i == 3, &r->from[i], &r->to[i]))
			return false;
	return parse_weight(ascii_trim(weight), &r->weight);
}

const char *
dnsbl_code_parse(struct span text, struct dnsbl_code *r)
{
	if (!parse(text, r))
		return "write a code and its weight, such as "
		       "\"127.0.0.2-3: 5\" or \"127.0.2-15.1: -2\", with a "
		       "weight from -1000 to 1000";
	if (r->from[0] != 127 || r->to[0] != 127)
		return "lists answer within 127.0.0.0/8: begin it with 127";
	if (dnsbl_codes_meet(r, &loopback))
		return "127.0.0.1 is what filters answer that do not let a "
		       "question through: leave it out";
	if (dnsbl_codes_meet(r, &errors))
		return "127.255.255.0 to 127.255.255.255 are errors of lists, "
		       "and would be taken for listings: leave them out";
	return NULL;
}

bool
dnsbl_codes_meet(const struct dnsbl_code *a, const struct dnsbl_code *b)
{
	for (unsigned i = 0; i < 4; i++)
		if (a->to[i] < b->from[i] || b->to[i] < a->from[i])
			return false;
	return true;
}

int
dnsbl_most(const struct dnsbl_zone *z)
{
	int most = 0;

	for (unsigned i = 0; i < z->ncodes; i++)
		if (z->codes[i].weight > most)
			most = z->codes[i].weight;
	return most;
}

int
dnsbl_least(const struct dnsbl_zone *z)
{
	int least = 0;

	for (unsigned i = 0; i < z->ncodes; i++)
		if (z->codes[i].weight < least)
			least = z->codes[i].weight;
	return least;
}

/* --- answers --- */

const struct dnsbl_fault_text dnsbl_faults[DNSBL_FAULTS] = {
    [DNSBL_WELL] = {"", ""},
    [DNSBL_SILENT] = {"it does not answer",
	"is the zone's name right, and does it answer the resolver of "
	"dns { servers }? It is asked again every 10 seconds"},
    [DNSBL_EVERYBODY] = {"it lists loopback addresses, so it may list "
			 "everybody",
	"lists that are given up do this: look whether it still exists, and "
	"take its dnsbl block out if not"},
    [DNSBL_NOBODY] = {"it does not list 127.0.0.2",
	"is the zone's name right, and is it still there? For a list that "
	"never had test entries (RFC 5782) write test = no"},
    [DNSBL_FOREIGN] = {"it answers with addresses outside of 127.0.0.0/8",
	"its domain was sold, or the resolver answers what does not exist: "
	"ask one of your own, dns { servers = { \"127.0.0.1\" } }"},
    [DNSBL_BLOCKED] = {"it answers 127.0.0.1",
	"a filter stands between: ask a resolver of your own, "
	"dns { servers = { \"127.0.0.1\" } }"},
    [DNSBL_MISTYPED] = {"it answers 127.255.255.252: there is no such zone",
	"the zone's name has a typing error"},
    [DNSBL_PUBLIC] = {"it answers 127.255.255.254: it does not serve public "
		      "resolvers",
	"ask a resolver of your own, dns { servers = { \"127.0.0.1\" } }"},
    [DNSBL_TOO_MANY] = {"it refuses to answer: too many questions",
	"it serves so many to subscribers only, or the resolver is shared "
	"with others: ask one of your own, "
	"dns { servers = { \"127.0.0.1\" } }"},
    [DNSBL_ERROR] = {"it answers with an error of its own",
	"127.255.255.0/24 are errors: see what its operator says of them"},
};

const char *
dnsbl_question(const struct ipaddr *a, const char *zone,
    char out[DNS_NAME_MAX + 1])
{
	char reverse[RESOLVE_REVERSE_MAX];
	const char *suffix = a->family == IP_V6 ? ".ip6.arpa" : ".in-addr.arpa";
	size_t n = strlen(resolve_reverse(a, reverse)) - strlen(suffix);

	snprintf(out, DNS_NAME_MAX + 1, "%.*s.%s", (int)n, reverse, zone);
	return out;
}

static bool
is_in(const struct dnsbl_code *c, const uint8_t a[4])
{
	for (unsigned i = 0; i < 4; i++)
		if (a[i] < c->from[i] || a[i] > c->to[i])
			return false;
	return true;
}

static enum dnsbl_fault
fault_of(const uint8_t a[4])
{
	if (a[0] != 127)
		return DNSBL_FOREIGN;
	if (is_in(&loopback, a))
		return DNSBL_BLOCKED;
	if (!is_in(&errors, a))
		return DNSBL_WELL;
	switch (a[3]) {
	case 252:
		return DNSBL_MISTYPED;
	case 254:
		return DNSBL_PUBLIC;
	case 255:
		return DNSBL_TOO_MANY;
	default:
		return DNSBL_ERROR;
	}
}

/* One that is configured may mean what it likes. */
static struct dnsbl_answer
read_code(const struct dnsbl_zone *z, const uint8_t a[4])
{
	static const uint8_t refused[4] = {127, 0, 0, 255}; /* of dnswl.org */
	struct dnsbl_answer r = {DNSBL_SAID_CODE, fault_of(a), 0,
	    {a[0], a[1], a[2], a[3]}};

	for (unsigned i = 0; !r.fault && i < z->ncodes; i++)
		if (is_in(&z->codes[i], a)) {
			r.said = DNSBL_SAID_LISTED;
			r.weight = z->codes[i].weight;
			return r;
		}
	if (memcmp(a, refused, 4) == 0)
		r.fault = DNSBL_TOO_MANY;
	if (r.fault)
		r.said = DNSBL_SAID_WRONG;
	return r;
}

static bool
is_heavier(const struct dnsbl_answer *a, const struct dnsbl_answer *b)
{
	if (a->said != b->said)
		return a->said == DNSBL_SAID_LISTED;
	return abs(a->weight) > abs(b->weight);
}

struct dnsbl_answer
dnsbl_read(const struct dnsbl_zone *z, const struct dns_answer *a)
{
	struct dnsbl_answer r = {.said = DNSBL_SAID_NOT};

	if (a->status == DNS_FAILED) {
		r.said = a->why == DNS_OVERLOAD || a->why == DNS_DOWN ||
				 a->why == DNS_UNREACHABLE
			     ? DNSBL_SAID_UNASKED
			     : DNSBL_SAID_NOTHING;
		return r;
	}
	for (unsigned i = 0; a->status == DNS_FOUND && i < a->n; i++) {
		struct dnsbl_answer one =
		    read_code(z, a->records[i].addr.bytes);

		if (one.said == DNSBL_SAID_WRONG)
			return one;
		if (r.said == DNSBL_SAID_NOT || is_heavier(&one, &r))
			r = one;
	}
	return r;
}

/*
 * metrics: the rows of io/counters as text, and a few families that are no
 * rows. Reads what others write meanwhile: a histogram's count is the sum of
 * the buckets that were read, so that the two never disagree.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/quote.h"
#include "policy/dnsbl.h"
#include "version.h"

#define NAME_MAX_SHOWN 253 /* of a host's name */

static const char *const types[] = {
    [COUNTER_COUNT] = "counter",
    [COUNTER_LEVEL] = "gauge",
    [COUNTER_SAME] = "gauge",
    [COUNTER_RATIO] = "gauge",
    [COUNTER_SECONDS] = "histogram",
    [COUNTER_BATCH] = "histogram",
};

/* --- rows --- */

static void
put_number(struct buf *out, uint64_t n)
{
	buf_append_uint(out, n, 0);
	buf_append_str(out, "\n");
}

/* n of so many parts. */
static void
put_fraction(struct buf *out, uint64_t n, uint64_t parts, unsigned digits)
{
	buf_append_uint(out, n / parts, 0);
	buf_append_str(out, ".");
	buf_append_uint(out, n % parts, digits);
	buf_append_str(out, "\n");
}

/* "family{labels} " */
static void
put_name(struct buf *out, const struct counter *c)
{
	buf_append_str(out, c->family);
	if (*c->labels)
		buf_printf(out, "{%s}", c->labels);
	buf_append_str(out, " ");
}

/* What two processes write at once may be below 0 for a moment. */
static uint64_t
total(const struct shared *s, enum shared_counter at, bool same)
{
	int64_t n = same ? shared_largest(s, at) : shared_total(s, at);

	return n > 0 ? (uint64_t)n : 0;
}

static void
put_buckets(struct buf *out, const struct shared *s, const struct counter *c)
{
	const struct counter_bounds *b = counter_bounds(c->kind);
	const char *comma = *c->labels ? "," : "";
	uint64_t n = 0, sum;

	for (unsigned i = 0; i <= b->n; i++) {
		n += total(s, c->at + i, false);
		buf_printf(out, "%s_bucket{%s%sle=\"%s\"} ", c->family,
		    c->labels, comma, i < b->n ? b->le[i] : "+Inf");
		put_number(out, n);
	}
	sum = total(s, c->at + b->n + 1, false);
	for (unsigned i = 0; i < 2; i++) {
		buf_printf(out, *c->labels ? "%s_%s{%s} " : "%s_%s%s ",
		    c->family, i ? "sum" : "count", c->labels);
		if (i && c->kind == COUNTER_SECONDS)
			put_fraction(out, sum, 1000000000, 9);
		else
			put_number(out, i ? sum : n);
	}
}

static void
put_row(struct buf *out, const struct shared *s, const struct counter *c)
{
	switch (c->kind) {
	case COUNTER_SECONDS:
	case COUNTER_BATCH:
		put_buckets(out, s, c);
		break;
	case COUNTER_RATIO:
		put_name(out, c);
		put_fraction(out, total(s, c->at, true), 1000000, 6);
		break;
	default:
		put_name(out, c);
		put_number(out, total(s, c->at, c->kind == COUNTER_SAME));
	}
}

/* --- what is no row --- */

static void
put_build(struct buf *out, const struct metrics_source *from,
    const char *family)
{
	(void)from;
	buf_printf(out, "%s{version=\"" SMTPD_VERSION "\"} 1\n", family);
}

static void
put_replies(struct buf *out, const struct metrics_source *from,
    const char *family)
{
	struct shared_reply_count r[SHARED_REPLIES];
	unsigned n = shared_replies(from->shared, r);

	if (r[0].n)
		buf_printf(out,
		    "%s{code=\"other\",enhanced=\"\"} %" PRIu64 "\n", family,
		    r[0].n);
	for (unsigned i = 1; i < n; i++) {
		uint32_t s = r[i].status;

		buf_printf(out, "%s{code=\"%" PRIu32 "\",enhanced=\"", family,
		    r[i].code);
		if (s)
			buf_printf(out, "%u.%u.%u", s >> 20, s >> 10 & 1023,
			    s & 1023);
		buf_printf(out, "\"} %" PRIu64 "\n", r[i].n);
	}
}

/* Of a name with several the one that ends first. */
static bool
ends_first(const struct tls *t, unsigned i)
{
	struct tls_end it, other;

	tls_end(t, i, &it);
	for (unsigned k = 0; tls_end(t, k, &other); k++)
		if (k != i && strcmp(other.name, it.name) == 0 &&
		    (other.at < it.at || (other.at == it.at && k < i)))
			return false;
	return true;
}

static void
put_certificates(struct buf *out, const struct metrics_source *from,
    const char *family)
{
	struct tls_end e;

	for (unsigned i = 0; from->tls && tls_end(from->tls, i, &e); i++) {
		if (!ends_first(from->tls, i))
			continue;
		buf_printf(out, "%s{name=", family);
		quote_put(out, QUOTE_TEXT, NAME_MAX_SHOWN, span_str(e.name));
		buf_printf(out, "} %" PRId64 "\n", e.at);
	}
}

static void
put_sandbox(struct buf *out, const struct metrics_source *from,
    const char *family)
{
	buf_printf(out, "%s{seccomp=\"%s\",landlock=\"%d\"} 1\n", family,
	    from->sandbox->no_seccomp ? "no" : "yes", from->sandbox->landlock);
}

static void
put_dnsbl(struct buf *out, const struct metrics_source *from,
    const char *family)
{
	for (unsigned i = 0; from->lists && i < from->lists->n; i++) {
		const struct dnsbl_zone *z = &from->lists->zones[i];

		buf_printf(out, "%s{zone=\"%s\"} %d\n", family, z->name,
		    dnsbl_look(from->shared, z).state == DNSBL_GOOD);
	}
}

static const struct {
	const char *family, *type, *help;
	void (*put)(struct buf *out, const struct metrics_source *from,
	    const char *family);
} others[] = {
    {"smtpd_build_info", "gauge", "1, with the version that runs", put_build},
    {"smtpd_replies_total", "counter", "4xx and 5xx replies", put_replies},
    {"smtpd_certificate_expiry_timestamp_seconds", "gauge",
	"When a certificate ends, in seconds since 1970", put_certificates},
    {"smtpd_sandbox_info", "gauge", "1, with what holds the workers",
	put_sandbox},
    {"smtpd_dnsbl_good", "gauge", "1: this list is asked; 0: it is not well",
	put_dnsbl},
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

/* --- all --- */

static bool
begins_family(const struct counter *c)
{
	return c == counters || strcmp(c[-1].family, c->family) != 0;
}

static void
put_head(struct buf *out, const char *family, const char *type,
    const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family,
	    type);
}

void
metrics_render(struct buf *out, const struct metrics_source *from)
{
	for (const struct counter *c = counters; c->family; c++) {
		if (begins_family(c))
			put_head(out, c->family, types[c->kind], c->help);
		put_row(out, from->shared, c);
	}
	for (size_t i = 0; i < OTHERS; i++) {
		put_head(out, others[i].family, others[i].type, others[i].help);
		others[i].put(out, from, others[i].family);
	}
}

void
metrics_list(FILE *f)
{
	for (const struct counter *c = counters; c->family; c++)
		if (begins_family(c))
			fprintf(f, "%s\t%s\t%s\n", c->family, types[c->kind],
			    c->help);
	for (size_t i = 0; i < OTHERS; i++)
		fprintf(f, "%s\t%s\t%s\n", others[i].family, others[i].type,
		    others[i].help);
}

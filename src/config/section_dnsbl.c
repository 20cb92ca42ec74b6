/*
 * section_dnsbl: lists in the DNS, and what their answers weigh. Behind
 * checks, which says whether any of them is asked.
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "config/section.h"
#include "policy/dnsbl.h"
#include "proto/smtp_addr.h"

struct dnsbl_block {
	enum dnsbl_family family;
	bool test;
	struct dnsbl_code *codes;
	unsigned ncodes;
};

#define RESOLV_CONF "/etc/resolv.conf"

#define AT(member) offsetof(struct dnsbl_block, member)

static const struct config_key keys[] = {
    {"codes", KEY_LIST, .doc = "must be given",
	.help = "what its answers weigh: \"127.0.0.2-3: 5\""},
    {"family", KEY_WORD, AT(family), .def = "both",
	.words = {"both", "ipv4", "ipv6"}, .help = "the clients it knows"},
    {"test", KEY_BOOL, AT(test), .def = "yes",
	.help = "no: it has no test entries, so it is trusted untested"},
};

static struct config_block *
first_block(const struct config_all *all)
{
	return config_block_first(all, &section_dnsbl);
}

static bool
is_named_before(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *o = first_block(all);

	while (o != b && !ascii_equal_str(span_str(o->title), b->title))
		o = config_block_next(o);
	if (o != b)
		config_fault_twin(f, b, o);
	return o != b;
}

static void
check_name(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct span name = span_str(b->title);

	if (is_named_before(all, f, b))
		return;
	if (!smtp_domain_valid(name) || !memchr(name.ptr, '.', name.len) ||
	    name.len > DNSBL_ZONE_MAX)
		config_error(f, b->file, b->line,
		    "dnsbl \"%.80s\": write the name of its zone, such as "
		    "\"zen.spamhaus.org\", of at most %d characters",
		    b->title, DNSBL_ZONE_MAX);
}

/* Nobody would know which of them counts. */
static void
check_twins(struct config_faults *f, const struct dnsbl_block *d,
    const struct config_list *l, const struct config_item *item,
    const struct dnsbl_code *code)
{
	for (unsigned i = 0; i < d->ncodes; i++)
		if (dnsbl_codes_meet(&d->codes[i], code)) {
			config_error(f, item->file, item->line,
			    "codes \"%.80s\": some of these are in \"%.80s\", "
			    "too: write each once",
			    item->text, l->items[i].text);
			return;
		}
}

static void
read_codes(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_list *l = config_values(b, "codes");
	struct dnsbl_block *d = b->data;

	for (unsigned i = 0; i < l->n; i++) {
		struct dnsbl_code code = {.weight = 0};
		const char *why =
		    dnsbl_code_parse(span_str(l->items[i].text), &code);

		config_fault_item(f, "codes", &l->items[i], why);
		if (!why)
			check_twins(f, d, l, &l->items[i], &code);
		d->codes = config_array_add(&all->arena, d->codes, &d->ncodes,
		    &code, sizeof(code));
	}
}

static void
add(struct config_all *all, const struct config_block *b)
{
	const struct dnsbl_block *d = b->data;
	char *name = arena_dup(&all->arena, span_str(b->title));
	const struct dnsbl_zone z = {.name = name,
	    .at = {b->file, b->line},
	    .family = d->family,
	    .untested = !d->test,
	    .codes = d->codes,
	    .ncodes = d->ncodes};

	ascii_fold(name, strlen(name));
	if (!all->dnsbl)
		all->dnsbl = arena_alloc(&all->arena, sizeof(*all->dnsbl));
	all->zones = config_array_add(&all->arena, all->zones, &all->dnsbl->n,
	    &z, sizeof(z));
	all->dnsbl->zones = all->zones;
	if (all->pub.door.dnsbl.act)
		all->pub.door.lists = all->dnsbl;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	check_name(all, f, b);
	if (!config_values(b, "codes")->n)
		config_error(f, b->file, b->line,
		    "dnsbl \"%.80s\": codes is missing: write what its answers "
		    "weigh, such as codes = { \"127.0.0.2-11: 5\" }",
		    b->title);
	read_codes(all, f, b);
	add(all, b);
	if (all->dnsbl->n == DNSBL_MAX + 1)
		config_error(f, b->file, b->line,
		    "dnsbl \"%.80s\": this is one more than the %d that may be "
		    "asked",
		    b->title, DNSBL_MAX);
}

/* --- all of them --- */

/* The line that says so, or where else it should be said. */
static struct config_item
where(const struct config_all *all, const char *key)
{
	struct config_item at =
	    config_where(config_block_first(all, &section_checks), key);
	const struct config_block *b = first_block(all);

	if (!at.text && b)
		at = (struct config_item){NULL, b->file, b->line};
	return at;
}

/* That nobody is ever refused is meant only where all lists are kind. */
static void
check_reach(const struct config_all *all, struct config_faults *f,
    const struct dnsbl *lists)
{
	unsigned refuse_at = all->pub.door.refuse_at;
	struct config_item at = where(all, "refuse-at");
	int most = 0;

	for (unsigned i = 0; i < lists->n; i++)
		most += dnsbl_most(&lists->zones[i]);
	if (most && most < (int)refuse_at)
		config_error(f, at.file, at.line,
		    "refuse-at = %u is never reached: all dnsbl together come "
		    "to %d: write refuse-at = %d, or larger weights",
		    refuse_at, most, most);
}

static void
check(struct config_all *all, struct config_faults *f)
{
	struct config_item at = where(all, "dnsbl");
	bool on = all->pub.door.dnsbl.act != ACTION_OFF;

	if (all->dnsbl)
		check_reach(all, f, all->dnsbl);
	if (all->dnsbl && !on)
		config_warn(f, at.file, at.line,
		    "dnsbl: no list is asked without checks { dnsbl = reject "
		    "}, or observe or defer");
	if (!all->dnsbl && on)
		config_warn(f, at.file, at.line,
		    "dnsbl = %s: there is no list to ask: write a block such "
		    "as dnsbl \"zen.spamhaus.org\" { codes = { "
		    "\"127.0.0.2-11: 5\" } }",
		    at.text);
}

/* --- who is asked --- */

/* They serve everybody, so most lists do not serve them. */
static bool
is_public(struct span address)
{
	static const char *const all[] = {"1.1.1.1", "1.0.0.1", "8.8.8.8",
	    "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222",
	    "208.67.220.220", "2606:4700:4700::1111", "2606:4700:4700::1001",
	    "2001:4860:4860::8888", "2001:4860:4860::8844", "2620:fe::fe",
	    "2620:fe::9"};
	struct ipaddr a, b;
	uint16_t port;

	if (ipaddr_cut_port(&address, &port) < 0 ||
	    ipaddr_parse(address, &a) < 0)
		return false;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (ipaddr_parse(span_str(all[i]), &b) == 0 &&
		    ipaddr_equal(&a, &b))
			return true;
	return false;
}

static void
warn_public(struct config_faults *f, const char *file, unsigned line,
    struct span server)
{
	if (is_public(server))
		config_warn(f, file, line,
		    "%.*s is a public resolver, and most lists do not answer "
		    "those: run one of your own, and write dns { servers = { "
		    "\"127.0.0.1\" } }",
		    (int)server.len, server.ptr);
}

static struct span
cut_word(const char **s)
{
	struct span word = {*s + strspn(*s, " \t"), 0};

	word.len = strcspn(word.ptr, " \t\n");
	*s = word.ptr + word.len;
	return word;
}

static void
look_at_system(struct config_faults *f)
{
	FILE *file = fopen(RESOLV_CONF, "re");
	char text[512];

	for (unsigned n = 1; file && fgets(text, sizeof(text), file); n++) {
		const char *rest = text;

		if (span_equal(cut_word(&rest), SPAN_LIT("nameserver")))
			warn_public(f, RESOLV_CONF, n, cut_word(&rest));
	}
	if (file)
		fclose(file);
}

static void
machine(const struct config_all *all, struct config_faults *f)
{
	const struct config_list *l =
	    config_values(config_block_first(all, &section_dns), "servers");

	if (!all->pub.door.lists)
		return;
	for (unsigned i = 0; i < l->n; i++)
		warn_public(f, l->items[i].file, l->items[i].line,
		    span_str(l->items[i].text));
	if (!l->n)
		look_at_system(f);
}

const struct config_section section_dnsbl = {
    .name = "dnsbl",
    .title = "ZONE",
    .help = "a list of clients in the DNS, to block or to allow",
    KEYS(keys),
    .size = sizeof(struct dnsbl_block),
    .build = build,
    .check = check,
    .machine = machine,
};

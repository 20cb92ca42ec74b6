/*
 * section_client: what is different for clients of a network.
 */
#include <string.h>

#include "config/section.h"

struct client_block {
	unsigned bare_newline; /* 0 reject, 1 normalize */
	bool limits;
	bool milter;
	bool proxy;
};

#define AT(member) offsetof(struct client_block, member)

static const struct config_key keys[] = {
    {"bare-newline", KEY_WORD, AT(bare_newline), .def = "reject",
	.words = {"reject", "normalize"}, .gone = {"keep", "normalize"},
	.help = "messages with a CR or LF that is not part of a CRLF"},
    {"limits", KEY_BOOL, AT(limits), .def = "yes",
	.help = "no: no rates, and any number of sessions from one address or "
		"network"},
    {"milter", KEY_BOOL, AT(milter), .def = "yes",
	.help = "no: no milter sees its messages"},
    {"proxy", KEY_BOOL, AT(proxy), .def = "no",
	.help = "balancers: they must send a PROXY header, and it is believed"},
};

/* One of two blocks for the same network would never be reached. */
static void
check_twin(const struct config_all *all, struct config_faults *f,
    const struct config_block *b, const struct ipnet *net)
{
	const struct config_block *o = config_block_first(all, b->section);
	struct ipnet other;

	for (; o != b; o = config_block_next(o)) {
		if (ipnet_parse(span_str(o->title), &other) < 0 ||
		    other.prefix != net->prefix ||
		    !ipaddr_equal(&other.addr, &net->addr))
			continue;
		config_fault_twin(f, b, o);
		return;
	}
}

/* A key that is not a proxy's, since it says nothing of the clients behind. */
static const char *
beside_proxy(const struct config_block *b)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (b->values[i].n && strcmp(keys[i].name, "proxy") != 0)
			return keys[i].name;
	return NULL;
}

/* Whoever is in there may claim to be anybody. */
static void
check_proxy(struct config_faults *f, const struct config_block *b,
    const struct ipnet *net)
{
	bool v4 = net->addr.family == IP_V4;
	const char *other = beside_proxy(b);

	if (net->prefix < (v4 ? 8 : 16))
		config_error(f, b->file, b->line,
		    "client \"%.80s\": proxy = yes believes all of them, "
		    "whoever they say they are: write your balancers' "
		    "addresses",
		    b->title);
	else if (net->prefix < (v4 ? 16 : 32))
		config_warn(f, b->file, b->line,
		    "client \"%.80s\": proxy = yes for so many: whoever gets "
		    "an address in there can claim to be anybody",
		    b->title);
	if (other)
		config_warn(f, b->file, b->line,
		    "client \"%.80s\": %s says nothing of the clients that "
		    "come by a proxy: write it in the blocks of their networks",
		    b->title, other);
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct client_block *data = b->data;
	struct config_client c = {.normalize = data->bare_newline == 1,
	    .unlimited = !data->limits,
	    .unfiltered = !data->milter,
	    .proxy = data->proxy};

	if (ipnet_parse(span_str(b->title), &c.net) < 0) {
		config_error(f, b->file, b->line,
		    "client \"%.80s\": write a network such as "
		    "\"192.0.2.0/24\", with no bits set behind its prefix, or "
		    "an address",
		    b->title);
		return;
	}
	check_twin(all, f, b, &c.net);
	if (c.normalize &&
	    c.net.prefix < (c.net.addr.family == IP_V4 ? 16 : 32))
		config_warn(f, b->file, b->line,
		    "client \"%.80s\": bare-newline = normalize for so many: "
		    "write a block for each sender that needs it, at most a "
		    "/16 (IPv6: a /32)",
		    b->title);
	if (c.proxy)
		check_proxy(f, b, &c.net);
	all->pub.clients = config_array_add(&all->arena, all->pub.clients,
	    &all->pub.nclients, &c, sizeof(c));
}

static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config *c = &all->pub;
	struct ipset_entry *nets =
	    arena_alloc(&all->arena, c->nclients * sizeof(*nets));

	(void)f;
	for (unsigned i = 0; i < c->nclients; i++)
		nets[i] = (struct ipset_entry){c->clients[i].net, i};
	ipset_init(&all->pub.client_nets, nets, c->nclients);
}

const struct config_client *
config_client(const struct config *c, const struct ipaddr *client)
{
	static const struct config_client others = {.normalize = false};
	const struct ipset_entry *e = ipset_find(&c->client_nets, client);

	return e ? &c->clients[e->value] : &others;
}

const struct config_section section_client = {
    .name = "client",
    .title = "NETWORK",
    .help = "what is different for clients of a network; the longest prefix",
    KEYS(keys),
    .size = sizeof(struct client_block),
    .build = build,
    .check = check,
};

/*
 * section_client: what is different for clients of a network.
 */
#include "config/section.h"

struct client_block {
	unsigned bare_newline; /* 0 reject, 1 normalize */
	bool limits;
	bool milter;
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
		config_error(f, b->file, b->line,
		    "client \"%.80s\" is there already, in line %u of %s: "
		    "join them",
		    b->title, o->line, o->file);
		return;
	}
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct client_block *data = b->data;
	struct config_client c = {.normalize = data->bare_newline == 1,
	    .unlimited = !data->limits,
	    .unfiltered = !data->milter};

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

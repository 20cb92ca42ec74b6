/*
 * section_dns: who is asked where names lead, and how long an answer about a
 * client may take. The last of those that may want to ask: whether there is
 * any need to is known then, and to which ports.
 */
#include <string.h>

#include "config/socket.h"

#define PORT 53

static const struct config_key keys[] = {
    {"servers", KEY_LIST, .doc = "those of /etc/resolv.conf",
	.help = "resolvers to ask, such as \"127.0.0.1\" or \"[::1]:5353\""},
    {"timeout", KEY_DURATION, ALL(pub.door.dns_timeout), .def = "3s",
	.min = 100, .max = 10 * SECOND,
	.help = "how long a check waits for what the DNS says"},
};

/* NULL, or what is wrong with it; *port is it then, 53 if none is written. */
static const char *
read_server(const char *text, uint16_t *port)
{
	struct span s = span_str(text);
	struct ipaddr ip;

	if (ipaddr_cut_port(&s, port) < 0 || ipaddr_parse(s, &ip) < 0)
		return "write an address, such as \"127.0.0.1\", "
		       "\"192.0.2.1:5353\" or \"[2001:db8::1]:53\"";
	if (!*port)
		*port = PORT;
	return NULL;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct config_list *l = config_values(b, "servers");
	struct buf text = {0};
	uint16_t port;

	for (unsigned i = 0; i < l->n; i++) {
		config_fault_item(f, "servers", &l->items[i],
		    read_server(l->items[i].text, &port));
		buf_printf(&text, "%s%s", i ? "," : "", l->items[i].text);
	}
	if (l->n)
		all->pub.dns_servers = arena_dup(&all->arena, buf_span(&text));
	buf_free(&text);
}

/* Those that are on, and what they look at. */
static bool
checks_ask(const struct door_config *c)
{
	return c->fcrdns.act || c->sender_domain.act || c->greylist.act ||
	       (c->dnsbl.act && c->lists);
}

static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_dns);
	const struct config_list *l = config_values(b, "servers");
	struct config *c = &all->pub;
	uint16_t port;

	(void)f;
	c->dns |= checks_ask(&c->door);
	if (!c->dns)
		return;
	for (unsigned i = 0; i < l->n; i++) {
		(void)read_server(l->items[i].text, &port);
		config_note_port(all, port);
	}
	if (!l->n)
		config_note_port(all, PORT);
}

const struct config_section section_dns = {
    .name = "dns",
    .help = "who is asked where names lead",
    KEYS(keys),
    .build = build,
    .check = check,
};

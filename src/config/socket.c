/*
 * socket: others that are asked over a socket: what is written of them, what
 * /etc/hosts says, and the ports that a worker needs for them.
 */
#include "config/socket.h"

#include <stdio.h>
#include <string.h>

#include "io/hosts.h"

#define ETC_HOSTS "/etc/hosts"

static void
take_host(struct route_place *p, const struct known_host *h)
{
	p->naddrs = h->n < ROUTE_ADDRS_MAX ? h->n : ROUTE_ADDRS_MAX;
	memcpy(p->addrs, h->addrs, p->naddrs * sizeof(p->addrs[0]));
	p->local = p->naddrs;
	for (unsigned i = 0; i < p->naddrs; i++)
		p->local &= ipaddr_is_loopback(&p->addrs[i]) != 0;
}

void
config_look_up(struct config_all *all, struct route_place *p)
{
	const struct known_host *found, *h;
	int n;

	if (!p->host || p->naddrs)
		return;
	n = hosts_read(ETC_HOSTS, &p->host, 1, &all->arena, &found);
	h = n > 0 ? hosts_find(found, (unsigned)n, p->host) : NULL;
	if (h)
		take_host(p, h);
}

bool
config_socket_parse(struct config_all *all, const char *text,
    struct route_place *p)
{
	const struct destination_kind *kind;
	struct span host = span_str(text);
	char url[400];
	const char *rest;
	uint16_t port;

	if (text[0] != '/' && (ipaddr_cut_port(&host, &port) < 0 || !port))
		return false;
	snprintf(url, sizeof(url), "lmtp:%s%s", text[0] == '/' ? "" : "//",
	    text);
	if (destination_parse(url, &kind, &rest) ||
	    route_parse_place(kind, rest, &all->arena, p))
		return false;
	if (p->host)
		config_look_up(all, p);
	return true;
}

const char *
config_host_suggest(struct config_all *all, const char *text, const char *why)
{
	const struct destination_kind *kind;
	struct route_place p;
	const char *rest, *bad;
	char url[400];

	if (!strpbrk(text, ".:"))
		return why;
	snprintf(url, sizeof(url), "smtp://%.300s", text);
	destination_parse(url, &kind, &rest);
	bad = route_parse_place(kind, rest, &all->arena, &p);
	if (!bad)
		snprintf(url, sizeof(url), "write smtp://%.300s", text);
	else if (strncmp(bad, "write smtp://", 13) != 0 || strstr(bad, " or "))
		return why;
	return bad ? bad : arena_dup(&all->arena, span_str(url));
}

void
config_note_port(struct config_all *all, uint16_t port)
{
	all->pub.ports = config_array_add(&all->arena, all->pub.ports,
	    &all->pub.nports, &port, sizeof(port));
}

void
config_note_place(struct config_all *all, const struct route_place *p)
{
	if (!p->host)
		return;
	config_note_port(all, p->port);
	all->pub.dns |= !p->naddrs;
}

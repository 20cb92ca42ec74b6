/*
 * section_redis: where several nodes keep one greylist.
 */
#include <string.h>

#include "config/file.h"
#include "config/section_route.h"
#include "config/socket.h"

struct redis_block {
	char *server, *password_file, *prefix;
	uint64_t timeout;
};

#define AT(member) offsetof(struct redis_block, member)

static const struct config_key keys[] = {
    {"server", KEY_TEXT, AT(server), .doc = "none", .min = 1, .max = 300,
	.help = "\"host:port\", or the path of a Unix socket"},
    {"password-file", KEY_PATH, AT(password_file), .doc = "none",
	.help = "first line: the password"},
    {"prefix", KEY_TEXT, AT(prefix), .def = "smtpd", .min = 1, .max = 64,
	.help = "what all its keys begin with"},
    {"timeout", KEY_DURATION, AT(timeout), .def = "50ms", .min = 5, .max = 200,
	.help = "how long an answer is waited for"},
};

#ifdef SMTPD_NO_REDIS
#define BUILT_IN false
#else
#define BUILT_IN true
#endif

static bool
crosses_network(const struct route_place *p)
{
	bool away = p->host && !p->naddrs;

	for (unsigned i = 0; i < p->naddrs; i++)
		away |= !ipaddr_is_loopback(&p->addrs[i]) &&
			!ipaddr_is_private(&p->addrs[i]);
	return away;
}

static void
take(struct config_all *all, const struct redis_block *data,
    const struct route_place *p)
{
	struct redis_config *c = &all->pub.redis;

	c->server = data->server;
	c->path = p->host ? NULL : p->path;
	c->host = p->host;
	c->port = p->port;
	c->addrs = p->addrs;
	c->naddrs = p->naddrs;
	c->prefix = data->prefix;
	c->timeout = data->timeout;
	config_note_place(all, p);
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct redis_block *data = b->data;
	struct route_place *p = arena_alloc(&all->arena, sizeof(*p));
	const struct config_item at = config_where(b, "server");
	const struct config_item file = config_where(b, "password-file");

	if (!data->server)
		return;
	if (!BUILT_IN) {
		config_error(f, at.file, at.line,
		    "redis: is not built in: make without REDIS=0 "
		    "(libhiredis-dev)");
		return;
	}
	if (!config_socket_parse(all, data->server, p)) {
		config_fault_item(f, "server", &at,
		    "write \"127.0.0.1:6379\", \"[::1]:6379\", \"redis:6379\" "
		    "or the path of a Unix socket");
		return;
	}
	take(all, data, p);
	if (crosses_network(p))
		config_warn(f, at.file, at.line,
		    "redis: its password and your senders cross the network "
		    "in clear");
	if (data->password_file)
		all->redis_password =
		    config_secret_read(all, f, "password-file", &file,
			data->password_file, &all->pub.redis.password);
}

static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_redis);
	const struct config_item at = config_where(b, "server");
	const struct config *c = &all->pub;

	if (c->redis.server && !c->door.greylist.act)
		config_warn(f, at.file, at.line,
		    "redis: nobody asks it while greylist is off in checks");
}

static void
machine(const struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_redis);
	const struct config_item at = config_where(b, "server");

	if (all->pub.redis.path)
		config_check_socket(all, f, &at, all->pub.redis.path, NULL);
}

const struct config_section section_redis = {
    .name = "redis",
    .help = "where several nodes keep one greylist",
    KEYS(keys),
    .size = sizeof(struct redis_block),
    .build = build,
    .check = check,
    .machine = machine,
};

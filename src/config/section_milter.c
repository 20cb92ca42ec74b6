/*
 * section_milter: filters that see a message before it is taken, in the order
 * of their blocks.
 */
#include <stdio.h>
#include <string.h>

#include "config/file.h"
#include "config/section_route.h"
#include "config/socket.h"

struct milter_block {
	char *socket;
	unsigned when_down;
	uint64_t timeout;
	unsigned connections;
	unsigned role;
	bool observe;
};

#define AT(member) offsetof(struct milter_block, member)
/* What all of them have together where a copy goes to another server. */
#define REMOTE_MS (45 * SECOND)

static const struct config_key keys[] = {
    {"socket", KEY_TEXT, AT(socket), .doc = "must be given", .min = 1,
	.max = 300, .help = "\"host:port\", or the path of a Unix socket"},
    {"when-down", KEY_WORD, AT(when_down), .def = "defer",
	.words = {"accept", "defer", "reject"},
	.help = "what becomes of mail that it does not answer for"},
    {"timeout", KEY_DURATION, AT(timeout), .def = "30s", .min = SECOND,
	.max = 60 * SECOND,
	.help = "all that one message may take, waiting included"},
    {"connections", KEY_NUMBER, AT(connections), .def = "50", .min = 1,
	.max = 1000, .help = "messages at once, over all workers"},
    {"role", KEY_WORD, AT(role), .def = "any",
	.words = {"any", "mx", "submission"},
	.help = "whose messages it sees: those of listen blocks of this role"},
    {"observe", KEY_BOOL, AT(observe), .def = "no",
	.help = "ask it and log what it says, but change nothing"},
};

/* As Postfix and sendmail write it, or nothing of the kind. */
static const char *
rewrite(struct config_all *all, const char *text)
{
	static const char *const prefixes[] = {"inet:", "inet6:", "unix:",
	    "local:"};
	const char *at;
	char out[512];

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(text, prefixes[i], n) != 0 || !text[n])
			continue;
		text += n;
		at = text[0] == '/' ? NULL : strchr(text, '@');
		if (!at)
			snprintf(out, sizeof(out), "write \"%s\"", text);
		else if (strchr(at, ':'))
			snprintf(out, sizeof(out), "write \"[%s]:%.*s\"",
			    at + 1, (int)(at - text), text);
		else
			snprintf(out, sizeof(out), "write \"%s:%.*s\"", at + 1,
			    (int)(at - text), text);
		return arena_dup(&all->arena, span_str(out));
	}
	return "write \"127.0.0.1:11332\", \"[::1]:11332\", \"rspamd:11332\" "
	       "or the path of a Unix socket";
}

static bool
is_twin(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *o = config_block_first(all, b->section);
	const struct milter_block *data = b->data, *other;

	for (; o != b; o = config_block_next(o)) {
		other = o->data;
		if (strcmp(o->title, b->title) == 0) {
			config_fault_twin(f, b, o);
			return true;
		}
		if (other->socket && strcmp(other->socket, data->socket) == 0) {
			config_error(f, b->file, b->line,
			    "milter \"%.80s\" has the socket of milter "
			    "\"%.80s\", line %u of %s: take one of them out",
			    b->title, o->title, o->line, o->file);
			return true;
		}
	}
	return false;
}

static void
add(struct config_all *all, const struct config_block *b,
    const struct route_place *p)
{
	const struct milter_block *data = b->data;
	struct filters_config *c = &all->pub.filters;
	struct buf name = {0};
	struct filter_config m = {.name = b->title,
	    .socket = data->socket,
	    .at = {b->file, b->line},
	    .path = p->host ? NULL : p->path,
	    .host = p->host,
	    .port = p->port,
	    .addrs = p->addrs,
	    .naddrs = p->naddrs,
	    .role = (enum filter_role)data->role,
	    .when_down = (enum filter_down)data->when_down,
	    .timeout = data->timeout,
	    .connections = data->connections,
	    .observe = data->observe};

	buf_printf(&name, "milter \"%s\"", b->title);
	m.check = arena_dup(&all->arena, buf_span(&name));
	buf_free(&name);
	config_note_place(all, p);
	all->filters =
	    config_array_add(&all->arena, all->filters, &c->n, &m, sizeof(m));
	c->all = all->filters;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct milter_block *data = b->data;
	struct route_place *p = arena_alloc(&all->arena, sizeof(*p));
	const struct config_item at = config_where(b, "socket");
	const char *why;

	if (!config_check_name(f, b))
		return;
	if (!data->socket) {
		if (!at.text) /* or it is an error by itself */
			config_error(f, b->file, b->line,
			    "milter \"%.80s\": write socket = "
			    "\"127.0.0.1:11332\"",
			    b->title);
		return;
	}
	if (is_twin(all, f, b))
		return;
	why = config_socket_parse(all, data->socket, p)
		  ? NULL
		  : rewrite(all, data->socket);
	config_fault_item(f, "socket", &at, why);
	if (why)
		return;
	if (all->pub.filters.n == FILTER_MILTERS_MAX) {
		config_error(f, b->file, b->line,
		    "milter \"%.80s\": %d are the most", b->title,
		    FILTER_MILTERS_MAX);
		return;
	}
	add(all, b, p);
}

/* --- when all of it is known --- */

/* A remote server's answer must still come in time behind theirs. */
static void
check_time(const struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_milter);
	struct config_item at, last = {.text = NULL};
	uint64_t sum = 0;

	for (; b; b = config_block_next(b)) {
		at = config_where(b, "timeout");
		if (!at.text)
			continue;
		sum += ((const struct milter_block *)b->data)->timeout;
		last = at;
	}
	if (sum > REMOTE_MS && all->pub.deliver.nroutes)
		config_warn(f, last.file, last.line,
		    "timeout: milters may take %llus together, but where a "
		    "copy goes to a route they have 45s",
		    (unsigned long long)(sum / SECOND));
}

static void
add_name(struct config_all *all, const char *name)
{
	struct filters_config *c = &all->pub.filters;

	if (!name)
		return;
	for (unsigned i = 0; i < c->nnames; i++)
		if (strcmp(c->names[i], name) == 0)
			return;
	all->names = config_array_add(&all->arena, all->names, &c->nnames,
	    &name, sizeof(name));
	c->names = all->names;
}

static void
check(struct config_all *all, struct config_faults *f)
{
	struct config *c = &all->pub;

	if (!c->filters.n)
		return;
	c->filters.hostname = c->hostname;
	add_name(all, c->hostname);
	for (unsigned i = 0; i < c->nlistens; i++)
		add_name(all, c->listens[i].smtp.hostname);
	check_time(all, f);
}

static void
machine(const struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_milter);

	for (; b; b = config_block_next(b)) {
		const struct milter_block *data = b->data;
		struct config_item at = config_where(b, "socket");

		if (data->socket && data->socket[0] == '/')
			config_check_socket(all, f, &at, data->socket, NULL);
	}
}

const struct config_section section_milter = {
    .name = "milter",
    .title = "NAME",
    .help = "a filter that sees messages before they are taken; in order",
    KEYS(keys),
    .size = sizeof(struct milter_block),
    .build = build,
    .check = check,
    .machine = machine,
};

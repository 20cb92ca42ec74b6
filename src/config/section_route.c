/*
 * section_route: where mail is handed to somebody else, and how. A destination
 * that no block describes is a route with all defaults, and one only, however
 * often it is written.
 */
#include "config/section_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "config/socket.h"
#include "config/suggest.h"

#define NAME_MAX_LEN 64

#define AT(member) offsetof(struct route_block, member)

static const struct config_key keys[] = {
    {"to", KEY_LIST, .doc = "must be given",
	.help = "a server, program or web address; several are tried in order"},
    {"tls", KEY_WORD, AT(tls),
	.doc = "off on this machine, required with login, else opportunistic",
	.words = {"opportunistic", "required", "off"},
	.help = "STARTTLS if it is offered, or only with it and verified"},
    {"ca", KEY_PATH, AT(ca), .doc = "the system's",
	.help = "PEM file: an authority, or the server's own certificate"},
    {"login", KEY_TEXT, AT(login), .doc = "none", .min = 1, .max = 255,
	.help = "who logs in at an SMTP server"},
    {"secret-file", KEY_PATH, AT(secret_file), .doc = "none",
	.help = "first line: the password, or the key that signs requests"},
    {"connections", KEY_NUMBER, AT(connections),
	.doc = "20; 8 programs at once", .min = 1, .max = 1000,
	.help = "connections at once, over all workers"},
    {"timeout", KEY_DURATION, AT(timeout), .doc = "100s; 60s for pipe and http",
	.min = SECOND, .max = 110 * SECOND,
	.help = "all that one delivery may take"},
    {"when-down", KEY_WORD, AT(when_down), .def = "defer",
	.words = {"defer", "hold"},
	.help = "let clients try again later, or take mail and hold it"},
    {"verify-recipients", KEY_BOOL, AT(verify), .doc = "yes for lmtp, else no",
	.help = "ask the server whether a recipient exists before the body"},
};

static struct config_route *
add(struct config_all *all, const char *text, const struct config_item *at)
{
	struct config_route *x = arena_alloc(&all->arena, sizeof(*x)), **end;

	x->pub.text = arena_dup(&all->arena, span_str(text));
	x->pub.line = at->line;
	x->at = *at;
	x->good = true;
	for (end = &all->routes; *end; end = &(*end)->next)
		x->pub.number++;
	*end = x;
	return x;
}

static struct config_route *
find(const struct config_all *all, const char *text)
{
	struct config_route *x = all->routes;

	while (x && strcmp(x->pub.text, text) != 0)
		x = x->next;
	return x;
}

static void
set_defaults(struct route *r, const struct destination_kind *kind)
{
	bool web = kind->syntax == ROUTE_WEB;
	bool program = kind->syntax == ROUTE_PROGRAM;

	r->kind = kind;
	r->connections = program ? 8 : 20;
	r->timeout = (program || web ? 60 : 100) * SECOND;
	r->verify = kind->syntax == ROUTE_SOCKET;
}

/* One more entry of `to`; NULL, or what is wrong with it. */
static const char *
add_place(struct config_all *all, struct route *r, const char *text)
{
	const struct destination_kind *kind;
	const char *rest, *why = destination_parse(text, &kind, &rest);
	struct route_place *to = &r->to[r->nto];

	if (why)
		return kind ? why : config_host_suggest(all, text, why);
	if (r->nto && kind != r->kind)
		return "all must be of one kind";
	why = route_parse_place(kind, rest, &all->arena, to);
	if (why)
		return why;
	if (r->nto && kind->syntax != ROUTE_HOST &&
	    kind->syntax != ROUTE_SOCKET)
		return "only lmtp:, smtp: and smtps: have others behind the "
		       "first";
	if (kind->syntax == ROUTE_PROGRAM)
		route_parse_program(rest, &all->arena, &r->argv);
	if (!r->nto)
		set_defaults(r, kind);
	if (!r->shown)
		r->shown = route_shown(kind, rest, &all->arena);
	r->nto++;
	return NULL;
}

/* --- a destination alone --- */

static const char *
unknown_name(struct config_all *all, const char *name)
{
	unsigned best = CONFIG_RESEMBLE_MAX;
	const char *near = NULL;
	char text[256];

	for (const struct config_route *x = all->routes; x; x = x->next)
		if (x->block &&
		    config_resembles(span_str(name), x->block->title, &best))
			near = x->block->title;
	if (near)
		snprintf(text, sizeof(text),
		    "there is no route of that name: did you mean \"%s\"?",
		    near);
	else
		snprintf(text, sizeof(text),
		    "there is no route of that name: write a block "
		    "route \"%.64s\" { to = \"smtp://relay.example.net\" }",
		    name);
	return arena_dup(&all->arena, span_str(text));
}

const char *
config_route(void *ctx, const char *text, const struct route **r)
{
	struct config_all *all = ctx;
	struct config_route *x = find(all, text);
	const struct destination_kind *kind;
	struct route made = {0};
	const char *why, *rest;

	if (!x) {
		why = destination_parse(text, &kind, &rest);
		if (!why && kind->syntax == ROUTE_NAME)
			why = unknown_name(all, rest);
		if (!why)
			why = add_place(all, &made, text);
		if (why)
			return why;
		x = add(all, text, &all->at);
		made.text = x->pub.text;
		made.line = x->pub.line;
		made.number = x->pub.number;
		x->pub = made;
	}
	x->used = true;
	*r = &x->pub;
	return NULL;
}

/* --- a block --- */

bool
config_check_name(struct config_faults *f, const struct config_block *b)
{
	const char *s = b->title;
	size_t n = 0;

	while (ascii_is_alpha(s[n]) || ascii_is_digit(s[n]) ||
	       (s[n] && strchr("._-", s[n])))
		n++;
	if (n && !s[n] && n <= NAME_MAX_LEN)
		return true;
	config_error(f, b->file, b->line,
	    "%s \"%.80s\": write a name of at most 64 letters, digits, dots, "
	    "hyphens and _",
	    b->section->name, s);
	return false;
}

static void
add_places(struct config_all *all, struct config_faults *f,
    struct config_route *x)
{
	const struct config_list *l = config_values(x->block, "to");
	const char *why;

	if (!l->n) {
		config_error(f, x->at.file, x->at.line,
		    "route \"%.80s\": write to = \"smtp://relay.example.net\"",
		    x->block->title);
		x->good = false;
	}
	for (unsigned i = 0; i < l->n; i++) {
		why = i < ROUTE_PLACES_MAX
			  ? add_place(all, &x->pub, l->items[i].text)
			  : "8 are the most";
		config_fault_item(f, "to", &l->items[i], why);
		x->good = x->good && !why;
		if (why)
			break;
	}
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct config_item at = {NULL, b->file, b->line};
	struct config_route *x;
	const char *rest;
	char text[sizeof("route:") + NAME_MAX_LEN];

	if (!config_check_name(f, b))
		return;
	snprintf(text, sizeof(text), "route:%s", b->title);
	x = find(all, text);
	if (x) {
		config_fault_twin(f, b, x->block);
		return;
	}
	x = add(all, text, &at);
	x->block = b;
	x->pub.block = true;
	x->pub.shown = b->title;
	add_places(all, f, x);
	if (!x->pub.kind) /* its text alone is one */
		destination_parse(text, &x->pub.kind, &rest);
}

struct config_item
config_route_at(const struct config_route *x, unsigned i)
{
	return x->block ? config_values(x->block, "to")->items[i] : x->at;
}

/* --- when all of it is known --- */

static bool
is_written(const struct config_route *x, const char *key)
{
	return x->block && config_where(x->block, key).text;
}

static bool
is_local(const struct route *r)
{
	unsigned i = 0;

	while (i < r->nto && r->to[i].local)
		i++;
	return i == r->nto;
}

/* What is written, and what depends on where it leads. */
static void
take_values(struct config_route *x)
{
	struct route_block *data = x->block ? x->block->data : NULL;
	struct route *r = &x->pub;

	r->tls = r->kind->tls ? ROUTE_TLS_REQUIRED
		 : r->kind->syntax == ROUTE_WEB || is_local(r) ? ROUTE_TLS_OFF
		 : data && data->login ? ROUTE_TLS_REQUIRED
				       : ROUTE_TLS_OPPORTUNISTIC;
	if (!data)
		return;
	if (is_written(x, "tls") && !r->kind->tls)
		r->tls = data->tls;
	if (is_written(x, "verify-recipients"))
		r->verify = data->verify;
	if (data->connections)
		r->connections = data->connections;
	if (data->timeout)
		r->timeout = data->timeout;
	r->login = data->login;
	r->hold = data->when_down == 1;
	/* for whoever prints them */
	data->tls = r->tls;
	data->verify = r->verify;
	data->connections = r->connections;
	data->timeout = r->timeout;
}

static void
build_smarthost(struct config_all *all, struct config_faults *f)
{
	static const char kinds[] =
	    "write smtp://, smtps:// or route: with one of these";
	const struct destination_kind *kind;
	const struct destination *d = NULL;
	const char *rest, *why = NULL;

	if (!all->smarthost)
		return;
	all->at = config_where(all->top, "smarthost");
	if (destination_parse(all->smarthost, &kind, &rest) ||
	    (kind->syntax != ROUTE_HOST && kind->syntax != ROUTE_NAME))
		why = kind ? kinds
			   : config_host_suggest(all, all->smarthost, kinds);
	else
		why = recipients_remote(config_tables(all), all->smarthost, &d);
	if (!why && d && d->route->nto && d->route->kind->syntax != ROUTE_HOST)
		why = kinds;
	config_fault_item(f, "smarthost", &all->at, why);
	all->pub.deliver.smarthost = why ? NULL : d;
}

static void
check(struct config_all *all, struct config_faults *f)
{
	const struct route **routes;
	unsigned n = 0;

	build_smarthost(all, f);
	for (struct config_route *x = all->routes; x; x = x->next, n++) {
		if (x->good) {
			for (unsigned i = 0; i < x->pub.nto; i++) {
				config_look_up(all, &x->pub.to[i]);
				config_note_place(all, &x->pub.to[i]);
			}
			take_values(x);
			route_read(all, f, x);
			route_check(all, f, x);
		}
		if (!x->used)
			config_warn(f, x->at.file, x->at.line,
			    "route \"%.80s\" is used by nothing", x->pub.shown);
	}
	routes = arena_alloc(&all->arena, (n + 1) * sizeof(*routes));
	for (const struct config_route *x = all->routes; x; x = x->next)
		routes[x->pub.number] = &x->pub;
	all->pub.deliver.routes = routes;
	all->pub.deliver.nroutes = n;
}

const struct config_section section_route = {
    .name = "route",
    .title = "NAME",
    .help = "a server, program or web address that mail is handed to",
    KEYS(keys),
    .size = sizeof(struct route_block),
    .build = build,
    .check = check,
    .machine = route_machine,
};

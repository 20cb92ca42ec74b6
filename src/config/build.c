/*
 * config_build: from blocks as written to the structs that the rest of the
 * daemon reads. Knows what the defaults are that no table can hold.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "config/tree.h"

#define SEGMENT_UNIT        4096 /* a page of the journal */
#define WORKERS_MAX_DEFAULT 4

static void
set_value(struct config_all *all, struct config_faults *f,
    struct config_block *b, const struct config_key *k)
{
	const struct config_list *l = config_block_list(b, k);
	char why[CONFIG_WHY_MAX];

	if (!l->n || config_value_set(k, b->data, l->items[0].text, all->cwd,
			 &all->arena, why) == 0)
		return;
	if (b->section == &config_sections[SECTION_DOMAIN])
		all->whole = false;
	config_error(f, l->items[0].file, l->items[0].line,
	    "%s = \"%.80s\": %s", k->name, l->items[0].text, why);
}

static void
set_default(struct config_all *all, struct config_block *b,
    const struct config_key *k)
{
	char why[CONFIG_WHY_MAX];

	if (k->def && config_value_set(k, b->data, k->def, all->cwd,
			  &all->arena, why) < 0)
		abort(); /* the table contradicts itself */
}

static void
build_block(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	for (unsigned i = 0; i < b->section->nkeys; i++) {
		const struct config_key *k = &b->section->keys[i];

		if (k->type == KEY_LIST)
			continue;
		set_default(all, b, k);
		set_value(all, f, b, k);
	}
}

static struct config_block *
find_block(struct config_all *all, const struct config_section *s)
{
	struct config_block *b = all->blocks;

	while (b && b->section != s)
		b = b->next;
	return b;
}

static void
add_listen(struct config_all *all, const char *title, const char *role)
{
	const struct config_section *s = &config_sections[SECTION_LISTEN];
	const struct config_key *k = config_key_find(s, SPAN_LIT("role"));
	struct config_block *b = config_block_add(all, s, title, NULL, 0);

	config_list_add(&all->arena, config_block_list(b, k),
	    (struct config_item){role, all->pub.file, 0});
}

/* A block without a name is there once, written or not. */
static void
add_missing(struct config_all *all)
{
	for (unsigned i = SECTION_TOP + 1; i < SECTIONS; i++) {
		const struct config_section *s = &config_sections[i];

		if (!s->title && !find_block(all, s))
			config_block_add(all, s, NULL, NULL, 0);
	}
	if (find_block(all, &config_sections[SECTION_LISTEN]))
		return;
	add_listen(all, "*:25", "mx");
	add_listen(all, "*:587", "submission");
}

static void
check_single(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *first = find_block(all, b->section);

	if (first && first != b && !b->section->title)
		config_error(f, b->file, b->line,
		    "there is a %s block already, in line %u of %s: join them",
		    b->section->name, first->line, first->file);
}

/*
 * A worker's loop, committer and lane keep two processors busy; with fewer for
 * each, workers only take turns, and all gather less for one flush.
 */
static unsigned
default_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	if (n < 1)
		return 1;
	return n < WORKERS_MAX_DEFAULT ? (unsigned)n : WORKERS_MAX_DEFAULT;
}

static char *
default_failed(struct config_all *all)
{
	struct buf path = {0};
	char *copy;

	buf_printf(&path, "%s/failed", all->pub.spool ? all->pub.spool : "");
	copy = arena_dup(&all->arena, buf_span(&path));
	buf_free(&path);
	return copy;
}

/*
 * A worker writes to one segment while the next is begun, and a reload has
 * two workers where there was one.
 */
static void
check_journal(struct config_all *all, struct config_faults *f)
{
	struct deliver_options *o = &all->pub.deliver;
	uint64_t least = 4 * all->pub.workers * o->segment;
	struct config_item at =
	    config_where(find_block(all, &config_sections[SECTION_JOURNAL]),
		"size");

	o->segment = o->segment / SEGMENT_UNIT * SEGMENT_UNIT;
	if (!o->journal || o->size >= least)
		return;
	if (!at.text) { /* a default must fit what was asked for */
		o->size = least;
		return;
	}
	config_error(f, at.file, at.line,
	    "the journal needs 4 segments for each of %u workers: write "
	    "size = %lluM, or a smaller segment",
	    all->pub.workers, (unsigned long long)(least >> 20));
}

static void
build_top(struct config_all *all, struct config_faults *f,
    const struct config *old)
{
	config_build_hostname(all, f, old);
	if (!all->pub.workers)
		all->pub.workers = default_workers();
	all->pub.deliver.hostname = all->pub.hostname;
	all->pub.deliver.spool = all->pub.spool;
	all->failed_by_default = !all->pub.failed;
	if (all->failed_by_default)
		all->pub.failed = default_failed(all);
	all->pub.deliver.failed = all->pub.failed;
	check_journal(all, f);
}

static void
add_client(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_client_block *data = b->data;
	struct config_client c = {.normalize = data->bare_newline == 1};

	if (ipnet_parse(span_str(b->title), &c.net) < 0) {
		config_error(f, b->file, b->line,
		    "client \"%.80s\": write a network such as "
		    "\"192.0.2.0/24\", with no bits set behind its prefix, or "
		    "an address",
		    b->title);
		return;
	}
	if (c.normalize &&
	    c.net.prefix < (c.net.addr.family == IP_V4 ? 16 : 32))
		config_warn(f, b->file, b->line,
		    "client \"%.80s\": bare-newline = normalize for so many: "
		    "write a block for each sender that needs it, at most a "
		    "/16 (IPv6: a /32)",
		    b->title);
	all->pub.clients[all->pub.nclients++] = c;
}

/* First match wins, so the same network again would never be reached. */
static void
check_client(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *o = all->blocks;
	struct ipnet net, other;

	if (ipnet_parse(span_str(b->title), &net) < 0)
		return;
	for (; o != b; o = o->next) {
		if (o->section != b->section ||
		    ipnet_parse(span_str(o->title), &other) < 0 ||
		    other.prefix != net.prefix ||
		    !ipaddr_equal(&other.addr, &net.addr))
			continue;
		config_error(f, b->file, b->line,
		    "client \"%.80s\" is there already, in line %u of %s: "
		    "join them",
		    b->title, o->line, o->file);
		return;
	}
}

static void
build_clients(struct config_all *all, struct config_faults *f)
{
	const struct config_section *s = &config_sections[SECTION_CLIENT];
	unsigned n = 0;

	for (struct config_block *b = all->blocks; b; b = b->next)
		n += b->section == s;
	all->pub.clients =
	    arena_alloc(&all->arena, n * sizeof(*all->pub.clients));
	for (struct config_block *b = all->blocks; b; b = b->next) {
		if (b->section != s)
			continue;
		check_client(all, f, b);
		add_client(all, f, b);
	}
}

void
config_build(struct config_all *all, struct config_faults *f,
    const struct config *old)
{
	add_missing(all);
	for (struct config_block *b = all->blocks; b; b = b->next) {
		check_single(all, f, b);
		build_block(all, f, b);
	}
	build_top(all, f, old);
	build_clients(all, f);
	config_build_certificates(all, f);
	config_build_auth(all, f);
	config_build_listens(all, f);
}

/*
 * section_domain: the recipients' tables, filled from domain blocks and from
 * the files that they name. Every fault has the line that it comes from.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/section_domain.h"
#include "config/section_route.h"
#include "io/idn.h"

/* Aliases lead to many mailboxes; all of a message have this many, at most. */
#define TARGETS_PER_RECIPIENT 10

#define AT(member) offsetof(struct domain_block, member)

static const struct config_key keys[] = {
    {"users", KEY_LIST, .doc = "none",
	.help = "local parts that have a mailbox"},
    {"users-file", KEY_PATH, AT(users_file), .doc = "none",
	.help = "file with one such local part a line"},
    {"users-from", KEY_PATH, AT(users_from), .doc = "none",
	.help = "directory in which each directory is a user; %d: domain"},
    {"catch-all", KEY_LIST, .doc = "none: unknown recipients are refused",
	.help = "addresses and destinations for everybody else's mail"},
    {"aliases", KEY_LIST, .doc = "none",
	.help = "\"name: target, target\": local addresses, destinations"},
    {"aliases-file", KEY_PATH, AT(aliases_file), .doc = "none",
	.help = "file with one such alias a line"},
    {"deliver", KEY_LIST, .def = "maildir:/var/lib/smtpd/mail/%d/%u",
	.help = "where each user gets a copy; %d domain, %u user, %t detail"},
    {"message-size", KEY_SIZE, AT(message_size),
	.doc = "the top-level message-size", .min = 64 * KIB, .max = TIB,
	.help = "largest message for this domain"},
};

struct recipients *
config_tables(struct config_all *all)
{
	struct recipients_options o = {.delimiter = all->delimiter,
	    .fold = !all->keep_case,
	    .targets = TARGETS_PER_RECIPIENT * all->smtp.recipients,
	    .route = config_route,
	    .ctx = all};

	if (all->pub.deliver.recipients)
		return all->pub.deliver.recipients;
	if (getrandom(o.key, sizeof(o.key), 0) != sizeof(o.key))
		abort();
	return all->pub.deliver.recipients = recipients_new(&o);
}

/* What is added stands there. */
static void
begin_at(struct config_all *all, const struct config_item *i)
{
	recipients_at(all->pub.deliver.recipients,
	    (struct where){i->file, i->line});
}

static void
add_users(struct config_all *all, struct config_faults *f,
    struct mail_domain *d, const struct config_list *users)
{
	for (unsigned i = 0; i < users->n; i++) {
		begin_at(all, &users->items[i]);
		config_fault_item(f, "user", &users->items[i],
		    recipients_add_user(all->pub.deliver.recipients, d,
			users->items[i].text));
	}
}

static void
add_aliases(struct config_all *all, struct config_faults *f,
    struct mail_domain *d, const struct config_list *aliases)
{
	for (unsigned i = 0; i < aliases->n; i++) {
		all->at = aliases->items[i];
		begin_at(all, &all->at);
		config_fault_item(f, "alias", &all->at,
		    recipients_add_alias(all->pub.deliver.recipients, d,
			all->at.text));
	}
}

static void
fill_users(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct domain_block *data = b->data;
	struct config_item at = config_where(b, "users-file");
	struct config_list lines = {0};

	add_users(all, f, data->domain, config_values(b, "users"));
	if (data->users_file) {
		config_read_lines(all, f, &at, data->users_file, &lines);
		add_users(all, f, data->domain, &lines);
	}
	at = config_where(b, "users-from");
	begin_at(all, &at);
	if (data->users_from)
		config_fault_item(f, "users-from", &at,
		    recipients_users_from(all->pub.deliver.recipients,
			data->domain, data->users_from));
}

static void
fill_aliases(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct domain_block *data = b->data;
	struct config_item at = config_where(b, "aliases-file");
	const struct config_list *others = config_values(b, "catch-all");

	add_aliases(all, f, data->domain, config_values(b, "aliases"));
	if (data->aliases_file) {
		config_read_lines(all, f, &at, data->aliases_file,
		    &data->aliases);
		add_aliases(all, f, data->domain, &data->aliases);
	}
	for (unsigned i = 0; i < others->n; i++) {
		all->at = others->items[i];
		begin_at(all, &all->at);
		config_fault_item(f, "catch-all", &all->at,
		    recipients_catch_all(all->pub.deliver.recipients,
			data->domain, all->at.text));
	}
}

static void
fill_size(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct domain_block *data = b->data;
	struct config_item at = config_where(b, "message-size");

	if (!data->message_size)
		return;
	recipients_limit_size(data->domain, data->message_size);
	if (data->message_size > all->smtp.message_size)
		config_warn(f, at.file, at.line,
		    "message-size is larger than the top-level one, which "
		    "counts first: raise that one too");
}

/* One domain is there once, in whatever spelling. */
static const struct config_block *
find_domain(const struct config_all *all, const struct config_block *end,
    const char *key)
{
	const struct config_block *b = config_block_first(all, &section_domain);

	for (; b != end; b = config_block_next(b)) {
		const struct domain_block *data = b->data;

		if (data->key && strcmp(data->key, key) == 0)
			return b;
	}
	return NULL;
}

static void
check_anybody(struct config_faults *f, const struct config_block *b)
{
	for (unsigned i = 0; i < b->section->nkeys; i++) {
		const char *key = b->section->keys[i].name;

		if (b->values[i].n && strcmp(key, "deliver") != 0 &&
		    strcmp(key, "message-size") != 0)
			return;
	}
	config_warn(f, b->file, b->line,
	    "domain \"%.80s\" has nobody but postmaster: write "
	    "users = { \"alice\" }",
	    b->title);
}

/* Sets the key; false, and none, when the block has no name of its own. */
static bool
set_key(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct domain_block *data = b->data;
	const struct config_block *other;
	char key[IDN_MAX + 1];

	if (!smtp_domain_valid(span_str(b->title))) {
		config_error(f, b->file, b->line,
		    "domain \"%.80s\": write a domain name, such as "
		    "\"example.org\"",
		    b->title);
		return false;
	}
	if (idn_key(span_str(b->title), key) < 0) {
		config_error(f, b->file, b->line,
		    "domain \"%.80s\": IDNA2008 has no such name: write it "
		    "as it is registered, or as DNS has it, with xn--",
		    b->title);
		return false;
	}
	other = find_domain(all, b, key);
	if (other) {
		config_error(f, b->file, b->line,
		    "domain \"%.80s\" is there already, in line %u of %s, as "
		    "\"%.80s\": join them",
		    b->title, other->line, other->file, other->title);
		return false;
	}
	data->key = arena_dup(&all->arena, span_str(key));
	return true;
}

/* Where the builtin configuration has a relative path it becomes whole. */
static void
make_absolute(struct config_all *all, struct config_item *item)
{
	const char *rest = strchr(item->text, ':');
	struct buf whole = {0};

	if (!all->cwd || !rest || rest[1] == '/')
		return;
	buf_append(&whole, item->text, (size_t)(rest + 1 - item->text));
	buf_append_str(&whole, all->cwd);
	buf_append_str(&whole, "/");
	buf_append_str(&whole, rest + 1);
	item->text = arena_dup(&all->arena, buf_span(&whole));
	buf_free(&whole);
}

static bool
is_written(const struct config_block *b, const char *key)
{
	const struct config_list *l = config_values(b, key);

	return l->n && l->items[0].text !=
			   config_key_find(b->section, span_str(key))->def;
}

static bool
may_have_users(const struct config_block *b)
{
	return is_written(b, "users") || is_written(b, "users-file") ||
	       is_written(b, "users-from");
}

/* Where nobody is known by name but aliases, there are no mailboxes. */
static bool
fault_nobody(struct config_faults *f, const struct config_block *b)
{
	const struct config_item *to = config_values(b, "deliver")->items;

	if (may_have_users(b) || !is_written(b, "deliver") ||
	    is_written(b, "catch-all"))
		return false;
	config_error(f, b->file, b->line,
	    "domain \"%.80s\": has no users, so everybody is refused: %s",
	    b->title,
	    destination_is_remote(to->text)
		? "write catch-all = \"lmtp:/run/dovecot/lmtp\" if the server "
		  "behind knows who exists"
		: "write users = { \"alice\" }");
	return true;
}

/* The domain, and each destination of its users. */
static bool
add_destinations(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct domain_block *data = b->data;
	const struct config_list *l = config_values(b, "deliver");
	bool any = may_have_users(b) || is_written(b, "deliver");
	const char *why = recipients_add_domain(config_tables(all), b->title,
	    NULL, &data->domain);

	config_fault_item(f, "domain",
	    &(struct config_item){b->title, b->file, b->line}, why);
	for (unsigned i = 0; i < l->n && any && !why; i++) {
		make_absolute(all, &l->items[i]);
		all->at = l->items[i];
		why = recipients_deliver(config_tables(all), data->domain,
		    all->at.text);
		config_fault_item(f, "deliver", &all->at, why);
	}
	return !why;
}

static void
add_domain(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	if (!set_key(all, f, b) || !add_destinations(all, f, b) ||
	    fault_nobody(f, b))
		return;
	if (all->whole)
		check_anybody(f, b);
	fill_users(all, f, b);
	fill_aliases(all, f, b);
	fill_size(all, f, b);
}

struct check {
	const struct config_all *all;
	struct config_faults *faults;
};

/* The line of an alias in a list, or NULL. */
static const struct config_item *
find_alias(const struct config_list *l, const char *name)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct span line = span_str(l->items[i].text);
		const char *colon = strchr(line.ptr, ':');

		if (!colon)
			continue;
		line.len = (size_t)(colon - line.ptr);
		if (ascii_equal_str(ascii_trim(line), name))
			return &l->items[i];
	}
	return NULL;
}

static struct config_item
locate(const struct config_all *all, const char *domain, const char *name)
{
	char key[IDN_MAX + 1];
	const struct config_block *b =
	    domain && idn_key(span_str(domain), key) == 0
		? find_domain(all, NULL, key)
		: NULL;
	const struct domain_block *data;
	const struct config_item *item;

	if (!b)
		return config_where(all->top, "postmaster");
	data = b->data;
	if (!name && config_values(b, "catch-all")
			 ->n) /* then no postmaster is missing */
		return config_where(b, "catch-all");
	if (!name)
		return (struct config_item){NULL, b->file, b->line};
	item = find_alias(config_values(b, "aliases"), name);
	if (!item)
		item = find_alias(&data->aliases, name);
	return item ? *item : (struct config_item){NULL, b->file, b->line};
}

/* recipients_fault_fn */
static void
on_fault(void *ctx, bool warn, const char *domain, const char *name,
    const char *text)
{
	struct check *c = ctx;
	struct config_item at = locate(c->all, domain, name);
	void (*fault)(struct config_faults *, const char *, unsigned,
	    const char *, ...) = warn ? config_warn : config_error;

	if (domain && *domain && name)
		fault(c->faults, at.file, at.line,
		    "alias \"%.80s\" of %.80s: %s", name, domain, text);
	else if (domain && *domain)
		fault(c->faults, at.file, at.line, "domain \"%.80s\": %s",
		    domain, text);
	else
		fault(c->faults, at.file, at.line, "%s", text);
}

static void
no_domain(const struct config_all *all, struct config_faults *f)
{
	config_error(f, all->pub.file, all->top->line,
	    "there is no domain to take mail for: write at least "
	    "domain \"example.org\" { users = { \"alice\" }  aliases = { "
	    "\"postmaster: alice\", \"abuse: alice\" } }");
}

/* Every name that a greeting shows. */
static void
add_hosts(struct config_all *all)
{
	struct recipients *r = config_tables(all);

	if (all->pub.hostname)
		recipients_add_host(r, all->pub.hostname);
	for (unsigned i = 0; i < all->pub.nlistens; i++) {
		if (all->pub.listens[i].smtp.hostname)
			recipients_add_host(r,
			    all->pub.listens[i].smtp.hostname);
	}
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	struct domain_block *data = b->data;
	unsigned before = f->errors;

	add_domain(all, f, b);
	data->bad = f->errors > before;
}

/* With something missing from the tables they would blame what is not in. */
static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_domain);
	struct config_item at = config_where(all->top, "postmaster");
	struct check check = {all, f};
	const char *why = NULL;
	bool good = all->whole;

	add_hosts(all);
	if (all->postmaster) {
		config_tables(all);
		begin_at(all, &at);
		why = recipients_postmaster(all->pub.deliver.recipients,
		    all->postmaster);
	}
	config_fault_item(f, "postmaster", &at, why);
	if (!b && all->whole)
		no_domain(all, f);
	for (; b; b = config_block_next(b)) {
		const struct domain_block *data = b->data;

		good = good && !data->bad;
	}
	if (good && !why)
		recipients_check(config_tables(all), on_fault, &check);
}

const struct config_section section_domain = {
    .name = "domain",
    .title = "NAME",
    .help = "a domain that mail is taken for",
    KEYS(keys),
    .size = sizeof(struct domain_block),
    .vital = true,
    .build = build,
    .check = check,
    .machine = domain_machine,
};

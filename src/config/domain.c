/*
 * config_domain: the recipients' tables, filled from domain blocks and from
 * the files that they name. Every fault has the line that it comes from.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/ascii.h"
#include "config/tree.h"
#include "io/idn.h"

#define MAILDIR "maildir:"
/* Aliases lead to many mailboxes; all of a message have this many, at most. */
#define TARGETS_PER_RECIPIENT 10

static struct recipients *
new_recipients(const struct config_all *all)
{
	struct recipients_options o = {.delimiter = all->delimiter,
	    .fold = !all->keep_case,
	    .targets = TARGETS_PER_RECIPIENT * all->recipients};

	if (getrandom(o.key, sizeof(o.key), 0) != sizeof(o.key))
		abort();
	return recipients_new(&o);
}

/* why: NULL or what the room of recipients says is wrong with the item. */
static void
fault_item(struct config_faults *f, const char *key,
    const struct config_item *item, const char *why)
{
	if (why)
		config_error(f, item->file, item->line, "%s \"%.80s\": %s", key,
		    item->text, why);
}

static const struct config_list *
list_of(const struct config_block *b, const char *key)
{
	return &b->values[config_key_find(b->section, span_str(key)) -
			  b->section->keys];
}

static void
add_users(struct config_all *all, struct config_faults *f,
    struct mail_domain *d, const struct config_list *users)
{
	for (unsigned i = 0; i < users->n; i++)
		fault_item(f, "user", &users->items[i],
		    recipients_add_user(all->pub.deliver.recipients, d,
			users->items[i].text));
}

static void
add_aliases(struct config_all *all, struct config_faults *f,
    struct mail_domain *d, const struct config_list *aliases)
{
	for (unsigned i = 0; i < aliases->n; i++)
		fault_item(f, "alias", &aliases->items[i],
		    recipients_add_alias(all->pub.deliver.recipients, d,
			aliases->items[i].text));
}

static void
fill_users(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_domain_block *data = b->data;
	struct config_item at = config_where(b, "users-file");
	struct config_list lines = {0};

	add_users(all, f, data->domain, list_of(b, "users"));
	if (data->users_file) {
		config_read_lines(all, f, &at, data->users_file, &lines);
		add_users(all, f, data->domain, &lines);
	}
	at = config_where(b, "users-from");
	if (data->users_from)
		fault_item(f, "users-from", &at,
		    recipients_users_from(all->pub.deliver.recipients,
			data->domain, data->users_from));
}

static void
fill_aliases(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct config_domain_block *data = b->data;
	struct config_item at = config_where(b, "aliases-file");

	add_aliases(all, f, data->domain, list_of(b, "aliases"));
	if (data->aliases_file) {
		config_read_lines(all, f, &at, data->aliases_file,
		    &data->aliases);
		add_aliases(all, f, data->domain, &data->aliases);
	}
	at = config_where(b, "catch-all");
	if (data->catch_all)
		fault_item(f, "catch-all", &at,
		    recipients_catch_all(all->pub.deliver.recipients,
			data->domain, data->catch_all));
}

static void
fill_size(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_domain_block *data = b->data;
	struct config_item at = config_where(b, "message-size");

	if (!data->message_size)
		return;
	recipients_limit_size(data->domain, data->message_size);
	if (data->message_size > all->message_size)
		config_warn(f, at.file, at.line,
		    "message-size is larger than the top-level one, which "
		    "counts first: raise that one too");
}

/* One domain is there once, in whatever spelling. */
static const struct config_block *
find_domain(const struct config_all *all, const struct config_block *end,
    const char *key)
{
	const struct config_block *b = all->blocks;

	for (; b != end; b = b->next) {
		const struct config_domain_block *data = b->data;

		if (b->section == &config_sections[SECTION_DOMAIN] &&
		    data->key && strcmp(data->key, key) == 0)
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
	struct config_domain_block *data = b->data;
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

static void
add_domain(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct config_domain_block *data = b->data;
	struct config_item at = config_where(b, "deliver");
	const char *why;

	if (!set_key(all, f, b))
		return;
	why = recipients_add_domain(all->pub.deliver.recipients, b->title,
	    data->deliver + strlen(MAILDIR), &data->domain);
	if (why) {
		config_error(f, at.file, at.line, "deliver \"%.80s\": %s",
		    data->deliver, why);
		return;
	}
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
	const struct config_domain_block *data;
	const struct config_item *item;

	if (!b)
		return config_where(all->top, "postmaster");
	data = b->data;
	if (!name && data->catch_all) /* then no postmaster is missing */
		return config_where(b, "catch-all");
	if (!name)
		return (struct config_item){NULL, b->file, b->line};
	item = find_alias(list_of(b, "aliases"), name);
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
	struct recipients *r = all->pub.deliver.recipients;

	if (all->pub.hostname)
		recipients_add_host(r, all->pub.hostname);
	for (unsigned i = 0; i < all->pub.nlistens; i++) {
		if (all->pub.listens[i].smtp.hostname)
			recipients_add_host(r,
			    all->pub.listens[i].smtp.hostname);
	}
}

void
config_build_domains(struct config_all *all, struct config_faults *f)
{
	struct config_item at = config_where(all->top, "postmaster");
	struct check check = {all, f};
	unsigned before = f->errors;
	unsigned n = 0;

	all->pub.deliver.recipients = new_recipients(all);
	add_hosts(all);
	for (const struct config_block *b = all->blocks; b; b = b->next) {
		if (b->section != &config_sections[SECTION_DOMAIN])
			continue;
		add_domain(all, f, b);
		n++;
	}
	if (all->postmaster)
		fault_item(f, "postmaster", &at,
		    recipients_postmaster(all->pub.deliver.recipients,
			all->postmaster));
	if (!n && all->whole)
		no_domain(all, f);
	if (n && all->whole &&
	    f->errors == before) /* else it would blame what is not in */
		recipients_check(all->pub.deliver.recipients, on_fault, &check);
}

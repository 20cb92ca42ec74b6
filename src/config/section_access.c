/*
 * section_access: rules of who may speak, in the file or in one of their own.
 * Each keeps its line: it is told with what the rule decided.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "config/file.h"
#include "config/section.h"
#include "policy/access.h"

struct access_block {
	char *rules_file;
};

static const struct config_key keys[] = {
    {"rules", KEY_LIST, .doc = "none",
	.help = "\"ACTION KIND VALUE: CODE STATUS TEXT\": who may speak"},
    {"rules-file", KEY_PATH, offsetof(struct access_block, rules_file),
	.doc = "none", .help = "file with one such rule a line"},
};

static void
add(struct config_all *all, struct config_faults *f,
    const struct config_list *rules)
{
	char why[ACCESS_WHY_MAX];

	for (unsigned i = 0; i < rules->n; i++) {
		const struct config_item *r = &rules->items[i];

		if (!access_add(all->pub.access, span_str(r->text),
			(struct where){r->file, r->line}, why))
			config_error(f, r->file, r->line, "%s", why);
	}
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct access_block *data = b->data;
	struct access_options o = {.fold = !all->keep_case};
	struct config_item at = config_where(b, "rules-file");
	struct config_list lines = {0};

	if (!config_values(b, "rules")->n && !data->rules_file)
		return;
	if (getrandom(o.key, sizeof(o.key), 0) != sizeof(o.key))
		abort();
	all->pub.access = access_new(&o);
	add(all, f, config_values(b, "rules"));
	if (data->rules_file)
		config_read_lines(all, f, &at, data->rules_file, &lines);
	add(all, f, &lines);
	access_ready(all->pub.access);
	all->pub.door.access = all->pub.access;
}

const struct config_section section_access = {
    .name = "access",
    .help = "rules of who may speak",
    KEYS(keys),
    .size = sizeof(struct access_block),
    .build = build,
};

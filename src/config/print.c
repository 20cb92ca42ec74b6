/*
 * print: the effective configuration, in the syntax of the file:
 * what it prints can be read again and gives the same, but for queries of URLs,
 * which may be secrets. Keys that are not set and have no default are comments.
 */
#include "config/print.h"

#include "config/format.h"
#include "config/section.h"

#define LIST_SHORT 3 /* more elements take a line each */

struct printer {
	FILE *f;
	const char *indent;
};

static void
print_help(const struct printer *p, const struct config_key *k)
{
	fprintf(p->f, "%s# %s\n", p->indent, k->help);
}

static void
print_list(const struct printer *p, const struct config_key *k,
    const struct config_list *l)
{
	bool brief = l->n <= LIST_SHORT;
	struct buf text = {0}, item = {0};

	if (!l->n) {
		fprintf(p->f, "%s# %s = { }\n", p->indent, k->name);
		return;
	}
	for (unsigned i = 0; i < l->n; i++) {
		if (brief)
			buf_append_str(&text, i ? ", " : " ");
		else
			buf_printf(&text, "%s\n%s\t", i ? "," : "", p->indent);
		item.len = 0;
		config_public(l->items[i].text, &item);
		buf_append(&item, "", 1);
		config_quote(item.data, &text);
	}
	fprintf(p->f, "%s%s = {%.*s%s}\n", p->indent, k->name, (int)text.len,
	    text.data, brief ? " " : "\n");
	buf_free(&text);
	buf_free(&item);
}

static void
print_value(const struct printer *p, const struct config_key *k,
    const void *data)
{
	struct buf text = {0};

	if (config_value_format(k, data, &text))
		fprintf(p->f, "%s%s = %.*s\n", p->indent, k->name,
		    (int)text.len, text.data);
	else
		fprintf(p->f, "%s# %s =\n", p->indent, k->name);
	buf_free(&text);
}

static void
print_keys(const struct printer *p, const struct config_block *b)
{
	for (unsigned i = 0; i < b->section->nkeys; i++) {
		const struct config_key *k = &b->section->keys[i];

		print_help(p, k);
		if (k->type == KEY_LIST)
			print_list(p, k, &b->values[i]);
		else
			print_value(p, k, b->data);
	}
}

static void
print_block(FILE *f, const struct config_block *b)
{
	struct printer p = {f, "\t"};
	struct buf title = {0};

	if (b->title)
		config_quote(b->title, &title);
	fprintf(f, "\n# %s\n%s %.*s%s{\n", b->section->help, b->section->name,
	    (int)title.len, title.data, b->title ? " " : "");
	print_keys(&p, b);
	fprintf(f, "}\n");
	buf_free(&title);
}

void
config_print(const struct config *c, FILE *f)
{
	const struct config_all *all = (const struct config_all *)c;
	struct printer top = {f, ""};

	fprintf(f, "# %s, with all that it leaves to defaults\n\n", c->file);
	print_keys(&top, all->top);
	for (const struct config_block *b = all->top->next; b; b = b->next)
		print_block(f, b);
}

void
config_print_fault(void *f, bool warn, const char *file, unsigned line,
    const char *text)
{
	fputs(file, f);
	if (line)
		fprintf(f, ":%u", line);
	fprintf(f, ": %s: %s\n", warn ? "warning" : "error", text);
}

void
config_print_error(void *f, bool warn, const char *file, unsigned line,
    const char *text)
{
	if (!warn)
		config_print_fault(f, warn, file, line, text);
}

void
config_print_keys(FILE *f)
{
	static const char *const types[] = {
	    [KEY_TEXT] = "text",
	    [KEY_HOST] = "hostname",
	    [KEY_PATH] = "path",
	    [KEY_ADDRESS] = "address",
	    [KEY_CHAR] = "character",
	    [KEY_BOOL] = "boolean",
	    [KEY_WORD] = "word",
	    [KEY_NUMBER] = "number",
	    [KEY_PERCENT] = "percent",
	    [KEY_SIZE] = "size",
	    [KEY_DURATION] = "duration",
	    [KEY_RATE] = "rate",
	    [KEY_LIST] = "list",
	};

	for (unsigned i = 0; config_sections[i]; i++) {
		const struct config_section *s = config_sections[i];

		for (unsigned n = 0; n < s->nkeys; n++) {
			const struct config_key *k = &s->keys[n];

			fprintf(f, "%s\t%s\t%s\t%s\t%s\n", s->name, k->name,
			    types[k->type], k->def ? k->def : "-", k->help);
		}
	}
}

/*
 * section: the table of sections, and the one way in which all of them are
 * built. A key that is no row of theirs does not exist: the parser refuses
 * it, and the lint fails until the manual and the example name every row.
 */
#include "config/section.h"

#include <stdlib.h>

#include "config/value.h"

#define SECTION(name) &section_##name,
const struct config_section *const config_sections[] = {
    CONFIG_SECTIONS(SECTION) NULL};

const struct config_section *
config_section_find(struct span name)
{
	const struct config_section *const *s = config_sections + 1;

	while (*s && !span_equal(name, span_str((*s)->name)))
		s++;
	return *s;
}

const struct config_key *
config_key_find(const struct config_section *s, struct span name)
{
	for (unsigned i = 0; i < s->nkeys; i++) {
		if (span_equal(name, span_str(s->keys[i].name)))
			return &s->keys[i];
	}
	return NULL;
}

static void
imply(struct config_all *all)
{
	const struct config_section *const *s;

	for (s = config_sections; *s; s++) {
		if (!(*s)->title && !config_block_first(all, *s))
			config_block_add(all, *s, NULL, NULL, 0);
	}
	for (s = config_sections; *s; s++) {
		if ((*s)->imply)
			(*s)->imply(all);
	}
}

static void
check_single(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *first = config_block_first(all, b->section);

	if (first != b && !b->section->title)
		config_error(f, b->file, b->line,
		    "there is a %s block already, in line %u of %s: join them",
		    b->section->name, first->line, first->file);
}

/* The default first: it stays where what is written is no good. */
static void
set(struct config_all *all, struct config_faults *f, struct config_block *b,
    unsigned i)
{
	const struct config_key *k = &b->section->keys[i];
	const struct config_list *l = &b->values[i];
	char why[CONFIG_WHY_MAX];

	if (k->def && config_value_set(k, b->data, k->def, all->cwd,
			  &all->arena, why) < 0)
		abort(); /* the table contradicts itself */
	if (!l->n || config_value_set(k, b->data, l->items[0].text, all->cwd,
			 &all->arena, why) == 0)
		return;
	if (b->section->vital)
		all->whole = false;
	config_error(f, l->items[0].file, l->items[0].line,
	    "%s = \"%.80s\": %s", k->name, l->items[0].text, why);
}

/* What is written stays in the block; so does the default. */
static void
set_list(struct config_all *all, struct config_block *b, unsigned i)
{
	const struct config_item def = {b->section->keys[i].def, b->file,
	    b->line};

	if (def.text && !b->values[i].n)
		config_list_add(&all->arena, &b->values[i], def);
}

void
config_build(struct config_all *all, struct config_faults *f)
{
	const struct config_section *const *s;
	struct config_block *b;

	imply(all);
	for (b = all->blocks; b; b = b->next) {
		check_single(all, f, b);
		for (unsigned i = 0; i < b->section->nkeys; i++) {
			if (b->section->keys[i].type != KEY_LIST)
				set(all, f, b, i);
			else
				set_list(all, b, i);
		}
	}
	for (s = config_sections; *s; s++) {
		b = (*s)->build ? config_block_first(all, *s) : NULL;
		for (; b; b = (*s)->title ? config_block_next(b) : NULL)
			(*s)->build(all, f, b);
	}
	for (s = config_sections; *s; s++) {
		if ((*s)->check)
			(*s)->check(all, f);
	}
}

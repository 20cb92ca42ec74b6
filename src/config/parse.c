/*
 * parse: libconfuse, bound to the table.
 *
 * Every key is a string for libconfuse, and every value is recorded as it
 * comes, with its line: libconfuse itself keeps neither lines nor what a
 * second assignment overwrites. Each of its options points to our parser
 * through simple_value, as it has no context of its own; and each block has
 * a hidden first option with a default, which is parsed, and so calls us,
 * when the block is opened.
 */
#include "config/parse.h"

#include <assert.h>
#include <confuse.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "config/file.h"
#include "config/scan.h"
#include "config/section.h"
#include "config/suggest.h"

#define INCLUDE_DEPTH 10

struct parser {
	char *scratch; /* first: where libconfuse puts strings */
	struct config_all *all;
	struct config_faults *faults;
	cfg_t *root;
	struct config_block *block; /* the one that was opened last */
	const char *file;
	unsigned depth;
	bool too_deep; /* nothing is included any more */
	bool failed;
};

static struct parser *
parser_of(const cfg_t *cfg)
{
	const cfg_opt_t *opt = cfg->opts;

	while (!opt->simple_value.ptr)
		opt++;
	return (struct parser *)(void *)opt->simple_value.ptr;
}

static const char *
keep(struct parser *p, const char *text)
{
	return arena_dup(&p->all->arena, span_str(text));
}

/* False: it cannot be a value, and is not worth showing. */
static bool
is_text(struct parser *p, unsigned line, const char *what, const char *text)
{
	struct span s = span_str(text);
	bool utf8 = utf8_valid(s);

	while (s.len && !ascii_is_control(s.ptr[0]))
		span_skip(&s, 1);
	if (utf8 && !s.len)
		return true;
	p->failed = true;
	if (!utf8)
		config_error(p->faults, p->file, line,
		    "this value of %s is not UTF-8: save the file as UTF-8",
		    what);
	else /* it comes from the environment */
		config_error(p->faults, p->file, line,
		    "octet 0x%02x has no place in a value of %s",
		    (unsigned)(unsigned char)s.ptr[0], what);
	return false;
}

/* cfg_callback_t of the hidden option: a block begins. */
static int
on_open(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct parser *p = parser_of(cfg);
	const struct config_section *s =
	    config_section_find(span_str(cfg->name));
	unsigned line = (unsigned)cfg->line;
	const char *title = NULL;

	(void)opt;
	if (s->title)
		title = is_text(p, line, s->name, cfg->title)
			    ? keep(p, cfg->title)
			    : "?";
	p->block = config_block_add(p->all, s, title, p->file, line);
	*(const char **)result = value;
	return 0;
}

/* True when the key has a value already that this one would replace. */
static bool
is_repeated(const struct config_key *k, const struct config_list *l,
    cfg_opt_t *opt)
{
	bool appended = k->type == KEY_LIST && !(opt->flags & CFGF_RESET);

	opt->flags &= ~CFGF_RESET;
	return l->n && !appended;
}

/* cfg_callback_t of every key: a value, or one element of a list. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct parser *p = parser_of(cfg);
	struct config_block *b = cfg == p->root ? p->all->top : p->block;
	const struct config_key *k =
	    config_key_find(b->section, span_str(opt->name));
	struct config_list *l = &b->values[k - b->section->keys];
	unsigned line = (unsigned)cfg->line;

	if (is_repeated(k, l, opt))
		config_error(p->faults, p->file, line,
		    "%s is set already, in line %u of %s: take one of them out",
		    k->name, l->items[0].line, l->items[0].file);
	if (is_text(p, line, k->name, value))
		config_list_add(&p->all->arena, l,
		    (struct config_item){keep(p, value), p->file, line});
	*(const char **)result = value;
	return 0;
}

static const struct {
	const char *theirs, *ours; /* both with one %s, or none */
} faults[] = {
    {"missing equal sign after option '%s'",
	"%.40s needs an equal sign and a value"},
    {"missing opening brace for section '%s'",
	"a %.40s block needs an opening brace: write { and, at its end, }"},
    {"missing parenthesis for function '%s'",
	"write %.40s(\"file\"), with parentheses"},
    {"attempt to append to non-list option '%s'",
	"%.40s is no list: write = instead of +="},
    {"premature end of file", "the file ends in the middle of something"},
    {"unexpected token '%s'",
	"\"%.40s\" is not expected here: is a comma, an equal sign, a quote "
	"or a brace missing before it?"},
};

/* A word with neither = nor { behind it. */
static void
fault_stray(struct parser *p, const cfg_t *cfg, const char *word)
{
	const char *ours = config_our_word(span_str(word));

	config_error(p->faults, p->file, (unsigned)cfg->line,
	    "nothing called \"%.40s\" may stand here: %s%s", word,
	    ours ? "here it is "
		 : "does a value of several words lack its quotes?",
	    ours ? ours : "");
}

/* cfg_errfunc_t: the parsing of this file is over. */
static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct parser *p = parser_of(cfg);
	const char *ours = fmt;
	char text[256];

	if (strcmp(fmt, "no such option '%s'") == 0) {
		fault_stray(p, cfg, va_arg(ap, const char *));
		return;
	}
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (strcmp(fmt, faults[i].theirs) == 0)
			ours = faults[i].ours;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof(text), ours, ap);
#pragma GCC diagnostic pop
	config_error(p->faults, p->file, (unsigned)cfg->line, "%s", text);
}

static void
parse_text(struct parser *p, const char *file, char *text, size_t len)
{
	const char *outer = p->file;
	int line = p->root->line;
	enum config_scanned scanned = config_scan(p->faults, file, text, len);
	FILE *f;

	p->file = file;
	if (scanned != SCAN_GOOD)
		p->failed = true;
	if (scanned != SCAN_BAD && len) {
		f = fmemopen(text, len, "r");
		if (!f)
			abort();
		if (cfg_parse_fp(p->root, f) != CFG_SUCCESS)
			p->failed = true;
		fclose(f);
	}
	p->file = outer;
	p->root->line = line;
}

/* A name without a slash in front is beside the file that includes it. */
static const char *
include_path(struct parser *p, const char *name)
{
	const char *slash = strrchr(p->file, '/');
	struct buf path = {0};
	const char *r;

	if (name[0] != '/' && slash)
		buf_append(&path, p->file, (size_t)(slash - p->file) + 1);
	buf_append_str(&path, name);
	r = arena_dup(&p->all->arena, buf_span(&path));
	buf_free(&path);
	return r;
}

static void
include(struct parser *p, unsigned line, const char *name)
{
	const char *path = include_path(p, name);
	struct buf text = {0};

	if (p->too_deep) /* twice itself, ten deep, would be 1024 times */
		return;
	if (p->depth == INCLUDE_DEPTH) {
		p->failed = p->too_deep = true;
		config_error(p->faults, p->file, line,
		    "include is nested more than %d deep: does \"%s\" include "
		    "itself?",
		    INCLUDE_DEPTH, path);
	} else if (config_read(p->all, path, &text) < 0) {
		p->failed = true;
		config_error(p->faults, p->file, line,
		    "cannot include \"%s\": %s", path, config_read_why());
	} else {
		buf_append(&text, "", 1);
		p->depth++;
		parse_text(p, path, text.data, text.len - 1);
		p->depth--;
	}
	buf_free(&text);
}

/* cfg_func_t: goes on behind it whatever is wrong in there. */
static int
on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	struct parser *p = parser_of(cfg);

	(void)opt;
	(void)argc;
	assert(argc == 1); /* config_shape saw to that */
	include(p, (unsigned)cfg->line, argv[0]);
	return 0;
}

static cfg_opt_t
value_option(struct parser *p, const struct config_key *k)
{
	return (cfg_opt_t){.name = k->name,
	    .type = CFGT_STR,
	    .flags =
		CFGF_NODEFAULT | (k->type == KEY_LIST ? CFGF_LIST : CFGF_NONE),
	    .simple_value = {.string = &p->scratch},
	    .parsecb = on_value};
}

/* The hidden option, the keys, and the end. */
static cfg_opt_t *
block_options(struct parser *p, const struct config_section *s)
{
	cfg_opt_t *o = arena_alloc(&p->all->arena, (s->nkeys + 2) * sizeof(*o));

	o[0] = (cfg_opt_t){.name = " ",
	    .type = CFGT_STR,
	    .def = {.parsed = arena_dup(&p->all->arena, span_str("open"))},
	    .parsecb = on_open};
	for (unsigned i = 0; i < s->nkeys; i++)
		o[i + 1] = value_option(p, &s->keys[i]);
	return o;
}

/* The keys of the top level, a block for each section, include(). */
static cfg_opt_t *
top_options(struct parser *p)
{
	const struct config_section *top = config_sections[0], *s;
	unsigned n = 1;
	cfg_opt_t *opts, *o;

	while (config_sections[n])
		n++;
	o = opts =
	    arena_alloc(&p->all->arena, (top->nkeys + n + 1) * sizeof(*opts));
	for (unsigned i = 0; i < top->nkeys; i++)
		*o++ = value_option(p, &top->keys[i]);
	for (unsigned i = 1; (s = config_sections[i]); i++) {
		*o++ = (cfg_opt_t){.name = s->name,
		    .type = CFGT_SEC,
		    .flags = CFGF_MULTI | (s->title ? CFGF_TITLE : CFGF_NONE),
		    .subopts = block_options(p, s)};
	}
	*o = (cfg_opt_t){.name = "include",
	    .type = CFGT_FUNC,
	    .func = on_include};
	return opts;
}

void
config_parse(struct config_all *all, struct config_faults *f, const char *file,
    char *text, size_t len)
{
	struct parser p = {.all = all, .faults = f};

	all->top = config_block_add(all, &section_top, NULL, file, 1);
	p.root = cfg_init(top_options(&p), CFGF_NONE);
	if (!p.root)
		abort();
	cfg_set_error_function(p.root, on_error);
	parse_text(&p, file, text, len);
	cfg_free(p.root);
	free(p.scratch);
	all->whole = !p.failed;
}

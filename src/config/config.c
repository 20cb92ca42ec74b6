/*
 * config: from a path to a constant struct config.
 *
 * Reads the file and those that it names, and nothing else; changes nothing
 * outside of its own memory. Everything it hands out lives in one arena,
 * but for the recipients' tables.
 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/file.h"
#include "config/parse.h"
#include "config/section_route.h"
#include "io/tls.h"

/* For trying it out: loopback only, and any user of localhost has mail. */
static const char builtin[] =
    "hostname = localhost\n"
    "user = nobody\n"
    "spool = run/spool\n"
    "spool-volatile = yes\n"
    "workers = 1\n"
    "listen \"127.0.0.1:2525\" { }\n"
    "listen \"127.0.0.1:2587\" { role = submission }\n"
    "domain \"localhost\" {\n"
    "	users = { postmaster }\n"
    "	aliases = { \"abuse: postmaster\" }\n"
    "	catch-all = postmaster\n"
    "	deliver = \"maildir:run/mail\"\n"
    "}\n";

static struct config_all *
new_config(const char *path)
{
	struct config_all *all = mem_new(sizeof(*all));

	all->blocks_end = &all->blocks;
	all->builtin = strcmp(path, CONFIG_BUILTIN) == 0;
	all->pub.file = arena_dup(&all->arena, span_str(path));
	return all;
}

static void
free_config(struct config_all *all)
{
	recipients_free(&all->pub.deliver.recipients);
	config_routes_free(all);
	tls_free(&all->pub.tls);
	auth_users_free(&all->pub.auth.users);
	senders_free(&all->pub.senders);
	access_free(&all->pub.access);
	free(all->cwd);
	arena_reset(&all->arena);
	free(all);
}

/* Where the builtin configuration finds its relative paths. */
static int
read_builtin(struct config_all *all, struct config_faults *f, struct buf *text)
{
	all->cwd = getcwd(NULL, 0);
	if (!all->cwd) {
		config_error(f, all->pub.file, 0,
		    "the current directory has no name: %s", strerror(errno));
		return -1;
	}
	buf_append(text, builtin, sizeof(builtin) - 1);
	return 0;
}

static int
read_file(struct config_all *all, struct config_faults *f, struct buf *text)
{
	if (config_read(all, all->pub.file, text) == 0)
		return 0;
	config_error(f, all->pub.file, 0,
	    "cannot be read: %s; name another file with -f, or try "
	    "-f " CONFIG_BUILTIN,
	    config_read_why());
	return -1;
}

/* Whatever is wrong with it. *missing: it cannot be read. */
static struct config_all *
load(const char *path, const struct config *old, struct config_faults *f,
    bool *missing)
{
	struct config_all *all = new_config(path);
	struct buf text = {0};

	*missing = (all->builtin ? read_builtin(all, f, &text)
				 : read_file(all, f, &text)) < 0;
	all->old = old;
	if (!*missing) {
		buf_append(&text, "", 1);
		config_parse(all, f, all->pub.file, text.data, text.len - 1);
		config_build(all, f);
	}
	all->old = NULL;
	buf_free(&text);
	return all;
}

enum config_status
config_load(const char *path, const struct config *old, config_fault_fn *fault,
    void *ctx, struct config **r)
{
	struct config_faults f = {.fn = fault, .ctx = ctx, .main = path};
	bool missing;
	struct config_all *all = load(path, old, &f, &missing);
	enum config_status status = config_faults_show(&f);

	*r = status == CONFIG_ERRORS ? NULL : &all->pub;
	if (!*r)
		free_config(all);
	return missing ? CONFIG_MISSING : status;
}

static void
ignore_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	(void)ctx;
	(void)warn;
	(void)file;
	(void)line;
	(void)text;
}

struct config *
config_glance(const char *path, config_fault_fn *fault, void *ctx)
{
	struct config_faults f = {.ctx = ctx, .main = path};
	bool missing;
	struct config_all *all = load(path, NULL, &f, &missing);

	f.fn = missing ? fault : ignore_fault;
	config_faults_show(&f);
	if (!missing)
		return &all->pub;
	free_config(all);
	return NULL;
}

void
config_free(struct config **c)
{
	if (!*c)
		return;
	free_config((struct config_all *)*c);
	*c = NULL;
}

static bool
is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
keep(struct config_all *all, char **now, const char *old, const char *key,
    config_fault_fn *fault, void *ctx)
{
	struct config_item at = config_where(all->top, key);
	char text[256];

	if (is_same(*now, old))
		return false;
	*now = old ? arena_dup(&all->arena, span_str(old)) : NULL;
	snprintf(text, sizeof(text),
	    "%s cannot change while smtpd runs: %.80s stays until a restart",
	    key, old ? old : "the user's own");
	fault(ctx, true, at.file ? at.file : all->pub.file, at.line, text);
	return true;
}

void
config_keep(struct config *c, const struct config *old, config_fault_fn *fault,
    void *ctx)
{
	struct config_all *all = (struct config_all *)c;

	keep(all, &c->user, old->user, "user", fault, ctx);
	keep(all, &c->group, old->group, "group", fault, ctx);
	if (!keep(all, &c->spool, old->spool, "spool", fault, ctx))
		return;
	c->deliver.spool = c->spool;
	if (all->failed_by_default)
		c->deliver.failed = c->failed =
		    arena_dup(&all->arena, span_str(old->failed));
	c->spool_volatile = old->spool_volatile; /* it was said of this one */
}

enum config_status
config_check(struct config *c, config_fault_fn *fault, void *ctx)
{
	struct config_all *all = (struct config_all *)c;
	struct config_faults f = {.fn = fault, .ctx = ctx, .main = c->file};
	struct stat st;

	for (unsigned i = 0; config_sections[i]; i++) {
		if (config_sections[i]->machine)
			config_sections[i]->machine(all, &f);
	}
	if (stat(c->file, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
		config_warn(&f, c->file, 0,
		    "others can write this file: chmod go-w");
	return config_faults_show(&f);
}

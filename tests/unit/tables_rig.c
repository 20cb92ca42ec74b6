/*
 * tables_rig: one set of tables at a time, and a transaction's targets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables_rig.h"

struct recipients *r;
struct mail_domain *org;
struct targets *list;
struct ipaddr server;

static struct arena arena;

void
tables_new(bool fold, char delimiter, const char *template)
{
	struct recipients_options o = {.delimiter = delimiter,
	    .fold = fold,
	    .targets = 1000};
	char deliver[512];

	memcpy(o.key, "0123456789abcdef", sizeof(o.key));
	recipients_free(&r);
	r = recipients_new(&o);
	snprintf(deliver, sizeof(deliver), "maildir:%s", template);
	assert_null(recipients_add_domain(r, "Example.ORG", deliver, &org));
}

int
tables_free(void **state)
{
	(void)state;
	arena_reset(&arena);
	list = NULL;
	server = (struct ipaddr){0};
	recipients_free(&r);
	return 0;
}

void
user(const char *name)
{
	assert_null(recipients_add_user(r, org, name));
}

void
alias(const char *line)
{
	assert_null(recipients_add_alias(r, org, line));
}

struct smtp_path
parse(const char *address)
{
	struct buf b = {0};
	struct smtp_path p;

	buf_printf(&b, "<%s>", address);
	assert_int_equal(smtp_path_parse(buf_span(&b), SMTP_PATH_FORWARD,
			     &arena, &p),
	    0);
	buf_free(&b);
	return p;
}

static enum rcpt_result
resolve_how(const char *address, enum rcpt_how how)
{
	struct smtp_path p = parse(address);
	struct arena scratch = {0};
	struct targets found = {0};
	enum rcpt_result result =
	    recipients_resolve(r, &p, &server, how, &scratch, &found);

	if (result == RCPT_OK)
		assert_true(targets_merge(r, &list, &found, &arena));
	else
		assert_null(found.first);
	arena_reset(&scratch);
	return result;
}

enum rcpt_result
resolve(const char *address)
{
	enum rcpt_result seen = resolve_how(address, RCPT_LOOK);
	unsigned n = list ? list->n : 0;
	enum rcpt_result result = resolve_how(address, RCPT_ASK);

	if (seen != RCPT_LIVE) {
		assert_int_equal(seen, result);
		assert_int_equal(list ? list->n : 0, n);
	}
	return result;
}

bool
live(const char *address)
{
	return resolve_how(address, RCPT_LOOK) == RCPT_LIVE;
}

void
assert_targets(const char *expected)
{
	char text[4096] = "";
	size_t n = 0;

	for (const struct target *t = list->first; t; t = t->next)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
		    n ? " " : "", t->path);
	assert_string_equal(text, expected);
	list = NULL;
}

void
assert_goes(const char *address, const char *expected)
{
	assert_int_equal(resolve(address), RCPT_OK);
	assert_targets(expected);
}

void
assert_result(const char *address, enum rcpt_result expected)
{
	assert_int_equal(resolve(address), expected);
	assert_null(list);
}

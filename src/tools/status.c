/*
 * status: shows what the master says, a line for each of its lines, or as one
 * JSON object: each key a string, or an array where it may come again.
 */
#include <stdio.h>
#include <string.h>

#include "base/quote.h"
#include "setup.h"
#include "tools/control.h"
#include "tools/tool.h"

static bool
is(struct span key, const char *name)
{
	return span_equal(key, span_str(name));
}

/* Those that may come again; always there. */
static const char *const lists[] = {"worker", "route", "milter", "dnsbl",
    "disk", "certificate", "fault"};
#define NLISTS (sizeof(lists) / sizeof(lists[0]))

static bool
is_list(struct span key)
{
	for (size_t i = 0; i < NLISTS; i++)
		if (is(key, lists[i]))
			return true;
	return false;
}

/* As control_line(); of the process its id alone, when it began is for us. */
static bool
next_line(const struct control *c, size_t *at, struct span *key,
    struct span *value)
{
	const char *start;

	if (!control_line(c, at, key, value))
		return false;
	start = is(*key, "pid") ? memchr(value->ptr, ' ', value->len) : NULL;
	if (start)
		value->len = (size_t)(start - value->ptr);
	return true;
}

static void
put_list(const struct control *c, const char *name, struct buf *out)
{
	struct span key, value;
	bool first = true;
	size_t at = 0;

	quote_json(out, span_str(name));
	buf_append_str(out, ": [");
	while (control_line(c, &at, &key, &value)) {
		if (!is(key, name))
			continue;
		buf_append_str(out, first ? "" : ", ");
		quote_json(out, value);
		first = false;
	}
	buf_append_str(out, "]");
}

static void
put_json(const struct control *c)
{
	struct span key, value;
	struct buf out = {0};
	size_t at = 0;

	buf_append_str(&out, "{");
	while (next_line(c, &at, &key, &value)) {
		if (is_list(key))
			continue;
		quote_json(&out, key);
		buf_append_str(&out, ": ");
		quote_json(&out, value);
		buf_append_str(&out, ", ");
	}
	for (size_t i = 0; i < NLISTS; i++) {
		buf_append_str(&out, i ? ", " : "");
		put_list(c, lists[i], &out);
	}
	buf_append_str(&out, "}\n");
	fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
}

/* What is for scripts alone is left out. */
static void
put_text(const struct control *c)
{
	struct span key, value;
	size_t at = 0;

	while (next_line(c, &at, &key, &value)) {
		if (is(key, "reloads") || is(key, "upgrades"))
			continue;
		control_show(stdout, key);
		printf("%*s", key.len < 12 ? (int)(12 - key.len) : 1, "");
		control_show(stdout, value);
		putchar('\n');
	}
}

int
status_main(int argc, char **argv)
{
	struct control c;
	int status = control_open(&c, argc, argv, "--json");
	struct span key, value;
	size_t at = 0;

	if (!status)
		status = control_ask(&c);
	if (!status && c.flag)
		put_json(&c);
	else if (!status)
		put_text(&c);
	while (!status && control_line(&c, &at, &key, &value))
		status = is(key, "fault");
	control_free(&c);
	return control_end("status", status);
}

/*
 * check_say: nothing of it is computed anew but what an address is.
 */
#include "tools/check_say.h"

#include <stdio.h>
#include <string.h>

#include "tools/control.h"

#define COLUMN 48 /* where reasons begin, if there is room */

static void
put_origin(const struct recipients *r, const struct envelope *e,
    struct buf *out)
{
	struct arena a = {0};
	struct rcpt_origin o =
	    recipients_origin(r, &e->rcpts->path, &e->server, &a);

	buf_append_str(out, o.what ? o.what : "relayed");
	if (o.name)
		buf_printf(out, " %s", o.name);
	if (o.at.file)
		buf_printf(out, ", %s:%u", o.at.file, o.at.line);
	arena_reset(&a);
}

/* Of a route no more than what may be shown: it may have a password. */
static void
put_target(const struct target *t, struct buf *out)
{
	if (t->dest->route) {
		buf_append_str(out, t->dest->route->shown);
		buf_append_str(out, " (not asked)");
		return;
	}
	buf_printf(out, "%s:%s", t->dest->kind->scheme,
	    t->dest->kind->place ? t->dest->root.path : "");
	if (t->path && strcmp(t->path, ".") != 0)
		buf_printf(out, "/%s", t->path);
}

void
check_say_recipient(const struct recipients *r, const struct envelope *e,
    struct buf *out)
{
	const struct target *t = e->targets ? e->targets->first : NULL;

	if (!e->rcpts)
		return;
	put_origin(r, e, out);
	for (const char *sign = " → "; t; t = t->next, sign = " + ") {
		buf_append_str(out, sign);
		put_target(t, out);
	}
}

void
check_say_nobody(const struct recipients *r, const char *rcpt, struct buf *out)
{
	const struct ipaddr none = {.family = IP_NONE};
	struct smtp_path p = {.domain = ""};
	struct arena a = {0};

	if (smtp_mailbox_parse(span_str(rcpt), &a, &p) == 0 &&
	    !recipients_origin(r, &p, &none, &a).what)
		buf_printf(out,
		    recipients_domain(r, p.domain)
			? "domain \"%s\" has no such user, alias or catch-all"
			: "no domain block is for \"%s\"",
		    p.domain);
	arena_reset(&a);
}

static void
put_line(const char *head, struct span line, struct span because)
{
	size_t n = strlen(head) + line.len;

	fputs(head, stdout);
	control_show(stdout, line);
	if (because.len) {
		printf("%*s", n < COLUMN ? (int)(COLUMN - n) : 2, "");
		control_show(stdout, because);
	}
	fputs("\n", stdout);
}

void
check_say_reply(struct span line, struct span because)
{
	put_line("<- ", line, because);
}

void
check_say_trail(struct span trail)
{
	const struct span none = {NULL, 0};

	while (trail.len) {
		const char *lf = memchr(trail.ptr, '\n', trail.len);
		struct span line = trail;

		if (lf)
			line.len = (size_t)(lf - trail.ptr);
		put_line("   ", line, none);
		span_skip(&trail, line.len + (lf ? 1 : 0));
	}
}

/*
 * Where a route leads: what is parsed is bounded, parses again to the same, and
 * shows no secret; what is refused says why, in one line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "dest/destination.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
check_line(const char *s)
{
	check(*s && strlen(s) < 2048);
	for (; *s; s++)
		check(*s == '\t' || !ascii_is_control(*s));
}

static void
check_place(const struct destination_kind *kind, const char *rest,
    const struct route_place *p, struct arena *a)
{
	const char *shown = route_shown(kind, rest, a);
	struct route_place again;

	check_line(p->text);
	check_line(shown);
	check(!strchr(shown, '?') || kind->syntax != ROUTE_WEB);
	check(p->host || p->path);
	check(!p->host || (p->port && strlen(p->host) <= 253));
	check(p->naddrs <= ROUTE_ADDRS_MAX);
	check(route_parse_place(kind, strchr(p->text, ':') + 1, a, &again) ==
	      NULL);
	check(!p->host == !again.host && p->port == again.port);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = {0};
	const char *text = arena_dup(&a, (struct span){(const char *)data, n});
	const struct destination_kind *kind;
	struct route_place p;
	const char *rest, *why = destination_parse(text, &kind, &rest);

	if (!why && kind->remote) {
		why = route_parse_place(kind, rest, &a, &p);
		if (!why)
			check_place(kind, rest, &p, &a);
	}
	if (why && !strpbrk(text, "\r\n"))
		check_line(why);
	arena_reset(&a);
	return 0;
}

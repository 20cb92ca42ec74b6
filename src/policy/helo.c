/*
 * helo: a client that says that it is us is lying. Only that: RFC 5321 4.1.4
 * forbids to refuse a name because the DNS does not confirm it. A name
 * without a dot, or an address without brackets, is told and not refused.
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "policy/check.h"

static bool
is_name(const char *name, struct span helo)
{
	return name && ascii_equal_str(helo, name);
}

static bool
is_ours(const struct check_case *c, struct span helo)
{
	const struct door_config *conf = c->conf;
	struct ipaddr literal;

	if (helo.len && helo.ptr[0] == '[')
		return smtp_literal_met(helo, &literal) == 0 &&
		       ipaddr_equal(&literal, &c->subject->env->server);
	return is_name(c->subject->hostname, helo) ||
	       is_name(conf->hostname, helo) ||
	       (conf->serves && conf->serves(conf->serves_ctx, helo));
}

/* A program of this machine, wherever it connects to. */
static bool
is_here(const struct envelope *e)
{
	return ipaddr_is_loopback(&e->client) ||
	       ipaddr_equal(&e->client, &e->server);
}

static bool
is_odd(struct span helo)
{
	struct ipaddr bare;

	return !memchr(helo.ptr, '.', helo.len) ||
	       ipaddr_parse(helo, &bare) == 0;
}

void
helo_judge(const struct check_case *c, struct verdict *v)
{
	const struct envelope *env = c->subject->env;
	struct span helo = span_str(env->helo ? env->helo : "");

	if (!helo.len || is_here(env))
		return;
	if (helo.ptr[helo.len - 1] == '.') /* odd, and the same name */
		helo.len--;
	v->observed = helo.ptr[0] != '[' && is_odd(helo);
	if (!v->observed && !is_ours(c, helo))
		return;
	v->kind = VERDICT_REJECT;
	v->code = 550;
	v->status = "5.7.1";
	snprintf(v->said, sizeof(v->said), "You are not %.*s", (int)helo.len,
	    helo.ptr);
	snprintf(v->value, sizeof(v->value), "%s%.*s",
	    v->observed ? "quirk=" : "", (int)helo.len, helo.ptr);
}

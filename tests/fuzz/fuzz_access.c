/*
 * Access rules, a line each, and a last line that is looked up. What is taken
 * says something that a reply can say, and is not taken twice; what is refused
 * says why, in one line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "policy/access.h"
#include "policy/access_rule.h"
#include "policy/check.h"

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
	check(*s);
	for (; *s; s++)
		check(*s == '\t' || !ascii_is_control(*s));
}

static void
check_rule(struct span line, bool fold)
{
	struct arena arena = {0};
	struct access_rule r;
	char why[ACCESS_WHY_MAX];

	if (access_rule_parse(line, fold, &arena, &r, why)) {
		check(strlen(r.key) < ACCESS_KEY_MAX);
		check(r.key[0] == access_letter(r.kind));
		check_line(r.name);
		check(r.say == VERDICT_ALLOW ||
		      (r.code >= 400 && r.code < 560 &&
			  (r.kind == ACCESS_CLIENT ||
			      r.status[0] == (char)('0' + r.code / 100))));
		if (r.text)
			check_line(r.text);
	}
	arena_reset(&arena);
}

static void
check_verdict(const struct verdict *v)
{
	check(strlen(v->value) < sizeof(v->value));
	if (v->kind != VERDICT_PASS)
		check(v->at.line && v->value[0]);
}

static void
ask_all(const struct access *a, struct span text)
{
	const struct door_config conf = {.access = a};
	struct arena arena = {0};
	struct envelope env = {.port = 1};
	struct smtp_path rcpt = {.local = NULL};
	const struct door_subject subject = {.env = &env, .rcpt = &rcpt};
	const struct check_case c = {.conf = &conf, .subject = &subject};
	static check_judge *const judges[] = {access_client, access_login,
	    access_helo, access_sender, access_rcpt};

	env.helo = env.login = arena_dup(&arena, text);
	ipaddr_parse(text, &env.client);
	smtp_path_parse(text, SMTP_PATH_REVERSE, &arena, &env.sender);
	smtp_path_parse(text, SMTP_PATH_FORWARD, &arena, &rcpt);
	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++) {
		struct verdict v = {.kind = VERDICT_PASS};

		judges[i](&c, &v);
		check_verdict(&v);
	}
	arena_reset(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n}, line = {NULL, 0};
	const struct access_options o = {.fold = n & 1};
	struct access *a = access_new(&o);
	char why[ACCESS_WHY_MAX];

	for (unsigned i = 1; text.len; i++) {
		const char *lf = memchr(text.ptr, '\n', text.len);
		const struct where at = {"f", i};

		line = text;
		if (lf)
			line.len = (size_t)(lf - text.ptr);
		span_skip(&text, line.len + (lf ? 1 : 0));
		check_rule(line, o.fold);
		if (access_add(a, line, at, why))
			check(!access_add(a, line, at, why));
		check_line(why);
	}
	access_ready(a);
	ask_all(a, line);
	access_free(&a);
	return 0;
}

/*
 * access: the tables of rules, and the judges that look into them. What is
 * looked up comes from strangers: the hash is keyed.
 */
#include "policy/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ipset.h"
#include "base/mem.h"
#include "policy/access_rule.h"
#include "policy/check.h"

struct access {
	struct access_options options;
	struct arena arena;        /* all but uthash's own */
	struct access_rule *rules; /* by key */
	unsigned n[ACCESS_KINDS];  /* a kind without rules costs nothing */
	/* those of clients, once more */
	struct ipset clients;
	const struct access_rule **client_rules;
};

struct access *
access_new(const struct access_options *o)
{
	struct access *a = mem_new(sizeof(*a));

	a->options = *o;
	return a;
}

void
access_free(struct access **p)
{
	struct access *a = *p;

	*p = NULL;
	if (!a)
		return;
	HASH_CLEAR(hh, a->rules);
	arena_reset(&a->arena);
	free(a);
}

static struct access_rule *
find(const struct access *a, const char *key)
{
	size_t n = strlen(key);
	struct access_rule *r;

	HASH_FIND_BYHASHVALUE(hh, a->rules, key, n,
	    (unsigned)siphash(a->options.key, key, n), r);
	return r;
}

bool
access_add(struct access *a, struct span rule, struct where at,
    char why[ACCESS_WHY_MAX])
{
	struct arena_mark mark = arena_mark(&a->arena);
	struct access_rule *r = arena_alloc(&a->arena, sizeof(*r));
	const struct access_rule *twin = NULL;
	bool good = access_rule_parse(rule, a->options.fold, &a->arena, r, why);
	size_t n = good ? strlen(r->key) : 0;

	if (good)
		twin = find(a, r->key);
	if (twin)
		snprintf(why, ACCESS_WHY_MAX,
		    "\"%.80s\": there is a rule for it already, in line %u of "
		    "%.120s: keep one of them",
		    r->name, twin->at.line, twin->at.file);
	if (!good || twin) {
		arena_rewind(&a->arena, mark);
		return false;
	}
	r->at = at;
	a->n[r->kind]++;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, a->rules, r->key, n,
	    (unsigned)siphash(a->options.key, r->key, n), r);
	return true;
}

void
access_ready(struct access *a)
{
	size_t max = a->n[ACCESS_CLIENT];
	struct ipset_entry *nets;
	unsigned n = 0;

	nets = arena_alloc(&a->arena, max * sizeof(*nets));
	a->client_rules = arena_alloc(&a->arena, max * sizeof(nets));
	for (struct access_rule *r = a->rules; r; r = r->hh.next) {
		if (r->kind != ACCESS_CLIENT)
			continue;
		nets[n] = (struct ipset_entry){r->net, n};
		a->client_rules[n++] = r;
	}
	ipset_init(&a->clients, nets, n);
}

bool
access_has(const struct access *a, enum access_kind kind)
{
	return a && a->n[kind];
}

/* --- who fits --- */

/* The domain itself, then each suffix, the longest first. */
static const struct access_rule *
find_domain(const struct access *a, const char *prefix, struct span domain)
{
	char name[IDN_MAX + 1], key[2 + sizeof(name)];
	const struct access_rule *r = NULL;

	if (!access_domain(domain, name))
		return NULL;
	for (const char *at = name; !r && at; at = strchr(at + 1, '.')) {
		snprintf(key, sizeof(key), "%s%s", prefix, at);
		r = find(a, key);
	}
	return r;
}

static const struct access_rule *
find_path(const struct access *a, enum access_kind kind,
    const struct smtp_path *p)
{
	const char domain[] = {access_letter(kind), '@', '\0'};
	char key[ACCESS_KEY_MAX];
	const struct access_rule *r;

	if (!a->n[kind] || !p->local)
		return NULL;
	access_address(kind, p, a->options.fold, key);
	r = find(a, key);
	return r || !p->domain[0] ? r
				  : find_domain(a, domain, span_str(p->domain));
}

static const struct access_rule *
find_login(const struct access *a, const char *login)
{
	const char any[] = {access_letter(ACCESS_LOGIN), '*', '\0'};
	char key[ACCESS_KEY_MAX];
	const struct access_rule *r;

	if (!a->n[ACCESS_LOGIN] || !login)
		return NULL;
	access_login_key(span_str(login), key);
	r = find(a, key);
	return r ? r : find(a, any);
}

/* --- judges --- */

/* r: NULL, none fits; the trail says what was looked up then. */
static void
say(const struct access_rule *r, enum access_kind kind, struct verdict *v)
{
	if (!r) {
		const char *name = access_name(kind);

		memcpy(v->value, name, strlen(name) + 1);
		return;
	}
	v->kind = r->say;
	v->observed = r->observed;
	v->code = r->code;
	v->status = r->status;
	v->text = r->text;
	v->at = r->at;
	snprintf(v->value, sizeof(v->value), "%s", r->name);
}

void
access_client(const struct check_case *c, struct verdict *v)
{
	const struct access *a = c->conf->access;
	const struct ipset_entry *e =
	    ipset_find(&a->clients, &c->subject->env->client);

	say(e ? a->client_rules[e->value] : NULL, ACCESS_CLIENT, v);
}

void
access_login(const struct check_case *c, struct verdict *v)
{
	say(find_login(c->conf->access, c->subject->env->login), ACCESS_LOGIN,
	    v);
}

void
access_helo(const struct check_case *c, struct verdict *v)
{
	const struct access *a = c->conf->access;
	const char prefix[] = {access_letter(ACCESS_HELO), '\0'};
	const char *helo = c->subject->env->helo;

	say(a->n[ACCESS_HELO] && helo ? find_domain(a, prefix, span_str(helo))
				      : NULL,
	    ACCESS_HELO, v);
}

void
access_sender(const struct check_case *c, struct verdict *v)
{
	say(find_path(c->conf->access, ACCESS_SENDER, &c->subject->env->sender),
	    ACCESS_SENDER, v);
}

void
access_rcpt(const struct check_case *c, struct verdict *v)
{
	say(find_path(c->conf->access, ACCESS_RECIPIENT, c->subject->rcpt),
	    ACCESS_RECIPIENT, v);
}

/*
 * access_rule: one access rule, and the form in which its VALUE is looked up.
 */
#ifndef POLICY_ACCESS_RULE_H
#define POLICY_ACCESS_RULE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/ipaddr.h"
#include "io/idn.h"
#include "policy/access.h"
#include "policy/verdict.h"
#include "proto/smtp_addr.h"

/* Strings are in the arena that it was parsed into, or constant. */
struct access_rule {
	enum access_kind kind;
	enum verdict_kind say; /* never a pass */
	bool observed;
	unsigned code; /* with DEFER and REJECT */
	const char *status, *text;
	struct ipnet net; /* of a client */
	const char *name; /* KIND and VALUE, as written */
	const char *key;  /* the same, in the form in which it is looked up */
	struct where at;
	UT_hash_handle hh;
};

#define ACCESS_KEY_MAX (1 + SMTP_LOCAL_MAX + 1 + IDN_MAX + 1)

/* The first octet of its keys. */
char access_letter(enum access_kind kind);
/* As rules write it. */
const char *access_name(enum access_kind kind);

/*
 * A domain or an address literal in the one form in which they are compared.
 * Where IDNA2008 has none it is only folded: a suffix still fits. "" if it is
 * too long. Returns its octets.
 */
size_t access_domain(struct span name, char out[IDN_MAX + 1]);

/* Of an address: a NUL-terminated key; "" where it has none. */
void access_address(enum access_kind kind, const struct smtp_path *p, bool fold,
    char key[ACCESS_KEY_MAX]);
/* Of a login, which may be an address. */
void access_login_key(struct span login, char key[ACCESS_KEY_MAX]);

/* All but at. False: why says what to write. */
bool access_rule_parse(struct span text, bool fold, struct arena *a,
    struct access_rule *r, char why[ACCESS_WHY_MAX]);

#endif

/*
 * access_rule: reads a rule, word by word, and says what to write instead.
 */
#include "policy/access_rule.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "proto/smtp_reply.h"

#define TEXT_MAX 400 /* a reply has room for it */
#define STRANGE  "a rule is one line, and can be printed"

/* --- keys --- */

size_t
access_domain(struct span name, char out[IDN_MAX + 1])
{
	char literal[SMTP_LITERAL_MAX];
	struct ipaddr ip;

	out[0] = '\0';
	if (smtp_literal_met(name, &ip) == 0)
		name = span_str(smtp_literal_format(&ip, literal));
	if (name.len > IDN_MAX)
		return 0;
	if (idn_key(name, out) < 0) {
		memcpy(out, name.ptr, name.len);
		out[name.len] = '\0';
		ascii_fold(out, name.len);
	}
	return strlen(out);
}

/* local has its @, or is all of it. */
static void
put_key(enum access_kind kind, struct span local, bool fold, struct span domain,
    char key[ACCESS_KEY_MAX])
{
	char tail[IDN_MAX + 1];
	size_t n = access_domain(domain, tail);

	if (1 + local.len + n >= ACCESS_KEY_MAX) {
		key[0] = '\0';
		return;
	}
	key[0] = access_letter(kind);
	if (local.len)
		memcpy(key + 1, local.ptr, local.len);
	if (fold)
		ascii_fold(key + 1, local.len);
	memcpy(key + 1 + local.len, tail, n + 1);
}

void
access_address(enum access_kind kind, const struct smtp_path *p, bool fold,
    char key[ACCESS_KEY_MAX])
{
	char local[SMTP_LOCAL_MAX + 2];
	int n = snprintf(local, sizeof(local), "%s@", p->local);

	key[0] = '\0';
	if (smtp_path_is_null(p))
		put_key(kind, SPAN_LIT("<>"), false, SPAN_LIT(""), key);
	else if (n > 0 && (size_t)n < sizeof(local))
		put_key(kind, (struct span){local, (size_t)n},
		    fold || smtp_path_is_postmaster(p), span_str(p->domain),
		    key);
}

void
access_login_key(struct span login, char key[ACCESS_KEY_MAX])
{
	const char *at = login.len ? memrchr(login.ptr, '@', login.len) : NULL;
	struct span domain = login;

	if (at)
		login.len = (size_t)(at - login.ptr) + 1;
	span_skip(&domain, login.len);
	put_key(ACCESS_LOGIN, login, true, domain, key);
}

/* --- VALUE --- */

static bool
read_client(struct access_rule *r, struct span value, bool fold,
    struct arena *a)
{
	char text[IPADDR_STRLEN + 5];

	(void)fold;
	if (ipnet_parse(value, &r->net) < 0)
		return false;
	text[0] = access_letter(r->kind);
	ipnet_format(&r->net, text + 1);
	r->key = arena_dup(a, span_str(text));
	return true;
}

/* "example.org", "[192.0.2.1]", or ".example.org" for all below it. */
static bool
read_domain(struct access_rule *r, struct span at, struct span value,
    struct arena *a)
{
	struct span name = value;
	char key[ACCESS_KEY_MAX], domain[IDN_MAX + 1];
	struct ipaddr ip;
	bool below = value.len > 1 && value.ptr[0] == '.';

	if (below)
		span_skip(&name, 1);
	if (!smtp_domain_valid(name) &&
	    (below || smtp_literal_parse(name, &ip) < 0))
		return false;
	access_domain(name, domain);
	snprintf(key, sizeof(key), "%c%.*s%s%s", access_letter(r->kind),
	    (int)at.len, at.ptr, below ? "." : "", domain);
	r->key = arena_dup(a, span_str(key));
	return true;
}

static bool
read_helo(struct access_rule *r, struct span value, bool fold, struct arena *a)
{
	(void)fold;
	return read_domain(r, SPAN_LIT(""), value, a);
}

static bool
read_address(struct access_rule *r, struct span value, bool fold,
    struct arena *a)
{
	struct smtp_path p = {.local = "", .domain = ""};
	bool null =
	    r->kind == ACCESS_SENDER && span_equal(value, SPAN_LIT("<>"));
	char key[ACCESS_KEY_MAX];

	if (!null && value.len > 1 && value.ptr[0] == '@') {
		span_skip(&value, 1);
		return read_domain(r, SPAN_LIT("@"), value, a);
	}
	if (!null &&
	    (value.ptr[0] == '*' || /* no wildcard, and nobody's name */
		smtp_mailbox_parse(value, a, &p) < 0))
		return false;
	access_address(r->kind, &p, fold, key);
	r->key = arena_dup(a, span_str(key));
	return true;
}

static bool
read_login(struct access_rule *r, struct span value, bool fold, struct arena *a)
{
	char key[ACCESS_KEY_MAX];

	(void)fold;
	access_login_key(value, key);
	r->key = arena_dup(a, span_str(key));
	return key[0] != '\0';
}

static const struct {
	const char *name;
	char letter;
	bool (*read)(struct access_rule *r, struct span value, bool fold,
	    struct arena *a);
	const char *value; /* what to write */
	const char *never; /* why nobody is allowed for it; NULL: they are */
} kinds[ACCESS_KINDS] = {
    {"client", 'c', read_client,
	"a network such as 192.0.2.0/24, with no bits set behind its prefix, "
	"or an address",
	NULL},
    {"helo", 'h', read_helo,
	"a name, .example.org for all below it, or [192.0.2.1]",
	"anybody can say that name"},
    {"sender", 's', read_address,
	"user@example.org, @example.org, @.example.org for all below it, or <>",
	"anybody can write that address"},
    {"recipient", 'r', read_address,
	"user@example.org, @example.org, or @.example.org for all below it",
	NULL},
    {"login", 'l', read_login, "a login, or *", NULL},
};

const char *
access_name(enum access_kind kind)
{
	return kinds[kind].name;
}

char
access_letter(enum access_kind kind)
{
	return kinds[kind].letter;
}

/* --- the whole of it --- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Up to a blank outside of quotes; and all blanks behind it. */
static struct span
cut_word(struct span *in)
{
	struct span word = {in->ptr, 0};
	bool quoted = false;

	while (
	    word.len < in->len && (quoted || !is_blank(word.ptr[word.len]))) {
		char c = word.ptr[word.len++];

		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted && word.len < in->len)
			word.len++;
	}
	span_skip(in, word.len);
	*in = ascii_trim(*in);
	return word;
}

static bool
read_action(struct access_rule *r, struct span word)
{
	static const struct {
		const char *name;
		enum verdict_kind say;
		bool observed;
	} actions[] = {
	    {"allow", VERDICT_ALLOW, false},
	    {"reject", VERDICT_REJECT, false},
	    {"defer", VERDICT_DEFER, false},
	    {"observe", VERDICT_REJECT, true},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (span_equal(word, span_str(actions[i].name))) {
			r->say = actions[i].say;
			r->observed = actions[i].observed;
			return true;
		}
	return false;
}

static bool
read_kind(struct access_rule *r, struct span word)
{
	unsigned i = 0;

	while (i < ACCESS_KINDS && !span_equal(word, span_str(kinds[i].name)))
		i++;
	r->kind = i;
	return i < ACCESS_KINDS;
}

/* NULL, or what is wrong: a code of this action, and a status of this code. */
static const char *
read_code(struct access_rule *r, struct span *text, struct arena *a)
{
	struct span rest = *text, code = cut_word(&rest), status;
	uint64_t n;

	if (code.len != 3 || ascii_parse_u64(code, 999, &n) < 0)
		return NULL; /* it begins with the text */
	status = cut_word(&rest);
	if (n < 400 || n > 559 || n % 100 > 59)
		return "the code is 4xx or 5xx, as in 550 5.7.1";
	if (r->observed)
		r->say = n < 500 ? VERDICT_DEFER : VERDICT_REJECT;
	if (n / 100 != (r->say == VERDICT_DEFER ? 4 : 5))
		return "reject has a code of 5xx, and defer one of 4xx";
	if (smtp_reply_status_len(status) != status.len || !status.len)
		return "behind the code stands its status, as in 550 5.7.1";
	if (status.ptr[0] != code.ptr[0])
		return "the status begins with the same digit as its code";
	r->code = (unsigned)n;
	r->status = arena_dup(a, status);
	*text = rest;
	return NULL;
}

/* What stands behind the VALUE's colon. */
static const char *
read_reply(struct access_rule *r, struct span text, struct arena *a)
{
	const char *bad;

	if (r->say == VERDICT_ALLOW)
		return "allow says nothing: leave out what stands behind the "
		       "colon";
	bad = read_code(r, &text, a);
	if (bad)
		return bad;
	for (size_t i = 0; i < text.len; i++)
		if (ascii_is_control(text.ptr[i]) || (text.ptr[i] & 0x80))
			return "the text is ASCII, and can be printed";
	if (text.len > TEXT_MAX)
		return "the text is too long: it has at most 400 octets";
	if (text.len)
		r->text = arena_dup(a, text);
	return NULL;
}

/* Where none is written; and the greeting knows no other codes than its own
 * (RFC 5321 3.1). */
static void
set_defaults(struct access_rule *r)
{
	bool defer = r->say == VERDICT_DEFER;

	if (r->say == VERDICT_ALLOW)
		return;
	if (r->kind == ACCESS_CLIENT)
		r->code = defer ? 421 : 554;
	else if (!r->code)
		r->code = defer ? 451 : 550;
	if (r->code == 554 && r->kind == ACCESS_CLIENT)
		r->status = NULL; /* a greeting has none (RFC 2034) */
	else if (!r->status)
		r->status = defer ? "4.7.1" : "5.7.1";
	if (!r->text)
		r->text = "Access denied";
}

/* An address of IPv6 may end in colons of its own. */
static bool
cut_colon(struct span *value, struct span *rest)
{
	if (!rest->len)
		return true;
	if (rest->ptr[0] == ':') {
		span_skip(rest, 1);
		*rest = ascii_trim(*rest);
		return true;
	}
	if (value->ptr[value->len - 1] != ':')
		return false;
	value->len--;
	return true;
}

static bool
fail(char why[ACCESS_WHY_MAX], struct span rule, const char *what,
    const char *write)
{
	snprintf(why, ACCESS_WHY_MAX, "\"%.*s\": %s%s",
	    rule.len < 80 ? (int)rule.len : 80, rule.ptr, what, write);
	return false;
}

static bool
is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ascii_is_control(s.ptr[i]) && s.ptr[i] != '\t')
			return false;
	return utf8_shows(s);
}

static bool
fail_allow(const struct access_rule *r, struct span value,
    char why[ACCESS_WHY_MAX])
{
	snprintf(why, ACCESS_WHY_MAX,
	    "allow %s \"%.*s\": %s: write allow client with its network",
	    kinds[r->kind].name, value.len < 80 ? (int)value.len : 80,
	    value.ptr, kinds[r->kind].never);
	return false;
}

bool
access_rule_parse(struct span text, bool fold, struct arena *a,
    struct access_rule *r, char why[ACCESS_WHY_MAX])
{
	struct span rule = ascii_trim(text), rest = rule, value;
	const char *bad;
	struct buf name = {0};

	*r = (struct access_rule){.kind = ACCESS_CLIENT};
	if (!is_text(rule))
		return fail(why, SPAN_LIT(""), STRANGE, "");
	if (!read_action(r, cut_word(&rest)))
		return fail(why, rule,
		    "a rule begins with allow, reject, defer or observe", "");
	if (!read_kind(r, cut_word(&rest)))
		return fail(why, rule,
		    "the second word is client, helo, sender, recipient or "
		    "login",
		    "");
	value = cut_word(&rest);
	if (!value.len)
		return fail(why, rule, "it lacks ", kinds[r->kind].value);
	if (!cut_colon(&value, &rest))
		return fail(why, rule,
		    "a colon and a blank stand between its value and the text",
		    "");
	if (r->say == VERDICT_ALLOW && kinds[r->kind].never)
		return fail_allow(r, value, why);
	if (!kinds[r->kind].read(r, value, fold, a))
		return fail(why, rule, "the third word is ",
		    kinds[r->kind].value);
	bad = rest.len ? read_reply(r, rest, a) : NULL;
	if (bad)
		return fail(why, rule, bad, "");
	set_defaults(r);
	buf_printf(&name, "%s %.*s", kinds[r->kind].name, (int)value.len,
	    value.ptr);
	r->name = arena_dup(a, buf_span(&name));
	buf_free(&name);
	return true;
}

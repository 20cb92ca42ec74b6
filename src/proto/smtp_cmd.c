/*
 * smtp_cmd: parses what stands behind a verb.
 *
 * A parameter is a row of a table: its name, which command knows it, what
 * reads its value. The same one twice is an error, whatever it says.
 */
#include "proto/smtp_cmd.h"

#include <string.h>

#include "base/ascii.h"

#define BDAT_MAX INT64_MAX /* below 2^63 */

static void
skip_spaces(struct span *s)
{
	while (s->len && s->ptr[0] == ' ')
		span_skip(s, 1);
}

/* Splits off the text up to the next space, which stays. */
static struct span
next_word(struct span *s)
{
	const char *sp = s->len ? memchr(s->ptr, ' ', s->len) : NULL;
	struct span word = *s;

	if (sp)
		word.len = (size_t)(sp - s->ptr);
	span_skip(s, word.len);
	return word;
}

/*
 * The "<...>" at the front of *s: its '>' is the first one outside a quoted
 * string. Empty when there is none.
 */
static struct span
next_path(struct span *s)
{
	bool quoted = false;

	for (size_t i = 0; i < s->len; i++) {
		char c = s->ptr[i];

		if (c == '\\' && quoted)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == '>' && !quoted) {
			struct span path = {s->ptr, i + 1};

			span_skip(s, path.len);
			return path;
		}
	}
	return (struct span){s->ptr, 0};
}

/* "FROM:" or "TO:", any case, one space behind it at most. */
static int
skip_keyword(struct span *s, const char *keyword, bool *quirk)
{
	size_t n = strlen(keyword);

	if (s->len < n || !ascii_equal_str((struct span){s->ptr, n}, keyword))
		return -1;
	span_skip(s, n);
	*quirk = s->len && s->ptr[0] == ' ';
	if (*quirk)
		span_skip(s, 1);
	return 0;
}

static const struct smtp_reply *
bad_value(void)
{
	return SMTP_REPLY(501, "5.5.4", "Bad value of a parameter");
}

/* RFC 1870: up to 20 digits, which is more than fits: then it is too big. */
static const struct smtp_reply *
param_size(struct span value, struct smtp_mail *r)
{
	if (!value.len || value.len > 20)
		return bad_value();
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.ptr[i]))
			return bad_value();
	if (ascii_parse_u64(value, UINT64_MAX, &r->size))
		r->size = UINT64_MAX;
	return NULL;
}

static const struct smtp_reply *
param_body(struct span value, struct smtp_mail *r)
{
	r->eightbit = ascii_equal_str(value, "8BITMIME");
	if (!r->eightbit && !ascii_equal_str(value, "7BIT"))
		return bad_value();
	return NULL;
}

static const struct smtp_reply *
param_utf8(struct span value, struct smtp_mail *r)
{
	(void)value;
	r->utf8 = true;
	return NULL;
}

static bool
is_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* xtext (RFC 3461 section 4); the brackets of "<>" are such octets, too. */
static const struct smtp_reply *
param_auth(struct span value, struct smtp_mail *r)
{
	(void)r;
	if (!value.len)
		return bad_value();
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c < '!' || c > '~' || c == '=')
			return bad_value();
		if (c != '+')
			continue;
		if (value.len - i < 3 || !is_hex(value.ptr[i + 1]) ||
		    !is_hex(value.ptr[i + 2]))
			return bad_value();
		i += 2;
	}
	return NULL;
}

static const struct mail_param {
	const char *name;
	bool has_value;
	bool with_auth; /* only where AUTH is offered */
	const struct smtp_reply *(*parse)(struct span, struct smtp_mail *);
} mail_params[] = {
    {"SIZE", true, false, param_size},
    {"BODY", true, false, param_body},
    {"SMTPUTF8", false, false, param_utf8},
    {"AUTH", true, true, param_auth},
};
#define MAIL_PARAMS (sizeof(mail_params) / sizeof(mail_params[0]))

static const struct smtp_reply *
mail_param(struct span word, bool auth, unsigned *seen, struct smtp_mail *r)
{
	const char *eq = memchr(word.ptr, '=', word.len);
	struct span name = word;
	struct span value = {NULL, 0};

	if (eq) {
		name.len = (size_t)(eq - word.ptr);
		value.ptr = eq + 1;
		value.len = word.len - name.len - 1;
	}
	for (unsigned i = 0; i < MAIL_PARAMS; i++) {
		if (!ascii_equal_str(name, mail_params[i].name) ||
		    (mail_params[i].with_auth && !auth))
			continue;
		if (*seen & (1u << i))
			return SMTP_REPLY(501, "5.5.4",
			    "Parameter given twice");
		*seen |= 1u << i;
		if (mail_params[i].has_value != (eq != NULL))
			return bad_value();
		return mail_params[i].parse(value, r);
	}
	return SMTP_REPLY(555, "5.5.4", "Unknown MAIL parameter");
}

static const struct smtp_reply *
mail_param_list(struct span args, bool auth, struct smtp_mail *r)
{
	unsigned seen = 0;

	while (args.len) {
		const struct smtp_reply *bad;
		struct span word;

		if (args.ptr[0] != ' ')
			return SMTP_REPLY(501, "5.5.4",
			    "Garbage behind the path");
		skip_spaces(&args);
		word = next_word(&args);
		bad = mail_param(word, auth, &seen, r);
		if (bad)
			return bad;
	}
	return NULL;
}

const struct smtp_reply *
smtp_cmd_mail(struct span args, bool auth, struct arena *arena,
    struct smtp_mail *r)
{
	const struct smtp_reply *bad;
	struct span path;

	*r = (struct smtp_mail){0};
	if (skip_keyword(&args, "FROM:", &r->quirk))
		return SMTP_REPLY(501, "5.5.4", "Say MAIL FROM:<address>");
	path = next_path(&args);
	if (smtp_path_parse(path, SMTP_PATH_REVERSE, arena, &r->path))
		return SMTP_REPLY(501, "5.1.7", "Bad sender address syntax");
	bad = mail_param_list(args, auth, r);
	if (!bad && r->path.eightbit && !r->utf8)
		bad = SMTP_REPLY(553, "5.6.7", "This address needs SMTPUTF8");
	return bad;
}

const struct smtp_reply *
smtp_cmd_rcpt(struct span args, struct arena *arena, bool utf8,
    struct smtp_rcpt *r)
{
	struct span path;

	*r = (struct smtp_rcpt){0};
	if (skip_keyword(&args, "TO:", &r->quirk))
		return SMTP_REPLY(501, "5.5.4", "Say RCPT TO:<address>");
	path = next_path(&args);
	if (smtp_path_parse(path, SMTP_PATH_FORWARD, arena, &r->path))
		return SMTP_REPLY(501, "5.1.3", "Bad recipient address syntax");
	if (args.len && args.ptr[0] != ' ')
		return SMTP_REPLY(501, "5.5.4", "Garbage behind the path");
	if (args.len)
		return SMTP_REPLY(555, "5.5.4", "Unknown RCPT parameter");
	if (r->path.eightbit && !utf8)
		return SMTP_REPLY(553, "5.6.7", "This address needs SMTPUTF8");
	return NULL;
}

const struct smtp_reply *
smtp_cmd_bdat(struct span args, struct smtp_bdat *r)
{
	struct span size = next_word(&args);

	*r = (struct smtp_bdat){0};
	if (ascii_parse_u64(size, BDAT_MAX, &r->size))
		return SMTP_REPLY(501, "5.5.4", "Say BDAT size [LAST]");
	skip_spaces(&args);
	r->last = ascii_equal_str(args, "LAST");
	if (args.len && !r->last)
		return SMTP_REPLY(501, "5.5.4", "Say BDAT size [LAST]");
	return NULL;
}

const struct smtp_reply *
smtp_cmd_helo(struct span args, const struct ipaddr *client,
    struct smtp_helo *r)
{
	struct ipaddr ip;
	bool literal;

	r->name = args;
	r->quirk = false;
	if (smtp_domain_valid(args) || smtp_literal_parse(args, &ip) == 0)
		return NULL;
	r->quirk = true;
	if (args.len && args.ptr[args.len - 1] == '.')
		r->name.len--;
	if (smtp_domain_met(r->name))
		return NULL;
	literal = smtp_literal_met(args, &ip) == 0;
	if (!literal && (!client || !args.len))
		return SMTP_REPLY(501, "5.5.4",
		    "Say your host name or an address literal behind it");
	r->name =
	    span_str(smtp_literal_format(literal ? &ip : client, r->text));
	return NULL;
}

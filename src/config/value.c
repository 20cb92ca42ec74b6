/*
 * value: one function for each type that a row may have. What it refuses it
 * explains.
 */
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

/* What a setter works with. */
struct setter {
	const struct config_key *key;
	void *object;
	const char *cwd;
	struct arena *arena;
	char *why;
};

static int refuse(struct setter *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse(struct setter *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, CONFIG_WHY_MAX, fmt, ap);
	va_end(ap);
	return -1;
}

static int
store_text(struct setter *s, struct span text)
{
	*(char **)s->object = arena_dup(s->arena, text);
	return 0;
}

static bool
has_eightbit(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] > 127)
			return true;
	}
	return false;
}

static int
set_text(struct setter *s, struct span text)
{
	if (text.len < s->key->min || text.len > s->key->max)
		return refuse(s, "write %u to %u characters",
		    (unsigned)s->key->min, (unsigned)s->key->max);
	if (has_eightbit(text))
		return refuse(s, "only ASCII may stand here");
	return store_text(s, text);
}

/* It becomes part of file names and of what RFC 5321 calls a Domain. */
static int
set_host(struct setter *s, struct span text)
{
	struct ipaddr ip;

	if (!smtp_domain_valid(text) || has_eightbit(text) ||
	    ipaddr_parse(text, &ip) == 0)
		return refuse(s,
		    "write a name of letters, digits, dots and hyphens, such "
		    "as \"mx.example.org\", without a dot at its end");
	return store_text(s, text);
}

static int
set_path(struct setter *s, struct span text)
{
	struct buf all = {0};

	if (!text.len || (text.ptr[0] != '/' && !s->cwd))
		return refuse(s,
		    "write an absolute path, one that begins with /");
	if (text.ptr[0] != '/') {
		buf_append_str(&all, s->cwd);
		buf_append_str(&all, "/");
	}
	buf_append_span(&all, text);
	store_text(s, buf_span(&all));
	buf_free(&all);
	return 0;
}

/* Whether it leads anywhere is asked when all domains are known. */
static int
set_address(struct setter *s, struct span text)
{
	if (!text.len)
		return refuse(s, "write an address, or leave the key out");
	return store_text(s, text);
}

static int
set_char(struct setter *s, struct span text)
{
	char c = text.len ? text.ptr[0] : 0;

	if (text.len > 1 || (text.len && !strchr("!#$%&*+-=^_|~", c)))
		return refuse(s,
		    "write one of ! # $ %% & * + - = ^ _ | ~ in quotes, or "
		    "\"\" for none");
	*(char *)s->object = c;
	return 0;
}

static int
set_bool(struct setter *s, struct span text)
{
	bool yes = ascii_equal_str(text, "yes");

	if (!yes && !ascii_equal_str(text, "no"))
		return refuse(s, "write yes or no");
	*(bool *)s->object = yes;
	return 0;
}

static int
set_word(struct setter *s, struct span text)
{
	char all[128] = "";
	size_t n = 0;

	for (unsigned i = 0; i < CONFIG_WORDS && s->key->words[i]; i++) {
		const char *word = s->key->words[i];

		if (ascii_equal_str(text, word)) {
			*(unsigned *)s->object = i;
			return 0;
		}
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
		    i ? ", " : "", word);
	}
	if (s->key->gone[0] && ascii_equal_str(text, s->key->gone[0]))
		return refuse(s, "write %s", s->key->gone[1]);
	return refuse(s, "write one of: %s", all);
}

static int
set_number(struct setter *s, struct span text)
{
	uint64_t n;

	if (ascii_parse_u64(text, s->key->max, &n) || n < s->key->min)
		return refuse(s, "write a number from %u to %u",
		    (unsigned)s->key->min, (unsigned)s->key->max);
	*(unsigned *)s->object = (unsigned)n;
	return 0;
}

static int
set_percent(struct setter *s, struct span text)
{
	uint64_t n;

	if (text.len && text.ptr[text.len - 1] == '%')
		text.len--;
	if (ascii_parse_u64(text, s->key->max, &n) || n < s->key->min)
		return refuse(s, "write %u%% to %u%%", (unsigned)s->key->min,
		    (unsigned)s->key->max);
	*(unsigned *)s->object = (unsigned)n;
	return 0;
}

/* One that is good here, and shows the units. */
static const char *
example(const struct config_key *k, const char *max)
{
	return k->def && strcmp(k->def, "0") != 0 ? k->def : max;
}

static int
set_size(struct setter *s, struct span text)
{
	char min[ASCII_UNIT_MAX], max[ASCII_UNIT_MAX];
	uint64_t n;

	if (ascii_parse_size(text, &n) || n < s->key->min || n > s->key->max) {
		ascii_format_size(s->key->min, min);
		ascii_format_size(s->key->max, max);
		return refuse(s, "write a size such as %s, from %s to %s",
		    example(s->key, max), min, max);
	}
	*(uint64_t *)s->object = n;
	return 0;
}

static int
set_duration(struct setter *s, struct span text)
{
	char min[ASCII_UNIT_MAX], max[ASCII_UNIT_MAX];
	uint64_t n;

	if (ascii_parse_duration(text, &n) || n < s->key->min ||
	    n > s->key->max) {
		ascii_format_duration(s->key->min, min);
		ascii_format_duration(s->key->max, max);
		return refuse(s, "write a time such as %s, from %s to %s",
		    example(s->key, max), min, max);
	}
	*(uint64_t *)s->object = n;
	return 0;
}

const struct config_unit config_units[] = {
    {'s', SECOND, 6000},
    {'m', 60 * SECOND, 60000},
    {'h', HOUR, 60000},
    {0, 0, 0},
};

static int
set_rate(struct setter *s, struct span text)
{
	const struct config_unit *u = config_units;
	struct span count = text;
	struct rate r = {0, 0};
	uint64_t n;

	if (text.len > 2 && text.ptr[text.len - 2] == '/') {
		count.len -= 2;
		while (u->name && u->name != count.ptr[count.len + 1])
			u++;
		if (!ascii_parse_u64(count, u->max, &n) && n > 0)
			r = (struct rate){(unsigned)n, u->ms};
	}
	if (!r.count && !ascii_equal_str(text, "0"))
		return refuse(s,
		    "write a number and /s, /m or /h, such as 120/m, at most "
		    "6000/s, 60000/m or 60000/h; or 0 for any");
	*(struct rate *)s->object = r;
	return 0;
}

static int (*const setters[])(struct setter *, struct span) = {
    [KEY_TEXT] = set_text,
    [KEY_HOST] = set_host,
    [KEY_PATH] = set_path,
    [KEY_ADDRESS] = set_address,
    [KEY_CHAR] = set_char,
    [KEY_BOOL] = set_bool,
    [KEY_WORD] = set_word,
    [KEY_NUMBER] = set_number,
    [KEY_PERCENT] = set_percent,
    [KEY_SIZE] = set_size,
    [KEY_DURATION] = set_duration,
    [KEY_RATE] = set_rate,
};

int
config_value_set(const struct config_key *k, void *data, const char *text,
    const char *cwd, struct arena *arena, char why[CONFIG_WHY_MAX])
{
	struct setter s = {k, (char *)data + k->offset, cwd, arena, why};

	return setters[k->type](&s, span_str(text));
}

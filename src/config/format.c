/*
 * format: values into text that reads back as the same value, one function
 * for each type that a row may have.
 */
#include "config/format.h"

#include <string.h>

#include "base/ascii.h"
#include "config/value.h"

static bool
format_text(const struct config_key *k, const void *object, struct buf *out)
{
	const char *text = *(char *const *)object;

	(void)k;
	if (text)
		config_quote(text, out);
	return text != NULL;
}

static bool
format_char(const struct config_key *k, const void *object, struct buf *out)
{
	const char text[2] = {*(const char *)object, '\0'};

	(void)k;
	config_quote(text, out);
	return true;
}

static bool
format_bool(const struct config_key *k, const void *object, struct buf *out)
{
	(void)k;
	buf_append_str(out, *(const bool *)object ? "yes" : "no");
	return true;
}

static bool
format_word(const struct config_key *k, const void *object, struct buf *out)
{
	const char *word = k->words[*(const unsigned *)object];

	if (word)
		buf_append_str(out, word);
	return word != NULL;
}

static bool
format_number(const struct config_key *k, const void *object, struct buf *out)
{
	(void)k;
	buf_printf(out, "%u", *(const unsigned *)object);
	return true;
}

static bool
format_percent(const struct config_key *k, const void *object, struct buf *out)
{
	(void)k;
	buf_printf(out, "%u%%", *(const unsigned *)object);
	return true;
}

/* A size that has a least value and is 0 was never set. */
static bool
format_size(const struct config_key *k, const void *object, struct buf *out)
{
	uint64_t n = *(const uint64_t *)object;
	char text[ASCII_UNIT_MAX];

	if (n < k->min)
		return false;
	ascii_format_size(n, text);
	buf_append_str(out, text);
	return true;
}

static bool
format_duration(const struct config_key *k, const void *object, struct buf *out)
{
	char text[ASCII_UNIT_MAX];

	(void)k;
	ascii_format_duration(*(const uint64_t *)object, text);
	buf_append_str(out, text);
	return true;
}

static bool
format_rate(const struct config_key *k, const void *object, struct buf *out)
{
	const struct rate *r = object;
	const struct config_unit *u = config_units;

	(void)k;
	while (r->count && u->ms != r->unit)
		u++;
	buf_printf(out, r->count ? "%u/%c" : "%u", r->count, u->name);
	return true;
}

static bool (*const formats[])(const struct config_key *, const void *,
    struct buf *) = {
    [KEY_TEXT] = format_text,
    [KEY_HOST] = format_text,
    [KEY_PATH] = format_text,
    [KEY_ADDRESS] = format_text,
    [KEY_CHAR] = format_char,
    [KEY_BOOL] = format_bool,
    [KEY_WORD] = format_word,
    [KEY_NUMBER] = format_number,
    [KEY_PERCENT] = format_percent,
    [KEY_SIZE] = format_size,
    [KEY_DURATION] = format_duration,
    [KEY_RATE] = format_rate,
};

bool
config_value_format(const struct config_key *k, const void *data,
    struct buf *out)
{
	return formats[k->type](k, (const char *)data + k->offset, out);
}

static void
public_url(struct span *s, struct buf *out)
{
	struct span host = *s;
	size_t end = strcspn(s->ptr, "?,"), at;

	host.len = strcspn(s->ptr, "/?,");
	at = host.len;
	while (at && host.ptr[at - 1] != '@')
		at--;
	if (at) {
		buf_append_str(out, "...@");
		span_skip(s, at);
		end -= at;
	}
	buf_append(out, s->ptr, end);
	span_skip(s, end);
	span_skip(s, strcspn(s->ptr, ","));
}

void
config_public(const char *text, struct buf *out)
{
	struct span s = span_str(text);
	const char *slashes;

	while ((slashes = strstr(s.ptr, "://"))) {
		size_t n = (size_t)(slashes + 3 - s.ptr);

		buf_append(out, s.ptr, n);
		span_skip(&s, n);
		public_url(&s, out);
	}
	buf_append_span(out, s);
}

void
config_quote(const char *text, struct buf *out)
{
	buf_append_str(out, "\"");
	for (; *text; text++) {
		if (strchr("\"\\$", *text))
			buf_append_str(out, "\\");
		buf_append(out, text, 1);
	}
	buf_append_str(out, "\"");
}

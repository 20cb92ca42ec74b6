/*
 * destination: the kinds, and what their texts look like. Opens nothing.
 *
 * A kind is a row. A Maildir's root alone is its text, since records had it
 * before there were kinds.
 */
#include "dest/destination.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "dest/carrier.h"
#include "dest/http.h"
#include "dest/pipe.h"

#ifdef SMTPD_NO_HTTP
#define HTTP                                                                   \
	.absent = "is not built in: make without HTTP=0 "                      \
		  "(libcurl4-openssl-dev)"
#else
#define HTTP                                                                   \
	.open = http_open, .free = http_free, .ask = http_ask,                 \
	.health = http_health, .again = http_again
#endif

#define MAIL(how)                                                              \
	.open = (how), .free = carrier_free, .ask = carrier_ask,               \
	.verify = carrier_verify, .health = carrier_health,                    \
	.again = carrier_again

static const struct destination_kind kinds[] = {
    /* first: a path without a kind */
    {.scheme = "maildir",
	.place = place_maildir,
	.count = SHARED_MAILDIR,
	.time = SHARED_MAILDIR_TIME},
    {.scheme = "lmtp",
	.remote = true,
	.syntax = ROUTE_SOCKET,
	.port = 24,
	MAIL(carrier_open_lmtp),
	.count = SHARED_LMTP,
	.parcel_max = 100,
	.order = 3},
    {.scheme = "smtp",
	.remote = true,
	.syntax = ROUTE_HOST,
	.port = 25,
	MAIL(carrier_open_smtp),
	.count = SHARED_SMTP,
	.parcel_max = 100,
	.order = 4},
    {.scheme = "smtps",
	.remote = true,
	.syntax = ROUTE_HOST,
	.port = 465,
	MAIL(carrier_open_smtp),
	.count = SHARED_SMTP,
	.tls = true,
	.parcel_max = 100,
	.order = 4},
    {.scheme = "http",
	.remote = true,
	.syntax = ROUTE_WEB,
	.port = 80,
	HTTP,
	.count = SHARED_HTTP,
	.parcel_max = 100,
	.order = 1},
    {.scheme = "https",
	.remote = true,
	.syntax = ROUTE_WEB,
	.port = 443,
	HTTP,
	.count = SHARED_HTTP,
	.tls = true,
	.parcel_max = 100,
	.order = 1},
    {.scheme = "pipe",
	.remote = true,
	.syntax = ROUTE_PROGRAM,
	.count = SHARED_PIPE,
	.open = pipe_open,
	.free = pipe_free,
	.ask = pipe_ask,
	.health = pipe_health,
	.parcel_max = 1,
	.order = 2},
    {.scheme = "discard", .count = SHARED_DISCARD},
    {.scheme = "route", .remote = true, .syntax = ROUTE_NAME},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char unknown[] = "write one of maildir: lmtp: smtp: smtps: http: "
			      "https: pipe: discard: route:";

/* Of the letters before the colon; 0: there is none behind letters. */
static size_t
scheme_len(const char *text)
{
	size_t n = 0;

	while (ascii_is_alpha(text[n]))
		n++;
	return text[n] == ':' ? n : 0;
}

bool
destination_is_meant(const char *text)
{
	return scheme_len(text) || (text[0] == '/' && !strchr(text, '@'));
}

/* NULL: there is none of that name. */
static const struct destination_kind *
find_kind(const char *text, const char **rest)
{
	struct span scheme = {text, scheme_len(text)};

	*rest = text;
	if (text[0] == '/')
		return &kinds[0];
	*rest = text + scheme.len + 1;
	for (size_t i = 0; scheme.len && i < KINDS; i++)
		if (span_equal(scheme, span_str(kinds[i].scheme)))
			return &kinds[i];
	return NULL;
}

const char *
destination_parse(const char *text, const struct destination_kind **kind,
    const char **rest)
{
	*kind = find_kind(text, rest);
	if (text[0] == '/')
		return "write \"maildir:\" in front of the path";
	if (!*kind)
		return unknown;
	if ((*kind)->absent)
		return (*kind)->absent;
	if ((*kind)->place && **rest != '/')
		return "write an absolute path behind the colon, one that "
		       "begins with /";
	if (!(*kind)->place && !(*kind)->remote && **rest)
		return "nothing may stand behind the colon";
	return NULL;
}

void
destination_format(const struct destination_kind *kind, const char *root,
    struct buf *out)
{
	if (kind != &kinds[0]) {
		buf_append_str(out, kind->scheme);
		buf_append_str(out, ":");
	}
	buf_append_str(out, root);
}

bool
destination_is_remote(const char *text)
{
	const char *rest;
	const struct destination_kind *kind = find_kind(text, &rest);

	return kind && kind->remote && *rest;
}

bool
destination_is_place(const char *text)
{
	const char *rest;
	const struct destination_kind *kind = find_kind(text, &rest);

	return kind && kind->place && *rest == '/';
}

struct destination *
destination_new(struct arena *a, const char *text)
{
	struct destination *d = arena_alloc(a, sizeof(*d));
	char *copy = arena_dup(a, span_str(text));
	const char *rest;

	d->text = copy;
	d->kind = find_kind(text, &rest);
	assert(d->kind);
	d->root.path = copy + (rest - text);
	d->root.fd = -1;
	d->root.sync = -1;
	return d;
}

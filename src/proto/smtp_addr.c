/*
 * smtp_addr: the grammar of paths, both ways (RFC 5321 4.1.2 and 4.1.3 with
 * the extensions of RFC 6531 3.3).
 *
 * Each step reads from the front of a span and says with 0 or -1 whether it
 * found its part. The arena gets copies only when the whole path is good.
 * Never looks a name up, never decides whether an address is wanted.
 */
#include "proto/smtp_addr.h"

#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* A decoded local part: on the stack until the path is known to be good. */
struct local {
	char text[SMTP_LOCAL_MAX];
	size_t len;
	bool odd;
};

static bool
is_eightbit(char c)
{
	return (unsigned char)c > 127;
}

/* atext (RFC 5322 3.2.3) and what RFC 6531 adds to it. */
static bool
is_atext(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || is_eightbit(c) ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool
has_eightbit(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_eightbit(s.ptr[i]))
			return true;
	}
	return false;
}

static int
local_add(struct local *l, char c)
{
	if (l->len == sizeof(l->text))
		return -1;
	l->text[l->len++] = c;
	return 0;
}

/* Takes c off the front, if it is there. */
static bool
take_char(struct span *s, char c)
{
	if (!s->len || s->ptr[0] != c)
		return false;
	span_skip(s, 1);
	return true;
}

/*
 * The octets of the longest Dot-string at the front; 0: there is none. n is
 * where it may end, so a dot at n is one between atoms, if an atom follows.
 */
static size_t
dot_string_len(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (is_atext(s.ptr[i]))
			n = i + 1;
		else if (s.ptr[i] != '.' || !n || n != i)
			break;
	}
	return n;
}

/* A sender's may have dots anywhere: some hosts gave out such addresses. */
static int
take_dot_string(struct span *s, enum smtp_path_kind kind, struct local *l)
{
	l->len = dot_string_len(*s);
	while (kind == SMTP_PATH_REVERSE && l->len < s->len &&
	       (s->ptr[l->len] == '.' || is_atext(s->ptr[l->len]))) {
		l->len++;
		l->odd = true;
	}
	if (!l->len || l->len > sizeof(l->text))
		return -1;
	memcpy(l->text, s->ptr, l->len);
	span_skip(s, l->len);
	return 0;
}

/*
 * Quoted-string, its opening quote gone. A quoted pair is a backslash and a
 * printable octet; an empty one would be no local part at all.
 */
static int
take_quoted_string(struct span *s, struct local *l)
{
	while (!take_char(s, '"')) {
		bool pair = take_char(s, '\\');

		if (!s->len || ascii_is_control(s->ptr[0]) ||
		    (pair && is_eightbit(s->ptr[0])) || local_add(l, s->ptr[0]))
			return -1;
		span_skip(s, 1);
	}
	return l->len ? 0 : -1;
}

static int
take_local(struct span *s, enum smtp_path_kind kind, struct local *l)
{
	if (take_char(s, '"'))
		return take_quoted_string(s, l);
	return take_dot_string(s, kind, l);
}

/* A-d-l ":", which RFC 5321 appendix C tells us to ignore. */
static int
skip_route(struct span *s)
{
	const char *colon = memchr(s->ptr, ':', s->len);
	struct span route = *s;

	if (!colon)
		return -1;
	route.len = (size_t)(colon - s->ptr);
	span_skip(s, route.len + 1);
	do {
		struct span host = route;
		const char *comma;

		if (!take_char(&host, '@'))
			return -1;
		comma = memchr(host.ptr, ',', host.len);
		if (comma)
			host.len = (size_t)(comma - host.ptr);
		if (!smtp_domain_met(host))
			return -1;
		span_skip(&route, 1 + host.len);
	} while (take_char(&route, ','));
	return 0;
}

/* Mailbox; all of s. */
static int
parse_mailbox(struct span s, enum smtp_path_kind kind, struct arena *arena,
    struct smtp_path *r)
{
	struct local local;
	struct ipaddr ip;
	bool literal;

	local.len = 0;
	local.odd = false;
	if (take_local(&s, kind, &local) || !take_char(&s, '@'))
		return -1;
	literal = smtp_literal_parse(s, &ip) == 0;
	if (!literal && !smtp_domain_valid(s)) {
		if (kind != SMTP_PATH_REVERSE || !smtp_domain_met(s))
			return -1;
		local.odd = true;
	}
	r->local = arena_dup(arena, (struct span){local.text, local.len});
	r->domain = arena_dup(arena, s);
	r->literal = literal;
	r->odd = local.odd;
	return 0;
}

/* What stands alone between brackets: nothing, or postmaster. */
static bool
is_bare(struct span s, enum smtp_path_kind kind)
{
	if (kind == SMTP_PATH_REVERSE)
		return !s.len;
	return ascii_equal_str(s, "postmaster");
}

int
smtp_path_parse(struct span s, enum smtp_path_kind kind, struct arena *arena,
    struct smtp_path *r)
{
	struct smtp_path path = {.eightbit = has_eightbit(s)};

	if (!utf8_shows(s) || !take_char(&s, '<') || !s.len ||
	    s.ptr[s.len - 1] != '>')
		return -1;
	s.len--;
	if (is_bare(s, kind)) {
		path.local = arena_dup(arena, s);
		path.domain = arena_dup(arena, SPAN_LIT(""));
	} else if ((s.len && s.ptr[0] == '@' && skip_route(&s)) ||
		   parse_mailbox(s, kind, arena, &path)) {
		return -1;
	}
	*r = path;
	return 0;
}

int
smtp_mailbox_parse(struct span s, struct arena *arena, struct smtp_path *r)
{
	struct smtp_path path = {.eightbit = has_eightbit(s)};

	if (!utf8_shows(s) || parse_mailbox(s, SMTP_PATH_FORWARD, arena, &path))
		return -1;
	*r = path;
	return 0;
}

static void
format_quoted(struct span local, struct buf *out)
{
	buf_append(out, "\"", 1);
	for (size_t i = 0; i < local.len; i++) {
		if (local.ptr[i] == '"' || local.ptr[i] == '\\')
			buf_append(out, "\\", 1);
		buf_append(out, &local.ptr[i], 1);
	}
	buf_append(out, "\"", 1);
}

void
smtp_path_format(const struct smtp_path *p, struct buf *out)
{
	struct span local = span_str(p->local);

	if (dot_string_len(local) == local.len)
		buf_append_span(out, local);
	else
		format_quoted(local, out);
	if (p->domain[0]) {
		buf_append(out, "@", 1);
		buf_append_str(out, p->domain);
	}
}

const char *
smtp_path_text(const struct smtp_path *p, struct arena *a)
{
	struct buf text = {0};
	const char *r;

	smtp_path_format(p, &text);
	r = arena_dup(a, buf_span(&text));
	buf_free(&text);
	return r;
}

bool
smtp_path_is_null(const struct smtp_path *p)
{
	return !p->local[0] && !p->domain[0];
}

bool
smtp_path_is_postmaster(const struct smtp_path *p)
{
	return ascii_equal_str(span_str(p->local), "postmaster");
}

static bool
is_label_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' ||
	       is_eightbit(c);
}

/*
 * Of a character beyond ASCII only the first octet counts: in DNS it takes
 * at least one, often less than in UTF-8.
 */
static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

bool
smtp_domain_met(struct span s)
{
	size_t label = 0;

	if (s.len > SMTP_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (!is_label_char(s.ptr[i])) {
			return false;
		} else if (!is_continuation(s.ptr[i]) && ++label > LABEL_MAX) {
			return false;
		}
	}
	return label > 0;
}

bool
smtp_domain_valid(struct span s)
{
	char before = '.';

	for (size_t i = 0; i < s.len; before = s.ptr[i++]) {
		char behind = i + 1 < s.len ? s.ptr[i + 1] : '.';

		if (s.ptr[i] == '-' && (before == '.' || behind == '.'))
			return false;
	}
	return smtp_domain_met(s);
}

/* met: a zone is dropped, and the tag may be missing. */
static int
parse_literal(struct span s, bool met, struct ipaddr *r)
{
	const char *zone;
	const struct span tag = SPAN_LIT("IPv6:");
	bool tagged, colons;

	if (!take_char(&s, '[') || !s.len || s.ptr[s.len - 1] != ']')
		return -1;
	s.len--;
	tagged =
	    s.len >= tag.len && ascii_equal((struct span){s.ptr, tag.len}, tag);
	if (tagged)
		span_skip(&s, tag.len);
	colons = s.len && memchr(s.ptr, ':', s.len);
	zone = met && colons ? memchr(s.ptr, '%', s.len) : NULL;
	if (zone)
		s.len = (size_t)(zone - s.ptr);
	/* only an IPv6 address has colons, and only it has the tag */
	if (tagged != colons && !(met && colons))
		return -1;
	return ipaddr_parse(s, r);
}

int
smtp_literal_parse(struct span s, struct ipaddr *r)
{
	return parse_literal(s, false, r);
}

int
smtp_literal_met(struct span s, struct ipaddr *r)
{
	return parse_literal(s, true, r);
}

const char *
smtp_literal_format(const struct ipaddr *ip, char out[SMTP_LITERAL_MAX])
{
	struct span open =
	    ip->family == IP_V6 ? SPAN_LIT("[IPv6:") : SPAN_LIT("[");

	memcpy(out, open.ptr, open.len);
	ipaddr_format(ip, out + open.len);
	memcpy(out + strlen(out), "]", sizeof("]"));
	return out;
}

/*
 * route_parse: from what is written to a host, a socket, a web address or a
 * program. Who writes it as another program does reads how it is written here.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/ascii.h"
#include "dest/destination.h"
#include "dest/route.h"

#define TEXT_MAX   1024
#define HOST_MAX   253
#define SOCKET_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define WORDS_MAX  64

#define PORT_LMTP_NEVER 25 /* RFC 2033 5 */

static const char *say(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const char *
say(struct arena *a, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_dup(a, span_str(text));
}

/* "scheme:text" */
static const char *
whole(const struct destination_kind *kind, struct span text, struct arena *a)
{
	struct buf out = {0};
	const char *r;

	buf_printf(&out, "%s:", kind->scheme);
	buf_append_span(&out, text);
	r = arena_dup(a, buf_span(&out));
	buf_free(&out);
	return r;
}

static bool
is_hex(char c)
{
	return ascii_is_digit(c) ||
	       (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

/* Of a Maildir alone a stranger chooses a part. */
static const char *
check_percent(const struct destination_kind *kind, const char *text)
{
	const char *at = text;

	while ((at = strchr(at, '%'))) {
		if (kind->syntax == ROUTE_PROGRAM)
			return "only maildir: may hold %: the recipient is in "
			       "$RECIPIENT";
		if (kind->syntax != ROUTE_WEB)
			return "only maildir: may hold %: the recipient goes "
			       "with the mail";
		if (!is_hex(at[1]) || !is_hex(at[2]))
			return "only maildir: may hold %: the recipient is in "
			       "the request's Smtp-Envelope";
		at++;
	}
	return NULL;
}

static bool
has_control(const char *text)
{
	while (*text && (*text == '\t' || !ascii_is_control(*text)))
		text++;
	return *text != '\0';
}

/* --- hosts --- */

static bool
is_label(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.ptr[i]) && !ascii_is_digit(s.ptr[i]) &&
		    s.ptr[i] != '-' && s.ptr[i] != '_')
			return false;
	return s.len && s.len <= 63 && s.ptr[0] != '-' &&
	       s.ptr[s.len - 1] != '-';
}

/* Containers have names with _, and an address that is none has digits last. */
static bool
is_name(struct span s)
{
	struct span label;
	uint64_t n;

	if (s.len > HOST_MAX)
		return false;
	for (;;) {
		const char *dot = s.len ? memchr(s.ptr, '.', s.len) : NULL;

		label = s;
		if (dot)
			label.len = (size_t)(dot - s.ptr);
		if (!is_label(label))
			return false;
		if (!dot)
			return ascii_parse_u64(label, UINT64_MAX, &n) < 0;
		span_skip(&s, label.len + 1);
	}
}

/* RFC 6761 6.3: it needs no file to say so. */
static void
add_localhost(struct route_place *r)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

	r->addrs[0] = ipaddr_v4(v4);
	r->addrs[1] = ipaddr_v6(v6);
	r->naddrs = 2;
}

static const char *
parse_host(struct span host, bool brackets, struct arena *a,
    struct route_place *r)
{
	bool is_addr = ipaddr_parse(host, &r->addrs[0]) == 0;

	if (brackets != (is_addr && memchr(host.ptr, ':', host.len)))
		return "write the name or the address of a host behind //, an "
		       "IPv6 address in brackets";
	if (is_addr)
		r->naddrs = 1;
	else if (!is_name(host))
		return "write the name or the address of a host behind //, a "
		       "name as DNS has it";
	else if (ascii_equal_str(host, "localhost"))
		add_localhost(r);
	r->host = arena_dup(a, host);
	r->local = r->naddrs && ipaddr_is_loopback(&r->addrs[0]);
	return NULL;
}

/* "HOST", "HOST:PORT", with or without brackets, or NULL. */
static const char *
rewrite_host(const struct destination_kind *kind, struct span s,
    struct arena *a)
{
	struct ipaddr ip;
	uint16_t port;
	bool v6;

	if (!s.len || ipaddr_cut_port(&s, &port) < 0)
		return NULL;
	v6 = ipaddr_parse(s, &ip) == 0 && ip.family == IP_V6;
	if (!v6 && !is_name(s) && ipaddr_parse(s, &ip) < 0)
		return NULL;
	return port ? say(a, "write %s://%s%.*s%s:%u", kind->scheme,
			  v6 ? "[" : "", (int)s.len, s.ptr, v6 ? "]" : "",
			  (unsigned)port)
		    : say(a, "write %s://%s%.*s%s", kind->scheme, v6 ? "[" : "",
			  (int)s.len, s.ptr, v6 ? "]" : "");
}

static const char *
example(const struct destination_kind *kind)
{
	if (kind->syntax == ROUTE_SOCKET)
		return "write lmtp:/run/dovecot/lmtp or lmtp://host:24";
	if (kind->syntax == ROUTE_WEB)
		return "write https://host/path";
	return "write smtp://host:25 or smtps://host:465";
}

/* As Postfix, chasquid and sendmail write it. */
static const char *
rewrite(const struct destination_kind *kind, const char *text, struct arena *a)
{
	static const char *const prefixes[] = {"unix:", "inet:", "inet6:"};
	const char *r = NULL;

	text += strspn(text, "/") > 1 ? strspn(text, "/") - 1 : 0;
	if (strncmp(text, "/unix:", 6) == 0)
		text++;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0) {
			text += strlen(prefixes[i]);
			break;
		}
	if (text[0] == '/' && kind->syntax == ROUTE_SOCKET)
		return say(a, "write lmtp:%.200s", text);
	if (text[0] != '/')
		r = rewrite_host(kind, span_str(text), a);
	return r ? r : example(kind);
}

/* Where one for this kind belongs, if anywhere. */
static const char *
no_login(const struct destination_kind *kind)
{
	if (kind->syntax == ROUTE_HOST)
		return "write login and secret-file in a route block, not in "
		       "the URL";
	if (kind->syntax == ROUTE_WEB)
		return "take what stands before the @ out of the URL: a token "
		       "may stand in its query, and secret-file in a route "
		       "block signs each request";
	return "take what stands before the @ out of the URL: LMTP has no "
	       "login";
}

static const char *
parse_authority(const struct destination_kind *kind, struct span s,
    struct arena *a, struct route_place *r)
{
	bool brackets = s.len && s.ptr[0] == '[';
	const struct span all = s;
	struct ipaddr ip;
	const char *bad;
	uint16_t port;

	if (s.len && memchr(s.ptr, '@', s.len))
		return no_login(kind);
	if (!s.len)
		return example(kind);
	if (!brackets && ipaddr_parse(s, &ip) == 0 && ip.family == IP_V6)
		return rewrite_host(kind, s, a);
	if (ipaddr_cut_port(&s, &port) < 0)
		return "write a port from 1 to 65535 behind the host, or none "
		       "and no colon";
	if (brackets && ipaddr_parse(s, &ip) < 0 && is_name(s))
		return rewrite_host(kind, all, a);
	bad = parse_host(s, brackets, a, r);
	if (port)
		r->port = port;
	if (!bad && kind->syntax == ROUTE_SOCKET && r->port == PORT_LMTP_NEVER)
		bad = "LMTP must not use port 25 (RFC 2033): write smtp://, or "
		      "the server's LMTP port";
	return bad;
}

/* --- what stands behind a host --- */

/* RFC 3986 3.3 and 3.4 */
static const char *
parse_path(struct span s, struct arena *a, struct route_place *r)
{
	struct buf path = {0};

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '#')
			return "a # and what is behind it are for browsers: "
			       "take them out";
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' ||
		    strchr("\"<>\\^`{|}", s.ptr[i]))
			return "has an octet that no URL may hold: write % and "
			       "its two hexadecimal digits";
	}
	if (!s.len || s.ptr[0] != '/')
		buf_append_str(&path, "/");
	buf_append_span(&path, s);
	r->path = arena_dup(a, buf_span(&path));
	buf_free(&path);
	return NULL;
}

static const char *
parse_url(const struct destination_kind *kind, const char *text,
    struct arena *a, struct route_place *r)
{
	struct span rest = span_str(text), host;
	const char *bad;

	if (strncmp(text, "//", 2) != 0 || text[2] == '/' ||
	    strncmp(text, "//unix:", 7) == 0)
		return rewrite(kind, text, a);
	span_skip(&rest, 2);
	host = rest;
	host.len = strcspn(rest.ptr, "/?#");
	span_skip(&rest, host.len);
	bad = parse_authority(kind, host, a, r);
	if (bad)
		return bad;
	if (kind->syntax == ROUTE_WEB)
		return parse_path(rest, a, r);
	if (rest.len > 1 && kind->syntax == ROUTE_SOCKET)
		return say(a,
		    "nothing may stand behind the host and its port: write "
		    "lmtp:/%.200s for a socket, or lmtp://%.*s",
		    host.ptr, (int)host.len, host.ptr);
	return rest.len ? say(a,
			      "nothing may stand behind the host and its "
			      "port: write %s://%.*s",
			      kind->scheme, (int)host.len, host.ptr)
			: NULL;
}

static const char *
parse_socket(const char *text, struct arena *a, struct route_place *r)
{
	if (strlen(text) > SOCKET_MAX)
		return say(a, "the path of a socket has at most %zu octets",
		    SOCKET_MAX);
	if (strpbrk(text, " \t"))
		return "the path of a socket has no blanks here";
	r->path = arena_dup(a, span_str(text));
	r->local = true;
	return NULL;
}

/* --- programs --- */

const char *
route_parse_program(const char *text, struct arena *a, char *const **argv_r)
{
	char **argv = arena_alloc(a, (WORDS_MAX + 1) * sizeof(*argv));
	size_t n = 0;

	if (text[0] != '/')
		return "write an absolute path";
	if (strpbrk(text, "\"'`$"))
		return "no shell reads this: blanks separate, and quotes and $ "
		       "mean nothing; write a script, which has $RECIPIENT";
	while (*text) {
		size_t len = strcspn(text, " \t");

		if (n == WORDS_MAX)
			return "has more than 64 words: write a script";
		argv[n++] = arena_dup(a, (struct span){text, len});
		text += len;
		text += strspn(text, " \t");
	}
	*argv_r = argv;
	return NULL;
}

/* --- all of them --- */

const char *
route_parse_place(const struct destination_kind *kind, const char *text,
    struct arena *a, struct route_place *r)
{
	const char *bad = check_percent(kind, text);
	char *const *argv;

	*r = (struct route_place){.text = whole(kind, span_str(text), a),
	    .port = kind->port,
	    .tls = kind->tls};
	if (strlen(text) >= TEXT_MAX)
		return "has more than 1023 octets";
	if (has_control(text))
		return "must not have control characters";
	if (bad)
		return bad;
	switch (kind->syntax) {
	case ROUTE_HOST:
	case ROUTE_WEB:
		return parse_url(kind, text, a, r);
	case ROUTE_SOCKET:
		return text[0] == '/' && text[1] != '/'
			   ? parse_socket(text, a, r)
			   : parse_url(kind, text, a, r);
	case ROUTE_PROGRAM:
		bad = route_parse_program(text, a, &argv);
		r->path = bad ? NULL : argv[0];
		r->local = true;
		return bad;
	case ROUTE_NONE:
	case ROUTE_NAME:
		break;
	}
	return "write one of lmtp: smtp: smtps: http: https: pipe:";
}

const char *
route_shown(const struct destination_kind *kind, const char *text,
    struct arena *a)
{
	struct span s = span_str(text);

	if (kind->syntax == ROUTE_WEB)
		s.len = 2 + strcspn(text + 2, "/?");
	if (kind->syntax == ROUTE_PROGRAM)
		s.len = strcspn(text, " \t");
	return kind->syntax == ROUTE_NAME ? arena_dup(a, s) : whole(kind, s, a);
}

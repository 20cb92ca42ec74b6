/*
 * http_post: what libcurl is told, and what it is given and gives.
 *
 * Nothing here asks a resolver, opens a file, follows a redirect or looks at
 * the environment. libcurl sends a request once more by itself when a kept
 * connection ends without an octet of answer: with the same id.
 */
#include "dest/http_post.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "dest/addresses.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/tls_client.h"

#ifndef SMTPD_VERSION
#define SMTPD_VERSION "unknown"
#endif

#define SLICE       16384 /* octets that become CRLF at a time */
#define CONNECT_MAX 10000 /* ms, with TLS */

/* --- the body --- */

void
http_post_init(struct http_post *p, struct jobs *jobs, const struct message *m,
    int64_t dot_by, void (*more)(void *ctx), void *ctx)
{
	struct buf top = {0};

	*p = (struct http_post){.dot_by = dot_by};
	buf_append_span(&top, buf_span(&m->return_path));
	buf_append_span(&top, buf_span(&m->received));
	p->content = content_new(jobs, buf_span(&top), &m->body, more, ctx);
	buf_free(&top);
}

void
http_post_free(struct http_post *p)
{
	assert(!p->easy);
	content_free(&p->content);
	digest_hmac_end(&p->mac, NULL);
	buf_free(&p->out);
	buf_free(&p->kept);
}

static void
rewind_body(struct http_post *p)
{
	content_rewind(p->content);
	p->lines = (struct client_body){0};
	p->raw.len = p->out.len = 0;
	p->ended = p->paused = false;
}

/* Until something is in out. */
static enum content_step
fill(struct http_post *p)
{
	while (!p->out.len) {
		struct span slice = p->raw;
		enum content_step step = CONTENT_DATA;

		if (!slice.len && p->ended)
			return CONTENT_END;
		if (!slice.len)
			step = content_next(p->content, &p->raw);
		if (step == CONTENT_END) {
			client_body_end(&p->lines, false, &p->out);
			p->ended = true;
			continue;
		}
		if (step != CONTENT_DATA)
			return step;
		slice = p->raw;
		if (slice.len > SLICE)
			slice.len = SLICE;
		client_body_add(&p->lines, slice, false, &p->out);
		span_skip(&p->raw, slice.len);
	}
	return CONTENT_DATA;
}

void
http_post_sum_begin(struct http_post *p, struct span key, struct span head)
{
	rewind_body(p);
	p->length = 0;
	p->mac = digest_hmac_begin(key);
	digest_hmac_add(p->mac, head);
}

enum content_step
http_post_sum(struct http_post *p, uint8_t *digest)
{
	enum content_step step;

	while ((step = fill(p)) == CONTENT_DATA) {
		digest_hmac_add(p->mac, buf_span(&p->out));
		p->length += p->out.len;
		p->out.len = 0;
	}
	if (step == CONTENT_END)
		digest_hmac_end(&p->mac, digest);
	p->failed = step == CONTENT_FAILED;
	return step;
}

void
http_post_length(struct http_post *p, uint64_t length)
{
	p->length = length;
}

/* --- what libcurl calls --- */

static size_t
on_read(char *to, size_t size, size_t n, void *ctx)
{
	struct http_post *p = ctx;
	size_t room = size * n;

	/* curl 8 may not say so of a request that ends here */
	p->answer.reached = true;
	/* whoever has not all of it has nothing */
	if (!p->content || clock_now() >= p->dot_by)
		return CURL_READFUNC_ABORT;
	switch (fill(p)) {
	case CONTENT_DATA:
		break;
	case CONTENT_END:
		return 0;
	case CONTENT_WAIT:
		p->paused = true;
		return CURL_READFUNC_PAUSE;
	case CONTENT_FAILED:
		p->failed = true;
		return CURL_READFUNC_ABORT;
	}
	if (room > p->out.len)
		room = p->out.len;
	memcpy(to, p->out.data, room);
	buf_consume(&p->out, room);
	return room;
}

static int
on_seek(void *ctx, curl_off_t to, int origin)
{
	struct http_post *p = ctx;

	if (!p->content || to != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	rewind_body(p);
	p->answer.reached = false;
	return CURL_SEEKFUNC_OK;
}

bool
http_post_is_whole(const struct http_post *p)
{
	curl_off_t sent = 0;

	if (p->easy)
		curl_easy_getinfo(p->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return sent > 0 && (uint64_t)sent >= p->length;
}

/* An answer that does not wait for our end is one if it says no. */
static bool
take_status(struct http_post *p)
{
	long status = 0;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return true;
	p->answer.status = (unsigned)status;
	p->answer.whole = http_post_is_whole(p);
	return p->answer.whole || status >= 400;
}

static size_t
on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct http_post *p = ctx;

	n *= size;
	p->header += n;
	if (p->header > HTTP_READ_MAX)
		return 0;
	if (n > 5 && memcmp(data, "HTTP/", 5) == 0 && !take_status(p))
		return 0;
	return n;
}

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http_post *p = ctx;
	size_t room = HTTP_KEPT_MAX - p->kept.len;

	n *= size;
	p->read += n;
	buf_append(&p->kept, data, n < room ? n : room);
	return p->read > HTTP_READ_MAX ? 0 : n;
}

/* --- the request --- */

static void
put(struct curl_slist **list, struct buf *line)
{
	struct curl_slist *longer;

	buf_append(line, "", 1);
	longer = curl_slist_append(*list, line->data);
	if (!longer)
		abort();
	*list = longer;
	buf_free(line);
}

static void
put_line(struct curl_slist **list, const char *name, struct span value)
{
	struct buf line = {0};

	buf_append_str(&line, name);
	buf_append_span(&line, value);
	put(list, &line);
}

static void
put_signature(struct http_post *p, const struct http_request *r)
{
	struct buf text = {0};

	buf_printf(&text, "%lld", (long long)r->when);
	put_line(&p->headers, "webhook-timestamp: ", buf_span(&text));
	text.len = 0;
	base64_encode((struct span){(const char *)r->digest, DIGEST_LEN},
	    &text);
	put_line(&p->headers, "webhook-signature: v1,", buf_span(&text));
	buf_free(&text);
}

static void
put_headers(struct http_post *p, const struct http_request *r)
{
	static const struct span none = {"", 0};

	put_line(&p->headers, "Content-Type: message/rfc822", none);
	put_line(&p->headers, "Smtp-Envelope: ", r->json);
	put_line(&p->headers, "webhook-id: ", r->id);
	if (r->digest)
		put_signature(p, r);
	/* libcurl's own: it would wait a second for the first of them */
	put_line(&p->headers, "Expect:", none);
	put_line(&p->headers, "Accept:", none);
}

/* "host:port:192.0.2.1,[2001:db8::1]": a name that nobody else is asked for. */
static void
put_addresses(struct http_post *p, const struct http_request *r)
{
	const struct route_place *to = &r->route->to[0];
	struct address places[ADDRESSES_MAX];
	unsigned n = addresses_list(r->addresses, clock_now(), places);
	struct buf line = {0};
	char text[IPADDR_STRLEN];
	struct ipaddr literal;

	if (ipaddr_parse(span_str(to->host), &literal) == 0)
		return;
	buf_printf(&line, "%s:%u:", to->host, to->port);
	for (unsigned i = 0; i < n; i++) {
		const struct ipaddr *a = &places[i].place.addr;

		buf_printf(&line, a->family == IP_V6 ? "%s[%s]" : "%s%s",
		    i ? "," : "", ipaddr_format(a, text));
	}
	put(&p->resolve, &line);
}

static void
set_url(CURL *e, const struct route_place *to)
{
	struct buf url = {0};

	buf_printf(&url,
	    strchr(to->host, ':') ? "%s://[%s]:%u%s" : "%s://%s:%u%s",
	    to->tls ? "https" : "http", to->host, to->port,
	    to->path && *to->path ? to->path : "/");
	buf_append(&url, "", 1);
	curl_easy_setopt(e, CURLOPT_URL, url.data);
	buf_wipe(&url);
}

/* What libcurl must not do. */
static void
forbid(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
}

/* Reading a system's authorities takes too long to do it here. */
static CURLcode
on_context(CURL *e, void *context, void *trusted)
{
	(void)e;
	tls_client_lend(trusted, context);
	return CURLE_OK;
}

static void
set_tls(CURL *e, struct tls_client *trusted)
{
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_context);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, trusted);
}

static void
set_callbacks(struct http_post *p)
{
	CURL *e = p->easy;

	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_READDATA, p);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, p);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, p->error);
}

void
http_post_begin(struct http_post *p, const struct http_request *r)
{
	CURL *e = curl_easy_init();

	if (!e)
		abort();
	p->easy = e;
	p->answer = (struct http_answer){.status = 0};
	p->header = p->read = p->kept.len = 0;
	p->error[0] = '\0';
	rewind_body(p);
	put_headers(p, r);
	put_addresses(p, r);
	forbid(e);
	set_callbacks(p);
	set_url(e, &r->route->to[0]);
	if (r->route->to[0].tls)
		set_tls(e, r->route->strict);
	curl_easy_setopt(e, CURLOPT_PRIVATE, r->private);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "smtpd/" SMTPD_VERSION);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(e, CURLOPT_RESOLVE, p->resolve);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MAX);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)SLICE);
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->length);
}

void
http_post_resume(struct http_post *p)
{
	if (!p->paused)
		return;
	p->paused = false;
	curl_easy_pause(p->easy, CURLPAUSE_CONT);
}

static bool
is_text(const char *type)
{
	struct span s = span_str(type ? type : "");

	if (s.len > 5)
		s.len = 5;
	return ascii_equal_str(s, "text/");
}

void
http_post_end(struct http_post *p)
{
	struct http_answer *a = &p->answer;
	curl_off_t named = 0, ready = 0;
	const char *type = NULL;

	if (!p->easy)
		return;
	curl_easy_getinfo(p->easy, CURLINFO_NAMELOOKUP_TIME_T, &named);
	p->had_turn = named > 0;
	curl_easy_getinfo(p->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
	curl_easy_getinfo(p->easy, CURLINFO_CONTENT_TYPE, &type);
	a->reached |= ready > 0;
	a->text = is_text(type);
	a->body = buf_span(&p->kept);
	if (!a->status)
		a->whole = http_post_is_whole(p);
	curl_easy_cleanup(p->easy);
	p->easy = NULL;
	curl_slist_free_all(p->headers);
	curl_slist_free_all(p->resolve);
	p->headers = p->resolve = NULL;
}

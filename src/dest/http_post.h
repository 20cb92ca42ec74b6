/*
 * http_post: one POST. Its body is pulled from a content as libcurl asks for
 * it, and of the answer only so much is kept as a reply can say.
 */
#ifndef DEST_HTTP_POST_H
#define DEST_HTTP_POST_H

#include <curl/curl.h>

#include "dest/http_answer.h"
#include "dest/parcel.h"
#include "mail/content.h"
#include "proto/client_body.h"

#define HTTP_KEPT_MAX 1024  /* of an answer's body */
#define HTTP_READ_MAX 65536 /* of that, and of its header: then it is cut */

struct addresses;
struct evp_mac_ctx_st;

struct http_post {
	/* the body, with CRLF */
	struct content *content; /* NULL: cut off */
	struct client_body lines;
	struct span raw; /* of the content, not yet in out */
	struct buf out;
	bool ended;  /* all of it was in out */
	bool failed; /* it cannot be read */
	bool paused; /* libcurl waits for http_post_resume() */
	uint64_t length;
	struct evp_mac_ctx_st *mac; /* while it is summed */
	int64_t dot_by;

	/* the request */
	CURL *easy; /* NULL: there is none */
	struct curl_slist *headers, *resolve;
	char error[CURL_ERROR_SIZE];
	bool had_turn; /* it did not only wait for a connection of others */

	struct http_answer answer; /* of it status and whole, so far */
	size_t header, read;
	struct buf kept;
};

/* What a request is made of; all of it is copied. */
struct http_request {
	const struct route *route;
	const struct addresses *addresses;
	struct span json, id;
	int64_t when;          /* seconds since 1970: of the signature */
	const uint8_t *digest; /* NULL: without a signature */
	void *private;
};

/* more(ctx): go on with http_post_sum(), or http_post_resume(). */
void http_post_init(struct http_post *p, struct jobs *jobs,
    const struct message *m, int64_t dot_by, void (*more)(void *ctx),
    void *ctx);
/* Idempotent. No easy may be left. */
void http_post_free(struct http_post *p);

/* From the beginning: the content's HMAC with this key, behind head. */
void http_post_sum_begin(struct http_post *p, struct span key,
    struct span head);
/* Until it is not CONTENT_WAIT; CONTENT_END: *digest and the length. */
enum content_step http_post_sum(struct http_post *p, uint8_t *digest);
/* What is not summed is this long. */
void http_post_length(struct http_post *p, uint64_t length);

/* p->easy is ready for a multi, which the caller takes it out of again. */
void http_post_begin(struct http_post *p, const struct http_request *r);
void http_post_resume(struct http_post *p);
/* Are all octets of the body out? */
bool http_post_is_whole(const struct http_post *p);
/* Behind the multi: what there was of an answer, good until the next
 * http_post_sum_begin() or _begin() or free. */
void http_post_end(struct http_post *p);

#endif

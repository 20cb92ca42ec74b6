/*
 * http_head: JSON with as many recipients as servers take in a line, and an id
 * that is the same whenever the same message goes to the same recipients.
 */
#include "dest/http_head.h"

#include "base/base64.h"
#include "base/quote.h"
#include "io/digest.h"

#define ID_OCTETS 4

static void
put_member(struct buf *o, const char *name, const char *value)
{
	buf_printf(o, "%s\"%s\":", o->len ? "," : "", name);
	quote_json(o, span_str(value ? value : ""));
}

/* What stands on both sides of the list of recipients. */
static void
put_sides(const struct message *m, struct buf *left, struct buf *right)
{
	put_member(left, "id", m->id);
	put_member(left, "from", m->sender);
	put_member(right, "client", m->client);
	put_member(right, "helo", m->helo);
	if (m->login && *m->login)
		put_member(right, "login", m->login);
	else
		buf_append_str(right, ",\"login\":null");
	buf_printf(right, ",\"received\":%lld", (long long)m->when);
}

/* "[...]" of those that fit into max octets. */
static unsigned
put_list(struct message_copy *const *copies, unsigned n, size_t max,
    struct buf *list)
{
	unsigned i;

	buf_append_str(list, "[");
	for (i = 0; i < n; i++) {
		size_t before = list->len;

		if (i)
			buf_append_str(list, ",");
		quote_json(list, span_str(copies[i]->to));
		if (i && list->len + 1 > max) {
			list->len = before;
			break;
		}
	}
	buf_append_str(list, "]");
	return i;
}

static void
put_id(const struct message *m, struct span list, struct buf *id)
{
	uint8_t digest[DIGEST_LEN];

	digest_sha256(list, digest);
	buf_printf(id, "%s-", m->id);
	for (unsigned i = 0; i < ID_OCTETS; i++)
		buf_printf(id, "%02x", (unsigned)digest[i]);
}

unsigned
http_envelope(const struct message *m, struct message_copy *const *copies,
    unsigned n, struct buf *json, struct buf *id)
{
	static const char frame[] = "{,\"to\":,}";
	struct buf left = {0}, right = {0}, list = {0};
	size_t used;

	put_sides(m, &left, &right);
	used = left.len + right.len + sizeof(frame) - 1;
	n = put_list(copies, n,
	    used < HTTP_ENVELOPE_MAX ? HTTP_ENVELOPE_MAX - used : 0, &list);
	buf_printf(json, "{%.*s,\"to\":%.*s,%.*s}", (int)left.len, left.data,
	    (int)list.len, list.data, (int)right.len, right.data);
	put_id(m, buf_span(&list), id);
	buf_free(&left);
	buf_free(&right);
	buf_free(&list);
	return n;
}

void
http_key(struct span secret, struct buf *key)
{
	static const char prefix[] = "whsec_";
	const size_t n = sizeof(prefix) - 1;
	struct span rest = secret;

	if (secret.len > n &&
	    span_equal((struct span){secret.ptr, n}, SPAN_LIT(prefix))) {
		span_skip(&rest, n);
		if (base64_decode(rest, key) == 0)
			return;
	}
	buf_append_span(key, secret);
}

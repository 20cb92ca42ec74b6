/*
 * record: the format of include/journal/record.h, both ways.
 *
 * Reading trusts nothing: a length is compared with what is there before it
 * is used, and the checksum comes before all else. Owns nothing, never
 * blocks.
 */
#include "journal/record.h"

#include <string.h>

#include "base/le.h"
#include "proto/trace.h"

#define MAGIC      SPAN_LIT("smtpdjnl")
#define HEADER_CRC 12
#define RECORD_CRC 20

/* --- headers --- */

void
record_header_encode(const struct crc32c *c, const struct record_header *h,
    char out[HEADER_LEN])
{
	memcpy(out, MAGIC.ptr, MAGIC.len);
	le_put(out + 8, h->version, 4);
	le_put(out + HEADER_CRC, 0, 4);
	le_put(out + 16, h->nonce, 8);
	le_put(out + 24, h->turn, 8);
	le_put(out + 32, h->done, 8);
	le_put(out + 40, h->size, 8);
	le_put(out + HEADER_CRC, crc32c(c, 0, (struct span){out, HEADER_LEN}),
	    4);
}

static bool
has_sense(const struct record_header *h)
{
	return h->version > RECORD_VERSION ||
	       (h->done >= RECORD_FIRST && h->done <= h->size &&
		   (h->done == h->size || h->done % RECORD_ALIGN == 0));
}

bool
record_header_decode(const struct crc32c *c, const char in[HEADER_LEN],
    struct record_header *h)
{
	char copy[HEADER_LEN];

	memcpy(copy, in, HEADER_LEN);
	le_put(copy + HEADER_CRC, 0, 4);
	*h = (struct record_header){
	    .version = (uint32_t)le_get(in + 8, 4),
	    .nonce = le_get(in + 16, 8),
	    .turn = le_get(in + 24, 8),
	    .done = le_get(in + 32, 8),
	    .size = le_get(in + 40, 8),
	};
	return !memcmp(in, MAGIC.ptr, MAGIC.len) &&
	       le_get(in + HEADER_CRC, 4) ==
		   crc32c(c, 0, (struct span){copy, HEADER_LEN}) &&
	       has_sense(h);
}

/* --- writing --- */

static void
put_number(struct buf *out, uint64_t v, int octets)
{
	le_put(buf_reserve(out, 8), v, octets);
	out->len += (size_t)octets;
}

static void
put_span(struct buf *out, struct span s)
{
	put_number(out, s.len, 4);
	buf_append_span(out, s);
}

static void
put_string(struct buf *out, const char *s)
{
	put_span(out, span_str(s));
}

void
record_encode(struct buf *out, const struct message *m, const char *file)
{
	size_t begin = out->len;
	char *head;

	memset(buf_reserve(out, RECORD_HEAD), 0, RECORD_HEAD);
	out->len += RECORD_HEAD;
	put_string(out, m->id);
	put_span(out, buf_span(&m->return_path));
	put_span(out, buf_span(&m->received));
	put_string(out, file ? file : "");
	put_number(out, m->body.from, 8);
	put_number(out, m->body.filed, 8);
	put_number(out, (uint64_t)m->when, 8);
	put_number(out, m->ncopies, 4);
	for (unsigned i = 0; i < m->ncopies; i++) {
		put_string(out, m->copies[i].address);
		put_string(out, m->copies[i].root->path);
		put_string(out, m->copies[i].path);
		put_string(out, m->copies[i].name);
	}
	head = out->data + begin;
	le_put(head + 16, file ? RECORD_FILE : RECORD_MAIL, 4);
	le_put(head + 24, out->len - begin - RECORD_HEAD, 4);
	le_put(head + 32, m->body.tail.len, 8);
}

/* Of a head whose checksum is 0 and that has its nonce. */
static uint32_t
checksum(const struct crc32c *c, struct span head, struct span envelope,
    struct span body)
{
	uint32_t crc = crc32c(c, 0, (struct span){head.ptr, 8});

	crc = crc32c(c, crc, head);
	crc = crc32c(c, crc, envelope);
	return crc32c(c, crc, body);
}

void
record_seal(const struct crc32c *c, struct buf *record, struct span body,
    uint64_t nonce, uint64_t offset)
{
	struct span envelope = buf_span(record);
	char *head = record->data;

	span_skip(&envelope, RECORD_HEAD);
	le_put(head, nonce, 8);
	le_put(head + 8, offset, 8);
	le_put(head + RECORD_CRC, 0, 4);
	le_put(head + RECORD_CRC,
	    checksum(c, (struct span){head, RECORD_HEAD}, envelope, body), 4);
}

/* --- reading --- */

bool
record_decode(const struct crc32c *c, struct span at, uint64_t nonce,
    uint64_t offset, struct record *r)
{
	char head[RECORD_HEAD];
	uint64_t envelope, body;

	if (at.len < RECORD_HEAD || le_get(at.ptr, 8) != nonce ||
	    le_get(at.ptr + 8, 8) != offset)
		return false;
	memcpy(head, at.ptr, RECORD_HEAD);
	le_put(head + RECORD_CRC, 0, 4);
	envelope = le_get(head + 24, 4);
	body = le_get(head + 32, 8);
	if (envelope > at.len - RECORD_HEAD ||
	    body > at.len - RECORD_HEAD - envelope)
		return false;
	*r = (struct record){
	    .type = (enum record_type)le_get(head + 16, 4),
	    .envelope = {at.ptr + RECORD_HEAD, (size_t)envelope},
	    .body = {at.ptr + RECORD_HEAD + envelope, (size_t)body},
	    .size = (size_t)(RECORD_HEAD + envelope + body),
	};
	return le_get(at.ptr + RECORD_CRC, 4) ==
	       checksum(c, (struct span){head, RECORD_HEAD}, r->envelope,
		   r->body);
}

/* Each takes from the front of *in; false when that is too short. */
static bool
take_number(struct span *in, int octets, uint64_t *v)
{
	if (in->len < (size_t)octets)
		return false;
	*v = le_get(in->ptr, octets);
	span_skip(in, (size_t)octets);
	return true;
}

static bool
take_span(struct span *in, struct span *s)
{
	uint64_t n;

	if (!take_number(in, 4, &n) || n > in->len)
		return false;
	*s = (struct span){in->ptr, (size_t)n};
	span_skip(in, (size_t)n);
	return true;
}

/* NULL: too short, or it holds a NUL. */
static const char *
take_string(struct span *in, struct arena *a)
{
	struct span s;

	if (!take_span(in, &s) || memchr(s.ptr, '\0', s.len))
		return NULL;
	return arena_dup(a, s);
}

static bool
take_copy(struct span *in, struct message *m, struct message_copy *c,
    record_root_fn *root, void *ctx)
{
	const char *path;
	struct buf line = {0};

	c->file.box = c->file.fd = -1;
	c->address = take_string(in, &m->arena);
	path = take_string(in, &m->arena);
	c->path = take_string(in, &m->arena);
	c->name = take_string(in, &m->arena);
	if (!c->address || !path || !c->path || !c->name)
		return false;
	if (path[0] != '/' || !c->name[0] || strchr(c->name, '/') ||
	    strlen(c->name) >= sizeof(c->file.name))
		return false;
	trace_delivered_to(&line, c->address, "\n");
	c->delivered_to =
	    (struct span){arena_dup(&m->arena, buf_span(&line)), line.len};
	buf_free(&line);
	c->root = root(ctx, path);
	c->size = m->return_path.len + c->delivered_to.len + m->received.len +
		  m->body.filed - m->body.from + m->body.tail.len;
	return true;
}

static bool
take_envelope(struct span *in, struct message *m, const char **file,
    uint64_t *ncopies)
{
	struct span id, return_path, received;
	uint64_t when;

	if (!take_span(in, &id) || id.len >= sizeof(m->id) ||
	    memchr(id.ptr, '/', id.len) || memchr(id.ptr, '\0', id.len) ||
	    !take_span(in, &return_path) || !take_span(in, &received))
		return false;
	memcpy(m->id, id.ptr, id.len);
	buf_append_span(&m->return_path, return_path);
	buf_append_span(&m->received, received);
	*file = take_string(in, &m->arena);
	if (!*file || strchr(*file, '/') ||
	    !take_number(in, 8, &m->body.from) ||
	    !take_number(in, 8, &m->body.filed) || !take_number(in, 8, &when) ||
	    !take_number(in, 4, ncopies))
		return false;
	m->when = (int64_t)when;
	return m->body.from <= m->body.filed &&
	       m->body.filed <= RECORD_BODY_MAX && when <= RECORD_WHEN_MAX &&
	       *ncopies > 0 && *ncopies <= in->len / 16; /* four lengths each */
}

bool
record_message(const struct record *r, record_root_fn *root, void *ctx,
    struct message *m, const char **file)
{
	struct span in = r->envelope;
	uint64_t ncopies = 0;
	bool ok;

	*m = (struct message){.body = {.fd = -1, .tail = r->body}};
	ok = take_envelope(&in, m, file, &ncopies) &&
	     (r->type == RECORD_FILE) == (**file != '\0');
	if (ok)
		m->copies = arena_alloc(&m->arena,
		    (size_t)ncopies * sizeof(m->copies[0]));
	for (; ok && m->ncopies < ncopies; m->ncopies++)
		ok = take_copy(&in, m, &m->copies[m->ncopies], root, ctx);
	if (!ok || in.len) {
		message_free(m);
		*m = (struct message){.body = {.fd = -1}};
		return false;
	}
	return true;
}

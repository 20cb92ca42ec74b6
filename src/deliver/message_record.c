/*
 * message_record: the format of its header, both ways.
 *
 * Reading trusts nothing: a length is compared with what is there before it
 * is used. Owns nothing, never blocks.
 */
#include "deliver/message_record.h"

#include <limits.h>
#include <string.h>

#include "base/le.h"
#include "dest/destination.h"

#define EIGHTBIT 1u
#define UTF8     2u

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

static void
put_copy(struct buf *out, const struct message_copy *c)
{
	put_string(out, c->address);
	put_string(out, c->dest->text);
	put_string(out, c->path ? c->path : c->to);
	put_string(out, c->name);
	put_string(out, c->note);
}

void
message_record_encode(struct buf *out, const struct message *m,
    const char *file)
{
	record_begin(out, file ? MESSAGE_RECORD_FILE : MESSAGE_RECORD_MAIL);
	put_string(out, m->id);
	put_span(out, buf_span(&m->return_path));
	put_span(out, buf_span(&m->received));
	put_string(out, file ? file : "");
	put_number(out, m->body.from, 8);
	put_number(out, m->body.filed, 8);
	put_number(out, (uint64_t)m->when, 8);
	put_string(out, m->sender);
	put_string(out, m->client);
	put_string(out, m->helo);
	put_string(out, m->login);
	put_number(out, (m->eightbit ? EIGHTBIT : 0) | (m->utf8 ? UTF8 : 0), 4);
	put_number(out, m->wire, 8);
	put_number(out, m->ncopies, 4);
	for (unsigned i = 0; i < m->ncopies; i++)
		put_copy(out, &m->copies[i]);
}

/* --- reading --- */

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

/* Is it part of a line? Of commands to a server nothing else may be. */
static bool
is_line(const char *s)
{
	return !strpbrk(s, "\r\n");
}

/* Where it goes, and what of it may be believed. */
static bool
take_destination(const struct message_record_from *from, struct message *m,
    struct message_copy *c, const char *dest, const char *below)
{
	if (destination_is_place(dest)) {
		c->path = below;
		c->dest = from->find(from->ctx, dest);
		return true;
	}
	if (!from->held || from->version < 2 || !*below || !is_line(below) ||
	    !is_line(m->sender) || !destination_is_remote(dest))
		return false;
	c->to = below;
	c->dest = destination_new(&m->arena, dest);
	return true;
}

static bool
take_copy(const struct message_record_from *from, struct span *in,
    struct message *m, struct message_copy *c)
{
	const char *dest, *below;

	c->address = take_string(in, &m->arena);
	dest = take_string(in, &m->arena);
	below = take_string(in, &m->arena);
	c->name = take_string(in, &m->arena);
	c->note = from->version < 2 ? "" : take_string(in, &m->arena);
	if (!c->address || !dest || !below || !c->name || !c->note)
		return false;
	if (!c->name[0] || strchr(c->name, '/') || strlen(c->name) > NAME_MAX ||
	    !take_destination(from, m, c, dest, below))
		return false;
	message_copy_line(m, c);
	c->size = m->return_path.len + c->delivered_to.len + m->received.len +
		  m->body.filed - m->body.from + m->body.tail.len;
	return true;
}

/* What the second version has more. */
static bool
take_more(uint32_t version, struct span *in, struct message *m)
{
	const char **strings[] = {&m->sender, &m->client, &m->helo, &m->login};
	uint64_t flags;

	for (unsigned i = 0; i < 4; i++) {
		*strings[i] = version < 2 ? "" : take_string(in, &m->arena);
		if (!*strings[i])
			return false;
	}
	if (version < 2)
		return true;
	if (!take_number(in, 4, &flags) || flags & ~(EIGHTBIT | UTF8) ||
	    !take_number(in, 8, &m->wire))
		return false;
	m->eightbit = flags & EIGHTBIT;
	m->utf8 = flags & UTF8;
	return m->wire <= 2 * MESSAGE_RECORD_BODY_MAX;
}

static bool
take_envelope(uint32_t version, struct span *in, struct message *m,
    const char **file, uint64_t *ncopies)
{
	const size_t lengths = version < 2 ? 4 : 5; /* of each copy */
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
	    !take_more(version, in, m) || !take_number(in, 4, ncopies))
		return false;
	m->when = (int64_t)when;
	return m->body.from <= m->body.filed &&
	       m->body.filed <= MESSAGE_RECORD_BODY_MAX &&
	       when <= MESSAGE_RECORD_WHEN_MAX && *ncopies > 0 &&
	       *ncopies <= in->len / (4 * lengths);
}

bool
message_record_decode(const struct message_record_from *from,
    const struct record *r, struct message *m, const char **file)
{
	struct span in = r->envelope;
	uint64_t ncopies = 0;
	bool ok;

	*m = (struct message){.body = {.fd = -1, .tail = r->body}};
	ok = from->version >= 1 && from->version <= MESSAGE_RECORD_VERSION &&
	     take_envelope(from->version, &in, m, file, &ncopies) &&
	     r->type == (**file ? MESSAGE_RECORD_FILE : MESSAGE_RECORD_MAIL);
	if (ok)
		m->copies = arena_alloc(&m->arena,
		    (size_t)ncopies * sizeof(m->copies[0]));
	for (; ok && m->ncopies < ncopies; m->ncopies++)
		ok = take_copy(from, &in, m, &m->copies[m->ncopies]);
	if (!ok || in.len) {
		message_free(m);
		*m = (struct message){.body = {.fd = -1}};
		return false;
	}
	if (m->body.from && m->copies[0].path)
		m->headed = m->copies;
	return true;
}

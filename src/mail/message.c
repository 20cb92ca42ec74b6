/*
 * message: what is delivered, made from an envelope and a spool.
 *
 * The names of its files are fixed here, once, before anything is written:
 * what a journal says about a message must hold for ever. Never blocks.
 */
#include "mail/message.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "proto/trace.h"

#define HOSTNAME_MAX 160 /* in a file name, of 255 octets in all */

static const char *
dup(struct message *m, const char *s)
{
	return s ? arena_dup(&m->arena, span_str(s)) : NULL;
}

void
message_copy_line(struct message *m, struct message_copy *c)
{
	struct buf line = {0};

	if (c->path && *c->note)
		buf_printf(&line, "X-Smtpd-Failed: %s: %s\n", c->address,
		    c->note);
	trace_delivered_to(&line, c->address, "\n");
	c->delivered_to =
	    (struct span){arena_dup(&m->arena, buf_span(&line)), line.len};
	buf_free(&line);
}

static void
add_copy(struct message *m, const struct message_copy *from)
{
	struct message_copy *c = &m->copies[m->ncopies++];

	*c = *from;
	c->path = dup(m, from->path);
	c->to = dup(m, from->to);
	c->address = dup(m, from->address);
	c->note = "";
	message_copy_line(m, c);
}

static void
put_received(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when)
{
	buf_append_span(out, e->above);
	trace_received(out, e, hostname, when, "\n");
}

static void
init_envelope(struct message *m, const struct envelope *e)
{
	char client[IPADDR_STRLEN];

	m->sender = smtp_path_text(&e->sender, &m->arena);
	m->client = dup(m, ipaddr_format(&e->client, client));
	m->helo = e->helo ? dup(m, e->helo) : "";
	m->login = e->login ? dup(m, e->login) : "";
	m->eightbit = e->eightbit;
	m->utf8 = e->utf8;
	envelope_message_id(e, m->id);
	trace_return_path(&m->return_path, e, "\n");
	put_received(&m->received, e, m->hostname, m->when);
}

void
message_init(struct message *m, const struct envelope *e, struct spool **spool,
    const char *hostname, const struct message_copy *copies, unsigned n)
{
	*m = (struct message){.hostname = hostname, .when = spool_when(*spool)};
	m->spool = *spool;
	*spool = NULL;
	init_envelope(m, e);
	m->copies = arena_alloc(&m->arena, n * sizeof(m->copies[0]));
	for (unsigned i = 0; i < n; i++)
		if (copies[i].path)
			add_copy(m, &copies[i]);
	if (m->ncopies)
		m->headed = m->copies;
	for (unsigned i = 0; i < n; i++)
		if (!copies[i].path)
			add_copy(m, &copies[i]);
}

void
message_head(struct buf *out, const struct envelope *e, const char *address,
    const char *hostname, int64_t when)
{
	trace_return_path(out, e, "\n");
	trace_delivered_to(out, address, "\n");
	put_received(out, e, hostname, when);
}

/*
 * Unique among all nodes by the session's id, in a message by the recipient's
 * number, and O_EXCL if both should fail.
 */
static void
name_file(struct message *m, struct message_copy *c)
{
	uint64_t body =
	    m->body.filed - m->body.from + (uint64_t)m->body.tail.len;
	struct buf name = {0};

	c->size =
	    m->return_path.len + c->delivered_to.len + m->received.len + body;
	buf_reserve(&name, NAME_MAX);
	buf_append_uint(&name, m->when < 0 ? 0 : (uint64_t)m->when, 0);
	buf_append_str(&name, ".");
	buf_append_str(&name, m->id);
	buf_append_str(&name, "_");
	buf_append_uint(&name, (uint64_t)(c - m->copies), 0);
	buf_append_str(&name, ".");
	buf_append(&name, m->hostname, strnlen(m->hostname, HOSTNAME_MAX));
	buf_append_str(&name, ",S=");
	buf_append_uint(&name, c->size, 0);
	c->name = arena_dup(&m->arena, buf_span(&name));
	buf_free(&name);
}

void
message_ready(struct message *m)
{
	m->body = spool_content(m->spool);
	m->wire = spool_wire(m->spool);
	for (unsigned i = 0; i < m->ncopies; i++)
		name_file(m, &m->copies[i]);
}

/* "...,S=123" of another size. */
static void
rename_for_size(struct message *m, struct message_copy *c)
{
	const char *end = strstr(c->name, ",S=");
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%.*s,S=%llu",
	    (int)(end ? end - c->name : (long)strlen(c->name)), c->name,
	    (unsigned long long)c->size);
	c->name = dup(m, to);
}

void
message_copy_fail(struct message *m, struct message_copy *c,
    const struct destination *failed, const char *reason)
{
	c->size -= c->delivered_to.len;
	c->dest = failed;
	c->path = ".";
	c->to = NULL;
	c->note = arena_dup(&m->arena, span_str(reason));
	message_copy_line(m, c);
	c->size += c->delivered_to.len;
	rename_for_size(m, c);
	if (m->headed == c)
		m->headed = NULL;
}

struct message
message_same(const struct message *m)
{
	struct message same = {.hostname = m->hostname,
	    .when = m->when,
	    .sender = m->sender,
	    .client = m->client,
	    .helo = m->helo,
	    .login = m->login,
	    .eightbit = m->eightbit,
	    .utf8 = m->utf8,
	    .return_path = m->return_path,
	    .received = m->received,
	    .body = m->body,
	    .wire = m->wire,
	    .dirfd = m->dirfd,
	    .link = m->link};

	memcpy(same.id, m->id, sizeof(same.id));
	return same;
}

unsigned
message_failed_copies(const struct message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->ncopies; i++)
		n += m->copies[i].error != 0;
	return n;
}

void
message_free(struct message *m)
{
	spool_free(&m->spool);
	buf_free(&m->return_path);
	buf_free(&m->received);
	arena_reset(&m->arena);
}

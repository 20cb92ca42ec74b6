/*
 * message: what is delivered, made from an envelope and a spool.
 *
 * The names of its files are fixed here, once, before anything is written:
 * what a journal says about a message must hold for ever. Never blocks.
 */
#include "mail/message.h"

#include <assert.h>
#include <stdio.h>

#include "proto/trace.h"
#include "rcpt/recipients.h"

#define HOSTNAME_MAX 160 /* in a file name, of 255 octets in all */

static void
copy_init(struct message *m, struct message_copy *c, const struct target *t)
{
	struct buf line = {0};

	trace_delivered_to(&line, t->address, "\n");
	c->delivered_to =
	    (struct span){arena_dup(&m->arena, buf_span(&line)), line.len};
	buf_free(&line);
	c->root = t->root;
	c->path = arena_dup(&m->arena, span_str(t->path));
	c->address = arena_dup(&m->arena, span_str(t->address));
	c->file.box = c->file.fd = -1;
}

void
message_init(struct message *m, const struct envelope *e, struct spool **spool,
    const char *hostname)
{
	struct message_copy *c;

	*m = (struct message){.hostname = hostname, .when = spool_when(*spool)};
	m->spool = *spool;
	*spool = NULL;
	envelope_message_id(e, m->id);
	trace_return_path(&m->return_path, e, "\n");
	trace_received(&m->received, e, hostname, m->when, "\n");
	m->ncopies = e->targets->n;
	assert(m->ncopies);
	c = m->copies =
	    arena_alloc(&m->arena, m->ncopies * sizeof(m->copies[0]));
	for (const struct target *t = e->targets->first; t; t = t->next)
		copy_init(m, c++, t);
}

void
message_head(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when)
{
	trace_return_path(out, e, "\n");
	trace_delivered_to(out, e->targets->first->address, "\n");
	trace_received(out, e, hostname, when, "\n");
}

/*
 * Unique among all nodes by the session's id, in a message by the recipient's
 * number, and O_EXCL if both should fail.
 */
static void
name_file(struct message *m, struct message_copy *c)
{
	char name[sizeof(c->file.name)];
	uint64_t body =
	    m->body.filed - m->body.from + (uint64_t)m->body.tail.len;

	c->size =
	    m->return_path.len + c->delivered_to.len + m->received.len + body;
	snprintf(name, sizeof(name), "%lld.%s_%u.%.*s,S=%llu",
	    (long long)m->when, m->id, (unsigned)(c - m->copies), HOSTNAME_MAX,
	    m->hostname, (unsigned long long)c->size);
	c->name = arena_dup(&m->arena, span_str(name));
}

void
message_ready(struct message *m)
{
	m->body = spool_content(m->spool);
	for (unsigned i = 0; i < m->ncopies; i++)
		name_file(m, &m->copies[i]);
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

/*
 * message: writes a message into every mailbox it goes to, then publishes.
 *
 * First every file is written to tmp/ and synced, the spool being read once
 * for up to BATCH of them; only when the last one is safe are they renamed
 * to new/. Whatever fails on the way takes everything back, so that a reply
 * other than 250 leaves nothing behind. Blocks; never logs.
 */
#include "deliver/message.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deliver/recipients.h"
#include "proto/trace.h"

#define BATCH        64    /* files open at once, two descriptors each */
#define CHUNK        65536 /* octets of the spool read at once */
#define HOSTNAME_MAX 160   /* in a file name, of 255 octets in all */
#define HEADER_PARTS 3

static unsigned
count_targets(const struct target *t)
{
	unsigned n = 0;

	for (; t; t = t->next)
		n++;
	return n;
}

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
	c->size = m->return_path.len + c->delivered_to.len + m->received.len;
	c->file.box = c->file.fd = -1;
}

void
message_init(struct message *m, const struct envelope *e, struct spool **spool,
    const char *hostname, int64_t when)
{
	struct message_copy *c;

	*m = (struct message){.hostname = hostname, .when = when};
	m->spool = *spool;
	*spool = NULL;
	envelope_message_id(e, m->id);
	trace_return_path(&m->return_path, e, "\n");
	trace_received(&m->received, e, hostname, when, "\n");
	m->ncopies = count_targets(e->targets);
	assert(m->ncopies);
	c = m->copies =
	    arena_alloc(&m->arena, m->ncopies * sizeof(m->copies[0]));
	for (const struct target *t = e->targets; t; t = t->next)
		copy_init(m, c++, t);
}

void
message_free(struct message *m)
{
	spool_free(&m->spool);
	buf_free(&m->return_path);
	buf_free(&m->received);
	arena_reset(&m->arena);
}

/*
 * Unique among all nodes by the session's id, in a message by the recipient's
 * number, and O_EXCL if both should fail.
 */
static int
create(const struct message *m, struct message_copy *c)
{
	char name[sizeof(c->file.name)];

	c->size += spool_size(m->spool);
	snprintf(name, sizeof(name), "%lld.%s_%u.%.*s,S=%llu",
	    (long long)m->when, m->id, (unsigned)(c - m->copies), HOSTNAME_MAX,
	    m->hostname, (unsigned long long)c->size);
	return maildir_create(c->root, c->path, name, &c->file);
}

/* Drops n written octets from the front of the parts. */
static void
skip_parts(struct iovec **iov, int *parts, size_t n)
{
	while (*parts && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		++*iov;
		--*parts;
	}
	if (*parts) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

static int
write_parts(int fd, struct iovec *iov, int parts)
{
	skip_parts(&iov, &parts, 0);
	while (parts) {
		ssize_t n = writev(fd, iov, parts);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		skip_parts(&iov, &parts, (size_t)n);
	}
	return 0;
}

static struct iovec
part(struct span s)
{
	union { /* writev takes no const, and changes nothing */
		const char *in;
		void *out;
	} u = {.in = s.ptr};

	return (struct iovec){u.out, s.len};
}

/* Our lines, and the body with them when it is in memory. */
static int
write_top(const struct message *m, const struct message_copy *c,
    const struct spool_content *body)
{
	struct iovec iov[HEADER_PARTS + 1] = {
	    part(buf_span(&m->return_path)),
	    part(c->delivered_to),
	    part(buf_span(&m->received)),
	    part(body->tail),
	};

	return write_parts(c->file.fd, iov,
	    body->filed ? HEADER_PARTS : HEADER_PARTS + 1);
}

/* The same octets to n files. */
static int
write_each(struct message *m, struct message_copy *c, unsigned n, struct span s)
{
	for (unsigned i = 0; i < n; i++) {
		struct iovec iov = part(s);

		if (write_parts(c[i].file.fd, &iov, 1) < 0) {
			m->failed = &c[i];
			return -1;
		}
	}
	return 0;
}

/* pread, but all of n: 0, or -1 with errno. */
static int
read_chunk(int fd, char *to, size_t n, uint64_t from)
{
	while (n) {
		ssize_t r = pread(fd, to, n, (off_t)from);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			errno = r ? errno : EIO; /* shorter than we wrote it */
			return -1;
		}
		to += r;
		n -= (size_t)r;
		from += (size_t)r;
	}
	return 0;
}

static int
copy_filed(struct message *m, struct message_copy *c, unsigned n,
    const struct spool_content *body)
{
	char *chunk = malloc(CHUNK);
	uint64_t at = 0;
	int r = 0;

	if (!chunk)
		abort();
	while (!r && at < body->filed) {
		uint64_t left = body->filed - at;
		size_t len = left < CHUNK ? (size_t)left : CHUNK;

		r = read_chunk(body->fd, chunk, len, at);
		if (!r)
			r = write_each(m, c, n, (struct span){chunk, len});
		at += len;
	}
	free(chunk);
	return r;
}

/* Writes and syncs n files, reading the body once. */
static int
write_batch(struct message *m, struct message_copy *c, unsigned n,
    const struct spool_content *body)
{
	for (unsigned i = 0; i < n; i++) {
		m->failed = &c[i];
		if (create(m, &c[i]) < 0 || write_top(m, &c[i], body) < 0)
			return -1;
	}
	m->failed = NULL;
	if (body->filed && (copy_filed(m, c, n, body) < 0 ||
			       write_each(m, c, n, body->tail) < 0))
		return -1;
	for (unsigned i = 0; i < n; i++) {
		m->failed = &c[i];
		if (maildir_sync(&c[i].file) < 0)
			return -1;
		if (m->ncopies > BATCH)
			maildir_close(&c[i].file);
	}
	m->failed = NULL;
	return 0;
}

static int
write_all(struct message *m)
{
	struct spool_content body = spool_content(m->spool);
	unsigned n;

	for (unsigned i = 0; i < m->ncopies; i += n) {
		n = m->ncopies - i < BATCH ? m->ncopies - i : BATCH;
		if (write_batch(m, m->copies + i, n, &body) < 0)
			return -1;
	}
	return 0;
}

static int
publish_all(struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		m->failed = c;
		if (maildir_reopen(c->root, c->path, &c->file) < 0 ||
		    maildir_commit(&c->file) < 0)
			return -1;
		if (m->ncopies > BATCH)
			maildir_close(&c->file);
	}
	m->failed = NULL;
	return 0;
}

static void
take_back(struct message *m)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		if (c->file.name[0] &&
		    !maildir_reopen(c->root, c->path, &c->file))
			maildir_abort(&c->file);
	}
}

static int
check_abandoned(struct message *m)
{
	if (!atomic_load(&m->abandoned))
		return 0;
	errno = ECANCELED;
	return -1;
}

static int
deliver(struct message *m)
{
	errno = spool_error(m->spool);
	if (errno || check_abandoned(m) < 0 || write_all(m) < 0 ||
	    check_abandoned(m) < 0)
		return -1;
	return publish_all(m);
}

void
message_deliver(struct message *m)
{
	if (deliver(m) < 0) {
		m->error = errno;
		take_back(m);
	}
	for (unsigned i = 0; i < m->ncopies; i++)
		maildir_close(&m->copies[i].file);
}

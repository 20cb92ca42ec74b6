#include "letters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/message_record.h"

static char *
make_body(unsigned n, size_t size)
{
	char *body = malloc(size + 1);

	assert_non_null(body);
	for (size_t i = 0; i < size; i++)
		body[i] = i % 61 == 60
			      ? '\n'
			      : (char)('a' + (i * 7 + n * 31 + i / 61) % 26);
	return body;
}

static void
init_copy(struct message *m, struct destination *root, unsigned i)
{
	struct message_copy *c = &m->copies[i];
	char text[128];

	snprintf(text, sizeof(text), "Delivered-To: u%u@example.org\n", i);
	c->delivered_to =
	    (struct span){arena_dup(&m->arena, span_str(text)), strlen(text)};
	snprintf(text, sizeof(text), "u%u", i);
	c->path = arena_dup(&m->arena, span_str(text));
	snprintf(text, sizeof(text), "u%u@example.org", i);
	c->address = arena_dup(&m->arena, span_str(text));
	c->dest = root;
	c->note = "";
	c->size = m->return_path.len + c->delivered_to.len + m->received.len +
		  m->body.tail.len;
	snprintf(text, sizeof(text), "1000.%s_%u.mx.example.org,S=%llu", m->id,
	    i, (unsigned long long)c->size);
	c->name = arena_dup(&m->arena, span_str(text));
}

void
letter_init(struct message *m, struct destination *root, unsigned n,
    unsigned copies, size_t size)
{
	*m = (struct message){.when = 1000,
	    .sender = "s@example.com",
	    .client = "192.0.2.1",
	    .helo = "x",
	    .login = "",
	    .ncopies = copies};
	snprintf(m->id, sizeof(m->id), "0123456789ABCDEF.%u", n);
	buf_append_str(&m->return_path, "Return-Path: <s@example.com>\n");
	buf_append_str(&m->received, "Received: from x\n\tby y;\n\tz\n");
	m->body = (struct spool_content){.fd = -1,
	    .tail = {make_body(n, size), size}};
	m->copies = arena_alloc(&m->arena, copies * sizeof(m->copies[0]));
	for (unsigned i = 0; i < copies; i++)
		init_copy(m, root, i);
}

void
letter_free(struct message *m)
{
	free((char *)(uintptr_t)m->body.tail.ptr);
	m->body.tail.ptr = NULL;
	message_free(m);
}

uint64_t
letter_commit(struct segment *s, struct message *m)
{
	struct buf record = {0};
	struct segment_part part = {&record, m->body.tail, s->end};

	message_record_encode(&record, m, NULL);
	assert_true(segment_fits(s, s->end,
	    segment_next_commit(record.len + m->body.tail.len)));
	assert_int_equal(segment_commit(s, &part, 1), 0);
	s->end = segment_next_commit(s->end + record.len + m->body.tail.len);
	buf_free(&record);
	return part.offset;
}

static void
assert_whole(int dir, const char *name, const struct message *m,
    const struct message_copy *c)
{
	struct buf want = {0}, got = {0};
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	buf_append_span(&want, buf_span(&m->return_path));
	buf_append_span(&want, c->delivered_to);
	buf_append_span(&want, buf_span(&m->received));
	buf_append_span(&want, m->body.tail);
	n = read(fd, buf_reserve(&got, want.len + 1), want.len + 1);
	assert_int_equal(n, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	close(fd);
	buf_free(&want);
	buf_free(&got);
}

static unsigned
count_in(const struct destination *root, const struct message *m,
    const struct message_copy *c, const char *folder)
{
	char path[512];
	const struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s/%s", root->text, c->path, folder);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, c->name, strlen(c->name)) != 0)
			continue;
		assert_whole(dirfd(d), e->d_name, m, c);
		n++;
	}
	closedir(d);
	return n;
}

unsigned
letter_count(const struct destination *root, struct message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->ncopies; i++)
		n += count_in(root, m, &m->copies[i], "new") +
		     count_in(root, m, &m->copies[i], "cur");
	return n;
}

/*
 * pipe_values: what a program is told about a message, under the names that
 * Postfix and mailing lists have for it. All of it may be a stranger's words.
 */
#include <string.h>

#include "dest/pipe.h"
#include "proto/smtp_addr.h"

const char *const pipe_names[] = {"SENDER", "RECIPIENT", "ORIGINAL_RECIPIENT",
    "LOCAL", "DOMAIN", "EXTENSION", "CLIENT_ADDRESS", "CLIENT_HELO", "LOGIN",
    "MESSAGE_ID", "SIZE", NULL};

static void
put(struct buf *out, const char *value)
{
	size_t at = out->len;

	buf_append(out, value, strlen(value) + 1);
	for (; at + 1 < out->len; at++)
		if ((unsigned char)out->data[at] < ' ' || out->data[at] == 0x7f)
			out->data[at] = '?';
}

/* LOCAL without quotes, DOMAIN, and what is behind the delimiter in LOCAL. */
static void
put_parts(struct buf *out, const char *to, char delimiter)
{
	struct arena arena = {0};
	struct smtp_path path = {.local = to, .domain = ""};
	const char *extension = NULL;

	/* a bare "postmaster" is none */
	smtp_mailbox_parse(span_str(to), &arena, &path);
	if (delimiter)
		extension = strchr(path.local, delimiter);
	put(out, path.local);
	put(out, path.domain);
	put(out, extension ? extension + 1 : "");
	arena_reset(&arena);
}

void
pipe_values(const struct message *m, const struct message_copy *c,
    char delimiter, struct buf *out)
{
	put(out, m->sender);
	put(out, c->to);
	put(out, c->address);
	put_parts(out, c->to, delimiter);
	put(out, m->client);
	put(out, m->helo);
	put(out, m->login);
	put(out, m->id);
	buf_append_uint(out, c->size, 0);
	buf_append(out, "", 1);
}

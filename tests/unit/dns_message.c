/*
 * dns_message: RFC 1035 4.1, without compression.
 */
#include "dns_message.h"

#include <string.h>

void
dns_message_16(struct buf *b, unsigned v)
{
	const char p[] = {(char)(v >> 8), (char)v};

	buf_append(b, p, 2);
}

void
dns_message_name(struct buf *b, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");
		const char len = (char)n;

		buf_append(b, &len, 1);
		buf_append(b, name, n);
		name += n + (name[n] == '.');
	}
	buf_append(b, "", 1);
}

void
dns_message(struct buf *b, uint16_t id, unsigned flags, const char *name,
    unsigned type)
{
	b->len = 0;
	dns_message_16(b, id);
	dns_message_16(b, flags);
	buf_append(b, "\0\1\0\0\0\0\0\0", 8);
	dns_message_name(b, name);
	dns_message_16(b, type);
	dns_message_16(b, 1);
}

void
dns_message_add(struct buf *b, const char *owner, unsigned type,
    struct span data)
{
	unsigned char *count = (unsigned char *)b->data + 6;
	unsigned n = 256u * count[0] + count[1] + 1;

	count[0] = (unsigned char)(n >> 8);
	count[1] = (unsigned char)n;
	dns_message_name(b, owner);
	dns_message_16(b, type);
	dns_message_16(b, 1);
	buf_append(b, "\0\0\0\x3c", 4);
	dns_message_16(b, (unsigned)data.len);
	buf_append_span(b, data);
}

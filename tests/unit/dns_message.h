/*
 * dns_message: messages of a resolver, as the tests want them: right, wrong or
 * hostile.
 */
#ifndef TESTS_DNS_MESSAGE_H
#define TESTS_DNS_MESSAGE_H

#include <stdint.h>

#include "base/buf.h"

#define DNS_MESSAGE_QR 0x8000
#define DNS_MESSAGE_TC 0x0200
#define DNS_MESSAGE_AD 0x0020
#define DNS_MESSAGE_CD 0x0010

/* Overwrites b with a header and a question of class IN. */
void dns_message(struct buf *b, uint16_t id, unsigned flags, const char *name,
    unsigned type);
/* Adds a record to the answer section, and one to its count. */
void dns_message_add(struct buf *b, const char *owner, unsigned type,
    struct span data);

/* Appends a name as labels; "" and "." are the root. */
void dns_message_name(struct buf *b, const char *name);
void dns_message_16(struct buf *b, unsigned v);

#endif

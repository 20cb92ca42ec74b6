/*
 * message_record: a message as a record, and back.
 *
 * Envelope: strings, each with its length (4) before it: message id, the
 * Return-Path line, the Received lines, the name of the body's file ("" when
 * the body is in the record). Then octets of that file's head 8, its size 8,
 * when the message came 8; the strings sender, client's address, HELO name and
 * login; flags 4 (1: 8BITMIME, 2: SMTPUTF8), octets on the wire 8; number of
 * recipients 4, and for each five strings: the address of Delivered-To, the
 * destination's text, which of a Maildir is its root, the mailbox below it or
 * what a route is given as recipient, the name of the file, and the note.
 * Nothing else is needed to deliver it.
 *
 * A version reads its own format and the one before. This is the second. The
 * first has nothing between the time and the number, and no note.
 *
 * A copy for a route may be in a held file, but in no journal: what is read
 * back from there is done again, which is harmless only where a name can be
 * looked up.
 */
#ifndef DELIVER_MESSAGE_RECORD_H
#define DELIVER_MESSAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/record.h"
#include "mail/message.h"

#define MESSAGE_RECORD_VERSION  2
#define MESSAGE_RECORD_BODY_MAX ((uint64_t)1 << 40) /* of a body's file */
#define MESSAGE_RECORD_WHEN_MAX ((uint64_t)1 << 40) /* seconds since 1970 */

enum message_record_type {
	MESSAGE_RECORD_MAIL = 1, /* the body follows */
	MESSAGE_RECORD_FILE,     /* the body is in a file of its own */
	MESSAGE_RECORD_PENDING,  /* reserved: remotes are being asked */
	MESSAGE_RECORD_SETTLED,  /* reserved: their answer */
};

/*
 * To be sealed with m->body.tail; out is empty. file: the name that the body's
 * file has, NULL when it is in memory.
 */
void message_record_encode(struct buf *out, const struct message *m,
    const char *file);

struct message_record_from {
	uint32_t version; /* of the header above it */
	bool held;        /* of a held file: routes may be in it */
	/* opens a destination with a place or finds it opened, never NULL */
	const struct destination *(*find)(void *ctx, const char *text);
	void *ctx;
};

/*
 * A message from a record, of which nothing is kept but r->body. The
 * destination of a route is the message's. *file is the body's file, "" if
 * there is none; then m->body.fd is to be filled in. False: it is of another
 * type or version, or its envelope makes no sense; m is empty.
 */
bool message_record_decode(const struct message_record_from *from,
    const struct record *r, struct message *m, const char **file);

#endif

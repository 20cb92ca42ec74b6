/*
 * place: a message that a journal vouches for, into its mailboxes.
 *
 * Each copy succeeds or fails for itself. Where syncfs() is trusted nothing
 * is synced here: the next checkpoint does it for all.
 */
#ifndef DEST_PLACE_H
#define DEST_PLACE_H

#include "mail/message.h"

enum place_how {
	PLACE_NEW,     /* never tried before */
	PLACE_SYNCED,  /* the same, and on disk afterwards */
	PLACE_AGAIN,   /* perhaps there: found, whole or not, or missing */
	PLACE_REWRITE, /* there or not, written anew, and on disk afterwards */
};

/*
 * Mailboxes that were open a moment ago: for one thread at a time. Each lives
 * a second at most, since somebody may move it away.
 */
struct place_boxes;
struct place_boxes *place_boxes_new(void);
void place_boxes_free(struct place_boxes **b);
/* Percent of each file system that is not written to: ENOSPC. 0 at first. */
void place_reserve(struct place_boxes *b, unsigned percent);

/*
 * Blocks. Each copy goes where its destination's kind puts it, and its error
 * says how it went: 0, or errno. A file whose sync has failed is not there any
 * more; what PLACE_REWRITE could not write over is.
 */
void place_message(struct place_boxes *b, struct message *m,
    enum place_how how);

/* A kind's own: see struct destination_kind. */
int place_maildir(struct place_boxes *b, struct message *m,
    struct message_copy *c, enum place_how how);

#endif

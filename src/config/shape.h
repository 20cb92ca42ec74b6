/*
 * shape: what the two halves of the first look at a file share: the
 * tokens (scan.c) and the keys and blocks they make (shape.c).
 */
#ifndef CONFIG_SHAPE_H
#define CONFIG_SHAPE_H

#include "base/buf.h"
#include "config/fault.h"
#include "config/section.h"

struct scan {
	struct config_faults *faults;
	const char *file;
	char *text;
	size_t len, pos;
	unsigned line;
	bool bad;     /* libconfuse must not see this */
	bool blanked; /* it will not see some of this */

	/* the shape's own */
	struct span word, before; /* the last two tokens, if they are words */
	bool assigned;            /* the last token is = */
	const struct config_key *key; /* before it; NULL: unknown */
	unsigned call;                /* line of an open include(; 0: none */
	unsigned args;                /* that it has so far */
	unsigned list;                /* line of an open list; 0: none */
	bool filled;                  /* the list has elements */
	unsigned block;               /* line of an open block; 0: none */
	const struct config_section *section; /* NULL: an unknown block */
	unsigned inner;      /* braces open inside of an unknown block */
	const char *unknown; /* where an unknown key or block begins */
	bool unknown_over;   /* and this token ends it */
};

/* A fault after which libconfuse is not asked. */
#define SCAN_FAULT(s, line, ...)                                               \
	do {                                                                   \
		(s)->bad = true;                                               \
		config_error((s)->faults, (s)->file, (line), __VA_ARGS__);     \
	} while (0)

/* A token was read; s->pos is behind it but for the quote of a word. */
void shape_word(struct scan *s, struct span word);
void shape_open(struct scan *s);
void shape_close(struct scan *s);
void shape_assign(struct scan *s);
void shape_call(struct scan *s);
void shape_call_end(struct scan *s);
void shape_comma(struct scan *s);
/* After every token: blanks an unknown key or block that is over. */
void shape_blank(struct scan *s);
void shape_end(struct scan *s);

#endif

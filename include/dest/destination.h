/*
 * destination: where mail goes, written "kind:rest", and the table of kinds.
 *
 * A kind has a shape: `place` puts copies into files below a root, blocking,
 * behind 250; `ask` hands them to somebody else, on the loop, before 250. One
 * without a shape takes mail and drops it: no copy is made.
 */
#ifndef DEST_DESTINATION_H
#define DEST_DESTINATION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dest/maildir.h"
#include "dest/parcel.h"
#include "dest/place.h"
#include "dest/route.h"
#include "io/counters.h"

struct destination_kind {
	const char *scheme; /* stands before the colon */
	const char *absent; /* why it cannot be used; NULL: it can */
	/*
	 * A path follows, with %d, %u and %t for what is made below its root.
	 * Puts one copy there: 0, or -1 with errno.
	 */
	int (*place)(struct place_boxes *b, struct message *m,
	    struct message_copy *c, enum place_how how);
	/* delivered copies; behind them those that were held */
	enum shared_counter count;
	enum shared_counter time; /* of placing, if it does */

	/* Of what asks; remote without ask is a text alone, "route:NAME". */
	bool remote;
	enum route_syntax syntax;
	uint16_t port; /* that nobody has to write */
	bool tls;      /* from the first octet */
	/*
	 * open never fails: what is not there is DOWN. free cuts
	 * off what is under way, silently.
	 */
	struct carrier *(
	    *open)(const struct route *r, const struct dest_services *s);
	void (*free)(struct carrier **c);
	/*
	 * Never calls back before it returns, nor reads a stream. The answer
	 * is in the copies; until then nobody else looks at *p or at its
	 * message. Cancelled, either way, is silence: before its end of data
	 * nobody has it, behind it `unanswered` is logged.
	 */
	struct ask *(*ask)(struct carrier *c, struct parcel *p, parcel_fn *fn,
	    void *ctx);
	/* NULL: it cannot say. sender: "" is <>. */
	struct ask *(*verify)(struct carrier *c, const char *sender,
	    const char *to, int64_t deadline, verify_fn *fn, void *ctx);
	/* DOWN: an ask would be told so at once, with *reply. */
	enum carrier_health (
	    *health)(const struct carrier *c, const struct smtp_reply **reply);
	/* Is it still DOWN? It finds out now. NULL: it never waits to. */
	void (*again)(struct carrier *c);
	unsigned parcel_max; /* recipients at once */
	unsigned order;      /* in which kinds are asked, from 1 */
};

/* Found by its text, once in each table; that is what records name. */
struct destination {
	const struct destination_kind *kind;
	const char *text; /* "kind:rest", "kind:"; of a Maildir its root */
	struct maildir_root root;  /* where kind->place; not opened yet */
	const struct route *route; /* where kind->ask; NULL: its text is of a
				      record, and no route of that name is
				      configured */
};

/* Is this meant to be one, and no address? A path alone is, too. */
bool destination_is_meant(const char *text);

/*
 * What the configuration says: its kind, and behind the colon *rest. NULL, or
 * a constant text that says what is wrong and what to write instead.
 */
const char *destination_parse(const char *text,
    const struct destination_kind **kind, const char **rest);

/* The text of the one of this kind with this root, or rest; "" if none. */
void destination_format(const struct destination_kind *kind, const char *root,
    struct buf *out);

/* Is it handed to somebody else, as far as its kind says? */
bool destination_is_remote(const char *text);

/* Can copies be placed in what has this text, of whatever origin? */
bool destination_is_place(const char *text);

/*
 * In the arena, its route NULL. text is of destination_format(), or one of
 * those above says yes to it.
 */
struct destination *destination_new(struct arena *a, const char *text);

#endif

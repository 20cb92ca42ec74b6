/*
 * filter_state: what the files of a worker's filters share.
 */
#ifndef POLICY_FILTER_STATE_H
#define POLICY_FILTER_STATE_H

#include <sys/queue.h>

#include "io/loop.h"
#include "io/neighbour.h"
#include "mail/content.h"
#include "policy/milter.h"

/* A milter, as this worker sees it. */
struct filter_row {
	const struct filter_config *conf;
	struct filters *all;
	struct neighbour *place;
	unsigned connections;                 /* of this worker */
	TAILQ_HEAD(filter_line, filter) line; /* who waits for one */
	struct loop_event *wake;
	unsigned failed; /* connections, in a row */
	int64_t avoid;   /* monotonic ms: none is tried until then */
	int64_t since; /* conversations come to nothing; 0: the last did not */
	int64_t told;  /* when that was logged last */
	unsigned untold; /* and how often it was not, since */
	struct dial_place places[FILTER_ADDRS_MAX];
	unsigned nplaces;
	int64_t places_until; /* when the DNS is asked again; 0: never */
};

struct filters {
	const struct filters_config *conf;
	struct filter_services services;
	struct filter_row rows[FILTER_MILTERS_MAX];
	size_t heads; /* octets of all headers that are cut, about */
};

/* A message on its way through the row. */
struct filter {
	struct ask ask;
	struct filters *all;
	struct filter_message message;
	filter_fn *fn;
	void *ctx;
	unsigned at;              /* the row that is next, or under way */
	struct filter_row *row;   /* of these; NULL: none is left */
	bool waits;               /* in its line */
	bool holds;               /* one of its connections */
	TAILQ_ENTRY(filter) next; /* in the line */
	struct loop_event *timer;
	int64_t deadline; /* of the row; 0: the first is not begun */
	struct ask *resolving;
	struct milter *milter;
	struct content *content; /* while the header is read */
	struct buf block;        /* the front of the body, until it is cut */
	size_t weight;           /* of its header among these */
	bool cut;                /* these are there: */
	struct header header;
	bool open; /* a line that is no field ended it, not an empty one */
	struct spool_content rest; /* of the body, behind the header */
	struct filter_result result;
	struct milter_text no; /* the result's reply */
};

/* --- filter.c: what comes of it --- */

/* It has a connection, or has had them all. */
void filter_begin(struct filter *f);
/* The header is there. */
void filter_go_on(struct filter *f);
/* The milter is not to be asked: when-down. why: NULL, as e says. */
void filter_down(struct filter *f, enum neighbour_error e, const char *why);
/* The message is not to be read by us. */
void filter_unread(struct filter *f);
/* constant: the answer, whatever milters say. */
void filter_refuse(struct filter *f, const struct smtp_reply *reply);

/* --- filter_line.c: connections, and who waits for one --- */

void filter_line_open(struct filter_row *r);
void filter_line_close(struct filter_row *r);
/* filter_begin() now or later, or filter_down(). */
void filter_enter(struct filter *f);
/* Out of the line, and its connection is another's. */
void filter_leave(struct filter *f);
/* It was tried: whether it is, for a while. */
void filter_failed(struct filter_row *r, enum neighbour_error e);
/* What others see of it. */
void filter_row_down(struct filter_row *r, enum neighbour_error e);
void filter_worked(struct filter_row *r);

/* --- filter_head.c --- */

/* Reads the header and cuts it, then filter_go_on() or filter_refuse(); at once
 * or later. */
void filter_cut(struct filter *f);

/* --- filter_log.c --- */

void filter_log_down(struct filter_row *r, const struct filter *f,
    const struct milter_verdict *v);
void filter_log_up(struct filter_row *r);
/* What it would have said, with observe. */
void filter_log_observed(const struct filter *f,
    const struct milter_verdict *v);

#endif

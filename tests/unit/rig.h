/*
 * rig: a worker in small, one at a time: a loop on which time stands still,
 * threads for its jobs, delivery, and what workers share. It lives in the
 * directory of scratch. Below: messages through it, without a session.
 */
#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deliver/deliver.h"
#include "dest/route.h"
#include "io/jobs.h"
#include "io/loop.h"
#include "io/shared.h"

#define RIG_SLOT SHARED_WORKERS /* in shared: the first of a generation */

extern struct rig {
	/* for rig_open(); 0 and NULL are two of jobs, and none of these: */
	unsigned threads;
	unsigned (*standing)(void); /* that a test has stopped by itself */
	/* for post_setup(), or NULL: of struct recipients_options */
	const char *(
	    *route)(void *ctx, const char *text, const struct route **r);
	struct loop loop;
	struct jobs *jobs;
	struct shared *shared;
	struct deliver *deliver;
} rig;

/* The options must outlive it; the spool and the roots must be there. */
void rig_open(const struct deliver_options *o);
/* Whoever has asked something of a job frees his own between the two. */
void rig_stop(void);
void rig_close(void);

/* All that can be done is done, and then so much time has passed. */
void rig_pass(int64_t ms);

/* Of all workers, and that is this one. */
int64_t counted(enum shared_counter what);

/*
 * Its threads take no more jobs and finish those they have, until
 * rig_go_on(): then rig_pass() leaves what waits for them undone.
 */
enum rig_pool { RIG_JOBS, RIG_COMMITS, RIG_POOLS };
void rig_hold(enum rig_pool p);
void rig_go_on(void);

/* --- mail through it --- */

#define POST_ID "0123456789ABCDEF" /* of its session */

extern struct post {
	struct deliver_options options;
	struct mail_domain *org; /* example.org */
	struct envelope env;     /* of s@example.com, up to RCPT */
	/* what came since they were set to 0 */
	unsigned replies, refusals;
	char reply[16]; /* the last one, as "452 4.3.1"; "" is yes */
	/* what filters make of each message; NULL: there are none */
	const struct deliver_edit *edit;
	/* called first, unless it is NULL */
	void (*heard)(const struct smtp_reply *r);
} post;

/*
 * For cmocka: scratch, and what is to be opened. Until
 * post_open() the options are the test's: they are those of a worker with a
 * journal that nothing hurries. maildirs: where those of example.org are.
 */
int post_setup(const char *maildirs);
void post_open(void);
int post_finish(void **state);

void post_user(const char *local);
/* What it returns is NULL when it is answered. */
struct ask **post_ask(const char *local, const char *domain);
/* Of example.org, and hears; a yes is in the envelope. */
void post_rcpt(const char *local);
/* The next message of the envelope, of so many octets, all x if it is NULL.
 * As above. */
struct ask **post_submit(const char *data, size_t n);
/* Under way no more, or no more than its record in the journal. */
bool post_is_settled(void);

#endif

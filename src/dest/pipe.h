/*
 * pipe: mail into a program's standard input, a run for each recipient.
 *
 * The row's functions, as include/dest/destination.h has them; and what their
 * files share.
 */
#ifndef DEST_PIPE_H
#define DEST_PIPE_H

#include "dest/destination.h"
#include "io/jobs.h"
#include "io/runner.h"

struct carrier *pipe_open(const struct route *r, const struct dest_services *s);
void pipe_free(struct carrier **c);
struct ask *pipe_ask(struct carrier *c, struct parcel *p, parcel_fn *fn,
    void *ctx);
enum carrier_health pipe_health(const struct carrier *c,
    const struct smtp_reply **reply);

/*
 * The names of a request's values, and these: "" where there is nothing,
 * control octets as '?', a NUL behind each. delimiter: of a detail; 0: none.
 */
extern const char *const pipe_names[];
void pipe_values(const struct message *m, const struct message_copy *c,
    char delimiter, struct buf *out);

/*
 * A job that writes what the program reads into a file without a name. Copies
 * all it needs. Done: fd is open for reading alone, at the beginning, and the
 * taker's, who makes it -1; or it is -1 and error says why.
 */
struct pipe_input {
	struct job job;
	int fd;
	int error;
	int dir; /* outlives it */
	struct message m;
	struct message_copy copy;
};
struct pipe_input *pipe_input_new(const struct message *m,
    const struct message_copy *c, int dir);

/*
 * What the end of a run says. *reply: NULL, constant, or in arena a: a refusal
 * in the program's own words. DOWN: how it is set up is wrong.
 */
enum fate pipe_judge(const struct runner_end *end, struct arena *a,
    const struct smtp_reply **reply);

/* "exit 75", "signal 9": in out, which it returns. */
#define PIPE_STATUS_MAX 64
const char *pipe_status(const struct runner_end *end,
    char out[PIPE_STATUS_MAX]);

#endif

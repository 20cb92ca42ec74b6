/*
 * seal: a body's file gets its name, on a thread.
 */
#ifndef DELIVER_SEAL_H
#define DELIVER_SEAL_H

#include "io/jobs.h"
#include "mail/message.h"

/* On the loop: 0, and file and name are on disk; or errno. */
typedef void sealed_fn(void *ctx, int error);

/*
 * The file of m's body becomes m->link in m->dirfd; m stays until
 * fn(ctx, error) is called, which it is not any more after jobs_free(jobs).
 */
void seal_message(struct jobs *jobs, struct message *m, sealed_fn *fn,
    void *ctx);

#endif

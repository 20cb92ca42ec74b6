/*
 * child: one program, from its start until it is reaped.
 */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* and that of its group */
	int out;   /* what it says; O_NONBLOCK */
	int failed;
};

/*
 * Started: it has `in` as its input, which stays the caller's. Nothing is
 * waited for; whether it could be executed is known at its end. cpu: seconds.
 * 0, or -1 with errno.
 */
int child_start(struct child *c, char *const *argv, char *const *envp, int in,
    uint32_t cpu);

/* All of its group, while it is not reaped. */
void child_kill(const struct child *c);

/* Once it has ended: 0, or the errno with which it was never executed. */
int child_failed(const struct child *c);

/* Closes what is open. Idempotent. */
void child_close(struct child *c);

#endif

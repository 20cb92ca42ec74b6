/*
 * gate: a job that holds up the thread that runs it, and what is behind it.
 */
#ifndef TESTS_GATE_H
#define TESTS_GATE_H

struct jobs;
struct loop;

/* Until one gate_open() for it; then this loop ends, or none. */
void gate_close(struct jobs *jobs, struct loop *stop);
void gate_open(void);

#endif

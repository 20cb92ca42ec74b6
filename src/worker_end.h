/*
 * worker_end: a worker ends with its master, even if it hangs.
 */
#ifndef WORKER_END_H
#define WORKER_END_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The pipe tells the loop that the master is gone; should the loop hang, this
 * ends it, drain (ms) and a little later. Behind setup_become(), as a change of
 * uid would clear it. False: the master is gone already.
 */
bool worker_end_with(pid_t master, uint64_t drain);

#endif

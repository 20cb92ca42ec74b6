/*
 * lock: who holds spool/lock, and so is the master of that spool.
 */
#ifndef TOOLS_LOCK_H
#define TOOLS_LOCK_H

#include <sys/types.h>

enum lock_state {
	LOCK_FREE,   /* nobody: it is not running */
	LOCK_HELD,   /* by *pid_r, which is > 0 */
	LOCK_UNSEEN, /* by somebody who has no process id here: of another pid
			namespace, or no master's lock. Never to be signalled */
	LOCK_FAILED, /* may not be asked, or is no lock; errno */
};

/* pid_r is set when it is held. */
enum lock_state lock_holder(const char *spool, pid_t *pid_r);

#endif

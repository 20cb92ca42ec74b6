/*
 * sandbox: rights away, then files and ports, then calls: the last one takes
 * away what the first ones need.
 */
#include "io/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/landlock.h"
#include "io/seccomp.h"

int
sandbox_drop(void)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(__NR_capset, &head, none);
}

void
sandbox_enter(const struct sandbox_rules *rules, struct sandbox_state *r)
{
#ifdef SMTPD_NO_SANDBOX /* reports and profiles are files, too */
	(void)rules;
	*r = (struct sandbox_state){"not in this build", 0};
#else
	r->landlock = landlock_enter(rules);
	r->no_seccomp = seccomp_enter(rules->needs);
#endif
}

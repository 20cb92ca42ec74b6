/*
 * sandbox: what a process can still do once it is in it. Files: what is below
 * some directories. Sockets: those that are there, and what it needs. Never
 * again another program, another process, or more rights. There is no way out;
 * threads that begin afterwards are in it, too.
 */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <stdint.h>

/* Bits of `needs`. */
enum {
	SANDBOX_UNIX_STREAM = 1, /* to connect such sockets, by path */
	SANDBOX_UNIX_DGRAM = 2,  /* to connect again the one that it has */
	SANDBOX_TCP = 4,         /* to connect to the ports of the rules */
	SANDBOX_DNS = 8,         /* UDP, and TCP to the ports of the rules */
	SANDBOX_RUNNER = 16,     /* to hand descriptors to another process */
};

struct sandbox_rules {
	/* absolute; what is below may be read, written, made and removed. One
	 * that is not there when the sandbox is entered is left out */
	const char *const *dirs;
	unsigned ndirs;
	const uint16_t *ports; /* TCP: those that it may connect to */
	unsigned nports;
	unsigned needs;
};

/* Files are held from this one on, TCP ports and signals from those. */
#define SANDBOX_LANDLOCK_FILES   2
#define SANDBOX_LANDLOCK_PORTS   4
#define SANDBOX_LANDLOCK_SIGNALS 6

struct sandbox_state {
	const char *no_seccomp; /* why it is not in force; NULL: it is */
	int landlock;           /* the version in force; 0: none */
};

/*
 * For good: no capabilities, and no new ones from any file. Before
 * sandbox_enter(). 0, or -1 with errno when a capability is left.
 */
int sandbox_drop(void);

/*
 * Once, before the first thread; whatever opens other files for itself has
 * done so. As far as the kernel can: *r is what is in force.
 */
void sandbox_enter(const struct sandbox_rules *rules, struct sandbox_state *r);

#endif

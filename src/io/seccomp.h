/*
 * seccomp: the half of the sandbox that knows calls and their arguments. See
 * io/sandbox.h.
 */
#ifndef IO_SECCOMP_H
#define IO_SECCOMP_H

/* NULL, or why it is not in force; constant. no_new_privs is set. */
const char *seccomp_enter(unsigned needs);

#endif

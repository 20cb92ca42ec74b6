/*
 * seccomp: the calls that a worker makes, and no others.
 *
 * A row is a call, and what its arguments must be. What stands nowhere here is
 * answered ENOSYS, so that a newer libc falls back to what it did before;
 * what nobody but an intruder would try ends the process, to be seen in the
 * log. In the tests' build the former ends it as well: what is missing here
 * shows. Arguments behind pointers cannot be looked at: recvmsg, which carries
 * addresses and descriptors so, is for nobody, and sendmsg for who hands files
 * to programs.
 */
#include "io/seccomp.h"

#include "io/sandbox.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#if defined(ARCH)

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECKS      3
#define PROGRAM_MAX 640

#ifdef SMTPD_STRICT
#define UNKNOWN SECCOMP_RET_KILL_PROCESS
#else
#define UNKNOWN NO_CALL
#endif
#define NO_CALL (SECCOMP_RET_ERRNO | ENOSYS)

/* Half of an argument, under a mask, must be a value. Mask 0: no check. */
struct check {
	uint32_t at, mask, value;
};

/* For each call alternatives; without a need it is for everybody. */
struct row {
	int nr;
	unsigned need; /* any of these bits */
	struct check checks[CHECKS];
};

/* All three architectures keep the lower half first. */
/* clang-format off */
#define LOW(n)          (uint32_t)offsetof(struct seccomp_data, args[n])
#define IS(n, v)        {LOW(n), UINT32_MAX, (v)}
#define NIL(n)          IS(n, 0), {LOW(n) + 4, UINT32_MAX, 0}
#define HAS(n, bit)     {LOW(n), (bit), (bit)}
#define HAS_NOT(n, bit) {LOW(n), (bit), 0}
#define TYPE(n, v)      {LOW(n), ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), (v)}
/* clang-format on */

#define ROW(name, ...)                                                         \
	{                                                                      \
		.nr = __NR_##name, .checks = { __VA_ARGS__ }                   \
	}
#define NEED(bits, name, ...)                                                  \
	{                                                                      \
		.nr = __NR_##name, .need = (bits), .checks = { __VA_ARGS__ }   \
	}

#define STREAMS(family, protocol)                                              \
	NEED(SANDBOX_TCP | SANDBOX_DNS, socket, IS(0, family),                 \
	    TYPE(1, SOCK_STREAM), IS(2, protocol))

/* Those whose arguments count, what is called most often first; for all others
 * the kernel remembers the answer, since 5.11. */
static const struct row rows[] = {
    ROW(sendto, HAS_NOT(3, MSG_FASTOPEN), NIL(4)),
    ROW(mmap, HAS_NOT(2, PROT_EXEC)),
    ROW(mprotect, HAS_NOT(2, PROT_EXEC)),
    ROW(clone, HAS(0, CLONE_THREAD)),
    ROW(fcntl, IS(1, F_DUPFD_CLOEXEC)),
    ROW(fcntl, IS(1, F_GETFD)),
    ROW(fcntl, IS(1, F_SETFD)),
    ROW(fcntl, IS(1, F_GETFL)),
    ROW(fcntl, IS(1, F_SETFL)),
    ROW(fcntl, IS(1, F_GETLK)),
    ROW(fcntl, IS(1, F_SETLK)),
    ROW(fcntl, IS(1, F_SETLKW)),
    ROW(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
    ROW(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)),
    ROW(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)),
    ROW(setsockopt, IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)),
    ROW(setsockopt, IS(1, SOL_SOCKET), IS(2, SO_LINGER)),
    ROW(prlimit64, IS(0, 0), NIL(2)),
    ROW(prctl, IS(0, PR_SET_NAME)),
    NEED(SANDBOX_UNIX_STREAM, socket, IS(0, AF_UNIX), TYPE(1, SOCK_STREAM),
	IS(2, 0)),
    STREAMS(AF_INET, 0),
    STREAMS(AF_INET, IPPROTO_TCP),
    STREAMS(AF_INET6, 0),
    STREAMS(AF_INET6, IPPROTO_TCP),
    NEED(SANDBOX_DNS, socket, IS(0, AF_INET), TYPE(1, SOCK_DGRAM)),
    NEED(SANDBOX_DNS, socket, IS(0, AF_INET6), TYPE(1, SOCK_DGRAM)),
    NEED(SANDBOX_UNIX_STREAM | SANDBOX_UNIX_DGRAM | SANDBOX_TCP | SANDBOX_DNS,
	connect),
    /* libcurl's, to wake itself: nobody else has an end of it */
    NEED(SANDBOX_TCP, socketpair, IS(0, AF_UNIX), TYPE(1, SOCK_STREAM)),
    NEED(SANDBOX_RUNNER, sendmsg, HAS_NOT(2, MSG_FASTOPEN)),
};

/* From anybody, with any arguments. */
static const int allowed[] = {
#ifdef __x86_64__
    __NR_epoll_wait, __NR_poll, __NR_time, __NR_alarm,
#endif
#ifdef __NR_renameat
    __NR_renameat,
#endif
    __NR_epoll_ctl, __NR_read, __NR_write, __NR_close, __NR_accept4,
    __NR_getsockname, __NR_recvfrom, __NR_futex, __NR_pwritev, __NR_openat,
    __NR_fstat, __NR_newfstatat, __NR_fdatasync, __NR_fsync, __NR_renameat2,
    __NR_linkat, __NR_unlinkat, __NR_epoll_create1, __NR_epoll_pwait,
    __NR_epoll_pwait2, __NR_eventfd2, __NR_pipe2, __NR_ppoll, __NR_readv,
    __NR_writev, __NR_pread64, __NR_pwrite64, __NR_preadv, __NR_preadv2,
    __NR_close_range, __NR_lseek, __NR_dup, __NR_dup3, __NR_statx, __NR_fstatfs,
    __NR_statfs, __NR_openat2, __NR_getdents64, __NR_mkdirat, __NR_ftruncate,
    __NR_fallocate, __NR_fchmod, __NR_fadvise64, __NR_copy_file_range,
    __NR_syncfs, __NR_sync_file_range, __NR_utimensat, __NR_faccessat,
    __NR_faccessat2, __NR_flock, __NR_shutdown, __NR_getpeername,
    __NR_getsockopt, __NR_munmap, __NR_mremap, __NR_brk, __NR_madvise,
    __NR_set_robust_list, __NR_rseq, __NR_rt_sigaction, __NR_rt_sigprocmask,
    __NR_rt_sigreturn, __NR_sigaltstack, __NR_getrandom, __NR_clock_gettime,
    __NR_gettimeofday, __NR_clock_getres, __NR_clock_nanosleep, __NR_setitimer,
    __NR_restart_syscall, __NR_getpid, __NR_getppid, __NR_gettid, __NR_getuid,
    __NR_geteuid, __NR_getgid, __NR_getegid, __NR_sched_yield,
    __NR_sched_getaffinity, __NR_sysinfo, __NR_membarrier, __NR_exit,
    __NR_exit_group};

static const int killed[] = {
#ifdef __x86_64__
    __NR_fork, __NR_vfork,
#endif
    __NR_execve, __NR_execveat, __NR_clone, __NR_ptrace, __NR_process_vm_readv,
    __NR_process_vm_writev, __NR_io_uring_setup, __NR_io_uring_enter,
    __NR_io_uring_register, __NR_bpf, __NR_userfaultfd, __NR_perf_event_open,
    __NR_keyctl, __NR_add_key, __NR_request_key, __NR_mount, __NR_umount2,
    __NR_pivot_root, __NR_chroot, __NR_unshare, __NR_setns, __NR_open_tree,
    __NR_move_mount, __NR_fsopen, __NR_fsconfig, __NR_fsmount, __NR_init_module,
    __NR_finit_module, __NR_delete_module, __NR_kexec_load};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void
put(struct program *p, unsigned code, uint32_t k, unsigned skip)
{
	assert(p->n < PROGRAM_MAX);
	p->code[p->n++] = (struct sock_filter){.code = (uint16_t)code,
	    .jf = (uint8_t)skip,
	    .k = k};
}

static void
load(struct program *p, size_t at)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0);
}

/* Goes on if it is k, else skips so many. */
static void
unless(struct program *p, uint32_t k, unsigned skip)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, k, skip);
}

static void
answer(struct program *p, uint32_t what)
{
	put(p, BPF_RET | BPF_K, what, 0);
}

static void
put_number(struct program *p, int nr, uint32_t what)
{
	unless(p, (uint32_t)nr, 1);
	answer(p, what);
}

static void
put_numbers(struct program *p, const int *nr, size_t n, uint32_t what)
{
	for (size_t i = 0; i < n; i++)
		put_number(p, nr[i], what);
}

/* Each check is three; behind them is the answer, or the number again. */
static void
put_row(struct program *p, const struct row *r)
{
	unsigned n = 0;

	while (n < CHECKS && r->checks[n].mask)
		n++;
	unless(p, (uint32_t)r->nr, 3 * n + 2);
	for (unsigned i = 0; i < n; i++) {
		load(p, r->checks[i].at);
		put(p, BPF_ALU | BPF_AND | BPF_K, r->checks[i].mask, 0);
		unless(p, r->checks[i].value, 3 * (n - i - 1) + 1);
	}
	answer(p, SECCOMP_RET_ALLOW);
	load(p, offsetof(struct seccomp_data, nr));
}

static void
build(struct program *p, unsigned needs)
{
	/* itself alone: abort() */
	const struct row self = ROW(tgkill, IS(0, (uint32_t)getpid()));

	load(p, offsetof(struct seccomp_data, arch));
	unless(p, ARCH, 1);
	put(p, BPF_JMP | BPF_JA, 1, 0);
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!rows[i].need || rows[i].need & needs)
			put_row(p, &rows[i]);
	put_row(p, &self);
	put_numbers(p, allowed, sizeof(allowed) / sizeof(allowed[0]),
	    SECCOMP_RET_ALLOW);
	/* how a tracer takes a call back: no call is made */
	put_number(p, -1, SECCOMP_RET_ALLOW);
	put_numbers(p, killed, sizeof(killed) / sizeof(killed[0]),
	    SECCOMP_RET_KILL_PROCESS);
	put_number(p, __NR_clone3, NO_CALL); /* its flags are in memory */
	answer(p, UNKNOWN);
}

const char *
seccomp_enter(unsigned needs)
{
	struct program p = {.n = 0};
	struct sock_fprog whole = {.filter = p.code};

	build(&p, needs);
	whole.len = p.n;
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_SPEC_ALLOW, &whole) == 0)
		return NULL;
	return "not in this kernel";
}

#else

const char *
seccomp_enter(unsigned needs)
{
	(void)needs;
	return "not on this architecture";
}

#endif

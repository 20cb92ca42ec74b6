/*
 * The runner's process, with real programs: what they are given, how they end,
 * and that nothing of theirs is left. Who hangs holds one end of a socket, so
 * that its end is seen at the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/runner.h"
#include "log_catch.h"

/* Its group has two, which both hold the socket that is its input. */
#define HANG "exec 3<&0; sleep 1000 & echo up >&3; sleep 1000; :"

static struct loop loop;
static struct runner *runner;
static struct ask *under_way;
static unsigned ends, losses;
static struct runner_end end;
static char output[RUNNER_OUTPUT_MAX + 1];

static void
on_end(void *ctx, const struct runner_end *e)
{
	(void)ctx;
	under_way = NULL;
	ends++;
	end = *e;
	memcpy(output, e->output.ptr ? e->output.ptr : "", e->output.len);
	output[e->output.len] = '\0';
	loop_stop(&loop);
}

static void
on_lost(void *ctx)
{
	assert_ptr_equal(ctx, &losses);
	assert_true(runner_is_lost(runner));
	losses++;
	loop_stop(&loop);
}

static void
turn(void)
{
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static int
setup(void **state)
{
	(void)state;
	ends = losses = 0;
	under_way = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	runner_free(&runner);
	loop_free(&loop);
	log_forget();
	/* it ends with us */
	assert_true(wait(NULL) > 0);
	assert_int_equal(wait(NULL), -1);
	return 0;
}

static void
start_with(const struct runner_options *o)
{
	runner = runner_start(o);
	assert_non_null(runner);
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(runner_attach(runner, &loop, on_lost, &losses), 0);
}

/* Number 1 is a script, of which two may run. */
static void
start(const char *script)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "A=b c", NULL};
	static const char *const names[] = {"X", "Y", NULL};
	char sh[] = "/bin/sh", c[] = "-c";
	char *text = strdup(script);
	char *const argv[] = {sh, c, text, NULL};
	const struct runner_program programs[] = {{NULL, 9}, {argv, 2}};

	start_with(&(struct runner_options){programs, 2, env, names});
	free(text);
}

static void
ask(unsigned number, int in, struct span values, uint32_t timeout)
{
	const struct runner_request q = {number, timeout, values, in};

	under_way = runner_run(runner, &q, on_end, NULL);
	assert_non_null(under_way);
	assert_int_equal(ends, 0);
}

static int
null(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
run(void)
{
	ends = 0;
	ask(1, null(), SPAN_LIT("\0\0"), 60000);
	while (!ends)
		turn();
}

static void
exits(int status)
{
	assert_int_equal(end.how, RUNNER_EXITED);
	assert_true(WIFEXITED(end.status));
	assert_int_equal(WEXITSTATUS(end.status), status);
}

static void
not_started(int error)
{
	while (!ends)
		turn();
	assert_int_equal(end.how, RUNNER_NOT_STARTED);
	assert_int_equal(end.error, error);
}

static pid_t
helper(void)
{
	char path[64];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = (int)read(fd, output, sizeof(output) - 1);
	close(fd);
	assert_true(n > 0);
	output[n] = '\0';
	return (pid_t)strtol(output, NULL, 10);
}

/* --- what hangs --- */

static int
hang(uint32_t timeout)
{
	char up[4];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	ask(1, pair[1], SPAN_LIT("\0\0"), timeout);
	assert_int_equal(read(pair[0], up, 3), 3);
	return pair[0];
}

/* All who had the other end have gone. */
static void
all_gone(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
}

/* --- what a program is given --- */

static void
test_environment(void **state)
{
	static const char *const env[] = {"B=1 2", "C=", NULL};
	static const char *const names[] = {"Z", "Y", NULL};
	char path[] = "/usr/bin/env";
	char *const argv[] = {path, NULL};
	const struct runner_program program = {argv, 1};

	(void)state;
	start_with(&(struct runner_options){&program, 1, env, names});
	ask(0, null(), SPAN_LIT("a b\" '$(id)`id`\nLD_PRELOAD=/x\0\0"), 60000);
	while (!ends)
		turn();
	exits(0);
	assert_string_equal(output, "B=1 2\nC=\n"
				    "Z=a b\" '$(id)`id`\nLD_PRELOAD=/x\nY=\n");
}

static void
test_environment_of_shell(void **state)
{
	(void)state;
	start("printf '<%s> <%s> %s %s' \"$X\" \"$Y\" \"$PATH\" \"$A\"");
	ask(1, null(), SPAN_LIT("a  b\" 'c\0*; exit 1\0"), 60000);
	while (!ends)
		turn();
	exits(0);
	assert_string_equal(output, "<a  b\" 'c> <*; exit 1> "
				    "/usr/bin:/bin b c");
}

static void
test_values(void **state)
{
	static const struct span wrong[] = {SPAN_LIT(""), SPAN_LIT("a"),
	    SPAN_LIT("a\0"), SPAN_LIT("a\0b"), SPAN_LIT("a\0b\0c\0"),
	    SPAN_LIT("a\0b\0c")};

	(void)state;
	start("exit 0");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ends = 0;
		ask(1, null(), wrong[i], 60000);
		not_started(EINVAL);
	}
}

static void
test_values_max(void **state)
{
	char *values = malloc(RUNNER_VALUES_MAX);

	(void)state;
	memset(values, 'v', RUNNER_VALUES_MAX - 2);
	memset(values + RUNNER_VALUES_MAX - 2, 0, 2);
	start("echo ${#X}");
	ask(1, null(), (struct span){values, RUNNER_VALUES_MAX}, 60000);
	while (!ends)
		turn();
	free(values);
	exits(0);
	assert_string_equal(output, "32766\n");
}

static void
test_input(void **state)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(pwrite(fd, "a b\nc\n", 6, 0), 6);
	start("cat; echo err >&2");
	ask(1, fd, SPAN_LIT("\0\0"), 60000);
	while (!ends)
		turn();
	exits(0);
	assert_string_equal(output, "a b\nc\nerr\n");
}

static void
test_nothing_else(void **state)
{
	int a, b = fcntl(0, F_DUPFD, 100);

	(void)state;
	a = dup(1); /* neither closes with exec */
	start("ls /proc/$$/fd; pwd; umask; ulimit -c; ulimit -n;"
	      "ulimit -t; test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo led;"
	      /* 32 and 33 are libc's own, and may be anybody's */
	      "grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -f2 |"
	      "sed -E 's/^0{7}[01][08]0{7}$/0000000000000000/'");
	run();
	close(a);
	close(b);
	exits(0);
	assert_string_equal(output, "0\n1\n2\n/\n0077\n0\n1024\n61\nled\n"
				    "0000000000000000\n0000000000000000\n");
}

/* Its asker may still have them. */
static void
test_no_rights(void **state)
{
	(void)state;
	start("grep -E '^(NoNewPrivs|Cap(Prm|Eff|Amb))' /proc/self/status |"
	      "cut -f2 | tr -d '\\n'");
	run();
	exits(0);
	assert_string_equal(output, "000000000000000000000000000000000000000000"
				    "0000001");
}

/* --- how it ends --- */

static void
test_status(void **state)
{
	(void)state;
	start("exit 75");
	for (int i = 0; i < 5; i++) { /* of two at once */
		run();
		exits(75);
	}
}

static void
test_signal(void **state)
{
	(void)state;
	start("kill -TERM $$");
	run();
	assert_int_equal(end.how, RUNNER_EXITED);
	assert_true(WIFSIGNALED(end.status));
	assert_int_equal(WTERMSIG(end.status), SIGTERM);
}

static void
test_much_output(void **state)
{
	(void)state;
	start("head -c 10000000 /dev/zero | tr '\\0' a; exit 3");
	run();
	exits(3);
	assert_int_equal(strlen(output), RUNNER_OUTPUT_MAX);
	assert_int_equal(strspn(output, "a"), RUNNER_OUTPUT_MAX);
}

static void
test_timeout(void **state)
{
	int fd;

	(void)state;
	start("echo said; " HANG);
	fd = hang(2000);
	while (!ends)
		turn();
	assert_int_equal(end.how, RUNNER_TIMEOUT);
	assert_string_equal(output, "said\n");
	all_gone(fd);
}

/* Somebody of its group holds its output. */
static void
test_output_held(void **state)
{
	int fd;

	(void)state;
	start("exec 3<&0; sleep 1000 & echo up >&3; echo last; exit 4");
	fd = hang(60000);
	while (!ends)
		turn();
	exits(4);
	assert_string_equal(output, "last\n");
	all_gone(fd);
}

/* Somebody who left the group: not ours to end, nor waited for; but to bury. */
static void
test_setsid(void **state)
{
	char parent[16] = "";
	int fd;

	(void)state;
	start("exec python3 -c '\n"
	      "import os\n"
	      "r, w = os.pipe()\n"
	      "if os.fork() == 0:\n"
	      "    os.setsid()\n"
	      "    os.write(w, b\"x\")\n"
	      "    os.write(0, b\"up\\n\")\n"
	      "    os.read(0, 2)\n"
	      "    os.write(0, b\"%d\" % os.getppid())\n"
	      "    os._exit(0)\n"
	      "os.read(r, 1)\n"
	      "os._exit(0)'");
	fd = hang(60000);
	while (!ends)
		turn();
	exits(0);
	assert_int_equal(write(fd, "on", 2), 2);
	assert_true(read(fd, parent, sizeof(parent) - 1) > 0);
	assert_int_equal(strtol(parent, NULL, 10), helper());
	all_gone(fd);
}

static void
test_no_program(void **state)
{
	char path[] = "/nonexistent/x";
	char *const argv[] = {path, NULL};
	const struct runner_program program = {argv, 1};
	const char *const none[] = {NULL};

	(void)state;
	start_with(&(struct runner_options){&program, 1, none, none});
	ask(0, null(), SPAN_LIT(""), 60000);
	while (!ends)
		turn();
	assert_int_equal(end.how, RUNNER_NO_PROGRAM);
	assert_int_equal(end.error, ENOENT);
}

/* --- which, and how many --- */

static void
test_numbers(void **state)
{
	static const unsigned none[] = {0, 2, UINT32_MAX - 1};

	(void)state;
	start("exit 0");
	assert_int_equal(runner_max(runner, 0), 0);
	assert_int_equal(runner_max(runner, 1), 2);
	assert_int_equal(runner_max(runner, 2), 0);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ends = 0;
		ask(none[i], null(), SPAN_LIT("\0\0"), 60000);
		not_started(EINVAL);
	}
}

static void
test_at_once(void **state)
{
	struct ask *first;
	int a, b;

	(void)state;
	start(HANG);
	a = hang(60000);
	first = under_way;
	b = hang(60000);
	ask(1, null(), SPAN_LIT("\0\0"), 60000);
	not_started(EAGAIN);
	ask_cancel(&first, ASK_ABANDON);
	all_gone(a);
	close(b);
}

/* --- cancelled --- */

static void
test_abandon(void **state)
{
	int fd;

	(void)state;
	start(HANG);
	fd = hang(60000);
	ask_cancel(&under_way, ASK_ABANDON);
	all_gone(fd);
	ask(9, null(), SPAN_LIT(""), 60000); /* behind the first one's end */
	not_started(EINVAL);
	assert_int_equal(ends, 1);
}

static void
test_go_on(void **state)
{
	char c;
	int fd;

	(void)state;
	start("echo up >&0; read x; echo $x >&0");
	fd = hang(60000);
	ask_cancel(&under_way, ASK_GO_ON);
	assert_int_equal(write(fd, "y\n", 2), 2);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'y');
	close(fd);
}

/* --- the end of either --- */

static void
test_freed(void **state)
{
	int fd;

	(void)state;
	start(HANG);
	fd = hang(60000);
	runner_free(&runner);
	all_gone(fd);
	assert_int_equal(ends, 0);
	assert_int_equal(losses, 0);
}

static void
test_killed(void **state)
{
	int fd;

	(void)state;
	start("echo up >&0; exec sleep 1000");
	fd = hang(60000);
	assert_false(runner_is_lost(runner));
	kill(helper(), SIGKILL);
	while (!losses)
		turn();
	assert_int_equal(ends, 1);
	assert_int_equal(end.how, RUNNER_LOST);
	assert_int_equal(losses, 1);
	assert_int_equal(logged("runner-lost", "error="), 1);
	all_gone(fd);
}

/* Those of a terminal, of the whole unit, of an operator. */
static void
test_signals(void **state)
{
	static const int all[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

	(void)state;
	start("exit 5");
	run();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		kill(helper(), all[i]);
	run();
	exits(5);
	assert_int_equal(losses, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_environment),
	    TEST(test_environment_of_shell),
	    TEST(test_values),
	    TEST(test_values_max),
	    TEST(test_input),
	    TEST(test_nothing_else),
	    TEST(test_no_rights),
	    TEST(test_status),
	    TEST(test_signal),
	    TEST(test_much_output),
	    TEST(test_timeout),
	    TEST(test_output_held),
	    TEST(test_setsid),
	    TEST(test_no_program),
	    TEST(test_numbers),
	    TEST(test_at_once),
	    TEST(test_abandon),
	    TEST(test_go_on),
	    TEST(test_freed),
	    TEST(test_killed),
	    TEST(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

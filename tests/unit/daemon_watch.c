/*
 * What the master looks at: files that come, stay and change, and workers
 * that are children of three lines.
 */
#include "watch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

#define MINUTE 60000
#define DRAIN  5000

/* --- certificates --- */

static struct config_file files[] = {
    {.path = "conf"},
    {.path = "key", .certificate = true},
    {.path = "chain", .certificate = true},
};
static struct config conf = {.files = &files[0],
    .drain = DRAIN,
    .log_level = LOG_ERROR};

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

enum said { NOTHING, RELOAD, AGAIN };

static enum said
look(struct watch *w, int64_t now)
{
	bool again;

	if (!watch_certificates(w, &conf, now, &again))
		return NOTHING;
	return again ? AGAIN : RELOAD;
}

/* As they were read: none of them was there. */
static int
set_up(void **state)
{
	files[0].next = &files[1];
	files[1].next = &files[2];
	return scratch_setup(state);
}

static void
takes_what_stands_still(void **state)
{
	struct watch w = {0};
	int64_t t = 1000;

	(void)state;
	assert_int_equal(look(&w, t), NOTHING);
	write_file("chain", "a");
	assert_int_equal(look(&w, t + MINUTE - 1), NOTHING);
	assert_int_equal(watch_due(&w, t), 0);            /* workers are due */
	assert_int_equal(look(&w, t += MINUTE), NOTHING); /* seen */
	assert_int_equal(look(&w, t + 1999), NOTHING);
	write_file("chain", "and more");
	assert_int_equal(look(&w, t += 2000), NOTHING); /* it changes */
	assert_int_equal(look(&w, t += 2000), RELOAD);
	assert_int_equal(look(&w, t + MINUTE - 1), NOTHING);
	assert_int_equal(look(&w, t += MINUTE), AGAIN); /* it had failed */
	assert_int_equal(look(&w, t += MINUTE), AGAIN);
	write_file("key", "late");
	assert_int_equal(look(&w, t += MINUTE), NOTHING);
	assert_int_equal(look(&w, t += 2000), RELOAD);
	assert_int_equal(unlink("key") | unlink("chain"), 0);
	assert_int_equal(look(&w, t += MINUTE), NOTHING); /* as it was read */
	assert_int_equal(look(&w, t += MINUTE), NOTHING);
}

static void
leaves_half_a_configuration(void **state)
{
	struct watch w = {0};
	int64_t t = 1000;

	(void)state;
	write_file("conf", "half");
	assert_int_equal(look(&w, t), NOTHING);
	assert_int_equal(look(&w, t += MINUTE), NOTHING);
	write_file("key", "new");
	assert_int_equal(look(&w, t += MINUTE), NOTHING);
	assert_int_equal(look(&w, t += 2000), NOTHING); /* it waits */
	assert_int_equal(look(&w, t += MINUTE), NOTHING);
	assert_int_equal(unlink("conf"), 0); /* as it was */
	assert_int_equal(look(&w, t += MINUTE), RELOAD);
	assert_int_equal(look(&w, t += MINUTE), AGAIN);
	assert_int_equal(unlink("key"), 0);
}

/* --- workers --- */

static struct generations all;
static struct generation *const g = &all.gens[0];

/* A child in slot i that began then; stopped: it hears SIGKILL alone. */
static void
start(unsigned i, int64_t begun, bool stopped)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(60);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	g->slots[i] = (struct slot){.pid = pid, .begun = begun};
	if (!stopped)
		return;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
}

/* What a worker has died of, if it has. */
static int
died(unsigned i)
{
	siginfo_t info = {0};

	/* a signal that was sent has been delivered when its target is woken */
	for (int n = 0; n < 200 && !info.si_pid; n++) {
		waitid(P_PID, (id_t)g->slots[i].pid, &info,
		    WEXITED | WNOHANG | WNOWAIT);
		usleep(info.si_pid ? 0 : 1000);
	}
	return info.si_pid ? info.si_status : 0;
}

static void
bury(unsigned i)
{
	kill(g->slots[i].pid, SIGKILL);
	assert_int_equal(waitpid(g->slots[i].pid, NULL, 0), g->slots[i].pid);
	g->slots[i].pid = 0;
}

static void
begin(void)
{
	memset(&all, 0, sizeof(all));
	g->conf = &conf;
	all.gens[1].half = 1;
	all.shared = shared_new();
	assert_non_null(all.shared);
}

static void
ends_who_does_not_turn(void **state)
{
	struct watch w = {0};
	int64_t t = 500000;

	(void)state;
	begin();
	start(0, t, false);
	start(1, t, true);
	start(2, t, false);
	/* of one that was there before */
	shared_turned(all.shared, generation_shared_slot(g, 0), t - 400000);
	shared_turned(all.shared, generation_shared_slot(g, 2), t + 20000);
	watch_workers(&w, &all, g, t);
	assert_int_equal(watch_due(&w, t), 0); /* certificates are due */
	watch_workers(&w, &all, g, t + 14999); /* no look yet */
	watch_workers(&w, &all, g, t + 119999);
	assert_int_equal(died(0), 0);
	watch_workers(&w, &all, g, t += 119999 + 15000);
	assert_int_equal(died(0), SIGABRT);
	assert_int_equal(died(1), 0);
	assert_true(g->slots[0].aborted && g->slots[1].aborted);
	assert_false(g->slots[2].aborted);
	assert_int_equal(died(2), 0);
	watch_workers(&w, &all, g, t += 15000);
	assert_int_equal(died(1), SIGKILL);
	for (unsigned i = 0; i < 3; i++)
		bury(i);
}

static void
ends_who_does_not_leave(void **state)
{
	struct watch w = {0};
	int64_t t = 500000;

	(void)state;
	begin();
	start(0, t, false);
	g->leaving = true;
	g->left = t;
	shared_turned(all.shared, 0, t + DRAIN + MINUTE);
	watch_workers(&w, &all, &all.gens[1], t + DRAIN + MINUTE - 1);
	assert_int_equal(died(0), 0);
	w.workers = 0;
	watch_workers(&w, &all, &all.gens[1], t + DRAIN + MINUTE);
	assert_int_equal(died(0), SIGKILL);
	bury(0);
}

/* By the program before, whose mapping is gone: nobody says how they are. */
static void
asks_nobody_who_was_taken_over(void **state)
{
	struct watch w = {0};
	int64_t t = 500000;

	(void)state;
	begin();
	g->taken = true;
	start(0, t, false);
	watch_workers(&w, &all, g, t + 10 * MINUTE);
	assert_int_equal(died(0), 0);
	g->leaving = true;
	g->left = t;
	w.workers = 0;
	watch_workers(&w, &all, g, t + DRAIN + MINUTE);
	assert_int_equal(died(0), SIGKILL);
	bury(0);
	g->taken = false;
	g->leaving = false;
}

/* It stands in a debugger. */
static void
ends_nobody_without_sandbox(void **state)
{
	struct watch w = {0};

	(void)state;
	begin();
	conf.sandbox = SANDBOX_NO;
	start(0, 500000, false);
	watch_workers(&w, &all, g, 800000);
	g->leaving = true;
	watch_workers(&w, &all, g, 900000);
	assert_int_equal(died(0), 0);
	conf.sandbox = SANDBOX_YES;
	bury(0);
}

/* Nobody serves: the service manager is to find that out. */
static void
tells_while_somebody_lives(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "notify"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct watch w = {0};
	char text[32];

	(void)state;
	begin();
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", scratch_path("notify"), 1);
	setenv("WATCHDOG_USEC", "180000000", 1);
	watch_workers(&w, &all, g, 500000);
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	start(0, 500000, false);
	watch_workers(&w, &all, g, 515000);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	setenv("WATCHDOG_USEC", "180000000", 1);
	watch_workers(&w, &all, g, 530000);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 10);
	assert_memory_equal(text, "WATCHDOG=1", 10);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	bury(0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_what_stands_still),
	    cmocka_unit_test(leaves_half_a_configuration),
	    cmocka_unit_test(ends_who_does_not_turn),
	    cmocka_unit_test(ends_who_does_not_leave),
	    cmocka_unit_test(asks_nobody_who_was_taken_over),
	    cmocka_unit_test(ends_nobody_without_sandbox),
	    cmocka_unit_test(tells_while_somebody_lives),
	};

	return cmocka_run_group_tests(tests, set_up, scratch_teardown);
}

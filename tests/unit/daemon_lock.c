/* lock: who holds it, by every kind of holder and of file. */
#include "tools/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

static int
make(void)
{
	int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

static void
nobody(void **state)
{
	pid_t pid = -1;

	(void)state;
	assert_int_equal(lock_holder("/nowhere", &pid), LOCK_FREE);
	assert_int_equal(lock_holder(".", &pid), LOCK_FREE);
	close(make());
	assert_int_equal(lock_holder(".", &pid), LOCK_FREE);
	assert_int_equal(pid, -1);
}

static void
another_process(void **state)
{
	int ready[2];
	pid_t child, pid = -1;
	char c = 0;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd = make();

		if (fcntl(fd, F_SETLK, &whole) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(lock_holder(".", &pid), LOCK_HELD);
	assert_int_equal(pid, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(lock_holder(".", &pid), LOCK_FREE);
	close(ready[0]);
	close(ready[1]);
}

/* What no process owns has -1 for a holder, and kill(-1) hits everybody. */
static void
no_process(void **state)
{
	pid_t pid = 7;
	int fd = make();

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
	assert_int_equal(lock_holder(".", &pid), LOCK_UNSEEN);
	assert_int_equal(pid, 7);
	close(fd);
}

static void
no_lock(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(symlink("/etc/passwd", "lock"), 0);
	assert_int_equal(lock_holder(".", &pid), LOCK_FAILED);
	assert_int_equal(errno, EMEDIUMTYPE);
	unlink("lock");
	assert_int_equal(mkfifo("lock", 0600), 0);
	assert_int_equal(lock_holder(".", &pid), LOCK_FAILED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nobody, scratch_setup,
		scratch_teardown),
	    cmocka_unit_test_setup_teardown(another_process, scratch_setup,
		scratch_teardown),
	    cmocka_unit_test_setup_teardown(no_process, scratch_setup,
		scratch_teardown),
	    cmocka_unit_test_setup_teardown(no_lock, scratch_setup,
		scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

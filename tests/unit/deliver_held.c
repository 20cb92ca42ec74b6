/*
 * What a worker that died in the middle of holding a message leaves in held/.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/held_pass.h"
#include "deliver/segment.h"
#include "scratch.h"

/* --- a clock that can be put on: this stands before libc's --- */

static time_t ahead;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_REALTIME)
		ts->tv_sec += ahead;
	return r;
}

static void
look(time_t later)
{
	struct held_options o = {.limit = 1 << 20, .expire = 1000};
	struct crc32c crc;
	struct held_pass p = {.o = &o, .crc = &crc};

	ahead = later;
	crc32c_init(&crc);
	p.dirfd = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p.damaged = open("damaged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p.dirfd >= 0);
	held_pass_run(&p);
	held_pass_free(&p);
	close(p.dirfd);
	close(p.damaged);
}

static void
half_made_files_go_after_a_day(void **state)
{
	(void)state;
	scratch_mkdir("held");
	scratch_touch("held/.made-1");
	scratch_touch("held/alone.body");
	scratch_touch("held/mail.body");
	scratch_touch("held/mail");
	look(24 * 3600 - 60);
	assert_int_equal(4, scratch_files("held"));
	look(24 * 3600 + 60);
	assert_false(scratch_exists("held/.made-1"));
	/* its record may be about to come, from a journal of long ago */
	assert_true(scratch_exists("held/alone.body"));
	assert_true(scratch_exists("held/mail.body"));
	assert_true(scratch_exists("held/mail"));
}

/* FAULT B3: a FIFO, a link, a folder or a file larger than any neither keeps
 * the look waiting nor stays in its way; the body of one goes with it. */
static void
things_that_are_no_mail(void **state)
{
	int fd;

	(void)state;
	scratch_mkdir("held");
	scratch_mkdir("damaged");
	scratch_mkdir("held/folder");
	assert_int_equal(mkfifo("held/fifo", 0600), 0);
	assert_int_equal(symlink("/dev/zero", "held/link"), 0);
	scratch_touch("held/giant.body");
	fd = open("held/giant", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)SEGMENT_MAX + 1), 0);
	close(fd);
	look(0);
	assert_int_equal(scratch_count("held"), 0);
	assert_int_equal(scratch_count("damaged"), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(half_made_files_go_after_a_day,
		scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(things_that_are_no_mail,
		scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

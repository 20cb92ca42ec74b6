/*
 * Mail into programs, which are real: what they read and are told, what their
 * ends say, and how a run is given up at each stage. Who hangs holds a FIFO
 * open, and says in it that he is there.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dest/pipe.h"
#include "io/clock.h"
#include "log_catch.h"
#include "scratch.h"

#define ORDERS 6
#define HANG   "exec 3>fifo; echo up >&3; exec sleep 1000"

static struct loop loop;
static struct dest_services services;
static struct route route, other;
static struct carrier *carrier;

static struct message m;
static struct order {
	struct message_copy copy, *copies[1];
	struct parcel parcel;
	struct ask *ask;
	bool told;
} orders[ORDERS];

static int fifo;
static struct loop_event *hears;
static bool up, gone; /* a program that hangs */

/* --- a worker --- */

static void
on_fifo(void *ctx)
{
	char said[16];
	ssize_t n = read(fifo, said, sizeof(said));

	(void)ctx;
	up = up || n > 0;
	gone = n == 0;
	if (gone)
		loop_event_free(&hears);
	loop_stop(&loop);
}

static void
on_lost(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

static void
turn(void)
{
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static void
letter(void)
{
	m = (struct message){.id = "0123.1",
	    .sender = "s@example.com",
	    .client = "192.0.2.1",
	    .helo = "client.example.com",
	    .login = ""};
	buf_append_str(&m.return_path, "Return-Path: <s@example.com>\n");
	buf_append_str(&m.received, "Received: x\n");
	m.body = (struct spool_content){.fd = -1, .tail = SPAN_LIT("a\n\nb\n")};
}

static int
setup(void **state)
{
	if (scratch_setup(state) || mkfifo("fifo", 0600))
		return -1;
	fifo = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	up = gone = false;
	memset(orders, 0, sizeof(orders));
	services = (struct dest_services){.delimiter = '+',
	    .tmp = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	letter();
	return 0;
}

static int
teardown(void **state)
{
	if (carrier)
		route.kind->free(&carrier);
	runner_free(&services.runner);
	jobs_free(&services.jobs);
	loop_event_free(&hears);
	loop_free(&loop);
	message_free(&m);
	close(services.tmp);
	close(fifo);
	log_forget();
	wait(NULL);
	return scratch_teardown(state);
}

static void
open_route(char *const *argv, unsigned connections)
{
	const struct route *all[] = {&other, &route};
	const char *rest;

	other = (struct route){.number = 0};
	route = (struct route){.shown = "prog",
	    .number = 1,
	    .argv = argv,
	    .connections = connections};
	destination_parse("pipe:/x", &route.kind, &rest);
	services.runner = dest_runner(all, 2, 1);
	assert_non_null(services.runner);
	assert_int_equal(loop_init(&loop), 0);
	services.loop = &loop;
	services.jobs = jobs_new(&loop, 1);
	assert_int_equal(runner_attach(services.runner, &loop, on_lost, NULL),
	    0);
	hears = loop_readable(&loop, fifo, on_fifo, NULL);
	assert_non_null(services.jobs);
	assert_non_null(hears);
	carrier = route.kind->open(&route, &services);
}

/* It runs in /: so does what reads its files here. */
static void
start(const char *script, unsigned connections)
{
	static char sh[] = "/bin/sh", c[] = "-c", text[1024];
	static char *const argv[] = {sh, c, text, NULL};

	snprintf(text, sizeof(text), "cd %s && { %s; }", scratch_path("."),
	    script);
	open_route(argv, connections);
}

/* --- orders --- */

static void
on_told(void *ctx)
{
	struct order *o = ctx;

	assert_false(o->told);
	o->told = true;
	o->ask = NULL;
	loop_stop(&loop);
}

static struct order *
order(unsigned i, const char *to)
{
	struct order *o = &orders[i];
	int64_t now = clock_now();

	*o = (struct order){.copy = {.to = to,
				.address = "rcpt@example.org",
				.delivered_to = SPAN_LIT("Delivered-To: r\n"),
				.size = 4711},
	    .parcel = {.m = &m,
		.copies = o->copies,
		.n = 1,
		.deadline = now + 60000,
		.dot_by = now + 60000}};
	o->copies[0] = &o->copy;
	return o;
}

static void
ask(struct order *o)
{
	o->ask = route.kind->ask(carrier, &o->parcel, on_told, o);
	assert_non_null(o->ask);
	assert_false(o->told);
}

static void
await(struct order *o)
{
	while (!o->told)
		turn();
}

static void
run(const char *to)
{
	ask(order(0, to));
	await(orders);
}

static void
ask_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ask(order(i, "a@x"));
}

static void
is(const struct order *o, enum fate fate, unsigned code, const char *status)
{
	assert_true(o->told);
	assert_int_equal(o->copy.fate, fate);
	if (fate == FATE_TAKEN) {
		assert_null(o->copy.reply);
		return;
	}
	assert_int_equal(o->copy.reply->code, code);
	assert_string_equal(o->copy.reply->status, status);
	assert_true(strlen(o->copy.reply->text) > 0);
}

static void
are_taken(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		await(&orders[i]);
		is(&orders[i], FATE_TAKEN, 0, NULL);
	}
}

static void
comes_too_late(struct order *o)
{
	ask(o);
	await(o);
	is(o, FATE_AGAIN, 451, "4.3.0");
}

/* --- what it reads --- */

static void
reads(const char *text)
{
	struct buf got;

	run("a@example.org");
	is(orders, FATE_TAKEN, 0, NULL);
	got = scratch_read("out");
	assert_int_equal(got.len, strlen(text));
	assert_memory_equal(got.data, text, got.len);
	buf_free(&got);
}

static void
test_input(void **state)
{
	(void)state;
	start("cat >out", 8);
	reads("Return-Path: <s@example.com>\nDelivered-To: r\nReceived: x\n"
	      "a\n\nb\n");
	assert_int_equal(scratch_count("."), 2); /* and the FIFO */
}

/* What is in a file lies behind another copy's lines; its end is in memory. */
static void
test_input_filed(void **state)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(pwrite(fd, "lines\nbody\n", 11, 0), 11);
	m.body = (struct spool_content){fd, 6, 11, SPAN_LIT("tail\n")};
	start("cat >out", 8);
	reads("Return-Path: <s@example.com>\nDelivered-To: r\nReceived: x\n"
	      "body\ntail\n");
	close(fd);
}

static void
test_input_cannot_be_written(void **state)
{
	(void)state;
	start("test ! -t 0 && { echo x >&0; } 2>/dev/null && exit 65; exit 0",
	    8);
	run("a@example.org");
	is(orders, FATE_TAKEN, 0, NULL);
}

static void
test_input_not_read(void **state)
{
	(void)state;
	start("exit 0", 8);
	run("a@example.org");
	is(orders, FATE_TAKEN, 0, NULL);
}

static void
test_no_room(void **state)
{
	(void)state;
	start("exit 0", 8);
	close(services.tmp);
	services.tmp = -1;
	run("a@example.org");
	is(orders, FATE_AGAIN, 451, "4.3.0");
	assert_int_equal(logged("program", "status=not started"), 1);
	assert_int_equal(logged("program", "error=Bad file descriptor"), 1);
}

/* --- what it is told --- */

static void
is_told(const char *to, const char *text)
{
	static char env[] = "/usr/bin/env";
	static char *const argv[] = {env, NULL};

	open_route(argv, 8);
	run(to);
	is(orders, FATE_TAKEN, 0, NULL);
	assert_non_null(memmem(caught.data, caught.len, text, strlen(text)));
}

static void
test_environment(void **state)
{
	(void)state;
	m.login = "bob";
	is_told("list+a+b@example.org",
	    " output=PATH=/usr/local/bin:/usr/bin:/bin\nHOME=/\n"
	    "LC_ALL=C.UTF-8\nSENDER=s@example.com\n"
	    "RECIPIENT=list+a+b@example.org\n"
	    "ORIGINAL_RECIPIENT=rcpt@example.org\nLOCAL=list+a+b\n"
	    "DOMAIN=example.org\nEXTENSION=a+b\nCLIENT_ADDRESS=192.0.2.1\n"
	    "CLIENT_HELO=client.example.com\nLOGIN=bob\nMESSAGE_ID=0123.1\n"
	    "SIZE=4711\n\n");
}

/* Of strangers; a line of theirs is no variable. */
static void
test_environment_odd(void **state)
{
	(void)state;
	m.sender = "";
	m.client = "";
	m.helo = "a\nLD_PRELOAD=/x\t\x7f";
	is_told("\"a 'b\\\"$(id)\"@[192.0.2.9]",
	    "SENDER=\nRECIPIENT=\"a 'b\\\"$(id)\"@[192.0.2.9]\n"
	    "ORIGINAL_RECIPIENT=rcpt@example.org\nLOCAL=a 'b\"$(id)\n"
	    "DOMAIN=[192.0.2.9]\nEXTENSION=\nCLIENT_ADDRESS=\n"
	    "CLIENT_HELO=a?LD_PRELOAD=/x??\nLOGIN=\n");
}

static void
test_no_delimiter(void **state)
{
	(void)state;
	services.delimiter = '\0';
	is_told("a+b@example.org", "LOCAL=a+b\nDOMAIN=example.org\n"
				   "EXTENSION=\n");
}

/* --- what its end says --- */

static void
test_statuses(void **state)
{
	static const struct {
		unsigned status;
		enum fate fate;
		unsigned code;
		const char *enhanced;
	} rows[] = {
	    {0, FATE_TAKEN, 0, NULL},
	    {99, FATE_TAKEN, 0, NULL},
	    {65, FATE_REFUSED, 550, "5.6.0"},
	    {67, FATE_REFUSED, 550, "5.1.1"},
	    {68, FATE_REFUSED, 550, "5.1.2"},
	    {66, FATE_REFUSED, 550, "5.3.0"},
	    {69, FATE_REFUSED, 550, "5.3.0"},
	    {76, FATE_REFUSED, 550, "5.3.0"},
	    {77, FATE_REFUSED, 550, "5.7.1"},
	    {100, FATE_REFUSED, 550, "5.3.0"},
	    {112, FATE_REFUSED, 550, "5.3.0"},
	    {64, FATE_DOWN, 451, "4.3.5"},
	    {70, FATE_DOWN, 451, "4.3.5"},
	    {72, FATE_DOWN, 451, "4.3.5"},
	    {78, FATE_DOWN, 451, "4.3.5"},
	};

	(void)state;
	start("exit ${LOCAL}", 8);
	for (unsigned status = 0; status < 256; status++) {
		char to[32];
		size_t i = 0;

		snprintf(to, sizeof(to), "%u@x", status);
		run(to);
		while (i < sizeof(rows) / sizeof(rows[0]) &&
		       rows[i].status != status)
			i++;
		if (i < sizeof(rows) / sizeof(rows[0]))
			is(orders, rows[i].fate, rows[i].code,
			    rows[i].enhanced);
		else
			is(orders, FATE_AGAIN, 451, "4.3.0");
	}
	assert_int_equal(logged("program", "message=0123.1 route=prog "
					   "status=exit 255 ms="),
	    1);
}

static void
says(const char *status_local, const char *text)
{
	run(status_local);
	assert_string_equal(orders[0].copy.reply->text, text);
}

static void
test_words(void **state)
{
	(void)state;
	start("printf '\\n \\t\\n \\033no \"list\\303\\251\\r\\nmore\\n' >&2;"
	      "exit $LOCAL",
	    8);
	says("67@x", "no \"list??");
	says("75@x", "The program for this address did not take the message");
	says("70@x", "The program for this address is not set up as it should "
		     "be");
}

static void
test_many_words(void **state)
{
	(void)state;
	start("head -c 400 /dev/zero | tr '\\0' a; exit 77", 8);
	run("a@x");
	is(orders, FATE_REFUSED, 550, "5.7.1");
	assert_int_equal(strlen(orders[0].copy.reply->text), 200);
}

static void
test_no_words(void **state)
{
	(void)state;
	start("printf '\\n\\000\\377 \\n'; exit 67", 8);
	says("a@x", "There is no such user");
}

static void
test_signal(void **state)
{
	(void)state;
	start("kill -SEGV $$", 8);
	run("a@x");
	is(orders, FATE_AGAIN, 451, "4.3.0");
	assert_int_equal(logged("program", "status=signal 11"), 1);
}

static void
test_timeout(void **state)
{
	struct order *o;

	(void)state;
	start(HANG, 8);
	o = order(0, "a@x");
	o->parcel.deadline = clock_now() + 2000;
	comes_too_late(o);
	assert_int_equal(logged("program", "status=timeout"), 1);
	while (!gone)
		turn();
}

/* Said once, and again when it had been well. */
static void
test_misconfigured(void **state)
{
	(void)state;
	start("exit ${LOCAL}", 8);
	run("78@x");
	run("64@x");
	run("75@x");
	assert_int_equal(logged("route-misconfigured", "route=prog"), 1);
	run("0@x");
	run("70@x");
	assert_int_equal(logged("route-misconfigured", "route=prog"), 2);
	assert_int_equal(logged("route-misconfigured", "status=exit 70"), 1);
}

static void
test_no_program(void **state)
{
	static char path[] = "/nonexistent/program";
	static char *const argv[] = {path, NULL};

	(void)state;
	open_route(argv, 8);
	run("a@x");
	is(orders, FATE_DOWN, 451, "4.3.5");
	assert_int_equal(logged("program", "status=not executed"), 1);
	assert_int_equal(logged("program", "error=No such file"), 1);
	assert_int_equal(logged("route-misconfigured", "route=prog"), 1);
}

/* --- how many, and when --- */

static void
test_one_at_a_time(void **state)
{
	(void)state;
	start("mkdir lock && sleep 0.01 && rmdir lock", 1);
	ask_all(ORDERS);
	are_taken(ORDERS);
}

static void
test_fresh_before_held(void **state)
{
	static const char *const to[] = {"a@x", "b@x", "c@x", "d@x"};
	char said[64] = "";
	int fd;

	(void)state;
	start("printf $RECIPIENT >>said", 1);
	for (unsigned i = 0; i < 4; i++) {
		order(i, to[i])->parcel.held = i < 2;
		ask(&orders[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		await(&orders[i]);
		assert_true(orders[i].parcel.handed);
	}
	fd = open("said", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, said, sizeof(said) - 1), 12);
	close(fd);
	assert_string_equal(said, "a@xc@xd@xb@x");
}

/* Two wait for each other. */
static void
test_two_at_a_time(void **state)
{
	(void)state;
	start("mkfifo two 2>/dev/null; if mkdir first 2>/dev/null;"
	      "then echo >two; else read x <two || :; fi",
	    2);
	assert_int_equal(mkfifo("two", 0600), 0);
	ask_all(2);
	are_taken(2);
}

/* A share of many workers is one at least. */
static void
test_share(void **state)
{
	char path[] = "/bin/true";
	char *const argv[] = {path, NULL};
	const struct route a = {.argv = argv, .connections = 20};
	const struct route b = {.argv = argv, .connections = 3};
	const struct route c = {.connections = 3};
	const struct route *all[] = {&a, &b, &c};

	(void)state;
	errno = EIO;
	assert_null(dest_runner(all + 2, 1, 4));
	assert_int_equal(errno, 0);
	services.runner = dest_runner(all, 3, 4);
	assert_int_equal(runner_max(services.runner, 0), 5);
	assert_int_equal(runner_max(services.runner, 1), 1);
	assert_int_equal(runner_max(services.runner, 2), 0);
	assert_int_equal(loop_init(&loop), 0);
}

static void
test_too_late_to_begin(void **state)
{
	struct order *o;

	(void)state;
	start("exit 0", 8);
	o = order(0, "a@x");
	o->parcel.dot_by = clock_now() - 1;
	comes_too_late(o);
	assert_int_equal(logged("program", ""), 0);
}

static void
test_late_in_the_queue(void **state)
{
	struct order *o;

	(void)state;
	start(HANG, 1);
	ask(order(0, "a@x"));
	o = order(1, "b@x");
	o->parcel.deadline = clock_now() + 200;
	comes_too_late(o);
	assert_false(orders[0].told);
	assert_int_equal(logged("program", ""), 0);
}

/* --- given up --- */

static void
hang(struct order *o)
{
	ask(o);
	while (!up)
		turn();
	assert_false(o->told);
}

static void
test_cancel_started(void **state)
{
	(void)state;
	start(HANG, 8);
	hang(order(0, "a@x"));
	ask_cancel(&orders[0].ask, ASK_ABANDON);
	assert_int_equal(logged("unanswered", "message=0123.1 "
					      "from=s@example.com "
					      "rcpt=rcpt@example.org "
					      "route=prog"),
	    1);
	while (!gone)
		turn();
	assert_false(orders[0].told);
}

/* What was killed still has its place until it is buried. */
static void
test_cancel_makes_room(void **state)
{
	(void)state;
	start("case $LOCAL in a) " HANG ";; esac", 1);
	hang(order(0, "a@x"));
	ask(order(1, "b@x"));
	ask_cancel(&orders[0].ask, ASK_ABANDON);
	await(&orders[1]);
	is(&orders[1], FATE_TAKEN, 0, NULL);
	assert_int_equal(logged("program", "status=signal 9"), 1);
	assert_int_equal(logged("program", ""), 2);
	assert_false(orders[0].told);
}

static void
test_cancel_writing(void **state)
{
	(void)state;
	start("exit 0", 1);
	ask_all(2);
	ask_cancel(&orders[0].ask, ASK_ABANDON);
	await(&orders[1]); /* its place is free */
	is(&orders[1], FATE_TAKEN, 0, NULL);
	assert_false(orders[0].told);
	assert_int_equal(logged("program", ""), 1);
	assert_int_equal(logged("unanswered", ""), 0);
}

static void
test_cancel_queued(void **state)
{
	(void)state;
	start("exit 0", 1);
	ask_all(3);
	ask_cancel(&orders[1].ask, ASK_GO_ON);
	await(&orders[2]);
	assert_true(orders[0].told);
	assert_false(orders[1].told);
	assert_int_equal(logged("program", ""), 2);
	assert_int_equal(logged("unanswered", ""), 0);
}

/* It goes on, and keeps its place. */
static void
test_go_on(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("go", 0600), 0);
	start("test $LOCAL = b && exit 0; echo up >fifo; read x <go; exit 5",
	    1);
	hang(order(0, "a@x"));
	ask_cancel(&orders[0].ask, ASK_GO_ON);
	memset(orders, 0, sizeof(orders));
	ask(order(1, "b@x"));
	assert_int_equal(logged("program", ""), 0);
	close(open("go", O_WRONLY | O_CLOEXEC));
	await(&orders[1]);
	assert_int_equal(logged("program", "status=exit"), 2);
	assert_int_equal(logged("program", "status=exit 5"), 1);
	assert_false(orders[0].told);
}

static void
test_freed(void **state)
{
	(void)state;
	start(HANG, 2);
	hang(order(0, "a@x"));
	for (unsigned i = 1; i < 4; i++)
		ask(order(i, "b@x"));
	route.kind->free(&carrier);
	assert_null(carrier);
	while (!gone)
		turn();
	for (unsigned i = 0; i < 4; i++)
		assert_false(orders[i].told);
}

/* --- without a runner --- */

static pid_t
helper(void)
{
	char path[64], text[32];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = (int)read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static void
test_runner_lost(void **state)
{
	const struct smtp_reply *reply = NULL;

	(void)state;
	start(HANG, 1);
	hang(order(0, "a@x"));
	ask(order(1, "b@x"));
	assert_int_equal(route.kind->health(carrier, &reply), CARRIER_UP);
	kill(helper(), SIGKILL);
	await(&orders[0]);
	is(&orders[0], FATE_LOST, 451, "4.4.2");
	await(&orders[1]);
	is(&orders[1], FATE_DOWN, 451, "4.3.0");
	assert_int_equal(logged("runner-lost", ""), 1);
	assert_int_equal(route.kind->health(carrier, &reply), CARRIER_DOWN);
	assert_int_equal(reply->code, 451);
	run("c@x");
	is(orders, FATE_DOWN, 451, "4.3.0");
}

static void
test_no_runner(void **state)
{
	struct runner *r;

	(void)state;
	start("exit 0", 8);
	route.kind->free(&carrier);
	r = services.runner;
	services.runner = NULL;
	carrier = route.kind->open(&route, &services);
	run("a@x");
	is(orders, FATE_DOWN, 451, "4.3.0");
	services.runner = r;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_input),
	    TEST(test_input_filed),
	    TEST(test_input_cannot_be_written),
	    TEST(test_input_not_read),
	    TEST(test_no_room),
	    TEST(test_environment),
	    TEST(test_environment_odd),
	    TEST(test_no_delimiter),
	    TEST(test_statuses),
	    TEST(test_words),
	    TEST(test_many_words),
	    TEST(test_no_words),
	    TEST(test_signal),
	    TEST(test_timeout),
	    TEST(test_misconfigured),
	    TEST(test_no_program),
	    TEST(test_one_at_a_time),
	    TEST(test_fresh_before_held),
	    TEST(test_two_at_a_time),
	    TEST(test_share),
	    TEST(test_too_late_to_begin),
	    TEST(test_late_in_the_queue),
	    TEST(test_cancel_started),
	    TEST(test_cancel_makes_room),
	    TEST(test_cancel_writing),
	    TEST(test_cancel_queued),
	    TEST(test_go_on),
	    TEST(test_freed),
	    TEST(test_runner_lost),
	    TEST(test_no_runner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

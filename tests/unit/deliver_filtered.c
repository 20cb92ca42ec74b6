/*
 * Messages that filters had: what mailboxes, routes, held mail and the journal
 * have of them, in memory and in files; and what goes wrong on the way.
 */
#include <errno.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/held_file.h"
#include "log_catch.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"
#include "sys.h"

#define SMALL  1000
#define FILED  300000 /* more than the journal takes */
#define U      "mail/example.org/u"
#define V      "mail/example.org/v"
#define HEADER "A: 1\nB: 2\n"
#define EDITED "B: 3\nX-Spam: yes\n"
#define ABOVE  "Authentication-Results: mx.example.org;\n\tspf=pass\n"

enum { WEB, RUN, BOX, OUT };

/* Whatever the file system is that the tests are on, its syncfs is trusted. */
int
fstatfs(int fd, struct statfs *fs)
{
	int r = (int)syscall(SYS_fstatfs, fd, fs);

	fs->f_type = EXT4_SUPER_MAGIC;
	return r;
}

static int copy_error; /* of every call, or 0 */

ssize_t
copy_file_range(int from, off_t *in, int to, off_t *out, size_t n, unsigned f)
{
	errno = copy_error;
	return copy_error
		   ? -1
		   : syscall(SYS_copy_file_range, from, in, to, out, n, f);
}

static struct deliver_edit edited;
static char body[FILED];

static void
set(const char *header, size_t skip, const char *above)
{
	edited = (struct deliver_edit){.edited = true,
	    .header = span_str(header),
	    .skip = skip,
	    .above = span_str(above)};
	post.edit = &edited;
}

/* A header, an empty line and lines. */
static void
fill(void)
{
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 23);
	memcpy(body, HEADER "\n", strlen(HEADER "\n"));
	set(EDITED, strlen(HEADER "\n"), ABOVE);
}

static int
start_with(bool journal)
{
	sys_reset();
	if (post_setup("mail/%d/%u"))
		return -1;
	post_user("u");
	post_user("v");
	post.options.journal = journal;
	post_open();
	log_forget();
	fill();
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(true);
}

static int
start_without_journal(void **state)
{
	(void)state;
	return start_with(false);
}

static int
start_routes(void **state)
{
	int r;

	sys_reset();
	log_forget();
	r = routes_setup(state);
	fill();
	return r;
}

static int
finish(void **state)
{
	int r;

	sys_reset();
	r = post_finish(state);
	log_forget();
	return r;
}

static void
rcpt(const char *local)
{
	post_rcpt(local);
	assert_string_equal(post.reply, "");
	post.replies = 0;
}

static void
send(size_t n, const char *reply)
{
	post.replies = post.refusals = 0;
	post_submit(body, n);
	rig_pass(20);
	assert_int_equal(post.replies + post.refusals, 1);
	assert_string_equal(post.reply, reply);
}

/* What is behind our lines. */
static struct buf
wanted(size_t n)
{
	struct span rest = {body, n};
	struct buf b = {0};

	if (edited.edited) {
		span_skip(&rest, (size_t)edited.skip);
		buf_append_span(&b, edited.header);
		buf_append_str(&b, "\n");
	}
	buf_append_span(&b, rest);
	return b;
}

/* From the front of *s. */
static void
take(struct span *s, const char *want)
{
	struct span front = {s->ptr, strlen(want)};

	assert_true(s->len >= front.len);
	assert_true(span_equal(front, span_str(want)));
	span_skip(s, front.len);
}

static void
take_received(struct span *s)
{
	const char *end;

	take(s, "Received: from client.example.com (");
	end = memmem(s->ptr, s->len, " +0000\n", 7);
	assert_non_null(end);
	span_skip(s, (size_t)(end + 7 - s->ptr));
}

static void
assert_rest(struct span is, size_t n)
{
	struct buf want = wanted(n);

	assert_true(span_equal(is, buf_span(&want)));
	buf_free(&want);
}

/* The only file of a mailbox is this message, whole. */
static void
assert_mail(const char *box, size_t n)
{
	char new[64], line[64];
	struct span s;
	struct buf is;

	snprintf(new, sizeof(new), "%s/new", box);
	assert_int_equal(scratch_count(new), 1);
	is = scratch_read(scratch_only(new));
	s = buf_span(&is);
	snprintf(line, sizeof(line), ",S=%zu", is.len);
	assert_non_null(strstr(scratch_only(new), line));
	take(&s, "Return-Path: <s@example.com>\n");
	snprintf(line, sizeof(line), "Delivered-To: %c@example.org\n",
	    box[strlen(box) - 1]);
	take(&s, line);
	if (edited.edited)
		take(&s, ABOVE);
	take_received(&s);
	assert_rest(s, n);
	buf_free(&is);
}

static void
settle(void)
{
	for (unsigned i = 0; i < 10 && !post_is_settled(); i++)
		rig_pass(50);
	assert_true(post_is_settled());
}

/* --- mailboxes --- */

static void
into_two(size_t n)
{
	rcpt("u");
	rcpt("v");
	send(n, "");
	settle();
	assert_mail(U, n);
	assert_mail(V, n);
}

static void
in_memory(void **state)
{
	(void)state;
	into_two(SMALL);
}

static void
in_a_file(void **state)
{
	(void)state;
	into_two(FILED);
}

/* Our lines are not in the header yet when filters read it. */
static void
headers(void **state)
{
	static const struct {
		const char *header;
		size_t skip;
	} rows[] = {
	    {HEADER, sizeof(HEADER)}, /* as it was */
	    {"", sizeof(HEADER)},
	    /* FAULT C2: it ends in front of what is no field as well */
	    {"", 0},
	    {"X: 1\n", 5},
	};
	static const size_t sizes[] = {SMALL, FILED};

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		set(rows[i / 2].header, rows[i / 2].skip, ABOVE);
		into_two(sizes[i % 2]);
	}
}

/* Filters have nothing to say: our lines come on top all the same. */
static void
as_it_was(void **state)
{
	(void)state;
	edited = (struct deliver_edit){.header = SPAN_LIT("no"), .skip = 9};
	into_two(SMALL);
	assert_int_equal(post.env.above.len, 0);
	assert_int_equal(finish(state), 0);
	assert_int_equal(start(state), 0);
	edited.edited = false;
	into_two(FILED);
}

/* It outgrows what a journal has of a body: it is a file then. */
static void
out_of_memory_into_a_file(void **state)
{
	char *header = malloc(100000);

	(void)state;
	memset(header, 'x', 100000);
	memcpy(header, "A: ", 3);
	memcpy(header + 99998, "\n", 2);
	set(header, strlen(HEADER "\n"), ABOVE);
	into_two(SMALL);
	free(header);
}

/* The next one of the session has none of it. */
static void
only_this_one(void **state)
{
	struct buf is;

	(void)state;
	rcpt("u");
	send(SMALL, "");
	settle();
	envelope_reset(&post.env);
	assert_int_equal(post.env.above.len, 0);
	post.env.sender =
	    (struct smtp_path){.local = "s", .domain = "example.com"};
	post.edit = NULL;
	rcpt("v");
	send(SMALL, "");
	settle();
	is = scratch_read(scratch_only(V "/new"));
	assert_null(memmem(is.data, is.len, ABOVE, strlen(ABOVE)));
	buf_free(&is);
}

/* --- held mail, and a crash --- */

static void
held(void **state)
{
	static const size_t sizes[] = {SMALL, FILED};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		scratch_mkdir("mail/example.org");
		scratch_touch(V);
		rcpt("v");
		send(sizes[i], "");
		rig_pass(200);
		assert_true(scratch_count("spool/held") > 0);
		assert_int_equal(unlink(V), 0);
		scratch_touch("spool/held/" HELD_NOW);
		for (int k = 0; k < 20 && !scratch_count(V "/new"); k++)
			rig_pass(5000);
		assert_mail(V, sizes[i]);
	}
}

/* What the journal has is the edited one: no mailbox had it before. */
static void
after_a_crash(void **state)
{
	static const size_t sizes[] = {SMALL, FILED};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		rcpt("u");
		rcpt("v");
		scratch_touch("mail/example.org");
		sys_fail_below("spool/held");
		sys_fail("openat", 0, EIO);
		send(sizes[i], "");
		rig_pass(200);
		assert_int_equal(rig.deliver->lists[DELIVERY_UNHELD].n, 1);
		rig_close();
		sys_reset();
		assert_int_equal(unlink("mail/example.org"), 0);
		rig_open(&post.options);
		for (int k = 0; k < 20 && scratch_files("mail") < 2; k++)
			rig_pass(1000);
		settle();
		assert_mail(U, sizes[i]);
		assert_mail(V, sizes[i]);
	}
}

/* --- routes --- */

static void
to_a_route(size_t n)
{
	struct spool_content c;
	const struct message *m;
	struct buf is = {0};
	struct span received;

	routes_rcpt(BOX, "a@x");
	post.replies = post.refusals = 0;
	post_submit(body, n);
	rig_pass(0);
	assert_non_null(routes[BOX].parcel);
	m = routes[BOX].parcel->m;
	c = m->body;
	received = buf_span(&m->received);
	take(&received, ABOVE);
	take_received(&received);
	assert_int_equal(received.len, 0);
	if (c.filed > c.from)
		assert_int_equal(pread(c.fd, buf_reserve(&is, c.filed - c.from),
				     c.filed - c.from, (off_t)c.from),
		    c.filed - c.from);
	is.len = c.filed - c.from;
	buf_append_span(&is, c.tail);
	assert_rest(buf_span(&is), n);
	for (size_t i = is.len; i--;)
		is.len += is.data[i] == '\n';
	assert_int_equal(m->wire, is.len + 2);
	buf_free(&is);
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_string_equal(post.reply, "");
}

static void
routes_have_it(void **state)
{
	(void)state;
	to_a_route(SMALL);
	to_a_route(FILED);
	routes_settle();
}

/* And a mailbox, whose lines are on top of the file. */
static void
both_have_it(void **state)
{
	static const size_t sizes[] = {SMALL, FILED};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start_routes(state), 0);
		routes_local();
		to_a_route(sizes[i]);
		routes_settle();
		assert_mail(U, sizes[i]);
	}
}

/* What is held for a route is the edited one as well. */
static void
kept_for_a_route(void **state)
{
	(void)state;
	routes[BOX].route.hold = true;
	routes_rcpt(BOX, "a@x");
	post_submit(body, FILED);
	rig_pass(0);
	routes_answer(BOX, "d");
	rig_pass(0);
	assert_int_equal(post.replies, 1);
	for (int k = 0; k < 20 && !routes[BOX].parcel; k++) {
		rig_pass(2500);
		held_look(rig.deliver->held);
		rig_pass(0);
	}
	assert_non_null(routes[BOX].parcel);
	assert_int_equal(memcmp(routes[BOX].parcel->m->received.data, ABOVE,
			     strlen(ABOVE)),
	    0);
	routes_answer(BOX, "t");
	rig_pass(0);
	routes_settle();
}

/* --- what goes wrong --- */

/* HOUSE D2: the sum is taken once more, and before anybody is asked. */
static void
no_room_in_a_record(void **state)
{
	char *above = malloc(60001);

	(void)state;
	memset(above, 'x', 60000);
	memcpy(above, "A: ", 3);
	memcpy(above + 59999, "\n", 2);
	set(EDITED, strlen(HEADER "\n"), above);
	rcpt("u");
	for (int i = 0; i < 2; i++) {
		send(60000, "");
		post.options.segment = 200 << 10;
		send(60000, "452 4.3.1");
		/* of a larger body it has only the name */
		send(FILED, "");
		post.options.segment = 4 << 20;
	}
	settle();
	assert_int_equal(scratch_count(U "/new"), 4);
	free(above);
}

static void
nobody_is_asked(void **state)
{
	char *above = malloc(60001);

	(void)state;
	memset(above, 'x', 60000);
	memcpy(above, "A: ", 3);
	memcpy(above + 59999, "\n", 2);
	set(EDITED, strlen(HEADER "\n"), above);
	post.options.segment = 200 << 10;
	routes_rcpt(BOX, "a@x");
	send(60000, "452 4.3.1");
	assert_int_equal(routes[BOX].asked, 0);
	routes_settle();
	free(above);
}

static void
disk_fails(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error;
		const char *reply;
	} rows[] = {
	    {"openat", 2, EMFILE, "451 4.3.0"}, /* the first is its body's */
	    {"pread", 1, EIO, "451 4.3.0"},
	    {NULL, 0, ENOSPC, "452 4.3.1"}, /* the copy */
	};

	(void)state;
	rcpt("v");
	send(FILED, ""); /* what a worker opens once is open */
	settle();
	rcpt("u");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].call)
			sys_fail(rows[i].call, rows[i].nth, rows[i].error);
		else
			copy_error = rows[i].error;
		send(FILED, rows[i].reply);
		assert_true(sys_failed());
		copy_error = 0;
	}
	settle();
	assert_int_equal(scratch_files("mail"), 1);
	assert_int_equal(routes_files("spool/*/*/*.body"), 0);
	send(FILED, "");
	settle();
	assert_mail(U, FILED);
}

static struct ask **
submit_held(void)
{
	struct ask **a;

	post.replies = post.refusals = 0;
	a = post_submit(body, FILED);
	return a;
}

/* It is between its spool and the mailboxes when its client goes, or all. */
static void
abandoned_meanwhile(void **state)
{
	struct ask **a;

	(void)state;
	rcpt("u");
	a = submit_held();
	assert_int_equal(rig.deliver->lists[DELIVERY_EDITING].n, 1);
	ask_cancel(a, ASK_ABANDON);
	settle();
	assert_int_equal(scratch_files("mail"), 0);
	/* who only went away gets it */
	a = submit_held();
	assert_int_equal(rig.deliver->lists[DELIVERY_EDITING].n, 1);
	ask_cancel(a, ASK_GO_ON);
	settle();
	assert_mail(U, FILED);
	/* and the whole worker: post_finish() frees it all */
	submit_held();
	assert_int_equal(rig.deliver->lists[DELIVERY_EDITING].n, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)
/* clang-format off */
#define W(f) {#f " without a journal", f, start_without_journal, finish, NULL}
/* clang-format on */
#define R(f) cmocka_unit_test_setup_teardown(f, start_routes, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(in_memory),
	    W(in_memory),
	    T(in_a_file),
	    W(in_a_file),
	    T(headers),
	    T(as_it_was),
	    T(out_of_memory_into_a_file),
	    W(out_of_memory_into_a_file),
	    T(only_this_one),
	    T(held),
	    T(after_a_crash),
	    R(routes_have_it),
	    R(both_have_it),
	    R(kept_for_a_route),
	    T(no_room_in_a_record),
	    R(nobody_is_asked),
	    T(disk_fails),
	    W(disk_fails),
	    T(abandoned_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

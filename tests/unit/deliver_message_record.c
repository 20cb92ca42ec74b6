/*
 * What a record says of a message, and what is not believed of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/message_record.h"
#include "letters.h"

static struct crc32c crc;
static struct destination root = {.text = "/mail"};
static struct destination route = {.text = "route:out"};
static struct message letter;

static const struct destination *
find(void *ctx, const char *text)
{
	(void)ctx;
	assert_string_equal(text, root.text);
	return &root;
}

static int
start(void **state)
{
	(void)state;
	crc32c_init(&crc);
	letter_init(&letter, &root, 1, 3, 100);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	letter_free(&letter);
	return 0;
}

static const struct message_record_from journal = {.version = 2, .find = find};
static const struct message_record_from held = {.version = 2,
    .held = true,
    .find = find};

static bool
decode_from(const struct message_record_from *from, const struct message *m,
    const char *file, uint32_t type, struct message *read)
{
	struct buf b = {0};
	struct record r;
	const char *body;
	bool ok;

	message_record_encode(&b, m, file);
	record_seal(&crc, &b, m->body.tail, 1, 0);
	buf_append_span(&b, m->body.tail);
	assert_true(record_decode(&crc, buf_span(&b), 1, 0, &r));
	if (type)
		r.type = type;
	ok = message_record_decode(from, &r, read, &body);
	if (ok)
		assert_string_equal(body, file ? file : "");
	read->body.tail.ptr = NULL; /* it was in the record */
	buf_free(&b);
	return ok;
}

static bool
decode(const struct message *m, const char *file, uint32_t type,
    struct message *read)
{
	return decode_from(&journal, m, file, type, read);
}

static bool
decodes(const struct message *m, const char *file)
{
	struct message read;
	bool ok = decode(m, file, 0, &read);

	message_free(&read);
	return ok;
}

/* All that is needed to deliver it. */
static void
what_is_read_was_written(void **state)
{
	struct message m;

	(void)state;
	letter.login = "alice";
	letter.eightbit = true;
	letter.wire = 105;
	letter.copies[2].note = "552 5.2.2 full";
	message_copy_line(&letter, &letter.copies[2]);
	letter.copies[2].size += strlen("X-Smtpd-Failed: u2@example.org: "
					"552 5.2.2 full\n");
	assert_true(decode(&letter, NULL, 0, &m));
	assert_string_equal(m.sender, "s@example.com");
	assert_string_equal(m.client, "192.0.2.1");
	assert_string_equal(m.helo, "x");
	assert_string_equal(m.login, "alice");
	assert_true(m.eightbit && !m.utf8);
	assert_int_equal(m.wire, 105);
	assert_null(m.headed); /* no lines of ours are in a file */
	assert_string_equal(m.id, letter.id);
	assert_int_equal(m.when, letter.when);
	assert_true(
	    span_equal(buf_span(&m.received), buf_span(&letter.received)));
	assert_true(span_equal(buf_span(&m.return_path),
	    buf_span(&letter.return_path)));
	assert_int_equal(m.body.tail.len, letter.body.tail.len);
	assert_int_equal(m.ncopies, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct message_copy *c = &m.copies[i];
		const struct message_copy *was = &letter.copies[i];

		assert_ptr_equal(c->dest, &root);
		assert_string_equal(c->path, was->path);
		assert_string_equal(c->address, was->address);
		assert_string_equal(c->name, was->name);
		assert_string_equal(c->note, was->note);
		assert_null(c->to);
		assert_true(span_equal(c->delivered_to, was->delivered_to));
		assert_int_equal(c->size, was->size);
	}
	message_free(&m);
}

/* A type that is reserved, or of a body that is elsewhere. */
static void
another_type(void **state)
{
	struct message m;

	(void)state;
	for (uint32_t type = 0; type <= MESSAGE_RECORD_SETTLED + 1; type++) {
		bool ours = !type || type == MESSAGE_RECORD_MAIL;

		assert_int_equal(decode(&letter, NULL, type, &m), ours);
		message_free(&m);
		ours = !type || type == MESSAGE_RECORD_FILE;
		assert_int_equal(decode(&letter, "body", type, &m), ours);
		message_free(&m);
	}
}

/* FAULT B3: each number of a record is bounded where it is decoded. */
static void
numbers_of_a_record(void **state)
{
	struct message bad = letter;

	(void)state;
	assert_true(decodes(&letter, NULL));
	bad.when = INT64_MAX / 100;
	assert_false(decodes(&bad, NULL));
	bad.when = -1;
	assert_false(decodes(&bad, NULL));
	bad = letter;
	bad.body.filed = MESSAGE_RECORD_BODY_MAX;
	assert_true(decodes(&bad, "body"));
	bad.body.filed++;
	assert_false(decodes(&bad, "body"));
	bad = letter;
	strcpy(bad.id, "../x");
	assert_false(decodes(&bad, NULL));
	bad = letter;
	assert_false(decodes(&bad, "../body"));
	bad.ncopies = 0;
	assert_false(decodes(&bad, NULL));
	bad = letter;
	bad.wire = UINT64_MAX / 2;
	assert_false(decodes(&bad, NULL));
}

/* Nobody is asked for what no copy can be placed in. */
static void
where_copies_are(void **state)
{
	static const char *const bad[] = {"", "mail", "../mail",
	    "discard:", "maildir:", "lmtp:/mail"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct destination other = {.text = bad[i]};

		letter.copies[2].dest = &other;
		assert_false(decodes(&letter, NULL));
	}
}

/* Its lines are on top of the body's file, if there are any. */
static void
whose_lines_are_on_top(void **state)
{
	struct message m;

	(void)state;
	letter.body.filed = 200;
	for (uint64_t from = 0; from < 200; from += 100) {
		letter.body.from = from;
		assert_true(decode(&letter, "body", 0, &m));
		assert_ptr_equal(m.headed, from ? m.copies : NULL);
		message_free(&m);
	}
}

/* Held for its route, in a file of its own; in a journal it is damage. */
static void
copies_of_routes(void **state)
{
	static const char *const texts[] = {"route:out", "lmtp:/run/x",
	    "https://not.known/at?all"};
	struct message_copy *c = &letter.copies[1];
	struct message_record_from old = held;
	struct message m;

	(void)state;
	c->dest = &route;
	c->path = NULL;
	c->to = "x@example.net";
	c->note = "451 4.4.1 down";
	old.version = 1;
	for (unsigned i = 0; i < 3; i++) {
		route.text = texts[i];
		assert_false(decodes(&letter, NULL));
		assert_false(decode_from(&old, &letter, NULL, 0, &m));
		assert_true(decode_from(&held, &letter, NULL, 0, &m));
		assert_string_equal(m.copies[1].dest->text, texts[i]);
		assert_null(m.copies[1].dest->route);
		assert_null(m.copies[1].path);
		assert_string_equal(m.copies[1].to, "x@example.net");
		assert_string_equal(m.copies[1].note, "451 4.4.1 down");
		/* no header has it before it has failed */
		assert_true(span_equal(m.copies[1].delivered_to,
		    SPAN_LIT("Delivered-To: u1@example.org\n")));
		assert_string_equal(m.copies[2].path, "u2");
		message_free(&m);
	}
	c->to = "";
	assert_false(decode_from(&held, &letter, NULL, 0, &m));
	/* nor what would be more than a part of a server's command */
	c->to = "x@example.net>\nRCPT TO:<y";
	assert_false(decode_from(&held, &letter, NULL, 0, &m));
	c->to = "x@example.net";
	letter.sender = "s\r@example.com";
	assert_false(decode_from(&held, &letter, NULL, 0, &m));
}

/* Of a version that is not known nothing is believed. */
static void
other_versions(void **state)
{
	struct message_record_from from = journal;
	struct message m;

	(void)state;
	for (from.version = 0; from.version < 5; from.version++) {
		assert_int_equal(decode_from(&from, &letter, NULL, 0, &m),
		    from.version == 2);
		message_free(&m);
	}
}

/* Octets that both versions have. */
#define LETTER                                                                 \
	"\x12\0\0\0"                                                           \
	"0123456789ABCDEF.1"                                                   \
	"\x1d\0\0\0"                                                           \
	"Return-Path: <s@example.com>\n"                                       \
	"\x1b\0\0\0"                                                           \
	"Received: from x\n\tby y;\n\tz\n"                                     \
	"\0\0\0\0"                                                             \
	"\0\0\0\0\0\0\0\0"                                                     \
	"\0\0\0\0\0\0\0\0"                                                     \
	"\xe8\3\0\0\0\0\0\0"
#define COPY                                                                   \
	"\1\0\0\0"                                                             \
	"\x0e\0\0\0"                                                           \
	"u0@example.org"                                                       \
	"\5\0\0\0"                                                             \
	"/mail"                                                                \
	"\2\0\0\0"                                                             \
	"u0"                                                                   \
	"\x2e\0\0\0"                                                           \
	"1000.0123456789ABCDEF.1_0.mx.example.org,S=185"

/* Octets of the first version: a journal of yesterday is read. */
static void
the_first_format(void **state)
{
	static const char first[] = LETTER COPY;
	struct message_record_from from = journal;
	struct record r = {.type = MESSAGE_RECORD_MAIL,
	    .envelope = SPAN_LIT(first),
	    .body = letter.body.tail};
	const char *file;
	struct message m;

	(void)state;
	assert_false(message_record_decode(&from, &r, &m, &file));
	from.version = 1;
	assert_true(message_record_decode(&from, &r, &m, &file));
	assert_string_equal(m.id, letter.id);
	assert_int_equal(m.when, letter.when);
	assert_string_equal(m.sender, "");
	assert_string_equal(m.login, "");
	assert_int_equal(m.ncopies, 1);
	assert_string_equal(m.copies[0].path, "u0");
	assert_string_equal(m.copies[0].address, "u0@example.org");
	assert_string_equal(m.copies[0].name, letter.copies[0].name);
	assert_string_equal(m.copies[0].note, "");
	assert_int_equal(m.copies[0].size, letter.copies[0].size);
	message_free(&m);
}

/* Octets of the second. */
static void
the_format(void **state)
{
	static const char want[] = LETTER "\x0d\0\0\0"
					  "s@example.com"
					  "\x09\0\0\0"
					  "192.0.2.1"
					  "\1\0\0\0"
					  "x"
					  "\0\0\0\0"
					  "\2\0\0\0"
					  "\x69\0\0\0\0\0\0\0" COPY "\0\0\0\0";
	struct record r = {.type = MESSAGE_RECORD_MAIL,
	    .envelope = SPAN_LIT(want),
	    .body = letter.body.tail};
	char flags[sizeof(want)];
	struct buf b = {0};
	struct message m;
	const char *file;

	(void)state;
	memcpy(flags, want, sizeof(want));
	letter.ncopies = 1;
	letter.utf8 = true;
	letter.wire = 105;
	message_record_encode(&b, &letter, NULL);
	for (size_t i = 0; i < RECORD_HEAD; i++)
		assert_int_equal(b.data[i], i == 16 ? MESSAGE_RECORD_MAIL : 0);
	assert_int_equal(b.len, RECORD_HEAD + sizeof(want) - 1);
	assert_memory_equal(b.data + RECORD_HEAD, want, sizeof(want) - 1);
	/* a flag that nobody knows */
	assert_true(message_record_decode(&journal, &r, &m, &file));
	message_free(&m);
	*(char *)memmem(flags, sizeof(flags), "\2\0\0\0\x69", 5) = 4;
	r.envelope.ptr = flags;
	assert_false(message_record_decode(&journal, &r, &m, &file));
	buf_free(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_read_was_written),
	    T(another_type),
	    T(numbers_of_a_record),
	    T(where_copies_are),
	    T(whose_lines_are_on_top),
	    T(copies_of_routes),
	    T(other_versions),
	    T(the_first_format),
	    T(the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What a destination looks like, and which kinds there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dest/destination.h"

#define NONE_SUCH                                                              \
	"write one of maildir: lmtp: smtp: smtps: http: https: pipe: "         \
	"discard: route:"

static struct arena arena;

static int
finish(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

/* Each is refused with what to write instead. */
static void
what_is_none(void **state)
{
	static const struct {
		const char *text, *why;
	} all[] = {
	    {"/var/mail/%u", "write \"maildir:\" in front of the path"},
	    {"", NONE_SUCH},
	    {":", NONE_SUCH},
	    {"maildir", NONE_SUCH},
	    {"imap:/x", NONE_SUCH},
	    {"Maildir:/x", NONE_SUCH},
	    {"maildirs:/x", NONE_SUCH},
	    {"mail:/x", NONE_SUCH},
	    {"maildir:", "write an absolute path behind the colon, one that "
			 "begins with /"},
	    {"maildir:x", "write an absolute path behind the colon, one that "
			  "begins with /"},
	    {"discard:%u", "nothing may stand behind the colon"},
	    {"discard:/x", "nothing may stand behind the colon"},
	};
	const struct destination_kind *kind;
	const char *rest;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_string_equal(destination_parse(all[i].text, &kind,
					&rest),
		    all[i].why);
}

/* Each kind is named to who writes another one. */
static void
kinds(void **state)
{
	const struct destination_kind *maildir, *discard;
	const char *rest;

	(void)state;
	assert_null(destination_parse("maildir:/m/%d/%u", &maildir, &rest));
	assert_string_equal(rest, "/m/%d/%u");
	assert_non_null(maildir->place);
	assert_null(destination_parse("discard:", &discard, &rest));
	assert_string_equal(rest, "");
	assert_null(discard->place);
}

/* What is handed to somebody else says in which order they are asked. */
static void
remotes(void **state)
{
	static const struct {
		const char *text;
		unsigned order, port;
		bool tls;
	} all[] = {{"http://h", 1, 80, false}, {"https://h", 1, 443, true},
	    {"pipe:/p", 2, 0, false}, {"lmtp:/s", 3, 24, false},
	    {"smtp://h", 4, 25, false}, {"smtps://h", 4, 465, true},
	    {"route:x", 0, 0, false}};
	const struct destination *d;
	struct buf b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct destination_kind *kind;
		const char *rest;

		if (destination_parse(all[i].text, &kind, &rest))
			assert_non_null(kind->absent);
		assert_true(kind->remote && !kind->place);
		assert_int_equal(kind->order, all[i].order);
		assert_int_equal(kind->parcel_max > 0, all[i].order > 0);
		assert_int_equal(kind->port, all[i].port);
		assert_int_equal(kind->tls, all[i].tls);
		assert_true(destination_is_meant(all[i].text));
		assert_true(destination_is_remote(all[i].text));
		assert_false(destination_is_place(all[i].text));
		b.len = 0;
		destination_format(kind, rest, &b);
		assert_true(span_equal(buf_span(&b), span_str(all[i].text)));
		d = destination_new(&arena, all[i].text);
		assert_ptr_equal(d->kind, kind);
		assert_string_equal(d->text, all[i].text);
		assert_null(d->route);
	}
	assert_false(destination_is_remote("discard:"));
	assert_false(destination_is_remote("maildir:/m"));
	assert_false(destination_is_remote("/m"));
	assert_false(destination_is_remote("lmtp:"));
	assert_false(destination_is_remote("imap:/m"));
	buf_free(&b);
}

static void
no_address(void **state)
{
	(void)state;
	assert_true(destination_is_meant("maildir:/m"));
	assert_true(destination_is_meant("imap:x@example.org"));
	assert_true(destination_is_meant("/var/mail/x"));
	assert_false(destination_is_meant("/G=John/S=Doe/@example.org"));
	assert_false(destination_is_meant("alice"));
	assert_false(destination_is_meant("alice@[IPv6:::1]"));
	assert_false(destination_is_meant("\"a:b\"@example.org"));
	assert_false(destination_is_meant(":x"));
	assert_false(destination_is_meant(""));
}

/* What records have names of, and nothing else. */
static void
texts(void **state)
{
	const struct destination_kind *kind;
	const struct destination *d;
	struct buf b = {0};
	const char *rest;

	(void)state;
	assert_true(destination_is_place("/m"));
	assert_false(destination_is_place("m"));
	assert_false(destination_is_place(""));
	assert_false(destination_is_place("maildir:"));
	assert_false(destination_is_place("maildir:m"));
	assert_false(destination_is_place("discard:"));
	assert_false(destination_is_place("discard:/m"));
	assert_false(destination_is_place("lmtp:/m"));

	assert_null(destination_parse("maildir:/m", &kind, &rest));
	destination_format(kind, "/m", &b);
	assert_true(span_equal(buf_span(&b), SPAN_LIT("/m")));
	d = destination_new(&arena, "/m");
	assert_ptr_equal(d->kind, kind);
	assert_string_equal(d->text, "/m");
	assert_string_equal(d->root.path, "/m");
	assert_int_equal(d->root.fd, -1);
	assert_int_equal(d->root.sync, -1);

	assert_null(destination_parse("discard:", &kind, &rest));
	b.len = 0;
	destination_format(kind, "", &b);
	assert_true(span_equal(buf_span(&b), SPAN_LIT("discard:")));
	d = destination_new(&arena, "discard:");
	assert_ptr_equal(d->kind, kind);
	assert_string_equal(d->text, "discard:");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_none),
	    cmocka_unit_test(kinds),
	    cmocka_unit_test_teardown(remotes, finish),
	    cmocka_unit_test(no_address),
	    cmocka_unit_test_teardown(texts, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

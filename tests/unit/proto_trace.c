/*
 * Dates, our header lines, and the count of Received lines in any pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/trace.h"

static void
dates(void **state)
{
	static const struct {
		int64_t when;
		const char *text;
	} good[] = {
	    {0, "Thu, 1 Jan 1970 00:00:00 +0000"},
	    {951782399, "Mon, 28 Feb 2000 23:59:59 +0000"},
	    {951782400, "Tue, 29 Feb 2000 00:00:00 +0000"},
	    {951868800, "Wed, 1 Mar 2000 00:00:00 +0000"},
	    {1709164800, "Thu, 29 Feb 2024 00:00:00 +0000"},
	    {1735689599, "Tue, 31 Dec 2024 23:59:59 +0000"},
	    {1795507916, "Tue, 24 Nov 2026 08:11:56 +0000"},
	    {4107542400, "Mon, 1 Mar 2100 00:00:00 +0000"},
	    {-1, "Thu, 1 Jan 1970 00:00:00 +0000"},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		out.len = 0;
		trace_date(&out, good[i].when);
		buf_append(&out, "", 1);
		assert_string_equal(out.data, good[i].text);
	}
	buf_free(&out);
}

static struct envelope
envelope(const char *helo, bool esmtp)
{
	static const uint8_t ip[4] = {192, 0, 2, 1};
	struct envelope e = {.session = "06BX0000000000AB", .serial = 3};

	e.client = ipaddr_v4(ip);
	if (helo)
		envelope_set_helo(&e, span_str(helo), esmtp);
	return e;
}

static void
assert_received(struct envelope *e, const char *want)
{
	struct buf out = {0};

	trace_received(&out, e, "mx.example.org", 1795507916, "\n");
	buf_append(&out, "", 1);
	assert_string_equal(out.data, want);
	buf_free(&out);
	envelope_free(e);
}

static void
received_one_recipient(void **state)
{
	struct envelope e = envelope("client.example", true);
	struct smtp_path p = {.local = "odd user", .domain = "example.org"};

	(void)state;
	envelope_add_rcpt(&e, &p);
	assert_received(&e,
	    "Received: from client.example ([192.0.2.1])\n"
	    "\tby mx.example.org with ESMTP id 06BX0000000000AB.3\n"
	    "\tfor <\"odd user\"@example.org>;\n"
	    "\tTue, 24 Nov 2026 08:11:56 +0000\n");
}

static void
received_confirmed_name(void **state)
{
	struct envelope e = envelope("client.example", true);

	(void)state;
	e.name = "mail.example.com";
	assert_received(&e,
	    "Received: from client.example (mail.example.com [192.0.2.1])\n"
	    "\tby mx.example.org with ESMTP id 06BX0000000000AB.3;\n"
	    "\tTue, 24 Nov 2026 08:11:56 +0000\n");
}

/* RFC 5321 7.2: more than one would tell each about the others. */
static void
received_two_recipients(void **state)
{
	struct envelope e = envelope("client.example", false);
	struct smtp_path p = {.local = "a", .domain = "example.org"};

	(void)state;
	envelope_add_rcpt(&e, &p);
	envelope_add_rcpt(&e, &p);
	assert_received(&e,
	    "Received: from client.example ([192.0.2.1])\n"
	    "\tby mx.example.org with SMTP id 06BX0000000000AB.3;\n"
	    "\tTue, 24 Nov 2026 08:11:56 +0000\n");
}

static void
received_ipv6_utf8(void **state)
{
	static const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct envelope e = envelope("[IPv6:2001:db8::1]", true);

	(void)state;
	e.client = ipaddr_v6(ip);
	e.utf8 = true;
	assert_received(&e,
	    "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\n"
	    "\tby mx.example.org with UTF8SMTP id 06BX0000000000AB.3;\n"
	    "\tTue, 24 Nov 2026 08:11:56 +0000\n");
}

/* RFC 3848 and 8314: how it came, and under which cipher. */
static void
received_tls_and_login(void **state)
{
	struct envelope e = envelope("client.example", true);
	struct smtp_path p = {.local = "a", .domain = "example.org"};

	(void)state;
	envelope_set_login(&e, "alice");
	e.tls = true;
	e.tls_version = "TLSv1.3";
	e.tls_cipher = "TLS_AES_128_GCM_SHA256";
	envelope_add_rcpt(&e, &p);
	assert_received(&e,
	    "Received: from client.example ([192.0.2.1])\n"
	    "\tby mx.example.org with ESMTPSA id 06BX0000000000AB.3\n"
	    "\tfor <a@example.org>\n"
	    "\ttls TLS_AES_128_GCM_SHA256 (TLSv1.3);\n"
	    "\tTue, 24 Nov 2026 08:11:56 +0000\n");
}

static void
return_path_and_delivered_to(void **state)
{
	struct envelope e = envelope(NULL, false);
	struct buf out = {0};

	(void)state;
	e.sender = (struct smtp_path){.local = "", .domain = ""};
	trace_return_path(&out, &e, "\r\n");
	e.sender = (struct smtp_path){.local = "a>b", .domain = "x.example"};
	trace_return_path(&out, &e, "\n");
	trace_delivered_to(&out, "bob@example.org", "\n");
	buf_append(&out, "", 1);
	assert_string_equal(out.data, "Return-Path: <>\r\n"
				      "Return-Path: <\"a>b\"@x.example>\n"
				      "Delivered-To: bob@example.org\n");
	buf_free(&out);
	envelope_free(&e);
}

static unsigned
hops(const char *text, size_t piece)
{
	struct trace_hops h = {0};
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i += piece) {
		size_t left = n - i < piece ? n - i : piece;

		trace_hops_feed(&h, (struct span){text + i, left});
	}
	return h.count;
}

static void
counts_received(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
	} cases[] = {
	    {"", 0},
	    {"Received: a\r\n", 1},
	    {"RECEIVED: a\r\nreceived:b\r\n", 2},
	    {"X-Received: a\r\nReceived-SPF: b\r\n", 0},
	    {" Received: folded\r\nReceived : obsolete\r\n", 0},
	    {"Received: a\r\n\r\nReceived: in the body\r\n", 1},
	    {"\r\nReceived: in the body\r\n", 0},
	    {"Received: a\n\nReceived: in the body\n", 1},
	    {"Received: a\r\n\rReceived: b\r\n", 1},
	    {"Receive\r\nd: a\r\n", 0},
	    {"ReReceived: a\r\n", 0},
	    {"Received:", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece < 40; piece++)
			assert_int_equal(hops(cases[i].text, piece),
			    cases[i].count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dates),
	    cmocka_unit_test(received_one_recipient),
	    cmocka_unit_test(received_confirmed_name),
	    cmocka_unit_test(received_two_recipients),
	    cmocka_unit_test(received_ipv6_utf8),
	    cmocka_unit_test(received_tls_and_login),
	    cmocka_unit_test(return_path_and_delivered_to),
	    cmocka_unit_test(counts_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

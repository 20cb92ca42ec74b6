/*
 * Addresses: what is parsed can be written, and what is written is parsed
 * to the same; nothing comes out that headers or paths could not bear.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "proto/smtp_addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
check_part(const char *s, size_t max)
{
	check(strlen(s) <= max && utf8_valid(span_str(s)));
	for (; *s; s++)
		check(!ascii_is_control(*s));
}

/* Writes p in brackets, and reads that again. */
static void
check_again(const struct smtp_path *p, enum smtp_path_kind kind,
    struct arena *arena)
{
	struct buf text = {0};
	struct smtp_path again;

	buf_append_str(&text, "<");
	smtp_path_format(p, &text);
	buf_append_str(&text, ">");
	check(smtp_path_parse(buf_span(&text), kind, arena, &again) == 0);
	check(strcmp(p->local, again.local) == 0);
	check(strcmp(p->domain, again.domain) == 0);
	check(p->literal == again.literal);
	check(p->eightbit || !again.eightbit); /* a route may have been it */
	if (p->domain[0] && !p->odd)
		check(smtp_mailbox_parse((struct span){text.data + 1,
					     text.len - 2},
			  arena, &again) == 0);
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = {(const char *)data, n};
	struct arena arena = {0};
	struct smtp_path p;
	struct ipaddr ip;

	for (int kind = SMTP_PATH_REVERSE; kind <= SMTP_PATH_FORWARD; kind++) {
		if (smtp_path_parse(s, (enum smtp_path_kind)kind, &arena, &p))
			continue;
		check_part(p.local, SMTP_LOCAL_MAX);
		check_part(p.domain, SMTP_DOMAIN_MAX);
		check_again(&p, (enum smtp_path_kind)kind, &arena);
		check(!smtp_path_is_null(&p) || kind == SMTP_PATH_REVERSE);
	}
	if (smtp_literal_parse(s, &ip) == 0)
		check(ip.family == IP_V4 || ip.family == IP_V6);
	smtp_mailbox_parse(s, &arena, &p);
	arena_reset(&arena);
	return 0;
}

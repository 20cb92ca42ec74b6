/*
 * suggest: what somebody meant who wrote a key or a block that does
 * not exist: a typing error, the wrong block, or a later version's key.
 */
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

/* Named in the design, not yet known to this version. */
static const char *const coming[] = {"metrics", "sandbox", "trust"};

/* What other mail servers call it. */
static const struct {
	const char *theirs, *ours;
} words[] = {
    {"cert", "chain, in a certificate block"},
    {"check_client_access", "rules, in an access block"},
    {"local_recipient_maps", "users-file, in a domain block"},
    {"luser_relay", "catch-all, in a domain block"},
    {"maximal_queue_lifetime", "expire"},
    {"message_size_limit", "message-size"},
    {"mydestination", "a domain block for each"},
    {"myhostname", "hostname"},
    {"mynetworks", "a listener with role = submission, and auth"},
    {"postscreen_greet_wait", "pregreet-wait, in a checks block"},
    {"queue_directory", "spool"},
    {"recipient_delimiter", "recipient-delimiter"},
    {"reject_rbl_client", "a dnsbl block for each, and checks { dnsbl }"},
    {"relayhost", "smarthost"},
    {"smtpd_banner", "greeting"},
    {"smtpd_client_connection_count_limit", "per-address, in a limits block"},
    {"smtpd_client_connection_rate_limit",
	"rate-connections, in a limits block"},
    {"smtpd_milters", "a milter block for each"},
    {"smtpd_recipient_limit", "recipients, in a limits block"},
    {"smtpd_sender_login_maps", "senders-file, in an auth block"},
    {"smtpd_tls_cert_file", "chain, in a certificate block"},
    {"smtpd_tls_key_file", "key, in a certificate block"},
    {"virtual_alias_maps", "aliases-file, in a domain block"},
    {"virtual_mailbox_domains", "a domain block for each"},
    {"virtual_transport",
	"catch-all, or deliver, with a destination, in a domain block"},
};

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance, row by row. */
static unsigned
distance(struct span a, struct span b)
{
	unsigned row[CONFIG_RESEMBLE_MAX + 1] = {0};

	if (a.len > CONFIG_RESEMBLE_MAX || b.len > CONFIG_RESEMBLE_MAX)
		return CONFIG_RESEMBLE_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			unsigned above = row[j];
			unsigned change = a.ptr[i - 1] != b.ptr[j - 1];

			row[j] =
			    min3(above + 1, row[j - 1] + 1, diagonal + change);
			diagonal = above;
		}
	}
	return row[b.len];
}

/* One error in three letters is still a typing error. */
bool
config_resembles(struct span name, const char *known, unsigned *best)
{
	unsigned d = distance(name, span_str(known));

	if (d >= *best || d > (name.len + 2) / 3)
		return false;
	*best = d;
	return true;
}

static const char *
nearest_key(const struct config_section *s, struct span name)
{
	const char *found = NULL;
	unsigned best = CONFIG_RESEMBLE_MAX;

	for (unsigned i = 0; i < s->nkeys; i++) {
		if (config_resembles(name, s->keys[i].name, &best))
			found = s->keys[i].name;
	}
	return found;
}

static const char *
nearest_section(struct span name)
{
	const char *found = NULL;
	unsigned best = CONFIG_RESEMBLE_MAX;

	for (unsigned i = 1; config_sections[i]; i++) {
		if (config_resembles(name, config_sections[i]->name, &best))
			found = config_sections[i]->name;
	}
	return found;
}

/* The section that does know such a key. */
static const struct config_section *
elsewhere(struct span name)
{
	const struct config_section *const *s = config_sections;

	while (*s && !config_key_find(*s, name))
		s++;
	return *s;
}

static bool
is_coming(struct span name)
{
	for (size_t i = 0; i < sizeof(coming) / sizeof(coming[0]); i++) {
		if (span_equal(name, span_str(coming[i])))
			return true;
	}
	return false;
}

/* NULL: it is nobody's word. */
static const char *
our_word(struct span name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (ascii_equal_str(name, words[i].theirs))
			return words[i].ours;
	}
	return NULL;
}

static void
list_keys(const struct config_section *s, struct buf *out)
{
	buf_append_str(out, "known here:");
	for (unsigned i = 0; i < s->nkeys; i++)
		buf_printf(out, "%s %s", i ? "," : "", s->keys[i].name);
}

static void
list_sections(struct buf *out)
{
	buf_append_str(out, "there are:");
	for (unsigned i = 1; config_sections[i]; i++) {
		buf_printf(out, "%s %s", i > 1 ? "," : "",
		    config_sections[i]->name);
	}
}

static void
explain_block(struct span name, struct buf *out)
{
	const char *near = nearest_section(name);

	if (near)
		buf_printf(out, "did you mean \"%s\"?", near);
	else if (config_key_find(&section_top, name))
		buf_append_str(out, "it is a key: write = and its value");
	else
		list_sections(out);
}

static void
explain_key(const struct config_section *s, struct span name, struct buf *out)
{
	const struct config_section *other = elsewhere(name);
	const char *near = nearest_key(s, name);

	if (config_section_find(name))
		buf_append_str(out, "it is a block: write it with { }");
	else if (other == &section_top)
		buf_append_str(out, "it stands outside of any block");
	else if (other)
		buf_printf(out, "it belongs into a %s block", other->name);
	else if (near)
		buf_printf(out, "did you mean \"%s\"?", near);
	else
		list_keys(s, out);
}

void
config_suggest(const struct config_section *s, struct span name, bool block,
    char why[CONFIG_WHY_MAX])
{
	struct buf text = {0};

	if (our_word(name))
		buf_printf(&text, "here it is %s", our_word(name));
	else if (is_coming(name))
		buf_append_str(&text, "this version does not know it yet");
	else if (block)
		explain_block(name, &text);
	else
		explain_key(s, name, &text);
	snprintf(why, CONFIG_WHY_MAX, "%.*s", (int)text.len, text.data);
	buf_free(&text);
}

/*
 * suggest: what somebody meant who wrote a key or a block that does
 * not exist: a typing error, the wrong block, or another server's word.
 */
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

/* What other mail servers call it. */
static const struct {
	const char *theirs, *ours;
} words[] = {
    {"action", "deliver, in a domain block"},
    {"alias_maps", "aliases-file, in a domain block"},
    {"cert", "chain, in a certificate block"},
    {"check_client_access", "rules, in an access block"},
    {"check_recipient_access", "rules, in an access block"},
    {"check_sender_access", "rules, in an access block"},
    {"default_action", "when-down, in a milter block"},
    {"dkim", "a milter's work: a milter block"},
    {"dmarc", "a milter's work: a milter block"},
    {"filter", "a milter block for each"},
    {"fullchain", "chain, in a certificate block"},
    {"home_mailbox", "deliver, in a domain block"},
    {"inet_interfaces", "a listen block for each"},
    {"local_recipient_maps", "users-file, in a domain block"},
    {"luser_relay", "catch-all, in a domain block"},
    {"match", "a domain block for each"},
    {"maximal_queue_lifetime", "expire"},
    {"message_size_limit", "message-size"},
    {"metrics", "a listen block with role = metrics"},
    {"milter_default_action", "when-down, in a milter block"},
    {"mydestination", "a domain block for each"},
    {"myhostname", "hostname"},
    {"mynetworks", "a listener with role = submission, and auth"},
    {"nameserver", "servers, in a dns block"},
    {"pki", "a certificate block"},
    {"postscreen_dnsbl_sites", "a dnsbl block for each, and checks { dnsbl }"},
    {"postscreen_greet_wait", "pregreet-wait, in a checks block"},
    {"privkey", "key, in a certificate block"},
    {"ptr", "fcrdns, in a checks block"},
    {"queue_directory", "spool"},
    {"rbl", "a dnsbl block for each, and checks { dnsbl }"},
    {"recipient_delimiter", "recipient-delimiter"},
    {"reject_rbl_client", "a dnsbl block for each, and checks { dnsbl }"},
    {"relay_domains", "a domain block for each, with catch-all"},
    {"relayhost", "smarthost"},
    {"smtp_sasl_password_maps", "login and secret-file, in a route block"},
    {"smtpd_banner", "greeting"},
    {"smtpd_client_connection_count_limit", "per-address, in a limits block"},
    {"smtpd_client_connection_rate_limit",
	"rate-connections, in a limits block"},
    {"smtpd_client_restrictions",
	"a checks block, and rules, in an access block"},
    {"smtpd_helo_restrictions",
	"a checks block, and rules, in an access block"},
    {"smtpd_milters", "a milter block for each"},
    {"smtpd_recipient_limit", "recipients, in a limits block"},
    {"smtpd_recipient_restrictions",
	"a checks block, and rules, in an access block"},
    {"smtpd_sasl_path", "dovecot, in an auth block"},
    {"smtpd_sender_login_maps", "senders-file, in an auth block"},
    {"smtpd_sender_restrictions",
	"a checks block, and rules, in an access block"},
    {"smtpd_tls_cert_file", "chain, in a certificate block"},
    {"smtpd_tls_chain_files", "chain and key, in a certificate block"},
    {"smtpd_tls_key_file", "key, in a certificate block"},
    {"smtpd_tls_security_level", "tls, in a listen block"},
    {"smtpd_upstream_proxy_protocol", "proxy, in a client block"},
    {"spf", "a milter's work: a milter block"},
    {"table", "users-file or aliases-file, in a domain block"},
    {"transport_maps",
	"catch-all, or deliver, with a destination, in a domain block"},
    {"virtual_alias_maps", "aliases-file, in a domain block"},
    {"virtual_mailbox_base", "deliver, in a domain block"},
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

/* NULL, or one of them; *best is its distance then. */
static const char *
nearest_key(const struct config_section *s, struct span name, unsigned *best)
{
	const char *found = NULL;

	for (unsigned i = 0; i < s->nkeys; i++) {
		if (config_resembles(name, s->keys[i].name, best))
			found = s->keys[i].name;
	}
	return found;
}

static const char *
nearest_section(struct span name, unsigned *best)
{
	const char *found = NULL;

	for (unsigned i = 1; config_sections[i]; i++) {
		if (config_resembles(name, config_sections[i]->name, best))
			found = config_sections[i]->name;
	}
	return found;
}

const char *
config_our_word(struct span name)
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
	buf_printf(out, "%sknown here:", out->len ? "; " : "");
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

/* Where there is such a key; nothing: nowhere. */
static void
list_homes(struct span name, struct buf *out)
{
	bool top = config_key_find(&section_top, name);
	unsigned n = 0;

	if (top)
		buf_append_str(out, "it stands outside of any block");
	for (unsigned i = 1; config_sections[i]; i++) {
		if (!config_key_find(config_sections[i], name))
			continue;
		buf_append_str(out, n++   ? " or "
				    : top ? ", or belongs into a "
					  : "it belongs into a ");
		buf_append_str(out, config_sections[i]->name);
	}
	buf_append_str(out, n ? " block" : "");
}

static void
explain_block(struct span name, struct buf *out)
{
	unsigned best = CONFIG_RESEMBLE_MAX;
	const char *near = nearest_section(name, &best);

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
	const bool top = s == &section_top;
	unsigned best = CONFIG_RESEMBLE_MAX;
	const char *near = nearest_key(s, name, &best);
	const char *block = top ? nearest_section(name, &best) : NULL;
	struct buf homes = {0};

	list_homes(name, &homes);
	if (config_section_find(name))
		buf_printf(out, "it is a block: write it %swith { }%s",
		    top ? "" : "outside of this one, ", homes.len ? "." : "");
	else if (block || near)
		buf_printf(out, "did you mean %s\"%s\"?",
		    block ? "a block " : "", block ? block : near);
	if (homes.len)
		buf_printf(out, "%s%.*s", out->len ? " Otherwise " : "",
		    (int)homes.len, homes.data);
	if (!out->len || (out->len == homes.len && !top))
		list_keys(s, out);
	buf_free(&homes);
}

void
config_suggest(const struct config_section *s, struct span name, bool block,
    char why[CONFIG_WHY_MAX])
{
	const char *ours = config_our_word(name);
	struct buf text = {0};

	if (ours)
		buf_printf(&text, "here it is %s", ours);
	else if (block)
		explain_block(name, &text);
	else
		explain_key(s, name, &text);
	snprintf(why, CONFIG_WHY_MAX, "%.*s", (int)text.len, text.data);
	buf_free(&text);
}

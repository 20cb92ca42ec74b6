/*
 * config_certificate: reads what certificate blocks name, as whoever reads
 * the configuration: the workers never open a key.
 *
 * What would make a client refuse us is an error where we can know it, and a
 * warning where only time makes it so: an expired certificate is no reason
 * to lose mail.
 */
#include <time.h>

#include "base/ascii.h"
#include "config_tree.h"
#include "io/tls.h"

static const char *
describe(enum tls_fault fault)
{
	switch (fault) {
	case TLS_BAD_CHAIN:
		return "chain cannot be read as certificates in PEM, our own "
		       "one first";
	case TLS_BAD_KEY:
		return "key cannot be read as a private key in PEM, without a "
		       "passphrase";
	case TLS_MISMATCH:
		return "key belongs to another certificate: name the one that "
		       "was made with it";
	case TLS_WRONG_NAME:
		return "the certificate does not cover the name of its block: "
		       "write one of the certificate's names";
	case TLS_EXPIRED:
		return "the certificate has expired: renew it";
	case TLS_NOT_YET:
		return "the certificate is not valid yet: look at the clock";
	case TLS_EXPIRING:
		return "the certificate expires within 14 days: renew it";
	default:
		return "";
	}
}

static void
fault_of(struct config_faults *f, const struct config_block *b,
    enum tls_fault fault, const char *detail)
{
	const char *colon = detail[0] ? ": " : "";

	if (fault == TLS_GOOD)
		return;
	if (fault < TLS_EXPIRED)
		config_error(f, b->file, b->line,
		    "certificate \"%.80s\": %s%s%s", b->title, describe(fault),
		    colon, detail);
	else
		config_warn(f, b->file, b->line, "certificate \"%.80s\": %s",
		    b->title, describe(fault));
}

/* A client asks for a name, and gets the first certificate that covers it. */
static bool
is_new_name(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *o = all->blocks;

	while (o != b && (o->section != b->section ||
			     !ascii_equal_str(span_str(o->title), b->title)))
		o = o->next;
	if (o != b)
		config_error(f, b->file, b->line,
		    "certificate \"%.80s\" is there already, in line %u of "
		    "%s: one of them would never be used",
		    b->title, o->line, o->file);
	return o == b;
}

static void
add(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_certificate_block *data = b->data;
	const char *detail;
	enum tls_fault fault;

	if (!is_new_name(all, f, b))
		return;
	if (!data->chain || !data->key) {
		config_error(f, b->file, b->line,
		    "certificate \"%.80s\" needs both chain and key, the "
		    "paths of two files in PEM",
		    b->title);
		return;
	}
	if (!all->pub.tls)
		all->pub.tls = tls_new();
	fault = tls_add(all->pub.tls, b->title, data->chain, data->key,
	    time(NULL), &detail);
	fault_of(f, b, fault, detail);
}

void
config_build_certificates(struct config_all *all, struct config_faults *f)
{
	const struct config_section *s = &config_sections[SECTION_CERTIFICATE];
	struct config_block *first = NULL;

	for (struct config_block *b = all->blocks; b; b = b->next) {
		if (b->section != s)
			continue;
		if (!first)
			first = b;
		add(all, f, b);
	}
	if (!first || !all->pub.hostname || !all->pub.tls ||
	    !tls_count(all->pub.tls))
		return;
	if (tls_covers(all->pub.tls, all->pub.hostname))
		tls_prefer(all->pub.tls, all->pub.hostname);
	else
		config_warn(f, first->file, first->line,
		    "no certificate covers the hostname \"%.80s\": clients "
		    "that ask for it get this one",
		    all->pub.hostname);
}

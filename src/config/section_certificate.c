/*
 * section_certificate: reads what certificate blocks name, as whoever reads
 * the configuration: the workers never open a key.
 *
 * What would make a client refuse us is an error where we can know it, and a
 * warning where only time makes it so: an expired certificate is no reason
 * to lose mail.
 */
#include <string.h>
#include <time.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/section.h"
#include "io/tls.h"

struct certificate_block {
	char *chain, *key;
	const char *key_type; /* NULL until it is known to be good */
};

#define AT(member) offsetof(struct certificate_block, member)

static const struct config_key keys[] = {
    {"chain", KEY_PATH, AT(chain), .doc = "must be given",
	.help = "PEM file: the certificate, then those that vouch for it"},
    {"key", KEY_PATH, AT(key), .doc = "must be given",
	.help = "PEM file: its private key, without a passphrase"},
};

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

/* Where it is to be mended: at the file's own key, or at the block's name. */
static struct config_item
where(const struct config_block *b, enum tls_fault fault)
{
	if (fault == TLS_BAD_KEY || fault == TLS_MISMATCH)
		return config_where(b, "key");
	if (fault == TLS_WRONG_NAME)
		return (struct config_item){NULL, b->file, b->line};
	return config_where(b, "chain");
}

static void
fault_of(struct config_faults *f, const struct config_block *b,
    enum tls_fault fault, const char *detail)
{
	const char *colon = detail[0] ? ": " : "";
	struct config_item at = where(b, fault);

	if (fault == TLS_GOOD)
		return;
	if (fault < TLS_EXPIRED)
		config_error(f, at.file, at.line,
		    "certificate \"%.80s\": %s%s%s", b->title, describe(fault),
		    colon, detail);
	else
		config_warn(f, at.file, at.line, "certificate \"%.80s\": %s",
		    b->title, describe(fault));
}

/* A client that asks for a name gets the first certificate that covers it
 * and whose type of key it knows. */
static void
check_twin(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_block *o = config_block_first(all, b->section);
	const struct certificate_block *data = b->data, *other;

	for (; o != b; o = config_block_next(o)) {
		other = o->data;
		if (!other->key_type ||
		    strcmp(other->key_type, data->key_type) != 0 ||
		    !ascii_equal_str(span_str(o->title), b->title))
			continue;
		config_error(f, b->file, b->line,
		    "certificate \"%.80s\" is there already, in line %u of "
		    "%s, with an %s key too: one of them would never be used",
		    b->title, o->line, o->file, data->key_type);
		return;
	}
}

/* Most clients know authorities, and none of those that these vouch for. */
static void
check_chain(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	struct config_item at = config_where(b, "chain");
	struct buf issuer = {0};

	if (tls_lacks_issuer(all->pub.tls, &issuer))
		config_warn(f, at.file, at.line,
		    "certificate \"%.80s\": chain has no certificate of "
		    "'%.*s': add it behind our own one",
		    b->title, (int)issuer.len, issuer.data);
	buf_free(&issuer);
}

/* The two files, already read. */
static void
add_pem(struct config_all *all, struct config_faults *f,
    const struct config_block *b, struct span chain, struct span key)
{
	struct certificate_block *data = b->data;
	const char *detail;
	enum tls_fault fault;

	fault =
	    tls_add(all->pub.tls, b->title, chain, key, time(NULL), &detail);
	fault_of(f, b, fault, detail);
	if (fault != TLS_GOOD && fault < TLS_EXPIRED)
		return;
	data->key_type = tls_key_type(all->pub.tls);
	check_twin(all, f, b);
	check_chain(all, f, b);
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const struct certificate_block *data = b->data;
	struct config_item chain_at = config_where(b, "chain");
	struct config_item key_at = config_where(b, "key");
	struct buf chain = {0}, key = {0};
	bool good;

	if (!all->pub.tls)
		all->pub.tls = tls_new();
	if (!chain_at.text || !key_at.text) {
		config_error(f, b->file, b->line,
		    "certificate \"%.80s\" needs both chain and key, the "
		    "paths of two files in PEM",
		    b->title);
		return;
	}
	if (!data->chain || !data->key) /* no paths */
		return;
	good = config_read_pem(all, f, &chain_at, data->chain, &chain);
	if (config_read_pem(all, f, &key_at, data->key, &key))
		config_check_secret(all, f, &key_at, data->key);
	else
		good = false;
	if (good)
		add_pem(all, f, b, buf_span(&chain), buf_span(&key));
	buf_free(&chain);
	buf_wipe(&key);
}

/* What only follows from another fault is not said. */
static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config_block *first =
	    config_block_first(all, &section_certificate);
	const struct config_block *b;

	if (!first || !all->pub.hostname)
		return;
	for (b = first; b; b = config_block_next(b)) {
		const struct certificate_block *data = b->data;

		if (!data->key_type)
			return;
	}
	if (tls_covers(all->pub.tls, all->pub.hostname))
		tls_prefer(all->pub.tls, all->pub.hostname);
	else
		config_warn(f, first->file, first->line,
		    "no certificate covers the hostname \"%.80s\": clients "
		    "that ask for it get this one",
		    all->pub.hostname);
}

const struct config_section section_certificate = {
    .name = "certificate",
    .title = "NAME",
    .help = "a certificate for TLS; clients choose by its names",
    KEYS(keys),
    .size = sizeof(struct certificate_block),
    .build = build,
    .check = check,
};

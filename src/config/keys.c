/*
 * config_keys: the table. A key that is not a row here does not exist: the
 * parser refuses it, and the lint fails until the manual and the example
 * name every row.
 */
#include "config/keys.h"

#include <string.h>

#include "config/config.h"
#include "config/tree.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define TIB (MIB << 20)

#define SECOND 1000ull
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

#define ALL(member)    offsetof(struct config_all, member)
#define LISTEN(member) offsetof(struct config_listen_block, member)
#define CERT(member)   offsetof(struct config_certificate_block, member)
#define DOMAIN(member) offsetof(struct config_domain_block, member)
#define CLIENT(member) offsetof(struct config_client_block, member)

static const struct config_key top_keys[] = {
    {.name = "hostname",
	.type = KEY_HOST,
	.doc = "the machine's full name",
	.offset = ALL(pub.hostname),
	.help = "name in the greeting, in Received lines and in file names"},
    {.name = "greeting",
	.type = KEY_TEXT,
	.def = "ESMTP ready",
	.min = 1,
	.max = 200,
	.offset = ALL(greeting),
	.help = "text behind the name in the greeting"},
    {.name = "user",
	.type = KEY_TEXT,
	.def = "smtpd",
	.min = 1,
	.max = 32,
	.offset = ALL(pub.user),
	.help = "account that owns all mail and runs the workers"},
    {.name = "group",
	.type = KEY_TEXT,
	.doc = "the group of user",
	.min = 1,
	.max = 32,
	.offset = ALL(pub.group),
	.help = "group that the workers run as"},
    {.name = "spool",
	.type = KEY_PATH,
	.def = "/var/spool/smtpd",
	.offset = ALL(pub.spool),
	.help = "directory for bodies on their way in, and for the lock"},
    {.name = "spool-volatile",
	.type = KEY_BOOL,
	.def = "no",
	.offset = ALL(pub.spool_volatile),
	.help = "run even if the spool does not survive a power cut"},
    {.name = "workers",
	.type = KEY_NUMBER,
	.doc = "half of the processors, 1 to 4",
	.min = 1,
	.max = 31,
	.offset = ALL(pub.workers),
	.help = "processes that serve clients"},
    {.name = "threads",
	.type = KEY_NUMBER,
	.def = "4",
	.min = 1,
	.max = 64,
	.offset = ALL(pub.threads),
	.help = "threads in each worker for what blocks, such as fsync"},
    {.name = "message-size",
	.type = KEY_SIZE,
	.def = "50M",
	.min = 64 * KIB,
	.max = TIB,
	.offset = ALL(message_size),
	.help = "largest message that is taken"},
    {.name = "recipient-delimiter",
	.type = KEY_CHAR,
	.def = "+",
	.offset = ALL(delimiter),
	.help = "what separates user and detail; \"\" for no details"},
    {.name = "local-part-case",
	.type = KEY_WORD,
	.def = "fold",
	.words = {"fold", "keep"},
	.offset = ALL(keep_case),
	.help = "whether Alice and alice are one user (fold) or two (keep)"},
    {.name = "postmaster",
	.type = KEY_ADDRESS,
	.doc = "none",
	.offset = ALL(postmaster),
	.help = "address that takes postmaster's mail where no domain does"},
    {.name = "drain",
	.type = KEY_DURATION,
	.def = "5m",
	.min = 0,
	.max = DAY,
	.offset = ALL(pub.drain),
	.help = "time that a leaving worker gives to what is in flight"},
    {.name = "failed",
	.type = KEY_PATH,
	.doc = "failed in the spool",
	.offset = ALL(pub.failed),
	.help = "Maildir for mail that could not be delivered until expire"},
    {.name = "expire",
	.type = KEY_DURATION,
	.def = "5d",
	.min = SECOND,
	.max = 365 * DAY,
	.offset = ALL(pub.deliver.expire),
	.help = "time that accepted mail waits for its mailbox"},
};

static const struct config_key listen_keys[] = {
    {.name = "role",
	.type = KEY_WORD,
	.def = "mx",
	.words = {"mx", "submission"},
	.offset = LISTEN(role),
	.help = "mx: mail for our domains; submission: mail of our users"},
    {.name = "tls",
	.type = KEY_WORD,
	.def = "starttls",
	.words = {"starttls", "implicit", "off"},
	.offset = LISTEN(tls),
	.help = "STARTTLS, TLS from the first octet, or neither"},
    {.name = "hostname",
	.type = KEY_HOST,
	.doc = "the top-level hostname",
	.offset = LISTEN(hostname),
	.help = "name in the greeting of this address"},
    {.name = "greeting",
	.type = KEY_TEXT,
	.doc = "the top-level greeting",
	.min = 1,
	.max = 200,
	.offset = LISTEN(greeting),
	.help = "text behind the name in the greeting of this address"},
};

static const struct config_key certificate_keys[] = {
    {.name = "chain",
	.type = KEY_PATH,
	.doc = "must be given",
	.offset = CERT(chain),
	.help = "PEM file: the certificate, then those that vouch for it"},
    {.name = "key",
	.type = KEY_PATH,
	.doc = "must be given",
	.offset = CERT(key),
	.help = "PEM file: its private key, without a passphrase"},
};

static const struct config_key auth_keys[] = {
    {.name = "password-file",
	.type = KEY_PATH,
	.doc = "none: nobody can log in",
	.offset = ALL(password_file),
	.help = "users and their passwords, as smtpd passwd prints them"},
    {.name = "dovecot",
	.type = KEY_PATH,
	.doc = "none",
	.offset = ALL(dovecot),
	.help = "auth socket of Dovecot, instead of a password file"},
    {.name = "mechanisms",
	.type = KEY_LIST,
	.doc = "all of them",
	.help = "PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS"},
    {.name = "senders-file",
	.type = KEY_PATH,
	.doc = "none: each user's own addresses",
	.offset = ALL(senders_file),
	.help = "\"login: address, @domain\" a line: who sends as whom"},
};

static const struct config_key domain_keys[] = {
    {.name = "users",
	.type = KEY_LIST,
	.doc = "none",
	.help = "local parts that have a mailbox"},
    {.name = "users-file",
	.type = KEY_PATH,
	.doc = "none",
	.offset = DOMAIN(users_file),
	.help = "file with one such local part a line"},
    {.name = "users-from",
	.type = KEY_PATH,
	.doc = "none",
	.offset = DOMAIN(users_from),
	.help = "directory in which each directory is a user; %d: domain"},
    {.name = "catch-all",
	.type = KEY_ADDRESS,
	.doc = "none: unknown recipients are refused",
	.offset = DOMAIN(catch_all),
	.help = "address that takes mail for everybody else"},
    {.name = "aliases",
	.type = KEY_LIST,
	.doc = "none",
	.help = "\"name: target, target\", each target a local address"},
    {.name = "aliases-file",
	.type = KEY_PATH,
	.doc = "none",
	.offset = DOMAIN(aliases_file),
	.help = "file with one such alias a line"},
    {.name = "deliver",
	.type = KEY_DELIVER,
	.def = "maildir:/var/lib/smtpd/mail/%d/%u",
	.offset = DOMAIN(deliver),
	.help = "Maildir of each user; %d domain, %u user, %t detail"},
    {.name = "message-size",
	.type = KEY_SIZE,
	.doc = "the top-level message-size",
	.min = 64 * KIB,
	.max = TIB,
	.offset = DOMAIN(message_size),
	.help = "largest message for this domain"},
};

static const struct config_key client_keys[] = {
    {.name = "bare-newline",
	.type = KEY_WORD,
	.def = "reject",
	.words = {"reject", "normalize"},
	.gone = {"keep", "normalize"},
	.offset = CLIENT(bare_newline),
	.help = "messages with a CR or LF that is not part of a CRLF"},
};

static const struct config_key log_keys[] = {
    {.name = "to",
	.type = KEY_WORD,
	.def = "stderr",
	.words = {"stderr", "syslog"},
	.offset = ALL(pub.log_to),
	.help = "where the log goes"},
    {.name = "format",
	.type = KEY_WORD,
	.def = "text",
	.words = {"text", "json"},
	.offset = ALL(pub.log_format),
	.help = "key=value pairs, or JSON"},
    {.name = "level",
	.type = KEY_WORD,
	.def = "info",
	.words = {"error", "warn", "info", "trace"},
	.offset = ALL(pub.log_level),
	.help = "least important event that is logged"},
};

#define KEYS(k) .keys = (k), .nkeys = sizeof(k) / sizeof((k)[0])

const struct config_section config_sections[SECTIONS] = {
    [SECTION_TOP] = {.name = "top",
	.help = "the server as a whole",
	KEYS(top_keys)},
    [SECTION_LISTEN] = {.name = "listen",
	.title = "ADDR:PORT",
	.size = sizeof(struct config_listen_block),
	.help = "an address to serve; * is all of IPv4 and IPv6",
	KEYS(listen_keys)},
    [SECTION_CERTIFICATE] = {.name = "certificate",
	.title = "NAME",
	.size = sizeof(struct config_certificate_block),
	.help = "a certificate for TLS; clients choose by its names",
	KEYS(certificate_keys)},
    [SECTION_AUTH] = {.name = "auth",
	.help = "who may log in on a submission address",
	KEYS(auth_keys)},
    [SECTION_DOMAIN] = {.name = "domain",
	.title = "NAME",
	.size = sizeof(struct config_domain_block),
	.help = "a domain that mail is taken for",
	KEYS(domain_keys)},
    [SECTION_CLIENT] = {.name = "client",
	.title = "NETWORK",
	.size = sizeof(struct config_client_block),
	.help = "what is different for clients of a network; first match",
	KEYS(client_keys)},
    [SECTION_LIMITS] = {.name = "limits",
	.help = "what one client, or all of them, may use",
	KEYS(config_limits_keys)},
    [SECTION_JOURNAL] = {.name = "journal",
	.help = "how accepted mail is made durable",
	KEYS(config_journal_keys)},
    [SECTION_LOG] = {.name = "log", .help = "the log", KEYS(log_keys)},
};

const struct config_section *
config_section_find(struct span name)
{
	for (unsigned i = SECTION_TOP + 1; i < SECTIONS; i++) {
		if (span_equal(name, span_str(config_sections[i].name)))
			return &config_sections[i];
	}
	return NULL;
}

const struct config_key *
config_key_find(const struct config_section *s, struct span name)
{
	for (unsigned i = 0; i < s->nkeys; i++) {
		if (span_equal(name, span_str(s->keys[i].name)))
			return &s->keys[i];
	}
	return NULL;
}

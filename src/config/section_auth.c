/*
 * section_auth: who may log in, and who may send as whom. Faults in the files
 * carry their own name and line, and no more of a line than its login.
 */
#include <string.h>
#include <sys/un.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/section.h"
#include "policy/auth.h"
#include "policy/senders.h"

struct auth_block {
	char *password_file, *dovecot, *senders_file;
};

#define AT(member) offsetof(struct auth_block, member)

static const struct config_key keys[] = {
    {"password-file", KEY_PATH, AT(password_file),
	.doc = "none: nobody can log in",
	.help = "users and their passwords, as smtpd passwd prints them"},
    {"dovecot", KEY_PATH, AT(dovecot), .doc = "none",
	.help = "auth socket of Dovecot, instead of a password file"},
    {"mechanisms", KEY_LIST, .doc = "all of them",
	.help = "PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS"},
    {"senders-file", KEY_PATH, AT(senders_file),
	.doc = "none: each user's own addresses",
	.help = "\"login: address, @domain\" a line: who sends as whom"},
};

static unsigned
mechanism_of(const char *name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {{"PLAIN", AUTH_PLAIN}, {"LOGIN", AUTH_LOGIN},
	    {"SCRAM-SHA-256", AUTH_SCRAM},
	    {"SCRAM-SHA-256-PLUS", AUTH_SCRAM_PLUS}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (ascii_equal_str(span_str(name), known[i].name))
			return known[i].bit;
	return 0;
}

static void
build_mechanisms(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	const struct config_list *l = config_values(b, "mechanisms");
	unsigned bits = 0;

	for (unsigned i = 0; i < l->n; i++) {
		unsigned bit = mechanism_of(l->items[i].text);

		if (!bit)
			config_error(f, l->items[i].file, l->items[i].line,
			    "mechanisms: \"%.80s\" is none of PLAIN, LOGIN, "
			    "SCRAM-SHA-256, SCRAM-SHA-256-PLUS",
			    l->items[i].text);
		bits |= bit;
	}
	all->pub.auth.mechanisms =
	    l->n ? bits
		 : AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM | AUTH_SCRAM_PLUS;
}

static bool
is_ours(const void *ctx, struct span domain)
{
	const struct config *c = ctx; /* its domains are built later */
	char name[SMTP_DOMAIN_MAX + 1];

	if (domain.len > SMTP_DOMAIN_MAX)
		return false;
	memcpy(name, domain.ptr, domain.len);
	name[domain.len] = '\0';
	return recipients_domain(c->deliver.recipients, name) != NULL;
}

static void
build_users(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	const struct auth_block *data = b->data;
	struct config_item at = config_where(b, "password-file");
	struct config_list lines = {0};
	unsigned errors = f->errors;

	if (!data->password_file)
		return;
	all->pub.auth.users = auth_users_new();
	auth_users_serve(all->pub.auth.users, is_ours, &all->pub);
	config_read_lines(all, f, &at, data->password_file, &lines);
	config_check_secret(all, f, &at, data->password_file);
	for (unsigned i = 0; i < lines.n; i++) {
		const struct config_item *l = &lines.items[i];
		const char *bad =
		    auth_users_add(all->pub.auth.users, span_str(l->text));

		if (bad)
			config_error(f, l->file, l->line, "%s", bad);
	}
	if (!lines.n && f->errors == errors)
		config_warn(f, at.file, at.line,
		    "password-file \"%.80s\" has no user: add lines made by "
		    "smtpd passwd",
		    data->password_file);
}

/* A line may be one of the password file: only the login is shown. */
static void
fault_sender(struct config_faults *f, const struct config_item *l,
    const char *why)
{
	const char *colon = strchr(l->text, ':');
	size_t n = colon ? (size_t)(colon - l->text) : 0;

	if (n)
		config_error(f, l->file, l->line, "\"%.*s\": %s",
		    n < 80 ? (int)n : 80, l->text, why);
	else
		config_error(f, l->file, l->line, "%s", why);
}

static void
build_senders(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	const struct auth_block *data = b->data;
	struct config_item at = config_where(b, "senders-file");
	struct config_list lines = {0};

	if (!data->senders_file)
		return;
	all->pub.senders = senders_new();
	config_read_lines(all, f, &at, data->senders_file, &lines);
	for (unsigned i = 0; i < lines.n; i++) {
		const struct config_item *l = &lines.items[i];
		const char *bad =
		    senders_add(all->pub.senders, span_str(l->text));

		if (bad)
			fault_sender(f, l, bad);
	}
}

/* One of the two; a thread is left for the disk while others hash. */
static void
build_dovecot(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	const struct auth_block *data = b->data;
	struct config_item at = config_where(b, "dovecot");
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	all->pub.auth.hashes = all->pub.threads > 2 ? 2 : 1;
	all->pub.auth.dovecot = data->dovecot;
	if (data->dovecot && data->password_file)
		config_error(f, at.file, at.line,
		    "dovecot and password-file: choose one of them");
	if (data->dovecot && strlen(data->dovecot) > max)
		config_error(f, at.file, at.line,
		    "dovecot = \"%.80s...\": the path of a socket has at most "
		    "%zu octets",
		    data->dovecot, max);
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	build_dovecot(all, f, b);
	build_mechanisms(all, f, b);
	build_users(all, f, b);
	build_senders(all, f, b);
}

static void
machine(const struct config_all *all, struct config_faults *f)
{
	struct config_item at =
	    config_where(config_block_first(all, &section_auth), "dovecot");

	if (all->pub.auth.dovecot)
		config_check_socket(all, f, &at, all->pub.auth.dovecot,
		    "unix_listener auth-smtpd");
}

const struct config_section section_auth = {
    .name = "auth",
    .help = "who may log in on a submission address",
    KEYS(keys),
    .size = sizeof(struct auth_block),
    .build = build,
    .machine = machine,
};

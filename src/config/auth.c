/*
 * config_auth: who may log in, and who may send as whom. Faults in the files
 * carry their own name and line; what a line holds is never shown.
 */
#include <assert.h>
#include <string.h>
#include <sys/un.h>

#include "base/ascii.h"
#include "config/tree.h"
#include "policy/auth.h"
#include "policy/senders.h"

static struct config_block *
auth_block(struct config_all *all)
{
	struct config_block *b = all->blocks;

	while (b && b->section != &config_sections[SECTION_AUTH])
		b = b->next;
	return b;
}

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
	const struct config_list *l = config_block_list(b,
	    config_key_find(b->section, SPAN_LIT("mechanisms")));
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
	struct config_item at = config_where(b, "password-file");
	struct config_list lines = {0};
	unsigned errors = f->errors;

	if (!all->password_file)
		return;
	all->pub.auth.users = auth_users_new();
	auth_users_serve(all->pub.auth.users, is_ours, &all->pub);
	config_read_lines(all, f, &at, all->password_file, &lines);
	config_check_secret(all, f, &at, all->password_file);
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
		    all->password_file);
}

static void
build_senders(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	struct config_item at = config_where(b, "senders-file");
	struct config_list lines = {0};

	if (!all->senders_file)
		return;
	all->pub.senders = senders_new();
	config_read_lines(all, f, &at, all->senders_file, &lines);
	for (unsigned i = 0; i < lines.n; i++) {
		const struct config_item *l = &lines.items[i];
		const char *bad =
		    senders_add(all->pub.senders, span_str(l->text));

		if (bad)
			config_error(f, l->file, l->line, "\"%.80s\": %s",
			    l->text, bad);
	}
}

/* One of the two; a thread is left for the disk while others hash. */
static void
build_dovecot(struct config_all *all, struct config_faults *f,
    struct config_block *b)
{
	struct config_item at = config_where(b, "dovecot");
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	all->pub.auth.hashes = all->pub.threads > 2 ? 2 : 1;
	all->pub.auth.dovecot = all->dovecot;
	if (all->dovecot && all->password_file)
		config_error(f, at.file, at.line,
		    "dovecot and password-file: choose one of them");
	if (all->dovecot && strlen(all->dovecot) > max)
		config_error(f, at.file, at.line,
		    "dovecot = \"%.80s...\": the path of a socket has at most "
		    "%zu octets",
		    all->dovecot, max);
}

void
config_build_auth(struct config_all *all, struct config_faults *f)
{
	struct config_block *b = auth_block(all);

	assert(b); /* config_build() has added it */
	build_dovecot(all, f, b);
	build_mechanisms(all, f, b);
	build_users(all, f, b);
	build_senders(all, f, b);
}

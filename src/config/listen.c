/*
 * config_listen: the addresses that listen blocks name.
 */
#include <string.h>

#include "base/ascii.h"
#include "config/tree.h"

static void
fault_address(struct config_faults *f, const struct config_block *b)
{
	config_error(f, b->file, b->line,
	    "listen \"%.80s\": write an address and a port, such as "
	    "\"*:25\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
	    b->title);
}

/* "ADDR:PORT" with ADDR as it stands, brackets removed. */
static int
split(struct span text, struct span *addr, uint16_t *port)
{
	const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	uint64_t n;

	if (!colon)
		return -1;
	*addr = (struct span){text.ptr, (size_t)(colon - text.ptr)};
	span_skip(&text, addr->len + 1);
	if (ascii_parse_u64(text, 65535, &n) < 0 || n == 0)
		return -1;
	*port = (uint16_t)n;
	return 0;
}

/* IPv6 wants its brackets, IPv4 wants none. */
static int
parse_address(struct span text, struct ipaddr *r)
{
	bool brackets =
	    text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';

	if (brackets) {
		span_skip(&text, 1);
		text.len--;
	}
	if (ipaddr_parse(text, r) < 0)
		return -1;
	return brackets == (memchr(text.ptr, ':', text.len) != NULL) ? 0 : -1;
}

static bool
is_duplicate(const struct config_all *all, struct config_faults *f,
    const struct config_listen *new, const char *file)
{
	const struct config_listen *l = all->pub.listens;

	for (; l < all->pub.listens + all->pub.nlistens; l++) {
		if (l->port != new->port || !ipaddr_equal(&l->addr, &new->addr))
			continue;
		config_error(f, file, new->line,
		    "listen \"%.80s\": line %u listens there already, as "
		    "\"%.80s\"",
		    new->text, l->line, l->text);
		return true;
	}
	return false;
}

/* With a block that is wrong there is nothing more to say: it stops the start
 * by itself. */
static bool
has_certificate(const struct config_all *all)
{
	return all->pub.tls != NULL;
}

static int
add(struct config_all *all, struct config_faults *f,
    const struct config_block *b, struct ipaddr addr, uint16_t port)
{
	const struct config_listen_block *data = b->data;
	struct config_listen l = {
	    .text = arena_dup(&all->arena, span_str(b->title)),
	    .line = b->line,
	    .addr = addr,
	    .port = port,
	    .role = data->role,
	    .tls = data->tls,
	    .smtp = {.hostname = data->hostname,
		.greeting = data->greeting,
		.message_size = all->message_size,
		.line = all->line,
		.recipients = all->recipients,
		.errors = all->errors,
		.submission = data->role == ROLE_SUBMISSION,
		.starttls = has_certificate(all) && data->tls == TLS_STARTTLS},
	};

	if (is_duplicate(all, f, &l, b->file))
		return -1;
	all->pub.listens[all->pub.nlistens++] = l;
	return 0;
}

/* What somebody still needs who is to log in; NULL: nothing. */
static const char *
missing_for_login(const struct config_all *all)
{
	bool auth = all->pub.auth.users || all->pub.auth.dovecot;

	if (has_certificate(all))
		return auth ? NULL : "an auth block with a password-file";
	return auth ? "a certificate block"
		    : "a certificate block, and an auth block with a "
		      "password-file";
}

/* What cannot be done as it is written is said where it is written. */
static void
check_role(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct config_listen_block *data = b->data;
	struct config_item tls = config_where(b, "tls");
	struct config_item role = config_where(b, "role");

	if (data->tls == TLS_IMPLICIT && !has_certificate(all))
		config_error(f, tls.file, tls.line,
		    "tls = implicit needs a certificate: write a block "
		    "certificate \"%.80s\" { chain = ... key = ... }",
		    data->hostname ? data->hostname : "mx.example.org");
	if (data->role != ROLE_SUBMISSION || !b->file || all->builtin)
		return;
	if (data->tls == TLS_OFF)
		config_warn(f, tls.file, tls.line,
		    "tls = off: nobody logs in without TLS, so role = "
		    "submission answers every MAIL with 530");
	else if (missing_for_login(all))
		config_warn(f, role.file, role.line,
		    "role = submission needs %s: until then it greets, and "
		    "answers MAIL with 530",
		    missing_for_login(all));
}

static void
build_listen(struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const uint8_t zero[16] = {0};
	struct config_listen_block *data = b->data;
	struct ipaddr addr;
	struct span host;
	uint16_t port;

	if (!data->hostname)
		data->hostname = all->pub.hostname;
	if (!data->greeting)
		data->greeting = all->greeting;
	check_role(all, f, b);
	if (split(span_str(b->title), &host, &port) < 0) {
		fault_address(f, b);
	} else if (span_equal(host, SPAN_LIT("*"))) {
		if (add(all, f, b, ipaddr_v4(zero), port) == 0)
			add(all, f, b, ipaddr_v6(zero), port);
	} else if (parse_address(host, &addr) == 0) {
		add(all, f, b, addr, port);
	} else {
		fault_address(f, b);
	}
}

void
config_build_listens(struct config_all *all, struct config_faults *f)
{
	const struct config_section *s = &config_sections[SECTION_LISTEN];
	unsigned n = 0;

	for (struct config_block *b = all->blocks; b; b = b->next)
		n += b->section == s;
	all->pub.listens =
	    arena_alloc(&all->arena, 2 * n * sizeof(*all->pub.listens));
	for (struct config_block *b = all->blocks; b; b = b->next) {
		if (b->section == s)
			build_listen(all, f, b);
	}
}

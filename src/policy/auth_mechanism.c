/*
 * auth_mechanism: which mechanisms there are, and which of them are offered
 * now.
 */
#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "policy/auth_exchange.h"

/* In the order in which they are listed. */
static const struct auth_mechanism_row mechanisms[] = {
    {"PLAIN", AUTH_PLAIN, auth_step_plain, ""},
    {"LOGIN", AUTH_LOGIN, auth_step_login, "Username:"},
    {"SCRAM-SHA-256", AUTH_SCRAM, auth_step_scram, ""},
    {"SCRAM-SHA-256-PLUS", AUTH_SCRAM_PLUS, auth_step_scram, ""},
};
#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

const struct auth_mechanism_row *
auth_mechanism_find(struct span name)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (ascii_equal_str(name, mechanisms[i].name))
			return &mechanisms[i];
	return NULL;
}

const char *
auth_mechanism_foreign(struct span name)
{
	static const char *const others[] = {"ANONYMOUS", "CRAM-MD5",
	    "DIGEST-MD5", "EXTERNAL", "GSSAPI", "NTLM", "OAUTHBEARER",
	    "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "XOAUTH2"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (ascii_equal_str(name, others[i]))
			return others[i];
	return NULL;
}

static void
make_list(struct auth *a, bool binding)
{
	struct buf list = {0};

	for (size_t i = 0; i < MECHANISMS; i++) {
		if (!auth_offers(a, mechanisms[i].bit, binding))
			continue;
		if (list.len)
			buf_append(&list, " ", 1);
		buf_append_str(&list, mechanisms[i].name);
	}
	buf_append(&list, "", 1);
	assert(list.len <= sizeof(a->lists[binding]));
	memcpy(a->lists[binding], list.data, list.len);
	buf_free(&list);
}

void
auth_offer(struct auth *a, unsigned mechanisms_now)
{
	a->offers = a->options->mechanisms & mechanisms_now;
	make_list(a, false);
	make_list(a, true);
}

const char *
auth_list(const struct auth *a, bool binding)
{
	return a->lists[binding];
}

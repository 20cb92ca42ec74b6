/*
 * probe_sts: the policy's text, and an id made of it, so that the two change
 * together.
 */
#include "tools/probe_sts.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "config/config.h"
#include "io/digest.h"

static const char *const modes[] = {PROBE_STS_TESTING, PROBE_STS_ENFORCE,
    PROBE_STS_NONE};
#define NMODES (sizeof(modes) / sizeof(modes[0]))

const char *
probe_sts_mode(const char *text)
{
	for (size_t i = 0; i < NMODES; i++)
		if (!strcmp(text, modes[i]))
			return modes[i];
	return NULL;
}

/* Is it a name that takes mail, and not met before? */
static bool
is_new_host(const struct config *c, unsigned i)
{
	if (c->listens[i].role != ROLE_MX)
		return false;
	for (unsigned j = 0; j < i; j++)
		if (c->listens[j].role == ROLE_MX &&
		    ascii_equal_str(span_str(c->listens[j].smtp.hostname),
			c->listens[i].smtp.hostname))
			return false;
	return true;
}

bool
probe_sts_host(const struct config *c, unsigned nth, const char **r)
{
	for (unsigned i = 0; i < c->nlistens; i++) {
		if (!is_new_host(c, i) || nth--)
			continue;
		*r = c->listens[i].smtp.hostname;
		return true;
	}
	return false;
}

void
probe_sts_policy(const struct config *c, const char *mode, struct buf *out)
{
	const char *host;

	buf_printf(out, "version: STSv1\nmode: %s\n", mode);
	for (unsigned i = 0; probe_sts_host(c, i, &host); i++)
		buf_printf(out, "mx: %s\n", host);
	buf_append_str(out, "max_age: 604800\n");
}

void
probe_sts_id(const struct config *c, const char *mode,
    char id[PROBE_STS_ID_LEN + 1])
{
	struct buf policy = {0};
	uint8_t hash[DIGEST_LEN];

	probe_sts_policy(c, mode, &policy);
	digest_sha256(buf_span(&policy), hash);
	buf_free(&policy);
	for (unsigned i = 0; i < PROBE_STS_ID_LEN / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", hash[i]);
}

bool
probe_sts_is_ours(const struct config *c, const char *id)
{
	char ours[PROBE_STS_ID_LEN + 1];

	for (size_t i = 0; i < NMODES; i++) {
		probe_sts_id(c, modes[i], ours);
		if (!strcmp(ours, id))
			return true;
	}
	return false;
}

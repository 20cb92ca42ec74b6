/*
 * identity: the words that config and setup share.
 */
#include "config/identity.h"

#include <stdio.h>

const char *
identity_make(const char *key, const char *name, char help[IDENTITY_HELP])
{
	const char *make =
	    key[0] == 'u'
		? "useradd --system --user-group --no-create-home --home-dir / "
		  "--shell /usr/sbin/nologin"
		: "groupadd --system";

	snprintf(help, IDENTITY_HELP, "make it: %s %.60s", make, name);
	return help;
}

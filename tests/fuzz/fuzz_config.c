/*
 * The configuration, whole: the text up to the first NUL is the file, what is
 * behind it is every other file that it may name. What was good is printed,
 * and reads back the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "config/config.h"
#include "config/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct span file, others;
static unsigned errors, warnings;

/* These two stand before the C library's: no disk, no name server. */
int
open(const char *path, int flags, ...)
{
	struct span text = strcmp(path, "/m") == 0 ? file : others;
	int fd;

	errno = ENOENT;
	if (flags & O_DIRECTORY)
		return -1;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (write(fd, text.ptr, text.len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	return fd;
}

int
gethostname(char *name, size_t len)
{
	memcpy(name, "mx.example.org", len < 15 ? len : 15);
	return 0;
}

static void
on_fault(void *ctx, bool warn, const char *name, unsigned line,
    const char *text)
{
	(void)ctx;
	(void)line;
	if (!utf8_shows(span_str(name)) || !*text ||
	    !utf8_shows(span_str(text)))
		abort();
	errors += !warn;
	warnings += warn;
}

/* NULL, or what smtpd -n -v says, to be freed. */
static char *
load(size_t *len_r)
{
	struct config *c;
	enum config_status status;
	char *text = NULL;
	FILE *f;

	errors = warnings = 0;
	status = config_load("/m", NULL, on_fault, NULL, &c);
	if (status == CONFIG_MISSING || !c != (errors > 0) ||
	    status != (errors        ? CONFIG_ERRORS
			  : warnings ? CONFIG_WARNINGS
				     : CONFIG_OK))
		abort();
	if (!c)
		return NULL;
	f = open_memstream(&text, len_r);
	config_print(c, f);
	fclose(f);
	config_free(&c);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	size_t len, len2, cut = n ? strnlen(text, n) : 0;
	char *printed, *again;

	file = (struct span){text, cut};
	others = (struct span){text + cut, n - cut};
	span_skip(&others, cut < n);
	printed = load(&len);
	if (!printed)
		return 0;
	file = (struct span){printed, len};
	again = load(&len2);
	if (!again || strcmp(printed, again) != 0)
		abort();
	free(again);
	free(printed);
	return 0;
}

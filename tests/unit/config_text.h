/*
 * What the tests of the configuration share: a directory of their own, and
 * a configuration with all its faults.
 */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

#define HOST "hostname = \"mx.example.org\"\n"
#define DOMAIN                                                                 \
	"domain \"example.org\" { users = { \"alice\" } "                      \
	"aliases = { \"postmaster: alice\", \"abuse: alice\" } }\n"

/* No test asks the network what this machine is called: there is no child that
 * would. */
#ifndef CONFIG_OWN_LOOKUP
pid_t
fork(void)
{
	errno = EAGAIN;
	return -1;
}
#endif

struct loaded {
	struct config *config;
	enum config_status status;
	struct {
		bool warn;
		char file[128];
		unsigned line;
		char text[512];
	} faults[64];
	unsigned n, errors;
};

static char test_dir[] = "/tmp/smtpd-config-XXXXXX";

static inline int
make_dir(void **state)
{
	(void)state;
	umask(077); /* secrets without a warning */
	return mkdtemp(test_dir) ? 0 : -1;
}

static inline int
remove_dir(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", test_dir);
	return system(command);
}

static inline const char *
path_of(const char *name)
{
	static char path[2][256];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", test_dir, name);
	return path[turn];
}

static inline void
write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void
write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static inline void
collect(void *ctx, bool warn, const char *file, unsigned line, const char *text)
{
	struct loaded *l = ctx;
	unsigned i = l->n < 64 ? l->n : 63;

	l->faults[i].warn = warn;
	l->faults[i].line = line;
	snprintf(l->faults[i].file, sizeof(l->faults[i].file), "%s", file);
	snprintf(l->faults[i].text, sizeof(l->faults[i].text), "%s", text);
	l->n++;
	l->errors += !warn;
}

/* What the status says must agree with the faults, always. */
static inline void
reload(struct loaded *l, const char *path, const struct config *old)
{
	memset(l, 0, sizeof(*l));
	l->status = config_load(path, old, collect, l, &l->config);
	assert_int_equal(l->config == NULL, l->errors > 0);
	if (l->status == CONFIG_OK)
		assert_int_equal(l->n, 0);
	if (l->status == CONFIG_WARNINGS)
		assert_true(l->n > 0 && !l->errors);
	if (l->status == CONFIG_ERRORS)
		assert_true(l->errors > 0);
}

static inline void
load(struct loaded *l, const char *path)
{
	reload(l, path, NULL);
}

static inline void
load_text(struct loaded *l, const char *text)
{
	write_text("smtpd.conf", text);
	load(l, path_of("smtpd.conf"));
}

__attribute__((format(printf, 2, 3))) static inline void
load_format(struct loaded *l, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	assert_in_range(vsnprintf(text, sizeof(text), fmt, ap), 0,
	    sizeof(text) - 1);
	va_end(ap);
	load_text(l, text);
}

/* Loads what must be good and without a warning. */
static inline void
load_good(struct loaded *l, const char *text)
{
	load_text(l, text);
	if (l->n)
		print_error("%s:%u: %s\n", l->faults[0].file, l->faults[0].line,
		    l->faults[0].text);
	assert_int_equal(l->status, CONFIG_OK);
}

static inline void
assert_fault(const struct loaded *l, unsigned i, const char *file,
    unsigned line, const char *fragment)
{
	const char *name = strrchr(l->faults[i].file, '/');

	assert_true(i < l->n);
	if (!strstr(l->faults[i].text, fragment))
		print_error("not in \"%s\"\n", l->faults[i].text);
	assert_non_null(strstr(l->faults[i].text, fragment));
	assert_string_equal(name ? name + 1 : l->faults[i].file, file);
	assert_int_equal(l->faults[i].line, line);
}

/* One fault there is, in smtpd.conf; the configuration is of no more use. */
static inline void
assert_only(struct loaded *l, unsigned line, const char *fragment)
{
	assert_int_equal(l->n, 1);
	assert_fault(l, 0, "smtpd.conf", line, fragment);
	config_free(&l->config);
}

#endif

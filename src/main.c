/*
 * main: the command line. Reads the configuration, then checks it, prints
 * it, or runs with it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "io/log.h"
#include "master.h"
#include "setup.h"
#include "tools/passwd.h"

#ifndef SMTPD_VERSION
#define SMTPD_VERSION "unknown"
#endif

struct options {
	const char *file;
	bool check;
	bool foreground;
	bool verbose;
	bool keys;
};

static int
usage(void)
{
	fputs("usage: smtpd [-dnVv] [-f file]\n"
	      "       smtpd passwd [--no-scram] user\n"
	      "  -d       stay in the foreground, log to stderr\n"
	      "  -f file  read this configuration (default " CONFIG_PATH ")\n"
	      "  -n       check the configuration; with -v print it whole\n"
	      "  -v       log each session's steps\n"
	      "  -V       print the version\n"
	      "The manual is smtpd(8); the configuration's is smtpd.conf(5).\n",
	    stderr);
	return EXIT_USAGE;
}

/* -1: go on. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "Kdf:nVv")) != -1) {
		switch (c) {
		case 'K':
			o->keys = true;
			break;
		case 'd':
			o->foreground = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("smtpd " SMTPD_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	return optind == argc ? -1 : usage();
}

/* One line per fault, kept until it is known who is to read them. */
static void
keep_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	struct buf *faults = ctx;

	buf_append_str(faults, file);
	if (line)
		buf_printf(faults, ":%u", line);
	buf_printf(faults, ": %s: %s\n", warn ? "warning" : "error", text);
}

static int
check(const struct options *o, struct config *c, enum config_status status,
    struct buf *faults)
{
	enum config_status now = config_check(c, keep_fault, faults);

	fwrite(faults->data, 1, faults->len, stderr);
	if (now != CONFIG_OK)
		status = now;
	if (o->verbose)
		config_print(c, stdout);
	else if (status == CONFIG_OK)
		fprintf(stderr, "%s: good\n", o->file);
	if (!c->tls) /* no fault: port 25 demands none */
		fprintf(stderr,
		    "%s: note: no certificate block, so STARTTLS is not "
		    "offered\n",
		    o->file);
	config_free(&c);
	if (status == CONFIG_ERRORS)
		return EXIT_CONFIG;
	return status == CONFIG_OK ? 0 : EXIT_WARNINGS;
}

static int
run(const struct options *o, struct config *c, struct span warnings)
{
	const struct master_options m = {.file = o->file,
	    .foreground = o->foreground,
	    .verbose = o->verbose};

	return master_run(c, &m, warnings);
}

int
main(int argc, char **argv)
{
	struct options o = {.file = CONFIG_PATH};
	struct config *c = NULL;
	enum config_status status;
	struct buf faults = {0};
	int done;

	if (argc > 1 && strcmp(argv[1], "passwd") == 0)
		return passwd_main(argc - 1, argv + 1);
	done = parse_options(argc, argv, &o);

	if (done >= 0)
		return done;
	if (o.keys) {
		config_print_keys(stdout);
		return 0;
	}
	status = config_load(o.file, NULL, keep_fault, &faults, &c);
	if (faults.len && !c)
		fwrite(faults.data, 1, faults.len, stderr);
	if (!c)
		done = EXIT_CONFIG;
	else if (o.check)
		done = check(&o, c, status, &faults);
	else
		done = run(&o, c, buf_span(&faults));
	buf_free(&faults);
	return done;
}

/*
 * main: the command line. Reads the configuration, then checks it, prints
 * it, or runs with it.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config/config.h"
#include "config/print.h"
#include "io/log.h"
#include "master.h"
#include "metrics.h"
#include "setup.h"
#include "tools/tool.h"
#include "upgrade.h"
#include "version.h"

struct options {
	const char *file;
	bool check;
	bool foreground;
	bool verbose;
	bool keys, metrics;
};

static const struct {
	const char *name, *usage;
	int (*run)(int argc, char **argv);
} tools[] = {
#define TOOL(name, usage) {#name, usage, name##_main},
    TOOLS(TOOL)
#undef TOOL
};
#define NTOOLS (sizeof(tools) / sizeof(tools[0]))

static void
put_usage(FILE *f)
{
	fputs("usage: smtpd [-dnVv] [-f file]\n", f);
	for (size_t i = 0; i < NTOOLS; i++)
		fprintf(f, "       smtpd %s%s%s\n", tools[i].name,
		    *tools[i].usage ? " " : "", tools[i].usage);
	fputs("  -d       stay in the foreground, log to stderr\n"
	      "  -f file  read this configuration (default " CONFIG_PATH ")\n"
	      "  -n       check the configuration; with -v print it whole\n"
	      "  -v       log each session's steps\n"
	      "  -V       print the version\n"
	      "The manual is smtpd(8); the configuration's is smtpd.conf(5).\n",
	    f);
}

static int
usage(void)
{
	put_usage(stderr);
	return EXIT_USAGE;
}

/* Asked for, so it is no error. */
int
help_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	put_usage(stdout);
	return 0;
}

/* -1: go on. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "KMdf:nVv")) != -1) {
		switch (c) {
		case 'K':
			o->keys = true;
			break;
		case 'M':
			o->metrics = true;
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

/* The unit starts as the user, and root would not notice. */
static void
note_unreadable(const struct config *c)
{
	struct identity_own own;
	struct identity id;

	if (geteuid() != 0 || setup_identity(c, &id) != 0 ||
	    identity_assume(&id, &own) < 0)
		return;
	for (const struct config_file *f = c->files; f; f = f->next)
		if (faccessat(AT_FDCWD, f->path, R_OK, AT_EACCESS) < 0)
			fprintf(stderr,
			    "%s: note: user %s, as whom the unit starts smtpd, "
			    "cannot read it: chgrp %s, chmod 640\n",
			    f->path, c->user, c->group ? c->group : c->user);
	identity_resume(&own);
}

static int
check(const struct options *o, struct config *c, enum config_status status)
{
	enum config_status now = config_check(c, config_print_fault, stderr);

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
	if (now == CONFIG_OK) /* and so there is such a user */
		note_unreadable(c);
	config_free(&c);
	if (status == CONFIG_ERRORS)
		return EXIT_CONFIG;
	return status == CONFIG_OK ? 0 : EXIT_WARNINGS;
}

static struct master_options
for_master(const struct options *o, char **argv)
{
	return (struct master_options){.file = o->file,
	    .argv = argv,
	    .foreground = o->foreground,
	    .verbose = o->verbose};
}

/* In the place of the program that ran before, or on trial to be so. */
static int
resume(const struct options *o, char **argv, const char *env)
{
	const struct master_options m = for_master(o, argv);
	struct upgrade u;
	int client, status = EXIT_FAILED;
	const char *wrong = upgrade_read(&u, env, &client);

	unsetenv(UPGRADE_ENV); /* env is gone */
	if (!wrong && client < 0)
		return master_resume(&u, &m);
	if (!wrong)
		status = upgrade_trial(&u, &m, client);
	else
		dprintf(client < 0 ? STDERR_FILENO : client, "%s\n", wrong);
	sockets_release(&u.serving.sockets, NULL);
	upgrade_free(&u);
	return status;
}

/* Reads the configuration: checks it, or runs with it. */
static int
begin(const struct options *o, char **argv)
{
	const struct master_options m = for_master(o, argv);
	struct config *c = NULL;
	enum config_status status;
	char *faults = NULL; /* until it is known who is to read them */
	size_t len;
	FILE *f = open_memstream(&faults, &len);
	int done = EXIT_CONFIG;

	if (!f)
		abort();
	status = config_load(o->file, NULL, config_print_fault, f, &c);
	fclose(f);
	if (!c || o->check)
		fwrite(faults, 1, len, stderr);
	if (c && o->check)
		done = check(o, c, status);
	else if (c)
		done = master_run(c, &m, (struct span){faults, len});
	free(faults);
	return done;
}

int
main(int argc, char **argv)
{
	struct options o = {.file = CONFIG_PATH};
	const char *env = getenv(UPGRADE_ENV);
	int done;

	/* keys, and passwords: for no other process of whoever runs it */
	prctl(PR_SET_DUMPABLE, 0);
	for (size_t i = 0; argc > 1 && i < NTOOLS; i++)
		if (strcmp(argv[1], tools[i].name) == 0)
			return tools[i].run(argc - 1, argv + 1);
	done = parse_options(argc, argv, &o);

	if (done >= 0)
		return done;
	if (o.keys) {
		config_print_keys(stdout);
		return 0;
	}
	if (o.metrics) {
		metrics_list(stdout);
		return 0;
	}
	return env && !o.check ? resume(&o, argv, env) : begin(&o, argv);
}

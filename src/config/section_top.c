/*
 * section_top: what stands outside of any block, and the defaults that no row
 * can hold.
 */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/identity.h"
#include "config/section.h"
#include "config/value.h"
#include "io/hostname.h"
#include "io/shared.h"

#define WORKERS_MAX_DEFAULT 4

static const struct config_key keys[] = {
    {"hostname", KEY_HOST, ALL(pub.hostname), .doc = "the machine's full name",
	.help = "name in the greeting, in Received lines and in file names"},
    {"greeting", KEY_TEXT, ALL(greeting), .def = "ESMTP ready", .min = 1,
	.max = 200, .help = "text behind the name in the greeting"},
    {"user", KEY_TEXT, ALL(pub.user), .def = "smtpd", .min = 1, .max = 32,
	.help = "account that owns all mail and runs the workers"},
    {"group", KEY_TEXT, ALL(pub.group), .doc = "the group of user", .min = 1,
	.max = 32, .help = "group that the workers run as"},
    {"spool", KEY_PATH, ALL(pub.spool), .def = "/var/spool/smtpd",
	.help = "directory for bodies on their way in, and for the lock"},
    {"spool-volatile", KEY_BOOL, ALL(pub.spool_volatile), .def = "no",
	.help = "run even if the spool does not survive a power cut"},
    {"workers", KEY_NUMBER, ALL(pub.workers),
	.doc = "half of the processors, 1 to 4", .min = 1,
	.max = SHARED_WORKERS, .help = "processes that serve clients"},
    {"threads", KEY_NUMBER, ALL(pub.threads), .def = "4", .min = 1, .max = 64,
	.help = "threads in each worker for what blocks, such as fsync"},
    {"sandbox", KEY_WORD, ALL(pub.sandbox), .def = "yes",
	.words = {"yes", "require", "no"},
	.help = "hold workers to their files: as far as the kernel can (yes), "
		"or start only if it can"},
    {"message-size", KEY_SIZE, ALL(smtp.message_size), .def = "50M",
	.min = 64 * KIB, .max = TIB, .help = "largest message that is taken"},
    {"recipient-delimiter", KEY_CHAR, ALL(delimiter), .def = "+",
	.help = "what separates user and detail; \"\" for no details"},
    {"local-part-case", KEY_WORD, ALL(keep_case), .def = "fold",
	.words = {"fold", "keep"},
	.help = "whether Alice and alice are one user (fold) or two (keep)"},
    {"postmaster", KEY_ADDRESS, ALL(postmaster), .doc = "none",
	.help = "address that takes postmaster's mail where no domain does"},
    {"smarthost", KEY_TEXT, ALL(smarthost),
	.doc = "none: nothing is sent to other domains", .min = 1, .max = 300,
	.help =
	    "smtp:, smtps: or route: that takes our users' mail for others"},
    {"drain", KEY_DURATION, ALL(pub.drain), .def = "5m", .min = 0, .max = DAY,
	.help = "time that a leaving worker gives to what is in flight"},
    {"failed", KEY_PATH, ALL(pub.failed), .doc = "failed in the spool",
	.help = "Maildir for mail that could not be delivered until expire"},
    {"expire", KEY_DURATION, ALL(pub.deliver.expire), .def = "5d",
	.min = SECOND, .max = 365 * DAY,
	.help = "time that accepted mail waits for its mailbox"},
};

static void
name_machine(struct config_all *all, bool starting)
{
	char name[HOSTNAME_MAX + 1];

	hostname_find(name, starting);
	all->pub.machine = arena_dup(&all->arena, span_str(name));
}

/* Found, not written: so it must be looked at like a written one. */
static void
take_machine_name(struct config_all *all, struct config_faults *f)
{
	const struct config_key *k =
	    config_key_find(all->top->section, SPAN_LIT("hostname"));
	const char *name = all->pub.machine;
	char why[CONFIG_WHY_MAX];

	if (config_value_set(k, all, name, NULL, &all->arena, why) < 0)
		config_error(f, all->pub.file, 0,
		    "this machine has no usable name (\"%.80s\"): write "
		    "hostname = \"mx.example.org\"",
		    name);
	else if (!strchr(name, '.') && all->whole)
		config_warn(f, all->pub.file, 0,
		    "no hostname is written, and the full name of this "
		    "machine, \"%.80s\", was not found: write "
		    "hostname = \"%.80s.example.org\"",
		    name, name);
}

static void
build_hostname(struct config_all *all, struct config_faults *f)
{
	struct config_item at = config_where(all->top, "hostname");
	const struct config *old = all->old;
	const char *name = all->pub.hostname;

	/* a reload takes what the start has found, and asks nobody */
	if (old && old->machine)
		all->pub.machine =
		    arena_dup(&all->arena, span_str(old->machine));
	else if (!name && !at.text)
		name_machine(all, !old);
	if (!name && !at.text)
		take_machine_name(all, f);
	else if (name && all->whole && !strchr(name, '.') &&
		 !ascii_equal_str(span_str(name), "localhost"))
		config_warn(f, at.file, at.line,
		    "hostname \"%.80s\" has no dot: other servers expect a "
		    "full name, write hostname = \"%.80s.example.org\"",
		    name, name);
}

/*
 * A worker's loop, committer and lane keep two processors busy; with fewer for
 * each, workers only take turns, and all gather less for one flush.
 */
static unsigned
default_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	if (n < 1)
		return 1;
	return n < WORKERS_MAX_DEFAULT ? (unsigned)n : WORKERS_MAX_DEFAULT;
}

static char *
default_failed(struct config_all *all)
{
	struct buf path = {0};
	char *copy;

	buf_printf(&path, "%s/failed", all->pub.spool ? all->pub.spool : "");
	copy = arena_dup(&all->arena, buf_span(&path));
	buf_free(&path);
	return copy;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	(void)b;
	build_hostname(all, f);
	if (!all->pub.workers)
		all->pub.workers = default_workers();
	all->pub.deliver.hostname = all->pub.hostname;
	all->pub.deliver.spool = all->pub.spool;
	all->failed_by_default = !all->pub.failed;
	if (all->failed_by_default)
		all->pub.failed = default_failed(all);
	all->pub.deliver.failed = all->pub.failed;
}

/* root: has its rights; only who is root can become anybody. */
static void
fault_identity(const struct config_all *all, struct config_faults *f,
    const char *key, const char *name, bool root)
{
	struct config_item at = config_where(all->top, key);
	const char *file = at.file ? at.file : all->pub.file;
	char help[IDENTITY_HELP];

	if (root)
		config_error(f, file, at.line, "%s = \"%.80s\": " IDENTITY_ROOT,
		    key, name);
	else if (geteuid() == 0)
		config_warn(f, file, at.line, "%s \"%.80s\" is missing: %s",
		    key, name, identity_make(key, name, help));
}

static void
check_identity(const struct config_all *all, struct config_faults *f)
{
	const char *group = all->pub.group;
	const struct passwd *pw = getpwnam(all->pub.user);
	const struct group *gr;

	if (!pw || !pw->pw_uid || (!pw->pw_gid && !group))
		fault_identity(all, f, "user", all->pub.user, pw != NULL);
	if (!group)
		return;
	gr = getgrnam(group);
	if (!gr || !gr->gr_gid)
		fault_identity(all, f, "group", group, gr != NULL);
}

static void
machine(const struct config_all *all, struct config_faults *f)
{
	struct config_item spool = config_where(all->top, "spool");
	struct config_item failed = config_where(all->top, "failed");

	check_identity(all, f);
	config_check_directory(all, f, &spool, all->pub.spool);
	if (!all->failed_by_default)
		config_check_directory(all, f, &failed, all->pub.failed);
}

const struct config_section section_top = {
    .name = "top",
    .help = "the server as a whole",
    KEYS(keys),
    .build = build,
    .machine = machine,
};

/*
 * section_checks: which checks of the door are on, and what each is to do
 * when it finds something. Each remembers the line that says so, for the log.
 */
#include <string.h>

#include "config/section.h"

_Static_assert(sizeof(enum action) == sizeof(unsigned), "a KEY_WORD is stored");

/* One check, whose object is a struct check_action. */
/* clang-format off */
#define CHECK(name_, member, def_, help_)                                      \
	{                                                                      \
		.name = (name_), .type = KEY_WORD,                             \
		.offset = ALL(pub.door.member.act), .def = (def_),             \
		.words = {"off", "observe", "defer", "reject"},                \
		.help = (help_)                                                \
	}
/* clang-format on */

#define PAUSE_LONG (10 * SECOND)

static const struct config_key keys[] = {
    CHECK("helo", helo, "off", "a client that says that it is this server"),
    CHECK("fcrdns", fcrdns, "off", "a client without a reverse name"),
    {"pregreet-wait", KEY_DURATION, ALL(pub.door.pregreet_wait), .def = "0",
	.max = 30 * SECOND, .help = "pause before the greeting; 0: none"},
    CHECK("pregreet", pregreet, "reject", "a client that speaks in it"),
    CHECK("dnsbl", dnsbl, "off", "a client that lists speak against"),
    {"refuse-at", KEY_NUMBER, ALL(pub.door.refuse_at), .def = "5", .min = 1,
	.max = 1000, .help = "what listings must come to for that"},
    {"vouch-at", KEY_NUMBER, ALL(pub.door.vouch_at), .def = "3", .min = 1,
	.max = 1000,
	.help = "so far below 0 a client is asked nothing of the kind"},
    CHECK("sender-domain", sender_domain, "off",
	"a sender's domain that takes no mail, or is not there"),
    {"greylist", KEY_WORD, ALL(pub.door.greylist.act), .def = "off",
	.words = {"off", "observe", "defer"},
	.help = "who writes for the first time: it has to come again"},
};

static bool
is_check(const struct config_key *k)
{
	return k->type == KEY_WORD;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	(void)f;
	for (unsigned i = 0; i < b->section->nkeys; i++) {
		const struct config_key *k = &b->section->keys[i];
		void *act = (char *)all + k->offset;

		if (is_check(k))
			((struct check_action *)act)->at =
			    config_place(b, k->name);
	}
}

static bool
serves(const void *ctx, struct span domain)
{
	char name[256];

	if (domain.len >= sizeof(name))
		return false;
	memcpy(name, domain.ptr, domain.len);
	name[domain.len] = '\0';
	return recipients_domain(ctx, name) != NULL;
}

static void
warn_long_pause(const struct config_all *all, struct config_faults *f)
{
	struct config_item at =
	    config_where(config_block_first(all, &section_checks),
		"pregreet-wait");

	config_warn(f, at.file, at.line,
	    "pregreet-wait = \"%.80s\": some servers give up on a greeting "
	    "that takes so long: write at most 10s",
	    at.text);
}

/* What is written for something that is not switched on. */
static void
warn_idle(const struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_checks);
	const struct config_block *grey =
	    config_block_first(all, &section_greylist);
	const struct config_item at = config_where(b, "pregreet");

	if (at.text && all->pub.door.pregreet.act &&
	    !config_where(b, "pregreet-wait").text)
		config_warn(f, at.file, at.line,
		    "pregreet: there is no pause to speak in: write "
		    "pregreet-wait = 6s");
	if (grey->file && !config_where(b, "greylist").text)
		config_warn(f, grey->file, grey->line,
		    "greylist: nobody has to wait without checks { greylist = "
		    "defer }, or observe");
}

/* What the checks look things up in. */
static void
check(struct config_all *all, struct config_faults *f)
{
	struct door_config *door = &all->pub.door;

	door->grey = door->greylist.act ? &all->pub.greylist : NULL;
	if (door->pregreet_wait > PAUSE_LONG)
		warn_long_pause(all, f);
	warn_idle(all, f);
	door->hostname = all->pub.hostname;
	door->serves = serves;
	door->serves_ctx = config_tables(all);
}

const struct config_section section_checks = {
    .name = "checks",
    .help = "who may speak, and what is asked of others about it",
    KEYS(keys),
    .build = build,
    .check = check,
};

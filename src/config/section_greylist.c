/*
 * section_greylist: how long whoever writes for the first time waits, and how
 * long that is remembered. checks { greylist } says whether.
 */
#include "config/section.h"
#include "policy/dnsbl.h"

static const struct config_key keys[] = {
    {"delay", KEY_DURATION, ALL(pub.greylist.delay), .def = "1m", .min = SECOND,
	.max = HOUR, .help = "before a first message is taken"},
    {"window", KEY_DURATION, ALL(pub.greylist.window), .def = "2d",
	.min = HOUR / 6, .max = 7 * DAY,
	.help = "in which it has to come again"},
    {"keep", KEY_DURATION, ALL(pub.greylist.keep), .def = "36d", .min = DAY,
	.max = 400 * DAY, .help = "how long who came back is remembered"},
    {"after", KEY_NUMBER, ALL(pub.greylist.after), .def = "5", .min = 0,
	.max = GREYLIST_AFTER_MAX,
	.help = "first messages that came again, until their client need not "
		"wait at all; 0: never"},
};

/* Nobody could come back in time. */
static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	struct config_item at = config_where(b, "delay");

	if (!at.text)
		at = config_where(b, "window");
	if (all->pub.greylist.delay >= all->pub.greylist.window)
		config_error(f, at.file, at.line,
		    "delay is not shorter than window: whoever waits is too "
		    "late: write a window of some hours");
}

/* Who is well known somewhere else need not wait here. */
static void
check(struct config_all *all, struct config_faults *f)
{
	const struct door_config *door = &all->pub.door;
	unsigned n = door->lists && door->dnsbl.act ? door->lists->n : 0;

	for (unsigned i = 0; i < n; i++)
		if (dnsbl_least(&door->lists->zones[i]) < 0)
			return;
	if (door->greylist.act == ACTION_DEFER)
		config_warn(f, door->greylist.at.file, door->greylist.at.line,
		    "greylist: no list vouches for anybody, so all of them "
		    "wait: write dnsbl \"list.dnswl.org\" { codes = { "
		    "\"127.0.2-15.2-3: -5\" } }");
}

const struct config_section section_greylist = {
    .name = "greylist",
    .help = "how long whoever writes for the first time has to wait",
    KEYS(keys),
    .build = build,
    .check = check,
};

/*
 * section_greylist: how long whoever writes for the first time waits, and how
 * long that is remembered. checks { greylist } says whether.
 */
#include "config/section.h"

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

const struct config_section section_greylist = {
    .name = "greylist",
    .help = "how long whoever writes for the first time has to wait",
    KEYS(keys),
    .build = build,
};

/*
 * section_log: where the log goes, and how much of it.
 */
#include "config/section.h"

static const struct config_key keys[] = {
    {"to", KEY_WORD, ALL(pub.log_to), .def = "stderr",
	.words = {"stderr", "syslog"}, .help = "where the log goes"},
    {"format", KEY_WORD, ALL(pub.log_format), .def = "text",
	.words = {"text", "json"}, .help = "key=value pairs, or JSON"},
    {"level", KEY_WORD, ALL(pub.log_level), .def = "info",
	.words = {"error", "warn", "info", "trace"},
	.help = "least important event that is logged"},
    {"keep", KEY_SIZE, ALL(pub.log_keep), .def = "16M", .min = 0,
	.max = 1024 * MIB,
	.help = "what smtpd why keeps in the spool; 0: nothing"},
};

const struct config_section section_log = {
    .name = "log",
    .help = "the log",
    KEYS(keys),
};

/*
 * section_limits: what one client, or all of them, may use.
 */
#include "config/section.h"

static const struct config_key keys[] = {
    {"sessions", KEY_NUMBER, ALL(pub.limits.sessions), .def = "10000", .min = 1,
	.max = 1000000, .help = "sessions at once, over all workers"},
    {"per-address", KEY_NUMBER, ALL(pub.limits.per_address), .def = "50",
	.min = 1, .max = 1000000,
	.help = "sessions at once from one IPv4 address or IPv6 /64"},
    {"per-network", KEY_NUMBER, ALL(pub.limits.per_network),
	.doc = "a tenth of sessions", .max = 1000000,
	.help = "sessions at once from one IPv4 /24 or IPv6 /48; 0: any"},
    {"rate-connections", KEY_RATE, ALL(pub.limits.rates[LIMITS_CONNECTIONS]),
	.def = "120/m", .help = "connections of one address in a time"},
    {"rate-messages", KEY_RATE, ALL(pub.limits.rates[LIMITS_MESSAGES]),
	.def = "0", .help = "messages of one address in a time; 0: any"},
    {"rate-recipients", KEY_RATE, ALL(pub.limits.rates[LIMITS_RECIPIENTS]),
	.def = "0",
	.help = "recipients that one address tries in a time; 0: any"},
    {"rate-failed-logins", KEY_RATE,
	ALL(pub.limits.rates[LIMITS_FAILED_LOGINS]), .def = "20/m",
	.help = "wrong passwords from one address in a time; 0: any"},
    {"observe", KEY_BOOL, ALL(pub.limits.observe), .def = "no",
	.help = "rates are logged and counted, and nobody is refused"},
    {"recipients", KEY_NUMBER, ALL(smtp.recipients), .def = "1000", .min = 100,
	.max = 100000, .help = "recipients of one message"},
    {"errors", KEY_NUMBER, ALL(smtp.errors), .def = "20", .min = 1,
	.max = 1000000, .help = "refused commands before a session is ended"},
    {"line", KEY_SIZE, ALL(smtp.line), .def = "64K", .min = 1000, .max = MIB,
	.help = "longest line of text in a message"},
    {"idle", KEY_DURATION, ALL(pub.deadlines.idle), .def = "5m", .min = 100,
	.max = DAY, .help = "silence before a session is ended"},
    {"session", KEY_DURATION, ALL(pub.deadlines.session), .def = "1h",
	.min = SECOND, .max = 7 * DAY,
	.help = "time that a session may last in all"},
    {"handshake", KEY_DURATION, ALL(pub.deadlines.handshake), .def = "30s",
	.min = 100, .max = HOUR,
	.help = "time that a client has for the handshake of TLS"},
    {"data-rate", KEY_SIZE, ALL(pub.deadlines.data_rate), .def = "100",
	.min = 0, .max = MIB,
	.help = "slowest message, octets a second after a minute; 0: any"},
};

/* What another limit, which is met before, makes useless. */
static void
warn_never(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct limits_config *l = &all->pub.limits;
	const struct deadline_config *d = &all->pub.deadlines;
	const struct {
		const char *key, *before;
		uint64_t value, least;
	} pairs[] = {
	    {"per-address", "per-network", l->per_address, l->per_network},
	    {"per-address", "sessions", l->per_address, l->sessions},
	    {"per-network", "sessions", l->per_network, l->sessions},
	    {"idle", "session", d->idle, d->session},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct config_item at = config_where(b, pairs[i].key);

		if (at.text && pairs[i].least &&
		    pairs[i].value > pairs[i].least)
			config_warn(f, at.file, at.line,
			    "%s = \"%.40s\" is never reached, since %s is "
			    "less: "
			    "write a larger one of that, too",
			    pairs[i].key, at.text, pairs[i].before);
	}
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	struct limits_config *l = &all->pub.limits;

	for (unsigned i = 0; i < LIMITS_KEYS; i++)
		l->at[i] = config_place(b, limits_keys[i]);
	if (!config_values(b, "per-network")->n)
		l->per_network = l->sessions < 10 ? 1 : l->sessions / 10;
	limits_say(l, &all->arena);
	warn_never(all, f, b);
}

const struct config_section section_limits = {
    .name = "limits",
    .help = "what one client, or all of them, may use",
    KEYS(keys),
    .build = build,
};

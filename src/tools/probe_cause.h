/*
 * probe_cause: why there is no 220, or what is wrong beside it: a code, a name
 * for scripts, a sentence and what to do. The codes rise along the way of a
 * connection and, among warnings, with their weight.
 *
 * What was found is a list: a later finding never hides an earlier one.
 */
#ifndef TOOLS_PROBE_CAUSE_H
#define TOOLS_PROBE_CAUSE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"

/* 10 to 29: mail comes all the same. The sentence follows whom it is about. */
#define PROBE_CAUSES(X)                                                        \
	X(10, IMPLICIT_MX, "implicit-mx", "has no MX record, only addresses",  \
	    "This works; an MX record that names its host says it better.")    \
	X(11, MX_IS_CNAME, "mx-is-cname",                                      \
	    "is an MX host, but an alias (CNAME)",                             \
	    "RFC 5321 5.1 forbids it and some senders refuse: let the MX "     \
	    "record name the host that has the addresses.")                    \
	X(12, MX_ELSEWHERE, "mx-elsewhere",                                    \
	    "has no MX record that names this server",                         \
	    "Its mail goes elsewhere: change its MX record, or take the "      \
	    "domain out of the configuration.")                                \
	X(13, PTR, "ptr", "has no PTR record that leads back to it",           \
	    "Ask whoever gave you the address to set it to the server's "      \
	    "name.")                                                           \
	X(14, MX_LACKS_ADDRESS, "mx-without-address",                          \
	    "is an MX host without an address",                                \
	    "Publish its A or AAAA record, or take its MX record away.")       \
	X(15, PRIVATE_ADDRESS, "private-address",                              \
	    "has an address that strangers cannot reach",                      \
	    "Publish a public one; if DNS answers differently in this "        \
	    "network, ask another with --resolver.")                           \
	X(16, SLOW, "slow", "greets late",                                     \
	    "Look for slow lookups of the client's address, a delay on "       \
	    "purpose, or overload: some senders do not wait.")                 \
	X(17, OTHER_NAME, "other-name", "greets with another name",            \
	    "Set its hostname to its name in the MX record, or find out what " \
	    "answers in its place.")                                           \
	X(18, NO_EHLO, "no-ehlo", "refuses EHLO and takes HELO",               \
	    "Renew the server, or turn off what rewrites SMTP in the "         \
	    "firewall before it.")                                             \
	X(19, NO_STARTTLS, "no-starttls", "does not offer STARTTLS",           \
	    "Give it a certificate: for smtpd, a certificate block.")          \
	X(20, CERT_UNTRUSTED, "cert-untrusted",                                \
	    "has a certificate that leads to no trusted root",                 \
	    "Serve the whole chain (fullchain.pem) of an authority that "      \
	    "others know.")                                                    \
	X(21, CERT_SELF_SIGNED, "cert-self-signed",                            \
	    "has a certificate that is signed by itself",                      \
	    "Most senders take it; for those that verify get one from an "     \
	    "authority, and serve its fullchain.pem.")                         \
	X(22, CERT_EXPIRED, "cert-expired",                                    \
	    "has a certificate that has expired",                              \
	    "Renew it, and let the server read it anew.")                      \
	X(22, CERT_NOT_YET, "cert-not-yet",                                    \
	    "has a certificate that is not valid yet",                         \
	    "Wait, or set the clock right.")                                   \
	X(23, CERT_WRONG_NAME, "cert-wrong-name",                              \
	    "has a certificate for other names",                               \
	    "Get one that covers the name in the MX record.")                  \
	X(24, WEAK_TLS, "weak-tls", "has a certificate that is too weak",      \
	    "Have it issued anew: RSA of 2048 bits or more, or P-256, signed " \
	    "with SHA-256.")                                                   \
	X(25, STARTTLS_BROKEN, "starttls-broken",                              \
	    "offers STARTTLS, which does not work",                            \
	    "Look at the server's log and its certificate block.")             \
	X(26, IPV4_DEAD, "ipv4-dead", "greets by IPv6, but not by IPv4",       \
	    "Open the port for it in the firewall, or remove the A record: "   \
	    "senders that try it lose minutes.")                               \
	X(26, IPV6_DEAD, "ipv6-dead", "greets by IPv4, but not by IPv6",       \
	    "Open the port for it in the firewall, or remove the AAAA "        \
	    "record: senders that prefer IPv6 lose minutes.")                  \
	X(27, MX_DEAD, "mx-dead", "takes no mail, while others do",            \
	    "Start it there, or take its record away.")                        \
	X(28, STS_MISMATCH, "sts-mismatch",                                    \
	    "has an MTA-STS id that is not our policy's",                      \
	    "Publish the policy with its id, as smtpd dns prints them: "       \
	    "senders that check keep the old one.")                            \
	X(29, TLSA_MISMATCH, "tlsa-mismatch",                                  \
	    "has TLSA records that do not match what it serves",               \
	    "Publish that of its key, or take them away: senders that check "  \
	    "do not deliver.")                                                 \
	X(30, NO_DOMAIN, "no-domain", "does not exist",                        \
	    "Is it registered, and spelled like this?")                        \
	X(31, DNS_FAILED, "dns-failed", "cannot be looked up",                 \
	    "Ask another resolver with --resolver; if that fails too, look "   \
	    "at the domain's name servers.")                                   \
	X(32, DNSSEC_BOGUS, "dnssec-bogus",                                    \
	    "has DNSSEC signatures that do not hold",                          \
	    "Sign the zone anew, or mend its DS record.")                      \
	X(33, NULL_MX, "null-mx", "says that it takes no mail (RFC 7505)",     \
	    "Replace its MX record \"0 .\" if mail is to come.")               \
	X(34, NO_ADDRESS, "no-address", "has no MX record and no address",     \
	    "Publish an MX record.")                                           \
	X(35, MX_IS_ADDRESS, "mx-is-address",                                  \
	    "has an address where an MX record needs a name",                  \
	    "Give the address to a name, and that name to the MX record.")     \
	X(36, NO_MX_ADDRESS, "mx-without-address",                             \
	    "has MX records, but no host of them has an address",              \
	    "Publish their A or AAAA records.")                                \
	X(37, PRIVATE_ONLY, "private-only",                                    \
	    "has only addresses that strangers cannot reach",                  \
	    "Publish a public one; if DNS answers differently in this "        \
	    "network, ask another with --resolver.")                           \
	X(38, NO_ROUTE, "no-route",                                            \
	    "cannot be reached, as this machine has no route to it",           \
	    "Probe from a machine that has its kind of address (IPv4, IPv6).") \
	X(39, LOCAL_FIREWALL, "local-firewall",                                \
	    "cannot be reached, as this machine itself forbids it",            \
	    "Look at the firewall and the routes here, not there.")            \
	X(40, REFUSED, "refused", "refuses the connection",                    \
	    "Start the server there, let it listen on this address, or mend "  \
	    "the firewall that rejects.")                                      \
	X(41, UNREACHABLE, "unreachable", "is unreachable",                    \
	    "Start that host, or ask the router or firewall on the way that "  \
	    "says so.")                                                        \
	X(42, FILTERED, "filtered", "does not answer",                         \
	    "Open 25/tcp in the firewall there.")                              \
	X(43, BLOCKED_HERE, "blocked-here",                                    \
	    "cannot be reached, as this network blocks port 25 to others",     \
	    "Home providers and most clouds do: ask yours to open it, or "     \
	    "probe from elsewhere. Receiving is not affected by it.")          \
	X(44, RESET, "reset", "resets the connection before a greeting",       \
	    "Look for connection limits, tcpwrappers or overload there; a "    \
	    "421 would say which.")                                            \
	X(45, CLOSED, "closed", "closes the connection before a greeting",     \
	    "Look for connection limits, tcpwrappers or overload there; a "    \
	    "421 would say which.")                                            \
	X(46, SILENT, "silent", "takes the connection and says nothing",       \
	    "Look whether the server hangs, or a proxy before it waits for "   \
	    "one that is gone.")                                               \
	X(47, NOT_SMTP, "not-smtp", "speaks something else than SMTP",         \
	    "Use the right port, or mend what forwards it.")                   \
	X(48, GREETING_BROKEN, "greeting-broken",                              \
	    "greets with what is no reply of SMTP (RFC 5321 4.2)",             \
	    "Find out what answers there.")                                    \
	X(49, BUSY, "busy", "is busy",                                         \
	    "This is temporary: try again, and raise its limits if it stays.") \
	X(50, DENIED, "denied", "refuses to serve this machine",               \
	    "It does not want the address that you come from: look that up "   \
	    "in blocklists, and ask who runs the server.")                     \
	X(51, ODD_CODE, "odd-code", "greets with another code than 220",       \
	    "Find out what answers there: clients leave.")                     \
	X(52, EHLO_CLOSED, "ehlo-closed", "greets, but hangs up at EHLO",      \
	    "Look at the server's log: configuration, or something on the "    \
	    "way that reads along.")                                           \
	X(53, EHLO_REFUSED, "ehlo-refused",                                    \
	    "greets, but refuses EHLO and HELO",                               \
	    "Read its answer: it does not want this machine's name or "        \
	    "address.")                                                        \
	X(54, TLS_FAILED, "tls-failed", "does not get into TLS",               \
	    "Look at the server's log and certificate; or is TLS not what "    \
	    "this port speaks?")

/* Rising as the codes do. */
enum probe_cause {
#define X(code, id, name, sentence, remedy) PROBE_##id,
	PROBE_CAUSES(X)
#undef X
	    PROBE_NCAUSES
};

struct probe_row {
	unsigned code;
	const char *name, *sentence, *remedy;
};
extern const struct probe_row probe_causes[PROBE_NCAUSES];

/* From this one on no mail comes. */
#define PROBE_FIRST_FATAL PROBE_NO_DOMAIN

struct probe_finding {
	struct probe_finding *next;
	enum probe_cause cause;
	const char *where;  /* a domain, a host, "HOST [ADDR]:PORT" */
	const char *detail; /* NULL: none */
};

/* Zeroed: empty. In the order in which they were found, each once. */
struct probe_findings {
	struct probe_finding *first, *last;
};

/*
 * Both texts are copied into the arena. detail (NULL: none) is shown as it is:
 * what strangers said has gone through quote_put() before.
 */
void probe_find(struct probe_findings *f, struct arena *a,
    enum probe_cause cause, const char *where, const char *detail);

/* A text in the arena; what is longer than 1023 octets is cut. */
const char *probe_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a stranger said, in quotes, behind what is before it; in the arena. */
const char *probe_quote(struct arena *a, const char *before, struct span said);

/* NULL: it is not among them. */
const struct probe_finding *probe_found(const struct probe_findings *f,
    enum probe_cause cause);

/* The code of the largest cause among them; 0: none. */
unsigned probe_worst(const struct probe_findings *f);

#endif

/*
 * counters: what workers count together, a row each. The rows make the enum
 * whose values are places in a slot of io/shared, the table that is shown as
 * metrics, and the lint of the manual.
 *
 * Rows of one family stand together, and the first of them has its help.
 */
#ifndef IO_COUNTERS_H
#define IO_COUNTERS_H

#include <stdint.h>

enum counter_kind {
	COUNTER_COUNT,   /* grows, and outlives its worker */
	COUNTER_LEVEL,   /* goes with its worker; shown is the sum */
	COUNTER_SAME,    /* a level of which each knows all: the largest */
	COUNTER_RATIO,   /* the same, in millionths */
	COUNTER_SECONDS, /* a histogram of ns */
	COUNTER_BATCH,   /* a histogram of numbers */
};

/* Places that a row takes; a histogram's: its buckets, +Inf, the sum. */
#define COUNTER_SECONDS_BOUNDS 15
#define COUNTER_BATCH_BOUNDS   11
#define COUNTER_CELLS_COUNT    1
#define COUNTER_CELLS_LEVEL    1
#define COUNTER_CELLS_SAME     1
#define COUNTER_CELLS_RATIO    1
#define COUNTER_CELLS_SECONDS  (COUNTER_SECONDS_BOUNDS + 2)
#define COUNTER_CELLS_BATCH    (COUNTER_BATCH_BOUNDS + 2)

/* In the order of COUNTERS_AUTH's rows. */
enum counter_login {
	COUNTER_LOGIN_GOOD,
	COUNTER_LOGIN_WRONG,
	COUNTER_LOGIN_MALFORMED,
	COUNTER_LOGIN_UNAVAILABLE,
	COUNTER_LOGINS
};

/* Of what is asked, in the order of COUNTERS_REMOTE's rows. */
enum counter_remote {
	COUNTER_TAKEN,
	COUNTER_HELD,
	COUNTER_LATE,
	COUNTER_UNANSWERED,
};

/* Of what a check finds, in the order of COUNTERS_CHECK's rows. */
enum counter_check {
	COUNTER_OBSERVED,
	COUNTER_DEFERRED,
	COUNTER_REJECTED,
};

#define COUNTERS_CHECK(X, ID, name, help)                                      \
	X(CHECK_##ID, COUNT, "smtpd_checks_total",                             \
	    "check=\"" name "\",result=\"observed\"", help)                    \
	X(CHECK_##ID##_DEFERRED, COUNT, "smtpd_checks_total",                  \
	    "check=\"" name "\",result=\"deferred\"", "")                      \
	X(CHECK_##ID##_REFUSED, COUNT, "smtpd_checks_total",                   \
	    "check=\"" name "\",result=\"refused\"", "")

#define COUNTERS_AUTH(X, ID, mechanism)                                        \
	X(AUTH_##ID, COUNT, "smtpd_auth_total",                                \
	    "mechanism=\"" mechanism "\",result=\"good\"",                     \
	    "Answers to AUTH, but challenges")                                 \
	X(AUTH_##ID##_WRONG, COUNT, "smtpd_auth_total",                        \
	    "mechanism=\"" mechanism "\",result=\"wrong\"", "")                \
	X(AUTH_##ID##_MALFORMED, COUNT, "smtpd_auth_total",                    \
	    "mechanism=\"" mechanism "\",result=\"malformed\"", "")            \
	X(AUTH_##ID##_UNAVAILABLE, COUNT, "smtpd_auth_total",                  \
	    "mechanism=\"" mechanism "\",result=\"unavailable\"", "")

/* In the order of enum counter_remote. */
#define COUNTERS_REMOTE(X, ID, name)                                           \
	X(ID, COUNT, "smtpd_deliveries_total",                                 \
	    "kind=\"" name "\",result=\"delivered\"", "")                      \
	X(ID##_HELD, COUNT, "smtpd_deliveries_total",                          \
	    "kind=\"" name "\",result=\"held\"", "")                           \
	X(ID##_LATE, COUNT, "smtpd_deliveries_total",                          \
	    "kind=\"" name "\",result=\"refused-late\"", "")                   \
	X(ID##_LOST, COUNT, "smtpd_deliveries_total",                          \
	    "kind=\"" name "\",result=\"unanswered\"", "")

/* ID, kind, family, labels, help */
#define COUNTERS(X)                                                            \
	/* the master's */                                                     \
	X(START, LEVEL, "smtpd_start_time_seconds", "",                        \
	    "When counting began, in seconds since 1970")                      \
	X(RELOADS, COUNT, "smtpd_reloads_total", "result=\"good\"",            \
	    "Reloads, by a signal or for renewed certificates")                \
	X(RELOADS_FAILED, COUNT, "smtpd_reloads_total", "result=\"failed\"",   \
	    "")                                                                \
	X(UPGRADES, COUNT, "smtpd_upgrades_total", "result=\"good\"",          \
	    "Upgrades in place; a good one begins all counts anew")            \
	X(UPGRADES_FAILED, COUNT, "smtpd_upgrades_total", "result=\"failed\"", \
	    "")                                                                \
	X(WORKERS_SERVING, LEVEL, "smtpd_workers", "state=\"serving\"",        \
	    "Worker processes")                                                \
	X(WORKERS_LEAVING, LEVEL, "smtpd_workers", "state=\"leaving\"", "")    \
	X(DEATHS, COUNT, "smtpd_worker_deaths_total", "",                      \
	    "Workers that ended unasked, or with an error")                    \
	/* clients */                                                          \
	X(SESSIONS, LEVEL, "smtpd_sessions", "",                               \
	    "Clients that were let in and have not gone")                      \
	X(REFUSING, LEVEL, "smtpd_refused_sessions", "",                       \
	    "Clients beyond a limit that are still hearing so")                \
	X(CONNECTIONS, COUNT, "smtpd_connections_total", "role=\"mx\"",        \
	    "Connections of clients, refused ones too")                        \
	X(CONNECTIONS_SUBMISSION, COUNT, "smtpd_connections_total",            \
	    "role=\"submission\"", "")                                         \
	X(REFUSED, COUNT, "smtpd_connections_refused_total",                   \
	    "reason=\"sessions\"", "Connections that a limit sent away")       \
	X(REFUSED_ADDRESS, COUNT, "smtpd_connections_refused_total",           \
	    "reason=\"per-address\"", "")                                      \
	X(REFUSED_NETWORK, COUNT, "smtpd_connections_refused_total",           \
	    "reason=\"per-network\"", "")                                      \
	X(REFUSED_RATE, COUNT, "smtpd_connections_refused_total",              \
	    "reason=\"rate-connections\"", "")                                 \
	/* in the order of enum limits_rate */                                 \
	X(EXCEEDED, COUNT, "smtpd_rate_exceeded_total",                        \
	    "rate=\"rate-connections\"",                                       \
	    "What came beyond a rate, refused or with observe")                \
	X(EXCEEDED_MESSAGES, COUNT, "smtpd_rate_exceeded_total",               \
	    "rate=\"rate-messages\"", "")                                      \
	X(EXCEEDED_RECIPIENTS, COUNT, "smtpd_rate_exceeded_total",             \
	    "rate=\"rate-recipients\"", "")                                    \
	X(EXCEEDED_FAILED_LOGINS, COUNT, "smtpd_rate_exceeded_total",          \
	    "rate=\"rate-failed-logins\"", "")                                 \
	COUNTERS_CHECK(X, ACCESS, "access",                                    \
	    "What a check has found, once for a transaction")                  \
	COUNTERS_CHECK(X, PREGREET, "pregreet", "")                            \
	COUNTERS_CHECK(X, HELO, "helo", "")                                    \
	COUNTERS_CHECK(X, FCRDNS, "fcrdns", "")                                \
	COUNTERS_CHECK(X, DNSBL, "dnsbl", "")                                  \
	COUNTERS_CHECK(X, SENDER, "sender-domain", "")                         \
	COUNTERS_CHECK(X, GREYLIST, "greylist", "")                            \
	X(PRESSURE, SAME, "smtpd_pressure", "",                                \
	    "1 while deadlines are short, since sessions are many")            \
	X(PRESSURED, COUNT, "smtpd_sessions_pressured_total", "",              \
	    "Sessions whose deadlines were shortened")                         \
	X(GREETING, SECONDS, "smtpd_greeting_seconds", "",                     \
	    "From accept to the greeting, to a tick of some ms")               \
	X(TLS, COUNT, "smtpd_tls_handshakes_total", "version=\"TLSv1.3\"",     \
	    "TLS handshakes that came to an end")                              \
	X(TLS_OLD, COUNT, "smtpd_tls_handshakes_total", "version=\"TLSv1.2\"", \
	    "")                                                                \
	X(TLS_FAILED, COUNT, "smtpd_tls_failures_total", "",                   \
	    "TLS handshakes that did not")                                     \
	COUNTERS_AUTH(X, PLAIN, "PLAIN")                                       \
	COUNTERS_AUTH(X, LOGIN, "LOGIN")                                       \
	COUNTERS_AUTH(X, SCRAM, "SCRAM-SHA-256")                               \
	COUNTERS_AUTH(X, SCRAM_PLUS, "SCRAM-SHA-256-PLUS")                     \
	X(AUTH_UNKNOWN, COUNT, "smtpd_auth_total",                             \
	    "mechanism=\"other\",result=\"unknown\"", "")                      \
	X(DNSBL_CODES, COUNT, "smtpd_dnsbl_unknown_codes_total", "",           \
	    "Answers of lists that no code of their blocks is")                \
	X(FILTERED, COUNT, "smtpd_filtered_messages_total",                    \
	    "result=\"passed\"", "Messages that milters were asked about")     \
	X(FILTERED_REFUSED, COUNT, "smtpd_filtered_messages_total",            \
	    "result=\"refused\"", "")                                          \
	X(FILTERED_DEFERRED, COUNT, "smtpd_filtered_messages_total",           \
	    "result=\"deferred\"", "")                                         \
	X(FILTERED_DISCARDED, COUNT, "smtpd_filtered_messages_total",          \
	    "result=\"discarded\"", "")                                        \
	X(FILTERS_DOWN, COUNT, "smtpd_milter_failures_total", "",              \
	    "Conversations with milters that came to nothing")                 \
	X(FORGED, COUNT, "smtpd_forged_results_total", "",                     \
	    "Authentication-Results in our name that were deleted")            \
	/* mail */                                                             \
	X(MESSAGES, COUNT, "smtpd_messages_total", "result=\"accepted\"",      \
	    "Messages that came whole, by what was answered")                  \
	X(MESSAGES_REFUSED, COUNT, "smtpd_messages_total",                     \
	    "result=\"refused\"", "")                                          \
	X(MESSAGES_DEFERRED, COUNT, "smtpd_messages_total",                    \
	    "result=\"deferred\"", "")                                         \
	X(MESSAGE_BYTES, COUNT, "smtpd_message_bytes_total", "",               \
	    "Octets of the accepted ones")                                     \
	X(MESSAGE, SECONDS, "smtpd_message_seconds", "",                       \
	    "From the end of a message to the answer of delivery")             \
	X(RECIPIENTS, COUNT, "smtpd_recipients_total", "result=\"accepted\"",  \
	    "Answers to RCPT")                                                 \
	X(RECIPIENTS_REFUSED, COUNT, "smtpd_recipients_total",                 \
	    "result=\"refused\"", "")                                          \
	X(RECIPIENTS_DEFERRED, COUNT, "smtpd_recipients_total",                \
	    "result=\"deferred\"", "")                                         \
	/* in the order of enum smtp_quirk */                                  \
	X(QUIRKS, COUNT, "smtpd_quirks_total", "kind=\"space\"",               \
	    "Accepted messages with something odd but harmless")               \
	X(QUIRKS_LONG_LINE, COUNT, "smtpd_quirks_total", "kind=\"long-line\"", \
	    "")                                                                \
	X(QUIRKS_BARE, COUNT, "smtpd_quirks_total", "kind=\"bare-newline\"",   \
	    "")                                                                \
	X(QUIRKS_NAME, COUNT, "smtpd_quirks_total", "kind=\"helo\"", "")       \
	X(QUIRKS_SENDER, COUNT, "smtpd_quirks_total", "kind=\"sender\"", "")   \
	/* delivery: of each kind those that were held come second */          \
	X(MAILDIR, COUNT, "smtpd_deliveries_total",                            \
	    "kind=\"maildir\",result=\"delivered\"",                           \
	    "Copies, but those that recovery of a journal places")             \
	X(MAILDIR_HELD, COUNT, "smtpd_deliveries_total",                       \
	    "kind=\"maildir\",result=\"held\"", "")                            \
	X(DISCARD, COUNT, "smtpd_deliveries_total",                            \
	    "kind=\"discard\",result=\"delivered\"", "")                       \
	COUNTERS_REMOTE(X, LMTP, "lmtp")                                       \
	COUNTERS_REMOTE(X, SMTP, "smtp")                                       \
	COUNTERS_REMOTE(X, HTTP, "http")                                       \
	COUNTERS_REMOTE(X, PIPE, "pipe")                                       \
	X(MAILDIR_TIME, SECONDS, "smtpd_delivery_seconds", "kind=\"maildir\"", \
	    "Placing all copies of one message")                               \
	X(UNPLACED, LEVEL, "smtpd_unplaced_bytes", "",                         \
	    "Accepted and not yet in mailboxes: octets on their disks")        \
	X(UNPLACED_FILES, LEVEL, "smtpd_unplaced_files", "",                   \
	    "The same: copies")                                                \
	X(HELD, SAME, "smtpd_held_messages", "",                               \
	    "Messages that wait for their mailboxes")                          \
	X(HELD_BYTES, SAME, "smtpd_held_bytes", "", "Their octets")            \
	X(FAILED, COUNT, "smtpd_failed_total", "",                             \
	    "Copies that waited too long or were refused late, now in failed") \
	X(FAILED_AT, SAME, "smtpd_failed_timestamp_seconds", "",               \
	    "When the newest of them came there, in seconds since 1970")       \
	/* disks */                                                            \
	X(FREE_SPOOL, RATIO, "smtpd_filesystem_free_ratio", "use=\"spool\"",   \
	    "What is free of a file system; of several the "                   \
	    "least")                                                           \
	X(FREE_MAIL, RATIO, "smtpd_filesystem_free_ratio", "use=\"mail\"", "") \
	X(JOURNAL, LEVEL, "smtpd_journal_bytes", "",                           \
	    "Octets in journals, or reserved there")                           \
	X(COMMIT, SECONDS, "smtpd_journal_commit_seconds", "",                 \
	    "Writing and syncing what had gathered")                           \
	X(BATCH, BATCH, "smtpd_journal_batch_messages", "",                    \
	    "Messages in a commit")                                            \
	X(CHECKPOINT, SECONDS, "smtpd_checkpoint_seconds", "",                 \
	    "Syncing mailboxes, and passing records")

/* A histogram's value is the place of its first bucket. */
enum shared_counter {
#define COUNTER(id, kind, family, labels, help)                                \
	SHARED_##id,                                                           \
	    SHARED_##id##_LAST = SHARED_##id + COUNTER_CELLS_##kind - 1,
	COUNTERS(COUNTER)
#undef COUNTER
	    SHARED_COUNTERS
};

struct counter {
	enum shared_counter at;
	enum counter_kind kind;
	const char *family, *labels, *help;
};

/* Ends with one that has no family. */
extern const struct counter counters[];

struct counter_bounds {
	unsigned n;
	const uint64_t *max;   /* of each bucket */
	const char *const *le; /* as they are shown */
};

/* Of a histogram's kind. */
const struct counter_bounds *counter_bounds(enum counter_kind k);

#endif

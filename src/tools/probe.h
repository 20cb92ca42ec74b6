/*
 * probe: what the parts of the probe share. One struct probe for a run; all
 * texts and results lie in its arena until it ends.
 *
 * Whatever is under way (a question, a try) is counted in pending; when the
 * last of it has ended, next is called once.
 */
#ifndef TOOLS_PROBE_H
#define TOOLS_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/quote.h"
#include "io/resolve.h"
#include "tools/lock.h"
#include "tools/probe_cause.h"
#include "tools/probe_try.h"

#define PROBE_HOSTS_MAX 10
#define PROBE_ADDRS_MAX 8
#define PROBE_NAMES_MAX 8 /* of a PTR */
#define PROBE_DNS_MS    5000

struct config;
struct probe;

struct probe_address {
	struct probe *probe;
	struct probe_host *host;
	struct probe_address *next; /* of all that were tried */
	struct probe_result r;
	bool private;
	bool ours; /* own mode: of this machine */
	/* What its PTR record says. */
	bool named; /* there was an answer */
	bool leads_back;
	unsigned nnames;
	const char *names[PROBE_NAMES_MAX];
};

struct probe_tlsa {
	uint8_t usage, selector, matching;
	struct span data;
};

/* A host with its addresses; in own mode a listen block. */
struct probe_host {
	struct probe *probe;
	const char *name;
	int preference; /* of its MX record; -1: there is none */
	uint16_t port;
	const char *cname; /* it is an alias of that; NULL */
	bool literal;      /* its name is an address */
	bool known;        /* /etc/hosts has its addresses */
	enum dns_status status;
	unsigned why;
	unsigned asking;
	void (*ready)(struct probe_host *h); /* its addresses are there */
	bool authentic;                      /* its TLSA records */
	unsigned ntlsa;
	struct probe_tlsa *tlsa;
	unsigned n[2]; /* of both families, as they were found */
	struct ipaddr found[2][PROBE_ADDRS_MAX];
	unsigned naddrs;
	struct probe_address *addrs;
};

struct probe_domain {
	struct probe *probe;
	const char *name;
	enum dns_status status; /* of its MX records */
	unsigned why;
	int64_t ms;
	unsigned nmx;
	struct dns_record *mx; /* by preference */
	const char *sts;       /* the id of its MTA-STS record; NULL */
	const char *tlsrpt;    /* its TLSRPT record; NULL */
	void (*ready)(struct probe_domain *d); /* its MX records are there */
	struct probe_findings findings;
};

enum probe_compared {
	PROBE_NOT_COMPARED,
	PROBE_COMPARED_GREETS,
	PROBE_COMPARED_SAME, /* the same silence, or refusal */
	PROBE_COMPARED_ELSE, /* nothing can be concluded */
};

struct probe {
	/* What is asked for. */
	const char *target; /* as given; NULL: own mode */
	const char *name;   /* of the domain or the host; NULL: an address */
	struct ipaddr addr; /* IP_NONE: it is a name */
	uint16_t port;      /* 0: the name is a domain */
	const char *file, *resolver, *compare;
	bool json, tls, verbose;
	struct probe_options limits, brief; /* brief: to compare */

	struct loop loop;
	struct stream_pool pool;
	struct tls_client *tls_new, *tls_old;
	struct resolve *resolve;
	struct arena arena;
	unsigned pending;
	void (*next)(struct probe *p);
	int64_t begun;
	const char *asking; /* whom, beside the target: for the progress */

	/* What came of it. */
	struct probe_domain *domain; /* NULL: one server, own mode */
	unsigned nhosts, skipped;    /* MX hosts beyond the limit */
	struct probe_host *hosts;
	struct probe_address *all;      /* of them, when they have been tried */
	struct probe_findings findings; /* what counts */
	bool mail;                      /* it can come */
	enum probe_compared compared;
	bool submission; /* 587 or 465 answers where 25 does not */

	/* Own mode. */
	const struct config *config;
	enum lock_state lock;
	int lock_errno;
	pid_t pid;
	struct probe_host *own; /* what DNS says of hostname */
	unsigned ndomains, asked;
	struct probe_domain *domains;
};

/* --- probe.c --- */

/* One less is pending. Behind it nothing of the caller's may follow. */
void probe_arrived(struct probe *p);
/* Who it is about: not as given, but as it was understood. */
const char *probe_subject(const struct probe *p);

/* --- probe_dns.c --- */

/* p->target: a domain's hosts, or one server. */
void probe_begin(struct probe *p);
/* d: name and ready are set. */
void probe_ask_domain(struct probe_domain *d);
/* h: name, port and ready are set. */
void probe_ask_host(struct probe_host *h);
void probe_ask_ptr(struct probe_address *a);
/* addrs are filled: connects to each. */
void probe_try_all(struct probe_host *h);
/* Of a name that could not be looked up: why is an enum dns_why. */
void probe_dns_find(struct probe_findings *f, struct probe *p,
    enum probe_cause cause, const char *where, unsigned why);

/* --- probe_judge.c: when all is there --- */

void probe_judge(struct probe *p);
void probe_judge_ptr(struct probe_findings *f, const struct probe_address *a);
/* What only the whole shows: 13, 17, 29. tlsa: whose TLSA records. */
void probe_judge_server(struct probe_address *a, const struct probe_host *tlsa);

/* --- probe_blocked.c: 587, 465 and 25 of somebody else, at once --- */

/* 25 was silent, or refused, everywhere: is it the network here? */
bool probe_is_blocked(const struct probe *p);
void probe_blocked(struct probe *p);
void probe_judge_blocked(struct probe *p);

/* --- probe_self.c --- */

/* As root still. 0 or an exit status; it was said why. */
int probe_self_load(struct probe *p, struct config **c);
void probe_self_begin(struct probe *p);
void probe_self_judge(struct probe *p);

/* --- what is printed, at the end --- */

#define PROBE_STS_URL "https://mta-sts.%s/.well-known/mta-sts.txt"

/* "3 1 1 9f86d0" */
void probe_put_tlsa(const struct probe_tlsa *t, struct buf *out);

void probe_text(const struct probe *p, struct buf *out);
void probe_json(const struct probe *p, struct buf *out);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * audit: facts and differences to findings, by a table of checks. It may be told facts about the host, and which of
 * them could not be had. It reads nothing itself, never prints, and never calls good what it does not know.
 */

#include "flags.h"
#include "foreign.h"
#include "listeners.h"
#include "policy.h"
#include "ruleset.h"

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum outcome { OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_NOT_APPLICABLE };

/* "warning", "not-applicable": as in JSON. Static. */
const char *severity_name(enum severity severity);
const char *outcome_name(enum outcome outcome);
bool severity_parse(const char *name, enum severity *ret);

/* What an intention is of. */
enum intention_source {
	/* A process that runs: its command line and environment, with its flagfiles as they are now. So it would start
	 * the next time, if nobody changes anything else. */
	INTENTION_PROCESS,
	INTENTION_UNIT,	    /* the policy's unit, as systemd would start it */
	INTENTION_FLAGFILE, /* the policy's flagfile alone, under systemd */
};

/* "process", "unit", "flagfile": as in JSON. Static. */
const char *intention_source_name(enum intention_source source);

/* All pointers are borrowed. */
struct audit_intention {
	enum intention_source source;
	const char *subject;		   /* "dragonfly, process 4711", "dragonfly.service", the flagfile's path */
	const struct intention *intention; /* NULL: not known */
	const char *unknown;		   /* and why */
	size_t process;			   /* index in host.processes, or LISTENERS_NO_INDEX */
};

/* What is known of the host. All pointers are borrowed. */
struct audit_facts {
	const struct policy *policy;
	const struct environment *environment;
	/* The generation proves that nothing changed since a look that found all in order: what is NULL below is good.
	 */
	bool unchanged;
	const struct changeset *drift; /* NULL: the kernel's table could not be read */
	const char *drift_unknown;     /* and why */
	const struct foreign *foreign; /* NULL: other tables could not be read */
	const char *foreign_unknown;   /* and why */
	const struct host *host;       /* NULL: sockets and processes were not looked at */
	const char *host_unknown;      /* and why */
	const struct audit_intention *intentions;
	size_t intention_count;
};

struct check;

/* One result of one check. Owns its texts. */
struct finding {
	const struct check *check;
	enum severity severity; /* the check's, or what this case is worth */
	enum outcome outcome;
	char *subject;	 /* what it is about: "table inet dflyguard" */
	char *message;	 /* one sentence */
	char *evidence;	 /* what was seen, as it is: a rule. NULL: none */
	char *remedy;	 /* what to do about it. NULL: nothing */
	uint32_t origin; /* the policy's place, 0 = none */
};

/* Free with findings_done(). */
struct findings {
	struct finding *items;
	size_t count;
	size_t capacity;
};

struct check {
	const char *id;	  /* stable: "firewall.drift" */
	const char *area; /* "firewall" */
	enum severity severity;
	const char *title;   /* what is asked, in a few words */
	const char *meaning; /* what a failure means, and what not knowing does */
	const char *remedy;
	/* Appends at least one finding. Pure. NULL: a check of watch, see audit_watch(). */
	void (*assess)(const struct check *check, const struct audit_facts *facts, struct findings *ret);
};

/* The table, in the order of areas. Static. */
const struct check *audit_checks(size_t *ret_count);
/* Runs all checks. `ret` is zero-initialised, and sorted: failures first, then what is unknown, the worst first. */
void audit_run(const struct audit_facts *facts, struct findings *ret);

/* What only a watch can know, since it stays. All pointers are borrowed. */
struct watch_facts {
	const char *policy_path;
	const char *policy_bad;	       /* why what is in the policy's files now was not taken over; NULL: it was */
	bool heals;		       /* it is to */
	bool fight;		       /* and does not, since somebody undoes it */
	const char *rival;	       /* who that is; NULL: nobody knows */
	bool handshake;		       /* silent connections are to be ended */
	const char *handshake_unknown; /* and why they cannot be; NULL: they can */
};

/* The checks of watch, beside those of audit_checks(). Static. */
const struct check *audit_watch_checks(size_t *ret_count);
/* Appends a finding of each. To be called before audit_run(), which sorts all. Pure. */
void audit_watch(const struct watch_facts *facts, struct findings *ret);

/* The checks that decide whether a server may start; two of them are as in audit_checks(). Static. */
const struct check *audit_start_checks(size_t *ret_count);
/*
 * Runs them: on the drift, and on each intention. As strict as the policy and no stricter: where it has no `bind` any
 * address will do, and so does one that only this host reaches. `ret` is zero-initialised, and sorted. Pure.
 */
void audit_start(const struct audit_facts *facts, struct findings *ret);

/* ---- listening sockets, one by one ---- */

/* What a guarded port is for: the policy's options that say who may reach it, and where. */
enum role { ROLE_NONE, ROLE_MAIN, ROLE_ADMIN, ROLE_MEMCACHED };

enum role audit_role(const struct service *service, uint16_t port);

/* What one socket is, seen from the policy. */
enum listener_verdict {
	LISTENER_ALLOWED,    /* its address is one of the policy's */
	LISTENER_NOT_ASKED,  /* one address, and the policy has no `bind` */
	LISTENER_LOOPBACK,   /* not one of the policy's, and only this host reaches it */
	LISTENER_CONTAINER,  /* in another network namespace, where no packet for this host comes */
	LISTENER_UNGUARDED,  /* on another port, and not Dragonfly's: no business of ours */
	LISTENER_UNLISTED,   /* another address than the policy's */
	LISTENER_PUBLIC,     /* so, and the whole Internet may route to it */
	LISTENER_WILDCARD,   /* all addresses */
	LISTENER_PUBLISHED,  /* all addresses, for a container */
	LISTENER_STRANGER,   /* not Dragonfly holds it */
	LISTENER_OTHER_PORT, /* Dragonfly listens on a port that the policy does not name */
};
#define LISTENER_VERDICT_COUNT (LISTENER_OTHER_PORT + 1)

/* "other-port": as in JSON. Static. */
const char *listener_verdict_name(enum listener_verdict verdict);
/* The first ones need no remedy. Pure. */
bool listener_verdict_is_good(enum listener_verdict verdict);
/* `facts->host` is known, and `listener` is one of its. Pure. */
enum listener_verdict audit_listener(const struct audit_facts *facts, const struct listener *listener);
/* What to do about it, or NULL. The caller frees it. Pure. */
char *audit_listener_remedy(const struct audit_facts *facts, const struct listener *listener);
/* "dragonfly 4711 (dfly, dragonfly.service)"; "unknown: not permitted". Pure. */
void audit_holder_text(const struct host *host, const struct listener *listener, struct text *text);
/* How many there are of each verdict. */
void audit_count_listeners(const struct audit_facts *facts, size_t ret[LISTENER_VERDICT_COUNT]);

void findings_done(struct findings *findings);

/* How many findings have this outcome, at this severity or above. */
size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least);
/*
 * As diff(1): 1 where a check failed at `fail_on` or above; else 2 where the outcome of one that would count is
 * unknown; else 0. What is known to be wrong goes first.
 */
int findings_exit(const struct findings *findings, enum severity fail_on);

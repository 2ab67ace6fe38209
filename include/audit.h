/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * audit: facts and differences to findings, by a table of checks. It may be told facts about the host, and which of
 * them could not be had. It reads nothing itself, never prints, and never calls good what it does not know.
 */

#include "bindguard.h"
#include "flags.h"
#include "foreign.h"
#include "listeners.h"
#include "logs.h"
#include "owner.h"
#include "policy.h"
#include "ruleset.h"
#include "server.h"
#include "tls.h"

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
	/* Of our table alone, where `drift` is NULL: it was what the policy says, and nobody committed anything since,
	 * as the generation proves. Other tables ask sets that packets fill, which moves no generation. */
	bool unchanged;
	uint64_t unchanged_since;      /* seconds since 1970; 0: a moment ago */
	const struct changeset *drift; /* NULL: the kernel's table could not be read, or need not be */
	const char *drift_unknown;     /* and why */
	const struct foreign *foreign; /* NULL: other tables could not be read */
	const char *foreign_unknown;   /* and why */
	const struct owner *owner;     /* of our table, where `foreign` says that it has one; NULL: not asked */
	/* The bind guard: what is in force, and what differs from what environment->bind_guard asks for. */
	const struct bindguard *guard;			 /* NULL: could not be read */
	const struct bindguard_changes *guard_drift;	 /* with `guard` */
	const struct bindguard_refusals *guard_refusals; /* NULL: could not be read */
	const char *guard_unknown;			 /* why `guard` is NULL */
	const struct host *host;			 /* NULL: sockets and processes were not looked at */
	const char *host_unknown;			 /* and why */
	const struct audit_intention *intentions;
	size_t intention_count;
	const struct tls_facts *tls;	   /* NULL: neither files nor handshakes were looked at */
	const char *tls_unknown;	   /* and why */
	const struct server_facts *server; /* NULL: nobody asked who may come in */
	const char *server_unknown;	   /* and why */
	bool posture_left_out;		   /* both are NULL because somebody decided so: informational */
	uint64_t now;			   /* seconds since 1970: until when waivers hold */
	bool all_environments;		   /* the policy's environments are to be compared */
	const struct log_facts *logs;	   /* NULL: nobody looked where the log goes */
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
	/* Failed or unknown, and waived by the policy: the waiver's reason, how long (days since 1970), and its place.
	 * NULL: it counts. */
	char *waived;
	uint32_t waived_until;
	uint32_t waived_origin;
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
	const char *facts;   /* what is looked at, in a few words: "sockets, flags" */
	const char *title;   /* what is so where it passes, in a few words */
	const char *bad;     /* what is so where it fails, and what that means; sentences */
	const char *unknown; /* why it may be unknown, as "sockets could not be read". NULL: it never is */
	const char *remedy;
	const char *unwaivable; /* why a policy may not waive it, or NULL */
	/* Appends at least one finding. Pure. NULL: a check of watch, see audit_watch(). */
	void (*assess)(const struct check *check, const struct audit_facts *facts, struct findings *ret);
};

/* The checks of audit, in the order of areas; NULL behind the last one. Static. */
const struct check *audit_check(size_t index);
/* Which one it is; SIZE_MAX: it is watch's. */
size_t audit_check_index(const struct check *check);
/* By its id, of audit or watch. NULL: there is none. */
const struct check *audit_check_find(const char *id);
/* Runs all checks, and marks what the policy waives. `ret` is zero-initialised, and sorted: failures first, then what
 * is unknown, the worst first; what is waived comes last. */
void audit_run(const struct audit_facts *facts, struct findings *ret);
/* The same with a part of the checks: what this host alone tells, at once; or what a server must be asked for, and
 * files that others write, which may take seconds. */
enum audit_part { AUDIT_HOST, AUDIT_ASKED };
void audit_run_part(const struct audit_facts *facts, enum audit_part part, struct findings *ret);
/* Which part a check of audit belongs to. */
enum audit_part audit_part_of(const char *id);

/* What only a watch can know, since it stays. All pointers are borrowed. */
struct watch_facts {
	const char *policy_path;
	const char *policy_bad;	       /* why what is in the policy's files now was not taken over; NULL: it was */
	bool heals;		       /* it is to */
	bool fight;		       /* and does not, since somebody undoes it */
	const char *rival;	       /* who that is; NULL: nobody knows */
	bool handshake;		       /* silent connections are to be ended */
	const char *handshake_unknown; /* and why they cannot be; NULL: they can */
	bool own;		       /* the table is to be owned */
	const char *own_unknown;       /* and why it never can be, by this kernel; NULL: it can */
	const char *own_failed;	       /* and why it is not now; NULL: it is */
	bool own_waits;		       /* ... which is as it should be */
	bool log;		       /* a server runs, whose log is to be followed */
	const char *log_unknown;       /* and why it is not; NULL: it is */
};

/* The checks of watch, beside those of audit_check(); NULL behind the last one. Static. */
const struct check *audit_watch_check(size_t index);
/* It is one of those: `audit` does not have it. */
bool check_is_watch_only(const struct check *check);
/* Appends a finding of each. To be called before audit_run(), which sorts all. Pure. */
void audit_watch(const struct watch_facts *facts, struct findings *ret);

/* ---- the policy itself ---- */

/* What is wrong with a waiver, as far as only the checks can tell: "there is no check 'tls.chian': did you mean
 * 'tls.chain'?". NULL: nothing. The caller frees it. Pure. */
char *audit_waiver_mistake(const struct waiver *waiver);

/* One way in which an environment is weaker than the one that all are measured by. */
struct weakness {
	const struct environment *environment;
	uint32_t origin; /* the policy's place */
	char *message;	 /* "tls = optional, and production has tls = required" */
};

/* Free with weaknesses_done(). */
struct weaknesses {
	struct weakness *items;
	size_t count;
	size_t capacity;
};

/* Called "production", else the policy's default; NULL: there is nothing to measure by, or nothing else. Pure. */
const struct environment *audit_strictest(const struct policy *policy);
/* Measures all others by that one. `ret` is zero-initialised. Pure. */
void audit_compare_environments(const struct policy *policy, struct weaknesses *ret);
void weaknesses_done(struct weaknesses *weaknesses);

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

/* How many findings have this outcome, at this severity or above, and are not waived. */
size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least);
size_t findings_waived(const struct findings *findings);
/*
 * As diff(1): 1 where a check failed at `fail_on` or above; else 2 where the outcome of one that would count is
 * unknown; else 0. What is known to be wrong goes first.
 */
int findings_exit(const struct findings *findings, enum severity fail_on);

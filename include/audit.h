/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * audit: facts and differences to findings, by a table of checks. It may be told facts about the host, and which of
 * them could not be had. It reads nothing itself, never prints, and never calls good what it does not know.
 */

#include "foreign.h"
#include "owner.h"
#include "policy.h"
#include "ruleset.h"

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum outcome { OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_NOT_APPLICABLE };

/* "warning", "not-applicable": as in JSON. Static. */
const char *severity_name(enum severity severity);
const char *outcome_name(enum outcome outcome);
bool severity_parse(const char *name, enum severity *ret);

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
	bool own;		       /* the table is to be owned */
	const char *own_unknown;       /* and why it never can be, by this kernel; NULL: it can */
	const char *own_failed;	       /* and why it is not now; NULL: it is */
	bool own_waits;		       /* ... which is as it should be */
};

/* The checks of watch, beside those of audit_checks(). Static. */
const struct check *audit_watch_checks(size_t *ret_count);
/* It is one of those: `audit` does not have it. */
bool check_is_watch_only(const struct check *check);
/* Appends a finding of each. To be called before audit_run(), which sorts all. Pure. */
void audit_watch(const struct watch_facts *facts, struct findings *ret);

void findings_done(struct findings *findings);

/* How many findings have this outcome, at this severity or above. */
size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least);
/*
 * As diff(1): 1 where a check failed at `fail_on` or above; else 2 where the outcome of one that would count is
 * unknown; else 0. What is known to be wrong goes first.
 */
int findings_exit(const struct findings *findings, enum severity fail_on);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * report: what a command found or did, as text for people, JSON for scripts, or SARIF for what collects findings. It
 * may be told anything; it decides nothing and touches nothing but the stream that it was given.
 */

#include "audit.h"
#include "evaluate.h"
#include "owner.h"
#include "packet.h"
#include "policy.h"

#define REPORT_SCHEMA 1

/* How to write, and where. */
struct report_style {
	FILE *stream;
	bool color;
	bool verbose;
	bool quiet;
	bool lines;	     /* JSON: one object a line */
	bool bare;	     /* events: without the time, for who has it already */
	const char *command; /* "plan" */
	int indent;	     /* columns in front of changes */
};

/* What plan, apply and remove tell. All pointers are borrowed. */
struct report_changes {
	const char *environment; /* NULL: none (remove) */
	const struct policy *policy;
	const struct changeset *changes;
	const struct bindguard_changes *guard; /* the bind guard's; NULL: nobody knows */
	bool applied;			       /* they were made, and reading back found no difference */
	bool write;			       /* this was not a dry run */
	size_t sources;			       /* intervals that the policy allows */
	unsigned int redone;		       /* how often somebody else committed in between */
	double seconds;			       /* from the start of the command */
	/* What could not be done beside it. The text renderer leaves them to who writes to stderr. */
	char *const *warnings;
	size_t warning_count;
	uint64_t confirm_until; /* it is undone then unless confirmed: seconds since 1970; 0: it stays */
	bool undo_removes;	/* ... to no table at all */
};

enum conforming { CONFORMING_UNKNOWN, CONFORMING_NO, CONFORMING_YES };

struct report_status {
	const struct ruleset *observed;
	bool in_force;		    /* the table is there and its chains are run */
	const char *why_not;	    /* NULL, or what is missing */
	enum conforming conforming; /* to the policy; unknown: there is none to compare with */
	size_t differences;
	const char *policy_path; /* that it was compared with, or NULL */
	const char *unknown_why; /* for unknown */
	size_t sources;
	const struct refused_sources *refused;	   /* NULL: could not be read */
	const char *refused_why;		   /* for NULL */
	const struct bans *bans;		   /* NULL: could not be read */
	const char *bans_why;			   /* for NULL */
	const struct bindguard *guard;		   /* the bind guard that is in force; NULL: could not be read */
	const struct bindguard_refusals *attempts; /* with `guard` */
	const char *guard_why;			   /* for NULL */
	uint64_t now;				   /* seconds since 1970 */
	uint64_t confirm_until;			   /* 0: nothing waits to be confirmed */
	bool undo_removes;
	const struct owner *owner; /* who owns the table; NULL: nobody */
};

struct report_check {
	const struct policy *policy;
	const struct environment *environment; /* the chosen one, or NULL: all are shown */
	const struct diagnostics *notes;
	const struct proofs *proofs; /* NULL: no expectation was tried */
};

/* One packet that was refused. */
struct report_refusal {
	const char *environment;     /* NULL: none is known */
	uint64_t time;		     /* nanoseconds since 1970 */
	const char *reason;	     /* its name */
	const char *text;	     /* what it means, or NULL */
	bool show_payload;	     /* the packet's first bytes are why */
	const struct packet *packet; /* NULL: could not be read */
	const char *interface;	     /* where it came in, or NULL */
	uint64_t lost;		     /* notices that were lost since the last one shown */
};

/* What explain tells. All pointers are borrowed. */
struct report_explanation {
	const char *environment;	/* NULL: not known */
	const struct policy *policy;	/* NULL: there is none, and so no places */
	const struct ruleset *ruleset;	/* that was asked */
	const struct ruleset *expected; /* what the policy says it should be; NULL: there is no policy */
	bool live;			/* it was read from the kernel */
	const struct journey *journey;
	bool any_address;  /* the destination is whatever address of this host */
	enum port_use use; /* what the port is for at which it arrives */
	const struct arrival *arrival;
	const struct trace *trace;
};

/* What audit tells. All pointers are borrowed. */
struct report_audit {
	const char *environment;
	const struct policy *policy;
	const struct findings *findings;
	const struct audit_facts *facts; /* of the host: sockets and intentions; NULL: not known */
	const struct changeset *drift;	 /* what differs now; NULL: not known */
	bool unchanged;			 /* not read: nothing changed since a look that found no difference */
	uint64_t unchanged_since;	 /* that one: seconds since 1970 */
	const struct changeset *healed;	 /* what was put back; NULL: nothing was */
	const struct bindguard_changes *guard_drift;  /* of the bind guard; NULL: not known */
	const struct bindguard_changes *guard_healed; /* NULL: nothing was */
	bool heal;				      /* asked for */
	bool dry_run;				      /* only to say what would be healed */
};

/* What `confirm` tells. */
struct report_confirm {
	const char *environment; /* NULL: nothing waited */
	const char *policy_path; /* of the policy that was applied */
	bool confirmed;
	char *const *warnings;
	size_t warning_count;
};

/* What ban and unban tell. */
struct report_ban {
	const char *environment; /* NULL: none is known */
	bool ban;		 /* else unban */
	bool all;		 /* unban: everybody; `source` is not filled */
	enum width width;
	struct interval source;
	uint64_t seconds; /* ban */
	size_t changed;	  /* 0: nothing was to do */
};

/* What watch tells of, as it happens. */
enum event {
	EVENT_START,	/* it has looked for the first time */
	EVENT_DRIFT,	/* one difference that was not there before */
	EVENT_MENDED,	/* differences that are gone, and watch did not do it */
	EVENT_HEALED,	/* differences that watch put back */
	EVENT_OWNED,	/* the table belongs to watch from now on */
	EVENT_FINDING,	/* a check that failed, or became unknown */
	EVENT_RESOLVED, /* one that does so no more */
	EVENT_ENDED,	/* connections that said nothing */
	EVENT_ALERT,	/* as many of something as the policy says is too many */
	EVENT_LOG,	/* the server's log tells something, or something became of the log */
	EVENT_POLICY,	/* another policy is in force from now on */
	EVENT_TROUBLE,	/* something could not be done; it is tried again */
	EVENT_STOP,
};
#define EVENT_COUNT (EVENT_STOP + 1)

/* "drift": as in JSON. Static. */
const char *event_name(enum event event);

/* An alert of the policy. */
struct report_alert {
	enum alert_on on;
	const char *source; /* an address; NULL: nobody tells who it was */
	uint64_t count;
	uint32_t within; /* seconds */
	uint32_t ban;	 /* seconds that the policy says; 0: none */
	bool banned;
	const char *not_banned; /* why not, or NULL */
};

struct report_event {
	enum event event;
	uint64_t time;			  /* nanoseconds since 1970 */
	const char *environment;	  /* NULL: none is known */
	const struct policy *policy;	  /* for places in it, or NULL */
	const char *message;		  /* one sentence, or NULL where `change` or `finding` says it */
	const struct change *change;	  /* drift */
	const struct finding *finding;	  /* finding, resolved */
	const struct report_alert *alert; /* alert */
	uint32_t origin;		  /* the policy's place, where neither `change` nor `finding` has it */
	uint32_t process;		  /* that did it; 0: not known */
	const char *process_name;
};

/* What --metrics writes. All pointers are borrowed. */
struct report_metrics {
	const char *environment;
	const char *policy_path;
	uint64_t fingerprint; /* of the ruleset that should be in force */
	bool conforming;      /* false: it is not, or nobody knows */
	const size_t *drift;  /* by enum change_kind; NULL: not known */
	const struct findings *findings;
	const size_t *listeners;	/* by enum listener_verdict; NULL: not known */
	const struct ruleset *observed; /* counters; NULL: could not be read */
	uint64_t looked, looked_fully;	/* seconds since 1970 */
	bool watch;			/* the next one is known */
	uint64_t heals;
	uint64_t silent;	    /* connections that watch ended */
	const uint64_t *alerts;	    /* by enum alert_on; NULL: not watched */
	uint64_t banned;	    /* sources, by alerts */
	const uint64_t *log_events; /* by enum log_event; NULL: not watched */
	uint64_t log_lost;	    /* bytes of logs that nobody read */
};

/* In the text format of Prometheus, as its node_exporter reads files. */
void report_metrics(FILE *stream, const struct report_metrics *metrics);

/* What `export --to systemd` writes: a drop-in for the server's unit. All pointers are borrowed. */
struct report_dropin {
	const struct policy *policy;
	const struct environment *environment;
	const char *program;	 /* that the unit is to call: an absolute path, of letters, digits and "/._-" */
	const char *policy_path; /* an absolute path, too */
};

/* How many lines IPAddressAllow= it has at most. */
#define REPORT_DROPIN_PREFIXES 10000u

/* False where they would be more, and were left out; a comment in their place tells. */
bool report_systemd(FILE *stream, const struct report_dropin *dropin);

/* A way to write. Chosen by its name. SARIF has nothing but `audit` and `error`: the others are NULL. */
struct renderer {
	const char *name;
	void (*changes)(const struct report_style *style, const struct report_changes *report);
	void (*status)(const struct report_style *style, const struct report_status *report);
	void (*check)(const struct report_style *style, const struct report_check *report);
	/* Also with `quiet`: it is what was asked for. Text is in local time. */
	void (*refusal)(const struct report_style *style, const struct report_refusal *report);
	void (*explanation)(const struct report_style *style, const struct report_explanation *report);
	void (*audit)(const struct report_style *style, const struct report_audit *report);
	void (*checks)(const struct report_style *style, const struct check *const *checks, size_t count);
	void (*confirm)(const struct report_style *style, const struct report_confirm *report);
	void (*ban)(const struct report_style *style, const struct report_ban *report);
	/* One line. Text is in local time. */
	void (*event)(const struct report_style *style, const struct report_event *report);
	/* The errors of the command, as the result on stdout (JSON); the text renderer writes to style->stream, which
	 * then is stderr. `diagnostics` may be NULL. `environment` may be NULL. */
	void (*error)(const struct report_style *style, const struct err *err, const struct diagnostics *diagnostics,
		const char *environment);
};

/* NULL where there is none of that name. */
const struct renderer *report_renderer(const char *name);

extern const struct renderer report_text;
extern const struct renderer report_json;
extern const struct renderer report_sarif;

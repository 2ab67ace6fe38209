/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/cmd share: the command line as parsed, and the commands. Only this room prints or decides an
 * exit status. */

#include "audit.h"
#include "bindguard.h"
#include "err.h"
#include "nft.h"
#include "owner.h"
#include "policy.h"
#include "report.h"
#include "state.h"

/* As diff(1). */
enum exit_status { EXIT_CONFORMING = 0, EXIT_DIFFERS = 1, EXIT_TROUBLE = 2 };

struct reconcile;

struct options {
	const char *policy; /* never NULL */
	bool policy_given;
	const char *environment; /* NULL: the policy's default */
	const struct renderer *renderer;
	bool quiet;
	bool verbose;
	bool color;	  /* of stdout */
	bool color_error; /* of stderr */
	bool dry_run;
	bool boot;			  /* apply, as the next one */
	bool failure_given, failure_open; /* --on-failure, and =open */
	bool follow;			  /* log, as the next two */
	uint64_t count;			  /* 0: not given */
	enum reason reason;
	const char *to; /* export: the language. explain: the address */
	/* explain */
	const char *from, *port, *dnat, *via;
	bool tls, plaintext, established, local, live;
	bool heal; /* audit */
	bool before_start;
	enum severity fail_on;
	bool full;	       /* read the table, whatever is known of it */
	unsigned int confirm;  /* seconds; 0: nothing waits */
	bool all_environments; /* audit: compare them, too */
	const char *metrics;   /* audit and watch; NULL: none */
	uint64_t period;       /* watch, as the next three; seconds */
	uint64_t full_every;
	bool events;
	bool journal;
	bool own;
	const char *operand; /* ban and unban: the source; NULL: none */
	uint64_t ban_seconds;
	bool all; /* unban */
	const struct command *command;
};

struct command {
	const char *name;
	unsigned int options; /* bits of enum option_bit that it takes besides the global ones */
	int (*run)(const struct options *options);
	const char *summary;
	const char *help;     /* paragraphs for --help; lines of at most 78 columns */
	const char *examples; /* lines for --help, or NULL */
};

enum option_bit {
	OPTION_DRY_RUN = 1,
	OPTION_LANGUAGE = 2,
	OPTION_FOLLOW = 4,
	OPTION_COUNT = 8,
	OPTION_REASON = 16,
	OPTION_CONNECTION = 32,
	OPTION_HEAL = 64,
	OPTION_FAIL_ON = 128,
	OPTION_FULL = 256,
	OPTION_CONFIRM = 512,
	OPTION_METRICS = 1024,
	OPTION_WATCH = 2048,
	OPTION_BOOT = 4096,
	OPTION_COMPARE = 8192,
	OPTION_BAN = 16384,
	OPTION_UNBAN = 32768,
	OPTION_START = 65536,
};

int command_boot(const struct options *options); /* apply --boot */
int command_check(const struct options *options);
int command_plan(const struct options *options);
int command_apply(const struct options *options);
int command_status(const struct options *options);
int command_log(const struct options *options);
int command_remove(const struct options *options);
int command_confirm(const struct options *options);
int command_rollback(const struct options *options);
/* Not for people: waits until the policy with this token must be undone, and undoes it if it still waits. */
int command_undo(const char *token, bool say_ready);
int command_export(const struct options *options);
int command_explain(const struct options *options);
int command_ban(const struct options *options);
int command_unban(const struct options *options);
int command_audit(const struct options *options);
int command_start(const struct options *options); /* audit --before-start */
int command_checks(const struct options *options);
int command_watch(const struct options *options);

/* Reports an error in the format asked for; returns EXIT_TROUBLE. `diagnostics` may be NULL. */
int fail(const struct options *options, const struct err *err, const struct diagnostics *diagnostics);
/* The style for stdout. */
struct report_style output_style(const struct options *options);
/* The policy and the environment that the options ask for. True on success: the caller frees *ret_policy. False: the
 * error is reported. */
bool load_policy(const struct options *options, struct policy **ret_policy, const struct environment **ret_environment);
/* The environment that the options ask for; where they ask for none, the one in force, if the policy has it. NULL and
 * `err` where there is none. */
const struct environment *environment_in_force(
	const struct options *options, const struct policy *policy, const struct ruleset *observed, struct err *err);

/* ---- ban.c: bans, for the command and for watch ---- */

#define BAN_SECONDS_MOST 604800u /* a week */

/* What is banned where nobody says more than an address: in IPv6 its prefix of ipv6_source_prefix bits (but no shorter
 * one than /32), since whoever has one address of it has all; but the address alone where the policy protects some of
 * that prefix. Pure. */
struct interval ban_widened(
	const struct policy *policy, const struct environment *environment, enum width width, struct value address);
/* 0; or -EPERM with `err` where the policy protects some of `source`, at the line that does; or -EINVAL where it is too
 * large for a ban: more than a /16 of IPv4, or than a /32 of IPv6. Pure. */
int ban_check(const struct policy *policy, const struct environment *environment, enum width width,
	struct interval source, struct err *err);
/* ban_check(), and then bans it: see nft_ban(), which fills *ret_changed (0: it is banned for longer already). 0, or a
 * negative errno value with `err`. `seconds`: 1 to BAN_SECONDS_MOST. */
int ban_source(struct nft *nft, const struct policy *policy, const struct environment *environment, enum width width,
	struct interval source, uint64_t seconds, size_t *ret_changed, struct err *err);

/* ---- expectations.c: 0, or -EINVAL with the first that is not met in `err`, at its place. ---- */
int check_expectations(const struct policy *policy, const struct environment *environment,
	const struct ruleset *ruleset, struct err *err);
/* True where the policy is what it expects of itself in this environment; else the error is reported. */
bool meets_expectations(const struct options *options, const struct policy *policy,
	const struct environment *environment, const struct ruleset *ruleset);
/* What could not be done beside the command's own work, which succeeded. Zero-initialise; free with warnings_done(). */
struct warnings {
	char **items;
	size_t count, capacity;
};
/* `err` may be NULL; else its message and hint follow the text. */
void warn_about(struct warnings *warnings, const struct err *err, const char *text);
/* On stderr, for people; JSON has them in its object. */
void warnings_show(const struct options *options, const struct warnings *warnings);
void warnings_done(struct warnings *warnings);

/* Writes out what stdio holds. EXIT_TROUBLE, reported, where that fails (a full disk, a closed pipe). */
int finish_output(const struct options *options, int status);

/* ---- cmd_firewall.c ---- */

/* A policy on its way into the kernel, and what is remembered of it. All is borrowed. */
struct request {
	const struct options *options;
	struct progress *progress;
	struct state *state;
	struct warnings *warnings;
	const struct policy *policy;
	const struct environment *environment;
	const struct kept_policy *source; /* the policy was kept, and is to be kept again as it is; NULL: print it */
	bool write;
	bool full;
	unsigned int confirm;	   /* seconds; 0: for good */
	bool or_else;		   /* something else is to be tried where this cannot be put in force: see PUT_NOT */
	struct ruleset *makeshift; /* not the policy's ruleset but this one, which is not to be remembered; or NULL */
};

/* Reports, and returns the exit status. With `or_else` PUT_NOT where the kernel could be read and did not take it, or
 * the policy is not what it expects of itself: that was told on stderr. */
#define PUT_NOT (-1)
int put_in_force(const struct request *request);
/* Takes the lock where that can be had; else the guard goes first, and a warning tells. */
void lock_or_warn(struct state *state, struct warnings *warnings);

/* ---- metrics.c ---- */

/* Writes them to a new file that then takes the place of the one at `path`. 0, or a negative errno value with `err`. */
int metrics_write(const char *path, const struct report_metrics *metrics, struct err *err);
/* How many of each enum change_kind there are; `counts` has room for four. */
void metrics_count(const struct changeset *changes, size_t *counts);

/* ---- progress.c: where a long command is, on a terminal; nothing elsewhere ---- */

struct progress {
	bool shown;   /* stderr is a terminal, and nobody asked for quiet */
	bool verbose; /* say how long each step took */
	bool drawn;
	const char *step;
	double begin, step_begin; /* seconds */
};

void progress_begin(struct progress *progress, const struct options *options);
/* The next step. `count` things are in it, 0 = unknown. Draws only if the command is long already, or will be. */
void progress_step(struct progress *progress, const char *step, size_t count);
void progress_update(struct progress *progress, size_t done);
void progress_end(struct progress *progress);
/* Seconds since progress_begin(). */
double progress_seconds(const struct progress *progress);

/* ---- undone.c ---- */

/* Whether this policy was undone, or waits and will be, and neither it nor another one was applied since. */
bool undone_is(const struct state *state, const struct policy *policy, const struct environment *environment);
/* The lock is held. 0, or a negative errno value with `err`. */
int undone_add(const struct state *state, const struct kept_policy *kept, struct err *err);
/* Somebody applied a policy: all of them. */
int undone_forget(const struct state *state, struct err *err);

/* ---- owned.c: a table that belongs to a process ---- */

/* Finds the owner of our table as it was read. True where it is not whoever has `port` (0: nobody). */
bool owned_by_another(const struct ruleset *observed, uint32_t port, struct owner *ret);
/* "process 123 (dflyguard)", or "the netlink socket with port id 4294961234 (and why no more is known)". */
void owner_text(const struct owner *owner, struct text *text);
/* -EPERM, and `err` names the owner and the way out, where our table is owned by another than `port`; else 0. */
int refuse_owned(const struct ruleset *observed, uint32_t port, struct err *err);
/* The same before anything is read or remembered: reads whether there is a table, and whose. */
int refuse_owned_now(struct err *err);

/* ---- reconcile.c: the one place where the steps are in order ---- */

struct reconcile {
	/* In. Borrowed. `expected` may be absent (remove). */
	const struct ruleset *expected;
	const struct policy *policy;
	bool write;
	struct progress *progress;
	/* The generation at which nothing differs, as a record proves (state_looked()); 0 = nothing is known. If the
	 * kernel still is there, nothing is read. */
	uint32_t known_generation;
	/* NULL: one is opened. A test puts its own in. Closed by reconcile_done(), unless it was taken out before.
	 */
	struct nft *nft;
	/* Out. Free with reconcile_done(). */
	struct snapshot before;	   /* what `changes` were found against */
	struct changeset *changes; /* what was to do; empty = nothing */
	bool unchanged;		   /* the kernel is at known_generation: nothing was read */
	bool applied;		   /* it was done, and reading back found no difference */
	unsigned int redone;
	uint32_t clean_generation; /* at which reading found no difference; 0: none did */
	/* Within reconcile(): what the first look found, where new lists were made ready after it. */
	struct snapshot first;
	struct changeset *first_changes;
};

/*
 * Reads the kernel and compares; with `write`, commits what differs, as one transaction that is valid only for the
 * state that was read, and reads back until nothing differs. 0, or a negative errno value with `err`: then nothing is
 * known to be changed, unless `err` says so.
 */
int reconcile(struct reconcile *reconcile, struct err *err);
void reconcile_done(struct reconcile *reconcile);

/* ---- guard.c: the bind guard, which comes after the table ---- */

/* Free with guard_done(). */
struct guard {
	struct bindguard wanted, found;
	bool known;			  /* it could be read */
	struct bindguard_changes changes; /* what was to do; empty = nothing */
	bool applied;			  /* it was done, and reading back found no difference */
	struct err err;			  /* why not */
};

/* What the policy asks for. Pure. `ret` is zero-initialised. */
void guard_want(const struct policy *policy, const struct environment *environment, struct bindguard *ret);
/* A number for all that is to be in force: the ruleset and the bind guard. */
uint64_t force_fingerprint(
	const struct policy *policy, const struct environment *environment, const struct ruleset *expected);
/*
 * Compares, and with `write` puts what the policy asks for in force and reads it back. `environment` NULL: none is to
 * be. 0, or a negative errno value with guard->err: -EOPNOTSUPP where this host cannot have one.
 */
int guard_reconcile(
	const struct policy *policy, const struct environment *environment, bool write, struct guard *guard);
void guard_done(struct guard *guard);
/* What audit is to know of it; `attempts` is filled, and must outlive the facts. */
void guard_facts(const struct guard *guard, struct bindguard_refusals *attempts, struct audit_facts *facts);

/* ---- pending.c: a policy that is in force for a time ---- */

/* Writes RUN/pending and starts who undoes it after `seconds`. `waiting` is what waited before (no token: nothing),
 * whose place it takes. The lock is held. 0, or a negative errno value with `err`: then all is as it was. */
int pending_arm(struct state *state, struct kept_policy *pending, const struct kept_policy *waiting,
	unsigned int seconds, struct err *err);
/* Puts back what waited before, or nothing. */
void pending_restore(const struct state *state, const struct kept_policy *waiting);
/* Back to `current`, or to no table; then nothing waits. The lock is held. */
int pending_undo(const struct state *state, const struct kept_policy *pending, struct err *err);

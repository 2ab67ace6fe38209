/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/cmd share: the command line as parsed, and the commands. Only this room prints or decides an
 * exit status. */

#include "audit.h"
#include "err.h"
#include "nft.h"
#include "policy.h"
#include "report.h"

/* As diff(1). */
enum exit_status { EXIT_CONFORMING = 0, EXIT_DIFFERS = 1, EXIT_TROUBLE = 2 };

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
	bool follow;	/* log, as the next two */
	uint64_t count; /* 0: not given */
	enum reason reason;
	const char *to; /* export: the language. explain: the address */
	/* explain */
	const char *from, *port, *dnat, *via;
	bool tls, plaintext, established, local, live;
	bool heal; /* audit */
	enum severity fail_on;
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
};

int command_check(const struct options *options);
int command_plan(const struct options *options);
int command_apply(const struct options *options);
int command_status(const struct options *options);
int command_log(const struct options *options);
int command_remove(const struct options *options);
int command_export(const struct options *options);
int command_explain(const struct options *options);
int command_audit(const struct options *options);
int command_checks(const struct options *options);

/* Reports an error in the format asked for; returns EXIT_TROUBLE. `diagnostics` may be NULL. */
int fail(const struct options *options, const struct err *err, const struct diagnostics *diagnostics);
/* The style for stdout. */
struct report_style output_style(const struct options *options);
/* The policy and the environment that the options ask for. True on success: the caller frees *ret_policy. False: the
 * error is reported. */
bool load_policy(const struct options *options, struct policy **ret_policy, const struct environment **ret_environment);
/* True where the policy is what it expects of itself in this environment; else the error is reported. */
bool meets_expectations(const struct options *options, const struct policy *policy,
	const struct environment *environment, const struct ruleset *ruleset);
/* Writes out what stdio holds. EXIT_TROUBLE, reported, where that fails (a full disk, a closed pipe). */
int finish_output(const struct options *options, int status);

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

/* ---- reconcile.c: the one place where the steps are in order ---- */

struct reconcile {
	/* In. Borrowed. `expected` may be absent (remove). */
	const struct ruleset *expected;
	const struct policy *policy;
	bool write;
	struct progress *progress;
	/* NULL: one is opened. A test puts its own in. Closed by reconcile_done() in either case. */
	struct nft *nft;
	/* Out. Free with reconcile_done(). */
	struct snapshot before;	   /* what `changes` were found against */
	struct changeset *changes; /* what was to do; empty = nothing */
	bool applied;		   /* it was done, and reading back found no difference */
	unsigned int redone;
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

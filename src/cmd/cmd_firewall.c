/* SPDX-License-Identifier: GPL-3.0-or-later */

/* plan, apply, remove, status: the policy against the kernel. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

static int report_changes(const struct options *options, const struct reconcile *r, const char *environment)
{
	struct report_style style = output_style(options);
	struct report_changes report = {.environment = environment,
		.policy = r->policy,
		.changes = r->changes,
		.applied = r->applied,
		.write = r->write,
		.sources = ruleset_source_count(r->expected),
		.redone = r->redone,
		.seconds = progress_seconds(r->progress)};

	options->renderer->changes(&style, &report);
	return finish_output(options, !r->write && r->changes->count ? EXIT_DIFFERS : EXIT_CONFORMING);
}

/* `environment` is NULL where all is to go. Ends the reconciliation. */
static int reconcile_and_report(const struct options *options, struct reconcile *r, const char *environment)
{
	struct err err = {0};
	int code = reconcile(r, &err);
	int status;

	progress_end(r->progress);
	status = code < 0 ? fail(options, &err, NULL) : report_changes(options, r, environment);
	reconcile_done(r);
	return status;
}

static int run(const struct options *options, bool write)
{
	const struct environment *environment;
	struct policy *policy;
	struct progress progress;
	struct reconcile r = {.write = write, .progress = &progress};
	struct ruleset *expected;
	int status;

	progress_begin(&progress, options);
	progress_step(&progress, "reading the policy", 0);
	if (!load_policy(options, &policy, &environment))
		return EXIT_TROUBLE;
	progress_step(&progress, "compiling", policy->source_count);
	expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	r.expected = expected;
	r.policy = policy;
	if (policy->expectation_count)
		progress_step(&progress, "trying what the policy expects", policy->expectation_count);
	if (meets_expectations(options, policy, environment, expected)) {
		status = reconcile_and_report(options, &r, environment->name);
	} else {
		progress_end(&progress);
		status = EXIT_TROUBLE;
	}
	ruleset_free(expected);
	policy_free(policy);
	return status;
}

int command_plan(const struct options *options)
{
	return run(options, false);
}

int command_apply(const struct options *options)
{
	return run(options, !options->dry_run);
}

int command_remove(const struct options *options)
{
	struct ruleset *nothing = ruleset_new();
	struct progress progress;
	struct reconcile r = {.write = !options->dry_run, .expected = nothing, .progress = &progress};
	int status;

	progress_begin(&progress, options);
	status = reconcile_and_report(options, &r, NULL);
	ruleset_free(nothing);
	return status;
}

/* --- status --- */

/* Compares with the policy where there is one: "in force" alone would stay green while a rule is missing. */
static int compare(const struct options *options, struct report_status *report, struct policy **policy, struct err *err,
	struct diagnostics *diagnostics)
{
	const struct environment *environment;
	const char *name = options->environment;
	struct ruleset *expected;
	struct changeset *changes;

	if (!options->policy_given && access(options->policy, F_OK) < 0 && errno == ENOENT) {
		report->unknown_why = "there is no " POLICY_DEFAULT_PATH ", and no --policy was given";
		return 0;
	}
	report->unknown_why = "the policy cannot be used";
	if (policy_load(options->policy, policy, diagnostics, err) < 0)
		return -err->code;
	/* Which environment is right? The one in force, unless somebody says otherwise. */
	if (!name && report->observed->environment && policy_environment(*policy, report->observed->environment, NULL))
		name = report->observed->environment;
	environment = policy_environment(*policy, name, err);
	if (!environment)
		return -err->code;
	expected = ruleset_compile(*policy, environment, 0);
	changes = ruleset_diff(expected, report->observed);
	report->differences = changes->count;
	report->conforming = changes->count ? CONFORMING_NO : CONFORMING_YES;
	report->policy_path = (*policy)->path;
	changeset_free(changes);
	ruleset_free(expected);
	return 0;
}

int command_status(const struct options *options)
{
	struct report_style style = output_style(options);
	struct report_status report = {.now = (uint64_t)time(NULL)};
	struct diagnostics diagnostics = {0};
	struct snapshot snapshot = {0};
	struct refused_sources refused = {0};
	struct policy *policy = NULL;
	struct nft *nft = NULL;
	struct err err = {0};
	struct err refused_err = {0};
	int status;

	if (nft_open(&nft, &err) < 0 || nft_read(nft, &snapshot, &err) < 0) {
		nft_close(nft);
		return fail(options, &err, NULL);
	}
	report.observed = snapshot.ruleset;
	report.why_not = ruleset_why_not_in_force(snapshot.ruleset);
	report.in_force = !report.why_not;
	report.sources = ruleset_source_count(snapshot.ruleset);
	/* Statistics: where they cannot be read, the rest is true all the same. */
	if (nft_read_refused(nft, snapshot.ruleset, &refused, &refused_err) == 0)
		report.refused = &refused;
	report.refused_why = refused_err.message;
	bool compared = compare(options, &report, &policy, &err, &diagnostics) == 0;

	/* What is known comes first, also where the policy is bad: a firewall that is not in force must be seen. */
	if (compared || options->renderer == &report_text)
		options->renderer->status(&style, &report);
	status = report.in_force && report.conforming != CONFORMING_NO ? EXIT_CONFORMING : EXIT_DIFFERS;
	status = finish_output(options, status);
	if (!compared) {
		fail(options, &err, &diagnostics);
		status = status == EXIT_CONFORMING ? EXIT_TROUBLE : status;
	}
	diagnostics_done(&diagnostics);
	policy_free(policy);
	refused_sources_done(&refused);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	return status;
}

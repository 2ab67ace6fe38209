/* SPDX-License-Identifier: GPL-3.0-or-later */

/* check and export: the policy alone, without the kernel and without privileges. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cmd.h"

/* In all environments, or in the one that was asked for. */
static void try_expectations(const struct policy *policy, const struct environment *only, struct proofs *proofs)
{
	for (size_t i = 0; policy->expectation_count && i < policy->environment_count; i++) {
		const struct environment *environment = &policy->environments[i];
		struct ruleset *ruleset;

		if (only && environment != only)
			continue;
		ruleset = ruleset_compile(policy, environment, 0);
		ruleset_expect(policy, environment, ruleset, proofs);
		ruleset_free(ruleset);
	}
}

bool meets_expectations(const struct options *options, const struct policy *policy,
	const struct environment *environment, const struct ruleset *ruleset)
{
	struct err err = {0};

	if (check_expectations(policy, environment, ruleset, &err) == 0)
		return true;
	fail(options, &err, NULL);
	return false;
}

static void add_diagnostic(const struct policy *policy, uint32_t origin, char *message, struct diagnostics *diagnostics)
{
	struct srcloc place = policy_place(policy, origin);

	ARRAY_GROW(diagnostics->items, diagnostics->count, diagnostics->capacity);
	diagnostics->items[diagnostics->count++] = (struct diagnostic){
		.file = mem_string(place.file ? place.file : policy->path), .line = place.line, .message = message};
}

/* What only the checks know: the ids that are there, and those that nobody may waive. */
static int find_waiver_mistakes(const struct policy *policy, struct diagnostics *diagnostics, struct err *err)
{
	for (size_t i = 0; i < policy->waiver_count; i++) {
		char *mistake = audit_waiver_mistake(&policy->waivers[i]);

		if (mistake)
			add_diagnostic(policy, policy->waivers[i].origin, mistake, diagnostics);
	}
	if (!diagnostics->count)
		return 0;
	const struct diagnostic *first = &diagnostics->items[0];

	return err_set_at(err, EINVAL, ERR_POLICY, (struct srcloc){first->file, first->line},
		diagnostics->count == 1 ? "the policy has one mistake" : "the policy has %zu mistakes",
		diagnostics->count);
}

/* In all environments but the one that is measured by, or in the one that was asked for. */
static void note_weaknesses(const struct policy *policy, const struct environment *only, struct diagnostics *notes)
{
	struct weaknesses weaknesses = {0};

	audit_compare_environments(policy, &weaknesses);
	for (size_t i = 0; i < weaknesses.count; i++) {
		const struct weakness *weakness = &weaknesses.items[i];

		if (!only || weakness->environment == only)
			add_diagnostic(policy, weakness->origin,
				mem_format(
					"environment %s is weaker: %s", weakness->environment->name, weakness->message),
				notes);
	}
	weaknesses_done(&weaknesses);
}

int command_check(const struct options *options)
{
	struct policy *policy = NULL;
	struct diagnostics diagnostics = {0};
	struct diagnostics notes = {0};
	struct report_style style = output_style(options);
	struct report_check report = {0};
	struct proofs proofs = {0};
	struct err err = {0};
	int status;

	if (policy_load(options->policy, &policy, &diagnostics, &err) < 0 ||
		find_waiver_mistakes(policy, &diagnostics, &err) < 0) {
		status = fail(options, &err, &diagnostics);
		diagnostics_done(&diagnostics);
		policy_free(policy);
		return status;
	}
	diagnostics_done(&diagnostics);
	report.policy = policy;
	/* The default need not exist to check the others; a name that was asked for must. */
	if (options->environment) {
		report.environment = policy_environment(policy, options->environment, &err);
		if (!report.environment) {
			policy_free(policy);
			return fail(options, &err, NULL);
		}
	}
	if (options->verbose)
		policy_notes(policy, &notes);
	note_weaknesses(policy, report.environment, &notes);
	report.notes = &notes;
	try_expectations(policy, report.environment, &proofs);
	report.proofs = &proofs;
	options->renderer->check(&style, &report);
	status = finish_output(options, proofs.unmet ? EXIT_DIFFERS : EXIT_CONFORMING);
	free(proofs.items);
	diagnostics_done(&notes);
	policy_free(policy);
	return status;
}

/* --- export --- */

static int export_nft(const struct options *options, const struct policy *policy, const struct environment *environment)
{
	struct ruleset *ruleset = ruleset_compile(policy, environment, (uint64_t)time(NULL));

	printf("# Written by dflyguard %s from %s, environment %s, for `nft -f`.\n"
	       "# It replaces table inet " TABLE_NAME " and nothing else, in one transaction.\n\n",
		DFLYGUARD_VERSION, policy->path, environment->name);
	ruleset_print_nft(ruleset, stdout);
	ruleset_free(ruleset);
	return finish_output(options, EXIT_CONFORMING);
}

/* The unit calls the program where `make install` puts it, not the one that runs now: root is not to start, whenever
 * the server does, what lies in somebody's home. */
static int export_systemd(
	const struct options *options, const struct policy *policy, const struct environment *environment)
{
	/* A link in an absolute path stays one: somebody meant it. */
	_cleanup_free_ char *path =
		options->policy[0] == '/' ? mem_string(options->policy) : realpath(options->policy, NULL);
	struct report_dropin dropin = {.policy = policy,
		.environment = environment,
		.program = DFLYGUARD_SBINDIR "/dflyguard",
		.policy_path = path};
	struct err err = {0};

	if (!path) {
		err_set(&err, errno, ERR_IO, "cannot tell the absolute path of '%s': %s", options->policy,
			strerror(errno));
		return fail(options, &err, NULL);
	}
	if (!report_systemd(stdout, &dropin)) {
		_cleanup_(warnings_done) struct warnings warnings = {0};

		warn_about(&warnings, NULL,
			"the drop-in has no IPAddressAllow=: the policy names too many sources for a unit");
		warnings_show(options, &warnings);
	}
	return finish_output(options, EXIT_CONFORMING);
}

static const struct {
	const char *name;
	int (*write)(const struct options *options, const struct policy *policy, const struct environment *environment);
} languages[] = {{"nft", export_nft}, {"systemd", export_systemd}};

int command_export(const struct options *options)
{
	const struct environment *environment;
	struct policy *policy;
	struct err err = {0};
	size_t language = 0;
	int status;

	while (language < ARRAY_SIZE(languages) && !same_string(options->to, languages[language].name))
		language++;
	if (language == ARRAY_SIZE(languages)) {
		err_set(&err, EINVAL, ERR_USAGE, options->to ? "cannot export to '%s'" : "export needs --to%s",
			options->to ? options->to : "");
		err_hint(&err, "dflyguard export --to nft, or --to systemd");
		return fail(options, &err, NULL);
	}
	if (options->renderer == &report_json) {
		err_set(&err, EINVAL, ERR_USAGE, "export writes the language that --to names, not JSON");
		err_hint(&err, "leave out --format json");
		return fail(options, &err, NULL);
	}
	if (!load_policy(options, &policy, &environment))
		return EXIT_TROUBLE;
	status = languages[language].write(options, policy, environment);
	policy_free(policy);
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* audit and checks: what is known of the host, judged. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "facts.h"

/* What one look found. Free with look_done(). */
struct look {
	struct reconcile reconcile;
	struct err drift_err, foreign_err;
	struct foreign *foreign;
	struct host_facts host;
	struct audit_facts facts;
	struct findings findings;
};

static void look(struct look *look, const struct policy *policy, const struct environment *environment,
	const struct ruleset *expected, struct progress *progress)
{
	struct reconcile *r = &look->reconcile;
	struct foreign_question question;

	*look = (struct look){.reconcile = {.expected = expected, .policy = policy, .progress = progress},
		.facts = {.policy = policy, .environment = environment}};
	if (reconcile(r, &look->drift_err) == 0)
		look->facts.drift = r->changes;
	look->facts.drift_unknown = look->drift_err.message;
	progress_step(progress, "reading other tables", 0);
	foreign_ask(policy, environment, &question);
	if (r->nft && nft_read_foreign(r->nft, &question, &look->foreign, &look->foreign_err) == 0)
		look->facts.foreign = look->foreign;
	look->facts.foreign_unknown = r->nft ? look->foreign_err.message : look->drift_err.message;
	progress_step(progress, "reading sockets and processes", 0);
	host_facts_read(policy, &look->host);
	host_facts_lend(&look->host, &look->facts);
	audit_run(&look->facts, &look->findings);
}

static void look_done(struct look *look)
{
	findings_done(&look->findings);
	foreign_free(look->foreign);
	host_facts_done(&look->host);
	reconcile_done(&look->reconcile);
}

/* Where they cannot be written, that is trouble; but what was found wrong goes first. */
static int write_metrics(const struct options *options, const struct look *look, int status)
{
	size_t drift[CHANGE_MOVE + 1];
	size_t listeners[LISTENER_VERDICT_COUNT];
	uint64_t now = (uint64_t)time(NULL);
	struct report_metrics metrics = {.environment = look->facts.environment->name,
		.policy_path = look->facts.policy->path,
		.fingerprint = ruleset_fingerprint(look->reconcile.expected),
		.conforming = look->facts.drift && !look->facts.drift->count,
		.findings = &look->findings,
		.listeners = look->facts.host->listeners_read.unknown ? NULL : listeners,
		.looked = now,
		.looked_fully = now};
	struct err err = {0};

	if (!options->metrics)
		return status;
	audit_count_listeners(&look->facts, listeners);
	if (look->facts.drift) {
		metrics_count(look->facts.drift, drift);
		metrics.drift = drift;
		metrics.observed = look->facts.drift->observed;
	}
	if (metrics_write(options->metrics, &metrics, &err) == 0)
		return status;
	fail(&(struct options){.renderer = &report_text, .color_error = options->color_error}, &err, NULL);
	return status == EXIT_CONFORMING ? EXIT_TROUBLE : status;
}

static int report(const struct options *options, const struct look *look, const struct changeset *healed)
{
	struct report_style style = output_style(options);
	struct report_audit report = {.environment = look->facts.environment->name,
		.policy = look->facts.policy,
		.findings = &look->findings,
		.facts = &look->facts,
		.drift = look->facts.drift,
		.healed = healed,
		.heal = options->heal,
		.dry_run = options->dry_run};

	options->renderer->audit(&style, &report);
	return write_metrics(options, look, finish_output(options, findings_exit(&look->findings, options->fail_on)));
}

/* Puts back what differs; then looks again, since what was healed is not what is judged. */
static int heal(
	const struct options *options, struct look *first, const struct ruleset *expected, struct progress *progress)
{
	struct reconcile r = {.expected = expected, .policy = first->facts.policy, .write = true, .progress = progress};
	struct err err = {0};
	struct look second;
	int status;

	if (reconcile(&r, &err) < 0) {
		err_prefix(&err, "healing");
		progress_end(progress);
		status = fail(options, &err, NULL);
		reconcile_done(&r);
		return status;
	}
	look(&second, first->facts.policy, first->facts.environment, expected, progress);
	progress_end(progress);
	status = report(options, &second, r.applied ? r.changes : NULL);
	look_done(&second);
	reconcile_done(&r);
	return status;
}

int command_audit(const struct options *options)
{
	const struct environment *environment;
	struct policy *policy;
	struct progress progress;
	struct ruleset *expected;
	struct look first;
	int status;

	if (options->before_start)
		return command_start(options);
	if (options->dry_run && !options->heal) {
		struct err err = {0};

		err_set(&err, EINVAL, ERR_USAGE, "audit takes --dry-run only with --heal");
		err_hint(&err, "without --heal it changes nothing anyway");
		return fail(options, &err, NULL);
	}
	progress_begin(&progress, options);
	progress_step(&progress, "reading the policy", 0);
	if (!load_policy(options, &policy, &environment))
		return EXIT_TROUBLE;
	progress_step(&progress, "compiling", policy->source_count);
	expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	look(&first, policy, environment, expected, &progress);
	if (options->heal && !options->dry_run && first.facts.drift && first.facts.drift->count) {
		status = heal(options, &first, expected, &progress);
	} else {
		progress_end(&progress);
		status = report(options, &first, NULL);
	}
	look_done(&first);
	ruleset_free(expected);
	policy_free(policy);
	return status;
}

int command_checks(const struct options *options)
{
	struct report_style style = output_style(options);
	size_t count;
	const struct check *checks = audit_checks(&count);

	options->renderer->checks(&style, checks, count);
	return finish_output(options, EXIT_CONFORMING);
}

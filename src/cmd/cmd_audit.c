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
	struct guard guard;
	struct bindguard_refusals attempts;
	struct owner owner;
	struct audit_facts facts;
	struct findings findings;
};

/* Our table need not be read where a record proves that it is what it should be: see state_looked(). A full look leaves
 * such a record. */
static void look_at_ours(struct look *look, bool full)
{
	_cleanup_(state_done) struct state state = state_open();
	struct reconcile *r = &look->reconcile;
	uint64_t fingerprint = force_fingerprint(look->facts.policy, look->facts.environment, r->expected);
	uint64_t when = 0;

	if (!full)
		r->known_generation = state_looked(&state, fingerprint, &when);
	if (reconcile(r, &look->drift_err) < 0)
		return;
	look->facts.unchanged = r->unchanged;
	if (r->unchanged)
		look->facts.unchanged_since = when;
	else
		look->facts.drift = r->changes;
	/* If nobody else is about to. */
	if (r->clean_generation && state_lock(&state, 0, NULL) == 0)
		state_remember_look(&state, fingerprint, r->clean_generation);
}

static void look(struct look *look, const struct policy *policy, const struct environment *environment,
	const struct ruleset *expected, struct progress *progress, const struct options *options, bool full)
{
	struct reconcile *r = &look->reconcile;
	struct foreign_question question;

	*look = (struct look){.reconcile = {.expected = expected, .policy = policy, .progress = progress},
		.facts = {.policy = policy,
			.environment = environment,
			.now = (uint64_t)time(NULL),
			.all_environments = options->all_environments}};
	look_at_ours(look, full);
	look->facts.drift_unknown = look->drift_err.message;
	progress_step(progress, "reading other tables", 0);
	foreign_ask(policy, environment, &question);
	if (r->nft && nft_read_foreign(r->nft, &question, &look->foreign, &look->foreign_err) == 0)
		look->facts.foreign = look->foreign;
	if (look->foreign && look->foreign->ours_flags & TABLE_OWNER) {
		owner_find("/proc", look->foreign->ours_owner, &look->owner);
		look->facts.owner = &look->owner;
	}
	look->facts.foreign_unknown = r->nft ? look->foreign_err.message : look->drift_err.message;
	progress_step(progress, "reading sockets and processes", 0);
	host_facts_read(policy, &look->host);
	progress_step(progress, "asking the server", 0);
	host_facts_read_posture(policy, environment, &look->host);
	host_facts_lend(&look->host, &look->facts);
	guard_reconcile(policy, environment, false, &look->guard);
	guard_facts(&look->guard, &look->attempts, &look->facts);
	audit_run(&look->facts, &look->findings);
}

static void look_done(struct look *look)
{
	findings_done(&look->findings);
	foreign_free(look->foreign);
	host_facts_done(&look->host);
	bindguard_refusals_done(&look->attempts);
	guard_done(&look->guard);
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
		.fingerprint = force_fingerprint(look->facts.policy, look->facts.environment, look->reconcile.expected),
		.conforming = (look->facts.unchanged || (look->facts.drift && !look->facts.drift->count)) &&
			      look->guard.known && !look->guard.changes.count,
		.findings = &look->findings,
		.listeners = look->facts.host->listeners_read.unknown ? NULL : listeners,
		.looked = now,
		.looked_fully = look->facts.unchanged ? look->facts.unchanged_since : now};
	struct ruleset *counters = NULL;
	struct err err = {0};
	int code;

	if (!options->metrics)
		return status;
	audit_count_listeners(&look->facts, listeners);
	if (look->facts.drift || look->facts.unchanged) {
		/* Of what is unchanged there are no changes. */
		metrics_count(look->reconcile.changes, drift);
		metrics.drift = drift;
		metrics.observed = look->reconcile.changes->observed;
	}
	if (look->facts.unchanged && nft_read_counters(look->reconcile.nft, &counters, NULL) == 0)
		metrics.observed = counters;
	code = metrics_write(options->metrics, &metrics, &err);
	ruleset_free(counters);
	if (code == 0)
		return status;
	fail(&(struct options){.renderer = &report_text, .color_error = options->color_error}, &err, NULL);
	return status == EXIT_CONFORMING ? EXIT_TROUBLE : status;
}

static int report(const struct options *options, const struct look *look, const struct changeset *healed,
	const struct bindguard_changes *guard_healed)
{
	struct report_style style = output_style(options);
	struct report_audit report = {.environment = look->facts.environment->name,
		.policy = look->facts.policy,
		.findings = &look->findings,
		.facts = &look->facts,
		.drift = look->facts.drift,
		.unchanged = look->facts.unchanged,
		.unchanged_since = look->facts.unchanged_since,
		.healed = healed,
		.guard_drift = look->facts.guard_drift,
		.guard_healed = guard_healed,
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
	struct guard guard = {0};
	struct err err = {0};
	struct look second;
	int status;
	int code = reconcile(&r, &err);

	if (code == 0) {
		code = guard_reconcile(first->facts.policy, first->facts.environment, true, &guard);
		err = guard.err;
	}
	/* Where this host cannot have one, the second look says so. */
	if (code < 0 && code != -EOPNOTSUPP) {
		err_prefix(&err, "healing");
		progress_end(progress);
		status = fail(options, &err, NULL);
		guard_done(&guard);
		reconcile_done(&r);
		return status;
	}
	look(&second, first->facts.policy, first->facts.environment, expected, progress, options, true);
	progress_end(progress);
	status = report(options, &second, r.applied ? r.changes : NULL, guard.applied ? &guard.changes : NULL);
	look_done(&second);
	guard_done(&guard);
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
	look(&first, policy, environment, expected, &progress, options, options->full);
	if (options->heal && !options->dry_run &&
		((first.facts.drift && first.facts.drift->count) || first.guard.changes.count)) {
		status = heal(options, &first, expected, &progress);
	} else {
		progress_end(&progress);
		status = report(options, &first, NULL, NULL);
	}
	look_done(&first);
	ruleset_free(expected);
	policy_free(policy);
	return status;
}

int command_checks(const struct options *options)
{
	struct report_style style = output_style(options);
	const struct check **all = NULL;
	const struct check *check;
	size_t count = 0;
	size_t capacity = 0;
	int status;

	for (size_t i = 0; (check = audit_check(i)); i++) {
		ARRAY_GROW(all, count, capacity);
		all[count++] = check;
	}
	for (size_t i = 0; (check = audit_watch_check(i)); i++) {
		ARRAY_GROW(all, count, capacity);
		all[count++] = check;
	}
	options->renderer->checks(&style, all, count);
	status = finish_output(options, EXIT_CONFORMING);
	free(all);
	return status;
}

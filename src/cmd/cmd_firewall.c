/* SPDX-License-Identifier: GPL-3.0-or-later */

/* plan, apply, remove, status: the policy against the kernel. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* How long one waits for another dflyguard that changes the table. */
#define LOCK_SECONDS 30

struct put_outcome {
	const char *environment; /* NULL: all is to go */
	uint64_t confirm_until;
	bool undo_removes;
};

static int report_changes(const struct options *options, const struct reconcile *r, const struct guard *guard,
	const struct warnings *warnings, const struct put_outcome *outcome)
{
	bool differs = r->changes->count || guard->changes.count;
	int status = r->write	    ? EXIT_CONFORMING
		     : differs	    ? EXIT_DIFFERS
		     : guard->known ? EXIT_CONFORMING
				    : EXIT_TROUBLE;

	struct report_style style = output_style(options);
	struct report_changes report = {.environment = outcome->environment,
		.policy = r->policy,
		.changes = r->changes,
		.guard = guard->known ? &guard->changes : NULL,
		.applied = r->applied || guard->applied,
		.write = r->write,
		.sources = ruleset_source_count(r->expected),
		.redone = r->redone,
		.seconds = progress_seconds(r->progress),
		.warnings = warnings->items,
		.warning_count = warnings->count,
		.confirm_until = outcome->confirm_until,
		.undo_removes = outcome->undo_removes};

	options->renderer->changes(&style, &report);
	warnings_show(options, warnings);
	return finish_output(options, status);
}

void lock_or_warn(struct state *state, struct warnings *warnings)
{
	struct err err = {0};

	if (state_lock(state, LOCK_SECONDS, &err) < 0)
		warn_about(warnings, &err, "what is in force is not remembered, or may be remembered wrongly");
}

/*
 * The bind guard, once the table is as it should be: whatever becomes of it, that stays in force. Where this host
 * cannot have one, that is a warning, and what audit calls unknown. Returns false where it failed in another way, told
 * in guard->err.
 */
static bool put_guard(const struct policy *policy, const struct environment *environment, bool write,
	struct warnings *warnings, struct guard *guard)
{
	int code = guard_reconcile(policy, environment, write, guard);

	if (code == -EOPNOTSUPP) {
		warn_about(warnings, &guard->err, "the bind guard is not in force, the firewall is as the policy says");
		return true;
	}
	if (code < 0)
		err_prefix(&guard->err, write ? "the firewall is as the policy says, but not the bind guard" : "plan");
	return code == 0;
}

/* The table's result, and what became of the guard after it. */
static int report_both(const struct options *options, const struct reconcile *r, const struct guard *guard, bool good,
	const struct warnings *warnings, const struct put_outcome *outcome)
{
	/* One object on stdout: in JSON the error is that object, and --quiet or not, errors are told. */
	if (good)
		return report_changes(options, r, guard, warnings, outcome);
	if (options->renderer == &report_text)
		report_changes(options, r, guard, warnings, outcome);
	fail(options, &guard->err, NULL);
	return EXIT_TROUBLE;
}

/* It was put in force for good: what waited before waits no more. Kept first, so that whoever undoes it meanwhile goes
 * to what is in force already. */
static void keep(const struct request *q, const struct kept_policy *kept)
{
	struct kept_policy waiting = {0};
	struct err err = {0};

	if (q->state->lock < 0)
		return;
	if (state_keep(q->state, kept, &err) < 0)
		warn_about(q->warnings, &err,
			"it is in force, but is not remembered: rollback and a reboot lead to an older policy");
	if (state_read(q->state, STATE_PENDING, true, &waiting, NULL) == 0)
		warn_about(q->warnings, NULL,
			"a policy waited for `dflyguard confirm`: this one took its place, and stays");
	kept_done(&waiting);
	err = (struct err){0};
	if (state_remove_pending(q->state, &err) < 0)
		warn_about(q->warnings, &err, "what waited for `dflyguard confirm` may still be undone");
}

/* What was undone is forgotten when somebody applies a policy; what is kept was not chosen anew. */
static void forget_undone(const struct request *q)
{
	struct err err = {0};

	if (!q->source && undone_forget(q->state, &err) < 0)
		warn_about(q->warnings, &err, "watch and a reboot may still take it for one that was undone");
}

/* The time to confirm begins when it is in force. */
static void begin_waiting(const struct request *q, struct kept_policy *pending, struct put_outcome *outcome)
{
	struct err err = {0};

	pending->deadline = state_clock() + q->confirm * UINT64_C(1000000000);
	pending->committed = true;
	if (state_write_pending(q->state, pending, &err) < 0)
		warn_about(q->warnings, &err, "it cannot be confirmed, and will be undone");
	err = (struct err){0};
	if (undone_add(q->state, pending, &err) < 0)
		warn_about(q->warnings, &err, "if nobody confirms it, a reboot may bring it back");
	outcome->confirm_until = (uint64_t)time(NULL) + q->confirm;
	outcome->undo_removes = pending->undo_removes;
}

/* A plan remembers its look, too, if nobody else is about to. */
static void remember_look(const struct request *q, const struct reconcile *r, uint64_t fingerprint)
{
	if (r->clean_generation && state_lock(q->state, 0, NULL) == 0)
		state_remember_look(q->state, fingerprint, r->clean_generation);
}

/* What to keep of the policy. Nothing that is kept needs a file that is not. */
static struct kept_policy keepable(const struct request *q, uint64_t fingerprint, uint64_t digest)
{
	if (!q->source)
		return kept_from_policy(q->policy, q->environment, fingerprint, digest);
	return (struct kept_policy){.environment = mem_string(q->environment->name),
		.path = mem_string(q->source->path),
		.applied = (uint64_t)time(NULL),
		.fingerprint = fingerprint,
		.digest = digest,
		.text = mem_stringn(q->source->text + q->source->body, q->source->length - q->source->body),
		.length = q->source->length - q->source->body};
}

/* True where `current` says all of that already: then nothing of the policy need be written out. */
static bool is_kept(const struct request *q, uint64_t fingerprint, uint64_t digest)
{
	struct kept_policy current = {0};
	struct kept_policy waiting = {0};
	bool same = state_read(q->state, STATE_CURRENT, true, &current, NULL) == 0 &&
		    current.fingerprint == fingerprint && current.digest == digest &&
		    strcmp(current.environment, q->environment->name) == 0 &&
		    strcmp(current.path, q->source ? q->source->path : q->policy->path) == 0 &&
		    state_read(q->state, STATE_PENDING, true, &waiting, NULL) == -ENOENT;

	kept_done(&current);
	kept_done(&waiting);
	return same;
}

static int put(const struct request *q, struct reconcile *r, uint64_t fingerprint, struct put_outcome *outcome,
	struct err *err)
{
	_cleanup_(kept_done) struct kept_policy kept = {0};
	_cleanup_(kept_done) struct kept_policy waiting = {0};
	bool remembers = q->write && !q->makeshift && q->state->lock >= 0;
	uint64_t digest = remembers ? policy_digest(q->policy) : 0;
	int code;

	if (q->write && q->confirm) {
		/* Nor could it be undone. */
		code = refuse_owned_now(err);
		if (code < 0)
			return code;
		kept = keepable(q, fingerprint, digest);
		code = state_read(q->state, STATE_PENDING, false, &waiting, err);
		if (code < 0 && code != -ENOENT)
			return code;
		code = pending_arm(q->state, &kept, &waiting, q->confirm, err);
		if (code < 0)
			return code;
	}
	code = reconcile(r, err);
	if (code < 0 && kept.token[0])
		pending_restore(q->state, &waiting);
	if (code < 0)
		return code;
	if (kept.token[0]) {
		begin_waiting(q, &kept, outcome);
	} else if (remembers) {
		if (!is_kept(q, fingerprint, digest)) {
			kept = keepable(q, fingerprint, digest);
			keep(q, &kept);
		}
		forget_undone(q);
	}
	remember_look(q, r, fingerprint);
	return 0;
}

int put_in_force(const struct request *q)
{
	struct ruleset *expected;
	struct reconcile r = {.write = q->write, .policy = q->policy, .progress = q->progress};
	struct put_outcome outcome = {.environment = q->environment->name};
	struct options in_text = *q->options;
	struct err err = {0};
	uint64_t fingerprint;
	int status;

	in_text.renderer = &report_text;
	progress_step(q->progress, "compiling", q->policy->source_count);
	expected = q->makeshift;
	if (!expected)
		expected = ruleset_compile(q->policy, q->environment, (uint64_t)time(NULL));
	if (q->policy->expectation_count && !q->source) {
		progress_step(q->progress, "trying what the policy expects", q->policy->expectation_count);
		if (!meets_expectations(q->or_else ? &in_text : q->options, q->policy, q->environment, expected)) {
			progress_end(q->progress);
			state_unlock(q->state);
			ruleset_free(expected);
			return q->or_else ? PUT_NOT : EXIT_TROUBLE;
		}
	}
	fingerprint = force_fingerprint(q->policy, q->environment, expected);
	r.expected = expected;
	r.known_generation = q->full ? 0 : state_looked(q->state, fingerprint, NULL);
	status = put(q, &r, fingerprint, &outcome, &err);
	progress_end(q->progress);
	if (status < 0 && q->or_else && (r.before.ruleset || r.first.ruleset)) {
		fail(&in_text, &err, NULL);
		status = PUT_NOT;
	} else if (status < 0) {
		status = fail(q->options, &err, NULL);
		warnings_show(q->options, q->warnings);
	} else {
		struct guard guard;
		bool good = put_guard(q->policy, q->environment, q->write, q->warnings, &guard);

		status = report_both(q->options, &r, &guard, good, q->warnings, &outcome);
		guard_done(&guard);
	}
	/* Nobody need wait for our cleaning up. */
	state_unlock(q->state);
	reconcile_done(&r);
	ruleset_free(expected);
	return status;
}

static int run(const struct options *options, bool write)
{
	_cleanup_(state_done) struct state state = state_open();
	_cleanup_(warnings_done) struct warnings warnings = {0};
	struct progress progress;
	struct policy *policy;
	struct request q = {.options = options,
		.progress = &progress,
		.state = &state,
		.warnings = &warnings,
		.write = write,
		.full = options->full,
		.confirm = options->confirm};
	struct err err = {0};
	int status;

	progress_begin(&progress, options);
	progress_step(&progress, "reading the policy", 0);
	if (!load_policy(options, &policy, &q.environment))
		return EXIT_TROUBLE;
	q.policy = policy;
	if (write && options->confirm && state_lock(&state, LOCK_SECONDS, &err) < 0) {
		err_hint(&err, "apply without --confirm does not need it");
		policy_free(policy);
		return fail(options, &err, NULL);
	}
	if (write)
		lock_or_warn(&state, &warnings);
	status = put_in_force(&q);
	policy_free(policy);
	return status;
}

int command_plan(const struct options *options)
{
	return run(options, false);
}

int command_apply(const struct options *options)
{
	return options->boot ? command_boot(options) : run(options, !options->dry_run);
}

/* Nothing is in force, and nothing waits. What was in force is what a rollback leads to. */
static void forget(const struct state *state, struct warnings *warnings)
{
	struct err err = {0};

	if (state->lock >= 0 && state_forget(state, &err) < 0)
		warn_about(warnings, &err, "the policy that was removed is still remembered as the one in force");
	err = (struct err){0};
	if (state->lock >= 0 && state_remove_pending(state, &err) < 0)
		warn_about(warnings, &err, "what waited for `dflyguard confirm` may still be undone");
}

int command_remove(const struct options *options)
{
	_cleanup_(state_done) struct state state = state_open();
	_cleanup_(warnings_done) struct warnings warnings = {0};
	struct ruleset *nothing = ruleset_new();
	struct progress progress;
	struct reconcile r = {.write = !options->dry_run, .expected = nothing, .progress = &progress};
	struct err err = {0};
	int status;

	progress_begin(&progress, options);
	if (r.write)
		lock_or_warn(&state, &warnings);
	status = reconcile(&r, &err);
	progress_end(&progress);
	if (status < 0) {
		status = fail(options, &err, NULL);
	} else {
		struct guard guard;
		bool good;

		if (r.write)
			forget(&state, &warnings);
		good = put_guard(NULL, NULL, r.write, &warnings, &guard);
		status = report_both(options, &r, &guard, good, &warnings, &(struct put_outcome){0});
		guard_done(&guard);
	}
	state_unlock(&state);
	reconcile_done(&r);
	ruleset_free(nothing);
	return status;
}

/* --- status --- */

const struct environment *environment_in_force(
	const struct options *options, const struct policy *policy, const struct ruleset *observed, struct err *err)
{
	const char *name = options->environment;

	if (!name && observed->environment && policy_environment(policy, observed->environment, NULL))
		name = observed->environment;
	return policy_environment(policy, name, err);
}

/* Where it could not be read that is told, and not counted. */
static size_t count_guard_drift(
	const struct policy *policy, const struct environment *environment, const struct bindguard *found)
{
	struct bindguard_changes drift = {0};
	struct bindguard wanted = {0};
	size_t count;

	guard_want(policy, environment, &wanted);
	if (found)
		bindguard_diff(&wanted, found, &drift);
	count = drift.count;
	bindguard_changes_done(&drift);
	bindguard_done(&wanted);
	return count;
}

static void read_guard(
	struct report_status *report, struct bindguard *found, struct bindguard_refusals *attempts, struct err *err)
{
	if (bindguard_remains() && (bindguard_read(found, err) < 0 || bindguard_read_refusals(attempts, err) < 0)) {
		report->guard_why = err->message;
		return;
	}
	report->guard = found;
	report->attempts = attempts;
}

/* Compares with the policy where there is one: "in force" alone would stay green while a rule is missing. */
static int compare(const struct options *options, struct report_status *report, struct policy **policy, struct err *err,
	struct diagnostics *diagnostics)
{
	const struct environment *environment;
	struct ruleset *expected;
	struct changeset *changes;

	if (!options->policy_given && access(options->policy, F_OK) < 0 && errno == ENOENT) {
		report->unknown_why = "there is no " POLICY_DEFAULT_PATH ", and no --policy was given";
		return 0;
	}
	report->unknown_why = "the policy cannot be used";
	if (policy_load(options->policy, policy, diagnostics, err) < 0)
		return -err->code;
	environment = environment_in_force(options, *policy, report->observed, err);
	if (!environment)
		return -err->code;
	expected = ruleset_compile(*policy, environment, 0);
	changes = ruleset_diff(expected, report->observed);
	report->differences = changes->count + count_guard_drift(*policy, environment, report->guard);
	report->conforming = report->differences ? CONFORMING_NO : CONFORMING_YES;
	if (!report->differences && !report->guard && environment->bind_guard != BIND_GUARD_OFF) {
		report->conforming = CONFORMING_UNKNOWN;
		report->unknown_why = report->guard_why;
	}
	report->policy_path = (*policy)->path;
	changeset_free(changes);
	ruleset_free(expected);
	return 0;
}

static void find_waiting(struct report_status *report)
{
	_cleanup_(state_done) struct state state = state_open();
	struct kept_policy waiting = {0};

	if (state_read(&state, STATE_PENDING, true, &waiting, NULL) < 0)
		return;
	uint64_t now = state_clock();
	uint64_t left = waiting.deadline > now ? (waiting.deadline - now + 999999999) / 1000000000 : 0;

	report->confirm_until = report->now + left;
	report->undo_removes = waiting.undo_removes;
	kept_done(&waiting);
}

int command_status(const struct options *options)
{
	struct report_style style = output_style(options);
	struct report_status report = {.now = (uint64_t)time(NULL)};
	struct diagnostics diagnostics = {0};
	struct snapshot snapshot = {0};
	struct refused_sources refused = {0};
	struct bindguard guard = {0};
	struct bindguard_refusals attempts = {0};
	struct bans bans = {0};
	struct policy *policy = NULL;
	struct nft *nft = NULL;
	struct err err = {0};
	struct err refused_err = {0};
	struct err guard_err = {0};
	struct owner owner;
	struct err bans_err = {0};
	int status;

	if (nft_open(&nft, &err) < 0 || nft_read(nft, &snapshot, &err) < 0) {
		nft_close(nft);
		return fail(options, &err, NULL);
	}
	report.observed = snapshot.ruleset;
	if (owned_by_another(snapshot.ruleset, 0, &owner))
		report.owner = &owner;
	report.why_not = ruleset_why_not_in_force(snapshot.ruleset);
	report.in_force = !report.why_not;
	report.sources = ruleset_source_count(snapshot.ruleset);
	/* Statistics: where they cannot be read, the rest is true all the same. */
	if (nft_read_refused(nft, snapshot.ruleset, &refused, &refused_err) == 0)
		report.refused = &refused;
	report.refused_why = refused_err.message;
	if (!ruleset_has_bans(snapshot.ruleset) || nft_read_bans(nft, &bans, &bans_err) == 0)
		report.bans = &bans;
	report.bans_why = bans_err.message;
	find_waiting(&report);
	read_guard(&report, &guard, &attempts, &guard_err);
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
	bindguard_refusals_done(&attempts);
	bindguard_done(&guard);
	bans_done(&bans);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	return status;
}

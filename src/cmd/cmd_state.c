/* SPDX-License-Identifier: GPL-3.0-or-later */

/* confirm and rollback: what is remembered of policies that were in force. */

#include <errno.h>
#include <string.h>

#include "cmd.h"

#define LOCK_SECONDS 60

int command_confirm(const struct options *options)
{
	_cleanup_(state_done) struct state state = state_open();
	_cleanup_(warnings_done) struct warnings warnings = {0};
	_cleanup_(kept_done) struct kept_policy waiting = {0};
	struct report_style style = output_style(options);
	struct report_confirm report = {0};
	struct err err = {0};
	int r = state_lock(&state, LOCK_SECONDS, &err);

	if (r == 0)
		r = state_read(&state, STATE_PENDING, false, &waiting, &err);
	if (r < 0 && r != -ENOENT)
		return fail(options, &err, NULL);
	if (r == 0 && !waiting.committed) {
		err_set(&err, ESTALE, ERR_COMMIT,
			"the apply that waits to be confirmed was killed before it came to its end");
		err_hint(&err, "apply again, or leave it: it goes back to what was in force before");
		return fail(options, &err, NULL);
	}
	if (r == 0) {
		report = (struct report_confirm){
			.environment = waiting.environment, .policy_path = waiting.path, .confirmed = true};
		/* What must not happen is that it is undone: that comes even where it cannot be remembered. */
		if (state_keep(&state, &waiting, &err) < 0)
			warn_about(&warnings, &err,
				"it stays in force, but is not remembered: rollback and a reboot lead to an older "
				"policy");
		if (state_remove_pending(&state, &err) < 0)
			return fail(options, &err, NULL);
		err = (struct err){0};
		if (undone_forget(&state, &err) < 0)
			warn_about(&warnings, &err, "watch and a reboot may still take it for one that was undone");
	}
	report.warnings = warnings.items;
	report.warning_count = warnings.count;
	options->renderer->confirm(&style, &report);
	warnings_show(options, &warnings);
	return finish_output(options, report.confirmed ? EXIT_CONFORMING : EXIT_DIFFERS);
}

/* Which policy was in force before the last apply. `waiting`: one waits to be confirmed, and that was the last. */
static int find_earlier(const struct state *state, struct kept_policy *ret, struct err *err)
{
	struct kept_policy waiting = {0};
	bool waits = state_read(state, STATE_PENDING, true, &waiting, NULL) == 0;
	int r = state_read(state, waits ? STATE_CURRENT : STATE_PREVIOUS, false, ret, err);

	kept_done(&waiting);
	if (r != -ENOENT)
		return r;
	err_set(err, ENOENT, ERR_USAGE, "there is no earlier policy to go back to: '%s/%s' does not exist",
		state->directory, waits ? "current" : "previous");
	err_hint(err, waits ? "nothing was in force before: `dflyguard remove` takes the table away"
			    : "the policy before the last apply is kept from the second apply on");
	return r;
}

/* What is in force now is undone by that; what waits is remembered as such already. Before it is done, so that no watch
 * brings it back: until then it is in force, and nobody's undoing. */
static void remember_undone(const struct state *state, struct warnings *warnings)
{
	_cleanup_(kept_done) struct kept_policy waiting = {0};
	_cleanup_(kept_done) struct kept_policy current = {0};
	struct err err = {0};

	if (state_read(state, STATE_PENDING, true, &waiting, NULL) == 0 ||
		state_read(state, STATE_CURRENT, true, &current, NULL) < 0)
		return;
	if (undone_add(state, &current, &err) < 0)
		warn_about(warnings, &err, "watch and a reboot may bring back what is in the policy's file");
}

int command_rollback(const struct options *options)
{
	_cleanup_(state_done) struct state state = state_open();
	_cleanup_(warnings_done) struct warnings warnings = {0};
	_cleanup_(kept_done) struct kept_policy earlier = {0};
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct progress progress;
	struct request q = {.options = options,
		.progress = &progress,
		.state = &state,
		.warnings = &warnings,
		.source = &earlier,
		.write = !options->dry_run};
	struct err err = {0};
	int status = EXIT_TROUBLE;

	progress_begin(&progress, options);
	progress_step(&progress, "reading the policy", 0);
	/* Which one is earlier must not change until it is in force. */
	if (q.write && state_lock(&state, LOCK_SECONDS, &err) < 0)
		return fail(options, &err, NULL);
	if (find_earlier(&state, &earlier, &err) < 0)
		return fail(options, &err, NULL);
	if (policy_load_text(earlier.file, earlier.text, earlier.length, &policy, &diagnostics, &err) == 0)
		q.environment = policy_environment(policy, earlier.environment, &err);
	q.policy = policy;
	if (q.environment && q.write)
		remember_undone(&state, &warnings);
	status = q.environment ? put_in_force(&q) : fail(options, &err, &diagnostics);
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return status;
}

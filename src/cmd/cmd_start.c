/* SPDX-License-Identifier: GPL-3.0-or-later */

/* audit --before-start: whether the server may start, asked by its unit (ExecStartPre=) right before it does. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "facts.h"
#include "unit.h"

extern char **environ;

/* What a server of Dragonfly's executable is called: "dragonfly", "dragonfly-x86_64". */
static bool is_dragonfly(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t length = strlen("dragonfly");

	return strncmp(name, "dragonfly", length) == 0 && (!name[length] || strchr("-_.", name[length]));
}

static int read_command(const char *unit, struct unit_command *command, struct err *err)
{
	int r = unit_read_command(unit, command, err);

	if (r < 0)
		return r;
	r = unit_command_expand(command, environ, err);
	if (r == 0 && !is_dragonfly(command->program)) {
		r = err_set(err, ENOTSUP, ERR_IO, "ExecStart= starts '%s', which does not look like Dragonfly",
			command->program);
		err_hint(err, "have it start dragonfly itself, by its own name");
	}
	if (r < 0)
		unit_command_done(command);
	return r;
}

/* A relative path begins where systemd lets all commands of the unit begin: here. */
static int read_file(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	_cleanup_free_ char *here = path[0] == '/' ? mem_string("") : getcwd(NULL, 0);
	_cleanup_free_ char *absolute = NULL;

	if (!here) {
		snprintf(why, INTERVAL_WHY, "from which folder is not known: %s", strerror(errno));
		return -EACCES;
	}
	absolute = mem_format("%s%s%s", here, *here ? "/" : "", path);
	return flagfile_read(data, absolute, ret, ret_length, why);
}

/* systemd gives all commands of a unit the same environment, so ours is the server's: its DFLY_ variables, and whether
 * there is an INVOCATION_ID. */
static void read_intention(
	const struct policy *policy, struct audit_intention *ret, struct intention **intention, struct err *err)
{
	const char *unit = policy->service.unit;
	struct flagfile file = {.policy = policy};
	struct unit_command command = {0};

	*ret = (struct audit_intention){.source = INTENTION_UNIT, .subject = unit, .process = LISTENERS_NO_INDEX};
	if (read_command(unit, &command, err) == 0) {
		/* The first one is its own name, whatever that is. */
		bool named = command.argument_count != 0;
		struct flags_input input = {.arguments = named ? command.arguments + 1 : NULL,
			.argument_count = named ? command.argument_count - 1 : 0,
			.environment = environ,
			.environment_unknown = started_by_systemd() ? NULL
								    : "systemd did not start this audit as a "
								      "command of the unit",
			.read_file = read_file,
			.data = &file};

		while (environ && environ[input.environment_count])
			input.environment_count++;
		intention_read(&input, intention);
		ret->intention = *intention;
	}
	/* The finding has one sentence for both. */
	if (err->hint[0]) {
		_cleanup_free_ char *hint = mem_string(err->hint);
		struct err both = {0};

		err_set(&both, err->code, err->stage, "%s: %s", err->message, hint);
		*err = both;
	}
	ret->unknown = err->message;
	unit_command_done(&command);
}

/* The unit's folders are the server's, and what is in them would not be trusted. */
static struct state open_own_state(void)
{
	if (started_by_systemd()) {
		unsetenv("RUNTIME_DIRECTORY");
		unsetenv("STATE_DIRECTORY");
	}
	return state_open();
}

int command_start(const struct options *options)
{
	_cleanup_(state_done) struct state state = open_own_state();
	struct report_style style = output_style(options);
	const struct environment *environment;
	struct intention *intention = NULL;
	struct audit_intention intended;
	struct findings findings = {0};
	struct err drift_err = {0}, unit_err = {0};
	struct policy *policy;
	struct progress progress;
	int status;

	if (options->heal || options->dry_run || options->metrics) {
		err_set(&unit_err, EINVAL, ERR_USAGE,
			"audit --before-start only looks: it takes no --heal, --dry-run or --metrics");
		err_hint(&unit_err, "leave them out");
		return fail(options, &unit_err, NULL);
	}
	progress_begin(&progress, options);
	progress_step(&progress, "reading the policy", 0);
	if (!load_policy(options, &policy, &environment))
		return EXIT_TROUBLE;
	progress_step(&progress, "compiling", policy->source_count);
	struct ruleset *expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	/* Where nothing changed since a look that found no difference, the table is not read again. */
	struct reconcile r = {.expected = expected,
		.policy = policy,
		.progress = &progress,
		.known_generation = state_looked(&state, ruleset_fingerprint(expected))};
	struct audit_facts facts = {
		.policy = policy, .environment = environment, .intentions = &intended, .intention_count = 1};
	struct report_audit report = {.environment = environment->name, .policy = policy, .findings = &findings};

	if (reconcile(&r, &drift_err) == 0) {
		facts.unchanged = !r.before.ruleset;
		facts.drift = facts.unchanged ? NULL : r.changes;
	}
	facts.drift_unknown = drift_err.message;
	report.drift = r.changes;
	read_intention(policy, &intended, &intention, &unit_err);
	audit_start(&facts, &findings);
	progress_end(&progress);
	options->renderer->audit(&style, &report);
	status = finish_output(options, findings_exit(&findings, options->fail_on));
	findings_done(&findings);
	intention_free(intention);
	reconcile_done(&r);
	ruleset_free(expected);
	policy_free(policy);
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* audit --before-start: whether the server may start, asked by its unit (ExecStartPre=) right before it does. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
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

/*
 * As a command of the unit. systemd gives all of them the same environment and the same folder to begin in, so ours are
 * the server's: its DFLY_ variables, and whether there is an INVOCATION_ID. What will be started is what systemd has
 * read of the unit, which its files may differ from by now.
 */
static int ask_systemd(const char *unit, struct intention **ret, struct err *err)
{
	_cleanup_free_ char *folder = getcwd(NULL, 0);
	struct flags_place place = {.root = "/", .directory = folder};
	struct unit_command command = {0};
	struct flags_input input = {.environment = environ};
	int r;

	if (!folder)
		return err_set(err, errno, ERR_IO, "from which folder it starts is not known: %s", strerror(errno));
	r = read_command(unit, &command, err);
	if (r < 0)
		return r;
	/* The first one is its own name, whatever that is. */
	if (command.argument_count > 1) {
		input.arguments = command.arguments + 1;
		input.argument_count = command.argument_count - 1;
	}
	while (environ && environ[input.environment_count])
		input.environment_count++;
	intention_read_at(&input, &place, ret);
	unit_command_done(&command);
	return 0;
}

static void read_intention(const char *unit, struct audit_intention *ret, struct intention **intention, struct err *err)
{
	*ret = (struct audit_intention){.source = INTENTION_UNIT, .subject = unit, .process = LISTENERS_NO_INDEX};
	if (started_by_systemd()) {
		ask_systemd(unit, intention, err);
	} else {
		/* By hand: what its files say. */
		struct server_unit *read;

		unit_read("/", unit, &read);
		intention_read_unit("/", read, intention);
		unit_free(read);
	}
	ret->intention = *intention;
	/* The finding has one sentence for both. */
	if (err->hint[0]) {
		_cleanup_free_ char *hint = mem_string(err->hint);
		struct err both = {0};

		err_set(&both, err->code, err->stage, "%s: %s", err->message, hint);
		*err = both;
	}
	ret->unknown = err->message;
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
		.known_generation = state_looked(&state, force_fingerprint(policy, environment, expected), NULL)};
	struct audit_facts facts = {
		.policy = policy, .environment = environment, .intentions = &intended, .intention_count = 1};
	struct report_audit report = {.environment = environment->name, .policy = policy, .findings = &findings};

	if (reconcile(&r, &drift_err) == 0) {
		facts.unchanged = r.unchanged;
		facts.drift = facts.unchanged ? NULL : r.changes;
	}
	facts.drift_unknown = drift_err.message;
	report.drift = r.changes;
	read_intention(policy->service.unit, &intended, &intention, &unit_err);
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

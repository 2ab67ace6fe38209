/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * apply --boot: nothing stands between a server and the network yet, so that doing nothing is not the safe answer to a
 * policy that cannot be used. The policy, else the one that was in force last, else closed ports. A policy that was
 * undone comes after the one that was in force last.
 */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

#define CLOSED	     "closed" /* the environment that the table then names */
#define PORTS_OF_TWO (2 * POLICY_PORTS)

/* One boot. */
struct boot {
	const struct options *options;
	struct options in_text; /* people and the journal read errors, whatever the format of the one result */
	struct progress progress;
	struct state state;
	bool undone;		 /* the policy can be used, but was undone */
	struct kept_policy kept; /* what was in force last; no text: there is none that can be trusted */
};

static void tell(const struct boot *boot, const struct err *err, const struct diagnostics *diagnostics)
{
	fflush(stdout);
	fail(&boot->in_text, err, diagnostics);
}

/* As put_in_force(); `warning` (may be NULL) goes with the result. */
static int put(struct boot *boot, const struct policy *policy, const struct environment *environment,
	const struct kept_policy *source, struct ruleset *makeshift, const char *warning)
{
	_cleanup_(warnings_done) struct warnings warnings = {0};
	struct request q = {.options = boot->options,
		.progress = &boot->progress,
		.state = &boot->state,
		.warnings = &warnings,
		.policy = policy,
		.environment = environment,
		.source = source,
		.makeshift = makeshift,
		.write = !boot->options->dry_run,
		.full = boot->options->full,
		.or_else = !makeshift};

	if (warning)
		warn_about(&warnings, NULL, warning);
	progress_begin(&boot->progress, boot->options);
	if (q.write)
		lock_or_warn(&boot->state, &warnings);
	return put_in_force(&q);
}

/* `anyway`: also where it was undone. */
static int put_file(struct boot *boot, bool anyway)
{
	const struct environment *environment;
	struct policy *policy;
	int status = PUT_NOT;

	if (!load_policy(&boot->in_text, &policy, &environment))
		return PUT_NOT;
	boot->undone = undone_is(&boot->state, policy, environment);
	if (!boot->undone || anyway)
		status = put(boot, policy, environment, NULL, NULL,
			boot->undone
				? "the policy was undone, by a rollback or since nobody confirmed it; it is put in "
				  "force, as there is no other"
				: NULL);
	policy_free(policy);
	return status;
}

/* --- the policy that was in force last --- */

static int put_kept(struct boot *boot)
{
	_cleanup_free_ char *warning = NULL;
	struct diagnostics diagnostics = {0};
	const struct environment *environment = NULL;
	struct policy *policy = NULL;
	struct err err = {0};
	int status = state_read(&boot->state, STATE_CURRENT, false, &boot->kept, &err);

	if (status == -ENOENT)
		err_set(&err, ENOENT, ERR_POLICY, "no policy was in force before: there is no %s/current",
			boot->state.directory);
	if (status == 0 &&
		policy_load_text(boot->kept.file, boot->kept.text, boot->kept.length, &policy, &diagnostics, &err) == 0)
		environment = policy_environment(policy, boot->kept.environment, &err);
	status = PUT_NOT;
	if (environment) {
		warning = mem_format("%s %s: the policy that was in force last %s, environment %s, from %s; "
				     "%s `dflyguard apply`",
			boot->options->policy,
			boot->undone ? "was undone, by a rollback or since nobody confirmed it" : "cannot be used",
			boot->options->dry_run ? "would be in force" : "is in force", environment->name,
			boot->kept.file, boot->undone ? "if it is meant, run" : "mend the policy, and run");
		status = put(boot, policy, environment, &boot->kept, NULL, warning);
	} else {
		tell(boot, &err, &diagnostics);
	}
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return status;
}

/* --- no policy at all --- */

static int compare_ports(const void *left, const void *right)
{
	return *(const uint16_t *)left - *(const uint16_t *)right;
}

/* Sorted, each once. At least one. */
static size_t ports_to_close(const struct boot *boot, uint16_t ports[PORTS_OF_TWO])
{
	size_t count = policy_salvage_ports(boot->options->policy, ports);
	size_t unique = 0;

	if (boot->kept.text)
		count += policy_salvage_ports(boot->kept.file, ports + count);
	if (count == 0)
		ports[count++] = POLICY_DEFAULT_PORT;
	qsort(ports, count, sizeof(*ports), compare_ports);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || ports[i] != ports[unique - 1])
			ports[unique++] = ports[i];
	return unique;
}

static int close_ports(struct boot *boot)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_text_ struct text list = {0};
	struct diagnostics diagnostics = {0};
	uint16_t ports[PORTS_OF_TWO];
	size_t count = ports_to_close(boot, ports);
	const struct environment *environment;
	struct policy *policy = NULL;
	struct ruleset *expected;
	struct err err = {0};
	int status;

	/* Nobody is a client. tls = off, because nothing is left to be looked into. */
	text_printf(&text,
		"default_environment = " CLOSED " service { port = %u }\nenvironment " CLOSED
		" { tls = off clients = {} }\n",
		ports[0]);
	if (policy_load_text("built in", text.data, text.length, &policy, &diagnostics, &err) < 0)
		return fail(boot->options, &err, &diagnostics); /* a bug: tests/kernel/boot.sh */
	environment = policy_environment(policy, NULL, NULL);
	expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	text_printf(&list, "%u", ports[0]);
	for (size_t i = 1; i < count; i++) {
		ruleset_guard_also(expected, ports[i]);
		text_printf(&list, ", %u", ports[i]);
	}
	status = put(boot, policy, environment, NULL, expected, NULL);
	policy_free(policy);
	if (status == EXIT_TROUBLE)
		return status;
	err_set(&err, EINVAL, ERR_POLICY, "no policy can be used: %s closed to all but this host: %s",
		boot->options->dry_run ? "these ports would be" : "these ports are", text_string(&list));
	err_hint(&err, "mend %s, and run `dflyguard apply`", boot->options->policy);
	tell(boot, &err, NULL);
	return EXIT_DIFFERS;
}

/* What is in force already, by an earlier call, judges better than closed ports would. */
static int put_nothing(struct boot *boot)
{
	const struct options *options = boot->options;
	struct snapshot snapshot = {0};
	struct nft *nft = NULL;
	struct err err = {0};
	bool in_force;

	if (nft_open(&nft, &err) < 0 || nft_read(nft, &snapshot, &err) < 0) {
		nft_close(nft);
		return fail(options, &err, NULL);
	}
	nft_close(nft);
	in_force = !ruleset_why_not_in_force(snapshot.ruleset);
	ruleset_free(snapshot.ruleset);
	if (!in_force && !options->failure_open)
		return close_ports(boot);
	err_set(&err, EINVAL, ERR_POLICY,
		in_force ? "no policy can be used: what is in force already stays, and nothing was changed"
			 : "no policy can be used, and --on-failure=open: the guarded ports stay open to everybody");
	err_hint(&err, "mend %s, and run `dflyguard apply`", options->policy);
	return fail(options, &err, NULL);
}

int command_boot(const struct options *options)
{
	struct boot boot = {.options = options, .in_text = *options, .state = state_open()};
	int status;

	boot.in_text.renderer = &report_text;
	status = put_file(&boot, false);
	if (status == PUT_NOT)
		status = put_kept(&boot);
	if (status == PUT_NOT && boot.undone)
		status = put_file(&boot, true);
	if (status == PUT_NOT)
		status = put_nothing(&boot);
	kept_done(&boot.kept);
	state_done(&boot.state);
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * apply --boot: nothing stands between a server and the network yet, so that doing nothing is not the safe answer to a
 * policy that cannot be used. The policy, else the one that was in force last, else closed ports.
 */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

#define KEPT_DIRECTORY	"/var/lib/dflyguard"
#define KEPT_HEAD_LINES 32
#define CLOSED		"closed" /* the environment that the table then names */
#define NOT_PUT		(-1)	 /* no exit status yet: something else is to be tried */
#define PORTS_OF_TWO	(2 * POLICY_PORTS)

static void tell(const struct options *options, const struct err *err, const struct diagnostics *diagnostics)
{
	/* People and the journal read this, whatever the format of the result; the result is one object. */
	struct options text = *options;

	fflush(stdout);
	text.renderer = &report_text;
	fail(&text, err, diagnostics);
}

static bool load(const struct options *options, const char *path, const char *name, struct policy **ret,
	const struct environment **ret_environment)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	const struct environment *environment = NULL;
	struct err err = {0};

	if (policy_load(path, &policy, &diagnostics, &err) == 0)
		environment = policy_environment(policy, name, &err);
	if (!environment) {
		tell(options, &err, &diagnostics);
		policy_free(policy);
	} else {
		*ret = policy;
		*ret_environment = environment;
	}
	diagnostics_done(&diagnostics);
	return environment;
}

/* The exit status; NOT_PUT where the kernel refused this ruleset, which is told. Where the kernel cannot even be read
 * any other ruleset would fare the same. */
static int put(const struct options *options, const struct policy *policy, const struct environment *environment,
	struct ruleset *expected)
{
	struct progress progress;
	struct reconcile r = {
		.write = !options->dry_run, .expected = expected, .policy = policy, .progress = &progress};
	struct err err = {0};
	int status;

	progress_begin(&progress, options);
	status = reconcile(&r, &err);
	progress_end(&progress);
	if (status == 0) {
		status = report_changes(options, &r, environment->name);
	} else if (r.before.ruleset || r.first.ruleset) {
		tell(options, &err, NULL);
		status = NOT_PUT;
	} else {
		status = fail(options, &err, NULL);
	}
	reconcile_done(&r);
	return status;
}

static int put_policy(const struct options *options, struct policy *policy, const struct environment *environment)
{
	struct ruleset *expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	int status = put(options, policy, environment, expected);

	ruleset_free(expected);
	return status;
}

/* --- the policy that was in force last --- */

/* The caller frees it. */
static char *kept_path(void)
{
	const char *directory = getenv("STATE_DIRECTORY");

	/* systemd gives a list where several are configured: the first is ours. */
	return directory && directory[0] == '/' ? mem_format("%.*s/current", (int)strcspn(directory, ":"), directory)
						: mem_string(KEPT_DIRECTORY "/current");
}

/* Which of its environments was in force, from a head of `# key value` lines. NULL: it does not say. The caller frees
 * it. Whether the file is to be trusted is for policy_load() to say. */
static char *kept_environment(const char *path)
{
	static const char key[] = "# environment ";
	FILE *file = fopen(path, "re");
	char line[256];
	char *name = NULL;

	for (int i = 0; file && !name && i < KEPT_HEAD_LINES && fgets(line, sizeof(line), file) && line[0] == '#'; i++)
		if (strncmp(line, key, strlen(key)) == 0)
			name = mem_stringn(line + strlen(key), strcspn(line + strlen(key), "\n"));
	if (file)
		fclose(file);
	return name;
}

static int put_kept(const struct options *options, const char *path)
{
	_cleanup_free_ char *name = kept_environment(path);
	const struct environment *environment;
	struct policy *policy;
	int status;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		fprintf(stderr, "dflyguard: no policy was in force before: there is no %s\n", path);
		return NOT_PUT;
	}
	if (!load(options, path, name, &policy, &environment))
		return NOT_PUT;
	status = put_policy(options, policy, environment);
	if (status == EXIT_CONFORMING || status == EXIT_DIFFERS)
		fprintf(stderr,
			"dflyguard: warning: %s cannot be used: the policy that was in force last %s, environment %s, "
			"from "
			"%s; mend the policy, and run `dflyguard apply`\n",
			options->policy, options->dry_run ? "would be in force" : "is in force", environment->name,
			path);
	policy_free(policy);
	return status;
}

/* --- no policy at all --- */

static int compare_ports(const void *left, const void *right)
{
	return *(const uint16_t *)left - *(const uint16_t *)right;
}

/* Sorted, each once. At least one. */
static size_t ports_to_close(const char *policy, const char *kept, uint16_t ports[PORTS_OF_TWO])
{
	size_t count = policy_salvage_ports(policy, ports);
	size_t unique = 0;

	count += policy_salvage_ports(kept, ports + count);
	if (count == 0)
		ports[count++] = POLICY_DEFAULT_PORT;
	qsort(ports, count, sizeof(*ports), compare_ports);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || ports[i] != ports[unique - 1])
			ports[unique++] = ports[i];
	return unique;
}

static int close_ports(const struct options *options, const uint16_t *ports, size_t count)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_text_ struct text list = {0};
	struct diagnostics diagnostics = {0};
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
		return fail(options, &err, &diagnostics); /* a bug: tests/kernel/boot.sh */
	environment = policy_environment(policy, NULL, NULL);
	expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));
	text_printf(&list, "%u", ports[0]);
	for (size_t i = 1; i < count; i++) {
		ruleset_guard_also(expected, ports[i]);
		text_printf(&list, ", %u", ports[i]);
	}
	status = put(options, policy, environment, expected);
	ruleset_free(expected);
	policy_free(policy);
	if (status == NOT_PUT || status == EXIT_TROUBLE)
		return EXIT_TROUBLE;
	err_set(&err, EINVAL, ERR_POLICY, "no policy can be used: %s closed to all but this host: %s",
		options->dry_run ? "these ports would be" : "these ports are", text_string(&list));
	err_hint(&err, "mend %s, and run `dflyguard apply`", options->policy);
	tell(options, &err, NULL);
	return EXIT_DIFFERS;
}

/* What is in force already, by an earlier call, judges better than closed ports would. */
static int put_nothing(const struct options *options, const char *kept)
{
	uint16_t ports[PORTS_OF_TWO];
	struct snapshot snapshot = {0};
	struct nft *nft = NULL;
	struct err err = {0};
	bool in_force;

	if (nft_open(&nft, &err) < 0 || nft_read(nft, &snapshot, &err) < 0) {
		nft_close(nft);
		return fail(options, &err, NULL);
	}
	nft_close(nft);
	in_force = !why_not_in_force(snapshot.ruleset);
	ruleset_free(snapshot.ruleset);
	if (!in_force && !options->failure_open)
		return close_ports(options, ports, ports_to_close(options->policy, kept, ports));
	err_set(&err, EINVAL, ERR_POLICY,
		in_force ? "no policy can be used: what is in force already stays, and nothing was changed"
			 : "no policy can be used, and --on-failure=open: the guarded ports stay open to everybody");
	err_hint(&err, "mend %s, and run `dflyguard apply`", options->policy);
	return fail(options, &err, NULL);
}

int command_boot(const struct options *options)
{
	_cleanup_free_ char *kept = kept_path();
	const struct environment *environment;
	struct policy *policy;
	int status = NOT_PUT;

	if (load(options, options->policy, options->environment, &policy, &environment)) {
		status = put_policy(options, policy, environment);
		policy_free(policy);
	}
	if (status == NOT_PUT)
		status = put_kept(options, kept);
	return status == NOT_PUT ? put_nothing(options, kept) : status;
}

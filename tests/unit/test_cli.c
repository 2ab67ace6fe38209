/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The program's command line: what it prints, where, and its exit status. Runs the binary that DFLYGUARD names, or the
 * one beside this test. Nothing here asks the kernel's firewall: check and export only, and what fails before.
 */

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strict_json.h"
#include "testing.h"

static char program[PATH_MAX];
static char scratch[] = "/tmp/dflyguard-test-cli.XXXXXX";

static const char good_policy[] = "default_environment = production\n"
				  "service { port = 6379 tls_port = 6380 }\n"
				  "environment production {\n"
				  "\ttls = required\n"
				  "\tclients = {\"10.0.0.0/8\", \"10.1.0.0/16\"}\n"
				  "}\n"
				  "environment staging { tls = required clients = {} }\n";
/* No default: an environment must be named. */
static const char bare_policy[] =
	"environment a { tls = off clients = {} }\nenvironment b { tls = off clients = {} }\n";
static const char silent_policy[] = "default_environment = quiet\n"
				    "environment quiet { tls = off clients = {}\n"
				    "\tlog = none }\n";
static const char bad_policy[] = "service { port = 99999 }\nenvironment e { tls = maybe clients = {} }\n";

/* --- running it --- */

struct result {
	int status;
	char *out, *err; /* the files' contents */
};

static char *slurp(const char *name)
{
	_cleanup_free_ char *path = mem_format("%s/%s", scratch, name);
	char *text = testing_read(path, NULL);

	return text ? text : mem_string("");
}

/* `out` NULL: into a file. "": closed. Else a file such as /dev/full. `environment` is "NAME=value NAME=value". */
static struct result run(const char *arguments, const char *environment, const char *out)
{
	_cleanup_free_ char *words = mem_string(arguments);
	_cleanup_free_ char *variables = mem_string(environment ? environment : "");
	_cleanup_free_ char *out_path = mem_format("%s/out", scratch);
	_cleanup_free_ char *err_path = mem_format("%s/err", scratch);
	char *argv[32] = {(char *)(uintptr_t) "dflyguard"};
	char *envp[16] = {(char *)(uintptr_t) "LC_ALL=C"};
	posix_spawn_file_actions_t actions;
	struct result result;
	size_t count = 1;
	pid_t child;
	char *rest = words;

	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			/* A word that is to be empty. */
			argv[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
	rest = variables;
	count = 1;
	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			envp[count++] = word;
	/* Sanitizers are told by their environment what to do. */
	if (getenv("ASAN_OPTIONS"))
		envp[count++] = mem_format("ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(
		&actions, STDOUT_FILENO, out && *out ? out : out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out && !*out)
		posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
	if (posix_spawn(&child, program, &actions, NULL, argv, envp) != 0)
		fail_msg("cannot run %s: set DFLYGUARD, or build it", program);
	posix_spawn_file_actions_destroy(&actions);
	while (waitpid(child, &result.status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(WIFEXITED(result.status));
	result.status = WEXITSTATUS(result.status);
	result.out = slurp("out");
	result.err = slurp("err");
	if (getenv("ASAN_OPTIONS"))
		free(envp[count - 1]);
	return result;
}

static void result_done(struct result *result)
{
	free(result->out);
	free(result->err);
}

/* --- rows --- */

#define GOOD "--policy good.conf "

static const struct {
	const char *arguments;
	const char *environment;
	int status;
	const char *out; /* all of it; a prefix, where it ends in "..." */
	const char *err;
} rows[] = {
	/* Asking for help. */
	{"--version", NULL, 0, "dflyguard " DFLYGUARD_VERSION "\n", ""},
	{"-V", NULL, 0, "dflyguard " DFLYGUARD_VERSION "\n", ""},
	{"check --version", NULL, 0, "dflyguard " DFLYGUARD_VERSION "\n", ""},
	{"--help", NULL, 0, "usage: dflyguard [OPTIONS] COMMAND\n...", ""},
	{"-h", NULL, 0, "usage: dflyguard [OPTIONS] COMMAND\n...", ""},
	{"apply -h", NULL, 0, "usage: dflyguard [OPTIONS] apply [OPTIONS]\n...", ""},
	{"-h apply", NULL, 0, "usage: dflyguard [OPTIONS] apply [OPTIONS]\n...", ""},
	{"nonsense --help", NULL, 2, "",
		"dflyguard: there is no command 'nonsense'\n  to mend it: dflyguard --help lists all\n"},
	/* Wrong words. */
	{"", NULL, 2, "",
		"dflyguard: no command was given\n"
		"  to mend it: dflyguard --help lists the commands, dflyguard plan is a good first one\n"},
	{"nonsense", NULL, 2, "",
		"dflyguard: there is no command 'nonsense'\n  to mend it: dflyguard --help lists all\n"},
	{"''", NULL, 2, "", "dflyguard: there is no command ''\n  to mend it: dflyguard --help lists all\n"},
	{"Check", NULL, 2, "", "dflyguard: there is no command 'Check'\n..."},
	{"che", NULL, 2, "", "dflyguard: there is no command 'che'\n..."},
	{"--nonsense", NULL, 2, "",
		"dflyguard: unknown option '--nonsense'\n  to mend it: dflyguard --help lists all\n"},
	{"check --nonsense", NULL, 2, "", "dflyguard: unknown option '--nonsense'\n..."},
	{"check --nonsense=3", NULL, 2, "", "dflyguard: unknown option '--nonsense=3'\n..."},
	{"-x", NULL, 2, "", "dflyguard: unknown option '-x'\n..."},
	{"-vx check", NULL, 2, "", "dflyguard: unknown option '-x'\n..."},
	{"check -xv", NULL, 2, "", "dflyguard: unknown option '-x'\n..."},
	{"--quiet -xq check", NULL, 2, "", "dflyguard: unknown option '-x'\n..."},
	{"check --quiet=yes", NULL, 2, "", "dflyguard: option '--quiet' takes no value\n..."},
	{"check --ver", NULL, 2, "", "dflyguard: unknown option '--ver'\n..."}, /* verbose or version? */
	{"--policy", NULL, 2, "", "dflyguard: option '--policy' needs a value\n..."},
	{"check --environment", NULL, 2, "", "dflyguard: option '--environment' needs a value\n..."},
	{"check --format", NULL, 2, "", "dflyguard: option '--format' needs a value\n..."},
	{"--format xml check", NULL, 2, "",
		"dflyguard: there is no format 'xml'\n  to mend it: --format text, json or sarif\n"},
	{"--format '' check", NULL, 2, "", "dflyguard: there is no format ''\n..."},
	{"--color sometimes check", NULL, 2, "",
		"dflyguard: --color does not know 'sometimes'\n  to mend it: --color auto, always or never\n"},
	{"check plan", NULL, 2, "",
		"dflyguard: unexpected argument 'plan'\n  to mend it: each call runs one command\n"},
	{"check -- plan", NULL, 2, "", "dflyguard: unexpected argument 'plan'\n..."},
	{"check --dry-run", NULL, 2, "", "dflyguard: this command does not take --dry-run\n..."},
	{"plan --dry-run", NULL, 2, "", "dflyguard: this command does not take --dry-run\n..."},
	{"check --full", NULL, 2, "", "dflyguard: this command does not take --full\n..."},
	{"plan --confirm 10", NULL, 2, "", "dflyguard: this command does not take --confirm\n..."},
	{"apply --confirm 0", NULL, 2, "", "dflyguard: --confirm: ..."},
	{"apply --confirm 86401", NULL, 2, "", "dflyguard: --confirm: ..."},
	{"apply --confirm 1m", NULL, 2, "", "dflyguard: --confirm: ..."},
	{"apply --confirm", NULL, 2, "", "dflyguard: option '--confirm' needs a value\n..."},
	{"apply --confirm 10 --dry-run", NULL, 2, "", "dflyguard: --dry-run changes nothing that could be ..."},
	{"apply --to nft", NULL, 2, "", "dflyguard: this command does not take --to\n..."},
	{"--to nft --dry-run check", NULL, 2, "", "dflyguard: this command does not take --dry-run\n..."},
	{"plan --boot", NULL, 2, "", "dflyguard: this command does not take --boot\n..."},
	{"apply --on-failure=open", NULL, 2, "",
		"dflyguard: --on-failure is for apply --boot: without it a bad policy changes nothing\n..."},
	{"apply --boot --on-failure panic", NULL, 2, "",
		"dflyguard: --on-failure does not know 'panic'\n"
		"  to mend it: --on-failure=close, or --on-failure=open\n"},
	{"export", NULL, 2, "",
		"dflyguard: export needs --to\n  to mend it: dflyguard export --to nft, or --to systemd\n"},
	{"explain", NULL, 2, "",
		"dflyguard: explain needs --from, the address of who connects\n"
		"  to mend it: dflyguard explain --from 10.20.0.7 --port 6380\n"},
	{"explain --from 10.0.0.1", NULL, 2, "", "dflyguard: explain needs --port, the port that is connected to\n..."},
	{"explain --from 10.0.0.1 --port 0", NULL, 2, "", "dflyguard: --port: '0' is not a port, 1 to 65535\n"},
	{"explain --from 10.0.0.1 --port x", NULL, 2, "", "dflyguard: --port: 'x' is not a port, 1 to 65535\n"},
	{"explain --from 10.0.0.0/8 --port 1", NULL, 2, "",
		"dflyguard: --from: '10.0.0.0/8' is more than one address\n..."},
	{"explain --from app --port 1", NULL, 2, "", "dflyguard: --from: 'app' is not an IP address\n..."},
	{"explain --from 10.0.0.1 --to ::1 --port 1", NULL, 2, "",
		"dflyguard: --from is an IPv4 address and --to an IPv6 address\n"},
	{"explain --from 10.0.0.1 --port 1 --tls --plaintext", NULL, 2, "",
		"dflyguard: --tls and --plaintext: a connection begins with one of them\n"},
	{"explain --from 10.0.0.1 --port 1 --via bridge", NULL, 2, "",
		"dflyguard: --via needs --to: to which address is it routed?\n"},
	{GOOD "explain --from 10.0.0.1 --port 1 --dnat 10.0.0.1:0", NULL, 2, "",
		"dflyguard: --dnat: '0' is not a port, 1 to 65535\n"},
	{GOOD "explain --from 10.0.0.1 --port 1 --dnat [::1]:5", NULL, 2, "",
		"dflyguard: --from is an IPv4 address and --dnat an IPv6 address\n"},
	{"check --from 10.0.0.1", NULL, 2, "", "dflyguard: this command does not take --from\n..."},
	{"apply --to nft", NULL, 2, "", "dflyguard: this command does not take --to\n..."},
	{"export --to nft --live", NULL, 2, "", "dflyguard: this command does not take --live\n..."},
	{"export --to rust", NULL, 2, "",
		"dflyguard: cannot export to 'rust'\n  to mend it: dflyguard export --to nft, or --to systemd\n"},
	{"plan --before-start", NULL, 2, "", "dflyguard: this command does not take --before-start\n..."},
	{GOOD "audit --before-start --heal", NULL, 2, "", "dflyguard: audit --before-start only looks..."},
	{"audit --before-start --metrics x", NULL, 2, "", "dflyguard: audit --before-start only looks..."},
	{"export --to systemd --format json", NULL, 2, "{\n...", ""},
	{"--policy missing.conf export --to systemd", NULL, 2, "", "dflyguard: cannot open 'missing.conf'..."},
	{GOOD "export --to systemd", NULL, 0,
		"# Written by dflyguard " DFLYGUARD_VERSION
		" from good.conf, environment production: a drop-in for dragonfly.service.\n...",
		""},
	{GOOD "export --to systemd", "DFLYGUARD_ENVIRONMENT=staging", 0,
		"# Written by dflyguard " DFLYGUARD_VERSION
		" from good.conf, environment staging: a drop-in for dragonfly.service.\n...",
		""},
	{"check --follow", NULL, 2, "", "dflyguard: this command does not take --follow\n..."},
	{"apply --count 3", NULL, 2, "", "dflyguard: this command does not take --count\n..."},
	{"status --reason source", NULL, 2, "", "dflyguard: this command does not take --reason\n..."},
	{"log --dry-run", NULL, 2, "", "dflyguard: this command does not take --dry-run\n..."},
	{"log --count", NULL, 2, "", "dflyguard: option '--count' needs a value\n..."},
	{"log --count 0", NULL, 2, "",
		"dflyguard: --count: 0 is out of range: write 1 to 1000000000\n  to mend it: dflyguard log --count "
		"100\n"},
	{"log --count 1000000001", NULL, 2, "", "dflyguard: --count: 1000000001 is out of range...\n..."},
	{"log --count -1", NULL, 2, "", "dflyguard: --count: '-1' ..."},
	{"log --count ten", NULL, 2, "", "dflyguard: --count: 'ten' ..."},
	{"log --reason nonsense", NULL, 2, "",
		"dflyguard: there is no reason 'nonsense'\n  to mend it: write one of source, address, closed, state, "
		"loopback, plaintext, connections, rate, banned\n"},
	{"log --reason ''", NULL, 2, "", "dflyguard: there is no reason ''\n..."},
	{"log --follow=yes", NULL, 2, "", "dflyguard: option '--follow' takes no value\n..."},
	/* A policy that is there is obeyed, before the kernel is asked. */
	{"log --policy missing.conf", NULL, 2, "", "dflyguard: cannot open 'missing.conf'..."},
	{"log --policy bad.conf", NULL, 2, "", "bad.conf:1: ..."},
	{GOOD "log --environment nowhere", NULL, 2, "", "dflyguard: good.conf...nowhere...production..."},
	{"--policy silent.conf log", NULL, 2, "",
		"dflyguard: silent.conf:3: environment quiet has log = none: the kernel tells of no packet\n"
		"  to mend it: write log = sampled there, and apply it; `dflyguard status` counts in any case\n"},
	{"--policy silent.conf log --format json", NULL, 2, "{\"schema\": 1, \"command\": \"log\", ...", ""},
	/* The same for scripts, wherever the format stands. */
	{"--format json", NULL, 2, "{\n  \"schema\": 1,\n  \"command\": null,\n...", ""},
	{"--format=json nonsense", NULL, 2, "{\n  \"schema\": 1,\n  \"command\": null,\n...", ""},
	{"--nonsense check --format json", NULL, 2, "{\n  \"schema\": 1,\n  \"command\": null,\n...", ""},
	{"check --dry-run --format json", NULL, 2, "{\n  \"schema\": 1,\n  \"command\": \"check\",\n...", ""},
	{"check plan --format=json", NULL, 2, "{\n  \"schema\": 1,\n  \"command\": \"check\",\n...", ""},
	{"--format json --policy", NULL, 2, "{\n...", ""},
	{"--format json --color sometimes check", NULL, 2, "{\n...", ""},
	{"export --to nft --format json", NULL, 2, "{\n...", ""},
	{"--policy bad.conf --format json check", NULL, 2, "{\n...", ""},
	{"--policy missing.conf --format json check", NULL, 2, "{\n...", ""},
	{GOOD "--format json --environment nowhere check", NULL, 2, "{\n...", ""},
	/* Checking. */
	{GOOD "check", NULL, 0,
		"good.conf: good, 2 environments, 2 sources\n\n"
		"  production       tls required  1 client interval, 6379 closed, 6380 TLS  (default)\n"
		"  staging          tls required  0 client intervals, 6379 closed, 6380 TLS\n",
		""},
	{"check " GOOD, NULL, 0, "good.conf: good, ...", ""},
	{GOOD "check --environment staging", NULL, 0,
		"good.conf: good, 2 environments, 2 sources\n\n"
		"  staging          tls required  0 client intervals, 6379 closed, 6380 TLS\n",
		""},
	{GOOD "check", "DFLYGUARD_ENVIRONMENT=staging", 0,
		"good.conf: good, 2 environments, 2 sources\n\n  staging ...", ""},
	/* The option goes before the variable, and an empty variable is none. */
	{GOOD "check --environment production", "DFLYGUARD_ENVIRONMENT=staging", 0,
		"good.conf: good, 2 environments, 2 sources\n\n  production ...", ""},
	{GOOD "check", "DFLYGUARD_ENVIRONMENT=", 0, "good.conf: good, 2 environments, 2 sources\n\n  production ...",
		""},
	{GOOD "check", "DFLYGUARD_ENVIRONMENT=nowhere", 2, "", "dflyguard: good.conf...staging..."},
	{GOOD "check -v", NULL, 0,
		"good.conf: good, 2 environments, 2 sources\n\n"
		"  production       tls required  1 client interval, 6379 closed, 6380 TLS  (default)\n"
		"  staging          tls required  0 client intervals, 6379 closed, 6380 TLS\n\n"
		"good.conf:5: note: 10.1.0.0/16 is redundant: 10.0.0.0/8 in good.conf:5 covers it\n",
		""},
	{GOOD "check -q", NULL, 0, "", ""},
	{GOOD "check --color always", NULL, 0, "good.conf: \033[32mgood\033[0m, 2 environments...", ""},
	/* Asked for, colour is given, even if the variable says otherwise. */
	{GOOD "check --color=always", "NO_COLOR=1", 0, "good.conf: \033[32mgood\033[0m...", ""},
	{GOOD "check", "NO_COLOR=1", 0, "good.conf: good...", ""},
	{GOOD "check --color never", NULL, 0, "good.conf: good...", ""},
	{"--policy bad.conf check", NULL, 2, "",
		"bad.conf:1: port: 99999 is out of range: write 1 to 65535\n"
		"bad.conf:2: tls = 'maybe': write required, optional or off\n"
		"dflyguard: the policy has 2 mistakes\n"},
	{"--policy bad.conf check -q", NULL, 2, "", "bad.conf:1: ..."},
	{"--policy bad.conf --color always check", NULL, 2, "", "\033[1mbad.conf:1:\033[0m port..."},
	{"--policy missing.conf check", NULL, 2, "",
		"dflyguard: cannot open 'missing.conf': No such file or directory..."},
	{"--policy '' check", NULL, 2, "", "dflyguard: ..."},
	{"--policy . check", NULL, 2, "", "dflyguard: '.' is a directory: name a file\n..."},
	{"--policy open.conf check", NULL, 2, "", "dflyguard: 'open.conf' can be changed by everybody (mode 0666)..."},
	{"--policy bare.conf check", NULL, 0, "bare.conf: good, 2 environments, 0 sources\n\n  a  ...", ""},
	{"--policy bare.conf export --to nft", NULL, 2, "", "dflyguard: bare.conf...a...b..."},
	{"--policy bare.conf export --to nft --environment c", NULL, 2, "", "dflyguard: bare.conf...a...b..."},
	{GOOD "export --to nft", NULL, 0,
		"# Written by dflyguard " DFLYGUARD_VERSION
		" from good.conf, environment production, for `nft -f`.\n...",
		""},
	{GOOD "export --to nft", "DFLYGUARD_ENVIRONMENT=staging", 0,
		"# Written by dflyguard " DFLYGUARD_VERSION " from good.conf, environment staging, for `nft -f`.\n...",
		""},
	{GOOD "--format json check", NULL, 0, "{\n  \"schema\": 1,\n  \"command\": \"check\",\n...", ""},
	/* For scripts nothing is left out. */
	{GOOD "--format json -q check", NULL, 0, "{\n  \"schema\": 1,\n  \"command\": \"check\",\n...", ""},
	/* What comes later counts. */
	{GOOD "--format json --format text check", NULL, 0, "good.conf: good...", ""},
	{"--policy missing.conf " GOOD "check", NULL, 0, "good.conf: good...", ""},
};

/* Equal; "..." stands for anything. */
static bool matches(const char *text, const char *pattern)
{
	const char *gap = strstr(pattern, "...");
	size_t length = gap ? (size_t)(gap - pattern) : strlen(pattern);

	if (strncmp(text, pattern, length) != 0)
		return false;
	if (!gap)
		return !text[length];
	if (!gap[3])
		return true;
	for (text += length; *text; text++)
		if (matches(text, gap + 3))
			return true;
	return false;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result result = run(rows[i].arguments, rows[i].environment, NULL);

		if (result.status != rows[i].status)
			fail_msg("%s: exit status %d\n%s%s", rows[i].arguments, result.status, result.out, result.err);
		if (!matches(result.out, rows[i].out))
			fail_msg("%s: stdout\n%s", rows[i].arguments, result.out);
		if (!matches(result.err, rows[i].err))
			fail_msg("%s: stderr\n%s", rows[i].arguments, result.err);
		if (*result.out == '{') {
			char value[512];

			if (!strict_json_good(result.out))
				fail_msg("%s: no JSON:\n%s", rows[i].arguments, result.out);
			/* The error is in it, and only there. */
			assert_true(strict_json_get(result.out, "error.message", value, sizeof(value)) ==
				    (result.status == 2));
			assert_string_equal(result.err, "");
		}
		result_done(&result);
	}
}

static void test_json_errors(void **state)
{
	static const struct {
		const char *arguments;
		const char *file, *line, *message; /* as JSON */
	} errors[] = {
		{"--policy bad.conf --format json check", "\"bad.conf\"", "1",
			"\"port: 99999 is out of range: write 1 to 65535\""},
		{"--policy missing.conf --format json check", "\"missing.conf\"", "null",
			"\"cannot open 'missing.conf': No such file or directory\""},
		{"--format json nonsense", "null", "null", "\"there is no command 'nonsense'\""},
		{"--format json -vx check", "null", "null", "\"unknown option '-x'\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct result result = run(errors[i].arguments, NULL, NULL);
		char value[512];

		assert_int_equal(result.status, 2);
		assert_true(strict_json_get(result.out, "error.file", value, sizeof(value)));
		assert_string_equal(value, errors[i].file);
		assert_true(strict_json_get(result.out, "error.line", value, sizeof(value)));
		assert_string_equal(value, errors[i].line);
		assert_true(strict_json_get(result.out, "error.message", value, sizeof(value)));
		assert_string_equal(value, errors[i].message);
		result_done(&result);
	}
}

/* Each command's help, as golden text: options, exit status, examples. */
static void test_help(void **state)
{
	static const char *const commands[] = {"check", "plan", "apply", "confirm", "rollback", "audit", "checks",
		"status", "log", "explain", "export", "remove"};

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(commands); i++) {
		const char *command = i < ARRAY_SIZE(commands) ? commands[i] : "";
		_cleanup_free_ char *arguments = mem_format("%s --help", command);
		_cleanup_free_ char *path = mem_format("tests/golden/cli/help%s%s.txt", *command ? "-" : "", command);
		struct result result = run(arguments, NULL, NULL);

		assert_int_equal(result.status, 0);
		assert_string_equal(result.err, "");
		/* A terminal of 100 columns is enough, and nothing hangs over. */
		for (const char *line = result.out; *line; line += strcspn(line, "\n") + 1) {
			size_t length = strcspn(line, "\n");

			if (length > 100 || (length && line[length - 1] == ' '))
				fail_msg("%s: %.*s", arguments, (int)length, line);
		}
		golden_check(path, result.out);
		result_done(&result);
	}
}

/* A result that could not be written is not a result. */
static void test_no_room(void **state)
{
	static const char *const arguments[] = {"--help", "--version", "apply --help", GOOD "check",
		GOOD "--format json check", GOOD "export --to nft"};
	static const char *const outs[] = {"/dev/full", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
		for (size_t k = 0; k < ARRAY_SIZE(outs); k++) {
			struct result result = run(arguments[i], NULL, outs[k]);

			if (result.status != 2)
				fail_msg("%s > '%s': exit status %d", arguments[i], outs[k], result.status);
			if (!strstr(result.err, "cannot write the result: "))
				fail_msg("%s > '%s': %s", arguments[i], outs[k], result.err);
			result_done(&result);
		}
	/* Where nothing is to be said, nothing is missing. */
	struct result quiet = run(GOOD "-q check", NULL, "/dev/full");

	assert_int_equal(quiet.status, 0);
	result_done(&quiet);
	/* An error stays an error. */
	struct result bad = run("--format json nonsense", NULL, "");

	assert_int_equal(bad.status, 2);
	result_done(&bad);
}

/* --- around --- */

static void write_policy(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = mem_format("%s/%s", scratch, name);
	_cleanup_close_ int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(descriptor, mode), 0);
}

/* Beside this test's own directory: BUILD/tests/test_cli runs BUILD/dflyguard. */
static bool find_program(void)
{
	const char *named = getenv("DFLYGUARD");
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (named && *named)
		return realpath(named, program);
	if (length < 0)
		return false;
	self[length] = '\0';
	for (unsigned int i = 0; i < 2; i++)
		if (strrchr(self, '/'))
			*strrchr(self, '/') = '\0';
	_cleanup_free_ char *beside = mem_format("%s/dflyguard", self);

	return realpath(beside, program) || realpath("build/dflyguard", program);
}

static char start[PATH_MAX];

/* Rows name policies by themselves; the golden files lie where the test was started. */
static int enter(void **state)
{
	(void)state;
	return chdir(scratch);
}

static int leave(void **state)
{
	(void)state;
	return chdir(start);
}

static int group_setup(void **state)
{
	(void)state;
	if (!find_program() || !getcwd(start, sizeof(start)) || !mkdtemp(scratch))
		return -1;
	write_policy("good.conf", good_policy, 0644);
	write_policy("bare.conf", bare_policy, 0644);
	write_policy("bad.conf", bad_policy, 0644);
	write_policy("silent.conf", silent_policy, 0644);
	write_policy("open.conf", good_policy, 0666);
	return 0;
}

static int group_teardown(void **state)
{
	static const char *const names[] = {
		"good.conf", "bare.conf", "bad.conf", "silent.conf", "open.conf", "out", "err"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = mem_format("%s/%s", scratch, names[i]);

		unlink(path);
	}
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, enter, leave),
		cmocka_unit_test_setup_teardown(test_json_errors, enter, leave),
		cmocka_unit_test(test_help),
		cmocka_unit_test_setup_teardown(test_no_room, enter, leave),
	};

	return cmocka_run_group_tests_name("cli", tests, group_setup, group_teardown);
}

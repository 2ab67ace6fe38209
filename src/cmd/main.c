/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

/* The longest time to confirm, in seconds: a day. */
#define CONFIRM_MAXIMUM 86400

static const struct command commands[] = {
	{"check", 0, command_check, "validate the policy, without privileges",
		"Reads the policy and reports all of its mistakes, each with file and line. Needs\n"
		"no privileges and does not look at the kernel. With --verbose it also says what is\n"
		"legal but probably not meant: sources that others cover, networks that nobody uses.\n"
		"Then tries what the policy expects of itself (`expect`), in all environments; the exit\n"
		"status is 1 where something is not so, with a connection that shows it. Where another\n"
		"environment is weaker than production, it warns; that is no mistake.\n",
		"dflyguard --policy policies/complete.conf check --verbose"},
	{"plan", OPTION_FULL, command_plan, "what apply would change, as a diff; changes nothing",
		"Compares the policy with the kernel's table, object by object, and shows what\n"
		"apply would do and the policy line behind each change. The exit status is 1 where\n"
		"there is something to change. Where the last look found no difference, not more\n"
		"than ten minutes ago, and nothing was committed since, the table is not read\n"
		"again; --full reads it anyway.\n",
		"dflyguard plan\ndflyguard --environment staging --format json plan"},
	{"apply", OPTION_DRY_RUN | OPTION_FULL | OPTION_CONFIRM | OPTION_BOOT, command_apply,
		"make the kernel match the policy, in one transaction",
		"Commits what differs as one transaction, which the kernel takes as a whole or not\n"
		"at all, and only if nobody else changed the ruleset since it was read. Then reads\n"
		"the table back: success means that nothing differs. Where nothing differs before,\n"
		"nothing is sent. Other tables are never touched. Then the same with the bind guard,\n"
		"where the policy has one: what is wrong with it does not undo the table.\n"
		"\n"
		"With --confirm SECONDS it is undone, unless `dflyguard confirm` comes in time: also\n"
		"where this program or the login that started it is gone by then. It then goes back\n"
		"to the policy that was confirmed last, or to no table if there was none. A reboot\n"
		"before that goes back to it, too. An apply without --confirm stays, and ends the\n"
		"waiting of one before.\n"
		"\n"
		"With --boot, for the unit that runs before the network is up, a policy that cannot\n"
		"be used does not leave the ports open: the one that was in force last is put in\n"
		"force again (exit status 0, and a warning); where there is none, the guarded ports\n"
		"are closed to all but this host (exit status 1), unless --on-failure=open.\n",
		"dflyguard apply\ndflyguard apply --dry-run\ndflyguard apply --confirm 60\ndflyguard confirm\n"
		"dflyguard apply --boot --dry-run"},
	{"confirm", 0, command_confirm, "keep what apply --confirm put in force",
		"Keeps the policy that `apply --confirm` put in force for a time. The exit status is\n"
		"1 where nothing waits: it was confirmed before, or undone.\n",
		"dflyguard confirm"},
	{"rollback", OPTION_DRY_RUN, command_rollback, "back to the policy in force before the last apply",
		"Puts the policy in force that was in force before the last apply, or before remove,\n"
		"with its environment, as it was then: later changes of its files do not count. A\n"
		"second rollback returns. Where a policy waits for `dflyguard confirm`, that one is\n"
		"undone. The policy file is not touched: the next apply puts it in force again, and\n"
		"until then neither watch --heal nor a reboot does.\n",
		"dflyguard rollback --dry-run\ndflyguard rollback"},
	{"audit",
		OPTION_DRY_RUN | OPTION_FULL | OPTION_HEAL | OPTION_FAIL_ON | OPTION_METRICS | OPTION_COMPARE |
			OPTION_START,
		command_audit, "firewall, sockets, TLS, passwords, logs; --heal puts back drift",
		"Compares the kernel's table with the policy, object by object, and looks at what other\n"
		"tables do to the guarded ports; at what listens there, here and in containers, and who\n"
		"that is; at what servers were told; and at their TLS, passwords, other doors and logs,\n"
		"for which it knocks at them. Each check passes, fails, or is unknown, which is never a\n"
		"pass: without privileges the exit status is 2. With --heal it puts back what differs,\n"
		"as apply does, and audits again; other tables and servers are only read. As\n"
		"plan, it does not read its own table again where nothing was committed since the last\n"
		"look, unless --full is given; all else is read each time. What each check means:\n"
		"`dflyguard checks`. A finding that the policy waives (`waive`) is shown and does not\n"
		"count. With --all-environments it also tells where staging or development is weaker\n"
		"than production. --format sarif writes SARIF 2.1.0.\n"
		"\n"
		"With --before-start it asks what the server's unit must know right before it starts:\n"
		"is the firewall in force, and do the flags of the policy's unit, from its command\n"
		"line, flagfiles and environment, ask for addresses and ports that the policy allows?\n"
		"`dflyguard export --to systemd` writes the drop-in that does so.\n",
		"dflyguard audit\ndflyguard audit --fail-on critical --quiet\ndflyguard audit --heal --dry-run\n"
		"dflyguard --format json audit --heal\n"
		"dflyguard --format sarif audit --all-environments > dflyguard.sarif"},
	{"watch", OPTION_HEAL | OPTION_WATCH | OPTION_METRICS, command_watch,
		"audit again and again, tell what changes, put it back with --heal",
		"Looks at once and then until SIGTERM: asks every --period seconds whether anything\n"
		"changed, and compares all of it when it did, and each --full-every seconds. Tells what is\n"
		"new, one line each. With --events the kernel tells of changes as they happen, and who\n"
		"made them; that makes everybody's own changes slower. With --heal it puts back what\n"
		"differs; where somebody undoes that three times in a minute it stops, says so, and\n"
		"begins again after ten quiet minutes. It follows the policy file: a good new one is\n"
		"taken over, a bad one is reported, and the old one stays. SIGHUP reads the policy\n"
		"again and looks at once.\n"
		"\n"
		"With --heal --own the table is watch's own: the kernel lets nobody else change or\n"
		"delete it, `nft flush ruleset` passes it by, and apply, rollback and remove fail and\n"
		"say who owns it. To change what is in force, edit the policy file, or stop watch.\n"
		"However watch ends, kill -9 included, the table stays in force, and is everybody's\n"
		"again; the next watch --own takes it over as it is. A table that had no owner yet\n"
		"can only be owned by making it anew, in one transaction: the ports are guarded at\n"
		"every moment, but counters, limits and the list of refused sources begin at zero,\n"
		"once, and with ten thousands of addresses a new connection may wait for a second.\n"
		"While a policy waits for `dflyguard confirm` it is not owned. Needs Linux 6.9; on an\n"
		"older kernel watch says so, and goes on without.\n",
		"dflyguard watch\ndflyguard watch --events --heal\ndflyguard watch --events --heal --own\n"
		"dflyguard --format json watch --metrics /var/lib/prometheus/node-exporter/dflyguard.prom"},
	{"checks", 0, command_checks, "list every check of audit and watch: id, severity, meaning, remedy",
		"Says of each check what it asks, what a failure means, and how to mend it. Those that\n"
		"only watch can answer, since it stays, are marked. Needs neither a policy nor\n"
		"privileges.\n",
		"dflyguard checks\ndflyguard --format json checks"},
	{"status", 0, command_status, "what is in force: since when, counters, top refused sources",
		"Says whether the firewall is in force, for which environment and since when, and\n"
		"how many packets it refused, by reason and from which sources: the ten that were\n"
		"refused most, with --verbose all. Where the policy can be read it is compared too: a\n"
		"table that is there but differs is reported, and the exit status is 1.\n",
		"dflyguard status\ndflyguard status --verbose\ndflyguard --format json status"},
	{"log", OPTION_FOLLOW | OPTION_COUNT | OPTION_REASON, command_log,
		"refused packets as they happen, with the reason",
		"Shows packets that the firewall refuses, from now on, each with its reason. The\n"
		"kernel keeps none for later: `dflyguard status` tells how many there were. Ends\n"
		"after 10 packets, after --count, or with --follow not before Ctrl-C or SIGTERM. With\n"
		"`log = sampled` in the policy the kernel tells of a sample only. One process can\n"
		"read the log at a time. The policy is read for its log_group alone; without one,\n"
		"group 6379 is read. Needs libnetfilter_log (Debian: libnetfilter-log1).\n",
		"dflyguard log --follow\ndflyguard log --follow --reason plaintext\n"
		"dflyguard --format json log --count 100"},
	{"ban", OPTION_BAN, command_ban, "refuse a source for a time, whatever the policy says",
		"Puts SOURCE, an address, a prefix or a range, into the kernel's set of banned sources\n"
		"for a time: 1h, or what --for says, 7d at most. All guarded ports refuse it from then\n"
		"on, also on connections that it has already. An IPv6 address stands for its prefix of\n"
		"ipv6_source_prefix bits, unless the policy protects some of that; write /128 for the\n"
		"address alone. Banning again begins the\n"
		"time anew, and never makes it shorter. Whom the policy protects cannot be banned:\n"
		"never_ban, admins, the addresses in bind, loopback. Bans end by themselves, survive\n"
		"every apply, and go with the table. `dflyguard status` lists them.\n",
		"dflyguard ban 203.0.113.7\ndflyguard ban 203.0.113.0/24 --for 1d\n"
		"dflyguard --format json ban 2001:db8:bad::1 --for 10m"},
	{"unban", OPTION_UNBAN, command_unban, "take a source out of the banned ones",
		"Ends the ban of SOURCE before its time, or with --all those of everybody. What lies\n"
		"beside it in a banned prefix stays banned; but an IPv6 address stands for all of the\n"
		"ban that holds it. The exit status is 1 where it is not banned. Needs no policy.\n",
		"dflyguard unban 203.0.113.7\ndflyguard unban --all"},
	{"explain", OPTION_CONNECTION, command_explain, "what becomes of a connection, rule by rule",
		"Follows the first packets of a connection through the table that the policy compiles\n"
		"to, and tells who may and who may not, by which rule, and which line of the policy\n"
		"stands behind it. Sends no packets and needs no privileges; with --live it asks the\n"
		"table that is in the kernel now instead. Only this table is asked: others may still\n"
		"drop what it lets pass. The exit status is 0 where the connection is allowed, 1 where\n"
		"it is refused, 2 where that cannot be known.\n",
		"dflyguard explain --from 10.20.0.7 --port 6380\n"
		"dflyguard explain --from 10.66.0.1 --to 10.20.0.5 --port 6380 --plaintext\n"
		"dflyguard explain --from 10.20.0.7 --port 7000 --dnat 172.17.0.2:6380"},
	{"export", OPTION_LANGUAGE, command_export, "the same policy for others: --to nft, --to systemd",
		"--to nft writes the ruleset as a file that `nft -f` loads, for hosts where dflyguard\n"
		"is not installed, and for reading.\n"
		"\n"
		"--to systemd writes a drop-in for the server's unit: it starts only where the\n"
		"firewall is in force and its flags ask for what the policy allows; its sockets speak\n"
		"with the policy's sources only (IPAddressAllow=), and are bound to guarded ports only\n"
		"(SocketBindAllow=). Its comments say where it belongs, and what each line does.\n",
		"dflyguard export --to nft > dflyguard.nft\ndflyguard export --to systemd"},
	{"remove", OPTION_DRY_RUN, command_remove, "delete our table and bind guard, and nothing else",
		"Deletes table inet dflyguard, and the bind guard of this network namespace. The guarded\n"
		"ports are then open to whoever other tables let through. Needs no policy.\n",
		"dflyguard remove --dry-run\ndflyguard remove"},
};

enum {
	OPTION_ENVIRONMENT = 256,
	OPTION_POLICY,
	OPTION_FORMAT,
	OPTION_COLOR,
	OPTION_DRY,
	OPTION_AT_BOOT,
	OPTION_ON_FAILURE,
	OPTION_LOG_FOLLOW,
	OPTION_LOG_COUNT,
	OPTION_LOG_REASON,
	OPTION_TO,
	OPTION_FROM,
	OPTION_PORT,
	OPTION_TLS,
	OPTION_PLAINTEXT,
	OPTION_ESTABLISHED,
	OPTION_DNAT,
	OPTION_VIA,
	OPTION_LOCAL,
	OPTION_LIVE,
	OPTION_AUDIT_HEAL,
	OPTION_AUDIT_FAIL,
	OPTION_ALL_ENVIRONMENTS,
	OPTION_AUDIT_START,
	OPTION_FULL_LOOK,
	OPTION_CONFIRM_WITHIN,
	OPTION_METRICS_FILE,
	OPTION_WATCH_PERIOD,
	OPTION_WATCH_FULL,
	OPTION_WATCH_EVENTS,
	OPTION_WATCH_JOURNAL,
	OPTION_WATCH_OWN,
	OPTION_BAN_FOR,
	OPTION_UNBAN_ALL
};

static const struct {
	const char *name;
	int value;
	const char *argument; /* NULL: takes none */
	unsigned int bit;     /* 0: every command takes it */
	const char *help;
} option_table[] = {
	{"policy", OPTION_POLICY, "FILE", 0, "the policy (default " POLICY_DEFAULT_PATH ")"},
	{"environment", OPTION_ENVIRONMENT, "NAME", 0,
		"which environment of it (else DFLYGUARD_ENVIRONMENT, else its default)"},
	{"format", OPTION_FORMAT, "FORMAT", 0, "how to write the result: text (default), json; audit: sarif, too"},
	{"dry-run", OPTION_DRY, NULL, OPTION_DRY_RUN, "say what would be done, and do nothing"},
	{"boot", OPTION_AT_BOOT, NULL, OPTION_BOOT, "where the policy is bad, the last one in force, or closed ports"},
	{"on-failure", OPTION_ON_FAILURE, "HOW", OPTION_BOOT,
		"with --boot and no policy at all: close (default) or open"},
	{"full", OPTION_FULL_LOOK, NULL, OPTION_FULL, "read the table, even if nothing changed since the last look"},
	{"confirm", OPTION_CONFIRM_WITHIN, "SECONDS", OPTION_CONFIRM,
		"undo it, unless confirmed within 1 to 86400 seconds"},
	{"follow", OPTION_LOG_FOLLOW, NULL, OPTION_FOLLOW, "go on until interrupted"},
	{"count", OPTION_LOG_COUNT, "N", OPTION_COUNT, "end after N packets (default 10, with --follow no end)"},
	{"reason", OPTION_LOG_REASON, "NAME", OPTION_REASON, "only what was refused for this reason"},
	{"to", OPTION_TO, "nft|systemd", OPTION_LANGUAGE, "the language to write"},
	{"from", OPTION_FROM, "ADDRESS", OPTION_CONNECTION, "who connects"},
	{"to", OPTION_TO, "ADDRESS", OPTION_CONNECTION, "to which address (default: the first one in bind)"},
	{"port", OPTION_PORT, "NUMBER", OPTION_CONNECTION, "to which port"},
	{"tls", OPTION_TLS, NULL, OPTION_CONNECTION, "the client begins with TLS (default: as the port is meant)"},
	{"plaintext", OPTION_PLAINTEXT, NULL, OPTION_CONNECTION, "the client begins with anything else"},
	{"established", OPTION_ESTABLISHED, NULL, OPTION_CONNECTION, "the connection is older than the table"},
	{"dnat", OPTION_DNAT, "ADDR:PORT", OPTION_CONNECTION, "published: translated to this; :PORT = on this host"},
	{"via", OPTION_VIA, "KIND", OPTION_CONNECTION, "routed on by a device of this kind, such as bridge, veth"},
	{"local", OPTION_LOCAL, NULL, OPTION_CONNECTION, "from this host itself, by lo"},
	{"live", OPTION_LIVE, NULL, OPTION_CONNECTION, "ask the table that is in the kernel now"},
	{"heal", OPTION_AUDIT_HEAL, NULL, OPTION_HEAL, "put back what differs, and audit again"},
	{"fail-on", OPTION_AUDIT_FAIL, "SEVERITY", OPTION_FAIL_ON,
		"info, warning (default) or critical: what is below does not count"},
	{"all-environments", OPTION_ALL_ENVIRONMENTS, NULL, OPTION_COMPARE,
		"tell where other environments are weaker than production, too"},
	{"before-start", OPTION_AUDIT_START, NULL, OPTION_START, "only whether the server may start: for its unit"},
	{"period", OPTION_WATCH_PERIOD, "SECONDS", OPTION_WATCH,
		"how often to ask whether anything changed (default 1)"},
	{"full-every", OPTION_WATCH_FULL, "SECONDS", OPTION_WATCH,
		"how often to compare all of it in any case (default 300)"},
	{"events", OPTION_WATCH_EVENTS, NULL, OPTION_WATCH, "have the kernel tell of changes, and who made them"},
	{"journal", OPTION_WATCH_JOURNAL, NULL, OPTION_WATCH,
		"write to the journal, too (always where stderr is the journal)"},
	{"own", OPTION_WATCH_OWN, NULL, OPTION_WATCH, "with --heal: let nobody else change the table while it runs"},
	{"for", OPTION_BAN_FOR, "TIME", OPTION_BAN, "how long: 30s, 10m, 1h (default), 7d (the most)"},
	{"all", OPTION_UNBAN_ALL, NULL, OPTION_UNBAN, "whoever is banned"},
	{"metrics", OPTION_METRICS_FILE, "FILE", OPTION_METRICS, "write metrics for Prometheus to this file"},
	{"quiet", 'q', NULL, 0, "no text on success; the exit status tells"},
	{"verbose", 'v', NULL, 0, "more detail, and how long each step took"},
	{"color", OPTION_COLOR, "WHEN", 0, "auto, always or never (default auto: on a terminal)"},
	{"help", 'h', NULL, 0, "this help, or that of a command"},
	{"version", 'V', NULL, 0, "the version"},
};

static void print_options(unsigned int bits)
{
	puts("\nOptions:");
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		char left[40];
		char letter[8] = "    ";

		if (option_table[i].bit && !(option_table[i].bit & bits))
			continue;
		if (option_table[i].value < 256)
			snprintf(letter, sizeof(letter), "-%c, ", (char)option_table[i].value);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, option_table[i].name,
			option_table[i].argument ? " " : "", option_table[i].argument ? option_table[i].argument : "");
		printf("  %-26s %s\n", left, option_table[i].help);
	}
}

static void print_exit_status(void)
{
	puts("\nExit status:\n"
	     "  0  all is as it should be\n"
	     "  1  something differs: a plan with changes, a firewall that is not in force, an\n"
	     "     expectation that is not met, a failed check;\n"
	     "     explain: the connection is refused\n"
	     "  2  trouble: usage, a bad policy, no permission, the kernel refused, a check without\n"
	     "     an answer;\n"
	     "     explain: what becomes of the connection cannot be known");
}

/* What may follow the command's name, as the help shows it. */
static const char *operand(const struct command *command)
{
	return command->options & OPTION_BAN ? " SOURCE" : command->options & OPTION_UNBAN ? " [SOURCE]" : "";
}

static void print_help(const struct command *command)
{
	if (command) {
		printf("usage: dflyguard [OPTIONS] %s%s [OPTIONS]\n\n%s", command->name, operand(command),
			command->help);
		print_options(command->options);
		print_exit_status();
		puts("\nExamples:");
		for (const char *line = command->examples; *line;) {
			size_t length = strcspn(line, "\n");

			printf("  %.*s\n", (int)length, line);
			line += length + (line[length] == '\n');
		}
		return;
	}
	puts("usage: dflyguard [OPTIONS] COMMAND\n\n"
	     "Keeps a Dragonfly server reachable only by those whom the policy names: compiles the\n"
	     "policy to one nftables table, commits it as one transaction, and proves it by reading\n"
	     "the kernel back.\n\n"
	     "Commands:");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	print_options(0);
	print_exit_status();
	puts("\n`dflyguard COMMAND --help` explains a command. The policy's language: dflyguard(8).");
}

struct report_style output_style(const struct options *options)
{
	return (struct report_style){.stream = stdout,
		.color = options->color,
		.verbose = options->verbose,
		.quiet = options->quiet,
		.lines = options->command &&
			 (options->command->run == command_log || options->command->run == command_watch),
		.command = options->command ? options->command->name : NULL};
}

int fail(const struct options *options, const struct err *err, const struct diagnostics *diagnostics)
{
	struct report_style style = output_style(options);

	if (options->renderer == &report_text) {
		style.stream = stderr;
		style.color = options->color_error;
	}
	options->renderer->error(&style, err, diagnostics, options->environment);
	fflush(style.stream);
	return EXIT_TROUBLE;
}

int finish_output(const struct options *options, int status)
{
	struct err err = {0};

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	err_set(&err, errno, ERR_IO, "cannot write the result: %s", strerror(errno));
	fail(&(struct options){.renderer = &report_text, .color_error = options->color_error}, &err, NULL);
	return EXIT_TROUBLE;
}

bool load_policy(const struct options *options, struct policy **ret_policy, const struct environment **ret_environment)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	const struct environment *environment = NULL;
	struct err err = {0};

	if (policy_load(options->policy, &policy, &diagnostics, &err) == 0)
		environment = policy_environment(policy, options->environment, &err);
	if (!environment)
		fail(options, &err, &diagnostics);
	diagnostics_done(&diagnostics);
	if (!environment) {
		policy_free(policy);
		return false;
	}
	*ret_policy = policy;
	*ret_environment = environment;
	return true;
}

static int usage(const struct options *options, const char *hint, const char *format, const char *subject)
{
	struct err err = {0};

	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
	err_set(&err, EINVAL, ERR_USAGE, format, subject);
	_Pragma("GCC diagnostic pop");
	err_hint(&err, "%s", hint);
	return fail(options, &err, NULL);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool parse_color(const char *when, struct options *options)
{
	bool plain = getenv("NO_COLOR") && *getenv("NO_COLOR");

	if (strcmp(when, "auto") == 0) {
		options->color = !plain && isatty(STDOUT_FILENO);
		options->color_error = !plain && isatty(STDERR_FILENO);
	} else if (strcmp(when, "always") == 0) {
		options->color = options->color_error = true;
	} else if (strcmp(when, "never") == 0) {
		options->color = options->color_error = false;
	} else {
		return false;
	}
	return true;
}

void warn_about(struct warnings *warnings, const struct err *err, const char *text)
{
	ARRAY_GROW(warnings->items, warnings->count, warnings->capacity);
	warnings->items[warnings->count++] = !err	    ? mem_string(text)
					     : err->hint[0] ? mem_format("%s: %s (%s)", text, err->message, err->hint)
							    : mem_format("%s: %s", text, err->message);
}

void warnings_show(const struct options *options, const struct warnings *warnings)
{
	if (options->renderer != &report_text)
		return;
	fflush(stdout);
	for (size_t i = 0; i < warnings->count; i++)
		fprintf(stderr, "dflyguard: warning: %s\n", warnings->items[i]);
}

void warnings_done(struct warnings *warnings)
{
	for (size_t i = 0; i < warnings->count; i++)
		free(warnings->items[i]);
	free(warnings->items);
	*warnings = (struct warnings){0};
}

static const char *option_name(int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		if (option_table[i].value == value)
			return option_table[i].name;
	return "?";
}

static int take_count(struct options *options)
{
	char why[INTERVAL_WHY];

	if (number_parse(optarg, 1, 1000000000, &options->count, why) == 0)
		return -1;
	return usage(options, "dflyguard log --count 100", "--count: %s", why);
}

static int take_seconds(struct options *options, const char *name, uint64_t most, uint64_t *ret)
{
	_cleanup_free_ char *hint = mem_format("dflyguard watch --%s 10", name);
	_cleanup_free_ char *format = mem_format("--%s: %%s", name);
	char why[INTERVAL_WHY];

	if (number_parse(optarg, 1, most, ret, why) == 0)
		return -1;
	return usage(options, hint, format, why);
}

static int take_duration(struct options *options)
{
	static const struct {
		char letter;
		unsigned int seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t length = strlen(optarg);
	_cleanup_free_ char *number = mem_stringn(optarg, length ? length - 1 : 0);
	char why[INTERVAL_WHY];
	uint64_t count;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (length && optarg[length - 1] == units[i].letter &&
			number_parse(number, 1, BAN_SECONDS_MOST / units[i].seconds, &count, why) == 0) {
			options->ban_seconds = count * units[i].seconds;
			return -1;
		}
	return usage(options, "--for 30s, --for 10m, --for 1h, or --for 7d, which is the most",
		"--for: '%s' is not a time from 1s to 7d", optarg);
}

static int take_reason(struct options *options)
{
	_cleanup_text_ struct text names = {0};

	options->reason = reason_find(optarg);
	if (options->reason != REASON_NONE)
		return -1;
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		text_printf(&names, "%s%s", i == REASON_NONE + 1 ? "write one of " : ", ", reason_name(i));
	return usage(options, text_string(&names), "there is no reason '%s'", optarg);
}

/* An option may mean different things to different commands: it then has a row for each. */
static bool takes(const struct command *command, int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		if (option_table[i].value == value && (!option_table[i].bit || option_table[i].bit & command->options))
			return true;
	return false;
}

static int take_confirm(struct options *options)
{
	char why[INTERVAL_WHY];
	uint64_t seconds;

	if (number_parse(optarg, 1, CONFIRM_MAXIMUM, &seconds, why) < 0)
		return usage(options, "--confirm SECONDS, from 1 to 86400", "--confirm: %s", why);
	options->confirm = (unsigned int)seconds;
	return -1;
}

/* One option into `options`; -1 to go on, else the exit status. */
static int take_option(int value, struct options *options, bool *help)
{
	switch (value) {
	case OPTION_POLICY:
		options->policy = optarg;
		options->policy_given = true;
		return -1;
	case OPTION_ENVIRONMENT:
		options->environment = optarg;
		return -1;
	case OPTION_FORMAT:
		if (!report_renderer(optarg))
			return usage(options, "--format text, json or sarif", "there is no format '%s'", optarg);
		options->renderer = report_renderer(optarg);
		return -1;
	case OPTION_COLOR:
		if (!parse_color(optarg, options))
			return usage(options, "--color auto, always or never", "--color does not know '%s'", optarg);
		return -1;
	case OPTION_DRY:
		options->dry_run = true;
		return -1;
	case OPTION_AT_BOOT:
		options->boot = true;
		return -1;
	case OPTION_ON_FAILURE:
		options->failure_given = true;
		options->failure_open = strcmp(optarg, "open") == 0;
		if (!options->failure_open && strcmp(optarg, "close") != 0)
			return usage(options, "--on-failure=close, or --on-failure=open",
				"--on-failure does not know '%s'", optarg);
		return -1;
	case OPTION_FULL_LOOK:
		options->full = true;
		return -1;
	case OPTION_CONFIRM_WITHIN:
		return take_confirm(options);
	case OPTION_TO:
		options->to = optarg;
		return -1;
	case OPTION_FROM:
		options->from = optarg;
		return -1;
	case OPTION_PORT:
		options->port = optarg;
		return -1;
	case OPTION_TLS:
		options->tls = true;
		return -1;
	case OPTION_PLAINTEXT:
		options->plaintext = true;
		return -1;
	case OPTION_ESTABLISHED:
		options->established = true;
		return -1;
	case OPTION_DNAT:
		options->dnat = optarg;
		return -1;
	case OPTION_VIA:
		options->via = optarg;
		return -1;
	case OPTION_LOCAL:
		options->local = true;
		return -1;
	case OPTION_LIVE:
		options->live = true;
		return -1;
	case OPTION_LOG_FOLLOW:
		options->follow = true;
		return -1;
	case OPTION_LOG_COUNT:
		return take_count(options);
	case OPTION_LOG_REASON:
		return take_reason(options);
	case OPTION_ALL_ENVIRONMENTS:
		options->all_environments = true;
		return -1;
	case OPTION_AUDIT_HEAL:
		options->heal = true;
		return -1;
	case OPTION_AUDIT_FAIL:
		if (!severity_parse(optarg, &options->fail_on))
			return usage(
				options, "--fail-on info, warning or critical", "there is no severity '%s'", optarg);
		return -1;
	case OPTION_BAN_FOR:
		return take_duration(options);
	case OPTION_UNBAN_ALL:
		options->all = true;
		return -1;
	case OPTION_AUDIT_START:
		options->before_start = true;
		return -1;
	case OPTION_METRICS_FILE:
		options->metrics = optarg;
		return -1;
	case OPTION_WATCH_PERIOD:
		return take_seconds(options, "period", 3600, &options->period);
	case OPTION_WATCH_FULL:
		return take_seconds(options, "full-every", 86400, &options->full_every);
	case OPTION_WATCH_EVENTS:
		options->events = true;
		return -1;
	case OPTION_WATCH_JOURNAL:
		options->journal = true;
		return -1;
	case OPTION_WATCH_OWN:
		options->own = true;
		return -1;
	case 'q':
		options->quiet = true;
		return -1;
	case 'v':
		options->verbose = true;
		return -1;
	case 'h':
		*help = true;
		return -1;
	case 'V':
		puts("dflyguard " DFLYGUARD_VERSION);
		return finish_output(options, EXIT_CONFORMING);
	default:
		return EXIT_TROUBLE;
	}
}

/* What getopt_long() could not take: `last` is the argument before the next one, which a letter in a cluster such as
 * -vx is not. */
static int unknown_option(const struct options *options, const char *last)
{
	const char letter[] = {'-', (char)optopt, '\0'};

	if (optopt == 0)
		return usage(options, "dflyguard --help lists all", "unknown option '%s'", last);
	if (strcmp(option_name(optopt), "?") != 0)
		return usage(
			options, "dflyguard --help lists all", "option '--%s' takes no value", option_name(optopt));
	return usage(options, "dflyguard --help lists all", "unknown option '%s'", letter);
}

static int parse(int argc, char **argv, struct options *options)
{
	struct option long_options[ARRAY_SIZE(option_table) + 1] = {0};
	bool given[ARRAY_SIZE(option_table)] = {0};
	bool help = false;
	int value;

	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		long_options[i] = (struct option){.name = option_table[i].name,
			.has_arg = option_table[i].argument ? required_argument : no_argument,
			.val = option_table[i].value};
	/* Scripts that ask for JSON or SARIF get their errors in it, wherever the option stands. */
	for (int i = 1; i < argc; i++) {
		const char *format = strncmp(argv[i], "--format=", 9) == 0	       ? argv[i] + 9
				     : strcmp(argv[i], "--format") == 0 && argv[i + 1] ? argv[i + 1]
										       : "";

		if (report_renderer(format))
			options->renderer = report_renderer(format);
	}
	opterr = 0;
	while ((value = getopt_long(argc, argv, ":qvhV", long_options, NULL)) != -1) {
		int status;

		if (value == '?')
			return unknown_option(options, argv[optind - 1]);
		if (value == ':')
			return usage(
				options, "dflyguard --help lists all", "option '%s' needs a value", argv[optind - 1]);
		for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
			given[i] |= option_table[i].value == value;
		status = take_option(value, options, &help);
		if (status >= 0)
			return status;
	}
	if (optind < argc) {
		options->command = find_command(argv[optind]);
		if (!options->command)
			return usage(options, "dflyguard --help lists all", "there is no command '%s'", argv[optind]);
	}
	if (help) {
		print_help(options->command);
		return finish_output(options, EXIT_CONFORMING);
	}
	if (!options->command)
		return usage(options, "dflyguard --help lists the commands, dflyguard plan is a good first one", "%s",
			"no command was given");
	if (*operand(options->command) && optind + 1 < argc)
		options->operand = argv[++optind];
	if (optind + 1 < argc)
		return usage(options, "each call runs one command", "unexpected argument '%s'", argv[optind + 1]);
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		if (given[i] && !takes(options->command, option_table[i].value))
			return usage(options, "`dflyguard COMMAND --help` lists what a command takes",
				"this command does not take --%s", option_table[i].name);
	if (options->renderer == &report_sarif && options->command->run != command_audit) {
		options->renderer = &report_text;
		return usage(options, "--format text, or --format json",
			"%s has no --format sarif: findings are what it "
			"holds, and only audit has them",
			options->command->name);
	}
	if (options->failure_given && !options->boot)
		return usage(options, "dflyguard apply --boot --on-failure=open", "%s",
			"--on-failure is for apply --boot: without it a bad policy changes nothing");
	if (options->confirm && options->dry_run)
		return usage(
			options, "leave out one of them", "%s", "--dry-run changes nothing that could be confirmed");
	if (options->confirm && options->boot)
		return usage(
			options, "leave out one of them", "%s", "nobody confirms at boot: --boot takes no --confirm");
	return -1;
}

/* Where a standard stream was closed by the caller, the next file that is opened would get its number: the result
 * would be written into a netlink socket. What stands there now refuses to be written. */
static void reserve_streams(void)
{
	int descriptor;

	do
		descriptor = open("/dev/null", O_RDONLY);
	while (descriptor >= 0 && descriptor <= STDERR_FILENO);
	if (descriptor >= 0)
		close(descriptor);
}

int main(int argc, char **argv)
{
	struct options options = {.policy = POLICY_DEFAULT_PATH,
		.renderer = &report_text,
		.fail_on = SEVERITY_WARNING,
		.period = 1,
		.full_every = 300,
		.ban_seconds = BAN_SECONDS};
	const char *environment = getenv("DFLYGUARD_ENVIRONMENT");
	int status;

	reserve_streams();
	if (argc >= 3 && argc <= 4 && strcmp(argv[1], "undo") == 0)
		return command_undo(argv[2], argc == 4);
	/* Large buffers (a policy's text, a transaction) go back to the system when they are freed. Left to itself,
	 * malloc would keep later ones in its heap, move them by copying, and hold both: a quarter more at the peak. */
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	/* A reader that goes away is an error of writing, not a reason to die between two states. */
	signal(SIGPIPE, SIG_IGN);
	parse_color("auto", &options);
	if (environment && *environment)
		options.environment = environment;
	status = parse(argc, argv, &options);
	return status >= 0 ? status : options.command->run(&options);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "bench.h"

/* Programming the kernel: whole processes, dflyguard beside nft. */

#define POLICY	WORK_FILE("policy.conf")
#define CHANGED WORK_FILE("changed.conf")
#define ADDED	WORK_FILE("added.conf")
#define EXPORT	WORK_FILE("export.nft")
#define SAME	WORK_FILE("same.nft")
#define PLAIN	WORK_FILE("plain.nft")
#define NOTHING SIZE_MAX /* no measurement: the command only prepares or cleans up */

enum figure {
	APPLY_COLD,
	NFT_COLD,
	NFT_COLD_PLAIN,
	PLAN_EMPTY,
	NFT_CHECK,
	REMOVE,
	NFT_DELETE,
	APPLY_NOOP,
	PLAN_NOOP,
	STATUS,
	NFT_LIST,
	NFT_LIST_PLAIN,
	APPLY_CHANGE,
	APPLY_ADD,
	NFT_ADD,
	NFT_ADD_PLAIN,
	START_TRUE,
	START_GUARD,
	START_NFT,
	FIGURES,
};

static const char *const figure_names[FIGURES] = {
	[APPLY_COLD] = "dflyguard apply, cold",
	[NFT_COLD] = "nft -f, same ruleset, cold",
	[NFT_COLD_PLAIN] = "nft -f, two plain sets, cold",
	[PLAN_EMPTY] = "dflyguard plan, empty kernel",
	[NFT_CHECK] = "nft -c -f, same ruleset",
	[REMOVE] = "dflyguard remove",
	[NFT_DELETE] = "nft delete table, same ruleset",
	[APPLY_NOOP] = "dflyguard apply, nothing to do",
	[PLAN_NOOP] = "dflyguard plan, nothing to do",
	[STATUS] = "dflyguard status",
	[NFT_LIST] = "nft list table, same ruleset",
	[NFT_LIST_PLAIN] = "nft list table, two plain sets",
	[APPLY_CHANGE] = "dflyguard apply, one source changed",
	[APPLY_ADD] = "dflyguard apply, one source added",
	[NFT_ADD] = "nft add element, same ruleset",
	[NFT_ADD_PLAIN] = "nft add element, two plain sets",
	[START_TRUE] = "true (a process that does nothing)",
	[START_GUARD] = "dflyguard --version",
	[START_NFT] = "nft --version",
};

struct target {
	size_t networks;
	double time, memory;
};

/* DESIGN.md section 8. */
static const struct target cold_targets[] = {
	{10, 0.6, 0.5}, {1000, 0.55, 0.5}, {10000, 0.43, 0.3}, {100000, 0.32, 0.15}, {0}};
static const struct target noop_targets[] = {{1000, 0.5, 0}, {10000, 0.2, 0}, {0}};
static const struct target change_targets[] = {{10000, 0.45, 0}, {0}};
static const struct target no_targets[] = {{0}};

static const struct {
	const char *title;
	enum figure subject, against;
	const struct target *targets;
} pairs[] = {
	{"apply on an empty kernel / nft -f of the same ruleset", APPLY_COLD, NFT_COLD, cold_targets},
	{"apply on an empty kernel / nft -f of two plain sets", APPLY_COLD, NFT_COLD_PLAIN, no_targets},
	{"apply, nothing to do / nft list table", APPLY_NOOP, NFT_LIST, noop_targets},
	{"apply, nothing to do / nft list table of two plain sets", APPLY_NOOP, NFT_LIST_PLAIN, no_targets},
	{"plan, nothing to do / nft list table", PLAN_NOOP, NFT_LIST, noop_targets},
	{"plan on an empty kernel / nft -c -f of the same ruleset", PLAN_EMPTY, NFT_CHECK, no_targets},
	{"apply, one source changed / nft add element", APPLY_CHANGE, NFT_ADD, change_targets},
	{"apply, one source changed / nft add element, two plain sets", APPLY_CHANGE, NFT_ADD_PLAIN, no_targets},
	{"apply, one source added / nft add element", APPLY_ADD, NFT_ADD, no_targets},
	{"status / nft list table", STATUS, NFT_LIST, no_targets},
	{"remove / nft delete table", REMOVE, NFT_DELETE, no_targets},
};

struct command {
	enum space space;
	size_t measurement;
	int expected;	       /* exit status; a status() of what is in force may also find drift elsewhere */
	struct command *after; /* run in the same round, to restore what this one changed */
	const char *argv[12];
	bool broken;
};

/* All of one size. */
struct stage {
	const struct options *options;
	const struct tools *tools;
	struct results *results;
	struct sources sources;
	size_t networks;
	size_t first; /* index of figure 0 in results.measurements */
	unsigned int rounds;
	uint64_t random;
};

static bool take(struct stage *stage, struct command *command, struct measurement *parent)
{
	struct reading reading = run(command->space, CPU_ANY, command->argv, NULL);
	struct measurement *measurement = parent;

	if (command->measurement != NOTHING)
		measurement = &stage->results->measurements[command->measurement];
	if (reading.status != command->expected) {
		_cleanup_free_ char *complaint = run_complaint(&reading);

		command->broken = true;
		if (measurement && !measurement->failure)
			measurement->failure = command->measurement != NOTHING
						       ? mem_string(complaint)
						       : mem_format("cleaning up after it: %s", complaint);
		return false;
	}
	if (command->measurement != NOTHING) {
		series_add(&measurement->seconds, reading.seconds);
		series_add(&measurement->user, reading.user);
		series_add(&measurement->system, reading.system);
		series_add(&measurement->peak, reading.peak);
	}
	if (command->after && !take(stage, command->after, measurement))
		command->broken = true;
	return !command->broken;
}

/* Each command once per round, in an order that changes. */
static void take_rounds(struct stage *stage, const char *what, struct command *commands, size_t count)
{
	double begin = now(), budget = stage->options->quick ? BUDGET_QUICK : BUDGET;
	size_t order[16];
	char number[32];

	for (unsigned int round = 0; round < stage->rounds; round++) {
		if (!stage->options->rounds && round >= ROUNDS_LEAST && now() - begin > budget)
			break;
		random_order(&stage->random, order, count);
		for (size_t i = 0; i < count; i++) {
			progress("%s networks, %s: round %u of %u", format_count(number, stage->networks), what,
				round + 1, stage->rounds);
			if (!commands[order[i]].broken)
				take(stage, &commands[order[i]], NULL);
		}
	}
}

/* Runs a command that later figures depend on. If it fails, they get its complaint instead of values. */
static bool prepare(struct stage *stage, enum space space, const char *const argv[], const char *output,
	const enum figure *figures, size_t count)
{
	struct reading reading = run(space, CPU_ANY, argv, output);

	if (reading.status == 0)
		return true;
	for (size_t i = 0; i < count; i++) {
		struct measurement *measurement = &stage->results->measurements[stage->first + figures[i]];

		if (!measurement->failure) {
			_cleanup_free_ char *complaint = run_complaint(&reading);

			measurement->failure = mem_format("cannot be prepared: %s", complaint);
		}
	}
	return false;
}

#define FIGURE_LIST(...)                                                                                               \
	(const enum figure[]){__VA_ARGS__}, sizeof((const enum figure[]){__VA_ARGS__}) / sizeof(enum figure)

static void take_cold(struct stage *stage, bool first_size)
{
	const struct tools *tools = stage->tools;
	size_t first = stage->first;
	struct command remove = {
		SPACE_GUARD, first + REMOVE, 0, NULL, {tools->dflyguard, "--policy", POLICY, "remove"}, false};
	struct command delete = {
		SPACE_EXPORT, first + NFT_DELETE, 0, NULL, {tools->nft, "delete", "table", "inet", TABLE}, false};
	struct command delete_plain = {
		SPACE_PLAIN, NOTHING, 0, NULL, {tools->nft, "delete", "table", "inet", TABLE}, false};
	struct command commands[] = {
		{SPACE_GUARD, first + APPLY_COLD, 0, &remove, {tools->dflyguard, "--policy", POLICY, "apply"}, false},
		{SPACE_EXPORT, first + NFT_COLD, 0, &delete, {tools->nft, "-f", SAME}, false},
		{SPACE_PLAIN, first + NFT_COLD_PLAIN, 0, &delete_plain, {tools->nft, "-f", PLAIN}, false},
		{SPACE_EMPTY, first + PLAN_EMPTY, 1, NULL, {tools->dflyguard, "--policy", POLICY, "plan"}, false},
		{SPACE_EMPTY, first + NFT_CHECK, 0, NULL, {tools->nft, "-c", "-f", SAME}, false},
		{SPACE_EMPTY, first + START_TRUE, 0, NULL, {tools->true_program}, false},
		{SPACE_EMPTY, first + START_GUARD, 0, NULL, {tools->dflyguard, "--version"}, false},
		{SPACE_EMPTY, first + START_NFT, 0, NULL, {tools->nft, "--version"}, false},
	};

	/* Starting a program does not depend on the size: once is enough. */
	take_rounds(stage, "cold", commands, ARRAY_SIZE(commands) - (first_size ? 0 : 3));
}

/* When the table was put in force is told in a comment, and differs rightly. */
static void hide_time(char *text)
{
	static const char mark[] = "in force since ";

	for (char *at = text; (at = strstr(at, mark));) {
		at += strlen(mark);
		memset(at, '-', strcspn(at, "\"\n"));
	}
}

/* What nft shows of dflyguard's table, beside the table that nft made of the export: they should be one and the same.
 */
static void compare_listings(struct stage *stage)
{
	const char *const list[] = {stage->tools->nft, "list", "table", "inet", TABLE, NULL};
	_cleanup_free_ char *guard = NULL, *same = NULL;
	char number[32];

	run_or_fail(SPACE_GUARD, list, WORK_FILE("listing"));
	guard = read_file(WORK_FILE("listing"));
	run_or_fail(SPACE_EXPORT, list, WORK_FILE("listing"));
	same = read_file(WORK_FILE("listing"));
	if (!guard || !same)
		fail("%s: %s", WORK_FILE("listing"), strerror(errno));
	hide_time(guard);
	hide_time(same);
	if (strcmp(guard, same) != 0)
		note(stage->results,
			"%s networks: nft lists dflyguard's table and the exported one differently: not the same work",
			format_count(number, stage->networks));
}

static void take_in_force(struct stage *stage, unsigned int parts)
{
	const struct tools *tools = stage->tools;
	size_t first = stage->first, count = 0;
	struct command commands[5];
	uint32_t generation = sandbox_generation(SPACE_GUARD), after;
	char number[32];

	if (parts & PART_NOOP) {
		commands[count++] = (struct command){SPACE_GUARD, first + APPLY_NOOP, 0, NULL,
			{tools->dflyguard, "--policy", POLICY, "apply"}, false};
		commands[count++] = (struct command){
			SPACE_GUARD, first + PLAN_NOOP, 0, NULL, {tools->dflyguard, "--policy", POLICY, "plan"}, false};
		commands[count++] = (struct command){SPACE_PLAIN, first + NFT_LIST_PLAIN, 0, NULL,
			{tools->nft, "list", "table", "inet", TABLE}, false};
	}
	if (parts & PART_LIST)
		commands[count++] = (struct command){
			SPACE_GUARD, first + STATUS, 0, NULL, {tools->dflyguard, "--policy", POLICY, "status"}, false};
	commands[count++] = (struct command){
		SPACE_EXPORT, first + NFT_LIST, 0, NULL, {tools->nft, "list", "table", "inet", TABLE}, false};
	take_rounds(stage, "in force", commands, count);

	after = sandbox_generation(SPACE_GUARD);
	if (after != generation)
		note(stage->results, "%s networks: something was committed %u times although there was nothing to do",
			format_count(number, stage->networks), after - generation);
}

static void take_change(struct stage *stage)
{
	const struct tools *tools = stage->tools;
	size_t first = stage->first;
	_cleanup_free_ char *set = find_set(SAME, &stage->sources);
	char element[64], number[32];
	const struct measurement *figures = &stage->results->measurements[first];
	uint32_t generation = sandbox_generation(SPACE_GUARD), commits;
	size_t wanted;
	/* There and back: both ways change one source. */
	struct command back = {
		SPACE_GUARD, first + APPLY_CHANGE, 0, NULL, {tools->dflyguard, "--policy", POLICY, "apply"}, false};
	struct command back_from_added = {
		SPACE_GUARD, NOTHING, 0, NULL, {tools->dflyguard, "--policy", POLICY, "apply"}, false};
	struct command take_out = {SPACE_EXPORT, NOTHING, 0, NULL,
		{tools->nft, "delete", "element", "inet", TABLE, set, "{", element, "}"}, false};
	struct command take_out_plain = {SPACE_PLAIN, NOTHING, 0, NULL,
		{tools->nft, "delete", "element", "inet", TABLE, "clients4", "{", element, "}"}, false};
	struct command commands[] = {
		{SPACE_GUARD, first + APPLY_CHANGE, 0, &back, {tools->dflyguard, "--policy", CHANGED, "apply"}, false},
		{SPACE_GUARD, first + APPLY_ADD, 0, &back_from_added, {tools->dflyguard, "--policy", ADDED, "apply"},
			false},
		{SPACE_PLAIN, first + NFT_ADD_PLAIN, 0, &take_out_plain,
			{tools->nft, "add", "element", "inet", TABLE, "clients4", "{", element, "}"}, false},
		{SPACE_EXPORT, first + NFT_ADD, 0, &take_out,
			{tools->nft, "add", "element", "inet", TABLE, set, "{", element, "}"}, false},
	};

	source_text(element, &stage->sources.items[stage->sources.count]);
	if (!set)
		stage->results->measurements[first + NFT_ADD].failure =
			mem_string("the exported ruleset has no set that holds the source to be changed");
	take_rounds(stage, "one source changed", commands, ARRAY_SIZE(commands) - (set ? 0 : 1));

	commits = sandbox_generation(SPACE_GUARD) - generation;
	wanted = figures[APPLY_CHANGE].seconds.count + 2 * figures[APPLY_ADD].seconds.count;
	if (!commands[0].broken && !commands[1].broken && commits != wanted)
		note(stage->results, "%s networks: %zu changes took %u commits", format_count(number, stage->networks),
			wanted, commits);
}

static struct breakdown *breakdown_of(struct stage *stage, enum figure figure)
{
	struct results *results = stage->results;

	for (size_t i = 0; i < results->breakdown_count; i++) {
		if (results->breakdowns[i].name == figure_names[figure])
			return &results->breakdowns[i];
	}
	ARRAY_GROW(results->breakdowns, results->breakdown_count, results->breakdown_capacity);
	results->breakdowns[results->breakdown_count] =
		(struct breakdown){.name = figure_names[figure], .networks = stage->networks};
	return &results->breakdowns[results->breakdown_count++];
}

/* What dflyguard --verbose tells of its steps: lines like "  12.3 ms  reading the policy". */
static void take_steps(struct stage *stage, enum figure figure, const char *policy)
{
	const char *const argv[] = {stage->tools->dflyguard, "--verbose", "--policy", policy, "apply", NULL};
	struct reading reading = run(SPACE_GUARD, CPU_ANY, argv, NULL);
	_cleanup_free_ char *text = read_file(ERROR_FILE);
	struct text steps = {0};
	char *rest = NULL;

	if (reading.status != 0 || !text)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int length = 0;
		double milliseconds;

		if (sscanf(line, " %lf ms %n", &milliseconds, &length) == 1 && length > 0 && milliseconds > 0)
			text_printf(&steps, "%s%s %.1f ms", steps.length ? ", " : "", line + length, milliseconds);
	}
	if (steps.length)
		breakdown_of(stage, figure)->steps = text_take(&steps);
}

/* The system calls that took most of the time, by wall clock. strace slows each of them down: shares, not figures. */
static void take_calls(struct stage *stage, enum space space, enum figure figure, const char *const command[])
{
	const char *argv[16] = {stage->tools->strace, "-f", "-w", "-c", "-o", WORK_FILE("strace")};
	_cleanup_free_ char *text = NULL;
	struct text calls = {0};
	char *line, *rest = NULL;
	int shown = 0;

	for (size_t i = 0; command[i]; i++)
		argv[6 + i] = command[i];
	if (run(space, CPU_ANY, argv, NULL).status < 0)
		return;
	text = read_file(WORK_FILE("strace"));
	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line && shown < 4; line = strtok_r(NULL, "\n", &rest)) {
		const char *name = strrchr(line, ' ');
		unsigned long each, count;
		double share, seconds;

		/* Columns: % time, seconds, usecs/call, calls, errors or nothing, name. */
		if (!name || sscanf(line, " %lf %lf %lu %lu", &share, &seconds, &each, &count) != 4)
			continue;
		if (!strcmp(name, " total"))
			break;
		text_printf(&calls, "%s%s %.1f ms (%lu)", shown ? ", " : "", name + 1, seconds * 1e3, count);
		shown++;
	}
	if (shown)
		breakdown_of(stage, figure)->calls = text_take(&calls);
}

static void take_breakdowns(struct stage *stage)
{
	const struct tools *tools = stage->tools;
	const char *const apply[] = {tools->dflyguard, "--policy", POLICY, "apply", NULL};
	const char *const change[] = {tools->dflyguard, "--policy", CHANGED, "apply", NULL};
	const char *const load[] = {tools->nft, "-f", SAME, NULL};
	const char *const list[] = {tools->nft, "list", "table", "inet", TABLE, NULL};
	const char *const delete[] = {tools->nft, "delete", "table", "inet", TABLE, NULL};

	progress("where the time goes");
	take_steps(stage, APPLY_COLD, POLICY);
	take_steps(stage, APPLY_NOOP, POLICY);
	take_steps(stage, APPLY_CHANGE, CHANGED);
	run(SPACE_GUARD, CPU_ANY, delete, NULL);
	if (!tools->strace)
		return;
	take_calls(stage, SPACE_GUARD, APPLY_COLD, apply);
	take_calls(stage, SPACE_GUARD, APPLY_NOOP, apply);
	take_calls(stage, SPACE_GUARD, APPLY_CHANGE, change);
	take_calls(stage, SPACE_EXPORT, NFT_COLD, load);
	take_calls(stage, SPACE_EXPORT, NFT_LIST, list);
	run(SPACE_GUARD, CPU_ANY, delete, NULL);
	run(SPACE_EXPORT, CPU_ANY, delete, NULL);
}

static void add_comparisons(struct stage *stage)
{
	struct results *results = stage->results;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct comparison comparison = {.title = pairs[i].title,
			.subject = stage->first + pairs[i].subject,
			.against = stage->first + pairs[i].against};

		for (const struct target *target = pairs[i].targets; target->networks; target++) {
			if (target->networks == stage->networks) {
				comparison.time_target = target->time;
				comparison.memory_target = target->memory;
			}
		}
		ARRAY_GROW(results->comparisons, results->comparison_count, results->comparison_capacity);
		results->comparisons[results->comparison_count++] = comparison;
	}
}

static unsigned int rounds_for(const struct options *options, size_t networks)
{
	if (options->rounds)
		return options->rounds;
	if (networks <= 1000)
		return options->quick ? 9 : 31;
	if (networks <= 10000)
		return options->quick ? 3 : 11;
	return options->quick ? 1 : 5;
}

static void bench_size(struct stage *stage, bool first_size, bool last_size)
{
	static const enum figure guard_figures[] = {APPLY_COLD, PLAN_EMPTY, REMOVE, APPLY_NOOP, PLAN_NOOP, STATUS,
		APPLY_CHANGE, APPLY_ADD, NFT_COLD, NFT_CHECK, NFT_DELETE, NFT_LIST, NFT_ADD};
	const struct tools *tools = stage->tools;
	unsigned int parts = stage->options->parts;
	const char *const export[] = {tools->dflyguard, "--policy", POLICY, "export", "--to", "nft", NULL};
	const char *const apply[] = {tools->dflyguard, "--policy", POLICY, "apply", NULL};
	const char *const load[] = {tools->nft, "-f", SAME, NULL};
	const char *const load_plain[] = {tools->nft, "-f", PLAIN, NULL};
	const char *const delete[] = {tools->nft, "delete", "table", "inet", TABLE, NULL};
	bool ready, ready_same, ready_plain;
	char number[32];

	progress("%s networks: files", format_count(number, stage->networks));
	write_policy(POLICY, &stage->sources, POLICY_TLS, CHANGE_NONE);
	write_policy(CHANGED, &stage->sources, POLICY_TLS, CHANGE_REPLACE);
	write_policy(ADDED, &stage->sources, POLICY_TLS, CHANGE_ADD);
	write_plain_ruleset(PLAIN, &stage->sources);
	if (!prepare(stage, SPACE_EMPTY, export, EXPORT, guard_figures, ARRAY_SIZE(guard_figures)))
		return;
	write_cold_ruleset(SAME, EXPORT);

	if (parts & PART_APPLY)
		take_cold(stage, first_size);
	if (!(parts & (PART_NOOP | PART_LIST | PART_CHANGE)))
		return;

	progress("%s networks: putting it in force", format_count(number, stage->networks));
	ready = prepare(
		stage, SPACE_GUARD, apply, NULL, FIGURE_LIST(APPLY_NOOP, PLAN_NOOP, STATUS, APPLY_CHANGE, APPLY_ADD));
	ready_same = prepare(stage, SPACE_EXPORT, load, NULL, FIGURE_LIST(NFT_LIST, NFT_ADD));
	ready_plain = prepare(stage, SPACE_PLAIN, load_plain, NULL, FIGURE_LIST(NFT_LIST_PLAIN, NFT_ADD_PLAIN));
	if (ready && ready_same && ready_plain) {
		if (stage->networks <= 10000)
			compare_listings(stage);
		if (parts & (PART_NOOP | PART_LIST))
			take_in_force(stage, parts);
		if (parts & PART_CHANGE)
			take_change(stage);
	}
	if (ready)
		run(SPACE_GUARD, CPU_ANY, delete, NULL);
	if (ready_same)
		run(SPACE_EXPORT, CPU_ANY, delete, NULL);
	if (ready_plain)
		run(SPACE_PLAIN, CPU_ANY, delete, NULL);
	if (ready && ready_same && ready_plain && last_size)
		take_breakdowns(stage);
}

void bench_kernel(const struct options *options, const struct tools *tools, struct results *results)
{
	for (size_t i = 0; i < options->size_count; i++) {
		struct stage stage = {.options = options,
			.tools = tools,
			.results = results,
			.sources = sources_make(options->sizes[i]),
			.networks = options->sizes[i],
			.first = results->measurement_count,
			.rounds = rounds_for(options, options->sizes[i]),
			.random = SEED};

		for (size_t figure = 0; figure < FIGURES; figure++) {
			ARRAY_GROW(results->measurements, results->measurement_count, results->measurement_capacity);
			results->measurements[results->measurement_count++] =
				(struct measurement){.name = figure_names[figure], .networks = stage.networks};
		}
		bench_size(&stage, i == 0, i + 1 == options->size_count);
		add_comparisons(&stage);
		sources_done(&stage.sources);
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* How long a mutation goes unnoticed: from the start of the nft that commits it to the line that watch prints,
 * and not sooner than that nft has ended: what is told before is counted as told then. */

#define WATCH_POLICY WORK_FILE("watch.conf")
#define PATIENCE     15.0 /* seconds for a line */

static const struct watch_case {
	const char *name;
	const char *options[3];
	bool heals;
} cases[] = {
	{"watch, asks every second", {NULL}, false},
	{"watch --heal, asks every second", {"--heal"}, true},
	{"watch --events", {"--events"}, false},
	{"watch --events --heal", {"--events", "--heal"}, true},
};

static const size_t sizes[] = {10, 10000};

struct watcher {
	pid_t process;
	int output;
	char text[65536];
	size_t length;
};

static void watcher_start(const struct tools *tools, const struct watch_case *watch_case, struct watcher *watcher)
{
	const char *argv[10] = {tools->dflyguard, "--policy", WATCH_POLICY, "watch"};
	int ends[2];

	for (size_t i = 0; i < ARRAY_SIZE(watch_case->options) && watch_case->options[i]; i++)
		argv[4 + i] = watch_case->options[i];
	sandbox_join(SPACE_GUARD);
	if (pipe2(ends, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	watcher->length = 0;
	watcher->process = fork();
	if (watcher->process < 0)
		fail("fork: %s", strerror(errno));
	if (watcher->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(ends[1]);
	watcher->output = ends[0];
}

static void watcher_stop(struct watcher *watcher)
{
	kill(watcher->process, SIGTERM);
	waitpid(watcher->process, NULL, 0);
	close(watcher->output);
}

/* When a line of this event had come; NAN if it did not. */
static double watcher_tells(struct watcher *watcher, const char *event)
{
	double deadline = now() + PATIENCE;

	for (;;) {
		struct pollfd waiting = {.fd = watcher->output, .events = POLLIN};
		ssize_t got;

		watcher->text[watcher->length] = '\0';
		if (strstr(watcher->text, event))
			return now();
		if (now() > deadline || watcher->length + 1 >= sizeof(watcher->text))
			return NAN;
		if (poll(&waiting, 1, 100) <= 0)
			continue;
		got = read(
			watcher->output, watcher->text + watcher->length, sizeof(watcher->text) - 1 - watcher->length);
		if (got <= 0)
			return NAN;
		watcher->length += (size_t)got;
	}
}

static void wait_for(double seconds)
{
	poll(NULL, 0, (int)(seconds * 1e3));
}

static void set_failure(struct watch_result *result, const char *text)
{
	if (!result->failure)
		result->failure = mem_string(text);
}

static void take_case(
	const struct tools *tools, const struct watch_case *watch_case, uint64_t *random, struct watch_result *result)
{
	const char *const mutate[] = {tools->nft, "insert", "rule", "inet", TABLE, "judge", "accept", NULL};
	const char *const apply[] = {tools->dflyguard, "--policy", WATCH_POLICY, "apply", NULL};
	static struct watcher watcher;
	struct reading reading;
	double begin, told, healed = 0;

	run_or_fail(SPACE_GUARD, apply, NULL);
	watcher_start(tools, watch_case, &watcher);
	if (!(watcher_tells(&watcher, "  start  ") > 0)) {
		set_failure(result, "it does not start");
		watcher_stop(&watcher);
		return;
	}
	/* At any moment of its second, and not right after its first look. */
	wait_for(0.5 + (double)(random_next(random) % 1000) / 1e3);
	begin = now();
	reading = run(SPACE_GUARD, CPU_ANY, mutate, NULL);
	told = watcher_tells(&watcher, "  drift  ");
	if (watch_case->heals)
		healed = watcher_tells(&watcher, "  healed  ");
	watcher_stop(&watcher);
	if (reading.status != 0 || !(told > 0) || (watch_case->heals && !(healed > 0))) {
		set_failure(result, reading.status != 0 ? "nft failed" : "it told nothing");
		return;
	}
	series_add(&result->mutation, reading.seconds);
	series_add(&result->told, told - begin);
	if (watch_case->heals)
		series_add(&result->healed, healed - begin);
}

void bench_watch(const struct options *options, const struct tools *tools, struct results *results)
{
	const char *const delete[] = {tools->nft, "delete", "table", "inet", TABLE, NULL};
	unsigned int rounds = options->rounds ? options->rounds : options->quick ? 3 : 11;
	uint64_t random = SEED;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct sources sources = sources_make(sizes[s]);
		size_t first = results->watch_count, order[ARRAY_SIZE(cases)];

		write_policy(WATCH_POLICY, &sources, POLICY_TLS, CHANGE_NONE);
		sources_done(&sources);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			ARRAY_GROW(results->watches, results->watch_count, results->watch_capacity);
			results->watches[results->watch_count++] =
				(struct watch_result){.name = cases[i].name, .networks = sizes[s]};
		}
		for (unsigned int round = 0; round < rounds; round++) {
			random_order(&random, order, ARRAY_SIZE(cases));
			for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
				progress("watch, %zu networks: round %u of %u", sizes[s], round + 1, rounds);
				take_case(tools, &cases[order[i]], &random, &results->watches[first + order[i]]);
			}
		}
		run(SPACE_GUARD, CPU_ANY, delete, NULL);
	}
}

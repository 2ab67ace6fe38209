/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A policy that is in force for a time: who undoes it, and how, when nobody confirms. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "cmd.h"

#define SECOND UINT64_C(1000000000)
/* How long the undoing is tried, should the kernel or somebody else be in the way. */
#define UNDO_TRIES 120
#define UNDO_PAUSE 5 /* seconds */
/* How long who arms waits for the answer. */
#define ARM_MILLISECONDS 10000

/* --- arming --- */

static bool new_token(char token[33])
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

/* The service manager outlives every login, and what a login started may die with it (KillUserProcesses=). */
static bool arm_systemd(const struct state *state, const struct kept_policy *pending)
{
	char program[4096];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	uint64_t now = state_clock();
	uint64_t seconds = pending->deadline > now ? (pending->deadline - now) / SECOND : 0;
	int status;

	/* It starts services in the host's namespace only. */
	if (!state->space.first || access("/run/systemd/system", F_OK) < 0 || length <= 0)
		return false;
	program[length] = '\0';
	if (access(program, X_OK) < 0)
		return false;
	_cleanup_free_ char *unit = mem_format("--unit=dflyguard-undo-%s", pending->token);
	_cleanup_free_ char *when = mem_format("--on-active=%" PRIu64 "s", seconds);
	_cleanup_free_ char *directory = mem_format("--setenv=STATE_DIRECTORY=%s", state->directory);
	_cleanup_free_ char *run = mem_format("--setenv=RUNTIME_DIRECTORY=%s", state->run);
	const char *const arguments[] = {"systemd-run", "--quiet", "--collect", "--system", unit, when,
		"--timer-property=AccuracySec=100ms", "--description=Undo a dflyguard policy that nobody confirms",
		directory, run, program, "undo", pending->token, NULL};
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null >= 0) {
			dup2(null, STDIN_FILENO);
			dup2(null, STDOUT_FILENO);
			dup2(null, STDERR_FILENO);
		}
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A process of no session of ours, which hears no hang-up and holds none of our files. It says when it watches. */
static void become_watcher(const char *token, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	if (setsid() < 0 || null < 0)
		_exit(1);
	/* Once more: who leads no session gets no terminal, and is nobody's child to wait for. */
	pid_t child = fork();

	if (child != 0)
		_exit(child < 0 ? 1 : 0);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(ready, STDOUT_FILENO);
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	if (chdir("/") < 0)
		_exit(1);
	execl("/proc/self/exe", "dflyguard", "undo", token, "ready", (char *)NULL);
	_exit(1);
}

static bool arm_process(const char *token)
{
	int ends[2];
	char answer[8] = "";
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	child = fork();
	if (child == 0)
		become_watcher(token, ends[1]);
	close(ends[1]);
	if (child > 0) {
		struct pollfd poll_ready = {.fd = ends[0], .events = POLLIN};

		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		if (poll(&poll_ready, 1, ARM_MILLISECONDS) == 1 && read(ends[0], answer, sizeof(answer) - 1) < 0)
			answer[0] = '\0';
	}
	close(ends[0]);
	return strcmp(answer, "ready\n") == 0;
}

static bool arm(const struct state *state, const struct kept_policy *pending)
{
	return arm_systemd(state, pending) || arm_process(pending->token);
}

/* To what it is undone: what was confirmed last. */
static int choose_undo(
	const struct state *state, const struct kept_policy *waiting, struct kept_policy *pending, struct err *err)
{
	struct kept_policy current = {0};
	struct snapshot snapshot;
	struct nft *nft = NULL;
	int r;

	if (waiting->token[0]) {
		pending->undo_removes = waiting->undo_removes;
		return 0;
	}
	r = state_read(state, STATE_CURRENT, true, &current, err);
	kept_done(&current);
	if (r != -ENOENT)
		return r;
	r = nft_open(&nft, err);
	if (r == 0)
		r = nft_read_presence(nft, &snapshot, err);
	nft_close(nft);
	if (r < 0)
		return r;
	pending->undo_removes = !snapshot.ruleset->present;
	ruleset_free(snapshot.ruleset);
	if (pending->undo_removes)
		return 0;
	err_set(err, ENOENT, ERR_USAGE,
		"--confirm has nothing to go back to: table inet " TABLE_NAME
		" is in force, but '%s/current' does not tell from which policy",
		state->directory);
	err_hint(err, "apply without --confirm, once; from then on the policy in force is known");
	return -ENOENT;
}

/* What waited before waits on, with a watcher of its own, since the former one saw itself replaced. */
void pending_restore(const struct state *state, const struct kept_policy *waiting)
{
	if (!waiting->token[0] || state_write_pending(state, waiting, NULL) < 0 || !arm(state, waiting))
		state_remove_pending(state, NULL);
}

int pending_arm(struct state *state, struct kept_policy *pending, const struct kept_policy *waiting,
	unsigned int seconds, struct err *err)
{
	int r = choose_undo(state, waiting, pending, err);

	if (r < 0)
		return r;
	if (!new_token(pending->token))
		return err_set(err, EIO, ERR_IO, "the kernel gives no random numbers");
	snprintf(pending->boot, sizeof(pending->boot), "%s", state->space.boot);
	pending->deadline = state_clock() + seconds * SECOND;
	r = state_write_pending(state, pending, err);
	if (r < 0) {
		err_hint(err, "apply without --confirm does not need it");
		return r;
	}
	if (arm(state, pending))
		return 0;
	pending_restore(state, waiting);
	return err_set(err, EAGAIN, ERR_IO, "cannot start the process that would undo it: nothing was changed");
}

/* --- undoing --- */

static int undo_to(const struct kept_policy *kept, struct err *err)
{
	struct diagnostics diagnostics = {0};
	struct progress progress = {0};
	struct reconcile r = {.write = true, .progress = &progress};
	const struct environment *environment = NULL;
	struct ruleset *expected = NULL;
	struct policy *policy = NULL;
	int code = 0;

	if (kept) {
		code = policy_load_text(kept->file, kept->text, kept->length, &policy, &diagnostics, err);
		diagnostics_done(&diagnostics);
		environment = code < 0 ? NULL : policy_environment(policy, kept->environment, err);
		if (code == 0 && !environment)
			code = -EINVAL;
	}
	if (code == 0) {
		expected = kept ? ruleset_compile(policy, environment, (uint64_t)time(NULL)) : ruleset_new();
		r.expected = expected;
		r.policy = policy;
		code = reconcile(&r, err);
		reconcile_done(&r);
	}
	ruleset_free(expected);
	policy_free(policy);
	return code;
}

int pending_undo(const struct state *state, const struct kept_policy *pending, struct err *err)
{
	struct kept_policy current = {0};
	int r = pending->undo_removes ? 0 : state_read(state, STATE_CURRENT, false, &current, err);

	if (r == -ENOENT)
		err_set(err, ENOENT, ERR_IO, "there is no '%s/current' to go back to", state->directory);
	/* Once more: who applied it may have died before it was written. */
	undone_add(state, pending, NULL);
	if (r == 0)
		r = undo_to(pending->undo_removes ? NULL : &current, err);
	kept_done(&current);
	return r == 0 ? state_remove_pending(state, err) : r;
}

/* Whether this token still waits; then `ret` is what waits, without its policy. */
static bool still_waits(const struct state *state, const char *token, struct kept_policy *ret)
{
	kept_done(ret);
	return state_read(state, STATE_PENDING, true, ret, NULL) == 0 && strcmp(ret->token, token) == 0;
}

/* Waits until the deadline, or until `pending` changes. */
static void wait_for(const struct kept_policy *pending, int timer, int changes)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(pending->deadline / SECOND),
						.tv_nsec = (long)(pending->deadline % SECOND)}};
	struct pollfd both[] = {{.fd = timer, .events = POLLIN}, {.fd = changes, .events = POLLIN}};
	char events[4096];

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
	/* Without inotify (all watches are taken) it is looked at all the same. */
	if (poll(both, 2, changes < 0 ? 1000 : -1) > 0 && both[1].revents && read(changes, events, sizeof(events)) < 0)
		return;
}

static void let_go_of_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int stream = STDIN_FILENO; null >= 0 && stream <= STDERR_FILENO; stream++)
		dup2(null, stream);
}

int command_undo(const char *token, bool say_ready)
{
	_cleanup_(state_done) struct state state = state_open();
	_cleanup_(kept_done) struct kept_policy pending = {0};
	/* Time in suspend counts: who confirms does so by the clock on the wall. */
	_cleanup_close_ int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
	_cleanup_close_ int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct err err = {0};

	if (changes >= 0 &&
		inotify_add_watch(changes, state.run, IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF) < 0) {
		close(changes);
		changes = -1;
	}
	if (timer < 0 || !still_waits(&state, token, &pending))
		return EXIT_TROUBLE;
	if (say_ready && write(STDOUT_FILENO, "ready\n", 6) != 6)
		return EXIT_TROUBLE;
	let_go_of_streams();
	openlog("dflyguard", LOG_PID, LOG_DAEMON);
	for (unsigned int tries = 0; tries < UNDO_TRIES;) {
		if (!still_waits(&state, token, &pending))
			return EXIT_CONFORMING;
		if (state_clock() < pending.deadline) {
			wait_for(&pending, timer, changes);
			continue;
		}
		/* Whoever holds the lock may be confirming: ask again when it is ours. */
		err = (struct err){0};
		if (state_lock(&state, 60, &err) == 0) {
			if (!still_waits(&state, token, &pending))
				return EXIT_CONFORMING;
			if (state_clock() < pending.deadline) {
				state_unlock(&state);
				continue;
			}
			if (pending_undo(&state, &pending, &err) == 0) {
				syslog(LOG_WARNING, "the policy applied at %s was not confirmed in time: %s",
					pending.path,
					pending.undo_removes ? "removed, as nothing was in force before"
							     : "back to the one that was in force before");
				return EXIT_CONFORMING;
			}
			state_unlock(&state);
		}
		tries++;
		syslog(LOG_ERR, "cannot undo a policy that was not confirmed: %s", err.message);
		sleep(UNDO_PAUSE);
	}
	return EXIT_TROUBLE;
}

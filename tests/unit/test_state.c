/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is remembered between two calls: crashes at each step, files of others, and records that prove nothing. */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/state.h"
#include "testing.h"

static char scratch[] = "/tmp/dflyguard-test-state.XXXXXX";
static unsigned int cases;

/* A state of its own for each case. */
static struct state begin(void)
{
	_cleanup_free_ char *directory = mem_format("%s/%u.state", scratch, ++cases);
	_cleanup_free_ char *run = mem_format("%s/%u.run", scratch, cases);
	struct err err = {0};

	setenv("STATE_DIRECTORY", directory, 1);
	setenv("RUNTIME_DIRECTORY", run, 1);

	struct state state = state_open();

	if (state_lock(&state, 1, &err) < 0)
		fail_msg("%s", err.message);
	return state;
}

static char *path_of(const struct state *state, const char *name)
{
	bool in_run = strcmp(name, "current") != 0 && strcmp(name, "previous") != 0;

	return mem_format("%s/%s", in_run ? state->run : state->directory, name);
}

/* The n-th policy: one network, 10.n.0.0/16. */
static struct kept_policy policy_number(unsigned int n)
{
	_cleanup_free_ char *text = mem_format("environment e { tls = off clients = {\"10.%u.0.0/16\"} }", n);
	struct compiled compiled = compile_text("p.conf", text, "e");
	struct kept_policy kept = kept_from_policy(compiled.policy, compiled.environment,
		ruleset_fingerprint(compiled.ruleset), policy_digest(compiled.policy));

	compiled_done(&compiled);
	return kept;
}

static void keep_number(const struct state *state, unsigned int n)
{
	struct kept_policy kept = policy_number(n);
	struct err err = {0};

	if (state_keep(state, &kept, &err) < 0)
		fail_msg("%s", err.message);
	kept_done(&kept);
}

/* Which one a file holds: whole, and to be loaded. 0: there is none. */
static unsigned int number_in(const struct state *state, enum state_file file)
{
	struct kept_policy kept = {0};
	struct err err = {0};
	int r = state_read(state, file, false, &kept, &err);
	unsigned int n = 0;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		fail_msg("%s", err.message);
	struct compiled compiled = compile_text(kept.file, kept.text, kept.environment);

	assert_true(ruleset_fingerprint(compiled.ruleset) == kept.fingerprint);
	assert_true(policy_digest(compiled.policy) == kept.digest);
	assert_string_equal(kept.path, "p.conf");
	assert_true(kept.applied > 0);
	assert_int_equal(compiled.environment->clients.v4.count, 1);
	n = (unsigned int)(intervals_get(&compiled.environment->clients.v4, 0).first.lo >> 16 & 255);
	compiled_done(&compiled);
	kept_done(&kept);
	return n;
}

static void test_keep(void **state_)
{
	struct state state = begin();
	struct stat status;
	_cleanup_free_ char *current = path_of(&state, "current");
	_cleanup_free_ char *previous = path_of(&state, "previous");
	struct kept_policy renamed = policy_number(3);

	(void)state_;
	assert_int_equal(number_in(&state, STATE_CURRENT), 0);
	keep_number(&state, 1);
	assert_int_equal(number_in(&state, STATE_CURRENT), 1);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 0);
	keep_number(&state, 2);
	keep_number(&state, 3);
	assert_int_equal(number_in(&state, STATE_CURRENT), 3);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 2);
	assert_int_equal(stat(current, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(state.directory, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(stat(state.run, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	/* The same ruleset again: what a rollback leads to stays. */
	keep_number(&state, 3);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 2);
	free(renamed.path);
	renamed.path = mem_string("q\n# environment x.conf");
	assert_int_equal(state_keep(&state, &renamed, NULL), 0);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 2);

	struct kept_policy kept = {0};

	assert_int_equal(state_read(&state, STATE_CURRENT, true, &kept, NULL), 0);
	assert_string_equal(kept.path, "q?# environment x.conf");
	assert_string_equal(kept.environment, "e");
	assert_null(kept.text);
	kept_done(&kept);
	kept_done(&renamed);
	/* Nothing is in force; a rollback leads to what was. Also where a crash left one file with both names. */
	assert_int_equal(unlink(previous), 0);
	assert_int_equal(link(current, previous), 0);
	assert_int_equal(state_forget(&state, NULL), 0);
	assert_int_equal(number_in(&state, STATE_CURRENT), 0);
	assert_int_equal(state_read(&state, STATE_PREVIOUS, true, &kept, NULL), 0);
	kept_done(&kept);
	assert_int_equal(state_forget(&state, NULL), 0);
	assert_int_equal(state_read(&state, STATE_PREVIOUS, true, &kept, NULL), 0);
	kept_done(&kept);
	state_done(&state);
}

/* --- crashes --- */

static unsigned int steps_left;

static void crash(const char *what _unused_)
{
	if (steps_left-- == 0)
		_exit(9);
}

/* Dies before step number `steps` of keeping policy `n`; true where it came to the end. */
static bool keep_and_crash(const struct state *state, unsigned int n, unsigned int steps)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct kept_policy kept = policy_number(n);

		steps_left = steps;
		state_step = crash;
		_exit(state_keep(state, &kept, NULL) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
	return WEXITSTATUS(status) == 0;
}

static void test_crash(void **state_)
{
	unsigned int steps = 0;
	bool done = false;

	(void)state_;
	for (; !done; steps++) {
		struct state state = begin();

		keep_number(&state, 1);
		keep_number(&state, 2);
		done = keep_and_crash(&state, 3, steps);

		unsigned int current = number_in(&state, STATE_CURRENT);
		unsigned int previous = number_in(&state, STATE_PREVIOUS);

		assert_true(current == 2 || current == 3);
		assert_true(previous == 1 || previous == 2);
		assert_true(current == 2 || previous == 2);
		assert_true(!done || (current == 3 && previous == 2));
		/* Whatever lies there, the next time all is well, also where that one crashes and is repeated. */
		keep_and_crash(&state, 4, steps);
		keep_and_crash(&state, 5, steps / 2);
		current = number_in(&state, STATE_CURRENT);
		keep_number(&state, 6);
		assert_int_equal(number_in(&state, STATE_CURRENT), 6);
		assert_int_equal(number_in(&state, STATE_PREVIOUS), current);
		keep_number(&state, 7);
		assert_int_equal(number_in(&state, STATE_PREVIOUS), 6);
		state_done(&state);
	}
	/* Each of the steps was one to die at. */
	assert_true(steps >= 10);
}

/* The same, killed from outside at moments that nobody chose. */
static void test_killed(void **state_)
{
	struct state state = begin();
	uint64_t seed = 1;

	(void)state_;
	keep_number(&state, 1);
	keep_number(&state, 2);
	for (unsigned int round = 0; round < 150; round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			for (unsigned int n = 3;; n = 3 + (n + 1) % 200) {
				struct kept_policy kept = policy_number(n);

				state_keep(&state, &kept, NULL);
				kept_done(&kept);
			}
		}
		nanosleep(&(struct timespec){.tv_nsec = (long)(testing_random(&seed) % 3000000)}, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_true(number_in(&state, STATE_CURRENT) > 0);
		assert_true(number_in(&state, STATE_PREVIOUS) > 0);
	}
	state_done(&state);
}

/* --- files that are not to be trusted --- */

static void expect_refused(const struct state *state, int code)
{
	struct kept_policy kept = {0};
	struct err err = {0};

	assert_int_equal(state_read(state, STATE_CURRENT, false, &kept, &err), code);
	assert_int_equal(state_read(state, STATE_CURRENT, true, &kept, &err), code);
	assert_true(err.message[0] != '\0');
}

static void write_text(const char *path, const char *text)
{
	FILE *stream = fopen(path, "we");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
	chmod(path, 0600);
}

static void test_untrusted(void **state_)
{
	struct state state = begin();
	_cleanup_free_ char *current = path_of(&state, "current");
	_cleanup_free_ char *other = mem_format("%s/elsewhere", state.directory);
	_cleanup_free_ char *text = NULL;

	(void)state_;
	keep_number(&state, 1);
	text = testing_read(current, NULL);
	chmod(current, 0620);
	expect_refused(&state, -EPERM);
	chmod(current, 0602);
	expect_refused(&state, -EPERM);
	chmod(current, 0644);
	assert_int_equal(number_in(&state, STATE_CURRENT), 1);
	/* The folder counts, too. */
	chmod(state.directory, 0770);
	expect_refused(&state, -EPERM);
	assert_int_equal(state_keep(&state, &(struct kept_policy){0}, NULL), -EPERM);
	chmod(state.directory, 0755);
	assert_int_equal(number_in(&state, STATE_CURRENT), 1);
	if (geteuid() == 0) {
		assert_int_equal(chown(current, 1, 1), 0);
		expect_refused(&state, -EPERM);
		assert_int_equal(chown(current, 0, 0), 0);
		assert_int_equal(chown(state.directory, 1, 1), 0);
		expect_refused(&state, -EPERM);
		assert_int_equal(chown(state.directory, 0, 0), 0);
	}
	assert_int_equal(rename(current, other), 0);
	assert_int_equal(symlink(other, current), 0);
	expect_refused(&state, -EPERM);
	unlink(current);
	assert_int_equal(mkfifo(current, 0600), 0);
	expect_refused(&state, -EPERM);
	unlink(current);
	assert_int_equal(mkdir(current, 0700), 0);
	expect_refused(&state, -EPERM);
	rmdir(current);
	/* Not what we write. */
	static const char *const bad[] = {"", "environment e { tls = off clients = {} }", "# dflyguard state 2\n#\n",
		"# dflyguard state 1\n#\n", "# dflyguard state 1\n# environment e\n# path p",
		"# dflyguard state 1\n# environment e\n# path p\n", "# dflyguard state 1\n# environment e\n# path p\n#",
		"# dflyguard state 1\n# environment e\n# path p\n# digest xyz\n#\n",
		"# dflyguard state 1\n# environment e\n# path p\n# applied today\n#\n",
		"# dflyguard state 1\n# environment e\n# path p\n# token 00000000000000000000000000000000\n#\n",
		"# dflyguard state 1\n# environment e\n# path p\n# token 0000\n#\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text(current, bad[i]);
		expect_refused(&state, -EBADMSG);
	}
	/* Cut anywhere: refused, or a policy that does not load; never another policy in silence. */
	for (size_t length = 0; length < strlen(text); length++) {
		_cleanup_free_ char *cut = mem_stringn(text, length);
		struct diagnostics diagnostics = {0};
		struct kept_policy kept = {0};
		struct policy *policy = NULL;
		struct err err = {0};

		write_text(current, cut);
		if (state_read(&state, STATE_CURRENT, false, &kept, &err) == 0 &&
			policy_load_text("cut", kept.text, kept.length, &policy, &diagnostics, &err) == 0)
			assert_true(policy_digest(policy) == kept.digest);
		policy_free(policy);
		diagnostics_done(&diagnostics);
		kept_done(&kept);
	}
	/* It is replaced, and not kept. */
	write_text(current, bad[1]);
	keep_number(&state, 2);
	assert_int_equal(number_in(&state, STATE_CURRENT), 2);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 0);
	state_done(&state);
}

/* A disk without room changes nothing. */
static void test_full_disk(void **state_)
{
	(void)state_;
	struct state state = begin();
	struct err err = {0};
	struct kept_policy kept = policy_number(2);
	_cleanup_free_ char *fresh = mem_format("%s/current.new", state.directory);

	keep_number(&state, 1);
	/* What cannot be replaced stands for what cannot be written. */
	assert_int_equal(mkdir(fresh, 0700), 0);
	assert_true(state_keep(&state, &kept, &err) < 0);
	assert_non_null(strstr(err.message, "current.new"));
	assert_int_equal(number_in(&state, STATE_CURRENT), 1);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 0);
	rmdir(fresh);
	kept_done(&kept);
	state_done(&state);
}

/* --- pending --- */

static void test_pending(void **state_)
{
	struct state state = begin();
	struct kept_policy pending = policy_number(4);
	struct kept_policy found = {0};

	(void)state_;
	snprintf(pending.token, sizeof(pending.token), "0123456789abcdef0123456789abcdef");
	snprintf(pending.boot, sizeof(pending.boot), "%s", state.space.boot);
	pending.deadline = state_clock() + 5;
	pending.undo_removes = true;
	pending.committed = true;
	assert_int_equal(state_read(&state, STATE_PENDING, true, &found, NULL), -ENOENT);
	assert_int_equal(state_write_pending(&state, &pending, NULL), 0);
	assert_int_equal(number_in(&state, STATE_PENDING), 4);
	assert_int_equal(state_read(&state, STATE_PENDING, false, &found, NULL), 0);
	assert_string_equal(found.token, pending.token);
	assert_true(found.deadline == pending.deadline);
	assert_true(found.undo_removes);
	assert_true(found.committed);
	/* Confirmed: it is kept without what only waiting needs. */
	keep_number(&state, 1);
	assert_int_equal(state_keep(&state, &found, NULL), 0);
	assert_int_equal(number_in(&state, STATE_CURRENT), 4);
	assert_int_equal(number_in(&state, STATE_PREVIOUS), 1);
	kept_done(&found);
	assert_int_equal(state_remove_pending(&state, NULL), 0);
	assert_int_equal(state_read(&state, STATE_PENDING, true, &found, NULL), -ENOENT);
	assert_int_equal(state_remove_pending(&state, NULL), 0);
	/* Of another boot: then `current` was put in force since, and nothing waits. */
	snprintf(pending.boot, sizeof(pending.boot), "00000000-0000-0000-0000-000000000000");
	assert_int_equal(state_write_pending(&state, &pending, NULL), 0);
	assert_int_equal(state_read(&state, STATE_PENDING, true, &found, NULL), -ENOENT);
	kept_done(&pending);
	state_done(&state);
}

/* --- what the last look proved --- */

static void replace(char *text, const char *what, char with)
{
	char *at = strstr(text, what);

	assert_non_null(at);
	at += strlen(what);
	assert_true(*at != with);
	*at = with;
}

static bool is_undone(const struct state *state, unsigned int n, const char *environment)
{
	/* In other words than policy_number() has. */
	_cleanup_free_ char *text = mem_format("environment f { tls = off clients = {} }\nenvironment e { tls = off "
					       "clients = {\"10.%u.0.0/17\", \"10.%u.128.0/17\"} }",
		n, n);
	struct compiled compiled = compile_text("q.conf", text, environment);
	bool undone = undone_is(state, compiled.policy, compiled.environment);

	compiled_done(&compiled);
	return undone;
}

static void undo_number(const struct state *state, unsigned int n)
{
	struct kept_policy kept = policy_number(n);
	struct err err = {0};

	if (undone_add(state, &kept, &err) < 0)
		fail_msg("%s", err.message);
	kept_done(&kept);
}

static void test_undone(void **state_)
{
	struct state state = begin();
	_cleanup_free_ char *path = mem_format("%s/undone", state.directory);
	_cleanup_free_ char *good = NULL;
	struct stat status;

	(void)state_;
	assert_false(is_undone(&state, 1, "e"));
	assert_int_equal(undone_forget(&state, NULL), 0);
	undo_number(&state, 1);
	assert_true(is_undone(&state, 1, "e"));
	assert_false(is_undone(&state, 1, "f"));
	assert_false(is_undone(&state, 2, "e"));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	/* Each of several, once; in force again it is none. */
	undo_number(&state, 2);
	undo_number(&state, 1);
	good = testing_read(path, NULL);
	assert_int_equal(strlen(good), 2 * strlen("0123456789abcdef 0123456789abcdef e\n"));
	assert_true(is_undone(&state, 1, "e") && is_undone(&state, 2, "e"));
	keep_number(&state, 1);
	assert_false(is_undone(&state, 1, "e"));
	assert_true(is_undone(&state, 2, "e"));
	keep_number(&state, 3);
	assert_true(is_undone(&state, 1, "e"));
	assert_int_equal(undone_forget(&state, NULL), 0);
	assert_false(is_undone(&state, 1, "e") || is_undone(&state, 2, "e"));
	/* Not without end: the oldest go. */
	for (unsigned int n = 10; n < 60; n++)
		undo_number(&state, n);
	assert_true(is_undone(&state, 59, "e") && is_undone(&state, 44, "e"));
	assert_false(is_undone(&state, 43, "e") || is_undone(&state, 10, "e"));
	/* What proves nothing. */
	static const char *const bad[] = {"", "\n\n\n", "0123456789abcdef", "e e e\n", "\n e\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text(path, bad[i]);
		assert_false(is_undone(&state, 1, "e"));
		undo_number(&state, 1);
		assert_true(is_undone(&state, 1, "e"));
	}
	for (size_t length = 0; length < strlen(good); length++) {
		_cleanup_free_ char *cut = mem_stringn(good, length);

		write_text(path, cut);
		/* The line of 1 is the first one; without its newline it is whole. */
		assert_int_equal(is_undone(&state, 1, "e"), length >= strlen(good) / 2 - 1);
	}
	_cleanup_free_ char *large = mem_format("%s%5000s\n", good, "");

	write_text(path, large);
	assert_false(is_undone(&state, 1, "e"));
	write_text(path, good);
	assert_true(is_undone(&state, 1, "e"));
	chmod(path, 0620);
	assert_false(is_undone(&state, 1, "e"));
	undo_number(&state, 2);
	assert_true(is_undone(&state, 2, "e"));
	assert_false(is_undone(&state, 1, "e"));
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_false(is_undone(&state, 1, "e"));
	undo_number(&state, 1);
	assert_true(is_undone(&state, 1, "e"));
	state_done(&state);
}

static void test_looked(void **state_)
{
	static const struct {
		const char *behind;
		char with;
	} forged[] = {{"dflyguard ", 'x'}, {"boot ", 'x'}, {"namespace ", 'x'}, {"module ", 'x'}, {"expected ", 'x'},
		{"generation ", 'x'}, {"generation ", '-'}, {"generation ", '+'}, {"generation ", ' '},
		{"generation ", '0'}, {"at ", 'x'}, {"at ", '-'}, {"at ", '0'}};
	struct state state = begin();
	_cleanup_free_ char *path = path_of(&state, "looked");
	_cleanup_free_ char *good = NULL;

	(void)state_;
	if (!state.space.cookie) {
		state_done(&state);
		print_message("no SO_NETNS_COOKIE: nothing is ever remembered\n");
		return;
	}
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	state_remember_look(&state, 7, 0);
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	state_remember_look(&state, 7, 4000000000u);
	assert_int_equal(state_looked(&state, 7, NULL), 4000000000u);
	assert_int_equal(state_looked(&state, 8, NULL), 0);
	good = testing_read(path, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
		_cleanup_free_ char *text = mem_string(good);

		replace(text, forged[i].behind, forged[i].with);
		write_text(path, text);
		assert_int_equal(state_looked(&state, 7, NULL), 0);
	}
	for (size_t length = 0; length < strlen(good); length++) {
		_cleanup_free_ char *text = mem_stringn(good, length);

		write_text(path, text);
		assert_int_equal(state_looked(&state, 7, NULL), 0);
	}
	_cleanup_free_ char *longer = mem_format("%s\n", good);

	write_text(path, longer);
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	/* Times: now, at the limit, too old, and not yet. */
	static const struct {
		int64_t age; /* seconds */
		bool trusted;
	} times[] = {{1, true}, {LOOKED_SECONDS - 2, true}, {LOOKED_SECONDS + 1, false}, {-3, false}};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		_cleanup_free_ char *head = mem_stringn(good, (size_t)(strstr(good, "at ") - good));
		int64_t when = (int64_t)state_clock() - times[i].age * 1000000000;
		_cleanup_free_ char *text = NULL;

		/* A machine that was started just now is not older than the record should be. */
		if (when <= 0)
			continue;
		text = mem_format("%sat %lld\n", head, (long long)when);
		write_text(path, text);
		assert_int_equal(state_looked(&state, 7, NULL) != 0, times[i].trusted);
	}
	/* Others could have written it. */
	write_text(path, good);
	assert_true(state_looked(&state, 7, NULL) != 0);
	chmod(path, 0622);
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	chmod(path, 0600);
	chmod(state.run, 0777);
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	chmod(state.run, 0700);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 1), 0);
		assert_int_equal(state_looked(&state, 7, NULL), 0);
		assert_int_equal(chown(path, 0, 0), 0);
	}
	assert_true(state_looked(&state, 7, NULL) != 0);
	/* Another namespace that got the same inode, another boot, a kernel without cookies. */
	state.space.cookie++;
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	state.space.cookie = 0;
	assert_int_equal(state_looked(&state, 7, NULL), 0);
	unlink(path);
	state_remember_look(&state, 7, 1);
	assert_int_equal(access(path, F_OK), -1);
	state_done(&state);
}

/* A namespace that is not that of process 1 has a folder of its own, and takes over nothing of one that is gone. */
static void test_namespaces(void **state_)
{
	struct state state = begin();
	struct state first;
	_cleanup_free_ char *inner = NULL;

	(void)state_;
	state_done(&state);
	first = state_open();
	if (first.space.first) {
		assert_true(strstr(first.directory, ".state") != NULL);
		assert_null(first.run_parent);
		assert_null(strstr(first.run, "/netns-"));
	}
	inner = mem_format("%s/netns-77", first.run_parent ? first.run_parent : first.run);

	struct state other = {.lock = -1,
		.directory = mem_string(inner),
		.run = mem_string(inner),
		.run_parent = mem_string(first.run_parent ? first.run_parent : first.run),
		.space = first.space};

	other.space.first = false;
	other.space.inode = 77;
	assert_int_equal(state_lock(&other, 1, NULL), 0);
	keep_number(&other, 5);
	assert_int_equal(number_in(&other, STATE_CURRENT), 5);
	assert_int_equal(number_in(&first, STATE_CURRENT), 0);
	state_unlock(&other);
	/* Its inode comes again. */
	other.space.cookie++;
	assert_int_equal(number_in(&other, STATE_CURRENT), 0);
	assert_int_equal(state_lock(&other, 1, NULL), 0);
	assert_int_equal(number_in(&other, STATE_CURRENT), 0);
	keep_number(&other, 6);
	assert_int_equal(number_in(&other, STATE_CURRENT), 6);
	assert_int_equal(number_in(&other, STATE_PREVIOUS), 0);
	state_done(&other);
	state_done(&first);
}

static void test_lock(void **state_)
{
	struct state one = begin();
	struct state two = state_open();
	struct err err = {0};
	pid_t child;

	(void)state_;
	assert_int_equal(state_lock(&one, 0, &err), 0);
	assert_int_equal(state_lock(&two, 0, &err), -EAGAIN);
	/* A child that still has the file does not keep it. */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	state_unlock(&one);

	int locked = state_lock(&two, 0, &err);

	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(locked, 0);
	state_done(&one);
	state_done(&two);
}

static int setup(void **state)
{
	(void)state;
	umask(022);
	return mkdtemp(scratch) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = mem_format("rm -rf '%s'", scratch);

	(void)state;
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_untrusted),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_undone),
		cmocka_unit_test(test_looked),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests_name("state", tests, setup, teardown);
}

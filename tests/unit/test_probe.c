/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the privileged side makes of a dflyguard-probe that crashes, hangs, floods or lies. This program plays it, too:
 * copies of it stand side by side in a folder of the test's, one of them under that name.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "testing.h"

static char *folder;

/* --- the program that is asked --- */

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(9);
}

static void flood(void)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	for (;;)
		if (write(STDOUT_FILENO, block, sizeof(block)) < 0)
			_exit(9);
}

static bool is_open(int descriptor)
{
	return fcntl(descriptor, F_GETFD) >= 0;
}

static void behave(const char *how)
{
	if (strcmp(how, "good") == 0)
		say("a id=0 b=c\nend count=1\n");
	else if (strcmp(how, "crash") == 0) {
		/* A sanitizer would make another end of it. */
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	} else if (strcmp(how, "crash-late") == 0) {
		say("a id=0 b=c\nend count=1\n");
		raise(SIGKILL);
	} else if (strcmp(how, "status") == 0) {
		say("a id=0 b=c\nend count=1\n");
		_exit(7);
	} else if (strcmp(how, "hang") == 0)
		pause();
	else if (strcmp(how, "hang-late") == 0) {
		say("a id=0 b=c\nend count=1\n");
		close(STDOUT_FILENO);
		pause();
	} else if (strcmp(how, "flood") == 0)
		flood();
	else if (strcmp(how, "noise") == 0)
		say("\x1b[2J\xff\n");
	else if (strcmp(how, "cut") == 0)
		say("a id=0 b=c\n");
	else if (strcmp(how, "stranger") == 0)
		say("a id=1 b=c\nend count=1\n");
	else if (strcmp(how, "nobody") == 0)
		say("a b=c\nend count=1\n");
	else if (strcmp(how, "silent") == 0)
		say("end count=0\n");
	else if (strcmp(how, "files") == 0)
		/* 0, 1, 2, the one that was given, and nothing else of who started it. */
		say(is_open(0) && is_open(1) && is_open(2) && is_open(3) && !is_open(4) && !is_open(5) && !is_open(200)
				? "a id=0 b=c\nend count=1\n"
				: "a id=0 b=other\nend count=1\n");
	else if (strcmp(how, "memory") == 0) {
		/* More than it may have. */
		volatile char *memory = malloc(400u << 20);

		say(memory ? "a id=0 b=other\nend count=1\n" : "a id=0 b=c\nend count=1\n");
	}
}

static int play_program(void)
{
	_cleanup_text_ struct text text = {0};
	struct records *questions;
	char buffer[4096];
	ssize_t count;

	while ((count = read(STDIN_FILENO, buffer, sizeof(buffer) - 1)) > 0) {
		buffer[count] = '\0';
		text_append(&text, buffer);
	}
	if (records_parse(text.data, text.length, &questions, NULL) < 0)
		return 8;
	behave(questions->items[0].name);
	records_free(questions);
	return 0;
}

/* --- who asks --- */

static const struct {
	const char *how;
	int code;
	const char *why;
} rows[] = {
	{"good", 0, ""},
	{"crash", -EPIPE, "dflyguard-probe was ended by signal 11 (SEGV)"},
	{"crash-late", -EPIPE, "dflyguard-probe was ended by signal 9 (KILL)"},
	{"status", -EPIPE, "dflyguard-probe ended with status 7"},
	{"hang", -ETIMEDOUT, "dflyguard-probe took too long, and was ended"},
	{"hang-late", -EPIPE, "dflyguard-probe was ended by signal 9 (KILL)"},
	{"flood", -EFBIG, "dflyguard-probe said more than 4194304 bytes, and was ended"},
	{"noise", -EBADMSG, "dflyguard-probe does not speak the language: a record with a bad name"},
	{"cut", -EBADMSG, "dflyguard-probe does not speak the language: it has no end"},
	{"stranger", -EBADMSG, "dflyguard-probe answers what nobody asked"},
	{"nobody", -EBADMSG, "dflyguard-probe answers what nobody asked"},
	{"silent", -EBADMSG, "dflyguard-probe does not answer all that it was asked"},
	{"files", 0, ""},
#ifndef __SANITIZE_ADDRESS__
	{"memory", 0, ""},
#endif
};

static void test_behaviour(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe_job *job = probe_job_new();
		struct probe_limits limits = {.milliseconds = rows[i].code ? 300 : 30000, .memory = 300u << 20};
		struct records *records = NULL;
		struct err err = {0};
		int code;

		/* Who is told to hang does so; nobody else is to be late on a busy machine. */
		if (!strstr(rows[i].how, "hang"))
			limits.milliseconds = 30000;
		probe_ask(job, rows[i].how);
		probe_ask_file(job, "fd", open("/dev/null", O_RDONLY));
		code = probe_run(job, &limits, &records, &err);
		if (code != rows[i].code || strcmp(err.message, rows[i].why) != 0)
			fail_msg("%s: %d %s", rows[i].how, code, err.message);
		if (code == 0) {
			assert_int_equal(records->count, 1);
			assert_string_equal(record_get(&records->items[0], "b"), "c");
		} else {
			assert_null(records);
		}
		records_free(records);
		probe_job_free(job);
		/* Whatever it did, it is gone. */
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
}

static void test_nothing_to_ask(void **state _unused_)
{
	struct probe_job *job = probe_job_new();
	struct records *records;

	assert_int_equal(probe_run(job, NULL, &records, NULL), 0);
	assert_int_equal(records->count, 0);
	records_free(records);
	probe_job_free(job);
}

/* A program that others could have written is not started. */
static void test_trust(void **state _unused_)
{
	_cleanup_free_ char *path = mem_format("%s/dflyguard-probe", folder);

	for (unsigned int i = 0; i < 2; i++) {
		struct probe_job *job = probe_job_new();
		struct records *records = NULL;
		struct err err = {0};

		assert_int_equal(chmod(path, i ? 0702 : 0720), 0);
		probe_ask(job, "good");
		assert_int_equal(probe_run(job, NULL, &records, &err), -EPERM);
		assert_non_null(strstr(err.message, "is not trusted"));
		assert_null(records);
		probe_job_free(job);
	}
	assert_int_equal(chmod(path, 0700), 0);
}

static void copy_self(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	char buffer[65536];
	ssize_t count;

	while ((count = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)count) != count)
			_exit(1);
	close(from);
	close(to);
}

/* In a folder with the copies; 1 where that cannot be made. */
static int move_there(char **arguments)
{
	char name[] = "/tmp/dflyguard-test-probe-XXXXXX";

	if (!mkdtemp(name))
		return 1;
	_cleanup_free_ char *test = mem_format("%s/test_probe", name);
	_cleanup_free_ char *program = mem_format("%s/dflyguard-probe", name);
	pid_t child;
	int status = 0;

	copy_self(test);
	copy_self(program);
	child = fork();
	if (child == 0) {
		setenv("DFLYGUARD_TEST_FOLDER", name, 1);
		execv(test, arguments);
		_exit(1);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	unlink(test);
	unlink(program);
	rmdir(name);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int count _unused_, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behaviour),
		cmocka_unit_test(test_nothing_to_ask),
		cmocka_unit_test(test_trust),
	};

	if (strcmp(arguments[0], "dflyguard-probe") == 0)
		return play_program();
	folder = getenv("DFLYGUARD_TEST_FOLDER");
	if (!folder)
		return move_there(arguments);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

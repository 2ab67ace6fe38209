/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/*
 * ru_maxrss survives exec: a child is charged with the memory of the process that forked it, and this program holds
 * megabytes of sources. So commands are started by a process that was forked before there was anything to hold, and
 * posix_spawn() (which is vfork) does not add to it. The peak of true(1), which run_least_peak() reads, shows that
 * nothing large remains.
 */

struct request {
	enum space space;
	int cpu;
	size_t length; /* of the text: arguments, each with its NUL, then the output path with its NUL */
	size_t arguments;
};

static int to_spawner = -1, from_spawner = -1;

static bool read_all(int descriptor, void *buffer, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = read(descriptor, (char *)buffer + done, length - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu == CPU_ANY) {
		for (int i = 0; i < CPU_SETSIZE; i++)
			CPU_SET(i, &set);
	} else {
		CPU_SET(cpu, &set);
	}
	/* Where there is only one processor, the command runs there: nothing to do about it. */
	sched_setaffinity(0, sizeof(set), &set);
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void spawn(char *argv[], const char *output, struct reading *reading)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C", home[] = "HOME=/";
	static char *environment[] = {path, locale, home, NULL};
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	int status, result;
	double before;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(
		&actions, STDOUT_FILENO, *output ? output : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, ERROR_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	before = now();
	result = posix_spawn(&child, argv[0], &actions, NULL, argv, environment);
	if (result == 0) {
		while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR)
			;
		reading->seconds = now() - before;
		reading->user = seconds_of(usage.ru_utime);
		reading->system = seconds_of(usage.ru_stime);
		reading->peak = (double)usage.ru_maxrss * 1024;
		reading->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	} else {
		reading->status = -result;
	}
	posix_spawn_file_actions_destroy(&actions);
}

static _Noreturn void spawner(int input, int output)
{
	static char text[COMMAND_TEXT_LIMIT];
	char *argv[ARGUMENTS_LIMIT + 1];
	struct request request;

	while (read_all(input, &request, sizeof(request)) && read_all(input, text, request.length)) {
		struct reading reading = {0};
		char *next = text;

		for (size_t i = 0; i < request.arguments; i++) {
			argv[i] = next;
			next += strlen(next) + 1;
		}
		argv[request.arguments] = NULL;
		sandbox_join(request.space);
		pin(request.cpu);
		spawn(argv, next, &reading);
		if (write(output, &reading, sizeof(reading)) != sizeof(reading))
			break;
	}
	_exit(0);
}

void spawner_start(void)
{
	int requests[2], readings[2];
	pid_t child;

	if (pipe2(requests, O_CLOEXEC) || pipe2(readings, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		fail("fork: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(requests[1]);
		close(readings[0]);
		spawner(requests[0], readings[1]);
	}
	close(requests[0]);
	close(readings[1]);
	to_spawner = requests[1];
	from_spawner = readings[0];
}

struct reading run(enum space space, int cpu, const char *const argv[], const char *output)
{
	struct request request = {.space = space, .cpu = cpu};
	char text[COMMAND_TEXT_LIMIT];
	struct reading reading;

	for (size_t i = 0; argv[i] || i == request.arguments; i++) {
		const char *word = argv[i] ? argv[i] : output ? output : "";
		size_t length = strlen(word) + 1;

		if (request.length + length > sizeof(text) || i > ARGUMENTS_LIMIT)
			fail("%s: command line too long", argv[0]);
		memcpy(text + request.length, word, length);
		request.length += length;
		if (!argv[i])
			break;
		request.arguments++;
	}
	if (write(to_spawner, &request, sizeof(request)) != sizeof(request) ||
		write(to_spawner, text, request.length) != (ssize_t)request.length ||
		!read_all(from_spawner, &reading, sizeof(reading)))
		fail("the process that starts commands has gone");
	return reading;
}

char *read_file(const char *path)
{
	_cleanup_file_ FILE *stream = fopen(path, "re");
	struct text text = {0};
	char buffer[65536];
	size_t got;

	if (!stream)
		return NULL;
	while ((got = fread(buffer, 1, sizeof(buffer) - 1, stream)) > 0) {
		buffer[got] = '\0';
		text_append(&text, buffer);
	}
	return text_take(&text);
}

char *run_complaint(const struct reading *reading)
{
	_cleanup_free_ char *text = read_file(ERROR_FILE);

	if (reading->status < 0)
		return mem_format("cannot be started: %s", strerror(-reading->status));
	if (reading->status > 128)
		return mem_format("killed by signal %d", reading->status - 128);
	if (!text || !*text)
		return mem_format("exit status %d without a word", reading->status);
	return mem_format("exit status %d: %.*s", reading->status, (int)strcspn(text, "\n"), text);
}

void run_or_fail(enum space space, const char *const argv[], const char *output)
{
	struct reading reading = run(space, CPU_ANY, argv, output);
	struct text command = {0};

	if (reading.status == 0)
		return;
	for (size_t i = 0; argv[i]; i++)
		text_printf(&command, "%s%s", i ? " " : "", argv[i]);
	fail("`%s`: %s", text_string(&command), run_complaint(&reading));
}

double run_least_peak(const struct tools *tools)
{
	const char *const argv[] = {tools->true_program, NULL};

	return run(SPACE_EMPTY, CPU_ANY, argv, NULL).peak;
}

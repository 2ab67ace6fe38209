/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts dflyguard-probe, and holds it to its limits. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define PROGRAM "dflyguard-probe"
/* Where `make install` puts it. */
#ifndef DFLYGUARD_LIBEXECDIR
#define DFLYGUARD_LIBEXECDIR "/usr/libexec/dflyguard"
#endif

/* Descriptors in the program: its questions, its answer, nothing, then the files that were given. */
#define FIRST_FILE 3

#define DEFAULT_MILLISECONDS 20000u
#define DEFAULT_MEMORY	     (512ull << 20)
#define NICE		     5

struct probe_job {
	struct text questions;
	size_t count;
	bool open; /* a question has no end yet */
	int files[PROBE_MAX_FILES];
	size_t file_count;
};

/* --- questions --- */

struct probe_job *probe_job_new(void)
{
	return mem_zero(1, sizeof(struct probe_job));
}

void probe_job_free(struct probe_job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->file_count; i++)
		close(job->files[i]);
	text_done(&job->questions);
	free(job);
}

static void end_question(struct probe_job *job)
{
	if (job->open)
		record_end(&job->questions);
	job->open = false;
}

int64_t probe_ask(struct probe_job *job, const char *question)
{
	end_question(job);
	record_begin(&job->questions, question);
	record_number(&job->questions, "id", (int64_t)job->count);
	job->open = true;
	return (int64_t)job->count++;
}

void probe_ask_text(struct probe_job *job, const char *name, const char *value)
{
	record_text(&job->questions, name, value);
}

void probe_ask_number(struct probe_job *job, const char *name, int64_t value)
{
	record_number(&job->questions, name, value);
}

void probe_ask_file(struct probe_job *job, const char *name, int descriptor)
{
	if (descriptor < 0)
		return;
	if (job->file_count == PROBE_MAX_FILES) {
		close(descriptor);
		return;
	}
	record_number(&job->questions, name, FIRST_FILE + (int64_t)job->file_count);
	job->files[job->file_count++] = descriptor;
}

size_t probe_job_count(const struct probe_job *job)
{
	return job->count;
}

/* --- the program --- */

/* Whoever can write it decides what we believe. */
static int check_program(int descriptor, const char *path, struct err *err)
{
	struct stat status;

	if (fstat(descriptor, &status) < 0)
		return err_set(err, errno, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != geteuid()) ||
		(status.st_mode & (S_IWGRP | S_IWOTH))) {
		err_set(err, EPERM, ERR_IO, "%s is not trusted: others could have written it", path);
		err_hint(err, "it must be a file of root's (or yours) that nobody else may write: chmod 755 %s", path);
		return -EPERM;
	}
	return 0;
}

/* Beside ourselves, as in a build, or where it is installed. */
static int open_program(struct err *err)
{
	char own[4096];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	_cleanup_free_ char *beside = NULL;
	const char *paths[2] = {NULL, DFLYGUARD_LIBEXECDIR "/" PROGRAM};

	if (length > 0) {
		own[length] = '\0';
		char *slash = strrchr(own, '/');

		if (slash) {
			*slash = '\0';
			beside = mem_format("%s/" PROGRAM, own);
			paths[0] = beside;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int descriptor = paths[i] ? open(paths[i], O_PATH | O_CLOEXEC) : -1;

		if (descriptor < 0)
			continue;
		int code = check_program(descriptor, paths[i], err);

		if (code == 0)
			return descriptor;
		close(descriptor);
		return code;
	}
	err_set(err, ENOENT, ERR_IO, PROGRAM " is not there, neither beside dflyguard nor in " DFLYGUARD_LIBEXECDIR);
	err_hint(err, "`make install` puts it there; `make` builds it beside dflyguard");
	return -ENOENT;
}

/* In the child, where nothing may be allocated any more. */
static void set_limit(int resource, rlim_t limit)
{
	struct rlimit value = {.rlim_cur = limit, .rlim_max = limit};

	setrlimit(resource, &value);
}

struct launch {
	int program;
	int questions, answer, nothing;
	const int *files;
	size_t file_count;
	unsigned int milliseconds;
	uint64_t memory;
	char uid[16], gid[16];
};

static void become_program(const struct launch *launch)
{
	static char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C", NULL};
	/* Behind all that are given, so that none is lost when they take their places. */
	const int above = FIRST_FILE + (int)PROBE_MAX_FILES + 8;
	char *arguments[] = {
		(char *)(uintptr_t)PROGRAM, (char *)(uintptr_t)launch->uid, (char *)(uintptr_t)launch->gid, NULL};
	sigset_t none;
	int moved[PROBE_MAX_FILES];
	int questions = fcntl(launch->questions, F_DUPFD, above);
	int answer = fcntl(launch->answer, F_DUPFD, above);
	int nothing = fcntl(launch->nothing, F_DUPFD, above);
	int program = fcntl(launch->program, F_DUPFD_CLOEXEC, above);

	for (size_t i = 0; i < launch->file_count; i++)
		moved[i] = fcntl(launch->files[i], F_DUPFD, above);
	if (program < 0 || dup2(questions, 0) < 0 || dup2(answer, 1) < 0 || dup2(nothing, 2) < 0)
		_exit(125);
	for (size_t i = 0; i < launch->file_count; i++)
		if (dup2(moved[i], FIRST_FILE + (int)i) < 0)
			_exit(125);
	/* What is left behind is the program's own descriptor, which closes itself. */
	if (dup2(program, above) != above || fcntl(above, F_SETFD, FD_CLOEXEC) < 0)
		_exit(125);
	close_range(FIRST_FILE + (unsigned int)launch->file_count, (unsigned int)above - 1, 0);
	close_range((unsigned int)above + 1, ~0U, 0);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_FSIZE, RECORD_MAX_BYTES);
	set_limit(RLIMIT_CPU, launch->milliseconds / 1000 + 1);
#ifndef __SANITIZE_ADDRESS__
	set_limit(RLIMIT_AS, launch->memory);
#endif
	if (chdir("/") < 0 || nice(NICE) < 0) {
		/* Neither matters. */
	}
	execveat(above, "", arguments, environment, AT_EMPTY_PATH);
	_exit(126);
}

/* The user it is to become: one of its own, else nobody. Without privileges: who we are. */
static void choose_user(struct launch *launch)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid == 0) {
		const struct passwd *user = getpwnam(PROGRAM);

		if (!user)
			user = getpwnam("nobody");
		uid = user ? user->pw_uid : 65534;
		gid = user ? user->pw_gid : 65534;
	}
	snprintf(launch->uid, sizeof(launch->uid), "%u", uid);
	snprintf(launch->gid, sizeof(launch->gid), "%u", gid);
}

static int write_questions(struct probe_job *job, struct err *err)
{
	_cleanup_close_ int descriptor = memfd_create("dflyguard-questions", MFD_CLOEXEC);
	int code = descriptor < 0 ? -errno : 0;
	int given;

	end_question(job);
	record_close(&job->questions, job->count);
	if (code == 0)
		code = write_all(descriptor, job->questions.data, job->questions.length);
	if (code == 0 && lseek(descriptor, 0, SEEK_SET) < 0)
		code = -errno;
	if (code < 0)
		return err_set(err, -code, ERR_IO, "cannot ask " PROGRAM ": %s", strerror(-code));
	given = descriptor;
	descriptor = -1;
	return given;
}

/* --- its answer --- */

/* Until its end. 0, or a negative errno value. */
static int hear(int descriptor, int64_t deadline, struct text *answer)
{
	char buffer[65536];

	for (;;) {
		int64_t left = deadline - clock_milliseconds();
		struct pollfd ready = {.fd = descriptor, .events = POLLIN};
		int count = left > 0 ? poll(&ready, 1, (int)left) : 0;

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -ETIMEDOUT;
		ssize_t length = read(descriptor, buffer, sizeof(buffer));

		if (length < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (length <= 0)
			return length < 0 ? -errno : 0;
		if (answer->length + (size_t)length > RECORD_MAX_BYTES)
			return -EFBIG;
		if (answer->length + (size_t)length + 1 > answer->capacity) {
			answer->capacity = answer->capacity * 2 + sizeof(buffer);
			answer->data = mem_resize(answer->data, answer->capacity, 1);
		}
		memcpy(answer->data + answer->length, buffer, (size_t)length);
		answer->length += (size_t)length;
	}
}

/* Waits for its end, but not longer than it may take; then makes an end of it. */
static int reap(pid_t child, int64_t deadline)
{
	int status = 0;

	for (;;) {
		pid_t ended = waitpid(child, &status, WNOHANG);

		if (ended == child)
			return status;
		/* Somebody else took the word of how it ended: it is not known to have ended well. */
		if (ended < 0 && errno != EINTR)
			return SIGKILL;
		if (clock_milliseconds() >= deadline) {
			kill(child, SIGKILL);
			while (waitpid(child, &status, 0) < 0 && errno == EINTR)
				;
			return status;
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static int explain_end(int status, struct err *err)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		err_set(err, EPIPE, ERR_IO, PROGRAM " was ended: it tried what it may not");
	else if (WIFSIGNALED(status))
		err_set(err, EPIPE, ERR_IO, PROGRAM " was ended by signal %d (%s)", WTERMSIG(status),
			sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	else if (WEXITSTATUS(status) == PROBE_EXIT_PRIVILEGED)
		err_set(err, EPIPE, ERR_IO, PROGRAM " could not give away its privileges");
	else if (WEXITSTATUS(status) == PROBE_EXIT_OPEN)
		err_set(err, EPIPE, ERR_IO,
			PROGRAM " could not be confined: the kernel, or a unit's SystemCallFilter=, does not permit "
				"seccomp(2)");
	else if (WEXITSTATUS(status) == 126)
		err_set(err, EPIPE, ERR_IO, PROGRAM " could not be started");
	else
		err_set(err, EPIPE, ERR_IO, PROGRAM " ended with status %d", WEXITSTATUS(status));
	return -EPIPE;
}

/* Every question has an answer, and every answer its question. */
static int check_answers(const struct probe_job *job, const struct records *records, struct err *err)
{
	_cleanup_free_ bool *answered = mem_zero(job->count, sizeof(*answered));

	for (size_t i = 0; i < records->count; i++) {
		int64_t id = record_id(&records->items[i]);

		if (id < 0 || (uint64_t)id >= job->count)
			return err_set(err, EBADMSG, ERR_IO, PROGRAM " answers what nobody asked");
		answered[id] = true;
	}
	for (size_t i = 0; i < job->count; i++)
		if (!answered[i])
			return err_set(err, EBADMSG, ERR_IO, PROGRAM " does not answer all that it was asked");
	return 0;
}

static int judge(const struct probe_job *job, int code, int status, const struct text *answer, struct records **ret,
	struct err *err)
{
	struct records *records = NULL;

	if (code == -ETIMEDOUT)
		return err_set(err, ETIMEDOUT, ERR_IO, PROGRAM " took too long, and was ended");
	if (code == -EFBIG)
		return err_set(err, EFBIG, ERR_IO, PROGRAM " said more than %u bytes, and was ended", RECORD_MAX_BYTES);
	if (code < 0)
		return err_set(err, -code, ERR_IO, "cannot hear " PROGRAM ": %s", strerror(-code));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return explain_end(status, err);
	code = records_parse(answer->data ? answer->data : "", answer->length, &records, err);
	if (code < 0) {
		err_prefix(err, PROGRAM " does not speak the language");
		return code;
	}
	code = check_answers(job, records, err);
	if (code < 0) {
		records_free(records);
		return code;
	}
	*ret = records;
	return 0;
}

static int run(struct probe_job *job, struct launch *launch, struct records **ret, struct err *err)
{
	int64_t deadline = clock_milliseconds() + launch->milliseconds;
	_cleanup_text_ struct text answer = {0};
	struct sigaction before;
	int ends[2];
	int code, status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, ERR_IO, "cannot start " PROGRAM ": %s", strerror(errno));
	launch->answer = ends[1];
	/* Who started us may ignore it, and the kernel tells nobody then how a child ended. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &before);
	child = fork();
	if (child == 0)
		become_program(launch);
	close(ends[1]);
	if (child < 0) {
		code = err_set(err, errno, ERR_IO, "cannot start " PROGRAM ": %s", strerror(errno));
		close(ends[0]);
		sigaction(SIGCHLD, &before, NULL);
		return code;
	}
	code = hear(ends[0], deadline, &answer);
	close(ends[0]);
	if (code < 0)
		kill(child, SIGKILL);
	status = reap(child, deadline);
	sigaction(SIGCHLD, &before, NULL);
	return judge(job, code, status, &answer, ret, err);
}

int probe_run(struct probe_job *job, const struct probe_limits *limits, struct records **ret, struct err *err)
{
	_cleanup_close_ int questions = -1;
	_cleanup_close_ int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int program = -1;
	struct launch launch = {
		.milliseconds = limits && limits->milliseconds ? limits->milliseconds : DEFAULT_MILLISECONDS,
		.memory = limits && limits->memory ? limits->memory : DEFAULT_MEMORY,
		.files = job->files,
		.file_count = job->file_count,
		.nothing = nothing,
	};

	if (!job->count)
		return records_parse("end count=0\n", 12, ret, err);
	program = open_program(err);
	if (program < 0)
		return program;
	questions = write_questions(job, err);
	if (questions < 0)
		return questions;
	launch.program = program;
	launch.questions = questions;
	choose_user(&launch);
	return run(job, &launch, ret, err);
}

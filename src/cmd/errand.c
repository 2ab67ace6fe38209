/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Errands: what takes seconds (a silent server, a name that resolves slowly) is done by a child of watch, while watch
 * itself goes on watching and healing. The child is a copy of us as we were, so whatever we read meanwhile, and
 * whatever policy takes the place of the one before, is none of its business; what it found out it tells as records.
 * What it needed in memory goes with it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch.h"

/* Nothing stays open that is not needed: a netlink socket among them may own our table. `keep` is ascending. */
static void close_others(const int *keep, size_t count)
{
	unsigned int next = STDERR_FILENO + 1;

	for (size_t i = 0; i < count; i++) {
		unsigned int kept = (unsigned int)keep[i];

		if (keep[i] < 0 || kept < next)
			continue;
		if (kept > next)
			close_range(next, kept - 1, 0);
		next = kept + 1;
	}
	close_range(next, ~0U, 0);
}

static _Noreturn void work(pid_t parent, int answer, const int *keep, size_t keep_count, errand_work *run, void *data)
{
	struct text text = {0};
	size_t count = 0;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(answer, STDOUT_FILENO) < 0)
		_exit(1);
	close_others(keep, keep_count);
	run(data, &text, &count);
	record_close(&text, count);
	_exit(write_all(STDOUT_FILENO, text.data, text.length) == 0 ? 0 : 1);
}

int errand_begin(struct errand *errand, errand_work *run, void *data, const int *keep, size_t keep_count,
	double deadline, struct err *err)
{
	pid_t parent = getpid();
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, ERR_IO, "cannot start a child: %s", strerror(errno));
	child = fork();
	if (child == 0)
		work(parent, ends[1], keep, keep_count, run, data);
	close(ends[1]);
	if (child < 0) {
		int code = errno;

		close(ends[0]);
		return err_set(err, code, ERR_IO, "cannot start a child: %s", strerror(code));
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*errand = (struct errand){.child = child, .answer = ends[0], .deadline = deadline};
	return 0;
}

bool errand_is_out(const struct errand *errand)
{
	return errand->child > 0;
}

int errand_descriptor(const struct errand *errand)
{
	return errand_is_out(errand) ? errand->answer : -1;
}

/* Its status, once it is gone. */
static int finish(struct errand *errand)
{
	int status = 0;

	while (waitpid(errand->child, &status, 0) < 0 && errno == EINTR)
		;
	close(errand->answer);
	text_done(&errand->text);
	*errand = (struct errand){0};
	return status;
}

void errand_end(struct errand *errand)
{
	if (!errand_is_out(errand))
		return;
	kill(errand->child, SIGKILL);
	finish(errand);
}

static int give_up(struct errand *errand, int code, const char *why, struct err *err)
{
	errand_end(errand);
	return err_set(err, code, ERR_IO, "the child that asks the server %s", why);
}

int errand_hear(struct errand *errand, double now, struct records **ret, struct err *err)
{
	char buffer[16384];
	ssize_t length;
	int code, status;

	while ((length = read(errand->answer, buffer, sizeof(buffer))) > 0) {
		if (errand->text.length + (size_t)length > RECORD_MAX_BYTES)
			return give_up(errand, EFBIG, "says too much", err);
		for (ssize_t i = 0; i < length; i++)
			text_append_char(&errand->text, buffer[i]);
	}
	if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (now < errand->deadline)
			return -EAGAIN;
		return give_up(errand, ETIMEDOUT, "took too long, and was ended", err);
	}
	struct text text = errand->text;

	errand->text = (struct text){0};
	status = finish(errand);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		code = err_set(err, EPIPE, ERR_IO, "the child that asks the server ended early");
	else
		code = records_parse(text_string(&text), text.length, ret, err);
	text_done(&text);
	return code;
}

void record_relay(const struct record *record, struct text *text, size_t *count)
{
	record_begin(text, record->name);
	for (size_t i = 0; i < record->field_count; i++)
		record_text(text, record->fields[i].name, record->fields[i].value);
	record_end(text);
	++*count;
}

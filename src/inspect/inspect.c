/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The program dflyguard-probe: gives away what it may do, reads its questions, answers. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "inspect.h"

/* Asked by the tests: what is left to this process. */
static void inspect_self(const struct record *question _unused_, struct answer *answer)
{
	answer_begin(answer, "self");
	record_number(answer->text, "uid", getuid());
	record_number(answer->text, "gid", getgid());
	record_number(answer->text, "opens", open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
	answer_end(answer);
}

/* A new kind of question is a row here, and a function in a file of its own. */
static const struct inspector inspectors[] = {
	{"self", inspect_self},
	{"tls-files", inspect_tls_files},
	{"handshake", inspect_handshake},
	{"plaintext", inspect_plaintext},
	{"server", inspect_server},
	{"http", inspect_http},
	{"memcached", inspect_memcached},
	{"secret", inspect_secret},
	{"aclfile", inspect_aclfile},
	{"log", inspect_log},
};

/* --- answers --- */

void answer_begin(struct answer *answer, const char *name)
{
	record_begin(answer->text, name);
	record_number(answer->text, "id", answer->id);
}

void answer_end(struct answer *answer)
{
	record_end(answer->text);
	++*answer->count;
}

void answer_failed(struct answer *answer, const char *format, ...)
{
	char *why = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&why, format, arguments) < 0)
		abort();
	va_end(arguments);
	answer_begin(answer, "failed");
	record_text(answer->text, "why", why);
	answer_end(answer);
	free(why);
}

/* --- questions --- */

int question_descriptor(const struct record *question, const char *name)
{
	int64_t number;

	return record_get_number(question, name, 3, 1024, &number) ? (int)number : -1;
}

int read_whole(int descriptor, size_t maximum, char **ret, size_t *ret_length)
{
	_cleanup_free_ char *bytes = mem_alloc(maximum + 2);
	size_t length = 0;

	while (length <= maximum) {
		ssize_t count = pread(descriptor, bytes + length, maximum + 1 - length, (off_t)length);

		if (count < 0 && errno == ESPIPE)
			count = read(descriptor, bytes + length, maximum + 1 - length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		length += (size_t)count;
	}
	if (length > maximum)
		return -EFBIG;
	bytes[length] = '\0';
	*ret = mem_resize(TAKE_PTR(bytes), length + 1, 1);
	*ret_length = length;
	return 0;
}

int64_t clock_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_for(int descriptor, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd ready = {.fd = descriptor, .events = events};
		int64_t left = deadline - clock_milliseconds();
		int count = left > 0 ? poll(&ready, 1, (int)left) : 0;

		if (count > 0)
			return true;
		if (count == 0 || errno != EINTR)
			return false;
	}
}

int64_t question_deadline(const struct record *question, const char *name, int64_t otherwise)
{
	int64_t milliseconds;

	if (!record_get_number(question, name, 1, 60000, &milliseconds))
		milliseconds = otherwise;
	return clock_milliseconds() + milliseconds;
}

static void answer_question(const struct record *question, struct answer *answer)
{
	size_t before = *answer->count;

	for (size_t i = 0; i < ARRAY_SIZE(inspectors); i++)
		if (strcmp(inspectors[i].name, question->name) == 0)
			inspectors[i].inspect(question, answer);
	if (*answer->count == before)
		answer_failed(answer, "nothing here answers '%s'", question->name);
}

static bool write_all(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(STDOUT_FILENO, bytes, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		bytes += count;
		length -= (size_t)count;
	}
	return true;
}

static int usage(void)
{
	static const char text[] =
		"dflyguard-probe is started by dflyguard, which holds the privileges; see dflyguard(8)\n";

	return write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 1 : 2;
}

int main(int count, char **arguments)
{
	_cleanup_free_ char *bytes = NULL;
	struct records *questions = NULL;
	struct text text = {0};
	size_t answers = 0;
	const char *why = "";
	size_t length;
	struct err err = {0};
	struct stat status;

	if (count != 3 || fstat(STDIN_FILENO, &status) < 0 || !S_ISREG(status.st_mode))
		return usage();
	inspect_tls_prepare();
	if (!sandbox_enter(
		    (uint32_t)strtoul(arguments[1], NULL, 10), (uint32_t)strtoul(arguments[2], NULL, 10), &why) ||
		!sandbox_close(&why))
		return 3;
	if (read_whole(STDIN_FILENO, RECORD_MAX_BYTES, &bytes, &length) < 0 ||
		records_parse(bytes, length, &questions, &err) < 0)
		return 4;
	for (size_t i = 0; i < questions->count; i++) {
		struct answer answer = {.text = &text, .id = record_id(&questions->items[i]), .count = &answers};

		answer_question(&questions->items[i], &answer);
	}
	record_close(&text, answers);
	records_free(questions);
	return write_all(text.data, text.length) ? 0 : 5;
}

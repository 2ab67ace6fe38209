/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The program dflyguard-probe: gives away what it may do, reads its questions, answers. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect.h"

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks at the end takes a thread and ptrace(2), which end a process here. Memory is not given back anyway:
 * the program lives for one answer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* What a call gives away of itself: 0 where it succeeded, else errno. */
static int code_of(int result)
{
	return result < 0 ? errno : 0;
}

/* Asked by the tests: what is left to this process. What ends it instead of being refused, test_sandbox.c tries. */
static void inspect_self(const struct record *question, struct answer *answer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int descriptor = question_descriptor(question, "fd");

	answer_begin(answer, "self");
	record_number(answer->text, "uid", getuid());
	record_number(answer->text, "gid", getgid());
	record_number(answer->text, "open", code_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC)));
	record_number(answer->text, "socket", code_of(socket(AF_INET, SOCK_STREAM, 0)));
	record_number(answer->text, "unix", code_of(socket(AF_UNIX, SOCK_STREAM, 0)));
	record_number(
		answer->text, "connect", code_of(connect(descriptor, (struct sockaddr *)&address, sizeof(address))));
	record_number(answer->text, "access", code_of(access("/etc/passwd", R_OK)));
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

/* Whoever is asked may say as much as he likes. What one says must not take the others' place in the whole, which is
 * bounded, so that nothing would be known of anybody. */
static void bound_answer(struct answer *answer, size_t count, size_t length, size_t share)
{
	if (answer->text->length - length <= share)
		return;
	answer->text->length = length;
	answer->text->data[length] = '\0';
	*answer->count = count;
	answer_failed(answer, "what came is more than is looked at");
}

static void answer_question(const struct record *question, struct answer *answer, size_t share)
{
	size_t before = *answer->count;
	size_t length = answer->text->length;

	for (size_t i = 0; i < ARRAY_SIZE(inspectors); i++)
		if (strcmp(inspectors[i].name, question->name) == 0)
			inspectors[i].inspect(question, answer);
	if (*answer->count == before)
		answer_failed(answer, "nothing here answers '%s'", question->name);
	bound_answer(answer, before, length, share);
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
	size_t length;
	size_t share;
	struct err err = {0};
	struct stat status;

	if (count != 3 || fstat(STDIN_FILENO, &status) < 0 || !S_ISREG(status.st_mode))
		return usage();
	inspect_tls_prepare();
	/* What these numbers mean, probe_run.c tells. */
	if (!sandbox_enter((uint32_t)strtoul(arguments[1], NULL, 10), (uint32_t)strtoul(arguments[2], NULL, 10)))
		return PROBE_EXIT_PRIVILEGED;
	if (!sandbox_close())
		return PROBE_EXIT_OPEN;
	if (read_whole(STDIN_FILENO, RECORD_MAX_BYTES, &bytes, &length) < 0 ||
		records_parse(bytes, length, &questions, &err) < 0)
		return 4;
	/* Of all but the last line, and the words of who said too much. */
	share = RECORD_MAX_BYTES / (questions->count + 1) - 256;
	for (size_t i = 0; i < questions->count; i++) {
		struct answer answer = {.text = &text, .id = record_id(&questions->items[i]), .count = &answers};

		answer_question(&questions->items[i], &answer, share);
	}
	record_close(&text, answers);
	records_free(questions);
	return write_all(STDOUT_FILENO, text.data, text.length) == 0 ? 0 : 5;
}

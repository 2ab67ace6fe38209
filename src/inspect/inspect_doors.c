/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Other doors of a server. Question `http`: `fd`, for TLS as in session.h, `path`, `milliseconds`; one GET, and the
 * answer `http` with `status` (0: what came is no HTTP) and `authenticate`=1 where it asks for a password. Only the
 * paths below are asked: /flagz never, since it shows passwords, and asking it can change settings (dragonfly-facts.md
 * 5).
 *
 * Question `memcached`: `fd`, for TLS as in session.h, `milliseconds`; sends `version`, and answers `memcached` with
 * `outcome`: served (`said`), refused (`said`), closed.
 */

#include <string.h>

#include "session.h"

#define DEFAULT_MILLISECONDS 2000
#define HEAD		     4096u

static const char *const paths[] = {"/", "/metrics", "/healthz"};

static bool may_ask(const char *path)
{
	for (size_t i = 0; path && i < ARRAY_SIZE(paths); i++)
		if (strcmp(paths[i], path) == 0)
			return true;
	return false;
}

/* Until `end` comes. */
static size_t read_head(struct session *session, char *buffer, size_t size, const char *end)
{
	size_t length = 0;
	size_t count;

	buffer[0] = '\0';
	while (length + 1 < size && !strstr(buffer, end)) {
		count = session_read(session, buffer + length, size - 1 - length);
		if (!count)
			break;
		length += count;
		buffer[length] = '\0';
	}
	return length;
}

static int status_of(const char *head)
{
	int status = 0;

	if (sscanf(head, "HTTP/1.%*1[01] %3d", &status) != 1)
		return 0;
	return status;
}

void inspect_http(const struct record *question, struct answer *answer)
{
	struct session session = {.descriptor = question_descriptor(question, "fd"),
		.deadline = question_deadline(question, "milliseconds", DEFAULT_MILLISECONDS)};
	const char *path = record_get(question, "path");
	_cleanup_free_ char *request = NULL;
	char head[HEAD];

	if (session.descriptor < 0 || !may_ask(path)) {
		answer_failed(answer, "there is no connection, or a path that is never asked");
		return;
	}
	request = mem_format("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	head[0] = '\0';
	if (session_connect(&session, question) && session_write(&session, request, strlen(request)))
		read_head(&session, head, sizeof(head), "\r\n\r\n");
	/* Who ends the connection does not speak it; who says nothing may. */
	if (!head[0] && clock_milliseconds() >= session.deadline) {
		answer_failed(answer, "nothing came in time");
		session_done(&session);
		return;
	}
	answer_begin(answer, "http");
	record_text(answer->text, "path", path);
	record_number(answer->text, "status", status_of(head));
	record_number(answer->text, "authenticate", strcasestr(head, "\nWWW-Authenticate:") != NULL);
	answer_end(answer);
	session_done(&session);
}

void inspect_memcached(const struct record *question, struct answer *answer)
{
	static const char version[] = "version\r\n";
	struct session session = {.descriptor = question_descriptor(question, "fd"),
		.deadline = question_deadline(question, "milliseconds", DEFAULT_MILLISECONDS)};
	char said[512];
	size_t length = 0;

	if (session.descriptor < 0) {
		answer_failed(answer, "there is no connection");
		return;
	}
	if (session_connect(&session, question) && session_write(&session, version, sizeof(version) - 1))
		length = read_head(&session, said, sizeof(said), "\n");
	answer_begin(answer, "memcached");
	record_text(answer->text, "outcome",
		!length				    ? "closed"
		: strncmp(said, "VERSION ", 8) == 0 ? "served"
						    : "refused");
	if (length)
		record_bytes(answer->text, "said", said, first_line(said, length));
	answer_end(answer);
	session_done(&session);
}

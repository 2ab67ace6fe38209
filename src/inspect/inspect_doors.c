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

/* Until `end` comes, or something that does not begin with `begin`: who speaks another language may wait for more. */
static size_t read_head(struct session *session, char *buffer, size_t size, const char *begin, const char *end)
{
	size_t length = 0;
	size_t count;

	buffer[0] = '\0';
	while (length + 1 < size && !strstr(buffer, end) &&
		strncmp(buffer, begin, length < strlen(begin) ? length : strlen(begin)) == 0) {
		count = session_read(session, buffer + length, size - 1 - length);
		if (!count)
			break;
		length += count;
		buffer[length] = '\0';
	}
	return length;
}

/* Says `request`, and hears up to `end`. False where what was heard tells nothing; that is answered, then. */
static bool enter(struct session *session, const struct record *question, struct answer *answer, const char *request,
	char *buffer, size_t size, const char *begin, const char *end, size_t *ret_length)
{
	const char *why = NULL;

	*ret_length = 0;
	buffer[0] = '\0';
	if (!session_connect(session, question)) {
		/* Who has no certificate is not served; anybody else may be. */
		why = session->asked && !session_late(session) ? NULL : "no handshake succeeds";
	} else if (session_write(session, request, strlen(request))) {
		*ret_length = read_head(session, buffer, size, begin, end);
	}
	if (!why && !*ret_length && session_late(session))
		why = "nothing came in time";
	else if (!session->ssl && wants_tls(buffer, *ret_length))
		why = "it wants TLS";
	if (!*ret_length && session_late(session))
		question_was_silent(question);
	if (!why)
		return true;
	answer_failed(answer, "%s", why);
	session_done(session);
	return false;
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
		.deadline = question_deadline(question, DEFAULT_MILLISECONDS)};
	const char *path = record_get(question, "path");
	_cleanup_free_ char *request = NULL;
	char head[HEAD];
	size_t length;

	if (session.descriptor < 0 || !may_ask(path)) {
		answer_failed(answer, "there is no connection, or a path that is never asked");
		return;
	}
	request = mem_format("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	/* Who ends the connection does not speak it; who says nothing may. */
	if (!enter(&session, question, answer, request, head, sizeof(head), "HTTP/", "\r\n\r\n", &length))
		return;
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
		.deadline = question_deadline(question, DEFAULT_MILLISECONDS)};
	char said[512];
	size_t length = 0;

	if (session.descriptor < 0) {
		answer_failed(answer, "there is no connection");
		return;
	}
	if (!enter(&session, question, answer, version, said, sizeof(said), "", "\n", &length))
		return;
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

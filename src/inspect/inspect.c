/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What all kinds of questions need: their descriptors and times, and their answers. */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "inspect.h"

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

/* The `port` of the last question that was met with silence, and how long its others may take. */
#define HURRIED_MILLISECONDS 200
static int64_t silent_port = -1;

static int64_t port_of(const struct record *question)
{
	int64_t port;

	return record_get_number(question, "port", 0, 1000000, &port) ? port : -1;
}

int64_t question_deadline(const struct record *question, int64_t otherwise)
{
	int64_t milliseconds;

	if (silent_port >= 0 && port_of(question) == silent_port)
		milliseconds = HURRIED_MILLISECONDS;
	else if (!record_get_number(question, "milliseconds", 1, 60000, &milliseconds))
		milliseconds = otherwise;
	return clock_milliseconds() + milliseconds;
}

void question_was_silent(const struct record *question)
{
	silent_port = port_of(question);
}

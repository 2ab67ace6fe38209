/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "err.h"

static void _printf_(5, 0)
	fill(struct err *err, int code, enum err_stage stage, struct srcloc place, const char *format, va_list list)
{
	*err = (struct err){.code = code, .stage = stage, .line = place.line};
	if (place.file)
		snprintf(err->file, sizeof(err->file), "%s", place.file);
	vsnprintf(err->message, sizeof(err->message), format, list);
}

int err_set(struct err *err, int code, enum err_stage stage, const char *format, ...)
{
	va_list arguments;

	if (err) {
		va_start(arguments, format);
		fill(err, code, stage, (struct srcloc){0}, format, arguments);
		va_end(arguments);
	}
	return -code;
}

int err_set_at(struct err *err, int code, enum err_stage stage, struct srcloc place, const char *format, ...)
{
	va_list arguments;

	if (err) {
		va_start(arguments, format);
		fill(err, code, stage, place, format, arguments);
		va_end(arguments);
	}
	return -code;
}

void err_hint(struct err *err, const char *format, ...)
{
	va_list arguments;

	if (!err || err->hint[0])
		return;
	va_start(arguments, format);
	vsnprintf(err->hint, sizeof(err->hint), format, arguments);
	va_end(arguments);
}

void err_prefix(struct err *err, const char *format, ...)
{
	char message[sizeof(err->message) / 2];
	va_list arguments;
	int used;

	if (!err)
		return;
	snprintf(message, sizeof(message), "%.*s", (int)sizeof(message) - 1, err->message);
	va_start(arguments, format);
	used = vsnprintf(err->message, sizeof(err->message), format, arguments);
	va_end(arguments);
	if (used >= 0 && (size_t)used < sizeof(err->message))
		snprintf(err->message + used, sizeof(err->message) - (size_t)used, ": %.500s", message);
}

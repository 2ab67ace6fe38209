/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as lines of a server's log: nothing may crash, and whatever stands there, what is told is short, printable,
 * and has no address but of clients. */

#include "inspect/log_line.h"
#include "replay.h"

static void check_line(const char *bytes, size_t length)
{
	struct log_line line;
	/* Of exactly that size, so that a sanitizer sees what reads behind its end. */
	_cleanup_free_ char *copy = mem_alloc(length + !length);

	if (length)
		memcpy(copy, bytes, length);
	log_line_read(copy, length, &line);
	require(line.kind < LOG_KIND_COUNT);
	require(memchr(line.text, '\0', sizeof(line.text)) && memchr(line.time, '\0', sizeof(line.time)));
	for (const char *byte = line.text; *byte; byte++)
		require(*byte >= 0x20 && *byte < 0x7f);
	for (const char *byte = line.time; *byte; byte++)
		require(strchr("0123456789-: ", *byte));
	require(log_kind_name(line.kind) || (!line.has_peer && !line.text[0]));
	/* The wildcard is nobody, but what one may listen on. */
	require(!line.has_peer || line.kind == LOG_KIND_LISTENING || value_compare(line.address, value_zero()) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	const char *end = at + size;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		stop = stop ? stop : end;
		check_line(at, (size_t)(stop - at));
		at = stop < end ? stop + 1 : end;
	}
	check_line("", 0);
	return 0;
}

#ifndef FUZZING_ENGINE
int main(int count, char **arguments)
{
	return replay_main(count, arguments);
}
#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bytes of a server's flagfile, for intention_read(). */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

int flagfile_read(_unused_ void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	/* A pipe that nobody writes to must not hold us up. */
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = mem_alloc(FLAGS_MAX_TEXT + 1);
	size_t length = 0;
	struct stat status;
	ssize_t got = 0;
	int code;

	if (file < 0 || fstat(file, &status) < 0) {
		code = errno;
		snprintf(why, INTERVAL_WHY, "%s", strerror(code));
		return -code;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(why, INTERVAL_WHY, "it is not a file");
		return S_ISDIR(status.st_mode) ? -EISDIR : -ENOTSUP;
	}
	while (length <= FLAGS_MAX_TEXT && (got = read(file, text + length, FLAGS_MAX_TEXT + 1 - length)) > 0)
		length += (size_t)got;
	if (got < 0) {
		code = errno;
		snprintf(why, INTERVAL_WHY, "%s", strerror(code));
		return -code;
	}
	if (length > FLAGS_MAX_TEXT) {
		snprintf(why, INTERVAL_WHY, "it is longer than %u bytes", FLAGS_MAX_TEXT);
		return -EFBIG;
	}
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

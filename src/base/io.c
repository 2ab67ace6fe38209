/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base.h"

int write_all(int descriptor, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t count = write(descriptor, at, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		at += count;
		length -= (size_t)count;
	}
	return 0;
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

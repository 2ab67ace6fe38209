/* SPDX-License-Identifier: GPL-3.0-or-later */

/* --metrics FILE: whoever reads the file sees all of the old one or all of the new one. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

void metrics_count(const struct changeset *changes, size_t *counts)
{
	memset(counts, 0, (CHANGE_MOVE + 1) * sizeof(*counts));
	for (size_t i = 0; i < changes->count; i++)
		counts[changes->changes[i].kind]++;
}

static int cannot(const char *path, struct err *err)
{
	int code = errno;

	err_set(err, code, ERR_IO, "cannot write the metrics to %s: %s", path, strerror(code));
	err_hint(err, "--metrics wants a file in a folder that is there and can be written");
	return -code;
}

int metrics_write(const char *path, const struct report_metrics *metrics, struct err *err)
{
	/* Not *.prom, which is what node_exporter reads. */
	_cleanup_free_ char *temporary = mem_format("%s.new", path);
	int descriptor;
	FILE *stream;
	bool good;

	/* What an earlier run left when it was killed. Never through a link. */
	unlink(temporary);
	descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (descriptor < 0)
		return cannot(path, err);
	/* For the exporter, who is somebody else, whatever the umask. */
	good = fchmod(descriptor, 0644) == 0;
	stream = fdopen(descriptor, "w");
	if (!stream) {
		cannot(path, err);
		close(descriptor);
		unlink(temporary);
		return -err->code;
	}
	report_metrics(stream, metrics);
	good = !ferror(stream) && good;
	if (fclose(stream) == 0 && good && rename(temporary, path) == 0)
		return 0;
	cannot(path, err);
	unlink(temporary);
	return err && err->code ? -err->code : -EIO;
}

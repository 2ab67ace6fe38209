/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A flagfile, as the process sees it that was told to read it. Whoever starts a program can call it dragonfly and name
 * any file, so that what we may read and he may not would come out in our findings: the policy's flagfile is read in
 * our own name, any other in the name of the process's user, and below the root folder that the process has.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "facts.h"

static int why_not(char *why, int code)
{
	snprintf(why, INTERVAL_WHY, "%s", strerror(code));
	return -code;
}

/* No link leads out of `root`, and none of /proc out of the process. */
static int open_below(int root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The kernel's answer to a uid that is none is the one in force: setfsuid(2). */
static bool become(uid_t uid)
{
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid;
}

static bool become_group(gid_t gid)
{
	setfsgid(gid);
	return (gid_t)setfsgid((gid_t)-1) == gid;
}

/* Our other groups stay with us, and may be root's. */
static bool may_read(const struct stat *status, uid_t uid, gid_t gid)
{
	if (status->st_uid == uid)
		return status->st_mode & S_IRUSR;
	if (status->st_gid == gid)
		return status->st_mode & S_IRGRP;
	return status->st_mode & S_IROTH;
}

static int open_as(int root, const char *path, uid_t uid, gid_t gid, char *why)
{
	uid_t own_uid = geteuid();
	gid_t own_gid = getegid();
	struct stat status;
	int descriptor = -1;
	int code = EPERM;

	if (become_group(gid) && become(uid)) {
		descriptor = open_below(root, path);
		code = errno;
	}
	become(own_uid);
	become_group(own_gid);
	if (descriptor < 0)
		return why_not(why, code);
	if (fstat(descriptor, &status) < 0 || !may_read(&status, uid, gid)) {
		close(descriptor);
		return why_not(why, EACCES);
	}
	return descriptor;
}

/* In the policy's own words, so that nobody else chose it. */
static bool is_ours(const struct flagfile *file, const char *path)
{
	return !file->process || (!file->process->container.text && strcmp(path, file->policy->service.flagfile) == 0);
}

/* The effective group. The owner of /proc/PID will not do: it is root's, where the process may not be dumped. */
static bool read_group(const struct process *process, gid_t *ret)
{
	_cleanup_free_ char *path = mem_format("/proc/%u/status", process->pid);
	_cleanup_file_ FILE *stream = fopen(path, "re");
	char line[512];
	unsigned int gid;

	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, "Gid: %*u %u", &gid) == 1) {
			*ret = gid;
			return true;
		}
	return false;
}

static int open_flagfile(const struct flagfile *file, const char *path, char *why)
{
	const struct process *process = file->process;
	_cleanup_free_ char *name = process ? mem_format("/proc/%u/root", process->pid) : mem_string("/");
	_cleanup_close_ int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int descriptor;
	gid_t gid;

	if (root < 0)
		return why_not(why, errno == ENOENT ? ESRCH : errno);
	if (process && !is_ours(file, path) && geteuid() == 0 && !(process->uid_known && process->uid == 0)) {
		if (!process->uid_known || !read_group(process, &gid))
			return why_not(why, EACCES);
		return open_as(root, path, process->uid, gid, why);
	}
	descriptor = open_below(root, path);
	return descriptor < 0 ? why_not(why, errno) : descriptor;
}

static int read_all(int descriptor, char **ret, size_t *ret_length, char *why)
{
	_cleanup_free_ char *text = mem_alloc(FLAGS_MAX_TEXT + 1);
	size_t length = 0;

	while (length <= FLAGS_MAX_TEXT) {
		ssize_t n = read(descriptor, text + length, FLAGS_MAX_TEXT + 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_not(why, errno);
		if (n == 0)
			break;
		length += (size_t)n;
	}
	if (length > FLAGS_MAX_TEXT)
		return why_not(why, EFBIG);
	text = mem_resize(text, length + 1, 1);
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

int flagfile_read(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	const struct flagfile *file = data;
	const char *folder = file->process ? file->process->directory.text : "/";
	_cleanup_free_ char *absolute = NULL;
	_cleanup_close_ int descriptor = -1;
	struct stat status;

	if (path[0] != '/' && !folder) {
		snprintf(why, INTERVAL_WHY, "the folder that it is relative to is not known");
		return -EACCES;
	}
	absolute = path[0] == '/' ? mem_string(path) : mem_format("%s/%s", folder, path);
	descriptor = open_flagfile(file, absolute, why);
	if (descriptor < 0)
		return descriptor;
	if (fstat(descriptor, &status) < 0)
		return why_not(why, errno);
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode)) {
		snprintf(why, INTERVAL_WHY, "it is no regular file");
		return -EACCES;
	}
	return read_all(descriptor, ret, ret_length, why);
}

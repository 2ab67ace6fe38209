/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A flagfile, as the process sees it that was told to read it. Whoever starts a program can call it dragonfly and name
 * any file, so that what we may read and he may not would come out in our findings: the policy's flagfile is read in
 * our own name, any other in the name of the process's user, and below the root folder that the process has.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "below.h"
#include "facts.h"

/* Nobody makes us wait. */
#define FLAGS_TO_READ (O_RDONLY | O_NONBLOCK | O_NOCTTY)

static int why_not(char *why, int code)
{
	snprintf(why, INTERVAL_WHY, "%s", strerror(code));
	return -code;
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
		descriptor = open_below(root, path, FLAGS_TO_READ, BELOW_ROOT);
		code = -descriptor;
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

/* The policy names it, so that nobody else chose it; and it is the file that we see under this name. Whoever may make a
 * mount namespace can mount any file there, also one that he may not read. */
static bool is_ours(const struct flagfile *file, const char *path, int root)
{
	_cleanup_close_ int ours = -1;
	_cleanup_close_ int theirs = -1;
	struct stat a;
	struct stat b;

	if (strcmp(path, file->policy->service.flagfile) != 0)
		return false;
	ours = open(path, O_PATH | O_CLOEXEC);
	theirs = open_below(root, path, O_PATH, BELOW_ROOT);
	return ours >= 0 && theirs >= 0 && fstat(ours, &a) == 0 && fstat(theirs, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
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
		return why_not(why, errno == ENOENT ? ESRCH : errno == EACCES ? EPERM : errno);
	if (process && geteuid() == 0 && !(process->uid_known && process->uid == 0) && !is_ours(file, path, root)) {
		if (!process->uid_known || !read_group(process, &gid))
			return why_not(why, EPERM);
		return open_as(root, path, process->uid, gid, why);
	}
	descriptor = open_below(root, path, FLAGS_TO_READ, BELOW_ROOT);
	return descriptor < 0 ? why_not(why, -descriptor) : descriptor;
}

int flagfile_open(const struct flagfile *file, const char *path, char *why)
{
	const char *folder = file->process ? file->process->directory.text : "/";
	_cleanup_free_ char *absolute = NULL;

	if (path[0] != '/' && !folder) {
		snprintf(why, INTERVAL_WHY, "the folder that it is relative to is not known");
		return -EPERM;
	}
	absolute = path[0] == '/' ? mem_string(path) : mem_format("%s/%s", folder, path);
	return open_flagfile(file, absolute, why);
}

int flagfile_read(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	struct flagfile *file = data;
	_cleanup_close_ int descriptor = flagfile_open(file, path, why);
	struct stat status;
	int code;

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
	code = read_whole(descriptor, FLAGS_MAX_TEXT, ret, ret_length);
	if (code < 0)
		return why_not(why, -code);
	file->status = mem_resize(file->status, file->status_count + 1, sizeof(*file->status));
	file->status[file->status_count++] =
		(struct flag_file){.mode = status.st_mode & 07777, .uid = status.st_uid, .gid = status.st_gid};
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "below.h"

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */
#define MAX_DEPTH 64

/* The folders from the first one to where we are, so that ".." never asks the file system, which may be changed by
 * then. */
struct walk {
	int folders[MAX_DEPTH];
	size_t depth; /* at least 1: the first is the caller's, and stays open */
	enum below below;
	unsigned int links;
};

static void walk_up(struct walk *walk)
{
	if (walk->depth > 1)
		close(walk->folders[--walk->depth]);
}

static void walk_done(struct walk *walk)
{
	while (walk->depth > 1)
		walk_up(walk);
}

static int here(const struct walk *walk)
{
	return walk->folders[walk->depth - 1];
}

/* A link of /proc may be one that is no path: none of them is followed. */
static bool in_proc(int folder)
{
	struct statfs status;

	return fstatfs(folder, &status) < 0 || status.f_type == PROC_SUPER_MAGIC;
}

/* Puts what the link says in front of what is left. */
static int follow(struct walk *walk, int link, char **rest)
{
	char target[PATH_MAX];
	ssize_t length;

	if (++walk->links > MAX_LINKS || in_proc(here(walk)))
		return -ELOOP;
	length = readlinkat(link, "", target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	if ((size_t)length == sizeof(target) - 1)
		return -ENAMETOOLONG;
	target[length] = '\0';
	if (target[0] == '/') {
		if (walk->below == BELOW_ONLY)
			return -EXDEV;
		walk_done(walk);
	}
	char *joined = mem_format("%s/%s", target, *rest);

	free(*rest);
	*rest = joined;
	return strlen(joined) < (size_t)4 * PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* One name, not the last one, or the last one where it is a link. -EAGAIN: it is the last, and no link. */
static int step(struct walk *walk, const char *name, bool last, int flags, char **rest)
{
	struct stat status;
	int descriptor = openat(here(walk), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int code;

	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &status) < 0)
		code = -errno;
	else if (S_ISLNK(status.st_mode) && !(last && (flags & O_NOFOLLOW)))
		code = follow(walk, descriptor, rest);
	else if (last)
		code = -EAGAIN;
	else if (!S_ISDIR(status.st_mode))
		code = -ENOTDIR;
	else if (walk->depth == MAX_DEPTH)
		code = -ENAMETOOLONG;
	else {
		walk->folders[walk->depth++] = descriptor;
		return 0;
	}
	close(descriptor);
	return code;
}

/* Cuts the first name off; what is left, without slashes in front, becomes `rest`. NULL: there is none. */
static char *next_name(char **rest)
{
	char *from = *rest + strspn(*rest, "/");
	size_t length = strcspn(from, "/");
	char *name = length ? mem_stringn(from, length) : NULL;
	char *left = mem_string(from + length + strspn(from + length, "/"));

	free(*rest);
	*rest = left;
	return name;
}

static int walk_path(struct walk *walk, char **rest, int flags)
{
	for (;;) {
		_cleanup_free_ char *name = next_name(rest);
		int code;

		/* The folder itself, as "/" or what ends with "..". */
		if (!name) {
			int folder = openat(here(walk), ".", flags | O_CLOEXEC);

			return folder < 0 ? -errno : folder;
		}
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			if (walk->depth == 1 && walk->below == BELOW_ONLY)
				return -EXDEV;
			walk_up(walk);
			continue;
		}
		code = step(walk, name, !**rest, flags, rest);
		if (code == -EAGAIN) {
			int descriptor = openat(here(walk), name, flags | O_NOFOLLOW | O_CLOEXEC);

			return descriptor < 0 ? -errno : descriptor;
		}
		if (code < 0)
			return code;
	}
}

int open_below_by_steps(int directory, const char *path, int flags, enum below below)
{
	struct walk walk = {.folders = {directory}, .depth = 1, .below = below};
	char *rest;
	int code;

	if (!*path)
		return -ENOENT;
	if (path[0] == '/' && below == BELOW_ONLY)
		return -EXDEV;
	rest = mem_string(path);
	code = walk_path(&walk, &rest, flags);
	walk_done(&walk);
	free(rest);
	return code;
}

int open_below(int directory, const char *path, int flags, enum below below)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = (below == BELOW_ROOT ? RESOLVE_IN_ROOT : RESOLVE_BENEATH) | RESOLVE_NO_MAGICLINKS};
	/* glibc 2.36 has no wrapper. */
	long descriptor = syscall(SYS_openat2, directory, path, &how, sizeof(how));

	if (descriptor >= 0)
		return (int)descriptor;
	/* Not in this kernel, or kept from us by a filter. */
	if (errno == ENOSYS || errno == EPERM)
		return open_below_by_steps(directory, path, flags, below);
	return -errno;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where the guard is: the folder of its pins, and the cgroup that it is attached to. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bindguard_private.h"

#define BPFFS  "/sys/fs/bpf"
#define PARENT BPFFS "/dflyguard"

/* SO_NETNS_COOKIE came with Linux 5.14, and Debian's older headers do not have it. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

bool place_name(struct place *ret)
{
	socklen_t length = sizeof(ret->space);
	_cleanup_close_ int any = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret = (struct place){.cgroup = -1};
	if (any < 0 || getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &ret->space, &length) < 0 || !ret->space)
		return false;
	snprintf(ret->folder, sizeof(ret->folder), PARENT "/%" PRIu64, ret->space);
	return true;
}

const char *place_path(const struct place *place, const char *name, char *buffer)
{
	snprintf(buffer, PLACE_PATH, "%s/%s", place->folder, name);
	return buffer;
}

/* "\040" and the like, as mountinfo writes what would end a field. In place. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
			from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE OPTIONS" (proc(5)). Where the root is "/", what is mounted is
 * all that this process can see of the hierarchy. NULL: it is another one. */
static char *root_mount(char *line)
{
	char *fields[6] = {NULL};
	char *rest = line;
	char *type = strstr(line, " - cgroup2 ");

	if (!type)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(fields) && rest; i++)
		fields[i] = strsep(&rest, " ");
	if (!fields[5] || strcmp(fields[3], "/") != 0)
		return NULL;
	unescape(fields[4]);
	return fields[4];
}

/* Another filesystem may be mounted over it; then it is not what it says. */
static int open_cgroup(const char *path, uint64_t *ret_id)
{
	int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs filesystem;
	struct stat status;

	if (cgroup < 0)
		return -1;
	if (fstatfs(cgroup, &filesystem) == 0 && filesystem.f_type == CGROUP2_SUPER_MAGIC &&
		fstat(cgroup, &status) == 0) {
		*ret_id = status.st_ino;
		return cgroup;
	}
	close(cgroup);
	return -1;
}

static int find_cgroup(struct place *place, struct err *err)
{
	_cleanup_file_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (mounts && place->cgroup < 0 && getline(&line, &size, mounts) > 0) {
		const char *path = root_mount(line);

		if (path)
			place->cgroup = open_cgroup(path, &place->cgroup_id);
	}
	if (place->cgroup >= 0)
		return 0;
	err_set(err, EOPNOTSUPP, ERR_IO, "bind_guard needs the cgroup v2 hierarchy, and it is not mounted here");
	err_hint(err, "mount it: mount -t cgroup2 none /sys/fs/cgroup/unified; or write bind_guard = off");
	return -EOPNOTSUPP;
}

int place_open(struct place *ret, struct err *err)
{
	struct statfs filesystem;

	if (!place_name(ret)) {
		err_set(err, EOPNOTSUPP, ERR_IO, "bind_guard needs cookies of network namespaces, as Linux 5.14 has");
		err_hint(err, "use a newer kernel, or write bind_guard = off");
		return -EOPNOTSUPP;
	}
	if (statfs(BPFFS, &filesystem) < 0 || filesystem.f_type != BPF_FS_MAGIC) {
		err_set(err, EOPNOTSUPP, ERR_IO, "bind_guard needs a bpf filesystem at " BPFFS ", and none is mounted");
		err_hint(err, "mount -t bpf bpf " BPFFS ", as systemd does; or write bind_guard = off");
		return -EOPNOTSUPP;
	}
	return find_cgroup(ret, err);
}

void place_done(const struct place *place)
{
	if (place->cgroup >= 0)
		close(place->cgroup);
}

/* A bpf filesystem may be for everybody to write to (mode 1777, unless whoever mounts it says otherwise). What lies in
 * a folder that somebody else could change is none of ours: not to be read, and not to be removed by root. */
bool place_is_ours(void)
{
	struct stat status;

	return lstat(PARENT, &status) == 0 && S_ISDIR(status.st_mode) &&
	       (status.st_uid == 0 || status.st_uid == geteuid()) && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

bool bindguard_remains(void)
{
	struct place place;

	return place_is_ours() && place_name(&place) && access(place.folder, F_OK) == 0;
}

uint64_t bindguard_trace(void)
{
	static const char *const pins[] = {"bind4", "bind6", PIN_RULES};
	_cleanup_text_ struct text text = {0};
	char path[PLACE_PATH];
	struct place place;

	if (!place_name(&place))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
		struct stat status = {0};

		if (stat(place_path(&place, pins[i], path), &status) < 0)
			status = (struct stat){0};
		text_printf(&text, "%ju %jd.%09ld ", (uintmax_t)status.st_ino, (intmax_t)status.st_ctim.tv_sec,
			status.st_ctim.tv_nsec);
	}
	return text_hash(&text);
}

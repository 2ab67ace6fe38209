/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner.h"

/* Longer than any line of /proc/net/netlink. */
#define LINE_ROOM 512
/* A process with more open files is not looked through to its end. */
#define FILES_LIMIT 65536u

/* --- port to socket --- */

/* One line of netlink_native_seq_show() in net/netlink/af_netlink.c: sk, protocol, port, ..., inode as the last. */
static bool read_line(const char *line, uint32_t port, uint64_t *ret_inode)
{
	uint32_t protocol;
	uint32_t number;
	uint64_t inode;

	/* %K of the first column prints only hexadecimal digits. */
	if (sscanf(line, "%*s %" SCNu32 " %" SCNu32 " %*s %*s %*s %*s %*s %*s %" SCNu64, &protocol, &number, &inode) !=
		3)
		return false;
	*ret_inode = inode;
	return protocol == NETLINK_NETFILTER && number == port;
}

/* 0: there is none. */
static uint64_t find_inode(const char *proc, uint32_t port, struct owner *ret)
{
	_cleanup_free_ char *path = mem_format("%s/self/net/netlink", proc);
	FILE *file = fopen(path, "re");
	char line[LINE_ROOM];
	uint64_t inode = 0;
	bool found = false;

	if (!file) {
		snprintf(ret->why, sizeof(ret->why), "/proc/net/netlink: %s", strerror(errno));
		return 0;
	}
	while (!found && fgets(line, sizeof(line), file))
		found = read_line(line, port, &inode);
	fclose(file);
	if (!found)
		snprintf(ret->why, sizeof(ret->why), "no socket of this network namespace has port id %" PRIu32, port);
	return found ? inode : 0;
}

/* --- socket to process --- */

/* 1: it holds the socket. 0: not. -1: we may not look. */
static int holds(const char *proc, const char *process, const char *socket)
{
	_cleanup_free_ char *path = mem_format("%s/%s/fd", proc, process);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int answer = 0;

	if (!directory)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	for (unsigned int i = 0; answer == 0 && i < FILES_LIMIT && (entry = readdir(directory)); i++) {
		char target[64];
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		if (length < 0 && (errno == EACCES || errno == EPERM))
			answer = -1;
		if (length <= 0)
			continue;
		target[length] = '\0';
		if (strcmp(target, socket) == 0)
			answer = 1;
	}
	closedir(directory);
	return answer;
}

static void name(const char *proc, const char *process, struct owner *ret)
{
	_cleanup_free_ char *path = mem_format("%s/%s/comm", proc, process);
	_cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = descriptor < 0 ? 0 : read(descriptor, ret->program, sizeof(ret->program) - 1);

	ret->process = (uint32_t)strtoul(process, NULL, 10);
	ret->program[length > 0 ? length : 0] = '\0';
	ret->program[strcspn(ret->program, "\n")] = '\0';
	ret->ours = strcmp(ret->program, OWNER_PROGRAM) == 0;
}

static bool is_number(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text;
}

static bool search(const char *proc, const char *socket, bool *hidden, struct owner *ret)
{
	DIR *directory = opendir(proc);
	const struct dirent *entry;
	bool found = false;

	if (!directory)
		return false;
	while (!found && (entry = readdir(directory))) {
		int answer = is_number(entry->d_name) ? holds(proc, entry->d_name, socket) : 0;

		*hidden = *hidden || answer < 0;
		found = answer > 0;
		if (found)
			name(proc, entry->d_name, ret);
	}
	closedir(directory);
	return found;
}

void owner_find(const char *proc, uint32_t port, struct owner *ret)
{
	_cleanup_free_ char *likely = mem_format("%" PRIu32, port);
	_cleanup_free_ char *socket = NULL;
	bool hidden = false;
	uint64_t inode;

	*ret = (struct owner){.port = port};
	inode = find_inode(proc, port, ret);
	if (!inode)
		return;
	socket = mem_format("socket:[%" PRIu64 "]", inode);
	if (holds(proc, likely, socket) > 0)
		name(proc, likely, ret);
	else if (!search(proc, socket, &hidden, ret))
		snprintf(ret->why, sizeof(ret->why),
			hidden ? "the files of some processes are hidden from us, so it is not known who has the socket"
			       : "no process that can be seen from here has the socket");
}

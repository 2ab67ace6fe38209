/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where servers write their logs: folders are opened as flagfiles are, in the name of the server's user. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "facts.h"

/* Names in a folder that are looked at. */
#define NAMES_MOST 20000u

int log_folder_open(const struct policy *policy, const struct process *process, const char *folder, char *why)
{
	struct flagfile whose = {.process = process, .policy = policy};
	int descriptor = flagfile_open(&whose, folder, why);
	struct stat status;

	if (descriptor >= 0 && (fstat(descriptor, &status) < 0 || !S_ISDIR(status.st_mode))) {
		snprintf(why, INTERVAL_WHY, "%.128s is no folder", folder);
		close(descriptor);
		return -ENOTDIR;
	}
	return descriptor;
}

char *log_program(const struct process *process)
{
	const char *path = process->executable.text ? process->executable.text : process->command.text;
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *name = mem_string(slash ? slash + 1 : path ? path : "dragonfly");
	char *deleted = strstr(name, " (deleted)");

	if (deleted)
		*deleted = '\0';
	return name;
}

char *log_newest(int directory, const char *program, const char *severity, uint32_t pid)
{
	/* An own place in the folder. */
	int descriptor = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = descriptor >= 0 ? fdopendir(descriptor) : NULL;
	struct log_name best = {0};
	const struct dirent *entry;
	char *newest = NULL;

	if (!stream && descriptor >= 0)
		close(descriptor);
	for (size_t i = 0; stream && i < NAMES_MOST && (entry = readdir(stream)); i++) {
		struct log_name name;

		if (!log_name_read(entry->d_name, program, severity, &name))
			continue;
		/* In a container it knows itself by another number. */
		if (newest && ((best.pid == pid && name.pid != pid) ||
				      ((best.pid == pid) == (name.pid == pid) && strcmp(name.date, best.date) <= 0)))
			continue;
		free(newest);
		newest = mem_string(entry->d_name);
		best = name;
	}
	if (stream)
		closedir(stream);
	return newest;
}

static enum stderr_to find_stderr(const struct process *process)
{
	_cleanup_free_ char *path = mem_format("/proc/%u/fd/2", process->pid);
	char target[256];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length < 0)
		return STDERR_UNKNOWN;
	target[length] = '\0';
	return strcmp(target, "/dev/null") == 0	    ? STDERR_NOTHING
	       : strncmp(target, "/dev/", 5) == 0   ? STDERR_TERMINAL
	       : strncmp(target, "pipe:", 5) == 0   ? STDERR_PIPE
	       : strncmp(target, "socket:", 7) == 0 ? STDERR_JOURNAL
						    : STDERR_FILE;
}

static void look_into(int directory, const struct process *process, struct log_told *told)
{
	_cleanup_free_ char *program = process ? log_program(process) : mem_string("dragonfly");
	struct statvfs system;
	struct stat status;

	if (fstat(directory, &status) == 0) {
		told->mode = status.st_mode & 07777;
		told->uid = status.st_uid;
	}
	if (fstatvfs(directory, &system) == 0) {
		told->size = (uint64_t)system.f_blocks * system.f_frsize;
		told->free = (uint64_t)system.f_bavail * system.f_frsize;
	}
	told->file = log_newest(directory, program, "INFO", process ? process->pid : 0);
	if (told->file && fstatat(directory, told->file, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
		told->file_mode = status.st_mode & 07777;
}

static void read_told(const struct policy *policy, const struct host_facts *facts, size_t index, struct log_told *told)
{
	size_t number = facts->intentions[index].process;
	const struct process *process = number == LISTENERS_NO_INDEX ? NULL : &facts->host->processes[number];
	char why[INTERVAL_WHY] = "";
	int directory;

	told->intention = index;
	log_place_read(facts->told[index].intention, &told->place);
	if (process)
		told->stderr_to = find_stderr(process);
	if (!told->place.folder)
		return;
	told->folder = mem_string(told->place.folder);
	directory = log_folder_open(policy, process, told->place.folder, why);
	if (directory == -ENOENT || directory == -ENOTDIR)
		told->absent = true;
	else if (directory < 0)
		told->unknown = mem_string(why);
	if (directory < 0)
		return;
	look_into(directory, process, told);
	close(directory);
}

void host_facts_read_logs(const struct policy *policy, struct host_facts *facts)
{
	struct log_facts *logs = log_facts_new();

	for (size_t i = 0; i < facts->count; i++)
		if (facts->told[i].intention)
			read_told(policy, facts, i, log_facts_add(logs));
	log_facts_free(facts->logs);
	facts->logs = logs;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What there is to say of one process, and the reading of /proc itself. */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe_private.h"

/* Of arguments and environments together: anybody may start many processes with long ones. */
#define MAX_TEXT (64u * 1024 * 1024)
/* An environment is mostly not ours to keep, so more of it is looked at. */
#define MAX_ENVIRONMENT (1024u * 1024)
#define MAX_USERS	100000u
/* A process may become another one (execve(2)) while it is looked at. */
#define TRIES 3

/* ---- /proc ---- */

const char *proc_reason(int code)
{
	switch (code) {
	case EACCES:
	case EPERM:
		return "not permitted";
	case ENOENT:
	case ESRCH:
		return "it ended";
	default:
		return strerror(code);
	}
}

int proc_open(int proc, uint32_t pid)
{
	char name[16];
	int descriptor;

	snprintf(name, sizeof(name), "%" PRIu32, pid);
	descriptor = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return descriptor < 0 ? -errno : descriptor;
}

uint32_t proc_next(DIR *stream)
{
	for (const struct dirent *entry; (entry = readdir(stream));) {
		uint64_t number;

		/* Numbers only, no larger than a process's may be. */
		if (isdigit((unsigned char)entry->d_name[0]) &&
			number_parse(entry->d_name, 1, INT32_MAX, &number, (char[INTERVAL_WHY]){0}) == 0)
			return (uint32_t)number;
	}
	return 0;
}

int proc_link(int directory, const char *name, char *buffer, size_t size)
{
	ssize_t length = readlinkat(directory, name, buffer, size - 1);

	if (length < 0)
		return -errno;
	/* It may have been cut. */
	if ((size_t)length == size - 1)
		return -ENAMETOOLONG;
	buffer[length] = '\0';
	return (int)length;
}

int proc_read(int directory, const char *name, size_t maximum, char **ret, size_t *ret_length)
{
	_cleanup_close_ int descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t capacity = maximum < 4096 ? maximum : 4096;
	_cleanup_free_ char *text = NULL;
	size_t length = 0;

	if (descriptor < 0)
		return -errno;
	text = mem_alloc(capacity + 1);
	for (;;) {
		ssize_t got = read(descriptor, text + length, capacity - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		length += (size_t)got;
		if (got == 0 || length == maximum)
			break;
		if (length == capacity) {
			capacity = capacity * 2 < maximum ? capacity * 2 : maximum;
			text = mem_resize(text, capacity + 1, 1);
		}
	}
	text[length] = '\0';
	*ret_length = length;
	*ret = TAKE_PTR(text);
	if (length < maximum)
		return 0;
	char more;

	return read(descriptor, &more, 1) == 1 ? -E2BIG : 0;
}

/* ---- users ---- */

struct user {
	uint32_t uid;
	size_t order;
	char *name;
};

struct details {
	size_t text_left;
	struct user *users;
	size_t user_count;
	bool users_read;
};

struct details *details_new(void)
{
	struct details *details = mem_zero(1, sizeof(*details));

	details->text_left = MAX_TEXT;
	return details;
}

void details_free(struct details *details)
{
	for (size_t i = 0; i < details->user_count; i++)
		free(details->users[i].name);
	free(details->users);
	free(details);
}

static int compare_users(const void *a, const void *b)
{
	const struct user *x = a;
	const struct user *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* The file only: getpwuid(3) may load libraries and ask the network. */
static void read_users(struct details *details)
{
	_cleanup_file_ FILE *stream = fopen("/etc/passwd", "re");
	char buffer[4096];
	struct passwd entry;
	struct passwd *found;
	size_t capacity = 0;
	int r;

	details->users_read = true;
	while (stream && details->user_count < MAX_USERS) {
		r = fgetpwent_r(stream, &entry, buffer, sizeof(buffer), &found);
		if (r == ERANGE)
			continue;
		if (r != 0)
			break;
		ARRAY_GROW(details->users, details->user_count, capacity);
		details->users[details->user_count] = (struct user){
			entry.pw_uid, details->user_count, proc_clean(entry.pw_name, strlen(entry.pw_name))};
		details->user_count++;
	}
	if (details->user_count)
		qsort(details->users, details->user_count, sizeof(*details->users), compare_users);
}

static char *user_name(struct details *details, uint32_t uid)
{
	size_t low = 0, high;

	if (!details->users_read)
		read_users(details);
	high = details->user_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (details->users[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < details->user_count && details->users[low].uid == uid ? mem_string(details->users[low].name)
									   : mem_format("%" PRIu32, uid);
}

/* ---- one process ---- */

static void known_link(struct known *known, int directory, const char *name)
{
	char link[4096];
	int length = proc_link(directory, name, link, sizeof(link));

	if (length >= 0)
		known->text = proc_clean(link, (size_t)length);
	else if (length != -ENOENT)
		known->unknown = mem_string(proc_reason(-length));
}

/* Reads strings; returns why they are not all known, or NULL. */
static char *read_strings(struct details *details, int directory, const char *name, size_t maximum,
	bool (*wanted)(const char *string), char ***ret, size_t *ret_count)
{
	_cleanup_free_ char *bytes = NULL;
	size_t length = 0;
	int r = proc_read(directory, name, maximum, &bytes, &length);

	if (r < 0 && r != -E2BIG)
		return mem_string(proc_reason(-r));
	*ret = proc_strings(bytes, length, wanted, ret_count);
	/* A pointer and what the allocator needs go with each of them. */
	size_t size = 0;

	for (size_t i = 0; i < *ret_count; i++)
		size += strlen((*ret)[i]) + 32;
	if (size > details->text_left) {
		proc_strings_free(*ret, *ret_count);
		*ret = NULL;
		*ret_count = 0;
		return mem_string("too much, of all processes together");
	}
	details->text_left -= size;
	return r == -E2BIG ? mem_format("longer than %zu KiB", maximum / 1024) : NULL;
}

static void read_group(struct process *process, int directory)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r = proc_read(directory, "cgroup", 64 * 1024, &text, &length);

	if (r == 0) {
		proc_cgroup_parse(text, length, &process->unit.text, &process->container.text);
	} else if (r != -ENOENT) { /* a kernel without control groups */
		process->unit.unknown = mem_string(proc_reason(-r));
		process->container.unknown = mem_string(proc_reason(-r));
	}
}

static void read_user(struct details *details, struct process *process, int directory)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r = proc_read(directory, "status", 64 * 1024, &text, &length);

	process->uid_known = r == 0 && proc_status_uid(text, length, &process->uid);
	if (!process->uid_known)
		process->user.unknown = mem_string(proc_reason(r < 0 ? -r : EBADMSG));
	/* A container has users of its own, whose numbers mean somebody else here. */
	else if (process->container.text)
		process->user.text = mem_format("%" PRIu32, process->uid);
	else
		process->user.text = user_name(details, process->uid);
}

static void read_network(struct host *host, struct process *process, int directory)
{
	char link[64];
	int length = proc_link(directory, "ns/net", link, sizeof(link));
	uint64_t inode;

	process->network = LISTENERS_NO_INDEX;
	if (length < 0 || !proc_link_number(link, (size_t)length, "net:[", &inode))
		return;
	process->network = namespace_find(host, inode);
	if (process->network == LISTENERS_NO_INDEX)
		process->network = namespace_add_unread(host, inode, process->pid);
}

/* The command and the start; false where the process has ended. */
static bool read_stat(int directory, struct proc_stat *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;

	return proc_read(directory, "stat", 4096, &text, &length) == 0 && proc_stat_parse(text, length, ret);
}

bool proc_is_program(int directory)
{
	struct proc_stat stat;

	return read_stat(directory, &stat) && proc_stat_program(&stat);
}

bool details_read(struct details *details, struct host *host, int proc, struct process *process)
{
	_cleanup_close_ int directory = proc < 0 ? -1 : proc_open(proc, process->pid);
	const struct process asked = *process;
	struct proc_stat before, after;

	for (unsigned int i = 0; i < TRIES; i++) {
		_cleanup_free_ char *executable = NULL;
		struct known again = {0};
		bool same;

		*process = asked;
		if (directory < 0 || !read_stat(directory, &before) || before.start != asked.start)
			return false;
		process->command.text = proc_clean(before.command, strlen(before.command));
		known_link(&process->executable, directory, "exe");
		read_group(process, directory);
		read_user(details, process, directory);
		known_link(&process->directory, directory, "cwd");
		process->arguments_unknown = read_strings(details, directory, "cmdline", LISTENERS_ARGUMENT_BYTES, NULL,
			&process->arguments, &process->argument_count);
		process->environment_unknown = read_strings(details, directory, "environ", MAX_ENVIRONMENT,
			proc_environment_wanted, &process->environment, &process->environment_count);
		read_network(host, process, directory);

		known_link(&again, directory, "exe");
		same = same_string(again.text, process->executable.text);
		free(again.text);
		free(again.unknown);
		if (!read_stat(directory, &after) || after.start != asked.start) {
			process_done(process);
			return false;
		}
		if (same && strcmp(before.command, after.command) == 0)
			break;
		if (i + 1 < TRIES)
			process_done(process);
	}
	process->kind = proc_kind(process->executable.text, process->command.text,
		process->argument_count ? process->arguments[0] : NULL);
	return true;
}

/* ---- a path of a process ---- */

/* Whether the process sees the same files as we. */
static bool shares_files(int directory)
{
	char ours[64], theirs[64];

	return proc_link(AT_FDCWD, "/proc/thread-self/ns/mnt", ours, sizeof(ours)) > 0 &&
	       proc_link(directory, "ns/mnt", theirs, sizeof(theirs)) > 0 && strcmp(ours, theirs) == 0;
}

/*
 * Opens a path as the process sees it, without permission to do anything: a descriptor, or a negative errno value.
 * Links lead no further than its own root, and in a container only what the kernel has at hand is looked at: a file
 * system in user space could keep us waiting for ever. (What leads to a bound socket is at hand, but for links.)
 */
static int open_path(int directory, const char *path)
{
	_cleanup_close_ int root = openat(directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};
	long descriptor;

	if (root < 0)
		return -errno;
	descriptor = syscall(SYS_openat2, root, path, &how, sizeof(how));
	/* Kernels before 5.12 do not know RESOLVE_CACHED. */
	if (descriptor < 0 && (errno == EINVAL || (errno == EAGAIN && shares_files(directory)))) {
		how.resolve &= ~(uint64_t)RESOLVE_CACHED;
		descriptor = syscall(SYS_openat2, root, path, &how, sizeof(how));
	}
	return descriptor < 0 ? -errno : (int)descriptor;
}

static void read_mode(const struct process *process, const struct unix_row *row, struct unix_listener *listener)
{
	_cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int directory = proc < 0 ? -1 : proc_open(proc, process->pid);
	_cleanup_free_ char *name = mem_stringn(row->name, strnlen(row->name, row->length));
	/* Bound by a relative name, it lies where the process was then; mostly it is still there. */
	_cleanup_free_ char *path =
		name[0] == '/' || !process->directory.text ? NULL : mem_format("%s/%s", process->directory.text, name);
	_cleanup_close_ int file = directory < 0 ? directory : open_path(directory, path ? path : name);
	int code = file < 0 ? -file : 0;
	struct statx status;

	if (code == 0 && statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
				 STATX_MODE | STATX_UID | STATX_GID | STATX_INO, &status) < 0)
		code = errno;
	if (code == ENOENT)
		listener->mode_unknown = mem_string("nothing lies at the path");
	else if (code == EAGAIN)
		listener->mode_unknown = mem_string("could not be looked up without waiting");
	else if (code)
		listener->mode_unknown = mem_string(proc_reason(code));
	else if (!S_ISSOCK(status.stx_mode) || (row->has_file && (uint32_t)status.stx_ino != row->file))
		listener->mode_unknown = mem_string("something else lies at the path");
	if (listener->mode_unknown)
		return;
	listener->mode = status.stx_mode & 07777;
	listener->uid = status.stx_uid;
	listener->gid = status.stx_gid;
}

void details_unix(const struct process *process, const struct unix_row *row, struct unix_listener *listener)
{
	if (row->length > 0 && row->name[0] != '\0') {
		listener->path = proc_clean(row->name, strnlen(row->name, row->length));
		read_mode(process, row, listener);
		return;
	}
	/* unix(7): a name that begins with NUL has no path and no permissions: whoever is in its namespace may come. */
	_cleanup_free_ char *name = row->length ? proc_clean(row->name + 1, row->length - 1) : NULL;

	listener->path = name ? mem_format("@%s", name) : mem_string("(unnamed)");
	listener->mode = 0777;
	listener->uid = process->uid;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The edge to the file system: flagfiles as a process sees them, which may live in a container and lay traps there:
 * links out of it, FIFOs that never end, devices.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "below.h"
#include "flags_private.h"

/* A path without anything opened yet: O_PATH does neither wait for a FIFO's writer nor wake a device. */
static int open_path(const struct flags_place *place, const char *path, char *why)
{
	bool by_link = path[0] != '/' && place->directory_link && !place->directory;
	const char *from = by_link ? place->directory_link : place->root;
	_cleanup_close_ int directory = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *joined = NULL;
	int r;

	if (directory < 0) {
		/* Whatever it was, it says nothing about the file. */
		snprintf(why, INTERVAL_WHY, "%s: %s", from, strerror(errno));
		return -EIO;
	}
	/* What O_PATH makes of "" is the folder itself; the server opens nothing. */
	if (!*path)
		return -ENOENT;
	if (path[0] != '/' && place->directory)
		path = joined = mem_format("%s/%s", place->directory, path);
	r = open_below(directory, path, O_PATH, by_link ? BELOW_ONLY : BELOW_ROOT);
	if (r == -EXDEV)
		snprintf(why, INTERVAL_WHY, "it leads out of the server's own folder");
	else if (r == -ELOOP)
		snprintf(why, INTERVAL_WHY, "too many links, or one that leads to a descriptor");
	else if (r < 0)
		snprintf(why, INTERVAL_WHY, "%s", strerror(-r));
	return r;
}

/* /proc/self/fd is how a path that was looked at becomes the same file, opened. */
static int reopen(int path, int flags)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	r = open(name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	/* Not the file's own error: that it is not there, for example. */
	return r < 0 ? errno == EACCES ? -EACCES : -EIO : r;
}

static int read_text(int file, char **ret, size_t *ret_length, char *why)
{
	int code = read_whole(file, FLAGS_MAX_TEXT, ret, ret_length);

	if (code == -EFBIG)
		snprintf(why, INTERVAL_WHY, "it is larger than %u bytes", FLAGS_MAX_TEXT);
	else if (code < 0)
		snprintf(why, INTERVAL_WHY, "%s", strerror(-code));
	return code == 0 || code == -EFBIG ? code : -EIO;
}

int place_read(const struct flags_place *place, const char *path, char **ret, size_t *ret_length,
	struct flag_file *ret_status, char *why)
{
	_cleanup_close_ int found = open_path(place, path, why);
	_cleanup_close_ int file = -1;
	struct stat status;

	if (found < 0)
		return found;
	if (fstat(found, &status) < 0) {
		snprintf(why, INTERVAL_WHY, "%s", strerror(errno));
		return -EIO;
	}
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode)) {
		snprintf(why, INTERVAL_WHY, "it is no regular file");
		return -EINVAL;
	}
	file = reopen(found, O_RDONLY);
	if (file < 0) {
		snprintf(why, INTERVAL_WHY, "%s", strerror(-file));
		return file;
	}
	if (ret_status)
		*ret_status =
			(struct flag_file){.mode = status.st_mode & 07777, .uid = status.st_uid, .gid = status.st_gid};
	return read_text(file, ret, ret_length, why);
}

char *place_link(const char *root, const char *path)
{
	_cleanup_close_ int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int found = -1;
	char target[4096];
	ssize_t length;

	if (directory < 0)
		return NULL;
	found = open_below(directory, path, O_PATH | O_NOFOLLOW, BELOW_ROOT);
	if (found < 0)
		return NULL;
	/* With an empty path: the link itself; of what is no link there is none. */
	length = readlinkat(found, "", target, sizeof(target));
	return length < 0 ? NULL : mem_stringn(target, (size_t)length);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int place_list(const char *root, const char *path, char ***ret, size_t *ret_count)
{
	char why[INTERVAL_WHY] = "";
	struct words names = {0};
	struct dirent *entry;
	_cleanup_close_ int found = open_path(&(struct flags_place){.root = root}, path, why);
	int folder;
	DIR *stream;

	if (found < 0)
		return found;
	folder = reopen(found, O_RDONLY | O_DIRECTORY);
	if (folder < 0)
		return folder;
	stream = fdopendir(folder);
	if (!stream) {
		close(folder);
		return -ENOMEM;
	}
	while ((entry = readdir(stream)) && names.count <= 1024)
		if (entry->d_name[0] != '.')
			words_add(&names, mem_string(entry->d_name));
	closedir(stream);
	if (names.count > 1024) {
		words_done(&names);
		return -E2BIG;
	}
	if (names.count)
		qsort(names.items, names.count, sizeof(*names.items), compare_names);
	*ret = names.items;
	*ret_count = names.count;
	return 0;
}

/* --- flagfiles --- */

struct reader {
	const struct flags_place *place;
	struct flag_file *status;
	size_t count;
	size_t capacity;
};

static int read_for_intention(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	struct reader *reader = data;
	struct flag_file status;
	int r = place_read(reader->place, path, ret, ret_length, &status, why);

	if (r < 0)
		return r;
	ARRAY_GROW(reader->status, reader->count, reader->capacity);
	reader->status[reader->count++] = status;
	return 0;
}

void intention_read_at(const struct flags_input *input, const struct flags_place *place, struct intention **ret)
{
	struct reader reader = {.place = place};
	struct flags_input with_files = *input;

	with_files.read_file = read_for_intention;
	with_files.data = &reader;
	intention_read(&with_files, ret);
	/* One for each file that was read, by what intention_read() promises. */
	if (reader.count == (*ret)->file_count)
		(*ret)->file_status = TAKE_PTR(reader.status);
	free(reader.status);
}

void intention_read_process(const struct flags_input *input, uint32_t pid, struct intention **ret)
{
	char root[64];
	char directory[64];

	snprintf(root, sizeof(root), "/proc/%u/root", pid);
	snprintf(directory, sizeof(directory), "/proc/%u/cwd", pid);
	intention_read_at(input, &(struct flags_place){.root = root, .directory_link = directory}, ret);
}

void intention_read_flagfile(const char *root, const char *path, bool under_systemd, struct intention **ret)
{
	_cleanup_free_ char *argument = mem_format("--flagfile=%s", path);
	char invocation[] = "INVOCATION_ID=";
	char *environment = invocation;

	intention_read_at(&(struct flags_input){.arguments = &argument,
				  .argument_count = 1,
				  .environment = &environment,
				  .environment_count = under_systemd},
		&(struct flags_place){.root = root}, ret);
}

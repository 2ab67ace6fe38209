/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#ifndef SO_NETNS_COOKIE /* Linux 5.14; Debian 12's headers have it */
#define SO_NETNS_COOKIE 71
#endif

#define MAGIC	  "# dflyguard state 1\n"
#define HEAD_ROOM 8192

void (*state_step)(const char *what);

static void step(const char *what)
{
	if (state_step)
		state_step(what);
}

/* --- where --- */

/* systemd gives a list where several are configured: the first is ours. */
static char *directory_from(const char *value, const char *otherwise)
{
	if (!value || value[0] != '/')
		return mem_string(otherwise);
	return mem_stringn(value, strcspn(value, ":"));
}

static void read_boot(char boot[40])
{
	_cleanup_close_ int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = file >= 0 ? read(file, boot, 39) : 0;

	boot[got > 0 ? got : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

/* Our units keep no capability but one, and without CAP_SYS_PTRACE nobody may look at process 1. But what it starts is
 * where it is, unless somebody moved our units into another network, and means them by that. systemd tells each process
 * that it starts its own number; children only inherit the text. */
bool started_by_systemd(void)
{
	const char *number = getenv("SYSTEMD_EXEC_PID");

	return number && strtol(number, NULL, 10) == (long)getpid();
}

static struct space this_space(void)
{
	struct space space = {0};
	struct stat own;
	struct stat first;
	socklen_t length = sizeof(space.cookie);
	_cleanup_close_ int any = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (any < 0 || getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &space.cookie, &length) < 0)
		space.cookie = 0;
	if (stat("/proc/self/ns/net", &own) == 0) {
		space.device = own.st_dev;
		space.inode = own.st_ino;
		space.first = stat("/proc/1/ns/net", &first) == 0
				      ? first.st_dev == own.st_dev && first.st_ino == own.st_ino
				      : started_by_systemd();
	}
	read_boot(space.boot);
	return space;
}

struct state state_open(void)
{
	struct state state = {.lock = -1, .space = this_space()};
	_cleanup_free_ char *run = directory_from(getenv("RUNTIME_DIRECTORY"), "/run/dflyguard");

	if (state.space.first) {
		state.directory = directory_from(getenv("STATE_DIRECTORY"), "/var/lib/dflyguard");
		state.run = TAKE_PTR(run);
		return state;
	}
	state.run = mem_format("%s/netns-%" PRIu64, run, state.space.inode);
	state.run_parent = TAKE_PTR(run);
	state.directory = mem_string(state.run);
	return state;
}

void state_unlock(struct state *state)
{
	if (state->lock < 0)
		return;
	/* Not by closing alone: a child of ours may still hold the same open file. */
	flock(state->lock, LOCK_UN);
	close(state->lock);
	state->lock = -1;
}

void state_done(struct state *state)
{
	state_unlock(state);
	free(state->directory);
	free(state->run);
	free(state->run_parent);
	*state = (struct state){.lock = -1};
}

uint64_t state_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- files that may be trusted --- */

static bool is_trusted(const struct stat *status)
{
	return (status->st_uid == 0 || status->st_uid == geteuid()) && !(status->st_mode & (S_IWGRP | S_IWOTH));
}

static int refuse(const char *path, const struct stat *status, struct err *err)
{
	err_set(err, EPERM, ERR_IO, "'%s' belongs to user %u and has mode %04o: it is not trusted", path,
		(unsigned int)status->st_uid, (unsigned int)status->st_mode & 07777);
	err_hint(err, "it must belong to root or the caller, and nobody else may write it: look who made it, then "
		      "delete it");
	return -EPERM;
}

/* A symbolic link to a directory is followed (systemd makes one for DynamicUser=); who owns what it leads to counts. */
static int open_directory(const char *path, bool create, struct err *err)
{
	struct stat status = {0};
	int directory;

	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno, ERR_IO, "cannot make '%s': %s", path, strerror(errno));
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 && errno == ENOENT)
		return -ENOENT;
	if (directory < 0)
		return err_set(err, errno, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
	if (fstat(directory, &status) < 0 || !is_trusted(&status)) {
		close(directory);
		return refuse(path, &status, err);
	}
	return directory;
}

/* Reads at most `maximum` bytes of a regular file, with a NUL behind. */
static int read_file(int directory, const char *path, const char *name, size_t maximum, bool whole, char **ret,
	size_t *ret_length, struct err *err)
{
	/* O_NONBLOCK: whoever put a pipe here shall not make us wait. */
	_cleanup_close_ int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat status = {0};
	size_t length = 0;
	size_t size;

	if (file < 0 && errno == ENOENT)
		return -ENOENT;
	if (file < 0)
		return err_set(err, errno == ELOOP ? EPERM : errno, ERR_IO, "cannot open '%s/%s': %s", path, name,
			errno == ELOOP ? "it is a symbolic link, which is not trusted" : strerror(errno));
	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || !is_trusted(&status)) {
		_cleanup_free_ char *full = mem_format("%s/%s", path, name);

		return refuse(full, &status, err);
	}
	if (whole && (uint64_t)status.st_size > maximum)
		return err_set(err, EFBIG, ERR_IO, "'%s/%s' is too large to be ours", path, name);
	size = (uint64_t)status.st_size < maximum ? (size_t)status.st_size : maximum;
	text = mem_alloc(size + 1);
	while (length < size) {
		ssize_t got = read(file, text + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, errno, ERR_IO, "cannot read '%s/%s': %s", path, name, strerror(errno));
		if (got == 0)
			break;
		length += (size_t)got;
	}
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

/* One or two pieces into a file of this name, which is new and nobody else's. */
static int write_file(int directory, const char *path, const char *name, const char *head, const char *body,
	size_t body_length, bool sync, struct err *err)
{
	_cleanup_close_ int file = -1;
	int r;

	step("unlink");
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return err_set(err, errno, ERR_IO, "cannot replace '%s/%s': %s", path, name, strerror(errno));
	step("create");
	file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return err_set(err, errno, ERR_IO, "cannot make '%s/%s': %s", path, name, strerror(errno));
	step("write");
	r = write_all(file, head, strlen(head));
	step("write on");
	if (r == 0)
		r = write_all(file, body, body_length);
	step("sync");
	if (r == 0 && sync && fsync(file) < 0)
		r = -errno;
	if (r < 0) {
		err_set(err, -r, ERR_IO, "cannot write '%s/%s': %s", path, name, strerror(-r));
		unlinkat(directory, name, 0);
	}
	return r;
}

static int rename_file(int directory, const char *path, const char *from, const char *to, struct err *err)
{
	step("rename");
	if (renameat(directory, from, directory, to) < 0)
		return err_set(
			err, errno, ERR_IO, "cannot rename '%s/%s' to '%s': %s", path, from, to, strerror(errno));
	return 0;
}

/* --- lock --- */

/* The folder of a namespace that is gone, whose inode is ours now, holds nothing for us. */
static int claim_folder(const struct state *state, int directory, struct err *err)
{
	static const char *const files[] = {"current", "previous", "undone", "pending", "looked"};
	_cleanup_free_ char *mine = mem_format("%s %" PRIu64 "\n", state->space.boot, state->space.cookie);
	_cleanup_free_ char *found = NULL;
	size_t length;

	if (!state->run_parent ||
		(read_file(directory, state->run, "namespace", 256, true, &found, &length, NULL) == 0 &&
			strcmp(found, mine) == 0))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(directory, files[i], 0) < 0 && errno != ENOENT)
			return err_set(
				err, errno, ERR_IO, "cannot delete '%s/%s': %s", state->run, files[i], strerror(errno));
	return write_file(directory, state->run, "namespace", mine, "", 0, false, err);
}

/* -ENOENT where the folder is missing or that of a namespace that is gone. */
static int open_run(const struct state *state, struct err *err)
{
	_cleanup_free_ char *mine = mem_format("%s %" PRIu64 "\n", state->space.boot, state->space.cookie);
	_cleanup_free_ char *found = NULL;
	int directory = open_directory(state->run, false, err);
	size_t length;

	if (directory < 0 || !state->run_parent)
		return directory;
	if (read_file(directory, state->run, "namespace", 256, true, &found, &length, NULL) == 0 &&
		strcmp(found, mine) == 0)
		return directory;
	close(directory);
	return -ENOENT;
}

int state_lock(struct state *state, unsigned int seconds, struct err *err)
{
	uint64_t end = state_clock() + seconds * UINT64_C(1000000000);
	_cleanup_close_ int directory = -1;
	struct stat status = {0};

	if (state->lock >= 0)
		return 0;
	if (state->run_parent) {
		directory = open_directory(state->run_parent, true, err);
		if (directory < 0)
			return directory;
		close(directory);
	}
	directory = open_directory(state->run, true, err);
	if (directory < 0)
		return directory;
	state->lock = openat(directory, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (state->lock < 0)
		return err_set(err, errno, ERR_IO, "cannot open '%s/lock': %s", state->run, strerror(errno));
	if (fstat(state->lock, &status) < 0 || !is_trusted(&status)) {
		close(state->lock);
		state->lock = -1;
		return refuse("lock", &status, err);
	}
	while (flock(state->lock, LOCK_EX | LOCK_NB) < 0) {
		if ((errno == EWOULDBLOCK || errno == EINTR) && state_clock() < end) {
			nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
			continue;
		}
		int code = errno == EWOULDBLOCK ? EAGAIN : errno;

		close(state->lock);
		state->lock = -1;
		return err_set(err, code, ERR_IO, "another dflyguard holds '%s/lock' for %u seconds already",
			state->run, seconds);
	}
	return claim_folder(state, directory, err);
}

/* --- what is kept --- */

void kept_done(struct kept_policy *kept)
{
	free(kept->environment);
	free(kept->path);
	free(kept->text);
	free(kept->file);
	*kept = (struct kept_policy){0};
}

struct kept_policy kept_from_policy(
	const struct policy *policy, const struct environment *environment, uint64_t fingerprint, uint64_t digest)
{
	struct kept_policy kept = {.environment = mem_string(environment->name),
		.path = mem_string(policy->path),
		.applied = (uint64_t)time(NULL),
		.fingerprint = fingerprint,
		.digest = digest};
	struct text text = {0};

	policy_print(policy, true, &text);
	kept.length = text.length;
	kept.text = text_take(&text);
	return kept;
}

/* A path may hold anything, a line of the head may not. */
static void append_clean(struct text *text, const char *value)
{
	for (; *value; value++)
		text_append_char(text, (unsigned char)*value < 0x20 || *value == 0x7f ? '?' : *value);
}

static char *head_text(const struct kept_policy *kept)
{
	struct text head = {0};
	time_t seconds = (time_t)kept->applied;
	struct tm broken_down = {0};
	char when[32];

	gmtime_r(&seconds, &broken_down);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
	text_append(&head, MAGIC);
	text_printf(&head, "# environment %s\n# applied %s\n# path ", kept->environment, when);
	append_clean(&head, kept->path);
	text_printf(
		&head, "\n# fingerprint %016" PRIx64 "\n# digest %016" PRIx64 "\n", kept->fingerprint, kept->digest);
	if (kept->token[0])
		text_printf(&head, "# token %s\n# deadline %" PRIu64 "\n# boot %s\n# undo %s\n# committed %s\n",
			kept->token, kept->deadline, kept->boot, kept->undo_removes ? "remove" : "current",
			kept->committed ? "yes" : "no");
	text_append(&head, "#\n");
	return text_take(&head);
}

static bool take_hex(const char *value, uint64_t *ret)
{
	char *end;

	if (strlen(value) != 16 || strspn(value, "0123456789abcdef") != 16)
		return false;
	*ret = strtoull(value, &end, 16);
	return *end == '\0';
}

static bool take_time(const char *value, uint64_t *ret)
{
	struct tm broken_down = {0};
	const char *end = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &broken_down);

	if (!end || *end)
		return false;
	*ret = (uint64_t)timegm(&broken_down);
	return true;
}

/* One line of the head. False: not what we write. Keys that a later version has are skipped. */
static bool take_line(struct kept_policy *kept, const char *key, const char *value)
{
	if (strcmp(key, "environment") == 0) {
		free(kept->environment);
		kept->environment = mem_string(value);
		return strlen(value) <= POLICY_MAX_NAME;
	}
	if (strcmp(key, "path") == 0) {
		free(kept->path);
		kept->path = mem_string(value);
		return true;
	}
	if (strcmp(key, "applied") == 0)
		return take_time(value, &kept->applied);
	if (strcmp(key, "fingerprint") == 0)
		return take_hex(value, &kept->fingerprint);
	if (strcmp(key, "digest") == 0)
		return take_hex(value, &kept->digest);
	if (strcmp(key, "token") == 0)
		return snprintf(kept->token, sizeof(kept->token), "%s", value) == 32;
	if (strcmp(key, "boot") == 0)
		return snprintf(kept->boot, sizeof(kept->boot), "%s", value) < (int)sizeof(kept->boot);
	if (strcmp(key, "deadline") == 0) {
		char why[INTERVAL_WHY];

		return number_parse(value, 1, UINT64_MAX, &kept->deadline, why) == 0;
	}
	if (strcmp(key, "undo") == 0) {
		kept->undo_removes = strcmp(value, "remove") == 0;
		return kept->undo_removes || strcmp(value, "current") == 0;
	}
	if (strcmp(key, "committed") == 0)
		kept->committed = strcmp(value, "yes") == 0;
	return true;
}

static bool take_head(struct kept_policy *kept)
{
	const char *line = kept->text + strlen(MAGIC);

	if (strncmp(kept->text, MAGIC, strlen(MAGIC)) != 0)
		return false;
	while (strncmp(line, "# ", 2) == 0) {
		size_t length = strcspn(line, "\n");
		_cleanup_free_ char *key = mem_stringn(line + 2, length - 2);
		char *value = strchr(key, ' ');

		if (line[length] != '\n' || !value)
			return false;
		*value++ = '\0';
		if (!take_line(kept, key, value))
			return false;
		line += length + 1;
	}
	if (strncmp(line, "#\n", 2) != 0)
		return false;
	kept->body = (size_t)(line + 2 - kept->text);
	return kept->environment && kept->path;
}

static const char *const names[] = {
	[STATE_CURRENT] = "current", [STATE_PREVIOUS] = "previous", [STATE_PENDING] = "pending"};

int state_read(
	const struct state *state, enum state_file file, bool head_only, struct kept_policy *ret, struct err *err)
{
	const char *path = file == STATE_PENDING ? state->run : state->directory;
	bool in_run = file == STATE_PENDING || state->run_parent;
	_cleanup_close_ int directory = in_run ? open_run(state, err) : open_directory(path, false, err);
	_cleanup_(kept_done) struct kept_policy kept = {0};
	int r = directory < 0
			? directory
			: read_file(directory, path, names[file], head_only ? HEAD_ROOM : POLICY_MAX_TEXT + HEAD_ROOM,
				  !head_only, &kept.text, &kept.length, err);

	if (r < 0)
		return r;
	kept.file = mem_format("%s/%s", path, names[file]);
	if (!take_head(&kept) || (file == STATE_PENDING) != (kept.token[0] != '\0')) {
		err_set(err, EBADMSG, ERR_IO, "'%s' is not what dflyguard writes", kept.file);
		err_hint(err, "delete it; the next apply writes a new one");
		return -EBADMSG;
	}
	if (file == STATE_PENDING && strcmp(kept.boot, state->space.boot) != 0)
		return -ENOENT;
	if (head_only) {
		free(kept.text);
		kept.text = NULL;
		kept.length = 0;
	}
	*ret = kept;
	kept = (struct kept_policy){0};
	return 0;
}

/* `current` gets a second name, which then replaces `previous`: there is no moment without either. */
static int keep_previous(int directory, const char *path, struct err *err)
{
	step("unlink");
	if (unlinkat(directory, "previous.new", 0) < 0 && errno != ENOENT)
		return err_set(err, errno, ERR_IO, "cannot replace '%s/previous.new': %s", path, strerror(errno));
	step("link");
	if (linkat(directory, "current", directory, "previous.new", 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, errno, ERR_IO, "cannot keep '%s/current': %s", path, strerror(errno));
	}
	/* Two names of one file already, after a crash: the kernel then does nothing, calls that success, and the new
	 * name stays until the next time. */
	return rename_file(directory, path, "previous.new", "previous", err);
}

static int sync_directory(int directory, const char *path, struct err *err)
{
	step("sync directory");
	if (fsync(directory) < 0)
		return err_set(err, errno, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
	return 0;
}

/* What is kept was applied as a policy, at boot or by hand: where it came from is known better already. */
static bool is_ours(const struct state *state, const char *path)
{
	_cleanup_free_ char *own = mem_format("%s/current", state->directory);

	return strcmp(own, path) == 0;
}

int state_keep(const struct state *state, const struct kept_policy *kept, struct err *err)
{
	_cleanup_close_ int directory = open_directory(state->directory, true, err);
	_cleanup_(kept_done) struct kept_policy before = {0};
	_cleanup_free_ char *head = NULL;
	struct kept_policy plain = *kept;
	bool other = true;
	int r = directory < 0 ? directory : 0;

	if (r < 0)
		return r;
	/* One that cannot be read is replaced, and not kept. */
	if (state_read(state, STATE_CURRENT, true, &before, NULL) == 0) {
		bool same_environment = strcmp(before.environment, kept->environment) == 0;

		other = !same_environment || before.fingerprint != kept->fingerprint;
		if (!other && before.digest == kept->digest &&
			(strcmp(before.path, kept->path) == 0 || is_ours(state, kept->path)))
			return 0;
	}
	plain.token[0] = '\0';
	head = head_text(&plain);
	if (kept->length - kept->body > POLICY_MAX_TEXT)
		return err_set(err, EFBIG, ERR_IO, "the policy, written out, is too long to be kept");
	r = write_file(directory, state->directory, "current.new", head, kept->text + kept->body,
		kept->length - kept->body, true, err);
	if (r == 0 && other && before.environment)
		r = keep_previous(directory, state->directory, err);
	if (r == 0)
		r = rename_file(directory, state->directory, "current.new", "current", err);
	return r == 0 ? sync_directory(directory, state->directory, err) : r;
}

int state_forget(const struct state *state, struct err *err)
{
	_cleanup_close_ int directory = open_directory(state->directory, false, err);

	if (directory < 0)
		return directory == -ENOENT ? 0 : directory;
	step("rename");
	if (renameat(directory, "current", directory, "previous") < 0)
		return errno == ENOENT ? 0
				       : err_set(err, errno, ERR_IO, "cannot rename '%s/current': %s", state->directory,
						 strerror(errno));
	/* Two names of one file, after a crash: see keep_previous(). */
	if (unlinkat(directory, "current", 0) < 0 && errno != ENOENT)
		return err_set(err, errno, ERR_IO, "cannot delete '%s/current': %s", state->directory, strerror(errno));
	return sync_directory(directory, state->directory, err);
}

int state_write_pending(const struct state *state, const struct kept_policy *kept, struct err *err)
{
	_cleanup_close_ int directory = open_run(state, err);
	_cleanup_free_ char *head = head_text(kept);
	int r = directory < 0 ? directory
			      : write_file(directory, state->run, "pending.new", head, kept->text + kept->body,
					kept->length - kept->body, false, err);

	return r == 0 ? rename_file(directory, state->run, "pending.new", "pending", err) : r;
}

/* 0 also where there is none. */
static int remove_file(int directory, const char *path, const char *name, struct err *err)
{
	if (directory < 0)
		return directory == -ENOENT ? 0 : directory;
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return err_set(err, errno, ERR_IO, "cannot delete '%s/%s': %s", path, name, strerror(errno));
	return 0;
}

int state_remove_pending(const struct state *state, struct err *err)
{
	_cleanup_close_ int directory = open_run(state, err);

	return remove_file(directory, state->run, "pending", err);
}

int state_read_undone(const struct state *state, char **ret, struct err *err)
{
	_cleanup_close_ int directory =
		state->run_parent ? open_run(state, err) : open_directory(state->directory, false, err);
	size_t length;

	return directory < 0
		       ? directory
		       : read_file(directory, state->directory, "undone", UNDONE_MAX_TEXT, true, ret, &length, err);
}

int state_write_undone(const struct state *state, const char *text, struct err *err)
{
	_cleanup_close_ int directory = open_directory(state->directory, text, err);
	int r;

	if (!text)
		return remove_file(directory, state->directory, "undone", err);
	if (directory < 0)
		return directory;
	r = write_file(directory, state->directory, "undone.new", text, "", 0, true, err);
	if (r == 0)
		r = rename_file(directory, state->directory, "undone.new", "undone", err);
	return r == 0 ? sync_directory(directory, state->directory, err) : r;
}

/* --- what the last look proved --- */

/*
 * The generation counts every transaction of anybody in a network namespace, and nothing else changes a table. It
 * begins anew with the namespace (whose inode comes again, whose cookie does not), with the boot, and when the module
 * is loaded anew, which the inode of its folder in /sys tells. It comes round after 2^32 transactions, hence
 * LOOKED_SECONDS.
 */
static char *looked_head(const struct state *state, uint64_t fingerprint)
{
	struct stat module;

	if (!state->space.cookie || !state->space.inode || !state->space.boot[0])
		return NULL;
	if (stat("/sys/module/nf_tables", &module) < 0)
		module = (struct stat){0}; /* built in, or no /sys */
	return mem_format("dflyguard %s looked\nboot %s\nnamespace %" PRIu64 " %" PRIu64 " %" PRIu64 "\nmodule %" PRIu64
			  "\nexpected %016" PRIx64 "\n",
		DFLYGUARD_VERSION, state->space.boot, state->space.device, state->space.inode, state->space.cookie,
		(uint64_t)module.st_ino, fingerprint);
}

static char *looked_tail(uint32_t generation, uint64_t when)
{
	return mem_format("generation %" PRIu32 "\nat %" PRIu64 "\n", generation, when);
}

uint32_t state_looked(const struct state *state, uint64_t fingerprint, uint64_t *ret_when)
{
	_cleanup_close_ int directory = open_run(state, NULL);
	_cleanup_free_ char *head = looked_head(state, fingerprint);
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *tail = NULL;
	uint32_t generation;
	uint64_t when;
	size_t length;
	uint64_t now = state_clock();

	if (directory < 0 || !head ||
		read_file(directory, state->run, "looked", 1024, true, &text, &length, NULL) < 0 ||
		strncmp(text, head, strlen(head)) != 0 ||
		sscanf(text + strlen(head), "generation %" SCNu32 "\nat %" SCNu64, &generation, &when) != 2)
		return 0;
	/* Byte for byte what we would have written. */
	tail = looked_tail(generation, when);
	if (strcmp(text + strlen(head), tail) != 0 || length != strlen(head) + strlen(tail))
		return 0;
	if (when > now || now - when > LOOKED_SECONDS * UINT64_C(1000000000))
		return 0;
	if (ret_when)
		*ret_when = (uint64_t)time(NULL) - (now - when) / UINT64_C(1000000000);
	return generation;
}

void state_remember_look(const struct state *state, uint64_t fingerprint, uint32_t generation)
{
	_cleanup_close_ int directory = open_run(state, NULL);
	_cleanup_free_ char *head = looked_head(state, fingerprint);
	_cleanup_free_ char *tail = looked_tail(generation, state_clock());

	if (directory < 0 || !head || generation == 0)
		return;
	if (write_file(directory, state->run, "looked.new", head, tail, strlen(tail), false, NULL) == 0)
		rename_file(directory, state->run, "looked.new", "looked", NULL);
}

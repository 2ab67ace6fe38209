/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Texts of /proc: proc(5), and Documentation/filesystems/proc.rst of the kernel. Names in them are chosen by whoever
 * started the process: a command may hold blanks, parentheses and newlines. */

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "probe_private.h"

char *proc_clean(const char *bytes, size_t length)
{
	/* Terminated, since utf8_length() stops at a NUL only. */
	_cleanup_free_ char *copy = mem_stringn(bytes, length);
	struct text text = {0};

	for (size_t i = 0; i < length;) {
		const unsigned char *byte = (const unsigned char *)copy + i;
		size_t size = *byte ? utf8_length(copy + i) : 0;

		if (size == 0 || *byte < 0x20 || *byte == 0x7f || (*byte == 0xc2 && byte[1] < 0xa0)) {
			text_append_char(&text, '?');
			i += size ? size : 1;
			continue;
		}
		for (size_t j = 0; j < size; j++)
			text_append_char(&text, copy[i + j]);
		i += size;
	}
	return text_take(&text);
}

/* A decimal number that begins at *at and ends before `end`; moves *at behind it. */
static bool take_number(const char **at, const char *end, uint64_t *ret)
{
	uint64_t number = 0;
	const char *first = *at;

	for (; *at < end && isdigit((unsigned char)**at); (*at)++) {
		unsigned int digit = (unsigned int)(**at - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret = number;
	return *at > first;
}

bool proc_stat_parse(const char *text, size_t length, struct proc_stat *ret)
{
	const char *end = text + length;
	const char *open = memchr(text, '(', length);
	/* The command may hold parentheses; what follows it never does. */
	const char *close = memrchr(text, ')', length);
	size_t size;

	if (!open || !close || close < open || end - close < 4 || close[1] != ' ')
		return false;
	*ret = (struct proc_stat){.state = close[2]};
	size = (size_t)(close - open - 1);
	if (size >= sizeof(ret->command))
		size = sizeof(ret->command) - 1;
	memcpy(ret->command, open + 1, size);
	/* Fields as proc(5) counts them: the state was the third. */
	const char *at = close + 3;

	for (unsigned int field = 4; field <= 22; field++) {
		uint64_t number;

		if (at >= end || *at++ != ' ')
			return false;
		if (at < end && *at == '-')
			at++;
		if (!take_number(&at, end, &number))
			return false;
		if (field == 9)
			ret->flags = number;
		else if (field == 20)
			ret->threads = number;
		else if (field == 22)
			ret->start = number;
	}
	return true;
}

/* PF_KTHREAD in include/linux/sched.h, which is not for programs. */
#define KERNEL_THREAD 0x00200000u

bool proc_stat_ended(const struct proc_stat *stat)
{
	return stat->state == 'Z' || stat->state == 'X';
}

bool proc_stat_program(const struct proc_stat *stat)
{
	return !(stat->flags & KERNEL_THREAD) && (!proc_stat_ended(stat) || stat->threads > 1);
}

/* The next line of the text from *at on, without its newline. */
static bool take_line(const char **at, const char *end, const char **ret_line, size_t *ret_length)
{
	const char *newline;

	if (*at >= end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	*ret_line = *at;
	*ret_length = (size_t)((newline ? newline : end) - *at);
	*at = newline ? newline + 1 : end;
	return true;
}

bool proc_status_uid(const char *text, size_t length, uint32_t *ret)
{
	const char *end = text + length;
	const char *line;
	size_t size;

	while (take_line(&text, end, &line, &size)) {
		uint64_t real, effective;

		/* "Uid:", then real, effective, saved and filesystem user. The kernel escapes newlines in "Name:". */
		if (size < 5 || memcmp(line, "Uid:\t", 5) != 0)
			continue;
		const char *at = line + 5;

		if (!take_number(&at, line + size, &real) || at >= line + size || *at++ != '\t' ||
			!take_number(&at, line + size, &effective) || effective > UINT32_MAX)
			return false;
		*ret = (uint32_t)effective;
		return true;
	}
	return false;
}

/* ---- control groups ---- */

struct part {
	const char *text;
	size_t length;
};

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) && memcmp(part.text, text, part.length) == 0;
}

static bool part_begins(struct part part, const char *text)
{
	return part.length >= strlen(text) && memcmp(part.text, text, strlen(text)) == 0;
}

static bool part_ends(struct part part, const char *text)
{
	size_t length = strlen(text);

	return part.length > length && memcmp(part.text + part.length - length, text, length) == 0;
}

/* The next part of a path, between slashes; ".." (a group above the root of our own view) is skipped. */
static bool take_part(const char **at, const char *end, struct part *ret)
{
	do {
		while (*at < end && **at == '/')
			(*at)++;
		const char *first = *at;

		while (*at < end && **at != '/')
			(*at)++;
		*ret = (struct part){first, (size_t)(*at - first)};
	} while (part_is(*ret, ".."));
	return ret->length > 0;
}

static bool is_identifier(struct part part)
{
	for (size_t i = 0; i < part.length; i++)
		if (!isxdigit((unsigned char)part.text[i]) || isupper((unsigned char)part.text[i]))
			return false;
	return part.length == 64;
}

/* What the runtimes call the control group of a container: in front of its 64 digits, and, by systemd, ".scope". */
static const struct runtime {
	const char *prefix;
	const char *name;
} runtimes[] = {
	{"docker-", "docker"},
	{"libpod-", "podman"},
	{"libpod-payload-", "podman"},
	{"cri-containerd-", "containerd"},
	{"crio-", "cri-o"},
	{"nerdctl-", "containerd"},
	{"buildkit-", "buildkit"},
};

/* "docker 0123456789ab", as `docker ps` shows it. */
static char *identified(const char *runtime, struct part identifier)
{
	return mem_format("%s %.12s", runtime, identifier.text);
}

static char *named(const char *runtime, struct part name)
{
	_cleanup_free_ char *clean = proc_clean(name.text, name.length);

	return name.length ? mem_format("%s %s", runtime, clean) : NULL;
}

/* The container whose control group is called `part`, in one called `above`. */
static char *part_container(struct part above, struct part part)
{
	struct part rest = part;

	if (part_ends(rest, ".scope"))
		rest.length -= strlen(".scope");
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		size_t prefix = strlen(runtimes[i].prefix);
		struct part identifier = {rest.text + prefix, rest.length - prefix};

		if (part_begins(rest, runtimes[i].prefix) && is_identifier(identifier))
			return identified(runtimes[i].name, identifier);
	}
	/* "...slice:cri-containerd:IDENTIFIER", where containerd was told of systemd and systemd was not. */
	const char *colon = memrchr(rest.text, ':', rest.length);

	if (colon) {
		struct part identifier = {colon + 1, (size_t)(rest.text + rest.length - colon - 1)};

		if (is_identifier(identifier))
			return identified(
				memmem(rest.text, rest.length, ":crio:", 6) ? "cri-o" : "containerd", identifier);
	}
	if (is_identifier(part)) {
		if (part_is(above, "docker"))
			return identified("docker", part);
		if (part_begins(above, "libpod"))
			return identified("podman", part);
		if (part_begins(above, "pod") || part_begins(above, "kubepods"))
			return identified("kubernetes", part);
		return identified("container", part);
	}
	/* Not lxc.monitor.NAME: that is the program outside which waits for the container. */
	if (part_begins(part, "lxc.payload."))
		return named("lxc", (struct part){part.text + 12, part.length - 12});
	if (part_is(above, "lxc") || part_is(above, "lxc.payload"))
		return named("lxc", part);
	if (part_begins(part, "systemd-nspawn@") && part_ends(part, ".service"))
		return named("nspawn", (struct part){part.text + 15, part.length - 15 - strlen(".service")});
	return NULL;
}

static char *path_container(struct part path)
{
	const char *at = path.text;
	struct part above = {"", 0};
	struct part part;
	char *found = NULL;

	while (take_part(&at, path.text + path.length, &part)) {
		char *container = part_container(above, part);

		if (container) {
			free(found);
			found = container;
		}
		above = part;
	}
	return found;
}

static const char *const unit_suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};

/*
 * The first part that is no slice, if it is a unit, as systemd's own cg_path_get_unit() reads it. What is below belongs
 * to the unit, and whoever runs there may call it as he likes.
 */
static bool take_unit(const char **at, const char *end, struct part *ret)
{
	do {
		if (!take_part(at, end, ret))
			return false;
	} while (part_ends(*ret, ".slice"));
	/* So systemd marks names that the kernel keeps for itself. */
	if (ret->length > 1 && ret->text[0] == '_')
		*ret = (struct part){ret->text + 1, ret->length - 1};
	for (size_t i = 0; i < ARRAY_SIZE(unit_suffixes); i++)
		if (part_ends(*ret, unit_suffixes[i]))
			return true;
	return false;
}

static char *path_unit(struct part path)
{
	const char *at = path.text;
	const char *end = path.text + path.length;
	struct part unit, inner;

	if (!take_unit(&at, end, &unit))
		return NULL;
	_cleanup_free_ char *outer_text = proc_clean(unit.text, unit.length);

	if (!part_begins(unit, "user@") || !take_unit(&at, end, &inner))
		return TAKE_PTR(outer_text);
	_cleanup_free_ char *inner_text = proc_clean(inner.text, inner.length);

	return mem_format("%s/%s", outer_text, inner_text);
}

void proc_cgroup_parse(const char *text, size_t length, char **ret_unit, char **ret_container)
{
	const char *end = text + length;
	const char *line;
	size_t size;

	*ret_unit = NULL;
	*ret_container = NULL;
	/* "HIERARCHY:CONTROLLERS:PATH"; of version 2 "0::PATH". systemd's own hierarchy of version 1 has no controller.
	 */
	while (take_line(&text, end, &line, &size)) {
		const char *first = memchr(line, ':', size);
		const char *second = first ? memchr(first + 1, ':', (size_t)(line + size - first - 1)) : NULL;

		if (!second)
			continue;
		struct part controllers = {first + 1, (size_t)(second - first - 1)};
		struct part path = {second + 1, (size_t)(line + size - second - 1)};

		if (part_ends(path, " (deleted)"))
			path.length -= strlen(" (deleted)");
		if (!*ret_unit && (controllers.length == 0 || part_is(controllers, "name=systemd")))
			*ret_unit = path_unit(path);
		if (!*ret_container)
			*ret_container = path_container(path);
	}
}

/* ---- strings and links ---- */

char **proc_strings(const char *bytes, size_t length, bool (*wanted)(const char *string), size_t *ret_count)
{
	char **strings = NULL;
	size_t count = 0, capacity = 0;

	for (size_t i = 0; i < length;) {
		size_t size = strnlen(bytes + i, length - i);
		char *string = mem_stringn(bytes + i, size);

		i += size + 1;
		if (wanted && !wanted(string)) {
			free(string);
			continue;
		}
		ARRAY_GROW(strings, count, capacity);
		strings[count++] = string;
	}
	*ret_count = count;
	return strings;
}

void proc_strings_free(char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

bool proc_environment_wanted(const char *string)
{
	/* The server knows DFLY_ in capitals only; that dfly_ does nothing must be seen to be told. */
	return strncasecmp(string, "DFLY_", 5) == 0 || strncmp(string, "FLAGS_", 6) == 0 ||
	       strncmp(string, "GOOGLE_", 7) == 0 || strncmp(string, "INVOCATION_ID=", 14) == 0;
}

bool proc_link_number(const char *link, size_t length, const char *prefix, uint64_t *ret)
{
	size_t prefix_length = strlen(prefix);

	if (length <= prefix_length || memcmp(link, prefix, prefix_length) != 0)
		return false;
	const char *at = link + prefix_length;

	return take_number(&at, link + length, ret) && link + length - at == 1 && *at == ']';
}

/* ---- kinds ---- */

static const struct {
	const char *name;
	enum server_kind kind;
} kinds[] = {
	{"dragonfly", SERVER_DRAGONFLY},
	{"redis-server", SERVER_REDIS},
	{"valkey-server", SERVER_VALKEY},
	{"keydb-server", SERVER_KEYDB},
	{"memcached", SERVER_MEMCACHED},
	{"docker-proxy", SERVER_DOCKER_PROXY},
	{"rootlessport", SERVER_DOCKER_PROXY},
	{"containers-rootlessport", SERVER_DOCKER_PROXY},
	{"rootlesskit", SERVER_DOCKER_PROXY},
	{"slirp4netns", SERVER_DOCKER_PROXY},
	{"pasta", SERVER_DOCKER_PROXY},
	{"pasta.avx2", SERVER_DOCKER_PROXY},
	{"systemd", SERVER_SYSTEMD},
};
/* What comm shows of a name. */
#define COMMAND_LENGTH 15

/* As releases are called, dragonfly-x86_64 and dragonfly-aarch64, also cut (comm) or with a version; but not the
 * exporters and operators that live beside them. */
static bool is_release(const char *name)
{
	static const char *const machines[] = {"x86", "amd64", "aarch", "arm64", "v1", "v2"};

	if (strncmp(name, "dragonfly-", strlen("dragonfly-")) != 0)
		return false;
	const char *rest = name + strlen("dragonfly-");

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strncmp(rest, machines[i], strlen(machines[i])) == 0)
			return true;
	return isdigit((unsigned char)*rest);
}

enum server_kind proc_name_kind(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;
	size_t length = strlen(base);
	size_t deleted = strlen(" (deleted)");

	if (length > deleted && strcmp(base + length - deleted, " (deleted)") == 0)
		length -= deleted;
	_cleanup_free_ char *plain = mem_stringn(base, length);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(plain, kinds[i].name) == 0 ||
			(length == COMMAND_LENGTH && strncmp(plain, kinds[i].name, COMMAND_LENGTH) == 0))
			return kinds[i].kind;
	return is_release(plain) ? SERVER_DRAGONFLY : SERVER_OTHER;
}

enum server_kind proc_kind(const char *executable, const char *command, const char *argument)
{
	enum server_kind kind = executable ? proc_name_kind(executable) : SERVER_OTHER;
	enum server_kind by_command = proc_name_kind(command);

	if (kind == SERVER_OTHER)
		kind = by_command;
	if (kind == SERVER_REDIS && by_command == SERVER_DRAGONFLY)
		kind = SERVER_DRAGONFLY;
	if (argument && (kind == SERVER_OTHER || kind == SERVER_REDIS)) {
		/* Redis writes its address behind its name: "redis-server *:6379". */
		_cleanup_free_ char *first = mem_stringn(argument, strcspn(argument, " "));
		enum server_kind by_argument = proc_name_kind(first);

		if (kind == SERVER_OTHER || by_argument == SERVER_DRAGONFLY)
			kind = by_argument;
	}
	return kind;
}

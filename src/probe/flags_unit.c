/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What systemd will start: a unit's files, as far as they decide a server's command line and environment. What is not
 * understood here makes the result unknown; it is never guessed.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "flags_private.h"

/* systemd's search path, the strongest first (systemd.unit(5)); /lib counts where it is no link to /usr/lib. */
static const char *const folders[] = {
	"/etc/systemd/system.control",
	"/run/systemd/system.control",
	"/run/systemd/transient",
	"/run/systemd/generator.early",
	"/etc/systemd/system",
	"/etc/systemd/system.attached",
	"/run/systemd/system",
	"/run/systemd/system.attached",
	"/run/systemd/generator",
	"/usr/local/lib/systemd/system",
	"/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/run/systemd/generator.late",
};

#define DROP_INS_MAXIMUM 256u

struct reading {
	const char *root;
	struct server_unit *unit;
	struct words files;
	struct words commands;	/* ExecStart= */
	struct words variables; /* Environment=, word by word */
	struct words variable_files;
	struct words removed; /* UnsetEnvironment= */
};

static void not_known(struct server_unit *unit, const char *format, ...) _printf_(2, 3);
static void not_known(struct server_unit *unit, const char *format, ...)
{
	va_list list;

	if (unit->unknown)
		return;
	va_start(list, format);
	unit->unknown = printable(format, list);
	va_end(list);
}

static void refuse(struct server_unit *unit, const char *format, ...) _printf_(2, 3);
static void refuse(struct server_unit *unit, const char *format, ...)
{
	va_list list;

	if (unit->refusal)
		return;
	va_start(list, format);
	unit->refusal = printable(format, list);
	va_end(list);
}

/* --- lines --- */

/* An assignment of `words` to a list; none at all empties it. */
static void assign_words(struct reading *reading, struct words *list, const char *value, const char *key)
{
	struct words words = {0};

	if (!*value) {
		words_done(list);
		return;
	}
	if (words_split(&value, false, &words) < 0)
		not_known(reading->unit, "%s= has quotes or escapes that are not understood here", key);
	for (size_t i = 0; i < words.count; i++) {
		char why[INTERVAL_WHY] = "";
		char *word;

		if (list->count >= FLAGS_MAX_FLAGS)
			not_known(reading->unit, "%s= sets more than dflyguard looks at", key);
		else if (!specifiers_expand(reading->unit->name, words.items[i], &word, why))
			not_known(reading->unit, "%s=: %s", key, why);
		else
			words_add(list, word);
	}
	words_done(&words);
}

static void assign_text(struct words *list, const char *value)
{
	if (!*value)
		words_done(list);
	else if (list->count < FLAGS_MAX_FLAGS)
		words_add(list, mem_string(value));
}

static void take_assignment(struct reading *reading, const char *key, const char *value)
{
	/* They change what the server sees of the host, or of its environment. */
	static const char *const others[] = {"RootDirectory", "RootImage", "ExtensionImages", "ExtensionDirectories",
		"BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "MountImages"};
	struct server_unit *unit = reading->unit;

	if (strcmp(key, "ExecStart") == 0) {
		assign_text(&reading->commands, value);
	} else if (strcmp(key, "Environment") == 0) {
		assign_words(reading, &reading->variables, value, key);
	} else if (strcmp(key, "UnsetEnvironment") == 0) {
		assign_words(reading, &reading->removed, value, key);
	} else if (strcmp(key, "EnvironmentFile") == 0) {
		assign_text(&reading->variable_files, value);
	} else if (strcmp(key, "PassEnvironment") == 0) {
		/* From systemd's own environment, which no file tells. */
		if (strstr(value, "DFLY_") || strstr(value, "FLAGS_"))
			not_known(unit, "PassEnvironment= passes on flags from systemd's own environment");
	} else if (strcmp(key, "WorkingDirectory") == 0) {
		free(unit->directory);
		unit->directory = *value ? mem_string(value) : NULL;
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(others); i++)
			if (strcmp(key, others[i]) == 0 && *value)
				not_known(unit, "%s= changes which files the server sees", key);
	}
}

static char *trimmed(const char *text, size_t length)
{
	while (length > 0 && is_blank(*text)) {
		text++;
		length--;
	}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	return mem_stringn(text, length);
}

static void take_line(struct reading *reading, const char *line, bool *in_service)
{
	const char *equals = strchr(line, '=');

	if (*line == '[') {
		*in_service = strcmp(line, "[Service]") == 0;
	} else if (*in_service && equals) {
		_cleanup_free_ char *key = trimmed(line, (size_t)(equals - line));
		_cleanup_free_ char *value = trimmed(equals + 1, strlen(equals + 1));

		take_assignment(reading, key, value);
	}
}

/* Lines, and those that a backslash joins: it becomes a blank, and comments between them do not count. */
static void take_text(struct reading *reading, const char *data, size_t length)
{
	_cleanup_text_ struct text joined = {0};
	bool in_service = false;

	if (memchr(data, '\0', length)) {
		not_known(reading->unit, "a unit file holds a NUL byte");
		return;
	}
	for (size_t begin = 0; begin < length;) {
		const char *newline = memchr(data + begin, '\n', length - begin);
		size_t size = newline ? (size_t)(newline - data) - begin : length - begin;
		_cleanup_free_ char *line = NULL;
		size_t backslashes = 0;
		bool more;

		if (size > 0 && data[begin + size - 1] == '\r')
			size--;
		while (backslashes < size && data[begin + size - 1 - backslashes] == '\\')
			backslashes++;
		more = backslashes % 2 == 1;
		line = trimmed(data + begin, size - more);

		begin = newline ? (size_t)(newline - data) + 1 : length;
		if (*line == '#' || *line == ';')
			continue;
		text_append(&joined, line);
		if (more)
			text_append_char(&joined, ' ');
		if (more && begin < length)
			continue;
		if (joined.length)
			take_line(reading, text_string(&joined), &in_service);
		text_done(&joined);
		joined = (struct text){0};
	}
	/* A comment may have been the last line. */
	if (joined.length)
		take_line(reading, text_string(&joined), &in_service);
}

/* --- files --- */

/* -ENOENT where there is none. */
static int take_file(struct reading *reading, const char *path)
{
	struct flags_place place = {.root = reading->root};
	_cleanup_free_ char *data = NULL;
	char why[INTERVAL_WHY] = "";
	size_t length;
	int r = place_read(&place, path, &data, &length, NULL, why);

	if (r == -ENOENT || r == -ENOTDIR)
		return -ENOENT;
	if (r < 0) {
		not_known(reading->unit, "%s could not be read: %s", path, *why ? why : strerror(-r));
		return 0;
	}
	words_add(&reading->files, mem_string(path));
	take_text(reading, data, length);
	return 0;
}

/* A link to /dev/null, or an empty file, hides what is behind it (systemctl mask). */
static bool is_masked(struct reading *reading, const char *path)
{
	struct flags_place place = {.root = reading->root};
	_cleanup_free_ char *link = place_link(reading->root, path);
	_cleanup_free_ char *data = NULL;
	char why[INTERVAL_WHY] = "";
	size_t length;

	if (link && strcmp(link, "/dev/null") == 0)
		return true;
	return place_read(&place, path, &data, &length, NULL, why) == 0 && length == 0;
}

/* Another name of a unit: systemd reads the drop-ins of both. An instance may be a link to its template. */
static void look_for_alias(struct reading *reading, const char *path, const char *name)
{
	_cleanup_free_ char *link = place_link(reading->root, path);
	const char *slash = link ? strrchr(link, '/') : NULL;
	const char *target = slash ? slash + 1 : link;
	const char *at = strchr(name, '@');

	if (!target || strcmp(target, name) == 0)
		return;
	if (at && strncmp(target, name, (size_t)(at - name) + 1) == 0 &&
		strcmp(target + (at - name) + 1, ".service") == 0)
		return;
	not_known(reading->unit, "%s is another name of a unit; name that one", name);
}

static bool take_fragment(struct reading *reading, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = mem_format("%s/%s", folders[i], name);

		if (is_masked(reading, path)) {
			refuse(reading->unit, "systemd does not start %s: %s masks it", name, path);
			return true;
		}
		if (take_file(reading, path) == 0) {
			look_for_alias(reading, path, name);
			return true;
		}
	}
	return false;
}

/* A drop-in; one of the same name in a stronger folder hides it. */
struct drop_in {
	char *name;
	char *path;
};

struct drop_ins {
	struct drop_in *items;
	size_t count;
	size_t capacity;
};

static void collect(struct reading *reading, struct drop_ins *ins, const char *folder, const char *unit)
{
	_cleanup_free_ char *path = mem_format("%s/%s.d", folder, unit);
	char **names = NULL;
	size_t count = 0;
	int r = place_list(reading->root, path, &names, &count);

	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		not_known(reading->unit, "%s could not be read: %s", path, strerror(-r));
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(names[i]);
		bool hidden = length < 6 || strcmp(names[i] + length - 5, ".conf") != 0;

		for (size_t j = 0; j < ins->count && !hidden; j++)
			hidden = strcmp(ins->items[j].name, names[i]) == 0;
		if (!hidden && ins->count >= DROP_INS_MAXIMUM) {
			not_known(reading->unit, "it has more drop-ins than dflyguard looks at");
			hidden = true;
		}
		if (!hidden) {
			ARRAY_GROW(ins->items, ins->count, ins->capacity);
			ins->items[ins->count++] = (struct drop_in){
				.name = mem_string(names[i]), .path = mem_format("%s/%s", path, names[i])};
		}
		free(names[i]);
	}
	free(names);
}

static int compare_drop_ins(const void *a, const void *b)
{
	return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

/* Names whose drop-ins count: its own, its template's, those with the last parts behind a '-' taken away, all
 * services'. */
static void drop_in_names(const char *unit, struct words *ret)
{
	const char *at = strchr(unit, '@');
	_cleanup_free_ char *prefix = mem_stringn(unit, at ? (size_t)(at - unit) : strlen(unit) - strlen(".service"));

	words_add(ret, mem_string(unit));
	if (at)
		words_add(ret, mem_format("%s@.service", prefix));
	for (size_t length = strlen(prefix); length > 1; length--)
		if (prefix[length - 1] == '-') {
			prefix[length] = '\0';
			words_add(ret, mem_format("%s.service", prefix));
		}
	words_add(ret, mem_string("service"));
}

static void take_drop_ins(struct reading *reading)
{
	struct drop_ins ins = {0};
	struct words names = {0};

	drop_in_names(reading->unit->name, &names);
	for (size_t i = 0; i < names.count; i++)
		for (size_t j = 0; j < ARRAY_SIZE(folders); j++)
			collect(reading, &ins, folders[j], names.items[i]);
	if (ins.count)
		qsort(ins.items, ins.count, sizeof(*ins.items), compare_drop_ins);
	for (size_t i = 0; i < ins.count; i++) {
		if (!is_masked(reading, ins.items[i].path) && take_file(reading, ins.items[i].path) < 0)
			not_known(reading->unit, "%s vanished while it was read", ins.items[i].path);
		free(ins.items[i].name);
		free(ins.items[i].path);
	}
	free(ins.items);
	words_done(&names);
}

/* --- what they mean together --- */

static void take_variable_file(struct reading *reading, const char *value, struct words *environment)
{
	struct server_unit *unit = reading->unit;
	struct flags_place place = {.root = reading->root};
	bool optional = *value == '-';
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *data = NULL;
	char why[INTERVAL_WHY] = "";
	size_t length;
	int r;

	if (!specifiers_expand(unit->name, value + optional, &path, why)) {
		not_known(unit, "EnvironmentFile=: %s", why);
		return;
	}
	if (strpbrk(path, "*?[") || *path != '/') {
		not_known(unit, "EnvironmentFile= does not name one file");
		return;
	}
	r = place_read(&place, path, &data, &length, NULL, why);
	if (r == -ENOENT || r == -ENOTDIR) {
		if (!optional)
			refuse(unit, "systemd does not start it: EnvironmentFile=%s is missing", path);
	} else if (r < 0) {
		not_known(unit, "EnvironmentFile=%s could not be read: %s", path, *why ? why : strerror(-r));
	} else {
		words_add(&reading->files, mem_string(path));
		environment_file_parse(data, length, environment);
	}
}

static void make_environment(struct reading *reading, struct words *environment)
{
	for (size_t i = 0; i < reading->variables.count; i++)
		environment_set(environment, reading->variables.items[i]);
	if (reading->variable_files.count > FLAGS_MAX_FILES)
		not_known(reading->unit, "there are more files of variables than dflyguard looks at");
	for (size_t i = 0; i < reading->variable_files.count && i < FLAGS_MAX_FILES; i++)
		take_variable_file(reading, reading->variable_files.items[i], environment);
	/* systemd's own, which a unit cannot change. */
	environment_set(environment, "INVOCATION_ID=");
	for (size_t i = 0; i < reading->removed.count; i++) {
		const char *removed = reading->removed.items[i];
		size_t kept = 0;

		for (size_t j = 0; j < environment->count; j++) {
			const char *have = environment->items[j];
			size_t length = strcspn(have, "=");
			bool same = strchr(removed, '=')
					    ? strcmp(have, removed) == 0
					    : strlen(removed) == length && memcmp(have, removed, length) == 0;

			if (same)
				free(environment->items[j]);
			else
				environment->items[kept++] = environment->items[j];
		}
		environment->count = kept;
	}
}

/* True for the server's own program: what a shell or a container's runner makes of its arguments is not known. */
static bool is_server(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strncmp(slash ? slash + 1 : program, "dragonfly", 9) == 0;
}

static void take_command(
	struct reading *reading, const char *line, const struct words *environment, struct words *arguments)
{
	struct server_unit *unit = reading->unit;
	struct words words = {0};
	bool no_variables = false;
	bool own_name = false;
	size_t bytes = 0;

	/* systemd.service(5), "special executable prefixes". */
	while (*line && strchr("@-:+!|", *line)) {
		no_variables |= *line == ':';
		own_name |= *line == '@';
		if (*line == '|')
			not_known(unit, "ExecStart= runs a shell");
		line++;
	}
	if (words_split(&line, true, &words) < 0)
		not_known(unit, "ExecStart= has quotes or escapes that are not understood here");
	else if (*line)
		not_known(unit, "ExecStart= runs several commands");
	else if (words.count < 1u + own_name)
		not_known(unit, "ExecStart= names no program");
	for (size_t i = 0; i < words.count && !unit->unknown; i++) {
		_cleanup_free_ char *word = NULL;
		char why[INTERVAL_WHY] = "";

		if (!specifiers_expand(unit->name, words.items[i], &word, why)) {
			not_known(unit, "ExecStart=: %s", why);
		} else if (i == 0) {
			if (strchr(word, '$'))
				not_known(unit, "ExecStart= takes its program from a variable");
			unit->program = TAKE_PTR(word);
		} else if (i == 1 && own_name) {
			continue;
		} else if (no_variables) {
			words_add(arguments, TAKE_PTR(word));
		} else if (!variables_expand(word, environment, arguments, why)) {
			not_known(unit, "ExecStart=: %s", why);
		}
		if (arguments->count > FLAGS_MAX_FLAGS)
			not_known(unit, "ExecStart= is longer than dflyguard looks at");
		else if (arguments->count > 0)
			bytes += strlen(arguments->items[arguments->count - 1]);
		if (bytes > 4 * FLAGS_MAX_TEXT)
			not_known(unit, "ExecStart= is longer than dflyguard looks at");
	}
	if (!unit->unknown && !is_server(unit->program)) {
		_cleanup_text_ struct text shown = {0};

		quote_text(&shown, unit->program);
		not_known(unit, "ExecStart= runs %s, and what that does is not known", text_string(&shown));
	}
	words_done(&words);
}

static bool good_name(const char *name)
{
	size_t length = strlen(name);

	if (length <= 8 || length > 255 || strcmp(name + length - 8, ".service") != 0)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr(":-_.\\@", *name))
			return false;
	return true;
}

static void settle_directory(struct server_unit *unit)
{
	const char *directory = unit->directory ? unit->directory : "/";
	bool optional = *directory == '-';
	char *expanded = NULL;
	char why[INTERVAL_WHY] = "";

	if (!specifiers_expand(unit->name, directory + optional, &expanded, why))
		not_known(unit, "WorkingDirectory=: %s", why);
	else if (*expanded != '/') /* "~" */
		not_known(unit, "WorkingDirectory= is no path");
	free(unit->directory);
	unit->directory = expanded ? expanded : mem_string("/");
}

/* What all the files say together, once they are read. */
static void finish(struct reading *reading)
{
	struct server_unit *unit = reading->unit;
	struct words environment = {0};
	struct words arguments = {0};

	if (unit->found && !unit->refusal) {
		make_environment(reading, &environment);
		settle_directory(unit);
		if (reading->commands.count == 0)
			refuse(unit, "systemd does not start it: it has no ExecStart=");
		else if (reading->commands.count > 1)
			not_known(unit, "it has several ExecStart=");
		else
			take_command(reading, reading->commands.items[0], &environment, &arguments);
	}
	unit->files = reading->files.items;
	unit->file_count = reading->files.count;
	unit->arguments = arguments.items;
	unit->argument_count = arguments.count;
	unit->environment = environment.items;
	unit->environment_count = environment.count;
	words_done(&reading->commands);
	words_done(&reading->variables);
	words_done(&reading->variable_files);
	words_done(&reading->removed);
}

void unit_read(const char *root, const char *name, struct server_unit **ret)
{
	struct server_unit *unit = mem_zero(1, sizeof(*unit));
	struct reading reading = {.root = root, .unit = unit};
	const char *at = strchr(name, '@');

	unit->name = mem_string(name);
	*ret = unit;
	if (!good_name(name)) {
		not_known(unit, "this is not the name of a service");
		return;
	}
	unit->found = take_fragment(&reading, name);
	if (!unit->found && at && at[1] != '.') {
		_cleanup_free_ char *template = mem_format("%.*s@.service", (int)(at - name), name);

		unit->found = take_fragment(&reading, template);
	}
	if (!unit->found)
		not_known(unit, "there is no unit %s", name);
	if (unit->found && !unit->refusal)
		take_drop_ins(&reading);
	finish(&reading);
}

void unit_parse(const char *name, const char *text, size_t length, struct server_unit **ret)
{
	struct server_unit *unit = mem_zero(1, sizeof(*unit));
	struct reading reading = {.root = "/proc/self/fdinfo", .unit = unit};

	unit->name = mem_string(name);
	unit->found = true;
	take_text(&reading, text, length);
	finish(&reading);
	*ret = unit;
}

void unit_free(struct server_unit *unit)
{
	if (!unit)
		return;
	words_done(&(struct words){.items = unit->files, .count = unit->file_count});
	words_done(&(struct words){.items = unit->arguments, .count = unit->argument_count});
	words_done(&(struct words){.items = unit->environment, .count = unit->environment_count});
	free(unit->name);
	free(unit->program);
	free(unit->directory);
	free(unit->unknown);
	free(unit->refusal);
	free(unit);
}

void intention_read_unit(const char *root, const struct server_unit *unit, struct intention **ret)
{
	struct flags_input input = {.arguments = unit->arguments,
		.argument_count = unit->argument_count,
		.environment = unit->environment,
		.environment_count = unit->environment_count};

	/* What is known of it in part would look like all. */
	if (unit->unknown || unit->refusal)
		input.argument_count = input.environment_count = 0;
	intention_read_at(&input, &(struct flags_place){.root = root, .directory = unit->directory}, ret);
	if (unit->refusal)
		intention_refuse(*ret, NULL, 0, "%s", unit->refusal);
	else if (unit->unknown)
		intention_not_known(*ret, "%s: %s", unit->name, unit->unknown);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A command line, its flagfiles and the environment, as abseil's parser (absl/flags/parse.cc) and Dragonfly's
 * ParseFlagsFromEnv() (src/server/dfly_main.cc) take them. Lists of arguments lie on a stack: a flagfile's lines are
 * read where its flag stands, before what follows there.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "flags_private.h"

struct argument {
	char *text;
	unsigned int line;
};

/* argv, the lines of one flagfile, or what --fromenv asked for. */
struct arguments {
	struct argument *items;
	size_t count;
	size_t capacity;
	size_t next;
	enum flag_source source;
	char *file;	    /* FLAG_FILE: as it was named */
	unsigned int depth; /* 0: argv */
};

/* A flag that the server does not know, unless --undefok excuses it in the end. */
struct undefined {
	char *name; /* the whole of it; may hold a secret */
	char *file;
	unsigned int line;
};

struct parser {
	const struct flags_input *input;
	struct intention *intention;
	struct arguments *stack;
	size_t depth;
	size_t stack_capacity;
	struct undefined *undefined;
	size_t undefined_count;
	size_t undefined_capacity;
	size_t flag_capacity;
	size_t file_capacity;
	size_t files_asked;
	size_t settings;
	struct text flagfiles; /* those of the command line, as the flag itself shows them in the end */
	char **from_environment;
	size_t from_environment_count;
	size_t from_environment_capacity;
	char *usage; /* --help or such */
	unsigned int usage_line;
	char *usage_file;
	bool stopped;
};

static void arguments_add(struct arguments *list, const char *text, size_t length, unsigned int line)
{
	ARRAY_GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = (struct argument){.text = mem_stringn(text, length), .line = line};
}

static void arguments_done(struct arguments *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].text);
	free(list->items);
	free(list->file);
}

static void push(struct parser *parser, struct arguments *list)
{
	ARRAY_GROW(parser->stack, parser->depth, parser->stack_capacity);
	parser->stack[parser->depth++] = *list;
	*list = (struct arguments){0};
}

static void stop(struct parser *parser, const char *why)
{
	intention_not_known(parser->intention, "%s", why);
	parser->stopped = true;
}

/* Whether environment has NAME; as getenv(3), the first one counts. */
static const char *environment_get(const struct flags_input *input, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < input->environment_count; i++)
		if (strncmp(input->environment[i], name, length) == 0 && input->environment[i][length] == '=')
			return input->environment[i] + length + 1;
	return NULL;
}

/* --- one flag is set --- */

static struct flag *find_set(const struct intention *intention, const char *name)
{
	for (size_t i = 0; i < intention->flag_count; i++)
		if (strcmp(intention->flags[i].name, name) == 0)
			return &intention->flags[i];
	return NULL;
}

static void place_text(struct text *text, const struct flag *flag)
{
	if (flag->source == FLAG_FILE) {
		quote_text(text, flag->file);
		text_printf(text, ":%u", flag->line);
	} else if (flag->source == FLAG_ARGUMENT) {
		text_printf(text, "argument %u", flag->line);
	} else {
		text_append(text, "the environment");
	}
}

/* `known` NULL: an unknown one, which is kept all the same. */
static void set_flag(struct parser *parser, const struct known_flag *known, const char *name, const char *value,
	enum flag_source source, const char *file, unsigned int line)
{
	struct intention *intention = parser->intention;
	struct flag *old;
	struct flag now = {.value = mem_string(value),
		.source = source,
		.file = source == FLAG_FILE ? mem_string(file) : NULL,
		.line = line};

	if (++parser->settings > FLAGS_MAX_FLAGS)
		stop(parser, "more flags are set than dflyguard looks at");
	old = find_set(intention, known ? known->name : name);
	if (old) {
		now.overridden = old->overridden + 1;
		/* --flagfile adds up; the others are for the parser itself. */
		if (strcmp(old->value, value) != 0 && known && known->type != FLAG_LIST) {
			_cleanup_text_ struct text before = {0};

			place_text(&before, old);
			intention_remark(intention, NOTE_OVERRIDDEN, file, line,
				"--%s is set more than once; this value counts, not that of %s", known->name,
				text_string(&before));
		}
		now.name = old->name;
		free(old->value);
		free(old->file);
		memmove(old, old + 1, (size_t)(&intention->flags[intention->flag_count] - (old + 1)) * sizeof(*old));
		intention->flag_count--;
	} else {
		now.name = known ? known->name : mem_string(name);
	}
	ARRAY_GROW(intention->flags, intention->flag_count, parser->flag_capacity);
	intention->flags[intention->flag_count++] = now;
}

/* --- flagfiles --- */

/* A word that may be shown: what is not the name of a flag or of somebody's directive may be a secret. */
static void quote_first_word(struct text *text, const char *line, size_t length)
{
	size_t word = 0;

	while (word < length && (isalnum((unsigned char)line[word]) || line[word] == '_' || line[word] == '-'))
		word++;
	if (word > 0 && (known_flag_find(line, word) || redis_directive(line, word, NULL)))
		text_printf(text, " '%.*s'", (int)word, line);
}

/* What the server calls an unexpected line of a flagfile. */
static void refuse_line(
	struct intention *intention, const char *path, const char *line, size_t length, unsigned int number)
{
	_cleanup_text_ struct text word = {0};

	if (number == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		intention_refuse(intention, path, number,
			"Unexpected line in the flagfile: it begins with a byte order mark, which the server does not "
			"skip");
		return;
	}
	if (length >= 2 && (memcmp(line, "\xff\xfe", 2) == 0 || memcmp(line, "\xfe\xff", 2) == 0)) {
		intention_refuse(intention, path, number, "Unexpected line in the flagfile: it is written in UTF-16");
		return;
	}
	while (length > 0 && is_blank(*line)) {
		line++;
		length--;
	}
	quote_first_word(&word, line, length);
	if (*line == ';')
		text_append(&word, " ';' (a comment begins with '#')");
	intention_refuse(intention, path, number,
		"Unexpected line in the flagfile:%s; each line is --NAME=VALUE or begins with '#'",
		word.length ? text_string(&word) : " it does not begin with '-'");
}

/* Splits a flagfile into arguments; false: the server refuses, and takes nothing from this file. */
static bool split_file(struct parser *parser, const char *path, const char *data, size_t length, struct arguments *ret)
{
	struct intention *intention = parser->intention;
	bool good = true;
	unsigned int number = 0;

	for (size_t begin = 0; begin < length && !parser->stopped;) {
		const char *line = data + begin;
		const char *newline = memchr(line, '\n', length - begin);
		size_t size = newline ? (size_t)(newline - line) : length - begin;
		size_t skip = 0;

		begin += size + 1;
		number++;
		while (skip < size && is_blank(line[skip]))
			skip++;
		if (skip == size || line[skip] == '#')
			continue;
		if (line[skip] != '-') {
			refuse_line(intention, path, line, size, number);
			good = false;
			continue;
		}
		line += skip;
		size -= skip;
		if (size == 2 && line[1] == '-') {
			intention_refuse(intention, path, number, "Flagfile can't contain position arguments or --");
			return false;
		}
		if (memchr(line, '\0', size)) {
			intention_not_known(intention, "line %u of a flagfile holds a NUL byte", number);
			continue;
		}
		if (ret->count >= FLAGS_MAX_FLAGS) {
			stop(parser, "a flagfile has more lines than dflyguard looks at");
			break;
		}
		arguments_add(ret, line, size, number);
	}
	return good;
}

static void read_flagfile(struct parser *parser, const char *path, const struct arguments *from, unsigned int line)
{
	struct intention *intention = parser->intention;
	struct arguments list = {.source = FLAG_FILE, .depth = from->depth + 1};
	_cleanup_free_ char *data = NULL;
	_cleanup_text_ struct text shown = {0};
	char why[INTERVAL_WHY] = "";
	size_t length = 0;
	int r;

	quote_text(&shown, path);
	/* Who has begun and includes itself, does so for ever. */
	for (size_t i = 0; i < parser->depth; i++)
		if (parser->stack[i].next > 0 && parser->stack[i].file && strcmp(parser->stack[i].file, path) == 0) {
			intention_refuse(intention, from->file, line,
				"the flagfile %s includes itself, so that the server never ends reading",
				text_string(&shown));
			return;
		}
	if (++parser->files_asked > FLAGS_MAX_FILES) {
		stop(parser, "there are more flagfiles than dflyguard looks at");
		return;
	}
	if (list.depth > FLAGS_MAX_DEPTH) {
		stop(parser, "flagfiles are nested deeper than dflyguard looks");
		return;
	}
	r = parser->input->read_file ? parser->input->read_file(parser->input->data, path, &data, &length, why)
				     : -ENOSYS;
	if (r == -EISDIR) {
		intention_remark(intention, NOTE_EMPTY_FILE, from->file, line,
			"the flagfile %s is a directory, which the server takes for an empty file: it starts with its "
			"defaults",
			text_string(&shown));
		return;
	}
	if (r == -ENOENT || r == -ENOTDIR || r == -ENAMETOOLONG) {
		intention_refuse(intention, from->file, line, "Can't open flagfile '%s'", text_string(&shown));
		return;
	}
	if (r < 0) {
		intention_not_known(intention, "the flagfile %s could not be read: %s", text_string(&shown),
			why[0] ? why : strerror(-r));
		return;
	}
	ARRAY_GROW(intention->files, intention->file_count, parser->file_capacity);
	intention->files[intention->file_count++] = mem_string(path);
	if (!split_file(parser, path, data ? data : "", length, &list)) {
		arguments_done(&list);
		return;
	}
	if (list.count == 0)
		intention_remark(intention, NOTE_EMPTY_FILE, path, 0,
			"the flagfile sets nothing: the server starts with its defaults");
	list.file = mem_string(path);
	push(parser, &list);
}

/* Calls back for each part of a list as absl::StrSplit() makes it: also for empty ones, but not for an empty list. */
static char **split_commas(const char *value, size_t *ret_count)
{
	char **parts = NULL;
	size_t capacity = 0;

	*ret_count = 0;
	if (!*value)
		return NULL;
	for (;;) {
		size_t length = strcspn(value, ",");

		ARRAY_GROW(parts, *ret_count, capacity);
		parts[(*ret_count)++] = mem_stringn(value, length);
		if (!value[length])
			return parts;
		value += length + 1;
	}
}

static void free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static void generate_flagfiles(struct parser *parser, const char *value, size_t level, unsigned int line)
{
	/* Pushing may move the stack. */
	struct arguments from = parser->stack[level];
	size_t count;
	char **paths = split_commas(value, &count);

	if (from.depth == 0 && count > 0)
		text_printf(&parser->flagfiles, "%s%s", parser->flagfiles.length ? "," : "", value);
	/* The last one first, so that the first lies on top. */
	for (size_t i = count; i > 0 && !parser->stopped; i--)
		read_flagfile(parser, paths[i - 1], &from, line);
	free_list(paths, count);
}

static void generate_environment(struct parser *parser, const char *value, bool must, size_t level, unsigned int line)
{
	struct intention *intention = parser->intention;
	const char *file = parser->stack[level].file;
	struct arguments list = {.source = FLAG_ENVIRONMENT, .depth = parser->stack[level].depth + 1};
	size_t count;
	char **names = split_commas(value, &count);
	bool good = true;

	if (list.depth > FLAGS_MAX_DEPTH || count > FLAGS_MAX_FLAGS)
		stop(parser, "flags from the environment are nested deeper than dflyguard looks");
	if (count > 0 && parser->input->environment_unknown)
		intention_not_known(
			intention, "--%s: the environment could not be read", must ? "fromenv" : "tryfromenv");
	for (size_t i = 0; i < count && !parser->stopped; i++) {
		_cleanup_text_ struct text shown = {0};
		_cleanup_free_ char *variable = mem_format("FLAGS_%s", names[i]);
		_cleanup_free_ char *argument = NULL;
		const char *found = environment_get(parser->input, variable);

		quote_text(&shown, names[i]);
		if (strcmp(names[i], "fromenv") == 0 || strcmp(names[i], "tryfromenv") == 0) {
			intention_refuse(intention, file, line, "Infinite recursion on flag %s", names[i]);
			good = false;
		} else if (!found) {
			if (must && !parser->input->environment_unknown) {
				intention_refuse(intention, file, line, "FLAGS_%s not found in environment",
					text_string(&shown));
				good = false;
			}
		} else {
			argument = mem_format("--%s=%s", names[i], found);
			arguments_add(&list, argument, strlen(argument), 0);
			ARRAY_GROW(parser->from_environment, parser->from_environment_count,
				parser->from_environment_capacity);
			parser->from_environment[parser->from_environment_count++] = mem_string(names[i]);
		}
	}
	free_list(names, count);
	if (good && !parser->stopped)
		push(parser, &list);
	else
		arguments_done(&list);
}

/* --- arguments --- */

/* The flag, or the one behind "no". */
static const struct known_flag *locate(const char *name, size_t length, bool *ret_negative)
{
	const struct known_flag *known = length ? known_flag_find(name, length) : NULL;

	*ret_negative = false;
	if (!known && length > 2 && strncmp(name, "no", 2) == 0) {
		known = known_flag_find(name + 2, length - 2);
		*ret_negative = known != NULL;
	}
	return known;
}

static size_t name_length(const char *argument)
{
	return strcspn(argument, "=");
}

/* An argument without leading hyphens. */
static const char *skip_hyphens(const char *argument)
{
	argument += argument[0] == '-';
	return argument + (argument[0] == '-');
}

static bool looks_like_flag(const char *argument)
{
	return argument[0] == '-' && (argument[1] == '-' || isalpha((unsigned char)argument[1]));
}

static void remark_positional(struct parser *parser, const char *argument, unsigned int index)
{
	_cleanup_text_ struct text shown = {0};
	const char *before = index >= 2 ? parser->input->arguments[index - 2] : "";
	const char *name = skip_hyphens(before);
	bool negative;
	bool truth;
	const struct known_flag *known = looks_like_flag(before) ? locate(name, strlen(name), &negative) : NULL;

	if (known && known->type == FLAG_BOOL &&
		(value_read_bool(argument, &truth) || strcasecmp(argument, "on") == 0 ||
			strcasecmp(argument, "off") == 0)) {
		intention_remark(parser->intention, NOTE_POSITIONAL, NULL, index,
			"'%s' behind --%s is ignored: the flag is %s; write --%s=true or --%s=false", argument, name,
			negative ? "false" : "true", known->name, known->name);
		return;
	}
	/* What is no path may be a password that a blank cut off. */
	if (strchr(argument, '/') || strstr(argument, ".conf")) {
		quote_text(&shown, argument);
		intention_remark(parser->intention, NOTE_POSITIONAL, NULL, index,
			"'%s' is ignored: a configuration file is named with --flagfile=", text_string(&shown));
		return;
	}
	intention_remark(parser->intention, NOTE_POSITIONAL, NULL, index,
		"argument %u is ignored, since no flag takes it", index);
}

/* The part of an unknown flag's name that may be shown: `--requirepass secret` is one name in a flagfile. */
static char *safe_name(const char *name)
{
	size_t length = 0;

	while (length < 64 && (isalnum((unsigned char)name[length]) || (name[length] && strchr("_-.", name[length]))))
		length++;
	return mem_stringn(name, length);
}

static void refuse_undefined(struct intention *intention, const struct undefined *undefined)
{
	_cleanup_free_ char *name = safe_name(undefined->name);
	const char *rest = undefined->name + strlen(name);
	const char *advice = flag_advice(name);
	bool ignored;

	if (undefined->file && (*rest == ' ' || *rest == '\t') && locate(name, strlen(name), &ignored))
		intention_refuse(intention, undefined->file, undefined->line,
			"Unknown command line flag '%s ...': in a flagfile a value stands behind '=', write --%s=VALUE",
			name, name);
	else if (*rest == '\r' && !rest[1])
		intention_refuse(intention, undefined->file, undefined->line,
			"Unknown command line flag '%s\\r': the line ends with a carriage return (a text file of DOS)",
			name);
	else
		intention_refuse(intention, undefined->file, undefined->line, "Unknown command line flag '%s'%s%s%s",
			name, *rest ? " and more" : "", advice ? ": " : "", advice ? advice : "");
}

static void take_undefined(struct parser *parser, const struct arguments *list, const char *name, size_t length,
	const char *value, unsigned int line)
{
	_cleanup_free_ char *whole = mem_stringn(name, length);
	_cleanup_free_ char *safe = safe_name(whole);
	_cleanup_free_ char *shown = NULL;

	if (flag_is_usage(name, length)) {
		if (!parser->usage) {
			parser->usage = TAKE_PTR(whole);
			parser->usage_line = line;
			parser->usage_file = list->file ? mem_string(list->file) : NULL;
		}
		return;
	}
	ARRAY_GROW(parser->undefined, parser->undefined_count, parser->undefined_capacity);
	parser->undefined[parser->undefined_count++] = (struct undefined){
		.name = mem_string(whole), .file = list->file ? mem_string(list->file) : NULL, .line = line};
	/* "bind ..." for `--bind 192.0.2.1` in a flagfile: not the flag of that name. */
	shown = mem_format("%s%s", safe, strlen(safe) < length ? " ..." : "");
	set_flag(parser, NULL, shown, value, list->source, list->file, line);
}

/* Takes the next argument of the list on top, and perhaps the one behind it. */
static void take_argument(struct parser *parser)
{
	struct intention *intention = parser->intention;
	size_t level = parser->depth - 1;
	struct arguments *list = &parser->stack[level];
	struct argument *argument = &list->items[list->next++];
	unsigned int line = argument->line;
	bool from_argv = list->depth == 0;
	const char *name = skip_hyphens(argument->text);
	size_t length = name_length(name);
	const char *value = name[length] == '=' ? name + length + 1 : NULL;
	const struct known_flag *known;
	char why[INTERVAL_WHY] = "";
	bool negative;

	if (argument->text[0] != '-' || !argument->text[1]) {
		if (from_argv)
			remark_positional(parser, argument->text, line);
		else
			intention_refuse(
				intention, list->file, line, "Flagfile cannot contain positional argument: '-'");
		return;
	}
	if (length == 0) {
		if (!from_argv) {
			intention_refuse(intention, list->file, line,
				"Flagfile cannot contain positional argument: no name stands behind '--'");
			return;
		}
		for (; list->next < list->count; list->next++)
			intention_remark(intention, NOTE_POSITIONAL, NULL, list->items[list->next].line,
				"argument %u is ignored, since it stands behind '--'", list->items[list->next].line);
		return;
	}
	known = locate(name, length, &negative);
	if (!known) {
		take_undefined(parser, list, name, length, value ? value : "", line);
		return;
	}
	if (negative && (known->type != FLAG_BOOL || value)) {
		intention_refuse(intention, list->file, line,
			known->type != FLAG_BOOL
				? "Negative form is not valid for the flag '%s'"
				: "Negative form with assignment is not valid for the boolean flag '%s'",
			known->name);
		return;
	}
	if (known->type == FLAG_BOOL && value && !*value) {
		intention_refuse(intention, list->file, line,
			"Missing the value after assignment for the boolean flag '%s'", known->name);
		return;
	}
	if (known->type == FLAG_BOOL && !value)
		value = negative ? "false" : "true";
	if (!value) {
		if (list->next == list->count) {
			intention_refuse(
				intention, list->file, line, "Missing the value for the flag '%s'", known->name);
			return;
		}
		value = list->items[list->next++].text;
		if (looks_like_flag(value) || !from_argv) {
			_cleanup_free_ char *swallowed = safe_name(skip_hyphens(value));

			intention_remark(intention, NOTE_SWALLOWED, list->file, line,
				"--%s stands without '=', so that it took '--%s' behind it as its value, which sets "
				"nothing now",
				known->name, swallowed);
		}
	}
	if (known->trait == FLAG_RETIRED) {
		intention_remark(
			intention, NOTE_OTHER, list->file, line, "--%s is retired: it does nothing", known->name);
		return;
	}
	if (!flag_value_reads(known, value, why)) {
		_cleanup_text_ struct text shown = {0};

		quote_value(&shown, known->name, value);
		intention_refuse(intention, list->file, line, "Illegal value %s specified for flag '%s'%s%s",
			text_string(&shown), known->name, *why ? "; " : "", why);
		return;
	}
	set_flag(parser, known, NULL, value, list->source, list->file, line);
	if (known->type != FLAG_LIST)
		return;
	/* `value` lies in the list, which pushing moves but does not free. */
	if (strcmp(known->name, "flagfile") == 0)
		generate_flagfiles(parser, value, level, line);
	else if (strcmp(known->name, "fromenv") == 0)
		generate_environment(parser, value, true, level, line);
	else if (strcmp(known->name, "tryfromenv") == 0)
		generate_environment(parser, value, false, level, line);
}

static void take_arguments(struct parser *parser)
{
	while (parser->depth > 0 && !parser->stopped) {
		struct arguments *list = &parser->stack[parser->depth - 1];

		if (list->next < list->count) {
			take_argument(parser);
			continue;
		}
		arguments_done(list);
		parser->depth--;
	}
	while (parser->depth > 0)
		arguments_done(&parser->stack[--parser->depth]);
}

static bool list_holds(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (;;) {
		size_t part = strcspn(list, ",");

		if (part == length && memcmp(list, word, length) == 0)
			return true;
		if (!list[part])
			return false;
		list += part + 1;
	}
}

/* --undefok counts as it stands in the end, wherever it stood. */
static void judge_undefined(struct parser *parser)
{
	const struct flag *excused = find_set(parser->intention, "undefok");

	for (size_t i = 0; i < parser->undefined_count; i++) {
		const struct undefined *undefined = &parser->undefined[i];
		_cleanup_free_ char *safe = safe_name(undefined->name);
		const char *name = undefined->name;

		if (excused && *excused->value &&
			(list_holds(excused->value, name) ||
				(strncmp(name, "no", 2) == 0 && list_holds(excused->value, name + 2))))
			intention_remark(parser->intention, NOTE_OTHER, undefined->file, undefined->line,
				"--%s does nothing: the server does not know it, and --undefok excuses it", safe);
		else
			refuse_undefined(parser->intention, undefined);
	}
	if (parser->usage)
		intention_refuse(parser->intention, parser->usage_file, parser->usage_line,
			"with --%s it prints about itself and ends", parser->usage);
}

/* --- the environment --- */

static bool came_from_environment(const struct parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->from_environment_count; i++)
		if (strcmp(parser->from_environment[i], name) == 0)
			return true;
	return false;
}

static void take_variable(struct parser *parser, const char *name, size_t length, const char *value)
{
	struct intention *intention = parser->intention;
	const struct known_flag *known = known_flag_find(name, length);
	_cleanup_free_ char *whole = mem_stringn(name, length);
	const struct flag *set;
	char why[INTERVAL_WHY] = "";

	if (strcmp(whole, "DEV_ENV") == 0)
		return;
	if (length == 0 || !known || known->trait == FLAG_RETIRED) {
		_cleanup_free_ char *safe = safe_name(whole);
		const char *advice = flag_advice(safe);

		intention_refuse(intention, NULL, 0, "unknown environment variable DFLY_%s%s%s%s", safe,
			advice ? ": " : "", advice ? advice : "", advice ? " (DFLY_ instead of the hyphens)" : "");
		return;
	}
	set = find_set(intention, known->name);
	if (set && set->source != FLAG_ENVIRONMENT) {
		_cleanup_text_ struct text place = {0};

		if (strcmp(set->value, value) == 0)
			return;
		place_text(&place, set);
		intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0, "DFLY_%s is ignored: %s sets the flag",
			known->name, text_string(&place));
		return;
	}
	/* Set through FLAGS_: that was on the command line, for the server. */
	if (set && came_from_environment(parser, known->name))
		return;
	if (!flag_value_reads(known, value, why)) {
		_cleanup_text_ struct text shown = {0};

		quote_value(&shown, known->name, value);
		intention_refuse(intention, NULL, 0,
			"could not parse flag %s from environment variable: illegal value %s%s%s", known->name,
			text_string(&shown), *why ? "; " : "", why);
		return;
	}
	if (known->type == FLAG_LIST && *value &&
		(strcmp(known->name, "flagfile") == 0 || strcmp(known->name, "fromenv") == 0 ||
			strcmp(known->name, "tryfromenv") == 0)) {
		intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
			"DFLY_%s does nothing: it is read too late", known->name);
		return;
	}
	set_flag(parser, known, NULL, value, FLAG_ENVIRONMENT, NULL, 0);
}

static void take_environment(struct parser *parser)
{
	const struct flags_input *input = parser->input;
	struct intention *intention = parser->intention;

	for (size_t i = 0; i < input->environment_count && !parser->stopped; i++) {
		const char *variable = input->environment[i];
		size_t length = strcspn(variable, "=");
		const char *value = variable[length] ? variable + length + 1 : "";

		if (strncmp(variable, "INVOCATION_ID=", 14) == 0)
			intention->under_systemd = true;
		if (strncmp(variable, "DFLY_", 5) == 0) {
			take_variable(parser, variable + 5, length < 5 ? 0 : length - 5, value);
		} else if (strncasecmp(variable, "DFLY_", 5) == 0) {
			_cleanup_free_ char *safe = safe_name(variable);

			intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
				"%s is ignored: its first letters must be DFLY_", safe);
		} else if (strncmp(variable, "FLAGS_", 6) == 0 && length > 6) {
			const struct known_flag *known = known_flag_find(variable + 6, length - 6);

			if (known && !came_from_environment(parser, known->name))
				intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
					"FLAGS_%s is ignored without --fromenv=%s; write DFLY_%s", known->name,
					known->name, known->name);
		}
	}
	if (input->environment_unknown)
		intention_not_known(intention, "the environment, which may set flags, could not be read: %s",
			input->environment_unknown);
}

/* --- what does not look like what it is --- */

static void remark_values(struct intention *intention)
{
	for (size_t i = 0; i < intention->flag_count; i++) {
		const struct flag *flag = &intention->flags[i];
		const struct known_flag *known = known_flag_find(flag->name, strlen(flag->name));
		const char *value = flag->value;
		size_t length = strlen(value);
		const char *hash = value;

		if (!known || (known->type != FLAG_STRING && known->type != FLAG_LIST) || length == 0)
			continue;
		do
			hash = strchr(hash + 1, '#');
		while (hash && !is_blank(hash[-1]));
		if (hash)
			intention_remark(intention, NOTE_COMMENT, flag->file, flag->line,
				"the '#' and all behind it is part of the value of --%s: only a whole line is a "
				"comment",
				flag->name);
		if (value[length - 1] == '\r')
			intention_remark(intention, NOTE_BLANK, flag->file, flag->line,
				"the value of --%s ends with a carriage return, which is part of it: this is a text "
				"file of DOS",
				flag->name);
		else if (is_blank(value[0]) || is_blank(value[length - 1]))
			intention_remark(intention, NOTE_BLANK, flag->file, flag->line,
				"the value of --%s %s with a blank, which is part of it", flag->name,
				is_blank(value[0]) ? "begins" : "ends");
		if (length >= 2 && (value[0] == '"' || value[0] == '\'') && value[length - 1] == value[0])
			intention_remark(intention, NOTE_QUOTES, flag->file, flag->line,
				"the quotes are part of the value of --%s", flag->name);
		else if (value[length - 1] == '\\')
			intention_remark(intention, NOTE_OTHER, flag->file, flag->line,
				"the backslash is part of the value of --%s: a line has no continuation", flag->name);
	}
}

void intention_read(const struct flags_input *input, struct intention **ret)
{
	struct intention *intention = mem_zero(1, sizeof(*intention));
	struct parser parser = {.input = input, .intention = intention};
	struct arguments command_line = {.source = FLAG_ARGUMENT};
	struct flag *flagfile;

	for (size_t i = 0; i < input->argument_count; i++) {
		if (i >= FLAGS_MAX_FLAGS) {
			stop(&parser, "the command line is longer than dflyguard looks at");
			break;
		}
		arguments_add(&command_line, input->arguments[i], strlen(input->arguments[i]), (unsigned int)i + 1);
	}
	push(&parser, &command_line);
	take_arguments(&parser);
	flagfile = find_set(intention, "flagfile");
	if (flagfile && parser.flagfiles.length) {
		free(flagfile->value);
		flagfile->value = text_take(&parser.flagfiles);
	}
	judge_undefined(&parser);
	take_environment(&parser);
	remark_values(intention);
	intention_validate(intention);

	for (size_t i = 0; i < parser.undefined_count; i++) {
		free(parser.undefined[i].name);
		free(parser.undefined[i].file);
	}
	free(parser.undefined);
	free_list(parser.from_environment, parser.from_environment_count);
	free(parser.stack);
	free(parser.usage);
	free(parser.usage_file);
	text_done(&parser.flagfiles);
	*ret = intention;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Flags that bring more of them: flagfiles, and variables FLAGS_name. Their arguments come next, before what follows.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "flags_parser.h"

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

	if (intention->refusal)
		return;
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
			parser_stop(parser, "a flagfile has more lines than dflyguard looks at");
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
		parser_stop(parser, "there are more flagfiles than dflyguard looks at");
		return;
	}
	if (list.depth > FLAGS_MAX_DEPTH) {
		parser_stop(parser, "flagfiles are nested deeper than dflyguard looks");
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
	parser_push(parser, &list);
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

void generate_flagfiles(struct parser *parser, const char *value, size_t level, unsigned int line)
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

/* Whether environment has NAME; as getenv(3), the first one counts. */
static const char *environment_get(const struct flags_input *input, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < input->environment_count; i++)
		if (strncmp(input->environment[i], name, length) == 0 && input->environment[i][length] == '=')
			return input->environment[i] + length + 1;
	return NULL;
}

void generate_environment(struct parser *parser, const char *value, bool must, size_t level, unsigned int line)
{
	struct intention *intention = parser->intention;
	const char *file = parser->stack[level].file;
	struct arguments list = {.source = FLAG_ENVIRONMENT, .depth = parser->stack[level].depth + 1};
	size_t count;
	char **names = split_commas(value, &count);
	bool good = true;

	if (list.depth > FLAGS_MAX_DEPTH || count > FLAGS_MAX_FLAGS)
		parser_stop(parser, "flags from the environment are nested deeper than dflyguard looks");
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
		parser_push(parser, &list);
	else
		arguments_done(&list);
}

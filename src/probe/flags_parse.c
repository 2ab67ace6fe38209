/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A command line, its flagfiles and the environment, as abseil's parser (absl/flags/parse.cc) and Dragonfly's
 * ParseFlagsFromEnv() (src/server/dfly_main.cc) take them. Lists of arguments lie on a stack: a flagfile's lines are
 * read where its flag stands, before what follows there.
 */

#include <ctype.h>
#include <string.h>

#include "flags_parser.h"

void arguments_add(struct arguments *list, const char *text, size_t length, unsigned int line)
{
	ARRAY_GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = (struct argument){.text = mem_stringn(text, length), .line = line};
}

void arguments_done(struct arguments *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].text);
	free(list->items);
	free(list->file);
}

void parser_push(struct parser *parser, struct arguments *list)
{
	ARRAY_GROW(parser->stack, parser->depth, parser->stack_capacity);
	parser->stack[parser->depth++] = *list;
	*list = (struct arguments){0};
}

void parser_stop(struct parser *parser, const char *why)
{
	intention_not_known(parser->intention, "%s", why);
	parser->stopped = true;
}

/* --- one flag is set --- */

static struct flag *find_set(struct intention *intention, const char *name)
{
	const struct flag *flag = intention_flag(intention, name);

	return flag ? &intention->flags[flag - intention->flags] : NULL;
}

/* `known` NULL: an unknown one, which is kept all the same. */
void parser_set_flag(struct parser *parser, const struct known_flag *known, const char *name, const char *value,
	enum flag_source source, const char *file, unsigned int line)
{
	struct intention *intention = parser->intention;
	struct flag *old;
	struct flag now = {.value = mem_string(value),
		.source = source,
		.file = source == FLAG_FILE ? mem_string(file) : NULL,
		.line = line};

	if (++parser->settings > FLAGS_MAX_FLAGS)
		parser_stop(parser, "more flags are set than dflyguard looks at");
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

/* --- arguments --- */

/* The flag, or the one behind "no". */
const struct known_flag *flag_locate(const char *name, size_t length, bool *ret_negative)
{
	const struct known_flag *known = length ? known_flag_find(name, length) : NULL;

	*ret_negative = false;
	if (!known && length > 2 && strncmp(name, "no", 2) == 0) {
		known = known_flag_find(name + 2, length - 2);
		*ret_negative = known != NULL;
	}
	return known;
}

/* An argument without leading hyphens. */
const char *skip_hyphens(const char *argument)
{
	argument += argument[0] == '-';
	return argument + (argument[0] == '-');
}

bool looks_like_flag(const char *argument)
{
	return argument[0] == '-' && (argument[1] == '-' || isalpha((unsigned char)argument[1]));
}

static size_t name_length(const char *argument)
{
	return strcspn(argument, "=");
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
	parser_set_flag(parser, NULL, shown, value, list->source, list->file, line);
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
	known = flag_locate(name, length, &negative);
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
		if (looks_like_flag(value)) {
			const char *swallowed = skip_hyphens(value);
			bool ignored;
			const struct known_flag *other = flag_locate(swallowed, name_length(swallowed), &ignored);

			/* What is no flag's name may be a password that begins with a hyphen. */
			intention_remark(intention, NOTE_SWALLOWED, list->file, line,
				"--%s stands without '=' and took what follows%s%s as its value, which sets nothing "
				"now",
				known->name, other ? ", --" : "", other ? other->name : "");
		}
	}
	if (strlen(value) > FLAGS_MAX_VALUE) {
		parser_stop(parser, "a value is longer than dflyguard looks at");
		return;
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
	parser_set_flag(parser, known, NULL, value, list->source, list->file, line);
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

void intention_read(const struct flags_input *input, struct intention **ret)
{
	struct intention *intention = mem_zero(1, sizeof(*intention));
	struct parser parser = {.input = input, .intention = intention};
	struct arguments command_line = {.source = FLAG_ARGUMENT};
	struct flag *flagfile;

	for (size_t i = 0; i < input->argument_count; i++) {
		if (i >= FLAGS_MAX_FLAGS) {
			parser_stop(&parser, "the command line is longer than dflyguard looks at");
			break;
		}
		arguments_add(&command_line, input->arguments[i], strlen(input->arguments[i]), (unsigned int)i + 1);
	}
	parser_push(&parser, &command_line);
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
	for (size_t i = 0; i < parser.from_environment_count; i++)
		free(parser.from_environment[i]);
	free(parser.from_environment);
	free(parser.stack);
	free(parser.usage);
	free(parser.usage_file);
	text_done(&parser.flagfiles);
	*ret = intention;
}

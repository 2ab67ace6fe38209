/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What in the flags does not do what it looks like, and what the server does not know. */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "flags_parser.h"

void place_text(struct text *text, const struct flag *flag)
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

void remark_positional(struct parser *parser, const char *argument, unsigned int index)
{
	_cleanup_text_ struct text shown = {0};
	const char *before = index >= 2 ? parser->input->arguments[index - 2] : "";
	const char *name = skip_hyphens(before);
	bool negative;
	bool truth;
	const struct known_flag *known = looks_like_flag(before) ? flag_locate(name, strlen(name), &negative) : NULL;

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
char *safe_name(const char *name)
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

	if (undefined->file && (*rest == ' ' || *rest == '\t') && flag_locate(name, strlen(name), &ignored))
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
void judge_undefined(struct parser *parser)
{
	const struct flag *excused = intention_flag(parser->intention, "undefok");

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

void remark_values(struct intention *intention)
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

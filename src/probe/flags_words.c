/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Words of unit files: quotes and escapes (systemd.syntax(7)), specifiers (systemd.unit(5)), variables of a command
 * line (systemd.service(5)) and files of variables (systemd.exec(5)).
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "flags_private.h"

void words_add(struct words *words, char *word)
{
	ARRAY_GROW(words->items, words->count, words->capacity);
	words->items[words->count++] = word;
}

void words_done(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i]);
	free(words->items);
	*words = (struct words){0};
}

static bool is_space(char character)
{
	return character && strchr(" \t\n\r", character);
}

/* Digits of a number in `base`, exactly `count` of them. */
static bool read_digits(const char *text, unsigned int base, size_t count, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		char digit = text[i];
		unsigned int value = isdigit((unsigned char)digit) ? (unsigned int)(digit - '0')
				     : isxdigit((unsigned char)digit)
					     ? (unsigned int)(tolower((unsigned char)digit) - 'a') + 10
					     : base;

		if (value >= base)
			return false;
		*ret = *ret * base + value;
	}
	return true;
}

static void append_utf8(struct text *text, uint32_t code)
{
	if (code < 0x80) {
		text_append_char(text, (char)code);
	} else if (code < 0x800) {
		text_append_char(text, (char)(0xc0 | code >> 6));
		text_append_char(text, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		text_append_char(text, (char)(0xe0 | code >> 12));
		text_append_char(text, (char)(0x80 | (code >> 6 & 0x3f)));
		text_append_char(text, (char)(0x80 | (code & 0x3f)));
	} else {
		text_append_char(text, (char)(0xf0 | code >> 18));
		text_append_char(text, (char)(0x80 | (code >> 12 & 0x3f)));
		text_append_char(text, (char)(0x80 | (code >> 6 & 0x3f)));
		text_append_char(text, (char)(0x80 | (code & 0x3f)));
	}
}

/* What stands behind a backslash; its length, or 0: systemd refuses it. */
static size_t append_escaped(struct text *text, const char *escape)
{
	static const char from[] = "abfnrtv\\\"'s";
	static const char to[] = "\a\b\f\n\r\t\v\\\"' ";
	const char *simple = *escape ? strchr(from, *escape) : NULL;
	uint32_t code;

	if (simple) {
		text_append_char(text, to[simple - from]);
		return 1;
	}
	if (*escape == 'x' && read_digits(escape + 1, 16, 2, &code) && code) {
		text_append_char(text, (char)code);
		return 3;
	}
	if (read_digits(escape, 8, 3, &code) && code && code < 256) {
		text_append_char(text, (char)code);
		return 3;
	}
	if (*escape == 'u' && read_digits(escape + 1, 16, 4, &code) && code && (code < 0xd800 || code > 0xdfff)) {
		append_utf8(text, code);
		return 5;
	}
	if (*escape == 'U' && read_digits(escape + 1, 16, 8, &code) && code && code < 0x110000 &&
		(code < 0xd800 || code > 0xdfff)) {
		append_utf8(text, code);
		return 9;
	}
	return 0;
}

/* One word, of which the first character is no blank. */
static int split_word(const char **text, struct words *ret)
{
	const char *at = *text;
	_cleanup_text_ struct text word = {0};
	char quote = '\0';

	for (; *at && (quote || !is_space(*at)); at++) {
		if (*at == quote) {
			quote = '\0';
		} else if (!quote && (*at == '"' || *at == '\'')) {
			quote = *at;
		} else if (*at == '\\') {
			size_t length = append_escaped(&word, at + 1);

			if (length == 0)
				return -EINVAL;
			at += length;
		} else {
			text_append_char(&word, *at);
		}
	}
	if (quote)
		return -EINVAL;
	words_add(ret, text_take(&word));
	*text = at;
	return 0;
}

int words_split(const char **text, bool command, struct words *ret)
{
	for (;;) {
		const char *at = *text;

		while (is_space(*at))
			at++;
		*text = at;
		if (!*at)
			return 0;
		if (command && at[0] == ';' && (!at[1] || is_space(at[1])))
			return 0;
		if (command && at[0] == '\\' && at[1] == ';' && (!at[2] || is_space(at[2]))) {
			words_add(ret, mem_string(";"));
			*text = at + 2;
			continue;
		}
		if (ret->count >= FLAGS_MAX_FLAGS || split_word(text, ret) < 0)
			return -EINVAL;
	}
}

/* --- specifiers --- */

/* The unit's name without its type: "dragonfly@6380"; its prefix and its instance lie in it. */
struct unit_name {
	const char *instance; /* NULL: no '@' in it */
	size_t prefix_length;
	size_t instance_length;
	size_t length; /* without ".service" */
};

static struct unit_name unit_name_split(const char *unit)
{
	const char *dot = strrchr(unit, '.');
	struct unit_name name = {.length = dot ? (size_t)(dot - unit) : strlen(unit)};
	const char *at = memchr(unit, '@', name.length);

	name.prefix_length = at ? (size_t)(at - unit) : name.length;
	if (at) {
		name.instance = at + 1;
		name.instance_length = name.length - name.prefix_length - 1;
	}
	return name;
}

/* systemd.unit(5), "string escaping": '-' is '/', \xHH a byte. */
static void append_unescaped(struct text *text, const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint32_t code;

		if (string[i] == '\\' && length - i >= 4 && string[i + 1] == 'x' &&
			read_digits(string + i + 2, 16, 2, &code) && code) {
			text_append_char(text, (char)code);
			i += 3;
		} else {
			text_append_char(text, string[i] == '-' ? '/' : string[i]);
		}
	}
}

static void append_bytes(struct text *text, const char *string, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text_append_char(text, string[i]);
}

bool specifiers_expand(const char *unit, const char *string, char **ret, char *why)
{
	/* Folders of the system's manager. */
	static const struct {
		char specifier;
		const char *folder;
	} folders[] = {{'t', "/run"}, {'S', "/var/lib"}, {'C', "/var/cache"}, {'L', "/var/log"}, {'E', "/etc"},
		{'T', "/tmp"}, {'V', "/var/tmp"}};
	struct unit_name name = unit_name_split(unit);
	_cleanup_text_ struct text text = {0};
	const char *last = unit;

	for (; *string; string++) {
		size_t folder = 0;

		if (*string != '%') {
			text_append_char(&text, *string);
			continue;
		}
		string++;
		while (folder < ARRAY_SIZE(folders) && folders[folder].specifier != *string)
			folder++;
		if (*string == '%') {
			text_append_char(&text, '%');
		} else if (*string == 'n') {
			text_append(&text, unit);
		} else if (*string == 'N') {
			append_bytes(&text, unit, name.length);
		} else if (*string == 'p') {
			append_bytes(&text, unit, name.prefix_length);
		} else if (*string == 'P') {
			append_unescaped(&text, unit, name.prefix_length);
		} else if (*string == 'i') {
			append_bytes(&text, name.instance ? name.instance : "", name.instance_length);
		} else if (*string == 'I') {
			append_unescaped(&text, name.instance ? name.instance : "", name.instance_length);
		} else if (*string == 'j') {
			/* What follows the last '-' of the prefix. */
			for (size_t i = 0; i < name.prefix_length; i++)
				if (unit[i] == '-')
					last = unit + i + 1;
			append_bytes(&text, last, name.prefix_length - (size_t)(last - unit));
		} else if (*string && folder < ARRAY_SIZE(folders)) {
			text_append(&text, folders[folder].folder);
		} else {
			if (isalpha((unsigned char)*string))
				snprintf(why, INTERVAL_WHY, "the specifier %%%c is not known here", *string);
			else
				snprintf(why, INTERVAL_WHY, "a '%%' stands alone: for the character itself it is %%%%");
			return false;
		}
	}
	*ret = text_take(&text);
	return true;
}

/* --- variables --- */

static bool is_variable_name(const char *name, size_t length)
{
	if (length == 0 || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return true;
}

static const char *environment_value(const struct words *environment, const char *name, size_t length)
{
	for (size_t i = 0; i < environment->count; i++)
		if (strncmp(environment->items[i], name, length) == 0 && environment->items[i][length] == '=')
			return environment->items[i] + length + 1;
	return NULL;
}

static const char *find_variable(const struct words *environment, const char *name, size_t length, char *why)
{
	const char *value;

	if (!is_variable_name(name, length) || length > 100) {
		snprintf(why, INTERVAL_WHY, "it uses a variable in a way that is not understood here");
		return NULL;
	}
	value = environment_value(environment, name, length);
	/* systemd may have it from its own environment, which is not read. */
	if (!value || (length == 13 && memcmp(name, "INVOCATION_ID", 13) == 0)) {
		snprintf(
			why, INTERVAL_WHY, "it uses the variable %.*s, which the unit does not set", (int)length, name);
		return NULL;
	}
	return value;
}

bool variables_expand(const char *word, const struct words *environment, struct words *ret, char *why)
{
	_cleanup_text_ struct text text = {0};

	/* A word that is one variable becomes as many words as there are in it. */
	if (word[0] == '$' && word[1] != '{' && word[1] != '$') {
		const char *value = find_variable(environment, word + 1, strlen(word + 1), why);

		if (!value)
			return false;
		while (*value) {
			size_t length;

			while (is_space(*value))
				value++;
			/* Quotes count here in a way of their own. */
			if (strpbrk(value, "\"'\\")) {
				snprintf(why, INTERVAL_WHY, "it takes words from a variable that holds quotes");
				return false;
			}
			length = strcspn(value, " \t\n\r");
			if (length)
				words_add(ret, mem_stringn(value, length));
			value += length;
		}
		return true;
	}
	for (; *word; word++) {
		if (word[0] == '$' && word[1] == '$') {
			text_append_char(&text, '$');
			word++;
		} else if (word[0] == '$' && word[1] == '{') {
			size_t length = strcspn(word + 2, "}");
			const char *value = find_variable(environment, word + 2, length, why);

			if (!value)
				return false;
			if (!word[2 + length]) {
				snprintf(why, INTERVAL_WHY, "a '}' is missing");
				return false;
			}
			text_append(&text, value);
			word += 2 + length;
			if (text.length > FLAGS_MAX_TEXT) {
				snprintf(why, INTERVAL_WHY, "a word is longer than dflyguard looks at");
				return false;
			}
		} else {
			text_append_char(&text, *word);
		}
	}
	words_add(ret, text_take(&text));
	return true;
}

void environment_set(struct words *environment, const char *assignment)
{
	size_t length = strcspn(assignment, "=");

	/* Without a valid name systemd ignores it. */
	if (!assignment[length] || !is_variable_name(assignment, length))
		return;
	for (size_t i = 0; i < environment->count; i++)
		if (strncmp(environment->items[i], assignment, length + 1) == 0) {
			free(environment->items[i]);
			environment->items[i] = mem_string(assignment);
			return;
		}
	if (environment->count < FLAGS_MAX_FLAGS)
		words_add(environment, mem_string(assignment));
}

/* A value in a file of variables: up to the end of its line, with quotes and backslashes. Returns what follows. */
static const char *read_value(const char *at, const char *end, struct text *value)
{
	size_t kept = value->length; /* blanks behind it do not count, but quoted ones do */
	bool started = false;
	char quote = '\0';

	for (; at < end && (quote || (*at != '\n' && *at != '\r')); at++) {
		if (quote && *at == quote) {
			quote = '\0';
			started = false;
			kept = value->length;
		} else if (quote == '\'') {
			text_append_char(value, *at);
		} else if (quote && *at == '\\' && at + 1 < end) {
			at++;
			if (!strchr("\"\\`$\n", *at))
				text_append_char(value, '\\');
			if (*at != '\n')
				text_append_char(value, *at);
		} else if (quote) {
			text_append_char(value, *at);
		} else if (!started && (*at == '"' || *at == '\'')) {
			quote = *at;
		} else if (*at == '\\') {
			if (++at == end)
				break;
			started = true;
			if (*at != '\n') {
				text_append_char(value, *at);
				kept = value->length;
			}
		} else if (is_space(*at)) {
			if (started)
				text_append_char(value, *at);
		} else {
			started = true;
			text_append_char(value, *at);
			kept = value->length;
		}
	}
	if (quote)
		kept = value->length;
	if (value->data) {
		value->length = kept;
		value->data[kept] = '\0';
	}
	return at;
}

void environment_file_parse(const char *data, size_t length, struct words *environment)
{
	const char *end = data + length;

	for (const char *at = data; at < end;) {
		_cleanup_text_ struct text assignment = {0};
		const char *name;
		size_t size;

		while (at < end && is_space(*at))
			at++;
		name = at;
		while (at < end && *at != '\n' && *at != '\r' && *at != '=')
			at++;
		if (at == end || *at != '=' || *name == '#' || *name == ';') {
			while (at < end && *at != '\n')
				at++;
			continue;
		}
		size = (size_t)(at - name);
		while (size > 0 && is_space(name[size - 1]))
			size--;
		append_bytes(&assignment, name, size);
		text_append_char(&assignment, '=');
		at = read_value(at + 1, end, &assignment);
		environment_set(environment, text_string(&assignment));
	}
}

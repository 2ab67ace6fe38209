/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A small and strict reader of JSON (RFC 8259), independent of what writes it: one value and a newline, no duplicate
 * names, no trailing commas, valid UTF-8, no control characters. With it, finding a value by its path:
 * "changes.0.kind".
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRICT_JSON_NAMES 4096

struct strict_json {
	const char *at;
	const char *path;  /* what is looked for below here, or NULL */
	const char *found; /* where it begins */
	size_t length;
	unsigned int depth;
};

static inline bool strict_value(struct strict_json *j, const char *path);

static inline void strict_space(struct strict_json *j)
{
	j->at += strspn(j->at, " \t\n\r");
}

static inline bool strict_literal(struct strict_json *j, const char *word)
{
	if (strncmp(j->at, word, strlen(word)) != 0)
		return false;
	j->at += strlen(word);
	return true;
}

/* The bytes of a sequence after its first one, as RFC 3629 has them; -1 where none begins so. */
static inline int strict_utf8(const unsigned char *s)
{
	int more = s[0] < 0x80			  ? 0
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 1
		   : (s[0] & 0xf0) == 0xe0	  ? 2
		   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 3
						  : -1;

	for (int i = 1; i <= more; i++)
		if ((s[i] & 0xc0) != 0x80)
			return -1;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] > 0x8f))
		return -1;
	return more;
}

static inline bool strict_string(struct strict_json *j)
{
	if (*j->at++ != '"')
		return false;
	while (*j->at != '"') {
		unsigned char byte = (unsigned char)*j->at;
		int more = strict_utf8((const unsigned char *)j->at);

		if (byte < 0x20 || more < 0)
			return false;
		if (byte != '\\') {
			j->at += 1 + more;
			continue;
		}
		if (j->at[1] == 'u') {
			if (strspn(j->at + 2, "0123456789abcdefABCDEF") < 4)
				return false;
			j->at += 6;
		} else if (j->at[1] && strchr("\"\\/bfnrt", j->at[1])) {
			j->at += 2;
		} else {
			return false;
		}
	}
	j->at++;
	return true;
}

static inline bool strict_number(struct strict_json *j)
{
	size_t digits;

	j->at += *j->at == '-';
	digits = strspn(j->at, "0123456789");
	if (digits == 0 || (*j->at == '0' && digits > 1))
		return false;
	j->at += digits;
	if (*j->at == '.') {
		digits = strspn(++j->at, "0123456789");
		if (digits == 0)
			return false;
		j->at += digits;
	}
	return *j->at != 'e' && *j->at != 'E'; /* ours are whole numbers, or have one point */
}

/* The path behind its first part, if that is `name`; else NULL. */
static inline const char *strict_below(const char *path, const char *name, size_t length)
{
	if (!path || strncmp(path, name, length) != 0 || (path[length] && path[length] != '.'))
		return NULL;
	return path[length] ? path + length + 1 : path + length;
}

static inline bool strict_object(struct strict_json *j, const char *path)
{
	const char *names[STRICT_JSON_NAMES];
	size_t lengths[STRICT_JSON_NAMES];
	size_t count = 0;

	j->at++;
	strict_space(j);
	if (*j->at == '}')
		return j->at++, true;
	for (;;) {
		const char *name = j->at + 1;

		if (!strict_string(j) || count == STRICT_JSON_NAMES)
			return false;
		names[count] = name;
		lengths[count] = (size_t)(j->at - name) - 1;
		for (size_t i = 0; i < count; i++)
			if (lengths[i] == lengths[count] && memcmp(names[i], name, lengths[i]) == 0)
				return false;
		strict_space(j);
		if (*j->at++ != ':' || !strict_value(j, strict_below(path, name, lengths[count])))
			return false;
		count++;
		if (*j->at == '}')
			return j->at++, true;
		if (*j->at++ != ',')
			return false;
		strict_space(j);
	}
}

static inline bool strict_array(struct strict_json *j, const char *path)
{
	char number[24];

	j->at++;
	strict_space(j);
	if (*j->at == ']')
		return j->at++, true;
	for (size_t i = 0;; i++) {
		int length = snprintf(number, sizeof(number), "%zu", i);

		if (!strict_value(j, strict_below(path, number, (size_t)length)))
			return false;
		if (*j->at == ']')
			return j->at++, true;
		if (*j->at++ != ',')
			return false;
	}
}

static inline bool strict_value(struct strict_json *j, const char *path)
{
	const char *begin;
	bool good;

	strict_space(j);
	begin = j->at;
	if (++j->depth > 64)
		return false;
	good = *begin == '{'   ? strict_object(j, path)
	       : *begin == '[' ? strict_array(j, path)
	       : *begin == '"' ? strict_string(j)
	       : *begin == 't' ? strict_literal(j, "true")
	       : *begin == 'f' ? strict_literal(j, "false")
	       : *begin == 'n' ? strict_literal(j, "null")
			       : strict_number(j);
	j->depth--;
	/* Where it is none, `at` may stand behind the end. */
	if (!good)
		return false;
	if (path && !*path) {
		j->found = begin;
		j->length = (size_t)(j->at - begin);
	}
	strict_space(j);
	return true;
}

/* The text of the value at `path` ("" = all of it) into `buffer`, as it stands; false where there is none, or where
 * `text` is no JSON. */
static inline bool strict_json_get(const char *text, const char *path, char *buffer, size_t size)
{
	struct strict_json j = {.at = text};

	if (!strict_value(&j, path) || *j.at || !j.found || j.length >= size)
		return false;
	memcpy(buffer, j.found, j.length);
	buffer[j.length] = '\0';
	return true;
}

/* One object, and a newline behind it. */
static inline bool strict_json_good(const char *text)
{
	struct strict_json j = {.at = text};
	size_t length = strlen(text);

	return *text == '{' && length && text[length - 1] == '\n' && strict_value(&j, "") && !*j.at;
}

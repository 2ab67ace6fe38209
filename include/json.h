/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* json: a writer of one JSON text to a stream, member by member, without a tree in memory. It closes what was opened
 * and puts the commas; names and text are escaped. Invalid UTF-8 becomes U+FFFD. */

#include "base.h"

#define JSON_DEPTH 32

struct json {
	FILE *stream;
	bool indented; /* one member a line; false: all on one line */
	unsigned int depth;
	bool filled[JSON_DEPTH];
};

/* `name` is NULL inside an array and for the outermost value. */
void json_object_begin(struct json *json, const char *name);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *name);
void json_array_end(struct json *json);
/* A NULL text is written as null. */
void json_string(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, uint64_t number);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
/* The newline behind the outermost value. */
void json_finish(struct json *json);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "json.h"

static void newline(struct json *json)
{
	if (!json->indented) {
		if (json->filled[json->depth])
			fputc(' ', json->stream);
		return;
	}
	fputc('\n', json->stream);
	for (unsigned int i = 0; i < json->depth; i++)
		fputs("  ", json->stream);
}

static void quoted(struct json *json, const char *text)
{
	fputc('"', json->stream);
	for (const unsigned char *byte = (const unsigned char *)text; *byte;) {
		size_t length = utf8_length((const char *)byte);

		if (*byte == '"' || *byte == '\\')
			fprintf(json->stream, "\\%c", *byte);
		else if (*byte == '\n')
			fputs("\\n", json->stream);
		else if (*byte == '\t')
			fputs("\\t", json->stream);
		else if (*byte < 0x20 || *byte == 0x7f)
			fprintf(json->stream, "\\u%04x", *byte);
		else if (*byte == 0xc2 && length == 2 && byte[1] < 0xa0)
			fprintf(json->stream, "\\u%04x", byte[1]); /* C1: a terminal would obey it */
		else if (length == 0)
			fputs("\\ufffd", json->stream);
		else
			fwrite(byte, 1, length, json->stream);
		byte += length ? length : 1;
	}
	fputc('"', json->stream);
}

static void begin(struct json *json, const char *name)
{
	if (json->depth > 0) {
		if (json->filled[json->depth])
			fputc(',', json->stream);
		newline(json);
		json->filled[json->depth] = true;
	}
	if (name) {
		quoted(json, name);
		fputs(": ", json->stream);
	}
}

static void open_block(struct json *json, const char *name, char bracket)
{
	begin(json, name);
	fputc(bracket, json->stream);
	if (++json->depth >= JSON_DEPTH)
		abort();
	json->filled[json->depth] = false;
}

static void close_block(struct json *json, char bracket)
{
	bool filled = json->filled[json->depth];

	json->depth--;
	if (filled && json->indented)
		newline(json);
	fputc(bracket, json->stream);
}

void json_object_begin(struct json *json, const char *name)
{
	open_block(json, name, '{');
}

void json_object_end(struct json *json)
{
	close_block(json, '}');
}

void json_array_begin(struct json *json, const char *name)
{
	open_block(json, name, '[');
}

void json_array_end(struct json *json)
{
	close_block(json, ']');
}

void json_string(struct json *json, const char *name, const char *text)
{
	begin(json, name);
	if (text)
		quoted(json, text);
	else
		fputs("null", json->stream);
}

void json_number(struct json *json, const char *name, uint64_t number)
{
	begin(json, name);
	fprintf(json->stream, "%" PRIu64, number);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin(json, name);
	fputs(value ? "true" : "false", json->stream);
}

void json_null(struct json *json, const char *name)
{
	begin(json, name);
	fputs("null", json->stream);
}

void json_finish(struct json *json)
{
	fputc('\n', json->stream);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The parser at work: what flags_parse.c, flags_flagfile.c, flags_environment.c and flags_remark.c share. */

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

void arguments_add(struct arguments *list, const char *text, size_t length, unsigned int line);
void arguments_done(struct arguments *list);
/* Takes the list over. */
void parser_push(struct parser *parser, struct arguments *list);
/* There is more than we look at: the rest is not known. */
void parser_stop(struct parser *parser, const char *why);
/* `known` NULL: an unknown flag, which is kept under `name` all the same. */
void parser_set_flag(struct parser *parser, const struct known_flag *known, const char *name, const char *value,
	enum flag_source source, const char *file, unsigned int line);

/* What --flagfile, --fromenv and --tryfromenv bring; `level` is the list on the stack whose argument it was. */
void generate_flagfiles(struct parser *parser, const char *value, size_t level, unsigned int line);
void generate_environment(struct parser *parser, const char *value, bool must, size_t level, unsigned int line);
/* DFLY_ variables, once all else is read. */
void take_environment(struct parser *parser);

/* The flag of this name, or the one behind "no". */
const struct known_flag *flag_locate(const char *name, size_t length, bool *ret_negative);
const char *skip_hyphens(const char *argument);
bool looks_like_flag(const char *argument);
/* "argument 3", "FILE:4". */
void place_text(struct text *text, const struct flag *flag);
/* The part of an unknown flag's name that may be shown: `--requirepass secret` is one name in a flagfile. */
char *safe_name(const char *name);
void remark_positional(struct parser *parser, const char *argument, unsigned int index);
void remark_values(struct intention *intention);
/* Unknown flags, and --help: in the end, since --undefok counts wherever it stands. */
void judge_undefined(struct parser *parser);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of flags share. */

#include "flags.h"

/* How Dragonfly reads a flag's value; named after the C++ types of its ABSL_FLAG lines. */
enum flag_type {
	FLAG_BOOL,
	FLAG_INT32,
	FLAG_UINT16,
	FLAG_UINT32,
	FLAG_UINT64,
	FLAG_DOUBLE,
	FLAG_STRING,
	FLAG_LIST,	  /* vector<string>: split at commas, nothing trimmed */
	FLAG_MEMORY,	  /* MemoryBytesFlag: 512MB, 1G, 1.5GiB */
	FLAG_AT_LEAST_64, /* a UINT64 of at least 64 */
	FLAG_CRON,
	FLAG_LUA_GC,
	FLAG_REPLICA_OF,
	FLAG_COMPRESSION,
};

enum flag_trait {
	FLAG_PLAIN,
	FLAG_SECRET,
	FLAG_RETIRED, /* accepted on the command line and ignored; unknown in the environment */
};

struct known_flag {
	const char *name;
	enum flag_type type;
	const char *value;  /* the default, as text that the flag's own type reads */
	const char *advice; /* "write --name" */
	enum flag_trait trait;
};

/* NULL: Dragonfly has no such flag. `name` need not end with NUL. */
const struct known_flag *known_flag_find(const char *name, size_t length);
/* The words of redis.conf and valkey.conf; `valkey` (may be NULL) is set where Redis does not have it. Any case. */
bool redis_directive(const char *word, size_t length, bool *valkey);

/* True where the flag's type reads the value; else `why` (INTERVAL_WHY bytes) may say what it wants, or is "". */
bool flag_value_reads(const struct known_flag *flag, const char *value, char *why);
/* --help, --version and such: it prints and ends. */
bool flag_is_usage(const char *name, size_t length);
/* abseil's readers (absl/flags/marshalling.cc); false: they refuse. */
bool value_read_bool(const char *text, bool *ret);
bool value_read_integer(const char *text, bool is_signed, uint64_t maximum, int64_t *ret);
/* helio's strings/human_readable.cc. */
bool value_read_memory(const char *text, int64_t *ret);
/* std::isspace of the C locale, as absl::ascii_isspace(). */
bool is_blank(char character);

/* Appends text of others: printable ASCII as it is, all else as \xNN, cut after some sixty characters. */
void quote_text(struct text *text, const char *string);
/* A message of printable ASCII, whatever stands in it; at most a kilobyte. The caller frees it. */
char *printable(const char *format, va_list list) __attribute__((format(printf, 1, 0)));
/* A value as it may be shown: in single quotes; "a secret value" where the flag's, or one that stands in it, is secret.
 */
void quote_value(struct text *text, const char *flag, const char *value);

/* The server's own refusals, once the flags are read; sets intention->refusal where there is none yet. */
void intention_validate(struct intention *intention);
void intention_refuse(struct intention *intention, const char *file, unsigned int line, const char *format, ...)
	_printf_(4, 5);
void intention_remark(struct intention *intention, enum flag_note note, const char *file, unsigned int line,
	const char *format, ...) _printf_(5, 6);
void intention_not_known(struct intention *intention, const char *format, ...) _printf_(2, 3);

/*
 * Reads a regular file of at most FLAGS_MAX_TEXT bytes as a process at `place` sees it; a NUL stands behind the bytes.
 * 0; -ENOENT, -ENOTDIR, -ENAMETOOLONG: it is not there for that process; -EISDIR; else unknown, and `why` tells.
 * `ret_status` may be NULL.
 */
int place_read(const struct flags_place *place, const char *path, char **ret, size_t *ret_length,
	struct flag_file *ret_status, char *why);
/* What the link says that the path is; NULL: it is none. The caller frees it. */
char *place_link(const char *root, const char *path);
/* The names in a folder below the root, sorted; at most 1024, or -E2BIG. */
int place_list(const char *root, const char *path, char ***ret, size_t *ret_count);

/* A unit of which this is the only file, on a host without any other. */
void unit_parse(const char *name, const char *text, size_t length, struct server_unit **ret);

/* A list of texts. */
struct words {
	char **items;
	size_t count;
	size_t capacity;
};

void words_add(struct words *words, char *word); /* takes it over */
void words_done(struct words *words);

/*
 * Words of a line in a unit file: quotes, and C's escapes (systemd.syntax(7)). With `command` a `;` that stands alone
 * ends it, and is where *text then points. 0 or -EINVAL.
 */
int words_split(const char **text, bool command, struct words *ret);
/* %n and such; false: one that is not known here, and `why` (INTERVAL_WHY bytes) names it. */
bool specifiers_expand(const char *unit, const char *text, char **ret, char *why);
/* ${NAME} and $NAME of a command line; false: not set, and `why` names it. `environment` is "NAME=VALUE". */
bool variables_expand(const char *word, const struct words *environment, struct words *ret, char *why);
/* Sets "NAME=VALUE", in place of an older one. */
void environment_set(struct words *environment, const char *assignment);
/* An EnvironmentFile=. */
void environment_file_parse(const char *data, size_t length, struct words *environment);

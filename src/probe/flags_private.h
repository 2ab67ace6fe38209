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
/* The same for a value, in single quotes; "a secret value" where the flag's, or one that stands in it, is secret. */
void quote_value(struct text *text, const char *flag, const char *value);

/* The server's own refusals, once the flags are read; sets intention->refusal where there is none yet. */
void intention_validate(struct intention *intention);
void intention_refuse(struct intention *intention, const char *file, unsigned int line, const char *format, ...)
	_printf_(4, 5);
void intention_remark(struct intention *intention, enum flag_note note, const char *file, unsigned int line,
	const char *format, ...) _printf_(5, 6);
void intention_not_known(struct intention *intention, const char *format, ...) _printf_(2, 3);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * record: facts as lines, the language between dflyguard and dflyguard-probe. One line is one record: its name, then
 * fields NAME=VALUE, one blank between them. Values are percent-encoded but for plain signs, so that a line is
 * printable ASCII whatever bytes a certificate or a server holds. The last line is `end count=N`: what was cut off is
 * not mistaken for all. The reader takes nothing but that, within the bounds below.
 *
 *     certificate id=3 subject=CN%3Ddb.example not_after=1798761600
 *     end count=1
 */

#include "err.h"

/* How dflyguard-probe ends where it does not even begin: it has privileges left, or cannot be confined. */
#define PROBE_EXIT_PRIVILEGED 3
#define PROBE_EXIT_OPEN	      6

#define RECORD_MAX_BYTES  (4u << 20) /* one text, all lines */
#define RECORD_MAX_LINE	  65536u
#define RECORD_MAX_FIELDS 64u
#define RECORD_MAX_COUNT  20000u

struct record_field {
	const char *name;
	const char *value; /* decoded; ends with NUL, and holds none (`length`), or is taken for bad */
};

struct record {
	const char *name;
	const struct record_field *fields;
	size_t field_count;
};

/* Free with records_free(). Texts are its own. */
struct records {
	struct record *items; /* without the final `end` */
	size_t count;
};

/* ---- writing ---- */

/* Begins a line. Names are ours: [a-z0-9_-]+. */
void record_begin(struct text *text, const char *name);
/* NULL: the field is left out. A NUL cannot be in it; any other byte may. Bounded: what is longer than 8,192 bytes is
 * cut off at a whole UTF-8 sequence. */
void record_text(struct text *text, const char *name, const char *value);
/* The same for `length` bytes; a NUL among them becomes U+FFFD. */
void record_bytes(struct text *text, const char *name, const void *value, size_t length);
void record_number(struct text *text, const char *name, int64_t value);
void record_end(struct text *text);
/* The last line, for `count` records before it. */
void record_close(struct text *text, size_t count);

/* ---- reading ---- */

/* Takes `length` bytes. 0 and *ret, or -EBADMSG with what is wrong with them: nothing of it is to be believed then. */
int records_parse(const char *bytes, size_t length, struct records **ret, struct err *err);
void records_free(struct records *records);

/* The field's value, or NULL where it is not there. */
const char *record_get(const struct record *record, const char *name);
/* The same as a text of the caller's own, or NULL. */
char *record_take(const struct record *record, const char *name);
/* False where it is not there, is no decimal number, or is not within [minimum, maximum]. */
bool record_get_number(const struct record *record, const char *name, int64_t minimum, int64_t maximum, int64_t *ret);
/* True where it is there and 1. */
bool record_is(const struct record *record, const char *name);
/* The number of the field "id", from 0 to 1,000,000; -1 where it is not there or bad. */
int64_t record_id(const struct record *record);

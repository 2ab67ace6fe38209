/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * base: the C that every room needs: memory that never fails halfway, text that grows, cleanup at the end of a scope.
 * It may be told nothing about Dragonfly or nftables. It never prints, except when memory runs out, which ends the
 * process: a commit is one transaction in the kernel, so no state of ours is worth saving (house.md 4.7).
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _printf_(a, b)	    __attribute__((format(printf, a, b)))
#define _unused_	    __attribute__((unused))

/* Hands a pointer over: the variable that a cleanup watches becomes NULL. */
#define TAKE_PTR(pointer)                                                                                              \
	({                                                                                                             \
		__typeof__(pointer) _taken = (pointer);                                                                \
		(pointer) = NULL;                                                                                      \
		_taken;                                                                                                \
	})

/* As malloc, calloc, reallocarray and strdup, but end the process with a message where they would return NULL.
 * The caller owns what they return and frees it with free(). */
void *mem_alloc(size_t size);
void *mem_zero(size_t count, size_t size);
void *mem_resize(void *pointer, size_t count, size_t size);
char *mem_string(const char *text);
char *mem_stringn(const char *text, size_t length);
char *mem_format(const char *format, ...) _printf_(1, 2);

/* Makes room for one more item in an array that doubles: `items`, `count` and `capacity` are lvalues of the caller. */
#define ARRAY_GROW(items, count, capacity)                                                                             \
	do {                                                                                                           \
		if ((count) >= (capacity)) {                                                                           \
			(capacity) = (capacity) ? (capacity)*2 : 8;                                                    \
			(items) = mem_resize((items), (capacity), sizeof(*(items)));                                   \
		}                                                                                                      \
	} while (0)

/* Equal texts, or both NULL. */
bool same_string(const char *a, const char *b);

/* Text that grows. `data` is NULL or ends with NUL; free with text_done(). */
struct text {
	char *data;
	size_t length;
	size_t capacity;
};

void text_append(struct text *text, const char *string);
void text_append_char(struct text *text, char character);
void text_printf(struct text *text, const char *format, ...) _printf_(2, 3);
void text_done(struct text *text);
/* The text, never NULL; borrowed from `text`. */
const char *text_string(const struct text *text);
/* Gives the text away: the caller frees it. Never NULL. */
char *text_take(struct text *text);

/* The length of the UTF-8 sequence that begins at `string` (RFC 3629), or 0 where none does. */
size_t utf8_length(const char *string);

/* All of it, whatever pieces the kernel takes. 0, or a negative errno value. */
int write_all(int descriptor, const void *bytes, size_t length);
/*
 * Reads a whole file from its beginning, or a pipe to its end, at most `maximum` bytes. 0 and the bytes with a NUL
 * behind them, owned by the caller; -EFBIG where there are more; else a negative errno value, and both are untouched.
 */
int read_whole(int descriptor, size_t maximum, char **ret, size_t *ret_length);
/* Milliseconds of a clock that nobody sets (CLOCK_MONOTONIC). */
int64_t clock_milliseconds(void);

void free_pointer(void *pointer_to_pointer);
void close_descriptor(const int *descriptor);
void close_stream(FILE **stream);
#define _cleanup_free_	_cleanup_(free_pointer)
#define _cleanup_close_ _cleanup_(close_descriptor)
#define _cleanup_file_	_cleanup_(close_stream)
#define _cleanup_text_	_cleanup_(text_done)

/* 12345678 as "12,345,678"; `buffer` holds at least 32 bytes; returns it. */
const char *format_count(char *buffer, uint64_t number);
/* Bytes as "12.3 MB" (decimal, as in ip(8) -h); `buffer` holds at least 32 bytes; returns it. */
const char *format_bytes(char *buffer, uint64_t bytes);

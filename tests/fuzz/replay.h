/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the targets share: a condition that must hold, and a main() that replays the files, or all files of the
 * directories, that it is given. With -DFUZZING_ENGINE an engine calls LLVMFuzzerTestOneInput() instead: in the
 * repository, clang -fsanitize=fuzzer,address,undefined -DFUZZING_ENGINE -Iinclude -Isrc -Itests/unit ... */

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition)
{
	if (!condition)
		abort();
}

#ifndef FUZZING_ENGINE
static inline int replay(const char *path)
{
	_cleanup_file_ FILE *stream = fopen(path, "re");
	_cleanup_text_ struct text text = {0};
	int byte;

	if (!stream) {
		perror(path);
		return 1;
	}
	while ((byte = getc(stream)) != EOF)
		text_append_char(&text, (char)byte);
	/* A copy of exactly that size, so that a sanitizer sees what reads behind its end. */
	_cleanup_free_ uint8_t *data = mem_alloc(text.length);

	if (text.length)
		memcpy(data, text.data, text.length);
	return LLVMFuzzerTestOneInput(data, text.length);
}

static inline int replay_all(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	int result = 0;

	if (count < 0)
		return replay(path);
	for (int i = 0; i < count; i++) {
		_cleanup_free_ char *inner = mem_format("%s/%s", path, entries[i]->d_name);
		struct stat status;

		if (stat(inner, &status) == 0 && S_ISREG(status.st_mode))
			result |= replay(inner);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static inline int replay_main(int count, char **arguments)
{
	int result = 0;

	for (int i = 1; i < count; i++)
		result |= replay_all(arguments[i]);
	return result;
}

/* A part of a corpus, written by a target's own `--make-corpus DIR`. */
static inline void write_bytes(const char *directory, const char *name, size_t number, const void *bytes, size_t length)
{
	_cleanup_free_ char *path = mem_format("%s/%s-%zu", directory, name, number);
	_cleanup_file_ FILE *stream = fopen(path, "we");

	if (!stream || fwrite(bytes, 1, length, stream) != length)
		perror(path);
}
#endif

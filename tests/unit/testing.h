/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the tests of several rooms share: files, golden texts, and policies that are compiled from a text. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "policy.h"
#include "ruleset.h"

/* The whole file with a NUL behind it, or NULL. The caller frees it. */
static inline char *testing_read(const char *path, size_t *ret_length)
{
	_cleanup_file_ FILE *stream = fopen(path, "re");
	struct text text = {0};
	char buffer[4096];
	size_t got;

	if (!stream)
		return NULL;
	while ((got = fread(buffer, 1, sizeof(buffer), stream)) > 0) {
		text.data = mem_resize(text.data, text.length + got + 1, 1);
		memcpy(text.data + text.length, buffer, got);
		text.length += got;
		text.data[text.length] = '\0';
	}
	if (ret_length)
		*ret_length = text.length;
	return text_take(&text);
}

/* Compares with a golden file, or with DFLYGUARD_UPDATE_GOLDEN=1 writes it. The first line that differs is shown. */
static inline void golden_check(const char *path, const char *text)
{
	const char *update = getenv("DFLYGUARD_UPDATE_GOLDEN");

	if (update && *update) {
		_cleanup_file_ FILE *stream = fopen(path, "we");

		assert_non_null(stream);
		fputs(text, stream);
		return;
	}
	_cleanup_free_ char *golden = testing_read(path, NULL);
	size_t line = 1;
	size_t begin = 0;

	if (!golden)
		fail_msg("no %s: run from the top of the repository, or with DFLYGUARD_UPDATE_GOLDEN=1", path);
	if (strcmp(golden, text) == 0)
		return;
	for (size_t i = 0; golden[i] && golden[i] == text[i]; i++)
		if (golden[i] == '\n') {
			line++;
			begin = i + 1;
		}
	fail_msg("%s:%zu: expected\n%.*s\nbut got\n%.*s", path, line, (int)strcspn(golden + begin, "\n"),
		golden + begin, (int)strcspn(text + begin, "\n"), text + begin);
}

/* A policy and one of its environments, compiled. Free with compiled_done(). */
struct compiled {
	struct policy *policy;
	const struct environment *environment;
	struct ruleset *ruleset;
};

/* 2026-01-02T03:04:05Z: what golden texts say for "since". */
#define GOLDEN_SINCE 1767323045u

static inline struct policy *testing_policy(const char *name, const char *text)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	if (policy_load_text(name, text, strlen(text), &policy, &diagnostics, &err) < 0)
		fail_msg("%s:%u: %s", name, diagnostics.count ? diagnostics.items[0].line : 0,
			diagnostics.count ? diagnostics.items[0].message : err.message);
	diagnostics_done(&diagnostics);
	return policy;
}

/* `environment` NULL: the policy's default. */
static inline struct compiled compile_text(const char *name, const char *text, const char *environment)
{
	struct compiled compiled = {.policy = testing_policy(name, text)};
	struct err err = {0};

	compiled.environment = policy_environment(compiled.policy, environment, &err);
	if (!compiled.environment)
		fail_msg("%s: %s", name, err.message);
	compiled.ruleset = ruleset_compile(compiled.policy, compiled.environment, GOLDEN_SINCE);
	return compiled;
}

static inline void compiled_done(struct compiled *compiled)
{
	ruleset_free(compiled->ruleset);
	policy_free(compiled->policy);
	*compiled = (struct compiled){0};
}

/* Whether all of it is to be tried: with a sanitizer, which takes ten times as long, a part is enough but for the long
 * run. The whole runs without one. */
static inline bool testing_thorough(void)
{
#ifdef __SANITIZE_ADDRESS__
	const char *longer = getenv("DFLYGUARD_TEST_LONG");

	return longer && *longer;
#else
	return true;
#endif
}

/* A random number that is the same in each run (splitmix64); `state` is the seed. */
static inline uint64_t testing_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Following the policy's files, by asking what they are, not by waiting for events about them: an editor that renames,
 * a link that is turned, a file system that was mounted over, and files that were not there all look the same this way.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "watch.h"

/* A bad policy may become good without a file changing that we know of: one that it misses appears. */
#define READ_AGAIN 10.0
/* Mistakes that are told; `dflyguard check` lists all. */
#define MISTAKES_TOLD 5

static void mark(struct mark *mark)
{
	mark->there = stat(mark->path, &mark->status) == 0;
}

static bool mark_equal(const struct mark *a, const struct mark *b)
{
	const struct stat *x = &a->status;
	const struct stat *y = &b->status;

	if (!a->there || !b->there)
		return a->there == b->there;
	/* The time of the inode, too: permissions matter, and a file may be given back its old time. */
	return x->st_dev == y->st_dev && x->st_ino == y->st_ino && x->st_size == y->st_size &&
	       x->st_mtim.tv_sec == y->st_mtim.tv_sec && x->st_mtim.tv_nsec == y->st_mtim.tv_nsec &&
	       x->st_ctim.tv_sec == y->st_ctim.tv_sec && x->st_ctim.tv_nsec == y->st_ctim.tv_nsec;
}

/* Marks all files anew. True where one is not what it was. */
static bool mark_all(struct follow *follow)
{
	bool changed = false;

	for (size_t i = 0; i < follow->mark_count; i++) {
		struct mark now = {.path = follow->marks[i].path};

		mark(&now);
		changed = changed || !mark_equal(&now, &follow->marks[i]);
		follow->marks[i] = now;
	}
	return changed;
}

static void forget_marks(struct follow *follow)
{
	for (size_t i = 0; i < follow->mark_count; i++)
		free(follow->marks[i].path);
	free(follow->marks);
	follow->marks = NULL;
	follow->mark_count = 0;
}

/* The files of the policy that was read. One that was written to since we began to read is not settled. */
static void mark_files(struct follow *follow, const struct policy *policy, time_t began)
{
	forget_marks(follow);
	follow->marks = mem_zero(policy->file_count, sizeof(*follow->marks));
	follow->mark_count = policy->file_count;
	for (size_t i = 0; i < policy->file_count; i++) {
		follow->marks[i].path = mem_string(policy->files[i]);
		mark(&follow->marks[i]);
		/* Times to come are of a clock that was set back since: they say nothing. */
		if (!follow->marks[i].there || (follow->marks[i].status.st_ctim.tv_sec >= began &&
						       follow->marks[i].status.st_ctim.tv_sec <= time(NULL)))
			follow->unsettled = true;
	}
}

/* What a person needs to begin: the first mistakes, on one line. */
static char *why_bad(const struct err *err, const struct diagnostics *diagnostics)
{
	struct text text = {0};
	size_t count = diagnostics->count < MISTAKES_TOLD ? diagnostics->count : MISTAKES_TOLD;

	for (size_t i = 0; i < count; i++) {
		const struct diagnostic *item = &diagnostics->items[i];

		text_printf(&text, "%s%s:", i ? "; " : "", item->file);
		if (item->line)
			text_printf(&text, "%u:", item->line);
		text_printf(&text, " %s", item->message);
	}
	if (diagnostics->count + diagnostics->suppressed > count)
		text_printf(&text, "; and %zu more", diagnostics->count + diagnostics->suppressed - count);
	if (!count && err->file[0] && err->line)
		text_printf(&text, "%s:%u: ", err->file, err->line);
	if (!count)
		text_append(&text, err->message);
	return text_take(&text);
}

/* As apply: what does not meet its own expectations is not put in force. */
static int take(struct follow *follow, struct policy *policy, const struct environment *environment, struct err *err)
{
	struct ruleset *expected = ruleset_compile(policy, environment, (uint64_t)time(NULL));

	if (policy->expectation_count && check_expectations(policy, environment, expected, err) < 0) {
		ruleset_free(expected);
		return -EINVAL;
	}
	ruleset_free(follow->expected);
	policy_free(follow->policy);
	follow->policy = policy;
	follow->environment = environment;
	follow->expected = expected;
	follow->fingerprint = force_fingerprint(policy, environment, expected);
	return 0;
}

/* 0: taken. Else a negative errno value, with `err` and `diagnostics`. */
static int read_files(struct follow *follow, double now, struct err *err, struct diagnostics *diagnostics)
{
	const struct environment *environment;
	struct policy *policy;
	time_t began = time(NULL);
	int r;

	follow->read_at = now;
	follow->unsettled = false;
	r = policy_load(follow->path, &policy, diagnostics, err);
	if (r < 0)
		return r;
	environment = policy_environment(policy, follow->environment_name, err);
	mark_files(follow, policy, began);
	if (environment && take(follow, policy, environment, err) == 0)
		return 0;
	policy_free(policy);
	return -EINVAL;
}

bool follow_begin(struct follow *follow, const struct options *options, double now)
{
	struct diagnostics diagnostics = {0};
	struct err err = {0};
	int r;

	follow->path = options->policy;
	follow->environment_name = options->environment;
	r = read_files(follow, now, &err, &diagnostics);
	if (r < 0)
		fail(options, &err, &diagnostics);
	diagnostics_done(&diagnostics);
	return r == 0;
}

enum followed follow_look(struct follow *follow, double now, bool now_or_never)
{
	struct diagnostics diagnostics = {0};
	struct err err = {0};
	uint64_t before = follow->fingerprint;
	bool changed = mark_all(follow);
	bool was_bad = follow->bad;
	bool told;
	char *why;

	/* Whoever writes may not be done: half a policy may be a good one. */
	if (changed && !now_or_never) {
		follow->unsettled = true;
		return FOLLOW_SAME;
	}
	if (!follow->unsettled && !now_or_never && !(follow->bad && now - follow->read_at >= READ_AGAIN))
		return FOLLOW_SAME;
	if (read_files(follow, now, &err, &diagnostics) == 0) {
		free(follow->bad);
		follow->bad = NULL;
		diagnostics_done(&diagnostics);
		return follow->fingerprint != before ? FOLLOW_ANOTHER
		       : was_bad || now_or_never     ? FOLLOW_READ
						     : FOLLOW_SAME;
	}
	why = why_bad(&err, &diagnostics);
	diagnostics_done(&diagnostics);
	told = same_string(why, follow->bad);
	free(follow->bad);
	follow->bad = why;
	return told ? FOLLOW_SAME : FOLLOW_BAD;
}

void follow_done(struct follow *follow)
{
	forget_marks(follow);
	ruleset_free(follow->expected);
	policy_free(follow->policy);
	free(follow->bad);
	*follow = (struct follow){0};
}

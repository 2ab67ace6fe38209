/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The policies that were undone, by a rollback or since nobody confirmed them. They may stand in the policy's file all
 * the same, and what acts without being asked (watch --heal, a boot) must not bring them back. One that waits to be
 * confirmed is among them already, since a reboot undoes it, too. Somebody who applies a policy ends all of that.
 *
 * STATE/undone has a line for each, the newest last: the digest, the fingerprint, the environment.
 */

#include <inttypes.h>
#include <string.h>

#include "cmd.h"

/* More than that nobody undid without applying one; older ones are forgotten. */
#define LINES_MAX 16

static char *line_of(const struct kept_policy *kept)
{
	return mem_format("%016" PRIx64 " %016" PRIx64 " %s\n", kept->digest, kept->fingerprint, kept->environment);
}

/* With other words the digest differs, of another version of ours the ruleset may: one of both is enough. */
struct identity {
	char digest[17], fingerprint[17];
	const char *environment;
};

static bool is_line_of(const char *line, const struct identity *identity)
{
	size_t length = strcspn(line, "\n");

	return length == 34 + strlen(identity->environment) && line[16] == ' ' && line[33] == ' ' &&
	       strncmp(line + 34, identity->environment, length - 34) == 0 &&
	       (strncmp(line, identity->digest, 16) == 0 || strncmp(line + 17, identity->fingerprint, 16) == 0);
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

bool undone_is(const struct state *state, const struct policy *policy, const struct environment *environment)
{
	_cleanup_(kept_done) struct kept_policy current = {0};
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *line = NULL;
	struct identity identity = {.environment = environment->name};
	struct ruleset *ruleset;
	bool found = false;

	if (state_read_undone(state, &text, NULL) < 0)
		return false;
	ruleset = ruleset_compile(policy, environment, 0);
	snprintf(identity.digest, sizeof(identity.digest), "%016" PRIx64, policy_digest(policy));
	snprintf(identity.fingerprint, sizeof(identity.fingerprint), "%016" PRIx64, ruleset_fingerprint(ruleset));
	ruleset_free(ruleset);
	for (const char *at = text; *at && !found; at = next_line(at))
		found = is_line_of(at, &identity);
	if (!found || state_read(state, STATE_CURRENT, true, &current, NULL) < 0)
		return found;
	/* In force again, or still: nobody meant to be without it. */
	line = line_of(&current);
	return !is_line_of(line, &identity);
}

int undone_add(const struct state *state, const struct kept_policy *kept, struct err *err)
{
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *line = line_of(kept);
	_cleanup_free_ char *text = NULL;
	const char *from = "";
	const char *same;
	size_t count = 0;

	/* What cannot be read, or is not what we write, is replaced. */
	if (state_read_undone(state, &before, NULL) == 0 && *before && before[strlen(before) - 1] == '\n')
		from = before;
	same = strstr(from, line);
	if (same && (same == from || same[-1] == '\n'))
		return 0;
	for (const char *at = from; *at; at = next_line(at))
		count++;
	for (; count >= LINES_MAX; count--)
		from = next_line(from);
	text = mem_format("%s%s", from, line);
	return state_write_undone(state, text, err);
}

int undone_forget(const struct state *state, struct err *err)
{
	return state_write_undone(state, NULL, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the policy bears with for a time: findings that are marked as waived, and waivers that do nothing (any more). */

#include <string.h>

#include "audit_private.h"

/* No day before this can be today; a host without a clock of its own begins at 1970. 2025-01-01, in seconds. */
#define CLOCK_IS_SET 1735689600u

/* The check that a misspelt id most probably means, or NULL. */
static const struct check *nearest(const char *id)
{
	unsigned int limit = name_tolerance(id);
	const struct check *(*const tables[])(size_t) = {audit_check, audit_watch_check};
	const struct check *best = NULL;
	const struct check *check;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (size_t i = 0; (check = tables[t](i)); i++) {
			unsigned int distance = name_distance(id, check->id, limit);

			if (distance > limit)
				continue;
			best = check;
			if (distance == 0)
				return best;
			limit = distance - 1;
		}
	return best;
}

char *audit_waiver_mistake(const struct waiver *waiver)
{
	const struct check *check = audit_check_find(waiver->check);
	const struct check *meant;

	if (check && check->unwaivable)
		return mem_format("%s cannot be waived: %s", check->id, check->unwaivable);
	if (check)
		return NULL;
	meant = nearest(waiver->check);
	return meant ? mem_format("there is no check '%s': did you mean '%s'?", waiver->check, meant->id)
		     : mem_format("there is no check '%s': `dflyguard checks` lists them", waiver->check);
}

/* Whether all of `text` is what `pattern` says, in which * stands for anything. What else is special elsewhere, as the
 * brackets of an IPv6 address, is itself. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL; /* behind the last one, and where what it stands for ends */
	const char *taken = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			taken = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++taken;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

static bool applies(const struct audit_facts *facts, const struct waiver *waiver)
{
	return waiver->environment == POLICY_EVERY_ENVIRONMENT ||
	       &facts->policy->environments[waiver->environment] == facts->environment;
}

/* Marks what it is about; how many those are, with those that another waiver marked before. */
static size_t waive(const struct waiver *waiver, struct findings *findings)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++) {
		struct finding *finding = &findings->items[i];

		if ((finding->outcome != OUTCOME_FAIL && finding->outcome != OUTCOME_UNKNOWN) ||
			strcmp(finding->check->id, waiver->check) != 0 ||
			(waiver->subject && !matches(waiver->subject, finding->subject)))
			continue;
		count++;
		if (finding->waived)
			continue;
		finding->waived = mem_string(waiver->reason);
		finding->waived_until = waiver->until;
		finding->waived_origin = waiver->origin;
	}
	return count;
}

static void judge(
	const struct check *check, const struct audit_facts *facts, const struct waiver *waiver, struct findings *ret)
{
	_cleanup_free_ char *mistake = audit_waiver_mistake(waiver);
	_cleanup_free_ char *subject = mem_format(
		"%s%s%s", waiver->check, waiver->subject ? " of " : "", waiver->subject ? waiver->subject : "");
	struct finding *finding;
	char until[DATE_TEXT];
	size_t count;

	date_format(waiver->until, until);
	if (mistake) {
		finding = finding_add(ret, check, OUTCOME_FAIL, subject, "%s", mistake);
	} else if (facts->now < CLOCK_IS_SET) {
		finding = finding_add(ret, check, OUTCOME_UNKNOWN, subject,
			"the clock of this host is not set, so that nobody knows whether %s is over", until);
	} else if (facts->now / 86400 > waiver->until) {
		finding = finding_add(ret, check, OUTCOME_FAIL, subject,
			"expired with %s, and what it waived counts again; its reason was: %s", until, waiver->reason);
	} else {
		count = waive(waiver, ret);
		if (count) {
			finding = finding_add(ret, check, OUTCOME_PASS, subject, "%s: waives %zu %s until %s", subject,
				count, count == 1 ? "finding" : "findings", until);
		} else {
			finding = finding_add(
				ret, check, OUTCOME_FAIL, subject, "waives nothing now: no such finding failed");
			finding->severity = SEVERITY_INFO;
		}
	}
	finding->origin = waiver->origin;
}

static size_t judge_all(
	const struct check *check, const struct audit_facts *facts, const enum audit_part *part, struct findings *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->policy->waiver_count; i++) {
		if (!applies(facts, &facts->policy->waivers[i]) ||
			(part && audit_part_of(facts->policy->waivers[i].check) != *part))
			continue;
		count++;
		judge(check, facts, &facts->policy->waivers[i], ret);
	}
	return count;
}

void assess_waivers(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!judge_all(check, facts, NULL, ret))
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, facts->policy->path,
			"nothing is waived in this environment");
}

void waive_part(const struct check *check, const struct audit_facts *facts, enum audit_part part, struct findings *ret)
{
	judge_all(check, facts, &part, ret);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Our table: is it there, and is it what the policy says? */

#include <time.h>

#include "audit_private.h"

#define SUBJECT "table inet " TABLE_NAME

/* Our table was not read: that is good where it need not be. */
static void assess_unread(
	const struct check *check, const struct audit_facts *facts, struct findings *ret, const char *good)
{
	time_t since = (time_t)facts->unchanged_since;
	struct tm broken_down;
	char when[32];

	if (!facts->unchanged)
		finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "could not be read: %s", facts->drift_unknown);
	else if (!since || !gmtime_r(&since, &broken_down))
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "%s: nothing changed since the last look", good);
	else {
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &broken_down);
		finding_add(
			ret, check, OUTCOME_PASS, SUBJECT, "%s: nothing changed since the look at %s UTC", good, when);
	}
}

void assess_in_force(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const char *why;

	if (!facts->drift) {
		assess_unread(check, facts, ret, "in force");
		return;
	}
	why = ruleset_why_not_in_force(facts->drift->observed);
	if (why)
		finding_add(ret, check, OUTCOME_FAIL, SUBJECT, "not in force: %s", why);
	else
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "in force");
}

void assess_drift(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	char number[32];

	if (!facts->drift) {
		assess_unread(check, facts, ret, "the kernel's table is what the policy says");
		return;
	}
	if (facts->drift->count == 0)
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "the kernel's table is what the policy says");
	else
		finding_add(ret, check, OUTCOME_FAIL, SUBJECT, "%s %s from the policy",
			format_count(number, facts->drift->count),
			facts->drift->count == 1 ? "difference" : "differences");
}

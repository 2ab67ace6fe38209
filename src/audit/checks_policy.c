/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The checks of area `policy`: what it says beside what is in force. */

#include "audit_private.h"

static const struct check checks[] = {
	{.id = "environments.weaker",
		.area = "environments",
		.severity = SEVERITY_WARNING,
		.facts = "the policy",
		.title = "no environment is weaker than production",
		.bad = "Staging and development often hold copies of production's data, and whoever gets in there "
		       "finds "
		       "the way on. Each way in which one is weaker is told: TLS, passwords, wider networks, no bind, "
		       "no "
		       "limits, no log. Measured by the environment called production, else by the default one. Asked "
		       "with --all-environments.",
		.unknown = "there is no environment to measure by",
		.remedy = "write the same as in production; where it must differ: waive \"environments.weaker\" with "
			  "that environment as its subject",
		.assess = assess_environments},
	{.id = "policy.waiver",
		.area = "policy",
		.severity = SEVERITY_WARNING,
		.facts = "the policy, the clock, all other findings",
		.title = "every waiver still waives something",
		.bad = "A waiver has expired, and what it waived counts again; or its check is not there, or may not "
		       "be "
		       "waived. Informational where there is nothing left that it waives.",
		.unknown =
			"the clock of this host is not set, so that nobody knows what has expired; nothing is waived",
		.remedy =
			"mend what is waived, or write a later date with the reason why; take out what waives nothing",
		.unwaivable = "a waiver of waivers would never end",
		.assess = assess_waivers},
};

const struct check_table policy_checks = {checks, ARRAY_SIZE(checks)};

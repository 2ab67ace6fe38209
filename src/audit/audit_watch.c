/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What only a watch can know, since it stays: mistakes in the policy that came later, and who works against it. */

#include "audit_private.h"

enum { CHECK_POLICY, CHECK_FIGHT, CHECK_HANDSHAKE, CHECK_OWN, CHECK_LOG, CHECK_COUNT };

static const struct check checks[CHECK_COUNT] = {
	[CHECK_POLICY] = {.id = "policy.bad",
		.area = "policy",
		.severity = SEVERITY_WARNING,
		.facts = "the policy's files",
		.title = "the policy's files can be used",
		.bad = "What is in the files now is no good policy, so the last good one is still the one that is "
		       "watched. At the next boot there may be none.",
		.remedy = "mend the files; `dflyguard check` lists all mistakes"},
	[CHECK_FIGHT] = {.id = "watch.fight",
		.area = "watch",
		.severity = SEVERITY_CRITICAL,
		.facts = "our table in the kernel, over time",
		.title = "nobody undoes what watch heals",
		.bad = "What was put back was changed again, three times within a minute. Watch does not heal until "
		       "nobody has changed the table for ten minutes, or it is told to by a signal or another policy.",
		.remedy = "stop whoever changes table inet " TABLE_NAME
			  ", then: systemctl reload dflyguard-watch, or kill -HUP"},
	[CHECK_HANDSHAKE] = {.id = "watch.handshake",
		.area = "watch",
		.severity = SEVERITY_INFO,
		.facts = "connections",
		.title = "silent connections are ended",
		.bad = "Connections to a TLS port that say nothing for handshake_timeout seconds hold a place each.",
		.unknown = "this kernel, or these privileges, do not allow to end them",
		.remedy = "a kernel with CONFIG_INET_DIAG_DESTROY, or handshake_timeout = 0"},
	[CHECK_OWN] = {.id = "watch.own",
		.area = "watch",
		.severity = SEVERITY_WARNING,
		.facts = "our table in the kernel",
		.title = "watch --own owns the table",
		.bad = "The table is everybody's to change, though watch was told to own it. Informational while a "
		       "policy "
		       "waits to be confirmed, since only without an owner it can be undone.",
		.unknown = "this kernel cannot keep a table when its owner ends, so it is not owned at all",
		.remedy =
			"a kernel from 6.9 on; or stop whoever else owns or changes the table, then: systemctl reload "
			"dflyguard-watch, or kill -HUP"},
	[CHECK_LOG] = {.id = "watch.log",
		.area = "watch",
		.severity = SEVERITY_INFO,
		.facts = "the server's log",
		.title = "the server's log is followed",
		.bad = "Alerts on what only the log tells (failed handshakes, dangerous commands) see nothing.",
		.unknown = "the log goes where watch does not look, or its folder cannot be read",
		.remedy = "--log_dir=/var/log/dragonfly in the flagfile, without --logtostderr"},
};

const struct check *audit_watch_check(size_t index)
{
	return index < ARRAY_SIZE(checks) ? &checks[index] : NULL;
}

bool check_is_watch_only(const struct check *check)
{
	return !check->assess;
}

static void assess_policy(const struct watch_facts *facts, struct findings *ret)
{
	const struct check *check = &checks[CHECK_POLICY];

	if (facts->policy_bad)
		finding_add(ret, check, OUTCOME_FAIL, facts->policy_path, "the last good policy stays in force: %s",
			facts->policy_bad);
	else
		finding_add(ret, check, OUTCOME_PASS, facts->policy_path, "what is in the files is what is watched");
}

static void assess_fight(const struct watch_facts *facts, struct findings *ret)
{
	static const char subject[] = "table inet " TABLE_NAME;
	const struct check *check = &checks[CHECK_FIGHT];

	if (!facts->heals)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "watch was not asked to heal");
	else if (!facts->fight)
		finding_add(ret, check, OUTCOME_PASS, subject, "nobody undoes what was healed");
	else
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"what was healed is undone again and again%s%s: healing has stopped",
			facts->rival ? ", by " : "", facts->rival ? facts->rival : "");
}

static void assess_handshake(const struct watch_facts *facts, struct findings *ret)
{
	static const char subject[] = "connections to TLS ports";
	const struct check *check = &checks[CHECK_HANDSHAKE];

	if (!facts->handshake)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject,
			"without --heal, without a TLS port, or with handshake_timeout = 0 there is nothing to do");
	else if (facts->handshake_unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "silent ones cannot be ended: %s",
			facts->handshake_unknown);
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "silent ones are ended");
}

static void assess_own(const struct watch_facts *facts, struct findings *ret)
{
	static const char subject[] = "table inet " TABLE_NAME;
	const struct check *check = &checks[CHECK_OWN];

	if (!facts->own)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "watch was not asked to own it");
	else if (facts->own_unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "it cannot be owned: %s", facts->own_unknown);
	else if (facts->own_failed)
		finding_add(ret, check, OUTCOME_FAIL, subject, "it is not owned: %s", facts->own_failed)->severity =
			facts->own_waits ? SEVERITY_INFO : check->severity;
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "owned: nobody else can change it");
}

static void assess_log(const struct watch_facts *facts, struct findings *ret)
{
	static const char subject[] = "the server's log";
	const struct check *check = &checks[CHECK_LOG];

	if (!facts->log)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "no Dragonfly runs");
	else if (facts->log_unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "is not followed: %s", facts->log_unknown);
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "is followed");
}

void audit_watch(const struct watch_facts *facts, struct findings *ret)
{
	assess_policy(facts, ret);
	assess_fight(facts, ret);
	assess_handshake(facts, ret);
	assess_own(facts, ret);
	assess_log(facts, ret);
}

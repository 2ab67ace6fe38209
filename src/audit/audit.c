/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "audit_private.h"

/* A new check is a row here, a function in the file of its area, and its fixtures in tests/unit/test_audit.c. */
static const struct check checks[] = {
	{"firewall.in_force", "firewall", SEVERITY_CRITICAL, "the firewall is in force",
		"The table is there, is not dormant, and its three hooks have rules. Where it is not, nobody is "
		"refused. "
		"Unknown: the kernel could not be read.",
		"dflyguard audit --heal, or dflyguard apply; then find out who took it away: nft monitor",
		assess_in_force},
	{"firewall.drift", "firewall", SEVERITY_CRITICAL, "the kernel has what the policy says",
		"Flags, chains, rules in their order, and sets by what they cover. Any difference may let somebody in "
		"or "
		"keep somebody out. Unknown: the kernel could not be read.",
		"dflyguard audit --heal puts it back; dflyguard plan shows the same differences", assess_drift},
	{"firewall.foreign_nat", "firewall", SEVERITY_WARNING, "no other table maps a guarded port",
		"Another table leads another port to a guarded one, or a guarded one elsewhere. Translated packets are "
		"judged a second time by their source, but bind is not asked. Critical where the packet is rewritten, "
		"or "
		"goes to another socket, so that it is not judged. Unknown: a rule's target could not be told, or the "
		"tables could not be read.",
		"take the rule out if nobody meant it, or guard the port that clients use", assess_foreign_nat},
	{"firewall.notrack", "firewall", SEVERITY_CRITICAL, "guarded ports are tracked",
		"A notrack rule may hit packets of a guarded port. They are refused as untracked, whoever sends them. "
		"Unknown: other tables could not be read.",
		"except the guarded ports from the notrack rule", assess_notrack},
	{"firewall.flowtable", "firewall", SEVERITY_CRITICAL, "no connection passes by the chains",
		"A flowtable takes over connections of a guarded port, or packets are sent on by fwd before any chain: "
		"they "
		"are not judged, and revoking a source does not cut them. Unknown: other tables could not be read.",
		"except the guarded ports from the rule with `flow add` or `fwd`", assess_flowtable},
	{"firewall.foreign_drop", "firewall", SEVERITY_WARNING, "other tables let the clients pass",
		"Another table drops a packet that the policy allows: nobody gets in who should not, but somebody "
		"stays out "
		"who should get in. Unknown (informational): it depends on what cannot be told beforehand, as a rate "
		"or "
		"an interface. Unknown (warning): other tables could not be read.",
		"allow the guarded ports for these sources in the other firewall, too", assess_foreign_drop},
	{"firewall.legacy", "firewall", SEVERITY_WARNING, "no tables of legacy iptables",
		"Tables of the iptables before nf_tables are there. Their rules raise no event and change no "
		"generation, "
		"and what they do to guarded ports is not looked at. Unknown: /proc could not be read.",
		"move to iptables-nft: iptables-legacy-save | iptables-nft-restore, then unload the modules",
		assess_legacy},
	{"firewall.owner", "firewall", SEVERITY_WARNING, "no other program owns the port's tables",
		"Our table belongs to a running program that is not dflyguard, or another one that names a guarded "
		"port "
		"has an owner: nobody else can change it. Critical where our table is gone when its owner ends. "
		"Unknown: "
		"who owns our table cannot be told, or other tables could not be read.",
		"decide which program is to manage the port, and stop the other one", assess_owner},
};

const struct check *audit_checks(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(checks);
	return checks;
}

/* --- words --- */

static const char *const severity_names[] = {
	[SEVERITY_INFO] = "info", [SEVERITY_WARNING] = "warning", [SEVERITY_CRITICAL] = "critical"};

const char *severity_name(enum severity severity)
{
	return severity_names[severity];
}

bool severity_parse(const char *name, enum severity *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(severity_names); i++)
		if (strcmp(severity_names[i], name) == 0) {
			*ret = (enum severity)i;
			return true;
		}
	return false;
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[] = {[OUTCOME_PASS] = "pass",
		[OUTCOME_FAIL] = "fail",
		[OUTCOME_UNKNOWN] = "unknown",
		[OUTCOME_NOT_APPLICABLE] = "not-applicable"};

	return names[outcome];
}

/* --- findings --- */

struct finding *finding_add(struct findings *findings, const struct check *check, enum outcome outcome,
	const char *subject, const char *format, ...)
{
	struct finding *finding;
	char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		abort();
	va_end(arguments);
	ARRAY_GROW(findings->items, findings->count, findings->capacity);
	finding = &findings->items[findings->count++];
	*finding = (struct finding){.check = check,
		.severity = check->severity,
		.outcome = outcome,
		.subject = mem_string(subject),
		.message = message,
		.remedy = outcome == OUTCOME_FAIL ? mem_string(check->remedy) : NULL};
	return finding;
}

void findings_done(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].subject);
		free(findings->items[i].message);
		free(findings->items[i].evidence);
		free(findings->items[i].remedy);
	}
	free(findings->items);
	*findings = (struct findings){0};
}

static int compare(const void *left, const void *right)
{
	static const int order[] = {
		[OUTCOME_FAIL] = 0, [OUTCOME_UNKNOWN] = 1, [OUTCOME_PASS] = 2, [OUTCOME_NOT_APPLICABLE] = 3};
	const struct finding *a = left;
	const struct finding *b = right;

	if (a->outcome != b->outcome)
		return order[a->outcome] - order[b->outcome];
	if (a->severity != b->severity)
		return a->severity > b->severity ? -1 : 1;
	if (a->check != b->check)
		return a->check < b->check ? -1 : 1;
	int by_subject = strcmp(a->subject, b->subject);

	return by_subject ? by_subject : strcmp(a->message, b->message);
}

void audit_run(const struct audit_facts *facts, struct findings *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		checks[i].assess(&checks[i], facts, ret);
	qsort(ret->items, ret->count, sizeof(*ret->items), compare);
}

size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].outcome == outcome && findings->items[i].severity >= at_least;
	return count;
}

int findings_exit(const struct findings *findings, enum severity fail_on)
{
	if (findings_count(findings, OUTCOME_FAIL, fail_on))
		return 1;
	return findings_count(findings, OUTCOME_UNKNOWN, fail_on) ? 2 : 0;
}

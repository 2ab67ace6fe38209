/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "audit_private.h"

/* A new check is a row in the table of its area (checks_AREA.c), a function in a file of that area, and its fixtures in
 * tests/unit. The policy's own come last: assess_waivers() looks at the findings of all others. */
static const struct check_table *const tables[] = {
	&firewall_checks, &bind_checks, &tls_checks, &auth_checks, &exposure_checks, &logs_checks, &policy_checks};

const struct check *audit_check(size_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (index < tables[i]->count)
			return &tables[i]->checks[index];
		index -= tables[i]->count;
	}
	return NULL;
}

size_t audit_check_index(const struct check *check)
{
	size_t before = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct check_table *table = tables[i];

		for (size_t k = 0; k < table->count; k++)
			if (&table->checks[k] == check)
				return before + k;
		before += table->count;
	}
	return SIZE_MAX;
}

const struct check *audit_check_find(const char *id)
{
	const struct check *check;

	for (size_t i = 0; (check = audit_check(i)); i++)
		if (strcmp(check->id, id) == 0)
			return check;
	for (size_t i = 0; (check = audit_watch_check(i)); i++)
		if (strcmp(check->id, id) == 0)
			return check;
	return NULL;
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
		free(findings->items[i].waived);
	}
	free(findings->items);
	*findings = (struct findings){0};
}

/* In the order of the tables; watch's own before them. */
static int compare_checks(const struct check *a, const struct check *b)
{
	/* + 1: what is in no table comes to stand at 0. */
	size_t left = audit_check_index(a) + 1;
	size_t right = audit_check_index(b) + 1;

	return left != right ? (left < right ? -1 : 1) : strcmp(a->id, b->id);
}

static int compare(const void *left, const void *right)
{
	static const int order[] = {
		[OUTCOME_FAIL] = 0, [OUTCOME_UNKNOWN] = 1, [OUTCOME_PASS] = 2, [OUTCOME_NOT_APPLICABLE] = 3};
	const struct finding *a = left;
	const struct finding *b = right;

	if (!a->waived != !b->waived)
		return a->waived ? 1 : -1;
	if (a->outcome != b->outcome)
		return order[a->outcome] - order[b->outcome];
	if (a->severity != b->severity)
		return a->severity > b->severity ? -1 : 1;
	if (a->check != b->check)
		return compare_checks(a->check, b->check);
	int by_subject = strcmp(a->subject, b->subject);

	return by_subject ? by_subject : strcmp(a->message, b->message);
}

void findings_sort(struct findings *findings)
{
	qsort(findings->items, findings->count, sizeof(*findings->items), compare);
}

void audit_run(const struct audit_facts *facts, struct findings *ret)
{
	const struct check *check;

	for (size_t i = 0; (check = audit_check(i)); i++)
		check->assess(check, facts, ret);
	findings_sort(ret);
}

enum audit_part audit_part_of(const char *id)
{
	static const char *const asked[] = {"tls.", "auth.", "exposure.", "logs."};

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		if (strncmp(id, asked[i], strlen(asked[i])) == 0)
			return AUDIT_ASKED;
	return AUDIT_HOST;
}

void audit_run_part(const struct audit_facts *facts, enum audit_part part, struct findings *ret)
{
	const struct check *check;

	for (size_t i = 0; (check = audit_check(i)); i++)
		if (check->assess == assess_waivers)
			waive_part(check, facts, part, ret);
		else if (audit_part_of(check->id) == part)
			check->assess(check, facts, ret);
	findings_sort(ret);
}

size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].outcome == outcome && findings->items[i].severity >= at_least &&
			 !findings->items[i].waived;
	return count;
}

size_t findings_waived(const struct findings *findings)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].waived != NULL;
	return count;
}

int findings_exit(const struct findings *findings, enum severity fail_on)
{
	if (findings_count(findings, OUTCOME_FAIL, fail_on))
		return 1;
	return findings_count(findings, OUTCOME_UNKNOWN, fail_on) ? 2 : 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * audit as SARIF 2.1.0, the format in which tools hand findings to others:
 * https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html (section numbers below are of that text).
 * The checks are the rules, all of them in each log with results, so that a rule's index is its place in the table.
 * What we emit, and nothing else, is in tests/sarif-subset.json.
 */

#include <string.h>

#include "json.h"
#include "report_json.h"

#define SARIF_SCHEMA "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

static const char *level_name(enum severity severity)
{
	static const char *const names[] = {
		[SEVERITY_INFO] = "note", [SEVERITY_WARNING] = "warning", [SEVERITY_CRITICAL] = "error"};

	return names[severity];
}

/* 3.27.9: an unknown is "open", what could not be evaluated. */
static const char *kind_name(enum outcome outcome)
{
	static const char *const names[] = {[OUTCOME_PASS] = "pass",
		[OUTCOME_FAIL] = "fail",
		[OUTCOME_UNKNOWN] = "open",
		[OUTCOME_NOT_APPLICABLE] = "notApplicable"};

	return names[outcome];
}

static void message(struct json *json, const char *name, const char *text)
{
	json_object_begin(json, name);
	json_string(json, "text", text);
	json_object_end(json);
}

/* --- places --- */

/* A path as a URI (RFC 3986): an absolute one with its scheme, another one relative to where the tool was run. */
static void path_uri(const char *path, struct text *uri)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

	if (path[0] == '/')
		text_append(uri, "file://");
	for (const char *byte = path; *byte; byte++) {
		if (strchr(plain, *byte))
			text_append_char(uri, *byte);
		else
			text_printf(uri, "%%%02X", (unsigned int)(unsigned char)*byte);
	}
}

static void physical(struct json *json, struct srcloc where)
{
	_cleanup_text_ struct text uri = {0};

	path_uri(where.file, &uri);
	json_object_begin(json, "physicalLocation");
	json_object_begin(json, "artifactLocation");
	json_string(json, "uri", text_string(&uri));
	json_object_end(json);
	if (where.line) {
		json_object_begin(json, "region");
		json_number(json, "startLine", where.line);
		json_object_end(json);
	}
	json_object_end(json);
}

/* The subject, and the policy's line behind it where there is one. */
static void locations(struct json *json, const struct policy *policy, const struct finding *finding)
{
	struct srcloc where = policy ? policy_place(policy, finding->origin) : (struct srcloc){0};

	json_array_begin(json, "locations");
	json_object_begin(json, NULL);
	if (where.file)
		physical(json, where);
	json_array_begin(json, "logicalLocations");
	json_object_begin(json, NULL);
	json_string(json, "fullyQualifiedName", finding->subject);
	json_object_end(json);
	json_array_end(json);
	json_object_end(json);
	json_array_end(json);
}

/* --- the checks --- */

static void rule(struct json *json, const struct check *check)
{
	_cleanup_free_ char *full =
		check->unknown ? mem_format("%s Unknown: %s.", check->bad, check->unknown) : mem_string(check->bad);

	json_object_begin(json, NULL);
	json_string(json, "id", check->id);
	message(json, "shortDescription", check->title);
	message(json, "fullDescription", full);
	message(json, "help", check->remedy);
	json_object_begin(json, "defaultConfiguration");
	json_string(json, "level", level_name(check->severity));
	json_object_end(json);
	json_object_begin(json, "properties");
	json_array_begin(json, "tags");
	json_string(json, NULL, check->area);
	json_array_end(json);
	json_string(json, "facts", check->facts);
	json_object_end(json);
	json_object_end(json);
}

static void driver(struct json *json, bool rules)
{
	const struct check *check;

	json_object_begin(json, "tool");
	json_object_begin(json, "driver");
	json_string(json, "name", "dflyguard");
	json_string(json, "version", DFLYGUARD_VERSION);
	if (rules) {
		json_array_begin(json, "rules");
		for (size_t i = 0; (check = audit_check(i)); i++)
			rule(json, check);
		json_array_end(json);
	}
	json_object_end(json);
	json_object_end(json);
}

/* --- the findings --- */

static void suppressions(struct json *json, const struct policy *policy, const struct finding *finding)
{
	struct srcloc where = policy ? policy_place(policy, finding->waived_origin) : (struct srcloc){0};
	char until[DATE_TEXT];

	/* No `status` (in the schema: `state`): both say that what has none is accepted. */
	json_array_begin(json, "suppressions");
	if (finding->waived) {
		json_object_begin(json, NULL);
		json_string(json, "kind", "external");
		json_string(json, "justification", finding->waived);
		if (where.file) {
			json_object_begin(json, "location");
			physical(json, where);
			json_object_end(json);
		}
		json_object_begin(json, "properties");
		json_string(json, "until", date_format(finding->waived_until, until));
		json_object_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static void result(struct json *json, const struct report_audit *report, const struct finding *finding)
{
	_cleanup_free_ char *text = mem_format("%s: %s%s%s", finding->subject, finding->message,
		finding->evidence ? ": " : "", finding->evidence ? finding->evidence : "");
	bool failed = finding->outcome == OUTCOME_FAIL;

	json_object_begin(json, NULL);
	json_string(json, "ruleId", finding->check->id);
	json_number(json, "ruleIndex", audit_check_index(finding->check));
	json_string(json, "kind", kind_name(finding->outcome));
	/* 3.27.10: what does not fail has no level. */
	json_string(json, "level", failed ? level_name(finding->severity) : "none");
	message(json, "message", text);
	locations(json, report->policy, finding);
	/* 3.27.23: an empty list says that it is known not to be suppressed. */
	suppressions(json, report->policy, finding);
	json_object_begin(json, "properties");
	json_string(json, "severity", severity_name(finding->severity));
	json_string(json, "outcome", outcome_name(finding->outcome));
	json_string(json, "remedy", finding->remedy);
	if (strcmp(finding->check->id, "firewall.drift") == 0)
		json_changes(json, "drift", report->policy, report->drift, report->guard_drift);
	json_object_end(json);
	json_object_end(json);
}

/* --- the log --- */

static void head(struct json *json, bool rules)
{
	json_object_begin(json, NULL);
	json_string(json, "$schema", SARIF_SCHEMA);
	json_string(json, "version", "2.1.0");
	json_array_begin(json, "runs");
	json_object_begin(json, NULL);
	driver(json, rules);
}

static void tail(struct json *json, const char *command, const char *environment)
{
	json_object_begin(json, "properties");
	json_string(json, "command", command);
	json_string(json, "environment", environment);
	json_object_end(json);
	json_object_end(json);
	json_array_end(json);
	json_object_end(json);
	json_finish(json);
}

static void audit(const struct report_style *style, const struct report_audit *report)
{
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, true);
	json_array_begin(&json, "invocations");
	json_object_begin(&json, NULL);
	json_bool(&json, "executionSuccessful", true);
	json_object_end(&json);
	json_array_end(&json);
	json_array_begin(&json, "results");
	for (size_t i = 0; i < report->findings->count; i++)
		result(&json, report, &report->findings->items[i]);
	json_array_end(&json);
	tail(&json, style->command, report->environment);
}

static void notification(struct json *json, const char *text, struct srcloc where)
{
	json_object_begin(json, NULL);
	json_string(json, "level", "error");
	message(json, "message", text);
	if (where.file) {
		json_array_begin(json, "locations");
		json_object_begin(json, NULL);
		physical(json, where);
		json_object_end(json);
		json_array_end(json);
	}
	json_object_end(json);
}

/* Nothing was found out: a log without results says so (3.14.23: an absent list is one that could not be made). */
static void error(const struct report_style *style, const struct err *err, const struct diagnostics *diagnostics,
	const char *environment)
{
	struct json json = {.stream = style->stream, .indented = true};
	_cleanup_free_ char *text =
		err->hint[0] ? mem_format("%s; %s", err->message, err->hint) : mem_string(err->message);

	head(&json, false);
	json_array_begin(&json, "invocations");
	json_object_begin(&json, NULL);
	json_bool(&json, "executionSuccessful", false);
	json_array_begin(&json, "toolExecutionNotifications");
	if (!diagnostics || !diagnostics->count)
		notification(&json, text, (struct srcloc){err->file[0] ? err->file : NULL, err->line});
	for (size_t i = 0; diagnostics && i < diagnostics->count; i++)
		notification(&json, diagnostics->items[i].message,
			(struct srcloc){diagnostics->items[i].file, diagnostics->items[i].line});
	json_array_end(&json);
	json_object_end(&json);
	json_array_end(&json);
	tail(&json, style->command, environment);
}

const struct renderer report_sarif = {.name = "sarif", .audit = audit, .error = error};

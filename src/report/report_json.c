/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <time.h>

#include "json.h"
#include "report_json.h"

const struct renderer *report_renderer(const char *name)
{
	static const struct renderer *const all[] = {&report_text, &report_json};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

static void head(struct json *json, const struct report_style *style, const char *environment)
{
	json_object_begin(json, NULL);
	json_number(json, "schema", REPORT_SCHEMA);
	json_string(json, "command", style->command);
	json_string(json, "version", DFLYGUARD_VERSION);
	json_string(json, "environment", environment);
}

static void tail(struct json *json)
{
	json_object_end(json);
	json_finish(json);
}

static void place(struct json *json, const struct policy *policy, uint32_t origin)
{
	struct srcloc where = policy && origin ? policy_place(policy, origin) : (struct srcloc){0};
	_cleanup_free_ char *text = where.file ? mem_format("%s:%u", where.file, where.line) : NULL;

	json_string(json, "policy", text);
}

static void side(struct json *json, const char *name, const struct text *text)
{
	json_string(json, name, text->length ? text_string(text) : NULL);
}

static void write_change(struct json *json, const struct policy *policy, const struct change *change)
{
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};

	change_object_text(change, &object);
	change_expected_text(change, &expected);
	change_observed_text(change, &observed);
	json_object_begin(json, NULL);
	json_string(json, "kind", change_kind_name(change->kind));
	json_string(json, "object", text_string(&object));
	side(json, "expected", &expected);
	side(json, "observed", &observed);
	place(json, policy, change->origin);
	json_object_end(json);
}

static void write_changes(
	struct json *json, const char *name, const struct policy *policy, const struct changeset *changeset)
{
	json_array_begin(json, name);
	for (size_t i = 0; changeset && i < changeset->count; i++)
		write_change(json, policy, &changeset->changes[i]);
	json_array_end(json);
}

static void write_time(struct json *json, const char *name, uint64_t seconds)
{
	char text[32];
	time_t when = (time_t)seconds;
	struct tm broken_down;

	if (!seconds || !gmtime_r(&when, &broken_down)) {
		json_null(json, name);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
	json_string(json, name, text);
}

static void write_warnings(struct json *json, char *const *warnings, size_t count)
{
	json_array_begin(json, "warnings");
	for (size_t i = 0; i < count; i++)
		json_string(json, NULL, warnings[i]);
	json_array_end(json);
}

static void changes(const struct report_style *style, const struct report_changes *report)
{
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, report->environment);
	json_bool(&json, "applied", report->applied);
	json_bool(&json, "dry_run", !report->write);
	json_number(&json, "sources", report->sources);
	write_changes(&json, "changes", report->policy, report->changes);
	write_time(&json, "confirm_until", report->confirm_until);
	write_warnings(&json, report->warnings, report->warning_count);
	tail(&json);
}

static void counts(struct json *json, uint64_t packets, uint64_t bytes)
{
	json_number(json, "packets", packets);
	json_number(json, "bytes", bytes);
}

static void write_refused(struct json *json, const struct refused_source *source)
{
	char address[INTERVAL_TEXT];

	json_object_begin(json, NULL);
	json_string(json, "source", value_format(source->width, source->address, address));
	counts(json, source->packets, source->bytes);
	if (source->seconds_ago == REFUSED_UNKNOWN)
		json_null(json, "last_seconds_ago");
	else
		json_number(json, "last_seconds_ago", source->seconds_ago);
	json_object_begin(json, "reasons");
	for (size_t i = 0; i < source->refusal_count; i++) {
		const struct refusal *refusal = &source->refusals[i];
		_cleanup_free_ char *number = mem_format("%u", refusal->reason);
		const char *name = reason_name(refusal->reason);

		json_object_begin(json, name ? name : number);
		counts(json, refusal->packets, refusal->bytes);
		json_object_end(json);
	}
	json_object_end(json);
	json_object_end(json);
}

static void write_all_refused(struct json *json, const struct refused_sources *refused)
{
	if (!refused) {
		json_null(json, "refused_sources");
		json_null(json, "refused_sources_full");
		return;
	}
	json_array_begin(json, "refused_sources");
	for (size_t i = 0; i < refused->count; i++)
		write_refused(json, &refused->sources[i]);
	json_array_end(json);
	json_bool(json, "refused_sources_full", refused->full);
}

static void status(const struct report_style *style, const struct report_status *report)
{
	const struct ruleset *observed = report->observed;
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, observed->environment);
	json_bool(&json, "in_force", report->in_force);
	json_string(&json, "why_not", report->why_not);
	write_time(&json, "since", observed->since);
	if (report->conforming == CONFORMING_UNKNOWN)
		json_null(&json, "conforming");
	else
		json_bool(&json, "conforming", report->conforming == CONFORMING_YES);
	json_number(&json, "differences", report->differences);
	json_string(&json, "policy", report->policy_path);
	json_number(&json, "sources", report->sources);
	write_time(&json, "confirm_until", report->confirm_until);
	json_object_begin(&json, "counters");
	for (size_t i = 0; i < observed->counter_count; i++) {
		json_object_begin(&json, observed->counters[i].name);
		counts(&json, observed->counters[i].packets, observed->counters[i].bytes);
		json_object_end(&json);
	}
	json_object_end(&json);
	write_all_refused(&json, report->refused);
	tail(&json);
}

static void write_diagnostics(struct json *json, const char *name, const struct diagnostics *diagnostics)
{
	json_array_begin(json, name);
	for (size_t i = 0; diagnostics && i < diagnostics->count; i++) {
		const struct diagnostic *item = &diagnostics->items[i];

		json_object_begin(json, NULL);
		json_string(json, "file", item->file);
		if (item->line)
			json_number(json, "line", item->line);
		else
			json_null(json, "line");
		json_string(json, "message", item->message);
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_environment(struct json *json, const struct policy *policy, const struct environment *e)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	policy_resolve(policy, &e->clients, &v4, &v6, NULL, NULL);
	json_object_begin(json, NULL);
	json_string(json, "name", e->name);
	json_string(json, "tls", tls_mode_name(e->tls));
	json_string(json, "loopback", loopback_mode_name(e->loopback));
	json_string(json, "admin_tls", admin_tls_mode_name(e->admin_tls));
	json_string(json, "routed", routed_mode_name(e->routed));
	json_number(json, "clients", v4.count + v6.count);
	place(json, policy, e->origin);
	json_object_end(json);
	intervals_done(&v4);
	intervals_done(&v6);
}

static void write_proof(struct json *json, const struct policy *policy, const struct proof *proof)
{
	char buffer[INTERVAL_TEXT];

	json_object_begin(json, NULL);
	place(json, policy, proof->expectation->origin);
	json_string(json, "environment", proof->environment->name);
	json_string(json, "expected", expect_verdict_name(proof->expectation->verdict));
	json_bool(json, "met", proof->met);
	if (proof->met || proof->too_many) {
		json_null(json, "counterexample");
	} else {
		json_object_begin(json, "counterexample");
		json_string(json, "from", value_format(proof->family, proof->source, buffer));
		json_string(json, "to",
			proof->any_address ? NULL : value_format(proof->family, proof->destination, buffer));
		json_string(json, "verdict", decision_name(proof->arrival.decision));
		json_string(json, "reason", reason_name(proof->arrival.reason));
		place(json, policy, proof->origin);
		json_object_end(json);
	}
	json_object_end(json);
}

static void check(const struct report_style *style, const struct report_check *report)
{
	const struct policy *policy = report->policy;
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, report->environment ? report->environment->name : policy->default_environment);
	json_bool(&json, "valid", !report->proofs || !report->proofs->unmet);
	json_string(&json, "policy", policy->path);
	json_number(&json, "sources", policy->source_count);
	json_array_begin(&json, "environments");
	for (size_t i = 0; i < policy->environment_count; i++)
		if (!report->environment || report->environment == &policy->environments[i])
			write_environment(&json, policy, &policy->environments[i]);
	json_array_end(&json);
	json_array_begin(&json, "expectations");
	for (size_t i = 0; report->proofs && i < report->proofs->count; i++)
		write_proof(&json, policy, &report->proofs->items[i]);
	json_array_end(&json);
	write_diagnostics(&json, "notes", report->notes);
	tail(&json);
}

/* 2026-01-02T03:04:05.678Z */
static void instant(struct json *json, const char *name, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	unsigned int milliseconds = (unsigned int)(nanoseconds / 1000000 % 1000);
	char day[32];
	char text[48];
	struct tm broken_down;

	if (!gmtime_r(&seconds, &broken_down)) {
		json_null(json, name);
		return;
	}
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &broken_down);
	snprintf(text, sizeof(text), "%s.%03uZ", day, milliseconds);
	json_string(json, name, text);
}

static void address(struct json *json, const char *name, const struct packet *packet, struct value value)
{
	char buffer[INTERVAL_TEXT];

	json_string(json, name, value_format(packet->width, value, buffer));
}

static void port(struct json *json, const char *name, const struct packet *packet, uint16_t number)
{
	if (packet->has_ports)
		json_number(json, name, number);
	else
		json_null(json, name);
}

static void refusal(const struct report_style *style, const struct report_refusal *report)
{
	static const char *const unread[] = {
		"source", "source_port", "destination", "port", "flags", "length", "payload"};
	const struct packet *packet = report->packet;
	struct json json = {.stream = style->stream, .indented = !style->lines};

	head(&json, style, report->environment);
	instant(&json, "time", report->time);
	json_string(&json, "reason", report->reason);
	for (size_t i = 0; !packet && i < ARRAY_SIZE(unread); i++)
		json_null(&json, unread[i]);
	if (packet) {
		_cleanup_text_ struct text flags = {0};
		_cleanup_text_ struct text payload = {0};

		packet_flags_text(packet, &flags);
		packet_payload_text(packet, &payload);
		address(&json, "source", packet, packet->source);
		port(&json, "source_port", packet, packet->source_port);
		address(&json, "destination", packet, packet->destination);
		port(&json, "port", packet, packet->destination_port);
		json_string(&json, "flags", packet->has_flags ? text_string(&flags) : NULL);
		json_number(&json, "length", packet->length);
		json_string(&json, "payload", packet->payload_length ? text_string(&payload) : NULL);
	}
	json_string(&json, "interface", report->interface);
	json_number(&json, "lost", report->lost);
	tail(&json);
}

static void write_element(struct json *json, const struct report_explanation *report, const struct step *step)
{
	_cleanup_text_ struct text text = {0};

	if (!step->set || step->element == SIZE_MAX) {
		json_null(json, "element");
		return;
	}
	element_print(step->set, step->element, &text);
	json_object_begin(json, "element");
	json_string(json, "set", step->set->name);
	json_string(json, "text", text_string(&text));
	place(json, report->policy, step_element_origin(step, report->expected));
	json_object_end(json);
}

static void write_step(struct json *json, const struct report_explanation *report, const struct step *step)
{
	_cleanup_text_ struct text text = {0};

	if (step->rule)
		rule_print(step->rule, &text);
	json_object_begin(json, NULL);
	json_string(json, "packet", moment_name(step->moment));
	json_string(json, "hook", hook_name(step->hook));
	json_string(json, "chain", step->chain ? step->chain->name : NULL);
	if (step->rule)
		json_number(json, "rule", step->index + 1);
	else
		json_null(json, "rule");
	side(json, "text", &text);
	json_string(json, "effect", effect_name(step->effect));
	write_element(json, report, step);
	place(json, report->policy, step_origin(step, report->expected));
	json_object_end(json);
}

static void write_address(struct json *json, const char *name, enum width family, struct value address)
{
	char buffer[INTERVAL_TEXT];

	json_string(json, name, value_format(family, address, buffer));
}

static void explanation(const struct report_style *style, const struct report_explanation *report)
{
	const struct journey *journey = report->journey;
	const struct arrival *arrival = report->arrival;
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, report->environment);
	json_string(&json, "verdict", decision_name(arrival->decision));
	json_string(&json, "reason", reason_name(arrival->reason));
	json_string(&json, "packet", moment_name(arrival->moment));
	json_string(&json, "ending", ending_name(arrival->ending));
	json_bool(&json, "judged", report->trace->judged);
	json_bool(&json, "limited", report->trace->limited);
	json_bool(&json, "live", report->live);
	write_address(&json, "from", journey->family, journey->source);
	if (report->any_address)
		json_null(&json, "to");
	else
		write_address(&json, "to", journey->family, journey->destination);
	json_number(&json, "port", journey->port);
	json_string(&json, "speaks", journey->data == speech_tls ? "tls" : "plaintext");
	json_array_begin(&json, "steps");
	for (size_t i = 0; i < report->trace->count; i++)
		write_step(&json, report, &report->trace->steps[i]);
	json_array_end(&json);
	tail(&json);
}

static void confirm(const struct report_style *style, const struct report_confirm *report)
{
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, report->environment);
	json_bool(&json, "confirmed", report->confirmed);
	json_string(&json, "policy", report->policy_path);
	write_warnings(&json, report->warnings, report->warning_count);
	tail(&json);
}

static void error(const struct report_style *style, const struct err *err, const struct diagnostics *diagnostics,
	const char *environment)
{
	const struct diagnostic *first = diagnostics && diagnostics->count ? &diagnostics->items[0] : NULL;
	struct json json = {.stream = style->stream, .indented = !style->lines};
	const char *file = first ? first->file : err->file[0] ? err->file : NULL;
	unsigned int line = first ? first->line : err->line;

	head(&json, style, environment);
	json_object_begin(&json, "error");
	json_string(&json, "message", first ? first->message : err->message);
	json_string(&json, "file", file);
	if (file && line)
		json_number(&json, "line", line);
	else
		json_null(&json, "line");
	json_string(&json, "hint", err->hint[0] ? err->hint : NULL);
	json_object_end(&json);
	write_diagnostics(&json, "diagnostics", diagnostics);
	if (diagnostics && diagnostics->suppressed)
		json_number(&json, "suppressed", diagnostics->suppressed);
	tail(&json);
}

static void audit(const struct report_style *style, const struct report_audit *report)
{
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, report->environment);
	if (report->drift || report->unchanged)
		json_bool(&json, "conforming", !report->drift || report->drift->count == 0);
	else
		json_null(&json, "conforming");
	json_bool(&json, "dry_run", report->dry_run);
	write_changes(&json, "healed", report->policy, report->healed);
	write_changes(&json, "drift", report->policy, report->drift);
	json_array_begin(&json, "findings");
	for (size_t i = 0; i < report->findings->count; i++) {
		const struct finding *finding = &report->findings->items[i];

		json_object_begin(&json, NULL);
		json_string(&json, "id", finding->check->id);
		json_string(&json, "severity", severity_name(finding->severity));
		json_string(&json, "outcome", outcome_name(finding->outcome));
		json_string(&json, "subject", finding->subject);
		json_string(&json, "message", finding->message);
		json_string(&json, "evidence", finding->evidence);
		json_string(&json, "remedy", finding->remedy);
		place(&json, report->policy, finding->origin);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_listeners(&json, report->facts);
	tail(&json);
}

const char *event_name(enum event event)
{
	static const char *const names[] = {
		[EVENT_START] = "start",
		[EVENT_DRIFT] = "drift",
		[EVENT_MENDED] = "mended",
		[EVENT_HEALED] = "healed",
		[EVENT_FINDING] = "finding",
		[EVENT_RESOLVED] = "resolved",
		[EVENT_ENDED] = "ended",
		[EVENT_POLICY] = "policy",
		[EVENT_TROUBLE] = "trouble",
		[EVENT_STOP] = "stop",
	};

	return names[event];
}

/* All members are always there, so that a reader need not ask. */
static void event(const struct report_style *style, const struct report_event *report)
{
	const struct finding *finding = report->finding;
	const struct change *change = report->change;
	struct json json = {.stream = style->stream};
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};

	if (change) {
		change_object_text(change, &object);
		change_expected_text(change, &expected);
		change_observed_text(change, &observed);
	}
	head(&json, style, report->environment);
	instant(&json, "time", report->time);
	json_string(&json, "event", event_name(report->event));
	json_string(&json, "message", finding ? finding->message : report->message);
	json_string(&json, "kind", change ? change_kind_name(change->kind) : NULL);
	side(&json, "object", &object);
	side(&json, "expected", &expected);
	side(&json, "observed", &observed);
	place(&json, report->policy, change ? change->origin : finding ? finding->origin : 0);
	json_string(&json, "id", finding ? finding->check->id : NULL);
	json_string(&json, "severity", finding ? severity_name(finding->severity) : NULL);
	json_string(&json, "outcome", finding ? outcome_name(finding->outcome) : NULL);
	json_string(&json, "subject", finding ? finding->subject : NULL);
	json_string(&json, "evidence", finding ? finding->evidence : NULL);
	json_string(&json, "remedy", finding ? finding->remedy : NULL);
	if (report->process) {
		json_object_begin(&json, "process");
		json_number(&json, "pid", report->process);
		json_string(&json, "name", report->process_name);
		json_object_end(&json);
	} else {
		json_null(&json, "process");
	}
	tail(&json);
}

static void checks(const struct report_style *style, const struct check *list, size_t count)
{
	struct json json = {.stream = style->stream, .indented = true};

	head(&json, style, NULL);
	json_array_begin(&json, "checks");
	for (size_t i = 0; i < count; i++) {
		json_object_begin(&json, NULL);
		json_string(&json, "id", list[i].id);
		json_string(&json, "area", list[i].area);
		json_string(&json, "severity", severity_name(list[i].severity));
		json_string(&json, "title", list[i].title);
		json_string(&json, "meaning", list[i].meaning);
		json_string(&json, "remedy", list[i].remedy);
		json_object_end(&json);
	}
	json_array_end(&json);
	tail(&json);
}

const struct renderer report_json = {.name = "json",
	.changes = changes,
	.status = status,
	.check = check,
	.refusal = refusal,
	.explanation = explanation,
	.confirm = confirm,
	.audit = audit,
	.checks = checks,
	.event = event,
	.error = error};

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The text format 0.0.4 of Prometheus, as node_exporter's textfile collector takes it: no timestamps, each metric with
 * its HELP and TYPE, and its lines together. What is not known is left out, but dflyguard_conforming, which then is 0:
 * an unknown is no pass, and an alert on 0 must fire.
 */

#include <inttypes.h>
#include <string.h>

#include "report.h"

/* A label's value: what the format escapes, and nothing that is no UTF-8. */
static void print_value(FILE *stream, const char *text)
{
	while (*text) {
		size_t length = utf8_length(text);

		if (*text == '\\' || *text == '"')
			fprintf(stream, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", stream);
		else if (length)
			fwrite(text, 1, length, stream);
		else
			fputs("\357\277\275", stream); /* U+FFFD */
		text += length ? length : 1;
	}
}

static void head(FILE *stream, const char *name, const char *type, const char *help)
{
	fprintf(stream, "# HELP dflyguard_%s %s\n# TYPE dflyguard_%s %s\n", name, help, name, type);
}

static void one(FILE *stream, const char *name, const char *type, const char *help, uint64_t value)
{
	head(stream, name, type, help);
	fprintf(stream, "dflyguard_%s %" PRIu64 "\n", name, value);
}

static void print_drift(FILE *stream, const size_t *drift)
{
	static const enum change_kind kinds[] = {CHANGE_ADD, CHANGE_REMOVE, CHANGE_CHANGE, CHANGE_MOVE};

	if (!drift)
		return;
	head(stream, "drift", "gauge",
		"Differences between the kernel's table and the policy, by what would mend them.");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(stream, "dflyguard_drift{kind=\"%s\"} %zu\n", change_kind_name(kinds[i]), drift[kinds[i]]);
}

static void print_findings(FILE *stream, const struct findings *findings)
{
	size_t counts[SEVERITY_CRITICAL + 1][OUTCOME_NOT_APPLICABLE + 1] = {{0}};

	for (size_t i = 0; i < findings->count; i++)
		counts[findings->items[i].severity][findings->items[i].outcome]++;
	head(stream, "findings", "gauge", "Results of checks, by severity and outcome.");
	for (unsigned int severity = 0; severity < ARRAY_SIZE(counts); severity++)
		for (unsigned int outcome = 0; outcome < ARRAY_SIZE(counts[0]); outcome++)
			fprintf(stream, "dflyguard_findings{severity=\"%s\",outcome=\"%s\"} %zu\n",
				severity_name(severity), outcome_name(outcome), counts[severity][outcome]);
}

static void print_listeners(FILE *stream, const size_t *listeners)
{
	head(stream, "listeners", "gauge", "Listening sockets of guarded ports and of Dragonfly, by what they are.");
	for (unsigned int verdict = 0; verdict < LISTENER_VERDICT_COUNT; verdict++)
		fprintf(stream, "dflyguard_listeners{verdict=\"%s\"} %zu\n",
			listener_verdict_name((enum listener_verdict)verdict), listeners[verdict]);
}

/* The counters refused_REASON of the table. */
static void print_refused(FILE *stream, const struct ruleset *observed, bool bytes)
{
	static const char prefix[] = "refused_";

	head(stream, bytes ? "refused_bytes_total" : "refused_packets_total", "counter",
		bytes ? "Bytes of packets that were refused, by reason."
		      : "Packets that were refused, by reason; from the table's creation on.");
	for (size_t i = 0; i < observed->counter_count; i++) {
		const struct counter *counter = &observed->counters[i];

		if (strncmp(counter->name, prefix, strlen(prefix)) != 0)
			continue;
		fprintf(stream, "dflyguard_refused_%s_total{reason=\"", bytes ? "bytes" : "packets");
		print_value(stream, counter->name + strlen(prefix));
		fprintf(stream, "\"} %" PRIu64 "\n", bytes ? counter->bytes : counter->packets);
	}
}

void report_metrics(FILE *stream, const struct report_metrics *metrics)
{
	one(stream, "conforming", "gauge",
		"1 where the kernel's table is what the policy says; 0 where it is not, or nobody knows.",
		metrics->conforming);
	print_drift(stream, metrics->drift);
	if (metrics->findings)
		print_findings(stream, metrics->findings);
	if (metrics->listeners)
		print_listeners(stream, metrics->listeners);
	if (metrics->observed && metrics->observed->counter_count) {
		print_refused(stream, metrics->observed, false);
		print_refused(stream, metrics->observed, true);
	}
	one(stream, "last_look_timestamp_seconds", "gauge", "When it was last asked whether anything changed.",
		metrics->looked);
	one(stream, "last_full_look_timestamp_seconds", "gauge", "When all of it was last read and compared.",
		metrics->looked_fully);
	if (metrics->watch) {
		one(stream, "heals_total", "counter", "How often watch put back what differed, since it started.",
			metrics->heals);
		one(stream, "silent_connections_ended_total", "counter",
			"Connections to TLS ports that said nothing, and were ended, since watch started.",
			metrics->silent);
	}
	head(stream, "policy_info", "gauge", "The policy that is compared with.");
	fputs("dflyguard_policy_info{environment=\"", stream);
	print_value(stream, metrics->environment);
	fprintf(stream, "\",fingerprint=\"%016" PRIx64 "\",path=\"", metrics->fingerprint);
	print_value(stream, metrics->policy_path);
	fputs("\"} 1\n", stream);
	head(stream, "build_info", "gauge", "The program's version.");
	fputs("dflyguard_build_info{version=\"" DFLYGUARD_VERSION "\"} 1\n", stream);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* audit and checks, as text. */

#include <string.h>

#include "report_private.h"

/* Differences shown without --verbose. */
#define DRIFT_SHOWN 20
/* Where lines of prose end. */
#define TEXT_WIDTH 100

static const char *outcome_color(const struct finding *finding)
{
	switch (finding->outcome) {
	case OUTCOME_PASS:
		return GREEN;
	case OUTCOME_FAIL:
		return finding->severity == SEVERITY_CRITICAL ? RED : YELLOW;
	case OUTCOME_UNKNOWN:
		return YELLOW;
	case OUTCOME_NOT_APPLICABLE:
		return DIM;
	}
	abort();
}

static void print_finding(
	const struct report_style *style, const struct report_audit *report, const struct finding *finding)
{
	const struct check *check = finding->check;
	bool matters = finding->outcome == OUTCOME_FAIL || finding->outcome == OUTCOME_UNKNOWN;
	FILE *stream = style->stream;

	fprintf(stream, "  %s%-14s%s  %-8s  %-22s  ", paint(style, outcome_color(finding)),
		outcome_name(finding->outcome), paint(style, RESET), matters ? severity_name(finding->severity) : "",
		check->id);
	if (matters) {
		print_clean(stream, finding->subject);
		fputs(": ", stream);
	}
	print_clean(stream, finding->message);
	print_place(style, matters ? report->policy : NULL, finding->origin, TEXT_WIDTH);
	if (finding->evidence) {
		fputs("      ", stream);
		print_clean(stream, finding->evidence);
		fputc('\n', stream);
	}
	if (strcmp(check->id, "firewall.drift") == 0 && report->drift && report->drift->count) {
		struct report_style nested = *style;

		nested.indent = 4;
		print_changes(&nested, report->policy, report->drift, DRIFT_SHOWN);
	}
	if (finding->remedy) {
		fprintf(stream, "      %sto mend it:%s ", paint(style, BOLD), paint(style, RESET));
		print_clean(stream, finding->remedy);
		fputc('\n', stream);
	}
}

static void print_healed(const struct report_style *style, const struct report_audit *report)
{
	if (!report->healed)
		return;
	fprintf(style->stream, "%sHealed%s in one transaction and read back:\n", paint(style, GREEN),
		paint(style, RESET));
	print_changes(style, report->policy, report->healed, DRIFT_SHOWN);
	fputc('\n', style->stream);
}

static void print_summary(const struct report_style *style, const struct report_audit *report)
{
	size_t critical = findings_count(report->findings, OUTCOME_FAIL, SEVERITY_CRITICAL);
	size_t failed = findings_count(report->findings, OUTCOME_FAIL, SEVERITY_INFO);
	size_t unknown = findings_count(report->findings, OUTCOME_UNKNOWN, SEVERITY_INFO);
	size_t passed = findings_count(report->findings, OUTCOME_PASS, SEVERITY_INFO);
	FILE *stream = style->stream;

	if (failed) {
		fprintf(stream, "%s%zu failed%s", paint(style, critical ? RED : YELLOW), failed, paint(style, RESET));
		if (critical)
			fprintf(stream, " (%zu critical)", critical);
		fputs(", ", stream);
	}
	if (unknown)
		fprintf(stream, "%s%zu unknown%s, ", paint(style, YELLOW), unknown, paint(style, RESET));
	fprintf(stream, "%s%zu passed%s.", paint(style, passed && !failed && !unknown ? GREEN : ""), passed,
		paint(style, passed && !failed && !unknown ? RESET : ""));
	if (report->dry_run && report->drift && report->drift->count) {
		fputs(" --heal would do: ", stream);
		print_totals(style, report->drift);
		fprintf(stream, ". %sNothing was changed.%s", paint(style, YELLOW), paint(style, RESET));
	} else if (report->dry_run && report->drift) {
		fputs(" --heal would do nothing.", stream);
	}
	fputc('\n', stream);
}

void text_audit(const struct report_style *style, const struct report_audit *report)
{
	const struct findings *findings = report->findings;
	FILE *stream = style->stream;

	if (style->quiet)
		return;
	fprintf(stream, "%senvironment %s%s, %s\n\n", paint(style, BOLD), report->environment, paint(style, RESET),
		report->policy->path);
	print_healed(style, report);
	text_listeners(style, report->facts);
	/* The worst finding decides which area comes first. */
	for (size_t i = 0; i < findings->count; i++) {
		const char *area = findings->items[i].check->area;
		bool done = false;

		for (size_t k = 0; k < i; k++)
			done = done || strcmp(findings->items[k].check->area, area) == 0;
		if (done)
			continue;
		fprintf(stream, "%s%s%s\n", paint(style, BOLD), area, paint(style, RESET));
		for (size_t k = i; k < findings->count; k++)
			if (strcmp(findings->items[k].check->area, area) == 0)
				print_finding(style, report, &findings->items[k]);
		fputc('\n', stream);
	}
	print_summary(style, report);
}

/* --- checks --- */

/* Words, indented, in lines of TEXT_WIDTH. */
static void print_prose(FILE *stream, int indent, const char *text)
{
	int column = 0;

	while (*text) {
		int length = (int)strcspn(text, " ");

		if (column && column + 1 + length > TEXT_WIDTH) {
			fputc('\n', stream);
			column = 0;
		}
		column += fprintf(stream, "%*s%.*s", column ? 1 : indent, "", length, text);
		text += length + (text[length] == ' ');
	}
	fputc('\n', stream);
}

void text_checks(const struct report_style *style, const struct check *checks, size_t count)
{
	if (style->quiet)
		return;
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *remedy = mem_format("to mend it: %s", checks[i].remedy);
		bool critical = checks[i].severity == SEVERITY_CRITICAL;

		fprintf(style->stream, "%s%s%s%s  %s%s%s  %s\n", i ? "\n" : "", paint(style, BOLD), checks[i].id,
			paint(style, RESET), paint(style, critical ? RED : YELLOW), severity_name(checks[i].severity),
			paint(style, RESET), checks[i].title);
		print_prose(style->stream, 4, checks[i].meaning);
		print_prose(style->stream, 4, remedy);
	}
}

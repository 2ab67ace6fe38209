/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What watch tells, as text: one line for each event. */

#include "report_private.h"

static const char *event_color(const struct report_event *report)
{
	bool mild = report->finding && report->finding->severity != SEVERITY_CRITICAL;

	switch (report->event) {
	case EVENT_START:
	case EVENT_STOP:
		return DIM;
	case EVENT_DRIFT:
		return RED;
	case EVENT_ALERT:
		return RED;
	case EVENT_FINDING:
		return mild ? YELLOW : RED;
	case EVENT_TROUBLE:
		return YELLOW;
	case EVENT_MENDED:
	case EVENT_HEALED:
	case EVENT_OWNED:
	case EVENT_RESOLVED:
		return GREEN;
	case EVENT_ENDED:
	case EVENT_LOG:
	case EVENT_POLICY:
		return BLUE;
	}
	abort();
}

/* "set clients_v4: expected A, observed B"; what is on one side only is surplus or missing. */
static void print_change(const struct report_style *style, const struct change *change)
{
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};
	FILE *stream = style->stream;

	change_object_text(change, &object);
	change_expected_text(change, &expected);
	change_observed_text(change, &observed);
	print_clean(stream, text_string(&object));
	switch (change->kind) {
	case CHANGE_ADD:
		fputs(" is missing", stream);
		break;
	case CHANGE_REMOVE:
		fputs(" should not be there", stream);
		break;
	case CHANGE_CHANGE:
		fputs(" differs", stream);
		break;
	case CHANGE_MOVE:
		fputs(" stands elsewhere", stream);
		break;
	}
	if (expected.length) {
		fputs(": expected ", stream);
		print_clean(stream, text_string(&expected));
	}
	if (observed.length) {
		fputs(expected.length ? ", observed " : ": observed ", stream);
		print_clean(stream, text_string(&observed));
	}
}

static void print_finding(const struct report_style *style, const struct report_event *report)
{
	const struct finding *finding = report->finding;

	fprintf(style->stream, "%s %s: ", outcome_name(finding->outcome), finding->check->id);
	print_clean(style->stream, finding->message);
	if (finding->evidence && report->event == EVENT_FINDING) {
		fputs(": ", style->stream);
		print_clean(style->stream, finding->evidence);
	}
}

void text_event(const struct report_style *style, const struct report_event *report)
{
	uint32_t origin = report->change    ? report->change->origin
			  : report->finding ? report->finding->origin
					    : report->origin;
	struct srcloc where = report->policy && origin ? policy_place(report->policy, origin) : (struct srcloc){0};
	FILE *stream = style->stream;

	if (style->quiet && (report->event == EVENT_START || report->event == EVENT_STOP))
		return;
	if (!style->bare) {
		print_instant(style, report->time);
		fputs("  ", stream);
	}
	fprintf(stream, "%s%-*s%s  ", paint(style, event_color(report)), style->bare ? 0 : 8, event_name(report->event),
		paint(style, RESET));
	if (report->change)
		print_change(style, report->change);
	else if (report->finding)
		print_finding(style, report);
	else
		print_clean(stream, report->message);
	if (report->process) {
		fputs(", by ", stream);
		print_clean(stream, report->process_name);
		fprintf(stream, " (process %u)", report->process);
	}
	if (where.file) {
		fprintf(stream, "  %s", paint(style, DIM));
		print_clean(stream, where.file);
		fprintf(stream, ":%u%s", where.line, paint(style, RESET));
	}
	fputc('\n', stream);
}

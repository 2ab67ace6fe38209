/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bind guard, in text; and what both renderers ask of it. */

#include <inttypes.h>
#include <string.h>

#include "report_private.h"

/* Attempts that are shown without --verbose. */
#define ATTEMPTS_SHOWN 10

const char *guard_mode_name(const struct bindguard *guard)
{
	if (!guard->count)
		return "off";
	return guard->ports[0].mode == BINDGUARD_DENY ? "deny" : "rewrite";
}

bool guard_in_force(const struct bindguard *guard)
{
	return guard->count && guard->hooks[BINDGUARD_BIND4] == ATTACHED && guard->hooks[BINDGUARD_BIND6] == ATTACHED;
}

enum change_kind guard_change_kind(const struct bindguard_change *change)
{
	if (!change->expected)
		return CHANGE_REMOVE;
	return change->observed ? CHANGE_CHANGE : CHANGE_ADD;
}

void print_guard_changes(
	const struct report_style *style, const struct policy *policy, const struct bindguard_changes *changes)
{
	for (size_t i = 0; changes && i < changes->count; i++) {
		const struct bindguard_change *change = &changes->items[i];
		enum change_kind kind = guard_change_kind(change);
		_cleanup_free_ char *label = mem_format("%-26s", change->object);
		const char *detail = kind == CHANGE_CHANGE ? ""
				     : change->expected	   ? change->expected
							   : change->observed;

		print_line(style, kind, kind_sign(kind), 0, label, detail);
		print_place(style, policy, change->origin,
			4 + (int)strlen(label) + (*detail ? 2 + (int)strlen(detail) : 0));
		if (kind != CHANGE_CHANGE)
			continue;
		print_line(style, CHANGE_REMOVE, '-', 4, "", change->observed);
		fputc('\n', style->stream);
		print_line(style, CHANGE_ADD, '+', 4, "", change->expected);
		fputc('\n', style->stream);
	}
}

static void print_attempt(const struct report_style *style, const struct bindguard_refusal *attempt, int width)
{
	char address[INTERVAL_TEXT];
	char number[32];
	char duration[32];
	_cleanup_free_ char *where =
		mem_format("%s port %u", value_format(attempt->width, attempt->address, address), attempt->port);
	_cleanup_free_ char *ago =
		mem_format("%s ago", format_duration(duration, sizeof(duration), attempt->seconds_ago));

	fprintf(style->stream, "  %-*s %12s %-10s   %-16s %s", width, where, format_count(number, attempt->count),
		attempt->rewritten ? "rewritten" : "refused", ago, paint(style, YELLOW));
	print_clean(style->stream, attempt->command);
	fprintf(style->stream, "%s, process %u, user %u%s\n", paint(style, RESET), attempt->process, attempt->user,
		attempt->mapped ? ", by an IPv6 socket" : "");
}

void print_guard_attempts(const struct report_style *style, const struct report_status *report)
{
	const struct bindguard_refusals *attempts = report->attempts;
	char number[32];

	if (!report->guard || !attempts->count)
		return;
	size_t shown = !style->verbose && attempts->count > ATTEMPTS_SHOWN ? ATTEMPTS_SHOWN : attempts->count;

	fprintf(style->stream, "\n  %s%-26s %12s %-10s   %-16s %s%s\n", paint(style, BOLD), "binds to other addresses",
		"times", "verdict", "last", "by", paint(style, RESET));
	for (size_t i = 0; i < shown; i++)
		print_attempt(style, &attempts->items[i], 26);
	if (shown < attempts->count)
		fprintf(style->stream, "  ... and %s more (--verbose shows all)\n",
			format_count(number, attempts->count - shown));
}

void print_guard_status(const struct report_style *style, const struct report_status *report)
{
	const struct bindguard *guard = report->guard;
	FILE *stream = style->stream;
	char number[32];
	char other[32];

	if (!guard) {
		fputs("  bind guard not read: ", stream);
		print_clean(stream, report->guard_why ? report->guard_why : "");
		fputc('\n', stream);
		return;
	}
	if (!guard->count && !guard->remains)
		return;
	fprintf(stream, "  bind guard %s%s%s", paint(style, guard_in_force(guard) ? GREEN : RED),
		guard_in_force(guard) ? guard_mode_name(guard) : "not in force", paint(style, RESET));
	for (size_t i = 0; i < guard->count; i++)
		fprintf(stream, "%s%u", i ? ", " : " on ", guard->ports[i].port);
	fprintf(stream, "%s; %s refused, %s rewritten\n", guard->everywhere ? "" : " for processes of this container",
		format_count(number, report->attempts->refused), format_count(other, report->attempts->rewritten));
}

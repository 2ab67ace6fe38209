/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Bans, for people: what ban and unban did, and the list in status. */

#include <string.h>

#include "report_private.h"

#define BANS_SHOWN 10

void text_ban(const struct report_style *style, const struct report_ban *report)
{
	char source[INTERVAL_TEXT];
	char duration[32];

	if (style->quiet)
		return;
	if (report->all) {
		fputs(report->changed ? "Nobody is banned any more.\n" : "Nobody is banned.\n", style->stream);
		return;
	}
	interval_format(report->width, report->source, source);
	if (!report->ban)
		fprintf(style->stream, report->changed ? "%s is not banned any more.\n" : "%s is not banned.\n",
			source);
	else if (report->changed)
		fprintf(style->stream, "%sBanned%s: %s, for %s.\n", paint(style, GREEN), paint(style, RESET), source,
			format_duration(duration, sizeof(duration), report->seconds));
	else
		fprintf(style->stream, "%s is banned for longer already.\n", source);
}

static const char *expires(const struct ban *ban, char *buffer, size_t size)
{
	if (ban->milliseconds == UINT64_MAX)
		return "never";
	return format_duration(buffer, size, ban->milliseconds / 1000 + (ban->milliseconds % 1000 > 0));
}

void print_bans(const struct report_style *style, const struct report_status *report)
{
	const struct bans *bans = report->bans;
	char text[INTERVAL_TEXT];
	char duration[32];
	int width = 20;

	if (!bans) {
		fprintf(style->stream, "\n  %sbanned sources%s not read: ", paint(style, BOLD), paint(style, RESET));
		print_clean(style->stream, report->bans_why);
		fputc('\n', style->stream);
		return;
	}
	if (!bans->count)
		return;
	size_t shown = !style->verbose && bans->count > BANS_SHOWN ? BANS_SHOWN : bans->count;

	for (size_t i = 0; i < shown; i++) {
		int length = (int)strlen(interval_format(bans->items[i].width, bans->items[i].source, text));

		width = length > width ? length : width;
	}
	fprintf(style->stream, "\n  %s%-*s   %s%s\n", paint(style, BOLD), width, "banned sources", "ends in",
		paint(style, RESET));
	for (size_t i = 0; i < shown; i++)
		fprintf(style->stream, "  %-*s   %s\n", width,
			interval_format(bans->items[i].width, bans->items[i].source, text),
			expires(&bans->items[i], duration, sizeof(duration)));
	if (shown < bans->count)
		fprintf(style->stream, "  ... and %s more (--verbose shows all)\n",
			format_count(text, bans->count - shown));
}

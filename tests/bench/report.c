/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* The table for people. */

static const char *bold = "", *good = "", *bad = "", *dim = "", *plain = "";

static size_t reached_count, missed_count;

static void choose_colours(void)
{
	const char *no_colour = getenv("NO_COLOR");

	if (!isatty(STDOUT_FILENO) || (no_colour && *no_colour))
		return;
	bold = "\033[1m";
	good = "\033[32m";
	bad = "\033[31m";
	dim = "\033[2m";
	plain = "\033[0m";
}

/* Three figures that matter, whatever the size. */
static const char *format_figure(char *buffer, double value)
{
	if (isnan(value))
		strcpy(buffer, "-");
	else
		snprintf(buffer, 32, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
	return buffer;
}

/* A ratio, fine enough to see on which side of its target it is. */
static const char *format_ratio(char *buffer, double ratio)
{
	if (isnan(ratio))
		strcpy(buffer, "-");
	else
		snprintf(buffer, 32, "%.3f", ratio);
	return buffer;
}

/* "<= 0.60 reached", always 15 columns wide. */
static void print_target(double ratio, double target, bool at_least)
{
	bool reached = at_least ? ratio >= target : ratio <= target;

	if (target == 0 || isnan(ratio)) {
		printf("%15s", "");
		return;
	}
	reached ? reached_count++ : missed_count++;
	printf("%s %.2f %s%-7s%s", at_least ? ">=" : "<=", target, reached ? good : bad, reached ? "reached" : "MISSED",
		plain);
}

static void print_cost(const struct measurement *measurement)
{
	char median[32], minimum[32], peak[32];

	printf("%8s %8s %6s", format_figure(median, series_median(&measurement->seconds) * 1e3),
		format_figure(minimum, series_minimum(&measurement->seconds) * 1e3),
		format_figure(peak, series_median(&measurement->peak) / 1e6));
}

double ratio_of(const struct series *subject, const struct series *against)
{
	return series_median(subject) / series_median(against);
}

static void print_comparison(const struct results *results, const struct comparison *comparison)
{
	const struct measurement *subject = &results->measurements[comparison->subject];
	const struct measurement *against = &results->measurements[comparison->against];
	double time = ratio_of(&subject->seconds, &against->seconds);
	double memory = ratio_of(&subject->peak, &against->peak);
	char number[32], buffer[32];

	printf("  %9s %6zu  ", format_count(number, subject->networks),
		against->seconds.count ? against->seconds.count : subject->seconds.count);
	print_cost(subject);
	printf("  ");
	print_cost(against);
	printf("  %5s ", format_ratio(buffer, time));
	print_target(time, comparison->time_target, false);
	printf(" %5s ", format_ratio(buffer, memory));
	print_target(memory, comparison->memory_target, false);
	printf("\n");
}

bool comparison_shown(const struct results *results, const struct comparison *comparison)
{
	const struct measurement *subject = &results->measurements[comparison->subject];
	const struct measurement *against = &results->measurements[comparison->against];

	/* A row with one half shows what there is; where nothing was asked for, there is nothing to say. */
	return subject->seconds.count > 0 && (against->seconds.count > 0 || against->failure);
}

static void print_comparisons(const struct results *results)
{
	bool heading = false;

	for (size_t i = 0; i < results->comparison_count; i++) {
		const char *title = results->comparisons[i].title;
		bool seen = false, titled = false;

		for (size_t before = 0; before < i; before++)
			seen = seen || results->comparisons[before].title == title;
		for (size_t same = i; same < results->comparison_count && !seen; same++) {
			const struct comparison *comparison = &results->comparisons[same];

			if (comparison->title != title || !comparison_shown(results, comparison))
				continue;
			if (!heading)
				printf("\n%s                    %-24s  %-24s  %-21s %-21s\n"
				       "   networks rounds  %8s %8s %6s  %8s %8s %6s  %5s %-15s %5s %-15s%s\n",
					dim, " dflyguard", " nft", "time", "peak memory", "ms", "min ms", "MB", "ms",
					"min ms", "MB", "ratio", "target", "ratio", "target", plain);
			heading = true;
			if (!titled)
				printf("%s%s%s\n", bold, title, plain);
			titled = true;
			print_comparison(results, comparison);
		}
	}
}

static void print_times(const struct results *results)
{
	size_t largest = 0;
	bool heading = false;

	for (size_t i = 0; i < results->measurement_count; i++) {
		if (results->measurements[i].networks > largest)
			largest = results->measurements[i].networks;
	}
	for (size_t i = 0; i < results->measurement_count; i++) {
		const struct measurement *measurement = &results->measurements[i];
		bool start = strstr(measurement->name, "--version") || !strncmp(measurement->name, "true", 4);
		double wall = series_median(&measurement->seconds) * 1e3;
		double user = series_mean(&measurement->user) * 1e3, system = series_mean(&measurement->system) * 1e3;
		double waiting = fmax(series_mean(&measurement->seconds) * 1e3 - user - system, 0);
		char buffer[6][32];

		if (measurement->seconds.count == 0 || (measurement->networks != largest && !start))
			continue;
		if (!heading)
			printf("\n%swhere the time goes%s\n%s   networks  %-36s %8s %8s %8s %8s %12s%s\n", bold, plain,
				dim, "command", "ms", "user", "system", "waiting", "us/network", plain);
		heading = true;
		printf("  %9s  %-36s %8s %8s %8s %8s %12s\n",
			start ? "" : format_count(buffer[0], measurement->networks), measurement->name,
			format_figure(buffer[1], wall), format_figure(buffer[2], user),
			format_figure(buffer[3], system), format_figure(buffer[4], waiting),
			start ? "" : format_figure(buffer[5], wall * 1e3 / (double)measurement->networks));
	}
	if (results->breakdown_count > 0)
		printf("  %sonce more, by what dflyguard --verbose says, and by system calls under strace (shares, not "
		       "figures; "
		       "calls in brackets)%s\n",
			dim, plain);
	for (size_t i = 0; i < results->breakdown_count; i++) {
		const struct breakdown *breakdown = &results->breakdowns[i];

		printf("             %s\n", breakdown->name);
		if (breakdown->steps)
			printf("               %s\n", breakdown->steps);
		if (breakdown->calls)
			printf("               %s\n", breakdown->calls);
	}
}

static void print_rate(const struct series *rates, const struct series *ratios, double target)
{
	char number[32], ratio[32];

	if (rates->count == 0) {
		printf("  %9s %5s %15s", "-", "", "");
		return;
	}
	printf("  %9s %5s ", format_count(number, (uint64_t)series_median(rates)),
		format_ratio(ratio, series_median(ratios)));
	print_target(series_median(ratios), target, true);
}

static void print_packets(const struct results *results)
{
	char median[32], slow[32];

	if (results->packet_count == 0)
		return;
	printf("\n%spacket path%s, medians of %u rounds; ratios are medians of the ratios to none within one round\n"
	       "%s  %-37s  %9s %5s %-15s  %9s %5s %-15s  %9s %5s %-15s  %s%s\n",
		bold, plain, results->packet_rounds, dim, "ruleset", "connect/s", "ratio", "target", "GET/s", "ratio",
		"target", "GET/s P16", "ratio", "target", "connect us, 50 % and 99 %", plain);
	for (size_t i = 0; i < results->packet_count; i++) {
		const struct packet_result *packet = &results->packets[i];

		printf("  %-37s", packet->name);
		print_rate(&packet->connections, &packet->connections_ratio, packet->target);
		print_rate(&packet->gets, &packet->gets_ratio, packet->target);
		print_rate(&packet->gets_pipelined, &packet->gets_pipelined_ratio, packet->target);
		if (packet->connect_median.count > 0)
			printf("  %5s %5s", format_figure(median, series_median(&packet->connect_median) * 1e6),
				format_figure(slow, series_median(&packet->connect_slow) * 1e6));
		printf("\n");
	}
}

static void print_delay(const struct series *series)
{
	char median[32], slow[32];

	printf("  %9s %9s", format_figure(median, series_median(series) * 1e3),
		format_figure(slow, series_quantile(series, 1) * 1e3));
}

static void print_watches(const struct results *results)
{
	char number[32];

	if (results->watch_count == 0)
		return;
	printf("\n%sfrom a mutation to its report%s, medians and the worst, in ms since the nft that mutates was "
	       "started; "
	       "healed: and read back\n%s   networks rounds  %-36s  %9s %9s  %9s %9s  %9s %9s%s\n",
		bold, plain, dim, "", "nft", "worst", "reported", "worst", "healed", "worst", plain);
	for (size_t i = 0; i < results->watch_count; i++) {
		const struct watch_result *watch = &results->watches[i];

		printf("  %9s %6zu  %-36s", format_count(number, watch->networks), watch->told.count, watch->name);
		print_delay(&watch->mutation);
		print_delay(&watch->told);
		print_delay(&watch->healed);
		printf("\n");
	}
}

static void print_failures(const struct results *results)
{
	char number[32];

	for (size_t i = 0; i < results->measurement_count; i++) {
		const struct measurement *measurement = &results->measurements[i];

		if (measurement->failure)
			printf("%snot measured%s: %s, %s networks: %s\n", bad, plain, measurement->name,
				format_count(number, measurement->networks), measurement->failure);
	}
	for (size_t i = 0; i < results->packet_count; i++) {
		if (results->packets[i].failure)
			printf("%snot measured%s: packet path, %s: %s\n", bad, plain, results->packets[i].name,
				results->packets[i].failure);
	}
	for (size_t i = 0; i < results->watch_count; i++) {
		if (results->watches[i].failure)
			printf("%snot measured%s: %s, %s networks: %s\n", bad, plain, results->watches[i].name,
				format_count(number, results->watches[i].networks), results->watches[i].failure);
	}
	for (size_t i = 0; i < results->note_count; i++)
		printf("%snote%s: %s\n", bold, plain, results->notes[i]);
}

void report_table(const struct results *results, const struct machine *machine)
{
	char memory[32], least[32];

	choose_colours();
	printf("%s%s%s against %s; server: %s\n", bold, machine->dflyguard_version, plain, machine->nft_version,
		machine->redis_version);
	printf("%s, %ld x %s, %s; load %s before, %s after; took %.0f s\n", machine->kernel, machine->processors,
		machine->processor, format_bytes(memory, (uint64_t)machine->memory), machine->load_before,
		machine->load_after, results->elapsed);
	printf("whole processes, rounds interleaved and shuffled: medians (and the best round), ratios of medians; "
	       "true(1) peaks at %s\n",
		format_bytes(least, (uint64_t)results->least_peak));
	if (machine->busy)
		printf("%sthe machine was busy when this began: do not trust the figures%s\n", bad, plain);
	print_comparisons(results);
	print_packets(results);
	print_watches(results);
	print_times(results);
	printf("\n");
	print_failures(results);
	if (reached_count + missed_count > 0)
		printf("%starget%s: %s%zu of %zu reached%s\n", bold, plain, missed_count ? bad : good, reached_count,
			reached_count + missed_count, plain);
}

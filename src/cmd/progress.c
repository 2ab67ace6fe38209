/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* Below this a command is over before anybody could read. */
#define WORTH_SHOWING 20000
#define PATIENCE      0.25 /* seconds */

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress, const struct options *options)
{
	*progress = (struct progress){.shown = !options->quiet && isatty(STDERR_FILENO),
		.verbose = options->verbose && !options->quiet,
		.begin = now_seconds()};
}

static void finish_step(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
	if (progress->verbose && progress->step)
		fprintf(stderr, "%8.1f ms  %s\n", (now_seconds() - progress->step_begin) * 1000, progress->step);
}

void progress_step(struct progress *progress, const char *step, size_t count)
{
	char number[32];

	finish_step(progress);
	progress->step = step;
	progress->step_begin = now_seconds();
	if (!progress->shown || (count < WORTH_SHOWING && progress->step_begin - progress->begin < PATIENCE))
		return;
	if (count)
		fprintf(stderr, "\r\033[K%s (%s elements) ...", step, format_count(number, count));
	else
		fprintf(stderr, "\r\033[K%s ...", step);
	fflush(stderr);
	progress->drawn = true;
}

void progress_update(struct progress *progress, size_t done)
{
	char number[32];

	if (!progress->shown || !progress->step || now_seconds() - progress->step_begin < PATIENCE)
		return;
	fprintf(stderr, "\r\033[K%s: %s elements ...", progress->step, format_count(number, done));
	fflush(stderr);
	progress->drawn = true;
}

void progress_end(struct progress *progress)
{
	finish_step(progress);
	progress->step = NULL;
}

double progress_seconds(const struct progress *progress)
{
	return now_seconds() - progress->begin;
}

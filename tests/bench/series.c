/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>
#include <time.h>

#include "bench.h"

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void series_add(struct series *series, double value)
{
	ARRAY_GROW(series->values, series->count, series->capacity);
	series->values[series->count++] = value;
}

static int compare_values(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

double series_quantile(const struct series *series, double quantile)
{
	_cleanup_free_ double *sorted = NULL;
	double place = quantile * (double)(series->count ? series->count - 1 : 0);
	size_t below = (size_t)place;

	if (series->count == 0)
		return NAN;
	sorted = mem_zero(series->count, sizeof(*sorted));
	memcpy(sorted, series->values, series->count * sizeof(*sorted));
	qsort(sorted, series->count, sizeof(*sorted), compare_values);
	if (below + 1 >= series->count)
		return sorted[series->count - 1];
	return sorted[below] + (sorted[below + 1] - sorted[below]) * (place - (double)below);
}

double series_median(const struct series *series)
{
	return series_quantile(series, 0.5);
}

double series_minimum(const struct series *series)
{
	double minimum = NAN;

	for (size_t i = 0; i < series->count; i++)
		minimum = fmin(minimum, series->values[i]); /* fmin ignores NAN */
	return minimum;
}

double series_mean(const struct series *series)
{
	double sum = 0;

	for (size_t i = 0; i < series->count; i++)
		sum += series->values[i];
	return series->count ? sum / (double)series->count : NAN;
}

/* splitmix64: the same numbers on every machine, which rand() does not promise. */
uint64_t random_next(uint64_t *state)
{
	uint64_t value = (*state += UINT64_C(0x9e3779b97f4a7c15));

	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

void random_order(uint64_t *state, size_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count; i > 1; i--) {
		size_t other = random_next(state) % i, kept = order[i - 1];

		order[i - 1] = order[other];
		order[other] = kept;
	}
}

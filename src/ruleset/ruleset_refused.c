/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who was refused: from the kernel's elements, one for each source and reason, to a list of sources. */

#include "ruleset.h"

static uint64_t add(uint64_t a, uint64_t b)
{
	return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_sources(enum width a_width, struct value a, enum width b_width, struct value b)
{
	return a_width != b_width ? (a_width < b_width ? -1 : 1) : value_compare(a, b);
}

/* Source by source, in each reason by reason, and of what is there twice the one that counted more. */
static int compare_keys(const void *left, const void *right)
{
	const struct refusal *a = left;
	const struct refusal *b = right;
	int order = compare_sources(a->width, a->address, b->width, b->address);

	if (order == 0)
		order = compare_numbers(a->reason, b->reason);
	return order ? order : compare_numbers(b->packets, a->packets);
}

static int compare_refusals(const void *left, const void *right)
{
	const struct refusal *a = left;
	const struct refusal *b = right;
	int order = compare_numbers(b->packets, a->packets);

	return order ? order : compare_numbers(a->reason, b->reason);
}

static int compare_totals(const void *left, const void *right)
{
	const struct refused_source *a = left;
	const struct refused_source *b = right;
	int order = compare_numbers(b->packets, a->packets);

	if (order == 0)
		order = compare_numbers(a->seconds_ago, b->seconds_ago);
	return order ? order : compare_sources(a->width, a->address, b->width, b->address);
}

static bool same_source(const struct refusal *a, const struct refusal *b)
{
	return compare_sources(a->width, a->address, b->width, b->address) == 0;
}

static void drop_repeated(struct refused_sources *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->refusal_count; i++) {
		const struct refusal *last = kept ? &list->refusals[kept - 1] : NULL;

		if (last && same_source(last, &list->refusals[i]) && last->reason == list->refusals[i].reason)
			continue;
		list->refusals[kept++] = list->refusals[i];
	}
	list->refusal_count = kept;
}

static struct refused_source sum(const struct refusal *refusals, size_t count)
{
	struct refused_source source = {.width = refusals->width,
		.address = refusals->address,
		.seconds_ago = REFUSED_UNKNOWN,
		.refusals = refusals,
		.refusal_count = count};

	for (size_t i = 0; i < count; i++) {
		source.packets = add(source.packets, refusals[i].packets);
		source.bytes = add(source.bytes, refusals[i].bytes);
		if (refusals[i].seconds_ago < source.seconds_ago)
			source.seconds_ago = refusals[i].seconds_ago;
	}
	return source;
}

void refused_sources_sum(struct refused_sources *list)
{
	size_t end;

	free(list->sources);
	list->sources = NULL;
	list->count = 0;
	if (!list->refusal_count)
		return;
	qsort(list->refusals, list->refusal_count, sizeof(*list->refusals), compare_keys);
	drop_repeated(list);
	list->sources = mem_zero(list->refusal_count, sizeof(*list->sources));
	for (size_t i = 0; i < list->refusal_count; i = end) {
		for (end = i + 1; end < list->refusal_count && same_source(&list->refusals[i], &list->refusals[end]);)
			end++;
		qsort(&list->refusals[i], end - i, sizeof(*list->refusals), compare_refusals);
		list->sources[list->count++] = sum(&list->refusals[i], end - i);
	}
	qsort(list->sources, list->count, sizeof(*list->sources), compare_totals);
}

void refused_sources_done(struct refused_sources *list)
{
	free(list->refusals);
	free(list->sources);
	*list = (struct refused_sources){0};
}

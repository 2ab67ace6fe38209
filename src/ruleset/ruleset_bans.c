/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is banned: what to take out of the kernel's sets and what to put in, where no two intervals may overlap. */

#include "ruleset.h"

void bans_add(struct bans *bans, const struct ban *ban)
{
	ARRAY_GROW(bans->items, bans->count, bans->capacity);
	bans->items[bans->count++] = *ban;
}

void bans_done(struct bans *bans)
{
	free(bans->items);
	*bans = (struct bans){0};
}

void ban_plan_done(struct ban_plan *plan)
{
	bans_done(&plan->remove);
	bans_done(&plan->add);
}

static bool touches(const struct ban *ban, enum width width, struct interval source)
{
	return ban->width == width && value_compare(ban->source.first, source.last) <= 0 &&
	       value_compare(ban->source.last, source.first) >= 0;
}

static void add_interval(struct bans *bans, enum width width, struct interval source, uint64_t milliseconds)
{
	bans_add(bans, &(struct ban){width, source, milliseconds});
}

/* It goes, but what of it lies beside `source` stays. */
static void cut_out(struct ban_plan *plan, const struct ban *ban, struct interval source)
{
	bans_add(&plan->remove, ban);
	if (value_compare(ban->source.first, source.first) < 0)
		add_interval(&plan->add, ban->width,
			(struct interval){ban->source.first, value_previous(source.first), 0}, ban->milliseconds);
	if (value_compare(ban->source.last, source.last) > 0)
		add_interval(&plan->add, ban->width, (struct interval){value_next(source.last), ban->source.last, 0},
			ban->milliseconds);
}

void bans_plan_ban(
	const struct bans *bans, enum width width, struct interval source, uint64_t milliseconds, struct ban_plan *ret)
{
	struct value next = source.first; /* from here on nothing is banned for long enough */
	bool all = false;

	for (size_t i = 0; i < bans->count && !all; i++) {
		const struct ban *ban = &bans->items[i];

		if (!touches(ban, width, source))
			continue;
		if (ban->milliseconds < milliseconds) {
			cut_out(ret, ban, source);
			continue;
		}
		if (value_compare(ban->source.first, next) > 0)
			add_interval(&ret->add, width, (struct interval){next, value_previous(ban->source.first), 0},
				milliseconds);
		all = value_compare(ban->source.last, source.last) >= 0;
		next = all ? next : value_next(ban->source.last);
	}
	if (!all)
		add_interval(&ret->add, width, (struct interval){next, source.last, 0}, milliseconds);
}

void bans_plan_unban(const struct bans *bans, enum width width, struct interval source, struct ban_plan *ret)
{
	for (size_t i = 0; i < bans->count; i++)
		if (touches(&bans->items[i], width, source))
			cut_out(ret, &bans->items[i], source);
}

static bool is_ban_set(const struct set *set)
{
	return set && !set->opaque && set->key == KEY_NONE && set_is_state(set);
}

bool ruleset_has_bans(const struct ruleset *ruleset)
{
	return is_ban_set(ruleset_set(ruleset, BANNED_SET_V4)) && is_ban_set(ruleset_set(ruleset, BANNED_SET_V6));
}

void ruleset_put_bans(struct ruleset *ruleset, const struct bans *bans)
{
	for (size_t i = 0; i < ruleset->set_count; i++) {
		struct set *set = &ruleset->sets[i];

		if (!is_ban_set(set))
			continue;
		for (size_t k = 0; k < bans->count; k++)
			if (bans->items[k].width == set->elements.width)
				intervals_add(&set->elements, bans->items[k].source);
	}
}

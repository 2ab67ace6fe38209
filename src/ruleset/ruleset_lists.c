/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists of addresses: as sets, in parts where they are long, and as the chains that ask them; and bans. */

#include <string.h>

#include "ruleset_private.h"

/* "clients_v4_10.128.0.0_9", "clients_v6_2001.0db8_32": names that nft can read. */
static char *part_name(const struct list *list, enum width width, struct value first, unsigned int length)
{
	_cleanup_text_ struct text name = {0};
	uint8_t bytes[16];

	value_to_bytes(width, first, bytes);
	text_printf(&name, "%s_%s_", list->name, width == WIDTH_IPV4 ? "v4" : "v6");
	if (width == WIDTH_IPV4)
		text_printf(&name, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
	for (unsigned int i = 0; width == WIDTH_IPV6 && i < (length + 15) / 16; i++)
		text_printf(&name, "%s%02x%02x", i ? "." : "", bytes[2 * i], bytes[2 * i + 1]);
	text_printf(&name, "_%u", length);
	return text_take(&name);
}

static enum selector address_selector(bool destination, enum width width)
{
	if (width == WIDTH_IPV4)
		return destination ? SELECT_IP_DADDR : SELECT_IP_SADDR;
	return destination ? SELECT_IP6_DADDR : SELECT_IP6_SADDR;
}

static void add_listed(struct chain *chain, const struct list *list, enum width width, const char *set)
{
	struct rule *rule = add_rule(chain, list->origin, NULL);

	add_lookup(rule, TERM_LOOKUP, address_selector(list->destination, width), set);
	if (list->destination)
		add_verdict(rule, VERDICT_GOTO, "judge");
	else
		add_verdict(rule, VERDICT_RETURN, NULL);
}

/* Destinations: what is addressed to another host is only routed here. It is asked last, since asking the routing table
 * is what costs most. */
static void add_others(struct compiler *c, struct chain *chain, const struct list *list)
{
	if (list->destination)
		add_routed(chain, list->origin);
	add_refusal(c, add_rule(chain, list->origin, NULL), list->reason);
}

struct parts {
	struct compiler *compiler;
	const struct list *list;
	enum width width;
	const struct intervals *all;
	char *map;
};

static void add_part(const struct parts *parts, struct interval range, unsigned int length, size_t first, size_t last)
{
	struct ruleset *ruleset = parts->compiler->ruleset;
	const struct list *list = parts->list;
	_cleanup_free_ char *name = part_name(list, parts->width, range.first, length);
	struct set *set = ruleset_add_set(ruleset, name, parts->width);
	struct set *map;

	set->interval = true;
	set->comment = mem_format("part of %s", list->name);
	set->origin = list->origin;
	for (size_t i = first; i < last; i++) {
		struct interval item = intervals_get(parts->all, i);

		/* What crosses the border of a part is cut there; its other piece is in the next one. */
		if (value_compare(item.first, range.first) < 0)
			item.first = range.first;
		if (value_compare(item.last, range.last) > 0)
			item.last = range.last;
		intervals_add(&set->elements, item);
	}
	struct chain *chain = add_chain(parts->compiler, name, list->origin, NULL);

	add_listed(chain, list, parts->width, name);
	add_others(parts->compiler, chain, list);
	map = &ruleset->sets[0];
	while (strcmp(map->name, parts->map) != 0)
		map++;
	set_add_target(map, (struct interval){range.first, range.last, list->origin}, VERDICT_GOTO, name);
}

/*
 * Halves a prefix until no part holds more than RULESET_PART_LIMIT intervals. Which parts there are depends on nothing
 * but the intervals inside each, so one changed source moves at most one border. [first, last) are the intervals that
 * touch the prefix.
 */
static void split(const struct parts *parts, struct interval range, unsigned int length, size_t first, size_t last)
{
	if (first == last)
		return;
	if (last - first <= RULESET_PART_LIMIT) {
		add_part(parts, range, length, first, last);
		return;
	}
	struct interval low = {range.first, value_fill_low(parts->width, range.first, length + 1), 0};
	struct interval high = {value_next(low.last), range.last, 0};
	size_t low_last = first;
	size_t high_first;
	size_t end = last;

	/* The first interval that begins behind the lower half. */
	while (low_last < end) {
		size_t middle = low_last + (end - low_last) / 2;

		if (value_compare(intervals_get(parts->all, middle).first, low.last) <= 0)
			low_last = middle + 1;
		else
			end = middle;
	}
	high_first = low_last;
	if (low_last > first && value_compare(intervals_get(parts->all, low_last - 1).last, low.last) > 0)
		high_first--;
	split(parts, low, length + 1, first, low_last);
	split(parts, high, length + 1, high_first, last);
}

/* Single addresses, which have no need of an interval set and of its late filling (see add_guarded_ports). */
static void add_addresses(struct set *set, const struct intervals *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct interval item = intervals_get(all, i);

		for (struct value address = item.first;; address = value_next(address)) {
			intervals_add(&set->elements, (struct interval){address, address, item.origin});
			if (value_compare(address, item.last) == 0)
				break;
		}
	}
}

/* The sets of one list in one family. */
static void add_sets(struct compiler *c, const struct list *list, const struct intervals *all)
{
	const char *family = all->width == WIDTH_IPV4 ? "v4" : "v6";
	_cleanup_free_ char *name = mem_format("%s_%s", list->name, family);

	if (all->count <= RULESET_PART_LIMIT) {
		struct set *set = ruleset_add_set(c->ruleset, name, all->width);

		set->comment = mem_string(list->comment);
		set->origin = list->origin;
		if (list->destination) {
			add_addresses(set, all);
			return;
		}
		set->interval = true;
		intervals_copy(&set->elements, all);
		return;
	}
	_cleanup_free_ char *map_name = mem_format("%s_parts", name);
	struct set *map = ruleset_add_set(c->ruleset, map_name, all->width);
	struct parts parts = {c, list, all->width, all, map_name};

	map->interval = true;
	map->map = true;
	map->comment = mem_format("%s: where to look, by leading bits", list->comment);
	map->origin = list->origin;
	split(&parts, (struct interval){value_zero(), value_max(all->width), 0}, 0, 0, all->count);
}

static void add_family_rule(struct compiler *c, struct chain *chain, const struct list *list, enum width width)
{
	const char *family = width == WIDTH_IPV4 ? "v4" : "v6";
	_cleanup_free_ char *name = mem_format("%s_%s", list->name, family);
	_cleanup_free_ char *map = mem_format("%s_parts", name);

	if (ruleset_set(c->ruleset, map))
		add_lookup(
			add_rule(chain, list->origin, NULL), TERM_MAP, address_selector(list->destination, width), map);
	else
		add_listed(chain, list, width, name);
}

void add_list(struct compiler *c, const struct list *list)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct chain *chain;

	policy_resolve(c->policy, list->sources, &v4, &v6, NULL, NULL);
	add_sets(c, list, &v4);
	add_sets(c, list, &v6);
	intervals_done(&v4);
	intervals_done(&v6);
	chain = add_chain(c, list->name, list->origin, list->comment);
	add_family_rule(c, chain, list, WIDTH_IPV4);
	add_family_rule(c, chain, list, WIDTH_IPV6);
	add_others(c, chain, list);
}

/* --- bans --- */

void add_bans(struct compiler *c, struct chain *chain)
{
	static const struct {
		enum width width;
		const char *set;
	} families[] = {{WIDTH_IPV4, BANNED_SET_V4}, {WIDTH_IPV6, BANNED_SET_V6}};
	uint32_t origin = c->environment->origin;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct set *set = ruleset_add_set(c->ruleset, families[i].set, families[i].width);
		struct rule *rule = add_rule(chain, origin, NULL);

		set->interval = true;
		set->size = BANS_LIMIT;
		set->timeout = BAN_SECONDS * UINT64_C(1000);
		set->origin = origin;
		set->comment = mem_string("who is banned: see dflyguard ban");
		add_lookup(rule, TERM_LOOKUP, address_selector(false, families[i].width), families[i].set);
		add_verdict(rule, VERDICT_JUMP, "never_ban");
	}
}

void add_never_banned(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct source_list all = {.given = true, .v4.width = WIDTH_IPV4, .v6.width = WIDTH_IPV6};

	policy_never_banned(c->policy, e, &all.v4, &all.v6);
	add_list(c, &(struct list){"never_ban", "who is never refused for a ban", &all, false, REASON_BANNED,
			    e->never_ban.origin ? e->never_ban.origin : e->origin});
	intervals_done(&all.v4);
	intervals_done(&all.v6);
}

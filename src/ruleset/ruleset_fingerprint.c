/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ruleset.h"

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static void add_bytes(uint64_t *hash, const void *bytes, size_t length)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < length; i++)
		*hash = (*hash ^ byte[i]) * FNV_PRIME;
}

/* With its NUL, so that two texts are not one. */
static void add_text(uint64_t *hash, const char *text)
{
	add_bytes(hash, text, strlen(text) + 1);
}

static void add_number(uint64_t *hash, uint64_t number)
{
	unsigned char bytes[sizeof(number)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(number >> (8 * i));
	add_bytes(hash, bytes, sizeof(bytes));
}

/* Elements as numbers and not as text: that is five times as fast, and they are most of it. */
static void add_set(uint64_t *hash, const struct set *set)
{
	_cleanup_text_ struct text head = {0};

	text_printf(&head, "%s %s ", set->map ? "map" : "set", set->name);
	set_print_head(set, &head);
	add_text(hash, text_string(&head));
	add_number(hash, set->key);
	add_number(hash, set->size);
	add_number(hash, set->timeout);
	add_number(hash, set->meter);
	add_number(hash, set->meter_limit);
	add_number(hash, set->meter_burst);
	add_number(hash, set->elements.count);
	for (size_t i = 0; i < set->elements.count; i++) {
		struct interval element = intervals_get(&set->elements, i);

		if (set->elements.width == WIDTH_IPV6) {
			add_number(hash, element.first.hi);
			add_number(hash, element.first.lo);
			add_number(hash, element.last.hi);
			add_number(hash, element.last.lo);
		} else {
			add_number(hash, element.first.lo << 32 | element.last.lo);
		}
		if (set->map) {
			add_number(hash, set->targets[i].verdict);
			add_text(hash, set->targets[i].chain ? set->targets[i].chain : "");
		}
	}
}

static void add_chain_text(uint64_t *hash, const struct chain *chain)
{
	_cleanup_text_ struct text text = {0};

	text_printf(&text, "chain %s ", chain->name);
	if (chain->base)
		chain_print_head(chain, &text);
	add_text(hash, text_string(&text));
	add_number(hash, chain->rule_count);
	for (size_t i = 0; i < chain->rule_count; i++) {
		_cleanup_text_ struct text rule = {0};

		rule_print(&chain->rules[i], &rule);
		add_text(hash, text_string(&rule));
	}
}

uint64_t ruleset_fingerprint(const struct ruleset *ruleset)
{
	uint64_t hash = FNV_BASIS;

	add_number(&hash, ruleset->present);
	add_number(&hash, ruleset->flags);
	add_text(&hash, ruleset->environment ? ruleset->environment : "");
	add_number(&hash, ruleset->counter_count);
	for (size_t i = 0; i < ruleset->counter_count; i++)
		add_text(&hash, ruleset->counters[i].name);
	add_number(&hash, ruleset->set_count);
	for (size_t i = 0; i < ruleset->set_count; i++)
		add_set(&hash, &ruleset->sets[i]);
	add_number(&hash, ruleset->chain_count);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		add_chain_text(&hash, &ruleset->chains[i]);
	return hash;
}

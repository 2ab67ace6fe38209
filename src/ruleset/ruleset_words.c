/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A change in words. */

#include <string.h>

#include "ruleset.h"

const char *change_kind_name(enum change_kind kind)
{
	switch (kind) {
	case CHANGE_ADD:
		return "add";
	case CHANGE_REMOVE:
		return "remove";
	case CHANGE_CHANGE:
		return "change";
	case CHANGE_MOVE:
		return "move";
	}
	abort();
}

static const struct set *any_set(const struct change *change)
{
	return change->expected_set ? change->expected_set : change->observed_set;
}

static const struct chain *any_chain(const struct change *change)
{
	return change->expected_chain ? change->expected_chain : change->observed_chain;
}

void change_object_text(const struct change *change, struct text *text)
{
	const struct set *set = any_set(change);

	switch (change->object) {
	case OBJECT_TABLE:
		text_append(text, "table inet " TABLE_NAME);
		return;
	case OBJECT_COUNTER:
		text_printf(text, "counter %s", change->counter->name);
		return;
	case OBJECT_SET:
		text_printf(text, "%s %s", set->map ? "map" : "set", set->name);
		return;
	case OBJECT_ELEMENT:
		text_printf(text, "element of %s", set->name);
		return;
	case OBJECT_CHAIN:
		text_printf(text, "chain %s", any_chain(change)->name);
		return;
	case OBJECT_RULE:
		text_printf(text, "chain %s rule %zu", any_chain(change)->name,
			(change->expected_rule ? change->expected_index : change->observed_index) + 1);
		return;
	case OBJECT_OTHER:
		text_printf(text, "%s %s", change->other->kind == OTHER_FLOWTABLE ? "flowtable" : "object",
			change->other->name);
		return;
	}
	abort();
}

static void set_text(const struct set *set, struct text *text)
{
	char number[32];

	if (!set)
		return;
	set_print_head(set, text);
	if (!set->opaque && !set_is_state(set))
		text_printf(text, " %s %s", format_count(number, set->elements.count),
			set->elements.count == 1 ? "element" : "elements");
}

static void element_text(const struct change *change, const struct set *set, size_t index, struct text *text)
{
	char buffer[INTERVAL_TEXT];

	if (set->map)
		element_print(set, index, text);
	else
		text_append(text, interval_format(set->elements.width, change->element, buffer));
}

static void chain_text(const struct chain *chain, struct text *text)
{
	if (!chain)
		return;
	chain_print_head(chain, text);
	if (!chain->opaque)
		text_printf(text, "%s %zu %s", chain->base ? "" : ",", chain->rule_count,
			chain->rule_count == 1 ? "rule" : "rules");
}

/* The rule that carries the environment's name may differ in nothing else. */
static bool is_label(const struct change *change)
{
	return change->object == OBJECT_RULE && change->kind == CHANGE_CHANGE && change->expected_index == 0 &&
	       strcmp(any_chain(change)->name, "prerouting") == 0;
}

static void rule_text(const struct change *change, const struct rule *rule, size_t index, struct text *text)
{
	if (!rule)
		return;
	rule_print(rule, text);
	if (is_label(change) && rule->comment)
		text_printf(text, " comment \"%s\"", rule->comment);
	if (change->kind == CHANGE_MOVE)
		text_printf(text, " (rule %zu)", index + 1);
}

static void table_text(const struct change *change, const struct ruleset *ruleset, struct text *text)
{
	if (!ruleset)
		return;
	if (change->kind != CHANGE_CHANGE) {
		text_append(text, "present");
		return;
	}
	static const struct {
		uint32_t flags;
		const char *words;
	} known[] = {
		{TABLE_DORMANT, "dormant: none of its chains is run"},
		{TABLE_OWNED, "owned by a process, and stays when that ends"},
		{TABLE_OWNER, "owned by a process, and is gone when that ends"},
		{TABLE_PERSIST, "owned by nobody at present"},
	};
	uint32_t left = ruleset->flags;

	if (left == 0)
		text_append(text, "no flags");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if ((left & known[i].flags) != known[i].flags)
			continue;
		text_printf(text, "%s%s", left == ruleset->flags ? "" : ", ", known[i].words);
		left &= ~known[i].flags;
	}
	if (left)
		text_printf(text, "%sflags 0x%x", left == ruleset->flags ? "" : ", ", left);
}

void change_expected_text(const struct change *change, struct text *text)
{
	switch (change->object) {
	case OBJECT_TABLE:
		table_text(change, change->expected_table, text);
		return;
	case OBJECT_COUNTER:
		if (change->kind == CHANGE_ADD)
			text_append(text, "present");
		return;
	case OBJECT_SET:
		set_text(change->expected_set, text);
		return;
	case OBJECT_ELEMENT:
		if (change->kind != CHANGE_REMOVE)
			element_text(change, change->expected_set, change->expected_index, text);
		return;
	case OBJECT_CHAIN:
		chain_text(change->expected_chain, text);
		return;
	case OBJECT_RULE:
		rule_text(change, change->expected_rule, change->expected_index, text);
		return;
	case OBJECT_OTHER:
		return;
	}
	abort();
}

void change_observed_text(const struct change *change, struct text *text)
{
	switch (change->object) {
	case OBJECT_TABLE:
		table_text(change, change->observed_table, text);
		return;
	case OBJECT_COUNTER:
		if (change->kind == CHANGE_REMOVE)
			text_append(text, "present");
		return;
	case OBJECT_SET:
		set_text(change->observed_set, text);
		return;
	case OBJECT_ELEMENT:
		if (change->kind != CHANGE_ADD)
			element_text(change, change->observed_set, change->observed_index, text);
		return;
	case OBJECT_CHAIN:
		chain_text(change->observed_chain, text);
		return;
	case OBJECT_RULE:
		rule_text(change, change->observed_rule, change->observed_index, text);
		return;
	case OBJECT_OTHER:
		text_append(text, change->other->opaque);
		return;
	}
	abort();
}

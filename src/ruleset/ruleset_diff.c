/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What should be against what is: the changes that a person reads, and the work that the batch is built from. */

#include <inttypes.h>
#include <string.h>

#include "ruleset.h"

/* The largest table for the longest common subsequence of two lists of rules; ours have about ten. */
#define ALIGN_LIMIT 4000000u

static struct change *add_change(
	struct changeset *changeset, enum change_kind kind, enum object_kind object, uint32_t origin)
{
	ARRAY_GROW(changeset->changes, changeset->count, changeset->capacity);
	struct change *change = &changeset->changes[changeset->count++];

	*change = (struct change){.kind = kind, .object = object, .origin = origin};
	return change;
}

/* --- tables --- */

/*
 * Whose the table is is no difference where nobody in particular should own it, as long as it stays when its owner
 * goes: a watch may own it, or have owned it. (Who it is the audit asks.) With an owner and without "persist" it would
 * be gone with him, and all ports open.
 */
static bool flags_differ(const struct ruleset *expected, const struct ruleset *observed)
{
	uint32_t flags = observed->flags;

	if (expected->flags == flags && expected->owner == observed->owner)
		return false;
	if (expected->flags & TABLE_OWNER)
		return true;
	if (flags & TABLE_PERSIST)
		flags &= ~TABLE_OWNED;
	return expected->flags != flags;
}

static void diff_table(struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;
	struct change *change;

	changeset->remove_table = !expected->present && observed->present;
	changeset->table_missing = expected->present && !observed->present;
	changeset->table_flags = expected->present && observed->present && flags_differ(expected, observed);
	/* Only what an owner has left can be owned by an update; and an owner cannot change his table's flags at all.
	 */
	changeset->table_replace = changeset->table_flags && expected->flags & TABLE_OWNER &&
				   (observed->flags & TABLE_OWNED) != TABLE_PERSIST;
	if (!changeset->remove_table && !changeset->table_missing && !changeset->table_flags)
		return;
	change = add_change(changeset,
		changeset->remove_table	   ? CHANGE_REMOVE
		: changeset->table_missing ? CHANGE_ADD
					   : CHANGE_CHANGE,
		OBJECT_TABLE, expected->origin);
	change->expected_table = expected->present ? expected : NULL;
	change->observed_table = observed->present ? observed : NULL;
}

static void diff_counters(struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < expected->counter_count; i++) {
		const struct counter *counter = &expected->counters[i];

		if (ruleset_counter(observed, counter->name))
			continue;
		changeset->expected_counters[i] = WORK_CREATE;
		add_change(changeset, CHANGE_ADD, OBJECT_COUNTER, counter->origin)->counter = counter;
	}
	for (size_t i = 0; i < observed->counter_count; i++) {
		const struct counter *counter = &observed->counters[i];

		if (ruleset_counter(expected, counter->name))
			continue;
		changeset->observed_counters[i] = WORK_DELETE;
		add_change(changeset, CHANGE_REMOVE, OBJECT_COUNTER, expected->origin)->counter = counter;
	}
	for (size_t i = 0; i < observed->other_count; i++)
		add_change(changeset, CHANGE_REMOVE, OBJECT_OTHER, expected->origin)->other = &observed->others[i];
}

/* --- sets --- */

static bool same_shape(const struct set *a, const struct set *b)
{
	return !a->opaque && !b->opaque && a->map == b->map && a->interval == b->interval &&
	       a->elements.width == b->elements.width && a->key == b->key && a->size == b->size &&
	       a->timeout == b->timeout && a->meter == b->meter && a->meter_limit == b->meter_limit &&
	       a->meter_burst == b->meter_burst;
}

static bool same_target(const struct target *a, const struct target *b)
{
	return a->verdict == b->verdict && same_string(a->chain, b->chain);
}

static struct change *add_element(struct changeset *changeset, enum change_kind kind, const struct set *expected,
	const struct set *observed, struct interval element, uint32_t origin)
{
	struct change *change = add_change(changeset, kind, OBJECT_ELEMENT, origin);

	change->expected_set = expected;
	change->observed_set = observed;
	change->element = element;
	return change;
}

/* The elements of a map are few, and each is one key or one range: compared pair by pair. */
static bool diff_targets(struct changeset *changeset, const struct set *expected, const struct set *observed)
{
	const struct intervals *e = &expected->elements;
	const struct intervals *o = &observed->elements;
	size_t before = changeset->count;
	size_t ie = 0;
	size_t io = 0;

	while (ie < e->count || io < o->count) {
		struct interval wanted = ie < e->count ? intervals_get(e, ie) : (struct interval){0};
		struct interval found = io < o->count ? intervals_get(o, io) : (struct interval){0};
		int order = ie == e->count ? 1 : io == o->count ? -1 : value_compare(wanted.first, found.first);

		if (order == 0)
			order = value_compare(wanted.last, found.last);
		if (order < 0) {
			add_element(changeset, CHANGE_ADD, expected, observed, wanted, wanted.origin)->expected_index =
				ie++;
		} else if (order > 0) {
			add_element(changeset, CHANGE_REMOVE, expected, observed, found, expected->origin)
				->observed_index = io++;
		} else {
			if (!same_target(&expected->targets[ie], &observed->targets[io])) {
				struct change *change = add_element(
					changeset, CHANGE_CHANGE, expected, observed, wanted, wanted.origin);

				change->expected_index = ie;
				change->observed_index = io;
			}
			ie++;
			io++;
		}
	}
	return changeset->count != before;
}

static bool diff_elements(struct changeset *changeset, const struct set *expected, const struct set *observed)
{
	enum width width = expected->elements.width;
	struct intervals missing = {.width = width};
	struct intervals surplus = {.width = width};
	bool differs;

	if (intervals_same(&expected->elements, &observed->elements))
		return false;
	intervals_subtract(&expected->elements, &observed->elements, &missing);
	intervals_subtract(&observed->elements, &expected->elements, &surplus);
	for (size_t i = 0; i < missing.count; i++) {
		struct interval item = intervals_get(&missing, i);

		add_element(changeset, CHANGE_ADD, expected, observed, item, item.origin);
	}
	for (size_t i = 0; i < surplus.count; i++)
		add_element(changeset, CHANGE_REMOVE, expected, observed, intervals_get(&surplus, i), expected->origin);
	differs = missing.count || surplus.count;
	intervals_done(&missing);
	intervals_done(&surplus);
	return differs;
}

static void diff_sets(struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < expected->set_count; i++) {
		const struct set *wanted = &expected->sets[i];
		const struct set *found = ruleset_set(observed, wanted->name);
		struct change *change;
		bool differs;

		if (found && same_shape(wanted, found)) {
			/* What the rules put into a set is state. */
			if (wanted->key != KEY_NONE)
				continue;
			differs = wanted->map ? diff_targets(changeset, wanted, found)
					      : diff_elements(changeset, wanted, found);
			if (differs)
				changeset->expected_sets[i] = found->irregular ? WORK_REFILL : WORK_UPDATE;
			continue;
		}
		changeset->expected_sets[i] = WORK_CREATE;
		change = add_change(changeset, found ? CHANGE_CHANGE : CHANGE_ADD, OBJECT_SET, wanted->origin);
		change->expected_set = wanted;
		change->observed_set = found;
		if (found)
			changeset->observed_sets[found - observed->sets] = WORK_DELETE;
	}
	for (size_t i = 0; i < observed->set_count; i++) {
		if (ruleset_set(expected, observed->sets[i].name))
			continue;
		changeset->observed_sets[i] = WORK_DELETE;
		add_change(changeset, CHANGE_REMOVE, OBJECT_SET, expected->origin)->observed_set = &observed->sets[i];
	}
}

void set_delta(const struct set *expected, const struct set *observed, struct intervals *add, struct intervals *remove)
{
	struct intervals kept = {.width = expected->elements.width};

	if (expected->map) {
		/* Exact pairs: what is the same stays, all else goes and comes. */
		for (size_t i = 0; i < observed->elements.count; i++) {
			struct interval item = intervals_get(&observed->elements, i);
			bool same = false;

			for (size_t k = 0; k < expected->elements.count && !same; k++) {
				struct interval wanted = intervals_get(&expected->elements, k);

				same = value_compare(wanted.first, item.first) == 0 &&
				       value_compare(wanted.last, item.last) == 0 &&
				       same_target(&expected->targets[k], &observed->targets[i]);
			}
			intervals_add(same ? &kept : remove, item);
		}
	} else {
		for (size_t i = 0; i < observed->elements.count; i++) {
			struct interval item = intervals_get(&observed->elements, i);

			intervals_add(intervals_cover(&expected->elements, item) ? &kept : remove, item);
		}
	}
	intervals_subtract(&expected->elements, &kept, add);
	intervals_done(&kept);
}

/* --- rules --- */

struct alignment {
	const struct changeset *changeset;
	const struct chain *expected;
	const struct chain *observed;
};

static bool same_rule(const struct alignment *a, size_t expected, size_t observed)
{
	/* The first rule of the first hook says which environment is in force. */
	if (expected == 0 && strcmp(a->expected->name, "prerouting") == 0 &&
		!same_string(a->changeset->expected->environment, a->changeset->observed->environment))
		return false;
	return rule_equal(&a->expected->rules[expected], &a->observed->rules[observed]);
}

/* Fills to_observed[i] with the index of the observed rule that expected rule i stays, or SIZE_MAX. */
static void align(const struct alignment *a, size_t *to_observed)
{
	size_t n = a->expected->rule_count;
	size_t m = a->observed->rule_count;
	size_t front = 0;

	for (size_t i = 0; i < n; i++)
		to_observed[i] = SIZE_MAX;
	while (front < n && front < m && same_rule(a, front, front)) {
		to_observed[front] = front;
		front++;
	}
	while (n > front && m > front && same_rule(a, n - 1, m - 1)) {
		to_observed[n - 1] = m - 1;
		n--;
		m--;
	}
	size_t rows = n - front + 1;
	size_t columns = m - front + 1;

	if (rows == 1 || columns == 1 || rows > ALIGN_LIMIT / columns)
		return;
	_cleanup_free_ uint32_t *longest = mem_zero(rows * columns, sizeof(*longest));

	for (size_t i = rows - 1; i-- > 0;)
		for (size_t k = columns - 1; k-- > 0;) {
			uint32_t down = longest[(i + 1) * columns + k];
			uint32_t right = longest[i * columns + k + 1];

			longest[i * columns + k] = same_rule(a, front + i, front + k)
							   ? longest[(i + 1) * columns + k + 1] + 1
						   : down > right ? down
								  : right;
		}
	for (size_t i = 0, k = 0; i + 1 < rows && k + 1 < columns;) {
		if (same_rule(a, front + i, front + k)) {
			to_observed[front + i++] = front + k;
			k++;
		} else if (longest[(i + 1) * columns + k] >= longest[i * columns + k + 1]) {
			i++;
		} else {
			k++;
		}
	}
}

static void add_rule_change(
	struct changeset *changeset, enum change_kind kind, const struct alignment *a, size_t expected, size_t observed)
{
	struct change *change = add_change(changeset, kind, OBJECT_RULE, a->expected->origin);

	change->expected_chain = a->expected;
	change->observed_chain = a->observed;
	change->expected_index = expected;
	change->observed_index = observed;
	if (expected != SIZE_MAX) {
		change->expected_rule = &a->expected->rules[expected];
		change->origin = change->expected_rule->origin;
	}
	if (observed != SIZE_MAX)
		change->observed_rule = &a->observed->rules[observed];
}

static bool diff_rules(struct changeset *changeset, const struct chain *expected, const struct chain *observed)
{
	static const struct chain nothing;
	struct alignment a = {changeset, expected, observed ? observed : &nothing};
	size_t n = expected->rule_count;
	size_t m = a.observed->rule_count;
	_cleanup_free_ size_t *to_observed = mem_zero(n, sizeof(*to_observed));
	_cleanup_free_ bool *used = mem_zero(m, sizeof(*used));
	size_t before = changeset->count;
	size_t position = 0;

	align(&a, to_observed);
	for (size_t i = 0; i < n; i++)
		if (to_observed[i] != SIZE_MAX)
			used[to_observed[i]] = true;
	for (size_t i = 0; i < n; i++) {
		size_t twin = SIZE_MAX;

		if (to_observed[i] != SIZE_MAX) {
			position = to_observed[i] + 1;
			continue;
		}
		for (size_t k = 0; k < m && twin == SIZE_MAX; k++)
			if (!used[k] && same_rule(&a, i, k))
				twin = k;
		if (twin != SIZE_MAX) {
			used[twin] = true;
			add_rule_change(changeset, CHANGE_MOVE, &a, i, twin);
		} else if (position < m && !used[position]) {
			/* Another rule stands where this one should: most likely it was edited. */
			used[position] = true;
			add_rule_change(changeset, CHANGE_CHANGE, &a, i, position++);
		} else {
			add_rule_change(changeset, CHANGE_ADD, &a, i, SIZE_MAX);
		}
	}
	for (size_t k = 0; k < m; k++)
		if (!used[k])
			add_rule_change(changeset, CHANGE_REMOVE, &a, SIZE_MAX, k);
	return changeset->count != before;
}

/* --- chains --- */

/* The kernel can change the policy of a base chain in place, and nothing else of it (netlink-pitfalls 5.11). */
static bool same_hook(const struct chain *a, const struct chain *b)
{
	if (a->opaque || b->opaque || a->base != b->base)
		return false;
	return !a->base || (a->hook == b->hook && a->priority == b->priority);
}

static void diff_chains(struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < expected->chain_count; i++) {
		const struct chain *wanted = &expected->chains[i];
		const struct chain *found = ruleset_chain(observed, wanted->name);
		bool keep = found && same_hook(wanted, found);
		enum work work = WORK_NONE;

		if (!keep) {
			work = WORK_CREATE;
			if (found)
				changeset->observed_chains[found - observed->chains] = WORK_DELETE;
		} else if (wanted->base && wanted->drop_policy != found->drop_policy) {
			work = WORK_UPDATE;
		}
		if (work != WORK_NONE) {
			struct change *change =
				add_change(changeset, found ? CHANGE_CHANGE : CHANGE_ADD, OBJECT_CHAIN, wanted->origin);

			change->expected_chain = wanted;
			change->observed_chain = found;
		}
		/* A refill does the update of the policy as well. */
		if (diff_rules(changeset, wanted, found) && work != WORK_CREATE)
			work = WORK_REFILL;
		changeset->expected_chains[i] = work;
	}
	for (size_t i = 0; i < observed->chain_count; i++) {
		if (ruleset_chain(expected, observed->chains[i].name))
			continue;
		changeset->observed_chains[i] = WORK_DELETE;
		add_change(changeset, CHANGE_REMOVE, OBJECT_CHAIN, expected->origin)->observed_chain =
			&observed->chains[i];
	}
}

static bool chain_goes(const struct changeset *changeset, const char *name)
{
	const struct chain *chain = ruleset_chain(changeset->observed, name);

	return chain && changeset->observed_chains[chain - changeset->observed->chains] == WORK_DELETE;
}

static bool term_holds(const struct changeset *changeset, const struct term *term)
{
	const struct ruleset *observed = changeset->observed;
	const struct set *set;
	const struct counter *counter;

	switch (term->kind) {
	case TERM_LOOKUP:
	case TERM_MAP:
	case TERM_UPDATE:
	case TERM_KNOWN:
		set = ruleset_set(observed, term->name);
		return set && changeset->observed_sets[set - observed->sets] == WORK_DELETE;
	case TERM_COUNTER:
		counter = ruleset_counter(observed, term->name);
		return counter && changeset->observed_counters[counter - observed->counters] == WORK_DELETE;
	case TERM_VERDICT:
		return term->name && chain_goes(changeset, term->name);
	case TERM_TEST:
	case TERM_REJECT_RESET:
	case TERM_SET_LABEL:
	case TERM_TURN_RESET:
	case TERM_LIMIT:
	case TERM_LOG:
		return false;
	}
	abort();
}

/* The kernel deletes nothing that something refers to: what refers to it is emptied first, and filled anew. */
static void release_references(struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < expected->chain_count; i++) {
		const struct chain *found = ruleset_chain(observed, expected->chains[i].name);
		enum work *work = &changeset->expected_chains[i];

		if (!found || *work == WORK_CREATE || *work == WORK_REFILL)
			continue;
		for (size_t r = 0; r < found->rule_count && *work != WORK_REFILL; r++)
			for (size_t t = 0; t < found->rules[r].term_count; t++)
				if (term_holds(changeset, &found->rules[r].terms[t]))
					*work = WORK_REFILL;
	}
	for (size_t i = 0; i < expected->set_count; i++) {
		const struct set *found = ruleset_set(observed, expected->sets[i].name);

		if (!found || !found->targets || changeset->expected_sets[i] == WORK_CREATE)
			continue;
		for (size_t k = 0; k < found->elements.count; k++)
			if (found->targets[k].chain && chain_goes(changeset, found->targets[k].chain))
				changeset->expected_sets[i] = WORK_REFILL;
	}
}

static bool hooks_differ(const struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < expected->chain_count; i++)
		if (changeset->expected_chains[i] == WORK_CREATE && expected->chains[i].base)
			return true;
	for (size_t i = 0; i < observed->chain_count; i++)
		if (changeset->observed_chains[i] == WORK_DELETE &&
			(observed->chains[i].base || observed->chains[i].opaque))
			return true;
	for (size_t i = 0; i < observed->other_count; i++)
		if (observed->others[i].kind == OTHER_FLOWTABLE)
			return true;
	return false;
}

static void make_all(enum work *work, size_t count)
{
	for (size_t i = 0; i < count; i++)
		work[i] = WORK_CREATE;
}

/* Nothing of what is there stays. */
static void replace_all(struct changeset *changeset)
{
	const struct ruleset *observed = changeset->observed;

	make_all(changeset->expected_counters, changeset->expected->counter_count);
	make_all(changeset->expected_sets, changeset->expected->set_count);
	make_all(changeset->expected_chains, changeset->expected->chain_count);
	memset(changeset->observed_counters, WORK_NONE, observed->counter_count * sizeof(enum work));
	memset(changeset->observed_sets, WORK_NONE, observed->set_count * sizeof(enum work));
	memset(changeset->observed_chains, WORK_NONE, observed->chain_count * sizeof(enum work));
}

struct changeset *ruleset_diff(const struct ruleset *expected, const struct ruleset *observed)
{
	struct changeset *changeset = mem_zero(1, sizeof(*changeset));

	changeset->expected = expected;
	changeset->observed = observed;
	changeset->expected_counters = mem_zero(expected->counter_count, sizeof(enum work));
	changeset->expected_sets = mem_zero(expected->set_count, sizeof(enum work));
	changeset->expected_chains = mem_zero(expected->chain_count, sizeof(enum work));
	changeset->observed_counters = mem_zero(observed->counter_count, sizeof(enum work));
	changeset->observed_sets = mem_zero(observed->set_count, sizeof(enum work));
	changeset->observed_chains = mem_zero(observed->chain_count, sizeof(enum work));

	diff_table(changeset);
	if (!expected->present)
		return changeset;
	diff_counters(changeset);
	diff_sets(changeset);
	diff_chains(changeset);
	release_references(changeset);
	/* The kernel takes no new hook in a transaction that changes the table's flags (EINVAL, seen on 6.18). */
	if (changeset->table_flags && hooks_differ(changeset))
		changeset->table_replace = true;
	if (changeset->table_replace)
		replace_all(changeset);
	return changeset;
}

void changeset_free(struct changeset *changeset)
{
	if (!changeset)
		return;
	free(changeset->changes);
	free(changeset->expected_counters);
	free(changeset->expected_sets);
	free(changeset->expected_chains);
	free(changeset->observed_counters);
	free(changeset->observed_sets);
	free(changeset->observed_chains);
	free(changeset);
}

bool changeset_needs_preparing(const struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;

	if (!expected->present || changeset->table_missing)
		return false;
	if (changeset->table_replace)
		return true;
	for (size_t i = 0; i < expected->set_count; i++) {
		const struct set *set = &expected->sets[i];
		size_t length;
		const char *list = set_source_list(set->name, &length);

		/* Where the list itself is new, nobody is asked by it before guarded_ports is filled. */
		if (changeset->expected_sets[i] == WORK_CREATE && set->interval && set->elements.count && list &&
			ruleset_chain(changeset->observed, list) && !ruleset_set(changeset->observed, set->name))
			return true;
	}
	return false;
}

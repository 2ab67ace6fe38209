/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mutations.h"
#include "policies.h"

/* --- compile: the ruleset of each golden policy, as nft's text --- */

static char *nft_text(const struct ruleset *ruleset)
{
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	assert_non_null(stream);
	assert_true(ruleset_print_nft(ruleset, stream));
	fclose(stream);
	return text;
}

static void test_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++) {
		struct compiled compiled = compile_golden(golden_policies[i]);
		_cleanup_free_ char *text = nft_text(compiled.ruleset);
		_cleanup_free_ char *path = mem_format("tests/golden/ruleset/%s.nft", golden_policies[i]);

		golden_check(path, text);
		compiled_done(&compiled);
	}
}

/* What no golden text shows: each part of a ruleset knows where in the policy it comes from. */
static void test_origins(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++) {
		struct compiled compiled = compile_golden(golden_policies[i]);
		const struct ruleset *r = compiled.ruleset;

		for (size_t k = 0; k < r->counter_count; k++)
			assert_true(r->counters[k].origin);
		for (size_t k = 0; k < r->set_count; k++) {
			assert_true(r->sets[k].origin);
			for (size_t e = 0; e < r->sets[k].elements.count; e++)
				assert_true(intervals_get(&r->sets[k].elements, e).origin);
		}
		for (size_t k = 0; k < r->chain_count; k++) {
			assert_true(r->chains[k].origin || strcmp(r->chains[k].name, "plaintext") == 0);
			for (size_t m = 0; m < r->chains[k].rule_count; m++)
				assert_true(r->chains[k].rules[m].origin);
		}
		compiled_done(&compiled);
	}
}

/* Whatever a rule names is there, and whatever is there is used: else the kernel would refuse it, or never run it. */
static void test_closed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++) {
		struct compiled compiled = compile_golden(golden_policies[i]);
		const struct ruleset *r = compiled.ruleset;
		_cleanup_free_ bool *used_sets = mem_zero(r->set_count, sizeof(bool));
		_cleanup_free_ bool *used_chains = mem_zero(r->chain_count, sizeof(bool));

		for (size_t c = 0; c < r->chain_count; c++)
			for (size_t k = 0; k < r->chains[c].rule_count; k++)
				for (size_t t = 0; t < r->chains[c].rules[k].term_count; t++) {
					const struct term *term = &r->chains[c].rules[k].terms[t];

					if (term->kind == TERM_COUNTER)
						assert_non_null(ruleset_counter(r, term->name));
					if (term->kind == TERM_LOOKUP || term->kind == TERM_MAP) {
						const struct set *set = ruleset_set(r, term->name);

						assert_non_null(set);
						assert_true(set->map == (term->kind == TERM_MAP));
						assert_int_equal(set->key, KEY_NONE);
						assert_true(selector_info(term->selector)->size * 8 ==
							    width_bits(set->elements.width));
						used_sets[set - r->sets] = true;
					}
					if (term->kind == TERM_UPDATE || term->kind == TERM_KNOWN) {
						const struct set *set = ruleset_set(r, term->name);

						assert_non_null(set);
						assert_int_equal(set->key,
							term->key == KEY_NEXT_BYTE ? KEY_FIRST_BYTE : term->key);
						assert_int_equal(width_bits(set->elements.width),
							selector_info(term->selector)->size * 8);
						used_sets[set - r->sets] = true;
					}
					if (term->kind == TERM_VERDICT && term->name) {
						assert_non_null(ruleset_chain(r, term->name));
						used_chains[ruleset_chain(r, term->name) - r->chains] = true;
					}
				}
		for (size_t s = 0; s < r->set_count; s++)
			for (size_t e = 0; r->sets[s].map && e < r->sets[s].elements.count; e++) {
				assert_non_null(ruleset_chain(r, r->sets[s].targets[e].chain));
				used_chains[ruleset_chain(r, r->sets[s].targets[e].chain) - r->chains] = true;
			}
		for (size_t s = 0; s < r->set_count; s++)
			if (!used_sets[s])
				fail_msg("%s: nothing looks into set %s", golden_policies[i], r->sets[s].name);
		for (size_t c = 0; c < r->chain_count; c++)
			if (!used_chains[c] && !r->chains[c].base)
				fail_msg("%s: nothing leads to chain %s", golden_policies[i], r->chains[c].name);
		compiled_done(&compiled);
	}
}

/* --- lists in parts --- */

static bool is_name(const char *name)
{
	/* The token `string` of nft's scanner.l; names have at most NFT_NAME_MAXLEN - 1 = 255 bytes. */
	size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-\\");

	return ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z')) && !name[good] && good < 128;
}

/* The parts of one list: in order, disjoint, none too long, inside of what leads to them, together the whole list. */
static size_t check_parts(const struct compiled *compiled, const char *prefix, enum width width)
{
	const struct ruleset *r = compiled->ruleset;
	_cleanup_free_ char *map_name = mem_format("%s_parts", prefix);
	const struct set *map = ruleset_set(r, map_name);
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct intervals all = {.width = width};

	assert_non_null(map);
	assert_null(ruleset_set(r, prefix));
	policy_resolve(compiled->policy, &compiled->environment->clients, &v4, &v6, NULL, NULL);
	for (size_t i = 0; i < map->elements.count; i++) {
		struct interval range = intervals_get(&map->elements, i);
		const char *name = map->targets[i].chain;
		const struct set *part = ruleset_set(r, name);
		const struct chain *chain = ruleset_chain(r, name);

		assert_true(is_name(name));
		assert_int_equal(map->targets[i].verdict, VERDICT_GOTO);
		assert_non_null(part);
		assert_true(part->interval && !part->map && part->elements.width == width);
		assert_true(part->elements.count > 0 && part->elements.count <= RULESET_PART_LIMIT);
		/* Goes back for those in the set, and refuses the rest. */
		assert_non_null(chain);
		assert_int_equal(chain->rule_count, 2);
		assert_string_equal(chain->rules[0].terms[1].name, name);
		assert_int_equal(chain->rules[0].terms[2].verdict, VERDICT_RETURN);
		assert_int_equal(chain->rules[1].terms[0].verdict, VERDICT_GOTO);
		assert_string_equal(chain->rules[1].terms[0].name, "refuse_source");
		if (i > 0)
			assert_true(value_compare(intervals_get(&map->elements, i - 1).last, range.first) < 0);
		for (size_t e = 0; e < part->elements.count; e++) {
			struct interval item = intervals_get(&part->elements, e);

			assert_true(value_compare(range.first, item.first) <= 0);
			assert_true(value_compare(item.first, item.last) <= 0);
			assert_true(value_compare(item.last, range.last) <= 0);
			intervals_add(&all, item);
		}
	}
	assert_true(intervals_same(&all, width == WIDTH_IPV4 ? &v4 : &v6));
	intervals_done(&v4);
	intervals_done(&v6);
	intervals_done(&all);
	return map->elements.count;
}

static void test_parts(void **state)
{
	/* Exactly the limit (the list holds two more) is one set, one more are parts. */
	static const struct {
		size_t count;
		bool parts;
	} rows[] = {
		{RULESET_PART_LIMIT - 2, false},
		{RULESET_PART_LIMIT - 1, true},
		{RULESET_PART_LIMIT * 3, true},
		{RULESET_PART_LIMIT * 20, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = long_policy(rows[i].count, "");
		struct compiled compiled = compile_text("long.conf", text, NULL);
		const struct set *whole = ruleset_set(compiled.ruleset, "clients_v4");
		size_t parts;

		if (!rows[i].parts) {
			assert_non_null(whole);
			assert_null(ruleset_set(compiled.ruleset, "clients_v4_parts"));
			assert_int_equal(whole->elements.count, RULESET_PART_LIMIT);
		} else {
			parts = check_parts(&compiled, "clients_v4", WIDTH_IPV4);
			assert_true(parts >= 2 && parts < rows[i].count * 4 / RULESET_PART_LIMIT + 8);
			/* 10.127.255.0-10.128.0.255 is cut where the second bit of 10.0.0.0/8 begins. */
			assert_true(rows[i].count < RULESET_PART_LIMIT * 3 ||
				    ruleset_source_count(compiled.ruleset) > rows[i].count * 2 + 2);
		}
		if (rows[i].count > RULESET_PART_LIMIT)
			check_parts(&compiled, "clients_v6", WIDTH_IPV6);
		compiled_done(&compiled);
	}
}

/* One source more touches one part, or none where there was none yet: no other set, no rule. */
static void test_parts_stable(void **state)
{
	static const struct {
		const char *more;
		size_t changes;
		enum object_kind object;
	} rows[] = {
		{"\"10.127.0.1\", ", 1, OBJECT_ELEMENT},
		{"\"10.0.0.1\", ", 1, OBJECT_ELEMENT},
		{"\"2001:db8::ffff:1\", ", 1, OBJECT_ELEMENT},
		{"\"2001:db8:6:ffff::/64\", ", 1, OBJECT_ELEMENT},
		/* Covered already. */
		{"\"10.127.255.77\", ", 0, OBJECT_ELEMENT},
		/* Two elements of one part become one. */
		{"\"10.0.0.5-10.0.0.7\", ", 1, OBJECT_ELEMENT},
	};
	_cleanup_free_ char *text = long_policy(RULESET_PART_LIMIT * 5, "");
	struct compiled before = compile_text("long.conf", text, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *longer = long_policy(RULESET_PART_LIMIT * 5, rows[i].more);
		struct compiled after = compile_text("long.conf", longer, NULL);
		struct changeset *changes = ruleset_diff(after.ruleset, before.ruleset);
		size_t sets = 0;

		if (changes->count != rows[i].changes)
			fail_msg("%s: %zu changes", rows[i].more, changes->count);
		for (size_t k = 0; k < changes->count; k++)
			assert_int_equal(changes->changes[k].object, rows[i].object);
		for (size_t k = 0; k < after.ruleset->set_count; k++)
			sets += changes->expected_sets[k] != WORK_NONE;
		assert_int_equal(sets, rows[i].changes);
		changeset_free(changes);
		compiled_done(&after);
	}
	compiled_done(&before);
}

static void test_source_list(void **state)
{
	static const struct {
		const char *set;
		const char *list;
	} rows[] = {
		{"clients_v4", "clients"},
		{"clients_v6", "clients"},
		{"clients_v4_10.0.0.0_9", "clients"},
		{"clients_v4_parts", "clients"},
		{"admins_v6", "admins"},
		{"memcached_clients_v4", "memcached_clients"},
		{"bind_v4", NULL},
		{"admin_bind_v4", NULL},
		{"guarded_ports", NULL},
		{"services", NULL},
		{"clients", NULL},
		{"clients_", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t length = 0;
		const char *list = set_source_list(rows[i].set, &length);

		if (!rows[i].list) {
			assert_null(list);
			continue;
		}
		assert_non_null(list);
		assert_int_equal(length, strlen(rows[i].list));
		assert_memory_equal(list, rows[i].list, length);
	}
}

/* --- the label --- */

static void test_label(void **state)
{
	static const struct {
		const char *comments[3]; /* of the rules of prerouting; "" = none */
		const char *environment;
		uint64_t since;
	} rows[] = {
		{{"environment production, in force since 2026-01-02T03:04:05Z"}, "production", GOLDEN_SINCE},
		{{"", "environment production, in force since 2026-01-02T03:04:05Z"}, "production", GOLDEN_SINCE},
		{{"ssh", "", "environment a-b_c.d, in force since 1970-01-01T00:00:01Z"}, "a-b_c.d", 1},
		{{"environment x, in force since yesterday"}, "x", 0},
		{{"environment x, in force since "}, "x", 0},
		{{"environment x"}, NULL, 0},
		{{"environment , in force since 1970-01-01T00:00:01Z"}, "", 1},
		{{"Environment x, in force since 1970-01-01T00:00:01Z"}, NULL, 0},
		{{""}, NULL, 0},
		{{NULL}, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ruleset *ruleset = ruleset_new();
		struct chain *chain = ruleset_add_chain(ruleset, "prerouting");

		for (size_t k = 0; k < 3 && rows[i].comments[k]; k++)
			chain_add_rule(chain)->comment = *rows[i].comments[k] ? mem_string(rows[i].comments[k]) : NULL;
		ruleset_unlabel(ruleset);
		if (rows[i].environment)
			assert_string_equal(ruleset->environment, rows[i].environment);
		else
			assert_null(ruleset->environment);
		assert_int_equal(ruleset->since, rows[i].since);
		ruleset_free(ruleset);
	}
	struct ruleset *empty = ruleset_new();

	ruleset_unlabel(empty);
	assert_null(empty->environment);
	ruleset_free(empty);
}

/* --- differences --- */

static const char *work_name(enum work work)
{
	switch (work) {
	case WORK_NONE:
		return NULL;
	case WORK_CREATE:
		return "create";
	case WORK_DELETE:
		return "delete";
	case WORK_UPDATE:
		return "update";
	case WORK_REFILL:
		return "refill";
	}
	abort();
}

static void work_line(struct text *text, enum work work, const char *what, const char *name)
{
	if (work_name(work))
		text_printf(text, "  %s %s %s\n", work_name(work), what, name);
}

/* The changes as people read them, then what the batch will do. */
static char *changes_text(const struct changeset *changes)
{
	const struct ruleset *e = changes->expected;
	const struct ruleset *o = changes->observed;
	struct text text = {0};

	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->changes[i];
		_cleanup_text_ struct text object = {0};
		_cleanup_text_ struct text expected = {0};
		_cleanup_text_ struct text observed = {0};

		change_object_text(change, &object);
		change_expected_text(change, &expected);
		change_observed_text(change, &observed);
		text_printf(&text, "%s %s\n", change_kind_name(change->kind), text_string(&object));
		if (expected.length)
			text_printf(&text, "      expected %s\n", text_string(&expected));
		if (observed.length)
			text_printf(&text, "      observed %s\n", text_string(&observed));
	}
	if (changes->remove_table || changes->table_missing || changes->table_flags)
		text_printf(&text, "  %s table\n",
			changes->remove_table	 ? "delete"
			: changes->table_missing ? "create"
			: changes->table_replace ? "make anew"
						 : "update");
	for (size_t i = 0; i < o->chain_count; i++)
		work_line(&text, changes->observed_chains[i], "chain", o->chains[i].name);
	for (size_t i = 0; i < o->set_count; i++)
		work_line(&text, changes->observed_sets[i], "set", o->sets[i].name);
	for (size_t i = 0; i < o->counter_count; i++)
		work_line(&text, changes->observed_counters[i], "counter", o->counters[i].name);
	for (size_t i = 0; i < e->counter_count; i++)
		work_line(&text, changes->expected_counters[i], "counter", e->counters[i].name);
	for (size_t i = 0; i < e->set_count; i++)
		work_line(&text, changes->expected_sets[i], "set", e->sets[i].name);
	for (size_t i = 0; i < e->chain_count; i++)
		work_line(&text, changes->expected_chains[i], "chain", e->chains[i].name);
	return text_take(&text);
}

static void test_diff(void **state)
{
	struct compiled expected = compile_golden("everything");
	struct text all = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++) {
		struct compiled observed = compile_golden("everything");
		struct changeset *changes;
		_cleanup_free_ char *text = NULL;

		apply_mutation(&mutations[i], observed.ruleset);
		changes = ruleset_diff(expected.ruleset, observed.ruleset);
		text = changes_text(changes);
		if ((changes->count == 0) != mutations[i].equal)
			fail_msg("%s: %zu changes", mutations[i].name, changes->count);
		/* Nothing to say means nothing to do, and the other way round. */
		if (mutations[i].equal != (*text == '\0'))
			fail_msg("%s: %s", mutations[i].name, text);
		if (!mutations[i].long_list)
			text_printf(&all, "== %s\n%s", mutations[i].name, text);
		changeset_free(changes);
		compiled_done(&observed);
	}
	/* The table itself. */
	struct ruleset *absent = ruleset_new();
	struct changeset *changes = ruleset_diff(absent, expected.ruleset);
	_cleanup_free_ char *removed = changes_text(changes);

	text_printf(&all, "== no table expected\n%s", removed);
	changeset_free(changes);
	changes = ruleset_diff(absent, absent);
	assert_int_equal(changes->count, 0);
	changeset_free(changes);
	changes = ruleset_diff(expected.ruleset, absent);
	_cleanup_free_ char *created = changes_text(changes);

	text_printf(&all, "== no table observed\n%s", created);
	changeset_free(changes);
	ruleset_free(absent);
	golden_check("tests/golden/ruleset/diff.txt", text_string(&all));
	text_done(&all);
	compiled_done(&expected);
}

/* What we want to own must be ours, by this very socket, and by no other. */
static void test_diff_owned(void **state)
{
	static const struct {
		uint32_t flags, owner;
		bool differs, replace;
	} rows[] = {
		{TABLE_OWNED, 4711, false, false},
		{TABLE_OWNED, 4712, true, true},
		{TABLE_OWNED | TABLE_DORMANT, 4711, true, true},
		{TABLE_OWNED | 0x50, 4711, true, true},
		{TABLE_OWNER, 4711, true, true},
		{TABLE_PERSIST, 0, true, false},
		{TABLE_PERSIST | TABLE_DORMANT, 0, true, false},
		{TABLE_DORMANT, 0, true, true},
		{0, 0, true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled expected = compile_golden("everything");
		struct compiled observed = compile_golden("everything");
		struct changeset *changes;

		expected.ruleset->flags = TABLE_OWNED;
		expected.ruleset->owner = 4711;
		observed.ruleset->flags = rows[i].flags;
		observed.ruleset->owner = rows[i].owner;
		changes = ruleset_diff(expected.ruleset, observed.ruleset);
		if (changes->count != rows[i].differs || changes->table_replace != rows[i].replace)
			fail_msg("row %zu: %zu changes", i, changes->count);
		for (size_t k = 0; k < expected.ruleset->set_count; k++)
			assert_int_equal(changes->expected_sets[k], rows[i].replace ? WORK_CREATE : WORK_NONE);
		for (size_t k = 0; k < observed.ruleset->chain_count; k++)
			assert_int_equal(changes->observed_chains[k], WORK_NONE);
		changeset_free(changes);
		compiled_done(&observed);
		compiled_done(&expected);
	}
}

/* The length of a list of foreign rules must not be what an attacker makes us slow, or wrong, with. */
static void test_diff_long(void **state)
{
	struct compiled expected = compile_golden("everything");
	struct compiled observed = compile_golden("everything");
	struct changeset *changes;

	(void)state;
	mutate_ten_thousand(observed.ruleset);
	changes = ruleset_diff(expected.ruleset, observed.ruleset);
	assert_int_equal(changes->count, 10000);
	for (size_t i = 0; i < changes->count; i++) {
		assert_int_equal(changes->changes[i].kind, CHANGE_REMOVE);
		assert_int_equal(changes->changes[i].object, OBJECT_RULE);
		assert_int_equal(changes->changes[i].observed_index, i + 1);
	}
	assert_int_equal(changes->expected_chains[ruleset_chain(expected.ruleset, "judge") - expected.ruleset->chains],
		WORK_REFILL);
	changeset_free(changes);
	/* Both sides long: beyond the limit of the table that aligns them. */
	mutate_ten_thousand(expected.ruleset);
	delete_rule(mutable_chain(expected.ruleset, "judge"), 1);
	delete_rule(mutable_chain(observed.ruleset, "judge"), 10000);
	changes = ruleset_diff(expected.ruleset, observed.ruleset);
	assert_true(changes->count > 0);
	changeset_free(changes);
	compiled_done(&observed);
	compiled_done(&expected);
}

/* Same model, same result; and the other way round no difference is overlooked. */
static void test_diff_symmetric(void **state)
{
	struct compiled expected = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++) {
		if (mutations[i].long_list)
			continue;
		struct compiled observed = compile_golden("everything");
		struct changeset *changes;

		apply_mutation(&mutations[i], observed.ruleset);
		if (observed.ruleset->other_count == 0) {
			changes = ruleset_diff(observed.ruleset, expected.ruleset);
			/* But who wants to own it is not content with one that he does not. */
			bool equal = mutations[i].equal && !(observed.ruleset->flags & TABLE_OWNED);

			if ((changes->count == 0) != equal)
				fail_msg("%s", mutations[i].name);
			changeset_free(changes);
		}
		compiled_done(&observed);
	}
	compiled_done(&expected);
}

/* Each golden policy differs from each other one, and not from itself. */
static void test_diff_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++)
		for (size_t k = 0; k < ARRAY_SIZE(golden_policies); k++) {
			struct compiled a = compile_golden(golden_policies[i]);
			struct compiled b = compile_golden(golden_policies[k]);
			struct changeset *changes = ruleset_diff(a.ruleset, b.ruleset);

			if ((changes->count == 0) != (i == k))
				fail_msg("%s, %s", golden_policies[i], golden_policies[k]);
			changeset_free(changes);
			compiled_done(&a);
			compiled_done(&b);
		}
}

/* --- set_delta --- */

#define UNIVERSE 40u

/* Values 0 to UNIVERSE - 1, moved to where they lie in the width: at its low end or its high end. */
static struct value place_value(enum width width, bool high, uint64_t v)
{
	struct value top = value_max(width);

	if (!high)
		return (struct value){0, v};
	top.lo -= UNIVERSE - 1 - v;
	return top;
}

/* Disjoint intervals in ascending order; some touch. Joined where `joined`. */
static void random_list(struct intervals *list, uint64_t *seed, bool high, bool joined)
{
	uint64_t density = 1 + testing_random(seed) % 8;

	for (uint64_t v = 0; v < UNIVERSE;) {
		uint64_t length = testing_random(seed) % density;

		if (testing_random(seed) % 3 == 0)
			v += testing_random(seed) % density;
		if (v + length >= UNIVERSE)
			break;
		intervals_add(list, (struct interval){place_value(list->width, high, v),
					    place_value(list->width, high, v + length), 1});
		v += length + 1;
	}
	if (joined)
		intervals_merge(list, NULL, NULL);
}

static bool same_interval(struct interval a, struct interval b)
{
	return value_compare(a.first, b.first) == 0 && value_compare(a.last, b.last) == 0;
}

static bool overlap(struct interval a, struct interval b)
{
	return value_compare(a.first, b.last) <= 0 && value_compare(b.first, a.last) <= 0;
}

static void check_delta(const struct set *expected, const struct set *observed)
{
	struct intervals add = {.width = expected->elements.width};
	struct intervals removed = {.width = expected->elements.width};
	struct intervals after = {.width = expected->elements.width};

	set_delta(expected, observed, &add, &removed);
	for (size_t i = 0; i < removed.count; i++) {
		struct interval item = intervals_get(&removed, i);
		bool found = false;

		/* Exactly an element of the kernel's, or it will say ENOENT. */
		for (size_t k = 0; k < observed->elements.count; k++)
			found = found || same_interval(intervals_get(&observed->elements, k), item);
		assert_true(found);
		/* What is right stays. */
		assert_false(intervals_cover(&expected->elements, item));
	}
	for (size_t k = 0; k < observed->elements.count; k++) {
		struct interval item = intervals_get(&observed->elements, k);
		bool gone = false;

		for (size_t i = 0; i < removed.count; i++)
			gone = gone || same_interval(intervals_get(&removed, i), item);
		if (!gone)
			intervals_add(&after, item);
	}
	for (size_t i = 0; i < add.count; i++) {
		struct interval item = intervals_get(&add, i);

		/* The kernel would say EEXIST. */
		for (size_t k = 0; k < after.count; k++)
			assert_false(overlap(intervals_get(&after, k), item));
		assert_true(value_compare(item.first, item.last) <= 0);
	}
	for (size_t i = 0; i < add.count; i++)
		intervals_add(&after, intervals_get(&add, i));
	intervals_sort(&after);
	assert_true(intervals_same(&after, &expected->elements));
	/* What was right already needs no traffic. */
	if (intervals_same(&expected->elements, &observed->elements))
		assert_int_equal(add.count + removed.count, 0);
	intervals_done(&add);
	intervals_done(&removed);
	intervals_done(&after);
}

static void test_delta(void **state)
{
	static const enum width widths[] = {WIDTH_PORT, WIDTH_IPV4, WIDTH_IPV6};
	uint64_t seed = 20260102;

	(void)state;
	for (unsigned int i = 0; i < 60000; i++) {
		struct set expected = {.interval = true, .elements.width = widths[i % 3]};
		struct set observed = {.interval = true, .elements.width = widths[i % 3]};
		bool high = i / 3 % 2;

		random_list(&expected.elements, &seed, high, true);
		if (i % 5)
			random_list(&observed.elements, &seed, high, false);
		else
			intervals_copy(&observed.elements, &expected.elements);
		check_delta(&expected, &observed);
		intervals_done(&expected.elements);
		intervals_done(&observed.elements);
	}
}

/* What a person would send, for a few cases that a property cannot tell apart from a wasteful answer. */
static void test_delta_exact(void **state)
{
	static const struct {
		const char *expected;
		const char *observed;
		const char *removed;
		const char *added;
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0/8", "", ""},
		{"10.0.0.0/8", "", "", "10.0.0.0/8"},
		{"", "10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.0.0.0/8 11.0.0.0/8", "10.0.0.0/7", "", ""},
		{"10.0.0.0/7", "10.0.0.0/8 11.0.0.0/8", "", ""},
		{"10.0.0.0/7", "10.0.0.0/8", "", "11.0.0.0/8"},
		{"10.0.0.0/8", "10.0.0.0/7", "10.0.0.0/7", "10.0.0.0/8"},
		{"10.0.0.0/8", "0.0.0.0/1 128.0.0.0/1", "0.0.0.0/1 128.0.0.0/1", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/1 128.0.0.0/1", "", ""},
		{"0.0.0.0/0", "10.0.0.0/8", "", "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255"},
		{"10.0.0.1 10.0.0.3", "10.0.0.1 10.0.0.2 10.0.0.3", "10.0.0.2", ""},
		{"10.0.0.1-10.0.0.3", "10.0.0.1 10.0.0.3", "", "10.0.0.2"},
		{"255.255.255.255", "255.255.255.254/31", "255.255.255.254/31", "255.255.255.255"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct set expected = {.elements.width = WIDTH_IPV4};
		struct set observed = {.elements.width = WIDTH_IPV4};
		struct intervals lists[2] = {{.width = WIDTH_IPV4}, {.width = WIDTH_IPV4}};

		refill(&expected, rows[i].expected);
		refill(&observed, rows[i].observed);
		set_delta(&expected, &observed, &lists[1], &lists[0]);
		for (size_t k = 0; k < 2; k++) {
			struct text text = {0};
			char buffer[INTERVAL_TEXT];

			for (size_t e = 0; e < lists[k].count; e++)
				text_printf(&text, "%s%s", e ? " " : "",
					interval_format(WIDTH_IPV4, intervals_get(&lists[k], e), buffer));
			assert_string_equal(text_string(&text), k ? rows[i].added : rows[i].removed);
			text_done(&text);
			intervals_done(&lists[k]);
		}
		intervals_done(&expected.elements);
		intervals_done(&observed.elements);
	}
}

/* --- words for what the compiler never writes, but somebody else may have --- */

static void test_words(void **state)
{
	static const struct {
		struct term terms[2];
		const char *names[2];
		const char *text;
	} rows[] = {
		{{{.kind = TERM_VERDICT, .verdict = VERDICT_ACCEPT}}, {NULL}, "accept"},
		{{{.kind = TERM_VERDICT, .verdict = VERDICT_RETURN}}, {NULL}, "return"},
		{{{.kind = TERM_VERDICT, .verdict = VERDICT_GOTO}}, {"a"}, "goto a"},
		{{{.kind = TERM_VERDICT, .verdict = VERDICT_JUMP}}, {"a"}, "jump a"},
		{{{.kind = TERM_LOOKUP, .selector = SELECT_IP_SADDR, .inverted = true}}, {"s"}, "ip saddr != @s"},
		{{{.kind = TERM_TEST, .selector = SELECT_IIF, .value = {0, 1}}}, {NULL}, "iif \"lo\""},
		{{{.kind = TERM_TEST, .selector = SELECT_IIF, .value = {0, 7}}}, {NULL}, "iif 7"},
		{{{.kind = TERM_TEST, .selector = SELECT_OIFKIND, .value = {0x6d20220a1b000000, 0}}}, {NULL},
			"meta oifkind \"m ???\""},
		{{{.kind = TERM_TEST, .selector = SELECT_NFPROTO, .value = {0, 10}}}, {NULL}, "meta nfproto ipv6"},
		{{{.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 17}}}, {NULL}, "meta l4proto udp"},
		{{{.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 6}}}, {NULL}, "meta l4proto tcp"},
		{{{.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 99}}}, {NULL}, "meta l4proto 99"},
		/* nft adds the protocol by itself where the next test needs it. */
		{{{.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 6}},
			 {.kind = TERM_TEST, .selector = SELECT_TCP_DPORT, .value = {0, 80}}},
			{NULL}, "tcp dport 80"},
		{{{.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 17}},
			 {.kind = TERM_TEST, .selector = SELECT_TCP_DPORT, .value = {0, 80}}},
			{NULL}, "meta l4proto udp tcp dport 80"},
		{{{.kind = TERM_TEST, .selector = SELECT_NFPROTO, .value = {0, 2}},
			 {.kind = TERM_TEST, .selector = SELECT_IP6_SADDR, .value = {0, 1}}},
			{NULL}, "meta nfproto ipv4 ip6 saddr ::1"},
		{{{.kind = TERM_TEST, .selector = SELECT_IP_DADDR, .test = TEST_NOT_EQUAL, .value = {0, 0x7f000001}}},
			{NULL}, "ip daddr != 127.0.0.1"},
		{{{.kind = TERM_TEST, .selector = SELECT_TCP_SPORT, .value = {0, 65535}}}, {NULL}, "tcp sport 65535"},
		{{{.kind = TERM_TEST,
			 .selector = SELECT_TCP_FLAGS,
			 .test = TEST_MASKED_EQUAL,
			 .value = {0, 2},
			 .mask = {0, 0x17}}},
			{NULL}, "tcp flags & (fin | syn | rst | ack) == syn"},
		{{{.kind = TERM_TEST, .selector = SELECT_TCP_FLAGS, .test = TEST_NO_BIT, .mask = {0, 4}}}, {NULL},
			"tcp flags ! rst"},
		{{{.kind = TERM_TEST, .selector = SELECT_CT_STATE, .test = TEST_ANY_BIT, .mask = {0, 0x40000041}}},
			{NULL}, "ct state invalid,untracked,0x40000000"},
		{{{.kind = TERM_TEST, .selector = SELECT_CT_STATUS, .test = TEST_ANY_BIT, .mask = {0, 0}}}, {NULL},
			"ct status 0x0"},
		{{{.kind = TERM_TEST, .selector = SELECT_FIB_DADDR_TYPE, .value = {0, 3}}}, {NULL},
			"fib daddr type broadcast"},
		{{{.kind = TERM_COUNTER}, {.kind = TERM_REJECT_RESET}}, {"c", NULL},
			"counter name \"c\" reject with tcp reset"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rule rule = {0};
		struct text text = {0};

		for (size_t k = 0; k < 2; k++)
			if (k == 0 || rows[i].terms[k].kind || rows[i].terms[k].selector)
				rule_add_term(&rule, &rows[i].terms[k], rows[i].names[k]);
		rule_print(&rule, &text);
		assert_string_equal(text_string(&text), rows[i].text);
		/* It equals itself, and no other row. */
		for (size_t other = 0; other < ARRAY_SIZE(rows); other++) {
			struct rule twin = {0};

			for (size_t k = 0; k < 2; k++)
				if (k == 0 || rows[other].terms[k].kind || rows[other].terms[k].selector)
					rule_add_term(&twin, &rows[other].terms[k], rows[other].names[k]);
			assert_true(rule_equal(&rule, &twin) == (i == other));
			rule_done(&twin);
		}
		text_done(&text);
		rule_done(&rule);
	}
}

/* A full disk is not a success. */
static void test_print_fails(void **state)
{
	struct compiled compiled = compile_golden("everything");
	FILE *full = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(full);
	assert_false(ruleset_print_nft(compiled.ruleset, full));
	fclose(full);
	compiled_done(&compiled);
}

/* The same number where nothing differs, another one where anything does. */
static void test_fingerprint(void **state)
{
	uint64_t seen[ARRAY_SIZE(golden_policies)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++) {
		struct compiled compiled = compile_golden(golden_policies[i]);
		struct ruleset *later = ruleset_compile(compiled.policy, compiled.environment, GOLDEN_SINCE + 3600);

		seen[i] = ruleset_fingerprint(compiled.ruleset);
		assert_true(seen[i] == ruleset_fingerprint(later));
		for (size_t k = 0; k < i; k++)
			assert_true(seen[i] != seen[k]);
		/* Each element and each rule counts, the environment too. */
		for (size_t s = 0; s < later->set_count; s++) {
			struct intervals *elements = &later->sets[s].elements;

			for (size_t e = 0; e < elements->count; e++) {
				struct interval item = intervals_get(elements, e);
				struct interval other = item;

				other.last.lo ^= 1;
				intervals_set(elements, e, other);
				assert_true(seen[i] != ruleset_fingerprint(later));
				intervals_set(elements, e, item);
			}
		}
		for (size_t c = 0; c < later->chain_count; c++)
			for (size_t r = 1; r < later->chains[c].rule_count; r++) {
				struct rule *rules = later->chains[c].rules;
				struct rule rule = rules[r];

				if (rule_equal(&rules[r - 1], &rules[r]))
					continue;
				rules[r] = rules[r - 1];
				rules[r - 1] = rule;
				assert_true(seen[i] != ruleset_fingerprint(later));
				rules[r - 1] = rules[r];
				rules[r] = rule;
			}
		assert_true(seen[i] == ruleset_fingerprint(later));
		free(later->environment);
		later->environment = mem_string("another");
		assert_true(seen[i] != ruleset_fingerprint(later));
		ruleset_free(later);
		compiled_done(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_stable),
		cmocka_unit_test(test_source_list),
		cmocka_unit_test(test_label),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_owned),
		cmocka_unit_test(test_diff_long),
		cmocka_unit_test(test_diff_symmetric),
		cmocka_unit_test(test_diff_policies),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_delta_exact),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_print_fails),
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}

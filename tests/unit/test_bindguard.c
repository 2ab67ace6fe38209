/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The model of the bind guard, and what differs between two of it. What the kernel makes of it:
 * tests/kernel/bind_guard.sh. */

#include "bindguard.h"
#include "testing.h"

/* "10.0.0.5 ::1" */
static void read_list(const char *list, struct intervals *v4, struct intervals *v6)
{
	_cleanup_free_ char *copy = mem_string(list);
	char *rest = copy;
	const char *word;

	*v4 = (struct intervals){.width = WIDTH_IPV4};
	*v6 = (struct intervals){.width = WIDTH_IPV6};
	while ((word = strsep(&rest, " "))) {
		char why[INTERVAL_WHY];
		struct interval item;
		enum width width;

		if (!*word)
			continue;
		assert_int_equal(interval_parse(word, &width, &item, why), 0);
		intervals_add(width == WIDTH_IPV4 ? v4 : v6, item);
	}
}

/* "6379 deny 10.0.0.5 ::1;6380 rewrite ::1", with both hooks as given. */
static struct bindguard read_guard(const char *text, enum bindguard_attachment bind4, enum bindguard_attachment bind6)
{
	struct bindguard guard = {.hooks = {bind4, bind6}, .remains = bind4 != ATTACHED_NOT || bind6 != ATTACHED_NOT};
	_cleanup_free_ char *copy = mem_string(text);
	char *rest = copy;
	char *item;

	while ((item = strsep(&rest, ";"))) {
		struct intervals v4, v6;
		char *port;

		if (!*item)
			continue;
		port = strsep(&item, " ");
		enum bindguard_mode mode = strcmp(strsep(&item, " "), "deny") == 0 ? BINDGUARD_DENY : BINDGUARD_REWRITE;

		read_list(item ? item : "", &v4, &v6);
		bindguard_add(&guard, (uint16_t)atoi(port), mode, &v4, &v6, 7);
		intervals_done(&v4);
		intervals_done(&v6);
	}
	return guard;
}

static const struct {
	const char *wanted, *found;
	enum bindguard_attachment bind4, bind6;
	bool undecodable;
	const char *changes; /* "object: expected -> observed" lines */
} rows[] = {
	{"", "", ATTACHED_NOT, ATTACHED_NOT, false, ""},
	{"6379 deny 10.0.0.5", "6379 deny 10.0.0.5", ATTACHED, ATTACHED, false, ""},
	/* The order matters to what is rewritten to, and to nothing else. */
	{"6379 deny 10.0.0.5 10.0.0.4 ::2 ::1", "6379 deny ::1 10.0.0.4 ::2 10.0.0.5", ATTACHED, ATTACHED, false, ""},
	{"6379 rewrite 10.0.0.5 10.0.0.4", "6379 rewrite 10.0.0.4 10.0.0.5", ATTACHED, ATTACHED, false,
		"bind guard port 6379: rewrite to 10.0.0.5 all but 10.0.0.4, 10.0.0.5 -> "
		"rewrite to 10.0.0.4 all but 10.0.0.4, 10.0.0.5\n"},
	/* Twice in the policy is once in the kernel. */
	{"6379 deny 10.0.0.5 10.0.0.5 ::1 ::1", "6379 deny 10.0.0.5 ::1", ATTACHED, ATTACHED, false, ""},
	{"6379 deny 10.0.0.5", "", ATTACHED_NOT, ATTACHED_NOT, false,
		"bind guard hook bind4: attached -> -\n"
		"bind guard hook bind6: attached -> -\n"
		"bind guard port 6379: deny all but 10.0.0.5 -> -\n"},
	{"", "6379 deny 10.0.0.5", ATTACHED, ATTACHED_NO_MORE, false,
		"bind guard hook bind4: - -> attached\n"
		"bind guard hook bind6: - -> attached no more\n"
		"bind guard port 6379: - -> deny all but 10.0.0.5\n"},
	{"6379 deny 10.0.0.5", "6379 deny 10.0.0.5", ATTACHED_OTHER, ATTACHED_NO_MORE, false,
		"bind guard hook bind4: attached -> another program\n"
		"bind guard hook bind6: attached -> attached no more\n"},
	{"6379 deny 10.0.0.5;6381 deny ::1", "6379 rewrite 10.0.0.5 ::1;6380 deny", ATTACHED, ATTACHED, false,
		"bind guard port 6379: deny all but 10.0.0.5 -> rewrite to 10.0.0.5 or ::1 all but 10.0.0.5, ::1\n"
		"bind guard port 6380: - -> deny all but nothing\n"
		"bind guard port 6381: deny all but ::1 -> -\n"},
	{"6379 deny ::1", "", ATTACHED, ATTACHED, true,
		"bind guard rules: as the policy says -> cannot be told\n"
		"bind guard port 6379: deny all but ::1 -> -\n"},
	/* Port 0 is none, and the first of two is taken. */
	{"0 deny ::1;6379 deny ::1;6379 deny ::2", "6379 deny ::1", ATTACHED, ATTACHED, false, ""},
	{"6379 rewrite ::1", "6379 rewrite", ATTACHED, ATTACHED, false,
		"bind guard port 6379: rewrite to ::1 all but ::1 -> rewrite to nothing all but nothing\n"},
};

static void test_diff(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bindguard wanted = read_guard(rows[i].wanted, ATTACHED_NOT, ATTACHED_NOT);
		struct bindguard found = read_guard(rows[i].found, rows[i].bind4, rows[i].bind6);
		struct bindguard_changes changes = {0};
		_cleanup_text_ struct text text = {0};

		found.undecodable = rows[i].undecodable;
		bindguard_diff(&wanted, &found, &changes);
		for (size_t k = 0; k < changes.count; k++) {
			const struct bindguard_change *change = &changes.items[k];

			text_printf(&text, "%s: %s -> %s\n", change->object, change->expected ? change->expected : "-",
				change->observed ? change->observed : "-");
			/* Whatever the policy asks for has its place. */
			assert_int_equal(change->origin, change->expected ? 7 : 0);
		}
		if (strcmp(text_string(&text), rows[i].changes) != 0)
			fail_msg("row %zu: expected\n%sseen\n%s", i, rows[i].changes, text_string(&text));
		bindguard_changes_done(&changes);
		bindguard_done(&found);
		bindguard_done(&wanted);
	}
}

/* A folder of which nothing is in force must go, too. */
static void test_leftovers(void **state)
{
	struct bindguard nothing = {0};
	struct bindguard found = {.remains = true};
	struct bindguard_changes changes = {0};

	(void)state;
	bindguard_diff(&nothing, &found, &changes);
	assert_int_equal(changes.count, 1);
	assert_string_equal(changes.items[0].object, "bind guard folder");
	assert_null(changes.items[0].expected);
	bindguard_changes_done(&changes);
}

static void test_fingerprint(void **state)
{
	static const char *const texts[] = {"6379 deny ::1", "6379 rewrite ::1", "6380 deny ::1", "6379 deny ::2",
		"6379 deny ::1;6380 deny ::1", "6379 rewrite ::1 ::2", "6379 rewrite ::2 ::1"};
	uint64_t seen[ARRAY_SIZE(texts)];
	struct bindguard nothing = {0};

	(void)state;
	assert_true(bindguard_fingerprint(&nothing) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct bindguard guard = read_guard(texts[i], ATTACHED_NOT, ATTACHED_NOT);

		seen[i] = bindguard_fingerprint(&guard);
		assert_true(seen[i] != 0);
		for (size_t k = 0; k < i; k++)
			assert_true(seen[k] != seen[i]);
		bindguard_done(&guard);
	}
	struct bindguard one = read_guard("6379 deny ::1 ::2;6380 deny ::1", ATTACHED_NOT, ATTACHED_NOT);
	struct bindguard same = read_guard("6380 deny ::1;6379 deny ::2 ::1", ATTACHED_NOT, ATTACHED_NOT);

	assert_true(bindguard_fingerprint(&one) == bindguard_fingerprint(&same));
	bindguard_done(&one);
	bindguard_done(&same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests_name("bindguard", tests, NULL, NULL);
}

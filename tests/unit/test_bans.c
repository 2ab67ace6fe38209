/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Bans: what is planned where they overlap, what the kernel's elements say, and what may be banned at all. */

#include "cmd/cmd.h"
#include "fake_kernel.h"
#include "policies.h"

static void add(struct bans *bans, const char *source, uint64_t milliseconds)
{
	struct ban ban = {.milliseconds = milliseconds};
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(source, &ban.width, &ban.source, why), 0);
	bans_add(bans, &ban);
}

/* "10.0.0.1 60, 10.0.0.2 never": source and milliseconds of each. */
static struct bans parse_bans(const char *text)
{
	_cleanup_free_ char *copy = mem_string(text);
	struct bans bans = {0};
	char *rest = copy;
	char *item;

	while ((item = strsep(&rest, ","))) {
		char source[INTERVAL_TEXT];
		char time[32];

		if (sscanf(item, " %90s %30s", source, time) == 2)
			add(&bans, source, strcmp(time, "never") == 0 ? UINT64_MAX : strtoull(time, NULL, 10));
	}
	return bans;
}

static char *described(const struct bans *bans)
{
	struct text text = {0};
	char source[INTERVAL_TEXT];

	for (size_t i = 0; i < bans->count; i++) {
		const struct ban *ban = &bans->items[i];

		text_printf(&text, "%s%s ", i ? ", " : "", interval_format(ban->width, ban->source, source));
		if (ban->milliseconds == UINT64_MAX)
			text_append(&text, "never");
		else
			text_printf(&text, "%llu", (unsigned long long)ban->milliseconds);
	}
	return text_take(&text);
}

/* --- plans --- */

static const struct plan_row {
	const char *bans;
	const char *source;
	uint64_t milliseconds; /* 0: unban */
	const char *remove, *add;
} plans[] = {
	{"", "10.0.0.1", 60, "", "10.0.0.1 60"},
	{"10.0.0.1 59", "10.0.0.1", 60, "10.0.0.1 59", "10.0.0.1 60"},
	{"10.0.0.1 60", "10.0.0.1", 60, "", ""},
	{"10.0.0.1 never", "10.0.0.1", 60, "", ""},
	{"10.0.0.0/24 99", "10.0.0.1", 60, "", ""},
	{"10.0.0.0/24 9", "10.0.0.1", 60, "10.0.0.0/24 9", "10.0.0.0 9, 10.0.0.2-10.0.0.255 9, 10.0.0.1 60"},
	{"10.0.0.0/24 9", "10.0.0.0", 60, "10.0.0.0/24 9", "10.0.0.1-10.0.0.255 9, 10.0.0.0 60"},
	{"10.0.0.1 9, 10.0.0.3 99, 10.0.0.7 60, 10.0.1.0 99", "10.0.0.0/29", 60, "10.0.0.1 9",
		"10.0.0.0-10.0.0.2 60, 10.0.0.4-10.0.0.6 60"},
	{"10.0.0.0/31 99, 10.0.0.2/31 99", "10.0.0.0/30", 60, "", ""},
	{"10.0.0.0-10.0.0.4 9, 10.0.0.6-10.0.0.20 9", "10.0.0.2-10.0.0.8", 60,
		"10.0.0.0-10.0.0.4 9, 10.0.0.6-10.0.0.20 9",
		"10.0.0.0/31 9, 10.0.0.9-10.0.0.20 9, 10.0.0.2-10.0.0.8 60"},
	{"10.0.0.0-10.0.0.4 99, 10.0.0.6-10.0.0.20 99", "10.0.0.2-10.0.0.8", 60, "", "10.0.0.5 60"},
	{"2001:db8::/64 9", "10.0.0.1", 60, "", "10.0.0.1 60"},
	{"10.0.0.0/24 9", "2001:db8::/64", 60, "", "2001:db8::/64 60"},
	{"ffff::/16 99", "ffff:ffff::/32", 60, "", ""},
	{"ffff::/16 9", "ffff:ffff::/32", 60, "ffff::/16 9",
		"ffff::-ffff:fffe:ffff:ffff:ffff:ffff:ffff:ffff 9, ffff:ffff::/32 60"},
	{"", "10.0.0.1", 0, "", ""},
	{"10.0.0.2 9, 2001:db8::1 9", "10.0.0.1", 0, "", ""},
	{"10.0.0.1 9", "10.0.0.1", 0, "10.0.0.1 9", ""},
	{"10.0.0.0/30 9", "10.0.0.1", 0, "10.0.0.0/30 9", "10.0.0.0 9, 10.0.0.2/31 9"},
	{"10.0.0.1 9, 10.0.0.9 never, 10.0.1.0 9", "10.0.0.0/24", 0, "10.0.0.1 9, 10.0.0.9 never", ""},
	{"0.0.0.0/0 never", "255.255.255.255", 0, "0.0.0.0/0 never", "0.0.0.0-255.255.255.254 never"},
	{"0.0.0.0/0 never", "0.0.0.0", 0, "0.0.0.0/0 never", "0.0.0.1-255.255.255.255 never"},
};

static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		const struct plan_row *row = &plans[i];
		struct bans bans = parse_bans(row->bans);
		struct ban_plan plan = {0};
		struct interval source;
		enum width width;
		char why[INTERVAL_WHY];

		assert_int_equal(interval_parse(row->source, &width, &source, why), 0);
		if (row->milliseconds)
			bans_plan_ban(&bans, width, source, row->milliseconds, &plan);
		else
			bans_plan_unban(&bans, width, source, &plan);
		_cleanup_free_ char *removed = described(&plan.remove);
		_cleanup_free_ char *added = described(&plan.add);

		if (strcmp(removed, row->remove) != 0 || strcmp(added, row->add) != 0)
			fail_msg("row %zu, %s in '%s': remove '%s', add '%s'", i, row->source, row->bans, removed,
				added);
		ban_plan_done(&plan);
		bans_done(&bans);
	}
}

/* --- elements --- */

static void put(struct ban_ends *ends, const char *address, bool end, uint64_t milliseconds)
{
	struct interval item;
	enum width width;
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(address, &width, &item, why), 0);
	ends->items = mem_resize(ends->items, ends->count + 1, sizeof(*ends->items));
	ends->items[ends->count++] = (struct ban_end){item.first, end, milliseconds};
}

static void test_pairs(void **state)
{
	static const struct {
		const char *ends; /* an end is "-ADDRESS" */
		const char *bans;
	} rows[] = {
		{"", ""},
		{"10.0.0.1 -10.0.0.2", "10.0.0.1 7"},
		{"-10.0.0.2 10.0.0.1", "10.0.0.1 7"},
		{"-0.0.0.0 10.0.0.1 -10.0.0.2", "10.0.0.1 7"},
		{"10.0.0.1 -10.0.0.2 10.0.0.2 -10.0.0.3", "10.0.0.1 7, 10.0.0.2 7"},
		/* Its time was over, and the kernel shows the end alone. */
		{"-10.0.0.2 10.0.0.5 -10.0.0.6", "10.0.0.5 7"},
		{"10.0.0.1 -10.0.0.2 -10.0.0.4", "10.0.0.1 7"},
		{"255.255.255.0", "255.255.255.0/24 7"},
		/* What only others could have put there. */
		{"10.0.0.1 10.0.0.1 -10.0.0.2", "10.0.0.1 7"},
		{"10.0.0.1 10.0.0.3 -10.0.0.4", "10.0.0.1-10.0.0.2 7, 10.0.0.3 7"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *copy = mem_string(rows[i].ends);
		struct ban_ends ends = {0};
		struct bans bans = {0};
		char *rest = copy;
		char *item;

		while ((item = strsep(&rest, " ")))
			if (*item)
				put(&ends, item + (*item == '-'), *item == '-', 7);
		ban_ends_pair(&ends, WIDTH_IPV4, &bans);
		_cleanup_free_ char *text = described(&bans);

		assert_string_equal(text, rows[i].bans);
		ban_ends_done(&ends);
		bans_done(&bans);
	}
}

static void expect_bans(struct nft *nft, const char *wanted)
{
	struct bans bans = {0};
	struct err err = {0};

	assert_int_equal(nft_read_bans(nft, &bans, &err), 0);
	_cleanup_free_ char *text = described(&bans);

	assert_string_equal(text, wanted);
	bans_done(&bans);
}

static struct interval interval_of(const char *text, enum width *ret)
{
	struct interval item;
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(text, ret, &item, why), 0);
	return item;
}

/* Against a kernel that only pretends, in which nothing ends. */
static void test_conversation(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct fake fake;
	struct nft *nft;
	struct err err = {0};
	enum width width;
	struct interval source;
	size_t changed = 0;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, compiled.ruleset);
	fake.blind = true;
	nft = fake_open(&fake);
	expect_bans(nft, "");
	source = interval_of("10.66.0.0/24", &width);
	assert_int_equal(nft_ban(nft, width, source, 60000, &changed, &err), 0);
	assert_int_equal(changed, 1);
	source = interval_of("2001:db8::/64", &width);
	assert_int_equal(nft_ban(nft, width, source, 60000, &changed, &err), 0);
	expect_bans(nft, "10.66.0.0/24 never, 2001:db8::/64 never");
	assert_int_equal(nft_ban(nft, width, source, 60000, &changed, &err), 0);
	assert_int_equal(changed, 0);
	source = interval_of("10.66.0.255", &width);
	assert_int_equal(nft_unban(nft, width, source, &changed, &err), 0);
	assert_int_equal(changed, 1);
	expect_bans(nft, "10.66.0.0-10.66.0.254 never, 2001:db8::/64 never");
	assert_int_equal(nft_unban(nft, width, source, &changed, &err), 0);
	assert_int_equal(changed, 0);
	assert_int_equal(nft_unban_all(nft, &changed, &err), 0);
	assert_int_equal(changed, 2);
	expect_bans(nft, "");
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&compiled);
}

/* --- what may be banned --- */

static const struct check_row {
	const char *source;
	int code;
	unsigned int line;
	const char *message;
} checks_of[] = {
	{"203.0.113.7", 0, 0, ""},
	{"10.20.1.0/24", 0, 0, ""}, /* a client may be banned */
	{"10.20.0.5", -EPERM, 7, "10.20.0.5 cannot be banned: 10.20.0.5 is in bind, an address of this host"},
	{"10.9.0.0/16", -EPERM, 5, "10.9.0.0/16 cannot be banned: 10.9.0.0/28 is in admins"},
	{"10.30.0.7", -EPERM, 3, "10.30.0.7 cannot be banned: 10.30.0.0/24 is in never_ban"},
	{"10.31.0.0-10.31.0.9", -EPERM, 6, "10.31.0.0-10.31.0.9 cannot be banned: 10.31.0.9 is in never_ban"},
	{"127.0.0.1", -EPERM, 0, "127.0.0.1 cannot be banned: 127.0.0.0/8 is this host itself"},
	{"::1", -EPERM, 0, "::1 cannot be banned: ::1 is this host itself"},
	{"203.0.0.0/16", 0, 0, ""},
	{"203.0.0.1-203.1.0.0", 0, 0, ""},
	{"203.0.0.0-203.1.0.0", -EINVAL, 0, "203.0.0.0-203.1.0.0 is too much for one ban: a /16 at most"},
	{"0.0.0.0/0", -EINVAL, 0, "0.0.0.0/0 is too much for one ban: a /16 at most"},
	{"2001:dead::/32", 0, 0, ""},
	{"2001:deac::/31", -EINVAL, 0, NULL},
	{"::/0", -EINVAL, 0, "::/0 is too much for one ban: a /32 at most"},
};

static const char policy_text[] = "default_environment = e\n"
				  "service { port = 6379 admin_port = 9999 }\n"
				  "network monitor { sources = {\"10.30.0.0/24\"} }\n"
				  "environment e { tls = off clients = {\"10.20.0.0/16\", \"2001:db8::/64\"}\n"
				  "admins = {\"10.9.0.0/28\", \"2001:db8:0:9::1\"}\n"
				  "never_ban = {monitor, \"10.31.0.9\"}\n"
				  "bind = {\"10.20.0.5\"} %s }\n";

static void test_check(void **state)
{
	_cleanup_free_ char *text = mem_format(policy_text, "");
	struct compiled compiled = compile_text("p.conf", text, NULL);
	const struct environment *environment = policy_environment(compiled.policy, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(checks_of); i++) {
		const struct check_row *row = &checks_of[i];
		struct err err = {0};
		enum width width;
		struct interval source = interval_of(row->source, &width);
		int code = ban_check(compiled.policy, environment, width, source, &err);

		if (code != row->code || err.line != row->line ||
			(row->message && strcmp(err.message, row->message) != 0))
			fail_msg("%s: %d, line %u: %s", row->source, code, err.line, err.message);
		assert_true(code == 0 || err.hint[0]);
	}
	compiled_done(&compiled);
}

static void test_widened(void **state)
{
	static const struct {
		const char *option;
		const char *address;
		const char *banned;
	} rows[] = {
		{"", "203.0.113.7", "203.0.113.7"},
		{"", "2001:db8:0:1:2::3", "2001:db8:0:1::/64"},
		{"ipv6_source_prefix = 56", "2001:db8:1:1:2::3", "2001:db8:1::/56"},
		{"ipv6_source_prefix = 128", "2001:db8:1:1:2::3", "2001:db8:1:1:2::3"},
		{"ipv6_source_prefix = 1", "2001:dead:1:1:2::3", "2001:dead::/32"},
		/* An admin lives there. */
		{"", "2001:db8:0:9::2", "2001:db8:0:9::2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = mem_format(policy_text, rows[i].option);
		struct compiled compiled = compile_text("p.conf", text, NULL);
		enum width width;
		struct interval source = interval_of(rows[i].address, &width);
		char seen[INTERVAL_TEXT];

		source = ban_widened(
			compiled.policy, policy_environment(compiled.policy, NULL, NULL), width, source.first);
		assert_string_equal(interval_format(width, source, seen), rows[i].banned);
		compiled_done(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_widened),
	};

	return cmocka_run_group_tests_name("bans", tests, NULL, NULL);
}

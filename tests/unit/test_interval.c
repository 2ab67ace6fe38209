/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "interval.h"

/* --- text --- */

static const struct {
	const char *text;
	const char *canonical;
	enum width width;
} good[] = {
	{"0.0.0.0", "0.0.0.0", WIDTH_IPV4},
	{"255.255.255.255", "255.255.255.255", WIDTH_IPV4},
	{"192.0.2.1", "192.0.2.1", WIDTH_IPV4},
	{"192.0.2.1/32", "192.0.2.1", WIDTH_IPV4},
	{"192.0.2.0/31", "192.0.2.0/31", WIDTH_IPV4},
	{"0.0.0.0/0", "0.0.0.0/0", WIDTH_IPV4},
	{"128.0.0.0/1", "128.0.0.0/1", WIDTH_IPV4},
	{"10.0.0.1-10.0.0.1", "10.0.0.1", WIDTH_IPV4},
	{"10.0.0.0-10.0.0.255", "10.0.0.0/24", WIDTH_IPV4},
	{"10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2", WIDTH_IPV4},
	{"0.0.0.0-255.255.255.255", "0.0.0.0/0", WIDTH_IPV4},
	{"::", "::", WIDTH_IPV6},
	{"::/0", "::/0", WIDTH_IPV6},
	{"::1/128", "::1", WIDTH_IPV6},
	{"[2001:db8::1]", "2001:db8::1", WIDTH_IPV6},
	{"[2001:db8::]/32", "2001:db8::/32", WIDTH_IPV6},
	{"[::1]-[::2]", "::1-::2", WIDTH_IPV6},
	{"2001:DB8::A", "2001:db8::a", WIDTH_IPV6},
	{"2001:db8::/64", "2001:db8::/64", WIDTH_IPV6},
	{"2001:db8::/65", "2001:db8::/65", WIDTH_IPV6},
	{"2001:db8::-2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64", WIDTH_IPV6},
	{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0", WIDTH_IPV6},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", WIDTH_IPV6},
	/* IPv4-mapped: what arrives on the wire is IPv4. */
	{"::ffff:192.0.2.1", "192.0.2.1", WIDTH_IPV4},
	{"::ffff:c000:0201", "192.0.2.1", WIDTH_IPV4},
	{"::ffff:192.0.2.0/120", "192.0.2.0/24", WIDTH_IPV4},
	{"::ffff:0:0/96", "0.0.0.0/0", WIDTH_IPV4},
	{"::ffff:10.0.0.1-::ffff:10.0.0.9", "10.0.0.1-10.0.0.9", WIDTH_IPV4},
	/* Not mapped: longer than the mapped part, or next to it. */
	{"::/95", "::/95", WIDTH_IPV6},
	{"::fffe:c000:0201", "::fffe:c000:201", WIDTH_IPV6},
	{"::192.0.2.1", "::192.0.2.1", WIDTH_IPV6},
};

static void test_parse_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct interval item = {.origin = 7};
		struct interval again = {0};
		char buffer[INTERVAL_TEXT];
		char why[INTERVAL_WHY] = "";
		enum width width = WIDTH_PORT;
		int r = interval_parse(good[i].text, &width, &item, why);

		if (r != 0)
			fail_msg("%s: %s", good[i].text, why);
		assert_int_equal(width, good[i].width);
		assert_int_equal(item.origin, 7);
		assert_string_equal(interval_format(width, item, buffer), good[i].canonical);
		/* What is printed means the same when it is read. */
		assert_int_equal(interval_parse(buffer, &width, &again, why), 0);
		assert_int_equal(width, good[i].width);
		assert_int_equal(value_compare(item.first, again.first), 0);
		assert_int_equal(value_compare(item.last, again.last), 0);
	}
}

static const struct {
	const char *text;
	int code;
	const char *why;
} bad[] = {
	{"10.0.0.1/24", EINVAL,
		"'10.0.0.1/24' has host bits set: write 10.0.0.0/24 for the network, or 10.0.0.1 for the host"},
	{"10.0.0.1/0", EINVAL,
		"'10.0.0.1/0' has host bits set: write 0.0.0.0/0 for the network, or 10.0.0.1 for the host"},
	{"255.255.255.255/31", EINVAL,
		"'255.255.255.255/31' has host bits set: write 255.255.255.254/31 for the network, or 255.255.255.255 "
		"for "
		"the host"},
	{"2001:db8::1/64", EINVAL,
		"'2001:db8::1/64' has host bits set: write 2001:db8::/64 for the network, or 2001:db8::1 for the host"},
	{"::ffff:10.0.0.1/120", EINVAL,
		"'::ffff:10.0.0.1/120' has host bits set: write ::ffff:10.0.0.0/120 for the network, or "
		"::ffff:10.0.0.1 "
		"for the host"},
	{"10.0.0.2-10.0.0.1", EINVAL, "'10.0.0.2-10.0.0.1' is reversed: write 10.0.0.1-10.0.0.2"},
	{"::2-::1", EINVAL, "'::2-::1' is reversed: write ::1-::2"},
	{"10.0.0.1-::1", EINVAL, "'10.0.0.1-::1' mixes IPv4 and IPv6: write one range for each"},
	{"10.0.0.0/8-10.0.0.1", EINVAL, "'10.0.0.0/8-10.0.0.1' mixes a prefix and a range: write one of them"},
	{"10.0.0.1-", EINVAL, "'10.0.0.1-' is not a range of addresses: write FIRST-LAST, two addresses"},
	{"10.0.0.1-10", EINVAL, "'10.0.0.1-10' is not a range of addresses: write FIRST-LAST, two addresses"},
	{"10.0.0.0/33", EINVAL, "'10.0.0.0/33': prefix length: 33 is out of range: write 0 to 32"},
	{"::/129", EINVAL, "'::/129': prefix length: 129 is out of range: write 0 to 128"},
	{"10.0.0.0/", EINVAL, "'10.0.0.0/': prefix length: '' is not a decimal number"},
	{"10.0.0.0/08", EINVAL,
		"'10.0.0.0/08': prefix length: '08' begins with a zero, which could be read as octal: write it "
		"without"},
	{"10.0.0.0/-1", EINVAL, "'10.0.0.0/-1' mixes a prefix and a range: write one of them"},
	{"10.0.0.0/255.0.0.0", EINVAL,
		"'10.0.0.0/255.0.0.0': the length of a prefix is a number of bits: write it as /0 to /32"},
	{"10.0.0/24", EINVAL, "'10.0.0/24' is not a prefix: write ADDRESS/LENGTH"},
	{"10.0.0.256", EINVAL,
		"'10.0.0.256' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"10.0.0.01", EINVAL,
		"'10.0.0.01' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"10.0.0.1 ", EINVAL,
		"'10.0.0.1 ' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"10.0.0.", EINVAL,
		"'10.0.0.' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"10.0.0.1.", EINVAL,
		"'10.0.0.1.' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"10", EINVAL, "'10' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"[10.0.0.1]", EINVAL,
		"'[10.0.0.1]' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"[::1", EINVAL, "'[::1' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"fe80::1%eth0", EINVAL, "'fe80::1%eth0' names an interface: write the address without '%' and what follows"},
	{"host:6379", EINVAL,
		"'host:6379' is not an address: write an IPv4 address of four decimal numbers, or an IPv6 address"},
	{"app", ENOENT, "'app' is not an address"},
	{"app.example.org", ENOENT, "'app.example.org' is not an address"},
	{"a-b", ENOENT, "'a-b' is not an address"},
	{"", ENOENT, "'' is not an address"},
};

static void test_parse_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct interval item = {{1, 2}, {3, 4}, 5};
		char why[INTERVAL_WHY] = "";
		enum width width = WIDTH_PORT;

		assert_int_equal(interval_parse(bad[i].text, &width, &item, why), -bad[i].code);
		assert_string_equal(why, bad[i].why);
		/* Nothing is half written. */
		assert_int_equal(width, WIDTH_PORT);
		assert_int_equal(item.first.hi + item.first.lo + item.last.hi + item.last.lo + item.origin, 15);
	}
}

static void test_parse_long(void **state)
{
	char text[4096];
	char why[INTERVAL_WHY];
	struct interval item;
	enum width width;

	(void)state;
	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(interval_parse(text, &width, &item, why), -EINVAL);
	assert_non_null(strstr(why, "too long"));
}

static const struct {
	const char *text;
	uint64_t minimum, maximum;
	uint64_t number;
	const char *why; /* NULL: good */
} numbers[] = {
	{"0", 0, 9, 0, NULL},
	{"65535", 1, 65535, 65535, NULL},
	{"9999999999999999999", 0, UINT64_MAX, UINT64_C(9999999999999999999), NULL},
	{"65536", 1, 65535, 0, "65536 is out of range: write 1 to 65535"},
	{"0", 1, 65535, 0, "0 is out of range: write 1 to 65535"},
	{"99999999999999999999999", 0, 9, 0, "99999999999999999999999 is out of range: write 0 to 9"},
	{"0600", 0, 9999, 0, "'0600' begins with a zero, which could be read as octal: write it without"},
	{"00", 0, 9, 0, "'00' begins with a zero, which could be read as octal: write it without"},
	{"0x10", 0, 99, 0, "'0x10' is not a decimal number"},
	{"-1", 0, 9, 0, "'-1' is not a decimal number"},
	{"+1", 0, 9, 0, "'+1' is not a decimal number"},
	{" 1", 0, 9, 0, "' 1' is not a decimal number"},
	{"1 ", 0, 9, 0, "'1 ' is not a decimal number"},
	{"", 0, 9, 0, "'' is not a decimal number"},
	{"1e3", 0, 9999, 0, "'1e3' is not a decimal number"},
};

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		char why[INTERVAL_WHY] = "";
		uint64_t number = 4711;
		int r = number_parse(numbers[i].text, numbers[i].minimum, numbers[i].maximum, &number, why);

		assert_string_equal(why, numbers[i].why ? numbers[i].why : "");
		assert_int_equal(r, numbers[i].why ? -EINVAL : 0);
		assert_int_equal(number, numbers[i].why ? 4711 : numbers[i].number);
	}
}

/* --- values --- */

static void test_values(void **state)
{
	static const uint8_t bytes[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2a};
	static const struct {
		enum width width;
		unsigned int bits;
		struct value max;
	} widths[] = {{WIDTH_PORT, 16, {0, 65535}}, {WIDTH_IPV4, 32, {0, UINT32_MAX}},
		{WIDTH_IPV6, 128, {UINT64_MAX, UINT64_MAX}}};
	struct value a = value_from_bytes(WIDTH_IPV6, bytes);
	uint8_t back[16];

	(void)state;
	assert_int_equal(a.hi, UINT64_C(0x20010db800000000));
	assert_int_equal(a.lo, 42);
	value_to_bytes(WIDTH_IPV6, a, back);
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_int_equal(value_from_bytes(WIDTH_PORT, "\x18\xeb").lo, 6379);
	value_to_bytes(WIDTH_IPV4, (struct value){0, 0x0a000001}, back);
	assert_memory_equal(back, "\x0a\0\0\1", 4);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		assert_int_equal(width_bits(widths[i].width), widths[i].bits);
		assert_int_equal(value_compare(value_max(widths[i].width), widths[i].max), 0);
		assert_int_equal(value_compare(value_mask_low(widths[i].width, widths[i].max, 0), value_zero()), 0);
		assert_int_equal(
			value_compare(value_mask_low(widths[i].width, widths[i].max, widths[i].bits), widths[i].max),
			0);
		assert_int_equal(value_compare(value_fill_low(widths[i].width, value_zero(), 0), widths[i].max), 0);
		assert_int_equal(
			value_compare(value_fill_low(widths[i].width, value_zero(), widths[i].bits), value_zero()), 0);
	}
	/* Across the middle of 128 bits, in both directions and around the end. */
	assert_int_equal(value_compare(value_next((struct value){5, UINT64_MAX}), (struct value){6, 0}), 0);
	assert_int_equal(value_compare(value_previous((struct value){6, 0}), (struct value){5, UINT64_MAX}), 0);
	assert_int_equal(value_compare(value_next(value_max(WIDTH_IPV6)), value_zero()), 0);
	assert_int_equal(value_compare(value_previous(value_zero()), value_max(WIDTH_IPV6)), 0);
	assert_int_equal(value_compare((struct value){1, 0}, (struct value){0, UINT64_MAX}), 1);
	assert_int_equal(value_compare((struct value){0, 1}, (struct value){0, 2}), -1);
	assert_int_equal(
		value_compare(value_mask_low(WIDTH_IPV6, value_max(WIDTH_IPV6), 64), (struct value){UINT64_MAX, 0}), 0);
	assert_int_equal(value_compare(value_mask_low(WIDTH_IPV6, value_max(WIDTH_IPV6), 1),
				 (struct value){UINT64_C(1) << 63, 0}),
		0);
	assert_int_equal(value_compare(value_fill_low(WIDTH_IPV6, value_zero(), 63), (struct value){1, UINT64_MAX}), 0);
}

/* --- lists --- */

static struct interval make(uint64_t first, uint64_t last, uint32_t origin)
{
	return (struct interval){{0, first}, {0, last}, origin};
}

static void expect(const struct intervals *list, const struct interval *items, size_t count)
{
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++) {
		struct interval item = intervals_get(list, i);

		assert_int_equal(value_compare(item.first, items[i].first), 0);
		assert_int_equal(value_compare(item.last, items[i].last), 0);
		assert_int_equal(item.origin, items[i].origin);
	}
}

static void test_sort(void **state)
{
	const struct interval wanted[] = {make(1, 1, 9), make(1, 2, 3), make(1, 2, 4), make(5, 6, 1), make(9, 9, 2)};
	static const int orders[][5] = {
		{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {1, 0, 3, 2, 4}, {4, 0, 1, 2, 3}};
	static const enum width widths[] = {WIDTH_PORT, WIDTH_IPV4, WIDTH_IPV6};

	(void)state;
	for (size_t w = 0; w < ARRAY_SIZE(widths); w++)
		for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
			struct intervals list = {.width = widths[w]};

			for (size_t k = 0; k < ARRAY_SIZE(wanted); k++)
				intervals_add(&list, wanted[orders[i][k]]);
			intervals_sort(&list);
			expect(&list, wanted, ARRAY_SIZE(wanted));
			intervals_done(&list);
			assert_int_equal(list.width, widths[w]);
		}
}

struct heard {
	size_t count;
	struct interval kept[8];
	struct interval absorbed[8];
};

static void hear(void *data, struct interval kept, struct interval absorbed)
{
	struct heard *heard = data;

	assert_true(heard->count < ARRAY_SIZE(heard->kept));
	heard->kept[heard->count] = kept;
	heard->absorbed[heard->count++] = absorbed;
}

static void test_merge(void **state)
{
	struct intervals list = {.width = WIDTH_IPV4};
	struct heard heard = {0};

	(void)state;
	intervals_merge(&list, hear, &heard);
	assert_int_equal(list.count, 0);
	intervals_add(&list, make(50, 60, 5)); /* overlaps the next */
	intervals_add(&list, make(55, 70, 2));
	intervals_add(&list, make(0, 9, 4));
	intervals_add(&list, make(10, 19, 3)); /* touches: joined, but not redundant */
	intervals_add(&list, make(12, 13, 6)); /* covered */
	intervals_add(&list, make(30, 30, 7));
	intervals_add(&list, make(30, 40, 8)); /* covers the one before */
	intervals_add(&list, make(UINT32_MAX, UINT32_MAX, 9));
	intervals_merge(&list, hear, &heard);
	expect(&list,
		(struct interval[]){make(0, 19, 3), make(30, 40, 7), make(50, 70, 2), make(UINT32_MAX, UINT32_MAX, 9)},
		4);
	assert_int_equal(heard.count, 3);
	assert_int_equal(heard.kept[0].origin, 3);
	assert_int_equal(heard.absorbed[0].origin, 6);
	assert_int_equal(heard.kept[1].origin, 8);
	assert_int_equal(heard.absorbed[1].origin, 7);
	assert_int_equal(heard.kept[2].origin, 5);
	assert_int_equal(heard.absorbed[2].origin, 2);
	intervals_done(&list);
}

/* The last value has no next one: nothing may wrap around to the first. */
static void test_merge_at_the_end(void **state)
{
	static const enum width widths[] = {WIDTH_PORT, WIDTH_IPV4, WIDTH_IPV6};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct intervals list = {.width = widths[i]};
		struct value max = value_max(widths[i]);

		intervals_add(&list, (struct interval){max, max, 2});
		intervals_add(&list, (struct interval){value_zero(), value_zero(), 1});
		intervals_add(&list, (struct interval){value_previous(max), max, 3});
		intervals_merge(&list, NULL, NULL);
		expect(&list, (struct interval[]){{value_zero(), value_zero(), 1}, {value_previous(max), max, 2}}, 2);
		assert_true(intervals_cover(&list, (struct interval){value_previous(max), max, 0}));
		assert_false(intervals_cover(&list, (struct interval){value_zero(), max, 0}));
		intervals_add(&list, (struct interval){value_zero(), max, 4});
		intervals_merge(&list, NULL, NULL);
		expect(&list, (struct interval[]){{value_zero(), max, 1}}, 1);
		assert_true(intervals_cover(&list, (struct interval){value_zero(), max, 0}));
		intervals_done(&list);
	}
}

static void test_same_across_joints(void **state)
{
	struct intervals whole = {.width = WIDTH_IPV6};
	struct intervals pieces = {.width = WIDTH_IPV6};

	(void)state;
	intervals_add(&whole, (struct interval){{0, 0}, {9, 9}, 1});
	intervals_add(&pieces, (struct interval){{0, 0}, {4, UINT64_MAX}, 1});
	intervals_add(&pieces, (struct interval){{5, 0}, {9, 9}, 1});
	assert_true(intervals_same(&whole, &pieces));
	assert_true(intervals_cover(&pieces, intervals_get(&whole, 0)));
	intervals_set(&pieces, 1, (struct interval){{5, 1}, {9, 9}, 1});
	assert_false(intervals_same(&whole, &pieces));
	assert_false(intervals_cover(&pieces, intervals_get(&whole, 0)));
	intervals_done(&whole);
	intervals_done(&pieces);
	assert_true(intervals_same(&whole, &pieces));
}

static void test_copy(void **state)
{
	struct intervals empty = {.width = WIDTH_IPV6};
	struct intervals list = {.width = WIDTH_PORT};
	struct intervals copy;

	(void)state;
	intervals_copy(&copy, &empty);
	assert_int_equal(copy.count, 0);
	assert_int_equal(copy.width, WIDTH_IPV6);
	intervals_done(&copy);
	for (unsigned int i = 0; i < 100; i++)
		intervals_add(&list, make(i * 2, i * 2, i));
	intervals_copy(&copy, &list);
	intervals_set(&list, 0, make(9, 9, 9));
	assert_int_equal(copy.count, 100);
	assert_int_equal(intervals_get(&copy, 0).first.lo, 0);
	assert_int_equal(intervals_get(&copy, 99).origin, 99);
	intervals_add(&copy, make(1000, 1000, 1));
	intervals_done(&list);
	intervals_done(&copy);
}

/* --- against a model so simple that it must be right: one flag for each of 301 ports --- */

#define UNIVERSE 301

static uint32_t random_state = 20240229;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % limit;
}

static void random_list(struct intervals *list, bool *flags)
{
	uint32_t count = random_below(12);

	*list = (struct intervals){.width = WIDTH_PORT};
	memset(flags, 0, UNIVERSE * sizeof(*flags));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t first = random_below(UNIVERSE);
		uint32_t last = first + random_below(random_below(4) ? 8 : 100);

		last = last >= UNIVERSE ? UNIVERSE - 1 : last;
		intervals_add(list, make(first, last, i + 1));
		for (uint32_t k = first; k <= last; k++)
			flags[k] = true;
	}
	intervals_merge(list, NULL, NULL);
}

static void expect_flags(const struct intervals *list, const bool *flags)
{
	for (size_t i = 1; i < list->count; i++)
		assert_true(value_compare(intervals_get(list, i - 1).last, intervals_get(list, i).first) < 0);
	for (uint32_t k = 0; k < UNIVERSE; k++) {
		struct interval found;

		assert_int_equal(intervals_contain(list, (struct value){0, k}), flags[k]);
		assert_int_equal(intervals_find(list, (struct value){0, k}, &found), flags[k]);
		if (flags[k])
			assert_true(found.first.lo <= k && k <= found.last.lo);
	}
	assert_false(intervals_contain(list, (struct value){0, UNIVERSE}));
}

static void test_model(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		bool flags_a[UNIVERSE];
		bool flags_b[UNIVERSE];
		bool flags_rest[UNIVERSE];
		struct intervals a;
		struct intervals b;
		struct intervals rest = {.width = WIDTH_PORT};
		uint32_t first = random_below(UNIVERSE);
		uint32_t last = first + random_below(UNIVERSE - first);
		bool covered = true;

		random_list(&a, flags_a);
		random_list(&b, flags_b);
		if (random_below(4) == 0) {
			intervals_done(&b);
			intervals_copy(&b, &a);
			memcpy(flags_b, flags_a, sizeof(flags_a));
		}
		expect_flags(&a, flags_a);
		assert_int_equal(intervals_same(&a, &b), memcmp(flags_a, flags_b, sizeof(flags_a)) == 0);
		for (uint32_t k = 0; k < UNIVERSE; k++)
			flags_rest[k] = flags_a[k] && !flags_b[k];
		intervals_subtract(&a, &b, &rest);
		expect_flags(&rest, flags_rest);
		for (uint32_t k = first; k <= last; k++)
			covered = covered && flags_a[k];
		assert_int_equal(intervals_cover(&a, make(first, last, 0)), covered);
		intervals_done(&a);
		intervals_done(&b);
		intervals_done(&rest);
	}
}

/* The same laws where the arithmetic crosses 64 bits. */
static void test_subtract_wide(void **state)
{
	struct intervals a = {.width = WIDTH_IPV6};
	struct intervals b = {.width = WIDTH_IPV6};
	struct intervals rest = {.width = WIDTH_IPV6};

	(void)state;
	intervals_add(&a, (struct interval){value_zero(), value_max(WIDTH_IPV6), 4});
	intervals_add(&b, (struct interval){{1, 0}, {1, UINT64_MAX}, 1});
	intervals_add(&b, (struct interval){{UINT64_MAX, 5}, value_max(WIDTH_IPV6), 1});
	intervals_subtract(&a, &b, &rest);
	expect(&rest, (struct interval[]){{{0, 0}, {0, UINT64_MAX}, 4}, {{2, 0}, {UINT64_MAX, 4}, 4}}, 2);
	intervals_done(&rest);
	intervals_subtract(&a, &a, &rest);
	assert_int_equal(rest.count, 0);
	intervals_done(&a);
	intervals_done(&b);
	intervals_done(&rest);
}

/* --- prefixes --- */

static const struct {
	const char *text;
	const char *prefixes;
} split[] = {
	{"0.0.0.0/0", "0.0.0.0/0"},
	{"::/0", "::/0"},
	{"10.0.0.0/8", "10.0.0.0/8"},
	{"10.0.0.7", "10.0.0.7"},
	{"0.0.0.0", "0.0.0.0"},
	{"255.255.255.255", "255.255.255.255"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"10.0.0.1-10.0.0.2", "10.0.0.1 10.0.0.2"},
	{"10.0.0.0-10.0.0.2", "10.0.0.0/31 10.0.0.2"},
	{"10.20.1.10-10.20.1.20", "10.20.1.10/31 10.20.1.12/30 10.20.1.16/30 10.20.1.20"},
	{"255.255.255.254-255.255.255.255", "255.255.255.254/31"},
	{"255.255.255.253-255.255.255.255", "255.255.255.253 255.255.255.254/31"},
	{"0.0.0.0-0.0.0.2", "0.0.0.0/31 0.0.0.2"},
	{"127.255.255.255-128.0.0.0", "127.255.255.255 128.0.0.0"},
	{"::-::2", "::/127 ::2"},
	{"2001:db8::1-2001:db8::4", "2001:db8::1 2001:db8::2/127 2001:db8::4"},
	{"2001:db8:0:0:ffff:ffff:ffff:ffff-2001:db8:0:1::", "2001:db8::ffff:ffff:ffff:ffff 2001:db8:0:1::"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
};

static void test_prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(split); i++) {
		_cleanup_text_ struct text text = {0};
		enum width width;
		struct interval rest = {0};
		struct interval prefix;
		char buffer[INTERVAL_TEXT];
		char why[INTERVAL_WHY];
		bool more = true;

		assert_int_equal(interval_parse(split[i].text, &width, &rest, why), 0);
		rest.origin = 7;
		while (interval_next_prefix(width, &rest, &more, &prefix)) {
			assert_int_equal(prefix.origin, 7);
			text_printf(&text, "%s%s", text.length ? " " : "", interval_format(width, prefix, buffer));
		}
		assert_string_equal(text_string(&text), split[i].prefixes);
	}
}

/* The most that there can be: all but the ends of the space. */
static void test_prefixes_most(void **state)
{
	static const enum width widths[] = {WIDTH_IPV4, WIDTH_IPV6};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct interval rest = {.first = {0, 1}, .last = value_previous(value_max(widths[i]))};
		struct intervals pieces = {.width = widths[i]};
		struct intervals whole = {.width = widths[i]};
		struct interval prefix;
		char buffer[INTERVAL_TEXT];
		bool more = true;

		intervals_add(&whole, rest);
		while (interval_next_prefix(widths[i], &rest, &more, &prefix)) {
			interval_format(widths[i], prefix, buffer);
			assert_null(strchr(buffer, '-'));
			intervals_add(&pieces, prefix);
		}
		assert_int_equal(pieces.count, 2 * width_bits(widths[i]) - 2);
		assert_true(intervals_same(&pieces, &whole));
		intervals_done(&pieces);
		intervals_done(&whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_good),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_parse_long),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_at_the_end),
		cmocka_unit_test(test_same_across_joints),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_subtract_wide),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefixes_most),
	};

	return cmocka_run_group_tests_name("interval", tests, NULL, NULL);
}

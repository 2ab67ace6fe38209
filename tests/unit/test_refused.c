/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who was refused: from the kernel's elements, hostile ones among them, to a list of sources. */

#include "fake_kernel.h"
#include "policies.h"

#define DAY_MS UINT64_C(86400000)

/* --- elements --- */

enum form {
	FORM_EXPR,
	FORM_LIST,	  /* NFTA_SET_ELEM_EXPRESSIONS, the counter behind another expression */
	FORM_NO_COUNTER,  /* nothing is counted */
	FORM_OTHER,	  /* something that is no counter */
	FORM_NO_NUL,	  /* the expression's name does not end */
	FORM_NO_DATA,	  /* a counter without its numbers */
	FORM_SHORT_COUNT, /* numbers of four bytes */
	FORM_NO_KEY,
	FORM_SHORT_KEY,
	FORM_LONG_KEY,
	FORM_VERDICT_KEY,
	FORM_CATCH_ALL,
	FORM_STRANGE, /* with attributes and flags that nobody knows */
};

#define NONE UINT64_MAX /* no such attribute */

struct element {
	enum form form;
	const char *address;
	uint32_t reason;
	uint64_t packets, bytes;
	uint64_t timeout, expiration; /* milliseconds, or NONE */
};

static struct value parse(const char *address, enum width *ret)
{
	struct interval item;
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(address, ret, &item, why), 0);
	return item.first;
}

static void put_counter(
	struct nlmsghdr *message, uint16_t type, const char *name, enum form form, uint64_t packets, uint64_t bytes)
{
	struct nlattr *expression = mnl_attr_nest_start(message, type);
	struct nlattr *data;

	mnl_attr_put(message, NFTA_EXPR_NAME, strlen(name) + (form != FORM_NO_NUL), name);
	if (form != FORM_NO_DATA) {
		data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
		if (form == FORM_SHORT_COUNT) {
			mnl_attr_put_u32(message, NFTA_COUNTER_BYTES, 7);
			mnl_attr_put_u32(message, NFTA_COUNTER_PACKETS, 7);
		} else {
			mnl_attr_put_u64(message, NFTA_COUNTER_BYTES, htobe64(bytes));
			mnl_attr_put_u64(message, NFTA_COUNTER_PACKETS, htobe64(packets));
		}
		mnl_attr_nest_end(message, data);
	}
	mnl_attr_nest_end(message, expression);
}

static void put_key(struct nlmsghdr *message, const struct element *element)
{
	uint8_t bytes[16 + sizeof(element->reason) + 4] = {0};
	enum width width;
	struct value address = parse(element->address, &width);
	size_t size = width_bits(width) / 8;
	struct nlattr *nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);

	value_to_bytes(width, address, bytes);
	memcpy(bytes + size, &element->reason, sizeof(element->reason));
	size += sizeof(element->reason);
	if (element->form == FORM_SHORT_KEY)
		size -= 4;
	if (element->form == FORM_LONG_KEY)
		size += 4;
	mnl_attr_put(message, element->form == FORM_VERDICT_KEY ? NFTA_DATA_VERDICT : NFTA_DATA_VALUE, size, bytes);
	mnl_attr_nest_end(message, nest);
}

static void put_element(struct nlmsghdr *message, const struct element *element)
{
	struct nlattr *item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	enum form form = element->form;

	if (form != FORM_NO_KEY && form != FORM_CATCH_ALL)
		put_key(message, element);
	if (form == FORM_CATCH_ALL || form == FORM_STRANGE)
		mnl_attr_put_u32(
			message, NFTA_SET_ELEM_FLAGS, htobe32(form == FORM_CATCH_ALL ? NFT_SET_ELEM_CATCHALL : 0xf0));
	if (form == FORM_LIST) {
		struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_EXPRESSIONS);

		put_counter(message, NFTA_LIST_ELEM, "quota", FORM_EXPR, 99, 99);
		put_counter(message, NFTA_LIST_ELEM, "counter", FORM_EXPR, element->packets, element->bytes);
		put_counter(message, NFTA_LIST_ELEM, "counter", FORM_EXPR, 99, 99);
		mnl_attr_nest_end(message, list);
	} else if (form != FORM_NO_COUNTER) {
		put_counter(message, NFTA_SET_ELEM_EXPR, form == FORM_OTHER ? "quota" : "counter", form,
			element->packets, element->bytes);
	}
	if (element->timeout != NONE)
		mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(element->timeout));
	if (element->expiration != NONE)
		mnl_attr_put_u64(message, NFTA_SET_ELEM_EXPIRATION, htobe64(element->expiration));
	if (form == FORM_STRANGE)
		mnl_attr_put_u64(message, 60, 1);
	mnl_attr_nest_end(message, item);
}

static struct nlmsghdr *elements_begin(char *buffer, const char *table, struct nlattr **ret_list)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM;
	*header = (struct nfgenmsg){.nfgen_family = NFPROTO_INET};
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, "refused");
	*ret_list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	return message;
}

static struct set set_of(enum width width)
{
	return (struct set){
		.elements.width = width, .key = KEY_SOURCE_REASON, .meter = METER_COUNTER, .timeout = DAY_MS};
}

/* Decodes a copy of exactly its size, so that a sanitizer sees what reads behind its end. */
static int decode_copy(struct refused_sources *list, enum width width, size_t limit, const void *bytes, size_t length)
{
	_cleanup_free_ char *copy = mem_alloc(length);
	struct set set = set_of(width);

	memcpy(copy, bytes, length);
	return decode_refusals(list, &set, limit, (const struct nlmsghdr *)copy);
}

/* --- decoding --- */

static const struct decode_row {
	const char *name;
	struct element element;
	/* What is expected: a code, or one refusal, or none. */
	int code;
	size_t count;
	uint64_t packets, bytes, seconds_ago;
} decode_rows[] = {
	{"as the kernel has it", {FORM_EXPR, "192.0.2.1", 1, 6, 420, NONE, DAY_MS - 3999}, 0, 1, 6, 420, 3},
	{"IPv6", {FORM_EXPR, "2001:db8::1", 6, 6, 420, NONE, DAY_MS}, 0, 1, 6, 420, 0},
	{"older kernels tell the timeout", {FORM_EXPR, "192.0.2.1", 1, 6, 420, DAY_MS, DAY_MS - 60000}, 0, 1, 6, 420,
		60},
	{"a timeout of its own", {FORM_EXPR, "192.0.2.1", 1, 6, 420, 10000, 4000}, 0, 1, 6, 420, 6},
	{"a list of expressions", {FORM_LIST, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 5, 50, 0},
	{"the highest numbers",
		{FORM_EXPR, "255.255.255.255", UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2}, 0,
		1, UINT64_MAX, UINT64_MAX, 0},
	{"expires after its timeout", {FORM_EXPR, "192.0.2.1", 1, 5, 50, 1000, 9000}, 0, 1, 5, 50, 0},
	{"never expires", {FORM_EXPR, "192.0.2.1", 1, 5, 50, 1000, NONE}, 0, 1, 5, 50, REFUSED_UNKNOWN},
	{"no counter", {FORM_NO_COUNTER, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 0, 0, 0},
	{"another expression", {FORM_OTHER, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 0, 0, 0},
	{"a name without an end", {FORM_NO_NUL, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 0, 0, 0},
	{"a counter without numbers", {FORM_NO_DATA, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 0, 0, 0},
	{"numbers that are too short", {FORM_SHORT_COUNT, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 0, 0, 0},
	{"unknown attributes", {FORM_STRANGE, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 1, 5, 50, 0},
	{"catch-all", {FORM_CATCH_ALL, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, 0, 0, 0, 0, 0},
	{"no key", {FORM_NO_KEY, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, -EBADMSG, 0, 0, 0, 0},
	{"a short key", {FORM_SHORT_KEY, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, -EBADMSG, 0, 0, 0, 0},
	{"a long key", {FORM_LONG_KEY, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, -EBADMSG, 0, 0, 0, 0},
	{"a short key of IPv6", {FORM_SHORT_KEY, "2001:db8::1", 1, 5, 50, NONE, DAY_MS}, -EBADMSG, 0, 0, 0, 0},
	{"a verdict as the key", {FORM_VERDICT_KEY, "192.0.2.1", 1, 5, 50, NONE, DAY_MS}, -EBADMSG, 0, 0, 0, 0},
};

static void check_decoded(const struct decode_row *row, const struct refused_sources *list)
{
	const struct refusal *refusal = list->refusals;
	enum width width;
	struct value address = parse(row->element.address, &width);

	if (list->refusal_count != row->count || list->full)
		fail_msg("%s: %zu refusals", row->name, list->refusal_count);
	if (!row->count)
		return;
	if (refusal->width != width || value_compare(refusal->address, address) != 0 ||
		refusal->reason != row->element.reason)
		fail_msg("%s: another source, or reason %u", row->name, refusal->reason);
	if (refusal->packets != row->packets || refusal->bytes != row->bytes)
		fail_msg("%s: %ju packets, %ju bytes", row->name, (uintmax_t)refusal->packets,
			(uintmax_t)refusal->bytes);
	if (refusal->seconds_ago != row->seconds_ago)
		fail_msg("%s: %ju seconds ago", row->name, (uintmax_t)refusal->seconds_ago);
}

static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(decode_rows); i++) {
		const struct decode_row *row = &decode_rows[i];
		struct refused_sources list = {0};
		char buffer[4096];
		struct nlattr *nest;
		struct nlmsghdr *message = elements_begin(buffer, TABLE_NAME, &nest);
		enum width width;
		int code;

		parse(row->element.address, &width);
		put_element(message, &row->element);
		mnl_attr_nest_end(message, nest);
		code = decode_copy(&list, width, 100, message, message->nlmsg_len);
		if (code != row->code)
			fail_msg("%s: %d", row->name, code);
		check_decoded(row, &list);
		refused_sources_done(&list);
	}
}

static const struct element some[] = {
	{FORM_EXPR, "192.0.2.1", 1, 6, 420, NONE, DAY_MS - 5000},
	{FORM_LIST, "192.0.2.2", 2, 5, 300, DAY_MS, DAY_MS - 1000},
	{FORM_STRANGE, "192.0.2.1", 6, 7, 100, NONE, DAY_MS - 9000},
};

static struct nlmsghdr *some_elements(char *buffer, const char *table, struct nlattr **ret_list)
{
	struct nlmsghdr *message = elements_begin(buffer, table, ret_list);

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		put_element(message, &some[i]);
	mnl_attr_nest_end(message, *ret_list);
	return message;
}

static void test_not_ours(void **state)
{
	struct refused_sources list = {0};
	char buffer[4096];
	struct nlattr *nest;
	struct nlmsghdr *message = some_elements(buffer, "dflyguard2", &nest);

	(void)state;
	assert_int_equal(decode_copy(&list, WIDTH_IPV4, 100, message, message->nlmsg_len), 0);
	assert_int_equal(list.refusal_count, 0);
	message = some_elements(buffer, TABLE_NAME, &nest);
	((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family = NFPROTO_IPV4;
	assert_int_equal(decode_copy(&list, WIDTH_IPV4, 100, message, message->nlmsg_len), 0);
	assert_int_equal(list.refusal_count, 0);
	/* Of another family's set: the keys do not fit. */
	message = some_elements(buffer, TABLE_NAME, &nest);
	assert_int_equal(decode_copy(&list, WIDTH_IPV6, 100, message, message->nlmsg_len), -EBADMSG);
	assert_int_equal(list.refusal_count, 0);
	refused_sources_done(&list);
}

static void test_limit(void **state)
{
	char buffer[4096];
	struct nlattr *nest;
	struct nlmsghdr *message = some_elements(buffer, TABLE_NAME, &nest);

	(void)state;
	for (size_t limit = 0; limit <= ARRAY_SIZE(some) + 1; limit++) {
		struct refused_sources list = {0};

		assert_int_equal(decode_copy(&list, WIDTH_IPV4, limit, message, message->nlmsg_len), 0);
		assert_int_equal(list.refusal_count, limit < ARRAY_SIZE(some) ? limit : ARRAY_SIZE(some));
		assert_int_equal(list.full, limit < ARRAY_SIZE(some));
		refused_sources_done(&list);
	}
}

/* Cut off anywhere, with its lengths unchanged, and with the list's own length adapted. */
static void test_cut(void **state)
{
	char buffer[4096];
	struct nlattr *nest;
	struct nlmsghdr *message = some_elements(buffer, TABLE_NAME, &nest);
	uint32_t whole = message->nlmsg_len;
	uint32_t list_length = nest->nla_len;
	uint32_t least = (uint32_t)((const char *)nest - buffer);

	(void)state;
	for (uint32_t length = sizeof(*message) + sizeof(struct nfgenmsg); length < whole; length++) {
		struct refused_sources list = {0};
		int code;

		message->nlmsg_len = length;
		/* Before the list begins, whole attributes may be missing: that cannot be seen. */
		code = decode_copy(&list, WIDTH_IPV4, 100, message, length);
		if (code == 0 && length > least)
			fail_msg("%u of %u bytes are good", length, whole);
		assert_int_equal(list.refusal_count, 0);
		if (length < least + sizeof(*nest) || length % NLMSG_ALIGNTO)
			continue;
		nest->nla_len = (uint16_t)(list_length - (whole - length));
		code = decode_copy(&list, WIDTH_IPV4, 100, message, length);
		/* Whole elements may be missing, but none is there in part. */
		bool between = netlink_well_formed(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest));

		if ((code == 0) != between || (!between && list.refusal_count))
			fail_msg("%u of %u bytes: %d, %zu refusals", length, whole, code, list.refusal_count);
		nest->nla_len = (uint16_t)list_length;
		refused_sources_done(&list);
	}
}

/* Any byte may be any other one. */
static void test_spoiled(void **state)
{
	uint64_t seed = 4711;
	char buffer[4096];
	char spoiled[4096];
	struct nlattr *nest;
	const struct nlmsghdr *message = some_elements(buffer, TABLE_NAME, &nest);
	const size_t fixed = sizeof(*message) + sizeof(struct nfgenmsg);

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		struct refused_sources list = {0};
		int code;

		memcpy(spoiled, buffer, message->nlmsg_len);
		for (uint64_t k = testing_random(&seed) % 3; k < 3; k++)
			spoiled[fixed + testing_random(&seed) % (message->nlmsg_len - fixed)] =
				(char)testing_random(&seed);
		code = decode_copy(&list, WIDTH_IPV4, 100, spoiled, message->nlmsg_len);
		assert_true(code == 0 || code == -EBADMSG);
		refused_sources_sum(&list);
		assert_true(list.count <= list.refusal_count && list.refusal_count <= 100);
		refused_sources_done(&list);
	}
}

/* --- summing up --- */

static void add(struct refused_sources *list, const char *address, uint32_t reason, uint64_t packets, uint64_t bytes,
	uint64_t seconds_ago)
{
	struct refusal refusal = {.reason = reason, .packets = packets, .bytes = bytes, .seconds_ago = seconds_ago};

	refusal.address = parse(address, &refusal.width);
	ARRAY_GROW(list->refusals, list->refusal_count, list->refusal_capacity);
	list->refusals[list->refusal_count++] = refusal;
}

/* "192.0.2.1 9/900 3s: 6=5/500 1=4/400", one source a line. */
static char *described(const struct refused_sources *list)
{
	struct text text = {0};
	char address[INTERVAL_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		const struct refused_source *source = &list->sources[i];

		text_printf(&text, "%s %ju/%ju ", value_format(source->width, source->address, address),
			(uintmax_t)source->packets, (uintmax_t)source->bytes);
		if (source->seconds_ago == REFUSED_UNKNOWN)
			text_append(&text, "?:");
		else
			text_printf(&text, "%jus:", (uintmax_t)source->seconds_ago);
		for (size_t k = 0; k < source->refusal_count; k++)
			text_printf(&text, " %u=%ju/%ju", source->refusals[k].reason,
				(uintmax_t)source->refusals[k].packets, (uintmax_t)source->refusals[k].bytes);
		text_append(&text, "\n");
	}
	return text_take(&text);
}

static void expect_described(struct refused_sources *list, const char *wanted)
{
	_cleanup_free_ char *text = NULL;

	refused_sources_sum(list);
	text = described(list);
	assert_string_equal(text, wanted);
}

static void test_sum(void **state)
{
	struct refused_sources list = {0};

	(void)state;
	expect_described(&list, "");
	add(&list, "192.0.2.1", REASON_SOURCE, 4, 400, 60);
	add(&list, "2001:db8::1", REASON_RATE, 9, 1, REFUSED_UNKNOWN);
	add(&list, "192.0.2.9", REASON_CLOSED, 1, 60, 5);
	add(&list, "192.0.2.8", REASON_CLOSED, 1, 60, 5);
	add(&list, "192.0.2.7", REASON_CLOSED, 1, 60, 4);
	add(&list, "192.0.2.1", REASON_PLAINTEXT, 5, 500, 3);
	add(&list, "192.0.2.1", REASON_RATE, 4, 40, 80);
	/* The same bits, and not the same source. */
	add(&list, "::192.0.2.1", REASON_SOURCE, 2, 20, 1);
	expect_described(&list, "192.0.2.1 13/940 3s: 6=5/500 1=4/400 8=4/40\n"
				"2001:db8::1 9/1 ?: 8=9/1\n"
				"::192.0.2.1 2/20 1s: 1=2/20\n"
				"192.0.2.7 1/60 4s: 3=1/60\n"
				"192.0.2.8 1/60 5s: 3=1/60\n"
				"192.0.2.9 1/60 5s: 3=1/60\n");
	/* Summed up again, it is the same. */
	expect_described(&list, "192.0.2.1 13/940 3s: 6=5/500 1=4/400 8=4/40\n"
				"2001:db8::1 9/1 ?: 8=9/1\n"
				"::192.0.2.1 2/20 1s: 1=2/20\n"
				"192.0.2.7 1/60 4s: 3=1/60\n"
				"192.0.2.8 1/60 5s: 3=1/60\n"
				"192.0.2.9 1/60 5s: 3=1/60\n");
	refused_sources_done(&list);
	refused_sources_done(&list);
}

/* What a torn dump shows again counts once, and sums do not wrap. */
static void test_sum_strange(void **state)
{
	struct refused_sources list = {0};

	(void)state;
	add(&list, "192.0.2.1", REASON_SOURCE, 4, 400, 60);
	add(&list, "192.0.2.2", REASON_SOURCE, UINT64_MAX, UINT64_MAX, 60);
	add(&list, "192.0.2.1", REASON_SOURCE, 5, 500, 0);
	add(&list, "192.0.2.2", 77, UINT64_MAX - 1, 1, 60);
	add(&list, "192.0.2.1", REASON_SOURCE, 4, 400, 60);
	expect_described(&list, "192.0.2.2 18446744073709551615/18446744073709551615 60s: "
				"1=18446744073709551615/18446744073709551615 77=18446744073709551614/1\n"
				"192.0.2.1 5/500 0s: 1=5/500\n");
	refused_sources_done(&list);
}

/* --- reading --- */

static void keep(struct fake *fake, const char *set, const struct element *element)
{
	char buffer[1024];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	const struct nlattr *item = mnl_nlmsg_get_payload_tail(message);

	put_element(message, element);
	store_add(&fake->store, NFT_MSG_NEWSETELEM, set, item, item->nla_len);
}

static struct set *set_named(struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->set_count; i++)
		if (strcmp(ruleset->sets[i].name, name) == 0)
			return &ruleset->sets[i];
	fail_msg("no set %s", name);
	return NULL;
}

static const char both[] = "192.0.2.1 13/520 5s: 6=7/100 1=6/420\n"
			   "2001:db8::1 8/800 0s: 2=8/800\n"
			   "192.0.2.2 5/300 1s: 2=5/300\n";

static void fill(struct fake *fake, const struct ruleset *ruleset)
{
	static const struct element v6 = {FORM_EXPR, "2001:db8::1", 2, 8, 800, NONE, DAY_MS};

	fake_begin(fake);
	fake_load(fake, ruleset);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		keep(fake, REFUSED_SET_V4, &some[i]);
	keep(fake, REFUSED_SET_V6, &v6);
}

static void expect_read(struct fake *fake, const struct ruleset *observed, const char *wanted, bool full)
{
	struct nft *nft = fake_open(fake);
	struct refused_sources list = {0};
	struct err err = {0};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(nft_read_refused(nft, observed, &list, &err), 0);
	text = described(&list);
	assert_string_equal(text, wanted);
	assert_int_equal(list.full, full);
	/* Nothing of the conversation is left. */
	assert_int_equal(fake->pending.count, 0);
	refused_sources_done(&list);
	nft_close(nft);
}

static void test_read(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct ruleset *absent = ruleset_new();
	struct fake fake;

	(void)state;
	fill(&fake, compiled.ruleset);
	expect_read(&fake, compiled.ruleset, both, false);
	assert_int_equal(fake.requests[NFT_MSG_GETSETELEM], 2);
	expect_read(&fake, absent, "", false);
	assert_int_equal(fake.requests[NFT_MSG_GETSETELEM], 2);
	fake_done(&fake);
	ruleset_free(absent);
	compiled_done(&compiled);
}

/* A set that is not like ours is not asked for. */
static void test_read_shapes(void **state)
{
	static const char v6[] = "2001:db8::1 8/800 0s: 2=8/800\n";

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		struct compiled compiled = compile_golden("everything");
		struct set *set = set_named(compiled.ruleset, REFUSED_SET_V4);
		struct fake fake;

		fill(&fake, compiled.ruleset);
		if (i == 0)
			set->opaque = mem_string("of another type");
		if (i == 1)
			set->key = KEY_SOURCE;
		if (i == 2)
			set->meter = METER_NONE;
		if (i == 3)
			set->elements.width = WIDTH_IPV6;
		if (i == 4)
			set->name[0] = 'R';
		expect_read(&fake, compiled.ruleset, v6, false);
		assert_int_equal(fake.requests[NFT_MSG_GETSETELEM], 1);
		fake_done(&fake);
		compiled_done(&compiled);
	}
}

static void test_read_full(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct fake fake;

	(void)state;
	for (uint32_t size = 2; size < 6; size++) {
		set_named(compiled.ruleset, REFUSED_SET_V4)->size = size;
		fill(&fake, compiled.ruleset);
		/* Listed twice, as a table that grows meanwhile may do: not a reason to call it full. */
		keep(&fake, REFUSED_SET_V4, &some[0]);
		expect_read(&fake, compiled.ruleset, both, size <= ARRAY_SIZE(some));
		fake_done(&fake);
	}
	compiled_done(&compiled);
}

static void test_read_faults(void **state)
{
	static const struct fault_row {
		struct fault fault;
		int code;
	} rows[] = {
		{{FAULT_TEAR_FLAG, NFT_MSG_GETSETELEM, 0, FOREVER}, 0},
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETSETELEM, 0, FOREVER}, 0},
		{{FAULT_MOVE, NFT_MSG_GETSETELEM, 0, FOREVER}, 0},
		{{FAULT_FOREIGN_SENDER, NFT_MSG_GETSETELEM, 0, 1}, 0},
		{{FAULT_FOREIGN_PORT, NFT_MSG_GETSETELEM, 0, 1}, 0},
		{{FAULT_STALE, NFT_MSG_GETSETELEM, 0, 1}, 0},
		{{FAULT_DONE_CODE, NFT_MSG_GETSETELEM, -ENOMEM, 1}, -ENOMEM},
		{{FAULT_ERROR_INSIDE, NFT_MSG_GETSETELEM, -EPERM, 1}, -EPERM},
		{{FAULT_RECEIVE, NFT_MSG_GETSETELEM, -ENOBUFS, 1}, -ENOBUFS},
		{{FAULT_OVERRUN, NFT_MSG_GETSETELEM, 0, 1}, -ENOBUFS},
		{{FAULT_SUBSYSTEM, NFT_MSG_GETSETELEM, 0, 1}, -EBADMSG},
		{{FAULT_SHORT, NFT_MSG_GETSETELEM, 0, 1}, -EBADMSG},
		{{FAULT_TRUNCATED, NFT_MSG_GETSETELEM, 0, 1}, -EMSGSIZE},
		{{FAULT_SEND, NFT_MSG_GETSETELEM, -EPERM, 1}, -EPERM},
	};
	struct compiled compiled = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct refused_sources list = {0};
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		int code;

		fill(&fake, compiled.ruleset);
		fake_fault(&fake, rows[i].fault);
		nft = fake_open(&fake);
		code = nft_read_refused(nft, compiled.ruleset, &list, &err);
		if (code != rows[i].code)
			fail_msg("fault %d: %d: %s", (int)rows[i].fault.kind, code, err.message);
		if ((code < 0) != (err.message[0] != '\0'))
			fail_msg("fault %d: '%s'", (int)rows[i].fault.kind, err.message);
		if ((code == 0) != (list.count == 3))
			fail_msg("fault %d: %zu sources", (int)rows[i].fault.kind, list.count);
		refused_sources_done(&list);
		nft_close(nft);
		fake_done(&fake);
	}
	compiled_done(&compiled);
}

/* Gone since the table was read. */
static void test_read_gone(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct fake fake;

	(void)state;
	fill(&fake, compiled.ruleset);
	store_delete_all(&fake.store, NFT_MSG_NEWSET, REFUSED_SET_V4);
	expect_read(&fake, compiled.ruleset, "2001:db8::1 8/800 0s: 2=8/800\n", false);
	fake_done(&fake);
	compiled_done(&compiled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_spoiled),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_sum_strange),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_shapes),
		cmocka_unit_test(test_read_full),
		cmocka_unit_test(test_read_faults),
		cmocka_unit_test(test_read_gone),
	};

	return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}

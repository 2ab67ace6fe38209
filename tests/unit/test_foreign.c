/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Other tables without a kernel: what it answered once (tests/fuzz/corpus/foreign, see foreign_replay.h), rules made by
 * hand for what this kernel may not have, and the same with bytes changed.
 */

#include <sys/stat.h>
#include <unistd.h>

#include "nft/nft_foreign.h"
#include "testing.h"

#include "foreign_replay.h"

static const char *const recordings[] = {"empty", "mixed", "docker", "ufw", "firewalld", "iptables-nft", "maps"};

static char *recording(const char *name, size_t *ret_length)
{
	_cleanup_free_ char *path = mem_format("tests/fuzz/corpus/foreign/%s", name);
	char *bytes = testing_read(path, ret_length);

	if (!bytes)
		fail_msg("no %s: run from the top of the repository", path);
	return bytes;
}

/* --- what recordings say --- */

static void write_fact(const struct foreign_fact *fact, struct text *text)
{
	static const char *const kinds[] = {"nat", "rewrite", "notrack", "flowtable", "away", "drop"};
	char source[INTERVAL_TEXT];

	text_printf(text, "%s%s, port %u", fact->certain ? "" : "perhaps ", kinds[fact->kind], fact->port);
	if (fact->kind == FOREIGN_NAT || fact->kind == FOREIGN_REWRITE)
		text_printf(text, ", from %u-%u to %u of %s%s", fact->from_first, fact->from_last, fact->to_port,
			fact->to_address ? fact->to_address : "this host", fact->unjudged ? ", unjudged" : "");
	if (fact->kind == FOREIGN_DROP)
		text_printf(text, ", from %s", value_format(fact->probe.width, fact->probe.source, source));
	text_printf(text, ": table %s chain %s handle %u: %s\n", fact->table, fact->chain, (unsigned int)fact->handle,
		fact->rule);
}

static void test_recordings(void **state)
{
	const struct foreign_question question = replay_question();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(recordings); i++) {
		_cleanup_free_ char *path = mem_format("tests/golden/foreign/%s.txt", recordings[i]);
		size_t length = 0;
		_cleanup_free_ char *bytes = recording(recordings[i], &length);
		_cleanup_text_ struct text text = {0};
		struct foreign *foreign;

		assert_int_equal(replay_read(bytes, length, &question, &foreign), 0);
		assert_null(foreign->incomplete);
		text_printf(&text, "%zu tables, managers: %s, owners: %s\n", foreign->table_count,
			foreign->managers ? foreign->managers : "none", foreign->owners ? foreign->owners : "none");
		for (size_t k = 0; k < foreign->count; k++)
			write_fact(&foreign->facts[k], &text);
		golden_check(path, text_string(&text));
		foreign_free(foreign);
	}
}

/* --- hostile answers --- */

static void test_changed_bytes(void **state)
{
	const struct foreign_question question = replay_question();
	const char *rounds = getenv("DFLYGUARD_TEST_LONG");
	uint64_t seed = 20261126;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(recordings); i++)
		for (int round = 0; round < (rounds ? 20000 : 400); round++) {
			size_t length = 0;
			_cleanup_free_ char *bytes = recording(recordings[i], &length);
			size_t changes = 1 + testing_random(&seed) % 6;
			struct foreign *foreign;
			int r;

			for (size_t k = 0; k < changes && length; k++)
				bytes[testing_random(&seed) % length] = (char)testing_random(&seed);
			if (testing_random(&seed) % 4 == 0)
				length = testing_random(&seed) % (length + 1);
			r = replay_read(bytes, length, &question, &foreign);
			assert_true(r <= 0 && (r == 0) == (foreign != NULL));
			foreign_free(foreign);
		}
}

/* Messages of another generation are not believed, and not waited for without end. */
static void test_torn(void **state)
{
	const struct foreign_question question = replay_question();
	size_t length = 0;
	_cleanup_free_ char *bytes = recording("mixed", &length);
	const uint8_t *begin = (const uint8_t *)bytes;
	struct foreign *foreign;

	(void)state;
	assert_int_equal(
		replay_run(
			(struct replay){.bytes = begin, .left = length, .torn = true, .begin = begin, .length = length},
			&question, &foreign),
		-EAGAIN);
	assert_null(foreign);
}

/* --- rules by hand --- */

struct maker {
	char buffer[4096];
	struct nlmsghdr *message;
	struct nlattr *list;
	struct foreign_rule rule;
};

static void begin(struct maker *m)
{
	m->message = mnl_nlmsg_put_header(m->buffer);
	m->list = mnl_attr_nest_start(m->message, NFTA_RULE_EXPRESSIONS);
}

static struct nlattr *expression(struct maker *m, const char *name, struct nlattr **ret_data)
{
	struct nlattr *item = mnl_attr_nest_start(m->message, NFTA_LIST_ELEM);

	mnl_attr_put_strz(m->message, NFTA_EXPR_NAME, name);
	*ret_data = mnl_attr_nest_start(m->message, NFTA_EXPR_DATA);
	return item;
}

static void expression_end(struct maker *m, struct nlattr *item, struct nlattr *data)
{
	mnl_attr_nest_end(m->message, data);
	mnl_attr_nest_end(m->message, item);
}

static void put_bytes(struct maker *m, uint16_t type, const void *bytes, size_t length)
{
	struct nlattr *nest = mnl_attr_nest_start(m->message, type);

	mnl_attr_put(m->message, NFTA_DATA_VALUE, length, bytes);
	mnl_attr_nest_end(m->message, nest);
}

static void put_payload(struct maker *m, uint32_t base, uint32_t offset, uint32_t length, uint32_t reg)
{
	struct nlattr *data;
	struct nlattr *item = expression(m, "payload", &data);

	mnl_attr_put_u32(m->message, NFTA_PAYLOAD_DREG, htobe32(reg));
	mnl_attr_put_u32(m->message, NFTA_PAYLOAD_BASE, htobe32(base));
	mnl_attr_put_u32(m->message, NFTA_PAYLOAD_OFFSET, htobe32(offset));
	mnl_attr_put_u32(m->message, NFTA_PAYLOAD_LEN, htobe32(length));
	expression_end(m, item, data);
}

static void put_load(
	struct maker *m, const char *name, uint16_t dreg_type, uint16_t key_type, uint32_t key, uint32_t reg)
{
	struct nlattr *data;
	struct nlattr *item = expression(m, name, &data);

	mnl_attr_put_u32(m->message, dreg_type, htobe32(reg));
	mnl_attr_put_u32(m->message, key_type, htobe32(key));
	expression_end(m, item, data);
}

static void put_cmp(struct maker *m, uint32_t operation, const void *bytes, size_t length, uint32_t reg)
{
	struct nlattr *data;
	struct nlattr *item = expression(m, "cmp", &data);

	mnl_attr_put_u32(m->message, NFTA_CMP_SREG, htobe32(reg));
	mnl_attr_put_u32(m->message, NFTA_CMP_OP, htobe32(operation));
	put_bytes(m, NFTA_CMP_DATA, bytes, length);
	expression_end(m, item, data);
}

static void put_mask(struct maker *m, const void *mask, size_t length, uint32_t reg)
{
	const uint8_t zero[16] = {0};
	struct nlattr *data;
	struct nlattr *item = expression(m, "bitwise", &data);

	mnl_attr_put_u32(m->message, NFTA_BITWISE_SREG, htobe32(reg));
	mnl_attr_put_u32(m->message, NFTA_BITWISE_DREG, htobe32(reg));
	mnl_attr_put_u32(m->message, NFTA_BITWISE_LEN, htobe32((uint32_t)length));
	put_bytes(m, NFTA_BITWISE_MASK, mask, length);
	put_bytes(m, NFTA_BITWISE_XOR, zero, length);
	expression_end(m, item, data);
}

static void put_verdict(struct maker *m, int32_t code, const char *chain)
{
	struct nlattr *data;
	struct nlattr *item = expression(m, "immediate", &data);
	struct nlattr *nest;
	struct nlattr *verdict;

	mnl_attr_put_u32(m->message, NFTA_IMMEDIATE_DREG, htobe32(NFT_REG_VERDICT));
	nest = mnl_attr_nest_start(m->message, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(m->message, NFTA_DATA_VERDICT);
	mnl_attr_put_u32(m->message, NFTA_VERDICT_CODE, htobe32((uint32_t)code));
	if (chain)
		mnl_attr_put_strz(m->message, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(m->message, verdict);
	mnl_attr_nest_end(m->message, nest);
	expression_end(m, item, data);
}

static void put_plain(struct maker *m, const char *name)
{
	struct nlattr *data;
	struct nlattr *item = expression(m, name, &data);

	expression_end(m, item, data);
}

static const struct foreign_rule *end(struct maker *m)
{
	mnl_attr_nest_end(m->message, m->list);
	m->rule = (struct foreign_rule){.handle = 7, .expressions = m->list};
	return &m->rule;
}

/* What is found by walks over rules made by hand. */
struct stage {
	struct foreign_chain chains[4];
	size_t chain_count;
	struct effect effects[8];
	size_t effect_count;
	size_t asked;
};

static const struct foreign_chain *stage_chain(void *data, const char *name)
{
	struct stage *stage = data;

	for (size_t i = 0; i < stage->chain_count; i++)
		if (strcmp(stage->chains[i].name, name) == 0)
			return &stage->chains[i];
	return NULL;
}

static const char *stage_regular(void *data, size_t index)
{
	struct stage *stage = data;

	return index < stage->chain_count ? stage->chains[index].name : NULL;
}

static size_t stage_length(void *data, const char *set)
{
	(void)data;
	return strcmp(set, "ports") == 0 ? 2 : 0;
}

static void stage_lookup(void *data, const char *set, const uint8_t *key, size_t length, struct element *ret)
{
	(void)set;
	((struct stage *)data)->asked++;
	assert_int_equal(length, 2);
	ret->found = known_bool(key[0] == 0x18 && key[1] == 0xeb);
}

static void stage_effect(void *data, const struct effect *effect)
{
	struct stage *stage = data;

	if (stage->effect_count < ARRAY_SIZE(stage->effects))
		stage->effects[stage->effect_count++] = *effect;
}

static unsigned int walk_rules(
	struct stage *stage, const struct foreign_rule *rules, size_t count, const struct walked *packet)
{
	struct walk_source source = {stage, stage_chain, stage_regular, stage_length, stage_lookup, stage_effect};
	struct foreign_chain chain = {
		.name = (char *)(uintptr_t) "base", .rules = (void *)(uintptr_t)rules, .count = count};
	struct walk walk = {.source = &source, .budget = 1000};
	unsigned int outcome = walk_chain(&walk, &chain, packet);

	assert_int_equal(walk.depth, 0);
	return outcome;
}

static struct walked to_port(uint16_t port)
{
	struct value source = {0, 0x0a140001};
	struct walked packet = packet_make(WIDTH_IPV4, &source, NULL);

	packet_set_port(&packet, port, port);
	return packet;
}

#define PORT_6379 "\x18\xeb"

/* tcp dport OP VALUE, by each operator; drop. */
static void test_ports(void **state)
{
	static const struct {
		uint32_t operation;
		uint16_t first, last; /* of the packet's port */
		enum known expected;
	} rows[] = {
		{NFT_CMP_EQ, 6379, 6379, KNOWN_YES},
		{NFT_CMP_EQ, 6380, 6380, KNOWN_NO},
		{NFT_CMP_EQ, 0, 65535, KNOWN_MAYBE},
		{NFT_CMP_EQ, 7000, 7001, KNOWN_NO},
		{NFT_CMP_NEQ, 6379, 6379, KNOWN_NO},
		{NFT_CMP_NEQ, 1, 2, KNOWN_YES},
		{NFT_CMP_NEQ, 0, 65535, KNOWN_MAYBE},
		{NFT_CMP_LT, 6378, 6378, KNOWN_YES},
		{NFT_CMP_LT, 6379, 6379, KNOWN_NO},
		{NFT_CMP_LTE, 6379, 6379, KNOWN_YES},
		{NFT_CMP_LTE, 6380, 6380, KNOWN_NO},
		{NFT_CMP_GT, 6379, 6379, KNOWN_NO},
		{NFT_CMP_GT, 6380, 65535, KNOWN_YES},
		{NFT_CMP_GTE, 6379, 6379, KNOWN_YES},
		{NFT_CMP_GTE, 6000, 7000, KNOWN_MAYBE},
		{77, 6379, 6379, KNOWN_MAYBE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct maker m;
		struct stage stage = {0};
		struct walked packet = to_port(1);
		unsigned int expected = rows[i].expected == KNOWN_YES  ? MAY_DROP
					: rows[i].expected == KNOWN_NO ? MAY_RETURN
								       : MAY_DROP | MAY_RETURN;

		packet_set_port(&packet, rows[i].first, rows[i].last);
		begin(&m);
		put_payload(&m, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
		put_cmp(&m, rows[i].operation, PORT_6379, 2, NFT_REG_1);
		put_verdict(&m, NF_DROP, NULL);
		if (walk_rules(&stage, end(&m), 1, &packet) != expected)
			fail_msg("row %zu", i);
	}
}

/* A flowtable takes what is established; the first packet knows nothing of it. */
static void test_flowtable(void **state)
{
	struct maker m;
	struct stage stage = {0};
	struct walked packet = to_port(6379);
	_cleanup_text_ struct text text = {0};

	(void)state;
	begin(&m);
	put_load(&m, "ct", NFTA_CT_DREG, NFTA_CT_KEY, NFT_CT_STATE, NFT_REG_1);
	put_mask(&m, &(uint32_t){2}, 4, NFT_REG_1);
	put_cmp(&m, NFT_CMP_NEQ, &(uint32_t){0}, 4, NFT_REG_1);
	put_plain(&m, "flow_offload");
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_RETURN);
	assert_int_equal(stage.effect_count, 0);
	packet_establish(&packet);
	walk_rules(&stage, &m.rule, 1, &packet);
	assert_int_equal(stage.effect_count, 1);
	assert_int_equal(stage.effects[0].kind, FOREIGN_FLOWTABLE);
	assert_true(stage.effects[0].certain);
	foreign_rule_text(&m.rule, NFPROTO_IPV4, &text);
	assert_string_equal(text_string(&text), "ct state established flow add @?");
}

/* Prefixes: three bytes of an address, and a mask over all of it; lo, which nobody outside comes by. */
static void test_addresses(void **state)
{
	static const struct {
		uint32_t offset, length;
		const char *bytes, *mask;
		unsigned int expected;
	} rows[] = {
		{12, 3, "\x0a\x14\x00", NULL, MAY_DROP},
		{12, 3, "\x0a\x15\x00", NULL, MAY_RETURN},
		{12, 4, "\x0a\x14\x00\x00", "\xff\xff\x00\x00", MAY_DROP},
		{12, 4, "\x0a\x15\x00\x00", "\xff\xff\x00\x00", MAY_RETURN},
		/* The destination is not known. */
		{16, 4, "\x0a\x14\x00\x05", NULL, MAY_DROP | MAY_RETURN},
		{9, 1, "\x06", NULL, MAY_DROP},
		{9, 1, "\x11", NULL, MAY_RETURN},
		/* Fragments are put together before. */
		{6, 2, "\x00\x00", "\x1f\xff", MAY_DROP},
		{61, 4, "\x00\x00\x00\x00", NULL, MAY_DROP | MAY_RETURN},
		{4000000000u, 4, "\x00\x00\x00\x00", NULL, MAY_DROP | MAY_RETURN},
	};
	const struct walked packet = to_port(6379);
	struct stage stage = {0};
	struct maker m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(&m);
		put_payload(&m, NFT_PAYLOAD_NETWORK_HEADER, rows[i].offset, rows[i].length, NFT_REG_1);
		if (rows[i].mask)
			put_mask(&m, rows[i].mask, rows[i].length, NFT_REG_1);
		put_cmp(&m, NFT_CMP_EQ, rows[i].bytes, rows[i].length, NFT_REG_1);
		put_verdict(&m, NF_DROP, NULL);
		if (walk_rules(&stage, end(&m), 1, &packet) != rows[i].expected)
			fail_msg("row %zu", i);
	}
	begin(&m);
	put_load(&m, "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_IIFNAME, NFT_REG_1);
	put_cmp(&m, NFT_CMP_EQ, "lo\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, NFT_REG_1);
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_RETURN);
	begin(&m);
	put_load(&m, "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_IIFNAME, NFT_REG_1);
	put_cmp(&m, NFT_CMP_NEQ, "lo\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, NFT_REG_1);
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP);
	begin(&m);
	put_load(&m, "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_IIFNAME, NFT_REG_1);
	put_cmp(&m, NFT_CMP_EQ, "eth0\0\0\0\0\0\0\0\0\0\0\0", 16, NFT_REG_1);
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP | MAY_RETURN);
}

/* What we have no words for, in front of a verdict or alone, and registers that are none. */
static void test_unknown(void **state)
{
	const struct walked packet = to_port(6379);
	struct stage stage = {0};
	struct maker m;

	(void)state;
	begin(&m);
	put_plain(&m, "newer-than-we-know");
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP | MAY_RETURN);
	/* It may have written into any register. */
	begin(&m);
	put_payload(&m, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
	put_plain(&m, "newer-than-we-know");
	put_cmp(&m, NFT_CMP_EQ, "\x00\x16", 2, NFT_REG_1);
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP | MAY_RETURN);
	for (uint32_t reg = 0; reg < 40; reg++) {
		begin(&m);
		put_payload(&m, NFT_PAYLOAD_NETWORK_HEADER, 0, 20, reg);
		put_cmp(&m, NFT_CMP_EQ,
			"\x45\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20, reg);
		put_verdict(&m, NF_DROP, NULL);
		walk_rules(&stage, end(&m), 1, &packet);
	}
	/* A verdict to a program. */
	begin(&m);
	put_verdict(&m, NF_QUEUE, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP | MAY_ACCEPT);
	/* A chain that cannot be had. */
	begin(&m);
	put_verdict(&m, NFT_JUMP, "missing");
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP | MAY_ACCEPT | MAY_RETURN);
}

/* Jumps: behind a chain that returns the walk goes on; behind goto it does not; a loop ends. */
static void test_chains(void **state)
{
	const struct walked packet = to_port(6379);
	struct foreign_rule rules[2];
	struct maker jump;
	struct maker drop;
	struct maker back;
	struct stage stage = {.chain_count = 1};

	(void)state;
	begin(&drop);
	put_verdict(&drop, NF_DROP, NULL);
	rules[1] = *end(&drop);
	begin(&back);
	put_verdict(&back, NFT_RETURN, NULL);
	stage.chains[0] = (struct foreign_chain){
		.name = (char *)(uintptr_t) "c", .rules = (void *)(uintptr_t)end(&back), .count = 1};
	begin(&jump);
	put_verdict(&jump, NFT_JUMP, "c");
	rules[0] = *end(&jump);
	assert_int_equal(walk_rules(&stage, rules, 2, &packet), MAY_DROP);
	begin(&jump);
	put_verdict(&jump, NFT_GOTO, "c");
	rules[0] = *end(&jump);
	assert_int_equal(walk_rules(&stage, rules, 2, &packet), MAY_RETURN);
	/* Into itself: the kernel refuses it, and we come to an end. */
	begin(&jump);
	put_verdict(&jump, NFT_JUMP, "c");
	rules[0] = *end(&jump);
	stage.chains[0].rules = rules;
	stage.chains[0].count = 2;
	assert_int_equal(walk_rules(&stage, rules, 2, &packet) & MAY_DROP, MAY_DROP);
}

/* A set is asked for a key that is known, and for no other. */
static void test_lookup(void **state)
{
	struct walked packet = to_port(6379);
	struct stage stage = {0};
	struct nlattr *data;
	struct nlattr *item;
	struct maker m;

	(void)state;
	begin(&m);
	put_payload(&m, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
	item = expression(&m, "lookup", &data);
	mnl_attr_put_strz(m.message, NFTA_LOOKUP_SET, "ports");
	mnl_attr_put_u32(m.message, NFTA_LOOKUP_SREG, htobe32(NFT_REG_1));
	expression_end(&m, item, data);
	put_verdict(&m, NF_DROP, NULL);
	assert_int_equal(walk_rules(&stage, end(&m), 1, &packet), MAY_DROP);
	packet_set_port(&packet, 22, 22);
	assert_int_equal(walk_rules(&stage, &m.rule, 1, &packet), MAY_RETURN);
	assert_int_equal(stage.asked, 2);
	packet_set_port(&packet, 0, 65535);
	assert_int_equal(walk_rules(&stage, &m.rule, 1, &packet), MAY_DROP | MAY_RETURN);
	assert_int_equal(stage.asked, 2);
}

/* --- a flowtable, read as from a kernel that has them --- */

static void record_message(struct text *text, uint8_t family, const struct nlmsghdr *attributes)
{
	size_t length = sizeof(struct nfgenmsg) + mnl_nlmsg_get_payload_len(attributes);
	const char *bytes = mnl_nlmsg_get_payload(attributes);

	text_append_char(text, (char)length);
	text_append_char(text, (char)(length >> 8));
	text_append_char(text, (char)family);
	for (size_t i = 1; i < sizeof(struct nfgenmsg); i++)
		text_append_char(text, 0);
	for (size_t i = 0; i < mnl_nlmsg_get_payload_len(attributes); i++)
		text_append_char(text, bytes[i]);
}

static void record_end(struct text *text)
{
	text_append_char(text, 0);
	text_append_char(text, 0);
}

static void test_flowtable_read(void **state)
{
	const struct foreign_question question = replay_question();
	_cleanup_text_ struct text text = {0};
	char buffer[1024];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nlattr *hook;
	struct foreign *foreign;
	struct maker m;

	(void)state;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, "mine");
	record_message(&text, NFPROTO_INET, message);
	record_end(&text);
	message = mnl_nlmsg_put_header(buffer);
	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, "mine");
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "forward");
	hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, htobe32(NF_INET_FORWARD));
	mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, 0);
	mnl_attr_nest_end(message, hook);
	mnl_attr_put_strz(message, NFTA_CHAIN_TYPE, "filter");
	record_message(&text, NFPROTO_INET, message);
	record_end(&text);
	begin(&m);
	put_load(&m, "ct", NFTA_CT_DREG, NFTA_CT_KEY, NFT_CT_STATE, NFT_REG_1);
	put_mask(&m, &(uint32_t){2}, 4, NFT_REG_1);
	put_cmp(&m, NFT_CMP_NEQ, &(uint32_t){0}, 4, NFT_REG_1);
	put_plain(&m, "flow_offload");
	end(&m);
	mnl_attr_put_u64(m.message, NFTA_RULE_HANDLE, htobe64(9));
	record_message(&text, NFPROTO_INET, m.message);
	record_end(&text);
	assert_int_equal(replay_read(text.data, text.length, &question, &foreign), 0);
	assert_int_equal(foreign->count, question.port_count);
	for (size_t i = 0; i < foreign->count; i++) {
		assert_int_equal(foreign->facts[i].kind, FOREIGN_FLOWTABLE);
		assert_int_equal(foreign->facts[i].port, question.ports[i]);
		assert_int_equal(foreign->facts[i].handle, 9);
		assert_string_equal(foreign->facts[i].table, "inet mine");
	}
	foreign_free(foreign);
}

/* --- legacy --- */

static void test_legacy(void **state)
{
	char directory[] = "/tmp/dflyguard-test-foreign.XXXXXX";
	_cleanup_free_ char *v4 = NULL;
	_cleanup_free_ char *v6 = NULL;
	struct foreign *foreign;
	FILE *stream;

	(void)state;
	assert_non_null(mkdtemp(directory));
	v4 = mem_format("%s/ip_tables_names", directory);
	v6 = mem_format("%s/ip6_tables_names", directory);
	foreign = foreign_new();
	foreign_read_legacy(foreign, directory);
	assert_int_equal(foreign->legacy, LEGACY_NONE);
	foreign_free(foreign);

	/* The module is there, and no table is. */
	stream = fopen(v4, "we");
	assert_non_null(stream);
	foreign = foreign_new();
	foreign_read_legacy(foreign, directory);
	assert_int_equal(foreign->legacy, LEGACY_NONE);
	foreign_free(foreign);
	fputs("filter\nnat\n", stream);
	fclose(stream);
	foreign = foreign_new();
	foreign_read_legacy(foreign, directory);
	assert_int_equal(foreign->legacy, LEGACY_PRESENT);
	assert_string_equal(foreign->legacy_tables, "ip filter, ip nat");
	foreign_free(foreign);
	unlink(v4);

	/* What cannot be read is not empty: neither a loop nor a directory. */
	assert_int_equal(symlink("ip6_tables_names", v6), 0);
	foreign = foreign_new();
	foreign_read_legacy(foreign, directory);
	assert_int_equal(foreign->legacy, LEGACY_UNKNOWN);
	assert_non_null(strstr(foreign->legacy_why, "ip6_tables_names"));
	foreign_free(foreign);
	unlink(v6);
	assert_int_equal(mkdir(v6, 0700), 0);
	foreign = foreign_new();
	foreign_read_legacy(foreign, directory);
	assert_int_equal(foreign->legacy, LEGACY_UNKNOWN);
	foreign_free(foreign);
	rmdir(v6);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_flowtable),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_flowtable_read),
		cmocka_unit_test(test_legacy),
	};

	return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}

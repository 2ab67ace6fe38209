/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Other tables, read and never written, at one generation as our own. Nobody knows how large they are, so nothing is
 * read that need not be: chains are fetched when a packet comes to them, of their rules only those are kept that can
 * matter for a guarded port, and a set is never listed: it is asked for the one key. Everything is counted, and what
 * goes beyond the limits is said to be missing.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nft_foreign.h"

#define LIMIT_TABLES   16384u
#define LIMIT_CHAINS   65536u
#define LIMIT_RULES    200000u		   /* heard */
#define LIMIT_KEPT     (16u * 1024 * 1024) /* bytes of rules */
#define LIMIT_REQUESTS 30000u
#define LIMIT_FOLLOWED 1000000u /* rules, each time that a packet comes to one */
#define LOOKUPS	       1024u	/* answers that are remembered */

#define PRIORITY_FIRST_LOOK (-150) /* of our chain "prerouting": mangle */
#define PRIORITY_DSTNAT	    (-100)

/* Large enough for a header, two names of 255 bytes and a key. */
#define REQUEST_ROOM 2048

struct set_shape {
	char *name;
	size_t key_length;
	struct element catch_all;
};

struct table {
	uint8_t family;
	char *name;
	uint32_t flags;
	uint32_t owner;
	uint32_t managers; /* bits */
	bool ours;
	bool nat;   /* one of its chains translates */
	bool names; /* one of its rules names a guarded port */
	char **regular;
	size_t regular_count, regular_capacity;
	struct foreign_chain **chains; /* fetched */
	size_t chain_count, chain_capacity;
	struct set_shape *sets;
	size_t set_count, set_capacity;
};

enum place { AT_INGRESS, AT_PREROUTING, AT_INPUT, AT_FORWARD };

struct base {
	size_t table;
	char *name;
	enum place place;
	int priority;
	bool nat;
	bool drop_policy;
};

/* What becomes of a probe on its way in. */
struct passage {
	enum known translated;
	bool away; /* to another host, or a container */
	bool address_known;
	struct value address;
	uint16_t port;
};

struct answer {
	const struct table *table;
	size_t length;
	uint8_t key[IMAGE_BYTES];
	char set[256];
	struct element element;
};

struct reader {
	struct nft *nft;
	const struct foreign_question *question;
	struct foreign *foreign;
	uint16_t generation;
	struct table *tables;
	size_t table_count, table_capacity;
	struct base *bases;
	size_t base_count, base_capacity;
	size_t chains, rules, kept, requests, followed; /* as counted against the limits */
	struct answer *answers;
	const char *over; /* a limit that was reached */
	int error;
	/* Within one walk. */
	struct table *table;
	const struct base *base;
	uint16_t port; /* the guarded one; 0: any other */
	struct passage *passage;
	bool silent; /* what rules do was told before: only the outcome is asked */
};

/* --- by whom, for messages --- */

static const struct {
	bool table; /* the whole name of a table, else the beginning of a chain's */
	const char *text;
	const char *manager;
} signs[] = {
	{true, "firewalld", "firewalld"},
	{true, "foomuuri", "foomuuri"},
	{true, "libvirt_network", "libvirt"},
	{true, "netavark", "podman"},
	{true, "docker-bridges", "docker"},
	{true, "kube-proxy", "kube-proxy"},
	{true, "f2b-table", "fail2ban"},
	{true, "crowdsec", "crowdsec"},
	{true, "fw4", "fw4"},
	{false, "ufw-", "ufw"},
	{false, "ufw6-", "ufw"},
	{false, "DOCKER", "docker"},
	{false, "KUBE-", "kube-proxy"},
	{false, "LIBVIRT_", "libvirt"},
	{false, "NETAVARK", "podman"},
	{false, "CNI-", "cni"},
	{false, "cali-", "calico"},
	{false, "CILIUM_", "cilium"},
	{false, "PVEFW-", "pve-firewall"},
	{false, "f2b-", "fail2ban"},
};

static void note_manager(struct table *table, bool is_table, const char *name)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (signs[i].table == is_table && (is_table ? strcmp(name, signs[i].text) == 0
							    : strncmp(name, signs[i].text, strlen(signs[i].text)) == 0))
			table->managers |= 1u << i;
}

static void table_words(const struct table *table, struct text *text)
{
	static const char *const families[] = {[NFPROTO_INET] = "inet",
		[NFPROTO_IPV4] = "ip",
		[NFPROTO_IPV6] = "ip6",
		[NFPROTO_NETDEV] = "netdev",
		[NFPROTO_BRIDGE] = "bridge",
		[NFPROTO_ARP] = "arp"};
	const char *family = table->family < ARRAY_SIZE(families) ? families[table->family] : NULL;

	text_printf(text, "%s %s", family ? family : "?", table->name);
}

static void add_words(char **list, const struct table *table)
{
	_cleanup_text_ struct text text = {0};
	const char *between = " (";

	text_printf(&text, "%s%s", *list ? *list : "", *list ? ", " : "");
	table_words(table, &text);
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again ||
				((table->managers & 1u << k) && strcmp(signs[k].manager, signs[i].manager) == 0);
		if (!(table->managers & 1u << i) || again)
			continue;
		text_printf(&text, "%s%s", between, signs[i].manager);
		between = ", ";
	}
	if (*between == ',')
		text_append_char(&text, ')');
	free(*list);
	*list = text_take(&text);
}

/* --- requests --- */

static struct nlmsghdr *request(struct reader *reader, char *buffer, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = netlink_sequence(reader->nft->netlink);
	*header = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	return message;
}

/* Checks what every message must have; the family is 0 where it is not one of this reading. */
static int take_message(const struct reader *reader, const struct nlmsghdr *message, const struct nlattr **table,
	size_t count, uint8_t *ret_family)
{
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);

	if (length < sizeof(*header) || message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return -EBADMSG;
	if (be16toh(header->res_id) != reader->generation)
		return -EINTR;
	*ret_family = header->nfgen_family;
	netlink_attributes(mnl_nlmsg_get_payload_offset(message, sizeof(*header)), length - MNL_ALIGN(sizeof(*header)),
		table, count);
	return 0;
}

static bool spend(struct reader *reader, size_t *counter, size_t limit, const char *what)
{
	if (*counter >= limit) {
		reader->over = what;
		return false;
	}
	++*counter;
	return true;
}

static int ask(struct reader *reader, const struct nlmsghdr *message, netlink_message *hear, void *data)
{
	struct err err = {0};
	int r = netlink_request(reader->nft->netlink, message, hear, data, &err);

	if (r < 0 && r != -ENOENT && r != -EINVAL && r != -EOPNOTSUPP)
		reader->error = r;
	return r;
}

/* --- tables and chains --- */

static int hear_table(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[NFTA_TABLE_MAX + 1];
	struct reader *reader = data;
	const char *name;
	uint8_t family;
	int r = take_message(reader, message, attributes, ARRAY_SIZE(attributes), &family);

	if (r < 0)
		return r;
	name = netlink_string(attributes[NFTA_TABLE_NAME]);
	if (!name)
		return -EBADMSG;
	if (reader->table_count >= LIMIT_TABLES) {
		reader->over = "tables";
		return 0;
	}
	ARRAY_GROW(reader->tables, reader->table_count, reader->table_capacity);
	struct table *table = &reader->tables[reader->table_count++];

	*table = (struct table){.family = family, .name = mem_string(name)};
	netlink_u32(attributes[NFTA_TABLE_FLAGS], &table->flags);
	netlink_u32(attributes[NFTA_TABLE_OWNER], &table->owner);
	table->ours = family == NFPROTO_INET && strcmp(name, TABLE_NAME) == 0;
	note_manager(table, true, name);
	return 0;
}

static struct table *find_table(struct reader *reader, uint8_t family, const char *name)
{
	/* Chains come table by table: it most likely is the last one, or the next. */
	size_t begin = reader->table ? (size_t)(reader->table - reader->tables) : 0;

	for (size_t i = 0; i < reader->table_count; i++) {
		struct table *table = &reader->tables[(begin + i) % reader->table_count];

		if (table->family == family && strcmp(table->name, name) == 0)
			return reader->table = table;
	}
	return NULL;
}

/* Where packets meet a chain; false for hooks that no packet to a guarded port passes on its way in. */
static bool read_place(uint8_t family, const struct nlattr *nest, struct base *base)
{
	static const enum place places[] = {
		[NF_INET_PRE_ROUTING] = AT_PREROUTING, [NF_INET_LOCAL_IN] = AT_INPUT, [NF_INET_FORWARD] = AT_FORWARD};
	const struct nlattr *hook[NFTA_HOOK_MAX + 1];
	uint32_t number;
	uint32_t priority;

	netlink_nest(nest, hook, ARRAY_SIZE(hook));
	if (!netlink_u32(hook[NFTA_HOOK_HOOKNUM], &number) || !netlink_u32(hook[NFTA_HOOK_PRIORITY], &priority))
		return false;
	base->priority = (int)priority;
	if (family == NFPROTO_NETDEV || (family == NFPROTO_INET && number == NF_INET_INGRESS)) {
		base->place = AT_INGRESS;
		return family == NFPROTO_INET || number == NF_NETDEV_INGRESS;
	}
	if (number >= ARRAY_SIZE(places) || family == NFPROTO_ARP)
		return false;
	base->place = places[number];
	return true;
}

static int hear_chain(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[NFTA_CHAIN_MAX + 1];
	struct reader *reader = data;
	uint32_t policy = NF_ACCEPT;
	struct base base = {0};
	struct table *table;
	const char *name;
	const char *type;
	uint8_t family;
	int r = take_message(reader, message, attributes, ARRAY_SIZE(attributes), &family);

	if (r < 0)
		return r;
	name = netlink_string(attributes[NFTA_CHAIN_NAME]);
	type = netlink_string(attributes[NFTA_CHAIN_TABLE]);
	if (!name || !type)
		return -EBADMSG;
	table = find_table(reader, family, type);
	if (!table || table->ours)
		return 0;
	note_manager(table, false, name);
	/* None of its chains is run. */
	if (table->flags & TABLE_DORMANT)
		return 0;
	if (!spend(reader, &reader->chains, LIMIT_CHAINS, "chains"))
		return 0;
	if (!attributes[NFTA_CHAIN_HOOK]) {
		ARRAY_GROW(table->regular, table->regular_count, table->regular_capacity);
		table->regular[table->regular_count++] = mem_string(name);
		return 0;
	}
	if (!read_place(family, attributes[NFTA_CHAIN_HOOK], &base))
		return 0;
	type = netlink_string(attributes[NFTA_CHAIN_TYPE]);
	netlink_u32(attributes[NFTA_CHAIN_POLICY], &policy);
	base.table = (size_t)(table - reader->tables);
	base.name = mem_string(name);
	base.nat = type && strcmp(type, "nat") == 0;
	base.drop_policy = policy == NF_DROP;
	table->nat = table->nat || base.nat;
	ARRAY_GROW(reader->bases, reader->base_count, reader->base_capacity);
	reader->bases[reader->base_count++] = base;
	return 0;
}

/* --- rules, when a packet comes to them --- */

struct loading {
	struct reader *reader;
	struct foreign_chain *chain;
	struct walked packets[2];
	size_t packet_count;
};

static size_t packets_of(uint8_t family, struct walked *packets)
{
	size_t count = 0;

	if (family != NFPROTO_IPV6)
		packets[count++] = packet_make(WIDTH_IPV4, NULL, NULL);
	if (family != NFPROTO_IPV4)
		packets[count++] = packet_make(WIDTH_IPV6, NULL, NULL);
	return count;
}

static int hear_rule(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[NFTA_RULE_MAX + 1];
	struct loading *loading = data;
	struct reader *reader = loading->reader;
	struct foreign_rule rule = {0};
	uint8_t family;
	int r = take_message(reader, message, attributes, ARRAY_SIZE(attributes), &family);

	if (r < 0)
		return r;
	if (!spend(reader, &reader->rules, LIMIT_RULES, "rules"))
		return 0;
	netlink_u64(attributes[NFTA_RULE_HANDLE], &rule.handle);
	rule.expressions = attributes[NFTA_RULE_EXPRESSIONS];
	if (!rule.expressions)
		return 0;
	bool matters = walk_rule_matters(&rule, loading->packets, loading->packet_count, reader->table->nat,
		reader->question->ports, reader->question->port_count, &reader->table->names);

	if (!matters)
		return 0;
	if (reader->kept + rule.expressions->nla_len > LIMIT_KEPT) {
		reader->over = "rules";
		return 0;
	}
	reader->kept += rule.expressions->nla_len;
	struct nlattr *copy = mem_alloc(rule.expressions->nla_len);

	memcpy(copy, rule.expressions, rule.expressions->nla_len);
	rule.expressions = copy;
	ARRAY_GROW(loading->chain->rules, loading->chain->count, loading->chain->capacity);
	loading->chain->rules[loading->chain->count++] = rule;
	return 0;
}

static const struct foreign_chain *fetch_chain(void *data, const char *name)
{
	struct reader *reader = data;
	struct table *table = reader->table;
	struct loading loading = {.reader = reader};
	char buffer[REQUEST_ROOM];
	struct nlmsghdr *message;

	for (size_t i = 0; i < table->chain_count; i++)
		if (strcmp(table->chains[i]->name, name) == 0)
			return table->chains[i];
	if (reader->error || !spend(reader, &reader->requests, LIMIT_REQUESTS, "chains and sets"))
		return NULL;
	loading.chain = mem_zero(1, sizeof(*loading.chain));
	loading.chain->name = mem_string(name);
	loading.packet_count = packets_of(table->family, loading.packets);
	/* The first ones and later ones: flowtables are for those. */
	for (size_t i = 0; i < loading.packet_count; i++)
		packet_any(&loading.packets[i]);
	ARRAY_GROW(table->chains, table->chain_count, table->chain_capacity);
	table->chains[table->chain_count++] = loading.chain;
	message = request(reader, buffer, NFT_MSG_GETRULE, NLM_F_DUMP, table->family);
	mnl_attr_put_strz(message, NFTA_RULE_TABLE, table->name);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, name);
	/* It was there a moment ago. */
	if (ask(reader, message, hear_rule, &loading) < 0 && !reader->error)
		reader->error = -EINTR;
	return loading.chain;
}

static const char *regular_chain(void *data, size_t index)
{
	const struct reader *reader = data;

	return index < reader->table->regular_count ? reader->table->regular[index] : NULL;
}

/* --- sets, by one key --- */

struct set_answer {
	struct reader *reader;
	uint32_t key_length;
	struct element element;
};

static int hear_set(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[NFTA_SET_MAX + 1];
	struct set_answer *answer = data;
	uint8_t family;
	int r = take_message(answer->reader, message, attributes, ARRAY_SIZE(attributes), &family);

	if (r == 0)
		netlink_u32(attributes[NFTA_SET_KEY_LEN], &answer->key_length);
	return r;
}

/* An element with a limit or a quota of its own may say no. */
static bool counts_only(const struct nlattr *nest)
{
	const struct nlattr *table[NFTA_EXPR_MAX + 1];
	const char *name;

	if (!nest)
		return true;
	netlink_nest(nest, table, ARRAY_SIZE(table));
	name = netlink_string(table[NFTA_EXPR_NAME]);
	return name && (strcmp(name, "counter") == 0 || strcmp(name, "last") == 0);
}

static void read_element(const struct nlattr *item, struct element *ret)
{
	const struct nlattr *element[NFTA_SET_ELEM_MAX + 1];
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	const struct nlattr *verdict[NFTA_VERDICT_MAX + 1];
	const char *chain;
	uint32_t code;

	netlink_nest(item, element, ARRAY_SIZE(element));
	ret->found = KNOWN_YES;
	if (!counts_only(element[NFTA_SET_ELEM_EXPR]) || element[NFTA_SET_ELEM_EXPRESSIONS] ||
		element[NFTA_SET_ELEM_OBJREF])
		ret->found = KNOWN_MAYBE;
	netlink_nest(element[NFTA_SET_ELEM_DATA], data, ARRAY_SIZE(data));
	if (data[NFTA_DATA_VALUE] && mnl_attr_get_payload_len(data[NFTA_DATA_VALUE]) <= sizeof(ret->data)) {
		ret->data_length = mnl_attr_get_payload_len(data[NFTA_DATA_VALUE]);
		memcpy(ret->data, mnl_attr_get_payload(data[NFTA_DATA_VALUE]), ret->data_length);
	}
	if (!netlink_nest(data[NFTA_DATA_VERDICT], verdict, ARRAY_SIZE(verdict)) ||
		!netlink_u32(verdict[NFTA_VERDICT_CODE], &code))
		return;
	ret->has_verdict = true;
	ret->verdict = (int32_t)code;
	chain = netlink_string(verdict[NFTA_VERDICT_CHAIN]);
	snprintf(ret->chain, sizeof(ret->chain), "%s", chain ? chain : "");
}

static int hear_element(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attributes[NFTA_SET_ELEM_LIST_MAX + 1];
	const struct nlattr *item;
	struct set_answer *answer = data;
	uint8_t family;
	int r = take_message(answer->reader, message, attributes, ARRAY_SIZE(attributes), &family);

	if (r < 0)
		return r;
	if (!attributes[NFTA_SET_ELEM_LIST_ELEMENTS])
		return -EBADMSG;
	mnl_attr_for_each_nested(item, attributes[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		read_element(item, &answer->element);
		break;
	}
	return 0;
}

/* `key` NULL: the element for what no other is for. */
static void ask_element(struct reader *reader, const char *set, const uint8_t *key, size_t length, struct element *ret)
{
	struct set_answer answer = {.reader = reader};
	char buffer[REQUEST_ROOM];
	struct nlmsghdr *message;
	struct nlattr *list;
	struct nlattr *item;
	struct nlattr *value;
	int r;

	ret->found = KNOWN_MAYBE;
	if (reader->error || !spend(reader, &reader->requests, LIMIT_REQUESTS, "chains and sets"))
		return;
	message = request(reader, buffer, NFT_MSG_GETSETELEM, NLM_F_ACK, reader->table->family);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, reader->table->name);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
	list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	if (key) {
		value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
		mnl_attr_put(message, NFTA_DATA_VALUE, length, key);
		mnl_attr_nest_end(message, value);
	} else {
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_CATCHALL));
	}
	mnl_attr_nest_end(message, item);
	mnl_attr_nest_end(message, list);
	r = ask(reader, message, hear_element, &answer);
	if (r == 0)
		*ret = answer.element;
	/* Kernels before 5.13 know of no such element, and call the question invalid. */
	else if (r == -ENOENT || !key)
		ret->found = KNOWN_NO;
}

static struct set_shape *find_set(struct reader *reader, const char *name)
{
	struct table *table = reader->table;
	struct set_answer answer = {.reader = reader};
	char buffer[REQUEST_ROOM];
	struct nlmsghdr *message;

	for (size_t i = 0; i < table->set_count; i++)
		if (strcmp(table->sets[i].name, name) == 0)
			return &table->sets[i];
	if (reader->error || !spend(reader, &reader->requests, LIMIT_REQUESTS, "chains and sets"))
		return NULL;
	message = request(reader, buffer, NFT_MSG_GETSET, NLM_F_ACK, table->family);
	mnl_attr_put_strz(message, NFTA_SET_TABLE, table->name);
	mnl_attr_put_strz(message, NFTA_SET_NAME, name);
	ask(reader, message, hear_set, &answer);
	ARRAY_GROW(table->sets, table->set_count, table->set_capacity);
	struct set_shape *set = &table->sets[table->set_count++];

	*set = (struct set_shape){.name = mem_string(name), .key_length = answer.key_length};
	ask_element(reader, name, NULL, 0, &set->catch_all);
	return set;
}

static size_t key_length(void *data, const char *name)
{
	const struct set_shape *set = find_set(data, name);

	return set ? set->key_length : 0;
}

static struct answer *remembered(struct reader *reader, const char *set, const uint8_t *key, size_t length)
{
	uint32_t hash = 2166136261u;

	for (const char *byte = set; *byte; byte++)
		hash = (hash ^ (uint8_t)*byte) * 16777619u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ key[i]) * 16777619u;
	hash ^= (uint32_t)(reader->table - reader->tables) * 2654435761u;
	return &reader->answers[(hash ^ hash >> 16) % LOOKUPS];
}

static void look_up(void *data, const char *name, const uint8_t *key, size_t length, struct element *ret)
{
	struct reader *reader = data;
	struct answer *answer = remembered(reader, name, key, length);
	struct set_shape *set;

	if (answer->table == reader->table && answer->length == length && memcmp(answer->key, key, length) == 0 &&
		strcmp(answer->set, name) == 0) {
		*ret = answer->element;
		return;
	}
	*ret = (struct element){.found = KNOWN_MAYBE};
	ask_element(reader, name, key, length, ret);
	set = ret->found == KNOWN_NO ? find_set(reader, name) : NULL;
	if (set)
		*ret = set->catch_all;
	if (strlen(name) >= sizeof(answer->set))
		return;
	*answer = (struct answer){.table = reader->table, .length = length, .element = *ret};
	memcpy(answer->key, key, length);
	strcpy(answer->set, name);
}

/* --- from what rules do to facts --- */

static void add_fact(struct reader *reader, struct foreign_fact *fact, const struct foreign_chain *chain,
	const struct foreign_rule *rule, uint8_t family)
{
	_cleanup_text_ struct text table = {0};
	_cleanup_text_ struct text words = {0};

	table_words(reader->table, &table);
	if (rule)
		foreign_rule_text(rule, family, &words);
	else
		text_append(&words, "policy drop");
	fact->table = text_take(&table);
	fact->chain = mem_string(chain->name);
	fact->handle = rule ? rule->handle : 0;
	fact->rule = text_take(&words);
	reader->table->names = true;
	foreign_add(reader->foreign, fact);
}

static bool is_guarded(const struct reader *reader, uint16_t port)
{
	for (size_t i = 0; i < reader->question->port_count; i++)
		if (reader->question->ports[i] == port)
			return true;
	return false;
}

static void note_passage(struct passage *passage, const struct effect *effect)
{
	if (effect->kind != FOREIGN_NAT || passage->translated == KNOWN_YES)
		return;
	passage->translated = effect->certain ? KNOWN_YES : KNOWN_MAYBE;
	passage->away = effect->address_changes;
	passage->address_known = effect->address_known;
	passage->address = effect->address;
	if (effect->port_changes)
		passage->port = effect->to_port;
}

/* A translation or rewriting of ports, of the packets that came to it. */
static bool map_fact(const struct reader *reader, const struct effect *effect, struct foreign_fact *fact)
{
	bool before_us = reader->base->place == AT_INGRESS ||
			 (reader->base->place == AT_PREROUTING && reader->base->priority < PRIORITY_FIRST_LOOK);
	char buffer[INTERVAL_TEXT];

	if (!effect->port_changes && !effect->address_changes)
		return false;
	fact->to_port = effect->port_changes ? effect->to_port : reader->port;
	if (effect->address_changes)
		fact->to_address =
			mem_string(effect->address_known ? value_format(effect->width, effect->address, buffer)
							 : "an address that a map tells");
	if (reader->port)
		/* From a guarded port: judged before, unless it was rewritten before our first look. */
		return effect->address_changes || fact->to_port != reader->port;
	if ((effect->port_first == effect->port_last && is_guarded(reader, effect->port_first)) ||
		!effect->port_changes || (effect->to_port && !is_guarded(reader, effect->to_port)))
		return false;
	fact->port = effect->to_port;
	fact->unjudged = effect->kind == FOREIGN_REWRITE && (effect->proxied || !before_us);
	return true;
}

static void hear_effect(void *data, const struct effect *effect)
{
	struct reader *reader = data;
	struct foreign_fact fact = {.kind = effect->kind,
		.certain = effect->certain,
		.port = reader->port,
		.from_first = effect->port_first,
		.from_last = effect->port_last};
	bool maps = effect->kind == FOREIGN_NAT || effect->kind == FOREIGN_REWRITE;

	if (reader->silent)
		return;
	if (reader->passage) {
		note_passage(reader->passage, effect);
		return;
	}
	/* Only ports outside are asked for without a port. */
	if (maps ? !map_fact(reader, effect, &fact) : !reader->port) {
		free(fact.to_address);
		return;
	}
	add_fact(reader, &fact, effect->chain, effect->rule, effect->width == WIDTH_IPV6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
}

static const struct walk_source source = {.chain = fetch_chain,
	.regular = regular_chain,
	.key_length = key_length,
	.lookup = look_up,
	.effect = hear_effect};

static unsigned int walk_base(struct reader *reader, const struct walked *packet, struct walk *walk)
{
	struct walk_source from = source;
	const struct foreign_chain *chain = fetch_chain(reader, reader->base->name);
	unsigned int outcome;

	from.data = reader;
	*walk = (struct walk){.source = &from, .budget = LIMIT_FOLLOWED - reader->followed};
	outcome = chain ? walk_chain(walk, chain, packet) : MAY_DROP | MAY_ACCEPT;
	reader->followed = LIMIT_FOLLOWED - walk->budget;
	if (walk->budget == 0)
		reader->over = "rules";
	return outcome;
}

/* What is done to any packet for a guarded port, or becomes one. */
static void find_effects(struct reader *reader)
{
	struct walked packets[2];
	size_t count = packets_of(reader->table->family, packets);
	struct walk walk;

	for (size_t i = 0; i < count && !reader->error; i++) {
		bool forward = reader->base->place == AT_FORWARD;

		packets[i].to_us = forward ? KNOWN_NO : KNOWN_YES;
		reader->port = 0;
		if (!forward)
			walk_base(reader, &packets[i], &walk);
		for (size_t k = 0; k < reader->question->port_count; k++) {
			struct walked packet = packets[i];

			reader->port = reader->question->ports[k];
			packet_set_port(&packet, reader->port, reader->port);
			if (forward)
				packet_establish(&packet);
			walk_base(reader, &packet, &walk);
		}
	}
}

static bool fits(const struct reader *reader, const struct foreign_probe *probe)
{
	uint8_t family = reader->table->family;

	return family == NFPROTO_INET || family == (probe->width == WIDTH_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

static struct walked probe_packet(const struct foreign_probe *probe)
{
	struct walked packet =
		packet_make(probe->width, &probe->source, probe->destination_known ? &probe->destination : NULL);

	packet_set_port(&packet, probe->port, probe->port);
	return packet;
}

static void find_passages(struct reader *reader, struct passage *passages)
{
	struct walk walk;

	if (!reader->base->nat || reader->base->place != AT_PREROUTING)
		return;
	for (size_t i = 0; i < reader->question->probe_count && !reader->error; i++) {
		const struct foreign_probe *probe = &reader->question->probes[i];
		struct walked packet = probe_packet(probe);

		if (!fits(reader, probe))
			continue;
		reader->passage = &passages[i];
		walk_base(reader, &packet, &walk);
	}
	reader->passage = NULL;
}

static struct walked translated_packet(const struct foreign_probe *probe, const struct passage *passage)
{
	struct walked packet = packet_make(probe->width, &probe->source,
		passage->away		   ? passage->address_known ? &passage->address : NULL
		: probe->destination_known ? &probe->destination
					   : NULL);

	packet.translated = KNOWN_YES;
	packet.to_us = passage->away ? KNOWN_NO : KNOWN_YES;
	if (passage->port)
		packet_set_port(&packet, passage->port, passage->port);
	return packet;
}

static void find_drop(struct reader *reader, const struct foreign_probe *probe, const struct passage *passage)
{
	bool later = reader->base->place != AT_PREROUTING || reader->base->priority > PRIORITY_DSTNAT;
	bool translated =
		later && passage->translated != KNOWN_NO && (reader->base->place != AT_INPUT || !passage->away);
	struct walked packet = translated ? translated_packet(probe, passage) : probe_packet(probe);
	struct foreign_fact fact = {.kind = FOREIGN_DROP, .port = probe->port, .probe = *probe};
	struct foreign_chain base = {.name = reader->base->name};
	struct walk walk;
	unsigned int outcome;
	bool certain;

	/* What goes to a container does not come to input, and only that is forwarded. */
	if (reader->base->place == AT_INPUT && passage->away && passage->translated == KNOWN_YES)
		return;
	if (reader->base->place == AT_FORWARD && (!passage->away || passage->translated == KNOWN_NO))
		return;
	outcome = walk_base(reader, &packet, &walk);
	if (outcome & MAY_RETURN && reader->base->drop_policy) {
		outcome = (outcome & ~(unsigned int)MAY_RETURN) | MAY_DROP;
		walk.last_chain = &base;
		walk.last_rule = NULL;
		if (!walk.dropped) {
			walk.first_chain = &base;
			walk.first_rule = NULL;
		}
		walk.dropped = true;
	}
	if (!(outcome & MAY_DROP) || reader->error)
		return;
	certain = outcome == MAY_DROP && (!later || passage->translated != KNOWN_MAYBE);
	if (!walk.dropped) {
		walk.first_chain = walk.last_chain = &base;
		walk.first_rule = walk.last_rule = NULL;
	}
	fact.certain = certain;
	add_fact(reader, &fact, certain ? walk.last_chain : walk.first_chain,
		certain ? walk.last_rule : walk.first_rule, probe->width == WIDTH_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

static void find_all(struct reader *reader)
{
	struct passage passages[FOREIGN_PROBES] = {0};

	for (size_t i = 0; i < reader->question->probe_count; i++)
		passages[i].port = reader->question->probes[i].port;
	for (size_t i = 0; i < reader->base_count && !reader->error; i++) {
		reader->base = &reader->bases[i];
		reader->table = &reader->tables[reader->base->table];
		find_effects(reader);
		find_passages(reader, passages);
	}
	reader->silent = true;
	for (size_t i = 0; i < reader->base_count && !reader->error; i++) {
		reader->base = &reader->bases[i];
		reader->table = &reader->tables[reader->base->table];
		if (reader->base->place == AT_INGRESS)
			continue;
		for (size_t k = 0; k < reader->question->probe_count && !reader->error; k++)
			if (fits(reader, &reader->question->probes[k]))
				find_drop(reader, &reader->question->probes[k], &passages[k]);
	}
}

/* --- all of it --- */

static void sum_up(struct reader *reader)
{
	struct foreign *foreign = reader->foreign;

	for (size_t i = 0; i < reader->table_count; i++) {
		const struct table *table = &reader->tables[i];

		if (table->ours) {
			foreign->ours_flags = table->flags;
			foreign->ours_owner = table->owner;
			continue;
		}
		foreign->table_count++;
		if ((table->flags & TABLE_OWNER) && table->names)
			add_words(&foreign->owners, table);
		if (table->managers)
			add_words(&foreign->managers, table);
	}
	if (reader->over)
		foreign->incomplete = mem_format("they hold more %s than are looked at", reader->over);
}

static void reader_done(struct reader *reader)
{
	for (size_t i = 0; i < reader->table_count; i++) {
		struct table *table = &reader->tables[i];

		for (size_t k = 0; k < table->chain_count; k++) {
			struct foreign_chain *chain = table->chains[k];

			for (size_t r = 0; r < chain->count; r++)
				free((void *)(uintptr_t)chain->rules[r].expressions);
			free(chain->rules);
			free(chain->name);
			free(chain);
		}
		for (size_t k = 0; k < table->regular_count; k++)
			free(table->regular[k]);
		for (size_t k = 0; k < table->set_count; k++)
			free(table->sets[k].name);
		free(table->chains);
		free(table->regular);
		free(table->sets);
		free(table->name);
	}
	for (size_t i = 0; i < reader->base_count; i++)
		free(reader->bases[i].name);
	free(reader->tables);
	free(reader->bases);
	free(reader->answers);
}

static int read_once(struct reader *reader, struct err *err)
{
	char buffer[REQUEST_ROOM];
	uint32_t before;
	uint32_t after;
	int r = nft_generation(reader->nft, &before, err);

	if (r < 0)
		return r;
	reader->generation = (uint16_t)before;
	r = netlink_request(reader->nft->netlink, request(reader, buffer, NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_UNSPEC),
		hear_table, reader, err);
	if (r == 0)
		r = netlink_request(reader->nft->netlink,
			request(reader, buffer, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC), hear_chain, reader, err);
	if (r < 0)
		return r;
	find_all(reader);
	if (reader->error) {
		if (err && reader->error != -EINTR && reader->error != -ENOBUFS)
			err_set(err, -reader->error, ERR_NETLINK, "other tables could not be read: %s",
				strerror(-reader->error));
		return reader->error;
	}
	r = nft_generation(reader->nft, &after, err);
	return r < 0 ? r : before == after ? 0 : -EINTR;
}

int nft_read_foreign(struct nft *nft, const struct foreign_question *question, struct foreign **ret, struct err *err)
{
	double deadline = netlink_now(nft->netlink) + NFT_READ_SECONDS;
	long pause = 500000;

	for (;;) {
		struct reader reader = {.nft = nft,
			.question = question,
			.foreign = foreign_new(),
			.answers = mem_zero(LOOKUPS, sizeof(struct answer))};
		struct err reason = {0};
		int r = read_once(&reader, &reason);

		if (r == 0) {
			sum_up(&reader);
			foreign_read_legacy(reader.foreign, "/proc/self/net");
			*ret = TAKE_PTR(reader.foreign);
		}
		foreign_free(reader.foreign);
		reader_done(&reader);
		if (r != -EINTR && r != -ENOBUFS && r != -ENOENT) {
			if (r < 0 && !reason.code)
				err_set(&reason, -r, ERR_NETLINK, "the kernel's answer was not understood: %s",
					strerror(-r));
			if (r < 0 && err)
				*err = reason;
			return r;
		}
		if (netlink_now(nft->netlink) > deadline)
			break;
		netlink_pause(nft->netlink, pause);
		pause = pause < 20000000 ? pause * 3 / 2 + 7919 : 7000000;
	}
	return err_set(err, EAGAIN, ERR_NETLINK,
		"the kernel's ruleset changed during every attempt to read other tables, for %d seconds",
		NFT_READ_SECONDS);
}

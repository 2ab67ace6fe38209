/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A kernel to talk with by way of struct transport. It keeps the messages that it was sent, checks a transaction as
 * nf_tables does (what exists, what is referred to, the generation), applies all of it or nothing, and lists what it
 * keeps: dumps in pieces, elements in descending order, each message with the generation, no second dump before the end
 * of the first. And it fails on demand, as real ones do when nobody looks.
 */

#include "codec.h"
#include "testing.h"

/* ---- what it keeps ---- */

struct kept {
	uint16_t type; /* NFT_MSG_NEW* */
	char *key;     /* the name; of a rule: its chain; of an element: its set */
	char *bytes;   /* the message; of an element: its attribute */
	size_t length;
};

struct store {
	struct kept *items;
	size_t count, capacity;
	bool updated; /* the table's flags, in this transaction */
};

static inline void store_done(struct store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		free(store->items[i].key);
		free(store->items[i].bytes);
	}
	free(store->items);
	*store = (struct store){0};
}

static inline void store_add(struct store *store, uint16_t type, const char *key, const void *bytes, size_t length)
{
	ARRAY_GROW(store->items, store->count, store->capacity);
	store->items[store->count++] = (struct kept){type, mem_string(key), mem_stringn(bytes, length), length};
}

static inline void store_delete(struct store *store, size_t index)
{
	free(store->items[index].key);
	free(store->items[index].bytes);
	memmove(&store->items[index], &store->items[index + 1], (store->count - index - 1) * sizeof(*store->items));
	store->count--;
}

static inline void store_copy(struct store *to, const struct store *from)
{
	for (size_t i = 0; i < from->count; i++)
		store_add(to, from->items[i].type, from->items[i].key, from->items[i].bytes, from->items[i].length);
}

/* SIZE_MAX where there is none. */
static inline size_t store_find(const struct store *store, uint16_t type, const char *key)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->items[i].type == type && (!key || strcmp(store->items[i].key, key) == 0))
			return i;
	return SIZE_MAX;
}

static inline size_t store_delete_all(struct store *store, uint16_t type, const char *key)
{
	size_t deleted = 0;

	for (size_t i; (i = store_find(store, type, key)) != SIZE_MAX; deleted++)
		store_delete(store, i);
	return deleted;
}

/* One message with this element of a set. */
static inline struct nlmsghdr *element_message(char *buffer, const struct kept *element)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	struct nlattr *list;

	message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM;
	*header = (struct nfgenmsg){.nfgen_family = NFPROTO_INET};
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, element->key);
	list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	memcpy(mnl_nlmsg_get_payload_tail(message), element->bytes, element->length);
	message->nlmsg_len += (uint32_t)MNL_ALIGN(element->length);
	mnl_attr_nest_end(message, list);
	return message;
}

/* In the order in which nft_read() asks. Elements last. */
static const uint16_t store_order[] = {NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET,
	NFT_MSG_NEWOBJ, NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWSETELEM};

static inline struct ruleset *store_ruleset(const struct store *store)
{
	struct decoder decoder = {.ruleset = ruleset_new()};
	char buffer[4096];

	for (size_t t = 0; t < ARRAY_SIZE(store_order); t++)
		for (size_t i = 0; i < store->count; i++) {
			const struct kept *kept = &store->items[i];

			if (kept->type == store_order[t])
				assert_int_equal(decoder_hear(&decoder, kept->type == NFT_MSG_NEWSETELEM
										? element_message(buffer, kept)
										: (const void *)kept->bytes),
					0);
		}
	return decoder_finish(&decoder);
}

/* ---- what refers to what ---- */

static inline bool term_refers(const struct term *term, uint16_t type, const char *name)
{
	if (!term->name || strcmp(term->name, name) != 0)
		return false;
	switch (term->kind) {
	case TERM_LOOKUP:
	case TERM_MAP:
	case TERM_UPDATE:
	case TERM_KNOWN:
		return type == NFT_MSG_NEWSET;
	case TERM_COUNTER:
		return type == NFT_MSG_NEWOBJ;
	case TERM_VERDICT:
		return type == NFT_MSG_NEWCHAIN;
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

static inline bool store_refers(const struct store *store, uint16_t type, const char *name)
{
	struct ruleset *ruleset = store_ruleset(store);
	bool refers = false;

	for (size_t c = 0; c < ruleset->chain_count; c++)
		for (size_t r = 0; r < ruleset->chains[c].rule_count; r++) {
			const struct rule *rule = &ruleset->chains[c].rules[r];

			for (size_t t = 0; t < rule->term_count; t++)
				refers = refers || term_refers(&rule->terms[t], type, name);
		}
	for (size_t s = 0; type == NFT_MSG_NEWCHAIN && s < ruleset->set_count; s++) {
		const struct set *set = &ruleset->sets[s];

		for (size_t i = 0; set->targets && i < set->elements.count; i++)
			refers = refers || (set->targets[i].chain && strcmp(set->targets[i].chain, name) == 0);
	}
	ruleset_free(ruleset);
	return refers;
}

/* Whether all that a ruleset names is there, and no set holds overlapping intervals. */
static inline int store_check(const struct store *store)
{
	struct ruleset *ruleset = store_ruleset(store);
	int code = 0;

	for (size_t c = 0; c < ruleset->chain_count; c++)
		for (size_t r = 0; r < ruleset->chains[c].rule_count; r++) {
			const struct rule *rule = &ruleset->chains[c].rules[r];

			for (size_t t = 0; t < rule->term_count; t++) {
				const struct term *term = &rule->terms[t];

				if ((term_refers(term, NFT_MSG_NEWSET, term->name ? term->name : "") &&
					    !ruleset_set(ruleset, term->name)) ||
					(term_refers(term, NFT_MSG_NEWOBJ, term->name ? term->name : "") &&
						!ruleset_counter(ruleset, term->name)) ||
					(term_refers(term, NFT_MSG_NEWCHAIN, term->name ? term->name : "") &&
						!ruleset_chain(ruleset, term->name)))
					code = ENOENT;
			}
		}
	for (size_t s = 0; s < ruleset->set_count; s++) {
		const struct set *set = &ruleset->sets[s];

		for (size_t i = 0; set->targets && i < set->elements.count; i++)
			if (set->targets[i].chain && !ruleset_chain(ruleset, set->targets[i].chain))
				code = ENOENT;
		if (set->irregular)
			code = EEXIST;
	}
	ruleset_free(ruleset);
	return code;
}

/* ---- transactions ---- */

/* What a new rule names must be there before it, a map for a map and a set for a set. */
static inline int store_check_rule(const struct store *store, const struct nlmsghdr *rule)
{
	struct ruleset *ruleset = store_ruleset(store);
	struct chain *chain = ruleset_add_chain(ruleset, "(new)");
	char buffer[8192];
	int code = 0;
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	const struct nlattr *attribute;

	/* The same rule in a chain of its own. */
	memcpy(message, rule, sizeof(*message) + sizeof(struct nfgenmsg));
	message->nlmsg_len = sizeof(*message) + sizeof(struct nfgenmsg);
	mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain->name);
	attribute = codec_find(rule, NFTA_RULE_EXPRESSIONS);
	mnl_attr_put(
		message, attribute->nla_type, mnl_attr_get_payload_len(attribute), mnl_attr_get_payload(attribute));
	assert_int_equal(decode_rule(ruleset, message), 0);
	chain = &ruleset->chains[ruleset->chain_count - 1];
	assert_int_equal(chain->rule_count, 1);
	for (size_t i = 0; i < chain->rules[0].term_count && !code; i++) {
		const struct term *term = &chain->rules[0].terms[i];
		const struct set *set = term->name ? ruleset_set(ruleset, term->name) : NULL;

		if ((term->kind == TERM_COUNTER && !ruleset_counter(ruleset, term->name)) ||
			(term->kind == TERM_VERDICT && term->name && !ruleset_chain(ruleset, term->name)) ||
			((term->kind == TERM_LOOKUP || term->kind == TERM_MAP) && !set))
			code = ENOENT;
		else if ((term->kind == TERM_LOOKUP || term->kind == TERM_MAP) && set->map != (term->kind == TERM_MAP))
			code = EINVAL;
		else if (term->kind == TERM_VERDICT && term->name && ruleset_chain(ruleset, term->name)->base)
			code = EOPNOTSUPP;
	}
	ruleset_free(ruleset);
	return code;
}

/* Overwrites a number inside a kept message. */
static inline void kept_patch(struct kept *kept, uint16_t type, const struct nlattr *with)
{
	const struct nlattr *attribute = codec_find((const struct nlmsghdr *)kept->bytes, type);

	if (attribute && with && attribute->nla_len == with->nla_len)
		memcpy(mnl_attr_get_payload(attribute), mnl_attr_get_payload(with), mnl_attr_get_payload_len(with));
}

static inline bool same_attribute(const struct nlattr *a, const struct nlattr *b)
{
	return a && b ? a->nla_len == b->nla_len && memcmp(mnl_attr_get_payload(a), mnl_attr_get_payload(b),
							    mnl_attr_get_payload_len(a)) == 0
		      : a == b;
}

/* Without what stands between the value and the next attribute: libmnl 1.0.4 leaves it as it was. */
static inline bool same_key(const struct nlattr *a, const struct nlattr *b)
{
	const struct nlattr *x[NFTA_DATA_MAX + 1];
	const struct nlattr *y[NFTA_DATA_MAX + 1];

	netlink_nest(a, x, ARRAY_SIZE(x));
	netlink_nest(b, y, ARRAY_SIZE(y));
	return same_attribute(x[NFTA_DATA_VALUE], y[NFTA_DATA_VALUE]);
}

static inline int store_elements(struct store *store, const struct nlmsghdr *message, const char *set, bool add)
{
	const struct nlattr *list = codec_find(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	const struct nlattr *item;

	if (!list) {
		if (!add)
			store_delete_all(store, NFT_MSG_NEWSETELEM, set);
		return 0;
	}
	mnl_attr_for_each_nested(item, list)
	{
		const struct nlattr *wanted[NFTA_SET_ELEM_MAX + 1];
		size_t found = SIZE_MAX;

		netlink_nest(item, wanted, ARRAY_SIZE(wanted));
		for (size_t i = 0; i < store->count && found == SIZE_MAX; i++) {
			const struct nlattr *had[NFTA_SET_ELEM_MAX + 1];

			if (store->items[i].type != NFT_MSG_NEWSETELEM || strcmp(store->items[i].key, set) != 0)
				continue;
			netlink_nest((const struct nlattr *)store->items[i].bytes, had, ARRAY_SIZE(had));
			if (same_key(wanted[NFTA_SET_ELEM_KEY], had[NFTA_SET_ELEM_KEY]) &&
				same_attribute(wanted[NFTA_SET_ELEM_FLAGS], had[NFTA_SET_ELEM_FLAGS]))
				found = i;
		}
		if (add && found != SIZE_MAX)
			return EEXIST;
		if (!add && found == SIZE_MAX)
			return ENOENT;
		if (add)
			store_add(store, NFT_MSG_NEWSETELEM, set, item, item->nla_len);
		else
			store_delete(store, found);
	}
	return 0;
}

/* As nf_tables_newtable() and nf_tables_updtable(). Whoever sends is the owner: there is nobody else here. */
static inline int store_table(struct store *store, const struct nlmsghdr *message)
{
	size_t at = store_find(store, NFT_MSG_NEWTABLE, NULL);
	uint32_t flags = 0;
	uint32_t had = 0;

	assert_true(netlink_u32(codec_find(message, NFTA_TABLE_FLAGS), &flags));
	if (flags & ~(TABLE_DORMANT | TABLE_OWNED))
		return EOPNOTSUPP;
	if (at == SIZE_MAX) {
		store_add(store, NFT_MSG_NEWTABLE, TABLE_NAME, message, message->nlmsg_len);
		return 0;
	}
	assert_true(netlink_u32(codec_find((const struct nlmsghdr *)store->items[at].bytes, NFTA_TABLE_FLAGS), &had));
	if (flags != had &&
		((had & TABLE_OWNER && !(flags & TABLE_OWNER)) ||
			(flags & TABLE_OWNER && (had & TABLE_OWNED) != TABLE_PERSIST) || (flags ^ had) & TABLE_PERSIST))
		return EOPNOTSUPP;
	kept_patch(&store->items[at], NFTA_TABLE_FLAGS, codec_find(message, NFTA_TABLE_FLAGS));
	store->updated = flags != had;
	return 0;
}

/* A positive errno value, as nf_tables would answer. */
static inline int store_apply(struct store *store, const struct nlmsghdr *message)
{
	uint16_t type = codec_type(message);
	char buffer[8192];
	const char *name;
	size_t at;

	assert_int_equal(((const struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family, NFPROTO_INET);
	/* Attribute 1 is the table in all of them; nobody else's is ever named. */
	assert_string_equal(netlink_string(codec_find(message, 1)), TABLE_NAME);
	/* Acknowledgements fill the socket's buffer (netlink-pitfalls 5.5). */
	assert_false(message->nlmsg_flags & NLM_F_ACK);
	assert_true(message->nlmsg_flags & NLM_F_REQUEST);
	if (type != NFT_MSG_NEWTABLE && store_find(store, NFT_MSG_NEWTABLE, NULL) == SIZE_MAX)
		return ENOENT;
	switch (type) {
	case NFT_MSG_NEWTABLE:
		return store_table(store, message);
	case NFT_MSG_DELTABLE:
		store_done(store);
		return 0;
	case NFT_MSG_NEWOBJ:
		name = netlink_string(codec_find(message, NFTA_OBJ_NAME));
		if (store_find(store, type, name) != SIZE_MAX)
			return EEXIST;
		store_add(store, type, name, message, message->nlmsg_len);
		return 0;
	case NFT_MSG_DELOBJ:
		name = netlink_string(codec_find(message, NFTA_OBJ_NAME));
		if (store_refers(store, NFT_MSG_NEWOBJ, name))
			return EBUSY;
		return store_delete_all(store, NFT_MSG_NEWOBJ, name) ? 0 : ENOENT;
	case NFT_MSG_DELFLOWTABLE:
		name = netlink_string(codec_find(message, NFTA_FLOWTABLE_NAME));
		return store_delete_all(store, NFT_MSG_NEWFLOWTABLE, name) ? 0 : ENOENT;
	case NFT_MSG_NEWCHAIN:
		name = netlink_string(codec_find(message, NFTA_CHAIN_NAME));
		at = store_find(store, type, name);
		if (at == SIZE_MAX) {
			if (store->updated && codec_find(message, NFTA_CHAIN_HOOK))
				return EINVAL;
			store_add(store, type, name, message, message->nlmsg_len);
			return 0;
		}
		/* Only the policy can be changed in place (netlink-pitfalls 5.11). */
		if (!same_attribute(codec_find((const struct nlmsghdr *)store->items[at].bytes, NFTA_CHAIN_HOOK),
			    codec_find(message, NFTA_CHAIN_HOOK)))
			return EOPNOTSUPP;
		kept_patch(&store->items[at], NFTA_CHAIN_POLICY, codec_find(message, NFTA_CHAIN_POLICY));
		return 0;
	case NFT_MSG_DELCHAIN:
		name = netlink_string(codec_find(message, NFTA_CHAIN_NAME));
		store_delete_all(store, NFT_MSG_NEWRULE, name);
		if (store_refers(store, NFT_MSG_NEWCHAIN, name))
			return EBUSY;
		return store_delete_all(store, NFT_MSG_NEWCHAIN, name) ? 0 : ENOENT;
	case NFT_MSG_NEWRULE:
		name = netlink_string(codec_find(message, NFTA_RULE_CHAIN));
		/* Without APPEND the kernel puts it in front (netlink-pitfalls 5.12). */
		assert_true(message->nlmsg_flags & NLM_F_APPEND && message->nlmsg_flags & NLM_F_CREATE);
		if (store_find(store, NFT_MSG_NEWCHAIN, name) == SIZE_MAX)
			return ENOENT;
		message = codec_normalise(buffer, message, true);
		if (store_check_rule(store, message))
			return store_check_rule(store, message);
		store_add(store, type, name, message, message->nlmsg_len);
		return 0;
	case NFT_MSG_DELRULE:
		name = netlink_string(codec_find(message, NFTA_RULE_CHAIN));
		if (store_find(store, NFT_MSG_NEWCHAIN, name) == SIZE_MAX)
			return ENOENT;
		store_delete_all(store, NFT_MSG_NEWRULE, name);
		return 0;
	case NFT_MSG_NEWSET:
		name = netlink_string(codec_find(message, NFTA_SET_NAME));
		if (store_find(store, type, name) != SIZE_MAX)
			return EEXIST;
		store_add(store, type, name, message, message->nlmsg_len);
		return 0;
	case NFT_MSG_DELSET:
		name = netlink_string(codec_find(message, NFTA_SET_NAME));
		if (store_refers(store, NFT_MSG_NEWSET, name))
			return EBUSY;
		store_delete_all(store, NFT_MSG_NEWSETELEM, name);
		return store_delete_all(store, NFT_MSG_NEWSET, name) ? 0 : ENOENT;
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		name = netlink_string(codec_find(message, NFTA_SET_ELEM_LIST_SET));
		if (store_find(store, NFT_MSG_NEWSET, name) == SIZE_MAX)
			return ENOENT;
		return store_elements(store, message, name, type == NFT_MSG_NEWSETELEM);
	default:
		fail_msg("a message of type %u has no place in a transaction", type);
		return EINVAL;
	}
}

/* ---- the conversation ---- */

struct datagram {
	char *bytes;
	size_t length;
	int code; /* not 0: what receive() returns instead, once */
	bool truncated;
	bool foreign; /* not from the kernel */
};

struct datagrams {
	struct datagram *items;
	size_t count, capacity;
};

enum fault_kind {
	FAULT_NONE,
	FAULT_TEAR_FLAG,       /* the last message of a dump carries NLM_F_DUMP_INTR */
	FAULT_TEAR_GENERATION, /* the last message carries another generation, and no flag */
	FAULT_MOVE,	       /* somebody commits after this answer */
	FAULT_DONE_CODE,       /* DONE carries `code` */
	FAULT_ERROR_INSIDE,    /* an error `code` instead of the last messages of a dump, or of the answer */
	FAULT_RECEIVE,	       /* receive() returns `code` before the answer, which then comes */
	FAULT_RECEIVE_INSIDE,  /* and in the middle of it */
	FAULT_SILENCE,	       /* no answer */
	FAULT_NO_END,	       /* the answer stops before its end */
	FAULT_TRUNCATED,
	FAULT_FOREIGN_SENDER, /* before the answer, a forged one: "there is nothing" */
	FAULT_FOREIGN_PORT,
	FAULT_STALE,
	FAULT_OVERRUN,
	FAULT_GARBAGE,	       /* bytes that are no message, before the answer */
	FAULT_SUBSYSTEM,       /* the right sequence number on a message of another subsystem */
	FAULT_SHORT,	       /* a message too short for its header */
	FAULT_ZERO_GENERATION, /* GETGEN is answered with 0 */
	FAULT_NO_GENERATION,   /* or with nothing */
	FAULT_SEND,	       /* send() returns `code`, and nothing is sent */
	FAULT_LOSE,	       /* a transaction is dropped, and receive() then returns `code` */
	FAULT_STORE_LESS,      /* a transaction's last rule or element is dropped without a word */
	FAULT_OVERTAKE,	       /* somebody commits before the transaction arrives */
};

#define FAULT_BATCH 0xffff
#define FOREVER	    UINT32_MAX

struct fault {
	enum fault_kind kind;
	uint16_t type; /* NFT_MSG_GET*, or FAULT_BATCH */
	int code;
	uint32_t times; /* 0 = 1; or FOREVER */
};

/* An error that a transaction is answered with, whatever is in it. */
struct scripted_refusal {
	uint32_t index;	   /* of the message, from 0 = begin */
	const char *set;   /* not NULL: the first message about elements of this set, instead */
	int32_t offset;	   /* not 0: the sequence number is that much behind the end */
	int code;	   /* negative, as on the wire; 0 = an ACK */
	const char *text;  /* extended ack, or NULL */
	bool quoted;	   /* the whole request is quoted in front of the text */
	bool unterminated; /* the text has no NUL */
};

/* What somebody else's transaction is about, as its events tell. */
enum move {
	/* No concern of ours. */
	MOVE_TABLE,	   /* an object of another table */
	MOVE_FAMILY,	   /* of a table with our name, in another family */
	MOVE_NAME,	   /* of a table whose name begins like ours */
	MOVE_ELEMENTS,	   /* many elements of another table's set, in one datagram */
	MOVE_NO_OBJECT,	   /* of nothing */
	MOVE_EXTENDED,	   /* of another table, with attributes that a newer kernel may have learnt */
	MOVE_FORGED,	   /* somebody who is not the kernel says that our table is gone */
	MOVE_NOOP,	   /* a message that means nothing */
	MOVE_HARMLESS_END, /* all before are harmless */
	/* Ours, or perhaps ours. */
	MOVE_OURS,
	MOVE_OURS_GONE,
	MOVE_OURS_ELEMENTS,
	MOVE_OURS_BEHIND, /* behind many of other tables, in the same datagram */
	MOVE_NAMELESS,
	MOVE_UNTERMINATED,
	MOVE_HEADERLESS,
	MOVE_SUBSYSTEM,
	MOVE_CUT,
	MOVE_GARBAGE,
	MOVE_TRUNCATED,
	MOVE_ERROR,
	MOVE_NO_GENERATION,
	MOVE_GENERATION_ZERO,
	MOVE_LOST,
	MOVE_OVERRUN,
	MOVE_END
};

struct fake {
	struct store store;
	/* The second socket. */
	bool audible;		 /* there is one, for those who want to listen */
	bool listening;		 /* somebody does */
	bool old;		 /* knows no tables that stay when their owner ends */
	bool late;		 /* events wait for the next transaction, which waits for them in its turn */
	enum move move;		 /* what all transactions of others are about */
	struct datagrams events; /* to be heard */
	struct datagrams belated;
	size_t fences; /* transactions about nothing */
	uint32_t generation;
	uint32_t port;
	struct datagrams queue;	  /* to be received */
	struct datagrams pending; /* the rest of the running dump */
	struct fault fault;
	struct scripted_refusal refusals[4];
	size_t refusal_count;
	size_t requests[NFT_MSG_MAX + 1];
	size_t batches;
	size_t largest_batch; /* messages without begin and end */
	double now;
	size_t pauses;
	int (*meddle)(struct fake *fake); /* called when a transaction arrives, before it is judged */
};

static inline void queue_add(struct datagrams *queue, struct datagram datagram)
{
	ARRAY_GROW(queue->items, queue->count, queue->capacity);
	queue->items[queue->count++] = datagram;
}

static inline void queue_bytes(struct datagrams *queue, const void *bytes, size_t length)
{
	queue_add(queue, (struct datagram){.bytes = mem_stringn(bytes, length), .length = length});
}

static inline struct datagram queue_take(struct datagrams *queue)
{
	struct datagram first = queue->items[0];

	memmove(queue->items, queue->items + 1, --queue->count * sizeof(*queue->items));
	return first;
}

static inline void queue_done(struct datagrams *queue)
{
	while (queue->count)
		free(queue_take(queue).bytes);
	free(queue->items);
	*queue = (struct datagrams){0};
}

/* True where the fault is due for this request; counts it. */
static inline bool fault_due(struct fake *fake, enum fault_kind kind, uint16_t type)
{
	struct fault *fault = &fake->fault;

	if (fault->kind != kind || fault->type != type || fault->times == 0)
		return false;
	if (fault->times != FOREVER)
		fault->times--;
	return true;
}

static inline void event_append(
	char *buffer, size_t *used, uint16_t type, uint8_t family, const char *table, uint32_t port)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer + *used);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	message->nlmsg_pid = port;
	*header = (struct nfgenmsg){.nfgen_family = family};
	if (table)
		mnl_attr_put_strz(message, 1, table);
	*used += message->nlmsg_len;
}

/* A process of this number and name is behind all of them, except our own. */
#define CULPRIT	     4242
#define CULPRIT_NAME "sixteen-bytes-nm"

static inline void fake_tell(struct fake *fake, enum move move, uint32_t port)
{
	struct datagrams *queue = fake->late ? &fake->belated : &fake->events;
	char buffer[8192] = {0};
	struct nlmsghdr *message = (struct nlmsghdr *)buffer;
	size_t used = 0;

	if (!fake->listening)
		return;
	switch (move) {
	case MOVE_TABLE:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, "docker", port);
		break;
	case MOVE_FAMILY:
		event_append(buffer, &used, NFT_MSG_DELTABLE, NFPROTO_IPV4, TABLE_NAME, port);
		break;
	case MOVE_NAME:
		event_append(buffer, &used, NFT_MSG_NEWSET, NFPROTO_INET, TABLE_NAME "2", port);
		break;
	case MOVE_ELEMENTS:
	case MOVE_OURS_BEHIND:
		for (unsigned int i = 0; i < 100; i++)
			event_append(buffer, &used, NFT_MSG_NEWSETELEM, NFPROTO_INET, "docker", port);
		if (move == MOVE_OURS_BEHIND)
			event_append(buffer, &used, NFT_MSG_DELRULE, NFPROTO_INET, TABLE_NAME, port);
		break;
	case MOVE_NO_OBJECT:
	case MOVE_NO_GENERATION:
	case MOVE_GENERATION_ZERO:
		break;
	case MOVE_EXTENDED:
		event_append(buffer, &used, NFT_MSG_NEWTABLE, NFPROTO_INET, "docker", port);
		mnl_attr_put_u32(message, 200, 1);
		used = message->nlmsg_len;
		break;
	case MOVE_NOOP:
		message = mnl_nlmsg_put_header(buffer);
		message->nlmsg_type = NLMSG_NOOP;
		used = message->nlmsg_len;
		break;
	case MOVE_FORGED:
	case MOVE_OURS_GONE:
		event_append(buffer, &used, NFT_MSG_DELTABLE, NFPROTO_INET, TABLE_NAME, port);
		break;
	case MOVE_OURS:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, TABLE_NAME, port);
		break;
	case MOVE_OURS_ELEMENTS:
		event_append(buffer, &used, NFT_MSG_DELSETELEM, NFPROTO_INET, TABLE_NAME, port);
		break;
	case MOVE_NAMELESS:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, NULL, port);
		break;
	case MOVE_UNTERMINATED:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, NULL, port);
		mnl_attr_put(message, 1, 6, "docker");
		used = message->nlmsg_len;
		break;
	case MOVE_HEADERLESS:
		message = mnl_nlmsg_put_header(buffer);
		message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8;
		used = message->nlmsg_len;
		break;
	case MOVE_SUBSYSTEM:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, "docker", port);
		message->nlmsg_type = NFNL_SUBSYS_IPSET << 8;
		break;
	case MOVE_CUT:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, "docker", port);
		mnl_attr_put_u32(message, 3, 1);
		used = message->nlmsg_len;
		((struct nlattr *)(buffer + used - 8))->nla_len = 12;
		break;
	case MOVE_ERROR:
		message = mnl_nlmsg_put_header(buffer);
		message->nlmsg_type = NLMSG_ERROR;
		used = message->nlmsg_len;
		break;
	case MOVE_GARBAGE:
		memcpy(buffer, "no message", 11);
		used = 11;
		break;
	case MOVE_TRUNCATED:
		event_append(buffer, &used, NFT_MSG_NEWCHAIN, NFPROTO_INET, "docker", port);
		break;
	case MOVE_LOST:
		queue_add(queue, (struct datagram){.code = -ENOBUFS});
		return;
	case MOVE_OVERRUN:
		message = mnl_nlmsg_put_header(buffer);
		message->nlmsg_type = NLMSG_OVERRUN;
		used = message->nlmsg_len;
		break;
	case MOVE_HARMLESS_END:
	case MOVE_END:
		abort();
	}
	if (used)
		queue_bytes(queue, buffer, used);
	if (move == MOVE_FORGED)
		queue->items[queue->count - 1].foreign = true;
	if (move == MOVE_TRUNCATED)
		queue->items[queue->count - 1].truncated = true;
	memset(buffer, 0, sizeof(buffer));
	used = 0;
	event_append(buffer, &used, NFT_MSG_NEWGEN, NFPROTO_UNSPEC, NULL, port);
	message = (struct nlmsghdr *)buffer;
	if (move != MOVE_NO_GENERATION)
		mnl_attr_put_u32(message, NFTA_GEN_ID, move == MOVE_GENERATION_ZERO ? 0 : htobe32(fake->generation));
	mnl_attr_put_u32(message, NFTA_GEN_PROC_PID, htobe32(port == fake->port ? 1 : CULPRIT));
	mnl_attr_put_strz(message, NFTA_GEN_PROC_NAME, port == fake->port ? "dflyguard" : CULPRIT_NAME);
	queue_bytes(queue, message, message->nlmsg_len);
}

/* Somebody commits: we, or somebody else. */
static inline void fake_move(struct fake *fake, bool own)
{
	/* The kernel counts past 0. */
	if (++fake->generation == 0)
		fake->generation = 1;
	fake_tell(fake, own ? MOVE_OURS : fake->move, own ? fake->port : fake->port + 1);
}

static inline struct nlmsghdr *answer_header(
	char *buffer, uint16_t type, uint16_t flags, uint32_t sequence, uint32_t port)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = flags;
	message->nlmsg_seq = sequence;
	message->nlmsg_pid = port;
	return message;
}

static inline void answer_error(
	struct datagrams *queue, const struct nlmsghdr *request, uint32_t sequence, uint32_t port, int code)
{
	char buffer[256];
	struct nlmsghdr *message = answer_header(buffer, NLMSG_ERROR, NLM_F_CAPPED, sequence, port);
	struct nlmsgerr *error = mnl_nlmsg_put_extra_header(message, sizeof(*error));

	error->error = code;
	error->msg = *request;
	queue_bytes(queue, message, message->nlmsg_len);
}

static inline void answer_done(struct datagrams *queue, const struct nlmsghdr *request, uint32_t port, int code)
{
	char buffer[64];
	struct nlmsghdr *message = answer_header(buffer, NLMSG_DONE, NLM_F_MULTI, request->nlmsg_seq, port);

	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(code)), &code, sizeof(code));
	queue_bytes(queue, message, message->nlmsg_len);
}

static inline void answer_message(struct fake *fake, struct datagrams *queue, const struct nlmsghdr *request,
	const struct nlmsghdr *what, bool multi, uint16_t generation)
{
	char buffer[8192];
	struct nlmsghdr *message = (struct nlmsghdr *)buffer;

	assert_true(what->nlmsg_len <= sizeof(buffer));
	memcpy(buffer, what, what->nlmsg_len);
	message->nlmsg_flags = multi ? NLM_F_MULTI : 0;
	message->nlmsg_seq = request->nlmsg_seq;
	message->nlmsg_pid = fake->port;
	((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->res_id = htobe16(generation);
	queue_bytes(queue, message, message->nlmsg_len);
}

/* Everything of one type, a datagram for each two messages. */
static inline void answer_dump(struct fake *fake, struct datagrams *queue, const struct nlmsghdr *request,
	uint16_t type, uint16_t new_type, const char *set)
{
	char buffer[4096];
	size_t first = queue->count;
	uint16_t generation = (uint16_t)fake->generation;

	for (size_t i = 0; i < fake->store.count; i++) {
		/* Descending, as the kernel lists a tree. */
		const struct kept *kept =
			&fake->store.items[type == NFT_MSG_GETSETELEM ? fake->store.count - 1 - i : i];

		if (kept->type == new_type && (!set || strcmp(kept->key, set) == 0))
			answer_message(fake, queue, request,
				new_type == NFT_MSG_NEWSETELEM ? element_message(buffer, kept)
							       : (const void *)kept->bytes,
				true, generation);
	}
	if (queue->count > first) {
		struct nlmsghdr *last = (struct nlmsghdr *)queue->items[queue->count - 1].bytes;

		if (fault_due(fake, FAULT_TEAR_FLAG, type))
			last->nlmsg_flags |= NLM_F_DUMP_INTR;
		else if (fault_due(fake, FAULT_TEAR_GENERATION, type))
			((struct nfgenmsg *)mnl_nlmsg_get_payload(last))->res_id = htobe16((uint16_t)(generation + 1));
	}
	for (size_t i = first; i + 1 < queue->count; i++) {
		struct datagram *a = &queue->items[i];
		struct datagram *b = &queue->items[i + 1];

		a->bytes = mem_resize(a->bytes, a->length + b->length, 1);
		memcpy(a->bytes + a->length, b->bytes, b->length);
		a->length += b->length;
		free(b->bytes);
		memmove(b, b + 1, (--queue->count - i - 1) * sizeof(*b));
	}
	answer_done(queue, request, fake->port, fault_due(fake, FAULT_DONE_CODE, type) ? fake->fault.code : 0);
}

static inline void answer_generation(struct fake *fake, struct datagrams *queue, const struct nlmsghdr *request)
{
	char buffer[256];
	struct nlmsghdr *message =
		answer_header(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN, 0, request->nlmsg_seq, fake->port);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	bool zero = fault_due(fake, FAULT_ZERO_GENERATION, NFT_MSG_GETGEN);

	*header = (struct nfgenmsg){.res_id = htobe16((uint16_t)fake->generation)};
	if (!fault_due(fake, FAULT_NO_GENERATION, NFT_MSG_GETGEN))
		mnl_attr_put_u32(message, NFTA_GEN_ID, htobe32(zero ? 0 : fake->generation));
	mnl_attr_put_u32(message, NFTA_GEN_PROC_PID, htobe32(1));
	queue_bytes(queue, message, message->nlmsg_len);
	answer_error(queue, request, request->nlmsg_seq, fake->port, 0);
}

/* Spoils an answer before it is sent. */
static inline void answer_faults(
	struct fake *fake, struct datagrams *answer, const struct nlmsghdr *request, uint16_t type)
{
	struct datagrams before = {0};
	struct datagrams spoiled = {0};
	char buffer[64] = "these bytes are no netlink message, whatever they may look like";
	struct nlmsghdr *message;
	size_t middle = answer->count / 2;

	if (fault_due(fake, FAULT_RECEIVE, type))
		queue_add(&before, (struct datagram){.code = fake->fault.code});
	if (fault_due(fake, FAULT_FOREIGN_SENDER, type)) {
		answer_error(&before, request, request->nlmsg_seq, fake->port, -ENOENT);
		before.items[0].foreign = true;
		/* Nobody else's datagram is too large for us. */
		before.items[0].truncated = true;
	}
	if (fault_due(fake, FAULT_FOREIGN_PORT, type))
		answer_error(&before, request, request->nlmsg_seq, fake->port + 1, -ENOENT);
	if (fault_due(fake, FAULT_STALE, type)) {
		answer_error(&before, request, request->nlmsg_seq - 1, fake->port, -ENOENT);
		answer_error(&before, request, 0, fake->port, -ENOENT);
	}
	if (fault_due(fake, FAULT_GARBAGE, type)) {
		queue_bytes(&before, buffer, sizeof(buffer));
		queue_bytes(&before, buffer, 3);
		queue_bytes(&before, buffer, 0);
	}
	if (fault_due(fake, FAULT_OVERRUN, type)) {
		message = answer_header(buffer, NLMSG_OVERRUN, 0, request->nlmsg_seq, fake->port);
		queue_bytes(&before, message, message->nlmsg_len);
	}
	if (fault_due(fake, FAULT_SUBSYSTEM, type)) {
		message = answer_header(buffer, NFNL_SUBSYS_CTNETLINK << 8, 0, request->nlmsg_seq, fake->port);
		mnl_nlmsg_put_extra_header(message, sizeof(struct nfgenmsg));
		queue_bytes(&before, message, message->nlmsg_len);
	}
	if (fault_due(fake, FAULT_SHORT, type)) {
		message = answer_header(buffer, NFNL_SUBSYS_NFTABLES << 8, 0, request->nlmsg_seq, fake->port);
		queue_bytes(&before, message, message->nlmsg_len);
	}
	if (fault_due(fake, FAULT_SILENCE, type))
		queue_done(answer);
	if (fault_due(fake, FAULT_NO_END, type))
		free(answer->items[--answer->count].bytes);
	if (fault_due(fake, FAULT_TRUNCATED, type))
		answer->items[0].truncated = true;
	if (fault_due(fake, FAULT_RECEIVE_INSIDE, type)) {
		queue_add(answer, (struct datagram){0});
		memmove(&answer->items[middle + 1], &answer->items[middle],
			(answer->count - middle - 1) * sizeof(*answer->items));
		answer->items[middle] = (struct datagram){.code = fake->fault.code};
	}
	if (fault_due(fake, FAULT_ERROR_INSIDE, type)) {
		while (answer->count > middle)
			free(answer->items[--answer->count].bytes);
		answer_error(answer, request, request->nlmsg_seq, fake->port, fake->fault.code);
	}
	for (size_t i = 0; i < before.count; i++)
		queue_add(&spoiled, before.items[i]);
	for (size_t i = 0; i < answer->count; i++)
		queue_add(&spoiled, answer->items[i]);
	free(before.items);
	free(answer->items);
	*answer = spoiled;
	if (fault_due(fake, FAULT_MOVE, type))
		fake_move(fake, false);
}

static inline void fake_request(struct fake *fake, const struct nlmsghdr *request)
{
	uint16_t type = codec_type(request);
	struct datagrams answer = {0};
	const char *set;
	size_t at;

	assert_true(type <= NFT_MSG_MAX);
	fake->requests[type]++;
	if (request->nlmsg_flags & NLM_F_DUMP && fake->pending.count) {
		answer_error(&fake->queue, request, request->nlmsg_seq, fake->port, -EBUSY);
		return;
	}
	switch (type) {
	case NFT_MSG_GETGEN:
		answer_generation(fake, &answer, request);
		break;
	case NFT_MSG_GETTABLE:
		at = store_find(&fake->store, NFT_MSG_NEWTABLE, NULL);
		if (at == SIZE_MAX) {
			answer_error(&answer, request, request->nlmsg_seq, fake->port, -ENOENT);
			break;
		}
		answer_message(fake, &answer, request, (const struct nlmsghdr *)fake->store.items[at].bytes, false,
			(uint16_t)fake->generation);
		answer_error(&answer, request, request->nlmsg_seq, fake->port, 0);
		break;
	case NFT_MSG_GETCHAIN:
		answer_dump(fake, &answer, request, type, NFT_MSG_NEWCHAIN, NULL);
		break;
	case NFT_MSG_GETRULE:
		answer_dump(fake, &answer, request, type, NFT_MSG_NEWRULE, NULL);
		break;
	case NFT_MSG_GETSET:
		answer_dump(fake, &answer, request, type, NFT_MSG_NEWSET, NULL);
		break;
	case NFT_MSG_GETOBJ:
		answer_dump(fake, &answer, request, type, NFT_MSG_NEWOBJ, NULL);
		break;
	case NFT_MSG_GETFLOWTABLE:
		answer_dump(fake, &answer, request, type, NFT_MSG_NEWFLOWTABLE, NULL);
		break;
	case NFT_MSG_GETSETELEM:
		set = netlink_string(codec_find(request, NFTA_SET_ELEM_LIST_SET));
		if (store_find(&fake->store, NFT_MSG_NEWSET, set) == SIZE_MAX)
			answer_error(&answer, request, request->nlmsg_seq, fake->port, -ENOENT);
		else
			answer_dump(fake, &answer, request, type, NFT_MSG_NEWSETELEM, set);
		break;
	default:
		fail_msg("nobody should ask for messages of type %u", type);
	}
	answer_faults(fake, &answer, request, type);
	/* A dump goes on as it is fetched; all else is there at once. */
	for (size_t i = 0; i < answer.count; i++)
		queue_add(request->nlmsg_flags & NLM_F_DUMP && i > 0 ? &fake->pending : &fake->queue, answer.items[i]);
	free(answer.items);
}

static inline void fake_refuse(
	struct fake *fake, const struct nlmsghdr *request, const struct scripted_refusal *script, uint32_t sequence)
{
	char buffer[8192];
	struct nlmsghdr *message = answer_header(buffer, NLMSG_ERROR, 0, sequence, fake->port);
	struct nlmsgerr *error = mnl_nlmsg_put_extra_header(message, sizeof(*error));

	error->error = script->code;
	error->msg = *request;
	if (script->quoted) {
		size_t length = request->nlmsg_len - sizeof(*request);

		memcpy(mnl_nlmsg_put_extra_header(message, length), request + 1, length);
	} else {
		message->nlmsg_flags |= NLM_F_CAPPED;
	}
	if (script->text) {
		message->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_u32(message, NLMSGERR_ATTR_OFFS, 20);
		if (script->unterminated)
			mnl_attr_put(message, NLMSGERR_ATTR_MSG, strlen(script->text), script->text);
		else
			mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, script->text);
	}
	queue_bytes(&fake->queue, message, message->nlmsg_len);
}

static inline const struct nlmsghdr *batch_message(const void *bytes, size_t length, size_t index)
{
	const struct nlmsghdr *message = bytes;
	int left = (int)length;

	while (index-- && netlink_message_ok(message, left))
		message = mnl_nlmsg_next(message, &left);
	return netlink_message_ok(message, left) ? message : NULL;
}

static inline const struct nlmsghdr *batch_elements_of(const void *bytes, size_t length, const char *set)
{
	const struct nlmsghdr *message;

	for (size_t i = 0; (message = batch_message(bytes, length, i)); i++)
		if (codec_type(message) == NFT_MSG_NEWSETELEM &&
			strcmp(netlink_string(codec_find(message, NFTA_SET_ELEM_LIST_SET)), set) == 0)
			return message;
	return NULL;
}

/* A transaction about nothing, which only waits for others. */
static inline bool is_fence(const void *bytes, size_t length)
{
	const struct nlmsghdr *second = batch_message(bytes, length, 1);

	return second && second->nlmsg_type == NFNL_MSG_BATCH_END;
}

static inline bool batch_ends(const void *bytes, size_t length)
{
	const struct nlmsghdr *message;

	for (size_t i = 0; (message = batch_message(bytes, length, i)); i++)
		if (message->nlmsg_type == NFNL_MSG_BATCH_END)
			return true;
	return false;
}

static inline bool needs_new_kernel(const struct nlmsghdr *message)
{
	uint32_t flags = 0;

	return codec_type(message) == NFT_MSG_NEWTABLE && netlink_u32(codec_find(message, NFTA_TABLE_FLAGS), &flags) &&
	       flags & TABLE_PERSIST;
}

/* A table of another name, which must never come to be. */
static inline bool is_trial(const struct nlmsghdr *message)
{
	return codec_type(message) == NFT_MSG_NEWTABLE &&
	       strcmp(netlink_string(codec_find(message, NFTA_TABLE_NAME)), TABLE_NAME) != 0;
}

static inline void fake_batch(struct fake *fake, const void *bytes, size_t length)
{
	const struct nlmsghdr *begin = bytes;
	const struct nlmsghdr *message = bytes;
	const struct nlattr *generation = codec_find(begin, NFNL_BATCH_GENID);
	struct store next = {0};
	int left = (int)length;
	bool refused = false;
	bool trial = false;
	bool ended = false;
	bool less = !is_fence(bytes, length) && fault_due(fake, FAULT_STORE_LESS, FAULT_BATCH);
	uint32_t wanted = 0;
	size_t count = 0;

	/* Whoever waits for the lock hears what those before had to tell. */
	while (fake->belated.count)
		queue_add(&fake->events, queue_take(&fake->belated));
	if (is_fence(bytes, length)) {
		fake->fences++;
		assert_true(netlink_u32(generation, &wanted));
		if (wanted != fake->generation)
			answer_error(&fake->queue, begin, begin->nlmsg_seq, fake->port, -ERESTART);
		return;
	}
	fake->batches++;
	if (fake->meddle)
		fake->meddle(fake);
	if (fault_due(fake, FAULT_OVERTAKE, FAULT_BATCH))
		fake_move(fake, false);
	if (fault_due(fake, FAULT_LOSE, FAULT_BATCH)) {
		queue_add(&fake->queue, (struct datagram){.code = fake->fault.code});
		return;
	}
	for (size_t i = 0; i < fake->refusal_count; i++) {
		const struct scripted_refusal *script = &fake->refusals[i];
		const struct nlmsghdr *about = script->set ? batch_elements_of(bytes, length, script->set)
							   : batch_message(bytes, length, script->index);

		assert_non_null(about);
		refused = refused || script->code;
		fake_refuse(fake, about, script, about->nlmsg_seq + (uint32_t)script->offset);
	}
	if (refused)
		return;
	/* Without a generation it would be blind: ours never is, unless it is a trial. */
	if (!netlink_u32(generation, &wanted))
		assert_false(batch_ends(bytes, length));
	if (generation && wanted != fake->generation) {
		answer_error(&fake->queue, begin, begin->nlmsg_seq, fake->port, -ERESTART);
		return;
	}
	store_copy(&next, &fake->store);
	for (message = mnl_nlmsg_next(message, &left); netlink_message_ok(message, left);
		message = mnl_nlmsg_next(message, &left)) {
		int code = 0;

		if (message->nlmsg_type == NFNL_MSG_BATCH_END) {
			ended = true;
			break;
		}
		count++;
		if (fake->old && needs_new_kernel(message))
			code = EOPNOTSUPP;
		else if (is_trial(message))
			trial = true;
		else
			code = store_apply(&next, message);
		if (code) {
			refused = true;
			answer_error(&fake->queue, message, message->nlmsg_seq, fake->port, -code);
		}
	}
	if (count > fake->largest_batch)
		fake->largest_batch = count;
	if (!refused && store_check(&next)) {
		refused = true;
		answer_error(&fake->queue, begin, begin->nlmsg_seq + 1, fake->port, -store_check(&next));
	}
	if (less && next.count)
		store_delete(&next, next.count - 1);
	assert_false(trial && ended);
	if (!refused && ended) {
		struct store old = fake->store;

		fake->store = next;
		next = old;
		fake_move(fake, true);
	}
	store_done(&next);
	if (fault_due(fake, FAULT_RECEIVE, FAULT_BATCH))
		queue_add(&fake->queue, (struct datagram){.code = fake->fault.code});
	if (fault_due(fake, FAULT_TRUNCATED, FAULT_BATCH))
		queue_add(&fake->queue, (struct datagram){.truncated = true});
}

static inline ssize_t fake_send(void *data, const void *bytes, size_t length)
{
	struct fake *fake = data;
	const struct nlmsghdr *first = bytes;
	bool batch = first->nlmsg_type == NFNL_MSG_BATCH_BEGIN;

	assert_true(netlink_message_ok(first, (int)length));
	if (fault_due(fake, FAULT_SEND, batch ? FAULT_BATCH : codec_type(first)))
		return fake->fault.code;
	if (batch)
		fake_batch(fake, bytes, length);
	else
		fake_request(fake, first);
	return (ssize_t)length;
}

static inline ssize_t fake_receive_from(
	struct datagrams *queue, void *buffer, size_t size, bool *truncated, bool *from_kernel)
{
	struct datagram datagram;

	if (!queue->count)
		return -EAGAIN;
	datagram = queue_take(queue);
	if (datagram.code)
		return datagram.code;
	assert_true(datagram.length <= size);
	if (datagram.bytes)
		memcpy(buffer, datagram.bytes, datagram.length);
	free(datagram.bytes);
	*truncated = datagram.truncated;
	*from_kernel = !datagram.foreign;
	return (ssize_t)datagram.length;
}

static inline ssize_t fake_receive(
	void *data, void *buffer, size_t size, bool wait _unused_, bool *truncated, bool *from_kernel)
{
	struct fake *fake = data;
	ssize_t received = fake_receive_from(&fake->queue, buffer, size, truncated, from_kernel);

	if (received != -EAGAIN && fake->pending.count)
		queue_add(&fake->queue, queue_take(&fake->pending));
	return received;
}

static inline ssize_t fake_receive_event(
	void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	struct fake *fake = data;

	/* Nobody can wait for what others will do. */
	assert_false(wait);
	return fake_receive_from(&fake->events, buffer, size, truncated, from_kernel);
}

static inline void fake_unlisten(void *data)
{
	struct fake *fake = data;

	assert_true(fake->listening);
	fake->listening = false;
	queue_done(&fake->events);
	queue_done(&fake->belated);
}

static inline int fake_listen(void *data, unsigned int group, struct transport *ret)
{
	struct fake *fake = data;

	assert_int_equal(group, NFNLGRP_NFTABLES);
	assert_false(fake->listening);
	if (!fake->audible)
		return -EPERM;
	fake->listening = true;
	*ret = (struct transport){
		.receive = fake_receive_event, .close = fake_unlisten, .data = fake, .port = fake->port + 7};
	return 0;
}

static inline double fake_now(void *data)
{
	return ((struct fake *)data)->now;
}

static inline void fake_pause(void *data, long nanoseconds)
{
	struct fake *fake = data;

	assert_true(nanoseconds > 0 && nanoseconds < 1000000000);
	fake->pauses++;
	fake->now += (double)nanoseconds / 1e9;
}

static inline void fake_begin(struct fake *fake)
{
	*fake = (struct fake){.generation = 0x12345, .port = 4711};
}

static inline void fake_fault(struct fake *fake, struct fault fault)
{
	if (fault.times == 0)
		fault.times = 1;
	fake->fault = fault;
}

/* Puts a whole ruleset into the fake kernel, as somebody else's transaction. */
static inline void fake_load(struct fake *fake, const struct ruleset *ruleset)
{
	struct netlink *netlink = codec_netlink();
	struct batch batch = {0};
	const struct nlmsghdr *message;
	int left;

	codec_encode(&batch, netlink, ruleset);
	left = (int)batch.used;
	message = mnl_nlmsg_next((const struct nlmsghdr *)batch.data, &left);
	for (; message->nlmsg_type != NFNL_MSG_BATCH_END; message = mnl_nlmsg_next(message, &left))
		assert_int_equal(store_apply(&fake->store, message), 0);
	batch_done(&batch);
	netlink_close(netlink);
	fake_move(fake, false);
}

static inline struct transport fake_transport(struct fake *fake)
{
	return (struct transport){.send = fake_send,
		.receive = fake_receive,
		.now = fake_now,
		.pause = fake_pause,
		.listen = fake_listen,
		.data = fake,
		.port = fake->port};
}

static inline struct nft *fake_open(struct fake *fake)
{
	struct transport transport = fake_transport(fake);

	return nft_open_transport(&transport);
}

static inline void fake_done(struct fake *fake)
{
	store_done(&fake->store);
	queue_done(&fake->queue);
	queue_done(&fake->pending);
	/* Whoever listened has stopped. */
	assert_false(fake->listening);
}

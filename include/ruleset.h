/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * ruleset: the model of our nftables table, and pure functions over it. One type says what should be (compiled from a
 * policy) and what is (read from the kernel), so that comparing needs no translation. It may be told a policy. It
 * never talks to the kernel and never prints to a stream that it was not given.
 *
 * The model is smaller than nftables on purpose: a rule is a list of terms from a closed list, each with an exact
 * encoding. Whatever else stands in our table is opaque: it is shown as it is, equals nothing, and so is always drift.
 */

#include "err.h"
#include "interval.h"

struct policy;
struct environment;

#define TABLE_NAME "dflyguard" /* family inet */

/* NFT_TABLE_F_DORMANT in include/uapi/linux/netfilter/nf_tables.h: the table is there, and none of its chains is run.
 */
#define TABLE_DORMANT 1u
/* NFT_TABLE_F_OWNER (since 5.12): only the netlink socket that asked for it changes the table, and when that socket is
 * closed the table is gone; unless it has NFT_TABLE_F_PERSIST, too (since 6.9, and not in Debian 12's headers): then it
 * stays, with that flag, is anybody's to change, and anybody may own it again. The kernel changes neither flag by an
 * update, but for this one way: a table that has neither must be replaced by one that has them. */
#define TABLE_OWNER   2u
#define TABLE_PERSIST 4u
#define TABLE_OWNED   (TABLE_OWNER | TABLE_PERSIST)

/* Above this many intervals a list is laid out in parts, because the kernel's dump of one interval set is quadratic
 * (measured: 90,000 intervals take 330 ms in one set and 53 ms in sixteen). */
#define RULESET_PART_LIMIT 2048u

/* Why a packet is refused. Each has a counter "refused_NAME", a chain "refuse_NAME", a log prefix, and its number in
 * the sets of refused sources. The numbers stay, since other versions read them. */
enum reason {
	REASON_NONE,
	REASON_SOURCE,
	REASON_ADDRESS,
	REASON_CLOSED,
	REASON_STATE,
	REASON_LOOPBACK,
	REASON_PLAINTEXT,
	REASON_CONNECTIONS,
	REASON_RATE,
	REASON_COUNT,
};

/* "source" and "no list of the policy names the source"; NULL for REASON_NONE and numbers that are no reason. Static.
 */
const char *reason_name(unsigned int reason);
const char *reason_text(unsigned int reason);
/* REASON_NONE where the name is none. */
enum reason reason_find(const char *name);

/* In front of the reason's name in the prefix of a logged packet: "dflyguard source". */
#define LOG_PREFIX "dflyguard "

/* What a term looks at. The order is that of the table in ruleset.c. */
enum selector {
	SELECT_IIF,	 /* index of the interface that a packet came in by; 1 is lo in every namespace */
	SELECT_OIFKIND,	 /* kind of the interface that it leaves by, as in `ip link add type KIND` */
	SELECT_NFPROTO,	 /* 2 = IPv4, 10 = IPv6 */
	SELECT_L4PROTO,	 /* 6 = TCP */
	SELECT_IP_SADDR, /* these four look into the network header: test nfproto first */
	SELECT_IP_DADDR,
	SELECT_IP6_SADDR,
	SELECT_IP6_DADDR,
	SELECT_TCP_SPORT, /* these look into the transport header: test l4proto first */
	SELECT_TCP_DPORT,
	SELECT_TCP_FLAGS,
	SELECT_CT_STATE,       /* NF_CT_STATE_BIT()s; 0x40 = untracked, 0x01 = invalid */
	SELECT_CT_STATUS,      /* enum ip_conntrack_status; 0x20 = dnat */
	SELECT_CT_DIRECTION,   /* 0 = as the connection began, 1 = the answers */
	SELECT_CT_LABEL,       /* 128 bits, of which bit n has the value 2^n; only TEST_ANY_BIT of one bit */
	SELECT_FIB_DADDR_TYPE, /* RTN_*; 2 = local */
	SELECT_FIRST_BYTE, /* these three look at what TCP carries, from its beginning: where a packet carries less, */
	SELECT_FIRST_VERSION, /* the rule does not apply. Byte 0; byte 2; bytes 0 to 5 */
	SELECT_FIRST_BYTES,
	SELECT_COUNT,
};

/* How a selected value is laid out in a register. */
enum layout { LAYOUT_NETWORK, LAYOUT_HOST, LAYOUT_STRING };

struct selector_info {
	const char *text;  /* as nft writes it */
	unsigned int size; /* bytes in the register: 1, 2, 4, 6 or 16 */
	enum layout layout;
};

const struct selector_info *selector_info(enum selector selector);

enum test {
	TEST_EQUAL,
	TEST_NOT_EQUAL,
	TEST_ANY_BIT,	   /* selected & mask != 0 */
	TEST_NO_BIT,	   /* selected & mask == 0 */
	TEST_MASKED_EQUAL, /* selected & mask == value */
	TEST_AT_LEAST,	   /* selected >= value */
};

enum verdict { VERDICT_ACCEPT, VERDICT_DROP, VERDICT_RETURN, VERDICT_JUMP, VERDICT_GOTO };

enum term_kind {
	TERM_TEST,	   /* go on if `selector` `test` `value` */
	TERM_LOOKUP,	   /* go on if `selector` is in set `name` (or, inverted, is not) */
	TERM_MAP,	   /* the verdict that map `name` gives for `selector`; go on if none */
	TERM_COUNTER,	   /* count the packet in counter `name` */
	TERM_VERDICT,	   /* `verdict`, to chain `name` for jump and goto */
	TERM_REJECT_RESET, /* drop the packet and answer with a TCP reset */
	TERM_SET_LABEL,	   /* set the bits `value` of the connection's label; other bits stay */
	TERM_TURN_RESET,   /* make the packet a reset (RST and ACK, no other flag), and let it go on */
	TERM_LIMIT,	   /* go on at most `value` times a second, and `mask` times at once */
	TERM_LOG,	   /* send the packet's first `mask` bytes to NFLOG group `value`, with prefix `name` */
	TERM_UPDATE,	   /* `update` the element `key` of the dynamic set `name`; go on if that could be done and the
			      set's meter says so */
	TERM_KNOWN,	   /* go on if the element `key` is in the dynamic set `name` */
};

/* What identifies an element of a dynamic set. The address is that of `selector` (SELECT_IP_SADDR or SELECT_IP6_SADDR),
 * which says the family, too. */
enum key {
	KEY_NONE,	   /* not a dynamic set */
	KEY_SOURCE,	   /* the source address & `mask`; no mask = all of it */
	KEY_SOURCE_REASON, /* the source address, and the constant `value` (enum reason) */
	KEY_FIRST_BYTE,	   /* source address, source port, and the TCP sequence number of the segment's first byte */
	KEY_NEXT_BYTE,	   /* the same, as an answer tells of it: destination address and port, and the number that it
			      acknowledges. `selector` is SELECT_IP_DADDR or SELECT_IP6_DADDR, the set one of KEY_FIRST_BYTE
			    */
};

enum update {
	UPDATE_ADD,    /* add, where it is not there */
	UPDATE_TOUCH,  /* add, or begin its time anew */
	UPDATE_DELETE, /* take it out, where it is there */
};

/* What a dynamic set keeps with each element, and what it says of an update. */
enum meter {
	METER_NONE,	   /* nothing: go on */
	METER_COUNTER,	   /* packets and bytes: go on */
	METER_CONNECTIONS, /* the connections that are open: go on if there are more than `meter_limit`. Never in a set
			      of ours: the kernel, when it drops a rule that updates such a set, gives up a use of
			      connection tracking that is another's (seen on 6.18), until nobody's connections are
			      tracked any more. See term.connections */
	METER_RATE,	   /* updates a second: go on if there are more than `meter_limit`, and `meter_burst` at once */
};

struct term {
	enum term_kind kind;
	enum selector selector;
	enum test test;
	bool inverted;
	enum verdict verdict;
	enum key key;
	enum update update;
	uint32_t connections; /* TERM_UPDATE: not 0 = go on if the element has more than so many open connections. The
				 element keeps the number that it began with, so another number needs another set */
	struct value value;   /* host order; LAYOUT_STRING: up to 16 bytes, the first in the highest byte of `hi` */
	struct value mask;
	char *name;
};

struct rule {
	struct term *terms;
	size_t term_count;
	char *comment;	 /* for people; never compared. NULL = none */
	char *opaque;	 /* not NULL: could not be decoded; this is what it holds, and there are no terms */
	uint32_t origin; /* the place in the policy that caused it (desired side) */
	uint64_t handle; /* the kernel's number (observed side) */
};

enum hook { HOOK_PREROUTING, HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT, HOOK_POSTROUTING };

struct chain {
	char *name;
	bool base;
	enum hook hook; /* base chains only, as the next two */
	int priority;
	bool drop_policy;
	char *comment;
	char *opaque; /* type, device or flags that ours never have; NULL = none */
	struct rule *rules;
	size_t rule_count;
	size_t rule_capacity;
	uint32_t origin;
	uint64_t handle;
};

/* One element of a verdict map. */
struct target {
	enum verdict verdict;
	char *chain; /* jump and goto */
};

struct set {
	char *name;
	bool interval; /* ranges allowed (rbtree); else single values (hash) */
	bool map;      /* maps to verdicts */
	/* Not KEY_NONE: a dynamic set, which the rules fill. Its elements are state: never compared, and read by
	 * nft_read_refused() alone. `elements.width` says the family. */
	enum key key;
	uint32_t size;	  /* dynamic: how many elements at most */
	uint64_t timeout; /* dynamic: milliseconds that an element stays, 0 = for ever */
	enum meter meter;
	uint32_t meter_limit;
	uint32_t meter_burst;
	char *comment;
	char *opaque; /* key type or flags that ours never have; NULL = none */
	/* The kernel's elements were not plain pairs of first and last (see nft_decode.c): coverage is right, but a
	 * change must replace all of them. Observed side only. */
	bool irregular;
	/* Sorted and disjoint. Touching neighbours are joined on the desired side, as the kernel has them on the
	 * observed side. In a map not joined. */
	struct intervals elements;
	struct target *targets; /* map: one for each element, else NULL */
	size_t target_capacity;
	uint32_t origin;
	uint64_t handle;
};

struct counter {
	char *name;
	char *comment;
	uint64_t packets;
	uint64_t bytes;
	uint32_t origin;
	uint64_t handle;
};

/* Something in our table that the model has no words for: a flowtable, a quota, a helper. */
struct other {
	enum other_kind { OTHER_FLOWTABLE, OTHER_OBJECT } kind;
	uint32_t type; /* NFT_OBJECT_*, for OTHER_OBJECT */
	char *name;
	char *opaque;
};

/* Owns all that is reachable from it. */
struct ruleset {
	bool present;	/* the table exists */
	uint32_t flags; /* NFT_TABLE_F_*. Desired: 0, whoever may change it; or TABLE_OWNED, and only `owner` */
	uint32_t owner; /* port id of the netlink socket that owns it; 0 = nobody */
	char *comment;
	uint64_t handle;
	/* Which environment is in force and since when (seconds since 1970, 0 = unknown). In the kernel both stand in
	 * the comment of the first rule of the first hook, so that they live and die with the table. The name is
	 * compared, the time is not. */
	char *environment;
	uint64_t since;
	struct counter *counters;
	size_t counter_count, counter_capacity;
	struct set *sets;
	size_t set_count, set_capacity;
	struct chain *chains;
	size_t chain_count, chain_capacity;
	struct other *others;
	size_t other_count, other_capacity;
	uint32_t origin; /* of the environment: the place of what the policy does not know (desired side) */
};

struct ruleset *ruleset_new(void);
void ruleset_free(struct ruleset *ruleset);

/* The set that the hooks ask first: see add_guarded_ports() in ruleset_compile.c. */
#define GUARDED_PORTS "guarded_ports"

/* Appends a zeroed item, which the ruleset owns; `name` is copied. The pointer is good until the next addition. */
struct counter *ruleset_add_counter(struct ruleset *ruleset, const char *name);
struct set *ruleset_add_set(struct ruleset *ruleset, const char *name, enum width width);
struct chain *ruleset_add_chain(struct ruleset *ruleset, const char *name);
struct other *ruleset_add_other(struct ruleset *ruleset, enum other_kind kind, const char *name);
struct rule *chain_add_rule(struct chain *chain);
/* `term` and `name` are copied; term->name is not looked at. */
void rule_add_term(struct rule *rule, const struct term *term, const char *name);
/* Adds an element to a map. Elements are added in ascending order. */
void set_add_target(struct set *set, struct interval key, enum verdict verdict, const char *chain);
void rule_done(struct rule *rule);

/* By name; NULL where there is none. Borrowed from the ruleset. */
const struct counter *ruleset_counter(const struct ruleset *ruleset, const char *name);
const struct set *ruleset_set(const struct ruleset *ruleset, const char *name);
const struct chain *ruleset_chain(const struct ruleset *ruleset, const char *name);

bool term_equal(const struct term *a, const struct term *b);
/* Opaque rules equal nothing. Comments are not compared. */
bool rule_equal(const struct rule *a, const struct rule *b);

/* The comment that carries environment and time, and back. ruleset_label() returns a new string;
 * ruleset_unlabel() fills ruleset->environment and ->since from the first rule of chain "prerouting" that carries one.
 */
char *ruleset_label(const char *environment, uint64_t since);
void ruleset_unlabel(struct ruleset *ruleset);

/*
 * Compiles one environment of a policy. Pure; cannot fail, since a loaded policy holds no mistakes. `since` is the
 * time for the label. The result borrows nothing. Free with ruleset_free().
 */
struct ruleset *ruleset_compile(const struct policy *policy, const struct environment *environment, uint64_t since);
/* Guards one more port, higher than those before, of a ruleset that has a plaintext port: it is judged as that one. */
void ruleset_guard_also(struct ruleset *ruleset, uint16_t port);

/* The bits of the conntrack label that the gate uses, counted from the policy's conntrack_label. Only set, never
 * cleared; and only tested positively, so that bits of others do no harm. */
enum label {
	LABEL_JUDGE,	/* the connection began with a SYN that the gate saw: what it says first is judged */
	LABEL_CLEARED,	/* it began with a ClientHello */
	LABEL_REFUSED,	/* it did not */
	LABEL_ADMITTED, /* its limits were asked */
	LABEL_ANSWERED, /* the server's SYN-ACK told the number of its first byte: see set unjudged_v4 */
};

/* What must be there for any packet to be judged at all, and is not. NULL: all of it is. Static. */
const char *ruleset_why_not_in_force(const struct ruleset *observed);
/*
 * A number for all that ruleset_diff() compares: environment, counters, sets with their elements, chains with their
 * rules; not comments, handles, counts or the time it is in force since. What has the same one is the same, but for one
 * chance in 2^64 (FNV-1a; not meant against somebody who chooses both). Of a desired ruleset only: no words for what is
 * opaque. Shown as 16 hexadecimal digits.
 */
uint64_t ruleset_fingerprint(const struct ruleset *ruleset);

/* The number of intervals that name who may connect, over all lists. */
size_t ruleset_source_count(const struct ruleset *ruleset);
/* The name of the list that a set belongs to ("clients" for "clients_v4_10.0.0.0_9"), or NULL for a set that lists no
 * sources. `length` receives the number of bytes of the name. */
const char *set_source_list(const char *name, size_t *length);

/* --- who was refused --- */

/* The sets in which the table's rules write down whom they refused; keyed by KEY_SOURCE_REASON, each element with a
 * counter, and gone a day after the last refusal. */
#define REFUSED_SET_V4 "refused_v4"
#define REFUSED_SET_V6 "refused_v6"

#define REFUSED_UNKNOWN UINT64_MAX /* nobody knows how long ago */

/* What they hold of one source and one reason. */
struct refusal {
	enum width width;
	uint32_t reason; /* enum reason, or the number of another version, for which reason_name() has no name */
	struct value address;
	uint64_t packets, bytes;
	uint64_t seconds_ago; /* since the last one, or REFUSED_UNKNOWN */
};

/* All of it about one source. */
struct refused_source {
	enum width width;
	struct value address;
	uint64_t packets, bytes;
	uint64_t seconds_ago;
	const struct refusal *refusals; /* one for each reason, most packets first; borrowed from the list */
	size_t refusal_count;
};

/* Zero-initialise; free with refused_sources_done(). */
struct refused_sources {
	struct refusal *refusals;
	size_t refusal_count, refusal_capacity;
	struct refused_source *sources; /* most packets first */
	size_t count;
	bool full; /* there was no room for more: sources that came later are not among them */
};

/* Makes the sources of the refusals. A refusal that is there twice counts once: a set that changes while it is read may
 * show an element again. Pure. */
void refused_sources_sum(struct refused_sources *list);
void refused_sources_done(struct refused_sources *list);

/* --- */

enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_CHANGE, CHANGE_MOVE };

enum object_kind {
	OBJECT_TABLE,
	OBJECT_COUNTER,
	OBJECT_SET,
	OBJECT_ELEMENT,
	OBJECT_CHAIN,
	OBJECT_RULE,
	OBJECT_OTHER,
};

/* One difference. Borrows from the two rulesets that were compared: good while both live. */
struct change {
	enum change_kind kind;
	enum object_kind object;
	const struct ruleset *expected_table, *observed_table;
	const struct counter *counter;
	const struct set *expected_set, *observed_set;
	const struct chain *expected_chain, *observed_chain;
	const struct rule *expected_rule, *observed_rule;
	size_t expected_index, observed_index; /* of the rule in its chain, or of the element in its map, from 0 */
	const struct other *other;
	struct interval element;
	uint32_t origin;
};

/* What must be done to one object of the table; the batch is built from this. */
enum work {
	WORK_NONE,
	WORK_CREATE, /* expected side: is not there */
	WORK_DELETE, /* observed side: must go; before WORK_CREATE where the expected side has the same name */
	WORK_UPDATE, /* a set's elements differ, or a chain's policy */
	WORK_REFILL, /* chain: all rules anew, the chain stays. Set: all elements anew, the set stays */
};

/* All differences between two rulesets, in the order in which a reader expects them. Empty = nothing to do. */
struct changeset {
	const struct ruleset *expected;
	const struct ruleset *observed;
	struct change *changes;
	size_t count;
	size_t capacity;
	/* One for each object, same index as in the ruleset. */
	enum work *expected_counters, *expected_sets, *expected_chains;
	enum work *observed_counters, *observed_sets, *observed_chains;
	bool table_missing;
	bool table_flags;
	/* All is deleted and made anew, first: the table is to be owned, or sleeps and has other hooks, and the kernel
	 * has no other way. */
	bool table_replace;
	bool remove_table; /* expected is absent */
};

/* Compares what should be with what is. Pure. Free with changeset_free() before the rulesets. */
struct changeset *ruleset_diff(const struct ruleset *expected, const struct ruleset *observed);
void changeset_free(struct changeset *changeset);

/*
 * True where the table is in force and gets an interval set that is new: a list that outgrew one set, or shrinks back.
 * Newer kernels (seen on 6.18) switch to a transaction's rules first and fill new interval sets a moment later, so the
 * rules would refuse everybody for that moment. Such lists are made ready in a transaction of their own, to which no
 * rule refers; should the second one never come, they lie idle, and the next apply takes them or clears them away.
 *
 * And true where the whole table is to be replaced: the first transaction does that, with a set that stands in for
 * guarded_ports, since that would be empty for that moment, and all ports open. Should the second one never come the
 * table guards as it should, and the next apply puts the set in its place.
 */
bool changeset_needs_preparing(const struct changeset *changeset);

/*
 * What to send for one set whose elements differ: `remove` receives elements exactly as the kernel has them, `add`
 * what is missing afterwards; both were initialised by the caller with the set's width. Elements that need not move
 * are in neither.
 */
void set_delta(const struct set *expected, const struct set *observed, struct intervals *add, struct intervals *remove);

/* Words for people and for JSON. The text_ functions append to `text`. */
const char *change_kind_name(enum change_kind kind);
/* "set clients_v4", "element of clients_v4", "chain judge rule 2". */
void change_object_text(const struct change *change, struct text *text);
/* What should be and what is there: "" where there is nothing on that side. One line. */
void change_expected_text(const struct change *change, struct text *text);
void change_observed_text(const struct change *change, struct text *text);

/* --- */

/* One rule, one chain's head ("type filter hook ..."), one set's head in nft's language, on one line, without a final
 * newline. An opaque rule prints as "[ ... ]". */
void rule_print(const struct rule *rule, struct text *text);
void chain_print_head(const struct chain *chain, struct text *text);
void set_print_head(const struct set *set, struct text *text);
/* "10.0.0.0/8" or "6379 : goto plaintext". */
void element_print(const struct set *set, size_t index, struct text *text);
/* The whole table as a file for `nft -f`, which replaces the table in one transaction. False where writing failed. */
bool ruleset_print_nft(const struct ruleset *ruleset, FILE *stream);
const char *hook_name(enum hook hook);

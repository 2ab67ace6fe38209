/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/nft share. */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink.h"
#include "nft.h"

struct nft_events;

struct nft {
	struct netlink *netlink;
	unsigned int disturbed;	   /* how often somebody else's transaction spoilt what we did */
	struct nft_events *events; /* NULL: we do not listen */
	uint32_t heard;		   /* the generation of the last snapshot, if it was read while we listened; or 0 */
	nft_progress *progress;
	void *progress_data;
};

/* ---- nft_read.c ---- */

/* Whether nobody but us has changed our table since the last snapshot was read, which must be of this generation; as
 * far as we have heard. Never true unless we listen. */
bool nft_is_unchanged(const struct nft *nft, uint32_t generation);

/* Large enough for a header and three names of 255 bytes. */
#define NFT_REQUEST_ROOM 1024
/* A request about our table, in `buffer`. `table_attribute`: that names it; 0 = none. */
struct nlmsghdr *nft_request(struct nft *nft, char *buffer, uint16_t type, uint16_t flags, uint16_t table_attribute);
/* Hints at what to do where the kernel cannot be asked; returns `r`. */
int nft_explain(int r, struct err *err);

/* ---- nft_events.c: what the kernel tells of everybody's transactions ---- */

/*
 * For each object that a transaction changed the kernel sends an event with the name of its table, and after the last
 * of them NFT_MSG_NEWGEN with the new generation: both before it lets go of the lock that all transactions take, and
 * after everything is visible (nf_tables_commit() in net/netfilter/nf_tables_api.c). It drops what a listener has no
 * room for, and says so.
 */
struct nft_news {
	uint32_t generation; /* after the last transaction whose end was heard; 0: none was */
	bool others;	     /* somebody else changed our table; or may have: an event that we do not understand */
	bool own;	     /* a transaction of ours changed it */
	bool lost;	     /* events were dropped: anything may have changed */
};

/* Begins to listen: nft->events. Transactions that run at this moment have ended when it returns, so that all others
 * are heard. 0, or a negative errno value with `err`: then nft->events stays NULL. */
int nft_events_open(struct nft *nft, struct err *err);
void nft_events_close(struct nft_events *events);
/* Hears what waits, and waits for nothing. News are added up until nft_events_forget(). 0, or a negative errno value
 * with `err`, where we can no longer hear. */
int nft_events_hear(struct nft_events *events, struct err *err);
/* The same, but after all transactions that run at this moment have ended, with their events. */
int nft_events_settle(struct nft *nft, struct err *err);
const struct nft_news *nft_events_news(const struct nft_events *events);
void nft_events_forget(struct nft_events *events);
const struct nft_culprit *nft_events_culprit(const struct nft_events *events);
/* For poll(2). */
int nft_events_descriptor(const struct nft_events *events);

/* Type ids of nft's own datatypes, which only `nft list` looks at: enum datatypes in nftables' include/datatype.h. */
#define DATATYPE_INTEGER 4u
#define DATATYPE_IPV4	 7u
#define DATATYPE_IPV6	 8u
#define DATATYPE_SERVICE 13u
#define DATATYPE_MARK	 19u
/* How far a part's type is shifted for each part that comes behind it. */
#define DATATYPE_BITS 6u

/* RFC 9293 3.1, in bytes from the beginning of the TCP header. The length of the header and the flags together, since
 * the kernel brings the checksum up to date for whole 16-bit words. */
#define TCP_SPORT_OFFSET       0u
#define TCP_DPORT_OFFSET       2u
#define TCP_SEQUENCE_OFFSET    4u
#define TCP_ACKNOWLEDGE_OFFSET 8u
#define TCP_FLAGS_OFFSET       12u
#define TCP_FLAGS_LENGTH       2u
#define TCP_CHECKSUM_OFFSET    16u

/* Where the parts of a key are that stand behind an address of so many bytes, in the first register. */
struct key_registers {
	uint32_t second, third;
};
const struct key_registers *key_registers(unsigned int address_bytes);

/* A set's key, as nft and the kernel see it: type id and bytes. */
struct set_key {
	uint32_t type;
	uint32_t length;
};
struct set_key set_key(const struct set *set);

/* ---- nft_encode.c: messages into a buffer that grows ---- */

/* A transaction being written. Zero-initialise; free with batch_done(). */
struct batch {
	struct netlink *netlink; /* gives sequence numbers */
	char *data;
	size_t used;
	size_t capacity;
	uint32_t first_sequence;
	/* For message number i, counted from first_sequence: what it is about. */
	struct batch_note {
		const char *what; /* "set", borrowed and static */
		const char *name; /* borrowed from a ruleset, or NULL */
		uint32_t origin;
	} * notes;
	size_t note_count;
	size_t note_capacity;
};

void batch_begin(struct batch *batch, struct netlink *netlink, uint32_t generation);
void batch_end(struct batch *batch);
void batch_done(struct batch *batch);

void batch_add_table(struct batch *batch, const struct ruleset *ruleset);
void batch_update_table(struct batch *batch, uint32_t flags);
/* A table of another name, for a transaction that is never ended. */
void batch_try_table(struct batch *batch, const char *name, uint32_t flags);
void batch_delete_table(struct batch *batch);
void batch_add_counter(struct batch *batch, const struct counter *counter);
void batch_delete_object(struct batch *batch, const char *name, uint32_t type);
void batch_delete_flowtable(struct batch *batch, const char *name);
void batch_add_chain(struct batch *batch, const struct chain *chain);
void batch_delete_chain(struct batch *batch, const struct chain *chain);
/* Deletes all rules of a chain. */
void batch_flush_chain(struct batch *batch, const struct chain *chain);
void batch_add_rules(struct batch *batch, const struct chain *chain);
void batch_add_set(struct batch *batch, const struct set *set, uint32_t id);
void batch_delete_set(struct batch *batch, const struct set *set);
void batch_flush_set(struct batch *batch, const struct set *set);
/* `which` are elements of `set` (a map's targets are found by their first key), or all of them. */
void batch_add_elements(struct batch *batch, const struct set *set, const struct intervals *which);
void batch_delete_elements(struct batch *batch, const struct set *set, const struct intervals *which);
void batch_change_bans(struct batch *batch, const struct ban_plan *plan);

/* ---- nft_decode.c: messages into the model ---- */

/* Each takes one message of a dump and appends to `ruleset`; what has no words in the model becomes opaque. 0, or
 * -EBADMSG where the message is not what the kernel sends. Messages about other tables are ignored. */
int decode_table(struct ruleset *ruleset, const struct nlmsghdr *message);
int decode_counter(struct ruleset *ruleset, const struct nlmsghdr *message);
int decode_flowtable(struct ruleset *ruleset, const struct nlmsghdr *message);
int decode_chain(struct ruleset *ruleset, const struct nlmsghdr *message);
int decode_set(struct ruleset *ruleset, const struct nlmsghdr *message);
int decode_rule(struct ruleset *ruleset, const struct nlmsghdr *message);

/* Elements come in many messages: collected first, understood at the end. Zero-initialise; free with elements_done().
 */
struct elements {
	struct set *set;
	/* Each key with `origin` 0 for the end of an interval (exclusive) and 1 for a start. */
	struct intervals keys;
	struct element_target {
		struct value key;
		struct target target;
	} * targets;
	size_t target_count;
	size_t target_capacity;
	bool catch_all;
	bool strange; /* timeouts, expressions, ranges in one element: not ours */
};

int decode_elements(struct elements *elements, const struct nlmsghdr *message);
void elements_finish(struct elements *elements);
void elements_done(struct elements *elements);

/* Appends to `list` what a message tells of a set of refused sources; `limit` refusals at most. 0, or -EBADMSG. */
int decode_refusals(struct refused_sources *list, const struct set *set, size_t limit, const struct nlmsghdr *message);

/* The elements of a set of bans, one for each end of an interval: collected first, understood at the end.
 * Zero-initialise; free with ban_ends_done(). */
struct ban_ends {
	struct ban_end {
		struct value key;
		bool end; /* exclusive */
		uint64_t milliseconds;
	} * items;
	size_t count, capacity;
};

int decode_bans(struct ban_ends *ends, enum width width, const struct nlmsghdr *message);
/* Appends the bans. */
void ban_ends_pair(struct ban_ends *ends, enum width width, struct bans *ret);
void ban_ends_done(struct ban_ends *ends);

/* The comment in an object's userdata (type, length, text), or NULL. The caller frees it. */
char *decode_comment(const struct nlattr *userdata, uint8_t type);

/* The attributes of one expression; the largest that we know has 11 (NFTA_SOCKET and others have fewer). */
#define EXPRESSION_ATTRIBUTES 16

struct expression {
	const char *name;
	const struct nlattr *table[EXPRESSION_ATTRIBUTES];
	const struct nlattr *data;
};

/* The expressions of a rule, borrowed from the message; the caller frees the array. False where anything in them is
 * surplus or not as the kernel sends it: then the array holds those before it. */
bool expressions_read(const struct nlattr *nest, struct expression **ret, size_t *ret_count);

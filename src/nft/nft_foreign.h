/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files that read foreign tables share. Everything is bounded: see the limits in nft_foreign.c. */

#include <linux/netfilter/nf_tables_compat.h>

#include "foreign.h"
#include "nft_private.h"

/* The answer to "does it match": no knowledge is an answer, too. */
enum known { KNOWN_NO, KNOWN_MAYBE, KNOWN_YES };

static inline enum known known_not(enum known known)
{
	return known == KNOWN_NO ? KNOWN_YES : known == KNOWN_YES ? KNOWN_NO : KNOWN_MAYBE;
}

static inline enum known known_bool(bool yes)
{
	return yes ? KNOWN_YES : KNOWN_NO;
}

/* Bytes of which some bits are known: those set in `mask`; others are 0 in `data`. */
#define IMAGE_BYTES 64
struct image {
	uint8_t data[IMAGE_BYTES];
	uint8_t mask[IMAGE_BYTES];
};

void image_put(struct image *image, size_t offset, const void *bytes, size_t length);
void image_forget(struct image *image, size_t offset, size_t length);

/* The first packet of a TCP connection from outside, as far as it is known. */
struct walked {
	uint8_t family; /* NFPROTO_IPV4 or NFPROTO_IPV6 */
	struct image network;
	struct image transport;
	/* The destination port lies within; one value = known, and in the image. */
	uint16_t port_first, port_last;
	enum known to_us;      /* the destination is an address of this host */
	enum known translated; /* the destination was translated */
	uint32_t state;	       /* NF_CT_STATE_BIT(): new, or established; 0 = not known */
};

/* `source` and `destination` may be NULL: not known. */
struct walked packet_make(enum width width, const struct value *source, const struct value *destination);
void packet_establish(struct walked *packet); /* a later packet of the connection */
void packet_any(struct walked *packet);	      /* any packet of it */
void packet_set_port(struct walked *packet, uint16_t first, uint16_t last);

/* A rule as it came: its expressions as one attribute. */
struct foreign_rule {
	uint64_t handle;
	const struct nlattr *expressions; /* NULL: none */
};

struct foreign_chain {
	char *name;
	struct foreign_rule *rules;
	size_t count;
	size_t capacity;
};

/* What a packet may meet in a chain: bits. */
enum outcome_bit { MAY_DROP = 1, MAY_ACCEPT = 2, MAY_RETURN = 4 };

/* What a rule does besides a verdict. */
struct effect {
	enum foreign_kind kind;
	bool certain;			/* nothing on the way to it was undecided */
	uint16_t port_first, port_last; /* of the packets that it is done to */
	uint16_t to_port;		/* 0 = not known, or the same */
	bool port_changes;
	bool address_known;
	enum width width;
	struct value address;
	bool address_changes;
	bool proxied; /* the packet stays as it is, and goes to another socket */
	const struct foreign_chain *chain;
	const struct foreign_rule *rule;
};

/* The answer to a lookup with a known key. */
struct element {
	enum known found;
	bool has_verdict;
	int32_t verdict;
	char chain[256];
	uint8_t data[IMAGE_BYTES];
	size_t data_length; /* 0: none */
};

/* Where a walk gets what it meets from. The functions may be asked again and again for the same. */
struct walk_source {
	void *data;
	/* NULL: not to be had. */
	const struct foreign_chain *(*chain)(void *data, const char *name);
	/* Chain number `index` of the table that is no base chain, or NULL behind the last. */
	const char *(*regular)(void *data, size_t index);
	/* The length of a set's key in bytes; 0 = not known. */
	size_t (*key_length)(void *data, const char *set);
	void (*lookup)(void *data, const char *set, const uint8_t *key, size_t length, struct element *ret);
	void (*effect)(void *data, const struct effect *effect);
};

struct walk {
	const struct walk_source *source;
	size_t budget; /* rules that may still be looked at; at 0 everything is undecided */
	unsigned int depth;
	bool undecided;	 /* something on the way was */
	bool everywhere; /* all chains of the table were tried, because a map of verdicts could not be asked */
	/* The evidence for MAY_DROP: the first that may, and the last, which does where nothing else can happen. */
	const struct foreign_chain *first_chain, *last_chain;
	const struct foreign_rule *first_rule, *last_rule;
	bool dropped;
};

/* Follows a packet through a chain. Bits of enum outcome_bit. */
unsigned int walk_chain(struct walk *walk, const struct foreign_chain *chain, const struct walked *packet);
/* Whether a rule can matter at all for one of the packets, whatever sets hold: so that others need not be kept.
 * `ret_names_port` is set where it asks for one of the ports. */
bool walk_rule_matters(const struct foreign_rule *rule, const struct walked *packets, size_t count, bool nat,
	const uint16_t *ports, size_t port_count, bool *ret_names_port);

/* One rule on its way through the registers. */
struct evaluation {
	struct walk *walk; /* NULL: sets are not asked, nothing is told */
	const struct foreign_chain *chain;
	const struct foreign_rule *rule;
	struct walked packet; /* as the rule has narrowed it */
	struct image registers;
	/* What is known of a register besides its bits, for each four bytes. */
	struct tag {
		enum tag_kind { TAG_NONE, TAG_PORT, TAG_NOT } kind;
		uint8_t length;
		uint8_t not_value[16]; /* TAG_NOT: it has any value but this */
	} tags[IMAGE_BYTES / 4];
	enum known match;
	bool acts;	      /* it changes or decides something */
	bool ends;	      /* with `outcome` */
	unsigned int outcome; /* of the verdict: bits */
	char jump[256];	      /* "" = none */
	bool goes;	      /* goto */
	bool anywhere;	      /* to some chain of the table, which is not known */
	bool maps_ports;      /* it translates */
};

void evaluation_effect(struct evaluation *e, struct effect *effect);
enum known evaluation_port(struct evaluation *e, uint16_t first, uint16_t last, bool inverted);
/* Matches and targets of iptables-nft. */
enum known xt_match(struct evaluation *e, const struct expression *x);
void xt_target(struct evaluation *e, const struct expression *x);

/* A rule in words like nft's, as far as possible. */
void foreign_rule_text(const struct foreign_rule *rule, uint8_t family, struct text *text);

/* Tables of legacy iptables, from /proc. */
void foreign_read_legacy(struct foreign *foreign, const char *directory);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of the compiler share:
 *
 *   ruleset_compile.c the order of it all: hooks, looks, ports
 *   ruleset_lists.c   lists of addresses, as sets and the chains that ask them
 *   ruleset_gate.c    what is done with a connection that may be: limits, and nothing but TLS; and how packets are
 * refused ruleset_terms.c   the words that rules are written with
 */

#include "policy.h"
#include "ruleset.h"

/* include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_INVALID_BIT, NF_CT_STATE_UNTRACKED_BIT, and the bit
 * of IP_CT_NEW; IPS_DST_NAT. */
#define CT_STATE_INVALID   0x01
#define CT_STATE_NEW	   0x08
#define CT_STATE_UNTRACKED 0x40
#define CT_STATUS_DNAT	   0x20
/* enum ip_conntrack_dir in include/uapi/linux/netfilter/nf_conntrack_tuple_common.h */
#define CT_DIRECTION_REPLY 1
/* include/uapi/linux/rtnetlink.h: RTN_LOCAL. include/uapi/linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6. */
#define ROUTE_LOCAL  2
#define NFPROTO_4    2
#define NFPROTO_6    10
#define PROTOCOL_TCP 6
/* The loopback interface is the first of its namespace: LOOPBACK_IFINDEX in include/net/net_namespace.h. */
#define INTERFACE_LOOPBACK 1
/* RFC 9293 3.1: the flags byte of a TCP header. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct compiler {
	const struct policy *policy;
	const struct environment *environment;
	struct ruleset *ruleset;
	bool bind;		    /* destinations are asked for */
	bool admin_bind;	    /* and other ones for the admin port */
	bool limits;		    /* at least one of the two is set */
	bool gate;		    /* TLS is spoken, and nothing but TLS, on at least one port */
	bool refuses[REASON_COUNT]; /* there must be a chain for it */
};

/* ---- ruleset_terms.c ---- */

/* TEST_ANY_BIT and TEST_NO_BIT: `value` is the mask. */
void add_test(struct rule *rule, enum selector selector, enum test test, uint64_t value);
/* selected & mask == value */
void add_test_masked(struct rule *rule, enum selector selector, uint64_t mask, uint64_t value);
void add_test_string(struct rule *rule, enum selector selector, const char *string);
/* The transport header may be read only after this. */
void add_tcp(struct rule *rule);
/* `selector` in the set or map `name`, with the test that makes the selector's header readable in front. */
void add_lookup(struct rule *rule, enum term_kind kind, enum selector selector, const char *name);
void add_verdict(struct rule *rule, enum verdict verdict, const char *chain);
void add_counter(struct rule *rule, const char *name);
/* `term` has kind, key and what belongs to it; the family's selector, the tests in front of it, and the set's name
 * "BASE_v4" or "BASE_v6" are filled in. */
void add_element(struct rule *rule, enum width width, struct term term, const char *base);
void add_label_test(const struct compiler *c, struct rule *rule, enum label label);
void add_label_set(const struct compiler *c, struct rule *rule, enum label label);
/* A SYN that begins a connection. */
void add_opening_test(struct rule *rule);

struct chain *add_chain(struct compiler *c, const char *name, uint32_t origin, const char *comment);
struct rule *add_rule(struct chain *chain, uint32_t origin, const char *comment);
void add_jump(struct chain *chain, enum verdict verdict, const char *target, uint32_t origin);
/* Lets pass what is not addressed to this host. */
void add_routed(struct chain *chain, uint32_t origin);
/* Goes to the chain that refuses for this reason. */
void add_refusal(struct compiler *c, struct rule *rule, enum reason reason);

/* ---- ruleset_lists.c ---- */

/* A list of addresses as it is looked up: a chain that refuses those who are not in it. For sources it returns for the
 * others; for destinations it sends them on to be judged, and lets pass what is not addressed to this host. */
struct list {
	const char *name; /* "clients" */
	const char *comment;
	const struct source_list *sources;
	bool destination;
	enum reason reason; /* of refusing the others */
	uint32_t origin;
};

void add_list(struct compiler *c, const struct list *list);
/* The first rules of a chain that must not be passed by who is banned. */
void add_bans(struct compiler *c, struct chain *chain);
/* Where they lead to: the list of those whom no ban locks out, whoever put them into the set. */
void add_never_banned(struct compiler *c);

/* ---- ruleset_gate.c ---- */

/* In a chain of a port that is open to its clients: the limits, where there are any, for what begins. */
void add_limits(struct compiler *c, struct chain *chain);
/* The last rule of a chain whose port speaks TLS. */
void add_gate(struct compiler *c, struct chain *chain, uint32_t origin);
/* In a hook that answers pass by. */
void add_answers(struct compiler *c, struct chain *chain);
/* The chains and sets that the rules so far refer to. */
void add_gate_chains(struct compiler *c);
void add_limit_chains(struct compiler *c);
void add_refusals(struct compiler *c);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * foreign: what other tables of this network namespace do to the guarded ports, as facts. The type belongs to the
 * ruleset room, so that audit can judge facts without seeing nft, which reads them. Nothing here says what is good.
 */

#include "interval.h"

struct policy;
struct environment;

/* --- what to look for --- */

/* A packet that the policy lets pass, and that other tables should let pass, too: the first of a connection. */
struct foreign_probe {
	uint16_t port;
	enum width width; /* of the addresses */
	struct value source;
	bool destination_known; /* else any address of this host */
	struct value destination;
	uint32_t origin; /* the option that allows it */
};

#define FOREIGN_PORTS  4u
#define FOREIGN_PROBES 64u

struct foreign_question {
	uint16_t ports[FOREIGN_PORTS]; /* guarded, open or not */
	size_t port_count;
	struct foreign_probe probes[FOREIGN_PROBES];
	size_t probe_count;
};

/* The guarded ports, and for each that is open up to three sources of each family from the list that may reach it.
 * Pure. Sources of the loopback network are left out: they do not come from outside. */
void foreign_ask(const struct policy *policy, const struct environment *environment, struct foreign_question *ret);

/* --- what there is --- */

enum foreign_kind {
	/* Address translation: `from` (where known) comes out at `to_port` of `to_address` (NULL: this host). */
	FOREIGN_NAT,
	/* The same by rewriting the packet, or by tproxy: connection tracking knows of no translation. */
	FOREIGN_REWRITE,
	FOREIGN_NOTRACK,   /* packets to `port` are not tracked */
	FOREIGN_FLOWTABLE, /* connections to `port` pass by all chains */
	FOREIGN_AWAY,	   /* packets to `port` are sent on by fwd, before any of our chains */
	FOREIGN_DROP,	   /* a packet of `probe` is dropped */
};

/* One rule (or one chain's policy) that concerns a guarded port. */
struct foreign_fact {
	enum foreign_kind kind;
	/* Drop: false where a condition could not be decided, so that it may be or not. */
	bool certain;
	uint16_t port;			/* the guarded one */
	uint16_t from_first, from_last; /* NAT and rewrite: the port outside. 0 to 65535 = not known */
	uint16_t to_port;		/* 0 = not known */
	char *to_address;
	/* Rewrite: it happens where our table does not look afterwards. */
	bool unjudged;
	struct foreign_probe probe; /* drop */
	/* The evidence. */
	char *table; /* "ip nat" */
	char *chain;
	uint64_t handle; /* of the rule; 0: the chain's policy */
	char *rule;	 /* as far as it can be printed; what cannot stands in [ ] */
};

#define FOREIGN_FACTS 64u /* how many are kept */

enum legacy { LEGACY_NONE, LEGACY_PRESENT, LEGACY_UNKNOWN };

/* Owns all that is reachable from it. */
struct foreign {
	struct foreign_fact *facts;
	size_t count;
	size_t capacity;
	size_t more; /* found, and not kept */
	size_t table_count;
	/* Not NULL: what there is was more than the limits allow to look at, so facts may be missing. */
	char *incomplete;
	/* Tables with an owner (a process that nobody else may change them against) that name a guarded port: "inet
	 * firewalld (firewalld)". NULL: none. And our own table's, as in struct ruleset. */
	char *owners;
	uint32_t ours_flags;
	uint32_t ours_owner;
	char *managers; /* "ip filter (docker, ufw), inet firewalld (firewalld)"; NULL: none is known by name */
	/* Tables of the old iptables, which nf_tables does not know of. */
	enum legacy legacy;
	char *legacy_tables; /* present: "filter, nat" */
	char *legacy_why;    /* unknown */
};

struct foreign *foreign_new(void);
void foreign_free(struct foreign *foreign);
/* Appends a copy, which takes over the fact's strings; one that is there already, or one too many, is only counted. */
void foreign_add(struct foreign *foreign, struct foreign_fact *fact);

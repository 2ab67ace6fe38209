/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * ruleset, the second door: what a table does with a packet, and with the first packets of a connection. It evaluates
 * the model itself, the same that is sent to the kernel or was read from it, with the kernel's semantics; so it cannot
 * know less or more than the table does. Pure: it may be told a ruleset, and never talks to the kernel.
 *
 * What it cannot know it does not guess: where a packet meets something opaque its fate is unknown, and unknown is
 * never a pass. Tables of others are not in the model: what passes here may still be dropped there.
 */

#include "ruleset.h"

/* A packet as a hook sees it. (The struct packet of packet.h is what was kept of one that was refused.) */
struct segment {
	enum width family; /* WIDTH_IPV4 or WIDTH_IPV6 */
	struct value source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol; /* 6 = TCP; ports are read of TCP only */
	uint8_t flags;	  /* of TCP */
	uint32_t sequence;
	uint32_t acknowledged; /* the number that its ACK tells */
	bool answer;	       /* it goes against the direction in which the connection began */
	const uint8_t *data;   /* what TCP carries; borrowed */
	size_t length;
	uint32_t in_index;    /* of the interface that it came by; 1 = lo, 0 = none */
	const char *out_kind; /* of the interface that it leaves by, "bridge"; NULL: of no kind (a network card, lo), or
				 not known yet. Borrowed. */
	uint32_t route_type;  /* of its destination: 2 = local, 1 = unicast */
};

/* What connection tracking holds of the connection. Changed by what the rules do to it. */
struct tracking {
	bool tracked;	 /* there is an entry; else `state` alone is looked at */
	uint32_t state;	 /* NF_CT_STATE_BIT()s, as SELECT_CT_STATE */
	uint32_t status; /* as SELECT_CT_STATUS */
	bool labelled;	 /* the entry has room for a label, as those have that are younger than the table */
	struct value label;
};

enum fate {
	FATE_PASSES, /* no chain has anything against it. It may have become a reset: look at packet.flags */
	FATE_DROPPED,
	FATE_RESET,   /* dropped, and answered with a TCP reset */
	FATE_UNKNOWN, /* depends on something that the model has no words for */
};

/* What a rule that applied did in the end. */
enum effect {
	EFFECT_NEXT, /* the next rule is asked */
	EFFECT_JUMP,
	EFFECT_GOTO,
	EFFECT_RETURN,
	EFFECT_ACCEPT,
	EFFECT_DROP,
	EFFECT_RESET,
	EFFECT_TURN,   /* the packet goes on as a reset for the server */
	EFFECT_PASSED, /* the end of a base chain: its policy accepts. The step has no rule */
	EFFECT_POLICY, /* the end of a base chain: its policy drops. The step has no rule */
	EFFECT_UNKNOWN,
};

/* Which packet of a connection a step is about. */
enum moment {
	MOMENT_SYN,	  /* the first packet */
	MOMENT_ANSWER,	  /* what the server answers to it, SYN and ACK */
	MOMENT_HANDSHAKE, /* the ACK that completes the handshake */
	MOMENT_DATA,	  /* what the client says first */
	MOMENT_MIDSTREAM, /* data of a connection that was there before the table */
};

/* One rule that applied to a packet, or the end of a base chain. Borrows from the ruleset. */
struct step {
	enum moment moment;
	enum hook hook;
	const struct chain *chain;
	const struct rule *rule; /* NULL: the end of the base chain */
	size_t index;		 /* of the rule in its chain, from 0 */
	enum effect effect;
	const char *target; /* jump and goto: the chain; NULL for others */
	/* The set or map that the rule looked into, if it did, and the element that decided. */
	const struct set *set;
	size_t element;	 /* SIZE_MAX: it is in none */
	const char *why; /* EFFECT_UNKNOWN: what is not known. Static */
};

/* What happened. Zero-initialise; free with trace_done(). */
struct trace {
	bool silent;	    /* keep no steps: only the fate is wanted */
	enum moment moment; /* for the steps to come */
	enum reason reason; /* the last refused_REASON counter that counted */
	bool limited;	    /* a limit was asked, of which more than this packet decides */
	bool judged;	    /* a rule applied */
	struct step *steps;
	size_t count, capacity;
};

void trace_done(struct trace *trace);

/* The policy's place of the rule that a step is about, and of the element that decided it: as `expected` has them,
 * which was compiled from the policy, while the step may be of a table that was read. 0: not known. */
uint32_t step_origin(const struct step *step, const struct ruleset *expected);
uint32_t step_element_origin(const struct step *step, const struct ruleset *expected);

/* Words: "drop", "goto judge"; "syn", "answer", "handshake", "data", "midstream" (for JSON), and for people. Static. */
const char *moment_name(enum moment moment);
const char *moment_text(enum moment moment);
const char *effect_name(enum effect effect);

/* A ruleset made ready to be asked, and what its dynamic sets hold meanwhile: nothing at first. Borrows the ruleset. */
struct evaluator;

struct evaluator *evaluator_new(const struct ruleset *ruleset);
void evaluator_free(struct evaluator *evaluator);
/* The dynamic sets are empty again. */
void evaluator_forget(struct evaluator *evaluator);
/* `source` is in dynamic set `set` already: with `second` (reason, or port << 32 | sequence number; 0 = none), and with
 * `count` open connections, or updates in the current second. `source` is masked as the set's keys are. */
void evaluator_remember(
	struct evaluator *evaluator, const char *set, struct value source, uint64_t second, uint64_t count);

/* What the base chains of one hook do with a packet, in the order of their priorities. Changes `packet`, `tracking` and
 * the dynamic sets as the rules say. */
enum fate evaluate_hook(struct evaluator *evaluator, enum hook hook, struct segment *packet, struct tracking *tracking,
	struct trace *trace);

/* --- */

/* Where a connection goes, after the rules of other tables that translate its destination. */
enum way {
	WAY_HERE,	/* to this host, as it is addressed */
	WAY_REDIRECTED, /* to this host, by another address or port */
	WAY_PUBLISHED,	/* translated to `to`, behind an interface of `out_kind` */
	WAY_ROUTED, /* on to the address that it asks for, which is not of this host, by an interface of `out_kind` */
};

struct journey {
	enum width family;
	struct value source, destination;
	uint16_t source_port; /* 0: some high one */
	uint16_t port;
	/* What the client says first; none: it only connects. Borrowed. */
	const uint8_t *data;
	size_t length;
	bool local;	  /* it comes from this host itself: by interface lo */
	bool established; /* it was there before the table: only what it says now is looked at */
	enum way way;
	struct value to; /* WAY_REDIRECTED and WAY_PUBLISHED */
	uint16_t to_port;
	const char *in_kind,
		*out_kind; /* of the interfaces on the client's and on the server's side: see struct segment. */
};

enum decision { DECISION_ALLOW, DECISION_REFUSE, DECISION_UNKNOWN };

/* How it ends. */
enum ending {
	ENDING_PASSES,
	ENDING_DROPPED,	  /* in silence */
	ENDING_RESET,	  /* the client hears at once */
	ENDING_TORN_DOWN, /* both ends: the server gets a reset now, the client with what it sends next */
	ENDING_UNKNOWN,
};

struct arrival {
	enum decision decision;
	enum ending ending;
	enum reason reason; /* of refusing; REASON_NONE: the table does not tell */
	enum moment moment; /* of the packet that decided */
};

/* "allow", "refuse", "unknown"; "passes", "dropped", "reset", "torn-down", "unknown". Static. */
const char *decision_name(enum decision decision);
const char *ending_name(enum ending ending);

/* Follows the connection's packets through the hooks until one is refused, or the last has arrived. */
struct arrival evaluate_journey(struct evaluator *evaluator, const struct journey *journey, struct trace *trace);

/* What clients say first: a ClientHello, and a command of RESP. */
extern const uint8_t speech_tls[];
extern const size_t speech_tls_length;
extern const uint8_t speech_plaintext[];
extern const size_t speech_plaintext_length;

/* What a port is for, by the map of the ruleset that says which chain judges it. */
enum port_use { PORT_UNGUARDED, PORT_PLAINTEXT, PORT_TLS };

enum port_use ruleset_port_use(const struct ruleset *ruleset, uint16_t port);

/* --- */

struct policy;
struct environment;
struct expectation;

/* More connections than that are not tried for one expectation, which then is not met: what is not known is no pass. */
#define EXPECT_TRIALS_AT_MOST 8000000u

/* What became of one expectation of a policy in one environment. Borrows from the policy. */
struct proof {
	const struct environment *environment;
	const struct expectation *expectation;
	bool met;
	/* Where it is not: the first connection found that shows it. */
	bool too_many; /* none was found, but not all could be tried */
	enum width family;
	struct value source, destination;
	bool any_address; /* any destination shows it */
	struct arrival arrival;
	uint32_t origin;  /* the line of the policy that let it in, or refused it */
	const char *list; /* "clients": the list that holds the source, where one does. Static. */
};

/* Zero-initialise; free `items` with free(). */
struct proofs {
	struct proof *items;
	size_t count, capacity;
	size_t unmet;
};

/*
 * Tries each expectation that concerns `environment`, of which `ruleset` was compiled: exactly, by one connection from
 * each interval between neighbouring edges of the ruleset's lists, which cannot tell the addresses in it apart. Appends
 * to `ret`.
 */
void ruleset_expect(const struct policy *policy, const struct environment *environment, const struct ruleset *ruleset,
	struct proofs *ret);
/* "expected verdict = refuse for port 6380 speaking tls in environment production, but 10.20.0.7 is allowed:
 * policy.conf:12 (clients)". */
void proof_text(const struct policy *policy, const struct proof *proof, struct text *text);

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The first packets of a connection, through all hooks that they meet. What conntrack and NAT do in between is told
 * here, as nf_conntrack_proto_tcp.c and nf_nat_core.c do it: the first packet is new, those after the server's answer
 * are established; the destination is translated between prerouting at -150 (ours) and the next hooks.
 */

#include <string.h>

#include "evaluate.h"

#define PROTOCOL_TCP 6
#define TCP_SYN	     0x02
#define TCP_RST	     0x04
#define TCP_PSH	     0x08
#define TCP_ACK	     0x10

#define CT_STATE_ESTABLISHED 0x02
#define CT_STATE_NEW	     0x08
/* IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED, IPS_DST_NAT */
#define CT_STATUS_ANSWERED 0x0a
#define CT_STATUS_ASSURED  0x04
#define CT_STATUS_DNAT	   0x20

#define ROUTE_UNICAST 1
#define ROUTE_LOCAL   2

#define INTERFACE_LOOPBACK 1
#define INTERFACE_OTHER	   2
#define PORT_EPHEMERAL	   50000
/* The sequence number of the SYN; any would do. */
#define SEQUENCE 1000

/* A record of TLS 1.0 (as all begin, RFC 8446 5.1) of 508 bytes, and in it the head of a ClientHello. */
const uint8_t speech_tls[] = {0x16, 0x03, 0x01, 0x01, 0xfc, 0x01, 0x00, 0x01, 0xf8, 0x03, 0x03};
const size_t speech_tls_length = sizeof(speech_tls);
const uint8_t speech_plaintext[] = "*1\r\n$4\r\nPING\r\n";
const size_t speech_plaintext_length = sizeof(speech_plaintext) - 1;

/* --- words --- */

static const struct {
	const char *name;
	const char *text;
} moments[] = {
	[MOMENT_SYN] = {"syn", "the first packet (SYN)"},
	[MOMENT_ANSWER] = {"answer", "the server's answer (SYN and ACK)"},
	[MOMENT_HANDSHAKE] = {"handshake", "the handshake's last packet (ACK)"},
	[MOMENT_DATA] = {"data", "the first data"},
	[MOMENT_MIDSTREAM] = {"midstream", "the next data of the connection"},
};

const char *moment_name(enum moment moment)
{
	return moments[moment].name;
}

const char *moment_text(enum moment moment)
{
	return moments[moment].text;
}

const char *effect_name(enum effect effect)
{
	static const char *const names[] = {[EFFECT_NEXT] = "next",
		[EFFECT_JUMP] = "jump",
		[EFFECT_GOTO] = "goto",
		[EFFECT_RETURN] = "return",
		[EFFECT_ACCEPT] = "accept",
		[EFFECT_DROP] = "drop",
		[EFFECT_RESET] = "reset",
		[EFFECT_TURN] = "turn",
		[EFFECT_PASSED] = "pass",
		[EFFECT_POLICY] = "policy",
		[EFFECT_UNKNOWN] = "unknown"};

	return names[effect];
}

const char *decision_name(enum decision decision)
{
	static const char *const names[] = {
		[DECISION_ALLOW] = "allow", [DECISION_REFUSE] = "refuse", [DECISION_UNKNOWN] = "unknown"};

	return names[decision];
}

const char *ending_name(enum ending ending)
{
	static const char *const names[] = {[ENDING_PASSES] = "passes",
		[ENDING_DROPPED] = "dropped",
		[ENDING_RESET] = "reset",
		[ENDING_TORN_DOWN] = "torn-down",
		[ENDING_UNKNOWN] = "unknown"};

	return names[ending];
}

/* --- the journey --- */

struct traveller {
	struct evaluator *evaluator;
	const struct journey *journey;
	struct tracking tracking;
	struct trace *trace;
	enum moment moment;
};

static bool is_translated(const struct journey *journey)
{
	return journey->way == WAY_REDIRECTED || journey->way == WAY_PUBLISHED;
}

/* It goes on to another host, or into a container. */
static bool leaves(const struct journey *journey)
{
	return journey->way == WAY_PUBLISHED || journey->way == WAY_ROUTED;
}

static uint16_t source_port(const struct journey *journey)
{
	return journey->source_port ? journey->source_port : PORT_EPHEMERAL;
}

static void translate(const struct journey *journey, struct segment *packet)
{
	packet->destination = journey->to;
	packet->destination_port = journey->to_port;
	packet->route_type = journey->way == WAY_PUBLISHED ? ROUTE_UNICAST : ROUTE_LOCAL;
}

/* The answer to the SYN, as it leaves the server: to the client, from the address that the server knows of itself. */
static struct segment make_answer(const struct traveller *t)
{
	const struct journey *journey = t->journey;
	struct segment packet = {.family = journey->family,
		.source = is_translated(journey) ? journey->to : journey->destination,
		.destination = journey->source,
		.source_port = is_translated(journey) ? journey->to_port : journey->port,
		.destination_port = source_port(journey),
		.protocol = PROTOCOL_TCP,
		.flags = TCP_SYN | TCP_ACK,
		.sequence = SEQUENCE,
		.acknowledged = SEQUENCE + 1,
		.answer = true,
		.out_kind = journey->in_kind,
		.route_type = journey->local ? ROUTE_LOCAL : ROUTE_UNICAST};

	if (leaves(journey))
		packet.in_index = INTERFACE_OTHER;
	return packet;
}

static struct segment make_packet(const struct traveller *t, uint8_t flags, uint32_t sequence, bool carries)
{
	const struct journey *journey = t->journey;
	struct segment packet = {.family = journey->family,
		.source = journey->source,
		.destination = journey->destination,
		.source_port = source_port(journey),
		.destination_port = journey->port,
		.protocol = PROTOCOL_TCP,
		.flags = flags,
		.sequence = sequence,
		.data = journey->data,
		.length = carries ? journey->length : 0,
		.in_index = journey->local ? INTERFACE_LOOPBACK : INTERFACE_OTHER,
		.out_kind = journey->out_kind,
		.route_type = journey->way == WAY_ROUTED ? ROUTE_UNICAST : ROUTE_LOCAL};

	/* What this host sends itself was translated on its way out. */
	if (journey->local && is_translated(journey))
		translate(journey, &packet);
	return packet;
}

static enum fate cross(struct traveller *t, struct segment *packet)
{
	const struct journey *journey = t->journey;
	enum fate fate;

	/* What this host says meets output first, and what it says to others nothing else. */
	if (journey->local) {
		fate = evaluate_hook(t->evaluator, HOOK_OUTPUT, packet, &t->tracking, t->trace);
		if (fate != FATE_PASSES || leaves(journey))
			return fate;
	}
	fate = evaluate_hook(t->evaluator, HOOK_PREROUTING, packet, &t->tracking, t->trace);
	if (fate != FATE_PASSES)
		return fate;
	if (is_translated(journey)) {
		t->tracking.status |= CT_STATUS_DNAT;
		translate(journey, packet);
	}
	return evaluate_hook(t->evaluator, leaves(journey) ? HOOK_FORWARD : HOOK_INPUT, packet, &t->tracking, t->trace);
}

/* The way back: from this host by output, from behind it by prerouting and forward; and if the client is this host
 * itself, in again. */
static enum fate cross_back(struct traveller *t, struct segment *packet)
{
	const struct journey *journey = t->journey;
	enum fate fate;

	fate = evaluate_hook(
		t->evaluator, leaves(journey) ? HOOK_PREROUTING : HOOK_OUTPUT, packet, &t->tracking, t->trace);
	if (fate != FATE_PASSES || (!leaves(journey) && !journey->local))
		return fate;
	if (leaves(journey))
		return evaluate_hook(
			t->evaluator, journey->local ? HOOK_INPUT : HOOK_FORWARD, packet, &t->tracking, t->trace);
	packet->in_index = INTERFACE_LOOPBACK;
	fate = evaluate_hook(t->evaluator, HOOK_PREROUTING, packet, &t->tracking, t->trace);
	return fate == FATE_PASSES ? evaluate_hook(t->evaluator, HOOK_INPUT, packet, &t->tracking, t->trace) : fate;
}

static struct arrival arrival_of(const struct traveller *t, enum fate fate, uint8_t flags)
{
	struct arrival arrival = {.decision = DECISION_REFUSE, .moment = t->moment, .reason = t->trace->reason};

	switch (fate) {
	case FATE_PASSES:
		if (flags & TCP_RST) {
			arrival.ending = ENDING_TORN_DOWN;
			return arrival;
		}
		return (struct arrival){.decision = DECISION_ALLOW, .ending = ENDING_PASSES, .moment = t->moment};
	case FATE_DROPPED:
		arrival.ending = ENDING_DROPPED;
		return arrival;
	case FATE_RESET:
		arrival.ending = ENDING_RESET;
		return arrival;
	case FATE_UNKNOWN:
		return (struct arrival){.decision = DECISION_UNKNOWN, .ending = ENDING_UNKNOWN, .moment = t->moment};
	}
	abort();
}

static void begin(struct traveller *t, enum moment moment)
{
	t->moment = moment;
	t->trace->moment = moment;
	t->trace->reason = REASON_NONE;
}

/* True: it has arrived, and the next one may be sent. */
static bool send_packet(
	struct traveller *t, enum moment moment, uint8_t flags, uint32_t sequence, bool carries, struct arrival *ret)
{
	struct segment packet = make_packet(t, flags, sequence, carries);
	enum fate fate;

	begin(t, moment);
	fate = cross(t, &packet);
	*ret = arrival_of(t, fate, packet.flags);
	return ret->decision == DECISION_ALLOW;
}

static bool send_answer(struct traveller *t, struct arrival *ret)
{
	struct segment packet = make_answer(t);
	enum fate fate;

	begin(t, MOMENT_ANSWER);
	fate = cross_back(t, &packet);
	*ret = arrival_of(t, fate, packet.flags);
	return ret->decision == DECISION_ALLOW;
}

struct arrival evaluate_journey(struct evaluator *evaluator, const struct journey *journey, struct trace *trace)
{
	struct traveller t = {.evaluator = evaluator, .journey = journey, .trace = trace};
	struct arrival arrival;

	t.tracking = (struct tracking){.tracked = true, .state = CT_STATE_NEW, .labelled = true};
	if (journey->local && is_translated(journey))
		t.tracking.status = CT_STATUS_DNAT;
	if (journey->established) {
		t.tracking.state = CT_STATE_ESTABLISHED;
		t.tracking.status |= CT_STATUS_ANSWERED | CT_STATUS_ASSURED;
		t.tracking.labelled = false;
		if (is_translated(journey))
			t.tracking.status |= CT_STATUS_DNAT;
		send_packet(&t, MOMENT_MIDSTREAM, TCP_ACK | TCP_PSH, SEQUENCE, true, &arrival);
		return arrival;
	}
	if (!send_packet(&t, MOMENT_SYN, TCP_SYN, SEQUENCE, false, &arrival))
		return arrival;
	t.tracking.state = CT_STATE_ESTABLISHED;
	t.tracking.status |= CT_STATUS_ANSWERED;
	if (!send_answer(&t, &arrival))
		return arrival;
	if (!send_packet(&t, MOMENT_HANDSHAKE, TCP_ACK, SEQUENCE + 1, false, &arrival) || !journey->length)
		return arrival;
	send_packet(&t, MOMENT_DATA, TCP_ACK | TCP_PSH, SEQUENCE + 1, true, &arrival);
	return arrival;
}

/* --- where it stands in the policy --- */

uint32_t step_origin(const struct step *step, const struct ruleset *expected)
{
	const struct chain *chain = expected && step->chain ? ruleset_chain(expected, step->chain->name) : NULL;

	if (!chain)
		return 0;
	if (!step->rule)
		return chain->origin;
	if (step->index < chain->rule_count && rule_equal(&chain->rules[step->index], step->rule))
		return chain->rules[step->index].origin;
	for (size_t i = 0; i < chain->rule_count; i++)
		if (rule_equal(&chain->rules[i], step->rule))
			return chain->rules[i].origin;
	return 0;
}

uint32_t step_element_origin(const struct step *step, const struct ruleset *expected)
{
	const struct set *set = expected && step->set ? ruleset_set(expected, step->set->name) : NULL;
	struct interval found;

	if (!set || set->opaque || step->element == SIZE_MAX || set->elements.width != step->set->elements.width ||
		!intervals_find(&set->elements, intervals_get(&step->set->elements, step->element).first, &found))
		return 0;
	return found.origin;
}

/* --- what a port is for --- */

static bool goes_to(const struct chain *chain, const char *target)
{
	for (size_t i = 0; i < chain->rule_count; i++)
		for (size_t k = 0; k < chain->rules[i].term_count; k++)
			if (chain->rules[i].terms[k].kind == TERM_VERDICT &&
				same_string(chain->rules[i].terms[k].name, target))
				return true;
	return false;
}

enum port_use ruleset_port_use(const struct ruleset *ruleset, uint16_t port)
{
	const struct set *services = ruleset_set(ruleset, "services");

	for (size_t i = 0; services && services->targets && i < services->elements.count; i++) {
		const struct chain *chain =
			ruleset_chain(ruleset, services->targets[i].chain ? services->targets[i].chain : "");

		if (intervals_get(&services->elements, i).first.lo != port)
			continue;
		return chain && (goes_to(chain, "gate") || strcmp(chain->name, "tls") == 0) ? PORT_TLS : PORT_PLAINTEXT;
	}
	return PORT_UNGUARDED;
}

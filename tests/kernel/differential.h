/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Random policies, translations and connections for differential.c: what is tried, in the network of tests/lib/net.sh.
 */

#include <arpa/inet.h>
#include <string.h>

#include "evaluate.h"
#include "policy.h"

#define SOURCES	      20 /* addresses that speak, in each namespace and family: .10 to .29, in the container .2 to .21 */
#define DATA_SIZE     600
#define FILLERS	      2500 /* sources in a list that is laid out in parts */
#define EXTRA_PORTS   4
#define MOST_SERVICES 4

/* splitmix64 */
static uint64_t random_state;

static inline uint64_t random_number(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline unsigned int below(unsigned int limit)
{
	return (unsigned int)(random_number() % limit);
}

static inline bool one_in(unsigned int number)
{
	return below(number) == 0;
}

/* --- the network --- */

enum place { PLACE_HOST, PLACE_ALLOWED, PLACE_OUTSIDE, PLACE_CONTAINER, PLACE_ELSEWHERE, PLACE_COUNT };

struct place_info {
	const char *name;
	const char *v4, *v6;  /* what its addresses begin with */
	unsigned int first;   /* the last part of the first address that speaks */
	unsigned int gateway; /* and of this host's address on the link */
	const char *kind;     /* of this host's device on the link */
};

static const struct place_info places[PLACE_COUNT] = {
	[PLACE_HOST] = {"host", NULL, NULL, 0, 0, NULL},
	[PLACE_ALLOWED] = {"allowed", "10.20.0.", "2001:db8:20::", 10, 5, "veth"},
	[PLACE_OUTSIDE] = {"outside", "10.66.0.", "2001:db8:66::", 10, 5, "veth"},
	[PLACE_CONTAINER] = {"container", "172.17.0.", "fd00:17::", 2, 1, "bridge"},
	[PLACE_ELSEWHERE] = {"elsewhere", "10.77.0.", "2001:db8:77::", 10, 5, NULL},
};

/* PLACE_ELSEWHERE is there, and by which kind of device; else PLACE_ELSEWHERE. */
static const char *elsewhere_kind;
static unsigned int place_count = PLACE_ELSEWHERE;

static inline const char *place_kind(enum place place)
{
	return place == PLACE_ELSEWHERE ? elsewhere_kind : places[place].kind;
}

static inline struct value address_value(const char *text)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return value_from_bytes(WIDTH_IPV4, &v4);
	if (inet_pton(AF_INET6, text, &v6) != 1)
		abort();
	return value_from_bytes(WIDTH_IPV6, &v6);
}

static inline struct value place_address(enum place place, enum width family, unsigned int number)
{
	const struct place_info *info = &places[place];
	_cleanup_free_ char *text =
		mem_format(family == WIDTH_IPV4 ? "%s%u" : "%s%x", family == WIDTH_IPV4 ? info->v4 : info->v6, number);

	return address_value(text);
}

/* An address of this host. */
static inline struct value host_address(enum width family)
{
	enum place place = 1 + below(place_count - 1);

	if (place == PLACE_ALLOWED && one_in(2))
		return place_address(place, family, 6);
	return place_address(place, family, places[place].gateway);
}

static inline struct value loopback_address(enum width family)
{
	return address_value(family == WIDTH_IPV4 ? "127.0.0.1" : "::1");
}

static inline enum width random_family(void)
{
	return one_in(2) ? WIDTH_IPV4 : WIDTH_IPV6;
}

/* --- ports --- */

/* A server listens on all of them, everywhere. */
static const uint16_t ports[] = {6379, 6380, 9999, 11211, 7000, 7001, 16379, 16380};

static inline uint16_t random_port(void)
{
	return ports[below(ARRAY_SIZE(ports))];
}

/* Mostly one that the policy guards. */
static inline uint16_t interesting_port(const uint16_t *guarded)
{
	return one_in(4) ? random_port() : guarded[below(4)];
}

/* --- policies --- */

struct scenario {
	char *policy; /* text */
	char *rules;  /* of another table, for `nft -f`: what is translated */
	bool limited; /* counts connections: wants a table that has counted none */
	uint16_t guarded[4];
	struct translation {
		uint16_t port;
		enum place to; /* PLACE_HOST: redirected */
		uint16_t to_port;
	} translations[3];
	unsigned int translation_count;
};

static inline void scenario_done(struct scenario *scenario)
{
	free(scenario->policy);
	free(scenario->rules);
}

/* One source as the policy writes them, around addresses that speak. */
static inline void write_source(struct text *text)
{
	enum place place = 1 + below(place_count - 1);
	enum width family = random_family();
	struct value a = place_address(place, family, places[place].first + below(SOURCES));
	struct value b = place_address(place, family, places[place].first + below(SOURCES));
	unsigned int bits = width_bits(family);
	struct interval item = {a, a, 0};
	char buffer[INTERVAL_TEXT];

	switch (below(4)) {
	case 0:
		break;
	case 1: /* a range */
		if (value_compare(a, b) > 0)
			item.first = b;
		else
			item.last = b;
		break;
	case 2: { /* a prefix in the last byte, so that it parts the addresses that speak */
		unsigned int length = bits - below(6);

		item = (struct interval){value_mask_low(family, a, length), value_fill_low(family, a, length), 0};
		break;
	}
	default: { /* the whole network, or more */
		unsigned int length = bits == 32 ? 24 - below(9) : 64 - below(9);

		item = (struct interval){value_mask_low(family, a, length), value_fill_low(family, a, length), 0};
		break;
	}
	}
	text_printf(text, "\"%s\"", interval_format(family, item, buffer));
}

static inline void write_sources(struct text *text, const char *option, unsigned int most, bool fill)
{
	unsigned int count = below(most + 1);

	text_printf(text, "\t%s = {", option);
	for (unsigned int i = 0; i < count; i++) {
		text_append(text, i ? ", " : "");
		write_source(text);
	}
	for (unsigned int i = 0; fill && i < FILLERS; i++)
		text_printf(text, "%s\"10.%u.%u.%u\", \"2001:db8:%x::%x\"", i || count ? ", " : "", 20 + i % 3 * 23,
			i / 100, 30 + i % 100 * 2, 0x20 + i % 2 * 0x46, 0x100 + 2 * i);
	text_append(text, "}\n");
}

static inline void write_addresses(struct text *text, const char *option)
{
	unsigned int count = 1 + below(6);
	char buffer[INTERVAL_TEXT];

	text_printf(text, "\t%s = {", option);
	for (unsigned int i = 0; i < count; i++) {
		enum width family = random_family();
		struct value address = one_in(5) ? loopback_address(family) : host_address(family);

		text_printf(text, "%s\"%s\"", i ? ", " : "", value_format(family, address, buffer));
	}
	text_append(text, "}\n");
}

static inline const char *any_of(const char *a, const char *b, const char *c)
{
	const char *const all[] = {a, b, c};

	return all[below(c ? 3 : 2)];
}

static inline void write_environment(struct scenario *scenario, struct text *text)
{
	text_printf(text, "environment e {\n\ttls = %s\n\tloopback = %s\n\tadmin_tls = %s\n\trouted = %s\n\tlog = %s\n",
		any_of("required", "optional", "off"), any_of("allow", "tls", "deny"), any_of("required", "off", NULL),
		any_of("containers", "all", "none"), any_of("none", "sampled", "all"));
	write_sources(text, "clients", 16, one_in(12));
	if (!one_in(4))
		write_sources(text, "admins", 8, false);
	if (!one_in(4))
		write_sources(text, "memcached_clients", 8, false);
	if (one_in(2))
		write_addresses(text, "bind");
	if (one_in(4))
		write_addresses(text, "admin_bind");
	if (one_in(4)) {
		scenario->limited = true;
		text_printf(text, "\tmax_connections_per_source = %u\n", 1 + below(4));
	}
	if (one_in(6)) {
		scenario->limited = true;
		/* Nothing comes back within a second. */
		text_printf(text, "\tnew_connections_per_second = 1\n");
	}
	if (one_in(3))
		text_printf(text, "\tipv6_source_prefix = %u\n", one_in(2) ? 128 : 120 + below(8));
	text_append(text, "}\n");
}

static inline char *write_policy(struct scenario *scenario)
{
	uint16_t port = random_port();
	uint16_t tls_port = one_in(6) ? 0 : one_in(3) ? port : random_port();
	uint16_t admin_port = one_in(3) ? 0 : random_port();
	uint16_t memcached_port = one_in(3) ? 0 : random_port();
	struct text text = {0};

	scenario->limited = false;
	scenario->guarded[0] = port;
	scenario->guarded[1] = tls_port ? tls_port : port;
	scenario->guarded[2] = admin_port ? admin_port : port;
	scenario->guarded[3] = memcached_port ? memcached_port : port;
	text_printf(&text,
		"default_environment = e\nservice {\n\tport = %u\n\ttls_port = %u\n\tadmin_port = %u\n"
		"\tmemcached_port = %u\n\tconntrack_label = %u\n}\n",
		port, tls_port, admin_port, memcached_port, one_in(2) ? 100 : below(124));
	write_environment(scenario, &text);
	return text_take(&text);
}

/* A policy without mistakes: ports that collide and what is too open are thrown away. */
static inline struct policy *random_policy(struct scenario *scenario)
{
	for (;;) {
		struct diagnostics diagnostics = {0};
		struct policy *policy = NULL;
		struct err err = {0};

		scenario->policy = write_policy(scenario);
		int code = policy_load_text(
			"policy", scenario->policy, strlen(scenario->policy), &policy, &diagnostics, &err);

		diagnostics_done(&diagnostics);
		if (code == 0)
			return policy;
		free(scenario->policy);
	}
}

/* --- translations --- */

static inline const struct translation *find_translation(const struct scenario *scenario, uint16_t port)
{
	for (unsigned int i = 0; i < scenario->translation_count; i++)
		if (scenario->translations[i].port == port)
			return &scenario->translations[i];
	return NULL;
}

static inline void write_translation(struct text *text, const struct translation *t)
{
	if (t->to == PLACE_HOST) {
		text_printf(text, "\t\tfib daddr type local tcp dport %u redirect to :%u\n", t->port, t->to_port);
		return;
	}
	text_printf(text,
		"\t\tfib daddr type local tcp dport %u meta nfproto ipv4 dnat ip to %s%u:%u\n"
		"\t\tfib daddr type local tcp dport %u meta nfproto ipv6 dnat ip6 to [%s%x]:%u\n",
		t->port, places[t->to].v4, places[t->to].first, t->to_port, t->port, places[t->to].v6,
		places[t->to].first, t->to_port);
}

static inline void random_translations(struct scenario *scenario)
{
	unsigned int wanted = below(ARRAY_SIZE(scenario->translations) + 1);
	static const char *const hooks[] = {"prerouting", "output"};
	struct text text = {0};

	scenario->translation_count = 0;
	for (unsigned int i = 0; i < wanted; i++) {
		struct translation t = {random_port(),
			one_in(2)   ? PLACE_HOST
			: one_in(4) ? PLACE_ALLOWED
				    : PLACE_CONTAINER,
			random_port()};

		if (!find_translation(scenario, t.port))
			scenario->translations[scenario->translation_count++] = t;
	}
	text_append(&text, "table inet other\ndelete table inet other\ntable inet other {\n");
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		text_printf(&text, "\tchain %s {\n\t\ttype nat hook %s priority -100\n", hooks[i], hooks[i]);
		for (unsigned int k = 0; k < scenario->translation_count; k++)
			write_translation(&text, &scenario->translations[k]);
		text_append(&text, "\t}\n");
	}
	text_append(&text, "}\n");
	scenario->rules = text_take(&text);
}

/* --- connections --- */

struct trial {
	enum place from;
	struct journey journey;
	uint8_t data[DATA_SIZE];
};

static const uint8_t hello_head[] = {0x16, 0x03, 0x01, 0x01, 0xfc, 0x01, 0x00, 0x01, 0xf8, 0x03, 0x03};

static inline size_t set_text(uint8_t *data, const char *text)
{
	memcpy(data, text, strlen(text));
	return strlen(text);
}

/* A whole ClientHello's length; what is in it nobody looks at. */
static inline size_t set_hello(uint8_t *data)
{
	for (size_t i = 0; i < 513; i++)
		data[i] = (uint8_t)random_number();
	memcpy(data, hello_head, sizeof(hello_head));
	return 513;
}

static inline size_t random_data(uint8_t *data)
{
	size_t length = set_hello(data);

	switch (below(14)) {
	case 0: /* nothing is said */
		return 0;
	case 1:
		return set_text(data, "*1\r\n$4\r\nPING\r\n");
	case 2:
		return set_text(data, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	case 3:
		data[0] = (uint8_t)random_number();
		return 1;
	case 4: { /* a TLS alert: not how a client begins */
		static const uint8_t alert[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x01, 0x00};

		memcpy(data, alert, sizeof(alert));
		return sizeof(alert);
	}
	case 5: /* SSL 3.0 */
		data[2] = 0;
		return length;
	case 6: /* the beginning of a ClientHello, or only all that is looked at */
		return 1 + below(7);
	case 7: /* one bit is another */
		data[below(6)] ^= (uint8_t)(1u << below(8));
		return length;
	case 8:
		data[2] = (uint8_t)below(8);
		return length;
	case 9:
		data[below(6)] = (uint8_t)random_number();
		return length;
	default:
		return length;
	}
}

/* Few of them where there are limits, so that these are met. */
static inline struct value speaking_address(const struct scenario *scenario, enum place place, enum width family)
{
	if (place == PLACE_HOST)
		return one_in(3) ? loopback_address(family) : host_address(family);
	return place_address(place, family, places[place].first + below(scenario->limited ? 3 : SOURCES));
}

/* False: this one cannot be tried, because its packets would not go by this host. */
static inline bool random_destination(const struct scenario *scenario, struct trial *trial)
{
	struct journey *journey = &trial->journey;
	enum place to = 1 + below(place_count - 1);

	journey->in_kind = place_kind(trial->from);
	journey->port = interesting_port(scenario->guarded);
	if (trial->from == PLACE_HOST || !one_in(5)) {
		const struct translation *t = find_translation(scenario, journey->port);

		journey->destination = trial->from == PLACE_HOST && one_in(3) ? loopback_address(journey->family)
									      : host_address(journey->family);
		journey->way = WAY_HERE;
		if (!t)
			return true;
		journey->to_port = t->to_port;
		if (t->to == PLACE_HOST) {
			journey->way = WAY_REDIRECTED;
			journey->to = trial->from == PLACE_HOST ? loopback_address(journey->family)
								: place_address(trial->from, journey->family,
									  places[trial->from].gateway);
			return true;
		}
		journey->way = WAY_PUBLISHED;
		journey->to = place_address(t->to, journey->family, places[t->to].first);
		journey->out_kind = place_kind(t->to);
		return t->to != trial->from && trial->from != PLACE_HOST;
	}
	journey->way = WAY_ROUTED;
	journey->destination = place_address(to, journey->family, places[to].first + below(SOURCES));
	journey->out_kind = place_kind(to);
	return to != trial->from;
}

static inline bool is_loopback_value(enum width family, struct value address)
{
	return value_compare(address, loopback_address(family)) == 0;
}

static inline void random_trial(const struct scenario *scenario, struct trial *trial)
{
	struct journey *journey = &trial->journey;

	do {
		*trial = (struct trial){.from = one_in(5) ? PLACE_HOST : 1 + below(place_count - 1)};
		journey->family = random_family();
		journey->source = speaking_address(scenario, trial->from, journey->family);
		journey->local = trial->from == PLACE_HOST;
	} while (!random_destination(scenario, trial));
	journey->length = random_data(trial->data);
	journey->data = trial->data;
}

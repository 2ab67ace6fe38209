/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a listening socket is, seen from the policy; and what to write so that the next one is another. */

#include <string.h>

#include "audit_private.h"

/* Of a long list. */
#define ADDRESSES_TOLD 4u

/* --- words --- */

const char *intention_source_name(enum intention_source source)
{
	static const char *const names[] = {
		[INTENTION_PROCESS] = "process", [INTENTION_UNIT] = "unit", [INTENTION_FLAGFILE] = "flagfile"};

	return names[source];
}

const char *listener_verdict_name(enum listener_verdict verdict)
{
	static const char *const names[LISTENER_VERDICT_COUNT] = {
		[LISTENER_ALLOWED] = "allowed",
		[LISTENER_NOT_ASKED] = "not-asked",
		[LISTENER_LOOPBACK] = "loopback",
		[LISTENER_CONTAINER] = "container",
		[LISTENER_UNGUARDED] = "unguarded",
		[LISTENER_UNLISTED] = "unlisted",
		[LISTENER_PUBLIC] = "public",
		[LISTENER_WILDCARD] = "wildcard",
		[LISTENER_PUBLISHED] = "published",
		[LISTENER_STRANGER] = "stranger",
		[LISTENER_OTHER_PORT] = "other-port",
	};

	return names[verdict];
}

bool listener_verdict_is_good(enum listener_verdict verdict)
{
	return verdict < LISTENER_UNLISTED;
}

/* --- the policy, by role --- */

enum role audit_role(const struct service *service, uint16_t port)
{
	if (!port)
		return ROLE_NONE;
	if (port == service->port || port == service->tls_port)
		return ROLE_MAIN;
	if (port == service->admin_port)
		return ROLE_ADMIN;
	return port == service->memcached_port ? ROLE_MEMCACHED : ROLE_NONE;
}

const struct source_list *role_addresses(const struct environment *environment, enum role role)
{
	return role == ROLE_ADMIN && environment->admin_bind.given ? &environment->admin_bind : &environment->bind;
}

const char *role_option(const struct environment *environment, enum role role)
{
	return role == ROLE_ADMIN && environment->admin_bind.given ? "admin_bind" : "bind";
}

const char *role_flag(enum role role)
{
	return role == ROLE_ADMIN ? "admin_bind" : "bind";
}

const struct source_list *role_sources(const struct environment *environment, enum role role)
{
	switch (role) {
	case ROLE_ADMIN:
		return &environment->admins;
	case ROLE_MEMCACHED:
		return &environment->memcached_clients;
	case ROLE_NONE:
	case ROLE_MAIN:
		return &environment->clients;
	}
	abort();
}

const char *role_sources_name(enum role role)
{
	static const char *const names[] = {[ROLE_NONE] = "clients",
		[ROLE_MAIN] = "clients",
		[ROLE_ADMIN] = "admins",
		[ROLE_MEMCACHED] = "memcached_clients"};

	return names[role];
}

void role_addresses_text(const struct environment *environment, enum role role, struct text *text)
{
	const struct source_list *list = role_addresses(environment, role);
	size_t count = list->v4.count + list->v6.count;
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < count && i < ADDRESSES_TOLD; i++) {
		bool v4 = i < list->v4.count;
		struct interval item = intervals_get(v4 ? &list->v4 : &list->v6, v4 ? i : i - list->v4.count);

		text_append(text, i ? ", " : "");
		text_append(text, value_format(v4 ? WIDTH_IPV4 : WIDTH_IPV6, item.first, buffer));
	}
	if (count > ADDRESSES_TOLD)
		text_printf(text, " and %zu more", count - ADDRESSES_TOLD);
}

static bool outside(const struct intervals *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (!address_is_loopback(list->width, item.first) || !address_is_loopback(list->width, item.last))
			return true;
	}
	return false;
}

static bool list_has_outsiders(const struct source_list *list)
{
	return outside(&list->v4) || outside(&list->v6);
}

bool role_has_outsiders(const struct audit_facts *facts, enum role role)
{
	const struct policy *policy = facts->policy;
	const struct source_list *list = role_sources(facts->environment, role);
	/* Networks may hold networks, and one may be in many: each is looked at once. */
	_cleanup_free_ bool *met = mem_zero(policy->network_count + 1, sizeof(*met));
	_cleanup_free_ uint32_t *queue = mem_zero(policy->network_count + 1, sizeof(*queue));
	size_t queued = 0;
	size_t done = 0;

	for (;;) {
		if (list_has_outsiders(list))
			return true;
		for (size_t i = 0; i < list->reference_count; i++) {
			uint32_t network = list->references[i].network;

			if (met[network])
				continue;
			met[network] = true;
			queue[queued++] = network;
		}
		if (done == queued)
			return false;
		list = &policy->networks[queue[done++]].sources;
	}
}

/* --- addresses --- */

static bool list_has(const struct intervals *list, struct value address)
{
	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (value_compare(item.first, address) <= 0 && value_compare(address, item.last) <= 0)
			return true;
	}
	return false;
}

bool address_listed(const struct source_list *list, enum width width, struct value address)
{
	return list_has(width == WIDTH_IPV4 ? &list->v4 : &list->v6, address);
}

bool address_is_loopback(enum width width, struct value address)
{
	return width == WIDTH_IPV4 ? address.lo >> 24 == 127 : address.hi == 0 && address.lo == 1;
}

struct block {
	struct value first;
	unsigned int length;
};

static bool in_block(enum width width, const struct block *block, struct value address)
{
	return value_compare(value_mask_low(width, address, block->length), block->first) == 0;
}

bool address_is_public(enum width width, struct value address)
{
	/* https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast (RFC 5771). */
	static const struct block special_v4[] = {
		{{0, 0x00000000}, 8},  /* "this network" */
		{{0, 0x0a000000}, 8},  /* private */
		{{0, 0x64400000}, 10}, /* shared, behind the NAT of a provider */
		{{0, 0x7f000000}, 8},  /* loopback */
		{{0, 0xa9fe0000}, 16}, /* link-local */
		{{0, 0xac100000}, 12}, /* private */
		{{0, 0xc0000000}, 24}, /* protocol assignments */
		{{0, 0xc0000200}, 24}, /* documentation */
		{{0, 0xc0a80000}, 16}, /* private */
		{{0, 0xc6120000}, 15}, /* benchmarks */
		{{0, 0xc6336400}, 24}, /* documentation */
		{{0, 0xcb007100}, 24}, /* documentation */
		{{0, 0xe0000000}, 4},  /* multicast */
		{{0, 0xf0000000}, 4},  /* reserved, and broadcast */
	};
	/* RFC 4291 2.4: what is routed in the Internet is 2000::/3. Of that, .../iana-ipv6-special-registry: */
	static const struct block global_v6 = {{0x2000000000000000, 0}, 3};
	static const struct block special_v6[] = {
		{{0x2001000000000000, 0}, 23}, /* protocol assignments */
		{{0x20010db800000000, 0}, 32}, /* documentation */
		{{0x3fff000000000000, 0}, 20}, /* documentation */
	};
	const struct block *special = width == WIDTH_IPV4 ? special_v4 : special_v6;
	size_t count = width == WIDTH_IPV4 ? ARRAY_SIZE(special_v4) : ARRAY_SIZE(special_v6);

	if (width == WIDTH_IPV6 && !in_block(width, &global_v6, address))
		return false;
	for (size_t i = 0; i < count; i++)
		if (in_block(width, &special[i], address))
			return false;
	return true;
}

/* --- sockets --- */

bool listener_is_ours(const struct listener *listener)
{
	return listener->network == 0;
}

bool process_is_ours(const struct process *process)
{
	return process->network == 0;
}

bool listener_held_by(const struct host *host, const struct listener *listener, enum server_kind kind)
{
	for (size_t i = 0; i < listener->process_count; i++)
		if (host->processes[listener->processes[i]].kind == kind)
			return true;
	return false;
}

enum listener_verdict judge_address(
	const struct audit_facts *facts, enum role role, enum width width, struct value address, bool wildcard)
{
	const struct source_list *list = role_addresses(facts->environment, role);

	if (list->given && address_listed(list, width, address))
		return LISTENER_ALLOWED;
	if (wildcard)
		return LISTENER_WILDCARD;
	if (address_is_loopback(width, address))
		return LISTENER_LOOPBACK;
	if (address_is_public(width, address))
		return LISTENER_PUBLIC;
	return list->given ? LISTENER_UNLISTED : LISTENER_NOT_ASKED;
}

enum listener_verdict audit_listener(const struct audit_facts *facts, const struct listener *listener)
{
	const struct host *host = facts->host;
	enum role role = audit_role(&facts->policy->service, listener->port);
	bool dragonfly = listener_held_by(host, listener, SERVER_DRAGONFLY);
	bool published = listener_held_by(host, listener, SERVER_DOCKER_PROXY);
	bool wildcard = listener_is_wildcard(listener);
	enum listener_verdict verdict;
	struct value address;
	enum width width;

	if (!listener_is_ours(listener))
		return LISTENER_CONTAINER;
	if (role == ROLE_NONE)
		return dragonfly ? LISTENER_OTHER_PORT : LISTENER_UNGUARDED;
	if (listener->process_count && !dragonfly && !published)
		return LISTENER_STRANGER;
	width = listener_address(listener, &address);
	verdict = judge_address(facts, role, width, address, wildcard);
	return verdict == LISTENER_WILDCARD && published && !dragonfly ? LISTENER_PUBLISHED : verdict;
}

void audit_count_listeners(const struct audit_facts *facts, size_t ret[LISTENER_VERDICT_COUNT])
{
	memset(ret, 0, LISTENER_VERDICT_COUNT * sizeof(*ret));
	for (size_t i = 0; facts->host && i < facts->host->listener_count; i++)
		ret[audit_listener(facts, &facts->host->listeners[i])]++;
}

static void add_known(struct text *text, const char **separator, const struct known *known)
{
	if (!known->text)
		return;
	text_append(text, *separator);
	text_append(text, known->text);
	*separator = ", ";
}

void audit_holder_text(const struct host *host, const struct listener *listener, struct text *text)
{
	for (size_t i = 0; i < listener->process_count; i++) {
		const struct process *process = &host->processes[listener->processes[i]];
		const char *separator = " (";

		text_printf(text, "%s%s %u", i ? ", " : "",
			process->command.text ? process->command.text : server_kind_name(process->kind), process->pid);
		add_known(text, &separator, &process->user);
		add_known(text, &separator, &process->unit);
		add_known(text, &separator, &process->container);
		if (strcmp(separator, " (") != 0)
			text_append_char(text, ')');
	}
	/* Others may hold it as well, where not all could be looked at; but who is known is enough. */
	if (listener->process_count)
		return;
	if (listener->process_unknown)
		text_printf(text, "unknown: %s", listener->process_unknown);
	else
		text_append(text, "nobody");
}

/* --- remedies --- */

bool firewall_holds(const struct audit_facts *facts, enum role role)
{
	bool in_force = facts->drift ? facts->drift->count == 0 : facts->unchanged;

	return in_force && role_addresses(facts->environment, role)->given;
}

const struct audit_intention *intention_of(const struct audit_facts *facts, size_t process)
{
	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *candidate = &facts->intentions[i];

		if (candidate->source == INTENTION_PROCESS && candidate->process == process && candidate->intention)
			return candidate;
	}
	return NULL;
}

/* The one that was written first; families are kept apart, so of two on one line the IPv4 one. */
static void add_first_address(const struct source_list *list, struct text *text)
{
	char buffer[INTERVAL_TEXT];
	struct interval v4 = {0};
	struct interval v6 = {0};
	bool is_v4 = list->v4.count != 0;

	if (list->v4.count)
		v4 = intervals_get(&list->v4, 0);
	if (list->v6.count)
		v6 = intervals_get(&list->v6, 0);
	if (list->v6.count && (!is_v4 || v6.origin < v4.origin))
		is_v4 = false;
	text_append(text, value_format(is_v4 ? WIDTH_IPV4 : WIDTH_IPV6, is_v4 ? v4.first : v6.first, buffer));
}

/* Where the flag stands, or is to stand. */
static void add_place(const struct audit_facts *facts, const struct intention *intention, const struct flag *flag,
	const char *name, struct text *text)
{
	if (flag && flag->source == FLAG_FILE)
		text_printf(text, " in %s, line %u", flag->file, flag->line);
	else if (flag && flag->source == FLAG_ARGUMENT)
		text_printf(text, " on its command line, in place of --%s=%s", name, flag->value);
	else if (intention && intention->file_count)
		text_printf(text, " in %s", intention->files[intention->file_count - 1]);
	else if (intention)
		text_append(text, " on its command line");
	else
		text_printf(text, " in %s", facts->policy->service.flagfile);
	/* A flag goes before the environment. */
	if (flag && flag->source == FLAG_ENVIRONMENT)
		text_printf(text, ", which goes before DFLY_%s in its environment", name);
}

static void add_restart(const struct audit_facts *facts, size_t index, struct text *text)
{
	const struct process *process =
		facts->host && index != LISTENERS_NO_INDEX ? &facts->host->processes[index] : NULL;

	if (process && process->container.text)
		text_printf(text, ", then start the container (%s) anew", process->container.text);
	else if (process && process->unit.text)
		text_printf(text, ", then: systemctl restart %s", process->unit.text);
	else if (process && !process->unit.unknown)
		text_printf(text, ", then start process %u anew", process->pid);
	else
		text_printf(text, ", then: systemctl restart %s", facts->policy->service.unit);
}

char *binding_remedy(const struct audit_facts *facts, enum role role, const struct intention *intention, size_t process)
{
	const struct source_list *list = role_addresses(facts->environment, role);
	size_t count = list->v4.count + list->v6.count;
	const char *name = role_flag(role);
	const struct flag *flag = intention ? intention_flag(intention, name) : NULL;
	struct text text = {0};

	if (!list->given || !count) {
		text_printf(&text, "name the server's address in %s of environment %s, and write --%s=ADDRESS",
			role == ROLE_ADMIN ? "admin_bind" : "bind", facts->environment->name, name);
	} else {
		text_printf(&text, "write --%s=", name);
		add_first_address(list, &text);
	}
	add_place(facts, intention, flag, name, &text);
	add_restart(facts, process, &text);
	if (count > 1)
		text_printf(&text, " (Dragonfly listens on one address only, and %s has %zu)",
			role_option(facts->environment, role), count);
	return text_take(&text);
}

/* The policy's option for a port that Dragonfly has opened. */
static const char *port_option(const struct intention *intention, uint16_t port)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention ? intention_listeners(intention, intended) : 0;

	for (size_t i = 0; i < count; i++) {
		if (intended[i].port != port)
			continue;
		if (intended[i].kind == INTENDED_ADMIN)
			return "admin_port";
		if (intended[i].kind == INTENDED_MEMCACHED)
			return "memcached_port";
		return "port";
	}
	return NULL;
}

static char *other_port_remedy(const struct audit_facts *facts, const struct intention *intention,
	const struct listener *listener, size_t process)
{
	const char *option = port_option(intention, listener->port);
	struct text text = {0};

	if (option && strcmp(option, "port") != 0)
		text_printf(&text, "write %s = %u in the policy's service section; or write --%s=0", option,
			listener->port, option);
	else
		text_printf(&text, "write port = %u in the policy's service section; or write --port=%u",
			listener->port, facts->policy->service.port);
	add_place(facts, intention, option ? intention_flag(intention, option) : NULL, option ? option : "port", &text);
	add_restart(facts, process, &text);
	return text_take(&text);
}

static char *published_remedy(const struct audit_facts *facts, enum role role, uint16_t port)
{
	const struct source_list *list = role_addresses(facts->environment, role);
	struct text text = {0};

	text_append(&text, "publish the container's port on one address: -p ");
	if (list->v4.count + list->v6.count)
		add_first_address(list, &text);
	else
		text_append(&text, "ADDRESS");
	text_printf(&text, ":%u:PORT", port);
	return text_take(&text);
}

char *audit_listener_remedy(const struct audit_facts *facts, const struct listener *listener)
{
	enum role role = audit_role(&facts->policy->service, listener->port);
	size_t process = listener->process_count ? listener->processes[0] : LISTENERS_NO_INDEX;
	const struct audit_intention *told;

	/* Of several, the server. */
	for (size_t i = 0; i < listener->process_count; i++)
		if (facts->host->processes[listener->processes[i]].kind == SERVER_DRAGONFLY)
			process = listener->processes[i];
	told = intention_of(facts, process);
	switch (audit_listener(facts, listener)) {
	case LISTENER_ALLOWED:
	case LISTENER_NOT_ASKED:
	case LISTENER_LOOPBACK:
	case LISTENER_CONTAINER:
	case LISTENER_UNGUARDED:
		return NULL;
	case LISTENER_UNLISTED:
	case LISTENER_PUBLIC:
	case LISTENER_WILDCARD:
		if (listener_held_by(facts->host, listener, SERVER_DOCKER_PROXY))
			return published_remedy(facts, role, listener->port);
		return binding_remedy(facts, role, told ? told->intention : NULL, process);
	case LISTENER_PUBLISHED:
		return published_remedy(facts, role, listener->port);
	case LISTENER_STRANGER:
		return mem_format("stop it or give it another port; or, if it is meant, name another port in the "
				  "policy's service section");
	case LISTENER_OTHER_PORT:
		return other_port_remedy(facts, told ? told->intention : NULL, listener, process);
	}
	abort();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "policy_private.h"

/* --- names --- */

static int compare_networks(const void *left, const void *right, void *data)
{
	const struct policy *policy = data;
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;
	int order = strcmp(policy->networks[a].name, policy->networks[b].name);

	return order ? order : (a > b) - (a < b);
}

/* The networks in the order of their names; equal names in the order of the text. The caller frees it. */
static uint32_t *network_order(struct policy *policy)
{
	uint32_t *order = mem_resize(NULL, policy->network_count, sizeof(*order));

	for (uint32_t i = 0; i < policy->network_count; i++)
		order[i] = i;
	qsort_r(order, policy->network_count, sizeof(*order), compare_networks, policy);
	return order;
}

/* The first network of that name, or POLICY_NO_INDEX. */
static uint32_t network_find(const struct policy *policy, const uint32_t *order, const char *name)
{
	size_t low = 0;
	size_t high = policy->network_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(policy->networks[order[middle]].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < policy->network_count && strcmp(policy->networks[order[low]].name, name) == 0)
		return order[low];
	return POLICY_NO_INDEX;
}

static void report_again(struct reader *reader, const char *kind, const char *name, uint32_t origin, uint32_t first)
{
	struct srcloc place = policy_place(reader->policy, first);

	mistake_add(reader, origin, "a second %s '%s': the first stands in %s:%u; give one another name, or join them",
		kind, name, place.file, place.line);
}

/* The first environment of that name, or environment_count. */
static size_t environment_find(const struct policy *policy, const char *name)
{
	size_t i = 0;

	while (i < policy->environment_count && strcmp(policy->environments[i].name, name) != 0)
		i++;
	return i;
}

static void check_duplicates(struct reader *reader, const uint32_t *order)
{
	const struct policy *policy = reader->policy;

	for (size_t i = 1, first = 0; i < policy->network_count; i++) {
		const struct network *network = &policy->networks[order[i]];
		const struct network *before = &policy->networks[order[first]];

		if (!network->name[0] || strcmp(network->name, before->name) != 0)
			first = i;
		else
			report_again(reader, "network", network->name, network->origin, before->origin);
	}
	/* Quadratic, but nobody reads more than the first few mistakes. */
	for (size_t i = 1; i < policy->environment_count && reader->mistake_count < POLICY_MAX_REPORTED; i++) {
		const struct environment *environment = &policy->environments[i];
		size_t first = environment_find(policy, environment->name);

		if (environment->name[0] && first != i)
			report_again(reader, "environment", environment->name, environment->origin,
				policy->environments[first].origin);
	}
}

/* --- references --- */

static const char *network_suggest(struct reader *reader, const char *name)
{
	const struct policy *policy = reader->policy;
	unsigned int limit = name_tolerance(name);
	const char *best = NULL;

	for (size_t i = 0; i < policy->network_count && reader->suggestions_left > 0; i++) {
		unsigned int distance = name_distance(name, policy->networks[i].name, limit);

		reader->suggestions_left--;
		if (distance > limit || !policy->networks[i].name[0])
			continue;
		best = policy->networks[i].name;
		if (distance == 0)
			break;
		limit = distance - 1;
	}
	return best;
}

/* In the order of the text, each once. */
static void list_networks(const struct policy *policy, const uint32_t *order, struct text *text)
{
	size_t listed = 0;

	for (size_t i = 0; i < policy->network_count; i++) {
		const char *name = policy->networks[i].name;

		if (!name[0] || network_find(policy, order, name) != i)
			continue;
		if (listed++ == 10) {
			text_append(text, " and more");
			return;
		}
		text_printf(text, "%s%s", text->length ? ", " : "", name);
	}
}

static void report_unknown(struct reader *reader, const uint32_t *order, const struct network_reference *reference)
{
	_cleanup_text_ struct text names = {0};
	const char *meant = network_suggest(reader, reference->name);

	if (meant) {
		mistake_add(
			reader, reference->origin, "unknown network '%s': did you mean '%s'?", reference->name, meant);
	} else if (strcmp(reference->name, "localhost") == 0) {
		mistake_add(
			reader, reference->origin, "'localhost' is not a network: write \"127.0.0.0/8\" and \"::1\"");
	} else if (strchr(reference->name, '.')) {
		mistake_add(reader, reference->origin,
			"'%s' looks like a host name: names are not resolved, since the firewall stands before there "
			"is DNS; "
			"write its addresses",
			reference->name);
	} else {
		list_networks(reader->policy, order, &names);
		mistake_add(reader, reference->origin, "unknown network '%s': %s%s", reference->name,
			names.length ? "known: " : "no network is defined; write network NAME { sources = {...} }",
			text_string(&names));
	}
}

static void link_list(struct reader *reader, const uint32_t *order, struct source_list *list)
{
	for (size_t i = 0; i < list->reference_count; i++) {
		struct network_reference *reference = &list->references[i];

		reference->network = network_find(reader->policy, order, reference->name);
		if (reference->network == POLICY_NO_INDEX && !reader->incomplete)
			report_unknown(reader, order, reference);
	}
}

static void link_references(struct reader *reader, const uint32_t *order)
{
	struct policy *policy = reader->policy;

	for (size_t i = 0; i < policy->network_count; i++)
		link_list(reader, order, &policy->networks[i].sources);
	for (size_t i = 0; i < policy->environment_count; i++) {
		struct environment *environment = &policy->environments[i];

		link_list(reader, order, &environment->clients);
		link_list(reader, order, &environment->admins);
		link_list(reader, order, &environment->memcached_clients);
		link_list(reader, order, &environment->never_ban);
	}
	for (size_t i = 0; i < policy->expectation_count; i++)
		link_list(reader, order, &policy->expectations[i].from);
}

/* --- cycles --- */

/* One network on the way down, and which of its references comes next. */
struct step {
	uint32_t network;
	size_t next;
};

static void report_cycle(struct reader *reader, const struct step *path, size_t depth, uint32_t again, uint32_t origin)
{
	const struct policy *policy = reader->policy;
	_cleanup_text_ struct text chain = {0};
	size_t first = depth;

	while (first > 0 && path[first - 1].network != again)
		first--;
	first = first ? first - 1 : 0;
	for (size_t i = first; i < depth; i++) {
		/* Long cycles are shown by their ends. */
		if (depth - first > 10 && i == first + 5) {
			text_printf(&chain, "... -> ");
			i = depth - 5;
		}
		text_printf(&chain, "%s -> ", policy->networks[path[i].network].name);
	}
	mistake_add(reader, origin, "network '%s' includes itself: %s%s; take one of them out",
		policy->networks[again].name, text_string(&chain), policy->networks[again].name);
}

/* Depth first with a stack of our own: a chain may be as long as there are networks. */
static void check_cycles(struct reader *reader)
{
	const struct policy *policy = reader->policy;
	enum colour { UNSEEN, ON_PATH, FINISHED };
	_cleanup_free_ uint8_t *colours = mem_zero(policy->network_count, sizeof(*colours));
	_cleanup_free_ struct step *path = mem_resize(NULL, policy->network_count, sizeof(*path));

	for (uint32_t start = 0; start < policy->network_count; start++) {
		size_t depth = 0;

		if (colours[start] != UNSEEN)
			continue;
		colours[start] = ON_PATH;
		path[depth++] = (struct step){start, 0};
		while (depth > 0) {
			struct step *step = &path[depth - 1];
			const struct source_list *sources = &policy->networks[step->network].sources;

			if (step->next == sources->reference_count) {
				colours[step->network] = FINISHED;
				depth--;
				continue;
			}
			const struct network_reference *reference = &sources->references[step->next++];

			if (reference->network == POLICY_NO_INDEX)
				continue;
			if (colours[reference->network] == ON_PATH)
				report_cycle(reader, path, depth, reference->network, reference->origin);
			if (colours[reference->network] != UNSEEN)
				continue;
			colours[reference->network] = ON_PATH;
			path[depth++] = (struct step){reference->network, 0};
		}
	}
}

/* --- ports --- */

static void check_collision(struct reader *reader, const char *option, uint16_t port, uint32_t origin,
	const char *other_option, uint16_t other_port, uint32_t other_origin)
{
	if (port == 0 || port != other_port)
		return;
	mistake_add(reader, origin > other_origin ? origin : other_origin,
		"'%s' and '%s' are both %u: give each its own", option, other_option, port);
}

static void check_ports(struct reader *reader)
{
	const struct service *service = &reader->policy->service;

	if (reader->service_doubts)
		return;
	check_collision(reader, "admin_port", service->admin_port, service->admin_port_origin, "port", service->port,
		service->port_origin);
	check_collision(reader, "admin_port", service->admin_port, service->admin_port_origin, "tls_port",
		service->tls_port, service->tls_port_origin);
	check_collision(reader, "memcached_port", service->memcached_port, service->memcached_port_origin, "port",
		service->port, service->port_origin);
	check_collision(reader, "memcached_port", service->memcached_port, service->memcached_port_origin, "tls_port",
		service->tls_port, service->tls_port_origin);
	check_collision(reader, "memcached_port", service->memcached_port, service->memcached_port_origin, "admin_port",
		service->admin_port, service->admin_port_origin);
}

/* What the environment's `tls` needs of the service's ports. */
static void check_tls_port(struct reader *reader, const struct environment *environment)
{
	const struct service *service = &reader->policy->service;
	uint32_t origin = environment->tls_origin ? environment->tls_origin : environment->origin;
	const char *by_default = environment->tls_origin ? "" : " (the default)";

	if (reader->service_doubts || reader->incomplete)
		return;
	switch (environment->tls) {
	case TLS_REQUIRED:
		if (service->tls_port == 0)
			mistake_add(reader, origin,
				"environment '%s' has tls = required%s, but the service has no tls_port: with "
				"`dragonfly --tls` "
				"the port itself speaks TLS; write tls_port = %u in service { }",
				environment->name, by_default, service->port);
		return;
	case TLS_OPTIONAL:
		if (service->tls_port == 0)
			mistake_add(reader, origin,
				"environment '%s' has tls = optional, but the service has no tls_port: write a second "
				"port in "
				"service { }, or tls = off",
				environment->name);
		else if (service->tls_port == service->port)
			mistake_add(reader, origin,
				"environment '%s' has tls = optional, but port and tls_port are both %u, and a port "
				"speaks "
				"either: write tls = required, or two ports",
				environment->name, service->port);
		return;
	case TLS_OFF:
		if (service->tls_port == service->port)
			mistake_add(reader, origin,
				"environment '%s' has tls = off, but port and tls_port are both %u, so that nothing is "
				"left "
				"open: write tls_port = 0 in service { }, or tls = required",
				environment->name, service->port);
		return;
	}
}

/* --- exposure --- */

static bool covers_all(const struct intervals *list)
{
	return intervals_cover(list, (struct interval){value_zero(), value_max(list->width), 0});
}

/* Lists that reach everybody, and the promise that would make that bearable, which is missing. */
static void check_exposure(struct reader *reader, const struct source_list *list, const char *option,
	const char *because, const char *instead)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	policy_resolve(reader->policy, list, &v4, &v6, NULL, NULL);
	bool all_v4 = covers_all(&v4);
	bool all_v6 = covers_all(&v6);

	intervals_done(&v4);
	intervals_done(&v6);
	if (all_v4 || all_v6)
		mistake_add(reader, list->origin,
			"'%s' holds every %s address, %s: name the networks that need it, or write %s", option,
			all_v4 && all_v6 ? "IPv4 and IPv6"
			: all_v4	 ? "IPv4"
					 : "IPv6",
			because, instead);
}

static void check_environment(struct reader *reader, const struct environment *environment, uint8_t doubts)
{
	if (!environment->clients.given && !(doubts & DOUBT_NAMES) && !reader->incomplete)
		mistake_add(reader, environment->origin,
			"environment '%s' has no 'clients': write who may connect, or clients = {} for nobody",
			environment->name);
	if (environment->bind_guard != BIND_GUARD_OFF && !environment->bind.given && !doubts && !reader->incomplete)
		mistake_add(reader, environment->bind_guard_origin,
			"environment '%s' has bind_guard = %s, but no 'bind', so that there is no address to keep the "
			"server to: "
			"write bind = {...}, or bind_guard = off",
			environment->name, bind_guard_mode_name(environment->bind_guard));
	if (!doubts)
		check_tls_port(reader, environment);
	/* Where `tls` is not understood, the default stands for it: no complaint is made up. */
	if (environment->tls == TLS_OFF)
		check_exposure(reader, &environment->clients, "clients", "with tls = off", "tls = required");
	if (environment->admin_tls == ADMIN_TLS_OFF)
		check_exposure(reader, &environment->admins, "admins", "with admin_tls = off", "admin_tls = required");
	if (environment->tls != TLS_REQUIRED)
		check_exposure(reader, &environment->memcached_clients, "memcached_clients",
			"and memcached never asks for a password", "tls = required");
}

static void report_no_environment(struct reader *reader, const char *name, uint32_t origin)
{
	const struct policy *policy = reader->policy;
	_cleanup_text_ struct text names = {0};

	for (size_t i = 0; i < policy->environment_count && i < 10; i++)
		if (environment_find(policy, policy->environments[i].name) == i)
			text_printf(&names, "%s%s", i ? ", " : "", policy->environments[i].name);
	mistake_add(reader, origin, "there is no environment '%s': known: %s%s", name, text_string(&names),
		policy->environment_count > 10 ? " and more" : "");
}

static void check_default(struct reader *reader)
{
	const struct policy *policy = reader->policy;

	if (reader->incomplete)
		return;
	if (policy->environment_count == 0) {
		mistake_add(reader, 0, "there is no environment: write environment NAME { clients = {...} }");
		return;
	}
	if (policy->default_environment &&
		environment_find(policy, policy->default_environment) == policy->environment_count)
		report_no_environment(reader, policy->default_environment, policy->default_environment_origin);
}

/* --- expectations --- */

static void list_port(struct text *text, const char *option, uint16_t port)
{
	if (port)
		text_printf(text, "%s%u (%s)", text->length ? ", " : "", port, option);
}

static void check_to_port(struct reader *reader, const struct expectation *expectation)
{
	const struct service *service = &reader->policy->service;
	bool shared = service->port == service->tls_port;
	uint16_t port = expectation->to_port;
	_cleanup_text_ struct text ports = {0};

	if (port == 0 || reader->service_doubts || reader->incomplete)
		return;
	if (port == service->port || port == service->tls_port || port == service->admin_port ||
		port == service->memcached_port)
		return;
	list_port(&ports, shared ? "port and tls_port" : "port", service->port);
	list_port(&ports, "tls_port", shared ? 0 : service->tls_port);
	list_port(&ports, "admin_port", service->admin_port);
	list_port(&ports, "memcached_port", service->memcached_port);
	mistake_add(reader, expectation->to_port_origin,
		"to_port = %u is no port of the service, which judges no other: write one of %s", port,
		text_string(&ports));
}

/* What the text alone shows; networks may change, and then a policy must not become wrong: see policy_notes(). */
static void check_families(struct reader *reader, const struct expectation *expectation)
{
	const struct source_list *from = &expectation->from;
	const struct source_list *to = &expectation->to;

	/* Empty where there are too many sources, which is said elsewhere. */
	if (from->reference_count || from->v4.count + from->v6.count == 0 || to->v4.count + to->v6.count == 0)
		return;
	if ((from->v4.count && to->v4.count) || (from->v6.count && to->v6.count))
		return;
	mistake_add(reader, to->origin,
		"'to' is %s and 'from' is %s, so that nothing is expected: write addresses of the same family",
		to->v4.count ? "IPv4" : "IPv6", from->v4.count ? "IPv4" : "IPv6");
}

/* What must be written, and is not. `object` is of the section's type, and begins in line `line`. */
static void check_missing(
	struct reader *reader, enum section_kind kind, const void *object, uint32_t line, uint8_t doubts)
{
	const struct section_schema *schema = &policy_sections[kind];

	for (unsigned int i = 0; i < schema->option_count && !(doubts & DOUBT_NAMES) && !reader->incomplete; i++) {
		const struct option_schema *option = &schema->options[i];
		uint32_t origin;

		memcpy(&origin, (const char *)object + option->origin, sizeof(origin));
		if (option->if_missing && !origin)
			mistake_add(reader, line, "'%s' has no '%s': write %s", schema->name, option->name,
				option->if_missing);
	}
}

/* The environment that an inner section names, where it stands outside. */
static void link_environment(struct reader *reader, const char *name, uint32_t origin, uint32_t *environment)
{
	const struct policy *policy = reader->policy;
	size_t found;

	if (!name || *environment != POLICY_EVERY_ENVIRONMENT)
		return;
	found = environment_find(policy, name);
	if (found < policy->environment_count)
		*environment = (uint32_t)found;
	else if (policy->environment_count > 0 && !reader->incomplete)
		report_no_environment(reader, name, origin);
}

static void check_expectation(struct reader *reader, struct expectation *expectation, uint8_t doubts)
{
	check_missing(reader, SECTION_EXPECT, expectation, expectation->origin, doubts);
	check_to_port(reader, expectation);
	if (!doubts)
		check_families(reader, expectation);
	link_environment(
		reader, expectation->environment_name, expectation->environment_name_origin, &expectation->environment);
}

/* --- alerts --- */

static void check_alert(struct reader *reader, struct alert *alert, uint8_t doubts)
{
	check_missing(reader, SECTION_ALERT, alert, alert->origin, doubts);
	if (alert->ban && !doubts && !alert_may_ban(alert->on))
		mistake_add(reader, alert->ban_origin,
			alert->on == ALERT_WILDCARD_LISTENER
				? "'ban' with on = %s: there is nobody to ban; leave it out"
				: "'ban' with on = %s: who did it is told by the log alone, into which a client may "
				  "write; "
				  "leave it out",
			alert_on_name(alert->on));
	link_environment(reader, alert->environment_name, alert->environment_name_origin, &alert->environment);
}

/* --- waivers --- */

/* Whether what it waives, and where, was understood. */
static bool is_understood(const struct reader *reader, size_t index)
{
	const struct waiver *waiver = &reader->policy->waivers[index];

	return !reader->waiver_doubts[index] && waiver->check[0] &&
	       (!waiver->environment_name || waiver->environment != POLICY_EVERY_ENVIRONMENT);
}

static void check_waiver(struct reader *reader, size_t index)
{
	struct waiver *waiver = &reader->policy->waivers[index];

	check_missing(reader, SECTION_WAIVE, waiver, waiver->origin, reader->waiver_doubts[index]);
	link_environment(reader, waiver->environment_name, waiver->environment_name_origin, &waiver->environment);
	for (size_t i = 0; i < index && is_understood(reader, index); i++) {
		const struct waiver *before = &reader->policy->waivers[i];
		struct srcloc place = policy_place(reader->policy, before->origin);

		if (!is_understood(reader, i) || before->environment != waiver->environment ||
			strcmp(before->check, waiver->check) != 0 || !same_string(before->subject, waiver->subject))
			continue;
		mistake_add(reader, waiver->origin, "a second waiver of '%s': the first stands in %s:%u; keep one",
			waiver->check, place.file, place.line);
		return;
	}
}

static void check_network(struct reader *reader, const struct network *network)
{
	if (!network->sources.given && network->name[0])
		mistake_add(
			reader, network->origin, "network '%s' has no 'sources': write sources = {...}", network->name);
}

void policy_check(struct reader *reader)
{
	const struct policy *policy = reader->policy;
	_cleanup_free_ uint32_t *order = network_order(reader->policy);

	check_duplicates(reader, order);
	link_references(reader, order);
	check_cycles(reader);
	check_ports(reader);
	for (size_t i = 0; i < policy->network_count; i++)
		check_network(reader, &policy->networks[i]);
	for (size_t i = 0; i < policy->environment_count; i++)
		check_environment(reader, &policy->environments[i], reader->environment_doubts[i]);
	check_default(reader);
	for (size_t i = 0; i < policy->expectation_count; i++)
		check_expectation(reader, &policy->expectations[i], reader->expectation_doubts[i]);
	for (size_t i = 0; i < policy->alert_count; i++)
		check_alert(reader, &policy->alerts[i], reader->alert_doubts[i]);
	for (size_t i = 0; i < policy->waiver_count; i++)
		check_waiver(reader, i);
}

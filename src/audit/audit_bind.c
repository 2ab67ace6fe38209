/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Listening sockets: what the kernel says is open, against what the policy says may be. */

#include <string.h>
#include <sys/stat.h>

#include "audit_private.h"

#define SUBJECT "listening sockets"
/* Of the addresses of this host. */
#define ADDRESSES_TOLD 6u

bool host_known(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (facts->host)
		return true;
	finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "were not looked at: %s",
		facts->host_unknown ? facts->host_unknown : "nobody asked");
	return false;
}

static enum role role_of(const struct audit_facts *facts, const struct listener *listener)
{
	return audit_role(&facts->policy->service, listener->port);
}

static bool is_guarded(const struct audit_facts *facts, const struct listener *listener)
{
	return listener_is_ours(listener) && role_of(facts, listener) != ROLE_NONE;
}

static size_t guarded_count(const struct audit_facts *facts)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->host->listener_count; i++)
		count += is_guarded(facts, &facts->host->listeners[i]);
	return count;
}

static const struct process *find_server(const struct host *host)
{
	for (size_t i = 0; i < host->process_count; i++)
		if (host->processes[i].kind == SERVER_DRAGONFLY)
			return &host->processes[i];
	return NULL;
}

/* What was not seen may be wrong, too; and where there is nothing to judge, nothing passes. */
static void end(const struct check *check, const struct audit_facts *facts, struct findings *ret, size_t found,
	size_t judged, const char *none, const char *good)
{
	const char *unknown = facts->host->listeners_read.unknown;

	if (unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "could not be read: %s", unknown);
	else if (!judged)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, SUBJECT, "%s", none);
	else if (!found)
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "%s", good);
}

static const char nothing_listens[] = "nothing listens on a guarded port";

/* A finding about one socket. `message` is taken over. */
static struct finding *tell(const struct check *check, const struct audit_facts *facts, struct findings *ret,
	const struct listener *listener, enum outcome outcome, char *message)
{
	_cleanup_free_ char *owned = message;
	_cleanup_text_ struct text subject = {0};
	_cleanup_text_ struct text holder = {0};
	struct finding *finding;

	listener_text(listener, &subject);
	audit_holder_text(facts->host, listener, &holder);
	finding = finding_add(ret, check, outcome, text_string(&subject), "%s", owned);
	finding->evidence = mem_format("held by %s", text_string(&holder));
	if (outcome == OUTCOME_FAIL) {
		char *remedy = audit_listener_remedy(facts, listener);

		if (remedy) {
			free(finding->remedy);
			finding->remedy = remedy;
		}
	}
	finding->origin = role_addresses(facts->environment, role_of(facts, listener))->origin;
	return finding;
}

/* ": the policy lists 10.20.0.5", or that it asks for none. */
static void add_policy(const struct audit_facts *facts, enum role role, struct text *text)
{
	if (!role_addresses(facts->environment, role)->given) {
		text_append(text, "; the policy asks for no destination, since it has no bind");
		return;
	}
	text_append(text, "; the policy lists ");
	role_addresses_text(facts->environment, role, text);
	if (firewall_holds(facts, role))
		text_append(text, ", and only the firewall keeps the others closed");
}

static void add_addresses(const struct audit_facts *facts, const struct listener *listener, struct text *text)
{
	bool v4 = listener_address(listener, &(struct value){0}) == WIDTH_IPV4;
	bool both = listener_is_dual(listener);
	char buffer[INTERVAL_TEXT];
	size_t told = 0;
	size_t more = 0;

	for (size_t i = 0; i < facts->host->address_count; i++) {
		const struct host_address *address = &facts->host->addresses[i];

		if (address->network != listener->network || address_is_loopback(address->width, address->address) ||
			(!both && (address->width == WIDTH_IPV4) != v4))
			continue;
		if (told == ADDRESSES_TOLD) {
			more++;
			continue;
		}
		text_append(text, told++ ? ", " : " (");
		text_append(text, value_format(address->width, address->address, buffer));
	}
	if (more)
		text_printf(text, " and %zu more", more);
	if (told)
		text_append_char(text, ')');
}

static char *wildcard_message(const struct audit_facts *facts, const struct listener *listener)
{
	bool v4 = listener_address(listener, &(struct value){0}) == WIDTH_IPV4;
	bool both = listener_is_dual(listener);
	struct text text = {0};

	text_printf(&text, "takes connections to every %saddress of %s",
		both ? ""
		: v4 ? "IPv4 "
		     : "IPv6 ",
		listener->device ? listener->device : "this host");
	add_addresses(facts, listener, &text);
	if (both)
		text_append(&text, ", of IPv4 and IPv6");
	add_policy(facts, role_of(facts, listener), &text);
	return text_take(&text);
}

static void fail_open(const struct check *check, const struct audit_facts *facts, struct findings *ret,
	const struct listener *listener)
{
	enum role role = role_of(facts, listener);
	struct finding *finding = tell(check, facts, ret, listener, OUTCOME_FAIL, wildcard_message(facts, listener));

	/* Something else refuses what the policy does not name, or it names all of it. */
	if (firewall_holds(facts, role) || !role_addresses(facts->environment, role)->given)
		finding->severity = SEVERITY_WARNING;
}

void assess_wildcard(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;
	size_t elsewhere = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];

		if (!is_guarded(facts, listener) || !listener_is_wildcard(listener))
			continue;
		/* Each socket is told once, by the check that knows best what to do about it. */
		if (audit_listener(facts, listener) != LISTENER_WILDCARD || role_of(facts, listener) == ROLE_ADMIN ||
			memcached_ignores_bind(facts, listener)) {
			elsewhere += audit_listener(facts, listener) != LISTENER_ALLOWED;
			continue;
		}
		found++;
		fail_open(check, facts, ret, listener);
	}
	end(check, facts, ret, found, guarded_count(facts), nothing_listens,
		elsewhere ? "none is on a wildcard but what other checks tell"
			  : "none of a guarded port is on a wildcard");
}

void assess_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];

		if (!is_guarded(facts, listener) || role_of(facts, listener) != ROLE_ADMIN)
			continue;
		judged++;
		if (audit_listener(facts, listener) != LISTENER_WILDCARD)
			continue;
		found++;
		fail_open(check, facts, ret, listener);
	}
	end(check, facts, ret, found, judged, "nothing listens on an admin port",
		"the admin port is not on a wildcard");
}

void assess_public(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		struct text text = {0};
		struct finding *finding;

		if (!is_guarded(facts, listener) || audit_listener(facts, listener) != LISTENER_PUBLIC)
			continue;
		found++;
		text_append(&text, "is an address that the Internet may route to");
		add_policy(facts, role_of(facts, listener), &text);
		finding = tell(check, facts, ret, listener, OUTCOME_FAIL, text_take(&text));
		if (!role_addresses(facts->environment, role_of(facts, listener))->given)
			finding->severity = SEVERITY_WARNING;
	}
	end(check, facts, ret, found, guarded_count(facts), nothing_listens,
		"none is on a public address that the policy does not list");
}

void assess_unlisted(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct environment *environment = facts->environment;
	size_t found = 0;
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		enum listener_verdict verdict = audit_listener(facts, listener);
		enum role role = role_of(facts, listener);
		struct text text = {0};
		struct finding *finding;

		if (!is_guarded(facts, listener) || !role_addresses(environment, role)->given)
			continue;
		judged++;
		if (verdict != LISTENER_UNLISTED && verdict != LISTENER_LOOPBACK)
			continue;
		found++;
		text_printf(&text, "is not in %s%s", role_option(environment, role),
			verdict == LISTENER_LOOPBACK ? ", though only this host reaches it" : "");
		add_policy(facts, role, &text);
		finding = tell(check, facts, ret, listener, OUTCOME_FAIL, text_take(&text));
		if (verdict == LISTENER_LOOPBACK)
			finding->severity = SEVERITY_INFO;
	}
	end(check, facts, ret, found, judged,
		guarded_count(facts) ? "the policy asks for no destination, since it has no bind" : nothing_listens,
		"no other is on an address that the policy does not list");
}

/* --- addresses of this host --- */

static bool host_has(const struct host *host, enum width width, struct value address)
{
	/* All of 127.0.0.0/8 is, without being any interface's. */
	if (address_is_loopback(width, address) || value_compare(address, value_zero()) == 0)
		return true;
	for (size_t i = 0; i < host->address_count; i++)
		if (host->addresses[i].network == 0 && host->addresses[i].width == width &&
			value_compare(host->addresses[i].address, address) == 0)
			return true;
	return false;
}

bool address_is_here(const struct audit_facts *facts, enum width width, struct value address)
{
	return host_has(facts->host, width, address);
}

static size_t tell_absent(const struct check *check, const struct audit_facts *facts, struct findings *ret,
	const struct intervals *list, const char *option)
{
	char buffer[INTERVAL_TEXT];
	size_t found = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (host_has(facts->host, list->width, item.first))
			continue;
		found++;
		finding_add(ret, check, OUTCOME_FAIL, value_format(list->width, item.first, buffer),
			"is in %s, and no interface of this host has it: a server that is told to listen there %s",
			option, strcmp(option, "bind") == 0 ? "does not start" : "starts without its admin port")
			->origin = item.origin;
	}
	return found;
}

void assess_absent(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	static const char subject[] = "addresses of this host";
	const struct environment *environment = facts->environment;
	size_t found = 0;

	if (!host_known(check, facts, ret))
		return;
	if (!environment->bind.given && !environment->admin_bind.given) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "the policy lists none");
		return;
	}
	if (environment->server == SERVER_OPTIONAL && !find_server(facts->host) && !guarded_count(facts) &&
		!facts->host->listeners_read.unknown) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "no server runs, and none needs to");
		return;
	}
	if (facts->host->addresses_read.unknown) {
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "could not be read: %s",
			facts->host->addresses_read.unknown);
		return;
	}
	found += tell_absent(check, facts, ret, &environment->bind.v4, "bind");
	found += tell_absent(check, facts, ret, &environment->bind.v6, "bind");
	if (environment->admin_bind.given) {
		found += tell_absent(check, facts, ret, &environment->admin_bind.v4, "admin_bind");
		found += tell_absent(check, facts, ret, &environment->admin_bind.v6, "admin_bind");
	}
	if (!found)
		finding_add(ret, check, OUTCOME_PASS, subject, "all that the policy lists are there");
}

/* --- who holds it --- */

void assess_published(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];

		if (!is_guarded(facts, listener))
			continue;
		if (!listener->process_count && listener->process_unknown && listener_is_wildcard(listener)) {
			judged++;
			found++;
			tell(check, facts, ret, listener, OUTCOME_UNKNOWN, mem_string("may be a container's port"))
				->severity = SEVERITY_WARNING;
		}
		if (!listener_held_by(facts->host, listener, SERVER_DOCKER_PROXY))
			continue;
		judged++;
		if (audit_listener(facts, listener) != LISTENER_PUBLISHED)
			continue;
		found++;
		fail_open(check, facts, ret, listener);
	}
	end(check, facts, ret, found, judged, "no container's port is published on a guarded port by a process",
		"no container's port is published on all addresses");
}

void assess_stranger(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		bool server = listener_held_by(facts->host, listener, SERVER_DRAGONFLY) ||
			      listener_held_by(facts->host, listener, SERVER_DOCKER_PROXY);

		if (!is_guarded(facts, listener) || server)
			continue;
		found++;
		if (audit_listener(facts, listener) == LISTENER_STRANGER)
			tell(check, facts, ret, listener, OUTCOME_FAIL,
				mem_format("is not Dragonfly's%s",
					listener_held_by(facts->host, listener, SERVER_SYSTEMD)
						? ", but kept open by systemd for a unit that it starts"
						: ""));
		else
			tell(check, facts, ret, listener, OUTCOME_UNKNOWN,
				mem_string("may be Dragonfly's or somebody else's"));
	}
	end(check, facts, ret, found, guarded_count(facts), nothing_listens, "all of guarded ports are Dragonfly's");
}

void assess_other_port(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct host *host;
	size_t found = 0;
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	host = facts->host;
	for (size_t i = 0; i < host->listener_count; i++) {
		const struct listener *listener = &host->listeners[i];
		struct finding *finding;
		struct value address;

		if (!listener_is_ours(listener) || !listener_held_by(host, listener, SERVER_DRAGONFLY))
			continue;
		judged++;
		if (audit_listener(facts, listener) != LISTENER_OTHER_PORT)
			continue;
		found++;
		finding = tell(check, facts, ret, listener, OUTCOME_FAIL,
			mem_format("is no port that the policy names, so that nothing guards it"));
		finding->origin = facts->policy->service.origin;
		if (address_is_loopback(listener_address(listener, &address), address))
			finding->severity = SEVERITY_INFO;
	}
	/* A server whose sockets are not known to be its own would not be among these. */
	if (!found && host->processes_read.unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "not all processes could be looked at: %s",
			host->processes_read.unknown);
	else
		end(check, facts, ret, found, judged, "no Dragonfly listens on this host",
			"Dragonfly listens only on ports that the policy names");
}

/* --- is there a server, and who can reach it? --- */

static bool names_port(const struct audit_facts *facts, const struct listener *listener)
{
	return role_of(facts, listener) == ROLE_MAIN;
}

void assess_server(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct process *server;
	const char *unit = facts->policy->service.unit;
	const struct host *host;
	const char *unknown;
	bool held = false;
	struct finding *finding;

	if (!host_known(check, facts, ret))
		return;
	host = facts->host;
	unknown = host->listeners_read.unknown	 ? host->listeners_read.unknown
		  : host->processes_read.unknown ? host->processes_read.unknown
						 : host->networks_read.unknown;
	server = find_server(host);
	for (size_t i = 0; i < host->listener_count; i++) {
		const struct listener *listener = &host->listeners[i];

		if (!names_port(facts, listener))
			continue;
		if (listener_held_by(host, listener, SERVER_DRAGONFLY)) {
			_cleanup_text_ struct text place = {0};
			_cleanup_text_ struct text holder = {0};

			listener_text(listener, &place);
			audit_holder_text(host, listener, &holder);
			finding_add(ret, check, OUTCOME_PASS, unit, "%s listens on %s", text_string(&holder),
				text_string(&place));
			return;
		}
		held = held || (listener_is_ours(listener) && listener->process_unknown);
	}
	if (held)
		finding_add(ret, check, OUTCOME_UNKNOWN, unit, "somebody listens, and who that is could not be told");
	else if (unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, unit, "not all of this host could be looked at: %s", unknown);
	else if (server)
		finding_add(ret, check, OUTCOME_FAIL, unit,
			"Dragonfly (process %u) listens on none of the policy's ports for clients", server->pid)
			->origin = facts->policy->service.origin;
	else if (facts->environment->server == SERVER_OPTIONAL)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, unit, "no Dragonfly runs, and none needs to");
	else {
		finding = finding_add(ret, check, OUTCOME_FAIL, unit, "no Dragonfly runs");
		finding->origin = facts->environment->server_origin ? facts->environment->server_origin
								    : facts->environment->origin;
		free(finding->remedy);
		finding->remedy = mem_format("systemctl start %s; or `server = optional` in environment %s, where "
					     "nobody needs to run one",
			unit, facts->environment->name);
	}
}

static bool all_on_loopback(const struct audit_facts *facts, enum role role, const struct listener **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		struct value address;

		if (!listener_is_ours(listener) || role_of(facts, listener) != role)
			continue;
		if (!address_is_loopback(listener_address(listener, &address), address))
			return false;
		*ret = listener;
	}
	return *ret != NULL;
}

void assess_loopback_only(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	static const enum role roles[] = {ROLE_MAIN, ROLE_ADMIN, ROLE_MEMCACHED};
	size_t found = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		const struct listener *listener;
		const struct audit_intention *told;
		struct finding *finding;

		if (!all_on_loopback(facts, roles[i], &listener) || !role_has_outsiders(facts, roles[i]))
			continue;
		found++;
		told = listener->process_count ? intention_of(facts, listener->processes[0]) : NULL;
		finding = tell(check, facts, ret, listener, OUTCOME_FAIL,
			mem_format("is only for this host, and %s names others", role_sources_name(roles[i])));
		finding->origin = role_sources(facts->environment, roles[i])->origin;
		free(finding->remedy);
		finding->remedy = binding_remedy(facts, roles[i], told ? told->intention : NULL,
			listener->process_count ? listener->processes[0] : LISTENERS_NO_INDEX);
	}
	end(check, facts, ret, found, guarded_count(facts), nothing_listens,
		"whoever the policy names finds a socket that is not only for this host");
}

/* --- Unix sockets --- */

void assess_unix(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct host *host;
	size_t judged = 0;
	size_t found = 0;

	if (!host_known(check, facts, ret))
		return;
	host = facts->host;
	for (size_t i = 0; i < host->unix_count; i++) {
		const struct unix_listener *listener = &host->unix_listeners[i];
		struct finding *finding;

		if (host->processes[listener->process].kind != SERVER_DRAGONFLY)
			continue;
		judged++;
		if (listener->path[0] == '@') {
			found++;
			finding_add(ret, check, OUTCOME_FAIL, listener->path,
				"is open to every user of this host: it has no file, and so no permissions");
		} else if (listener->mode_unknown) {
			found++;
			finding_add(ret, check, OUTCOME_UNKNOWN, listener->path,
				"its permissions could not be read: %s", listener->mode_unknown);
		} else if (listener->mode & S_IWOTH) {
			found++;
			finding_add(ret, check, OUTCOME_FAIL, listener->path,
				"has mode %04o: every user of this host may connect, unless its folder keeps them out",
				listener->mode & 07777u);
		} else if (listener->mode & S_IWGRP) {
			found++;
			finding = finding_add(ret, check, OUTCOME_FAIL, listener->path,
				"has mode %04o: all of group %u may connect", listener->mode & 07777u, listener->gid);
			finding->severity = SEVERITY_INFO;
		}
	}
	if (host->unix_read.unknown)
		finding_add(
			ret, check, OUTCOME_UNKNOWN, "Unix sockets", "could not be read: %s", host->unix_read.unknown);
	else if (!judged)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, "Unix sockets", "Dragonfly has none");
	else if (!found)
		finding_add(ret, check, OUTCOME_PASS, "Unix sockets", "only their owner may connect");
}

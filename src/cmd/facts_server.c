/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The server's own answers as facts: knocks as a stranger and, where the policy names somebody, asks as him; and what
 * the server was told about passwords. Whatever comes back is read by dflyguard-probe.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facts.h"

#define CONNECT_MILLISECONDS 2000u
#define PROBE_MILLISECONDS   40000u
/* More than that on one host are not looked at, and said to be unknown. */
#define MAX_PORTS   12u
#define MAX_SERVERS 8u

/* Questions that wait for their answers; -1: not asked. */
struct asked {
	struct probe_job *job;
	struct asked_port {
		int64_t server, memcached, root, metrics;
	} ports[MAX_PORTS];
	struct asked_told {
		int64_t requirepass, masterauth, aclfile;
	} * told;
};

/* --- what it was told --- */

static int64_t ask_secret(
	struct probe_job *job, const struct intention *intention, const char *name, struct server_secret *secret)
{
	const char *value = intention_text(intention, name);

	secret->set = value && *value;
	/* What cannot be seen may be there. */
	if (!secret->set && intention->unknown)
		secret->unknown = mem_string(intention->unknown);
	return secret->set ? secret_ask(job, value) : -1;
}

static int64_t ask_aclfile(
	const struct policy *policy, const struct host_facts *facts, struct probe_job *job, struct server_told *told)
{
	const char *path = intention_text(facts->told[told->intention].intention, "aclfile");
	size_t process = facts->intentions[told->intention].process;
	struct flagfile whose = {
		.process = process == LISTENERS_NO_INDEX ? NULL : &facts->host->processes[process], .policy = policy};
	char why[INTERVAL_WHY];
	struct stat status;
	int descriptor;

	if (!path || !*path)
		return -1;
	descriptor = flagfile_open(&whose, path, why);
	told->aclfile = ACLFILE_UNKNOWN;
	if (descriptor >= 0 && (fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode))) {
		close(descriptor);
		told->aclfile_why = mem_string("it is no regular file");
		return -1;
	}
	if (descriptor >= 0)
		return aclfile_ask(job, descriptor);
	if (descriptor == -ENOENT || descriptor == -ENOTDIR)
		told->aclfile = ACLFILE_ABSENT;
	else
		told->aclfile_why = mem_string(why);
	return -1;
}

static void ask_told(
	const struct policy *policy, const struct host_facts *facts, struct server_facts *server, struct asked *asked)
{
	asked->told = mem_zero(facts->count + 1, sizeof(*asked->told));
	for (size_t i = 0; i < facts->count; i++) {
		const struct intention *intention = facts->told[i].intention;
		struct asked_told *ids = &asked->told[server->told_count];
		struct server_told *told;

		told = server_facts_add_told(server);
		told->intention = i;
		*ids = (struct asked_told){-1, -1, -1};
		if (!intention || server->told_count > MAX_SERVERS) {
			told->unknown = intention ? mem_format("more than %u servers are not looked at", MAX_SERVERS)
						  : mem_string(facts->told[i].unknown);
			continue;
		}
		ids->requirepass = ask_secret(asked->job, intention, "requirepass", &told->requirepass);
		ids->masterauth = ask_secret(asked->job, intention, "masterauth", &told->masterauth);
		ids->aclfile = ask_aclfile(policy, facts, asked->job, told);
	}
}

/* --- ports --- */

/* Root's own file, or ours: whoever else could have written it would learn nothing, but could make the server's log
 * complain. */
static int open_password(const char *path, char **ret_why)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (descriptor < 0) {
		*ret_why = mem_format("%s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
		(status.st_uid == 0 || status.st_uid == geteuid()) && !(status.st_mode & 077))
		return descriptor;
	*ret_why = mem_format("%s is not a file of root's that nobody else may read: chmod 600 it", path);
	close(descriptor);
	return -1;
}

/* Anybody may listen on a port that is free, and call himself dragonfly: a password would be his. A control group is
 * entered by root alone; and who is root, or us, has it already. */
static bool is_the_server(const struct policy *policy, const struct host *host, const struct listener *listener)
{
	if (listener->process_unknown || !listener->process_count)
		return false;
	for (size_t i = 0; i < listener->process_count; i++) {
		const struct process *process = &host->processes[listener->processes[i]];
		bool of_unit = process->unit.text && strcmp(process->unit.text, policy->service.unit) == 0;
		bool trusted = process->uid_known && (process->uid == 0 || process->uid == geteuid());

		if (!of_unit && !trusted)
			return false;
	}
	return true;
}

static int choose_password(const struct policy *policy, const struct environment *environment, const struct host *host,
	struct server_port *port)
{
	const char *path = environment->monitor_password_file;

	if (!path)
		return -1;
	if (is_the_server(policy, host, &host->listeners[port->listener]))
		return open_password(path, &port->not_told);
	port->not_told = mem_format("it is not known to be of %s, and anybody could be there", policy->service.unit);
	return -1;
}

/* It spoke TLS to host_facts_read_tls(), or is to. */
static bool speaks_tls(const struct host_facts *facts, size_t listener)
{
	for (size_t i = 0; facts->tls && i < facts->tls->port_count; i++) {
		const struct tls_port *port = &facts->tls->ports[i];
		enum tls_outcome outcome = port->answers[OFFER_DEFAULT].outcome;

		if (port->listener == listener)
			return outcome == TLS_ACCEPTED || outcome == TLS_CERTIFICATE_REQUIRED;
	}
	return false;
}

enum door { DOOR_SERVER, DOOR_ROOT, DOOR_METRICS };
#define DOOR_COUNT (DOOR_METRICS + 1)

static void ask_port(const struct policy *policy, const struct environment *environment, const struct host_facts *facts,
	struct server_facts *server, struct server_port *port, struct asked *asked)
{
	const struct listener *listener = &facts->host->listeners[port->listener];
	size_t number = server->port_count - 1;
	struct asked_port *ids = &asked->ports[number];
	struct server_access access = {.tls = port->tls,
		.user = environment->monitor_user,
		.password = -1,
		.certificate = -1,
		.key = -1,
		.server_name = environment->server_names.reference_count ? environment->server_names.references[0].name
									 : NULL};
	struct probe_target targets[DOOR_COUNT];
	size_t count = port->protocol == PROTOCOL_MEMCACHED ? 1 : DOOR_COUNT;

	*ids = (struct asked_port){-1, -1, -1, -1};
	for (size_t i = 0; i < count; i++) {
		targets[i] = (struct probe_target){.port = listener->port};
		targets[i].width = listener_address(listener, &targets[i].address);
	}
	probe_connect(targets, count, CONNECT_MILLISECONDS);
	if (targets[0].code < 0) {
		port->why = mem_format("cannot connect: %s", strerror(-targets[0].code));
	} else if (port->protocol == PROTOCOL_MEMCACHED) {
		ids->memcached = server_ask_memcached(asked->job, number, targets[0].descriptor, port->tls);
	} else {
		access.password = choose_password(policy, environment, facts->host, port);
		ids->server = server_ask(asked->job, number, targets[0].descriptor, &access);
	}
	for (size_t i = 1; i < count; i++) {
		const char *path = i == DOOR_ROOT ? "/" : "/metrics";

		if (targets[i].code == 0)
			*(i == DOOR_ROOT ? &ids->root : &ids->metrics) =
				server_ask_http(asked->job, number, targets[i].descriptor, port->tls, path);
	}
}

static void ask_ports(const struct policy *policy, const struct environment *environment,
	const struct host_facts *facts, struct server_facts *server, struct asked *asked)
{
	const struct service *service = &policy->service;

	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		_cleanup_text_ struct text subject = {0};
		struct server_port *port;

		if (!listener->guarded || listener->network != 0)
			continue;
		listener_text(listener, &subject);
		port = server_facts_add_port(server);
		port->subject = text_take(&subject);
		port->port = listener->port;
		port->listener = i;
		port->protocol = listener->port == service->memcached_port ? PROTOCOL_MEMCACHED : PROTOCOL_RESP;
		port->admin = listener->port == service->admin_port;
		port->tls = speaks_tls(facts, i);
		if (server->port_count <= MAX_PORTS)
			ask_port(policy, environment, facts, server, port, asked);
		else
			port->why = mem_format("more than %u ports are not looked at", MAX_PORTS);
	}
}

/* --- answers --- */

static void hear_port(const struct records *records, const struct asked_port *ids, struct server_port *port)
{
	if (ids->server >= 0)
		server_hear(records, ids->server, port);
	if (ids->memcached >= 0)
		server_hear_memcached(records, ids->memcached, port);
	/* Who ends the connection instead of answering speaks no HTTP, which is no answer to its metrics. */
	if (ids->root >= 0)
		port->http.known = server_hear_http(records, ids->root, &port->http.root);
	if (ids->metrics >= 0)
		server_hear_http(records, ids->metrics, &port->http.metrics);
}

static void hear_told(const struct records *records, const struct asked_told *ids, struct server_told *told)
{
	if (ids->requirepass >= 0)
		secret_hear(records, ids->requirepass, &told->requirepass);
	if (ids->masterauth >= 0)
		secret_hear(records, ids->masterauth, &told->masterauth);
	if (ids->aclfile >= 0)
		aclfile_hear(records, ids->aclfile, told);
}

static void hear(struct server_facts *server, const struct asked *asked)
{
	struct probe_limits limits = {.milliseconds = PROBE_MILLISECONDS};
	struct records *records = NULL;
	struct err err = {0};

	if (probe_run(asked->job, &limits, &records, &err) < 0) {
		server->unknown = mem_string(err.message);
		for (size_t i = 0; i < server->told_count; i++) {
			struct server_told *told = &server->told[i];

			if (asked->told[i].requirepass >= 0)
				told->requirepass.unknown = mem_string(err.message);
			if (asked->told[i].masterauth >= 0)
				told->masterauth.unknown = mem_string(err.message);
			if (asked->told[i].aclfile >= 0)
				told->aclfile_why = mem_string(err.message);
		}
		return;
	}
	for (size_t i = 0; i < server->port_count && i < MAX_PORTS; i++)
		hear_port(records, &asked->ports[i], &server->ports[i]);
	for (size_t i = 0; i < server->told_count; i++)
		hear_told(records, &asked->told[i], &server->told[i]);
	records_free(records);
}

/* The server keeps one ACL LOG, whichever port is asked. What speaks TLS is told by the policy, since nobody knocks. */
static const struct listener *clients_listener(
	const struct policy *policy, const struct environment *environment, const struct host *host, bool *ret_tls)
{
	const struct service *service = &policy->service;

	for (size_t i = 0; i < host->listener_count; i++) {
		const struct listener *listener = &host->listeners[i];

		if (listener->network != 0 || (listener->port != service->port && listener->port != service->tls_port))
			continue;
		*ret_tls = listener->port == service->tls_port && environment->tls != TLS_OFF;
		return listener;
	}
	return NULL;
}

struct server_facts *host_facts_ask_attacks(
	const struct policy *policy, const struct environment *environment, const struct host_facts *facts)
{
	struct probe_limits limits = {.milliseconds = PROBE_MILLISECONDS};
	struct server_access access = {.user = environment->monitor_user,
		.certificate = -1,
		.key = -1,
		.server_name =
			environment->server_names.reference_count ? environment->server_names.references[0].name : NULL,
		.attacks = true};
	const struct listener *listener = environment->monitor_password_file && facts->host
						  ? clients_listener(policy, environment, facts->host, &access.tls)
						  : NULL;
	struct server_facts *server;
	struct server_port *port;
	struct probe_target target;
	struct probe_job *job;
	struct records *records = NULL;
	struct err err = {0};
	int64_t id;

	if (!listener)
		return NULL;
	server = server_facts_new();
	port = server_facts_add_port(server);
	target = (struct probe_target){.port = listener->port};
	target.width = listener_address(listener, &target.address);
	probe_connect(&target, 1, CONNECT_MILLISECONDS);
	if (target.code < 0) {
		port->why = mem_format("cannot connect: %s", strerror(-target.code));
		return server;
	}
	port->listener = (size_t)(listener - facts->host->listeners);
	access.password = choose_password(policy, environment, facts->host, port);
	if (access.password < 0) {
		close(target.descriptor);
		port->why = mem_string(port->not_told);
		return server;
	}
	job = probe_job_new();
	id = server_ask(job, 0, target.descriptor, &access);
	if (probe_run(job, &limits, &records, &err) < 0)
		port->why = mem_string(err.message);
	else
		server_hear(records, id, port);
	records_free(records);
	probe_job_free(job);
	return server;
}

void host_facts_read_server(
	const struct policy *policy, const struct environment *environment, struct host_facts *facts)
{
	struct server_facts *server = server_facts_new();
	struct asked asked = {.job = probe_job_new()};

	server->monitor = environment->monitor_password_file != NULL;
	ask_told(policy, facts, server, &asked);
	ask_ports(policy, environment, facts, server, &asked);
	hear(server, &asked);
	probe_job_free(asked.job);
	free(asked.told);
	server_facts_free(facts->server);
	facts->server = server;
}

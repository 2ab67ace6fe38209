/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Doors of the server that need not be open, and what it runs as. */

#include <string.h>

#include "audit_server.h"

/* --- the admin port --- */

static void assess_admin_tls(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret)
{
	const struct intention *intention = told_intention(facts, told);
	const char *subject = told_subject(facts, told);

	if (intention_number(intention, "admin_port") == 0)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "it has no admin port");
	else if (facts->environment->admin_tls == ADMIN_TLS_REQUIRED &&
		 intention_bool(intention, "no_tls_on_admin_port"))
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"the admin port speaks plaintext (--no_tls_on_admin_port), where the policy says admin_tls = "
			"required")
			->origin = facts->environment->admin_tls_origin;
	else if (facts->environment->admin_tls == ADMIN_TLS_REQUIRED && !intention_bool(intention, "tls"))
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"the admin port speaks plaintext (no --tls), where the policy says admin_tls = required")
			->origin = facts->environment->admin_tls_origin;
}

void assess_exposure_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_told(check, facts, ret, assess_admin_tls, "the admin port speaks TLS, or the policy does not ask for it");
}

/* --- memcached --- */

static bool is_memcached(const struct server_port *port)
{
	return port->protocol == PROTOCOL_MEMCACHED;
}

static void assess_open_memcached(const struct check *check, const struct audit_facts *facts _unused_,
	const struct server_port *port, struct findings *ret)
{
	if (port->ping == PING_UNKNOWN)
		finding_add(
			ret, check, OUTCOME_UNKNOWN, port->subject, "%s", port->why ? port->why : "nothing is known");
	else if (port->memcached_served)
		finding_add(ret, check, OUTCOME_FAIL, port->subject,
			"it serves memcached, which has no passwords: whoever reaches it reads and writes all data");
	else if (port->ping == PING_REFUSED && (!port->said || !strstr(port->said, "NOPERM")))
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "what it answers is not known here: %s",
			port->said ? port->said : "");
}

void assess_exposure_memcached(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_port(check, facts, ret, is_memcached, assess_open_memcached, "nothing listens on a memcached port",
		"it serves nobody who only speaks");
}

/* --- the console, and metrics --- */

static bool has_http(const struct server_port *port)
{
	return port->protocol == PROTOCOL_RESP && !port->admin;
}

static void assess_http(const struct check *check, const struct audit_facts *facts _unused_,
	const struct server_port *port, struct findings *ret)
{
	if (!port->http.known)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "nothing came");
	else if (port->http.root)
		finding_add(ret, check, OUTCOME_FAIL, port->subject,
			"clients' port speaks HTTP, too: a console that can read and change every setting");
}

void assess_exposure_console(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_port(check, facts, ret, has_http, assess_http, "nothing listens for clients", "it speaks no HTTP");
}

static void assess_metrics(const struct check *check, const struct audit_facts *facts _unused_,
	const struct server_port *port, struct findings *ret)
{
	if (!port->http.known)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "nothing came");
	else if (port->http.metrics == 200)
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "/metrics tells everybody who reaches it");
}

void assess_exposure_metrics(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_port(check, facts, ret, has_http, assess_metrics, "nothing listens for clients", "it shows no metrics");
}

/* --- root --- */

void assess_exposure_root(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->host->process_count; i++) {
		const struct process *process = &facts->host->processes[i];
		_cleanup_free_ char *subject = mem_format(
			"%s, process %u", process->command.text ? process->command.text : "dragonfly", process->pid);

		if (process->kind != SERVER_DRAGONFLY)
			continue;
		judged++;
		if (!process->uid_known)
			finding_add(ret, check, OUTCOME_UNKNOWN, subject, "as whom it runs could not be read");
		else if (process->uid == 0)
			finding_add(ret, check, OUTCOME_FAIL, subject, "it runs as root");
		else
			finding_add(ret, check, OUTCOME_PASS, subject, "it runs as %s",
				process->user.text ? process->user.text : "a user of its own");
	}
	if (!judged)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, "server", "no Dragonfly runs");
}

/* --- replication --- */

static void assess_replica(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret)
{
	const struct intention *intention = told_intention(facts, told);
	const char *subject = told_subject(facts, told);
	bool tls = intention_bool(intention, "tls_replication");
	struct finding *finding = NULL;

	if (intention->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", intention->unknown);
	else if (tls && !intention_has(intention, "tls_key_file"))
		finding = finding_add(ret, check, OUTCOME_FAIL, subject,
			"without tls_key_file --tls_replication falls back to plaintext, and sends masterauth in it");
	else if (!intention_has(intention, "replicaof") && !intention_has(intention, "masterauth"))
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "it was not told to be a replica");
	else if (!tls && facts->environment->tls == TLS_REQUIRED)
		finding = finding_add(ret, check, OUTCOME_FAIL, subject,
			"it replicates in plaintext, where the policy says tls = required");
	else if (!tls)
		finding_add(ret, check, OUTCOME_PASS, subject, "it replicates in plaintext, which tls = %s allows",
			tls_mode_name(facts->environment->tls));
	else if (!intention_has(intention, "tls_ca_cert_file") && !intention_has(intention, "tls_ca_cert_dir"))
		finding = finding_add(ret, check, OUTCOME_FAIL, subject,
			"it believes any master: without tls_ca_cert_file nothing is verified");
	if (finding)
		finding->origin = facts->environment->tls_origin;
}

void assess_exposure_replication(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_told(check, facts, ret, assess_replica,
		"it replicates over TLS, and verifies the master's certificate (but never its name)");
}

/* --- versions --- */

/* What a version does not have yet that an operator would want: dragonfly-facts.md 0.1. The newest first. */
static const struct {
	unsigned int major, minor;
	const char *what;
} fixes[] = {
	{1, 39, "passwords that are refused are written into the log"},
	{1, 37, "memcached_port ignores bind, and nothing keeps an open server to this host"},
};

static bool is_resp(const struct server_port *port)
{
	return port->protocol == PROTOCOL_RESP && !port->admin;
}

static void assess_version(const struct check *check, const struct audit_facts *facts, const struct server_port *port,
	struct findings *ret)
{
	_cleanup_text_ struct text missing = {0};
	unsigned int major, minor;

	if (!port->dragonfly_version && (port->redis_version || port->valkey_version)) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, port->subject, "it is not Dragonfly: %s %s",
			port->valkey_version ? "Valkey" : "Redis",
			port->valkey_version ? port->valkey_version : port->redis_version);
		return;
	}
	if (!port->dragonfly_version) {
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "it does not tell its version%s%s",
			port->not_told		 ? ": "
			: facts->server->monitor ? ""
						 : ": the policy has no monitor_password_file",
			port->not_told ? port->not_told : "")
			->severity = SEVERITY_INFO;
		return;
	}
	if (sscanf(port->dragonfly_version, "df-v%u.%u", &major, &minor) != 2 &&
		sscanf(port->dragonfly_version, "v%u.%u", &major, &minor) != 2 &&
		sscanf(port->dragonfly_version, "%u.%u", &major, &minor) != 2) {
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "'%s' is no version", port->dragonfly_version);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixes); i++)
		if (major < fixes[i].major || (major == fixes[i].major && minor < fixes[i].minor))
			text_printf(&missing, "%s%s", missing.length ? "; " : "", fixes[i].what);
	if (missing.length)
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "%s is old: %s", port->dragonfly_version,
			text_string(&missing));
}

void assess_exposure_version(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_port(check, facts, ret, is_resp, assess_version, "nothing listens for clients",
		"it has all fixes known here");
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "audit_private.h"

/* A new check is a row here, a function in the file of its area, and its fixtures in tests/unit/test_audit.c. */
static const struct check checks[] = {
	{"firewall.in_force", "firewall", SEVERITY_CRITICAL, "the firewall is in force",
		"The table is there, is not dormant, and its three hooks have rules. Where it is not, nobody is "
		"refused. "
		"Unknown: the kernel could not be read.",
		"dflyguard audit --heal, or dflyguard apply; then find out who took it away: nft monitor",
		assess_in_force},
	{"firewall.drift", "firewall", SEVERITY_CRITICAL, "the kernel has what the policy says",
		"Flags, chains, rules in their order, and sets by what they cover. Any difference may let somebody in "
		"or "
		"keep somebody out. Unknown: the kernel could not be read.",
		"dflyguard audit --heal puts it back; dflyguard plan shows the same differences", assess_drift},
	{"firewall.foreign_nat", "firewall", SEVERITY_WARNING, "no other table maps a guarded port",
		"Another table leads another port to a guarded one, or a guarded one elsewhere. Translated packets are "
		"judged a second time by their source, but bind is not asked. Critical where the packet is rewritten, "
		"or "
		"goes to another socket, so that it is not judged. Unknown: a rule's target could not be told, or the "
		"tables could not be read.",
		"take the rule out if nobody meant it, or guard the port that clients use", assess_foreign_nat},
	{"firewall.notrack", "firewall", SEVERITY_CRITICAL, "guarded ports are tracked",
		"A notrack rule may hit packets of a guarded port. They are refused as untracked, whoever sends them. "
		"Unknown: other tables could not be read.",
		"except the guarded ports from the notrack rule", assess_notrack},
	{"firewall.flowtable", "firewall", SEVERITY_CRITICAL, "no connection passes by the chains",
		"A flowtable takes over connections of a guarded port, or packets are sent on by fwd before any chain: "
		"they "
		"are not judged, and revoking a source does not cut them. Unknown: other tables could not be read.",
		"except the guarded ports from the rule with `flow add` or `fwd`", assess_flowtable},
	{"firewall.foreign_drop", "firewall", SEVERITY_WARNING, "other tables let the clients pass",
		"Another table drops a packet that the policy allows: nobody gets in who should not, but somebody "
		"stays out "
		"who should get in. Unknown (informational): it depends on what cannot be told beforehand, as a rate "
		"or "
		"an interface. Unknown (warning): other tables could not be read.",
		"allow the guarded ports for these sources in the other firewall, too", assess_foreign_drop},
	{"firewall.legacy", "firewall", SEVERITY_WARNING, "no tables of legacy iptables",
		"Tables of the iptables before nf_tables are there. Their rules raise no event and change no "
		"generation, "
		"and what they do to guarded ports is not looked at. Unknown: /proc could not be read.",
		"move to iptables-nft: iptables-legacy-save | iptables-nft-restore, then unload the modules",
		assess_legacy},
	{"firewall.owner", "firewall", SEVERITY_WARNING, "no other program owns the port's tables",
		"Our table, or another one that names a guarded port, belongs to a running program, which nobody else "
		"can "
		"change it against. Unknown: other tables could not be read.",
		"decide which program is to manage the port", assess_owner},
	{"bind.server", "bind", SEVERITY_WARNING, "a server runs",
		"A Dragonfly listens on the policy's ports for clients, on this host or in one of its containers. "
		"Where the "
		"environment says `server = optional` it need not. Unknown: sockets or processes could not be looked "
		"at.",
		"systemctl start the unit; or write `server = optional`, where nobody needs to run one", assess_server},
	{"bind.wildcard", "bind", SEVERITY_CRITICAL, "no guarded port is open on all addresses",
		"A socket of a guarded port takes connections to every address of this host: 0.0.0.0, ::, or the "
		"IPv4-mapped wildcard. A warning where the firewall is in force and asks for the destination, or where "
		"the "
		"policy has no bind. Unknown: sockets could not be read.",
		"write --bind=ADDRESS in the server's flagfile, and start it anew", assess_wildcard},
	{"bind.public", "bind", SEVERITY_CRITICAL, "no guarded port is open on a public address",
		"The address is one that the Internet may route to (none of the blocks of RFC 6890), and the policy "
		"does "
		"not list it. Unknown: sockets could not be read.",
		"write --bind=ADDRESS in the server's flagfile, and start it anew", assess_public},
	{"bind.unlisted", "bind", SEVERITY_WARNING, "guarded ports are open only on the policy's addresses",
		"A socket of a guarded port is on one address, which bind (for the admin port admin_bind) does not "
		"list. "
		"Informational where only this host reaches it. Unknown: sockets could not be read.",
		"write --bind=ADDRESS in the server's flagfile and start it anew, or list the address",
		assess_unlisted},
	{"bind.absent", "bind", SEVERITY_WARNING, "this host has the policy's addresses",
		"bind or admin_bind has an address that no interface of this host has. A server that is told to listen "
		"there "
		"does not start, or starts without its admin port. Unknown: the interfaces could not be read.",
		"give an interface the address (ip address), or take it out of the policy", assess_absent},
	{"bind.admin", "bind", SEVERITY_CRITICAL, "the admin port is not open on all addresses",
		"Without --admin_bind the admin port is on all addresses, whatever bind says, and it asks for less "
		"than "
		"the "
		"others. A warning where the firewall is in force and asks for the destination, or where the policy "
		"has no "
		"bind. Unknown: sockets could not be read.",
		"write --admin_bind=ADDRESS in the server's flagfile, and start it anew", assess_admin},
	{"bind.memcached", "bind", SEVERITY_CRITICAL, "the memcached port does as bind says",
		"Dragonfly before v1.37 opens its memcached port on all addresses, whatever bind says; and of a "
		"memcached_port over 65535 it takes the low 16 bits. Nobody is asked for a password there. A warning "
		"where "
		"the firewall is in force and asks for the destination. Unknown: sockets could not be read.",
		"take Dragonfly v1.37 or later, or write --memcached_port=0", assess_memcached},
	{"bind.protected_mode", "bind", SEVERITY_WARNING, "nobody relies on protected mode",
		"Dragonfly's protected mode is only this: since v1.37, a server that systemd starts without bind and "
		"without "
		"password listens on 127.0.0.1. With bind, or without systemd, it protects nothing; and where it does, "
		"clients of other hosts stay outside. Unknown: what the server was told could not be read.",
		"set --requirepass (or DFLY_requirepass, or an aclfile), and --bind", assess_protected_mode},
	{"bind.published", "bind", SEVERITY_WARNING, "no container's port is published on all addresses",
		"docker-proxy or rootlessport listens on all addresses for a container. What DNAT alone publishes, "
		"firewall.foreign_nat tells. Unknown: who holds a socket could not be told.",
		"publish it on one address: -p ADDRESS:PORT:PORT", assess_published},
	{"bind.loopback_only", "bind", SEVERITY_WARNING, "whoever the policy names can reach the server",
		"All sockets of a port are on loopback addresses, and the policy names clients on other hosts. "
		"Unknown: "
		"sockets could not be read.",
		"write --bind=ADDRESS in the server's flagfile, and start it anew", assess_loopback_only},
	{"bind.other_port", "bind", SEVERITY_CRITICAL, "Dragonfly has no port that the policy does not name",
		"Nothing guards such a port. Informational on a loopback address. Unknown: not all processes could be "
		"looked at.",
		"name the port in the policy's service section, or close it", assess_other_port},
	{"bind.stranger", "bind", SEVERITY_WARNING, "guarded ports are Dragonfly's",
		"Another program holds a socket of a guarded port: clients talk to that one. Unknown: who holds it "
		"could "
		"not be told.",
		"stop it, or give it another port", assess_stranger},
	{"bind.unix", "bind", SEVERITY_WARNING, "not every user may connect to Dragonfly's Unix socket",
		"There nobody is asked for a password, whatever requirepass and aclfile say. Informational where only "
		"a "
		"group may connect. Unknown: its permissions could not be read.",
		"write --unixsocketperm=700 in the server's flagfile, and start it anew", assess_unix},
	{"bind.intention", "bind", SEVERITY_WARNING, "the next start is as the policy says",
		"The command line, environment and flagfiles as they are now: the server would not start, or would "
		"listen "
		"elsewhere than the policy says. Unknown: they could not be read, or an address is a name.",
		"mend what the message names, and start the server anew", assess_intention},
	{"bind.disagree", "bind", SEVERITY_WARNING, "what runs is what is written",
		"A server listens elsewhere than its flags say by now, or does not read the flagfile that the policy "
		"names. "
		"Unknown: what it was told, or its sockets, could not be read.",
		"start the server anew, or name the flagfile that it reads in the policy", assess_disagree},
};

const struct check *audit_checks(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(checks);
	return checks;
}

/* --- words --- */

static const char *const severity_names[] = {
	[SEVERITY_INFO] = "info", [SEVERITY_WARNING] = "warning", [SEVERITY_CRITICAL] = "critical"};

const char *severity_name(enum severity severity)
{
	return severity_names[severity];
}

bool severity_parse(const char *name, enum severity *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(severity_names); i++)
		if (strcmp(severity_names[i], name) == 0) {
			*ret = (enum severity)i;
			return true;
		}
	return false;
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[] = {[OUTCOME_PASS] = "pass",
		[OUTCOME_FAIL] = "fail",
		[OUTCOME_UNKNOWN] = "unknown",
		[OUTCOME_NOT_APPLICABLE] = "not-applicable"};

	return names[outcome];
}

/* --- findings --- */

struct finding *finding_add(struct findings *findings, const struct check *check, enum outcome outcome,
	const char *subject, const char *format, ...)
{
	struct finding *finding;
	char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		abort();
	va_end(arguments);
	ARRAY_GROW(findings->items, findings->count, findings->capacity);
	finding = &findings->items[findings->count++];
	*finding = (struct finding){.check = check,
		.severity = check->severity,
		.outcome = outcome,
		.subject = mem_string(subject),
		.message = message,
		.remedy = outcome == OUTCOME_FAIL ? mem_string(check->remedy) : NULL};
	return finding;
}

void findings_done(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].subject);
		free(findings->items[i].message);
		free(findings->items[i].evidence);
		free(findings->items[i].remedy);
	}
	free(findings->items);
	*findings = (struct findings){0};
}

static int compare(const void *left, const void *right)
{
	static const int order[] = {
		[OUTCOME_FAIL] = 0, [OUTCOME_UNKNOWN] = 1, [OUTCOME_PASS] = 2, [OUTCOME_NOT_APPLICABLE] = 3};
	const struct finding *a = left;
	const struct finding *b = right;

	if (a->outcome != b->outcome)
		return order[a->outcome] - order[b->outcome];
	if (a->severity != b->severity)
		return a->severity > b->severity ? -1 : 1;
	if (a->check != b->check)
		return a->check < b->check ? -1 : 1;
	int by_subject = strcmp(a->subject, b->subject);

	return by_subject ? by_subject : strcmp(a->message, b->message);
}

void findings_sort(struct findings *findings)
{
	qsort(findings->items, findings->count, sizeof(*findings->items), compare);
}

void audit_run(const struct audit_facts *facts, struct findings *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		checks[i].assess(&checks[i], facts, ret);
	findings_sort(ret);
}

size_t findings_count(const struct findings *findings, enum outcome outcome, enum severity at_least)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].outcome == outcome && findings->items[i].severity >= at_least;
	return count;
}

int findings_exit(const struct findings *findings, enum severity fail_on)
{
	if (findings_count(findings, OUTCOME_FAIL, fail_on))
		return 1;
	return findings_count(findings, OUTCOME_UNKNOWN, fail_on) ? 2 : 0;
}

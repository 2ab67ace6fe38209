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
		"Our table belongs to a running program that is not dflyguard, or another one that names a guarded "
		"port "
		"has an owner: nobody else can change it. Critical where our table is gone when its owner ends. "
		"Unknown: "
		"who owns our table cannot be told, or other tables could not be read.",
		"decide which program is to manage the port, and stop the other one", assess_owner},
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
	{"tls.files", "tls", SEVERITY_CRITICAL, "the server's TLS files can be used",
		"A certificate or key that its flags name is missing, cannot be read by its user, or cannot be "
		"understood. Dragonfly starts with some of these, and then every handshake fails. Unknown: it could "
		"not be looked at.",
		"put the file there, readable for the server's user: --tls_cert_file=, --tls_key_file=, "
		"--tls_ca_cert_file= in the flagfile",
		assess_tls_files},
	{"tls.key_private", "tls", SEVERITY_CRITICAL, "nobody else reads the key",
		"Others on this host may read the private key, and with it be the server. Its group alone: "
		"informational. Unknown: it could not be looked at.",
		"chmod 0600 the key, owned by the server's user; then renew it, since it may be known",
		assess_tls_key_private},
	{"tls.key_match", "tls", SEVERITY_CRITICAL, "the key is the certificate's",
		"Dragonfly starts with a key of another certificate and says nothing, and every handshake fails. "
		"Unknown: one of both could not be read.",
		"name the files that belong together in --tls_cert_file= and --tls_key_file=", assess_tls_key_match},
	{"tls.strength", "tls", SEVERITY_WARNING, "keys and signatures are strong",
		"RSA below 2048 bits, a curve below 256, or a signature with MD5 or SHA-1 in the chain. Unknown: the "
		"certificate could not be read.",
		"make a new key: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, and have it signed",
		assess_tls_strength},
	{"tls.validity", "tls", SEVERITY_CRITICAL, "certificates are valid",
		"A certificate has ended, is not valid yet, or ends within certificate_fail_days; a warning within "
		"certificate_warn_days. Dragonfly serves one that ended without a word. Unknown: it could not be read.",
		"renew it, then without a restart: CONFIG SET tls_cert_file PATH, CONFIG SET tls_key_file PATH, CONFIG "
		"SET tls true",
		assess_tls_validity},
	{"tls.names", "tls", SEVERITY_WARNING, "the certificate is for the names that clients use",
		"A client that checks whom it talks to will not connect, or checks nothing. Asked are server_names, "
		"and where there are none the addresses in bind. Unknown: the certificate could not be read.",
		"have a certificate made with these as subjectAltName, or write server_names into the policy",
		assess_tls_names},
	{"tls.chain", "tls", SEVERITY_WARNING, "clients can follow the chain",
		"The chain is broken, or the certificate signed itself where the policy does not allow it. Unknown "
		"(informational): it ends at an authority that this host does not know, which clients must.",
		"put the certificates in between into --tls_cert_file, the server's own first; or self_signed = allow",
		assess_tls_chain},
	{"tls.handshake", "tls", SEVERITY_CRITICAL, "TLS is spoken where it is to be",
		"A port where the policy expects TLS speaks something else, or fails every handshake. Unknown: it did "
		"not answer, or could not be reached.",
		"--tls with --tls_cert_file= and --tls_key_file= in the flagfile; then start the server anew",
		assess_tls_handshake},
	{"tls.versions", "tls", SEVERITY_CRITICAL, "nothing older than TLS 1.2",
		"TLS 1.0 or 1.1 is accepted. Dragonfly never does since v1.20; something else listens there, or stands "
		"before it. Unknown: it did not answer.",
		"take out what ends TLS before the server, or set its least version to 1.2", assess_tls_versions},
	{"tls.ciphers", "tls", SEVERITY_CRITICAL, "no weak ciphers",
		"A cipher without certificate (anybody can be the server), without encryption, or one that is broken "
		"is accepted, which --tls_ciphers can allow. Unknown: it did not answer.",
		"take --tls_ciphers out of the flagfile, so that its default holds: DEFAULT:!MEDIUM",
		assess_tls_ciphers},
	{"tls.served", "tls", SEVERITY_WARNING, "the certificate in the file is served",
		"The server still has another certificate than its file: it does not read a new one on its own. "
		"Unknown: one of both is not known.",
		"CONFIG SET tls true makes the server read its files again, or start it anew", assess_tls_served},
	{"tls.client_certificates", "tls", SEVERITY_CRITICAL, "clients need a certificate",
		"The policy says client_certificates = required, and the server serves who has none. Unknown: it did "
		"not answer.",
		"--tls_ca_cert_file= in the flagfile, with the authority that signs clients' certificates",
		assess_tls_client_certificates},
	{"tls.plaintext", "tls", SEVERITY_CRITICAL, "plaintext is refused",
		"A port where the policy demands TLS answers plaintext: CONFIG SET tls false does that to a running "
		"server, without a line in its log. Unknown: it did not answer.",
		"CONFIG SET tls true; then find out who turned it off, and take CONFIG from them: ACL SETUSER NAME "
		"-config",
		assess_tls_plaintext},
	{"auth.password", "auth", SEVERITY_CRITICAL, "it is told to ask for a password",
		"Without requirepass, or with an aclfile that cannot be used, is empty, or does not name default, "
		"Dragonfly lets everybody in, and says nothing. Unknown: what it is told could not be read.",
		"--requirepass=PASSWORD in a flagfile that only root and the server may read; openssl rand -base64 30 "
		"makes one",
		assess_auth_told},
	{"auth.open", "auth", SEVERITY_CRITICAL, "the running server asks for a password",
		"A PING without a password was answered. Unknown: it did not answer at all.",
		"ACL SETUSER default RESETPASS >PASSWORD closes it at once; then --requirepass=PASSWORD in the "
		"flagfile",
		assess_auth_live},
	{"auth.admin", "auth", SEVERITY_CRITICAL, "the admin port asks for a password",
		"Whoever reaches it may do everything, past all ACLs. It knows requirepass alone, and with "
		"--admin_nopass not even that. Unknown: it did not answer, or what it is told could not be read.",
		"take --admin_nopass out of the flagfile, and set --requirepass=PASSWORD", assess_auth_admin},
	{"auth.http", "auth", SEVERITY_CRITICAL, "the HTTP console asks for a password",
		"The console shows every flag with its passwords, and sets them. It has the password that requirepass "
		"was at the start: one that was set later does not close it. Unknown: it did not answer.",
		"--requirepass=PASSWORD in the flagfile and a restart, or --primary_port_http_enabled=false",
		assess_auth_http},
	{"auth.aclfile", "auth", SEVERITY_CRITICAL, "the file of users does what it should",
		"One line that Dragonfly does not understand (a comment, a word of Redis, too few words), and the "
		"whole file is left aside; one that does not name default leaves it open. Unknown: it could not be "
		"read.",
		"mend the line; begin with: user default ON >PASSWORD ~* +@all", assess_auth_aclfile},
	{"auth.users", "auth", SEVERITY_CRITICAL, "every user of the running server needs a password",
		"A user is nopass, or the empty password is one of its: CONFIG SET requirepass with nothing leaves "
		"that behind, and a later one does not take it away. Unknown: the server does not tell, or does not "
		"let in who may ask.",
		"ACL SETUSER NAME RESETPASS >PASSWORD", assess_auth_users},
	{"auth.strength", "auth", SEVERITY_WARNING, "passwords are hard to guess",
		"Shorter than 16 characters, or guessed in fewer than 2^64 tries: Dragonfly does not slow down who "
		"guesses. Unknown: it could not be read.",
		"openssl rand -base64 30 makes one", assess_auth_strength},
	{"auth.places", "auth", SEVERITY_WARNING, "passwords stand where only the server reads them",
		"The command line is open to all who are on this host, and so is a flagfile that others may read. "
		"Unknown: who may read it is not known.",
		"put it into the flagfile, chmod 0640, owned by root and the server's group; CONFIG REWRITE opens it "
		"again",
		assess_auth_places},
	{"auth.writable", "auth", SEVERITY_WARNING, "only root writes what the server is told",
		"Others may change the flagfile, and with it where the server listens and whom it lets in. Its own "
		"user: informational. Unknown: who may write it is not known.",
		"chown root: the flagfile, and chmod go-w it and its folder", assess_auth_writable},
	{"exposure.admin", "exposure", SEVERITY_WARNING, "the admin port speaks TLS",
		"The policy says admin_tls = required, and the server is told otherwise. Unknown: what it is told "
		"could not be read.",
		"take --no_tls_on_admin_port out of the flagfile, or say admin_tls = off", assess_exposure_admin},
	{"exposure.memcached", "exposure", SEVERITY_WARNING, "no memcached",
		"Its protocol has no passwords. Only memcached_clients keeps others away. Unknown: it did not answer.",
		"take --memcached_port out of the flagfile", assess_exposure_memcached},
	{"exposure.console", "exposure", SEVERITY_INFO, "clients' port speaks no HTTP",
		"The console is on the port that clients use, unless it is turned off. Unknown: it did not answer.",
		"--primary_port_http_enabled=false in the flagfile; metrics are on the admin port, too",
		assess_exposure_console},
	{"exposure.metrics", "exposure", SEVERITY_INFO, "metrics are not for everybody",
		"Whoever may connect reads /metrics without a password. Unknown: it did not answer.",
		"--primary_port_http_enabled=false in the flagfile, and scrape the admin port",
		assess_exposure_metrics},
	{"exposure.root", "exposure", SEVERITY_WARNING, "it does not run as root",
		"Whoever breaks into the server owns this host. Unknown: as whom it runs could not be read.",
		"User=dfly in its unit, or --user=dfly", assess_exposure_root},
	{"exposure.replication", "exposure", SEVERITY_CRITICAL, "replication is encrypted",
		"Without a key --tls_replication silently falls back to plaintext; without an authority it believes "
		"any master. Unknown: what it is told could not be read.",
		"--tls_replication with --tls_key_file=, --tls_cert_file= and --tls_ca_cert_file=",
		assess_exposure_replication},
	{"exposure.version", "exposure", SEVERITY_WARNING, "the version has the fixes that matter",
		"An older version lacks what keeps passwords out of its log, or memcached on bind. Unknown "
		"(informational): it does not tell.",
		"install a newer version", assess_exposure_version},
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

void audit_run(const struct audit_facts *facts, struct findings *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		checks[i].assess(&checks[i], facts, ret);
	qsort(ret->items, ret->count, sizeof(*ret->items), compare);
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

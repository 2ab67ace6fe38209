/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/audit share. */

#include "audit.h"

/* ---- checks_AREA.c: the checks of one area ---- */
struct check_table {
	const struct check *checks;
	size_t count;
};
extern const struct check_table firewall_checks, bind_checks, tls_checks, auth_checks, exposure_checks, logs_checks,
	policy_checks;

/* Appends a finding of the check, with the check's severity and remedy. The pointer is good until the next one. */
struct finding *finding_add(struct findings *findings, const struct check *check, enum outcome outcome,
	const char *subject, const char *format, ...) _printf_(5, 6);

/* As audit_run() leaves them: failures first, then what is unknown, the worst first. */
void findings_sort(struct findings *findings);

/* ---- audit_firewall.c: our table ---- */
void assess_in_force(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_drift(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_bindguard.c: the guard at bind(2) ---- */
void assess_bind_guard(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_foreign.c: other tables ---- */
void assess_foreign_nat(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_notrack(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_flowtable(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_foreign_drop(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_legacy(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_owner(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_listener.c: what a socket is, seen from the policy ---- */

/* The addresses that the policy lists for a role, as `bind` or `admin_bind`; `given` is false where it asks for none.
 */
const struct source_list *role_addresses(const struct environment *environment, enum role role);
/* "bind" or "admin_bind": the policy's option that role_addresses() took, and the flag of Dragonfly. */
const char *role_option(const struct environment *environment, enum role role);
const char *role_flag(enum role role);
/* Who may reach it. */
const struct source_list *role_sources(const struct environment *environment, enum role role);
/* "clients", "admins", "memcached_clients". Static. */
const char *role_sources_name(enum role role);
bool address_listed(const struct source_list *list, enum width width, struct value address);
bool address_is_loopback(enum width width, struct value address);
/* Packets from anywhere in the Internet may be routed to it: none of the blocks that RFC 6890 and its registries set
 * apart. */
bool address_is_public(enum width width, struct value address);
/* In the network namespace that the policy is about: ours. */
bool listener_is_ours(const struct listener *listener);
/* Whether a process of this kind holds it. */
bool listener_held_by(const struct host *host, const struct listener *listener, enum server_kind kind);
bool process_is_ours(const struct process *process);
/* The firewall is known to be in force, and asks for the destination: what the socket would let in it refuses. */
bool firewall_holds(const struct audit_facts *facts, enum role role);
/* The intention of this process, or NULL where there is none or it is not known. */
const struct audit_intention *intention_of(const struct audit_facts *facts, size_t process);
/* What to write where, so that the server listens on the policy's address; then how to restart. `process` is an index
 * in host.processes, or LISTENERS_NO_INDEX; `intention` may be NULL. The caller frees it. */
char *binding_remedy(
	const struct audit_facts *facts, enum role role, const struct intention *intention, size_t process);
/* What an address is, of a socket of ours for this role. Pure. */
enum listener_verdict judge_address(
	const struct audit_facts *facts, enum role role, enum width width, struct value address, bool wildcard);
/* An interface of this host has it, or it is loopback. `facts->host` and its addresses are known. Pure. */
bool address_is_here(const struct audit_facts *facts, enum width width, struct value address);
/* The policy lets others than this host reach it. */
bool role_has_outsiders(const struct audit_facts *facts, enum role role);
/* "10.20.0.5, 127.0.0.1 and 3 more": what `bind` or `admin_bind` holds. */
void role_addresses_text(const struct environment *environment, enum role role, struct text *text);
/* The server does not do as `bind` says on its memcached port: what versions before 1.37 do. */
bool memcached_ignores_bind(const struct audit_facts *facts, const struct listener *listener);
/* False: the check has its finding, since sockets and processes were not looked at. */
bool host_known(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_bind.c: sockets ---- */
void assess_wildcard(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_public(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_unlisted(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_absent(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_published(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_loopback_only(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_server(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_other_port(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_stranger(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_unix(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_intent.c: what the server was told, and will be told the next time ---- */
void assess_memcached(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_protected_mode(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_intention(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_disagree(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_tls.c: the server's TLS files ---- */
void assess_tls_files(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_key_private(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_key_match(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_strength(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_validity(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_names(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_chain(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_handshake.c: TLS as the server speaks it ---- */
void assess_tls_handshake(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_versions(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_ciphers(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_served(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_client_certificates(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_tls_plaintext(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_auth.c: who may come in ---- */
void assess_auth_told(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_live(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_http(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_aclfile(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_users(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_strength(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_places(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_auth_writable(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_exposure.c: doors that need not be open ---- */
void assess_exposure_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_memcached(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_console(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_metrics(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_root(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_replication(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_exposure_version(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_environments.c, audit_waivers.c: the policy itself ---- */
void assess_environments(const struct check *check, const struct audit_facts *facts, struct findings *ret);
/* Runs last: marks findings in `ret`, and adds its own. */
void assess_waivers(const struct check *check, const struct audit_facts *facts, struct findings *ret);
/* The same with the waivers of this part's checks. */
void waive_part(const struct check *check, const struct audit_facts *facts, enum audit_part part, struct findings *ret);

/* ---- audit_logs.c: the server's log ---- */
void assess_logs_enabled(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_logs_private(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_logs_buffered(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_logs_space(const struct check *check, const struct audit_facts *facts, struct findings *ret);

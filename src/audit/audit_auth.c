/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who may come in, on each of the three planes that Dragonfly keeps apart (dragonfly-facts.md 1.6): clients (users of
 * ACL, or requirepass), the admin port (requirepass alone), and HTTP (requirepass as it was at the start). What a
 * running server does goes before what it was told.
 */

#include <string.h>
#include <sys/stat.h>

#include "audit_server.h"

/* NIST SP 800-63B asks for 8 where a person is behind it and tries are limited; neither is so here. */
#define LEAST_LENGTH 16
#define LEAST_BITS   64

static const char no_server[] = "server";

bool server_known(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (facts->server)
		return true;
	struct finding *finding = finding_add(ret, check, OUTCOME_UNKNOWN, no_server, "was not looked at: %s",
		facts->server_unknown ? facts->server_unknown : "nobody asked");

	if (facts->posture_left_out)
		finding->severity = SEVERITY_INFO;
	return false;
}

const struct intention *told_intention(const struct audit_facts *facts, const struct server_told *told)
{
	return facts->intentions[told->intention].intention;
}

const char *told_subject(const struct audit_facts *facts, const struct server_told *told)
{
	return facts->intentions[told->intention].subject;
}

/* Nothing of these findings, from `first`, is left a pass. */
static void doubt(const struct check *check, const struct intention *intention, const char *subject, size_t first,
	struct findings *ret)
{
	for (size_t i = first; i < ret->count; i++) {
		struct finding *finding = &ret->items[i];

		if (finding->outcome == OUTCOME_FAIL || finding->outcome == OUTCOME_UNKNOWN)
			continue;
		finding->outcome = OUTCOME_UNKNOWN;
		free(finding->message);
		finding->message = mem_string(intention->unknown);
	}
	if (ret->count == first)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", intention->unknown);
}

void each_told(const struct check *check, const struct audit_facts *facts, struct findings *ret, assess_told *assess,
	const char *good)
{
	if (!server_known(check, facts, ret))
		return;
	if (!facts->server->told_count)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_server, "no server is known");
	for (size_t i = 0; i < facts->server->told_count; i++) {
		const struct server_told *told = &facts->server->told[i];
		size_t before = ret->count;

		if (told->unknown) {
			finding_add(ret, check, OUTCOME_UNKNOWN, told_subject(facts, told), "%s", told->unknown);
			continue;
		}
		assess(check, facts, told, ret);
		/* What is not known of what it was told may be what makes it bad. */
		if (told_intention(facts, told)->unknown)
			doubt(check, told_intention(facts, told), told_subject(facts, told), before, ret);
		else if (ret->count == before)
			finding_add(ret, check, OUTCOME_PASS, told_subject(facts, told), "%s", good);
	}
}

void each_port(const struct check *check, const struct audit_facts *facts, struct findings *ret, choose_port *choose,
	assess_server_port *assess, const char *none, const char *good)
{
	size_t judged = 0;

	if (!server_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->server->port_count; i++) {
		const struct server_port *port = &facts->server->ports[i];
		size_t before = ret->count;

		if (!choose(port))
			continue;
		judged++;
		if (facts->server->unknown)
			finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "%s", facts->server->unknown);
		else
			assess(check, facts, port, ret);
		if (ret->count == before)
			finding_add(ret, check, OUTCOME_PASS, port->subject, "%s", good);
	}
	if (!judged && none)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_server, "%s", none);
}

/* --- what was told: is there a password --- */

enum plane { PLANE_CLOSED, PLANE_OPEN, PLANE_UNKNOWN };

static enum plane by_requirepass(const struct server_told *told)
{
	if (told->requirepass.unknown && !told->requirepass.set)
		return PLANE_UNKNOWN;
	return told->requirepass.set ? PLANE_CLOSED : PLANE_OPEN;
}

/* Clients: a file of users that can be read takes the place of requirepass, also where it does not name default. */
static enum plane clients_plane(const struct server_told *told, const char **ret_why)
{
	const struct server_user *user = server_user_find(&told->users, "default");

	*ret_why = "requirepass is empty";
	switch (told->aclfile) {
	case ACLFILE_NONE:
		return by_requirepass(told);
	case ACLFILE_ABSENT:
		*ret_why = "the aclfile is not there, and requirepass is empty";
		return by_requirepass(told);
	case ACLFILE_BAD:
		*ret_why = "the aclfile cannot be used, and requirepass is empty";
		return by_requirepass(told);
	case ACLFILE_UNKNOWN:
		*ret_why = told->aclfile_why;
		return PLANE_UNKNOWN;
	case ACLFILE_GOOD:
		break;
	}
	*ret_why = "the aclfile does not name the user default, who then needs no password, whatever requirepass says";
	if (!user)
		return PLANE_OPEN;
	*ret_why = "the aclfile lets the user default in without a password";
	return user->on && (user->nopass || user->empty || !user->passwords) ? PLANE_OPEN : PLANE_CLOSED;
}

bool passwords_expected(const struct audit_facts *facts)
{
	return facts->environment->password == PASSWORD_REQUIRED;
}

static void assess_clients_told(const struct check *check, const struct audit_facts *facts,
	const struct server_told *told, struct findings *ret)
{
	const char *why;
	enum plane plane = clients_plane(told, &why);

	if (intention_number(told_intention(facts, told), "port") == 0)
		finding_add(
			ret, check, OUTCOME_NOT_APPLICABLE, told_subject(facts, told), "it opens no port for clients");
	else if (plane == PLANE_UNKNOWN)
		finding_add(ret, check, OUTCOME_UNKNOWN, told_subject(facts, told), "%s", why);
	else if (plane == PLANE_OPEN)
		finding_add(
			ret, check, OUTCOME_FAIL, told_subject(facts, told), "it asks clients for no password: %s", why)
			->origin = facts->environment->password_origin;
}

static bool is_clients_port(const struct server_port *port)
{
	return !port->admin && port->protocol == PROTOCOL_RESP;
}

static bool is_admin_port(const struct server_port *port)
{
	return port->admin;
}

static bool refuses_strangers(const char *said)
{
	static const char *const words[] = {"NOPERM", "-NOPERM", "DENIED", "WRONGPASS"};

	for (size_t i = 0; said && i < ARRAY_SIZE(words); i++)
		if (strncmp(said, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* What happened to a stranger's PING. */
static void assess_ping(const struct check *check, const struct audit_facts *facts, const struct server_port *port,
	struct findings *ret)
{
	switch (port->ping) {
	case PING_UNKNOWN:
		finding_add(
			ret, check, OUTCOME_UNKNOWN, port->subject, "%s", port->why ? port->why : "nothing is known");
		return;
	case PING_ANSWERED:
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "it answers who has no password")->origin =
			facts->environment->password_origin;
		return;
	case PING_NOAUTH:
		return;
	case PING_REFUSED:
		/* LOADING, MASTERDOWN, too many clients: nothing is known of who may come in when that is over. */
		if (refuses_strangers(port->said))
			finding_add(ret, check, OUTCOME_PASS, port->subject, "it refuses who has no password: %s",
				port->said);
		else
			finding_add(ret, check, OUTCOME_UNKNOWN, port->subject,
				"it answers an error that says nothing of passwords: %s", port->said ? port->said : "");
		return;
	case PING_ENDED:
		/* With mutual TLS nobody gets so far without a certificate. */
		finding_add(ret, check, OUTCOME_PASS, port->subject, "it serves no stranger: %s",
			port->why ? port->why : "the connection is ended");
		return;
	}
	abort();
}

/* True: the check has its finding. */
static bool not_asked(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (passwords_expected(facts))
		return false;
	finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_server, "the policy says password = optional");
	return true;
}

void assess_auth_told(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!not_asked(check, facts, ret))
		each_told(check, facts, ret, assess_clients_told, "it asks clients for a password");
}

void assess_auth_live(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!not_asked(check, facts, ret))
		each_port(check, facts, ret, is_clients_port, assess_ping, "nothing listens for clients",
			"it asks for a password");
}

/* --- the admin port --- */

static void assess_admin_told(const struct check *check, const struct audit_facts *facts,
	const struct server_told *told, struct findings *ret)
{
	const struct intention *intention = told_intention(facts, told);
	const char *subject = told_subject(facts, told);

	if (intention_number(intention, "admin_port") == 0)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "it has no admin port");
	else if (intention_bool(intention, "admin_nopass"))
		finding_add(ret, check, OUTCOME_FAIL, subject, "the admin port asks for no password: --admin_nopass");
	else if (by_requirepass(told) == PLANE_UNKNOWN)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", told->requirepass.unknown);
	else if (!told->requirepass.set)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"the admin port asks for no password: it knows requirepass alone, which is empty%s",
			told->aclfile == ACLFILE_GOOD ? ", and no aclfile" : "");
}

void assess_auth_admin(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t live = 0;

	if (not_asked(check, facts, ret))
		return;
	for (size_t i = 0; facts->server && i < facts->server->port_count; i++)
		live += is_admin_port(&facts->server->ports[i]);
	/* What runs is the truth; a second word about the same port is none. */
	if (live)
		each_port(check, facts, ret, is_admin_port, assess_ping, NULL, "it asks for a password");
	else
		each_told(check, facts, ret, assess_admin_told, "the admin port asks for a password");
}

/* --- HTTP --- */

static bool has_http(const struct server_port *port)
{
	return port->protocol == PROTOCOL_RESP;
}

static void assess_console(const struct check *check, const struct audit_facts *facts _unused_,
	const struct server_port *port, struct findings *ret)
{
	if (!port->http.known)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "nothing came");
	else if (port->http.root >= 200 && port->http.root < 400)
		finding_add(ret, check, OUTCOME_FAIL, port->subject,
			"the HTTP console is open without a password: it shows passwords, and changes settings");
	else if (port->http.root == 0)
		finding_add(ret, check, OUTCOME_PASS, port->subject, "it speaks no HTTP");
	else if (port->http.root != 401 && port->http.root != 403)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject,
			"its HTTP console answers with status %d, which says nothing of passwords",
			(int)port->http.root);
}

void assess_auth_http(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!not_asked(check, facts, ret))
		each_port(check, facts, ret, has_http, assess_console, "nothing listens that may speak HTTP",
			"the HTTP console asks for a password");
}

/* --- the file of users --- */

static void assess_users_file(const struct check *check, const struct audit_facts *facts,
	const struct server_told *told, struct findings *ret)
{
	const char *path = intention_text(told_intention(facts, told), "aclfile");
	const char *subject = path && *path ? path : told_subject(facts, told);

	switch (told->aclfile) {
	case ACLFILE_NONE:
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "it has no aclfile");
		return;
	case ACLFILE_ABSENT:
		finding_add(ret, check, OUTCOME_FAIL, subject, "it is not there: the server starts without, and %s",
			told->requirepass.set ? "requirepass alone counts" : "lets everybody in");
		return;
	case ACLFILE_BAD:
		finding_add(ret, check, OUTCOME_FAIL, subject, "the server leaves the whole file aside, and %s: %s",
			told->requirepass.set ? "requirepass alone counts" : "lets everybody in", told->aclfile_why);
		return;
	case ACLFILE_UNKNOWN:
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", told->aclfile_why);
		return;
	case ACLFILE_GOOD:
		break;
	}
	if (!told->aclfile_default)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"it does not name the user default, who then may do everything without a password");
	for (size_t i = 0; i < told->users.count; i++) {
		const struct server_user *user = &told->users.items[i];

		if (user->on && (user->nopass || user->empty || !user->passwords))
			finding_add(ret, check, OUTCOME_FAIL, subject, "the user %s needs no password", user->name);
	}
}

void assess_auth_aclfile(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!not_asked(check, facts, ret))
		each_told(check, facts, ret, assess_users_file, "every user in the aclfile needs a password");
}

/* --- users as they are --- */

static void assess_live_users(const struct check *check, const struct audit_facts *facts,
	const struct server_port *port, struct findings *ret)
{
	if (port->login == LOGIN_REFUSED)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "the policy's monitor is not let in%s%s",
			port->login_said ? ": " : "", port->login_said ? port->login_said : "");
	else if (!port->users_known && !facts->server->monitor && port->ping != PING_ANSWERED)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, port->subject,
			"nobody may ask: the policy has no monitor_password_file");
	else if (!port->users_known)
		finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "%s",
			port->not_told ? port->not_told : "it does not tell its users, or more than are looked at");
	for (size_t i = 0; i < port->users.count; i++) {
		const struct server_user *user = &port->users.items[i];

		if (!user->on || !(user->nopass || user->empty))
			continue;
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "the user %s %s", user->name,
			user->empty ? "has the empty password, beside its others" : "needs no password");
	}
}

void assess_auth_users(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!not_asked(check, facts, ret))
		each_port(check, facts, ret, is_clients_port, assess_live_users, "nothing listens for clients",
			"every user needs a password");
}

/* --- how good passwords are --- */

static void judge_secret(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	const char *name, const struct server_secret *secret, struct findings *ret)
{
	const char *subject = told_subject(facts, told);

	if (!secret->set && !secret->unknown)
		return;
	if (!secret->known)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s: %s", name,
			secret->unknown ? secret->unknown : "nothing is known");
	else if (secret->length < LEAST_LENGTH)
		finding_add(ret, check, OUTCOME_FAIL, subject, "%s is short: %d characters, and %d should it be", name,
			(int)secret->length, LEAST_LENGTH);
	else if (secret->bits < LEAST_BITS)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"%s is easy to guess: about 2^%d tries, and 2^%d should it take", name, (int)secret->bits,
			LEAST_BITS);
}

static void assess_secrets(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret)
{
	if (!told->requirepass.set && !told->masterauth.set && !told->requirepass.unknown)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, told_subject(facts, told), "it was told no password");
	judge_secret(check, facts, told, "requirepass", &told->requirepass, ret);
	judge_secret(check, facts, told, "masterauth", &told->masterauth, ret);
}

void assess_auth_strength(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_told(check, facts, ret, assess_secrets, "passwords are long and hard to guess");
}

/* --- where passwords stand --- */

static const char *const secrets[] = {"requirepass", "masterauth"};

static const struct flag_file *file_of(const struct intention *intention, const char *path)
{
	for (size_t i = 0; intention->file_status && i < intention->file_count; i++)
		if (same_string(intention->files[i], path))
			return &intention->file_status[i];
	return NULL;
}

static void judge_place(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	const struct flag *flag, struct findings *ret)
{
	const struct flag_file *file;

	if (flag->source == FLAG_ARGUMENT) {
		finding_add(ret, check, OUTCOME_FAIL, told_subject(facts, told),
			"%s stands on the command line, which everybody on this host can read", flag->name);
		return;
	}
	if (flag->source != FLAG_FILE)
		return;
	file = file_of(told_intention(facts, told), flag->file);
	if (!file)
		finding_add(ret, check, OUTCOME_UNKNOWN, flag->file, "who may read it is not known");
	else if (file->mode & S_IROTH)
		finding_add(ret, check, OUTCOME_FAIL, flag->file,
			"everybody on this host may read %s in it (mode %04o)", flag->name, file->mode & 07777);
}

static void assess_place(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret)
{
	const struct intention *intention = told_intention(facts, told);
	size_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const struct flag *flag = intention_flag(intention, secrets[i]);

		if (!flag || !*flag->value)
			continue;
		found++;
		judge_place(check, facts, told, flag, ret);
	}
	if (!found && intention->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, told_subject(facts, told), "%s", intention->unknown);
	else if (!found)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, told_subject(facts, told), "it was told no password");
}

void assess_auth_places(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_told(check, facts, ret, assess_place, "nobody else on this host can read its passwords");
}

/* --- who may rewrite what it is told --- */

static void assess_writable(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret)
{
	const struct intention *intention = told_intention(facts, told);
	const struct audit_intention *of = &facts->intentions[told->intention];
	const struct process *process =
		facts->host && of->process != LISTENERS_NO_INDEX ? &facts->host->processes[of->process] : NULL;

	if (!intention->file_count && intention->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, told_subject(facts, told), "%s", intention->unknown);
	else if (!intention->file_count)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, told_subject(facts, told), "it reads no flagfile");
	for (size_t i = 0; i < intention->file_count; i++) {
		const struct flag_file *file = intention->file_status ? &intention->file_status[i] : NULL;
		const char *path = intention->files[i];

		if (!file)
			finding_add(ret, check, OUTCOME_UNKNOWN, path, "who may write it is not known");
		else if (file->mode & (S_IWOTH | S_IWGRP))
			finding_add(ret, check, OUTCOME_FAIL, path, "%s may write it (mode %04o)",
				file->mode & S_IWOTH ? "everybody on this host" : "its group", file->mode & 07777);
		else if (process && process->uid_known && process->uid != 0 && file->uid == process->uid &&
			 (file->mode & S_IWUSR))
			finding_add(ret, check, OUTCOME_FAIL, path,
				"the server's own user may write it: who breaks in can make it start as they like")
				->severity = SEVERITY_INFO;
	}
}

void assess_auth_writable(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_told(check, facts, ret, assess_writable, "only root may write what it is told");
}

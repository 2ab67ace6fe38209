/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Facts about a server out of what dflyguard-probe says. A record that lacks something leaves it unknown. */

#include <string.h>

#include "server.h"

#define SERVER_MILLISECONDS 2500
#define DOOR_MILLISECONDS   1500

static const char not_said[] = "dflyguard-probe did not say";

/* --- memory --- */

struct server_facts *server_facts_new(void)
{
	return mem_zero(1, sizeof(struct server_facts));
}

static void users_done(struct server_users *users)
{
	for (size_t i = 0; i < users->count; i++)
		free(users->items[i].name);
	free(users->items);
}

static void port_done(struct server_port *port)
{
	free(port->subject);
	free(port->said);
	free(port->why);
	free(port->not_told);
	free(port->login_said);
	free(port->dragonfly_version);
	free(port->redis_version);
	free(port->valkey_version);
	free(port->role);
	free(port->master);
	free(port->tls_setting);
	free(port->aclfile);
	users_done(&port->users);
	for (size_t i = 0; i < port->denial_count; i++) {
		free(port->denials[i].reason);
		free(port->denials[i].object);
		free(port->denials[i].user);
		free(port->denials[i].client);
		free(port->denials[i].age);
		free(port->denials[i].created);
	}
	free(port->denials);
}

void server_facts_free(struct server_facts *facts)
{
	if (!facts)
		return;
	for (size_t i = 0; i < facts->port_count; i++)
		port_done(&facts->ports[i]);
	for (size_t i = 0; i < facts->told_count; i++) {
		free(facts->told[i].requirepass.unknown);
		free(facts->told[i].masterauth.unknown);
		free(facts->told[i].unknown);
		free(facts->told[i].aclfile_why);
		users_done(&facts->told[i].users);
	}
	free(facts->ports);
	free(facts->told);
	free(facts->unknown);
	free(facts);
}

struct server_port *server_facts_add_port(struct server_facts *facts)
{
	facts->ports = mem_resize(facts->ports, facts->port_count + 1, sizeof(*facts->ports));
	facts->ports[facts->port_count] = (struct server_port){.auth_failures = -1};
	return &facts->ports[facts->port_count++];
}

struct server_told *server_facts_add_told(struct server_facts *facts)
{
	facts->told = mem_resize(facts->told, facts->told_count + 1, sizeof(*facts->told));
	facts->told[facts->told_count] = (struct server_told){0};
	return &facts->told[facts->told_count++];
}

static void replace(char **text, char *value)
{
	free(*text);
	*text = value;
}

/* --- asking --- */

int64_t server_ask(struct probe_job *job, size_t port, int descriptor, const struct server_access *access)
{
	int64_t id = probe_ask(job, "server");

	probe_ask_number(job, "port", (int64_t)port);
	probe_ask_number(job, "milliseconds", SERVER_MILLISECONDS);
	probe_ask_number(job, "tls", access->tls);
	probe_ask_text(job, "server_name", access->server_name);
	probe_ask_text(job, "user", access->user);
	probe_ask_number(job, "attacks", access->attacks);
	probe_ask_file(job, "fd", descriptor);
	probe_ask_file(job, "password", access->password);
	probe_ask_file(job, "certificate", access->certificate);
	probe_ask_file(job, "key", access->key);
	return id;
}

static int64_t ask_door(struct probe_job *job, const char *question, size_t port, int descriptor, bool tls)
{
	int64_t id = probe_ask(job, question);

	probe_ask_number(job, "port", (int64_t)port);
	probe_ask_number(job, "milliseconds", DOOR_MILLISECONDS);
	probe_ask_number(job, "tls", tls);
	probe_ask_file(job, "fd", descriptor);
	return id;
}

int64_t server_ask_memcached(struct probe_job *job, size_t port, int descriptor, bool tls)
{
	return ask_door(job, "memcached", port, descriptor, tls);
}

int64_t server_ask_http(struct probe_job *job, size_t port, int descriptor, bool tls, const char *path)
{
	int64_t id = ask_door(job, "http", port, descriptor, tls);

	probe_ask_text(job, "path", path);
	return id;
}

int64_t secret_ask(struct probe_job *job, const char *value)
{
	int64_t id = probe_ask(job, "secret");

	probe_ask_text(job, "value", value);
	return id;
}

int64_t aclfile_ask(struct probe_job *job, int descriptor)
{
	int64_t id = probe_ask(job, "aclfile");

	probe_ask_file(job, "file", descriptor);
	return id;
}

/* --- hearing --- */

static void hear_user(const struct record *record, struct server_users *users)
{
	struct server_user user = {.name = record_take(record, "name"),
		.on = record_is(record, "on"),
		.nopass = record_is(record, "nopass"),
		.empty = record_is(record, "empty"),
		.all = record_is(record, "all")};

	if (!user.name || !record_get_number(record, "passwords", 0, INT64_MAX, &user.passwords)) {
		free(user.name);
		return;
	}
	users->items = mem_resize(users->items, users->count + 1, sizeof(*users->items));
	users->items[users->count++] = user;
}

static void hear_ping(const struct record *record, struct server_port *port)
{
	static const struct {
		const char *name;
		enum ping_outcome outcome;
		const char *why;
	} outcomes[] = {
		{"pong", PING_ANSWERED, NULL},
		{"noauth", PING_NOAUTH, NULL},
		{"error", PING_REFUSED, NULL},
		{"closed", PING_ENDED, "the connection is ended"},
		{"no-tls", PING_ENDED, "no handshake succeeds"},
		{"not-resp", PING_UNKNOWN, "it does not speak RESP"},
		{"wants-tls", PING_UNKNOWN, "it speaks TLS, which was not known when it was asked"},
		{"silent", PING_UNKNOWN, "it says nothing"},
	};
	const char *name = record_get(record, "outcome");

	for (size_t i = 0; name && i < ARRAY_SIZE(outcomes); i++)
		if (strcmp(outcomes[i].name, name) == 0) {
			port->ping = outcomes[i].outcome;
			replace(&port->why, outcomes[i].why ? mem_string(outcomes[i].why) : NULL);
		}
	replace(&port->said, record_take(record, "said"));
}

static void hear_info(const struct record *record, struct server_port *port)
{
	const char *host = record_get(record, "master_host");
	const char *number = record_get(record, "master_port");
	int64_t failures;

	replace(&port->dragonfly_version, record_take(record, "dragonfly_version"));
	replace(&port->redis_version, record_take(record, "redis_version"));
	replace(&port->valkey_version, record_take(record, "valkey_version"));
	replace(&port->role, record_take(record, "role"));
	if (host)
		replace(&port->master, mem_format("%s:%s", host, number ? number : "?"));
	if (record_get_number(record, "no_auth", 0, INT64_MAX, &failures))
		port->auth_failures = failures;
}

static void hear_setting(const struct record *record, struct server_port *port)
{
	const char *name = record_get(record, "name");

	if (!name)
		return;
	port->settings_known = true;
	if (strcmp(name, "requirepass") == 0)
		port->requirepass_set = record_is(record, "set");
	else if (strcmp(name, "masterauth") == 0)
		port->masterauth_set = record_is(record, "set");
	else if (strcmp(name, "tls") == 0)
		replace(&port->tls_setting, record_take(record, "value"));
	else if (strcmp(name, "aclfile") == 0)
		replace(&port->aclfile, record_take(record, "value"));
}

static void hear_denial(const struct record *record, struct server_port *port)
{
	struct server_denial denial = {.reason = record_take(record, "reason"),
		.object = record_take(record, "object"),
		.user = record_take(record, "user"),
		.client = record_take(record, "client"),
		.age = record_take(record, "age"),
		.created = record_take(record, "created"),
		.entry = -1,
		.count = 1};

	record_get_number(record, "count", 1, INT64_MAX, &denial.count);
	record_get_number(record, "entry", 0, INT64_MAX, &denial.entry);
	port->denials = mem_resize(port->denials, port->denial_count + 1, sizeof(*port->denials));
	port->denials[port->denial_count++] = denial;
}

static void hear_refusal(const struct record *record, bool *users, bool *denials)
{
	const char *what = record_get(record, "what");

	if (same_string(what, "acl"))
		*users = false;
	if (same_string(what, "acl-log"))
		*denials = false;
}

void server_hear(const struct records *records, int64_t id, struct server_port *port)
{
	bool users = true, denials = true;

	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];

		if (record_id(record) != id)
			continue;
		if (strcmp(record->name, "ping") == 0)
			hear_ping(record, port);
		else if (strcmp(record->name, "login") == 0) {
			port->login = same_string(record_get(record, "outcome"), "ok") ? LOGIN_OK : LOGIN_REFUSED;
			replace(&port->login_said, record_take(record, "said"));
		} else if (strcmp(record->name, "info") == 0)
			hear_info(record, port);
		else if (strcmp(record->name, "setting") == 0)
			hear_setting(record, port);
		else if (strcmp(record->name, "user") == 0)
			hear_user(record, &port->users);
		else if (strcmp(record->name, "denied") == 0)
			hear_denial(record, port);
		else if (strcmp(record->name, "refusal") == 0)
			hear_refusal(record, &users, &denials);
		else if (strcmp(record->name, "done") == 0)
			port->asked = true;
		else if (strcmp(record->name, "failed") == 0 && !port->why)
			port->why = record_take(record, "why");
	}
	port->users_known = port->asked && users;
	port->denials_known = port->asked && denials;
	if (port->ping == PING_UNKNOWN && !port->why)
		port->why = mem_string(not_said);
}

/* The record `name` of the question, or NULL. */
static const struct record *find(const struct records *records, int64_t id, const char *name)
{
	for (size_t i = 0; i < records->count; i++)
		if (record_id(&records->items[i]) == id && strcmp(records->items[i].name, name) == 0)
			return &records->items[i];
	return NULL;
}

void server_hear_memcached(const struct records *records, int64_t id, struct server_port *port)
{
	const struct record *record = find(records, id, "memcached");
	const char *outcome = record ? record_get(record, "outcome") : NULL;

	if (!outcome) {
		const struct record *failed = find(records, id, "failed");
		char *why = failed ? record_take(failed, "why") : NULL;

		replace(&port->why, why ? why : mem_string(not_said));
		return;
	}
	port->memcached_served = strcmp(outcome, "served") == 0;
	port->ping = port->memcached_served	       ? PING_ANSWERED
		     : strcmp(outcome, "refused") == 0 ? PING_REFUSED
						       : PING_ENDED;
	replace(&port->said, record_take(record, "said"));
	if (port->ping == PING_ENDED)
		replace(&port->why, mem_string("the connection is ended"));
}

bool server_hear_http(const struct records *records, int64_t id, int64_t *ret_status)
{
	const struct record *record = find(records, id, "http");

	return record && record_get_number(record, "status", 0, 999, ret_status);
}

void secret_hear(const struct records *records, int64_t id, struct server_secret *secret)
{
	const struct record *record = find(records, id, "secret");

	secret->known = record && record_get_number(record, "length", 0, INT64_MAX, &secret->length) &&
			record_get_number(record, "bits", 0, 100000, &secret->bits);
	if (!secret->known)
		replace(&secret->unknown, mem_string(not_said));
}

void aclfile_hear(const struct records *records, int64_t id, struct server_told *told)
{
	const struct record *record = find(records, id, "aclfile");
	const struct record *failed = find(records, id, "failed");
	int64_t line;

	for (size_t i = 0; i < records->count; i++)
		if (record_id(&records->items[i]) == id && strcmp(records->items[i].name, "user") == 0)
			hear_user(&records->items[i], &told->users);
	if (!record) {
		told->aclfile = ACLFILE_UNKNOWN;
		replace(&told->aclfile_why, failed ? record_take(failed, "why") : mem_string(not_said));
		return;
	}
	told->aclfile = ACLFILE_GOOD;
	told->aclfile_default = record_is(record, "default");
	if (record_get_number(record, "bad", 1, INT64_MAX, &line)) {
		const char *why = record_get(record, "why");

		told->aclfile = ACLFILE_BAD;
		replace(&told->aclfile_why,
			mem_format("line %lld: %s", (long long)line, why ? why : "it cannot be read"));
	}
}

const struct server_user *server_user_find(const struct server_users *users, const char *name)
{
	for (size_t i = 0; i < users->count; i++)
		if (strcmp(users->items[i].name, name) == 0)
			return &users->items[i];
	return NULL;
}

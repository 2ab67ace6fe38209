/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * server: who may come in to a running server, and what it says of itself, as dflyguard-probe saw it; and what is known
 * of the passwords and files of users that it was told. It judges nothing and holds no secret: of a password only how
 * long it is and how hard to guess. See src/inspect/inspect_server.c, inspect_doors.c, inspect_secret.c and
 * inspect_acl.c for what is asked; dragonfly-facts.md 1.3, 1.6, 5 and 6.5, dragonfly-verified.md 4 to 6, for what a
 * Dragonfly server does.
 */

#include "probe.h"

/* A user of the server's, of ACL LIST or of a file. */
struct server_user {
	char *name;
	bool on;
	bool nopass; /* lets in without a password */
	bool empty;  /* the empty password is one of its */
	bool all;    /* may do everything */
	int64_t passwords;
};

struct server_users {
	struct server_user *items;
	size_t count;
};

/* What happens to PING of a stranger. */
enum ping_outcome {
	PING_UNKNOWN,  /* `why` */
	PING_ANSWERED, /* without a password */
	PING_NOAUTH,   /* it asks for one */
	PING_REFUSED,  /* another error: `said` */
	PING_ENDED,    /* the connection was ended */
};

enum login_outcome { LOGIN_NONE, LOGIN_OK, LOGIN_REFUSED };

/* HTTP on a port. */
struct server_http {
	bool known;
	int64_t root;	 /* status of "/"; 0: no HTTP */
	int64_t metrics; /* of "/metrics" */
};

/* Somebody was not let in, or not allowed: ACL LOG. */
struct server_denial {
	char *reason;  /* "AUTH", "COMMAND", "auth", ... */
	char *object;  /* the command or key */
	char *user;    /* that was tried */
	char *client;  /* "10.0.0.1:4711", or NULL */
	char *age;     /* seconds, as told */
	char *created; /* when it began, in the server's own count; with the rest it names the entry */
	int64_t entry; /* its number, of servers that have one; -1 */
	int64_t count;
};

enum server_protocol { PROTOCOL_RESP, PROTOCOL_MEMCACHED };

/* One port of a running server. */
struct server_port {
	char *subject; /* "10.20.0.5:6380" */
	uint16_t port;
	size_t listener; /* index in host.listeners */
	enum server_protocol protocol;
	bool admin; /* the policy's admin_port */
	bool tls;   /* it was asked over TLS */
	enum ping_outcome ping;
	bool memcached_served; /* PROTOCOL_MEMCACHED, with PING_ANSWERED */
	char *said;
	char *why;
	struct server_http http;
	char *not_told;		  /* why the policy's monitor did not ask here; NULL: it did, or there is none */
	enum login_outcome login; /* of the policy's monitor */
	char *login_said;
	bool asked; /* what follows was asked and answered, but for what is NULL or in `refused` */
	char *dragonfly_version, *redis_version, *valkey_version;
	char *role, *master;
	int64_t auth_failures; /* of INFO errorstats; -1: not told */
	bool settings_known;
	bool requirepass_set, masterauth_set;
	char *tls_setting, *aclfile; /* of CONFIG GET; NULL: not told */
	bool users_known;
	struct server_users users;
	bool denials_known;
	struct server_denial *denials;
	size_t denial_count;
};

/* A password that a server was told. */
struct server_secret {
	bool set;
	bool known; /* `length` and `bits` hold */
	char *unknown;
	int64_t length; /* bytes */
	int64_t bits;	/* log2 of the guesses that it takes */
};

enum aclfile_state { ACLFILE_NONE, ACLFILE_GOOD, ACLFILE_ABSENT, ACLFILE_BAD, ACLFILE_UNKNOWN };

/* What a server was told about who may come in. */
struct server_told {
	size_t intention; /* index in the facts' intentions */
	char *unknown;	  /* what it was told could not be read at all: why; NULL: what follows holds */
	struct server_secret requirepass, masterauth;
	enum aclfile_state aclfile;
	char *aclfile_why;    /* bad: the line and why; unknown: why */
	bool aclfile_default; /* it names the user default */
	struct server_users users;
};

/* Free with server_facts_free(). */
struct server_facts {
	struct server_port *ports;
	size_t port_count;
	struct server_told *told;
	size_t told_count;
	char *unknown; /* dflyguard-probe could not be asked: why */
	bool monitor;  /* the policy names somebody who may ask */
};

struct server_facts *server_facts_new(void);
void server_facts_free(struct server_facts *facts);
/* Appends one, zero-initialised; valid until the next is added. */
struct server_port *server_facts_add_port(struct server_facts *facts);
struct server_told *server_facts_add_told(struct server_facts *facts);

/* Who asks, and how. */
struct server_access {
	bool tls;
	const char *server_name; /* or NULL */
	const char *user;	 /* NULL: default */
	int password;		 /* a file's descriptor, taken over; -1: nobody */
	int certificate, key;	 /* of a client for mutual TLS, taken over; -1: none */
	bool attacks;		 /* only log in and tell who was not let in or not allowed; no knocking */
};

/* Asks on a connection, which is taken over. `port` is a number for the server: of one that says nothing little more is
 * asked. Each returns the question's number. */
int64_t server_ask(struct probe_job *job, size_t port, int descriptor, const struct server_access *access);
int64_t server_ask_memcached(struct probe_job *job, size_t port, int descriptor, bool tls);
/* `path` is "/" or "/metrics". */
int64_t server_ask_http(struct probe_job *job, size_t port, int descriptor, bool tls, const char *path);
int64_t secret_ask(struct probe_job *job, const char *value);
int64_t aclfile_ask(struct probe_job *job, int descriptor);

/* Takes the answers. */
void server_hear(const struct records *records, int64_t id, struct server_port *port);
void server_hear_memcached(const struct records *records, int64_t id, struct server_port *port);
/* The status, 0 where it is no HTTP; false where nothing is known. */
bool server_hear_http(const struct records *records, int64_t id, int64_t *ret_status);
void secret_hear(const struct records *records, int64_t id, struct server_secret *secret);
void aclfile_hear(const struct records *records, int64_t id, struct server_told *told);

/* The user called `name`, or NULL. */
const struct server_user *server_user_find(const struct server_users *users, const char *name);

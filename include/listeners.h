/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * listeners: what the kernel says is listening, and who that is: the truth about binding, whatever flags intend. It may
 * be told which ports are guarded. It judges nothing, changes nothing, and says of each thing that it could not read
 * that it could not, and why: a missing privilege never looks like an empty host.
 *
 * Sources: sock_diag(7) (inet_diag and unix_diag) for sockets, /proc for processes and namespaces. Everything in /proc
 * may vanish while it is read, and what a process says of itself (its name, its arguments) may be a lie.
 */

#include "err.h"
#include "interval.h"

/* A text about something on the host. `text` NULL and `unknown` NULL: there is none. Else one of them is set. */
struct known {
	char *text;
	char *unknown; /* why it could not be read, in a few words: "not permitted" */
};

/* What a process is, told by its executable's name, then by its command. */
enum server_kind {
	SERVER_OTHER,
	SERVER_DRAGONFLY,
	SERVER_REDIS,
	SERVER_VALKEY,
	SERVER_KEYDB,
	SERVER_MEMCACHED,
	SERVER_DOCKER_PROXY, /* docker's userland proxy, or rootlessport, which publishes for a container */
	SERVER_SYSTEMD,	     /* socket activation: systemd holds the socket for somebody else */
};
#define SERVER_KIND_COUNT (SERVER_SYSTEMD + 1)

/* "dragonfly", "docker-proxy". Static. */
const char *server_kind_name(enum server_kind kind);

/* Only processes that hold a socket which is told, and all processes of Dragonfly, also without a socket. */
struct process {
	uint32_t pid;	/* in our own process namespace */
	uint64_t start; /* clock ticks since boot: with `pid` it names one process for ever */
	enum server_kind kind;
	uint32_t uid; /* effective */
	bool uid_known;
	struct known user;	 /* the name of `uid`, or its number */
	struct known command;	 /* /proc/PID/comm, without control characters */
	struct known executable; /* its path, "... (deleted)" where it was replaced */
	struct known unit;	 /* "dragonfly.service", from its control group */
	struct known container;	 /* "docker 0123456789ab", "podman ...", "lxc NAME", from its control group */
	struct known directory;	 /* that relative paths begin at */
	char **arguments;	 /* argv; bounded, see LISTENERS_ARGUMENT_BYTES */
	size_t argument_count;
	char *arguments_unknown; /* NULL: they are known */
	char **environment;	 /* "NAME=VALUE": only DFLY_*, FLAGS_*, GOOGLE_*, INVOCATION_ID */
	size_t environment_count;
	char *environment_unknown;
	size_t network; /* index in host.networks, or LISTENERS_NO_INDEX where it could not be told */
};
#define LISTENERS_NO_INDEX	 ((size_t)-1)
#define LISTENERS_ARGUMENT_BYTES (256u * 1024)

/* A network namespace. The first one is ours. */
struct network_namespace {
	uint64_t inode;
	char *name;	   /* "host", "netns NAME", "docker 0123456789ab", "process 4711" */
	bool host;	   /* that of process 1 of this host, as far as can be seen; else of a container or the like */
	struct known read; /* unknown: why its sockets could not be read. text is always NULL */
};

/* Where a listening TCP socket takes connections. */
struct listener {
	size_t network;	      /* index in host.networks */
	enum width width;     /* WIDTH_IPV4: AF_INET; WIDTH_IPV6: AF_INET6 */
	struct value address; /* host order; 0 = the wildcard of the family. ::ffff:a.b.c.d stays as it is, see below */
	uint16_t port;
	bool v6_only;	    /* AF_INET6: takes no IPv4 (IPV6_V6ONLY) */
	bool v6_only_known; /* false: the kernel did not tell */
	char *device;	    /* bound to this interface (SO_BINDTODEVICE), or NULL */
	uint64_t inode;
	uint32_t uid;	 /* of who made it */
	uint32_t queued; /* connections that wait to be accepted */
	uint32_t backlog;
	bool guarded;	   /* its port is one of the question's; else a server of Dragonfly's kind holds it */
	size_t *processes; /* indexes in host.processes of who holds it */
	size_t process_count;
	char *process_unknown; /* NULL: `processes` is all; else why it may not be: "not permitted" */
};

/* What address this really is: IPv4-mapped addresses (RFC 4291 2.5.5.2) are IPv4, also the mapped wildcard. Pure. */
enum width listener_address(const struct listener *listener, struct value *ret);
/* Takes connections to any address of its namespace: 0.0.0.0, ::, ::ffff:0.0.0.0. Pure. */
bool listener_is_wildcard(const struct listener *listener);
/* Takes IPv4 connections as well as IPv6: :: without IPV6_V6ONLY. Pure. */
bool listener_is_dual(const struct listener *listener);
/* "0.0.0.0:6379", "[::]:6379", "[::ffff:0.0.0.0]:6379", "10.0.0.5%eth0:6379". */
void listener_text(const struct listener *listener, struct text *text);

/* A listening Unix stream socket of a server. */
struct unix_listener {
	size_t network;
	char *path; /* as bound, without control characters; "@name" where it is abstract */
	uint64_t inode;
	uint32_t mode;	    /* permissions of the path, as chmod(2) */
	uint32_t uid, gid;  /* its owner */
	char *mode_unknown; /* NULL: they are known */
	size_t process;	    /* index in host.processes */
};

/* An address that an interface of a namespace has. */
struct host_address {
	size_t network;
	enum width width;
	struct value address;
	char *interface;
};

/* Free with host_free(). Pointers in it are its own. */
struct host {
	struct network_namespace *networks;
	size_t network_count;
	struct process *processes;
	size_t process_count;
	struct listener *listeners; /* sorted: our namespace first, guarded ones first, then by port and address */
	size_t listener_count;
	struct unix_listener *unix_listeners;
	size_t unix_count;
	struct host_address *addresses; /* of our own namespace only */
	size_t address_count;
	struct known listeners_read; /* unknown: why our own namespace's sockets could not be read */
	struct known unix_read;
	struct known
		processes_read; /* unknown: why not all processes could be looked at: "12 processes: not permitted" */
	struct known networks_read; /* unknown: why there may be namespaces that were not looked at */
	struct known addresses_read;
	bool truncated; /* one of LISTENERS_MAX_* was reached, and the rest left out; said in *_read too */
};

#define LISTENERS_MAX_SOCKETS	1000000u /* looked at; kept are only those that are told */
#define LISTENERS_MAX_KEPT	10000u
#define LISTENERS_MAX_PROCESSES 1000000u
#define LISTENERS_MAX_NETWORKS	4096u

/* What is asked. */
struct host_question {
	uint16_t ports[8]; /* guarded; 0 = none */
	size_t port_count;
	bool networks; /* also in other network namespaces, which takes CAP_SYS_ADMIN (setns) */
};

/*
 * Reads it all. Never fails but for a mistake of ours: what could not be read is said in the result. Takes time in
 * proportion to processes and their descriptors; another namespace is entered by a thread or child of its own, so the
 * caller's namespace is never changed. *ret is owned by the caller.
 */
void host_read(const struct host_question *question, struct host **ret);
/*
 * A number for what listens on the question's ports in our own namespace: while it stays the same, no socket came or
 * went there. One short query for each port, and no walk through processes. 0, or a negative errno value with `err`.
 */
int host_sockets_number(const struct host_question *question, uint64_t *ret, struct err *err);
/* An empty one, for tests and for who builds one by hand. */
struct host *host_new(void);
void host_free(struct host *host);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of this room share. host.c puts the steps of host_read() in order: probe_namespace.c finds network
 * namespaces, probe_socket.c lists what listens in each, probe_process.c goes through all processes once and finds who
 * holds what, probe_detail.c reads the rest of what is told of them, and probe_proc.c the texts of /proc (proc(5)),
 * which is pure.
 */

#include <dirent.h>

#include "listeners.h"
#include "netlink.h"

/* ---- probe_proc.c: texts of /proc. Pure; any bytes will do. All texts that they return are the caller's. ---- */

/* Without control characters, C1 included, and what is no UTF-8: each becomes a '?'. */
char *proc_clean(const char *bytes, size_t length);

/* /proc/PID/stat. */
struct proc_stat {
	char command[65]; /* TASK_COMM_LEN is 16; kernel threads show more. As it is: not clean. */
	char state;
	uint64_t flags; /* PF_* of include/linux/sched.h */
	uint64_t threads;
	uint64_t start; /* clock ticks since boot */
};
bool proc_stat_parse(const char *text, size_t length, struct proc_stat *ret);
/* Whether this thread has ended; others of its process may go on. */
bool proc_stat_ended(const struct proc_stat *stat);
/* Whether it is a program that runs: no thread of the kernel, nor what is left of a process until somebody asks. */
bool proc_stat_program(const struct proc_stat *stat);

/* The effective user in /proc/PID/status. */
bool proc_status_uid(const char *text, size_t length, uint32_t *ret);

/*
 * /proc/PID/cgroup, version 1, 2 and both at once. *ret_unit: the systemd unit, "user@1000.service/name.service" of a
 * user's own manager, so that no user can have what looks like a unit of the system. *ret_container: the innermost one.
 * NULL where there is none.
 */
void proc_cgroup_parse(const char *text, size_t length, char **ret_unit, char **ret_container);

/* Strings with a NUL behind each, as in /proc/PID/cmdline and environ; the last one may lack it. `wanted` NULL: all. */
char **proc_strings(const char *bytes, size_t length, bool (*wanted)(const char *string), size_t *ret_count);
void proc_strings_free(char **strings, size_t count);
/* What may concern the server: DFLY_*, FLAGS_*, GOOGLE_*, INVOCATION_ID. */
bool proc_environment_wanted(const char *string);

/* The number in "socket:[4711]" or "net:[4026531840]", by its prefix ("socket:["). */
bool proc_link_number(const char *link, size_t length, const char *prefix, uint64_t *ret);

/* What a name says: the last part of a path, without " (deleted)". */
enum server_kind proc_name_kind(const char *name);
/*
 * `executable` NULL: it could not be read. `argument` is argv[0], or NULL. An executable that is Dragonfly is, whatever
 * it calls itself; a Redis that is started under Dragonfly's name counts as one, too.
 */
enum server_kind proc_kind(const char *executable, const char *command, const char *argument);

/* ---- probe_socket.c ---- */

/* Compact, since there may be a million of them. */
struct socket_row {
	struct value address;
	uint64_t inode;
	uint32_t network;
	uint32_t interface; /* bound to it; 0 = none */
	uint32_t uid, queued, backlog;
	uint32_t next; /* of the same place in the hash table; SOCKET_END */
	uint16_t port;
	uint8_t width; /* enum width; WIDTH_PORT: a Unix socket */
	bool v6_only : 1, v6_only_known : 1, told : 1;
	uint32_t more; /* a Unix socket: index in `unix_rows`; bound to an interface: in `devices` */
};
#define SOCKET_END UINT32_MAX

struct unix_row {
	char *name; /* sun_path, raw */
	uint32_t length;
	uint32_t file; /* inode of the path, where it has one */
	bool has_file;
};

/* Listening sockets of all namespaces that were looked at, and a hash of their inodes. Zero-initialise it. */
struct socket_table {
	struct socket_row *rows;
	size_t count, capacity;
	struct unix_row *unix_rows;
	size_t unix_count, unix_capacity;
	struct device {
		char name[16]; /* IFNAMSIZ */
	} * devices;
	size_t device_count, device_capacity;
	uint32_t *buckets;
	size_t bucket_count; /* a power of two; 0 = not built */
	bool truncated;
};

/* Append what listens in the namespace that `netlink` (NETLINK_SOCK_DIAG) was opened in; `port` 0: all ports. 0, or a
 * negative errno value with `err`. */
int sockets_read_tcp(
	struct netlink *netlink, size_t network, uint16_t port, struct socket_table *table, struct err *err);
int sockets_read_unix(struct netlink *netlink, size_t network, struct socket_table *table, struct err *err);
/* Builds the hash; drops what was listed twice. To be called once, after all reading. */
void sockets_index(struct socket_table *table);
/* The first row with this inode at or behind `row`, SOCKET_END where there is none. Begin with SOCKET_BEGIN. */
uint32_t sockets_find(const struct socket_table *table, uint64_t inode, uint32_t row);
#define SOCKET_BEGIN (UINT32_MAX - 1)
void sockets_done(struct socket_table *table);
/* A number for all rows, whatever their order; never 0. Pure. (probe_number.c) */
uint64_t sockets_number(const struct socket_table *table);
/* The addresses of our own namespace. */
void addresses_read(struct host *host);

/* ---- probe_namespace.c ---- */

/*
 * Opens NETLINK_SOCK_DIAG in another network namespace: a thread of its own enters it, since the socket remembers where
 * it was made. `descriptor` is the namespace's file. 0 or a negative errno value.
 */
int namespace_open(int descriptor, struct netlink **ret, struct err *err);
/* The index of the namespace with this inode; LISTENERS_NO_INDEX where host.networks has none. */
size_t namespace_find(const struct host *host, uint64_t inode);
/*
 * Fills host.networks: ours, and if `others` all that can be found, and appends what listens in them to the table.
 */
void namespaces_read(struct host *host, bool others, struct socket_table *table);
/* Appends a namespace that is not looked at, because nobody asked for it. Returns its index. */
size_t namespace_add_unread(struct host *host, uint64_t inode, uint32_t pid);

/* ---- probe_process.c ---- */

/* Goes through all processes once, then tells what they hold in host.listeners, unix_listeners and processes. *moved:
 * something ended meanwhile, or a server began since `since` (clock ticks since boot), so that another look would see
 * something else. */
void processes_read(struct host *host, const struct host_question *question, struct socket_table *table, uint64_t since,
	bool *moved);

/* ---- probe_detail.c ---- */

/* Opens /proc/PID: whatever is read beneath is of the same process, even if its number is used again. Descriptor or
 * negative errno value. */
int proc_open(int proc, uint32_t pid);
/* The next process in a stream of /proc; 0 = the end. */
uint32_t proc_next(DIR *stream);
/* The target of a link, which is not followed: its length, or a negative errno value. `buffer` is terminated. */
int proc_link(int directory, const char *name, char *buffer, size_t size);
/* Reads up to `maximum` bytes, with a NUL behind. 0; -E2BIG where there is more (*ret is its beginning); or a negative
 * errno value, *ret untouched. */
int proc_read(int directory, const char *name, size_t maximum, char **ret, size_t *ret_length);
/* As proc_stat_program(), of an open process; false where it cannot be read. */
bool proc_is_program(int directory);
/* "not permitted", "it ended". By a positive errno value. */
const char *proc_reason(int code);

/* What the details of several processes share: users, and how much text may be kept. */
struct details;
struct details *details_new(void);
void details_free(struct details *details);
/* Fills a process whose `pid` and `start` are set. False, and nothing is to be freed, where it has ended. */
bool details_read(struct details *details, struct host *host, int proc, struct process *process);
/* Fills path, mode and owner of a Unix socket of this process. */
void details_unix(const struct process *process, const struct unix_row *row, struct unix_listener *listener);

/* ---- host.c ---- */

/* Frees what a process holds, not the process. */
void process_done(struct process *process);

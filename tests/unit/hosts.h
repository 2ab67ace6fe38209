/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Hosts for tests, made by hand: what listens, who that is, and what it was told. */

#include <errno.h>

#include "audit.h"
#include "testing.h"

#define HOST_FLAGFILE "/etc/dragonfly/dragonfly.conf"
/* As the golden policy "everything" wants it. */
#define HOST_GOOD_FLAGS                                                                                                \
	"--port=6380\n--bind=10.20.0.5\n--admin_port=9999\n--admin_bind=10.9.0.1\n--memcached_port=11211\n"            \
	"--requirepass=secret\n--unixsocket=/run/dragonfly/s\n"

static inline char *some(const char *text)
{
	return text ? mem_string(text) : NULL;
}

static inline void host_add_network(struct host *host, const char *name, bool is_host)
{
	host->networks = mem_resize(host->networks, host->network_count + 1, sizeof(*host->networks));
	host->networks[host->network_count++] = (struct network_namespace){
		.inode = 4026531840 + host->network_count, .name = mem_string(name), .host = is_host};
}

static inline size_t host_add_process(
	struct host *host, enum server_kind kind, const char *command, const char *unit, size_t network)
{
	host->processes = mem_resize(host->processes, host->process_count + 1, sizeof(*host->processes));
	host->processes[host->process_count] = (struct process){.pid = 4711 + (uint32_t)host->process_count,
		.start = 1000,
		.kind = kind,
		.uid = 998,
		.uid_known = true,
		.user.text = mem_string("dfly"),
		.command.text = mem_string(command),
		.unit.text = some(unit),
		.directory.text = mem_string("/"),
		.network = network};
	return host->process_count++;
}

/* `process`: index, or LISTENERS_NO_INDEX where nobody could tell. */
static inline struct listener *host_add_listener(
	struct host *host, const char *address, uint16_t port, size_t network, size_t process)
{
	struct interval item;
	enum width width;
	char why[INTERVAL_WHY];
	struct listener *listener;

	host->listeners = mem_resize(host->listeners, host->listener_count + 1, sizeof(*host->listeners));
	listener = &host->listeners[host->listener_count++];
	*listener = (struct listener){.network = network,
		.port = port,
		.v6_only_known = true,
		.inode = 7000 + host->listener_count,
		.backlog = 256,
		.guarded = true};
	if (strcmp(address, "::ffff:0.0.0.0") == 0) {
		listener->width = WIDTH_IPV6;
		listener->address = (struct value){0, 0xffff00000000};
	} else {
		assert_int_equal(interval_parse(address, &width, &item, why), 0);
		listener->width = width;
		listener->address = item.first;
	}
	if (process == LISTENERS_NO_INDEX) {
		listener->process_unknown = mem_string("not permitted");
		return listener;
	}
	listener->processes = mem_zero(1, sizeof(*listener->processes));
	listener->processes[0] = process;
	listener->process_count = 1;
	return listener;
}

static inline void host_add_address(struct host *host, const char *address)
{
	struct interval item;
	enum width width;
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(address, &width, &item, why), 0);
	host->addresses = mem_resize(host->addresses, host->address_count + 1, sizeof(*host->addresses));
	host->addresses[host->address_count++] =
		(struct host_address){.width = width, .address = item.first, .interface = mem_string("eth0")};
}

static inline void host_add_unix(struct host *host, const char *path, uint32_t mode, size_t process)
{
	host->unix_listeners = mem_resize(host->unix_listeners, host->unix_count + 1, sizeof(*host->unix_listeners));
	host->unix_listeners[host->unix_count++] = (struct unix_listener){
		.path = mem_string(path), .inode = 8001, .mode = mode, .uid = 998, .gid = 997, .process = process};
}

/* Without a server: our namespace, and its addresses. */
static inline struct host *host_empty(void)
{
	struct host *host = host_new();

	host_add_network(host, "host", true);
	host_add_address(host, "127.0.0.1");
	host_add_address(host, "10.20.0.5");
	host_add_address(host, "10.9.0.1");
	host_add_address(host, "2001:db8:20::5");
	return host;
}

/* What the golden policy "everything" wants. */
static inline struct host *host_good(void)
{
	struct host *host = host_empty();
	size_t server = host_add_process(host, SERVER_DRAGONFLY, "dragonfly", "dragonfly.service", 0);

	host_add_listener(host, "10.20.0.5", 6380, 0, server);
	host_add_listener(host, "10.9.0.1", 9999, 0, server);
	host_add_listener(host, "10.20.0.5", 11211, 0, server);
	host_add_unix(host, "/run/dragonfly/s", 0700, server);
	return host;
}

static inline void host_forget_listeners(struct host *host)
{
	for (size_t i = 0; i < host->listener_count; i++) {
		free(host->listeners[i].device);
		free(host->listeners[i].processes);
		free(host->listeners[i].process_unknown);
	}
	host->listener_count = 0;
}

/* --- what it was told --- */

/* The flagfile's text as `data`, whatever it is called. NULL: there is none. */
static inline int read_flag_text(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	const char *text = data;

	(void)path;
	if (!text)
		return -ENOENT;
	if (strcmp(text, "not permitted") == 0) {
		snprintf(why, INTERVAL_WHY, "%s: Permission denied", path);
		return -EACCES;
	}
	*ret = mem_string(text);
	*ret_length = strlen(text);
	return 0;
}

/* `flags` is the flagfile's text, `argument` one more argument or NULL; systemd starts it. */
static inline struct intention *intention_of_text(const char *flags, const char *argument)
{
	static char flagfile[] = "--flagfile=" HOST_FLAGFILE;
	static char systemd[] = "INVOCATION_ID=1";
	char *environment[] = {systemd};
	_cleanup_free_ char *copy = some(argument);
	_cleanup_free_ char *text = some(flags);
	char *arguments[] = {flagfile, copy};
	struct flags_input input = {.arguments = flags ? arguments : arguments + 1,
		.argument_count = (flags ? 1u : 0u) + (argument ? 1u : 0u),
		.environment = environment,
		.environment_count = 1,
		.read_file = read_flag_text,
		.data = text};
	struct intention *intention;

	intention_read(&input, &intention);
	return intention;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe_private.h"

static const char *const kind_names[SERVER_KIND_COUNT] = {
	[SERVER_OTHER] = "other",
	[SERVER_DRAGONFLY] = "dragonfly",
	[SERVER_REDIS] = "redis",
	[SERVER_VALKEY] = "valkey",
	[SERVER_KEYDB] = "keydb",
	[SERVER_MEMCACHED] = "memcached",
	[SERVER_DOCKER_PROXY] = "docker-proxy",
	[SERVER_SYSTEMD] = "systemd",
};

const char *server_kind_name(enum server_kind kind)
{
	return kind_names[kind];
}

/* ---- what an address means ---- */

enum width listener_address(const struct listener *listener, struct value *ret)
{
	/* ::ffff:0:0/96 */
	bool mapped =
		listener->width == WIDTH_IPV6 && listener->address.hi == 0 && listener->address.lo >> 32 == 0xffff;

	*ret = mapped ? (struct value){0, listener->address.lo & UINT32_MAX} : listener->address;
	return mapped ? WIDTH_IPV4 : listener->width;
}

bool listener_is_wildcard(const struct listener *listener)
{
	struct value address;

	listener_address(listener, &address);
	return address.hi == 0 && address.lo == 0;
}

bool listener_is_dual(const struct listener *listener)
{
	/* Where the kernel does not tell, what is most open. */
	return listener->width == WIDTH_IPV6 && listener->address.hi == 0 && listener->address.lo == 0 &&
	       !(listener->v6_only_known && listener->v6_only);
}

void listener_text(const struct listener *listener, struct text *text)
{
	char address[INTERVAL_TEXT];
	bool six = listener->width == WIDTH_IPV6;

	value_format(listener->width, listener->address, address);
	text_printf(text, "%s%s%s%s%s:%u", six ? "[" : "", address, listener->device ? "%" : "",
		listener->device ? listener->device : "", six ? "]" : "", listener->port);
}

/* ---- memory ---- */

struct host *host_new(void)
{
	return mem_zero(1, sizeof(struct host));
}

static void known_done(struct known *known)
{
	free(known->text);
	free(known->unknown);
}

void process_done(struct process *process)
{
	known_done(&process->user);
	known_done(&process->command);
	known_done(&process->executable);
	known_done(&process->unit);
	known_done(&process->container);
	known_done(&process->directory);
	proc_strings_free(process->arguments, process->argument_count);
	free(process->arguments_unknown);
	proc_strings_free(process->environment, process->environment_count);
	free(process->environment_unknown);
}

void host_free(struct host *host)
{
	if (!host)
		return;
	for (size_t i = 0; i < host->network_count; i++) {
		free(host->networks[i].name);
		known_done(&host->networks[i].read);
	}
	for (size_t i = 0; i < host->process_count; i++)
		process_done(&host->processes[i]);
	for (size_t i = 0; i < host->listener_count; i++) {
		free(host->listeners[i].device);
		free(host->listeners[i].processes);
		free(host->listeners[i].process_unknown);
	}
	for (size_t i = 0; i < host->unix_count; i++) {
		free(host->unix_listeners[i].path);
		free(host->unix_listeners[i].mode_unknown);
	}
	for (size_t i = 0; i < host->address_count; i++)
		free(host->addresses[i].interface);
	free(host->networks);
	free(host->processes);
	free(host->listeners);
	free(host->unix_listeners);
	free(host->addresses);
	known_done(&host->listeners_read);
	known_done(&host->unix_read);
	known_done(&host->processes_read);
	known_done(&host->networks_read);
	known_done(&host->addresses_read);
	free(host);
}

/* ---- reading ---- */

/* Servers start and end while we look, and a restart would look like a server that does not listen. */
#define TRIES 3

static int compare_listeners(const void *a, const void *b)
{
	const struct listener *x = a;
	const struct listener *y = b;

	if ((x->network == 0) != (y->network == 0))
		return x->network == 0 ? -1 : 1;
	if (x->guarded != y->guarded)
		return x->guarded ? -1 : 1;
	if (x->network != y->network)
		return x->network < y->network ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->width != y->width)
		return x->width < y->width ? -1 : 1;
	if (value_compare(x->address, y->address) != 0)
		return value_compare(x->address, y->address);
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void note_limit(struct known *known, const char *what, unsigned int limit)
{
	char *text = mem_format(
		"%s%smore than %u %s", known->unknown ? known->unknown : "", known->unknown ? ", " : "", limit, what);

	free(known->unknown);
	known->unknown = text;
}

static struct host *read_once(const struct host_question *question, bool *moved)
{
	struct host *host = host_new();
	struct socket_table table = {0};
	struct timespec now;
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	/* A second earlier: a server does not listen at once. */
	clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t since = ((uint64_t)now.tv_sec - (now.tv_sec > 0)) * ticks;

	namespaces_read(host, question->networks, &table);
	sockets_index(&table);
	processes_read(host, question, &table, since, moved);
	addresses_read(host);
	if (table.truncated) {
		host->truncated = true;
		note_limit(&host->listeners_read, "sockets", LISTENERS_MAX_SOCKETS);
		note_limit(&host->unix_read, "sockets", LISTENERS_MAX_SOCKETS);
	}
	sockets_done(&table);
	if (host->listener_count)
		qsort(host->listeners, host->listener_count, sizeof(*host->listeners), compare_listeners);
	return host;
}

void host_read(const struct host_question *question, struct host **ret)
{
	struct host *host = NULL;
	bool moved = true;

	for (unsigned int i = 0; i < TRIES && moved; i++) {
		host_free(host);
		moved = false;
		host = read_once(question, &moved);
	}
	*ret = host;
}

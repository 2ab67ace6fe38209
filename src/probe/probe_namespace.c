/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Network namespaces: our own, those of processes, and those with a name below /run (ip-netns(8), and docker's). A
 * socket belongs to the namespace that it was made in for ever, so only the opening of one happens inside, by a thread
 * that then ends: setns(2) concerns the calling thread alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "probe_private.h"

struct visit {
	int descriptor;
	struct netlink *netlink;
	struct err err;
	int result;
};

static void *visit_run(void *data)
{
	struct visit *visit = data;

	if (setns(visit->descriptor, CLONE_NEWNET) < 0)
		visit->result = err_set(&visit->err, errno, ERR_NETLINK, "%s", proc_reason(errno));
	else
		visit->result = netlink_open(NETLINK_SOCK_DIAG, &visit->netlink, &visit->err);
	return NULL;
}

int namespace_open(int descriptor, struct netlink **ret, struct err *err)
{
	struct visit visit = {.descriptor = descriptor};
	pthread_t thread;
	int code = pthread_create(&thread, NULL, visit_run, &visit);

	if (code)
		return err_set(err, code, ERR_NETLINK, "cannot start a thread: %s", strerror(code));
	pthread_join(thread, NULL);
	if (visit.result < 0) {
		*err = visit.err;
		return visit.result;
	}
	*ret = visit.netlink;
	return 0;
}

size_t namespace_find(const struct host *host, uint64_t inode)
{
	/* Neighbours in /proc mostly share one of the first few. */
	for (size_t i = 0; i < host->network_count; i++)
		if (host->networks[i].inode == inode)
			return i;
	return LISTENERS_NO_INDEX;
}

static struct network_namespace *add(struct host *host, uint64_t inode)
{
	host->networks = mem_resize(host->networks, host->network_count + 1, sizeof(*host->networks));
	host->networks[host->network_count] = (struct network_namespace){.inode = inode};
	return &host->networks[host->network_count++];
}

/* "docker 0123456789ab" of a process in it, else "process 4711". */
static char *name_by_process(uint32_t pid)
{
	_cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int directory = proc < 0 ? -1 : proc_open(proc, pid);
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *unit = NULL;
	char *container = NULL;
	size_t length = 0;

	if (directory >= 0 && proc_read(directory, "cgroup", 64 * 1024, &text, &length) == 0)
		proc_cgroup_parse(text, length, &unit, &container);
	return container ? container : mem_format("process %" PRIu32, pid);
}

size_t namespace_add_unread(struct host *host, uint64_t inode, uint32_t pid)
{
	struct network_namespace *network;

	if (host->network_count >= LISTENERS_MAX_NETWORKS)
		return LISTENERS_NO_INDEX;
	network = add(host, inode);
	network->name = name_by_process(pid);
	network->read.unknown = mem_string("not looked at");
	return host->network_count - 1;
}

/* Reads what listens in the namespace whose file is open. */
static void look(struct host *host, size_t index, int descriptor, struct socket_table *table)
{
	struct netlink *netlink;
	struct err err = {0};

	if (namespace_open(descriptor, &netlink, &err) < 0) {
		host->networks[index].read.unknown = mem_string(err.message);
		return;
	}
	if (sockets_read_tcp(netlink, index, 0, table, &err) < 0 || sockets_read_unix(netlink, index, table, &err) < 0)
		host->networks[index].read.unknown = mem_string(err.message);
	netlink_close(netlink);
}

/* ---- ours ---- */

static uint64_t inode_of(int directory, const char *name)
{
	char link[64];
	int length = proc_link(directory, name, link, sizeof(link));
	uint64_t inode;

	return length > 0 && proc_link_number(link, (size_t)length, "net:[", &inode) ? inode : 0;
}

static void read_ours(struct host *host, struct socket_table *table)
{
	struct netlink *netlink;
	struct err err = {0};

	add(host, inode_of(AT_FDCWD, "/proc/thread-self/ns/net"));
	if (netlink_open(NETLINK_SOCK_DIAG, &netlink, &err) < 0) {
		host->listeners_read.unknown = mem_string(err.message);
		host->unix_read.unknown = mem_string(err.message);
	} else {
		if (sockets_read_tcp(netlink, 0, 0, table, &err) < 0)
			host->listeners_read.unknown = mem_string(err.message);
		if (sockets_read_unix(netlink, 0, table, &err) < 0)
			host->unix_read.unknown = mem_string(err.message);
		netlink_close(netlink);
	}
	host->networks[0].read.unknown = mem_string(host->listeners_read.unknown);
}

/* ---- others ---- */

struct search {
	struct host *host;
	struct socket_table *table;
	bool others;	/* else only names are looked for, of those that are known */
	size_t refused; /* processes whose namespace could not be told */
	bool full;
};

static bool has_room(struct search *search)
{
	search->full = search->full || search->host->network_count >= LISTENERS_MAX_NETWORKS;
	return !search->full;
}

/* `descriptor` < 0: the negative errno value that opening it came to. */
static void add_and_look(struct search *search, uint64_t inode, char *name, int descriptor)
{
	size_t index = search->host->network_count;

	add(search->host, inode)->name = name;
	if (descriptor < 0)
		search->host->networks[index].read.unknown = mem_string(proc_reason(-descriptor));
	else
		look(search->host, index, descriptor, search->table);
}

static void search_processes(struct search *search)
{
	DIR *stream = opendir("/proc");

	if (!stream) {
		search->host->networks_read.unknown = mem_format("cannot read /proc: %s", proc_reason(errno));
		return;
	}
	for (uint32_t pid; has_room(search) && (pid = proc_next(stream));) {
		_cleanup_close_ int directory = proc_open(dirfd(stream), pid);
		char link[64];
		int length = directory < 0 ? directory : proc_link(directory, "ns/net", link, sizeof(link));
		uint64_t inode;
		struct stat status;

		search->refused += (length == -EACCES || length == -EPERM) && proc_is_program(directory);
		if (length < 0 || !proc_link_number(link, (size_t)length, "net:[", &inode) ||
			namespace_find(search->host, inode) != LISTENERS_NO_INDEX)
			continue;
		_cleanup_close_ int descriptor = openat(directory, "ns/net", O_RDONLY | O_CLOEXEC);
		int code = descriptor < 0 ? -errno : 0;

		/* It ended, or went elsewhere. */
		if (code == -ENOENT || code == -ESRCH ||
			(code == 0 && (fstat(descriptor, &status) < 0 || status.st_ino != inode)))
			continue;
		add_and_look(search, inode, name_by_process(pid), code < 0 ? code : descriptor);
	}
	closedir(stream);
}

/* How programs call what they make for their containers: the container itself tells more. */
static bool is_made_up(const char *name)
{
	return strncmp(name, "netns-", 6) == 0 || strncmp(name, "cni-", 4) == 0;
}

static void give_name(struct network_namespace *network, const char *name)
{
	_cleanup_free_ char *clean = proc_clean(name, strlen(name));

	if (network->name && is_made_up(name) && strncmp(network->name, "process ", 8) != 0)
		return;
	free(network->name);
	network->name = mem_format("netns %s", clean);
}

/* Names, and namespaces that have a name but no process. */
static void search_names(struct search *search, const char *path)
{
	DIR *stream = opendir(path);

	if (!stream)
		return;
	for (const struct dirent *entry; (entry = readdir(stream)) && has_room(search);) {
		/* What lies there by mistake, or to do harm, is not opened. */
		_cleanup_close_ int place = openat(dirfd(stream), entry->d_name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
		struct stat status;
		struct statfs system;
		size_t index;

		if (place < 0 || fstatfs(place, &system) < 0 || system.f_type != NSFS_MAGIC ||
			fstat(place, &status) < 0)
			continue;
		index = namespace_find(search->host, status.st_ino);
		if (index == LISTENERS_NO_INDEX && search->others) {
			_cleanup_free_ char *again = mem_format("/proc/self/fd/%d", place);
			_cleanup_close_ int descriptor = open(again, O_RDONLY | O_CLOEXEC);
			int code = descriptor < 0 ? -errno : descriptor;

			/* Namespaces of other kinds lie in the same file system. */
			if (descriptor >= 0 && ioctl(descriptor, NS_GET_NSTYPE) != CLONE_NEWNET)
				continue;
			index = search->host->network_count;
			add_and_look(search, status.st_ino, NULL, code);
		}
		if (index != LISTENERS_NO_INDEX)
			give_name(&search->host->networks[index], entry->d_name);
	}
	closedir(stream);
}

void namespaces_read(struct host *host, bool others, struct socket_table *table)
{
	struct search search = {.host = host, .table = table, .others = others};
	uint64_t first = inode_of(AT_FDCWD, "/proc/1/ns/net");
	_cleanup_text_ struct text unknown = {0};

	read_ours(host, table);
	if (others)
		search_processes(&search);
	search_names(&search, "/run/netns");
	search_names(&search, "/run/docker/netns");
	for (size_t i = 0; i < host->network_count; i++) {
		struct network_namespace *network = &host->networks[i];

		/* Who may not see process 1 is taken to be where it is, as long as nothing else is known. */
		network->host = first ? network->inode == first : i == 0 && !network->name;
		if (network->host) {
			free(network->name);
			network->name = mem_string("host");
		} else if (!network->name) {
			network->name = name_by_process((uint32_t)getpid());
		}
	}
	if (search.refused)
		text_printf(&unknown, "%zu process%s: not permitted", search.refused, search.refused == 1 ? "" : "es");
	if (search.full) {
		text_printf(&unknown, "%smore than %u namespaces", unknown.length ? ", " : "", LISTENERS_MAX_NETWORKS);
		host->truncated = true;
	}
	if (unknown.length && !host->networks_read.unknown)
		host->networks_read.unknown = text_take(&unknown);
}

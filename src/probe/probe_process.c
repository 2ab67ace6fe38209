/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who holds what listens. All processes are gone through once: of each, what it is and which of the sockets it holds;
 * then those that are told are asked for the rest (probe_detail.c). A socket may be held by many, by a child that
 * inherited it or by systemd, and one that is on its way between two processes is held by none.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "probe_private.h"

/* Looked at in all processes together. */
#define MAX_DESCRIPTORS 4000000u
/* Remembered: who holds which listening socket, told or not. */
#define MAX_HOLDS 4000000u

struct brief {
	uint32_t pid;
	uint64_t start;
	enum server_kind kind;
	bool wanted;
	bool server;  /* its Unix sockets are told, too */
	size_t index; /* in host.processes */
};

struct hold {
	uint32_t row;
	uint32_t brief;
};

struct search {
	struct host *host;
	const struct host_question *question;
	struct socket_table *table;
	struct brief *briefs;
	size_t brief_count, brief_capacity;
	struct hold *holds;
	size_t hold_count, hold_capacity;
	size_t descriptors;
	size_t refused; /* processes that we may not look at */
	size_t failed;	/* that could not be looked at for another reason */
	int failed_code;
	bool hidden; /* processes of others are not shown at all */
	bool full;
	bool moved;
};

static void note_failure(struct search *search, int code)
{
	if (code == -ENOENT || code == -ESRCH)
		return;
	if (code == -EACCES || code == -EPERM) {
		search->refused++;
		return;
	}
	search->failed++;
	search->failed_code = code;
}

/* ---- going through them ---- */

static int walk_descriptors(struct search *search, int directory)
{
	int descriptor = openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = -errno;

	if (descriptor < 0)
		return code;
	DIR *stream = fdopendir(descriptor);

	code = stream ? 0 : -errno;
	if (!stream) {
		close(descriptor);
		return code;
	}
	for (const struct dirent *entry; (entry = readdir(stream));) {
		char link[64];
		uint64_t inode;
		int length;

		if (entry->d_name[0] == '.')
			continue;
		if (search->descriptors++ >= MAX_DESCRIPTORS) {
			search->full = true;
			break;
		}
		/* The link's text only: to look at what it points to could wait for ever. */
		length = proc_link(dirfd(stream), entry->d_name, link, sizeof(link));
		/* The list is root's to read, the links are for who may trace the process. */
		if (length == -EACCES || length == -EPERM) {
			code = length;
			break;
		}
		if (length < 0 || !proc_link_number(link, (size_t)length, "socket:[", &inode))
			continue;
		for (uint32_t row = sockets_find(search->table, inode, SOCKET_BEGIN); row != SOCKET_END;
			row = sockets_find(search->table, inode, row)) {
			if (search->hold_count >= MAX_HOLDS) {
				search->full = true;
				break;
			}
			ARRAY_GROW(search->holds, search->hold_count, search->hold_capacity);
			search->holds[search->hold_count++] = (struct hold){row, (uint32_t)search->brief_count};
		}
	}
	closedir(stream);
	return code;
}

/* The first thread may have ended, and with it its view of the descriptors, while others go on. */
static int walk_threads(struct search *search, int directory)
{
	int descriptor = openat(directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = descriptor < 0 ? NULL : fdopendir(descriptor);
	int result = -ESRCH;

	if (!stream) {
		int code = -errno;

		if (descriptor >= 0)
			close(descriptor);
		return code;
	}
	for (uint32_t thread; result == -ESRCH && (thread = proc_next(stream));) {
		_cleanup_close_ int inner = proc_open(dirfd(stream), thread);
		_cleanup_free_ char *text = NULL;
		size_t length;
		struct proc_stat stat;

		if (inner < 0 || proc_read(inner, "stat", 4096, &text, &length) < 0 ||
			!proc_stat_parse(text, length, &stat) || proc_stat_ended(&stat))
			continue;
		result = walk_descriptors(search, inner);
	}
	closedir(stream);
	return result;
}

/* argv[0], or NULL. */
static char *first_argument(int directory)
{
	char *text = NULL;
	size_t length;
	int r = proc_read(directory, "cmdline", 4096, &text, &length);

	return r == 0 || r == -E2BIG ? text : NULL;
}

static void look_at(struct search *search, int proc, uint32_t pid)
{
	_cleanup_close_ int directory = proc_open(proc, pid);
	_cleanup_free_ char *text = NULL;
	char executable[4096];
	size_t length;
	struct proc_stat stat;
	size_t holds = search->hold_count;
	int r = directory < 0 ? directory : proc_read(directory, "stat", 4096, &text, &length);
	bool ended;

	if (r == 0 && !proc_stat_parse(text, length, &stat))
		r = -EBADMSG;
	if (r < 0) {
		note_failure(search, r);
		return;
	}
	if (!proc_stat_program(&stat))
		return;
	ended = proc_stat_ended(&stat);

	r = ended ? walk_threads(search, directory) : walk_descriptors(search, directory);
	if (r == -ENOENT || r == -ESRCH)
		return;
	if (r < 0)
		note_failure(search, r);

	bool known = proc_link(directory, "exe", executable, sizeof(executable)) >= 0;
	enum server_kind kind = proc_kind(known ? executable : NULL, stat.command, NULL);

	/* Only where it may matter: a command line can be slow to read. */
	if (kind == SERVER_REDIS || (kind == SERVER_OTHER && (!known || search->hold_count > holds))) {
		_cleanup_free_ char *argument = first_argument(directory);

		kind = proc_kind(known ? executable : NULL, stat.command, argument);
	}
	if (search->hold_count == holds && kind != SERVER_DRAGONFLY)
		return;
	ARRAY_GROW(search->briefs, search->brief_count, search->brief_capacity);
	search->briefs[search->brief_count++] =
		(struct brief){.pid = pid, .start = stat.start, .kind = kind, .index = LISTENERS_NO_INDEX};
}

static void look_at_all(struct search *search)
{
	struct statfs system;
	size_t count = 0;
	DIR *stream = opendir("/proc");
	int code = errno;

	if (!stream || fstatfs(dirfd(stream), &system) < 0 || system.f_type != PROC_SUPER_MAGIC) {
		search->failed_code = stream ? -ENOENT : -code;
		search->host->processes_read.unknown = stream ? mem_string("/proc is not mounted")
							      : mem_format("cannot read /proc: %s", proc_reason(code));
		if (stream)
			closedir(stream);
		return;
	}
	/* hidepid (proc(5)): of others there is nothing, not even a refusal. Process 1 is somebody's, always. */
	_cleanup_close_ int first = proc_open(dirfd(stream), 1);

	search->hidden = first < 0;
	for (uint32_t pid; (pid = proc_next(stream));) {
		if (search->full || count++ >= LISTENERS_MAX_PROCESSES) {
			search->full = true;
			break;
		}
		look_at(search, dirfd(stream), pid);
	}
	closedir(stream);
}

/* ---- what is told ---- */

static bool is_guarded(const struct host_question *question, uint16_t port)
{
	for (size_t i = 0; i < question->port_count; i++)
		if (question->ports[i] && question->ports[i] == port)
			return true;
	return false;
}

static bool is_tcp(const struct socket_row *row)
{
	return row->width != WIDTH_PORT;
}

static void choose(struct search *search)
{
	struct socket_table *table = search->table;

	for (size_t i = 0; i < table->count; i++)
		table->rows[i].told = is_tcp(&table->rows[i]) && is_guarded(search->question, table->rows[i].port);
	for (size_t i = 0; i < search->hold_count; i++) {
		struct socket_row *row = &table->rows[search->holds[i].row];
		struct brief *brief = &search->briefs[search->holds[i].brief];
		bool store = brief->kind == SERVER_REDIS || brief->kind == SERVER_VALKEY ||
			     brief->kind == SERVER_KEYDB || brief->kind == SERVER_MEMCACHED;

		if (!is_tcp(row))
			continue;
		if (brief->kind == SERVER_DRAGONFLY)
			row->told = true;
		else if (store && is_guarded(search->question, row->port))
			brief->server = true;
	}
	for (size_t i = 0; i < search->brief_count; i++)
		if (search->briefs[i].kind == SERVER_DRAGONFLY)
			search->briefs[i].server = search->briefs[i].wanted = true;
	for (size_t i = 0; i < search->hold_count; i++) {
		struct socket_row *row = &table->rows[search->holds[i].row];
		struct brief *brief = &search->briefs[search->holds[i].brief];

		if (!is_tcp(row) && brief->server)
			row->told = true;
		if (is_tcp(row) && row->told)
			brief->wanted = true;
	}
}

static void read_wanted(struct search *search)
{
	_cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct details *details = details_new();
	size_t capacity = 0;

	for (size_t i = 0; i < search->brief_count; i++) {
		struct brief *brief = &search->briefs[i];
		struct process process = {.pid = brief->pid, .start = brief->start, .kind = brief->kind};

		if (!brief->wanted)
			continue;
		if (search->host->process_count >= LISTENERS_MAX_KEPT) {
			search->full = true;
			break;
		}
		if (!details_read(details, search->host, proc, &process)) {
			search->moved = true;
			continue;
		}
		ARRAY_GROW(search->host->processes, search->host->process_count, capacity);
		brief->index = search->host->process_count;
		search->host->processes[search->host->process_count++] = process;
	}
	details_free(details);
}

/* ---- who holds it ---- */

static int compare_holds(const void *a, const void *b)
{
	const struct hold *x = a;
	const struct hold *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->brief < y->brief ? -1 : x->brief > y->brief;
}

static char *why_not_all(const struct search *search)
{
	if (search->refused)
		return mem_string("not permitted");
	if (search->hidden)
		return mem_string("processes of others are hidden (hidepid)");
	if (search->full)
		return mem_string("too many processes or descriptors");
	if (search->host->processes_read.unknown)
		return mem_string(search->host->processes_read.unknown);
	if (search->failed)
		return mem_string(proc_reason(-search->failed_code));
	return NULL;
}

/* Whether a socket of ours that nobody seems to hold is still there. */
static bool is_still_there(const struct socket_row *row)
{
	struct netlink *netlink;
	struct socket_table table = {0};
	bool there = true;

	/* Of other namespaces, and in doubt, it is. */
	if (row->network != 0 || row->inode == 0 || netlink_open(NETLINK_SOCK_DIAG, &netlink, NULL) < 0)
		return true;
	if (sockets_read_tcp(netlink, 0, row->port, &table, NULL) == 0 && !table.truncated) {
		sockets_index(&table);
		there = sockets_find(&table, row->inode, SOCKET_BEGIN) != SOCKET_END;
	}
	sockets_done(&table);
	netlink_close(netlink);
	return there;
}

static void add_listener(
	struct search *search, const struct socket_row *row, const struct hold *holds, size_t count, size_t *capacity)
{
	struct host *host = search->host;
	struct listener listener = {.network = row->network,
		.width = row->width,
		.address = row->address,
		.port = row->port,
		.v6_only = row->v6_only,
		.v6_only_known = row->v6_only_known,
		.inode = row->inode,
		.uid = row->uid,
		.queued = row->queued,
		.backlog = row->backlog,
		.guarded = is_guarded(search->question, row->port)};
	size_t room = 0;

	for (size_t i = 0; i < count; i++) {
		size_t index = search->briefs[holds[i].brief].index;

		/* Held by several descriptors of one process; or that process has ended. */
		if (index == LISTENERS_NO_INDEX || (i > 0 && holds[i].brief == holds[i - 1].brief))
			continue;
		ARRAY_GROW(listener.processes, listener.process_count, room);
		listener.processes[listener.process_count++] = index;
	}
	listener.process_unknown = why_not_all(search);
	if (listener.process_count == 0 && !listener.process_unknown) {
		/* All who held it have ended, and it ended with them. */
		if (count > 0 || !is_still_there(row)) {
			search->moved = true;
			return;
		}
		listener.process_unknown = mem_string("no process shows it");
	}
	if (row->interface) {
		const char *name = search->table->devices[row->more].name;

		listener.device = proc_clean(name, strnlen(name, sizeof(search->table->devices->name)));
	}
	ARRAY_GROW(host->listeners, host->listener_count, *capacity);
	host->listeners[host->listener_count++] = listener;
}

static void add_unix(
	struct search *search, const struct socket_row *row, const struct hold *holds, size_t count, size_t *capacity)
{
	struct host *host = search->host;
	struct unix_listener listener = {.network = row->network, .inode = row->inode, .process = LISTENERS_NO_INDEX};

	for (size_t i = 0; i < count && listener.process == LISTENERS_NO_INDEX; i++)
		if (search->briefs[holds[i].brief].server)
			listener.process = search->briefs[holds[i].brief].index;
	if (listener.process == LISTENERS_NO_INDEX) {
		search->moved = true;
		return;
	}
	details_unix(&host->processes[listener.process], &search->table->unix_rows[row->more], &listener);
	ARRAY_GROW(host->unix_listeners, host->unix_count, *capacity);
	host->unix_listeners[host->unix_count++] = listener;
}

static void tell(struct search *search)
{
	struct socket_table *table = search->table;
	size_t capacity = 0, unix_capacity = 0, at = 0;

	if (search->hold_count)
		qsort(search->holds, search->hold_count, sizeof(*search->holds), compare_holds);
	for (size_t i = 0; i < table->count; i++) {
		const struct socket_row *row = &table->rows[i];
		size_t first = at;

		while (at < search->hold_count && search->holds[at].row == i)
			at++;
		if (!row->told)
			continue;
		if (search->host->listener_count + search->host->unix_count >= LISTENERS_MAX_KEPT) {
			search->full = true;
			break;
		}
		if (is_tcp(row))
			add_listener(search, row, search->holds + first, at - first, &capacity);
		else
			add_unix(search, row, search->holds + first, at - first, &unix_capacity);
	}
}

static void count_failures(struct text *text, size_t count, int code)
{
	if (count)
		text_printf(text, "%s%zu process%s: %s", text->length ? ", " : "", count, count == 1 ? "" : "es",
			proc_reason(code));
}

static void tell_failures(struct search *search)
{
	_cleanup_text_ struct text text = {0};

	count_failures(&text, search->refused, EACCES);
	count_failures(&text, search->failed, -search->failed_code);
	if (search->hidden)
		text_printf(&text, "%sprocesses of others are hidden (hidepid)", text.length ? ", " : "");
	if (search->full) {
		text_printf(&text, "%stoo many processes, descriptors or sockets to tell all", text.length ? ", " : "");
		search->host->truncated = true;
	}
	if (text.length && !search->host->processes_read.unknown)
		search->host->processes_read.unknown = text_take(&text);
}

/* A server that began while we looked may listen since. */
static bool has_begun(const struct search *search, uint64_t since)
{
	for (size_t i = 0; i < search->brief_count; i++)
		if (search->briefs[i].kind == SERVER_DRAGONFLY && search->briefs[i].start >= since)
			return true;
	return false;
}

void processes_read(struct host *host, const struct host_question *question, struct socket_table *table, uint64_t since,
	bool *moved)
{
	struct search search = {.host = host, .question = question, .table = table};

	look_at_all(&search);
	choose(&search);
	read_wanted(&search);
	tell(&search);
	tell_failures(&search);
	*moved = search.moved || has_begun(&search, since);
	free(search.briefs);
	free(search.holds);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The log of each Dragonfly server that runs. Two files are followed: that of warnings, where what is written is there
 * at once, and that of information, which has all lines again, so that of it only its own severity counts; it is
 * written late (--logbuflevel=-1 mends that). Reading is an errand, and what stands there is read by dflyguard-probe.
 *
 * Files that are there when watch begins are read from their ends; those of a server that starts later, or that take
 * the place of others, from their beginnings. Where watch is, it knows in memory only. A file that is followed stays
 * open, so that what was written to it is read also when its name is gone. Nothing is lost without a word.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch.h"

#define LOG_SECONDS 20.0
/* What is behind by more than that is passed over, but for its end: an attack must not be what keeps watch busy. */
#define BEHIND_MOST ((uint64_t)64 << 20)
#define BEHIND_KEPT ((uint64_t)4 << 20)

static const struct {
	const char *severity, *letters;
} kinds[2] = {{"WARNING", "WEF"}, {"INFO", "I"}};

/* --- files --- */

static void close_file(struct log_file *file)
{
	if (file->descriptor >= 0)
		close(file->descriptor);
	free(file->name);
	*file = (struct log_file){.descriptor = -1};
}

static void server_done(struct log_server *server)
{
	for (size_t i = 0; i < ARRAY_SIZE(server->files); i++)
		close_file(&server->files[i]);
	if (server->directory >= 0)
		close(server->directory);
	free(server->program);
	free(server->folder);
	free(server->unknown);
}

/* A file that others chose: no link is followed, and nothing is waited for. */
static int open_file(int directory, const char *name, struct stat *status)
{
	int descriptor = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (descriptor >= 0 && (fstat(descriptor, status) < 0 || !S_ISREG(status->st_mode))) {
		close(descriptor);
		return -1;
	}
	return descriptor;
}

/* The newest file, where it is another one than that which is read. */
static void find_newer(struct watch *watch, struct log_server *server, size_t kind, bool at_end)
{
	struct log_file *file = &server->files[kind];
	char *name = log_newest(server->directory, server->program, kinds[kind].severity, server->pid);
	struct stat status, old;
	int descriptor = name ? open_file(server->directory, name, &status) : -1;

	if (descriptor < 0) {
		free(name);
		return;
	}
	if (file->descriptor >= 0 && file->device == status.st_dev && file->inode == status.st_ino) {
		close(descriptor);
		free(name);
		return;
	}
	/* What is read now goes first, also what was written a moment ago; the new one is found again then. */
	if (file->descriptor >= 0 && fstat(file->descriptor, &old) == 0)
		file->size = (uint64_t)old.st_size;
	if (file->descriptor >= 0 && file->size > file->position.offset) {
		file->newer = true;
		close(descriptor);
		free(name);
		return;
	}
	if (file->descriptor >= 0)
		watch_say(watch, EVENT_LOG, "%s/%s is followed now, in place of %s", server->folder, name, file->name);
	close_file(file);
	*file = (struct log_file){.descriptor = descriptor,
		.name = name,
		.device = status.st_dev,
		.inode = status.st_ino,
		.size = (uint64_t)status.st_size,
		.position.offset = at_end ? (uint64_t)status.st_size : 0};
}

/* The folder is looked through where something in it has changed, and until there was something. */
static void look_through(struct watch *watch, struct log_server *server)
{
	struct stat status;
	bool at_end = !server->read_once && (double)server->start / (double)sysconf(_SC_CLK_TCK) < watch->began;
	bool newer = server->files[0].newer || server->files[1].newer;

	if (fstat(server->directory, &status) < 0)
		return;
	if (server->read_once && !newer && status.st_mtim.tv_sec == server->changed.tv_sec &&
		status.st_mtim.tv_nsec == server->changed.tv_nsec)
		return;
	server->changed = status.st_mtim;
	for (size_t i = 0; i < ARRAY_SIZE(server->files); i++) {
		server->files[i].newer = false;
		find_newer(watch, server, i, at_end);
	}
	server->read_once = true;
}

/* Whether there is something to be read. What became of the file is told. */
static bool look_at_file(struct watch *watch, const struct log_server *server, struct log_file *file)
{
	struct stat status;
	uint64_t behind;

	if (file->descriptor < 0 || fstat(file->descriptor, &status) < 0)
		return false;
	file->size = (uint64_t)status.st_size;
	if (file->size < file->position.offset) {
		watch_say(watch, EVENT_LOG,
			"%s/%s was cut short, from %" PRIu64 " bytes to %" PRIu64 ": it is read from its beginning",
			server->folder, file->name, file->position.offset, file->size);
		file->position = (struct log_position){0};
		file->asked = 0;
	}
	behind = file->size - file->position.offset;
	if (behind > BEHIND_MOST) {
		watch_say(watch, EVENT_LOG,
			"%s/%s grows faster than it can be read: %" PRIu64 " bytes were passed over", server->folder,
			file->name, behind - BEHIND_KEPT);
		watch->log.lost_bytes += behind - BEHIND_KEPT;
		file->position = (struct log_position){.offset = file->size - BEHIND_KEPT, .torn = true};
	}
	if (!behind)
		file->asked = 0;
	/* A line that has no end yet was asked for already. */
	return behind > 0 && file->size != file->asked;
}

/* --- servers --- */

static void begin_server(struct watch *watch, const struct process *process, const struct intention *intention)
{
	struct log_server *server = &watch->log.servers[watch->log.count++];
	struct log_place place;
	char why[INTERVAL_WHY] = "";

	*server = (struct log_server){.pid = process->pid,
		.start = process->start,
		.directory = -1,
		.program = log_program(process),
		.files = {{.descriptor = -1}, {.descriptor = -1}}};
	log_place_read(intention, &place);
	if (!place.folder) {
		server->unknown =
			mem_format("process %u writes its log to standard error, which is not followed", process->pid);
		return;
	}
	server->folder = mem_string(place.folder);
	server->directory = log_folder_open(watch->follow.policy, process, place.folder, why);
	if (server->directory < 0)
		server->unknown = mem_string(why);
}

static struct log_server *find_server(struct log_follow *log, const struct process *process)
{
	for (size_t i = 0; i < log->count; i++)
		if (log->servers[i].pid == process->pid && log->servers[i].start == process->start)
			return &log->servers[i];
	return NULL;
}

void log_servers(struct watch *watch)
{
	struct log_follow *log = &watch->log;
	const struct host_facts *host = &watch->host;

	/* Numbers of servers stand in the errand's questions. */
	if (!host->host || errand_is_out(&log->errand))
		return;
	for (size_t i = 0; i < log->count; i++)
		log->servers[i].gone = true;
	log->more = 0;
	for (size_t i = 0; i < host->count; i++) {
		size_t number = host->intentions[i].process;
		const struct process *process = number == LISTENERS_NO_INDEX ? NULL : &host->host->processes[number];
		struct log_server *server = process ? find_server(log, process) : NULL;

		if (server)
			server->gone = false;
		else if (process && host->told[i].intention && log->count < LOG_SERVERS)
			begin_server(watch, process, host->told[i].intention);
		else if (process)
			log->more++;
	}
}

/* Those that ended, and whose files were read to their ends. */
static void leave_servers(struct log_follow *log)
{
	size_t kept = 0;

	for (size_t i = 0; i < log->count; i++) {
		struct log_server *server = &log->servers[i];
		bool done = server->gone;

		for (size_t k = 0; k < ARRAY_SIZE(server->files); k++)
			done = done && server->files[k].size <= server->files[k].position.offset;
		if (done)
			server_done(server);
		else
			log->servers[kept++] = *server;
	}
	log->count = kept;
}

bool log_followed(const struct watch *watch, const char **ret_why)
{
	const struct log_follow *log = &watch->log;

	*ret_why = log->more ? "more servers run than are followed" : NULL;
	for (size_t i = 0; i < log->count && !*ret_why; i++)
		*ret_why = log->servers[i].unknown;
	return log->count > 0;
}

/* --- the errand --- */

static void ask_logs(void *data, struct text *text, size_t *count)
{
	struct watch *watch = data;
	struct log_follow *log = &watch->log;
	struct probe_limits limits = {.milliseconds = 10000};
	struct probe_job *job = probe_job_new();
	struct records *records = NULL;
	struct err err = {0};

	for (size_t i = 0; i < log->asked_count; i++) {
		const struct log_file *file = &log->servers[log->asked[i] / 2].files[log->asked[i] % 2];

		log_ask(job, file->descriptor, &file->position, kinds[log->asked[i] % 2].letters);
	}
	if (probe_run(job, &limits, &records, &err) < 0) {
		record_begin(text, "trouble");
		record_text(text, "why", err.message);
		record_end(text);
		++*count;
	}
	for (size_t i = 0; records && i < records->count; i++)
		record_relay(&records->items[i], text, count);
	/* The job's descriptors are closed with the process. */
	records_free(records);
}

void log_step(struct watch *watch, double now)
{
	struct log_follow *log = &watch->log;
	int keep[LOG_SERVERS * 2];
	struct err err = {0};

	if (errand_is_out(&log->errand))
		return;
	log->asked_count = 0;
	log->behind = false;
	for (size_t i = 0; i < log->count; i++) {
		struct log_server *server = &log->servers[i];

		if (server->directory < 0)
			continue;
		look_through(watch, server);
		for (size_t k = 0; k < ARRAY_SIZE(server->files); k++)
			if (look_at_file(watch, server, &server->files[k]))
				log->asked[log->asked_count++] = i * 2 + k;
	}
	if (!log->asked_count) {
		leave_servers(log);
		return;
	}
	for (size_t i = 0; i < log->asked_count; i++) {
		struct log_file *file = &log->servers[log->asked[i] / 2].files[log->asked[i] % 2];

		keep[i] = file->descriptor;
		file->asked = file->size;
	}
	if (errand_begin(&log->errand, ask_logs, watch, keep, log->asked_count, now + LOG_SECONDS, &err) < 0)
		watch_trouble(watch, &log->trouble, &err);
}

/* --- what it tells --- */

/* A kind of event, and the alert that counts it. */
static const struct {
	enum log_event event;
	enum alert_on on;
} counted[] = {
	{LOG_EVENT_TLS_ERROR, ALERT_TLS_ERRORS},
	{LOG_EVENT_DANGEROUS_COMMAND, ALERT_DANGEROUS_COMMANDS},
	{LOG_EVENT_AUTH_FAILURE, ALERT_AUTH_FAILURES},
};

/* While we knock ourselves, what comes from this host may be us. */
static bool may_be_us(const struct watch *watch, const struct log_seen *seen)
{
	const struct host *host = watch->host.host;

	if (!errand_is_out(&watch->posture.errand) && !watch->posture.wanted)
		return false;
	if (!seen->has_address)
		return false;
	for (size_t i = 0; host && i < host->address_count; i++)
		if (host->addresses[i].width == seen->width &&
			value_compare(host->addresses[i].address, seen->address) == 0)
			return true;
	return false;
}

static void say_seen(struct watch *watch, const struct log_server *server, const struct log_seen *seen)
{
	char address[INTERVAL_TEXT];
	const char *at = seen->has_address ? value_format(seen->width, seen->address, address) : NULL;
	bool wide = at && seen->width == WIDTH_IPV6;

	switch (seen->event) {
	case LOG_EVENT_PROTECTED_MODE:
		watch_say(watch, EVENT_LOG, "%s %u: protected mode: without a password it listens on loopback alone",
			server->program, server->pid);
		return;
	case LOG_EVENT_LISTENING:
		if (at)
			watch_say(watch, EVENT_LOG, "%s %u listens on %s%s%s:%u%s%s", server->program, server->pid,
				wide ? "[" : "", at, wide ? "]" : "", seen->port, seen->text ? ", " : "",
				seen->text ? seen->text : "");
		return;
	case LOG_EVENT_CONFIG_REFUSED:
		watch_say(watch, EVENT_LOG, "%s %u refused a setting: %s", server->program, server->pid,
			seen->text ? seen->text : "CONFIG SET");
		return;
	case LOG_EVENT_STOPPED:
		watch_say(watch, EVENT_LOG, "%s %u ends", server->program, server->pid);
		return;
	/* Others may cause as many of these as they like: they are counted, and alerts tell. */
	case LOG_EVENT_AUTH_FAILURE:
	case LOG_EVENT_TLS_ERROR:
	case LOG_EVENT_DANGEROUS_COMMAND:
	case LOG_EVENT_STARTED:
	case LOG_EVENT_BROKEN_PROTOCOL:
		return;
	}
}

static void take_seen(struct watch *watch, const struct log_server *server, const struct log_seen *seen, double now)
{
	struct alert_who who = {.known = seen->has_address, .width = seen->width, .address = seen->address};

	watch->log.seen[seen->event] += (uint64_t)seen->count;
	say_seen(watch, server, seen);
	if (seen->event == LOG_EVENT_LISTENING) {
		if (seen->has_address && value_compare(seen->address, value_zero()) == 0)
			attack_note(watch, ALERT_WILDCARD_LISTENER, &(struct alert_who){0}, (uint64_t)seen->count, now);
		return;
	}
	/* Where the server itself counts them, the log, which has one a second at most, would count them again. */
	if (seen->event == LOG_EVENT_AUTH_FAILURE && watch->attacks.begun && !watch->attacks.trouble)
		return;
	if (may_be_us(watch, seen))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		if (counted[i].event == seen->event)
			attack_note(watch, counted[i].on, &who, (uint64_t)seen->count, now);
}

static int take_file(struct watch *watch, const struct records *records, int64_t id, double now, struct err *err)
{
	size_t place = watch->log.asked[id];
	struct log_server *server = &watch->log.servers[place / 2];
	struct log_file *file = &server->files[place % 2];
	struct log_look look;
	struct log_seen seen;
	int code = log_hear(records, id, &look, err);

	if (code < 0) {
		file->asked = 0;
		err_prefix(err, "%s", file->name);
		return code;
	}
	if (look.more)
		file->asked = 0;
	/* The writer is gone, and this line will have no end. */
	else if ((file->newer || server->gone) && look.position.offset < file->size) {
		watch->log.lost_bytes += file->size - look.position.offset;
		look.position = (struct log_position){.offset = file->size};
	}
	if (look.rewritten)
		watch_say(watch, EVENT_LOG, "%s/%s was written anew: it is read from its beginning", server->folder,
			file->name);
	for (size_t i = 0; i < records->count; i++)
		if (log_hear_seen(&records->items[i], id, &seen))
			take_seen(watch, server, &seen, now);
	if (look.unlisted)
		watch_say(watch, EVENT_LOG, "%s/%s: %" PRId64 " more events, of too many sources, are not counted",
			server->folder, file->name, look.unlisted);
	if (look.too_long)
		watch_say(watch, EVENT_LOG, "%s/%s: %" PRId64 " %s too long to be read", server->folder, file->name,
			look.too_long, look.too_long == 1 ? "line is" : "lines are");
	/* A line without an end, which more may follow. */
	watch->log.behind = watch->log.behind || look.more;
	file->position = look.position;
	return 0;
}

void log_hear_errand(struct watch *watch, double now)
{
	struct log_follow *log = &watch->log;
	struct records *records = NULL;
	struct err err = {0};
	int code;

	if (!errand_is_out(&log->errand))
		return;
	code = errand_hear(&log->errand, now, &records, &err);
	if (code == -EAGAIN)
		return;
	if (code == 0 && records->count && strcmp(records->items[0].name, "trouble") == 0)
		code = err_set(&err, EIO, ERR_IO, "%s", record_get(records->items, "why"));
	for (size_t i = 0; code < 0 && i < log->asked_count; i++)
		log->servers[log->asked[i] / 2].files[log->asked[i] % 2].asked = 0;
	for (size_t i = 0; code == 0 && i < log->asked_count; i++)
		code = take_file(watch, records, (int64_t)i, now, &err);
	if (code < 0)
		err_prefix(&err, "the server's log cannot be read");
	watch_trouble(watch, &log->trouble, code < 0 ? &err : NULL);
	records_free(records);
	leave_servers(log);
}

void log_done(struct log_follow *log)
{
	errand_end(&log->errand);
	for (size_t i = 0; i < log->count; i++)
		server_done(&log->servers[i]);
	free(log->trouble);
}

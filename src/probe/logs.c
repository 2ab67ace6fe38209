/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The log of a server: where its flags put it, and what dflyguard-probe reads in it. */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "logs.h"

/* --- where --- */

void log_place_read(const struct intention *intention, struct log_place *ret)
{
	const char *folder = intention_text(intention, "log_dir");
	bool only = intention_bool(intention, "logtostderr") || intention_bool(intention, "logtostdout");

	*ret = (struct log_place){
		.to_stderr = only || intention_bool(intention, "alsologtostderr"),
		.buffer_level = intention_number(intention, "logbuflevel"),
		.minimum = intention_number(intention, "minloglevel"),
		.megabytes = intention_number(intention, "max_log_size"),
	};
	if (only)
		return;
	ret->temporary = !folder || !*folder;
	ret->folder = ret->temporary ? "/tmp" : folder;
}

bool log_name_read(const char *name, const char *program, const char *severity, struct log_name *ret)
{
	size_t length = strlen(program);
	_cleanup_free_ char *middle = mem_format(".%s.", severity);
	const char *found = NULL;
	char *end;

	if (strncmp(name, program, length) != 0 || name[length] != '.')
		return false;
	/* The last one: a host may be called like that. */
	for (const char *at = name + length; (at = strstr(at, middle)); at++)
		found = at;
	if (!found)
		return false;
	found += strlen(middle);
	for (size_t i = 0; i < 15; i++)
		if (i == 8 ? found[i] != '-' : !isdigit((unsigned char)found[i]))
			return false;
	if (found[15] != '.' || !isdigit((unsigned char)found[16]))
		return false;
	snprintf(ret->date, sizeof(ret->date), "%.15s", found);
	ret->pid = (uint32_t)strtoul(found + 16, &end, 10);
	return strcmp(end, ".log") == 0;
}

struct log_facts *log_facts_new(void)
{
	return mem_zero(1, sizeof(struct log_facts));
}

struct log_told *log_facts_add(struct log_facts *facts)
{
	facts->told = mem_resize(facts->told, facts->count + 1, sizeof(*facts->told));
	facts->told[facts->count] = (struct log_told){0};
	return &facts->told[facts->count++];
}

void log_facts_free(struct log_facts *facts)
{
	if (!facts)
		return;
	for (size_t i = 0; i < facts->count; i++) {
		free(facts->told[i].folder);
		free(facts->told[i].unknown);
		free(facts->told[i].file);
	}
	free(facts->told);
	free(facts);
}

/* --- what --- */

const char *log_event_name(enum log_event event)
{
	static const char *const names[] = {
		[LOG_EVENT_AUTH_FAILURE] = "auth-failure",
		[LOG_EVENT_TLS_ERROR] = "tls-error",
		[LOG_EVENT_PROTECTED_MODE] = "protected-mode",
		[LOG_EVENT_LISTENING] = "listening",
		[LOG_EVENT_CONFIG_REFUSED] = "config-refused",
		[LOG_EVENT_DANGEROUS_COMMAND] = "dangerous-command",
		[LOG_EVENT_STARTED] = "started",
		[LOG_EVENT_STOPPED] = "stopped",
		[LOG_EVENT_BROKEN_PROTOCOL] = "broken-protocol",
	};

	return names[event];
}

int64_t log_ask(struct probe_job *job, int descriptor, const struct log_position *from, const char *severities)
{
	int64_t id = probe_ask(job, "log");

	probe_ask_number(job, "offset", (int64_t)from->offset);
	probe_ask_number(job, "torn", from->torn);
	probe_ask_text(job, "mark", from->mark[0] ? from->mark : NULL);
	probe_ask_text(job, "severities", severities);
	probe_ask_file(job, "file", descriptor);
	return id;
}

int log_hear(const struct records *records, int64_t id, struct log_look *ret, struct err *err)
{
	const char *why = "dflyguard-probe did not say";

	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];
		struct log_look look = {.more = record_is(record, "more"),
			.rewritten = record_is(record, "rewritten"),
			.position.torn = record_is(record, "torn")};
		const char *mark = record_get(record, "mark");
		int64_t offset;

		if (record_id(record) != id)
			continue;
		if (strcmp(record->name, "failed") == 0 && record_get(record, "why"))
			why = record_get(record, "why");
		if (strcmp(record->name, "position") != 0 ||
			!record_get_number(record, "offset", 0, INT64_MAX, &offset) ||
			!record_get_number(record, "lines", 0, INT64_MAX, &look.lines) ||
			!record_get_number(record, "unlisted", 0, INT64_MAX, &look.unlisted) ||
			!record_get_number(record, "long", 0, INT64_MAX, &look.too_long))
			continue;
		look.position.offset = (uint64_t)offset;
		if (mark)
			snprintf(look.position.mark, sizeof(look.position.mark), "%s", mark);
		*ret = look;
		return 0;
	}
	return err_set(err, EIO, ERR_IO, "%s", why);
}

bool log_hear_seen(const struct record *record, int64_t id, struct log_seen *ret)
{
	const char *kind = record_get(record, "kind");
	const char *address = record_get(record, "address");
	struct log_seen seen = {.time = record_get(record, "time"), .text = record_get(record, "text")};
	char why[INTERVAL_WHY];
	struct interval interval;
	int64_t port;
	unsigned int event = 0;

	if (record_id(record) != id || strcmp(record->name, "seen") != 0 || !kind ||
		!record_get_number(record, "count", 1, INT64_MAX, &seen.count))
		return false;
	while (event < LOG_EVENT_COUNT && strcmp(log_event_name((enum log_event)event), kind) != 0)
		event++;
	if (event == LOG_EVENT_COUNT)
		return false;
	seen.event = (enum log_event)event;
	if (address && interval_parse(address, &seen.width, &interval, why) == 0 &&
		record_get_number(record, "port", 0, 65535, &port)) {
		seen.has_address = true;
		seen.address = interval.first;
		seen.port = (uint16_t)port;
	}
	*ret = seen;
	return true;
}

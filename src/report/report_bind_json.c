/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who listens where, and what servers were told, as JSON: docs/json.md, audit. */

#include "json.h"
#include "report_json.h"

static void write_process(struct json *json, const struct process *process)
{
	json_object_begin(json, NULL);
	json_number(json, "pid", process->pid);
	json_string(json, "command", process->command.text);
	json_string(json, "user", process->user.text);
	json_string(json, "unit", process->unit.text);
	json_string(json, "container", process->container.text);
	json_string(json, "kind", server_kind_name(process->kind));
	json_object_end(json);
}

static void write_listener(struct json *json, const struct audit_facts *facts, const struct listener *listener)
{
	const struct host *host = facts->host;
	_cleanup_free_ char *remedy = audit_listener_remedy(facts, listener);
	char address[INTERVAL_TEXT];

	json_object_begin(json, NULL);
	json_string(json, "network", host->networks[listener->network].name);
	json_string(json, "address", value_format(listener->width, listener->address, address));
	json_number(json, "port", listener->port);
	json_bool(json, "wildcard", listener_is_wildcard(listener));
	json_bool(json, "dual", listener_is_dual(listener));
	json_string(json, "device", listener->device);
	json_number(json, "inode", listener->inode);
	json_array_begin(json, "processes");
	for (size_t i = 0; i < listener->process_count; i++)
		write_process(json, &host->processes[listener->processes[i]]);
	json_array_end(json);
	json_string(json, "processes_unknown", listener->process_unknown);
	json_string(json, "verdict", listener_verdict_name(audit_listener(facts, listener)));
	json_string(json, "remedy", remedy);
	json_object_end(json);
}

static void write_place(struct json *json, const char *name, const char *file, unsigned int line)
{
	_cleanup_free_ char *text = file ? line ? mem_format("%s:%u", file, line) : mem_string(file) : NULL;

	json_string(json, name, text);
}

static void write_intended(struct json *json, const struct intended_listener *intended)
{
	static const char *const kinds[] = {[INTENDED_MAIN] = "main",
		[INTENDED_ADMIN] = "admin",
		[INTENDED_MEMCACHED] = "memcached",
		[INTENDED_UNIX] = "unix"};
	static const char *const sources[] = {[FLAG_DEFAULT] = "default",
		[FLAG_ARGUMENT] = "argument",
		[FLAG_FILE] = "file",
		[FLAG_ENVIRONMENT] = "environment"};
	const struct flag *flag = intended->flag;

	json_object_begin(json, NULL);
	json_string(json, "kind", kinds[intended->kind]);
	json_string(json, "address", intended->address);
	json_number(json, "port", intended->port);
	json_bool(json, "wildcard", intended->wildcard);
	json_bool(json, "dual", intended->dual);
	json_bool(json, "tls", intended->tls);
	json_bool(json, "protected_mode", intended->protected_mode);
	json_string(json, "source", sources[flag ? flag->source : FLAG_DEFAULT]);
	if (flag && flag->source == FLAG_FILE)
		write_place(json, "place", flag->file, flag->line);
	else
		json_null(json, "place");
	json_object_end(json);
}

static void write_told(struct json *json, const struct intention *intention)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention ? intention_listeners(intention, intended) : 0;

	json_string(json, "refusal", intention ? intention->refusal : NULL);
	if (intention)
		write_place(json, "refusal_place", intention->refusal_file, intention->refusal_line);
	else
		json_null(json, "refusal_place");
	json_array_begin(json, "files");
	for (size_t i = 0; intention && i < intention->file_count; i++)
		json_string(json, NULL, intention->files[i]);
	json_array_end(json);
	json_array_begin(json, "listeners");
	for (size_t i = 0; i < count; i++)
		write_intended(json, &intended[i]);
	json_array_end(json);
	json_array_begin(json, "remarks");
	for (size_t i = 0; intention && i < intention->remark_count; i++) {
		json_object_begin(json, NULL);
		write_place(json, "place", intention->remarks[i].file, intention->remarks[i].line);
		json_string(json, "message", intention->remarks[i].message);
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_intention(struct json *json, const struct audit_facts *facts, const struct audit_intention *told)
{
	const struct intention *intention = told->intention;

	json_object_begin(json, NULL);
	json_string(json, "of", intention_source_name(told->source));
	json_string(json, "subject", told->subject);
	if (facts->host && told->process != LISTENERS_NO_INDEX)
		json_number(json, "pid", facts->host->processes[told->process].pid);
	else
		json_null(json, "pid");
	json_string(json, "unknown", intention ? intention->unknown : told->unknown);
	write_told(json, intention);
	json_object_end(json);
}

void json_listeners(struct json *json, const struct audit_facts *facts)
{
	const struct host *host = facts ? facts->host : NULL;

	json_array_begin(json, "listeners");
	for (size_t i = 0; host && i < host->listener_count; i++)
		write_listener(json, facts, &host->listeners[i]);
	json_array_end(json);
	json_string(json, "listeners_unknown",
		host	? host->listeners_read.unknown
		: facts ? facts->host_unknown
			: NULL);
	json_array_begin(json, "intentions");
	for (size_t i = 0; facts && i < facts->intention_count; i++)
		write_intention(json, facts, &facts->intentions[i]);
	json_array_end(json);
}

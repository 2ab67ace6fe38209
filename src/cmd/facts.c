/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host as facts for audit: sockets and processes, and what each Dragonfly was told. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "facts.h"

void host_ask(const struct policy *policy, bool networks, struct host_question *ret)
{
	const struct service *service = &policy->service;
	const uint16_t ports[] = {service->port, service->tls_port, service->admin_port, service->memcached_port};

	*ret = (struct host_question){.networks = networks};
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		bool known = !ports[i];

		for (size_t k = 0; k < ret->port_count; k++)
			known = known || ret->ports[k] == ports[i];
		if (!known)
			ret->ports[ret->port_count++] = ports[i];
	}
}

static struct told *add(struct host_facts *facts, enum intention_source source, size_t process)
{
	size_t index = facts->count++;

	facts->intentions = mem_resize(facts->intentions, facts->count, sizeof(*facts->intentions));
	facts->told = mem_resize(facts->told, facts->count, sizeof(*facts->told));
	facts->intentions[index] = (struct audit_intention){.source = source, .process = process};
	facts->told[index] = (struct told){0};
	return &facts->told[index];
}

/* With who may read and write what was read, one for each file, by what intention_read() promises. */
static void read_intention(const struct flags_input *input, struct flagfile *file, struct intention **ret)
{
	intention_read(input, ret);
	if (file->status_count == (*ret)->file_count)
		(*ret)->file_status = TAKE_PTR(file->status);
	free(file->status);
}

static void read_process(struct host_facts *facts, const struct policy *policy, size_t index)
{
	const struct process *process = &facts->host->processes[index];
	struct told *told = add(facts, INTENTION_PROCESS, index);
	struct flagfile file = {.process = process, .policy = policy};
	struct flags_input input = {.environment = process->environment,
		.environment_count = process->environment_count,
		.environment_unknown = process->environment_unknown,
		.read_file = flagfile_read,
		.data = &file};

	told->subject = mem_format("%s, process %u",
		process->command.text ? process->command.text : server_kind_name(process->kind), process->pid);
	if (process->arguments_unknown) {
		told->unknown = mem_format("its command line: %s", process->arguments_unknown);
		return;
	}
	if (process->argument_count) {
		input.arguments = process->arguments + 1;
		input.argument_count = process->argument_count - 1;
	}
	read_intention(&input, &file, &told->intention);
}

/* The flagfile may be one of these already. */
static bool is_read(const struct host_facts *facts, const char *path)
{
	for (size_t i = 0; i < facts->count; i++) {
		const struct intention *intention = facts->told[i].intention;

		for (size_t k = 0; intention && k < intention->file_count; k++)
			if (strcmp(intention->files[k], path) == 0)
				return true;
	}
	return false;
}

/* What systemd would start. A host without such a unit has another way to start a server, or none. */
static void read_unit(struct host_facts *facts, const struct policy *policy)
{
	struct server_unit *unit;
	struct told *told;

	unit_read("/", policy->service.unit, &unit);
	if (unit->found) {
		told = add(facts, INTENTION_UNIT, LISTENERS_NO_INDEX);
		told->subject = mem_string(policy->service.unit);
		/* What it lacks may only not have been seen. */
		if (unit->unknown)
			told->unknown = mem_string(unit->unknown);
		else
			intention_read_unit("/", unit, &told->intention);
	}
	unit_free(unit);
}

/* As the packaged unit starts it: systemd sets INVOCATION_ID. */
static void read_flagfile(struct host_facts *facts, const struct policy *policy)
{
	static char under_systemd[] = "INVOCATION_ID=";
	static char *environment[] = {under_systemd};
	const struct service *service = &policy->service;
	_cleanup_free_ char *argument = mem_format("--flagfile=%s", service->flagfile);
	struct flagfile file = {.policy = policy};
	struct flags_input input = {.arguments = &argument,
		.argument_count = 1,
		.environment = environment,
		.environment_count = ARRAY_SIZE(environment),
		.read_file = flagfile_read,
		.data = &file};
	struct told *told;

	if (is_read(facts, service->flagfile))
		return;
	/* Nobody named it, and it is not there: nobody has one. */
	if (!service->flagfile_origin && access(service->flagfile, F_OK) < 0 && errno == ENOENT)
		return;
	told = add(facts, INTENTION_FLAGFILE, LISTENERS_NO_INDEX);
	told->subject = mem_string(service->flagfile);
	read_intention(&input, &file, &told->intention);
}

void host_facts_read(const struct policy *policy, struct host_facts *ret)
{
	struct host_question question;

	host_facts_done(ret);
	host_ask(policy, true, &question);
	host_read(&question, &ret->host);
	for (size_t i = 0; i < ret->host->process_count; i++)
		if (ret->host->processes[i].kind == SERVER_DRAGONFLY)
			read_process(ret, policy, i);
	read_unit(ret, policy);
	read_flagfile(ret, policy);
	for (size_t i = 0; i < ret->count; i++) {
		ret->intentions[i].subject = ret->told[i].subject;
		ret->intentions[i].unknown = ret->told[i].unknown;
		ret->intentions[i].intention = ret->told[i].intention;
	}
}

static const char *left_out(void)
{
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (descriptor >= 0)
		close(descriptor);
	/* What RestrictAddressFamilies= says, and a kernel without IPv4, which has no server to knock at. */
	if (descriptor < 0 && errno == EAFNOSUPPORT)
		return "this service may not open connections; the drop-in dflyguard-posture.conf lets it";
	return NULL;
}

void host_facts_read_posture(
	const struct policy *policy, const struct environment *environment, struct host_facts *facts)
{
	facts->left_out = left_out();
	if (facts->left_out)
		return;
	host_facts_read_tls(policy, environment, facts);
	host_facts_read_server(policy, environment, facts);
	host_facts_read_logs(policy, facts);
}

void host_facts_lend(const struct host_facts *host, struct audit_facts *facts)
{
	facts->host = host->host;
	facts->intentions = host->intentions;
	facts->intention_count = host->count;
	facts->tls = host->tls;
	facts->tls_unknown = facts->server_unknown = host->left_out;
	facts->posture_left_out = host->left_out != NULL;
	facts->server = host->server;
	facts->logs = host->logs;
}

void host_facts_done(struct host_facts *facts)
{
	for (size_t i = 0; i < facts->count; i++) {
		free(facts->told[i].subject);
		free(facts->told[i].unknown);
		intention_free(facts->told[i].intention);
	}
	free(facts->told);
	free(facts->intentions);
	host_free(facts->host);
	tls_facts_free(facts->tls);
	server_facts_free(facts->server);
	log_facts_free(facts->logs);
	*facts = (struct host_facts){0};
}

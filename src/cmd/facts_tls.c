/* SPDX-License-Identifier: GPL-3.0-or-later */

/* TLS as facts: opens what dflyguard-probe is to read, connects where it is to knock, and takes its answers. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "facts.h"

/* What this host trusts: Debian's bundle, and that of Red Hat's kind. */
static const char *const root_bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

#define CONNECT_MILLISECONDS 2000u
#define PROBE_MILLISECONDS   40000u
/* More than that on one host are not looked at, and said to be unknown; whoever may start programs could make any
 * number. */
#define MAX_PORTS   12u
#define MAX_SERVERS 8u
_Static_assert(MAX_PORTS *OFFER_COUNT + MAX_SERVERS * (TLS_ROLES + 1) <= PROBE_MAX_FILES, "each has its descriptor");

/* --- files --- */

static const char *const flags[TLS_ROLES] = {
	[TLS_CERTIFICATE] = "tls_cert_file", [TLS_KEY] = "tls_key_file", [TLS_CA] = "tls_ca_cert_file"};

/* A descriptor, or -1 with what is known instead in `ret`. */
static int open_file(const struct flagfile *whose, const char *path, struct tls_file *ret)
{
	char why[INTERVAL_WHY] = "";
	struct stat status;
	int descriptor = flagfile_open(whose, path, why);

	ret->path = mem_string(path);
	/* Asked as its user, which only root can, and the kernel said yes or no. */
	ret->readable_known = whose->process && whose->process->uid_known && whose->process->uid != 0 &&
			      geteuid() == 0 && (descriptor >= 0 || descriptor == -EACCES);
	ret->readable = descriptor >= 0;
	if (descriptor == -ENOENT || descriptor == -ENOTDIR) {
		ret->absent = true;
	} else if (descriptor == -EACCES && !ret->readable_known) {
		ret->unknown = mem_string("not permitted");
	} else if (descriptor < 0) {
		ret->unknown = mem_string(why);
	} else if (fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode)) {
		ret->unknown = mem_format("%s is no regular file", path);
		close(descriptor);
		descriptor = -1;
	} else {
		ret->mode = status.st_mode & 07777;
		ret->uid = status.st_uid;
		ret->gid = status.st_gid;
	}
	return descriptor < 0 ? -1 : descriptor;
}

static int open_roots(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(root_bundles); i++) {
		int descriptor = open(root_bundles[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (descriptor >= 0)
			return descriptor;
	}
	return -1;
}

/* Questions that wait for their answers, by their places. */
struct asked {
	struct probe_job *job;
	int64_t *files; /* by index in tls_facts.files */
	int64_t (*offers)[OFFER_COUNT];
};

static void ask_files(const struct policy *policy, const struct host_facts *facts, size_t index, struct tls_facts *tls,
	struct asked *asked)
{
	const struct intention *intention = facts->told[index].intention;
	size_t process = facts->intentions[index].process;
	struct flagfile whose = {
		.process = process == LISTENERS_NO_INDEX ? NULL : &facts->host->processes[process], .policy = policy};
	struct tls_files *files = tls_facts_add_files(tls);
	int descriptors[TLS_ROLES];

	files->subject = mem_string(facts->told[index].subject);
	files->running = whose.process != NULL;
	asked->files = mem_resize(asked->files, tls->file_count, sizeof(*asked->files));
	asked->files[tls->file_count - 1] = -1;
	if (!intention || intention->unknown) {
		files->flags_unknown = mem_string(intention ? intention->unknown : facts->told[index].unknown);
		return;
	}
	if (tls->file_count > MAX_SERVERS) {
		files->flags_unknown = mem_format("more than %u servers are not looked at", MAX_SERVERS);
		return;
	}
	for (size_t i = 0; i < TLS_ROLES; i++) {
		const char *path = intention_text(intention, flags[i]);

		descriptors[i] = path && *path ? open_file(&whose, path, &files->files[i]) : -1;
	}
	asked->files[tls->file_count - 1] = tls_files_ask(asked->job, descriptors, open_roots());
}

/* What cannot be seen may be there, where it is to be. */
static bool may_have_tls(const struct environment *environment, const struct intention *intention)
{
	if (!intention || intention->unknown)
		return environment->tls != TLS_OFF;
	return intention_bool(intention, "tls");
}

/* --- ports --- */

static void fill_port(const struct policy *policy, const struct environment *environment,
	const struct listener *listener, struct tls_port *port)
{
	const struct service *service = &policy->service;
	_cleanup_text_ struct text subject = {0};

	listener_text(listener, &subject);
	port->subject = text_take(&subject);
	port->port = listener->port;
	port->files = SIZE_MAX;
	port->expected = (listener->port == service->tls_port && environment->tls != TLS_OFF) ||
			 (listener->port == service->admin_port && environment->admin_tls == ADMIN_TLS_REQUIRED) ||
			 (listener->port == service->memcached_port && environment->tls == TLS_REQUIRED);
	port->closed = !port->expected && listener->port == service->port && environment->tls == TLS_REQUIRED;
}

/* The files that its process was told to use. */
static size_t files_of(
	const struct host_facts *facts, const struct listener *listener, const size_t *files_of_intention)
{
	for (size_t i = 0; i < listener->process_count; i++)
		for (size_t k = 0; k < facts->count; k++)
			if (facts->intentions[k].process == listener->processes[i] && files_of_intention[k] != SIZE_MAX)
				return files_of_intention[k];
	return SIZE_MAX;
}

static const char *server_name(const struct environment *environment)
{
	return environment->server_names.reference_count ? environment->server_names.references[0].name : NULL;
}

static void ask_port(const struct environment *environment, const struct listener *listener, struct tls_port *port,
	struct asked *asked, size_t index)
{
	struct probe_target targets[OFFER_COUNT];

	for (size_t i = 0; i < OFFER_COUNT; i++) {
		targets[i] = (struct probe_target){.port = listener->port};
		targets[i].width = listener_address(listener, &targets[i].address);
	}
	asked->offers = mem_resize(asked->offers, index + 1, sizeof(*asked->offers));
	for (size_t i = 0; i < OFFER_COUNT; i++) {
		asked->offers[index][i] = -1;
		if (index >= MAX_PORTS)
			port->answers[i].why = mem_format("more than %u ports are not looked at", MAX_PORTS);
	}
	if (index >= MAX_PORTS)
		return;
	/* A port that is closed is asked for one thing only. */
	size_t first = port->closed ? OFFER_PLAINTEXT : 0;

	probe_connect(targets + first, OFFER_COUNT - first, CONNECT_MILLISECONDS);
	for (size_t i = first; i < OFFER_COUNT; i++) {
		if (targets[i].code < 0) {
			port->answers[i].outcome = TLS_UNREACHABLE;
			port->answers[i].why = mem_format("cannot connect: %s", strerror(-targets[i].code));
			continue;
		}
		asked->offers[index][i] = tls_offer_ask(
			asked->job, (enum tls_offer)i, index, targets[i].descriptor, server_name(environment));
	}
}

static void ask_ports(const struct policy *policy, const struct environment *environment,
	const struct host_facts *facts, struct tls_facts *tls, const size_t *files_of_intention, struct asked *asked)
{
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		struct tls_port wanted = {0};
		struct tls_port *port;

		if (!listener->guarded || listener->network != 0)
			continue;
		fill_port(policy, environment, listener, &wanted);
		if (!wanted.expected && !wanted.closed) {
			free(wanted.subject);
			continue;
		}
		port = tls_facts_add_port(tls);
		*port = wanted;
		port->listener = i;
		port->files = files_of(facts, listener, files_of_intention);
		ask_port(environment, listener, port, asked, tls->port_count - 1);
	}
}

/* --- answers --- */

static void hear(struct tls_facts *tls, const struct asked *asked)
{
	struct probe_limits limits = {.milliseconds = PROBE_MILLISECONDS};
	struct records *records = NULL;
	struct err err = {0};

	if (probe_run(asked->job, &limits, &records, &err) < 0) {
		tls->unknown = mem_string(err.message);
		for (size_t i = 0; i < tls->file_count; i++)
			if (!tls->files[i].flags_unknown)
				tls->files[i].unknown = mem_string(err.message);
		return;
	}
	for (size_t i = 0; i < tls->file_count; i++)
		if (asked->files[i] >= 0)
			tls_files_hear(records, asked->files[i], &tls->files[i]);
	for (size_t i = 0; i < tls->port_count; i++)
		for (size_t k = 0; k < OFFER_COUNT; k++)
			if (asked->offers[i][k] >= 0)
				tls_offer_hear(
					records, asked->offers[i][k], (enum tls_offer)k, &tls->ports[i].answers[k]);
	records_free(records);
}

void host_facts_read_tls(const struct policy *policy, const struct environment *environment, struct host_facts *facts)
{
	struct tls_facts *tls = tls_facts_new();
	struct asked asked = {.job = probe_job_new()};
	_cleanup_free_ size_t *files_of_intention = mem_zero(facts->count + 1, sizeof(*files_of_intention));

	tls->now = time(NULL);
	for (size_t i = 0; i < facts->count; i++) {
		files_of_intention[i] = SIZE_MAX;
		if (!may_have_tls(environment, facts->told[i].intention))
			continue;
		files_of_intention[i] = tls->file_count;
		ask_files(policy, facts, i, tls, &asked);
	}
	ask_ports(policy, environment, facts, tls, files_of_intention, &asked);
	hear(tls, &asked);
	probe_job_free(asked.job);
	free(asked.files);
	free(asked.offers);
	tls_facts_free(facts->tls);
	facts->tls = tls;
}

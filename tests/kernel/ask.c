/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Asks dflyguard-probe, which must lie beside this program, and prints its answers, one record a line, decoded:
 *     ask QUESTION [NAME=VALUE | NAME@PATH | NAME:ADDRESS:PORT]...
 * `@` gives an open file, `:` a connection to an IPv4 address. Exit status: 0, or 1 with the reason on stderr.
 */

#include <fcntl.h>
#include <string.h>

#include "probe.h"

static int open_connection(const char *where)
{
	_cleanup_free_ char *address = mem_string(where);
	char *colon = strrchr(address, ':');
	char why[INTERVAL_WHY];
	struct interval interval;
	uint64_t port;
	enum width width;

	if (!colon)
		return -1;
	*colon = '\0';
	if (interval_parse(address, &width, &interval, why) < 0 || number_parse(colon + 1, 1, 65535, &port, why) < 0)
		return -1;
	struct probe_target target = {.width = width, .address = interval.first, .port = (uint16_t)port};

	probe_connect(&target, 1, 5000);
	if (target.code < 0)
		fprintf(stderr, "%s: %s\n", where, strerror(-target.code));
	return target.descriptor;
}

static bool add(struct probe_job *job, char *argument)
{
	size_t length = strcspn(argument, "=@:");
	char kind = argument[length];
	char *value = argument + length + 1;
	int descriptor;

	if (!kind)
		return false;
	argument[length] = '\0';
	if (kind == '=') {
		probe_ask_text(job, argument, value);
		return true;
	}
	descriptor = kind == '@' ? open(value, O_RDONLY | O_CLOEXEC) : open_connection(value);
	probe_ask_file(job, argument, descriptor);
	return descriptor >= 0;
}

static void show(const struct records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];

		fputs(record->name, stdout);
		for (size_t k = 1; k < record->field_count; k++)
			printf(" %s=%s", record->fields[k].name, record->fields[k].value);
		putchar('\n');
	}
}

int main(int count, char **arguments)
{
	struct probe_job *job = probe_job_new();
	struct records *records = NULL;
	struct err err = {0};
	bool good = count > 1;
	int status = 1;

	if (good)
		probe_ask(job, arguments[1]);
	for (int i = 2; good && i < count; i++)
		good = add(job, arguments[i]);
	if (!good)
		fprintf(stderr, "usage: ask QUESTION [NAME=VALUE | NAME@PATH | NAME:ADDRESS:PORT]...\n");
	else if (probe_run(job, &(struct probe_limits){.milliseconds = 60000}, &records, &err) < 0)
		fprintf(stderr, "%s\n", err.message);
	else {
		show(records);
		status = 0;
	}
	records_free(records);
	probe_job_free(job);
	return status;
}

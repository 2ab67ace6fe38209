/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* Everything that was measured, for other programs. */

struct json {
	FILE *stream;
	bool fresh; /* nothing stands before the next value that a comma would have to separate it from */
};

static void separate(struct json *json)
{
	if (!json->fresh)
		fputs(", ", json->stream);
	json->fresh = false;
}

static void begin(struct json *json, char bracket)
{
	separate(json);
	/* A line for each object, so that two runs can be compared with diff(1). */
	if (bracket == '{')
		fputc('\n', json->stream);
	fputc(bracket, json->stream);
	json->fresh = true;
}

static void end(struct json *json, char bracket)
{
	fputc(bracket, json->stream);
	json->fresh = false;
}

static void put_string(struct json *json, const char *text)
{
	separate(json);
	if (!text) {
		fputs("null", json->stream);
		return;
	}
	fputc('"', json->stream);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(json->stream, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(json->stream, "\\u%04x", (unsigned int)*text);
		else
			fputc(*text, json->stream);
	}
	fputc('"', json->stream);
}

static void put_number(struct json *json, double number)
{
	separate(json);
	if (isfinite(number))
		fprintf(json->stream, "%.9g", number);
	else
		fputs("null", json->stream);
}

static void key(struct json *json, const char *name)
{
	put_string(json, name);
	fputs(": ", json->stream);
	json->fresh = true;
}

static void named_string(struct json *json, const char *name, const char *text)
{
	key(json, name);
	put_string(json, text);
}

static void named_number(struct json *json, const char *name, double number)
{
	key(json, name);
	put_number(json, number);
}

/* A target of 0 was never set. */
static void named_target(struct json *json, const char *name, double target)
{
	named_number(json, name, target > 0 ? target : NAN);
}

static void named_series(struct json *json, const char *name, const struct series *series)
{
	key(json, name);
	separate(json);
	fputc('{', json->stream);
	json->fresh = true;
	named_number(json, "median", series_median(series));
	named_number(json, "minimum", series_minimum(series));
	key(json, "values");
	begin(json, '[');
	for (size_t i = 0; i < series->count; i++)
		put_number(json, series->values[i]);
	end(json, ']');
	end(json, '}');
}

static void put_machine(struct json *json, const struct machine *machine)
{
	key(json, "machine");
	begin(json, '{');
	named_string(json, "kernel", machine->kernel);
	named_string(json, "processor", machine->processor);
	named_number(json, "processors", (double)machine->processors);
	named_number(json, "memory_bytes", machine->memory);
	named_string(json, "load_before", machine->load_before);
	named_string(json, "load_after", machine->load_after);
	named_string(json, "dflyguard", machine->dflyguard_version);
	named_string(json, "nft", machine->nft_version);
	named_string(json, "redis", machine->redis_version);
	end(json, '}');
}

static void put_comparisons(struct json *json, const struct results *results)
{
	key(json, "comparisons");
	begin(json, '[');
	for (size_t i = 0; i < results->comparison_count; i++) {
		const struct comparison *comparison = &results->comparisons[i];
		const struct measurement *subject = &results->measurements[comparison->subject];
		const struct measurement *against = &results->measurements[comparison->against];

		if (!comparison_shown(results, comparison))
			continue;
		begin(json, '{');
		named_string(json, "title", comparison->title);
		named_number(json, "networks", (double)subject->networks);
		named_string(json, "subject", subject->name);
		named_string(json, "against", against->name);
		named_number(json, "time_ratio", ratio_of(&subject->seconds, &against->seconds));
		named_target(json, "time_target", comparison->time_target);
		named_number(json, "memory_ratio", ratio_of(&subject->peak, &against->peak));
		named_target(json, "memory_target", comparison->memory_target);
		end(json, '}');
	}
	end(json, ']');
}

static void put_measurements(struct json *json, const struct results *results)
{
	key(json, "commands");
	begin(json, '[');
	for (size_t i = 0; i < results->measurement_count; i++) {
		const struct measurement *measurement = &results->measurements[i];

		if (measurement->seconds.count == 0 && !measurement->failure)
			continue;
		begin(json, '{');
		named_string(json, "command", measurement->name);
		named_number(json, "networks", (double)measurement->networks);
		named_string(json, "failure", measurement->failure);
		named_series(json, "seconds", &measurement->seconds);
		named_series(json, "user_seconds", &measurement->user);
		named_series(json, "system_seconds", &measurement->system);
		named_series(json, "peak_bytes", &measurement->peak);
		end(json, '}');
	}
	end(json, ']');
}

static void put_packets(struct json *json, const struct results *results)
{
	key(json, "packet_path");
	begin(json, '[');
	for (size_t i = 0; i < results->packet_count; i++) {
		const struct packet_result *packet = &results->packets[i];

		begin(json, '{');
		named_string(json, "ruleset", packet->name);
		named_string(json, "failure", packet->failure);
		named_target(json, "target", packet->target);
		named_series(json, "connections_per_second", &packet->connections);
		named_series(json, "connections_ratio", &packet->connections_ratio);
		named_series(json, "connect_seconds_median", &packet->connect_median);
		named_series(json, "connect_seconds_99", &packet->connect_slow);
		named_series(json, "gets_per_second", &packet->gets);
		named_series(json, "gets_ratio", &packet->gets_ratio);
		named_series(json, "gets_pipelined_per_second", &packet->gets_pipelined);
		named_series(json, "gets_pipelined_ratio", &packet->gets_pipelined_ratio);
		end(json, '}');
	}
	end(json, ']');
}

static void put_watches(struct json *json, const struct results *results)
{
	key(json, "watch");
	begin(json, '[');
	for (size_t i = 0; i < results->watch_count; i++) {
		const struct watch_result *watch = &results->watches[i];

		begin(json, '{');
		named_string(json, "command", watch->name);
		named_number(json, "networks", (double)watch->networks);
		named_string(json, "failure", watch->failure);
		named_series(json, "nft_seconds", &watch->mutation);
		named_series(json, "reported_seconds", &watch->told);
		named_series(json, "healed_seconds", &watch->healed);
		end(json, '}');
	}
	end(json, ']');
}

static void put_breakdowns(struct json *json, const struct results *results)
{
	key(json, "breakdowns");
	begin(json, '[');
	for (size_t i = 0; i < results->breakdown_count; i++) {
		begin(json, '{');
		named_string(json, "command", results->breakdowns[i].name);
		named_number(json, "networks", (double)results->breakdowns[i].networks);
		named_string(json, "steps", results->breakdowns[i].steps);
		named_string(json, "calls", results->breakdowns[i].calls);
		end(json, '}');
	}
	end(json, ']');
	key(json, "notes");
	begin(json, '[');
	for (size_t i = 0; i < results->note_count; i++)
		put_string(json, results->notes[i]);
	end(json, ']');
}

void report_json(const struct results *results, const struct machine *machine, const struct options *options,
	int directory, const char *name)
{
	_cleanup_free_ char *temporary = mem_format(".%s.%d", name, (int)getpid());
	int descriptor = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct json json = {.stream = descriptor < 0 ? NULL : fdopen(descriptor, "w"), .fresh = true};
	bool failed;

	if (!json.stream)
		fail("%s: %s", options->json, strerror(errno));
	fputc('{', json.stream);
	named_number(&json, "schema", 1);
	named_number(&json, "quick", options->quick);
	named_number(&json, "elapsed_seconds", results->elapsed);
	named_number(&json, "least_peak_bytes", results->least_peak);
	put_machine(&json, machine);
	put_comparisons(&json, results);
	put_packets(&json, results);
	put_watches(&json, results);
	put_measurements(&json, results);
	put_breakdowns(&json, results);
	fputs("\n}\n", json.stream);

	failed = ferror(json.stream);
	if (fclose(json.stream) || failed || renameat(directory, temporary, directory, name)) {
		int error = errno;

		unlinkat(directory, temporary, 0);
		fail("%s: %s", options->json, strerror(error));
	}
}

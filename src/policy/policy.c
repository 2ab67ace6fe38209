/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "policy_private.h"

/* Kept until they are sorted, so that those reported are the first by place and not by the order of finding. */
#define MISTAKES_KEPT (32 * POLICY_MAX_REPORTED)

/* --- mistakes --- */

static void _printf_(3, 0) add_mistake(struct reader *reader, uint32_t origin, const char *format, va_list arguments)
{
	struct text message = {0};
	char buffer[1024];

	if (reader->doubts)
		*reader->doubts |= (uint8_t)reader->doubt;
	if (reader->mistake_count >= MISTAKES_KEPT) {
		reader->mistakes_dropped++;
		return;
	}
	vsnprintf(buffer, sizeof(buffer), format, arguments);
	text_append(&message, buffer);
	ARRAY_GROW(reader->mistakes, reader->mistake_count, reader->mistake_capacity);
	reader->mistakes[reader->mistake_count++] = (struct mistake){.origin = origin, .message = text_take(&message)};
}

void mistake_add(struct reader *reader, uint32_t origin, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_mistake(reader, origin, format, arguments);
	va_end(arguments);
}

void mistake_torn(struct reader *reader, uint32_t origin, const char *message)
{
	size_t before = reader->mistake_count;

	mistake_add(reader, origin, "%s", message);
	if (reader->mistake_count > before)
		reader->mistakes[before].torn = true;
}

static const struct policy_segment *segment_of(const struct policy *policy, uint32_t origin)
{
	size_t low = 0;
	size_t high = policy->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (policy->segments[middle].start <= origin)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &policy->segments[low - 1] : NULL;
}

struct srcloc policy_place(const struct policy *policy, uint32_t origin)
{
	const struct policy_segment *segment = origin ? segment_of(policy, origin) : NULL;

	if (!segment)
		return (struct srcloc){0};
	return (struct srcloc){policy->files[segment->file], segment->file_line + (origin - segment->start)};
}

/* A mistake or note with its place taken apart, to be sorted. */
struct placed {
	uint32_t file;
	uint32_t line;
	size_t index;
	bool torn;
	char *message;
};

static int compare_placed(const void *left, const void *right)
{
	const struct placed *a = left;
	const struct placed *b = right;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->torn != b->torn)
		return a->torn ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* Whether a mistake says nothing new: said already, or on a line that begins with a torn one. Those are sorted first.
 */
static bool is_idle(const struct placed *all, size_t index)
{
	for (size_t i = index; i-- > 0 && all[i].file == all[index].file && all[i].line == all[index].line;)
		if ((all[i].torn && !all[index].torn) ||
			(all[i].message && strcmp(all[i].message, all[index].message) == 0))
			return true;
	return false;
}

void mistakes_deliver(struct reader *reader, struct diagnostics *diagnostics, size_t limit)
{
	const struct policy *policy = reader->policy;
	size_t count = reader->mistake_count;
	_cleanup_free_ struct placed *placed = mem_zero(count, sizeof(*placed));
	size_t reported = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t origin = reader->mistakes[i].origin;
		const struct policy_segment *segment = origin ? segment_of(policy, origin) : NULL;

		placed[i] = (struct placed){
			.index = i, .torn = reader->mistakes[i].torn, .message = reader->mistakes[i].message};
		if (segment) {
			placed[i].file = segment->file;
			placed[i].line = segment->file_line + (origin - segment->start);
		}
	}
	qsort(placed, count, sizeof(*placed), compare_placed);
	for (size_t i = 0; i < count; i++) {
		if (is_idle(placed, i)) {
			free(placed[i].message);
			placed[i].message = NULL;
			continue;
		}
		if (reported == limit) {
			diagnostics->suppressed++;
			continue;
		}
		reported++;
		ARRAY_GROW(diagnostics->items, diagnostics->count, diagnostics->capacity);
		diagnostics->items[diagnostics->count++] =
			(struct diagnostic){.file = mem_string(policy->files[placed[i].file]),
				.line = placed[i].line,
				.message = mem_string(placed[i].message)};
	}
	for (size_t i = 0; i < count; i++)
		free(placed[i].message);
	diagnostics->suppressed += reader->mistakes_dropped;
	reader->mistake_count = 0;
}

void diagnostics_done(struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < diagnostics->count; i++) {
		free(diagnostics->items[i].file);
		free(diagnostics->items[i].message);
	}
	free(diagnostics->items);
	*diagnostics = (struct diagnostics){0};
}

/* --- reading --- */

static void reader_done(struct reader *reader)
{
	for (size_t i = 0; i < reader->mistake_count; i++)
		free(reader->mistakes[i].message);
	free(reader->mistakes);
	free(reader->environment_doubts);
	free(reader->expectation_doubts);
	free(reader->waiver_doubts);
	free(reader->alert_doubts);
	text_done(&reader->clean);
	policy_free(reader->policy);
}

struct service service_standard(void)
{
	return (struct service){
		.port = POLICY_DEFAULT_PORT,
		.flagfile = mem_string("/etc/dragonfly/dragonfly.conf"),
		.unit = mem_string("dragonfly.service"),
		.conntrack_label = 100,
		.log_group = POLICY_DEFAULT_LOG_GROUP,
	};
}

static struct policy *policy_new(const char *path)
{
	struct policy *policy = mem_zero(1, sizeof(*policy));

	policy->path = mem_string(path);
	policy->service = service_standard();
	return policy;
}

/* Takes the source's text, whatever comes of it. `salvaged` (may be NULL) hears of the service section, good or bad. */
static int policy_read(const char *path, struct source *source, struct service *salvaged, struct policy **ret,
	struct diagnostics *diagnostics, struct err *err)
{
	struct policy *policy = policy_new(path);
	struct section top = {.kind = SECTION_TOP, .object = policy, .name = ""};
	_cleanup_(reader_done) struct reader reader = {.policy = policy,
		.top = &top,
		.line = 1,
		.clean_line = 1,
		.doubt = DOUBT_NAMES,
		.suggestions_left = 1000000};
	size_t before = diagnostics->count;
	size_t found;

	reader.clean.capacity = source->length + 64;
	reader.clean.data = mem_alloc(reader.clean.capacity);
	reader.clean.data[0] = '\0';
	source_begin(&reader, source, path);
	policy_scan(&reader, source);
	source_done(source);
	policy_parse(&reader);
	text_done(&reader.clean);
	policy_check(&reader);
	if (salvaged)
		*salvaged = policy->service;
	if (reader.mistake_count == 0) {
		*ret = TAKE_PTR(reader.policy);
		return 0;
	}
	mistakes_deliver(&reader, diagnostics, POLICY_MAX_REPORTED);
	found = diagnostics->count - before + diagnostics->suppressed;
	const struct diagnostic *first = &diagnostics->items[before];

	return err_set_at(err, EINVAL, ERR_POLICY, (struct srcloc){first->file, first->line},
		found == 1 ? "the policy has one mistake" : "the policy has %zu mistakes", found);
}

int policy_load(const char *path, struct policy **ret, struct diagnostics *diagnostics, struct err *err)
{
	_cleanup_(source_done) struct source source = {.name = path};
	int r = source_open(&source, path, POLICY_MAX_TEXT, err);

	return r < 0 ? r : policy_read(path, &source, NULL, ret, diagnostics, err);
}

int policy_load_text(const char *name, const char *text, size_t length, struct policy **ret,
	struct diagnostics *diagnostics, struct err *err)
{
	_cleanup_(source_done) struct source source = {.length = length};

	if (length > POLICY_MAX_TEXT)
		return err_set(err, EFBIG, ERR_POLICY,
			"'%s' is too large: a policy may have %u MiB, all files together", name,
			POLICY_MAX_TEXT / 1024 / 1024);
	source.text = mem_stringn(text, length);
	return policy_read(name, &source, NULL, ret, diagnostics, err);
}

size_t policy_salvage_ports(const char *path, uint16_t ports[POLICY_PORTS])
{
	_cleanup_(source_done) struct source source = {.name = path};
	struct diagnostics diagnostics = {0};
	struct service service = {0};
	struct policy *policy = NULL;
	size_t count = 0;

	if (source_open(&source, path, POLICY_MAX_TEXT, NULL) < 0)
		return 0;
	policy_read(path, &source, &service, &policy, &diagnostics, NULL);
	policy_free(policy);
	diagnostics_done(&diagnostics);
	/* What the service section owns is gone; its numbers are ours. */
	const uint16_t named[POLICY_PORTS] = {
		service.port, service.tls_port, service.admin_port, service.memcached_port};

	for (size_t i = 0; i < POLICY_PORTS; i++)
		if (named[i])
			ports[count++] = named[i];
	return count;
}

static void source_list_done(struct source_list *list)
{
	for (size_t i = 0; i < list->reference_count; i++)
		free(list->references[i].name);
	free(list->references);
	intervals_done(&list->v4);
	intervals_done(&list->v6);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->network_count; i++) {
		free(policy->networks[i].name);
		source_list_done(&policy->networks[i].sources);
	}
	for (size_t i = 0; i < policy->environment_count; i++) {
		struct environment *environment = &policy->environments[i];

		free(environment->name);
		source_list_done(&environment->clients);
		source_list_done(&environment->admins);
		source_list_done(&environment->memcached_clients);
		source_list_done(&environment->never_ban);
		source_list_done(&environment->bind);
		source_list_done(&environment->admin_bind);
		source_list_done(&environment->server_names);
		free(environment->monitor_user);
		free(environment->monitor_password_file);
	}
	for (size_t i = 0; i < policy->expectation_count; i++) {
		free(policy->expectations[i].environment_name);
		source_list_done(&policy->expectations[i].from);
		source_list_done(&policy->expectations[i].to);
	}
	for (size_t i = 0; i < policy->waiver_count; i++) {
		free(policy->waivers[i].environment_name);
		free(policy->waivers[i].check);
		free(policy->waivers[i].reason);
		free(policy->waivers[i].subject);
	}
	for (size_t i = 0; i < policy->file_count; i++)
		free(policy->files[i]);
	free(policy->files);
	free(policy->segments);
	free(policy->networks);
	free(policy->environments);
	free(policy->expectations);
	for (size_t i = 0; i < policy->alert_count; i++)
		free(policy->alerts[i].environment_name);
	free(policy->waivers);
	free(policy->alerts);
	free(policy->default_environment);
	free(policy->service.flagfile);
	free(policy->service.unit);
	free(policy->path);
	free(policy);
}

/* --- questions --- */

const struct environment *policy_environment(const struct policy *policy, const char *name, struct err *err)
{
	_cleanup_text_ struct text names = {0};
	const char *wanted = name ? name : policy->default_environment;

	for (size_t i = 0; i < policy->environment_count; i++) {
		if (wanted && strcmp(policy->environments[i].name, wanted) == 0)
			return &policy->environments[i];
		text_printf(&names, "%s%s", i ? ", " : "", policy->environments[i].name);
	}
	if (wanted)
		err_set_at(err, EINVAL, ERR_POLICY, (struct srcloc){policy->path, 0}, "there is no environment '%.64s'",
			wanted);
	else
		err_set_at(err, EINVAL, ERR_POLICY, (struct srcloc){policy->path, 0},
			"no environment is chosen, and the policy has no default_environment");
	err_hint(err, "write one of: %s", text_string(&names));
	return NULL;
}

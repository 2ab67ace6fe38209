/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A loaded policy as one text again: flat, canonical, and in the words of the language. */

#include <string.h>

#include "policy_private.h"

/* A list that is longer than this is written one item a line. */
#define LINE_LENGTH 100u

struct printer {
	const struct policy *policy;
	struct text *text;
	bool places;
	uint64_t *hash; /* not NULL: the items of lists go here, as numbers, and not into the text */
};

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static void hash_bytes(uint64_t *hash, const void *bytes, size_t length)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < length; i++)
		*hash = (*hash ^ byte[i]) * FNV_PRIME;
}

static void hash_number(uint64_t *hash, uint64_t number)
{
	hash_bytes(hash, &number, sizeof(number));
}

/* "# app.conf:12" behind what begins a section. A name of a file may hold anything; a comment may not. */
static void print_place(const struct printer *printer, uint32_t origin)
{
	struct srcloc place = printer->places ? policy_place(printer->policy, origin) : (struct srcloc){0};

	if (place.file) {
		text_append(printer->text, " # ");
		for (const char *byte = place.file; *byte; byte++)
			text_append_char(printer->text,
				(unsigned char)*byte < 0x20 || (unsigned char)*byte >= 0x7f ? '?' : *byte);
		text_printf(printer->text, ":%u", place.line);
	}
	text_append(printer->text, "\n");
}

static void print_string(struct text *text, const char *value)
{
	/* In single quotes nothing is expanded. */
	bool plain = strpbrk(value, "\"\\$") == NULL;

	text_append_char(text, plain ? '"' : '\'');
	for (const char *byte = value; *byte; byte++) {
		if (!plain && (*byte == '\'' || *byte == '\\'))
			text_append_char(text, '\\');
		text_append_char(text, *byte);
	}
	text_append_char(text, plain ? '"' : '\'');
}

/* Bare, but for a name that could be taken for the keyword that it is. */
static void print_name(struct text *text, const char *name)
{
	bool keyword = strcmp(name, "include") == 0;

	for (unsigned int kind = SECTION_SERVICE; kind < SECTION_KINDS; kind++)
		keyword = keyword || strcmp(name, policy_sections[kind].name) == 0;
	if (keyword)
		text_printf(text, "\"%s\"", name);
	else
		text_append(text, name);
}

/* --- lists --- */

/* One item of a list behind another, on the same line or on its own. */
struct items {
	struct text *text;
	bool one_a_line;
	bool any;
};

static void item_begin(struct items *items)
{
	text_append(items->text, items->any ? items->one_a_line ? ",\n\t\t" : ", " : items->one_a_line ? "\n\t\t" : "");
	items->any = true;
}

static bool is_everything(enum width width, struct interval item)
{
	return value_compare(item.first, value_zero()) == 0 && value_compare(item.last, value_max(width)) == 0;
}

static size_t count_everything(const struct intervals *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += is_everything(list->width, intervals_get(list, i));
	return count;
}

/* `any` is one source in the text and one interval of each family in the policy. */
static size_t count_any(const struct source_list *list)
{
	size_t v4 = count_everything(&list->v4);
	size_t v6 = count_everything(&list->v6);

	return v4 < v6 ? v4 : v6;
}

/* But for the first `skip` that are everything. */
static void print_intervals(struct items *items, const struct intervals *list, size_t skip)
{
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (skip > 0 && is_everything(list->width, item)) {
			skip--;
			continue;
		}
		item_begin(items);
		text_append_char(items->text, '"');
		text_append(items->text, interval_format(list->width, item, buffer));
		text_append_char(items->text, '"');
	}
}

static void print_items(struct items *items, const struct source_list *list)
{
	size_t any = count_any(list);

	for (size_t i = 0; i < list->reference_count; i++) {
		item_begin(items);
		print_name(items->text, list->references[i].name);
	}
	for (size_t i = 0; i < any; i++) {
		item_begin(items);
		text_append(items->text, "any");
	}
	print_intervals(items, &list->v4, any);
	print_intervals(items, &list->v6, any);
}

/* What print_items() writes, and nothing that it does not. */
static void hash_intervals(uint64_t *hash, const struct intervals *list, size_t skip)
{
	hash_number(hash, list->count - skip);
	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (skip > 0 && is_everything(list->width, item)) {
			skip--;
			continue;
		}
		if (list->width == WIDTH_IPV6) {
			hash_number(hash, item.first.hi);
			hash_number(hash, item.first.lo);
			hash_number(hash, item.last.hi);
			hash_number(hash, item.last.lo);
		} else {
			hash_number(hash, item.first.lo << 32 | item.last.lo);
		}
	}
}

static void hash_list(uint64_t *hash, const struct source_list *list)
{
	size_t any = count_any(list);

	hash_number(hash, list->reference_count);
	for (size_t i = 0; i < list->reference_count; i++)
		hash_bytes(hash, list->references[i].name, strlen(list->references[i].name) + 1);
	hash_number(hash, any);
	hash_intervals(hash, &list->v4, any);
	hash_intervals(hash, &list->v6, any);
}

static void print_list(const struct printer *printer, const struct source_list *list)
{
	struct items items = {.text = printer->text};
	size_t count = list->v4.count + list->v6.count + list->reference_count;
	size_t begin = printer->text->length;

	if (printer->hash) {
		hash_list(printer->hash, list);
		return;
	}
	text_append(printer->text, "{");
	if (count <= LINE_LENGTH / 3) {
		print_items(&items, list);
		if (printer->text->length - begin <= LINE_LENGTH) {
			text_append(printer->text, "}");
			return;
		}
		printer->text->length = begin;
		printer->text->data[begin] = '\0';
		text_append(printer->text, "{");
	}
	items = (struct items){.text = printer->text, .one_a_line = true};
	print_items(&items, list);
	text_append(printer->text, "\n\t}");
}

/* --- options and sections --- */

/* `object` and `standard` are of the section's type; NULL: there are no defaults, all is written. */
static bool is_standard(const struct option_schema *option, const char *object, const char *standard)
{
	switch (option->kind) {
	case OPTION_NAME:
	case OPTION_PATH:
	case OPTION_UNIT:
	case OPTION_WORDS: {
		const char *const *value = (const char *const *)(const void *)(object + option->value);

		return !*value || (standard && same_string(*value,
						       *(const char *const *)(const void *)(standard + option->value)));
	}
	case OPTION_PORT:
		return standard && memcmp(object + option->value, standard + option->value, sizeof(uint16_t)) == 0;
	case OPTION_COUNT:
	case OPTION_DURATION:
	case OPTION_CHOICE:
	case OPTION_DATE:
		return standard && memcmp(object + option->value, standard + option->value, sizeof(uint32_t)) == 0;
	case OPTION_SOURCES:
	case OPTION_ADDRESSES:
	case OPTION_HOSTS:
		return !((const struct source_list *)(const void *)(object + option->value))->given;
	}
	abort();
}

static void print_value(const struct printer *printer, const struct option_schema *option, const char *object)
{
	const void *value = object + option->value;
	uint32_t number;
	uint16_t port;
	char date[DATE_TEXT];
	char buffer[16];

	switch (option->kind) {
	case OPTION_NAME:
		print_name(printer->text, *(const char *const *)value);
		return;
	case OPTION_PATH:
	case OPTION_UNIT:
	case OPTION_WORDS:
		print_string(printer->text, *(const char *const *)value);
		return;
	case OPTION_PORT:
		memcpy(&port, value, sizeof(port));
		text_printf(printer->text, "%u", port);
		return;
	case OPTION_COUNT:
	case OPTION_DURATION:
	case OPTION_CHOICE:
		memcpy(&number, value, sizeof(number));
		if (option->kind == OPTION_COUNT)
			text_printf(printer->text, "%u", number);
		else if (option->kind == OPTION_DURATION)
			text_append(printer->text, duration_format(number, buffer));
		else
			text_append(printer->text, option->words[number]);
		return;
	case OPTION_DATE:
		memcpy(&number, value, sizeof(number));
		text_append(printer->text, date_format(number, date));
		return;
	case OPTION_SOURCES:
	case OPTION_ADDRESSES:
	case OPTION_HOSTS:
		print_list(printer, value);
		return;
	}
	abort();
}

static void print_options(
	const struct printer *printer, enum section_kind kind, const void *object, const void *standard)
{
	const struct section_schema *section = &policy_sections[kind];

	for (unsigned int i = 0; i < section->option_count; i++) {
		const struct option_schema *option = &section->options[i];

		if (is_standard(option, object, standard))
			continue;
		text_printf(printer->text, "%s%s = ", kind == SECTION_TOP ? "" : "\t", option->name);
		print_value(printer, option, object);
		text_append(printer->text, "\n");
	}
}

static void print_section(const struct printer *printer, enum section_kind kind, const char *title, uint32_t origin,
	const void *object, const void *standard)
{
	text_printf(printer->text, "%s%s%s", printer->text->length ? "\n" : "", policy_sections[kind].name,
		title ? " " : "");
	if (title)
		print_name(printer->text, title);
	text_append(printer->text, " {");
	print_place(printer, origin);
	print_options(printer, kind, object, standard);
	text_append(printer->text, "}\n");
}

static void print_policy(const struct printer *printer)
{
	const struct policy *policy = printer->policy;
	struct environment environment = environment_standard();
	struct service service = service_standard();
	struct alert printed = alert_standard;

	/* What is counted is always written. */
	printed.on = ALERT_ON_COUNT;
	print_options(printer, SECTION_TOP, policy, NULL);
	if (policy->service.origin)
		print_section(printer, SECTION_SERVICE, NULL, policy->service.origin, &policy->service, &service);
	for (size_t i = 0; i < policy->network_count; i++)
		print_section(printer, SECTION_NETWORK, policy->networks[i].name, policy->networks[i].origin,
			&policy->networks[i], NULL);
	for (size_t i = 0; i < policy->environment_count; i++)
		print_section(printer, SECTION_ENVIRONMENT, policy->environments[i].name,
			policy->environments[i].origin, &policy->environments[i], &environment);
	/* All of them outside, where an environment is named and not surrounded. */
	for (size_t i = 0; i < policy->expectation_count; i++) {
		struct expectation expectation = policy->expectations[i];

		if (expectation.environment != POLICY_EVERY_ENVIRONMENT)
			expectation.environment_name = policy->environments[expectation.environment].name;
		print_section(printer, SECTION_EXPECT, NULL, expectation.origin, &expectation, NULL);
	}
	for (size_t i = 0; i < policy->waiver_count; i++) {
		struct waiver waiver = policy->waivers[i];

		if (waiver.environment != POLICY_EVERY_ENVIRONMENT)
			waiver.environment_name = policy->environments[waiver.environment].name;
		print_section(printer, SECTION_WAIVE, waiver.check, waiver.origin, &waiver, NULL);
	}
	for (size_t i = 0; i < policy->alert_count; i++) {
		struct alert alert = policy->alerts[i];

		if (alert.environment != POLICY_EVERY_ENVIRONMENT)
			alert.environment_name = policy->environments[alert.environment].name;
		print_section(printer, SECTION_ALERT, NULL, alert.origin, &alert, &printed);
	}
	free(service.flagfile);
	free(service.unit);
}

void policy_print(const struct policy *policy, bool places, struct text *text)
{
	print_policy(&(struct printer){.policy = policy, .text = text, .places = places});
}

uint64_t policy_digest(const struct policy *policy)
{
	_cleanup_text_ struct text text = {0};
	uint64_t hash = FNV_BASIS;

	print_policy(&(struct printer){.policy = policy, .text = &text, .hash = &hash});
	hash_bytes(&hash, text.data, text.length);
	return hash;
}

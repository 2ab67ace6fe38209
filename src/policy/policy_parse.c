/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <confuse.h>
#include <errno.h>
#include <string.h>

#include "policy_private.h"

/*
 * libconfuse's callbacks carry no pointer of the caller's. This one is set and cleared in policy_parse() alone, and its
 * lexer is global anyway: one text at a time.
 */
static struct parsing {
	struct reader *reader;
	size_t networks; /* how many sections of a kind are complete: the scanner made the structs in the same order */
	size_t environments;
	size_t expectations;
	size_t waivers;
	size_t alerts;
} * current;

/* All options share this place for a value that we never use. libconfuse 3.3 then keeps no list of values (each would
 * cost it two allocations), and the callback's copy is the only one. */
static cfg_value_t unused_value;

/* --- one value --- */

static void take_text(char **text, const char *value)
{
	free(*text);
	*text = mem_string(value);
}

static int check_path(const char *value, char *why)
{
	if (value[0] == '/')
		return 0;
	snprintf(why, INTERVAL_WHY, "'%.128s' is not an absolute path: write it from '/' on", value);
	return -EINVAL;
}

static int check_unit(const char *value, char *why)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\@-";
	static const char suffix[] = ".service";
	size_t length = strlen(value);

	if (length > 255 || strspn(value, allowed) != length || strcmp(value, suffix) == 0) {
		snprintf(why, INTERVAL_WHY,
			"'%.128s' is not the name of a systemd unit: write one like dragonfly.service", value);
		return -EINVAL;
	}
	if (length < strlen(suffix) || strcmp(value + length - strlen(suffix), suffix) != 0) {
		snprintf(why, INTERVAL_WHY, "'%.128s' is not a service: write %.64s.service", value, value);
		return -EINVAL;
	}
	return 0;
}

static void take_choice(
	struct reader *reader, const struct option_schema *option, void *target, const char *value, uint32_t line)
{
	_cleanup_text_ struct text words = {0};

	for (unsigned int i = 0; i < option->word_count; i++) {
		if (strcmp(value, option->words[i]) == 0) {
			memcpy(target, &i, sizeof(i));
			return;
		}
		text_printf(&words, "%s%s",
			i == 0			      ? ""
			: i + 1 == option->word_count ? " or "
						      : ", ",
			option->words[i]);
	}
	mistake_add(reader, line, "%s = '%.64s': write %s", option->name, value, text_string(&words));
}

static void take_number(
	struct reader *reader, const struct option_schema *option, void *target, const char *value, uint32_t line)
{
	char why[INTERVAL_WHY];
	uint64_t number;

	if (number_parse(value, option->minimum, option->maximum, &number, why) < 0) {
		mistake_add(reader, line, "%s: %s", option->name, why);
		return;
	}
	if (option->kind == OPTION_PORT)
		*(uint16_t *)target = (uint16_t)number;
	else
		*(uint32_t *)target = (uint32_t)number;
}

static void take_duration(
	struct reader *reader, const struct option_schema *option, uint32_t *target, const char *value, uint32_t line)
{
	static const char signs[] = "smhd";
	static const uint32_t units[] = {1, 60, 3600, 86400};
	char least[16], most[16], why[INTERVAL_WHY];
	size_t length = strlen(value);
	const char *sign = length ? strchr(signs, value[length - 1]) : NULL;
	_cleanup_free_ char *digits = sign ? mem_stringn(value, length - 1) : NULL;
	uint64_t number;

	if (!sign || number_parse(digits, 0, UINT32_MAX, &number, why) < 0) {
		mistake_add(
			reader, line, "%s = '%.64s': write a time, such as 90s, 10m, 1h or 7d", option->name, value);
		return;
	}
	number *= units[sign - signs];
	if (number < option->minimum || number > option->maximum)
		mistake_add(reader, line, "%s = %.64s: write a time from %s to %s", option->name, value,
			duration_format(option->minimum, least), duration_format(option->maximum, most));
	else
		*target = (uint32_t)number;
}

static void add_interval(struct source_list *list, enum width width, struct interval item)
{
	intervals_add(width == WIDTH_IPV6 ? &list->v6 : &list->v4, item);
}

static void take_source(struct reader *reader, const struct option_schema *option, struct source_list *list,
	const char *value, uint32_t line)
{
	struct interval item = {.origin = line};
	char why[INTERVAL_WHY];
	enum width width;
	int r = interval_parse(value, &width, &item, why);

	if (r == 0) {
		add_interval(list, width, item);
	} else if (r == -EINVAL) {
		mistake_add(reader, line, "%s", why);
	} else if (strcmp(value, "any") == 0) {
		add_interval(list, WIDTH_IPV4, (struct interval){value_zero(), value_max(WIDTH_IPV4), line});
		add_interval(list, WIDTH_IPV6, (struct interval){value_zero(), value_max(WIDTH_IPV6), line});
	} else if (strlen(value) > POLICY_MAX_NAME) {
		mistake_add(
			reader, line, "'%.32s...' in '%s' is too long for an address or a name", value, option->name);
	} else if (name_check(value, why) < 0) {
		mistake_add(reader, line,
			"'%.64s' in '%s' is neither an address, a prefix, a range nor the name of a network", value,
			option->name);
	} else {
		ARRAY_GROW(list->references, list->reference_count, list->reference_capacity);
		list->references[list->reference_count++] = (struct network_reference){
			.name = mem_string(value), .origin = line, .network = POLICY_NO_INDEX};
	}
}

/* Whether no socket can have this address, so that a firewall that asks for it would let nothing in. */
static const char *unusable_address(enum width width, struct value a)
{
	if (value_compare(a, value_zero()) == 0)
		return "means every address: leave the option out, or list the addresses";
	if (width == WIDTH_IPV4 && (a.lo >> 28 == 0xe || a.lo == UINT32_MAX))
		return "is a multicast or broadcast address: write an address of this host";
	if (width == WIDTH_IPV6 && a.hi >> 56 == 0xff)
		return "is a multicast address: write an address of this host";
	return NULL;
}

static void take_address(struct reader *reader, const struct option_schema *option, struct source_list *list,
	const char *value, uint32_t line)
{
	struct interval item = {.origin = line};
	const char *unusable;
	char why[INTERVAL_WHY];
	enum width width;
	int r = interval_parse(value, &width, &item, why);

	if (r == -EINVAL) {
		mistake_add(reader, line, "%s", why);
		return;
	}
	if (r == -ENOENT) {
		if (strcmp(value, "any") == 0)
			mistake_add(reader, line, "'any' in '%s' %s", option->name,
				unusable_address(WIDTH_IPV4, value_zero()));
		else
			mistake_add(reader, line, "'%.64s' in '%s' is not an address: names are not looked up here",
				value, option->name);
		return;
	}
	unusable = unusable_address(width, item.first);
	if (unusable)
		mistake_add(reader, line, "'%.64s' in '%s' %s", value, option->name, unusable);
	else if (value_compare(item.first, item.last) != 0)
		mistake_add(reader, line,
			"'%.64s' in '%s' is more than one address: list each address that the server has", value,
			option->name);
	else
		add_interval(list, width, item);
}

/* RFC 1123: labels of letters, digits and inner hyphens. */
static bool is_host(const char *value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t length = strlen(value);

	return length <= 253 && strspn(value, letters) == length && value[0] != '-' && value[0] != '.' &&
	       value[length - 1] != '-' && value[length - 1] != '.' && !strstr(value, "..") && !strstr(value, ".-") &&
	       !strstr(value, "-.");
}

static void take_host(struct reader *reader, const struct option_schema *option, struct source_list *list,
	const char *value, uint32_t line)
{
	struct interval ignored;
	char why[INTERVAL_WHY];
	enum width width;

	if (interval_parse(value, &width, &ignored, why) != -ENOENT) {
		mistake_add(reader, line, "'%.64s' in '%s' is an address: those in bind are asked for anyway", value,
			option->name);
		return;
	}
	if (!is_host(value)) {
		mistake_add(reader, line, "'%.64s' in '%s' is not a host name: write one like cache.example.net", value,
			option->name);
		return;
	}
	ARRAY_GROW(list->references, list->reference_count, list->reference_capacity);
	list->references[list->reference_count++] =
		(struct network_reference){.name = mem_string(value), .origin = line, .network = POLICY_NO_INDEX};
}

static bool count_source(struct reader *reader, uint32_t line)
{
	size_t count = ++reader->policy->source_count;

	if (count == POLICY_MAX_SOURCES + 1)
		mistake_add(reader, line, "more than 1,000,000 sources: join what is adjacent into prefixes or ranges");
	return count <= POLICY_MAX_SOURCES;
}

/* For people to read, so anything that is one line. */
static void take_words(
	struct reader *reader, const struct option_schema *option, char **target, const char *value, uint32_t line)
{
	bool blank = value[strspn(value, " ")] == '\0';

	for (const char *byte = value; *byte; byte++) {
		if ((unsigned char)*byte >= 0x20 && *byte != 0x7f)
			continue;
		mistake_add(reader, line, "%s: a control character (%u): write one line of plain words", option->name,
			(unsigned int)(unsigned char)*byte);
		return;
	}
	if (blank)
		mistake_add(reader, line, "%s: nothing but blanks: write it in words", option->name);
	else if (strlen(value) > POLICY_MAX_WORDS)
		mistake_add(reader, line, "%s: longer than %u bytes: write it in fewer words", option->name,
			POLICY_MAX_WORDS);
	else
		take_text(target, value);
}

static void take_value(
	struct reader *reader, const struct option_schema *option, void *target, const char *value, uint32_t line)
{
	char why[INTERVAL_WHY];

	switch (option->kind) {
	case OPTION_NAME:
		if (name_check(value, why) < 0)
			mistake_add(reader, line, "%s: %s", option->name, why);
		else
			take_text(target, value);
		return;
	case OPTION_PATH:
		if (check_path(value, why) < 0)
			mistake_add(reader, line, "%s: %s", option->name, why);
		else
			take_text(target, value);
		return;
	case OPTION_UNIT:
		if (check_unit(value, why) < 0)
			mistake_add(reader, line, "%s: %s", option->name, why);
		else
			take_text(target, value);
		return;
	case OPTION_PORT:
	case OPTION_COUNT:
		take_number(reader, option, target, value, line);
		return;
	case OPTION_DURATION:
		take_duration(reader, option, target, value, line);
		return;
	case OPTION_CHOICE:
		take_choice(reader, option, target, value, line);
		return;
	case OPTION_WORDS:
		take_words(reader, option, target, value, line);
		return;
	case OPTION_DATE:
		if (date_parse(value, target) < 0)
			mistake_add(reader, line, "%s: '%.64s' is no day: write it as YYYY-MM-DD", option->name, value);
		return;
	case OPTION_SOURCES:
		if (count_source(reader, line))
			take_source(reader, option, target, value, line);
		return;
	case OPTION_ADDRESSES:
		if (count_source(reader, line))
			take_address(reader, option, target, value, line);
		return;
	case OPTION_HOSTS:
		if (count_source(reader, line))
			take_host(reader, option, target, value, line);
		return;
	}
	abort();
}

/* --- libconfuse --- */

/* The kind of a libconfuse section by the first letters of its name: root, service, network, environment, expect alert
 * or waive. */
static enum section_kind kind_of(const cfg_t *section)
{
	switch (section->name[0]) {
	case 's':
		return SECTION_SERVICE;
	case 'n':
		return SECTION_NETWORK;
	case 'a':
		return SECTION_ALERT;
	case 'e':
		return section->name[1] == 'x' ? SECTION_EXPECT : SECTION_ENVIRONMENT;
	case 'w':
		return SECTION_WAIVE;
	default:
		return SECTION_TOP;
	}
}

/* The struct that the scanner made for the section that is being read, and where its doubts are kept. */
static void *object_of(struct parsing *parsing, enum section_kind kind)
{
	struct reader *reader = parsing->reader;
	struct policy *policy = reader->policy;

	reader->doubts = NULL;
	switch (kind) {
	case SECTION_TOP:
		return policy;
	case SECTION_SERVICE:
		reader->doubts = &reader->service_doubts;
		return &policy->service;
	case SECTION_NETWORK:
		return parsing->networks < policy->network_count ? &policy->networks[parsing->networks] : NULL;
	case SECTION_ENVIRONMENT:
		if (parsing->environments >= policy->environment_count)
			return NULL;
		reader->doubts = &reader->environment_doubts[parsing->environments];
		return &policy->environments[parsing->environments];
	case SECTION_EXPECT:
		if (parsing->expectations >= policy->expectation_count)
			return NULL;
		reader->doubts = &reader->expectation_doubts[parsing->expectations];
		return &policy->expectations[parsing->expectations];
	case SECTION_ALERT:
		if (parsing->alerts >= policy->alert_count)
			return NULL;
		reader->doubts = &reader->alert_doubts[parsing->alerts];
		return &policy->alerts[parsing->alerts];
	case SECTION_WAIVE:
		if (parsing->waivers >= policy->waiver_count)
			return NULL;
		reader->doubts = &reader->waiver_doubts[parsing->waivers];
		return &policy->waivers[parsing->waivers];
	}
	abort();
}

static int value_callback(cfg_t *section, cfg_opt_t *option, const char *value, void *result)
{
	enum section_kind kind = kind_of(section);
	void *object = object_of(current, kind);

	*(void **)result = NULL;
	/* The schema has its options in the order of ours, and each section a copy of it. */
	if (object) {
		const struct option_schema *schema = &policy_sections[kind].options[option - section->opts];

		take_value(current->reader, schema, (char *)object + schema->value, value, (uint32_t)section->line);
	}
	return 0;
}

/* A section is complete. libconfuse compares each title with all before it, and keeps all: we free each at once, so
 * that many networks cost neither time in the square nor memory. Duplicates are found in policy_check.c. */
static int section_callback(cfg_t *parent, cfg_opt_t *option)
{
	unsigned int last = cfg_opt_size(option) - 1;
	const cfg_t *section = cfg_opt_getnsec(option, last);

	(void)parent;
	switch (kind_of(section)) {
	case SECTION_TOP:
	case SECTION_SERVICE:
		break;
	case SECTION_NETWORK:
		current->networks++;
		break;
	case SECTION_ENVIRONMENT:
		current->environments++;
		break;
	case SECTION_EXPECT:
		current->expectations++;
		break;
	case SECTION_ALERT:
		current->alerts++;
		break;
	case SECTION_WAIVE:
		current->waivers++;
		break;
	}
	return cfg_opt_rmnsec(option, last) == CFG_SUCCESS ? 0 : -1;
}

/* The scanner lets nothing through that libconfuse would refuse; should the two ever disagree, this says so. */
static void _printf_(2, 0) error_callback(cfg_t *section, const char *format, va_list arguments)
{
	char message[256];

	vsnprintf(message, sizeof(message), format, arguments);
	current->reader->doubts = NULL;
	mistake_add(current->reader, section ? (uint32_t)section->line : 0, "libconfuse: %s", message);
}

/* Fills `options` (count + 1 of them, zeroed) from our table. */
static void build_options(const struct section_schema *section, cfg_opt_t *options)
{
	for (unsigned int i = 0; i < section->option_count; i++) {
		options[i] = (cfg_opt_t){.name = section->options[i].name,
			.type = CFGT_PTR,
			.flags = option_is_list(&section->options[i]) ? CFGF_LIST : CFGF_NONE,
			.parsecb = value_callback};
		options[i].simple_value.ptr = (void **)&unused_value;
	}
}

static cfg_opt_t section_option(enum section_kind kind, cfg_opt_t *options)
{
	return (cfg_opt_t){.name = policy_sections[kind].name,
		.type = CFGT_SEC,
		.flags = CFGF_MULTI | (policy_sections[kind].titled ? CFGF_TITLE : 0),
		.subopts = options,
		.validcb = section_callback};
}

void policy_parse(struct reader *reader)
{
	cfg_opt_t options[SECTION_KINDS][SECTION_MAX_OPTIONS + SECTION_KINDS + 1];
	cfg_opt_t *top = options[SECTION_TOP] + policy_sections[SECTION_TOP].option_count;
	cfg_opt_t *inner = options[SECTION_ENVIRONMENT] + policy_sections[SECTION_ENVIRONMENT].option_count;
	struct parsing parsing = {.reader = reader};
	size_t mistakes;
	cfg_t *root;

	memset(options, 0, sizeof(options));
	for (unsigned int kind = 0; kind < SECTION_KINDS; kind++)
		build_options(&policy_sections[kind], options[kind]);
	for (unsigned int kind = SECTION_SERVICE; kind < SECTION_KINDS; kind++)
		*top++ = section_option((enum section_kind)kind, options[kind]);
	for (unsigned int kind = SECTION_SERVICE; kind < SECTION_KINDS; kind++)
		if (policy_sections[kind].inner)
			*inner++ = section_option((enum section_kind)kind, options[kind]);
	current = &parsing;
	reader->doubt = DOUBT_VALUES;
	root = cfg_init(options[SECTION_TOP], CFGF_NONE);
	if (!root)
		abort(); /* out of memory */
	cfg_set_error_function(root, error_callback);
	mistakes = reader->mistake_count;
	if (cfg_parse_buf(root, text_string(&reader->clean)) != CFG_SUCCESS && reader->mistake_count == mistakes)
		mistake_add(reader, 0, "libconfuse refuses the text and does not say why");
	cfg_free(root);
	current = NULL;
	reader->doubts = NULL;
}

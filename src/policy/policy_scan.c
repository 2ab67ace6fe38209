/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "policy_private.h"

static void *network_new(struct reader *reader, const char *name, uint32_t line)
{
	struct policy *policy = reader->policy;
	size_t capacity = reader->network_capacity;

	ARRAY_GROW(policy->networks, policy->network_count, capacity);
	reader->network_capacity = capacity;
	struct network *network = &policy->networks[policy->network_count++];

	*network = (struct network){.name = mem_string(name), .origin = line};
	network->sources.v4.width = WIDTH_IPV4;
	network->sources.v6.width = WIDTH_IPV6;
	return network;
}

struct environment environment_standard(void)
{
	return (struct environment){
		.tls = TLS_REQUIRED,
		.loopback = LOOPBACK_ALLOW,
		.admin_tls = ADMIN_TLS_REQUIRED,
		.server = SERVER_EXPECTED,
		.log = LOG_SAMPLED,
		.routed = ROUTED_CONTAINERS,
		.ipv6_source_prefix = 64,
		.handshake_timeout = 10,
		.certificate_warn_days = 30,
		.certificate_fail_days = 7,
	};
}

static void *environment_new(struct reader *reader, const char *name, uint32_t line)
{
	struct policy *policy = reader->policy;

	if (policy->environment_count >= reader->environment_capacity) {
		ARRAY_GROW(policy->environments, policy->environment_count, reader->environment_capacity);
		reader->environment_doubts = mem_resize(reader->environment_doubts, reader->environment_capacity, 1);
	}
	reader->environment_doubts[policy->environment_count] = 0;
	reader->doubts = &reader->environment_doubts[policy->environment_count];
	struct environment *environment = &policy->environments[policy->environment_count++];
	struct source_list *lists[] = {&environment->clients, &environment->admins, &environment->memcached_clients,
		&environment->never_ban, &environment->bind, &environment->admin_bind, &environment->server_names};

	*environment = environment_standard();
	environment->name = mem_string(name);
	environment->origin = line;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		lists[i]->v4.width = WIDTH_IPV4;
		lists[i]->v6.width = WIDTH_IPV6;
	}
	return environment;
}

/* `outer`: the environment in which it stands, or NULL. */
static void *expectation_new(struct reader *reader, const struct section *outer, uint32_t line)
{
	struct policy *policy = reader->policy;

	if (policy->expectation_count >= reader->expectation_capacity) {
		ARRAY_GROW(policy->expectations, policy->expectation_count, reader->expectation_capacity);
		reader->expectation_doubts = mem_resize(reader->expectation_doubts, reader->expectation_capacity, 1);
	}
	reader->expectation_doubts[policy->expectation_count] = 0;
	reader->doubts = &reader->expectation_doubts[policy->expectation_count];
	struct expectation *expectation = &policy->expectations[policy->expectation_count++];

	*expectation = (struct expectation){.origin = line,
		.environment = outer ? (uint32_t)(policy->environment_count - 1) : POLICY_EVERY_ENVIRONMENT};
	expectation->from.v4.width = expectation->to.v4.width = WIDTH_IPV4;
	expectation->from.v6.width = expectation->to.v6.width = WIDTH_IPV6;
	return expectation;
}

/* The same for an alert. */
static void *alert_new(struct reader *reader, const struct section *outer, uint32_t line)
{
	struct policy *policy = reader->policy;

	if (policy->alert_count >= reader->alert_capacity) {
		ARRAY_GROW(policy->alerts, policy->alert_count, reader->alert_capacity);
		reader->alert_doubts = mem_resize(reader->alert_doubts, reader->alert_capacity, 1);
	}
	reader->alert_doubts[policy->alert_count] = 0;
	reader->doubts = &reader->alert_doubts[policy->alert_count];
	struct alert *alert = &policy->alerts[policy->alert_count++];

	*alert = alert_standard;
	alert->origin = line;
	if (outer)
		alert->environment = (uint32_t)(policy->environment_count - 1);
	return alert;
}

static void *waiver_new(struct reader *reader, const struct section *outer, const char *check, uint32_t line)
{
	struct policy *policy = reader->policy;

	if (policy->waiver_count >= reader->waiver_capacity) {
		ARRAY_GROW(policy->waivers, policy->waiver_count, reader->waiver_capacity);
		reader->waiver_doubts = mem_resize(reader->waiver_doubts, reader->waiver_capacity, 1);
	}
	reader->waiver_doubts[policy->waiver_count] = 0;
	reader->doubts = &reader->waiver_doubts[policy->waiver_count];
	struct waiver *waiver = &policy->waivers[policy->waiver_count++];

	*waiver = (struct waiver){.origin = line,
		.check = mem_string(check),
		.environment = outer ? (uint32_t)(policy->environment_count - 1) : POLICY_EVERY_ENVIRONMENT};
	return waiver;
}

static void *service_new(struct reader *reader, uint32_t line, bool *ret_again)
{
	struct service *service = &reader->policy->service;

	reader->doubts = &reader->service_doubts;
	*ret_again = service->origin != 0;
	if (*ret_again) {
		struct srcloc first = policy_place(reader->policy, service->origin);

		mistake_add(reader, line,
			"a second 'service' section: the first stands in %s:%u; write one with all options", first.file,
			first.line);
	} else {
		service->origin = line;
	}
	return service;
}

/* "tls.chain": an area and a word in it. Which ones there are only the checks know. */
static bool looks_like_id(const char *title)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t area = strspn(title, letters);

	return area > 0 && title[area] == '.' && title[area + 1] &&
	       strspn(title + area + 1, letters) == strlen(title + area + 1);
}

/* The title of a section, checked; "" where there is none to be had. The caller frees it. */
static char *scan_title(struct reader *reader, struct source *source, enum section_kind kind, uint32_t line)
{
	const char *keyword = policy_sections[kind].name;
	const struct token *ahead = token_peek(reader, source, 0);
	char why[INTERVAL_WHY];

	if (!policy_sections[kind].titled) {
		if (token_is_text(ahead) && token_peek(reader, source, 1)->kind == TOKEN_BRACE_OPEN) {
			mistake_add(reader, ahead->line, "'%s' takes no name: write %s { ... }", keyword, keyword);
			token_next(reader, source);
		}
		return mem_string("");
	}
	if (!token_is_text(ahead)) {
		mistake_add(reader, line, "'%s' has no name: write %s NAME { ... }", keyword, keyword);
		return mem_string("");
	}
	struct token token = token_next(reader, source);
	_cleanup_free_ char *title = token_string(&token);

	if (token.bad)
		return mem_string("");
	if (name_check(title, why) < 0) {
		mistake_add(reader, token.line, "%s", why);
		return mem_string("");
	}
	if (kind == SECTION_WAIVE && !looks_like_id(title)) {
		mistake_add(reader, token.line,
			"'%s' is not the id of a check: write one like tls.chain; `dflyguard checks` lists them",
			title);
		return mem_string("");
	}
	if (kind == SECTION_NETWORK && strcmp(title, "any") == 0)
		mistake_add(reader, token.line, "a network cannot be called 'any': that word means every source");
	return TAKE_PTR(title);
}

static void not_closed(struct reader *reader, const struct section *section, const struct token *before)
{
	const char *keyword = policy_sections[section->kind].name;
	bool named = policy_sections[section->kind].titled;
	struct srcloc place = policy_place(reader->policy, before->line);

	if (before->kind == TOKEN_END) {
		mistake_add(reader, section->line, "'%s%s%s' has no closing brace: write '}' at its end", keyword,
			named ? " " : "", named ? section->name : "");
		return;
	}
	mistake_add(reader, section->line, "'%s%s%s' has no closing brace: write '}' before '%.*s' in line %u", keyword,
		named ? " " : "", named ? section->name : "", token_shown(before), before->text, place.line);
	/* Or one section was written into another one: then what follows belongs to the outer one. */
	reader->braces_missed++;
}

static void scan_section(struct reader *reader, struct source *source, enum section_kind kind,
	const struct token *token, const struct section *outer);

static bool too_many(struct reader *reader, enum section_kind kind, uint32_t line)
{
	bool expects = kind == SECTION_EXPECT && reader->policy->expectation_count >= POLICY_MAX_EXPECTATIONS;
	bool waives = kind == SECTION_WAIVE && reader->policy->waiver_count >= POLICY_MAX_WAIVERS;

	bool alerts = kind == SECTION_ALERT && reader->policy->alert_count >= POLICY_MAX_ALERTS;

	if (!expects && !waives && !alerts)
		return false;
	if (!reader->over[kind])
		mistake_add(reader, line, "%s",
			expects	 ? "more than 10,000 expectations: join those that differ in 'from' or 'to' only"
			: alerts ? "more than 64 alerts: join those that differ little"
				 : "more than 1,000 waivers: join them, with * in their 'subject'");
	reader->over[kind] = true;
	return true;
}

/* What belongs to the environment may have been read as an inner section's: it is not missing. */
static void doubt_environment(struct reader *reader)
{
	reader->environment_doubts[reader->policy->environment_count - 1] |= DOUBT_NAMES;
}

/* Whether an inner section has all that it needs, so that what follows may belong to what is around it. */
static bool is_complete(const struct section *section)
{
	const struct section_schema *schema = &policy_sections[section->kind];

	for (unsigned int i = 0; i < schema->option_count; i++)
		if (schema->options[i].if_missing && !section->lines[i])
			return false;
	return true;
}

/* Whether a token is the keyword of a section that may stand in this one. */
static bool inner_find(const struct section *section, const struct token *token, enum section_kind *ret)
{
	return section->kind == SECTION_ENVIRONMENT && section_find(token, ret) && policy_sections[*ret].inner;
}

/* Whether a name was meant to be one. */
static bool inner_suggest(const struct section *section, const char *name, enum section_kind *ret)
{
	for (unsigned int kind = 0; section->kind == SECTION_ENVIRONMENT && kind < SECTION_KINDS; kind++)
		if (policy_sections[kind].inner &&
			name_distance(name, policy_sections[kind].name, 2) <= name_tolerance(name)) {
			*ret = (enum section_kind)kind;
			return true;
		}
	return false;
}

/* One statement in a section whose first token is a word that was taken already. */
static void scan_statement(
	struct reader *reader, struct source *source, struct section *section, const struct token *token)
{
	_cleanup_free_ char *name = token_string(token);
	const struct option_schema *option = option_find(section->kind, name);
	const struct token *ahead = token_peek(reader, source, 0);
	enum section_kind inner;

	if (option && section->outer && option->kind == OPTION_NAME) {
		const char *noun = policy_sections[section->kind].noun;

		mistake_add(reader, token->line,
			"'%s' in %s of environment '%s': leave it out, or write the %s outside environments",
			option->name, noun, section->outer->name, strchr(noun, ' ') + 1);
		skip_statement(reader, source);
	} else if (option) {
		scan_option(reader, source, section, option, token);
	} else if (inner_find(section, token, &inner)) {
		scan_section(reader, source, inner, token, section);
	} else if (token_is_assignment(ahead)) {
		if (section->outer && option_find(SECTION_ENVIRONMENT, name))
			doubt_environment(reader);
		unknown_option(reader, source, section, token);
	} else if (ahead->kind == TOKEN_PAREN_OPEN) {
		mistake_add(
			reader, token->line, "'%.64s(' in a section: include(\"FILE\") stands outside sections", name);
		skip_statement(reader, source);
	} else if (ahead->kind == TOKEN_BRACE_OPEN ||
		   (token_is_text(ahead) && token_peek(reader, source, 1)->kind == TOKEN_BRACE_OPEN)) {
		if (inner_suggest(section, name, &inner)) {
			mistake_add(reader, token->line, "unknown section '%.64s': did you mean '%s'?", name,
				policy_sections[inner].name);
			scan_section(reader, source, inner, token, section);
			return;
		}
		if (option_suggest(section->kind, name)) {
			unknown_option(reader, source, section, token);
			return;
		}
		mistake_add(reader, token->line, "a section '%.64s' in a section: %s", name,
			section->kind == SECTION_ENVIRONMENT
				? "only expect { ... }, alert { ... } and waive ID { ... } may stand in an environment"
				: "sections stand side by side");
		skip_statement(reader, source);
	} else {
		mistake_add(reader, token->line, "unexpected '%.64s': write options as NAME = VALUE", name);
	}
}

static void scan_nameless(struct reader *reader, struct source *source, const struct token *token)
{
	mistake_add(reader, token->line, "an empty string where a name belongs");
	skip_statement(reader, source);
}

/* True where what comes cannot stand in this section, so that its closing brace was forgotten. An option is not
 * followed by a brace without '=', so a section begins there. */
static bool section_is_over(struct reader *reader, struct source *source, const struct section *section)
{
	const struct token *ahead = token_peek(reader, source, 0);
	enum section_kind inner;

	if (ahead->kind == TOKEN_END)
		return true;
	if (section_ahead(reader, source, 0))
		return !inner_find(section, ahead, &inner);
	if (!section->outer || !is_complete(section) || ahead->kind != TOKEN_WORD ||
		!token_is_assignment(token_peek(reader, source, 1)))
		return false;
	_cleanup_free_ char *name = token_string(ahead);

	return option_find(SECTION_ENVIRONMENT, name) != NULL;
}

static void scan_body(struct reader *reader, struct source *source, struct section *section)
{
	for (;;) {
		const struct token *ahead = token_peek(reader, source, 0);

		if (section_is_over(reader, source, section)) {
			not_closed(reader, section, token_peek(reader, source, 0));
			/* Perhaps it was closed, but what follows was written into it: then the environment ends early.
			 */
			if (section->outer && !section_ahead(reader, source, 0))
				doubt_environment(reader);
			return;
		}
		if (ahead->kind == TOKEN_BRACE_OPEN) {
			mistake_add(reader, ahead->line, "unexpected '{': write options as NAME = {...}");
			skip_block(reader, source);
			continue;
		}
		struct token token = token_next(reader, source);

		if (token.kind == TOKEN_BRACE_CLOSE) {
			clean_line(reader, token.line);
			return;
		}
		if (token.bad)
			skip_statement(reader, source);
		else if (token_is_text(&token) && token.length > 0)
			scan_statement(reader, source, section, &token);
		else if (token_is_text(&token))
			scan_nameless(reader, source, &token);
		else
			mistake_add(reader, token.line, "unexpected '%.*s'", token_shown(&token), token.text);
	}
}

/* The keyword is taken already. `token` is where it stood, `kind` what it was or was meant to be, `outer` the section
 * in which it stands, or NULL. */
static void scan_section(struct reader *reader, struct source *source, enum section_kind kind,
	const struct token *token, const struct section *outer)
{
	struct section section = {.kind = kind, .outer = outer, .line = token->line};
	_cleanup_free_ char *title = NULL;
	uint8_t *outer_doubts = reader->doubts;
	bool again = false;

	if (too_many(reader, kind, token->line)) {
		skip_statement(reader, source);
		return;
	}
	reader->doubts = NULL;

	if (token_peek(reader, source, 0)->kind == TOKEN_EQUAL) {
		mistake_add(reader, token->line, "a section is written without '=': write %s%s { ... }",
			policy_sections[kind].name, policy_sections[kind].titled ? " NAME" : "");
		token_next(reader, source);
	}
	title = scan_title(reader, source, kind, token->line);
	switch (kind) {
	case SECTION_TOP:
		abort();
	case SECTION_SERVICE:
		section.object = service_new(reader, token->line, &again);
		section.name = "service";
		break;
	case SECTION_NETWORK:
		section.object = network_new(reader, title, token->line);
		break;
	case SECTION_ENVIRONMENT:
		section.object = environment_new(reader, title, token->line);
		break;
	case SECTION_EXPECT:
		section.object = expectation_new(reader, outer, token->line);
		section.name = policy_sections[kind].name;
		break;
	case SECTION_ALERT:
		section.object = alert_new(reader, outer, token->line);
		section.name = policy_sections[kind].name;
		break;
	case SECTION_WAIVE:
		section.object = waiver_new(reader, outer, title, token->line);
		break;
	}
	if (policy_sections[kind].titled)
		section.name = title;
	clean_sign(reader, token->line, policy_sections[kind].name);
	if (policy_sections[kind].titled) {
		clean_bytes(reader, " ", 1);
		clean_bytes(reader, title[0] ? title : "_", title[0] ? strlen(title) : 1);
	}
	clean_bytes(reader, "{", 1);
	if (token_peek(reader, source, 0)->kind == TOKEN_BRACE_OPEN)
		token_next(reader, source);
	else
		mistake_add(reader, token->line, "no '{' behind '%s%s%s': write one, and '}' at the end",
			policy_sections[kind].name, title[0] ? " " : "", title);
	scan_body(reader, source, &section);
	clean_bytes(reader, "}", 1);
	reader->doubts = outer_doubts;
}

/* --- the outermost level of a file --- */

/* The including file's directory and the name as written, which is how the user would name the file from where the
 * first one was named. */
static char *include_path(const struct source *source, const struct token *token)
{
	const char *slash = strrchr(source->name, '/');

	if (token->text[0] == '/' || !slash)
		return token_string(token);
	return mem_format("%.*s/%.*s", (int)(slash - source->name), source->name, (int)token->length, token->text);
}

static void report_cycle(struct reader *reader, uint32_t line, const struct source *from, const struct source *again)
{
	_cleanup_text_ struct text chain = {0};

	/* From the inside out, then read backwards: the depth is bounded, so quadratic is cheap. */
	for (const struct source *stop = again;;) {
		const struct source *step = from;

		text_printf(&chain, "%s -> ", stop->name);
		if (stop == from)
			break;
		while (step->parent != stop)
			step = step->parent;
		stop = step;
	}
	mistake_add(reader, line, "'%s' includes itself: %s%s", again->name, text_string(&chain), again->name);
}

static bool include_file(struct reader *reader, struct source *source, const struct token *token)
{
	struct policy *policy = reader->policy;
	struct source included = {.parent = source, .file_line = 1};
	_cleanup_free_ char *path = NULL;
	unsigned int depth = 0;
	struct err err = {0};

	if (!source->name) {
		mistake_add(reader, token->line, "a policy that does not come from a file cannot include others");
		return false;
	}
	for (const struct source *outer = source->parent; outer; outer = outer->parent)
		depth++;
	if (depth >= POLICY_MAX_DEPTH) {
		mistake_add(reader, token->line, "includes are nested more than %u deep: include from fewer levels",
			POLICY_MAX_DEPTH);
		return false;
	}
	if (policy->file_count >= POLICY_MAX_FILES) {
		mistake_add(reader, token->line, "more than %u files: a policy may not include more", POLICY_MAX_FILES);
		return false;
	}
	path = include_path(source, token);
	if (source_open(&included, path, POLICY_MAX_TEXT - reader->bytes, &err) < 0) {
		mistake_add(reader, token->line, "%s%s%s", err.message, err.hint[0] ? ": " : "", err.hint);
		source_done(&included);
		return false;
	}
	for (const struct source *outer = source; outer; outer = outer->parent) {
		if (outer->device != included.device || outer->inode != included.inode)
			continue;
		report_cycle(reader, token->line, source, outer);
		source_done(&included);
		return false;
	}
	reader->line++;
	source_begin(reader, &included, path);
	policy_scan(reader, &included);
	source_done(&included);
	/* The rest of the including file goes on in a line of its own. */
	reader->line++;
	segment_begin(reader, source);
	return true;
}

/* The word `include` is taken; nothing behind the closing parenthesis may be looked at before the file is spliced in,
 * since its line would be counted too early. */
static void scan_include(struct reader *reader, struct source *source, uint32_t line)
{
	static const char form[] = "write include(\"FILE\")";

	if (token_peek(reader, source, 0)->kind != TOKEN_PAREN_OPEN) {
		mistake_add(reader, line, "'include' without a file in parentheses: %s", form);
		reader->incomplete = true;
		skip_statement(reader, source);
		if (token_is_text(token_peek(reader, source, 0)) && token_peek(reader, source, 0)->kind == TOKEN_STRING)
			token_next(reader, source);
		return;
	}
	token_next(reader, source);
	if (!token_is_text(token_peek(reader, source, 0))) {
		mistake_add(reader, line, "'include' without a file: %s", form);
		reader->incomplete = true;
		if (token_peek(reader, source, 0)->kind == TOKEN_PAREN_CLOSE)
			token_next(reader, source);
		return;
	}
	struct token token = token_next(reader, source);

	if (token_peek(reader, source, 0)->kind != TOKEN_PAREN_CLOSE) {
		mistake_add(reader, token.line, "'include' takes one file: %s", form);
		reader->incomplete = true;
		while (token_peek(reader, source, 0)->kind == TOKEN_COMMA ||
			token_is_text(token_peek(reader, source, 0)))
			token_next(reader, source);
		if (token_peek(reader, source, 0)->kind == TOKEN_PAREN_CLOSE)
			token_next(reader, source);
		return;
	}
	token_next(reader, source);
	if (!token.bad && token.length == 0)
		mistake_add(reader, token.line, "an empty string in 'include': %s", form);
	if (token.bad || token.length == 0 || !include_file(reader, source, &token))
		reader->incomplete = true;
}

/* The section that a misspelt keyword most probably means. */
static bool section_suggest(const char *name, enum section_kind *ret)
{
	for (unsigned int kind = SECTION_SERVICE; kind < SECTION_KINDS; kind++)
		if (name_distance(name, policy_sections[kind].name, 2) <= name_tolerance(name)) {
			*ret = (enum section_kind)kind;
			return true;
		}
	return false;
}

static void scan_unknown(struct reader *reader, struct source *source, const struct token *token)
{
	_cleanup_free_ char *name = token_string(token);
	const struct token *ahead = token_peek(reader, source, 0);
	bool is_section = ahead->kind == TOKEN_BRACE_OPEN ||
			  (token_is_text(ahead) && token_peek(reader, source, 1)->kind == TOKEN_BRACE_OPEN);
	enum section_kind kind;

	if (is_section && section_suggest(name, &kind)) {
		mistake_add(reader, token->line, "unknown section '%.64s': did you mean '%s'?", name,
			policy_sections[kind].name);
		scan_section(reader, source, kind, token, NULL);
	} else if (is_section) {
		mistake_add(reader, token->line,
			"unknown section '%.64s': known are service, network NAME, environment NAME, expect, alert "
			"and waive ID",
			name);
		reader->incomplete = true;
		skip_statement(reader, source);
	} else if (token_is_assignment(ahead)) {
		unknown_option(reader, source, reader->top, token);
	} else if (ahead->kind == TOKEN_PAREN_OPEN) {
		bool near = name_distance(name, "include", 2) <= 2;

		mistake_add(reader, token->line, "unknown '%.64s(': %s", name,
			near ? "did you mean 'include'?" : "only include(\"FILE\") is written like this");
		if (near)
			scan_include(reader, source, token->line);
		else
			skip_statement(reader, source);
	} else {
		mistake_add(reader, token->line,
			"unexpected '%.64s': write NAME = VALUE, or a section with its options in braces", name);
	}
}

static void scan_top(struct reader *reader, struct source *source, const struct token *token)
{
	_cleanup_free_ char *name = token_string(token);
	const struct option_schema *option = option_find(SECTION_TOP, name);
	enum section_kind kind;

	if (strcmp(name, "include") == 0)
		scan_include(reader, source, token->line);
	else if (option)
		scan_option(reader, source, reader->top, option, token);
	else if (section_find(token, &kind))
		scan_section(reader, source, kind, token, NULL);
	else
		scan_unknown(reader, source, token);
}

/* A byte order mark says what a text without one says as well; anything that is not UTF-8 shows by its NUL bytes. */
static void check_bytes(struct reader *reader, struct source *source)
{
	const char *nul;

	if (source->length >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0)
		source->offset = 3;
	nul = source->length ? memchr(source->text, '\0', source->length) : NULL;
	if (!nul)
		return;
	uint32_t line = reader->line;

	for (const char *byte = source->text; byte < nul; byte++)
		line += *byte == '\n';
	mistake_torn(reader, line, "a NUL byte: this is not a text in ASCII or UTF-8");
	reader->incomplete = true;
	source->length = (size_t)(nul - source->text);
}

void source_begin(struct reader *reader, struct source *source, const char *name)
{
	struct policy *policy = reader->policy;

	ARRAY_GROW(policy->files, policy->file_count, reader->file_capacity);
	source->file = (uint32_t)policy->file_count;
	policy->files[policy->file_count++] = mem_string(name);
	if (source->parent)
		source->name = policy->files[source->file];
	source->file_line = 1;
	reader->bytes += source->length;
	segment_begin(reader, source);
}

void policy_scan(struct reader *reader, struct source *source)
{
	unsigned int outer_missed = reader->braces_missed;

	reader->braces_missed = 0;
	check_bytes(reader, source);
	for (;;) {
		const struct token *ahead = token_peek(reader, source, 0);

		if (ahead->kind == TOKEN_END)
			break;
		if (ahead->kind == TOKEN_BRACE_OPEN || ahead->kind == TOKEN_PAREN_OPEN) {
			mistake_add(reader, ahead->line, "unexpected '%c': a section begins with its kind and name",
				ahead->text[0]);
			skip_block(reader, source);
			continue;
		}
		struct token token = token_next(reader, source);

		if (token.bad)
			skip_statement(reader, source);
		else if (token_is_text(&token) && token.length > 0)
			scan_top(reader, source, &token);
		else if (token_is_text(&token))
			scan_nameless(reader, source, &token);
		else if (token.kind == TOKEN_BRACE_CLOSE && reader->braces_missed > 0)
			reader->braces_missed--;
		else if (token.kind == TOKEN_BRACE_CLOSE)
			mistake_add(reader, token.line, "'}' closes nothing: no section is open here");
		else
			mistake_add(reader, token.line, "unexpected '%.*s'", token_shown(&token), token.text);
	}
	reader->braces_missed = outer_missed;
}

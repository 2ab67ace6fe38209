/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "policy_private.h"

/* --- the clean text --- */

void clean_bytes(struct reader *reader, const char *bytes, size_t length)
{
	struct text *clean = &reader->clean;

	if (clean->length + length + 1 > clean->capacity) {
		clean->capacity = clean->capacity * 2 + length + 1;
		clean->data = mem_resize(clean->data, clean->capacity, 1);
	}
	memcpy(clean->data + clean->length, bytes, length);
	clean->length += length;
	clean->data[clean->length] = '\0';
}

/* Goes on at `line`, so that the line that libconfuse counts is an origin. */
void clean_line(struct reader *reader, uint32_t line)
{
	for (; reader->clean_line < line; reader->clean_line++)
		clean_bytes(reader, "\n", 1);
}

void clean_sign(struct reader *reader, uint32_t line, const char *sign)
{
	clean_line(reader, line);
	clean_bytes(reader, sign, strlen(sign));
}

/* libconfuse reads a bare word in one step and a quoted one byte by byte, so quotes stay where they are needed only. */
static void clean_value(struct reader *reader, const struct token *token)
{
	clean_line(reader, token->line);
	if (token->plain) {
		clean_bytes(reader, token->text, token->length);
		return;
	}
	/* Single quotes: nothing in them is expanded. */
	clean_bytes(reader, "'", 1);
	for (size_t i = 0; i < token->length; i++) {
		if (token->text[i] == '\'' || token->text[i] == '\\')
			clean_bytes(reader, "\\", 1);
		clean_bytes(reader, token->text + i, 1);
	}
	clean_bytes(reader, "'", 1);
}

/* --- tokens --- */

bool token_is_text(const struct token *token)
{
	return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING;
}

bool token_is_assignment(const struct token *token)
{
	return token->kind == TOKEN_EQUAL || token->kind == TOKEN_APPEND;
}

/* Enough of a token's text for a message. */
int token_shown(const struct token *token)
{
	return token->length > 64 ? 64 : (int)token->length;
}

char *token_string(const struct token *token)
{
	return mem_stringn(token->text, token->length);
}

bool section_find(const struct token *token, enum section_kind *ret)
{
	for (unsigned int kind = SECTION_SERVICE; kind < SECTION_KINDS; kind++)
		if (token_is(token, policy_sections[kind].name)) {
			*ret = (enum section_kind)kind;
			return true;
		}
	return false;
}

/* Whether the tokens from `ahead` on begin a section: a known keyword and, behind a title or not, a brace. */
bool section_ahead(struct reader *reader, struct source *source, unsigned int ahead)
{
	enum section_kind ignored;

	if (token_peek(reader, source, ahead)->kind != TOKEN_WORD ||
		!section_find(token_peek(reader, source, ahead), &ignored))
		return false;
	if (token_peek(reader, source, ahead + 1)->kind == TOKEN_BRACE_OPEN)
		return true;
	return token_is_text(token_peek(reader, source, ahead + 1)) &&
	       token_peek(reader, source, ahead + 2)->kind == TOKEN_BRACE_OPEN;
}

/* Skips what stands in braces or parentheses, the opening one next. */
void skip_block(struct reader *reader, struct source *source)
{
	struct token open = token_next(reader, source);
	size_t depth = 1;

	while (depth > 0) {
		struct token token = token_next(reader, source);

		if (token.kind == TOKEN_END) {
			mistake_add(reader, open.line, "'%c' that opens here is not closed: write '%c' at its end",
				open.text[0], open.kind == TOKEN_BRACE_OPEN ? '}' : ')');
			reader->incomplete = true;
			return;
		}
		if (token.kind == TOKEN_BRACE_OPEN || token.kind == TOKEN_PAREN_OPEN)
			depth++;
		else if (token.kind == TOKEN_BRACE_CLOSE || token.kind == TOKEN_PAREN_CLOSE)
			depth--;
	}
}

/* Skips the rest of a statement whose name was refused. */
void skip_statement(struct reader *reader, struct source *source)
{
	const struct token *token = token_peek(reader, source, 0);

	if (token_is_assignment(token)) {
		token_next(reader, source);
		token = token_peek(reader, source, 0);
		if (token_is_text(token) && !token_is_assignment(token_peek(reader, source, 1)))
			token_next(reader, source);
		else if (token->kind == TOKEN_BRACE_OPEN)
			skip_block(reader, source);
		return;
	}
	if (token_is_text(token) && token_peek(reader, source, 1)->kind == TOKEN_BRACE_OPEN)
		token_next(reader, source);
	if (token_peek(reader, source, 0)->kind == TOKEN_BRACE_OPEN ||
		token_peek(reader, source, 0)->kind == TOKEN_PAREN_OPEN)
		skip_block(reader, source);
}

/* --- options --- */

/* Drops values that must not reach libconfuse because the option stood there before. */
static void skip_value(struct reader *reader, struct source *source)
{
	const struct token *token = token_peek(reader, source, 0);

	if (token->kind == TOKEN_BRACE_OPEN)
		skip_block(reader, source);
	else if (token_is_text(token) && !token_is_assignment(token_peek(reader, source, 1)))
		token_next(reader, source);
}

static bool value_is_usable(struct reader *reader, const struct option_schema *option, const struct token *token)
{
	if (token->bad)
		return false;
	if (token->length == 0) {
		mistake_add(
			reader, token->line, "an empty string in '%s': write a value, or leave it out", option->name);
		return false;
	}
	return true;
}

static void scan_scalar(
	struct reader *reader, struct source *source, const struct option_schema *option, const struct token *name)
{
	const struct token *ahead = token_peek(reader, source, 0);

	if (ahead->kind == TOKEN_BRACE_OPEN) {
		mistake_add(reader, ahead->line, "'%s' takes one value, not a list: write %s = VALUE", option->name,
			option->name);
		skip_block(reader, source);
		return;
	}
	if (!token_is_text(ahead) ||
		(ahead->kind == TOKEN_WORD && token_is_assignment(token_peek(reader, source, 1)))) {
		mistake_add(reader, name->line, "'%s' has no value: write %s = VALUE", option->name, option->name);
		return;
	}
	struct token value = token_next(reader, source);

	if (!value_is_usable(reader, option, &value))
		return;
	clean_line(reader, name->line);
	clean_bytes(reader, option->name, strlen(option->name));
	clean_sign(reader, name->line, "=");
	clean_value(reader, &value);
	clean_bytes(reader, " ", 1);
}

/* True where the list cannot go on because what comes begins something else. */
static bool list_is_over(struct reader *reader, struct source *source)
{
	const struct token *token = token_peek(reader, source, 0);

	if (token->kind == TOKEN_END)
		return true;
	return token->kind == TOKEN_WORD &&
	       (token_is_assignment(token_peek(reader, source, 1)) || section_ahead(reader, source, 0));
}

/* Returns whether there was anything in the list, sound or not. */
static bool scan_items(struct reader *reader, struct source *source, const struct option_schema *option)
{
	struct token open = token_next(reader, source);
	bool separated = true; /* at the beginning, or behind a comma */
	bool any = false;
	bool written = false;

	for (;;) {
		const struct token *ahead = token_peek(reader, source, 0);

		if (ahead->kind == TOKEN_BRACE_OPEN || ahead->kind == TOKEN_PAREN_OPEN) {
			mistake_add(reader, ahead->line,
				"unexpected '%c' in the list of '%s': lists hold single values", ahead->text[0],
				option->name);
			skip_block(reader, source);
			any = true;
			separated = false;
			continue;
		}
		if (list_is_over(reader, source)) {
			mistake_add(reader, open.line, "the list of '%s' has no closing brace: write '}' at its end",
				option->name);
			return true;
		}
		struct token token = token_next(reader, source);

		if (token.kind == TOKEN_BRACE_CLOSE)
			return any;
		if (token.kind == TOKEN_COMMA) {
			if (separated)
				mistake_add(reader, token.line,
					any ? "two commas in '%s' with nothing between them: drop one"
					    : "the list of '%s' begins with a comma: drop it",
					option->name);
			separated = true;
			continue;
		}
		if (!token_is_text(&token)) {
			mistake_add(reader, token.line, "unexpected '%.*s' in the list of '%s'", token_shown(&token),
				token.text, option->name);
			continue;
		}
		if (!separated && !token.bad)
			mistake_add(reader, token.line, "no comma before '%.*s' in the list of '%s': write one",
				token_shown(&token), token.text, option->name);
		separated = false;
		any = true;
		if (!value_is_usable(reader, option, &token))
			continue;
		if (written)
			clean_sign(reader, token.line, ",");
		clean_value(reader, &token);
		written = true;
	}
}

static void scan_list(
	struct reader *reader, struct source *source, const struct option_schema *option, const struct token *name)
{
	const struct token *ahead = token_peek(reader, source, 0);

	if (ahead->kind != TOKEN_BRACE_OPEN &&
		(!token_is_text(ahead) ||
			(ahead->kind == TOKEN_WORD && token_is_assignment(token_peek(reader, source, 1))))) {
		mistake_add(reader, name->line, "'%s' has no value: write %s = {...}", option->name, option->name);
		return;
	}
	clean_line(reader, name->line);
	clean_bytes(reader, option->name, strlen(option->name));
	clean_sign(reader, name->line, "={");
	if (ahead->kind == TOKEN_BRACE_OPEN) {
		/* Judged here, since only the scanner knows an empty list from one whose values were refused. */
		if (!scan_items(reader, source, option) && option->if_empty)
			mistake_add(reader, name->line, "'%s' is empty, %s", option->name, option->if_empty);
	} else {
		struct token value = token_next(reader, source);

		if (value_is_usable(reader, option, &value))
			clean_value(reader, &value);
		if (token_peek(reader, source, 0)->kind == TOKEN_COMMA) {
			mistake_add(reader, value.line, "more than one value for '%s' needs braces: write %s = {...}",
				option->name, option->name);
			while (token_peek(reader, source, 0)->kind == TOKEN_COMMA) {
				token_next(reader, source);
				skip_value(reader, source);
			}
		}
	}
	clean_bytes(reader, "}", 1);
}

void scan_option(struct reader *reader, struct source *source, struct section *section,
	const struct option_schema *option, const struct token *name)
{
	unsigned int index = (unsigned int)(option - policy_sections[section->kind].options);
	const struct token *ahead = token_peek(reader, source, 0);

	if (ahead->kind == TOKEN_APPEND)
		mistake_add(
			reader, ahead->line, "'%s +=' is not understood: write the whole list with '='", option->name);
	if (token_is_assignment(ahead)) {
		token_next(reader, source);
	} else if (token_is_text(ahead) || ahead->kind == TOKEN_BRACE_OPEN) {
		/* A word that is followed by '=' is the next option, not this one's value. */
		if (!token_is_assignment(token_peek(reader, source, 1)))
			mistake_add(reader, name->line, "no '=' behind '%s': write %s = %s", option->name, option->name,
				option_is_list(option) ? "{...}" : "VALUE");
	}
	if (section->lines[index]) {
		struct srcloc first = policy_place(reader->policy, section->lines[index]);

		if (!name->bad)
			mistake_add(reader, name->line, "'%s' is given again: it stands in %s:%u already; keep one",
				option->name, first.file, first.line);
		skip_value(reader, source);
		return;
	}
	/* A misspelt one may still be followed by the right one. */
	if (!name->bad)
		section->lines[index] = name->line;
	memcpy((char *)section->object + option->origin, &name->line, sizeof(name->line));
	if (option_is_list(option)) {
		struct source_list *list = (struct source_list *)(void *)((char *)section->object + option->value);

		list->given = true;
		scan_list(reader, source, option, name);
	} else {
		scan_scalar(reader, source, option, name);
	}
}

/* Whether a name is an option's beginning or its last words: "max_connections", or "port" for to_port. */
static bool is_part_of(const char *name, const char *option)
{
	size_t length = strlen(name);
	size_t whole = strlen(option);

	if (length < 4 || length >= whole)
		return false;
	return strncmp(name, option, length) == 0 ||
	       (option[whole - length - 1] == '_' && strcmp(name, option + whole - length) == 0);
}

/* The option of which a name is a part; NULL where there is none, or two. */
static const struct option_schema *option_abbreviated(const struct section_schema *section, const char *name)
{
	unsigned int found = section->option_count;

	for (unsigned int i = 0; i < section->option_count; i++) {
		if (!is_part_of(name, section->options[i].name))
			continue;
		if (found < section->option_count)
			return NULL;
		found = i;
	}
	return found < section->option_count ? &section->options[found] : NULL;
}

/* The option that a misspelt name most probably means; NULL where none is near, or two are. */
const struct option_schema *option_suggest(enum section_kind kind, const char *name)
{
	const struct section_schema *section = &policy_sections[kind];
	unsigned int best = section->option_count;
	unsigned int least = name_tolerance(name) + 1;
	bool tie = false;

	for (unsigned int i = 0; i < section->option_count; i++) {
		unsigned int distance = name_distance(name, section->options[i].name, least);

		if (distance < least) {
			best = i;
			least = distance;
			tie = false;
		} else if (distance == least && best < section->option_count) {
			tie = true;
		}
	}
	return best < section->option_count && !tie ? &section->options[best] : option_abbreviated(section, name);
}

/* Where the options of a section stand, for a message. */
static const char *section_form(enum section_kind kind)
{
	switch (kind) {
	case SECTION_TOP:
		return "outside all sections";
	case SECTION_SERVICE:
		return "in service { }";
	case SECTION_NETWORK:
		return "in network NAME { }";
	case SECTION_ENVIRONMENT:
		return "in environment NAME { }";
	case SECTION_EXPECT:
		return "in expect { }";
	case SECTION_ALERT:
		return "in alert { }";
	case SECTION_WAIVE:
		return "in waive ID { }";
	}
	abort();
}

/* A name that is no option of this section. What it most probably means is read as if it stood there, so that what
 * hangs on it is judged in the same run, and nothing is missed that is there but misspelt. */
void unknown_option(struct reader *reader, struct source *source, struct section *section, const struct token *token)
{
	_cleanup_free_ char *name = token_string(token);
	_cleanup_text_ struct text names = {0};
	const struct option_schema *meant = option_suggest(section->kind, name);

	if (meant) {
		struct token corrected = *token;

		mistake_add(reader, token->line, "unknown option '%.64s': did you mean '%s'?", name, meant->name);
		corrected.bad = true;
		scan_option(reader, source, section, meant, &corrected);
		return;
	}
	/* Most words that an inner section might have are options elsewhere, so that "elsewhere" is no advice. */
	for (unsigned int kind = SECTION_TOP; kind < SECTION_KINDS && !policy_sections[section->kind].inner; kind++) {
		if (!option_find((enum section_kind)kind, name))
			continue;
		if (reader->braces_missed == 0 || section->kind != SECTION_TOP)
			mistake_add(reader, token->line, "'%.64s' does not belong here: write it %s", name,
				section_form((enum section_kind)kind));
		skip_statement(reader, source);
		return;
	}
	option_names(section->kind, &names);
	mistake_add(reader, token->line, "unknown option '%.64s': known %s: %s", name, section_form(section->kind),
		text_string(&names));
	skip_statement(reader, source);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of the room share while one policy is read. The way of a text:
 *
 *   policy_text.c   opens and reads files, cuts their bytes into tokens
 *   policy_scan.c   follows the tokens: sections and includes
 *   policy_option.c ... and options; both write what is sound to one clean text
 *   policy_parse.c  libconfuse reads the clean text; callbacks turn values into struct policy
 *   policy_check.c  what only the whole can tell: duplicates, references, cycles, ports, exposure
 *   policy_resolve.c networks expanded, and what is redundant
 *   policy_print.c  a policy as one text again
 *   policy.c        the order of all that, and the questions others ask a policy
 *
 * Each step reports to one list of mistakes and goes on, so that one run shows them all.
 */

#include "policy.h"

#define POLICY_MAX_WORD 4095u /* bytes in one word or string: the longest path */
#define POLICY_NO_INDEX UINT32_MAX

/* Expectations, waivers and alerts also stand inside an environment; no other section stands inside another one. */
enum section_kind {
	SECTION_TOP,
	SECTION_SERVICE,
	SECTION_NETWORK,
	SECTION_ENVIRONMENT,
	SECTION_EXPECT,
	SECTION_WAIVE,
	SECTION_ALERT,
};
#define SECTION_KINDS	    7u
#define SECTION_MAX_OPTIONS 32u

enum option_kind {
	OPTION_NAME,	  /* char *: a name by the rules of name_check() */
	OPTION_PATH,	  /* char *: an absolute path */
	OPTION_UNIT,	  /* char *: a systemd service */
	OPTION_PORT,	  /* uint16_t */
	OPTION_COUNT,	  /* uint32_t */
	OPTION_DURATION,  /* uint32_t, seconds: "90s", "10m", "1h", "7d" */
	OPTION_CHOICE,	  /* an enum: the index of one of `words` */
	OPTION_SOURCES,	  /* struct source_list */
	OPTION_ADDRESSES, /* struct source_list of single addresses */
	OPTION_HOSTS,	  /* struct source_list whose references are host names */
	OPTION_WORDS,	  /* char *: a sentence, one line */
	OPTION_DATE,	  /* uint32_t: days since 1970-01-01 */
};

/* One option: the scanner, the libconfuse schema and the conversion of values all follow this table. To add an option,
 * add a member to its struct in policy.h and a row in policy_schema.c. */
struct option_schema {
	const char *name;
	enum option_kind kind;
	size_t value;  /* offset in struct policy, service, network, environment, expectation or waiver */
	size_t origin; /* offset of the uint32_t that remembers the line */
	uint32_t minimum;
	uint32_t maximum;
	const char *const *words;
	unsigned int word_count;
	const char *if_empty;	/* why a list may not be empty, and what to write; NULL: it may */
	const char *if_missing; /* expectations and waivers: what to write; NULL: it need not be written */
};

struct section_schema {
	const char *name;
	bool titled;
	const struct option_schema *options;
	unsigned int option_count;
	bool inner;	  /* may stand in an environment, too */
	const char *noun; /* of those: "an expectation" */
};

extern const struct section_schema policy_sections[SECTION_KINDS];

static inline bool option_is_list(const struct option_schema *option)
{
	return option->kind == OPTION_SOURCES || option->kind == OPTION_ADDRESSES || option->kind == OPTION_HOSTS;
}

/* The option called so in a section, or NULL. */
const struct option_schema *option_find(enum section_kind kind, const char *name);
/* "a, b and c" from the names of a section's options, appended to `text`. */
void option_names(enum section_kind kind, struct text *text);

/* 0, or -EINVAL and in `why` (INTERVAL_WHY bytes) what is wrong with a name. */
int name_check(const char *name, char *why);

struct mistake {
	uint32_t origin;
	bool torn; /* the line has lost its structure: what else it seems to say means nothing */
	char *message;
};

enum doubt {
	DOUBT_NAMES = 1,  /* an option may be there, but was not understood */
	DOUBT_VALUES = 2, /* an option has its default in place of a value that was refused */
};

/* Everything that is true only while one policy is read. */
struct reader {
	struct policy *policy;
	struct text clean; /* what libconfuse will read; line n of it is origin n */
	uint32_t clean_line;
	struct section *top; /* the options outside all sections, of all files */
	uint32_t line;	     /* the line of the clean text to which the byte being read belongs */
	size_t bytes;	     /* read so far, all files */

	struct mistake *mistakes;
	size_t mistake_count;
	size_t mistake_capacity;
	size_t mistakes_dropped;

	/* Something in a section was refused: do not also complain about what only seems to be missing or wrong there.
	 */
	uint8_t *doubts;
	enum doubt doubt; /* what a mistake found now means for `doubts` */
	bool incomplete;  /* the same for the policy as a whole: a file or a part of one could not be read */
	uint8_t service_doubts;
	uint8_t *environment_doubts;
	uint8_t *expectation_doubts;
	uint8_t *waiver_doubts;
	uint8_t *alert_doubts;
	unsigned int braces_missed; /* sections ended for the user, whose braces may still come */
	size_t network_capacity;
	size_t environment_capacity;
	size_t expectation_capacity;
	size_t waiver_capacity;
	size_t alert_capacity;
	bool over[SECTION_KINDS]; /* more of them than a policy may have, which was said */
	size_t segment_capacity;
	size_t file_capacity;
	unsigned int suggestions_left; /* names that may still be compared in search of a suggestion */
};

void mistake_add(struct reader *reader, uint32_t origin, const char *format, ...) _printf_(3, 4);

/* The same, and what else is found on that line is not reported. */
void mistake_torn(struct reader *reader, uint32_t origin, const char *message);

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_BRACE_OPEN,
	TOKEN_BRACE_CLOSE,
	TOKEN_PAREN_OPEN,
	TOKEN_PAREN_CLOSE,
	TOKEN_EQUAL,
	TOKEN_APPEND,
	TOKEN_COMMA,
};

struct token {
	enum token_kind kind;
	bool plain; /* libconfuse takes it literally without quotes */
	bool bad;   /* reported already: stands where a value stood, but has none */
	uint32_t line;
	const char *text; /* borrowed from the source; not terminated */
	size_t length;
};

/* One file, or one text from memory, that is being scanned. */
struct source {
	struct source *parent; /* the file that includes this one */
	const char *name;      /* borrowed from policy.files; NULL: not a file, so nothing can be included */
	uint64_t device;
	uint64_t inode;
	char *text; /* owned */
	size_t length;
	size_t offset;
	uint32_t file;
	uint32_t file_line;
	struct token queue[4];
	unsigned int queued;
};

/* Reads all of a file that is safe to trust. 0, or a negative errno value and `err` with the reason and a hint. */
int source_open(struct source *source, const char *path, size_t maximum, struct err *err);
void source_done(struct source *source);
/* The token that comes, or that comes after `ahead` others (0 to 3), without taking it. */
const struct token *token_peek(struct reader *reader, struct source *source, unsigned int ahead);
struct token token_next(struct reader *reader, struct source *source);
bool token_is(const struct token *token, const char *text);

bool token_is_text(const struct token *token);
bool token_is_assignment(const struct token *token);
/* As many bytes of a token as a message should show, for "%.*s". */
int token_shown(const struct token *token);
/* The caller frees it. */
char *token_string(const struct token *token);

/* The section that is being scanned. `lines` remembers where each option was given, 0 = not yet. */
struct section {
	enum section_kind kind;
	const struct section *outer; /* the environment in which an inner one stands, or NULL */
	uint32_t line;
	void *object; /* the struct in the policy; moves when the policy grows, so valid only until the section ends */
	const char *name;
	uint32_t lines[SECTION_MAX_OPTIONS];
};

/* What a section holds that says nothing (policy.c, policy_scan.c). The caller frees the service's texts. */
struct service service_standard(void);
struct environment environment_standard(void);
/* Seconds as the policy writes them: "90s", "10m". `buffer` holds 16 bytes; returns it. */
const char *duration_format(uint32_t seconds, char *buffer);

/* policy_option.c: the clean text, and options with their values. */
void clean_bytes(struct reader *reader, const char *bytes, size_t length);
void clean_line(struct reader *reader, uint32_t line);
void clean_sign(struct reader *reader, uint32_t line, const char *sign);
bool section_find(const struct token *token, enum section_kind *ret);
bool section_ahead(struct reader *reader, struct source *source, unsigned int ahead);
void skip_block(struct reader *reader, struct source *source);
void skip_statement(struct reader *reader, struct source *source);
const struct option_schema *option_suggest(enum section_kind kind, const char *name);
void scan_option(struct reader *reader, struct source *source, struct section *section,
	const struct option_schema *option, const struct token *name);
void unknown_option(struct reader *reader, struct source *source, struct section *section, const struct token *token);

/* Begins a segment: what follows in the clean text comes from `source`. */
void segment_begin(struct reader *reader, const struct source *source);
/* Enters a source among the policy's files; its text begins at reader->line. */
void source_begin(struct reader *reader, struct source *source, const char *name);
/* Scans a source to its end, with what it includes. */
void policy_scan(struct reader *reader, struct source *source);
/* Lets libconfuse read reader->clean into reader->policy. */
void policy_parse(struct reader *reader);
void policy_check(struct reader *reader);
/* Sorts the mistakes by place, drops repetitions, and moves at most `limit` of them behind what `diagnostics` holds. */
void mistakes_deliver(struct reader *reader, struct diagnostics *diagnostics, size_t limit);

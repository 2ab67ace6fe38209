/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy_private.h"

/* What the kernel shows for an owner that has no name in this user namespace (/proc/sys/kernel/overflowuid). */
#define OVERFLOW_UID 65534

static int check_owner(const char *path, const struct stat *status, struct err *err)
{
	int r;

	if (status->st_uid != 0 && status->st_uid != geteuid()) {
		r = err_set_at(err, EPERM, ERR_POLICY, (struct srcloc){path, 0},
			"'%s' belongs to user %u%s: a policy must belong to root or the caller", path,
			(unsigned int)status->st_uid,
			status->st_uid == OVERFLOW_UID ? " (in a user namespace: to a user that is not mapped into it)"
						       : "");
		err_hint(err, "chown root '%s'; chmod go-w '%s'", path, path);
		return r;
	}
	if (status->st_mode & (S_IWGRP | S_IWOTH)) {
		r = err_set_at(err, EPERM, ERR_POLICY, (struct srcloc){path, 0},
			"'%s' can be changed by %s (mode %04o): only its owner may write a policy", path,
			status->st_mode & S_IWOTH ? "everybody" : "its group", (unsigned int)status->st_mode & 07777);
		err_hint(err, "chmod go-w '%s'", path);
		return r;
	}
	return 0;
}

static int read_all(
	int descriptor, struct source *source, const char *path, size_t expected, size_t maximum, struct err *err)
{
	size_t capacity = expected + 1;

	source->text = mem_alloc(capacity);
	for (;;) {
		ssize_t got = read(descriptor, source->text + source->length, capacity - source->length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_at(err, EIO, ERR_IO, (struct srcloc){path, 0}, "cannot read '%s': %s", path,
				strerror(errno));
		if (got == 0)
			return 0;
		source->length += (size_t)got;
		if (source->length > maximum)
			return err_set_at(err, EFBIG, ERR_POLICY, (struct srcloc){path, 0},
				"'%s' is too large: a policy may have %u MiB, all files together", path,
				POLICY_MAX_TEXT / 1024 / 1024);
		if (source->length == capacity) {
			capacity *= 2;
			source->text = mem_resize(source->text, capacity, 1);
		}
	}
}

int source_open(struct source *source, const char *path, size_t maximum, struct err *err)
{
	/* O_NONBLOCK: a pipe without a writer must not hold up the boot. All that follows asks the descriptor, so that
	 * the file that was judged is the file that is read. */
	_cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int r;

	if (descriptor < 0)
		return err_set_at(err, errno, ERR_POLICY, (struct srcloc){path, 0}, "cannot open '%s': %s", path,
			strerror(errno));
	if (fstat(descriptor, &status) < 0)
		return err_set_at(
			err, EIO, ERR_IO, (struct srcloc){path, 0}, "cannot examine '%s': %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return err_set_at(
			err, EISDIR, ERR_POLICY, (struct srcloc){path, 0}, "'%s' is a directory: name a file", path);
	if (!S_ISREG(status.st_mode))
		return err_set_at(
			err, ENOTSUP, ERR_POLICY, (struct srcloc){path, 0}, "'%s' is not a regular file", path);
	r = check_owner(path, &status, err);
	if (r < 0)
		return r;
	if (status.st_size < 0 || (size_t)status.st_size > maximum)
		return err_set_at(err, EFBIG, ERR_POLICY, (struct srcloc){path, 0},
			"'%s' is too large: a policy may have %u MiB, all files together", path,
			POLICY_MAX_TEXT / 1024 / 1024);
	source->device = status.st_dev;
	source->inode = status.st_ino;
	return read_all(descriptor, source, path, (size_t)status.st_size, maximum, err);
}

void source_done(struct source *source)
{
	free(source->text);
	source->text = NULL;
	source->length = source->offset = 0;
}

/* What a byte outside quotes can be part of. */
enum byte_class { BYTE_BAD, BYTE_BLANK, BYTE_SIGN, BYTE_WORD };

/* A table, since a policy may have millions of bytes. None that counts as a word's means anything to libconfuse. */
static const uint8_t byte_classes[256] = {
	['0' ... '9'] = BYTE_WORD,
	['a' ... 'z'] = BYTE_WORD,
	['A' ... 'Z'] = BYTE_WORD,
	['_'] = BYTE_WORD,
	['.'] = BYTE_WORD,
	[':'] = BYTE_WORD,
	['/'] = BYTE_WORD,
	['-'] = BYTE_WORD,
	['['] = BYTE_WORD,
	[']'] = BYTE_WORD,
	['@'] = BYTE_WORD,
	['%'] = BYTE_WORD,
	['~'] = BYTE_WORD,
	[' '] = BYTE_BLANK,
	['\t'] = BYTE_BLANK,
	['\r'] = BYTE_BLANK,
	['\n'] = BYTE_BLANK,
	['{'] = BYTE_SIGN,
	['}'] = BYTE_SIGN,
	['('] = BYTE_SIGN,
	[')'] = BYTE_SIGN,
	['='] = BYTE_SIGN,
	[','] = BYTE_SIGN,
	['"'] = BYTE_SIGN,
	['\''] = BYTE_SIGN,
	['#'] = BYTE_SIGN,
};

static enum byte_class classify(char byte)
{
	return (enum byte_class)byte_classes[(unsigned char)byte];
}

static int byte_at(const struct source *source, size_t offset)
{
	return offset < source->length ? (unsigned char)source->text[offset] : -1;
}

static void count_line(struct reader *reader, struct source *source)
{
	reader->line++;
	source->file_line++;
}

static void skip_line(struct source *source)
{
	const char *begin = source->text + source->offset;
	const char *end = memchr(begin, '\n', source->length - source->offset);

	source->offset = end ? (size_t)(end - source->text) : source->length;
}

static void skip_comment(struct reader *reader, struct source *source)
{
	uint32_t opened = reader->line;

	for (source->offset += 2; source->offset < source->length; source->offset++) {
		if (source->text[source->offset] == '\n') {
			count_line(reader, source);
		} else if (source->text[source->offset] == '*' && byte_at(source, source->offset + 1) == '/') {
			source->offset += 2;
			return;
		}
	}
	mistake_add(reader, opened, "the comment that begins here with '/*' is not closed: write '*/' at its end");
	reader->incomplete = true;
}

static const char no_variables[] =
	"'$': variables are not expanded, so that a policy means the same everywhere: write the value";

static void bad_byte(struct reader *reader, unsigned char byte)
{
	if (byte == '$')
		mistake_add(reader, reader->line, "%s", no_variables);
	else if (byte == ';')
		mistake_add(reader, reader->line, "unexpected ';': statements end without one");
	else if (byte == '*')
		mistake_add(reader, reader->line,
			"unexpected '*': write 'any' for every source; leave 'bind' out for every address");
	else if (byte == '+')
		mistake_add(reader, reader->line, "unexpected '+'");
	else if (byte >= 0x80)
		mistake_add(
			reader, reader->line, "a byte that is not ASCII (0x%02x): write it in a comment only", byte);
	else if (isprint(byte))
		mistake_add(reader, reader->line, "unexpected '%c': put a value that holds it in quotes", byte);
	else
		mistake_add(reader, reader->line, "unexpected control character 0x%02x", byte);
}

static bool is_comment(const struct source *source, size_t offset)
{
	int next = byte_at(source, offset + 1);

	return byte_at(source, offset) == '/' && (next == '/' || next == '*');
}

/* The last byte of what a shell would expand and that begins at `offset`: the brace that closes "${", or else what
 * comes before the next blank or sign, since braces of that kind are none of ours. */
static size_t end_of_variable(const struct source *source, size_t offset)
{
	size_t end = offset;

	for (; byte_at(source, end) != -1 && source->text[end] != '\n'; end++)
		if (source->text[end] == '}')
			return end;
	for (end = offset + 2; end < source->length && classify(source->text[end]) == BYTE_WORD; end++)
		;
	return end - 1;
}

/* An unquoted word; ahead is at least one byte of a word or one that can be part of nothing. */
static bool lex_word(struct reader *reader, struct source *source, struct token *token)
{
	size_t begin = source->offset;
	size_t end = begin;
	size_t bad = SIZE_MAX;

	for (; end < source->length; end++) {
		enum byte_class class = classify(source->text[end]);

		if (class == BYTE_BAD) {
			if (bad == SIZE_MAX)
				bad = end;
			if (source->text[end] == '$' && byte_at(source, end + 1) == '{')
				end = end_of_variable(source, end);
			continue;
		}
		if (class != BYTE_WORD)
			break;
		if (source->text[end] == '/' && is_comment(source, end)) {
			mistake_torn(reader, reader->line,
				"a comment touches the word before it: write a blank between them, or quotes around "
				"the word");
			break;
		}
	}
	source->offset = end;
	token->kind = TOKEN_WORD;
	token->plain = true;
	token->text = source->text + begin;
	token->length = end - begin;
	if (bad != SIZE_MAX) {
		bad_byte(reader, (unsigned char)source->text[bad]);
		/* Semicolons behind a word are a habit from elsewhere: the word stands. */
		token->length = bad - begin;
		for (size_t i = bad; i < end; i++)
			if (source->text[i] != ';')
				token->bad = true;
		if (token->length == 0)
			return token->bad;
	}
	if (token->length > POLICY_MAX_WORD) {
		mistake_add(
			reader, reader->line, "a word of %zu bytes: nothing in a policy is that long", token->length);
		token->bad = true;
	}
	return true;
}

/* What may follow a backslash: the same in both kinds of quotes as libconfuse understands it, but no more than that. */
static bool lex_escape(struct source *source, char quote, char *ret)
{
	int next = byte_at(source, source->offset + 1);

	if (next == '\\' || next == quote) {
		source->offset++;
		*ret = (char)next;
		return true;
	}
	*ret = '\\';
	return quote == '\'';
}

/* Most strings hold what could stand without quotes. Takes such a one, with its closing quote. */
static bool lex_plain_string(struct source *source, struct token *token)
{
	char quote = source->text[source->offset];
	size_t begin = source->offset + 1;
	size_t end = begin;

	while (end < source->length && classify(source->text[end]) == BYTE_WORD &&
		(source->text[end] != '/' || !is_comment(source, end)))
		end++;
	if (end == begin || end >= source->length || source->text[end] != quote || end - begin > POLICY_MAX_WORD)
		return false;
	source->offset = end + 1;
	token->kind = TOKEN_STRING;
	token->plain = true;
	token->text = source->text + begin;
	token->length = end - begin;
	return true;
}

static void lex_string(struct reader *reader, struct source *source, struct token *token)
{
	char quote = source->text[source->offset];
	size_t begin = ++source->offset;
	char *out = source->text + begin;
	const char *wrong = NULL;

	token->kind = TOKEN_STRING;
	token->text = out;
	for (;; source->offset++) {
		int byte = byte_at(source, source->offset);

		if (byte == -1 || byte == '\n') {
			mistake_torn(reader, reader->line,
				quote == '"' ? "a string is not closed: write \" at its end, on the same line"
					     : "a string is not closed: write ' at its end, on the same line");
			token->bad = true;
			token->length = 0;
			/* Go on where the value probably ended. */
			for (source->offset = begin; byte_at(source, source->offset) != -1; source->offset++)
				if (strchr(",}\n", source->text[source->offset]))
					return;
			return;
		}
		if (byte == quote)
			break;
		if (byte == '\\' && !lex_escape(source, quote, out))
			wrong = "a backslash in double quotes must be written twice, or the string in single quotes";
		else if (byte == '$' && quote == '"' && byte_at(source, source->offset + 1) == '{')
			wrong = no_variables;
		else if (byte < 0x20 || byte == 0x7f)
			wrong = "a control character in a string: write the value without it";
		else if (byte >= 0x80)
			wrong = "a string with a byte that is not ASCII: write the value in ASCII";
		if (byte != '\\')
			*out = (char)byte;
		out++;
	}
	source->offset++;
	token->length = (size_t)(out - token->text);
	if (!wrong && token->length > POLICY_MAX_WORD)
		wrong = "a string of more than 4,095 bytes: nothing in a policy is that long";
	if (wrong) {
		mistake_add(reader, reader->line, "%s", wrong);
		token->bad = true;
	}
}

static bool lex_sign(struct source *source, struct token *token)
{
	token->text = source->text + source->offset;
	token->length = 1;
	switch (source->text[source->offset]) {
	case '{':
		token->kind = TOKEN_BRACE_OPEN;
		break;
	case '}':
		token->kind = TOKEN_BRACE_CLOSE;
		break;
	case '(':
		token->kind = TOKEN_PAREN_OPEN;
		break;
	case ')':
		token->kind = TOKEN_PAREN_CLOSE;
		break;
	case '=':
		token->kind = TOKEN_EQUAL;
		break;
	case ',':
		token->kind = TOKEN_COMMA;
		break;
	case '+':
		if (byte_at(source, source->offset + 1) != '=')
			return false;
		token->kind = TOKEN_APPEND;
		token->length = 2;
		break;
	default:
		return false;
	}
	source->offset += token->length;
	return true;
}

static struct token lex(struct reader *reader, struct source *source)
{
	struct token token = {.kind = TOKEN_END};

	while (source->offset < source->length) {
		char byte = source->text[source->offset];

		token = (struct token){.kind = TOKEN_END, .line = reader->line};
		if (byte == '\n') {
			count_line(reader, source);
			source->offset++;
		} else if (byte == ' ' || byte == '\t' || byte == '\r') {
			source->offset++;
		} else if (byte == '#') {
			skip_line(source);
		} else if (is_comment(source, source->offset)) {
			if (source->text[source->offset + 1] == '*')
				skip_comment(reader, source);
			else
				skip_line(source);
		} else if (lex_sign(source, &token)) {
			return token;
		} else if (byte == '"' || byte == '\'') {
			if (!lex_plain_string(source, &token))
				lex_string(reader, source, &token);
			return token;
		} else if (lex_word(reader, source, &token)) {
			return token;
		}
	}
	return (struct token){.kind = TOKEN_END, .line = reader->line};
}

const struct token *token_peek(struct reader *reader, struct source *source, unsigned int ahead)
{
	while (source->queued <= ahead)
		source->queue[source->queued++] = lex(reader, source);
	return &source->queue[ahead];
}

struct token token_next(struct reader *reader, struct source *source)
{
	struct token token = *token_peek(reader, source, 0);

	if (--source->queued > 0)
		memmove(source->queue, source->queue + 1, source->queued * sizeof(source->queue[0]));
	return token;
}

bool token_is(const struct token *token, const char *text)
{
	return token->length == strlen(text) && memcmp(token->text, text, token->length) == 0;
}

void segment_begin(struct reader *reader, const struct source *source)
{
	struct policy *policy = reader->policy;

	ARRAY_GROW(policy->segments, policy->segment_count, reader->segment_capacity);
	policy->segments[policy->segment_count++] =
		(struct policy_segment){.start = reader->line, .file_line = source->file_line, .file = source->file};
}

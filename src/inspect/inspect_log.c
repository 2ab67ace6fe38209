/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A log of Dragonfly's, from where it was left. Question `log`: the descriptor `file`, `offset` (bytes), `torn`=1 where
 * that is within a line whose beginning was passed over, `severities` ("WEF": only lines of these, and those without),
 * `mark` (of an earlier answer: where it is not that of the bytes in front of `offset`, the file was written anew, and
 * is read from its beginning).
 *
 * Answers: `seen` for each kind of event and each address: `kind`, `count`, `severity`, `time` and `text` of the last
 * one, `address` and `port`; at most MAX_SEEN of them, what is more is in `unlisted` of `position`. Then `position`:
 * `offset` behind the last whole line that was read, `mark`, `torn`, `more`=1 where the file goes on, `rewritten`=1,
 * `lines`, `others` (lines that are no event), `long` (lines that were longer than a whole look, and left out).
 */

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "inspect.h"
#include "log_line.h"

#define MAX_BYTES (1u << 20)
#define MAX_SEEN  256u
/* So long are a few lines: time and process are in them. */
#define MARK_BYTES 256u

struct seen {
	struct log_line last;
	int64_t count;
};

struct log {
	const char *severities; /* NULL: all */
	struct seen seen[MAX_SEEN];
	size_t seen_count;
	int64_t lines, others, unlisted, too_long;
};

static bool is_same(const struct log_line *a, const struct log_line *b)
{
	/* What listens where is told one by one. */
	bool port = a->kind == LOG_KIND_LISTENING;

	return a->kind == b->kind && a->has_peer == b->has_peer &&
	       (!a->has_peer || (a->width == b->width && value_compare(a->address, b->address) == 0 &&
					(!port || a->port == b->port))) &&
	       (a->kind != LOG_KIND_DANGEROUS_COMMAND || strcmp(a->text, b->text) == 0);
}

static void take_line(struct log *log, const char *bytes, size_t length)
{
	struct log_line line;

	log_line_read(bytes, length, &line);
	/* In a file of a lower severity each stands again. */
	if (log->severities && line.severity && !strchr(log->severities, line.severity))
		return;
	log->lines++;
	if (!log_kind_name(line.kind)) {
		log->others++;
		return;
	}
	for (size_t i = 0; i < log->seen_count; i++)
		if (is_same(&log->seen[i].last, &line)) {
			log->seen[i].last = line;
			log->seen[i].count++;
			return;
		}
	if (log->seen_count == MAX_SEEN)
		log->unlisted++;
	else
		log->seen[log->seen_count++] = (struct seen){line, 1};
}

static void say_seen(const struct seen *seen, struct answer *answer)
{
	const struct log_line *line = &seen->last;
	char severity[2] = {line->severity};
	char buffer[INTERVAL_TEXT];

	answer_begin(answer, "seen");
	record_text(answer->text, "kind", log_kind_name(line->kind));
	record_number(answer->text, "count", seen->count);
	if (severity[0])
		record_text(answer->text, "severity", severity);
	if (line->time[0])
		record_text(answer->text, "time", line->time);
	if (line->has_peer) {
		record_text(answer->text, "address",
			interval_format(line->width, (struct interval){line->address, line->address, 0}, buffer));
		record_number(answer->text, "port", line->port);
	}
	if (line->text[0])
		record_text(answer->text, "text", line->text);
	answer_end(answer);
}

static ssize_t read_some(int descriptor, char *bytes, size_t size, int64_t offset)
{
	size_t length = 0;

	while (length < size) {
		ssize_t count = pread(descriptor, bytes + length, size - length, (off_t)offset + (off_t)length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		length += (size_t)count;
	}
	return (ssize_t)length;
}

/* A number (FNV-1a) for the last bytes in front of `offset`. */
static bool find_mark(int descriptor, int64_t offset, char ret[static 20])
{
	char before[MARK_BYTES];
	size_t size = offset < (int64_t)sizeof(before) ? (size_t)offset : sizeof(before);
	uint64_t number = 0xcbf29ce484222325u;

	if (!size || read_some(descriptor, before, size, offset - (int64_t)size) != (ssize_t)size)
		return false;
	for (size_t i = 0; i < size; i++)
		number = (number ^ (unsigned char)before[i]) * 0x100000001b3u;
	OPENSSL_cleanse(before, size);
	snprintf(ret, 20, "%016" PRIx64, number);
	return true;
}

void inspect_log(const struct record *question, struct answer *answer)
{
	_cleanup_free_ char *bytes = mem_alloc(MAX_BYTES);
	_cleanup_free_ struct log *log = mem_zero(1, sizeof(*log));
	int descriptor = question_descriptor(question, "file");
	bool torn = record_is(question, "torn");
	const char *at, *end, *stop;
	const char *known = record_get(question, "mark");
	char mark[20] = "";
	bool rewritten = false;
	int64_t offset;
	ssize_t length;

	if (descriptor < 0 || !record_get_number(question, "offset", 0, INT64_MAX - MAX_BYTES, &offset)) {
		answer_failed(answer, "there is no file");
		return;
	}
	log->severities = record_get(question, "severities");
	if (known && (!find_mark(descriptor, offset, mark) || strcmp(mark, known) != 0)) {
		rewritten = true;
		torn = false;
		offset = 0;
	}
	length = read_some(descriptor, bytes, MAX_BYTES, offset);
	if (length < 0) {
		answer_failed(answer, "it cannot be read: %s", strerror((int)-length));
		return;
	}
	at = bytes;
	end = bytes + length;
	while ((stop = memchr(at, '\n', (size_t)(end - at)))) {
		if (!torn)
			take_line(log, at, (size_t)(stop - at));
		torn = false;
		at = stop + 1;
	}
	/* No end in all of it: it is passed over, and so is its rest. */
	if (at == bytes && length == MAX_BYTES) {
		log->too_long += !torn;
		torn = true;
		at = end;
	}
	OPENSSL_cleanse(bytes, (size_t)length);
	for (size_t i = 0; i < log->seen_count; i++)
		say_seen(&log->seen[i], answer);
	answer_begin(answer, "position");
	record_number(answer->text, "offset", offset + (at - bytes));
	if (find_mark(descriptor, offset + (at - bytes), mark))
		record_text(answer->text, "mark", mark);
	record_number(answer->text, "rewritten", rewritten);
	record_number(answer->text, "torn", torn);
	record_number(answer->text, "more", length == MAX_BYTES);
	record_number(answer->text, "lines", log->lines);
	record_number(answer->text, "others", log->others);
	record_number(answer->text, "unlisted", log->unlisted);
	record_number(answer->text, "long", log->too_long);
	answer_end(answer);
}

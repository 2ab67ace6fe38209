/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "record.h"

#define VALUE_BYTES 8192u

/* --- writing --- */

static bool is_plain(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && byte != '%' && byte != '=';
}

void record_begin(struct text *text, const char *name)
{
	text_append(text, name);
}

static void put_byte(struct text *text, unsigned char byte)
{
	if (is_plain(byte))
		text_append_char(text, (char)byte);
	else
		text_printf(text, "%%%02X", byte);
}

void record_bytes(struct text *text, const char *name, const void *value, size_t length)
{
	const unsigned char *bytes = value;

	if (length > VALUE_BYTES) {
		length = VALUE_BYTES;
		/* Not in the middle of a sequence: its later bytes are 10xxxxxx (RFC 3629). */
		while (length > VALUE_BYTES - 4 && (bytes[length] & 0xc0) == 0x80)
			length--;
	}
	text_printf(text, " %s=", name);
	for (size_t i = 0; i < length; i++) {
		if (bytes[i])
			put_byte(text, bytes[i]);
		else
			text_append(text, "%EF%BF%BD");
	}
}

void record_text(struct text *text, const char *name, const char *value)
{
	if (value)
		record_bytes(text, name, value, strlen(value));
}

void record_number(struct text *text, const char *name, int64_t value)
{
	text_printf(text, " %s=%lld", name, (long long)value);
}

void record_end(struct text *text)
{
	text_append_char(text, '\n');
}

void record_close(struct text *text, size_t count)
{
	record_begin(text, "end");
	record_number(text, "count", (int64_t)count);
	record_end(text);
}

/* --- reading --- */

struct store {
	struct records records; /* first: what the caller holds */
	char *bytes;
	struct record_field *fields;
	size_t field_count, field_capacity;
	size_t capacity;
};

static bool name_is_good(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= 64 && !name[length];
}

static int hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* In place. False where it is not what put_byte() writes. */
static bool decode(char *value)
{
	char *to = value;

	for (const char *from = value; *from; from++) {
		if (*from != '%') {
			if (!is_plain((unsigned char)*from))
				return false;
			*to++ = *from;
			continue;
		}
		int high = hex(from[1]);
		int low = high < 0 ? -1 : hex(from[2]);

		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

static const char *parse_field(struct store *store, const struct record *record, char *word)
{
	char *equal = strchr(word, '=');

	if (!equal)
		return "a field without a value";
	*equal = '\0';
	if (!name_is_good(word))
		return "a field with a bad name";
	if (!decode(equal + 1))
		return "a value that is not encoded";
	for (size_t i = 0; i < record->field_count; i++)
		if (strcmp(store->fields[store->field_count - 1 - i].name, word) == 0)
			return "a field twice";
	ARRAY_GROW(store->fields, store->field_count, store->field_capacity);
	store->fields[store->field_count++] = (struct record_field){.name = word, .value = equal + 1};
	return NULL;
}

/* The fields' places are known when all are read, since their array moves. NULL, or what is wrong. */
static const char *parse_line(struct store *store, char *line)
{
	struct records *records = &store->records;
	struct record record = {0};
	char *rest = line;
	const char *wrong = NULL;

	if (strlen(line) > RECORD_MAX_LINE)
		return "a line that is too long";
	record.name = strsep(&rest, " ");
	if (!name_is_good(record.name))
		return "a record with a bad name";
	while (rest && !wrong) {
		if (record.field_count == RECORD_MAX_FIELDS)
			return "too many fields";
		wrong = parse_field(store, &record, strsep(&rest, " "));
		record.field_count++;
	}
	if (wrong)
		return wrong;
	if (records->count > RECORD_MAX_COUNT)
		return "too many records";
	ARRAY_GROW(records->items, records->count, store->capacity);
	records->items[records->count++] = record;
	return NULL;
}

/* NULL, or what is wrong with the end. */
static const char *check_end(struct records *records)
{
	const struct record *last = records->count ? &records->items[records->count - 1] : NULL;
	int64_t count;

	if (!last || strcmp(last->name, "end") != 0)
		return "it has no end";
	if (last->field_count != 1 || !record_get_number(last, "count", 0, RECORD_MAX_COUNT, &count) ||
		(uint64_t)count != records->count - 1)
		return "its end does not count what came";
	records->count--;
	for (size_t i = 0; i < records->count; i++)
		if (strcmp(records->items[i].name, "end") == 0)
			return "it ends twice";
	return NULL;
}

static const char *parse(struct store *store, size_t length)
{
	const struct record_field *fields;
	char *rest = store->bytes;
	const char *wrong = NULL;

	if (memchr(store->bytes, '\0', length))
		return "a NUL";
	if (length == 0 || store->bytes[length - 1] != '\n')
		return "it is cut off";
	store->bytes[length - 1] = '\0';
	while (rest && !wrong)
		wrong = parse_line(store, strsep(&rest, "\n"));
	if (wrong)
		return wrong;
	fields = store->fields;
	for (size_t i = 0; i < store->records.count; i++) {
		store->records.items[i].fields = fields;
		/* Where there are none at all, there is no array. */
		if (fields)
			fields += store->records.items[i].field_count;
	}
	return check_end(&store->records);
}

int records_parse(const char *bytes, size_t length, struct records **ret, struct err *err)
{
	struct store *store;
	const char *wrong;

	if (length > RECORD_MAX_BYTES)
		return err_set(err, EBADMSG, ERR_IO, "more than %u bytes", RECORD_MAX_BYTES);
	store = mem_zero(1, sizeof(*store));
	store->bytes = mem_alloc(length + 1);
	if (length)
		memcpy(store->bytes, bytes, length);
	store->bytes[length] = '\0';
	wrong = parse(store, length);
	if (wrong) {
		records_free(&store->records);
		return err_set(err, EBADMSG, ERR_IO, "%s", wrong);
	}
	*ret = &store->records;
	return 0;
}

void records_free(struct records *records)
{
	/* The first member of what it stands in. */
	struct store *store = (struct store *)records;

	if (!store)
		return;
	free(store->records.items);
	free(store->fields);
	free(store->bytes);
	free(store);
}

const char *record_get(const struct record *record, const char *name)
{
	for (size_t i = 0; i < record->field_count; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return record->fields[i].value;
	return NULL;
}

char *record_take(const struct record *record, const char *name)
{
	const char *value = record_get(record, name);

	return value ? mem_string(value) : NULL;
}

bool record_get_number(const struct record *record, const char *name, int64_t minimum, int64_t maximum, int64_t *ret)
{
	const char *value = record_get(record, name);
	char *end;
	long long number;

	if (!value || !(*value == '-' || (*value >= '0' && *value <= '9')))
		return false;
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno || *end || end == value || number < minimum || number > maximum)
		return false;
	*ret = number;
	return true;
}

bool record_is(const struct record *record, const char *name)
{
	return same_string(record_get(record, name), "1");
}

int64_t record_id(const struct record *record)
{
	int64_t id;

	return record_get_number(record, "id", 0, 1000000, &id) ? id : -1;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The language between dflyguard and dflyguard-probe. */

#include "record.h"
#include "testing.h"

static struct records *parse_good(const char *bytes)
{
	struct records *records = NULL;
	struct err err = {0};

	if (records_parse(bytes, strlen(bytes), &records, &err) < 0)
		fail_msg("%s: %s", bytes, err.message);
	return records;
}

static void test_round_trip(void **state _unused_)
{
	_cleanup_text_ struct text text = {0};
	struct records *records;
	char every[256];
	int64_t number;

	for (unsigned int i = 0; i < 255; i++)
		every[i] = (char)(i + 1);
	every[255] = '\0';
	record_begin(&text, "first");
	record_number(&text, "id", 7);
	record_text(&text, "every", every);
	record_text(&text, "absent", NULL);
	record_text(&text, "empty", "");
	record_bytes(&text, "nul", "a\0b", 3);
	record_number(&text, "low", INT64_MIN);
	record_end(&text);
	record_begin(&text, "second");
	record_end(&text);
	record_close(&text, 2);
	for (size_t i = 0; i < text.length; i++)
		assert_true(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] < 0x7f));
	records = parse_good(text.data);
	assert_int_equal(records->count, 2);
	assert_string_equal(records->items[0].name, "first");
	assert_int_equal(record_id(&records->items[0]), 7);
	assert_string_equal(record_get(&records->items[0], "every"), every);
	assert_null(record_get(&records->items[0], "absent"));
	assert_string_equal(record_get(&records->items[0], "empty"), "");
	assert_string_equal(record_get(&records->items[0], "nul"), "a\xef\xbf\xbd"
								   "b");
	assert_true(record_get_number(&records->items[0], "low", INT64_MIN, 0, &number));
	assert_true(number == INT64_MIN);
	assert_false(record_get_number(&records->items[0], "low", 0, 1, &number));
	assert_string_equal(records->items[1].name, "second");
	assert_int_equal(record_id(&records->items[1]), -1);
	records_free(records);
}

static void test_long_value(void **state _unused_)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_text_ struct text value = {0};
	struct records *records;

	for (unsigned int i = 0; i < 4000; i++)
		text_append(&value, "\xe2\x82\xac"); /* three bytes each */
	record_begin(&text, "long");
	record_text(&text, "value", value.data);
	record_end(&text);
	record_close(&text, 1);
	records = parse_good(text.data);
	assert_int_equal(strlen(record_get(&records->items[0], "value")), 8190);
	records_free(records);
}

static void test_bad(void **state _unused_)
{
	static const struct {
		const char *bytes;
		const char *why;
	} rows[] = {
		{"", "it is cut off"},
		{"\n", "a record with a bad name"},
		{"end count=0", "it is cut off"},
		{"a b=c\n", "it has no end"},
		{"a b=c\nend count=2\n", "its end does not count what came"},
		{"a b=c\nend count=0\n", "its end does not count what came"},
		{"end count=0\nend count=1\n", "it ends twice"},
		{"end count=0 more=1\n", "its end does not count what came"},
		{"a b=c\nend count=1\na b=c\n", "it has no end"},
		{"a b\nend count=1\n", "a field without a value"},
		{"a =c\nend count=1\n", "a field with a bad name"},
		{"a B=c\nend count=1\n", "a field with a bad name"},
		{"a  b=c\nend count=1\n", "a field without a value"},
		{"a b=c \nend count=1\n", "a field without a value"},
		{"A b=c\nend count=1\n", "a record with a bad name"},
		{"a b=\x01\nend count=1\n", "a value that is not encoded"},
		{"a b=\xff\nend count=1\n", "a value that is not encoded"},
		{"a b=%\nend count=1\n", "a value that is not encoded"},
		{"a b=%4\nend count=1\n", "a value that is not encoded"},
		{"a b=%4g\nend count=1\n", "a value that is not encoded"},
		{"a b=%00\nend count=1\n", "a value that is not encoded"},
		{"a b=c=d\nend count=1\n", "a value that is not encoded"},
		{"a b=c b=d\nend count=1\n", "a field twice"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct records *records = NULL;
		struct err err = {0};

		assert_int_equal(records_parse(rows[i].bytes, strlen(rows[i].bytes), &records, &err), -EBADMSG);
		assert_string_equal(err.message, rows[i].why);
		assert_null(records);
	}
}

static void test_bounds(void **state _unused_)
{
	_cleanup_text_ struct text fields = {0};
	_cleanup_text_ struct text many = {0};
	_cleanup_text_ struct text huge = {0};
	struct records *records = NULL;
	struct err err = {0};

	text_append(&fields, "a");
	for (unsigned int i = 0; i <= RECORD_MAX_FIELDS; i++)
		text_printf(&fields, " f%u=", i);
	text_append(&fields, "\nend count=1\n");
	assert_int_equal(records_parse(fields.data, fields.length, &records, &err), -EBADMSG);
	assert_string_equal(err.message, "too many fields");
	for (unsigned int i = 0; i <= RECORD_MAX_COUNT + 1; i++)
		text_append(&many, "a\n");
	assert_int_equal(records_parse(many.data, many.length, &records, &err), -EBADMSG);
	assert_string_equal(err.message, "too many records");
	text_append(&huge, "a b=");
	for (unsigned int i = 0; i <= RECORD_MAX_LINE; i++)
		text_append_char(&huge, 'x');
	text_append(&huge, "\nend count=1\n");
	assert_int_equal(records_parse(huge.data, huge.length, &records, &err), -EBADMSG);
	assert_string_equal(err.message, "a line that is too long");
	assert_int_equal(records_parse("a\0b", 3, &records, &err), -EBADMSG);
	assert_string_equal(err.message, "a NUL");
	assert_int_equal(records_parse("a", RECORD_MAX_BYTES + 1, &records, &err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

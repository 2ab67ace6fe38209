/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <unistd.h>

#include "err.h"
#include "testing.h"

static void test_text_grows(void **state)
{
	struct text text = {0};
	_cleanup_free_ char *taken = NULL;

	(void)state;
	assert_string_equal(text_string(&text), "");
	for (unsigned int i = 0; i < 1000; i++) {
		text_append_char(&text, (char)('a' + i % 26));
		assert_int_equal(text.length, i + 1);
		assert_int_equal(text.data[i + 1], '\0');
	}
	text_append(&text, "");
	text_printf(&text, "%s", "");
	assert_int_equal(text.length, 1000);
	text_printf(&text, "%0500d|", 7);
	assert_int_equal(text.length, 1501);
	assert_int_equal(text.data[1500], '|');
	taken = text_take(&text);
	assert_int_equal(strlen(taken), 1501);
	/* Empty again, and usable. */
	assert_null(text.data);
	text_append(&text, "again");
	assert_string_equal(text_string(&text), "again");
	text_done(&text);
	assert_string_equal(text_string(&text), "");
	free(text_take(&text));
}

static void test_text_take_empty(void **state)
{
	struct text text = {0};
	_cleanup_free_ char *taken = text_take(&text);

	(void)state;
	assert_string_equal(taken, "");
}

static void test_strings(void **state)
{
	_cleanup_free_ char *copy = mem_string("abc");
	_cleanup_free_ char *part = mem_stringn("abcdef", 3);
	_cleanup_free_ char *formatted = mem_format("%s-%d", "x", 5);

	(void)state;
	assert_string_equal(copy, "abc");
	assert_string_equal(part, "abc");
	assert_string_equal(formatted, "x-5");
	assert_null(mem_string(NULL));
	/* No size is a size: what is returned can be freed and is never NULL. */
	free(mem_alloc(0));
	free(mem_zero(0, 0));
	free(mem_resize(NULL, 0, 0));
}

static void test_array_grow(void **state)
{
	unsigned int *items = NULL;
	size_t count = 0;
	size_t capacity = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		ARRAY_GROW(items, count, capacity);
		items[count++] = i;
		assert_true(capacity >= count);
	}
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	free(items);
}

static void test_cleanup(void **state)
{
	int descriptor;
	char *given;

	(void)state;
	{
		_cleanup_close_ int opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_cleanup_close_ int nothing = -1;
		_cleanup_file_ FILE *none = NULL;
		_cleanup_free_ char *kept = mem_string("kept");

		descriptor = opened;
		(void)nothing;
		(void)none;
		given = TAKE_PTR(kept);
		assert_null(kept);
	}
	assert_string_equal(given, "kept");
	free(given);
	assert_int_equal(fcntl(descriptor, F_GETFD), -1);
}

static void test_format_count(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} rows[] = {
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1,000"},
		{12345, "12,345"},
		{123456, "123,456"},
		{12345678, "12,345,678"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	char buffer[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(format_count(buffer, rows[i].number), rows[i].text);
}

static void test_format_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1049, "1.0 kB"},
		{1051, "1.1 kB"},
		{999949, "999.9 kB"},
		/* Not "1000.0 kB". */
		{999950, "1.0 MB"},
		{12345678, "12.3 MB"},
		{UINT64_MAX, "18.4 EB"},
	};
	char buffer[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(format_bytes(buffer, rows[i].bytes), rows[i].text);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
		{"a", 1},
		{"", 1}, /* the NUL is a character, too */
		{"\x7f", 1},
		{"\xc3\xa4", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x94\xa5", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xed\x9f\xbf", 3},
		{"\xee\x80\x80", 3},
		/* Cut, a tail alone, too long for what it says, surrogates, beyond Unicode. */
		{"\xc3", 0},
		{"\xc3 ", 0},
		{"\xe2\x82", 0},
		{"\xf0\x9f\x94", 0},
		{"\x80", 0},
		{"\xbf\xbf", 0},
		{"\xc0\x80", 0},
		{"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xed\xa0\x80", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xff", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(utf8_length(rows[i].bytes), rows[i].length);
}

static void test_err(void **state)
{
	struct err err = {0};
	char longer[3000];

	(void)state;
	assert_int_equal(err_set(&err, EPERM, ERR_NETLINK, "cannot %s", "do it"), -EPERM);
	assert_int_equal(err.code, EPERM);
	assert_int_equal(err.stage, ERR_NETLINK);
	assert_string_equal(err.message, "cannot do it");
	assert_string_equal(err.hint, "");
	err_hint(&err, "try %d", 1);
	err_hint(&err, "try 2");
	assert_string_equal(err.hint, "try 1");
	err_prefix(&err, "in %s", "front");
	assert_string_equal(err.message, "in front: cannot do it");
	assert_string_equal(err.hint, "try 1");
	/* A new error has nothing of the old one. */
	assert_int_equal(err_set_at(&err, EIO, ERR_IO, (struct srcloc){"p.conf", 7}, "x"), -EIO);
	assert_string_equal(err.file, "p.conf");
	assert_int_equal(err.line, 7);
	assert_string_equal(err.hint, "");
	err_set(&err, EIO, ERR_IO, "y");
	assert_string_equal(err.file, "");
	assert_int_equal(err.line, 0);
	/* Nobody is listening. */
	assert_int_equal(err_set(NULL, EPERM, ERR_IO, "x"), -EPERM);
	assert_int_equal(err_set_at(NULL, EPERM, ERR_IO, (struct srcloc){"p", 1}, "x"), -EPERM);
	err_hint(NULL, "x");
	err_prefix(NULL, "x");
	/* Everything has an end. */
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	err_set_at(&err, EIO, ERR_IO, (struct srcloc){longer, 1}, "%s", longer);
	err_hint(&err, "%s", longer);
	for (unsigned int i = 0; i < 5; i++)
		err_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.file), sizeof(err.file) - 1);
	assert_true(strlen(err.message) < sizeof(err.message));
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_grows),
		cmocka_unit_test(test_text_take_empty),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_array_grow),
		cmocka_unit_test(test_cleanup),
		cmocka_unit_test(test_format_count),
		cmocka_unit_test(test_format_bytes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_err),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "json.h"
#include "strict_json.h"
#include "testing.h"

/* One member "x" with this text, as written. */
static char *written(const char *name, const char *text)
{
	char *bytes = NULL;
	size_t length;
	struct json json = {.stream = open_memstream(&bytes, &length)};

	json_object_begin(&json, NULL);
	json_string(&json, name, text);
	json_object_end(&json);
	json_finish(&json);
	fclose(json.stream);
	return bytes;
}

static void test_strings(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} rows[] = {
		{"", "\"\""},
		{"plain", "\"plain\""},
		{NULL, "null"},
		{"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""},
		{"a\nb\tc\rd", "\"a\\nb\\tc\\u000dd\""},
		{"\x01\x1b[31m\x1f\x7f", "\"\\u0001\\u001b[31m\\u001f\\u007f\""},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xa5", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xa5\""},
		{"\xc2\x9b"
		 "2J\xc2\xa0",
			"\"\\u009b2J\xc2\xa0\""},
		/* Each byte that is no UTF-8 for itself; what follows is not eaten. */
		{"\xff.", "\"\\ufffd.\""},
		{"\xc3.", "\"\\ufffd.\""},
		{"\xe2\x82", "\"\\ufffd\\ufffd\""},
		{"\xed\xa0\x80.", "\"\\ufffd\\ufffd\\ufffd.\""},
		{"\xc0\x80", "\"\\ufffd\\ufffd\""},
		{"\xc3\"", "\"\\ufffd\\\"\""},
		{"/", "\"/\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *bytes = written("x", rows[i].text);
		_cleanup_free_ char *expected = mem_format("{\"x\": %s}\n", rows[i].json);

		assert_string_equal(bytes, expected);
		assert_true(strict_json_good(bytes));
	}
	_cleanup_free_ char *name = written("a\"\n\xff", "v");

	assert_string_equal(name, "{\"a\\\"\\n\\ufffd\": \"v\"}\n");
}

/* Whatever the bytes are, what is written is JSON. */
static void test_any_bytes(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		char text[12] = {0};
		_cleanup_free_ char *bytes = NULL;

		for (size_t k = 0; k + 1 < sizeof(text); k++)
			text[k] = (char)(testing_random(&seed) % 3 ? testing_random(&seed)
								   : 0xe0 + testing_random(&seed) % 32);
		bytes = written("x", text);
		if (!strict_json_good(bytes))
			fail_msg("%s", bytes);
	}
}

static void nested(struct json *json)
{
	json_object_begin(json, NULL);
	json_number(json, "number", UINT64_MAX);
	json_bool(json, "yes", true);
	json_bool(json, "no", false);
	json_null(json, "nothing");
	json_object_begin(json, "empty");
	json_object_end(json);
	json_array_begin(json, "none");
	json_array_end(json);
	json_array_begin(json, "list");
	json_number(json, NULL, 1);
	json_string(json, NULL, "two");
	json_array_begin(json, NULL);
	json_null(json, NULL);
	json_array_end(json);
	json_object_begin(json, NULL);
	json_number(json, "a", 1);
	json_number(json, "b", 2);
	json_object_end(json);
	json_array_end(json);
	json_string(json, "last", "");
	json_object_end(json);
	json_finish(json);
}

static void test_layout(void **state)
{
	static const char *const expected[] = {
		"{\"number\": 18446744073709551615, \"yes\": true, \"no\": false, \"nothing\": null, \"empty\": {}, "
		"\"none\": [], \"list\": [1, \"two\", [null], {\"a\": 1, \"b\": 2}], \"last\": \"\"}\n",
		"{\n  \"number\": 18446744073709551615,\n  \"yes\": true,\n  \"no\": false,\n  \"nothing\": null,\n"
		"  \"empty\": {},\n  \"none\": [],\n  \"list\": [\n    1,\n    \"two\",\n    [\n      null\n    ],\n"
		"    {\n      \"a\": 1,\n      \"b\": 2\n    }\n  ],\n  \"last\": \"\"\n}\n",
	};

	(void)state;
	for (unsigned int indented = 0; indented < 2; indented++) {
		_cleanup_free_ char *bytes = NULL;
		size_t length;
		struct json json = {.stream = open_memstream(&bytes, &length), .indented = indented};
		char value[64];

		nested(&json);
		fclose(json.stream);
		assert_string_equal(bytes, expected[indented]);
		assert_true(strict_json_good(bytes));
		assert_int_equal(json.depth, 0);
		assert_true(strict_json_get(bytes, "list.3.b", value, sizeof(value)));
		assert_string_equal(value, "2");
	}
}

static void test_depth(void **state)
{
	_cleanup_free_ char *bytes = NULL;
	size_t length;
	struct json json = {.stream = open_memstream(&bytes, &length)};

	(void)state;
	for (unsigned int i = 0; i < JSON_DEPTH - 1; i++)
		json_array_begin(&json, NULL);
	for (unsigned int i = 0; i < JSON_DEPTH - 1; i++)
		json_array_end(&json);
	fclose(json.stream);
	assert_int_equal(length, 2 * (JSON_DEPTH - 1));
}

/* The reader that the other tests trust: it takes what is JSON, and nothing else. */
static void test_strict(void **state)
{
	static const char *const good[] = {
		"{}\n", "{\"a\": [1, -2, 3.5, true, false, null, \"\\u00e4\\n\"]}\n", "{ \"a\" : { \"b\" : { } } }\n"};
	static const char *const bad[] = {"", "{}", "[]\n", "{} {}\n", "{\"a\": 1,}\n", "{\"a\": [1,]}\n",
		"{\"a\" 1}\n", "{a: 1}\n", "{\"a\": 01}\n", "{\"a\": 1.}\n", "{\"a\": +1}\n", "{\"a\": \"\n\"}\n",
		"{\"a\": \"\\x\"}\n", "{\"a\": \"\\u12\"}\n", "{\"a\": \"\xff\"}\n", "{\"a\": \"\xed\xa0\x80\"}\n",
		"{\"a\": 1, \"a\": 2}\n", "{\"a\": tru}\n", "{\"a\": \"b}\n", "{\"a\": }\n", "{\"a\": 1\n",
		"{\"a\": NaN}\n", "{'a': 1}\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(strict_json_good(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (strict_json_good(bad[i]))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_strict),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

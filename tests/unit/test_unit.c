/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How variables in a unit's command line are read. What systemd really starts is compared in tests/systemd/dropin.sh.
 */

#include <errno.h>

#include "testing.h"
#include "unit.h"

static char *environment[] = {(char *)(uintptr_t) "ONE=1", (char *)(uintptr_t) "TWO= a  b ",
	(char *)(uintptr_t) "EMPTY=", (char *)(uintptr_t) "QUOTED=\"a b\"", (char *)(uintptr_t) "ONEMORE=x",
	(char *)(uintptr_t) "DOLLAR=${ONE}", NULL};

static const struct {
	const char *words; /* between bars */
	const char *expanded;
	bool verbatim;
	int result;
} rows[] = {
	{"dragonfly|--bind=10.0.0.1", "dragonfly|--bind=10.0.0.1", false, 0},
	{"dragonfly|--port=${ONE}", "dragonfly|--port=1", false, 0},
	{"dragonfly|${ONE}${ONE}x", "dragonfly|11x", false, 0},
	{"dragonfly|${TWO}", "dragonfly| a  b ", false, 0},
	{"dragonfly|$TWO|c", "dragonfly|a|b|c", false, 0},
	{"dragonfly|$EMPTY|c", "dragonfly|c", false, 0},
	{"dragonfly|$NONE|c", "dragonfly|c", false, 0},
	{"dragonfly|${NONE}|c", "dragonfly||c", false, 0},
	{"dragonfly|--port=$ONE", "dragonfly|--port=$ONE", false, 0},
	{"dragonfly|$$ONE", "dragonfly|$ONE", false, 0},
	{"dragonfly|a$$b|$${ONE}", "dragonfly|a$b|${ONE}", false, 0},
	{"dragonfly|a$|$", "dragonfly|a$", false, 0},
	{"dragonfly|${ONE", "dragonfly|${ONE", false, 0},
	/* A value is not looked into again. */
	{"dragonfly|${DOLLAR}|$DOLLAR", "dragonfly|${ONE}|${ONE}", false, 0},
	{"dragonfly|${QUOTED}", "dragonfly|\"a b\"", false, 0},
	{"dragonfly|$QUOTED", NULL, false, -ENOTSUP},
	{"dragonfly|${ONE}|$TWO|$QUOTED", "dragonfly|${ONE}|$TWO|$QUOTED", true, 0},
};

static void test_expand(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *words = mem_string(rows[i].words);
		struct unit_command command = {.program = mem_string("/usr/bin/dragonfly"),
			.arguments = mem_zero(16, sizeof(char *)),
			.verbatim = rows[i].verbatim};
		_cleanup_text_ struct text text = {0};
		struct err err = {0};
		char *rest = words;

		for (char *word; (word = strsep(&rest, "|"));)
			command.arguments[command.argument_count++] = mem_string(word);
		assert_int_equal(unit_command_expand(&command, environment, &err), rows[i].result);
		for (size_t j = 0; j < command.argument_count; j++)
			text_printf(&text, "%s%s", j ? "|" : "", command.arguments[j]);
		assert_string_equal(text_string(&text), rows[i].result ? rows[i].words : rows[i].expanded);
		assert_string_equal(command.program, "/usr/bin/dragonfly");
		assert_int_equal(-err.code, rows[i].result);
		unit_command_done(&command);
	}
}

static void test_expand_nothing(void **state)
{
	struct unit_command command = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(unit_command_expand(&command, NULL, &err), 0);
	assert_int_equal(command.argument_count, 0);
	unit_command_done(&command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_expand_nothing),
	};

	return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}

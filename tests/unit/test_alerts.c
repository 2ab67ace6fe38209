/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Alerts: what counts within which window, and how often it is told. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "cmd/watch.h"
#include "testing.h"

/* In main.c, with the command line. */
int(fail)(const struct options *options, const struct err *err, const struct diagnostics *diagnostics)
{
	(void)options;
	(void)diagnostics;
	fail_msg("%s", err->message);
	return EXIT_TROUBLE;
}

struct report_style output_style(const struct options *options)
{
	(void)options;
	return (struct report_style){.stream = stdout};
}

static struct alert_who source(unsigned int number)
{
	return (struct alert_who){.known = number != 0, .width = WIDTH_IPV4, .address = {.lo = number}};
}

/* `story`: "COUNT:SOURCE@SECONDS"; `told`: for each whether an alert was raised. The rule is 10 within 60 s. */
static const struct {
	const char *name, *story, *told;
} stories[] = {
	{"at once", "10:1@0", "y"},
	{"one by one", "9:1@0 1:1@59", "ny"},
	{"one too few", "9:1@0 0:1@1", "nn"},
	{"too slowly", "9:1@0 1:1@64", "nn"},
	{"each source for itself", "9:1@0 9:2@0 1:2@1 1:1@1", "nnyy"},
	{"nobody knows who is another one", "9:0@0 9:1@0 1:0@1", "nny"},
	{"once in a window", "10:1@0 100:1@1 100:1@59 1:1@60", "ynny"},
	{"and again where it goes on", "10:1@0 10:1@61 10:1@122", "yyy"},
	{"not where it ended", "10:1@0 1:1@200", "yn"},
	{"late news of what was", "5:1@100 5:1@80", "ny"},
	{"news that are too old", "5:1@200 5:1@100", "nn"},
	{"many", "1000000000:1@5", "y"},
};

static void test_windows(void **state)
{
	const struct alert rule = {.count = 10, .within = 60};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
		struct alerts alerts = {0};
		const char *at = stories[i].story;
		int length;

		for (const char *told = stories[i].told; *told; told++) {
			unsigned long count;
			unsigned int number;
			double when;
			uint64_t total;

			assert_int_equal(sscanf(at, "%lu:%u@%lf%n", &count, &number, &when, &length), 3);
			at += length;
			struct alert_who who = source(number);

			if (alerts_note(&alerts, &rule, 0, &who, count, when, &total) != (*told == 'y'))
				fail_msg("%s: %s: at %g", stories[i].name, stories[i].story, when);
		}
		assert_string_equal(at, "");
		alerts_done(&alerts);
	}
}

static void test_rules_apart(void **state)
{
	const struct alert one = {.count = 2, .within = 60}, other = {.count = 2, .within = 3600};
	struct alert_who who = source(1);
	struct alerts alerts = {0};
	uint64_t total;

	(void)state;
	assert_false(alerts_note(&alerts, &one, 0, &who, 1, 0, &total));
	assert_false(alerts_note(&alerts, &other, 1, &who, 1, 0, &total));
	assert_false(alerts_note(&alerts, &one, 0, &who, 1, 120, &total));
	assert_true(alerts_note(&alerts, &other, 1, &who, 1, 120, &total));
	assert_int_equal(total, 2);
	alerts_done(&alerts);
}

/* Whoever has many addresses cannot make it grow, and what is forgotten is counted. */
static void test_bounded(void **state)
{
	const struct alert rule = {.count = 3, .within = 60};
	struct alerts alerts = {0};
	struct alert_who who = source(1);
	uint64_t total;

	(void)state;
	assert_false(alerts_note(&alerts, &rule, 0, &who, 2, 0, &total));
	for (unsigned int i = 2; i < ALERT_WINDOWS + 1; i++) {
		who = source(i);
		assert_false(alerts_note(&alerts, &rule, 0, &who, 1, 1, &total));
	}
	assert_int_equal(alerts.count, ALERT_WINDOWS);
	assert_int_equal(alerts.forgotten, 0);
	/* The first rested longest. */
	who = source(99999);
	assert_false(alerts_note(&alerts, &rule, 0, &who, 1, 2, &total));
	assert_int_equal(alerts.count, ALERT_WINDOWS);
	assert_int_equal(alerts.forgotten, 1);
	who = source(1);
	assert_false(alerts_note(&alerts, &rule, 0, &who, 1, 3, &total));
	assert_int_equal(total, 1);
	alerts_done(&alerts);
	assert_int_equal(alerts.count, 0);
}

/* --- errands --- */

static void three_records(void *data, struct text *text, size_t *count)
{
	for (; *count < 3; ++*count) {
		record_begin(text, "said");
		record_text(text, "what", data);
		record_end(text);
	}
}

static void nothing_ever(void *data _unused_, struct text *text _unused_, size_t *count _unused_)
{
	pause();
}

static void too_much(void *data _unused_, struct text *text, size_t *count _unused_)
{
	for (size_t i = 0; i <= RECORD_MAX_BYTES; i++)
		text_append_char(text, 'x');
}

static void dies(void *data _unused_, struct text *text _unused_, size_t *count _unused_)
{
	abort();
}

static int hear(struct errand *errand, double now, struct records **records, struct err *err)
{
	int code;

	while ((code = errand_hear(errand, now, records, err)) == -EAGAIN && now < errand->deadline)
		poll(&(struct pollfd){.fd = errand_descriptor(errand), .events = POLLIN}, 1, 10000);
	return code;
}

static void test_errands(void **state)
{
	static const struct {
		errand_work *work;
		double now;
		int code;
	} cases[] = {{three_records, 0, 0}, {nothing_ever, 11, -ETIMEDOUT}, {too_much, 0, -EFBIG}, {dies, 0, -EPIPE}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct errand errand = {0};
		struct records *records = NULL;
		struct err err = {0};

		assert_false(errand_is_out(&errand));
		assert_int_equal(errand_begin(&errand, cases[i].work, (void *)(uintptr_t) "a b", NULL, 0, 10, &err), 0);
		assert_true(errand_is_out(&errand));
		assert_int_equal(hear(&errand, cases[i].now, &records, &err), cases[i].code);
		assert_false(errand_is_out(&errand));
		if (cases[i].code == 0) {
			assert_int_equal(records->count, 3);
			assert_string_equal(record_get(&records->items[2], "what"), "a b");
		}
		records_free(records);
	}
	/* One that is not heard to its end. */
	struct errand errand = {0};

	assert_int_equal(errand_begin(&errand, nothing_ever, NULL, NULL, 0, 10, NULL), 0);
	errand_end(&errand);
	assert_false(errand_is_out(&errand));
	errand_end(&errand);
}

/* Only what is kept is open in the child. */
static void tell_open(void *data, struct text *text, size_t *count)
{
	const int *pair = data;

	record_begin(text, "open");
	record_number(text, "kept", fcntl(pair[0], F_GETFD) >= 0);
	record_number(text, "other", fcntl(pair[1], F_GETFD) >= 0);
	record_end(text);
	++*count;
}

static void test_errands_close(void **state)
{
	struct errand errand = {0};
	struct records *records = NULL;
	struct err err = {0};
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(errand_begin(&errand, tell_open, pair, pair, 1, 10, &err), 0);
	assert_int_equal(hear(&errand, 0, &records, &err), 0);
	assert_true(record_is(&records->items[0], "kept"));
	assert_false(record_is(&records->items[0], "other"));
	records_free(records);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_rules_apart),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_errands),
		cmocka_unit_test(test_errands_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "policy_private.h"

static const char *const tls_words[] = {[TLS_REQUIRED] = "required", [TLS_OPTIONAL] = "optional", [TLS_OFF] = "off"};
static const char *const loopback_words[] = {
	[LOOPBACK_ALLOW] = "allow", [LOOPBACK_TLS] = "tls", [LOOPBACK_DENY] = "deny"};
static const char *const admin_tls_words[] = {[ADMIN_TLS_REQUIRED] = "required", [ADMIN_TLS_OFF] = "off"};
static const char *const server_words[] = {[SERVER_EXPECTED] = "expected", [SERVER_OPTIONAL] = "optional"};
static const char *const log_words[] = {[LOG_NONE] = "none", [LOG_SAMPLED] = "sampled", [LOG_ALL] = "all"};
static const char *const client_certificates_words[] = {
	[CLIENT_CERTIFICATES_ANY] = "any", [CLIENT_CERTIFICATES_REQUIRED] = "required"};
static const char *const password_words[] = {[PASSWORD_REQUIRED] = "required", [PASSWORD_OPTIONAL] = "optional"};
static const char *const self_signed_words[] = {[SELF_SIGNED_DENY] = "deny", [SELF_SIGNED_ALLOW] = "allow"};
static const char *const routed_words[] = {
	[ROUTED_CONTAINERS] = "containers", [ROUTED_ALL] = "all", [ROUTED_NONE] = "none"};
static const char *const bind_guard_words[] = {
	[BIND_GUARD_OFF] = "off", [BIND_GUARD_DENY] = "deny", [BIND_GUARD_REWRITE] = "rewrite"};
static const char *const speaks_words[] = {[SPEAKS_TLS] = "tls", [SPEAKS_PLAINTEXT] = "plaintext"};
static const char *const on_words[] = {
	[ALERT_AUTH_FAILURES] = "auth-failures",
	[ALERT_ACL_DENIALS] = "acl-denials",
	[ALERT_TLS_ERRORS] = "tls-errors",
	[ALERT_PLAINTEXT] = "plaintext",
	[ALERT_REFUSED] = "refused",
	[ALERT_DANGEROUS_COMMANDS] = "dangerous-commands",
	[ALERT_WILDCARD_LISTENER] = "wildcard-listener",
};
static const char *const verdict_words[] = {[EXPECT_ALLOW] = "allow", [EXPECT_REFUSE] = "refuse"};

const char *tls_mode_name(enum tls_mode mode)
{
	return tls_words[mode];
}

const char *loopback_mode_name(enum loopback_mode mode)
{
	return loopback_words[mode];
}

const char *admin_tls_mode_name(enum admin_tls_mode mode)
{
	return admin_tls_words[mode];
}

const char *server_mode_name(enum server_mode mode)
{
	return server_words[mode];
}

const char *log_mode_name(enum log_mode mode)
{
	return log_words[mode];
}

const char *client_certificates_mode_name(enum client_certificates_mode mode)
{
	return client_certificates_words[mode];
}

const char *password_mode_name(enum password_mode mode)
{
	return password_words[mode];
}

const char *self_signed_mode_name(enum self_signed_mode mode)
{
	return self_signed_words[mode];
}

const char *routed_mode_name(enum routed_mode mode)
{
	return routed_words[mode];
}

const char *bind_guard_mode_name(enum bind_guard_mode mode)
{
	return bind_guard_words[mode];
}

const char *speaks_mode_name(enum speaks_mode mode)
{
	return speaks_words[mode];
}

const char *expect_verdict_name(enum expect_verdict verdict)
{
	return verdict_words[verdict];
}

const char *alert_on_name(enum alert_on on)
{
	return on_words[on];
}

bool alert_may_ban(enum alert_on on)
{
	return on == ALERT_AUTH_FAILURES || on == ALERT_ACL_DENIALS || on == ALERT_PLAINTEXT || on == ALERT_REFUSED;
}

const struct alert alert_standard = {
	.environment = POLICY_EVERY_ENVIRONMENT, .on = ALERT_AUTH_FAILURES, .count = 10, .within = 60};

const char *duration_format(uint32_t seconds, char *buffer)
{
	static const struct {
		uint32_t seconds;
		char sign;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].seconds == 1 || (seconds && seconds % units[i].seconds == 0)) {
			snprintf(buffer, 16, "%u%c", seconds / units[i].seconds, units[i].sign);
			break;
		}
	return buffer;
}

/* What follows the members is more of struct option_schema. */
#define OPTION(type, option, form, member, origin_member, ...)                                                         \
	{                                                                                                              \
		.name = option, .kind = form, .value = offsetof(struct type, member),                                  \
		.origin = offsetof(struct type, origin_member), ##__VA_ARGS__                                          \
	}
#define TEXT(type, option, form, member, ...) OPTION(type, option, form, member, member##_origin, ##__VA_ARGS__)
#define LIST(type, option, form, member, ...) OPTION(type, option, form, member, member.origin, ##__VA_ARGS__)
#define PORT(type, option, member, least, most, ...)                                                                   \
	OPTION(type, option, OPTION_PORT, member, member##_origin, .minimum = (least), .maximum = (most), ##__VA_ARGS__)
#define COUNT(type, option, member, origin_member, least, most)                                                        \
	OPTION(type, option, OPTION_COUNT, member, origin_member, .minimum = (least), .maximum = (most))
#define CHOICE(type, option, member, ...)                                                                              \
	OPTION(type, option, OPTION_CHOICE, member, member##_origin, .words = member##_words,                          \
		.word_count = ARRAY_SIZE(member##_words), ##__VA_ARGS__)

static const struct option_schema top_options[] = {
	TEXT(policy, "default_environment", OPTION_NAME, default_environment),
};

static const struct option_schema service_options[] = {
	PORT(service, "port", port, 1, 65535),
	PORT(service, "tls_port", tls_port, 0, 65535),
	PORT(service, "admin_port", admin_port, 0, 65535),
	PORT(service, "memcached_port", memcached_port, 0, 65535),
	TEXT(service, "flagfile", OPTION_PATH, flagfile),
	TEXT(service, "unit", OPTION_UNIT, unit),
	PORT(service, "conntrack_label", conntrack_label, 0, 128 - POLICY_LABEL_BITS),
	PORT(service, "log_group", log_group, 0, 65535),
};

static const struct option_schema network_options[] = {
	LIST(network, "sources", OPTION_SOURCES, sources),
};

static const char nothing_reached[] = "so that nothing could be reached: list addresses, or leave it out";

static const struct option_schema environment_options[] = {
	CHOICE(environment, "tls", tls),
	LIST(environment, "clients", OPTION_SOURCES, clients),
	LIST(environment, "admins", OPTION_SOURCES, admins),
	LIST(environment, "memcached_clients", OPTION_SOURCES, memcached_clients),
	LIST(environment, "never_ban", OPTION_SOURCES, never_ban),
	LIST(environment, "bind", OPTION_ADDRESSES, bind, .if_empty = nothing_reached),
	LIST(environment, "admin_bind", OPTION_ADDRESSES, admin_bind, .if_empty = nothing_reached),
	CHOICE(environment, "loopback", loopback),
	CHOICE(environment, "admin_tls", admin_tls),
	COUNT(environment, "max_connections_per_source", max_connections_per_source, max_connections_origin, 0,
		1000000),
	COUNT(environment, "new_connections_per_second", new_connections_per_second, new_connections_origin, 0,
		1000000),
	COUNT(environment, "ipv6_source_prefix", ipv6_source_prefix, ipv6_source_prefix_origin, 1, 128),
	COUNT(environment, "handshake_timeout", handshake_timeout, handshake_timeout_origin, 0, 3600),
	CHOICE(environment, "server", server),
	CHOICE(environment, "log", log),
	CHOICE(environment, "routed", routed),
	CHOICE(environment, "bind_guard", bind_guard),
	CHOICE(environment, "client_certificates", client_certificates),
	CHOICE(environment, "self_signed", self_signed),
	COUNT(environment, "certificate_warn_days", certificate_warn_days, certificate_warn_days_origin, 0, 3650),
	COUNT(environment, "certificate_fail_days", certificate_fail_days, certificate_fail_days_origin, 0, 3650),
	LIST(environment, "server_names", OPTION_HOSTS, server_names),
	CHOICE(environment, "password", password),
	TEXT(environment, "monitor_user", OPTION_NAME, monitor_user),
	TEXT(environment, "monitor_password_file", OPTION_PATH, monitor_password_file),
};

static const struct option_schema expect_options[] = {
	TEXT(expectation, "environment", OPTION_NAME, environment_name),
	LIST(expectation, "from", OPTION_SOURCES, from,
		.if_empty = "so that nothing is expected: list sources, or write any",
		.if_missing = "whose connections are meant, or from = any"),
	LIST(expectation, "to", OPTION_ADDRESSES, to,
		.if_empty = "so that nothing is expected: list addresses, or leave it out"),
	PORT(expectation, "to_port", to_port, 1, 65535, .if_missing = "to_port = PORT, one of the service's"),
	CHOICE(expectation, "speaks", speaks, .if_missing = "speaks = tls or speaks = plaintext"),
	CHOICE(expectation, "verdict", verdict, .if_missing = "verdict = allow or verdict = refuse"),
};

#define DURATION(type, option, member, least, most)                                                                    \
	OPTION(type, option, OPTION_DURATION, member, member##_origin, .minimum = (least), .maximum = (most))

static const struct option_schema alert_options[] = {
	TEXT(alert, "environment", OPTION_NAME, environment_name),
	CHOICE(alert, "on", on, .if_missing = "on = auth-failures, or another thing to count"),
	COUNT(alert, "count", count, count_origin, 1, 1000000),
	DURATION(alert, "within", within, 1, 86400),
	DURATION(alert, "ban", ban, 1, 7 * 86400),
};

static const struct option_schema waive_options[] = {
	TEXT(waiver, "environment", OPTION_NAME, environment_name),
	TEXT(waiver, "reason", OPTION_WORDS, reason, .if_missing = "reason = \"why this is borne with, and by whom\""),
	TEXT(waiver, "until", OPTION_DATE, until, .if_missing = "until = YYYY-MM-DD, the last day on which it holds"),
	TEXT(waiver, "subject", OPTION_WORDS, subject),
};

#define SECTION(called, table, ...)                                                                                    \
	.name = (called), .options = (table), .option_count = ARRAY_SIZE(table), ##__VA_ARGS__

const struct section_schema policy_sections[SECTION_KINDS] = {
	[SECTION_TOP] = {SECTION("", top_options)},
	[SECTION_SERVICE] = {SECTION("service", service_options)},
	[SECTION_NETWORK] = {SECTION("network", network_options, .titled = true)},
	[SECTION_ENVIRONMENT] = {SECTION("environment", environment_options, .titled = true)},
	[SECTION_EXPECT] = {SECTION("expect", expect_options, .inner = true, .noun = "an expectation")},
	[SECTION_ALERT] = {SECTION("alert", alert_options, .inner = true, .noun = "an alert")},
	[SECTION_WAIVE] = {SECTION("waive", waive_options, .titled = true, .inner = true, .noun = "a waiver")},
};

_Static_assert(ARRAY_SIZE(environment_options) <= SECTION_MAX_OPTIONS, "raise SECTION_MAX_OPTIONS");
_Static_assert(sizeof(enum tls_mode) == sizeof(unsigned int), "OPTION_CHOICE stores an unsigned int");

const struct option_schema *option_find(enum section_kind kind, const char *name)
{
	const struct section_schema *section = &policy_sections[kind];

	for (unsigned int i = 0; i < section->option_count; i++)
		if (strcmp(section->options[i].name, name) == 0)
			return &section->options[i];
	return NULL;
}

void option_names(enum section_kind kind, struct text *text)
{
	const struct section_schema *section = &policy_sections[kind];

	for (unsigned int i = 0; i < section->option_count; i++)
		text_printf(text, "%s%s",
			i == 0				 ? ""
			: i + 1 == section->option_count ? " and "
							 : ", ",
			section->options[i].name);
}

unsigned int name_tolerance(const char *name)
{
	size_t length = strlen(name);

	return length < 3 ? 0 : length < 5 ? 1 : 2;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int name_distance(const char *a, const char *b, unsigned int limit)
{
	/* Row i holds the distances of a's first i letters to each beginning of b; a swap looks two rows back. */
	unsigned int rows[3][POLICY_MAX_NAME + 1];
	size_t length_a = strlen(a);
	size_t length_b = strlen(b);

	if (length_a > POLICY_MAX_NAME || length_b > POLICY_MAX_NAME || length_a > length_b + limit ||
		length_b > length_a + limit)
		return limit + 1;
	for (size_t j = 0; j <= length_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= length_a; i++) {
		unsigned int *row = rows[i % 3];
		const unsigned int *above = rows[(i - 1) % 3];
		const unsigned int *over = rows[(i + 1) % 3]; /* i - 2 */

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= length_b; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], over[j - 2] + 1);
		}
	}
	return least(rows[length_a % 3][length_b], limit + 1);
}

/* No name can be taken for an address by interval_parse(): that wants a digit, a colon or a bracket, of which a name
 * begins with none and holds no colon. */
int name_check(const char *name, char *why)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";

	if (strlen(name) > POLICY_MAX_NAME) {
		snprintf(why, INTERVAL_WHY, "'%.32s...' is too long for a name: write at most %u letters", name,
			POLICY_MAX_NAME);
		return -EINVAL;
	}
	if (!name[0] || !strchr(first, name[0]) || strspn(name, others) != strlen(name)) {
		snprintf(why, INTERVAL_WHY,
			"'%.64s' is not a name: write letters, digits, '_', '-' and '.', beginning with a letter or "
			"'_'",
			name);
		return -EINVAL;
	}
	return 0;
}

/* --- dates --- */

const char *date_format(uint32_t days, char *buffer)
{
	time_t seconds = (time_t)days * 86400;
	struct tm day = {0};

	gmtime_r(&seconds, &day);
	strftime(buffer, DATE_TEXT, "%Y-%m-%d", &day);
	return buffer;
}

int date_parse(const char *text, uint32_t *ret_days)
{
	static const char form[] = "dddd-dd-dd";
	struct tm day = {0};
	char again[DATE_TEXT];

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return -EINVAL;
	if (!strptime(text, "%Y-%m-%d", &day) || day.tm_year < 70)
		return -EINVAL;
	*ret_days = (uint32_t)(timegm(&day) / 86400);
	/* February has no 30th, which timegm() takes for March. */
	return strcmp(date_format(*ret_days, again), text) == 0 ? 0 : -EINVAL;
}

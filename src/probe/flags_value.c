/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Values of flags: what Dragonfly's readers accept (absl/flags/marshalling.cc, absl/strings/numbers.cc, helio's
 * strings/human_readable.cc and the AbslParseFlag() functions of Dragonfly's own types), and how a value is shown.
 */

#include <math.h>
#include <string.h>
#include <strings.h>

#include "flags_private.h"

bool is_blank(char character)
{
	return character == ' ' || (character >= '\t' && character <= '\r');
}

/* absl::StripAsciiWhitespace(). */
static const char *strip(const char *text, size_t *ret_length)
{
	size_t length = strlen(text);

	while (length > 0 && is_blank(text[0])) {
		text++;
		length--;
	}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	*ret_length = length;
	return text;
}

bool value_read_bool(const char *text, bool *ret)
{
	static const char *const words[][2] = {{"0", "1"}, {"f", "t"}, {"false", "true"}, {"n", "y"}, {"no", "yes"}};
	size_t length;

	text = strip(text, &length);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (unsigned int value = 0; value < 2; value++)
			if (strlen(words[i][value]) == length && strncasecmp(words[i][value], text, length) == 0) {
				*ret = value;
				return true;
			}
	return false;
}

static unsigned int digit_value(char character)
{
	if (character >= '0' && character <= '9')
		return (unsigned int)(character - '0');
	if (character >= 'a' && character <= 'f')
		return (unsigned int)(character - 'a') + 10;
	if (character >= 'A' && character <= 'F')
		return (unsigned int)(character - 'A') + 10;
	return 255;
}

/* A leading zero is not octal. Of numbers beyond 63 bits, which only sizes can be, *ret holds the largest. */
bool value_read_integer(const char *text, bool is_signed, uint64_t maximum, int64_t *ret)
{
	size_t length;
	bool negative;
	uint64_t number = 0;
	unsigned int base = 10;

	text = strip(text, &length);
	negative = length > 0 && text[0] == '-';
	if (length > 0 && (negative || text[0] == '+')) {
		text++;
		length--;
	}
	if (length >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
		length -= 2;
	}
	if (length == 0 || (negative && !is_signed))
		return false;
	if (negative)
		maximum++; /* two's complement has one more below zero */
	for (size_t i = 0; i < length; i++) {
		unsigned int digit = digit_value(text[i]);

		if (digit >= base || number > (UINT64_MAX - digit) / base)
			return false;
		number = number * base + digit;
	}
	if (number > maximum)
		return false;
	if (number > INT64_MAX)
		*ret = negative ? INT64_MIN : INT64_MAX;
	else
		*ret = negative ? -(int64_t)number : (int64_t)number;
	return true;
}

bool value_read_memory(const char *text, int64_t *ret)
{
	static const char units[] = "BKMGTPE";
	bool negative = *text == '-';
	double number;
	char *end;

	if (negative)
		text++;
	number = strtod(text, &end);
	if (end == text || isnan(number) || number < 0)
		return false;
	if (*end) {
		const char *unit = strchr(units, *end & ~0x20);

		if (!unit || !*unit)
			return false;
		number = ldexp(number, 10 * (int)(unit - units));
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
		if (*end)
			return false;
	}
	if (number >= 0x1p63)
		*ret = INT64_MAX; /* the server's own arithmetic overflows here */
	else
		*ret = (int64_t)(number + 0.5);
	return !negative || *ret == 0;
}

static size_t span_digits(const char *text, size_t length)
{
	size_t used = 0;

	while (used < length && text[used] >= '0' && text[used] <= '9')
		used++;
	return used;
}

/* absl::SimpleAtod(): decimal only; what is too large is infinity, not an error. */
static bool reads_as_double(const char *text)
{
	static const char *const words[] = {"inf", "infinity", "nan"};
	size_t length;
	size_t whole;
	size_t fraction = 0;

	text = strip(text, &length);
	if (length > 0 && (text[0] == '+' || text[0] == '-')) {
		text++;
		length--;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == length && strncasecmp(words[i], text, length) == 0)
			return true;
	whole = span_digits(text, length);
	text += whole;
	length -= whole;
	if (length > 0 && text[0] == '.') {
		fraction = span_digits(text + 1, length - 1);
		text += 1 + fraction;
		length -= 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (length > 0 && (text[0] == 'e' || text[0] == 'E')) {
		size_t sign = length > 1 && (text[1] == '+' || text[1] == '-');
		size_t digits = span_digits(text + 1 + sign, length - 1 - sign);

		if (digits == 0)
			return false;
		text += 1 + sign + digits;
		length -= 1 + sign + digits;
	}
	return length == 0;
}

static bool reads_as_replica_of(const char *text, char *why)
{
	const char *colon = strrchr(text, ':');

	if (!*text)
		return true;
	snprintf(why, INTERVAL_WHY, "write HOST:PORT, and an IPv6 address in brackets");
	if (!colon || colon == text || !colon[1])
		return false;
	if ((text[0] == '[') != (colon[-1] == ']'))
		return false;
	return text[0] != '[' || colon - text > 2;
}

/* inc/200/100/13 or gen/20/100. */
static bool reads_as_lua_gc(const char *text)
{
	size_t numbers;

	if (!*text)
		return true;
	if (strncmp(text, "inc", 3) == 0)
		numbers = 3;
	else if (strncmp(text, "gen", 3) == 0)
		numbers = 2;
	else
		return false;
	text += 3;
	for (size_t i = 0; i < numbers; i++) {
		_cleanup_free_ char *number = NULL;
		int64_t ignored;

		if (*text++ != '/')
			return false;
		number = mem_stringn(text, strcspn(text, "/"));
		/* absl::SimpleAtoi() knows no hexadecimal numbers. */
		if (strpbrk(number, "xX") || !value_read_integer(number, true, INT32_MAX, &ignored))
			return false;
		text += strlen(number);
	}
	return !*text;
}

bool flag_value_reads(const struct known_flag *flag, const char *value, char *why)
{
	static const char *const compressions[] = {
		"0", "NONE", "1", "SINGLE_ENTRY", "2", "MULTI_ENTRY_ZSTD", "3", "MULTI_ENTRY_LZ4"};
	bool truth;
	int64_t number;

	*why = '\0';
	switch (flag->type) {
	case FLAG_BOOL:
		snprintf(why, INTERVAL_WHY, "write true or false");
		return value_read_bool(value, &truth);
	case FLAG_INT32:
		return value_read_integer(value, true, INT32_MAX, &number);
	case FLAG_UINT16:
		return value_read_integer(value, false, UINT16_MAX, &number);
	case FLAG_UINT32:
		return value_read_integer(value, false, UINT32_MAX, &number);
	case FLAG_UINT64:
		return value_read_integer(value, false, UINT64_MAX, &number);
	case FLAG_AT_LEAST_64:
		return value_read_integer(value, false, UINT64_MAX, &number) && number >= 64;
	case FLAG_DOUBLE:
		return reads_as_double(value);
	case FLAG_STRING:
	case FLAG_LIST:
		return true;
	case FLAG_MEMORY:
		snprintf(why, INTERVAL_WHY, "write it as 512MB, 1G or 1TB");
		return value_read_memory(value, &number);
	case FLAG_CRON:
		/* The rest of the expression is not read here: it concerns snapshots alone. */
		snprintf(why, INTERVAL_WHY, "write it without quotes");
		return value[0] != '"';
	case FLAG_LUA_GC:
		return reads_as_lua_gc(value);
	case FLAG_REPLICA_OF:
		return reads_as_replica_of(value, why);
	case FLAG_COMPRESSION:
		for (size_t i = 0; i < ARRAY_SIZE(compressions); i++)
			if (strcmp(value, compressions[i]) == 0)
				return true;
		return false;
	}
	return false;
}

/* --- as it is shown --- */

#define SHOWN 60u /* characters */

static void append_printable(struct text *text, const char *string, size_t limit)
{
	for (; *string && limit > 0; string++, limit--) {
		unsigned char byte = (unsigned char)*string;

		if (byte >= 0x20 && byte < 0x7f)
			text_append_char(text, (char)byte);
		else
			text_printf(text, "\\x%02x", byte);
	}
	if (*string)
		text_append(text, "...");
}

void quote_text(struct text *text, const char *string)
{
	append_printable(text, string, SHOWN);
}

char *printable(const char *format, va_list list)
{
	char message[1024];
	struct text text = {0};

	vsnprintf(message, sizeof(message), format, list);
	append_printable(&text, message, sizeof(message));
	return text_take(&text);
}

/* A value that swallowed `--requirepass=...` is as secret as that. */
static bool holds_secret(const char *value)
{
	static const char *const words[] = {"requirepass", "masterauth", "auth_token"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(value, words[i]))
			return true;
	return false;
}

void quote_value(struct text *text, const char *flag, const char *value)
{
	if (flag_is_secret(flag) || holds_secret(value)) {
		text_append(text, "a secret value");
		return;
	}
	text_append_char(text, '\'');
	quote_text(text, value);
	text_append_char(text, '\'');
}

void flag_shown(const struct flag *flag, struct text *text)
{
	quote_value(text, flag->name, flag->value);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <ctype.h>
#include <string.h>

#include "log_line.h"

const char *log_kind_name(enum log_kind kind)
{
	static const char *const names[LOG_KIND_COUNT] = {
		[LOG_KIND_AUTH_FAILURE] = "auth-failure",
		[LOG_KIND_TLS_ERROR] = "tls-error",
		[LOG_KIND_PROTECTED_MODE] = "protected-mode",
		[LOG_KIND_LISTENING] = "listening",
		[LOG_KIND_CONFIG_REFUSED] = "config-refused",
		[LOG_KIND_DANGEROUS_COMMAND] = "dangerous-command",
		[LOG_KIND_STARTED] = "started",
		[LOG_KIND_STOPPED] = "stopped",
		[LOG_KIND_BROKEN_PROTOCOL] = "broken-protocol",
	};

	return names[kind];
}

/* What is still to be read. */
struct rest {
	const char *at, *end;
};

static size_t left(const struct rest *rest)
{
	return (size_t)(rest->end - rest->at);
}

static bool take_sign(struct rest *rest, char sign)
{
	if (rest->at == rest->end || *rest->at != sign)
		return false;
	rest->at++;
	return true;
}

static bool take_text(struct rest *rest, const char *text)
{
	size_t length = strlen(text);

	if (left(rest) < length || memcmp(rest->at, text, length) != 0)
		return false;
	rest->at += length;
	return true;
}

/* Goes behind the first `text`. */
static bool skip_to(struct rest *rest, const char *text)
{
	const char *found = memmem(rest->at, left(rest), text, strlen(text));

	if (!found)
		return false;
	rest->at = found + strlen(text);
	return true;
}

static size_t digits(const struct rest *rest)
{
	size_t count = 0;

	while (count < left(rest) && isdigit((unsigned char)rest->at[count]))
		count++;
	return count;
}

static bool take_digits(struct rest *rest, size_t count)
{
	if (digits(rest) != count)
		return false;
	rest->at += count;
	return true;
}

static void skip_blanks(struct rest *rest)
{
	while (rest->at < rest->end && *rest->at == ' ')
		rest->at++;
}

/* --- the prefix --- */

/* "W20261122 15:53:16.355903 30046 main_service.cc:1737] ", and without the year "W1122 ..." (abseil's own). */
static bool take_prefix(struct rest *rest, struct log_line *ret)
{
	const char *date, *clock;
	size_t length;

	if (rest->at == rest->end || !strchr("IWEF", *rest->at))
		return false;
	ret->severity = *rest->at++;
	date = rest->at;
	length = digits(rest);
	if (length != 8 && length != 4)
		return false;
	rest->at += length;
	if (!take_sign(rest, ' '))
		return false;
	clock = rest->at;
	if (!take_digits(rest, 2) || !take_sign(rest, ':') || !take_digits(rest, 2) || !take_sign(rest, ':') ||
		!take_digits(rest, 2) || !take_sign(rest, '.') || !take_digits(rest, 6))
		return false;
	skip_blanks(rest);
	if (!digits(rest))
		return false;
	rest->at += digits(rest);
	if (!take_sign(rest, ' ') || !skip_to(rest, "] "))
		return false;
	if (length == 8)
		snprintf(ret->time, sizeof(ret->time), "%.4s-%.2s-%.2s %.8s", date, date + 4, date + 6, clock);
	else
		snprintf(ret->time, sizeof(ret->time), "%.2s-%.2s %.8s", date, date + 2, clock);
	return true;
}

/* --- addresses --- */

/* "10.99.7.2:56652", "[fd99:7::1]:6380", "fd99:7::1:6380" (the port is behind the last colon). "0.0.0.0:0" is nobody.
 * Ends at a blank, a comma or a bracket. */
static bool take_peer(struct rest *rest, struct log_line *ret)
{
	char word[64], why[INTERVAL_WHY];
	size_t length = 0;
	struct interval address;
	enum width width;
	uint64_t port;
	char *colon, *begin = word;

	while (length < left(rest) && length < sizeof(word) - 1 && !strchr(" ,()", rest->at[length]))
		length++;
	memcpy(word, rest->at, length);
	word[length] = '\0';
	colon = strrchr(word, ':');
	if (!colon || strlen(word) != length)
		return false;
	*colon = '\0';
	if (begin[0] == '[' && colon > word + 1 && colon[-1] == ']') {
		colon[-1] = '\0';
		begin++;
	}
	if (strpbrk(begin, "/-") || interval_parse(begin, &width, &address, why) != 0 ||
		number_parse(colon + 1, 0, 65535, &port, why) < 0)
		return false;
	ret->width = width;
	ret->address = address.first;
	ret->port = (uint16_t)port;
	ret->has_peer = true;
	return true;
}

/* The wildcard is no peer. */
static void take_client(struct rest *rest, struct log_line *ret)
{
	if (take_peer(rest, ret) && value_compare(ret->address, value_zero()) == 0)
		ret->has_peer = false;
}

/* --- what is said --- */

/* A word of ours or of a table: nothing but letters, digits and a few signs, cut off. */
static void put_word(struct log_line *ret, const char *before, const struct rest *rest, const char *signs)
{
	size_t length = 0;

	while (length < left(rest) && length < 64 && rest->at[length] &&
		(isalnum((unsigned char)rest->at[length]) || strchr(signs, rest->at[length])))
		length++;
	snprintf(ret->text, sizeof(ret->text), "%s%.*s", before, (int)length, rest->at);
}

/* The command with its arguments stands in front, and with HELLO the password that was tried. */
static bool read_failure(struct rest rest, struct log_line *ret)
{
	static const char reason[] = " failed with reason: -";
	struct rest behind = rest;
	bool hello = take_text(&rest, "HELLO ");
	bool config = !hello && take_text(&rest, "CONFIG SET ");

	if (!skip_to(&behind, reason) && !(config && skip_to(&behind, " failed with reason: ")))
		return false;
	if (config) {
		ret->kind = LOG_KIND_CONFIG_REFUSED;
		put_word(ret, "CONFIG SET ", &rest, "_-.");
	} else if (take_text(&behind, "WRONGPASS") && (hello || take_text(&rest, "AUTH failed "))) {
		ret->kind = LOG_KIND_AUTH_FAILURE;
		snprintf(ret->text, sizeof(ret->text), "%s failed: WRONGPASS", hello ? "HELLO AUTH" : "AUTH");
	}
	return true;
}

/* "Error reading from peer A:P 4 < 5, socket state: ..." is right about who; "Error handshaking ... Remote: A:P" of
 * IPv6 is not (the bytes of each word are swapped), so that is left out. */
static bool read_tls(struct rest rest, struct log_line *ret)
{
	struct rest behind = rest;

	if (take_text(&behind, "SSL protocol error ")) {
		ret->kind = LOG_KIND_TLS_ERROR;
		/* Three numbers, then the reason, and where in the library. */
		while (behind.at < behind.end && (isdigit((unsigned char)*behind.at) || strchr(": ", *behind.at)))
			behind.at++;
		put_word(ret, "handshake: ", &behind, "_- ");
		return true;
	}
	if (!take_sign(&behind, '[') || !skip_to(&behind, "] Error "))
		return false;
	if (take_text(&behind, "reading from peer ")) {
		ret->kind = LOG_KIND_TLS_ERROR;
		take_client(&behind, ret);
		snprintf(ret->text, sizeof(ret->text), "the connection ended before a ClientHello");
		return true;
	}
	if (!take_text(&behind, "handshaking "))
		return false;
	ret->kind = LOG_KIND_TLS_ERROR;
	snprintf(ret->text, sizeof(ret->text), "the handshake failed");
	if (skip_to(&behind, " Remote: ")) {
		take_client(&behind, ret);
		ret->has_peer = ret->has_peer && ret->width == WIDTH_IPV4;
	}
	return true;
}

/* "sock[8] AcceptServer - listening on A:P", "Listening on admin socket A:P" ("any" is the wildcard). */
static bool read_listening(struct rest rest, struct log_line *ret)
{
	struct rest behind = rest;
	bool admin = take_text(&behind, "Listening on admin socket ");

	if (!admin && (!take_text(&behind, "sock[") || !skip_to(&behind, "] AcceptServer - listening on ")))
		return false;
	ret->kind = LOG_KIND_LISTENING;
	if (admin && take_text(&behind, "any:")) {
		char why[INTERVAL_WHY];
		_cleanup_free_ char *number = mem_stringn(behind.at, digits(&behind) < 8 ? digits(&behind) : 8);
		uint64_t port = 0;

		ret->has_peer = number_parse(number, 1, 65535, &port, why) == 0;
		ret->width = WIDTH_IPV4;
		ret->address = value_zero();
		ret->port = (uint16_t)port;
	} else {
		take_peer(&behind, ret);
	}
	snprintf(ret->text, sizeof(ret->text), "%s", admin ? "admin" : "");
	return true;
}

static bool read_command(struct rest rest, struct log_line *ret)
{
	if (!take_text(&rest, "Executing dangerous command ")) {
		if (!take_text(&rest, "Non-admin attempt to execute "))
			return false;
		ret->kind = LOG_KIND_DANGEROUS_COMMAND;
		put_word(ret, "not an admin: ", &rest, "_-");
		return true;
	}
	ret->kind = LOG_KIND_DANGEROUS_COMMAND;
	put_word(ret, "", &rest, "_-");
	if (skip_to(&rest, " ("))
		take_client(&rest, ret);
	return true;
}

static const struct {
	const char *begins;
	enum log_kind kind;
} others[] = {
	{"Protected mode enabled", LOG_KIND_PROTECTED_MODE},
	{"Exiting on signal", LOG_KIND_STOPPED},
	{"Failed to parse len", LOG_KIND_BROKEN_PROTOCOL},
};

static bool read_flag(struct rest rest, struct log_line *ret)
{
	if (!take_text(&rest, "Illegal value '"))
		return false;
	ret->kind = LOG_KIND_CONFIG_REFUSED;
	/* The value, which may be secret and hold anything, stands in front: the last of these words is the server's.
	 */
	for (struct rest next = rest; skip_to(&next, "' specified for flag '");) {
		rest = next;
		put_word(ret, "flag ", &rest, "_-.");
	}
	return true;
}

void log_line_read(const char *bytes, size_t length, struct log_line *ret)
{
	struct rest rest = {bytes, bytes + length};

	*ret = (struct log_line){.kind = LOG_KIND_NO_PREFIX};
	/* The first line of a file. */
	if (take_text(&rest, "Log file created at: ")) {
		ret->kind = LOG_KIND_STARTED;
		return;
	}
	if (!take_prefix(&rest, ret)) {
		*ret = (struct log_line){.kind = LOG_KIND_NO_PREFIX};
		return;
	}
	ret->kind = ret->severity == 'F' ? LOG_KIND_STOPPED : LOG_KIND_OTHER;
	skip_blanks(&rest);
	if (read_failure(rest, ret) || read_tls(rest, ret) || read_listening(rest, ret) || read_command(rest, ret) ||
		read_flag(rest, ret))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (take_text(&rest, others[i].begins))
			ret->kind = others[i].kind;
}

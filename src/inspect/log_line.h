/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One line of a log of Dragonfly's, read: dragonfly-facts.md 6, dragonfly-verified.md 7. Both forms of prefix, with and
 * without a year. Whatever a client wrote may stand in a line, passwords among it, and a client may have written a line
 * that the server never did; so what is told is made anew out of what is known to be harmless.
 */

#include "interval.h"

enum log_kind {
	LOG_KIND_OTHER,	    /* nothing that anybody waits for */
	LOG_KIND_NO_PREFIX, /* the rest of a longer message, or not a line of this kind of log */
	LOG_KIND_AUTH_FAILURE,
	LOG_KIND_TLS_ERROR,
	LOG_KIND_PROTECTED_MODE,
	LOG_KIND_LISTENING,
	LOG_KIND_CONFIG_REFUSED,
	LOG_KIND_DANGEROUS_COMMAND,
	LOG_KIND_STARTED,
	LOG_KIND_STOPPED,
	LOG_KIND_BROKEN_PROTOCOL,
};
#define LOG_KIND_COUNT (LOG_KIND_BROKEN_PROTOCOL + 1)

#define LOG_LINE_TEXT 160u

struct log_line {
	enum log_kind kind;
	char severity; /* 'I', 'W', 'E', 'F'; 0: no prefix */
	char time[32]; /* as it stands there, local: "2026-11-22 15:53:16", "11-22 15:53:16"; or "" */
	bool has_peer; /* the next three: who did it, or where it listens */
	enum width width;
	struct value address;
	uint16_t port;
	char text[LOG_LINE_TEXT]; /* printable ASCII, without anything secret; "" where `kind` says it all */
};

/* "auth-failure"; NULL for what is not told. Static. */
const char *log_kind_name(enum log_kind kind);
/* Reads `length` bytes, without the line's end. Pure; any bytes will do. */
void log_line_read(const char *bytes, size_t length, struct log_line *ret);

/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A connection that was given, in plaintext or in TLS, until a deadline. Questions that need one have the fields `fd`,
 * and for TLS `minimum`, `maximum` ("1.0" to "1.3"), `ciphers`, `server_name`, and the descriptors `certificate` and
 * `key` of a client (PEM).
 */

#include <openssl/ssl.h>

#include "inspect.h"

/* Zero-initialise but for `descriptor` and `deadline`; end with session_done(), which does not close the descriptor. */
struct session {
	SSL_CTX *context;
	SSL *ssl;
	int descriptor;
	int64_t deadline;
	size_t received; /* bytes in TLS */
	bool endless;	 /* it sent more than is read, or longer than is waited for */
	bool asked;	 /* for a certificate of ours */
	bool gave;	 /* there is one to give */
};

/* How a socket ended, by errno: "reset" or "closed". */
const char *end_name(int error);
/* The length of the first line, without its end. */
size_t first_line(const char *bytes, size_t length);

/* Makes ready for a handshake. False where this library cannot ask like that. */
bool session_prepare(struct session *session, const struct record *question);
/* After a call of the library's that did not succeed: waits for what it waits for. False where it does not, or the time
 * is over; *ret_error is SSL_get_error()'s then. */
bool session_want(struct session *session, int result, int *ret_error);
void session_done(struct session *session);

/* The whole handshake where the question says `tls`=1; else nothing. False where it failed. */
bool session_connect(struct session *session, const struct record *question);
/* False where not all could be written in time. */
bool session_write(struct session *session, const char *bytes, size_t length);
/* At least one byte, or 0: the end, or session_late(). */
size_t session_read(struct session *session, char *buffer, size_t size);
/* The time is over, or there is no end of what comes: what did not come by now is not known. */
bool session_late(const struct session *session);
/* Plaintext, where a Dragonfly server wants TLS, is answered so (dragonfly-verified.md 2): who asked has learnt nothing
 * else of it. */
bool wants_tls(const char *said, size_t length);

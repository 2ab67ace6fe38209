/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a server does with a connection. The socket is connected already, and does not block.
 *
 * Question `handshake`: `fd`; `minimum` and `maximum` ("1.0" to "1.3"), `ciphers` (OpenSSL's list, for up to 1.2),
 * `server_name`, `milliseconds`, and for mutual TLS the descriptors `certificate` and `key` (PEM). Answer `handshake`
 * with `outcome`: accepted (and what was agreed on: `version`, `cipher`, `bits`, `sha256` and `chain_length` of the
 * certificate that was served, `authenticated`=0 where there was none, `asked`=1 where it asked for a certificate of
 * ours), refused
 * (`alert`, or `why`), closed, reset, silent, endless (it sends on and on, and never comes to the point), plaintext.
 * Where it was accepted PING is sent, because with TLS 1.3 a client hears only then that its certificate was missed:
 * `said` is the answer's first line; outcome certificate-required where it is that alert.
 *
 * Question `plaintext`: `fd`, `milliseconds`; sends PING, and answers `plaintext` with `outcome`: said (`said`: the
 * first line), closed, reset, silent.
 *
 * PING changes nothing in a server. Nothing else is sent.
 */

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

#define DEFAULT_MILLISECONDS 3000
#define SAID		     512u

static const char ping[] = "PING\r\n";

static void note_outcome(const struct record *question, const char *outcome)
{
	if (strcmp(outcome, "silent") == 0)
		question_was_silent(question);
}

/* --- plaintext --- */

/* Reads until a line ends. What was got; 0 and `ret_end` where nothing was. */
static size_t read_line(int descriptor, int64_t deadline, char *buffer, size_t size, const char **ret_end)
{
	size_t length = 0;

	*ret_end = "silent";
	while (length < size && !memchr(buffer, '\n', length)) {
		if (!wait_for(descriptor, POLLIN, deadline))
			break;
		ssize_t count = recv(descriptor, buffer + length, size - length, 0);

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (count <= 0) {
			*ret_end = count < 0 ? end_name(errno) : "closed";
			break;
		}
		length += (size_t)count;
	}
	return length;
}

void inspect_plaintext(const struct record *question, struct answer *answer)
{
	int descriptor = question_descriptor(question, "fd");
	int64_t deadline = question_deadline(question, DEFAULT_MILLISECONDS);
	char said[SAID];
	const char *end = NULL;
	size_t length = 0;

	if (descriptor < 0) {
		answer_failed(answer, "there is no connection");
		return;
	}
	if (send(descriptor, ping, sizeof(ping) - 1, MSG_NOSIGNAL) < 0)
		end = end_name(errno);
	else
		length = read_line(descriptor, deadline, said, sizeof(said), &end);
	answer_begin(answer, "plaintext");
	record_text(answer->text, "outcome", length ? "said" : end);
	if (length)
		record_bytes(answer->text, "said", said, first_line(said, length));
	else
		note_outcome(question, end);
	answer_end(answer);
}

/* --- TLS --- */

/* Why the library gave up: an alert's name, or what it could not read. */
static void put_refusal(struct text *text)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
		record_text(text, "alert", SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
		record_number(text, "alert_number", reason - SSL_AD_REASON_OFFSET);
	} else if (code) {
		record_text(text, "why", ERR_reason_error_string(code));
	}
	ERR_clear_error();
}

/* The handshake failed. What came instead may be something else than TLS. */
static const char *failure(struct session *session, int error)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	OSSL_HANDSHAKE_STATE state = SSL_get_state(session->ssl);

	if (session->endless)
		return "endless";
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return "silent";
	if (error == SSL_ERROR_SYSCALL)
		return end_name(errno);
	if (error == SSL_ERROR_ZERO_RETURN ||
		(ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING))
		return "closed";
	/* Before anything of the server's was understood. */
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && (state == TLS_ST_CW_CLNT_HELLO || state <= TLS_ST_CR_SRVR_HELLO) &&
		(reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
			reason == SSL_R_UNEXPECTED_MESSAGE))
		return "plaintext";
	return "refused";
}

static void put_agreement(struct session *session, struct text *text)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(session->ssl);
	char fingerprint[65];

	record_text(text, "version", SSL_get_version(session->ssl));
	record_text(text, "cipher", SSL_get_cipher_name(session->ssl));
	record_number(text, "bits", SSL_get_cipher_bits(session->ssl, NULL));
	record_number(text, "authenticated", certificate != NULL);
	if (certificate) {
		certificate_fingerprint(certificate, fingerprint);
		record_text(text, "sha256", fingerprint);
		record_number(text, "chain_length", chain ? sk_X509_num(chain) : 0);
	}
	record_number(text, "asked", session->asked);
}

/* 116 in TLS 1.3, 40 or 42 before. */
static bool misses_certificate(const struct session *session)
{
	unsigned long code = ERR_peek_error();
	int alert = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;

	return ERR_GET_LIB(code) == ERR_LIB_SSL && session->asked &&
	       (alert == 116 || alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_BAD_CERTIFICATE ||
		       alert == SSL_AD_NO_CERTIFICATE || alert == SSL_AD_UNKNOWN_CA);
}

/* After a handshake of TLS 1.3 the server looks for our certificate, misses it, and ends the connection. Its alert is
 * lost where the connection is reset, because PING was not read any more. */
static bool was_sent_away(const struct session *session, int error)
{
	return session->asked && !session->gave &&
	       (misses_certificate(session) || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE));
}

/* The answer to PING: its length, 0 where there is none; then `error` says why. */
static size_t say_ping(struct session *session, char *said, size_t size, int *ret_error)
{
	size_t length = 0;
	int result;

	*ret_error = SSL_ERROR_NONE;
	do {
		result = SSL_write(session->ssl, ping, sizeof(ping) - 1);
	} while (result <= 0 && session_want(session, result, ret_error));
	while (result > 0 && length < size && !memchr(said, '\n', length)) {
		do {
			result = SSL_read(session->ssl, said + length, (int)(size - length));
		} while (result <= 0 && session_want(session, result, ret_error));
		if (result > 0)
			length += (size_t)result;
	}
	return length;
}

void inspect_handshake(const struct record *question, struct answer *answer)
{
	struct session session = {.descriptor = question_descriptor(question, "fd"),
		.deadline = question_deadline(question, DEFAULT_MILLISECONDS)};
	struct text *text = answer->text;
	char said[SAID];
	size_t length = 0;
	int result, error = SSL_ERROR_NONE;

	if (session.descriptor < 0) {
		answer_failed(answer, "there is no connection");
		return;
	}
	if (!session_prepare(&session, question)) {
		answer_failed(answer, "this OpenSSL cannot ask that");
		session_done(&session);
		return;
	}
	ERR_clear_error();
	do {
		result = SSL_connect(session.ssl);
	} while (result != 1 && session_want(&session, result, &error));
	answer_begin(answer, "handshake");
	if (result != 1) {
		const char *outcome = misses_certificate(&session) ? "certificate-required" : failure(&session, error);

		record_text(text, "outcome", outcome);
		note_outcome(question, outcome);
		record_number(text, "asked", session.asked);
		put_refusal(text);
	} else {
		length = say_ping(&session, said, sizeof(said), &error);
		record_text(text, "outcome",
			!length && was_sent_away(&session, error) ? "certificate-required" : "accepted");
		put_agreement(&session, text);
		if (length)
			record_bytes(text, "said", said, first_line(said, length));
		else
			put_refusal(text);
	}
	answer_end(answer);
	session_done(&session);
}

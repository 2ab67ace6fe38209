/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A connection that was given, in plaintext or in TLS. */

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "session.h"

/* More than any server has to say to what is asked here, and to a client's handshake. */
#define MAX_RECEIVED (4u << 20)

static int version_number(const char *name, int otherwise)
{
	static const struct {
		const char *name;
		int number;
	} versions[] = {
		{"1.0", TLS1_VERSION}, {"1.1", TLS1_1_VERSION}, {"1.2", TLS1_2_VERSION}, {"1.3", TLS1_3_VERSION}};

	for (size_t i = 0; name && i < ARRAY_SIZE(versions); i++)
		if (strcmp(versions[i].name, name) == 0)
			return versions[i].number;
	return otherwise;
}

const char *end_name(int error)
{
	return error == ECONNRESET || error == EPIPE ? "reset" : "closed";
}

bool wants_tls(const char *said, size_t length)
{
	static const char words[] = "-ERR Bad TLS header";

	return length >= sizeof(words) - 1 && strncmp(said, words, sizeof(words) - 1) == 0;
}

bool session_late(const struct session *session)
{
	return session->endless || clock_milliseconds() >= session->deadline;
}

size_t first_line(const char *bytes, size_t length)
{
	size_t end = 0;

	while (end < length && bytes[end] != '\n' && bytes[end] != '\r')
		end++;
	return end;
}

bool session_want(struct session *session, int result, int *ret_error)
{
	*ret_error = SSL_get_error(session->ssl, result);
	if (*ret_error == SSL_ERROR_WANT_READ)
		return wait_for(session->descriptor, POLLIN, session->deadline);
	if (*ret_error == SSL_ERROR_WANT_WRITE)
		return wait_for(session->descriptor, POLLOUT, session->deadline);
	return false;
}

/* Called only where the server asks. */
static int note_request(SSL *ssl, void *data)
{
	struct session *session = data;

	(void)ssl;
	session->asked = true;
	return 1;
}

static void give_certificate(struct session *session, const struct record *question)
{
	int certificate_descriptor = question_descriptor(question, "certificate");
	int key_descriptor = question_descriptor(question, "key");
	_cleanup_free_ char *certificate_bytes = NULL;
	_cleanup_free_ char *key_bytes = NULL;
	size_t certificate_length, key_length;

	if (certificate_descriptor < 0 || key_descriptor < 0 ||
		read_whole(certificate_descriptor, 1u << 20, &certificate_bytes, &certificate_length) < 0 ||
		read_whole(key_descriptor, 1u << 20, &key_bytes, &key_length) < 0)
		return;
	BIO *certificate_bio = BIO_new_mem_buf(certificate_bytes, (int)certificate_length);
	BIO *key_bio = BIO_new_mem_buf(key_bytes, (int)key_length);
	X509 *certificate = PEM_read_bio_X509(certificate_bio, NULL, NULL, (void *)(uintptr_t) "");
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)(uintptr_t) "");

	if (certificate && key) {
		SSL_CTX_use_certificate(session->context, certificate);
		SSL_CTX_use_PrivateKey(session->context, key);
		session->gave = true;
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	BIO_free(certificate_bio);
	BIO_free(key_bio);
	OPENSSL_cleanse(key_bytes, key_length);
	ERR_clear_error();
}

/* The library reads on as long as something comes, also what it leaves aside (HelloRequest, tickets): whoever sends
 * fast enough would hold it for ever. */
static long guard(BIO *bio, int operation, const char *bytes _unused_, size_t length _unused_, int argument _unused_,
	long number _unused_, int result, size_t *processed)
{
	struct session *session = (struct session *)(void *)BIO_get_callback_arg(bio);

	if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && processed)
		session->received += *processed;
	if (operation != BIO_CB_READ || (session->received <= MAX_RECEIVED && clock_milliseconds() < session->deadline))
		return result;
	session->endless = session->received > 0;
	BIO_clear_retry_flags(bio);
	errno = ETIMEDOUT;
	return -1;
}

bool session_prepare(struct session *session, const struct record *question)
{
	const char *ciphers = record_get(question, "ciphers");
	const char *name = record_get(question, "server_name");

	session->context = SSL_CTX_new(TLS_client_method());
	if (!session->context)
		return false;
	/* What is weak is to be found, so nothing is refused from this side; who the server is, is judged apart. */
	SSL_CTX_set_security_level(session->context, 0);
	SSL_CTX_set_verify(session->context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(session->context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_cert_cb(session->context, note_request, session);
	if (!SSL_CTX_set_min_proto_version(
		    session->context, version_number(record_get(question, "minimum"), TLS1_VERSION)) ||
		!SSL_CTX_set_max_proto_version(
			session->context, version_number(record_get(question, "maximum"), TLS1_3_VERSION)) ||
		!SSL_CTX_set_cipher_list(session->context, ciphers ? ciphers : "ALL:@SECLEVEL=0"))
		return false;
	give_certificate(session, question);
	session->ssl = SSL_new(session->context);
	if (!session->ssl || !SSL_set_fd(session->ssl, session->descriptor))
		return false;
	SSL_clear_mode(session->ssl, SSL_MODE_AUTO_RETRY);
	BIO_set_callback_ex(SSL_get_rbio(session->ssl), guard);
	BIO_set_callback_arg(SSL_get_rbio(session->ssl), (char *)session);
	if (name && *name)
		SSL_set_tlsext_host_name(session->ssl, name);
	return true;
}

void session_done(struct session *session)
{
	SSL_free(session->ssl);
	SSL_CTX_free(session->context);
	ERR_clear_error();
}

bool session_connect(struct session *session, const struct record *question)
{
	int result, error;

	if (!record_is(question, "tls"))
		return true;
	if (!session_prepare(session, question))
		return false;
	ERR_clear_error();
	do {
		result = SSL_connect(session->ssl);
	} while (result != 1 && session_want(session, result, &error));
	return result == 1;
}

bool session_write(struct session *session, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count;
		int error;

		if (session->ssl) {
			count = SSL_write(session->ssl, bytes, (int)length);
			if (count <= 0 && session_want(session, (int)count, &error))
				continue;
		} else {
			count = send(session->descriptor, bytes, length, MSG_NOSIGNAL);
			if (count < 0 && (errno == EAGAIN || errno == EINTR) &&
				wait_for(session->descriptor, POLLOUT, session->deadline))
				continue;
		}
		if (count <= 0)
			return false;
		bytes += count;
		length -= (size_t)count;
	}
	return true;
}

size_t session_read(struct session *session, char *buffer, size_t size)
{
	for (;;) {
		ssize_t count;
		int error;

		if (session->ssl) {
			count = SSL_read(session->ssl, buffer, (int)size);
			if (count <= 0 && session_want(session, (int)count, &error))
				continue;
		} else {
			if (!wait_for(session->descriptor, POLLIN, session->deadline))
				return 0;
			count = recv(session->descriptor, buffer, size, 0);
			if (count < 0 && (errno == EAGAIN || errno == EINTR))
				continue;
		}
		return count > 0 ? (size_t)count : 0;
	}
}

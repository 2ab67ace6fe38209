/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as what dflyguard-probe is given to read: the first byte chooses the question, the rest is the file, or
 * what a server says before it ends the connection. Nothing may crash or leak, each question is answered, and the
 * answer is well formed. `fuzz_inspect --make-corpus DIR` writes one of each.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "replay.h"

static const struct {
	const char *fields;
	void (*inspect)(const struct record *question, struct answer *answer);
	bool file; /* else a connection */
} rows[] = {
	{"q id=0 certificate=%d ca=%d roots=%d key=%d\nend count=1\n", inspect_tls_files, true},
	{"q id=0 key=%d\nend count=1\n", inspect_tls_files, true},
	{"q id=0 file=%d\nend count=1\n", inspect_aclfile, true},
	{"q id=0 file=%d\nend count=1\n", inspect_secret, true},
	{"q id=0 fd=%d milliseconds=300\nend count=1\n", inspect_plaintext, false},
	{"q id=0 fd=%d milliseconds=300\nend count=1\n", inspect_handshake, false},
	{"q id=0 fd=%d milliseconds=300\nend count=1\n", inspect_server, false},
	{"q id=0 fd=%d milliseconds=300 path=/\nend count=1\n", inspect_http, false},
	{"q id=0 fd=%d milliseconds=300\nend count=1\n", inspect_memcached, false},
};

/* A file with these bytes, or the near end of a connection on which they were said. */
static int give(const uint8_t *data, size_t size, bool file)
{
	int ends[2];
	size_t done = 0;

	if (file) {
		ends[0] = memfd_create("input", MFD_CLOEXEC);
		require(ends[0] >= 0 && write(ends[0], data, size) == (ssize_t)size);
		return ends[0];
	}
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	while (done < size) {
		ssize_t count = send(ends[1], data + done, size - done, MSG_NOSIGNAL);

		if (count <= 0)
			break;
		done += (size_t)count;
	}
	/* Only one direction: what is asked is taken, too. */
	shutdown(ends[1], SHUT_WR);
	require(dup2(ends[1], 900) == 900);
	close(ends[1]);
	return ends[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records *questions, *answers;
	_cleanup_text_ struct text text = {0};
	size_t count = 0;
	struct answer answer = {.text = &text, .count = &count};
	char fields[256];
	size_t row;
	int descriptor;

	if (size == 0)
		return 0;
	inspect_tls_prepare();
	row = data[0] % ARRAY_SIZE(rows);
	descriptor = give(data + 1, size - 1, rows[row].file);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(fields, sizeof(fields), rows[row].fields, descriptor, descriptor, descriptor, descriptor);
#pragma GCC diagnostic pop
	require(records_parse(fields, strlen(fields), &questions, NULL) == 0);
	rows[row].inspect(&questions->items[0], &answer);
	require(count > 0);
	record_close(&text, count);
	require(text.length > RECORD_MAX_BYTES || records_parse(text.data, text.length, &answers, NULL) == 0);
	if (text.length <= RECORD_MAX_BYTES)
		records_free(answers);
	records_free(questions);
	close(descriptor);
	close(900);
	return 0;
}

#ifndef FUZZING_ENGINE
static const struct {
	char row;
	const char *text;
} texts[] = {
	{2, "USER default ON >pass ~* +@all\nuser bob off nopass\r\n# no\nUSER\n"},
	{3, "correct horse battery staple\n"},
	{3, ""},
	{4, "-ERR Bad TLS header, double check\r\n"},
	{5, "\x16\x03\x03\x01\x01\x02\x02\x28"},
	{5, "\x15\x03\x03\x01\x02\x02\x28"},
	{6, "+PONG\r\n$40\r\nrole:master\r\nredis_version:7.0.15\r\nxx:yyyy\r\n*4\r\n+tls\r\n+no\r\n$"
	    "11\r\nrequirepass\r\n$1\r\nx\r\n"
	    "*1\r\n$34\r\nuser default on nopass #e3b0c44298\r\n*1\r\n*4\r\n+reason\r\n+auth\r\n+count\r\n:3\r\n"},
	{6, "-NOAUTH Authentication required.\r\n"},
	{6, "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"},
	{6, "*2147483647\r\n:1\r\n"},
	{6, "$2147483647\r\nx"},
	{6, "*-5\r\n$-7\r\n"},
	{7, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n"},
	{7, "HTTP/1.1 2"},
	{8, "VERSION 1.6.0\r\n"},
	{8, "SERVER_ERROR -NOPERM\r\n"},
};

static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
				  "MIIB0TCCAXegAwIBAgIUcSsHlrjvYYXPusG5cWFE7Q0h+TYwCgYIKoZIzj0EAwIw\n"
				  "GTELMAkGA1UEAwwCZGIxCjAIBgNVBAoMAXgwHhcNMjYxMTI2MTQzNzIxWhcNMzcx\n"
				  "MTA4MTQzNzIxWjAZMQswCQYDVQQDDAJkYjEKMAgGA1UECgwBeDBZMBMGByqGSM49\n"
				  "AgEGCCqGSM49AwEHA0IABA6kh0cwjX448nn16p4tA9T6SZyAcy7q+UxynmRsSEKL\n"
				  "dxW4wBovsnkwslJlaeZg8TGcKDmqj7QFI0weN84ty9SjgZwwgZkwHQYDVR0OBBYE\n"
				  "FLxKMyIY4c5CrxJiodxgUbiiPyBgMB8GA1UdIwQYMBaAFLxKMyIY4c5CrxJiodxg\n"
				  "UbiiPyBgMA8GA1UdEwEB/wQFMAMBAf8wMQYDVR0RBCowKIIJKi5leGFtcGxlhwQK\n"
				  "FAAFhxAgAQ24AAAAAAAAAAAAAAAFgQNhQGIwEwYDVR0lBAwwCgYIKwYBBQUHAwEw\n"
				  "CgYIKoZIzj0EAwIDSAAwRQIhANYG+Wdr19mwNwNcv1uDeFNUpIuj0T0UDOt6EwD7\n"
				  "oP58AiAuPrCpzKQn/jZTGZmh0le8HII2NV6Hj9Fn9e8xL7ZSAQ==\n"
				  "-----END CERTIFICATE-----\n";

static int make_corpus(const char *directory)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_text_ struct text text = {0};

		text_append(&text, " ");
		text.data[0] = texts[i].row;
		text_append(&text, texts[i].text);
		write_bytes(directory, "text", i, text.data, text.length);
	}
	for (size_t length = sizeof(certificate); length > 40; length /= 2) {
		_cleanup_text_ struct text text = {0};

		text_append(&text, " ");
		text.length = 1;
		text.data[0] = 0;
		text_printf(&text, "%.*s", (int)length, certificate);
		write_bytes(directory, "certificate", length, text.data, text.length);
	}
	return 0;
}

int main(int count, char **arguments)
{
	signal(SIGPIPE, SIG_IGN);
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif

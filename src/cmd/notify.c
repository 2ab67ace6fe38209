/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The protocol of sd_notify(3), and the native one of the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL): both are one
 * datagram to a socket. By hand, because libsystemd costs 1.2 MB of resident memory by being loaded (with libcap,
 * libgcrypt, liblz4, liblzma, libzstd; Debian 12), which is half of what all of watch has, for what are forty lines.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "watch.h"

/* A path, or with a @ in front an abstract name. Never waits: a service that hangs must not take us with it. */
static int send_datagram(const char *name, const void *bytes, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t name_length = strlen(name);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_length + (name[0] == '/'));
	_cleanup_close_ int descriptor = -1;

	if (name[0] != '/' && name[0] != '@')
		return -EAFNOSUPPORT;
	if (name_length < 2 || name_length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, name, name_length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return -errno;
	if (sendto(descriptor, bytes, length, MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		return -errno;
	return 0;
}

int notify_send(const char *socket_name, const char *state)
{
	return socket_name && *socket_name ? send_datagram(socket_name, state, strlen(state)) : 0;
}

/* Longer values say no more, and a datagram has a limit. */
#define FIELD_LIMIT 4096

/* NAME=value, or where the value has lines: NAME, newline, the length in 8 bytes, the least first, and the value. */
static void put_field(FILE *stream, const struct journal_field *field)
{
	size_t length = strnlen(field->value, FIELD_LIMIT);

	if (!memchr(field->value, '\n', length)) {
		fprintf(stream, "%s=%.*s\n", field->name, (int)length, field->value);
		return;
	}
	fprintf(stream, "%s\n", field->name);
	for (unsigned int i = 0; i < 8; i++)
		fputc((int)((uint64_t)length >> (8 * i) & 0xff), stream);
	fwrite(field->value, 1, length, stream);
	fputc('\n', stream);
}

int journal_send(const char *socket_name, const struct journal_field *fields, size_t count)
{
	char *bytes = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&bytes, &length);
	int r;

	if (!stream)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (fields[i].value && *fields[i].value)
			put_field(stream, &fields[i]);
	fclose(stream);
	r = send_datagram(socket_name, bytes, length);
	free(bytes);
	return r;
}

bool journal_is(int descriptor, const char *journal_stream)
{
	struct stat status;
	unsigned long long device, inode;

	return journal_stream && sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

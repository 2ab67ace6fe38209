/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How systemd starts a service. libsystemd knows the messages (sd-bus(3)); it is loaded here and not linked, so that
 * nothing else pays for it. Where variables go is done as in replace_env_argv() of systemd's src/basic/env-util.c.
 */

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "unit.h"

#define LIBRARY	      "libsystemd.so.0"
#define SOCKET	      "/run/systemd/private"
#define DESTINATION   "org.freedesktop.systemd1"
#define MICROSECONDS  UINT64_C(10000000) /* that an answer may take: the start of a server waits for it */
#define MAX_ARGUMENTS 4096u

struct bus {
	void *library;
	sd_bus *connection;
	sd_bus_message *reply;
	char *path; /* malloc()ed by the library */
	__typeof__(sd_bus_new) *open_new;
	__typeof__(sd_bus_set_address) *set_address;
	__typeof__(sd_bus_set_method_call_timeout) *set_timeout;
	__typeof__(sd_bus_start) *start;
	__typeof__(sd_bus_path_encode) *path_encode;
	__typeof__(sd_bus_get_property) *get_property;
	__typeof__(sd_bus_message_enter_container) *enter;
	__typeof__(sd_bus_message_exit_container) *leave;
	__typeof__(sd_bus_message_read_basic) *read;
	__typeof__(sd_bus_message_skip) *skip;
	__typeof__(sd_bus_message_unref) *message_unref;
	__typeof__(sd_bus_flush_close_unref) *close;
};

static int load(struct bus *bus, struct err *err)
{
	const struct {
		const char *name;
		void *place;
	} functions[] = {
		{"sd_bus_new", &bus->open_new},
		{"sd_bus_set_address", &bus->set_address},
		{"sd_bus_set_method_call_timeout", &bus->set_timeout},
		{"sd_bus_start", &bus->start},
		{"sd_bus_path_encode", &bus->path_encode},
		{"sd_bus_get_property", &bus->get_property},
		{"sd_bus_message_enter_container", &bus->enter},
		{"sd_bus_message_exit_container", &bus->leave},
		{"sd_bus_message_read_basic", &bus->read},
		{"sd_bus_message_skip", &bus->skip},
		{"sd_bus_message_unref", &bus->message_unref},
		{"sd_bus_flush_close_unref", &bus->close},
	};

	bus->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; bus->library && i < ARRAY_SIZE(functions); i++) {
		void *function = dlsym(bus->library, functions[i].name);

		if (!function) {
			dlclose(bus->library);
			bus->library = NULL;
			break;
		}
		memcpy(functions[i].place, &function, sizeof(function));
	}
	if (bus->library)
		return 0;
	err_set(err, ENOPKG, ERR_IO, "%s cannot be loaded", LIBRARY);
	err_hint(err, "install libsystemd0");
	return -ENOPKG;
}

static void bus_done(struct bus *bus)
{
	if (!bus->library)
		return;
	bus->message_unref(bus->reply);
	bus->close(bus->connection);
	free(bus->path);
	dlclose(bus->library);
}

/* Asks for the property ExecStartEx: an array of path, argv, flags, and of what became of it. */
static int ask(struct bus *bus, const char *unit, struct err *err)
{
	int r = bus->path_encode("/org/freedesktop/systemd1/unit", unit, &bus->path);

	if (r >= 0)
		r = bus->open_new(&bus->connection);
	if (r >= 0)
		r = bus->set_address(bus->connection, "unix:path=" SOCKET);
	if (r >= 0)
		r = bus->set_timeout(bus->connection, MICROSECONDS);
	if (r >= 0)
		r = bus->start(bus->connection);
	if (r >= 0)
		r = bus->get_property(bus->connection, DESTINATION, bus->path, DESTINATION ".Service", "ExecStartEx",
			NULL, &bus->reply, "a(sasasttttuii)");
	if (r >= 0)
		return 0;
	err_set(err, -r, ERR_IO, "systemd does not tell how it starts %s: %s", unit, strerror(-r));
	return r;
}

/* An array of strings. 1; 0 where there is none; or a negative errno value. */
static int read_strings(struct bus *bus, char ***ret, size_t *ret_count)
{
	size_t capacity = 0;
	const char *string;
	int r = bus->enter(bus->reply, 'a', "s");

	while (r > 0 && (r = bus->read(bus->reply, 's', &string)) > 0) {
		if (*ret_count >= MAX_ARGUMENTS)
			return -E2BIG;
		ARRAY_GROW(*ret, *ret_count, capacity);
		(*ret)[(*ret_count)++] = mem_string(string);
		r = 1;
	}
	return r < 0 ? r : bus->leave(bus->reply);
}

/* One command. 1, 0 behind the last one, or a negative errno value. */
static int read_one(struct bus *bus, struct unit_command *command)
{
	struct unit_command flags = {0};
	const char *program;
	int r = bus->enter(bus->reply, 'r', "sasasttttuii");

	if (r <= 0)
		return r;
	r = bus->read(bus->reply, 's', &program);
	if (r > 0) {
		command->program = mem_string(program);
		r = read_strings(bus, &command->arguments, &command->argument_count);
	}
	if (r >= 0)
		r = read_strings(bus, &flags.arguments, &flags.argument_count);
	for (size_t i = 0; i < flags.argument_count; i++)
		command->verbatim |= strcmp(flags.arguments[i], "no-env-expand") == 0;
	unit_command_done(&flags);
	if (r >= 0)
		r = bus->skip(bus->reply, "ttttuii");
	if (r >= 0)
		r = bus->leave(bus->reply);
	return r < 0 ? r : 1;
}

int unit_read_command(const char *unit, struct unit_command *ret, struct err *err)
{
	_cleanup_(bus_done) struct bus bus = {0};
	struct unit_command command = {0};
	struct unit_command second = {0};
	int r;

	if (access(SOCKET, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ENOENT, ERR_IO, "no systemd runs here: there is no %s", SOCKET);
	r = load(&bus, err);
	if (r == 0)
		r = ask(&bus, unit, err);
	if (r < 0)
		return r;
	r = bus.enter(bus.reply, 'a', "(sasasttttuii)");
	if (r > 0)
		r = read_one(&bus, &command);
	if (r < 0) {
		err_set(err, -r, ERR_IO, "systemd's answer about %s is not understood: %s", unit, strerror(-r));
	} else if (r == 0 || !command.argument_count) {
		r = err_set(err, ESRCH, ERR_IO, "%s has no ExecStart=, or is no unit of this host", unit);
	} else if (read_one(&bus, &second) != 0) {
		unit_command_done(&second);
		r = err_set(err, E2BIG, ERR_IO, "%s has more than one ExecStart=", unit);
	} else {
		*ret = command;
		return 0;
	}
	unit_command_done(&command);
	return r;
}

void unit_command_done(struct unit_command *command)
{
	for (size_t i = 0; i < command->argument_count; i++)
		free(command->arguments[i]);
	free(command->arguments);
	free(command->program);
	*command = (struct unit_command){0};
}

/* --- variables --- */

/* "" where it is not set, as in systemd. */
static const char *find_value(char *const *environment, const char *name, size_t length)
{
	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return "";
}

/* A dollar sign that begins neither ${ nor $$ stands for itself, and so does a ${ that does not end. */
static char *expand_within(const char *word, char *const *environment)
{
	struct text text = {0};

	while (*word) {
		const char *end = word[0] == '$' && word[1] == '{' ? strchr(word, '}') : NULL;

		if (end) {
			text_append(&text, find_value(environment, word + 2, (size_t)(end - word) - 2));
			word = end + 1;
			continue;
		}
		text_append_char(&text, *word);
		word += word[0] == '$' && word[1] == '$' ? 2 : 1;
	}
	return text_take(&text);
}

int unit_command_expand(struct unit_command *command, char *const *environment, struct err *err)
{
	static const char blank[] = " \t\n\r";
	struct unit_command expanded = {0};
	size_t capacity = 0;

	for (size_t i = 0; !command->verbatim && i < command->argument_count; i++) {
		const char *word = command->arguments[i];
		const char *rest;

		if (word[0] != '$' || word[1] == '{' || word[1] == '$') {
			ARRAY_GROW(expanded.arguments, expanded.argument_count, capacity);
			expanded.arguments[expanded.argument_count++] = expand_within(word, environment);
			continue;
		}
		rest = find_value(environment, word + 1, strlen(word + 1));
		if (strpbrk(rest, "'\"\\")) {
			unit_command_done(&expanded);
			err_set(err, ENOTSUP, ERR_IO, "the value of %s in ExecStart= has quotes in it", word);
			err_hint(err, "write the arguments into ExecStart= or into a flagfile");
			return -ENOTSUP;
		}
		while (*(rest += strspn(rest, blank))) {
			size_t length = strcspn(rest, blank);

			if (expanded.argument_count >= MAX_ARGUMENTS) {
				unit_command_done(&expanded);
				return err_set(
					err, ENOTSUP, ERR_IO, "ExecStart= has more than %u arguments", MAX_ARGUMENTS);
			}
			ARRAY_GROW(expanded.arguments, expanded.argument_count, capacity);
			expanded.arguments[expanded.argument_count++] = mem_stringn(rest, length);
			rest += length;
		}
	}
	if (command->verbatim)
		return 0;
	expanded.program = TAKE_PTR(command->program);
	unit_command_done(command);
	*command = expanded;
	command->verbatim = true;
	return 0;
}

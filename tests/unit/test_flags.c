/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What Dragonfly is told to do. Each row of dragonfly-facts.md 3.2 and of dragonfly-verified.md 1, 3 and 8 that flags
 * alone decide is a row here.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "flags.h"

/* --- files that are told, none of them on this host --- */

struct told_file {
	const char *path;
	const char *text;
	size_t length; /* 0: up to the NUL */
	int error;
};
#define FILES 4

static int read_told(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	const struct told_file *files = data;

	for (size_t i = 0; i < FILES && files[i].path; i++)
		if (strcmp(files[i].path, path) == 0) {
			if (files[i].error) {
				snprintf(why, INTERVAL_WHY, "not permitted");
				return files[i].error;
			}
			*ret_length = files[i].length ? files[i].length : strlen(files[i].text);
			*ret = mem_stringn("", 0);
			*ret = mem_resize(*ret, *ret_length + 1, 1);
			memcpy(*ret, files[i].text, *ret_length);
			return 0;
		}
	return -ENOENT;
}

/* "admin 0.0.0.0:9999 tls, main 127.0.0.1:6379 protected" */
static void describe_listeners(const struct intention *intention, struct text *text)
{
	static const char *const kinds[] = {"main", "admin", "memcached", "unix"};
	struct intended_listener listeners[INTENDED_MAXIMUM];
	size_t count = intention_listeners(intention, listeners);

	for (size_t i = 0; i < count; i++) {
		const struct intended_listener *listener = &listeners[i];
		char buffer[INTERVAL_TEXT];

		text_printf(text, "%s%s ", i ? ", " : "", kinds[listener->kind]);
		if (listener->kind == INTENDED_UNIX)
			text_append(text, listener->address);
		else if (!listener->resolved)
			text_printf(text, "name %s:%u", listener->address, listener->port);
		else
			text_printf(text, listener->width == WIDTH_IPV6 ? "[%s]:%u" : "%s:%u",
				value_format(listener->width, listener->value, buffer), listener->port);
		text_printf(text, "%s%s%s%s", listener->tls ? " tls" : "", listener->protected_mode ? " protected" : "",
			listener->wildcard ? " wildcard" : "", listener->dual ? " dual" : "");
	}
}

#define ANY	 "0.0.0.0:6379 wildcard"
#define MAIN_ANY "main " ANY
#define NO_NOTE	 -1

struct row {
	const char *arguments[8];
	struct told_file files[FILES];
	const char *environment[4];
	const char *listeners; /* NULL: not asked */
	const char *refusal;   /* begins with this; NULL: it starts */
	const char *place;     /* of the refusal: "f:2", "argument 1"; NULL: not asked */
	int note;	       /* 0: not asked; NO_NOTE: none; else one more than the note that must be there */
	const char *flag;
	const char *value;
	const char *unknown;
};

#define NOTE(name) ((int)NOTE_##name + 1)
#define F(text)	   .arguments = {"--flagfile=f"}, .files = {{"f", text, 0, 0}}
#define PASS	   "--requirepass=p"
#define KEY	   "--tls_key_file=k"

static const struct row rows[] = {
	/* dragonfly-facts.md 3.2 */
	{.arguments = {"--bind=10.0.0.5"}, .listeners = "main 10.0.0.5:6379", .note = NO_NOTE},
	{.arguments = {"--bind", "10.0.0.5"}, .listeners = "main 10.0.0.5:6379", .note = NO_NOTE},
	{.arguments = {"-bind", "10.0.0.5"}, .listeners = "main 10.0.0.5:6379", .note = NO_NOTE},
	{.arguments = {"-bind=10.0.0.5"}, .listeners = "main 10.0.0.5:6379", .note = NO_NOTE},
	{.arguments = {"---bind=10.0.0.5"},
		.refusal = "Unknown command line flag '-bind': write --bind",
		.place = "argument 1"},
	{.arguments = {"--port=1", "--Bind=10.0.0.5"},
		.refusal = "Unknown command line flag 'Bind': write --bind",
		.place = "argument 2"},
	{.arguments = {"--tls-cert-file=c"},
		.refusal = "Unknown command line flag 'tls-cert-file': write --tls_cert_file"},
	{.arguments = {"--tls", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard", .note = NO_NOTE},
	{.arguments = {"--tls", "--notls"}, .listeners = MAIN_ANY, .flag = "tls", .value = "false"},
	{.arguments = {"--tls=true", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls=Y", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls=YES", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls=1", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls= t ", PASS, KEY}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls=0"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls=F"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls=no"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls=n"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls=on"}, .refusal = "Illegal value 'on' specified for flag 'tls'; write true or false"},
	{.arguments = {"--tls=off"}, .refusal = "Illegal value 'off' specified for flag 'tls'"},
	{.arguments = {PASS, KEY, "--tls", "false"},
		.listeners = "main 0.0.0.0:6379 tls wildcard",
		.note = NOTE(POSITIONAL)},
	{.arguments = {"--tls", "off"},
		.refusal = "TLS configured but no authentication method",
		.note = NOTE(POSITIONAL)},
	{.arguments = {"--tls="}, .refusal = "Missing the value after assignment for the boolean flag 'tls'"},
	{.arguments = {"--notls=x"},
		.refusal = "Negative form with assignment is not valid for the boolean flag 'tls'"},
	{.arguments = {"--nobind"}, .refusal = "Negative form is not valid for the flag 'bind'"},
	{.arguments = {"--nobind=1.2.3.4"}, .refusal = "Negative form is not valid for the flag 'bind'"},
	{.arguments = {"--no_tls_on_admin_port"},
		.flag = "no_tls_on_admin_port",
		.value = "true",
		.listeners = MAIN_ANY},
	{.arguments = {"--nono_tls_on_admin_port"},
		.flag = "no_tls_on_admin_port",
		.value = "false",
		.listeners = MAIN_ANY},
	{.arguments = {"--bind", "--tls"},
		.flag = "bind",
		.value = "--tls",
		.note = NOTE(SWALLOWED),
		.refusal = "Error resolving address"},
	{.arguments = {"--port=0x1F"}, .listeners = "main 0.0.0.0:31 wildcard", .note = NO_NOTE},
	{.arguments = {"--port= 6380 "}, .listeners = "main 0.0.0.0:6380 wildcard", .note = NO_NOTE},
	{.arguments = {"--port=06380"}, .listeners = "main 0.0.0.0:6380 wildcard"},
	{.arguments = {"--port=+6380"}, .listeners = "main 0.0.0.0:6380 wildcard"},
	{.arguments = {"--port", "-1"}, .listeners = "main 0.0.0.0:0 wildcard", .note = NO_NOTE},
	{.arguments = {"--port=0x"}, .refusal = "Illegal value '0x' specified for flag 'port'"},
	{.arguments = {"--port=63 80"}, .refusal = "Illegal value"},
	{.arguments = {"--port="}, .refusal = "Illegal value '' specified for flag 'port'"},
	{.arguments = {"--port"}, .refusal = "Missing the value for the flag 'port'"},
	{.arguments = {"--bind=127.0.0.1", "--", "--bind=0.0.0.0"},
		.listeners = "main 127.0.0.1:6379",
		.note = NOTE(POSITIONAL)},
	{.arguments = {"--bind=127.0.0.1", "--=", "--bind=0.0.0.0"}, .listeners = "main 127.0.0.1:6379"},
	{.arguments = {"-"}, .listeners = MAIN_ANY, .note = NOTE(POSITIONAL)},
	/* Flagfiles. */
	{F("--bind=127.0.0.1\n"), .listeners = "main 127.0.0.1:6379", .note = NO_NOTE},
	{F("  \t--bind=127.0.0.1"), .listeners = "main 127.0.0.1:6379", .note = NO_NOTE},
	{F("\n# --bind=1.1.1.1\n   # x\n\r\n-bind=127.0.0.1\n"), .listeners = "main 127.0.0.1:6379", .note = NO_NOTE},
	{F("--bind 1.2.3.4\n"),
		.refusal = "Unknown command line flag 'bind ...': in a flagfile a value stands behind '='",
		.place = "f:1"},
	{F("--bind 1.2.3.4\n"), .flag = "bind", .value = "", .refusal = "Unknown command line flag"},
	{F("--tls false\n"), .refusal = "Unknown command line flag 'tls ...'"},
	{F("# c\nbind 1.2.3.4\n"), .refusal = "Unexpected line in the flagfile: 'bind'", .place = "f:2"},
	{F("bind=1.2.3.4\n"), .refusal = "Unexpected line in the flagfile: 'bind'"},
	{F("; comment\n"), .refusal = "Unexpected line in the flagfile: ';'"},
	{F("\xef\xbb\xbf--bind=127.0.0.1\n"),
		.refusal = "Unexpected line in the flagfile: it begins with a byte order mark"},
	{F("\xef\xbb\xbf# only a comment\n"),
		.refusal = "Unexpected line in the flagfile: it begins with a byte order mark"},
	{F("\xff\xfe-\n"), .refusal = "Unexpected line in the flagfile: it is written in UTF-16"},
	{F("s3cret-alone\n"), .refusal = "Unexpected line in the flagfile: it does not begin with '-'"},
	{F("--bind=127.0.0.1\n--\n--port=1\n"), .refusal = "Flagfile can't contain position arguments or --",
		.place = "f:2"},
	{F("-\n"), .refusal = "Flagfile cannot contain positional argument"},
	{F("--=x\n"), .refusal = "Flagfile cannot contain positional argument"},
	{F("--bind=1.1.1.1\n--bind=127.0.0.1\n"), .listeners = "main 127.0.0.1:6379", .note = NOTE(OVERRIDDEN)},
	{F("--bind=127.0.0.1\n--bind=127.0.0.1\n"), .listeners = "main 127.0.0.1:6379", .note = NO_NOTE},
	{F("--bind\n--requirepass=x\n--port=1\n"), .flag = "bind", .value = "--requirepass=x",
		.refusal = "Error resolving address a secret value", .note = NOTE(SWALLOWED)},
	{F("--port=1\n--bind\n"), .refusal = "Missing the value for the flag 'bind'", .place = "f:2"},
	{F("--port=1 \\\n--bind=127.0.0.1\n"), .refusal = "Illegal value '1 \\' specified for flag 'port'"},
	/* dragonfly-verified.md 8 */
	{F("--bind=127.0.0.1 # c\n"), .flag = "bind", .value = "127.0.0.1 # c",
		.refusal = "Error resolving address '127.0.0.1 # c'", .note = NOTE(COMMENT)},
	{F("--bind=127.0.0.1 \n"), .flag = "bind", .value = "127.0.0.1 ", .refusal = "Error resolving address",
		.note = NOTE(BLANK)},
	{F("--bind=\"127.0.0.1\"\n"), .flag = "bind", .value = "\"127.0.0.1\"", .refusal = "Error resolving address",
		.note = NOTE(QUOTES)},
	{F("--bind=127.0.0.1\\\n"), .flag = "bind", .value = "127.0.0.1\\", .refusal = "Error resolving address",
		.note = NOTE(OTHER)},
	{F("--bind=127.0.0.1\r\n"), .flag = "bind", .value = "127.0.0.1\r",
		.refusal = "Error resolving address '127.0.0.1\\x0d'", .note = NOTE(BLANK)},
	{F("--requirepass=p # secret\n"), .flag = "requirepass", .value = "p # secret", .listeners = MAIN_ANY,
		.note = NOTE(COMMENT)},
	{F("--requirepass=p#1\n"), .flag = "requirepass", .value = "p#1", .listeners = MAIN_ANY, .note = NO_NOTE},
	{F("--requirepass=p \n"), .flag = "requirepass", .value = "p ", .listeners = MAIN_ANY, .note = NOTE(BLANK)},
	{F("--requirepass=\"p\"\n"), .flag = "requirepass", .value = "\"p\"", .listeners = MAIN_ANY,
		.note = NOTE(QUOTES)},
	{F("--requirepass='p'\n"), .flag = "requirepass", .value = "'p'", .listeners = MAIN_ANY, .note = NOTE(QUOTES)},
	{F("--requirepass=p\r\n"), .flag = "requirepass", .value = "p\r", .listeners = MAIN_ANY, .note = NOTE(BLANK)},
	{F("--requirepass=p\\\n"), .flag = "requirepass", .value = "p\\", .listeners = MAIN_ANY, .note = NOTE(OTHER)},
	{F("--maxclients=77 # n\n"), .refusal = "Illegal value '77 # n' specified for flag 'maxclients'",
		.place = "f:1"},
	{F("--maxclients=77\r\n--tls=false \r\n"), .flag = "maxclients", .value = "77\r", .listeners = MAIN_ANY,
		.note = NO_NOTE},
	{F("--maxmemory=1G\r\n"), .refusal = "Illegal value '1G\\x0d' specified for flag 'maxmemory'; write it as"},
	{F("--admin_nopass\r\n"),
		.refusal = "Unknown command line flag 'admin_nopass\\r': the line ends with a carriage return"},
	{.arguments = {"-p", "1"}, .refusal = "Unknown command line flag 'p'"},
	{.arguments = {"--nosuch=1"}, .refusal = "Unknown command line flag 'nosuch'"},
	{.arguments = {"--nosuch=1", "--undefok=x,nosuch"}, .listeners = MAIN_ANY, .note = NOTE(OTHER)},
	{.arguments = {"--undefok=nosuch", "--nonosuch"}, .listeners = MAIN_ANY, .note = NOTE(OTHER)},
	{.arguments = {"--nosuch", "--undefok=nosuch", "--undefok=y"}, .refusal = "Unknown command line flag 'nosuch'"},
	{.arguments = {"--undefok=nosuchflag", "--nosuch"}, .refusal = "Unknown command line flag 'nosuch'"},
	{.arguments = {"--requirepass", "--bind=10.0.0.5"},
		.flag = "requirepass",
		.value = "--bind=10.0.0.5",
		.listeners = MAIN_ANY,
		.note = NOTE(SWALLOWED)},
	{F("--requirepass\n--bind=10.0.0.5\n"), .flag = "requirepass", .value = "--bind=10.0.0.5",
		.listeners = MAIN_ANY, .note = NOTE(SWALLOWED)},
	{.arguments = {"--flagfile=nosuch"}, .refusal = "Can't open flagfile 'nosuch'", .place = "argument 1"},
	{F("--port=1\n--flagfile=nosuch\n"), .refusal = "Can't open flagfile 'nosuch'", .place = "f:2"},
	{.arguments = {"--flagfile=f"},
		.files = {{"f", "", 0, -EISDIR}},
		.listeners = MAIN_ANY,
		.note = NOTE(EMPTY_FILE)},
	{F(""), .listeners = MAIN_ANY, .note = NOTE(EMPTY_FILE)},
	{F("# nothing\n\n"), .listeners = MAIN_ANY, .note = NOTE(EMPTY_FILE)},
	{.arguments = {"--flagfile=f"},
		.files = {{"f", "", 0, -EACCES}},
		.unknown = "the flagfile f could not be read: not permitted"},
	{.arguments = {"/etc/dragonfly/dragonfly.conf"}, .listeners = MAIN_ANY, .note = NOTE(POSITIONAL)},
	{.arguments = {"--flagfile=f", "--bind=10.0.0.5"},
		.files = {{"f", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = "main 10.0.0.5:6379",
		.note = NOTE(OVERRIDDEN)},
	{.arguments = {"--bind=10.0.0.5", "--flagfile=f"},
		.files = {{"f", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = "main 127.0.0.1:6379",
		.note = NOTE(OVERRIDDEN)},
	{F("--bind=127.0.0.1\n"), .environment = {"DFLY_bind=0.0.0.0"}, .listeners = "main 127.0.0.1:6379",
		.note = NOTE(ENVIRONMENT_IGNORED)},
	{.environment = {"DFLY_bind=127.0.0.1"}, .listeners = "main 127.0.0.1:6379", .note = NO_NOTE},
	{.environment = {"FLAGS_bind=127.0.0.1"}, .listeners = MAIN_ANY, .note = NOTE(ENVIRONMENT_IGNORED)},
	{.arguments = {"--fromenv=bind"},
		.environment = {"FLAGS_bind=127.0.0.1"},
		.listeners = "main 127.0.0.1:6379",
		.note = NO_NOTE},
	{.arguments = {"--fromenv=bind"}, .refusal = "FLAGS_bind not found in environment"},
	{.arguments = {"--tryfromenv=bind,port"},
		.environment = {"FLAGS_port=1"},
		.listeners = "main 0.0.0.0:1 wildcard"},
	{.arguments = {"--fromenv=bind,fromenv"},
		.environment = {"FLAGS_bind=127.0.0.1"},
		.refusal = "Infinite recursion on flag fromenv"},
	{.arguments = {"--fromenv=bind"},
		.environment = {"FLAGS_bind=127.0.0.1", "DFLY_bind=0.0.0.0"},
		.listeners = "main 127.0.0.1:6379"},
	{.arguments = {"--fromenv=bind", "--bind=10.0.0.5"},
		.environment = {"FLAGS_bind=127.0.0.1"},
		.listeners = "main 10.0.0.5:6379"},
	{.arguments = {"--fromenv=flagfile"},
		.environment = {"FLAGS_flagfile=f"},
		.files = {{"f", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = "main 127.0.0.1:6379"},
	{.environment = {"DFLY_nosuch=1"}, .refusal = "unknown environment variable DFLY_nosuch"},
	{.environment = {"DFLY_PASSWORD=x"},
		.refusal = "unknown environment variable DFLY_PASSWORD: write --requirepass"},
	{.environment = {"DFLY_BIND=x"}, .refusal = "unknown environment variable DFLY_BIND: write --bind"},
	{.environment = {"DFLY_=x"}, .refusal = "unknown environment variable DFLY_"},
	{.environment = {"DFLY_experimental_io_loop_v2=1"},
		.refusal = "unknown environment variable DFLY_experimental_io_loop_v2"},
	{.environment = {"DFLY_port=abc"}, .refusal = "could not parse flag port from environment variable"},
	{.environment = {"DFLY_tls="}, .refusal = "could not parse flag tls from environment variable"},
	{.environment = {"dfly_bind=127.0.0.1"}, .listeners = MAIN_ANY, .note = NOTE(ENVIRONMENT_IGNORED)},
	{.environment = {"DFLY_flagfile=f"},
		.files = {{"f", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = MAIN_ANY,
		.note = NOTE(ENVIRONMENT_IGNORED)},
	{.environment = {"DFLY_bind="}, .listeners = MAIN_ANY, .note = NO_NOTE},
	{.environment = {"DFLY_DEV_ENV=1"}, .listeners = MAIN_ANY, .note = NO_NOTE},
	{.arguments = {"--rename_command=CONFIG="},
		.refusal = "Unknown command line flag 'rename_command': write --restricted_commands"},
	{.arguments = {"--experimental_io_loop_v2"}, .listeners = MAIN_ANY, .note = NOTE(OTHER)},
	{.arguments = {"--version"}, .refusal = "with --version it prints about itself and ends"},
	{.arguments = {"--helpfull", "--nosuch"}, .refusal = "Unknown command line flag 'nosuch'"},
	/* Lists of flagfiles, nesting. */
	{.arguments = {"--flagfile=f,g"},
		.files = {{"f", "--bind=1.1.1.1\n--port=1\n", 0, 0}, {"g", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = "main 127.0.0.1:1",
		.flag = "flagfile",
		.value = "f,g"},
	{.arguments = {"--flagfile=f", "--flagfile=g"},
		.files = {{"f", "--bind=1.1.1.1\n--port=1\n", 0, 0}, {"g", "--bind=127.0.0.1\n", 0, 0}},
		.listeners = "main 127.0.0.1:1",
		.flag = "flagfile",
		.value = "f,g"},
	{F("--bind=1.1.1.1\n--flagfile=g\n--port=2\n"), .files[1] = {"g", "--bind=127.0.0.1\n--port=1\n", 0, 0},
		.listeners = "main 127.0.0.1:2", .flag = "flagfile", .value = "f"},
	{.arguments = {"--flagfile=f,,g"},
		.files = {{"f", "--port=1\n", 0, 0}, {"g", "--port=1\n", 0, 0}},
		.refusal = "Can't open flagfile ''"},
	{.arguments = {"--flagfile="}, .listeners = MAIN_ANY},
	{.arguments = {"--flagfile=f,f"}, .files = {{"f", "--port=1\n", 0, 0}}, .listeners = "main 0.0.0.0:1 wildcard"},
	{F("--flagfile=f\n"), .refusal = "the flagfile f includes itself", .place = "f:1"},
	{F("--flagfile=g\n"), .files[1] = {"g", "--port=1\n--flagfile=f\n", 0, 0},
		.refusal = "the flagfile f includes itself", .place = "g:2"},
	{F("--tryfromenv=flagfile\n"), .environment = {"FLAGS_flagfile=f"},
		.refusal = "the flagfile f includes itself"},
	{.arguments = {"--flagfile=f"},
		.files = {{"f", "--bind=1\0002\n", 9, 0}},
		.unknown = "line 1 of a flagfile holds a NUL byte"},
	/* dragonfly-verified.md 1 */
	{.listeners = MAIN_ANY, .note = NO_NOTE},
	{.arguments = {"--bind=localhost"}, .listeners = "main 127.0.0.1:6379"},
	{.arguments = {"--bind=::"}, .listeners = "main [::]:6379 wildcard dual"},
	{.arguments = {"--bind=0.0.0.0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=*"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=0.0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=0x0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=00.0.0.0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=127.1"}, .listeners = "main 127.0.0.1:6379"},
	{.arguments = {"--bind=2130706433"}, .listeners = "main 127.0.0.1:6379"},
	{.arguments = {"--bind=010.0.0.1"}, .listeners = "main 8.0.0.1:6379"},
	{.arguments = {"--bind=::1"}, .listeners = "main [::1]:6379"},
	{.arguments = {"--bind=fd99:7::1"}, .listeners = "main [fd99:7::1]:6379"},
	{.arguments = {"--bind=fe80::1%eth0"}, .listeners = "main [fe80::1]:6379"},
	{.arguments = {"--bind=::ffff:0.0.0.0"}, .listeners = MAIN_ANY},
	{.arguments = {"--bind=::ffff:10.0.0.5"}, .listeners = "main 10.0.0.5:6379"},
	{.arguments = {"--bind=cache.example"}, .listeners = "main name cache.example:6379"},
	{.arguments = {"--bind=127.0.0.1,10.0.0.5"},
		.refusal = "Error resolving address '127.0.0.1,10.0.0.5': it takes one address only"},
	{.arguments = {"--bind=127.0.0.1 10.0.0.5"},
		.refusal = "Error resolving address '127.0.0.1 10.0.0.5': it takes one address only"},
	{.arguments = {"--bind=[::1]"}, .refusal = "Error resolving address '[::1]'"},
	{.arguments = {"--bind=10.0.0.0/24"}, .refusal = "Error resolving address '10.0.0.0/24'"},
	{.arguments = {"--bind=10.0.0.5:6379"}, .refusal = "Error resolving address '10.0.0.5:6379'"},
	{.arguments = {"--bind=1.1.1.1", "--bind=127.0.0.1"}, .listeners = "main 127.0.0.1:6379"},
	{.arguments = {"--bind=127.0.0.1", "--admin_port=9999"},
		.listeners = "admin 0.0.0.0:9999 wildcard, main 127.0.0.1:6379"},
	{.arguments = {"--admin_bind=127.0.0.1", "--admin_port=9999"}, .listeners = "admin 127.0.0.1:9999, " MAIN_ANY},
	{.arguments = {"--admin_bind=::", "--admin_port=9999"},
		.listeners = "admin [::]:9999 wildcard dual, " MAIN_ANY},
	{.arguments = {"--admin_bind=a,b", "--admin_port=9999"}, .listeners = MAIN_ANY, .note = NOTE(NOT_OPENED)},
	{.arguments = {"--admin_bind=127.0.0.1"}, .listeners = MAIN_ANY},
	{.arguments = {"--admin_port=76747"}, .refusal = "Illegal value '76747' specified for flag 'admin_port'"},
	{.arguments = {"--memcached_port=11211"}, .listeners = MAIN_ANY ", memcached 0.0.0.0:11211 wildcard"},
	{.arguments = {"--memcached_port=11211", "--bind=10.0.0.5"},
		.listeners = "main 10.0.0.5:6379, memcached 10.0.0.5:11211"},
	{.arguments = {"--memcached_port=76747"},
		.listeners = MAIN_ANY ", memcached 0.0.0.0:11211 wildcard",
		.note = NOTE(TRUNCATED)},
	{.arguments = {"--memcached_port=65536"},
		.listeners = MAIN_ANY ", memcached 0.0.0.0:0 wildcard",
		.note = NOTE(TRUNCATED)},
	{.arguments = {"--memcached_port=4294967296"}, .refusal = "Illegal value"},
	{.arguments = {"--memcached_port=-1"}, .refusal = "Illegal value"},
	{.environment = {"INVOCATION_ID=1"},
		.arguments = {"--admin_port=9999", "--memcached_port=1"},
		.listeners =
			"admin 0.0.0.0:9999 wildcard, main 127.0.0.1:6379 protected, memcached 127.0.0.1:1 protected"},
	{.environment = {"INVOCATION_ID="}, .listeners = "main 127.0.0.1:6379 protected"},
	{.environment = {"INVOCATION_ID=1"}, .arguments = {PASS}, .listeners = MAIN_ANY},
	{.environment = {"INVOCATION_ID=1", "DFLY_requirepass=p"}, .listeners = MAIN_ANY},
	{.environment = {"INVOCATION_ID=1"},
		.arguments = {"--aclfile=a"},
		.listeners = "main 127.0.0.1:6379 protected"},
	{.environment = {"INVOCATION_ID=1"},
		.arguments = {"--tls", KEY, "--tls_ca_cert_file=c"},
		.listeners = "main 127.0.0.1:6379 tls protected"},
	{.environment = {"INVOCATION_ID=1"}, .arguments = {"--bind=0.0.0.0"}, .listeners = MAIN_ANY},
	{.arguments = {"--port=0"}, .refusal = "received --port 0, yet no unix socket to listen to"},
	{.arguments = {"--port=0", "--unixsocket=/run/d", "--admin_port=9999", "--memcached_port=1"},
		.listeners = "unix /run/d, admin 0.0.0.0:9999 wildcard"},
	{.arguments = {"--port=-1"}, .listeners = "main 0.0.0.0:0 wildcard"},
	{.arguments = {"--port=-2"}, .refusal = "Bad port number"},
	{.arguments = {"--port=70000"}, .refusal = "Bad port number", .place = "argument 1"},
	{.arguments = {"--port=2147483648"}, .refusal = "Illegal value"},
	{.arguments = {"--admin_port=6379"}, .refusal = "Could not open port 6379: Address already in use"},
	{.arguments = {"--admin_port=6379", "--admin_bind=10.0.0.5", "--bind=10.0.0.6"},
		.listeners = "admin 10.0.0.5:6379, main 10.0.0.6:6379"},
	{.arguments = {"--admin_port=6379", "--bind=10.0.0.5"},
		.refusal = "Could not open port 6379: Address already in use"},
	{.arguments = {"--admin_port=6379", "--admin_bind=10.0.0.5"},
		.refusal = "Could not open port 6379: Address already in use"},
	{.arguments = {"--admin_port=6379", "--admin_bind=10.0.0.5", "--bind=::"},
		.listeners = "admin 10.0.0.5:6379, main [::]:6379 wildcard dual",
		.note = NOTE(OTHER)},
	{.arguments = {"--admin_port=6379", "--admin_bind=10.0.0.5", "--bind=::1"},
		.listeners = "admin 10.0.0.5:6379, main [::1]:6379",
		.note = NO_NOTE},
	{.arguments = {"--memcached_port=6379"}, .refusal = "Could not open port 6379: Address already in use"},
	{.arguments = {"--memcached_port=6379", "--bind=name.example"},
		.listeners = "main name name.example:6379, memcached name name.example:6379"},
	{.arguments = {"--cluster_mode=yes"}, .listeners = MAIN_ANY},
	{.arguments = {"--unixsocket=/run/d", "--unixsocketperm=770"}, .listeners = "unix /run/d, " MAIN_ANY},
	{.arguments = {"--unixsocket=/run/d", "--unixsocketperm=1000"}, .refusal = "Invalid unixsocketperm"},
	{.arguments = {"--unixsocket=/run/d", "--unixsocketperm=rw"}, .refusal = "Invalid unixsocketperm"},
	{.arguments = {"--unixsocketperm=rw"}, .listeners = MAIN_ANY},
	/* dragonfly-verified.md 3 */
	{.arguments = {"--tls"},
		.refusal = "TLS configured but no authentication method is used",
		.place = "argument 1"},
	{.arguments = {"--tls", KEY, "--tls_cert_file=c"},
		.refusal = "TLS configured but no authentication method is used"},
	{.arguments = {"--tls", KEY, "--aclfile=a"}, .refusal = "TLS configured but no authentication method is used"},
	{.arguments = {"--tls", KEY, "--requirepass="},
		.refusal = "TLS configured but no authentication method is used"},
	{.arguments = {"--tls", KEY},
		.environment = {"DFLY_requirepass=p"},
		.listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls", KEY, "--tls_ca_cert_dir=d"}, .listeners = "main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls", PASS},
		.refusal = "To use TLS, a server certificate must be provided with the --tls_key_file flag"},
	{.arguments = {"--tls", PASS, "--tls_cert_file=c"},
		.refusal = "To use TLS, a server certificate must be provided"},
	{.arguments = {KEY, "--tls_cert_file=c"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls", PASS, KEY, "--no_tls_on_admin_port", "--admin_port=9", "--memcached_port=8",
		 "--unixsocket=/u"},
		.listeners = "unix /u tls, admin 0.0.0.0:9 wildcard, main 0.0.0.0:6379 tls wildcard, memcached "
			     "0.0.0.0:8 tls wildcard"},
	{.arguments = {"--tls", PASS, KEY, "--admin_port=9"},
		.listeners = "admin 0.0.0.0:9 tls wildcard, main 0.0.0.0:6379 tls wildcard"},
	{.arguments = {"--tls", KEY, "--no_tls_on_admin_port"},
		.refusal = "TLS configured but no authentication method is used"},
	{.arguments = {"--tls_replication"}, .refusal = "No authentication method configured"},
	{.arguments = {"--tls_replication", KEY}, .refusal = "tls_cert_file flag should be set"},
	{.arguments = {"--tls_replication", "--masterauth=s"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls_replication", KEY, "--tls_cert_file=c"}, .listeners = MAIN_ANY},
	/* Other refusals, from the source. */
	{.arguments = {"--maxmemory=255MB"}, .refusal = "--maxmemory is too small"},
	{.arguments = {"--maxmemory=1G", "--proactor_threads=4"}, .listeners = MAIN_ANY},
	{.arguments = {"--maxmemory=1GiB", "--proactor_threads=5"}, .refusal = "--maxmemory is too small"},
	{.arguments = {"--maxmemory=1.5g"}, .listeners = MAIN_ANY},
	{.arguments = {"--maxmemory=-1"}, .refusal = "Illegal value"},
	{.arguments = {"--maxmemory=1X"}, .refusal = "Illegal value"},
	{.arguments = {"--save_schedule=1"}, .refusal = "save_schedule flag is deprecated"},
	{.arguments = {"--cluster_mode=no"}, .refusal = "Invalid value for flag --cluster_mode"},
	{.arguments = {"--dbnum=1025"}, .refusal = "dbnum is too big"},
	{.arguments = {"--notify_keyspace_events=KEA"}, .refusal = "Invalid notify_keyspace_events"},
	{.arguments = {"--dbfilename=/var/x"}, .refusal = "filename may not contain directory separators"},
	{.arguments = {"--replicaof=10.0.0.1"},
		.refusal = "Illegal value '10.0.0.1' specified for flag 'replicaof'; write HOST:PORT"},
	{.arguments = {"--replicaof=[::1]:6379"}, .listeners = MAIN_ANY},
	{.arguments = {"--replicaof=[::1:6379"}, .refusal = "Illegal value"},
	{.arguments = {"--snapshot_cron=\"* * * * *\""}, .refusal = "Illegal value"},
	{.arguments = {"--compression_mode=NONE", "--luagc=inc/1/2/3", "--rss_oom_deny_ratio=1e-2"},
		.listeners = MAIN_ANY},
	{.arguments = {"--compression_mode=none"}, .refusal = "Illegal value"},
	{.arguments = {"--luagc=inc/1/2"}, .refusal = "Illegal value"},
	{.arguments = {"--rss_oom_deny_ratio=1,2"}, .refusal = "Illegal value"},
	{.arguments = {"--tiered_min_value_size=63"}, .refusal = "Illegal value"},
	{.arguments = {"--tcp_backlog=65536"}, .refusal = "Illegal value"},
	{.arguments = {"--tls_session_cache_size=18446744073709551615"}, .listeners = MAIN_ANY},
	{.arguments = {"--tls_session_cache_size=18446744073709551616"}, .refusal = "Illegal value"},
};

static struct intention *read_row(const struct row *row)
{
	size_t arguments = 0;
	size_t environment = 0;
	struct intention *intention;

	while (arguments < ARRAY_SIZE(row->arguments) && row->arguments[arguments])
		arguments++;
	while (environment < ARRAY_SIZE(row->environment) && row->environment[environment])
		environment++;
	intention_read(&(struct flags_input){.arguments = (char *const *)row->arguments,
			       .argument_count = arguments,
			       .environment = (char *const *)row->environment,
			       .environment_count = environment,
			       .read_file = read_told,
			       .data = (void *)(uintptr_t)row->files},
		&intention);
	return intention;
}

static bool has_note(const struct intention *intention, enum flag_note note)
{
	for (size_t i = 0; i < intention->remark_count; i++)
		if (intention->remarks[i].note == note)
			return true;
	return false;
}

/* All rows are told that fail, not only the first. */
static unsigned int wrongs;
#define wrong(...) (wrongs++, print_error(__VA_ARGS__), print_error("\n"))

static void check_row(const struct row *row, const char *name)
{
	struct intention *intention = read_row(row);
	_cleanup_text_ struct text listeners = {0};
	_cleanup_free_ char *place = intention->refusal_file
					     ? mem_format("%s:%u", intention->refusal_file, intention->refusal_line)
					     : mem_format("argument %u", intention->refusal_line);

	describe_listeners(intention, &listeners);
	if (!row->refusal && intention->refusal)
		wrong("%s: refuses: %s", name, intention->refusal);
	if (row->refusal && !intention->refusal)
		wrong("%s: starts, with %s", name, text_string(&listeners));
	else if (row->refusal && strncmp(row->refusal, intention->refusal, strlen(row->refusal)) != 0)
		wrong("%s: refuses otherwise: %s", name, intention->refusal);
	if (row->place && strcmp(row->place, place) != 0)
		wrong("%s: refuses at %s", name, place);
	if (row->refusal && listeners.length)
		wrong("%s: refuses, but opens %s", name, text_string(&listeners));
	if (row->listeners && strcmp(row->listeners, text_string(&listeners)) != 0)
		wrong("%s: opens %s", name, text_string(&listeners));
	if (row->note == NO_NOTE && intention->remark_count)
		wrong("%s: remarks: %s", name, intention->remarks[0].message);
	if (row->note > 0 && !has_note(intention, (enum flag_note)(row->note - 1)))
		wrong("%s: no such remark, but %s", name,
			intention->remark_count ? intention->remarks[0].message : "none at all");
	if (row->flag && !same_string(intention_text(intention, row->flag), row->value))
		wrong("%s: --%s=%s", name, row->flag, intention_text(intention, row->flag));
	if (!same_string(row->unknown, intention->unknown))
		wrong("%s: unknown: %s", name, intention->unknown ? intention->unknown : "nothing");
	intention_free(intention);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_text_ struct text name = {0};

		text_printf(&name, "row %zu:", i);
		for (size_t j = 0; j < ARRAY_SIZE(rows[i].arguments) && rows[i].arguments[j]; j++)
			text_printf(&name, " %s", rows[i].arguments[j]);
		for (size_t j = 0; j < ARRAY_SIZE(rows[i].environment) && rows[i].environment[j]; j++)
			text_printf(&name, " %s", rows[i].environment[j]);
		if (rows[i].files[0].text)
			text_printf(&name, " (%s)", rows[i].files[0].text);
		check_row(&rows[i], text_string(&name));
	}
	assert_int_equal(wrongs, 0);
}

/* --- what may be shown --- */

/* Secrets in each place where one can stand, right and wrong; none may come back in a message. */
static const struct row secrets[] = {
	{.arguments = {"--requirepass=hunter2", "--masterauth", "hunter2", "--requirepass=hunter22"}},
	{.arguments = {"--requirepas=hunter2"}},
	{.arguments = {"--requirepass", "-hunter2"}},
	{.arguments = {"--bind", "--requirepass=hunter2"}},
	{.arguments = {"--port", "--requirepass=hunter2"}},
	{.arguments = {"--admin_bind=--masterauth=hunter2", "--admin_port=1"}},
	{.arguments = {"--requirepass=", "hunter2"}},
	{.arguments = {"--tls", "hunter2"}},
	{.environment = {"DFLY_requirepass=hunter2 ", "DFLY_requirepass=\"hunter2\""}, .arguments = {"--masterauth=x"}},
	{.environment = {"DFLY_PASSWORD=hunter2"}},
	{.environment = {"DFLY_requirepass=hunter2"}, .arguments = {"--requirepass=x"}},
	{.environment = {"FLAGS_requirepass=hunter2"}},
	{F("--requirepass hunter2\n")},
	{F("--requirepass:hunter2\n")},
	{F("requirepass hunter2\n")},
	{F("hunter2\n")},
	{F("--requirepass=hunter2 # x\n--requirepass='hunter2'\n--requirepass=hunter2\r\n")},
	{F("--bind\n--requirepass=hunter2\n")},
	{F("--replicaof\n--masterauth=hunter2\n")},
	{F("user default on >hunter2\n")},
};

static void test_secrets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		struct intention *intention = read_row(&secrets[i]);
		struct intended_listener listeners[INTENDED_MAXIMUM];
		size_t count = intention_listeners(intention, listeners);

		if (intention->refusal && strstr(intention->refusal, "hunter2"))
			fail_msg("row %zu: %s", i, intention->refusal);
		for (size_t j = 0; j < intention->remark_count; j++)
			if (strstr(intention->remarks[j].message, "hunter2"))
				fail_msg("row %zu: %s", i, intention->remarks[j].message);
		for (size_t j = 0; j < intention->flag_count; j++) {
			_cleanup_text_ struct text shown = {0};

			assert_null(strstr(intention->flags[j].name, "hunter2"));
			flag_shown(&intention->flags[j], &shown);
			if (strstr(text_string(&shown), "hunter2"))
				fail_msg("row %zu: %s", i, text_string(&shown));
		}
		for (size_t j = 0; j < count; j++)
			assert_null(strstr(listeners[j].address, "hunter2"));
		intention_free(intention);
	}
	assert_true(flag_is_secret("requirepass"));
	assert_true(flag_is_secret("masterauth"));
	assert_true(flag_is_secret("no_such_flag"));
	assert_false(flag_is_secret("bind"));
}

static void test_shown(void **state)
{
	struct flag flag = {.name = "bind", .value = (char *)(uintptr_t) "a\n\033[2J\xff"};
	_cleanup_text_ struct text shown = {0};
	char longer[300];

	(void)state;
	flag_shown(&flag, &shown);
	assert_string_equal(text_string(&shown), "'a\\x0a\\x1b[2J\\xff'");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	flag.value = longer;
	flag_shown(&flag, &shown);
	assert_true(shown.length < 120);
}

/* --- the table --- */

static const struct {
	const char *name;
	const char *advice; /* NULL: there is none */
} advised[] = {
	{"tls-cert-file", "write --tls_cert_file"},
	{"TLS", "write --tls"},
	{"-bind", "write --bind"},
	{"tls_protocols", "leave it out: "},
	{"tls-protocols", "leave it out: "},
	{"tls_min_version", "leave it out: "},
	{"tls_port", "write --tls and --port"},
	{"tls-auth-clients", "write --tls_ca_cert_file"},
	{"tls_client_cert_required", "write --tls_ca_cert_file"},
	{"protected-mode", "write --bind"},
	{"rename-command", "write --restricted_commands"},
	{"rename_command", "write --restricted_commands"},
	{"http_admin_console", "write --primary_port_http_enabled"},
	{"memcache_port", "write --memcached_port"},
	{"maxmemory_policy", "write --cache_mode"},
	{"maxmemory-policy", "write --cache_mode"},
	{"appendonly", "leave it out: "},
	{"appendfsync", "leave it out: "},
	{"appendfilename", "leave it out: "},
	{"loglevel", "write --minloglevel"},
	{"logfile", "write --log_dir"},
	{"save", "write --snapshot_cron"},
	{"config", "write --flagfile"},
	{"daemonize", "leave it out: "},
	{"announce_ip", "write --cluster_announce_ip"},
	{"threads", "write --proactor_threads"},
	{"oom_deny_commands", "leave it out: "},
	{"PASSWORD", "write --requirepass"},
	{"bind", NULL},
	{"nonsense", NULL},
	{"", NULL},
	{"-", NULL},
};

static void test_advice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(advised); i++) {
		const char *advice = flag_advice(advised[i].name);

		if (!advised[i].advice != !advice ||
			(advice && strncmp(advice, advised[i].advice, strlen(advised[i].advice)) != 0))
			fail_msg("%s: %s", advised[i].name, advice ? advice : "no advice");
		/* What is advised against is not known, and what is advised is. */
		if (advice)
			assert_false(flag_is_known(advised[i].name));
		if (advice && strncmp(advice, "write --", 8) == 0) {
			_cleanup_free_ char *name = mem_stringn(advice + 8, strcspn(advice + 8, " :=,"));

			if (!flag_is_known(name))
				fail_msg("%s: %s is advised", advised[i].name, name);
		}
	}
}

/* The list that the documentation is checked against was made from the server itself. */
static void test_known(void **state)
{
	_cleanup_file_ FILE *stream = fopen("tests/docs/dragonfly-flags.txt", "re");
	char line[256];
	size_t count = 0;

	(void)state;
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' || !*line)
			continue;
		if (!flag_is_known(line))
			fail_msg("%s is not known", line);
		count++;
	}
	assert_true(count > 50);
	/* From each of the libraries, the first and the last of the table, and neighbours in it. */
	assert_true(flag_is_known("MAXSEARCHRESULTS"));
	assert_true(flag_is_known("write_connection_throttling_sleep_usec"));
	assert_true(flag_is_known("proactor_threads"));
	assert_true(flag_is_known("log_utc_time"));
	assert_true(flag_is_known("undefok"));
	assert_false(flag_is_known("tl"));
	assert_false(flag_is_known("tlss"));
	assert_false(flag_is_known(""));
}

static void test_defaults(void **state)
{
	struct intention *intention;

	(void)state;
	intention_read(&(struct flags_input){0}, &intention);
	assert_string_equal(intention_text(intention, "tls_ciphers"), "DEFAULT:!MEDIUM");
	assert_string_equal(intention_text(intention, "bind"), "");
	assert_int_equal(intention_number(intention, "port"), 6379);
	assert_int_equal(intention_number(intention, "publish_buffer_limit"), 196 << 20);
	assert_true(intention_bool(intention, "primary_port_http_enabled"));
	assert_false(intention_bool(intention, "tls"));
	assert_null(intention_text(intention, "tls-port"));
	assert_null(intention_flag(intention, "port"));
	intention_free(intention);
}

/* What cannot be known is said, and then nothing is refused that it might mend. */
static void test_unknown_environment(void **state)
{
	const char *arguments[] = {"--tls", "--tls_key_file=k"};
	struct intention *intention;

	(void)state;
	intention_read(&(struct flags_input){.arguments = (char *const *)arguments,
			       .argument_count = 2,
			       .environment_unknown = "not permitted"},
		&intention);
	assert_non_null(intention->unknown);
	assert_non_null(strstr(intention->unknown, "not permitted"));
	assert_null(intention->refusal);
	intention_free(intention);
}

/* --- configurations of others --- */

static const struct {
	const char *text;
	enum config_kind kind;
} configurations[] = {
	{"", CONFIG_EMPTY},
	{"\n# nothing\n   \n", CONFIG_EMPTY},
	{"--bind=127.0.0.1\n# x\n--port=1\n", CONFIG_FLAGFILE},
	{"\xef\xbb\xbf--bind=127.0.0.1\n", CONFIG_FLAGFILE},
	{"bind 127.0.0.1\nprotected-mode yes\ntls-port 6380\n", CONFIG_REDIS},
	{"bind 127.0.0.1 -::1\r\nprotected-mode yes\r\n", CONFIG_REDIS},
	{"BIND 127.0.0.1\nrequirepass x\nport 1\n", CONFIG_REDIS},
	{"bind 127.0.0.1\nprotected-mode yes\nprimaryauth x\n", CONFIG_VALKEY},
	{"# Valkey configuration file example.\nbind 127.0.0.1\n", CONFIG_VALKEY},
	{"[Service]\nExecStart=/usr/bin/dragonfly\n", CONFIG_OTHER},
	{"bind: 127.0.0.1\nport: 6379\n", CONFIG_OTHER},
	{"--port=1\nbind 127.0.0.1\n--dir=/x\n", CONFIG_FLAGFILE},
	{"bind 127.0.0.1\nlisten 127.0.0.1\n", CONFIG_OTHER},
	{"{\"bind\": 1}", CONFIG_OTHER},
};

static void test_recognise(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configurations); i++)
		if (config_recognise(configurations[i].text, strlen(configurations[i].text)) != configurations[i].kind)
			fail_msg("row %zu: %s", i, configurations[i].text);
}

/* --- bounds --- */

static int read_endless(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	size_t *count = data;

	(void)path;
	(void)why;
	/* Each names the next: no file includes itself. */
	*ret = mem_format("--flagfile=%zu\n--port=1\n", ++*count);
	*ret_length = strlen(*ret);
	return 0;
}

static void test_bounds(void **state)
{
	const char *argument = "--flagfile=0";
	struct intention *intention;
	size_t count = 0;
	char **many = mem_zero(FLAGS_MAX_FLAGS + 10, sizeof(*many));
	_cleanup_free_ char *longer = mem_alloc(FLAGS_MAX_VALUE + 100);

	(void)state;
	intention_read(&(struct flags_input){.arguments = (char *const *)&argument,
			       .argument_count = 1,
			       .read_file = read_endless,
			       .data = &count},
		&intention);
	assert_non_null(intention->unknown);
	assert_true(count <= FLAGS_MAX_FILES);
	intention_free(intention);

	for (size_t i = 0; i < FLAGS_MAX_FLAGS + 10; i++)
		many[i] = (char *)(uintptr_t) "--port=2";
	intention_read(&(struct flags_input){.arguments = many, .argument_count = FLAGS_MAX_FLAGS + 10}, &intention);
	assert_non_null(intention->unknown);
	intention_free(intention);
	for (size_t i = 0; i < FLAGS_MAX_FLAGS + 10; i++)
		many[i] = (char *)(uintptr_t) "DFLY_port=2";
	intention_read(
		&(struct flags_input){.environment = many, .environment_count = FLAGS_MAX_FLAGS + 10}, &intention);
	assert_non_null(intention->unknown);
	intention_free(intention);
	free(many);

	memset(longer, 'x', FLAGS_MAX_VALUE + 99);
	memcpy(longer, "--bind=", 7);
	longer[FLAGS_MAX_VALUE + 99] = '\0';
	intention_read(&(struct flags_input){.arguments = &longer, .argument_count = 1}, &intention);
	assert_non_null(intention->unknown);
	intention_free(intention);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_unknown_environment),
		cmocka_unit_test(test_recognise),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

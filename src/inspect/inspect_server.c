/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a running server says of itself: its passwords, users, settings and what it noted of attacks. Question `server`:
 * `fd`, and for TLS as in session.h; `user` and the descriptor `password`, of somebody who may ask; `milliseconds`.
 * With `attacks`=1 nobody knocks: after the login only what counts failed ones, and ACL LOG.
 *
 * Answers: `ping` with `outcome`: pong (without a password), noauth, wants-tls, error (`said`), not-resp, no-tls,
 * closed, silent. Where a password was given, `login` with `outcome`: ok or refused (`said`). Then, as far as it is
 * allowed, `info` (selected fields), `setting` (name and value; of secrets only `set`), `user` (one for each of ACL
 * LIST), `refusal` (what could not be asked: `what`, `said`), `denied` (ACL LOG), and `done`.
 *
 * Only PING, AUTH, INFO, ACL LIST, ACL LOG and CONFIG GET are sent: none changes the server. No secret is answered.
 */

#include <hiredis/hiredis.h>
#include <openssl/crypto.h>
#include <string.h>

#include "session.h"

#define DEFAULT_MILLISECONDS 3000
#define MAX_REPLY	     (2u << 20)
#define MAX_ELEMENTS	     65536
#define MAX_DEPTH	     8
#define MAX_USERS	     200
/* Dragonfly keeps 32 for each of its threads, and answers as many for each as it is asked for. */
#define MAX_DENIED   4000
#define MAX_PASSWORD 4096

/* What dragonfly-verified.md 4 and 5 tell a user by who lets everybody in: the hash of the empty password. */
#define EMPTY_PASSWORD "#e3b0c44298fc1c1"

/* --- commands and replies --- */

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

struct server {
	struct session session;
	redisReader *reader;
	size_t received;
	redisReplyObjectFunctions functions;
	bool odd; /* what comes is not what any server says */
};

/* The library's own, which makes as many as it is told to: a line of twelve bytes would cost 16 GiB. */
static void *(*make_any_array)(const redisReadTask *task, array_count count);

static void *make_array(const redisReadTask *task, array_count count)
{
	return count > MAX_ELEMENTS ? NULL : make_any_array(task, count);
}

/* The reply, which the caller frees, or NULL: the end, the time is over, or it is not RESP. The library frees what is
 * nested by calling itself, so what is nested deeply is not read on: a buffer of it is the most that comes together. */
static redisReply *hear(struct server *server)
{
	char buffer[16384];
	void *reply = NULL;

	while (redisReaderGetReply(server->reader, &reply) == REDIS_OK && !reply) {
		size_t length = session_read(&server->session, buffer, sizeof(buffer));

		server->received += length;
		server->odd = server->odd || server->received > MAX_REPLY || server->reader->ridx > MAX_DEPTH;
		if (!length || server->odd || redisReaderFeed(server->reader, buffer, length) != REDIS_OK)
			return NULL;
	}
	server->odd = server->odd || !reply;
	return reply;
}

static redisReply *ask(struct server *server, int count, const char **words)
{
	char *command = NULL;
	int length = redisFormatCommandArgv(&command, count, words, NULL);
	bool sent = length > 0 && session_write(&server->session, command, (size_t)length);

	if (length > 0) {
		OPENSSL_cleanse(command, (size_t)length);
		free(command);
	}
	server->received = 0;
	return sent ? hear(server) : NULL;
}

static redisReply *ask_words(struct server *server, const char *first, const char *second, const char *third)
{
	const char *words[] = {first, second, third};

	return ask(server, third ? 3 : second ? 2 : 1, words);
}

static bool is_error(const redisReply *reply)
{
	return reply && reply->type == REDIS_REPLY_ERROR;
}

static bool is_text(const redisReply *reply)
{
	return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

/* The reader leaves the sign of an error out. */
static bool wants_tls_reply(const redisReply *reply)
{
	_cleanup_free_ char *said = is_error(reply) ? mem_format("-%s", reply->str) : NULL;

	return said && wants_tls(said, strlen(said));
}

static bool begins(const redisReply *reply, const char *text)
{
	return reply && reply->len >= strlen(text) && strncmp(reply->str, text, strlen(text)) == 0;
}

/* What could not be asked. */
static void say_refusal(struct answer *answer, const char *what, const redisReply *reply)
{
	answer_begin(answer, "refusal");
	record_text(answer->text, "what", what);
	if (is_error(reply))
		record_bytes(answer->text, "said", reply->str, first_line(reply->str, reply->len));
	answer_end(answer);
}

/* --- who may come in --- */

/* False where it does not answer. */
static bool say_ping(struct server *server, const struct record *question, struct answer *answer, bool *ret_open)
{
	redisReply *reply = ask_words(server, "PING", NULL, NULL);
	const char *outcome = !reply && server->odd			 ? "not-resp"
			      : !reply && session_late(&server->session) ? "silent"
			      : !reply					 ? "closed"
			      : wants_tls_reply(reply)			 ? "wants-tls"
			      : is_text(reply) && begins(reply, "PONG")	 ? "pong"
			      : begins(reply, "NOAUTH")			 ? "noauth"
									 : "error";
	bool alive = reply != NULL;

	*ret_open = is_text(reply) && begins(reply, "PONG");

	if (strcmp(outcome, "silent") == 0)
		question_was_silent(question);
	answer_begin(answer, "ping");
	record_text(answer->text, "outcome", outcome);
	if (is_error(reply))
		record_bytes(answer->text, "said", reply->str, first_line(reply->str, reply->len));
	answer_end(answer);
	freeReplyObject(reply);
	return alive;
}

/* The first line of the file. */
static bool read_password(const struct record *question, char **ret)
{
	int descriptor = question_descriptor(question, "password");
	size_t length;

	if (descriptor < 0 || read_whole(descriptor, MAX_PASSWORD, ret, &length) < 0)
		return false;
	(*ret)[first_line(*ret, length)] = '\0';
	return true;
}

/* True where the rest may be asked. */
static bool log_in(struct server *server, const struct record *question, struct answer *answer, bool open)
{
	const char *user = record_get(question, "user");
	char *password = NULL;
	redisReply *reply;
	bool good;

	if (question_descriptor(question, "password") < 0)
		return open;
	if (!read_password(question, &password)) {
		answer_begin(answer, "login");
		record_text(answer->text, "outcome", "refused");
		record_text(answer->text, "said", "the password's file cannot be read, or is too long");
		answer_end(answer);
		return false;
	}
	reply = user && *user ? ask_words(server, "AUTH", user, password) : ask_words(server, "AUTH", password, NULL);
	OPENSSL_cleanse(password, strlen(password));
	free(password);
	good = is_text(reply) && begins(reply, "OK");
	answer_begin(answer, "login");
	record_text(answer->text, "outcome", good ? "ok" : "refused");
	if (is_error(reply))
		record_bytes(answer->text, "said", reply->str, first_line(reply->str, reply->len));
	answer_end(answer);
	freeReplyObject(reply);
	return good;
}

/* --- INFO --- */

static const char *const info_fields[] = {"redis_version", "dragonfly_version", "valkey_version", "process_id",
	"tcp_port", "executable", "config_file", "role", "master_host", "master_port", "connected_slaves",
	"tls_cert_not_after", "connected_clients", "max_clients", "total_connections_received",
	"total_handshakes_started", "total_handshakes_completed", "rejected_connections", "no_auth",
	"uptime_in_seconds"};

/* "name:value\r\n" for each. */
static void say_info(struct server *server, struct answer *answer, const char *section)
{
	/* What counts failed logins is not in plain INFO. */
	redisReply *reply = ask_words(server, "INFO", section, NULL);
	const char *line, *end;

	if (!reply || reply->type != REDIS_REPLY_STRING) {
		say_refusal(answer, "info", reply);
		freeReplyObject(reply);
		return;
	}
	answer_begin(answer, "info");
	for (size_t i = 0; i < ARRAY_SIZE(info_fields); i++) {
		size_t length = strlen(info_fields[i]);

		end = reply->str + reply->len;
		for (line = reply->str; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
			line += *line == '\n';
			if ((size_t)(end - line) > length && strncmp(line, info_fields[i], length) == 0 &&
				line[length] == ':') {
				record_bytes(answer->text, info_fields[i], line + length + 1,
					first_line(line + length + 1, (size_t)(end - line) - length - 1));
				break;
			}
		}
	}
	answer_end(answer);
	freeReplyObject(reply);
}

/* --- CONFIG GET --- */

static const char *const settings[] = {"tls", "tls_cert_file", "tls_key_file", "tls_ca_cert_file", "tls_ca_cert_dir",
	"tls_replication", "aclfile", "maxclients", "dir", "timeout", "tcp_keepalive", "acllog_max_len"};
static const char *const secrets[] = {"requirepass", "masterauth"};

static bool is_one_of(const char *const *names, size_t count, const redisReply *name)
{
	for (size_t i = 0; i < count; i++)
		if (name->len == strlen(names[i]) && strncmp(names[i], name->str, name->len) == 0)
			return true;
	return false;
}

static void say_settings(struct server *server, struct answer *answer)
{
	redisReply *reply = ask_words(server, "CONFIG", "GET", "*");

	if (!reply || reply->type != REDIS_REPLY_ARRAY)
		say_refusal(answer, "config", reply);
	for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
		const redisReply *name = reply->element[i];
		const redisReply *value = reply->element[i + 1];

		if (!is_text(name) || !is_text(value))
			continue;
		bool plain = is_one_of(settings, ARRAY_SIZE(settings), name);

		if (!plain && !is_one_of(secrets, ARRAY_SIZE(secrets), name))
			continue;
		answer_begin(answer, "setting");
		record_bytes(answer->text, "name", name->str, name->len);
		if (plain)
			record_bytes(answer->text, "value", value->str, value->len);
		else
			record_number(answer->text, "set", value->len > 0);
		answer_end(answer);
		/* Of what was answered nothing stays behind. */
		if (!plain)
			OPENSSL_cleanse(value->str, value->len);
	}
	freeReplyObject(reply);
}

/* --- ACL LIST --- */

/* "user NAME on nopass #0123456789abcde ~* +@all" (and "ON", in Dragonfly's capital letters). */
static void say_user(struct answer *answer, redisReply *line)
{
	char *rest = line->str;
	const char *word = strsep(&rest, " ");
	const char *name = strcmp(word, "user") == 0 || strcmp(word, "USER") == 0 ? strsep(&rest, " ") : NULL;
	size_t passwords = 0;
	bool on = false, nopass = false, empty = false, all = false, nothing = false;

	if (!name)
		return;
	while ((word = strsep(&rest, " "))) {
		on = on || strcasecmp(word, "on") == 0;
		nopass = nopass || strcasecmp(word, "nopass") == 0;
		passwords += word[0] == '#';
		empty = empty || strncmp(word, EMPTY_PASSWORD, strlen(EMPTY_PASSWORD)) == 0;
		all = all || strcasecmp(word, "+@all") == 0;
		nothing = nothing || strcasecmp(word, "-@all") == 0;
	}
	answer_begin(answer, "user");
	record_text(answer->text, "name", name);
	record_number(answer->text, "on", on);
	record_number(answer->text, "nopass", nopass);
	record_number(answer->text, "empty", empty);
	record_number(answer->text, "passwords", (int64_t)passwords);
	record_number(answer->text, "all", all && !nothing);
	answer_end(answer);
}

static void say_users(struct server *server, struct answer *answer)
{
	redisReply *reply = ask_words(server, "ACL", "LIST", NULL);

	if (!reply || reply->type != REDIS_REPLY_ARRAY)
		say_refusal(answer, "acl", reply);
	for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements && i < MAX_USERS; i++)
		if (is_text(reply->element[i]))
			say_user(answer, reply->element[i]);
	/* Who is not looked at may be the one. */
	if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > MAX_USERS)
		say_refusal(answer, "acl", NULL);
	freeReplyObject(reply);
}

/* --- ACL LOG --- */

/* Where the client is, in its CLIENT INFO: "... addr=10.0.0.1:4711 laddr=...". */
static void put_client(struct text *text, const redisReply *info)
{
	const char *at = info->str;

	while (at && strncmp(at, "addr=", 5) != 0) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (at)
		record_bytes(text, "client", at + 5, strcspn(at + 5, " \r\n"));
}

/* Pairs of name and value. */
static void say_denial(struct answer *answer, const redisReply *entry)
{
	struct text *text = answer->text;

	answer_begin(answer, "denied");
	for (size_t i = 0; i + 1 < entry->elements; i += 2) {
		const redisReply *name = entry->element[i];
		const redisReply *value = entry->element[i + 1];

		if (!is_text(name))
			continue;
		if (is_text(value) && strcmp(name->str, "reason") == 0)
			record_bytes(text, "reason", value->str, value->len);
		else if (is_text(value) && strcmp(name->str, "object") == 0)
			record_bytes(text, "object", value->str, value->len);
		else if (is_text(value) && strcmp(name->str, "username") == 0)
			record_bytes(text, "user", value->str, value->len);
		else if (is_text(value) && strcmp(name->str, "age-seconds") == 0)
			record_bytes(text, "age", value->str, value->len);
		else if (value->type == REDIS_REPLY_INTEGER && strcmp(name->str, "entry-id") == 0)
			record_number(text, "entry", value->integer);
		else if (value->type == REDIS_REPLY_INTEGER && strcmp(name->str, "count") == 0)
			record_number(text, "count", value->integer);
		else if (is_text(value) && strcmp(name->str, "timestamp-created") == 0)
			record_bytes(text, "created", value->str, value->len);
		else if (value->type == REDIS_REPLY_INTEGER && strcmp(name->str, "timestamp-created") == 0)
			record_number(text, "created", value->integer);
		else if (is_text(value) && strcmp(name->str, "client-info") == 0)
			put_client(text, value);
	}
	answer_end(answer);
}

static void say_denials(struct server *server, struct answer *answer)
{
	redisReply *reply = ask_words(server, "ACL", "LOG", "128");

	if (!reply || reply->type != REDIS_REPLY_ARRAY)
		say_refusal(answer, "acl-log", reply);
	for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements && i < MAX_DENIED; i++)
		if (reply->element[i]->type == REDIS_REPLY_ARRAY)
			say_denial(answer, reply->element[i]);
	freeReplyObject(reply);
}

/* --- all of it --- */

static void say_all(struct server *server, const struct record *question, struct answer *answer)
{
	bool open;

	if (!session_connect(&server->session, question)) {
		bool late = session_late(&server->session);

		if (late)
			question_was_silent(question);
		answer_begin(answer, "ping");
		record_text(answer->text, "outcome", late ? "silent" : "no-tls");
		answer_end(answer);
		return;
	}
	if (record_is(question, "attacks")) {
		if (!log_in(server, question, answer, false))
			return;
		say_info(server, answer, "ERRORSTATS");
		say_denials(server, answer);
		answer_begin(answer, "done");
		answer_end(answer);
		return;
	}
	if (!say_ping(server, question, answer, &open) || !log_in(server, question, answer, open))
		return;
	say_info(server, answer, "ALL");
	say_settings(server, answer);
	say_users(server, answer);
	say_denials(server, answer);
	answer_begin(answer, "done");
	answer_end(answer);
}

void inspect_server(const struct record *question, struct answer *answer)
{
	struct server server = {.session = {.descriptor = question_descriptor(question, "fd"),
					.deadline = question_deadline(question, DEFAULT_MILLISECONDS)}};

	if (server.session.descriptor < 0) {
		answer_failed(answer, "there is no connection");
		return;
	}
	server.reader = redisReaderCreate();
	server.functions = *server.reader->fn;
	make_any_array = server.functions.createArray;
	server.functions.createArray = make_array;
	server.reader->fn = &server.functions;
	say_all(&server, question, answer);
	redisReaderFree(server.reader);
	session_done(&server.session);
}

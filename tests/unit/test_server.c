/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who may come in, and doors that need not be open: facts out of what dflyguard-probe says, and their judgement. Every
 * check of the areas has fixtures that pass, fail, are unknown and are not applicable, and this file fails where one is
 * missing.
 */

#include "hosts.h"

#define FLAGFILE "/etc/dragonfly/dragonfly.conf"

/* --- a scene: a server as it should be, and what is changed of it --- */

struct scene {
	struct compiled compiled;
	struct host *host;
	struct server_facts *server;
	struct intention *intention;
	struct audit_intention told;
	struct audit_facts facts;
	struct findings findings;
};

static void set(char **text, const char *value)
{
	free(*text);
	*text = value ? mem_string(value) : NULL;
}

/* The flagfile that the scene's server reads. */
static int read_flags(void *data, const char *path _unused_, char **ret, size_t *ret_length, char *why _unused_)
{
	*ret = mem_string(data);
	*ret_length = strlen(data);
	return 0;
}

/* What it was told: a flagfile with this text, and an argument more, or NULL. */
static void tell(struct scene *s, const char *text, const char *argument)
{
	char *arguments[] = {(char *)(uintptr_t) "--flagfile=" FLAGFILE, (char *)(uintptr_t)argument};
	struct flags_input input = {.arguments = arguments,
		.argument_count = argument ? 2 : 1,
		.read_file = read_flags,
		.data = (void *)(uintptr_t)text};

	intention_free(s->intention);
	intention_read(&input, &s->intention);
	s->intention->file_status = mem_zero(s->intention->file_count, sizeof(*s->intention->file_status));
	for (size_t i = 0; i < s->intention->file_count; i++)
		s->intention->file_status[i] = (struct flag_file){.mode = 0640};
	s->told.intention = s->intention;
}

static void add_user(struct server_users *users, const char *name, bool nopass, bool empty, int64_t passwords)
{
	users->items = mem_resize(users->items, users->count + 1, sizeof(*users->items));
	users->items[users->count++] = (struct server_user){
		.name = mem_string(name), .on = true, .nopass = nopass, .empty = empty, .passwords = passwords};
}

static struct server_port *add_port(struct scene *s, uint16_t port)
{
	struct server_port *added = server_facts_add_port(s->server);

	added->subject = mem_format("10.20.0.5:%u", port);
	added->port = port;
	added->ping = PING_NOAUTH;
	added->http.known = true;
	return added;
}

static const char good_flags[] = "--requirepass=secret\n--bind=10.20.0.5\n";

static struct server_port *port_of(struct scene *s)
{
	return &s->server->ports[0];
}

static struct server_told *told_of(struct scene *s)
{
	return &s->server->told[0];
}

#define POLICY(more)                                                                                                   \
	"default_environment = e\nservice { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 }\n"  \
	"environment e { clients = {\"10.0.0.0/8\"} bind = {\"10.20.0.5\"} " more " }\n"

static void scene_begin(struct scene *s, const char *policy)
{
	*s = (struct scene){.compiled = compile_text("p.conf", policy ? policy : POLICY(""), NULL),
		.host = host_new(),
		.server = server_facts_new()};
	s->told = (struct audit_intention){.source = INTENTION_PROCESS, .subject = "dragonfly, process 4711"};
	host_add_network(s->host, "host", true);
	host_add_process(s->host, SERVER_DRAGONFLY, "dragonfly", NULL, 0);
	tell(s, good_flags, NULL);
	server_facts_add_told(s->server);
	told_of(s)->requirepass = (struct server_secret){.set = true, .known = true, .length = 40, .bits = 128};
	add_port(s, 6380);
	set(&port_of(s)->dragonfly_version, "df-v1.40.0");
	port_of(s)->login = LOGIN_OK;
	port_of(s)->asked = port_of(s)->users_known = true;
	add_user(&port_of(s)->users, "default", false, false, 1);
	s->server->monitor = true;
	s->facts = (struct audit_facts){.policy = s->compiled.policy,
		.environment = s->compiled.environment,
		.drift_unknown = "not looked at",
		.foreign_unknown = "not looked at",
		.host = s->host,
		.intentions = &s->told,
		.intention_count = 1,
		.tls_unknown = "not looked at",
		.server = s->server};
}

static void scene_done(struct scene *s)
{
	findings_done(&s->findings);
	server_facts_free(s->server);
	intention_free(s->intention);
	host_free(s->host);
	compiled_done(&s->compiled);
}

/* --- what is changed --- */

static void nothing_known(struct scene *s)
{
	s->facts.server = NULL;
	s->facts.server_unknown = "dflyguard-probe is not there";
	s->facts.host = NULL;
	s->facts.host_unknown = "nobody looked";
}

static void no_server(struct scene *s)
{
	server_facts_free(s->server);
	s->server = server_facts_new();
	s->facts.server = s->server;
	s->host->processes[0].kind = SERVER_OTHER;
}

static void probe_died(struct scene *s)
{
	s->server->unknown = mem_string("dflyguard-probe was ended");
}

static void no_password(struct scene *s)
{
	tell(s, "--bind=10.20.0.5\n", NULL);
	told_of(s)->requirepass = (struct server_secret){0};
}

static void password_unseen(struct scene *s)
{
	no_password(s);
	told_of(s)->requirepass.unknown = mem_string("not permitted");
}

static void no_clients_port(struct scene *s)
{
	tell(s, "--port=0\n--unixsocket=/run/d.sock\n", NULL);
}

static void has_aclfile(struct scene *s)
{
	tell(s, "--requirepass=secret\n--aclfile=/etc/dragonfly/users.acl\n", NULL);
	told_of(s)->aclfile = ACLFILE_GOOD;
	told_of(s)->aclfile_default = true;
	add_user(&told_of(s)->users, "default", false, false, 1);
}

static void aclfile_without_default(struct scene *s)
{
	has_aclfile(s);
	set(&told_of(s)->users.items[0].name, "alice");
	told_of(s)->aclfile_default = false;
}

static void aclfile_nopass(struct scene *s)
{
	has_aclfile(s);
	told_of(s)->users.items[0].nopass = true;
}

static void aclfile_absent(struct scene *s)
{
	has_aclfile(s);
	told_of(s)->aclfile = ACLFILE_ABSENT;
	told_of(s)->requirepass = (struct server_secret){0};
}

static void aclfile_bad(struct scene *s)
{
	has_aclfile(s);
	told_of(s)->aclfile = ACLFILE_BAD;
	told_of(s)->aclfile_why = mem_string("line 3: a comment");
	told_of(s)->requirepass = (struct server_secret){0};
}

static void aclfile_bad_with_password(struct scene *s)
{
	has_aclfile(s);
	told_of(s)->aclfile = ACLFILE_BAD;
	told_of(s)->aclfile_why = mem_string("line 3: a comment");
}

static void aclfile_unread(struct scene *s)
{
	has_aclfile(s);
	told_of(s)->aclfile = ACLFILE_UNKNOWN;
	told_of(s)->aclfile_why = mem_string("not permitted");
}

static void answers(struct scene *s)
{
	port_of(s)->ping = PING_ANSWERED;
}

static void refuses(struct scene *s)
{
	port_of(s)->ping = PING_REFUSED;
	set(&port_of(s)->said, "DENIED");
}

static void loads(struct scene *s)
{
	port_of(s)->ping = PING_REFUSED;
	set(&port_of(s)->said, "LOADING Redis is loading the dataset in memory");
}

static void not_told(struct scene *s)
{
	port_of(s)->users_known = false;
	set(&port_of(s)->dragonfly_version, NULL);
	port_of(s)->not_told = mem_string("anybody could be there");
}

/* Nothing of it, or not all. */
static void flags_unread(struct scene *s)
{
	s->told.intention = NULL;
	told_of(s)->unknown = mem_string("its command line: not permitted");
}

static void flags_in_part(struct scene *s)
{
	set(&s->intention->unknown, "its environment: not permitted");
}

static void ends(struct scene *s)
{
	port_of(s)->ping = PING_ENDED;
}

static void silent(struct scene *s)
{
	port_of(s)->ping = PING_UNKNOWN;
	set(&port_of(s)->why, "it says nothing");
}

static void admin_live(struct scene *s)
{
	tell(s, "--requirepass=secret\n--admin_port=9999\n", NULL);
	add_port(s, 9999)->admin = true;
}

static void admin_live_open(struct scene *s)
{
	admin_live(s);
	s->server->ports[1].ping = PING_ANSWERED;
}

static void admin_told(struct scene *s)
{
	tell(s, "--requirepass=secret\n--admin_port=9999\n--tls\n", NULL);
}

static void admin_told_nopass(struct scene *s)
{
	tell(s, "--requirepass=secret\n--admin_port=9999\n--admin_nopass\n", NULL);
}

static void admin_told_acl_only(struct scene *s)
{
	tell(s, "--aclfile=/a\n--admin_port=9999\n", NULL);
	told_of(s)->requirepass = (struct server_secret){0};
	told_of(s)->aclfile = ACLFILE_GOOD;
}

static void admin_told_unseen(struct scene *s)
{
	password_unseen(s);
	tell(s, "--admin_port=9999\n", NULL);
}

static void admin_plaintext(struct scene *s)
{
	tell(s, "--requirepass=secret\n--admin_port=9999\n--tls\n--no_tls_on_admin_port\n", NULL);
}

static void admin_without_tls(struct scene *s)
{
	tell(s, "--requirepass=secret\n--admin_port=9999\n", NULL);
}

static void console_fails(struct scene *s)
{
	port_of(s)->http.root = 500;
}

static void console_open(struct scene *s)
{
	port_of(s)->http.root = 200;
	port_of(s)->http.metrics = 200;
}

static void console_closed(struct scene *s)
{
	port_of(s)->http.root = 401;
	port_of(s)->http.metrics = 200;
}

static void http_unknown(struct scene *s)
{
	port_of(s)->http.known = false;
}

static void only_memcached(struct scene *s)
{
	port_of(s)->protocol = PROTOCOL_MEMCACHED;
}

static void user_nopass(struct scene *s)
{
	port_of(s)->users.items[0].nopass = true;
}

static void user_empty(struct scene *s)
{
	port_of(s)->users.items[0].empty = true;
}

static void users_untold(struct scene *s)
{
	port_of(s)->users_known = false;
}

static void login_refused(struct scene *s)
{
	port_of(s)->login = LOGIN_REFUSED;
	port_of(s)->users_known = false;
	set(&port_of(s)->login_said, "WRONGPASS");
}

static void no_monitor(struct scene *s)
{
	s->server->monitor = false;
	port_of(s)->users_known = false;
	port_of(s)->login = LOGIN_NONE;
}

static void short_password(struct scene *s)
{
	told_of(s)->requirepass.length = 15;
}

static void guessed_password(struct scene *s)
{
	told_of(s)->requirepass.bits = 63;
}

static void strength_unknown(struct scene *s)
{
	told_of(s)->requirepass.known = false;
}

static void weak_masterauth(struct scene *s)
{
	told_of(s)->masterauth = (struct server_secret){.set = true, .known = true, .length = 4, .bits = 9};
}

static void password_in_arguments(struct scene *s)
{
	tell(s, "--bind=10.20.0.5\n", "--requirepass=secret");
}

static void file_for_all(struct scene *s)
{
	s->intention->file_status[0].mode = 0644;
}

static void file_untold(struct scene *s)
{
	free(s->intention->file_status);
	s->intention->file_status = NULL;
}

static void file_for_group_to_write(struct scene *s)
{
	s->intention->file_status[0].mode = 0660;
}

static void file_of_the_server(struct scene *s)
{
	s->intention->file_status[0].uid = 998;
}

static void reads_nothing(struct scene *s)
{
	struct flags_input input = {.read_file = read_flags};

	intention_free(s->intention);
	intention_read(&input, &s->intention);
	s->told.intention = s->intention;
}

static void serves_memcached(struct scene *s)
{
	only_memcached(s);
	port_of(s)->memcached_served = true;
	port_of(s)->ping = PING_ANSWERED;
}

static void memcached_odd(struct scene *s)
{
	only_memcached(s);
	port_of(s)->ping = PING_REFUSED;
	set(&port_of(s)->said, "HELLO");
}

static void memcached_refuses(struct scene *s)
{
	memcached_odd(s);
	set(&port_of(s)->said, "SERVER_ERROR -NOPERM default has no ACL permissions");
}

static void memcached_silent(struct scene *s)
{
	only_memcached(s);
	port_of(s)->ping = PING_UNKNOWN;
}

static void runs_as_root(struct scene *s)
{
	s->host->processes[0].uid = 0;
}

static void runs_as_unknown(struct scene *s)
{
	s->host->processes[0].uid_known = false;
}

static void replicates(struct scene *s)
{
	tell(s,
		"--requirepass=secret\n--replicaof=10.0.0.9:6380\n--masterauth=secret\n--tls_replication\n"
		"--tls_key_file=/k\n--tls_cert_file=/c\n--tls_ca_cert_file=/ca\n",
		NULL);
}

static void replicates_without_key(struct scene *s)
{
	tell(s, "--requirepass=secret\n--replicaof=10.0.0.9:6380\n--masterauth=secret\n--tls_replication\n", NULL);
}

static void replicates_plainly(struct scene *s)
{
	tell(s, "--requirepass=secret\n--replicaof=10.0.0.9:6380\n", NULL);
}

static void replicates_from_anybody(struct scene *s)
{
	tell(s,
		"--requirepass=secret\n--replicaof=10.0.0.9:6380\n--tls_replication\n--tls_key_file=/"
		"k\n--tls_cert_file=/c\n",
		NULL);
}

static void flags_unknown(struct scene *s)
{
	s->intention->unknown = mem_string("not permitted");
}

static void old_version(struct scene *s)
{
	set(&port_of(s)->dragonfly_version, "df-v1.38.1");
}

static void older_version(struct scene *s)
{
	set(&port_of(s)->dragonfly_version, "v1.36.0");
}

static void no_version(struct scene *s)
{
	set(&port_of(s)->dragonfly_version, NULL);
}

static void odd_version(struct scene *s)
{
	set(&port_of(s)->dragonfly_version, "dev");
}

static void is_redis(struct scene *s)
{
	set(&port_of(s)->dragonfly_version, NULL);
	set(&port_of(s)->redis_version, "7.0.15");
}

/* --- fixtures --- */

static const struct fixture {
	const char *id;
	const char *policy;
	void (*prepare)(struct scene *scene);
	enum outcome outcome;
	enum severity severity;
	const char *text; /* part of subject and message */
} fixtures[] = {
	{"auth.password", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "asks clients for a password"},
	{"auth.password", NULL, has_aclfile, OUTCOME_PASS, SEVERITY_CRITICAL, "asks clients for a password"},
	{"auth.password", NULL, aclfile_bad_with_password, OUTCOME_PASS, SEVERITY_CRITICAL, "asks clients for"},
	{"auth.password", NULL, no_password, OUTCOME_FAIL, SEVERITY_CRITICAL, "requirepass is empty"},
	{"auth.password", NULL, aclfile_without_default, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"does not name the user default"},
	{"auth.password", NULL, aclfile_nopass, OUTCOME_FAIL, SEVERITY_CRITICAL, "without a password"},
	{"auth.password", NULL, aclfile_absent, OUTCOME_FAIL, SEVERITY_CRITICAL, "is not there"},
	{"auth.password", NULL, aclfile_bad, OUTCOME_FAIL, SEVERITY_CRITICAL, "cannot be used"},
	{"auth.password", NULL, aclfile_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not permitted"},
	{"auth.password", NULL, nothing_known, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "is not there"},
	{"auth.password", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no server"},
	{"auth.password", NULL, no_clients_port, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no port for clients"},
	{"auth.password", POLICY("password = optional"), no_password, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL,
		"optional"},

	{"auth.open", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "asks for a password"},
	{"auth.open", NULL, refuses, OUTCOME_PASS, SEVERITY_CRITICAL, "DENIED"},
	{"auth.open", NULL, loads, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing of passwords: LOADING"},
	{"auth.open", NULL, ends, OUTCOME_PASS, SEVERITY_CRITICAL, "no stranger"},
	{"auth.open", NULL, answers, OUTCOME_FAIL, SEVERITY_CRITICAL, "10.20.0.5:6380: it answers"},
	{"auth.open", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing"},
	{"auth.open", NULL, probe_died, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "was ended"},
	{"auth.open", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens"},

	{"auth.admin", NULL, admin_live, OUTCOME_PASS, SEVERITY_CRITICAL, "10.20.0.5:9999"},
	{"auth.admin", NULL, admin_told, OUTCOME_PASS, SEVERITY_CRITICAL, "asks for a password"},
	{"auth.admin", NULL, admin_live_open, OUTCOME_FAIL, SEVERITY_CRITICAL, "10.20.0.5:9999: it answers"},
	{"auth.admin", NULL, admin_told_nopass, OUTCOME_FAIL, SEVERITY_CRITICAL, "--admin_nopass"},
	{"auth.admin", NULL, admin_told_acl_only, OUTCOME_FAIL, SEVERITY_CRITICAL, "and no aclfile"},
	{"auth.admin", NULL, admin_told_unseen, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not permitted"},
	{"auth.admin", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no admin port"},

	{"auth.http", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "no HTTP"},
	{"auth.http", NULL, console_closed, OUTCOME_PASS, SEVERITY_CRITICAL, "asks for a password"},
	{"auth.http", NULL, console_open, OUTCOME_FAIL, SEVERITY_CRITICAL, "console is open"},
	{"auth.http", NULL, http_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "nothing came"},
	{"auth.http", NULL, console_fails, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "status 500"},
	{"auth.http", NULL, only_memcached, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "may speak HTTP"},

	{"auth.aclfile", NULL, has_aclfile, OUTCOME_PASS, SEVERITY_CRITICAL, "needs a password"},
	{"auth.aclfile", NULL, aclfile_without_default, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"does not name the user default"},
	{"auth.aclfile", NULL, aclfile_nopass, OUTCOME_FAIL, SEVERITY_CRITICAL, "the user default needs no password"},
	{"auth.aclfile", NULL, aclfile_absent, OUTCOME_FAIL, SEVERITY_CRITICAL, "lets everybody in"},
	{"auth.aclfile", NULL, aclfile_bad, OUTCOME_FAIL, SEVERITY_CRITICAL, "lets everybody in: line 3"},
	{"auth.aclfile", NULL, aclfile_bad_with_password, OUTCOME_FAIL, SEVERITY_CRITICAL, "requirepass alone counts"},
	{"auth.aclfile", NULL, aclfile_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not permitted"},
	{"auth.aclfile", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no aclfile"},

	{"auth.users", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "every user"},
	{"auth.users", NULL, user_nopass, OUTCOME_FAIL, SEVERITY_CRITICAL, "the user default needs no password"},
	{"auth.users", NULL, user_empty, OUTCOME_FAIL, SEVERITY_CRITICAL, "the empty password"},
	{"auth.users", NULL, users_untold, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "does not tell its users"},
	{"auth.users", NULL, not_told, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "anybody could be there"},
	{"exposure.version", NULL, not_told, OUTCOME_UNKNOWN, SEVERITY_INFO, "its version: anybody could be there"},
	{"exposure.memcached", NULL, memcached_odd, OUTCOME_UNKNOWN, SEVERITY_WARNING, "not known here: HELLO"},
	{"exposure.memcached", NULL, memcached_refuses, OUTCOME_PASS, SEVERITY_WARNING, "serves nobody"},
	{"auth.password", NULL, flags_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "command line: not permitted"},
	{"auth.writable", NULL, flags_unread, OUTCOME_UNKNOWN, SEVERITY_WARNING, "command line: not permitted"},
	{"exposure.admin", NULL, flags_in_part, OUTCOME_UNKNOWN, SEVERITY_WARNING, "environment: not permitted"},
	{"auth.users", NULL, no_monitor, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no monitor_password_file"},

	{"auth.strength", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "hard to guess"},
	{"auth.strength", NULL, short_password, OUTCOME_FAIL, SEVERITY_WARNING, "15 characters, and 16"},
	{"auth.strength", NULL, guessed_password, OUTCOME_FAIL, SEVERITY_WARNING, "2^63 tries, and 2^64"},
	{"auth.strength", NULL, weak_masterauth, OUTCOME_FAIL, SEVERITY_WARNING, "masterauth is short"},
	{"auth.strength", NULL, strength_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "nothing is known"},
	{"auth.strength", NULL, no_password, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no password"},

	{"auth.places", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "nobody else"},
	{"auth.places", NULL, password_in_arguments, OUTCOME_FAIL, SEVERITY_WARNING,
		"requirepass stands on the command line"},
	{"auth.places", NULL, file_for_all, OUTCOME_FAIL, SEVERITY_WARNING,
		FLAGFILE ": everybody on this host may read"},
	{"auth.places", NULL, file_untold, OUTCOME_UNKNOWN, SEVERITY_WARNING, "is not known"},
	{"auth.places", NULL, no_password, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no password"},

	{"auth.writable", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "only root"},
	{"auth.writable", NULL, file_for_group_to_write, OUTCOME_FAIL, SEVERITY_WARNING, "its group may write it"},
	{"auth.writable", NULL, file_of_the_server, OUTCOME_FAIL, SEVERITY_INFO, "own user may write it"},
	{"auth.writable", NULL, file_untold, OUTCOME_UNKNOWN, SEVERITY_WARNING, "is not known"},
	{"auth.writable", NULL, reads_nothing, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no flagfile"},

	{"exposure.admin", NULL, admin_told, OUTCOME_PASS, SEVERITY_WARNING, "speaks TLS"},
	{"exposure.admin", POLICY("admin_tls = off"), admin_plaintext, OUTCOME_PASS, SEVERITY_WARNING, "does not ask"},
	{"exposure.admin", NULL, admin_plaintext, OUTCOME_FAIL, SEVERITY_WARNING, "--no_tls_on_admin_port"},
	{"exposure.admin", NULL, admin_without_tls, OUTCOME_FAIL, SEVERITY_WARNING, "no --tls"},
	{"exposure.admin", NULL, nothing_known, OUTCOME_UNKNOWN, SEVERITY_WARNING, "is not there"},
	{"exposure.admin", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no admin port"},

	{"exposure.memcached", NULL, only_memcached, OUTCOME_PASS, SEVERITY_WARNING, "serves nobody"},
	{"exposure.memcached", NULL, serves_memcached, OUTCOME_FAIL, SEVERITY_WARNING, "has no passwords"},
	{"exposure.memcached", NULL, memcached_silent, OUTCOME_UNKNOWN, SEVERITY_WARNING, "nothing is known"},
	{"exposure.memcached", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing listens"},

	{"exposure.console", NULL, NULL, OUTCOME_PASS, SEVERITY_INFO, "no HTTP"},
	{"exposure.console", NULL, console_closed, OUTCOME_FAIL, SEVERITY_INFO, "console"},
	{"exposure.console", NULL, http_unknown, OUTCOME_UNKNOWN, SEVERITY_INFO, "nothing came"},
	{"exposure.console", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_INFO, "nothing listens"},

	{"exposure.metrics", NULL, NULL, OUTCOME_PASS, SEVERITY_INFO, "no metrics"},
	{"exposure.metrics", NULL, console_closed, OUTCOME_FAIL, SEVERITY_INFO, "/metrics"},
	{"exposure.metrics", NULL, http_unknown, OUTCOME_UNKNOWN, SEVERITY_INFO, "nothing came"},
	{"exposure.metrics", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_INFO, "nothing listens"},

	{"exposure.root", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "as dfly"},
	{"exposure.root", NULL, runs_as_root, OUTCOME_FAIL, SEVERITY_WARNING,
		"dragonfly, process 4711: it runs as root"},
	{"exposure.root", NULL, runs_as_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "could not be read"},
	{"exposure.root", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no Dragonfly runs"},

	{"exposure.replication", NULL, replicates, OUTCOME_PASS, SEVERITY_CRITICAL, "verifies"},
	{"exposure.replication", NULL, replicates_without_key, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"falls back to plaintext"},
	{"exposure.replication", NULL, replicates_plainly, OUTCOME_FAIL, SEVERITY_CRITICAL, "replicates in plaintext"},
	{"exposure.replication", POLICY("tls = off"), replicates_plainly, OUTCOME_PASS, SEVERITY_CRITICAL,
		"replicates"},
	{"exposure.replication", NULL, replicates_from_anybody, OUTCOME_FAIL, SEVERITY_CRITICAL, "any master"},
	{"exposure.replication", NULL, flags_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not permitted"},
	{"exposure.replication", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "not told to be a replica"},

	{"exposure.version", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "all fixes"},
	{"exposure.version", NULL, old_version, OUTCOME_FAIL, SEVERITY_WARNING, "df-v1.38.1 is old: passwords"},
	{"exposure.version", NULL, older_version, OUTCOME_FAIL, SEVERITY_WARNING, "; memcached_port ignores bind"},
	{"exposure.version", NULL, no_version, OUTCOME_UNKNOWN, SEVERITY_INFO, "does not tell"},
	{"exposure.version", NULL, odd_version, OUTCOME_UNKNOWN, SEVERITY_WARNING, "'dev' is no version"},
	{"exposure.version", NULL, is_redis, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "Redis 7.0.15"},
	/* Alone, since the check has two findings then. */
	{"auth.users", NULL, login_refused, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not let in: WRONGPASS"},
};

static bool is_ours(const char *area)
{
	return strcmp(area, "auth") == 0 || strcmp(area, "exposure") == 0;
}

static void run(const struct fixture *f, size_t index)
{
	struct scene scene;
	size_t found = 0;

	scene_begin(&scene, f->policy);
	if (f->prepare)
		f->prepare(&scene);
	audit_run(&scene.facts, &scene.findings);
	for (size_t k = 0; k < scene.findings.count; k++) {
		const struct finding *finding = &scene.findings.items[k];
		_cleanup_free_ char *text = mem_format("%s: %s", finding->subject, finding->message);

		/* A secret is never shown. */
		assert_null(strstr(text, "secret"));
		if (strcmp(finding->check->id, f->id) != 0)
			continue;
		found++;
		if (finding->outcome != f->outcome || finding->severity != f->severity || !strstr(text, f->text))
			fail_msg("fixture %zu, %s: %s, %s, '%s'", index, f->id, outcome_name(finding->outcome),
				severity_name(finding->severity), text);
		if ((finding->outcome == OUTCOME_FAIL) != (finding->remedy != NULL))
			fail_msg("fixture %zu, %s: remedy '%s'", index, f->id, finding->remedy);
	}
	if (found != 1)
		fail_msg("fixture %zu: %zu findings of %s", index, found, f->id);
	scene_done(&scene);
}

static void test_fixtures(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
		run(&fixtures[i], i);
}

static void test_every_check_has_fixtures(void **state _unused_)
{
	static const enum outcome needed[] = {OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_NOT_APPLICABLE};
	const struct check *check;

	for (size_t c = 0; (check = audit_check(c)); c++)
		for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
			bool found = !is_ours(check->area);

			for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
				found = found ||
					(strcmp(fixtures[i].id, check->id) == 0 && fixtures[i].outcome == needed[n]);
			if (!found)
				fail_msg("%s has no fixture with the outcome %s", check->id, outcome_name(needed[n]));
		}
}

static void test_unknown_is_no_pass(void **state _unused_)
{
	struct scene s;

	scene_begin(&s, NULL);
	nothing_known(&s);
	audit_run(&s.facts, &s.findings);
	for (size_t i = 0; i < s.findings.count; i++)
		if (is_ours(s.findings.items[i].check->area))
			assert_int_equal(s.findings.items[i].outcome, OUTCOME_UNKNOWN);
	scene_done(&s);
}

/* --- what is heard --- */

static void test_hear(void **state _unused_)
{
	static const char text[] = "ping id=1 outcome=noauth said=NOAUTH%20x\n"
				   "login id=1 outcome=ok\n"
				   "info id=1 dragonfly_version=df-v1.40.0 no_auth=17 master_host=h master_port=6379\n"
				   "setting id=1 name=requirepass set=1\n"
				   "setting id=1 name=tls value=true\n"
				   "user id=1 name=default on=1 nopass=0 empty=1 passwords=2 all=1\n"
				   "user id=1 name=broken on=1\n"
				   "denied id=1 reason=AUTH object=auth user=bob client=10.0.0.1:5 age=1.5 count=3\n"
				   "done id=1\n"
				   "ping id=2 outcome=pong\n"
				   "refusal id=2 what=acl said=NOPERM\n"
				   "done id=2\n"
				   "ping id=3 outcome=magic\n"
				   "memcached id=4 outcome=served said=VERSION%201\n"
				   "http id=5 status=401\n"
				   "http id=6 status=4000\n"
				   "secret id=7 length=5 bits=12\n"
				   "aclfile id=8 users=1 default=1 bad=2 why=a%20comment\n"
				   "user id=8 name=default on=1 passwords=1\n"
				   "failed id=9 why=no\n"
				   "end count=20\n";
	struct records *records = NULL;
	struct server_facts *facts = server_facts_new();
	struct server_port *port = server_facts_add_port(facts);
	struct server_told *told;
	int64_t status = -1;

	assert_int_equal(records_parse(text, strlen(text), &records, NULL), 0);
	server_hear(records, 1, port);
	assert_int_equal(port->ping, PING_NOAUTH);
	assert_int_equal(port->login, LOGIN_OK);
	assert_string_equal(port->dragonfly_version, "df-v1.40.0");
	assert_string_equal(port->master, "h:6379");
	assert_int_equal(port->auth_failures, 17);
	assert_true(port->settings_known && port->requirepass_set && port->users_known && port->denials_known);
	assert_string_equal(port->tls_setting, "true");
	assert_int_equal(port->users.count, 1);
	assert_true(server_user_find(&port->users, "default")->empty);
	assert_null(server_user_find(&port->users, "broken"));
	assert_int_equal(port->denial_count, 1);
	assert_string_equal(port->denials[0].client, "10.0.0.1:5");
	assert_int_equal(port->denials[0].count, 3);
	port = server_facts_add_port(facts);
	server_hear(records, 2, port);
	assert_int_equal(port->ping, PING_ANSWERED);
	assert_true(port->asked && !port->users_known && port->denials_known);
	assert_int_equal(port->auth_failures, -1);
	port = server_facts_add_port(facts);
	server_hear(records, 3, port);
	assert_int_equal(port->ping, PING_UNKNOWN);
	assert_string_equal(port->why, "dflyguard-probe did not say");
	server_hear_memcached(records, 4, port);
	assert_true(port->memcached_served);
	assert_true(server_hear_http(records, 5, &status) && status == 401);
	assert_false(server_hear_http(records, 6, &status));
	assert_false(server_hear_http(records, 9, &status));
	told = server_facts_add_told(facts);
	secret_hear(records, 7, &told->requirepass);
	assert_true(told->requirepass.known && told->requirepass.length == 5 && told->requirepass.bits == 12);
	secret_hear(records, 9, &told->masterauth);
	assert_true(!told->masterauth.known && told->masterauth.unknown);
	aclfile_hear(records, 8, told);
	assert_int_equal(told->aclfile, ACLFILE_BAD);
	assert_string_equal(told->aclfile_why, "line 2: a comment");
	assert_int_equal(told->users.count, 1);
	told = server_facts_add_told(facts);
	aclfile_hear(records, 9, told);
	assert_int_equal(told->aclfile, ACLFILE_UNKNOWN);
	assert_string_equal(told->aclfile_why, "no");
	server_facts_free(facts);
	records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_every_check_has_fixtures),
		cmocka_unit_test(test_unknown_is_no_pass),
		cmocka_unit_test(test_hear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

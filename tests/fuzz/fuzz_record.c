/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as what dflyguard-probe says. Nothing may crash or leak; what is taken is well formed, and is the same
 * again when it is written and read once more. `fuzz_record --make-corpus DIR` writes what it says of good servers and
 * files.
 */

#include "replay.h"
#include "server.h"
#include "tls.h"

static void check_again(const struct records *records)
{
	_cleanup_text_ struct text text = {0};
	struct records *again;

	for (size_t i = 0; i < records->count; i++) {
		record_begin(&text, records->items[i].name);
		for (size_t k = 0; k < records->items[i].field_count; k++)
			record_text(&text, records->items[i].fields[k].name, records->items[i].fields[k].value);
		record_end(&text);
	}
	record_close(&text, records->count);
	/* A long value is cut off when it is written; and what was written plainly may become longer. */
	if (records_parse(text.data, text.length, &again, NULL) < 0) {
		require(text.length > 8192);
		return;
	}
	require(again->count == records->count);
	for (size_t i = 0; i < records->count; i++)
		require(again->items[i].field_count == records->items[i].field_count);
	records_free(again);
}

static void hear_tls(const struct records *records, int64_t id)
{
	struct tls_facts *facts = tls_facts_new();
	struct tls_files *files = tls_facts_add_files(facts);
	struct tls_port *port = tls_facts_add_port(facts);

	tls_files_hear(records, id, files);
	require(files->unknown || files->certificate_count <= records->count);
	for (int offer = 0; offer < OFFER_COUNT; offer++) {
		tls_offer_hear(records, id, (enum tls_offer)offer, &port->answers[offer]);
		require(port->answers[offer].outcome != TLS_UNKNOWN || port->answers[offer].why);
	}
	certificate_names_host(files->names, files->name_count, "db.example");
	tls_facts_free(facts);
}

static void hear_server(const struct records *records, int64_t id)
{
	struct server_facts *facts = server_facts_new();
	struct server_port *port = server_facts_add_port(facts);
	struct server_told *told = server_facts_add_told(facts);
	int64_t status;

	server_hear(records, id, port);
	require(port->ping != PING_UNKNOWN || port->why);
	require(port->asked || (!port->users_known && !port->denials_known));
	server_hear_memcached(records, id, port);
	if (server_hear_http(records, id, &status))
		require(status >= 0 && status <= 999);
	secret_hear(records, id, &told->requirepass);
	require(told->requirepass.known || told->requirepass.unknown);
	aclfile_hear(records, id, told);
	require(told->aclfile != ACLFILE_NONE);
	server_user_find(&told->users, "default");
	server_facts_free(facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records *records = NULL;
	struct err err = {0};

	if (records_parse((const char *)data, size, &records, &err) < 0) {
		require(!records && err.message[0]);
		return 0;
	}
	check_again(records);
	for (int64_t id = 0; id < 3; id++) {
		hear_tls(records, id);
		hear_server(records, id);
	}
	records_free(records);
	return 0;
}

#ifndef FUZZING_ENGINE
static const char *const texts[] = {
	"certificate id=0 subject=CN%3Ddb issuer=CN%3Droot not_before=1 not_after=2 key_type=EC key_bits=256 "
	"sha256=ab\n"
	"name id=0 kind=dns value=*.example\nname id=0 kind=address value=0a140005\nname id=0 kind=common value=db\n"
	"ca id=0 subject=CN%3Dclients\nkey id=0 key_type=EC key_bits=256 matches=1\nbad id=0 role=key why=x%FF\n"
	"chain id=0 end=open missing=CN%3Droot\ndone id=0\nhandshake id=1 outcome=accepted version=TLSv1.3 asked=1\n"
	"plaintext id=2 outcome=said said=-ERR%20Bad\nend count=10\n",
	"ping id=0 outcome=noauth\nlogin id=0 outcome=ok\ninfo id=0 dragonfly_version=df-v1.40.0 no_auth=7 "
	"master_host=h\n"
	"setting id=0 name=requirepass set=1\nuser id=0 name=default on=1 passwords=2\nrefusal id=0 what=acl\n"
	"denied id=0 reason=AUTH count=3\ndone id=0\nmemcached id=1 outcome=served\nhttp id=1 status=401\n"
	"secret id=1 length=5 bits=12\naclfile id=2 users=1 default=1 bad=2 why=x\nend count=12\n",
	"failed id=0 why=no\nhandshake id=1 outcome=endless\nend count=2\n",
	"end count=0\n",
	"a b=%00\nend count=1\n",
	"a b=c b=d\nend count=1\n",
	"end count=0\nend count=1\n",
};

static int make_corpus(const char *directory)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		write_bytes(directory, "text", i, texts[i], strlen(texts[i]));
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif

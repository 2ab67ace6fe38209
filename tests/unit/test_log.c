/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The log of refused packets against scripted datagrams: what the kernel is asked, what becomes of what it says, and
 * that nothing is lost in silence. */

#include <inttypes.h>
#include <time.h>

#include <linux/netlink.h>
#include <linux/netfilter/nf_tables.h>

#include "logged.h"
#include "nft.h"
#include "testing.h"

/* What receive() gives next, once the question is answered. */
struct step {
	int code; /* not 0: an error */
	size_t count;
	struct logged messages[4];
	size_t cut; /* bytes that are missing at the end */
	bool done;  /* as the kernel ends a datagram of several */
};

struct script {
	const struct step *steps;
	size_t count, next;
	int refusal;	     /* of the configuration: positive */
	int generation_code; /* of the second question */
	char request[256];
	uint32_t sequence; /* of a question, 0 = answered */
	bool configuring;
	bool closed;
};

static ssize_t script_send(void *data, const void *bytes, size_t length)
{
	struct script *script = data;
	const struct nlmsghdr *message = bytes;

	script->configuring = message->nlmsg_type >> 8 == NFNL_SUBSYS_ULOG;
	if (script->configuring) {
		assert_true(length <= sizeof(script->request));
		memcpy(script->request, bytes, length);
	}
	script->sequence = message->nlmsg_seq;
	return (ssize_t)length;
}

static size_t answer(struct script *script, char *buffer)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nlmsgerr *error = mnl_nlmsg_put_extra_header(message, sizeof(*error));
	size_t used = 0;

	if (!script->configuring && !script->generation_code) {
		struct nfgenmsg *header;

		message = mnl_nlmsg_put_header(buffer);
		message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
		message->nlmsg_seq = script->sequence;
		header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
		memset(header, 0, sizeof(*header));
		mnl_attr_put_u32(message, NFTA_GEN_ID, htonl(7));
		used = message->nlmsg_len;
		message = mnl_nlmsg_put_header(buffer + used);
		error = mnl_nlmsg_put_extra_header(message, sizeof(*error));
	}
	*error = (struct nlmsgerr){.error = -(script->configuring ? script->refusal : script->generation_code)};
	message->nlmsg_type = NLMSG_ERROR;
	message->nlmsg_seq = script->sequence;
	script->sequence = 0;
	return used + message->nlmsg_len;
}

static ssize_t script_receive(
	void *data, void *buffer, size_t size, bool wait _unused_, bool *truncated, bool *from_kernel)
{
	struct script *script = data;
	const struct step *step;
	size_t used = 0;

	assert_true(size > 8192);
	*truncated = false;
	*from_kernel = true;
	if (script->sequence)
		return (ssize_t)answer(script, buffer);
	if (script->next == script->count)
		return -EAGAIN;
	step = &script->steps[script->next++];
	if (step->code)
		return step->code;
	for (size_t i = 0; i < step->count; i++)
		used += logged_put((char *)buffer + used, &step->messages[i]);
	if (step->done) {
		struct nlmsghdr *message = mnl_nlmsg_put_header((char *)buffer + used);

		message->nlmsg_type = NLMSG_DONE;
		used += message->nlmsg_len;
	}
	return (ssize_t)(used - step->cut);
}

static void script_close(void *data)
{
	struct script *script = data;

	script->closed = true;
}

static int open_script(struct script *script, struct nft_log **log, struct err *err)
{
	const struct transport transport = {
		.send = script_send, .receive = script_receive, .close = script_close, .data = script};

	return nft_log_open_transport(&transport, LOGGED_GROUP, log, err);
}

/* 10.66.0.10:51234 to 10.20.0.5:6379, SYN. */
#define SYN                                                                                                            \
	"\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x42\0\x0a\x0a\x14\0\x05\xc8\x22\x18\xeb\0\0\0\1\0\0\0\0\x50\x02\xff\xff" \
	"\0\0\0\0"

#define BARE(number, ...)                                                                                              \
	{                                                                                                              \
		.numbered = true, .sequence = (number), __VA_ARGS__                                                    \
	}
#define PREFIXED(number, text, ...) BARE((number), .prefix = (text), .payload = SYN, .payload_length = 40, __VA_ARGS__)
#define NOTICE(number, ...)	    PREFIXED((number), "dflyguard source", __VA_ARGS__)

/* --- opening --- */

static const struct nlattr *attribute(const struct script *script, uint16_t type)
{
	const struct nlattr *found;

	mnl_attr_for_each(found, (const struct nlmsghdr *)script->request, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(found) == type)
			return found;
	}
	fail_msg("nobody asked for attribute %u", type);
	return NULL;
}

/* One message that says all, so that nothing comes in between. */
static void test_question(void **state)
{
	struct script script = {0};
	const struct nlmsghdr *request = (const struct nlmsghdr *)script.request;
	const struct nfulnl_msg_config_mode *mode;
	struct nft_log *log = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(open_script(&script, &log, &err), 0);
	assert_int_equal(request->nlmsg_type, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG);
	assert_int_equal(request->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_int_equal(ntohs(((const struct nfgenmsg *)mnl_nlmsg_get_payload(request))->res_id), LOGGED_GROUP);
	assert_int_equal(mnl_attr_get_u8(attribute(&script, NFULA_CFG_CMD)), NFULNL_CFG_CMD_BIND);
	mode = mnl_attr_get_payload(attribute(&script, NFULA_CFG_MODE));
	assert_int_equal(mode->copy_mode, NFULNL_COPY_PACKET);
	assert_true(ntohl(mode->copy_range) >= 128);
	/* A notice does not lie about for longer than one can see. */
	assert_int_equal(ntohl(mnl_attr_get_u32(attribute(&script, NFULA_CFG_TIMEOUT))), 1);
	assert_int_equal(ntohs(mnl_attr_get_u16(attribute(&script, NFULA_CFG_FLAGS))), NFULNL_CFG_F_SEQ);
	assert_int_equal(nft_log_fd(log), 0);
	nft_log_close(log);
	assert_true(script.closed);
	nft_log_close(NULL);
}

static void test_refused(void **state)
{
	static const struct {
		int refusal, generation_code;
		int code;
		const char *message, *hint;
	} rows[] = {
		/* The kernel says the same to who may not, and to who comes second. */
		{EPERM, EPERM, EPERM, "reading NFLOG group 6379: Operation not permitted", "CAP_NET_ADMIN"},
		{EPERM, 0, EBUSY, "NFLOG group 6379 is read by another process already", "log_group"},
		{EBUSY, 0, EBUSY, "NFLOG group 6379 is read by another process already", "log_group"},
		{EINVAL, 0, EINVAL, "reading NFLOG group 6379: the kernel answered: Invalid argument",
			"modprobe nfnetlink_log"},
		{EOPNOTSUPP, 0, EOPNOTSUPP, "reading NFLOG group 6379: ", "modprobe nfnetlink_log"},
		{ENOENT, 0, ENOENT, "reading NFLOG group 6379: No such file", "modprobe nfnetlink_log"},
		{ENOMEM, 0, ENOMEM, "reading NFLOG group 6379: the kernel answered: Cannot allocate memory", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script script = {.refusal = rows[i].refusal, .generation_code = rows[i].generation_code};
		struct nft_log *log = NULL;
		struct err err = {0};

		assert_int_equal(open_script(&script, &log, &err), -rows[i].code);
		assert_int_equal(err.code, rows[i].code);
		if (strncmp(err.message, rows[i].message, strlen(rows[i].message)) != 0)
			fail_msg("row %zu: %s", i, err.message);
		if (!strstr(err.hint, rows[i].hint))
			fail_msg("row %zu: %s", i, err.hint);
		assert_null(log);
		assert_true(script.closed);
	}
}

/* --- hearing --- */

/* Everything that comes, as "source", "source lost 3", "(other)"; at the end how many were lost in all. */
static char *heard(const struct step *steps, size_t count)
{
	struct script script = {.steps = steps, .count = count};
	struct nft_log_event event;
	struct text text = {0};
	struct nft_log *log;
	struct err err = {0};
	bool more;
	int r;

	assert_int_equal(open_script(&script, &log, &err), 0);
	while ((r = nft_log_next(log, &event, &err)) > 0) {
		text_printf(&text, "%s%s", text.length ? ", " : "", event.ours ? event.name : "(other)");
		if (event.lost)
			text_printf(&text, " lost %u", event.lost);
		assert_true(event.reason == reason_find(event.name));
	}
	if (r < 0)
		text_printf(&text, ", error %d", -r);
	text_printf(&text, "; %" PRIu64, nft_log_lost(log, &more));
	text_append(&text, more ? " and more" : "");
	nft_log_close(log);
	return text_take(&text);
}

static const struct {
	const char *name;
	struct step steps[4];
	const char *heard;
} rows[] = {
	{"nothing", {{0}}, "; 0"},
	{"one", {{.count = 1, .messages = {NOTICE(0)}}}, "source; 0"},
	{"several in one datagram", {{.count = 3, .messages = {NOTICE(0), NOTICE(1), NOTICE(2)}, .done = true}},
		"source, source, source; 0"},
	{"several datagrams", {{.count = 1, .messages = {NOTICE(0)}}, {.count = 1, .messages = {NOTICE(1)}}},
		"source, source; 0"},
	/* Lost, with and without the kernel's word. */
	{"a gap", {{.count = 2, .messages = {NOTICE(0), NOTICE(4)}}}, "source, source lost 3; 3"},
	{"a gap in front", {{.count = 1, .messages = {NOTICE(2)}}}, "source lost 2; 2"},
	{"two gaps", {{.count = 3, .messages = {NOTICE(1), NOTICE(3), NOTICE(4)}}},
		"source lost 1, source lost 1, source; 2"},
	{"an overrun",
		{{.count = 1, .messages = {NOTICE(0)}}, {.code = -ENOBUFS}, {.count = 1, .messages = {NOTICE(1)}},
			{.count = 1, .messages = {NOTICE(100)}}},
		"source, source, source lost 98; 98"},
	{"an overrun that nothing follows",
		{{.count = 1, .messages = {NOTICE(0)}}, {.code = -ENOBUFS}, {.count = 1, .messages = {NOTICE(1)}}},
		"source, source; 0 and more"},
	/* The first gap says nothing about the second overrun. */
	{"two overruns, one gap", {{.code = -ENOBUFS}, {.code = -ENOBUFS}, {.count = 1, .messages = {NOTICE(5)}}},
		"source lost 5; 5 and more"},
	{"the number wraps",
		{{.count = 1, .messages = {NOTICE(0x7fffffff)}}, {.count = 1, .messages = {NOTICE(0xfffffffe)}},
			{.count = 2, .messages = {NOTICE(0xffffffff), NOTICE(1)}}},
		"source lost 2147483647, source lost 2147483646, source, source lost 1; 4294967294"},
	{"the number goes back", {{.count = 3, .messages = {NOTICE(0), NOTICE(0), NOTICE(1)}}},
		"source, source, source; 0"},
	{"no number", {{.count = 2, .messages = {{.prefix = "dflyguard source"}, {.prefix = "dflyguard state"}}}},
		"source, state; 0"},
	/* Prefixes. */
	{"other reasons",
		{{.count = 4,
			.messages = {PREFIXED(0, "dflyguard plaintext"), PREFIXED(1, "dflyguard rate"),
				PREFIXED(2, "dflyguard to_come-2"), PREFIXED(3, "dflyguard source ")}}},
		"plaintext, rate, to_come-2, unknown; 0"},
	{"no names",
		{{.count = 4,
			.messages = {PREFIXED(0, "dflyguard "), PREFIXED(1, "dflyguard \033[31m"),
				PREFIXED(2, "dflyguard abcdefghijklmnopqrstuvwxyzabcde"),
				PREFIXED(3, "dflyguard abcdefghijklmnopqrstuvwxyzabcdef")}}},
		"unknown, unknown, abcdefghijklmnopqrstuvwxyzabcde, unknown; 0"},
	{"somebody else",
		{{.count = 4,
			.messages = {PREFIXED(0, "dflyguard"), PREFIXED(1, "[UFW BLOCK] "), PREFIXED(2, NULL),
				PREFIXED(3, "dflyguard source", .prefix_open = true)}}},
		"(other), (other), (other), (other); 0"},
	/* Not for us. */
	{"another group", {{.count = 2, .messages = {NOTICE(9, .group = 1), NOTICE(0)}}}, "source; 0"},
	{"another message", {{.count = 2, .messages = {NOTICE(9, .type = NFNL_SUBSYS_NFTABLES << 8), NOTICE(0)}}},
		"source; 0"},
	{"an old error", {{.count = 2, .messages = {NOTICE(9, .type = NLMSG_ERROR), NOTICE(0)}}}, "source; 0"},
	/* Broken. */
	{"cut", {{.count = 2, .messages = {NOTICE(0), NOTICE(1)}, .cut = 1}, {.count = 1, .messages = {NOTICE(2)}}},
		"source, source lost 1; 1"},
	{"interrupted", {{.code = -EINTR}, {.count = 1, .messages = {NOTICE(0)}}}, "source; 0"},
	{"an error", {{.count = 1, .messages = {NOTICE(0)}}, {.code = -EBADF}}, "source, error 9; 0"},
};

static void test_heard(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *seen = heard(rows[i].steps, ARRAY_SIZE(rows[i].steps));

		if (strcmp(seen, rows[i].heard) != 0)
			fail_msg("%s: %s", rows[i].name, seen);
	}
}

static struct nft_log_event event_of(struct logged logged)
{
	const struct step step = {.count = 1, .messages = {logged}};
	struct script script = {.steps = &step, .count = 1};
	struct nft_log_event event;
	struct nft_log *log;
	struct err err = {0};

	assert_int_equal(open_script(&script, &log, &err), 0);
	assert_int_equal(nft_log_next(log, &event, &err), 1);
	assert_int_equal(nft_log_next(log, &event, &err), 0);
	nft_log_close(log);
	return event;
}

static void test_packet(void **state)
{
	struct nft_log_event event = event_of((struct logged)NOTICE(0, .interface = 1));

	(void)state;
	assert_int_equal(event.reason, REASON_SOURCE);
	assert_true(event.readable);
	assert_int_equal(event.packet.source.lo, 0x0a42000a);
	assert_int_equal(event.packet.destination_port, 6379);
	/* The first interface of every namespace. */
	assert_string_equal(event.interface, "lo");
	event = event_of((struct logged)NOTICE(0, .interface = 0x7ffffff0));
	assert_string_equal(event.interface, "");
	event = event_of((struct logged)BARE(0, .prefix = "dflyguard source"));
	assert_true(event.ours && !event.readable);
	assert_string_equal(event.interface, "");
	event = event_of((struct logged)BARE(0, .prefix = "dflyguard source", .payload = SYN, .payload_length = 19));
	assert_true(event.ours && !event.readable);
	event = event_of((struct logged)BARE(0, .prefix = "dflyguard source", .payload = SYN, .payload_length = 22));
	assert_true(event.readable && !event.packet.has_ports);
}

/* The packet's own time, unless it is that of another clock. */
static void test_time(void **state)
{
	const uint64_t second = 1000000000;
	uint64_t now = (uint64_t)time(NULL);

	(void)state;
	assert_true(event_of((struct logged)NOTICE(0, .seconds = now - 60, .microseconds = 123456)).time ==
		    (now - 60) * second + 123456000);
	assert_true(event_of((struct logged)NOTICE(0, .seconds = now + 60)).time == (now + 60) * second);
	const struct logged strange[] = {NOTICE(0), NOTICE(0, .seconds = 77), NOTICE(0, .seconds = now - 2 * 86400),
		NOTICE(0, .seconds = now + 2 * 86400), NOTICE(0, .seconds = UINT64_MAX),
		NOTICE(0, .seconds = now - 60, .microseconds = 1000000)};

	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		uint64_t seen = event_of(strange[i]).time;

		assert_true(seen >= now * second && seen <= ((uint64_t)time(NULL) + 1) * second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_heard),
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

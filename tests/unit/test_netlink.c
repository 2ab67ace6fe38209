/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The conversation itself, without nf_tables: requests, batches and attributes against scripted datagrams. What
 * test_nft.c asks of a whole reading is asked here of a single answer. */

#include <endian.h>
#include <linux/netlink.h>

#include "netlink.h"
#include "testing.h"

#define PORT 77u

/* What the peer says next. */
struct step {
	int code; /* not 0: what receive() returns */
	bool truncated;
	bool foreign;
	struct {
		uint16_t type; /* 0: none */
		uint16_t flags;
		int32_t sequence; /* less the request's */
		int32_t port;	  /* less ours */
		int error;	  /* payload of DONE and ERROR */
		bool no_payload;
	} messages[3];
};

struct script {
	const struct step *steps;
	size_t count, next;
	uint32_t sequence; /* of the request */
	int send_code;
	unsigned int sends;
	bool closed;
	bool waited; /* the last receive() was ready to wait */
};

static ssize_t script_send(void *data, const void *bytes, size_t length)
{
	struct script *script = data;

	script->sends++;
	script->sequence = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	if (script->send_code) {
		int code = script->send_code;

		script->send_code = code == -EINTR ? 0 : code;
		return code;
	}
	return (ssize_t)length;
}

static ssize_t script_receive(void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	struct script *script = data;
	const struct step *step;
	size_t used = 0;

	script->waited = wait;
	if (script->next == script->count)
		return -EAGAIN;
	step = &script->steps[script->next++];
	*truncated = step->truncated;
	*from_kernel = !step->foreign;
	if (step->code)
		return step->code;
	for (size_t i = 0; i < ARRAY_SIZE(step->messages) && step->messages[i].type; i++) {
		struct nlmsghdr *message = mnl_nlmsg_put_header((char *)buffer + used);

		assert_true(used + 64 < size);
		message->nlmsg_type = step->messages[i].type;
		message->nlmsg_flags = step->messages[i].flags;
		message->nlmsg_seq = script->sequence + (uint32_t)step->messages[i].sequence;
		message->nlmsg_pid = PORT + (uint32_t)step->messages[i].port;
		if (!step->messages[i].no_payload) {
			struct nlmsgerr error = {.error = step->messages[i].error};

			memcpy(mnl_nlmsg_put_extra_header(message, sizeof(error)), &error, sizeof(error));
		}
		used += MNL_ALIGN(message->nlmsg_len);
	}
	return (ssize_t)used;
}

static void script_close(void *data)
{
	((struct script *)data)->closed = true;
}

static struct netlink *script_open(struct script *script)
{
	struct transport transport = {
		.send = script_send, .receive = script_receive, .close = script_close, .data = script, .port = PORT};

	return netlink_open_transport(&transport);
}

#define MORE   .type = 0x100, .flags = NLM_F_MULTI
#define DONE   .type = NLMSG_DONE, .flags = NLM_F_MULTI
#define FAILED .type = NLMSG_ERROR

struct heard {
	unsigned int count;
	unsigned int fail_at; /* this message ends the request */
};

static int hear(void *data, const struct nlmsghdr *message)
{
	struct heard *heard = data;

	assert_int_equal(message->nlmsg_type, 0x100);
	return ++heard->count == heard->fail_at ? -EREMCHG : 0;
}

static const struct request_row {
	const char *name;
	struct step steps[6];
	size_t count;
	int code;
	unsigned int heard;
	unsigned int fail_at;
	const char *message; /* of the error, NULL: none is filled in */
	size_t taken;	     /* steps; 0 = all */
} request_rows[] =
	{
		{.name = "one message and an acknowledgement",
			.steps = {{.messages = {{MORE}}}, {.messages = {{FAILED}}}},
			.count = 2,
			.heard = 1},
		{.name = "a dump",
			.steps = {{.messages = {{MORE}, {MORE}}}, {.messages = {{MORE}, {DONE}}}},
			.count = 2,
			.heard = 3},
		{.name = "a dump, all in one datagram",
			.steps = {{.messages = {{MORE}, {MORE}, {DONE}}}},
			.count = 1,
			.heard = 2},
		{.name = "what stands behind the end is left",
			.steps = {{.messages = {{MORE}, {DONE}, {MORE}}}},
			.count = 1,
			.heard = 1},
		{.name = "nothing but the end", .steps = {{.messages = {{DONE}}}}, .count = 1},
		{.name = "torn at the first message",
			.steps = {{.messages = {{.type = 0x100, .flags = NLM_F_MULTI | NLM_F_DUMP_INTR}, {MORE}}},
				{.messages = {{DONE}}}},
			.count = 2,
			.code = -EINTR,
			.heard = 2},
		{.name = "torn at the end",
			.steps = {{.messages = {{MORE}, {.type = NLMSG_DONE, .flags = NLM_F_MULTI | NLM_F_DUMP_INTR}}}},
			.count = 1,
			.code = -EINTR,
			.heard = 1},
		/* Somebody else's message is not a sign. */
		{.name = "another dump is torn",
			.steps = {{.messages = {{.type = 0x100, .flags = NLM_F_MULTI | NLM_F_DUMP_INTR, .sequence = -1},
					   {DONE}}}},
			.count = 1},
		{.name = "torn, and failed: the failure counts",
			.steps = {{.messages = {{.type = 0x100, .flags = NLM_F_MULTI | NLM_F_DUMP_INTR},
					   {DONE, .error = -ENOMEM}}}},
			.count = 1,
			.code = -ENOMEM,
			.heard = 1,
			.message = "the kernel answered: Cannot allocate memory"},
		{.name = "DONE without a code", .steps = {{.messages = {{DONE, .no_payload = true}}}}, .count = 1},
		{.name = "ERROR without a code",
			.steps = {{.messages = {{FAILED, .no_payload = true}}}},
			.count = 1,
			.code = -EBADMSG,
			.message = "the kernel answered: Bad message"},
		{.name = "an error",
			.steps = {{.messages = {{FAILED, .error = -EPERM}}}},
			.count = 1,
			.code = -EPERM,
			.message = "the kernel answered: Operation not permitted"},
		{.name = "ENOENT, which callers expect",
			.steps = {{.messages = {{FAILED, .error = -ENOENT}}}},
			.count = 1,
			.code = -ENOENT},
		{.name = "a positive code",
			.steps = {{.messages = {{FAILED, .error = 3}}}},
			.count = 1,
			.code = -EBADMSG,
			.message = "Bad message"},
		{.name = "answers to others",
			.steps = {{.messages = {{FAILED, .error = -EPERM, .sequence = -1},
					   {FAILED, .error = -EPERM, .port = 1}}},
				{.foreign = true, .messages = {{FAILED, .error = -EPERM}}},
				{.foreign = true, .truncated = true, .messages = {{FAILED, .error = -EPERM}}},
				{.messages = {{MORE}, {DONE}}}},
			.count = 4,
			.heard = 1},
		{.name = "messages without a meaning",
			.steps = {{.messages = {{.type = NLMSG_NOOP}, {MORE}, {DONE}}}},
			.count = 1,
			.heard = 1},
		{.name = "an empty datagram", .steps = {{.foreign = false}, {.messages = {{DONE}}}}, .count = 2},
		{.name = "interrupted by signals",
			.steps = {{.code = -EINTR}, {.code = -EINTR}, {.messages = {{MORE}}}, {.code = -EINTR},
				{.messages = {{DONE}}}},
			.count = 5,
			.heard = 1},
		{.name = "silence", .code = -ETIMEDOUT, .message = "the kernel did not answer within 10 seconds"},
		{.name = "silence in the middle",
			.steps = {{.messages = {{MORE}}}},
			.count = 1,
			.heard = 1,
			.code = -ETIMEDOUT,
			.message = "the kernel did not answer within 10 seconds"},
		{.name = "lost answers; the rest is taken away",
			.steps = {{.messages = {{MORE}}}, {.code = -ENOBUFS}, {.messages = {{MORE}}},
				{.messages = {{DONE}}}},
			.count = 4,
			.heard = 1,
			.code = -ENOBUFS,
			.message = "answers of the kernel were lost"},
		{.name = "lost answers twice",
			.steps = {{.code = -ENOBUFS}, {.code = -ENOBUFS}, {.messages = {{MORE}}},
				{.messages = {{DONE}}}},
			.count = 4,
			.code = -ENOBUFS,
			.message = "answers of the kernel were lost"},
		{.name = "overrun",
			.steps = {{.messages = {{.type = NLMSG_OVERRUN}}}, {.messages = {{DONE}}}},
			.count = 2,
			.code = -ENOBUFS,
			.message = "answers of the kernel were lost"},
		{.name = "truncated; the rest is taken away",
			.steps = {{.truncated = true, .messages = {{MORE}}}, {.messages = {{MORE}}},
				{.messages = {{DONE}}}},
			.count = 3,
			.code = -EMSGSIZE,
			.message = "please report this"},
		{.name = "the callback ends it; the rest is taken away",
			.steps = {{.messages = {{MORE}, {MORE}, {MORE}}}, {.messages = {{MORE}}},
				{.messages = {{DONE}}}},
			.count = 3,
			.heard = 2,
			.fail_at = 2,
			.code = -EREMCHG},
		/* Behind the end of this answer another one may wait already: it is not touched. */
		{.name = "no further than its end",
			.steps = {{.messages = {{MORE}}}, {.messages = {{DONE}}}, {.messages = {{MORE}}}},
			.count = 3,
			.heard = 1,
			.fail_at = 1,
			.code = -EREMCHG,
			.taken = 2},
		{.name = "receive fails",
			.steps = {{.code = -EIO}},
			.count = 1,
			.code = -EIO,
			.message = "cannot receive from the kernel: Input/output error"},
};

static void test_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(request_rows); i++) {
		const struct request_row *row = &request_rows[i];
		struct script script = {.steps = row->steps, .count = row->count};
		struct netlink *netlink = script_open(&script);
		struct heard heard = {.fail_at = row->fail_at};
		struct err err = {0};
		char buffer[64];
		struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
		int code;

		request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		request->nlmsg_seq = netlink_sequence(netlink);
		code = netlink_request(netlink, request, hear, &heard, &err);
		if (code != row->code || heard.count != row->heard)
			fail_msg("%s: %d, %u heard: %s", row->name, code, heard.count, err.message);
		if (row->message ? !strstr(err.message, row->message) : err.code)
			fail_msg("%s: %s", row->name, err.message);
		if (row->message)
			assert_int_equal(err.code, -code);
		if (script.next != (row->taken ? row->taken : row->count))
			fail_msg("%s: %zu datagrams taken", row->name, script.next);
		/* Errors are optional. */
		script.next = 0;
		heard = (struct heard){.fail_at = row->fail_at};
		assert_int_equal(netlink_request(netlink, request, hear, &heard, NULL), row->code);
		netlink_close(netlink);
		assert_true(script.closed);
	}
}

struct refusal_list {
	unsigned int count;
	int code;
	uint32_t sequence;
};

static void note_refusal(void *data, uint32_t sequence, int code, const char *text)
{
	struct refusal_list *list = data;

	assert_null(text);
	if (list->count++)
		return;
	list->code = code;
	list->sequence = sequence;
}

static void test_batch(void **state)
{
	static const struct {
		const char *name;
		struct step steps[4];
		size_t count;
		int code;
		unsigned int refusals;
		int first;
	} rows[] = {
		{.name = "silence is consent"},
		{.name = "one error",
			.steps = {{.messages = {{FAILED, .error = -EEXIST, .sequence = 1}}}},
			.count = 1,
			.code = -EREMOTEIO,
			.refusals = 1,
			.first = EEXIST},
		{.name = "errors in several datagrams",
			.steps = {{.messages = {{FAILED, .error = -EPERM}, {FAILED, .error = -EEXIST, .sequence = 1}}},
				{.messages = {{FAILED, .error = -EIO, .sequence = 2}}}},
			.count = 2,
			.code = -EREMOTEIO,
			.refusals = 3,
			.first = EPERM},
		{.name = "acknowledgements", .steps = {{.messages = {{FAILED}, {FAILED, .sequence = 1}}}}, .count = 1},
		{.name = "errors of others",
			.steps = {{.messages = {{FAILED, .error = -EPERM, .sequence = -1},
					   {FAILED, .error = -EPERM, .sequence = 9}}},
				{.foreign = true, .messages = {{FAILED, .error = -EPERM}}}},
			.count = 2},
		{.name = "the end of a dump", .steps = {{.messages = {{MORE}, {DONE, .error = -EPERM}}}}, .count = 1},
		{.name = "lost", .steps = {{.code = -ENOBUFS}}, .count = 1, .code = -ENOBUFS},
		{.name = "lost, then an error: that is certain",
			.steps = {{.code = -ENOBUFS}, {.messages = {{FAILED, .error = -EIO}}}},
			.count = 2,
			.code = -EREMOTEIO,
			.refusals = 1,
			.first = EIO},
		{.name = "an error, then lost",
			.steps = {{.messages = {{FAILED, .error = -EIO}}}, {.code = -ENOBUFS}},
			.count = 2,
			.code = -EREMOTEIO,
			.refusals = 1,
			.first = EIO},
		{.name = "interrupted",
			.steps = {{.code = -EINTR}, {.messages = {{FAILED, .error = -EIO}}}},
			.count = 2,
			.code = -EREMOTEIO,
			.refusals = 1,
			.first = EIO},
		{.name = "truncated", .steps = {{.truncated = true}}, .count = 1, .code = -ENOBUFS},
		{.name = "receive fails", .steps = {{.code = -EBADF}}, .count = 1, .code = -ENOBUFS},
		{.name = "an error that is none",
			.steps = {{.messages = {{FAILED, .error = 4}}}},
			.count = 1,
			.code = -EREMOTEIO,
			.refusals = 1,
			.first = EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script script = {.steps = rows[i].steps, .count = rows[i].count};
		struct netlink *netlink = script_open(&script);
		struct refusal_list list = {0};
		struct err err = {0};
		char buffer[256];
		size_t used = 0;
		int code;

		for (unsigned int k = 0; k < 3; k++) {
			struct nlmsghdr *message = mnl_nlmsg_put_header(buffer + used);

			message->nlmsg_seq = netlink_sequence(netlink);
			used += message->nlmsg_len;
		}
		code = netlink_batch(netlink, buffer, used, note_refusal, &list, &err);
		if (code != rows[i].code || list.count != rows[i].refusals || list.code != rows[i].first)
			fail_msg("%s: %d, %u refusals, %d", rows[i].name, code, list.count, list.code);
		assert_int_equal(script.sends, 1);
		assert_int_equal(script.next, rows[i].count);
		/* The transaction has run when it was sent: nothing is waited for. */
		assert_false(script.waited);
		netlink_close(netlink);
	}
}

/* --- hearing what nobody asked for --- */

static int script_listen(void *data, unsigned int group, struct transport *ret)
{
	struct script *script = data;

	assert_int_equal(group, 7);
	if (script->send_code)
		return script->send_code;
	*ret = (struct transport){
		.receive = script_receive, .close = script_close, .data = data, .port = 3, .descriptor = 9};
	return 0;
}

static void test_hear(void **state)
{
	static const struct {
		const char *name;
		struct step steps[4];
		size_t count, taken;
		int code;
		unsigned int heard;
		unsigned int fail_at;
		const char *message;
	} rows[] = {
		{.name = "nothing"},
		/* Whoever did it, and with whatever sequence number. */
		{.name = "two datagrams",
			.steps = {{.messages = {{MORE}, {MORE, .port = 9, .sequence = -9}}}, {.messages = {{MORE}}}},
			.count = 2,
			.taken = 2,
			.heard = 3},
		{.name = "lost",
			.steps = {{.messages = {{MORE}}}, {.code = -ENOBUFS}, {.messages = {{MORE}}}},
			.count = 3,
			.taken = 2,
			.code = -ENOBUFS,
			.heard = 1},
		{.name = "truncated",
			.steps = {{.truncated = true, .messages = {{MORE}}}, {.messages = {{MORE}}}},
			.count = 2,
			.taken = 1,
			.code = -EBADMSG},
		{.name = "not from the kernel",
			.steps = {{.foreign = true, .messages = {{MORE}}}, {.messages = {{MORE}}}},
			.count = 2,
			.taken = 2,
			.heard = 1},
		{.name = "interrupted",
			.steps = {{.code = -EINTR}, {.messages = {{MORE}}}},
			.count = 2,
			.taken = 2,
			.heard = 1},
		{.name = "receive fails",
			.steps = {{.code = -EIO}},
			.count = 1,
			.taken = 1,
			.code = -EIO,
			.message = "cannot hear the kernel's events: Input/output error"},
		{.name = "the callback ends it",
			.steps = {{.messages = {{MORE}, {MORE}, {MORE}}}, {.messages = {{MORE}}}},
			.count = 2,
			.taken = 1,
			.code = -EREMCHG,
			.heard = 2,
			.fail_at = 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script script = {.steps = rows[i].steps, .count = rows[i].count};
		struct netlink *netlink = script_open(&script);
		struct heard heard = {.fail_at = rows[i].fail_at};
		struct err err = {0};
		int code = netlink_hear(netlink, hear, &heard, &err);

		if (code != rows[i].code || heard.count != rows[i].heard || script.next != rows[i].taken)
			fail_msg("%s: %d, %u heard, %zu datagrams: %s", rows[i].name, code, heard.count, script.next,
				err.message);
		if (rows[i].message ? strcmp(err.message, rows[i].message) != 0 : err.code)
			fail_msg("%s: %s", rows[i].name, err.message);
		assert_false(script.waited);
		netlink_close(netlink);
	}
}

/* Bytes that are no message, behind one. */
static ssize_t receive_rest(void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	ssize_t length = script_receive(data, buffer, size, wait, truncated, from_kernel);

	if (length > 0)
		memset((char *)buffer + length, 0, 8);
	return length > 0 ? length + 8 : length;
}

static void test_listen(void **state)
{
	static const struct step step = {.messages = {{MORE}}};
	struct script script = {.steps = &step, .count = 1};
	struct transport transport = {.send = script_send,
		.receive = script_receive,
		.close = script_close,
		.listen = script_listen,
		.data = &script,
		.port = PORT};
	struct netlink *netlink = netlink_open_transport(&transport);
	struct netlink *listener = NULL;
	struct heard heard = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(netlink_port(netlink), PORT);
	assert_int_equal(netlink_descriptor(netlink), 0);
	assert_int_equal(netlink_listen(netlink, 7, &listener, &err), 0);
	assert_int_equal(netlink_port(listener), 3);
	assert_int_equal(netlink_descriptor(listener), 9);
	assert_int_equal(netlink_hear(listener, hear, &heard, &err), 0);
	assert_int_equal(heard.count, 1);
	netlink_close(listener);
	listener = NULL;
	script.send_code = -EPERM;
	assert_int_equal(netlink_listen(netlink, 7, &listener, &err), -EPERM);
	assert_string_equal(err.message, "cannot listen to the kernel's events: Operation not permitted");
	assert_null(listener);
	netlink_close(netlink);

	transport.listen = NULL;
	transport.receive = receive_rest;
	netlink = netlink_open_transport(&transport);
	assert_int_equal(netlink_listen(netlink, 7, &listener, NULL), -EOPNOTSUPP);
	script.next = 0;
	assert_int_equal(netlink_hear(netlink, hear, &heard, &err), -EBADMSG);
	assert_int_equal(heard.count, 2);
	netlink_close(netlink);
}

static void test_send(void **state)
{
	static const struct {
		int code;
		int result;
		const char *message;
		unsigned int sends;
	} rows[] = {
		{-EINTR, -ETIMEDOUT, "did not answer", 2},
		{-EMSGSIZE, -EMSGSIZE, "one transaction of 16 B does not fit into the netlink socket's send buffer", 1},
		{-ENOBUFS, -ENOMEM, "cannot send to the kernel: Cannot allocate memory", 1},
		{-ECONNREFUSED, -ECONNREFUSED, "cannot send to the kernel: Connection refused", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script script = {.send_code = rows[i].code};
		struct netlink *netlink = script_open(&script);
		struct err err = {0};
		char buffer[64];
		struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

		request->nlmsg_seq = netlink_sequence(netlink);
		assert_int_equal(netlink_request(netlink, request, hear, NULL, &err), rows[i].result);
		assert_non_null(strstr(err.message, rows[i].message));
		assert_int_equal(script.sends, rows[i].sends);
		netlink_close(netlink);
	}
}

static void test_sequence(void **state)
{
	struct script script = {0};
	struct netlink *netlink = script_open(&script);
	uint32_t last = netlink_sequence(netlink);

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		uint32_t next = netlink_sequence(netlink);

		assert_int_equal(next, last + 1);
		assert_int_not_equal(next, 0);
		last = next;
	}
	netlink_close(netlink);
	netlink_close(NULL);
}

/* The real clock, where a transport has none. */
static void test_time(void **state)
{
	struct script script = {0};
	struct netlink *netlink = script_open(&script);
	double before = netlink_now(netlink);

	(void)state;
	netlink_pause(netlink, 1000000);
	assert_true(netlink_now(netlink) - before >= 0.001);
	netlink_close(netlink);
}

/* --- attributes --- */

static void test_attributes(void **state)
{
	static const struct {
		const char *name;
		unsigned char bytes[40];
		size_t length;
		bool known;
		bool whole;
		unsigned int present; /* bits of the types found */
	} rows[] = {
		{"none", {0}, 0, true, true, 0},
		{"one", {8, 0, 1, 0, 1, 2, 3, 4}, 8, true, true, 1u << 1},
		{"two", {8, 0, 1, 0, 1, 2, 3, 4, 4, 0, 2, 0}, 12, true, true, 1u << 1 | 1u << 2},
		{"a nest's flag is no type", {4, 0, 1, 0x80}, 4, true, true, 1u << 1},
		{"padding at the end may be missing", {5, 0, 1, 0, 9}, 5, true, true, 1u << 1},
		{"padding in the middle", {5, 0, 1, 0, 9, 0, 0, 0, 4, 0, 2, 0}, 12, true, true, 1u << 1 | 1u << 2},
		{"twice", {4, 0, 1, 0, 4, 0, 1, 0}, 8, false, true, 1u << 1},
		{"unknown, empty", {4, 0, 9, 0}, 4, true, true, 0},
		{"unknown, zero", {8, 0, 9, 0, 0, 0, 0, 0}, 8, true, true, 0},
		{"unknown, not zero", {8, 0, 9, 0, 0, 0, 0, 1}, 8, false, true, 0},
		{"cut in its value", {8, 0, 1, 0, 1, 2}, 6, false, false, 0},
		{"cut in its header", {4, 0, 1, 0, 4, 0}, 6, false, false, 1u << 1},
		{"one byte behind", {4, 0, 1, 0, 1}, 5, false, false, 1u << 1},
		{"shorter than a header", {3, 0, 1, 0}, 4, false, false, 0},
		{"no length at all", {0, 0, 0, 0}, 4, false, false, 0},
		{"longer than all", {255, 255, 1, 0}, 4, false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* On the heap and as large as it is, so that a sanitizer sees a read behind it. */
		_cleanup_free_ char *bytes = mem_stringn((const char *)rows[i].bytes, rows[i].length);
		const struct nlattr *table[4];
		unsigned int present = 0;

		bytes = mem_resize(bytes, rows[i].length, 1);
		if (netlink_attributes(bytes, rows[i].length, table, ARRAY_SIZE(table)) != rows[i].known)
			fail_msg("%s: known: %d", rows[i].name, !rows[i].known);
		if (netlink_well_formed(bytes, rows[i].length) != rows[i].whole)
			fail_msg("%s: whole: %d", rows[i].name, !rows[i].whole);
		for (unsigned int k = 0; k < ARRAY_SIZE(table); k++)
			present |= table[k] ? 1u << k : 0;
		if (present != rows[i].present)
			fail_msg("%s: present: %x", rows[i].name, present);
	}
	const struct nlattr *table[4] = {(const struct nlattr *)0x1};

	assert_false(netlink_nest(NULL, table, ARRAY_SIZE(table)));
	assert_null(table[0]);
}

static void test_message_ok(void **state)
{
	static const struct {
		uint32_t length;
		int left;
		bool ok;
	} rows[] = {
		{16, 16, true},
		{16, 17, true},
		{20, 20, true},
		{17, 16, false},
		{15, 16, false},
		{0, 16, false},
		{16, 15, false},
		{16, 0, false},
		{16, -4, false},
		/* What libmnl takes for a negative length. */
		{0x80000000, 1000, false},
		{0xffffffff, 1000, false},
		{0xfffffff0, 1000, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct nlmsghdr message = {.nlmsg_len = rows[i].length};

		assert_true(netlink_message_ok(&message, rows[i].left) == rows[i].ok);
	}
}

static void test_values(void **state)
{
	struct {
		struct nlattr head;
		unsigned char bytes[12];
	} a = {{4, 1}, {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 0}};
	uint32_t u32 = 7;
	uint64_t u64 = 7;

	(void)state;
	for (unsigned int size = 0; size <= 12; size++) {
		a.head.nla_len = (uint16_t)(4 + size);
		assert_true(netlink_u32(&a.head, &u32) == (size == 4));
		assert_true(netlink_u64(&a.head, &u64) == (size == 8));
	}
	assert_int_equal(u32, 0x12345678);
	assert_true(u64 == 0x123456789abcdef0);
	/* Untouched where there is none. */
	assert_false(netlink_u32(NULL, &u32));
	assert_false(netlink_u64(NULL, &u64));
	assert_int_equal(u32, 0x12345678);

	memcpy(a.bytes, "abc\0def", 8);
	for (unsigned int size = 0; size <= 8; size++) {
		a.head.nla_len = (uint16_t)(4 + size);
		if (size >= 4)
			assert_string_equal(netlink_string(&a.head), "abc");
		else
			assert_null(netlink_string(&a.head));
	}
	assert_null(netlink_string(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_hear),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_message_ok),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}

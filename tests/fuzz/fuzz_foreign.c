/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as what the kernel answers about other tables (tests/unit/foreign_replay.h), followed by packets, and
 * judged by audit. Nothing may crash, leak or take long, and what is unknown must not become a pass. With
 * -DFUZZING_ENGINE a fuzzing engine calls LLVMFuzzerTestOneInput(); otherwise main() replays the files, or all files of
 * the directories, that it is given. `fuzz_foreign --record FILE` writes what the kernel answers about the tables of
 * this network namespace.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "audit.h"
#include "foreign_replay.h"
#include "replay.h"

static void check_fact(const struct foreign_fact *fact)
{
	require(fact->table && fact->chain && fact->rule);
	require(fact->kind <= FOREIGN_DROP);
	require(fact->from_first <= fact->from_last);
	/* A policy has no handle, and is no reason for anything but a drop. */
	require(fact->handle || fact->kind == FOREIGN_DROP || fact->rule[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct foreign_question question = replay_question();
	static char name[] = "e";
	static struct environment environment = {.name = name};
	static struct policy policy = {.environments = &environment, .environment_count = 1};
	struct audit_facts facts = {.policy = &policy,
		.environment = &environment,
		.drift_unknown = "-",
		.foreign_unknown = "-",
		.guard_unknown = "-"};
	struct findings findings = {0};
	struct foreign *foreign;
	int r;

	if (size > 256 * 1024)
		return 0;
	r = replay_read(data, size, &question, &foreign);
	require((r == 0) == (foreign != NULL));
	require(r <= 0);
	for (size_t i = 0; foreign && i < foreign->count; i++)
		check_fact(&foreign->facts[i]);
	require(!foreign || foreign->count <= FOREIGN_FACTS);
	facts.foreign = foreign;
	audit_run(&facts, &findings);
	require(findings.count >= 8);
	if (!foreign)
		require(findings_count(&findings, OUTCOME_PASS, SEVERITY_INFO) == 0);
	findings_done(&findings);
	foreign_free(foreign);
	return 0;
}

#ifndef FUZZING_ENGINE
/* --- the real kernel, recorded --- */

static struct recorder {
	int socket;
	FILE *stream;
	bool generation;
} recorder;

static void record(uint16_t length, const void *bytes)
{
	fputc(length & 0xff, recorder.stream);
	fputc(length >> 8, recorder.stream);
	if (bytes)
		fwrite(bytes, 1, length, recorder.stream);
}

static ssize_t record_send(void *data _unused_, const void *bytes, size_t length)
{
	recorder.generation = (((const struct nlmsghdr *)bytes)->nlmsg_type & 0xff) == NFT_MSG_GETGEN;
	return send(recorder.socket, bytes, length, 0);
}

static ssize_t record_receive(
	void *data _unused_, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	ssize_t received = recv(recorder.socket, buffer, size, wait ? 0 : MSG_DONTWAIT);
	const struct nlmsghdr *message = buffer;
	int left = (int)received;

	*truncated = false;
	*from_kernel = true;
	if (received < 0)
		return -errno;
	for (; !recorder.generation && netlink_message_ok(message, left); message = mnl_nlmsg_next(message, &left))
		if (message->nlmsg_type == NLMSG_DONE)
			record(REPLAY_END, NULL);
		else if (message->nlmsg_type == NLMSG_ERROR)
			record(((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error ? REPLAY_NONE
												: REPLAY_END,
				NULL);
		else
			record((uint16_t)mnl_nlmsg_get_payload_len(message), mnl_nlmsg_get_payload(message));
	return received;
}

static int make_record(const char *path)
{
	static const struct transport transport = {.send = record_send, .receive = record_receive};
	const struct foreign_question question = replay_question();
	struct foreign *foreign = NULL;
	struct err err = {0};
	struct nft *nft;
	int r;

	recorder.stream = fopen(path, "we");
	recorder.socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (!recorder.stream || recorder.socket < 0) {
		perror(path);
		return 1;
	}
	nft = nft_open_transport(&transport);
	r = nft_read_foreign(nft, &question, &foreign, &err);
	nft_close(nft);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	for (size_t i = 0; foreign && i < foreign->count; i++)
		printf("%u %s %s: %s\n", foreign->facts[i].kind, foreign->facts[i].table, foreign->facts[i].chain,
			foreign->facts[i].rule);
	foreign_free(foreign);
	fclose(recorder.stream);
	close(recorder.socket);
	return r < 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--record") == 0)
		return make_record(arguments[2]);
	return replay_main(count, arguments);
}
#endif

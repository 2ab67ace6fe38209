/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The two programs of the bind guard, in the C that the kernel's verifier takes. They run at each bind(2) of an IPv4 or
 * IPv6 socket, before the kernel does anything about it. 1 lets it go on, 0 is EPERM.
 *
 * The address family that the caller wrote is not asked: an IPv4 socket may say AF_UNSPEC and mean the wildcard
 * (inet_bind()). What the socket is decides which program runs.
 */

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bindguard_maps.h"

#define TYPE_STREAM    1   /* SOCK_STREAM */
#define PROTOCOL_TCP   6   /* IPPROTO_TCP */
#define PROTOCOL_MPTCP 262 /* IPPROTO_MPTCP */
#define MAPPED	       bpf_htonl(0xffff)

struct rules {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct guard_key));
	__uint(value_size, sizeof(struct guard_rule));
};

/* One slot: whoever changes the policy puts other rules into it, and both programs follow at once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__array(values, struct rules);
} guard_policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GUARD_ATTEMPTS);
	__type(key, struct guard_attempt);
	__type(value, struct guard_tries);
} guard_refusals SEC(".maps");

/* By verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} guard_totals SEC(".maps");

union address {
	__u8 bytes[16];
	__u32 words[4];
};

static __always_inline void count(const union address *address, __u16 port, __u8 family, __u8 verdict)
{
	struct guard_attempt attempt = {.port = port, .family = family, .verdict = verdict};
	struct guard_tries now = {.count = 1, .last = bpf_ktime_get_boot_ns()};
	__u32 index = verdict;
	__u64 *total = bpf_map_lookup_elem(&guard_totals, &index);
	struct guard_tries *before;

	if (total)
		__sync_fetch_and_add(total, 1);
	__builtin_memcpy(attempt.address, address->bytes, sizeof(attempt.address));
	now.process = bpf_get_current_pid_tgid() >> 32;
	now.user = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(now.command, sizeof(now.command));
	before = bpf_map_lookup_elem(&guard_refusals, &attempt);
	if (!before) {
		bpf_map_update_elem(&guard_refusals, &attempt, &now, BPF_ANY);
		return;
	}
	/* The last one is a courtesy: two at once may mix theirs, but neither is lost from the count. */
	__sync_fetch_and_add(&before->count, 1);
	before->last = now.last;
	before->process = now.process;
	before->user = now.user;
	__builtin_memcpy(before->command, now.command, sizeof(now.command));
}

/* The port's rule where the address is not listed; NULL where the bind is none of our business, or allowed. */
static __always_inline const struct guard_rule *broken_rule(
	struct bpf_sock_addr *bind, const union address *address, __u16 port)
{
	struct guard_key key = {.port = port, .kind = KEY_PORT};
	const struct guard_rule *rule;
	__u32 slot = 0;
	void *rules;

	/* Port 0: the kernel chooses a port of its range. */
	if (!port || bind->type != TYPE_STREAM || (bind->protocol != PROTOCOL_TCP && bind->protocol != PROTOCOL_MPTCP))
		return NULL;
	rules = bpf_map_lookup_elem(&guard_policy, &slot);
	if (!rules)
		return NULL;
	rule = bpf_map_lookup_elem(rules, &key);
	if (!rule || rule->space != bpf_get_netns_cookie(bind))
		return NULL;
	key.kind = KEY_ADDRESS;
	__builtin_memcpy(key.address, address->bytes, sizeof(key.address));
	return bpf_map_lookup_elem(rules, &key) ? NULL : rule;
}

SEC("cgroup/bind4")
int guard_bind4(struct bpf_sock_addr *bind)
{
	union address address = {.words = {0, 0, MAPPED, bind->user_ip4}};
	__u16 port = bpf_ntohs((__u16)bind->user_port);
	const struct guard_rule *rule = broken_rule(bind, &address, port);
	union address first;

	if (!rule)
		return 1;
	if (rule->mode != MODE_REWRITE || !rule->has_v4) {
		count(&address, port, 4, VERDICT_REFUSED);
		return 0;
	}
	count(&address, port, 4, VERDICT_REWRITTEN);
	__builtin_memcpy(first.bytes, rule->first_v4, sizeof(first.bytes));
	bind->user_ip4 = first.words[3];
	return 1;
}

SEC("cgroup/bind6")
int guard_bind6(struct bpf_sock_addr *bind)
{
	union address address = {.words = {bind->user_ip6[0], bind->user_ip6[1], bind->user_ip6[2], bind->user_ip6[3]}};
	__u16 port = bpf_ntohs((__u16)bind->user_port);
	const struct guard_rule *rule = broken_rule(bind, &address, port);
	int mapped = !address.words[0] && !address.words[1] && address.words[2] == MAPPED;
	int wildcard = !address.words[0] && !address.words[1] && !address.words[2] && !address.words[3];
	union address first;

	if (!rule)
		return 1;
	/* The wildcard means both families. Of two it becomes IPv6; the kernel refuses a mapped address with EINVAL
	 * where the socket is IPV6_V6ONLY. */
	if (rule->mode == MODE_REWRITE && rule->has_v6 && !mapped) {
		__builtin_memcpy(first.bytes, rule->first_v6, sizeof(first.bytes));
	} else if (rule->mode == MODE_REWRITE && rule->has_v4 && (mapped || wildcard)) {
		__builtin_memcpy(first.bytes, rule->first_v4, sizeof(first.bytes));
	} else {
		count(&address, port, 6, VERDICT_REFUSED);
		return 0;
	}
	count(&address, port, 6, VERDICT_REWRITTEN);
	bind->user_ip6[0] = first.words[0];
	bind->user_ip6[1] = first.words[1];
	bind->user_ip6[2] = first.words[2];
	bind->user_ip6[3] = first.words[3];
	return 1;
}

/* The helpers that tell the process and the time are for programs under the GPL. */
char guard_license[] SEC("license") = "GPL";

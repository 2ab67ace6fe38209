/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is in force, as the kernel tells it. */

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bindguard_private.h"

/* More entries than this are not ours, or somebody adds them as fast as we read. */
#define RULES_MOST    2000000u
#define ATTEMPTS_MOST (4 * GUARD_ATTEMPTS)

const struct hook guard_hooks[BINDGUARD_HOOKS] = {
	[BINDGUARD_BIND4] = {"guard_bind4", "bind4", "program4", BPF_CGROUP_INET4_BIND},
	[BINDGUARD_BIND6] = {"guard_bind6", "bind6", "program6", BPF_CGROUP_INET6_BIND},
};

const struct map_pin guard_maps[MAP_PINS] = {
	{"guard_policy", PIN_POLICY}, {"guard_refusals", PIN_REFUSALS}, {"guard_totals", PIN_TOTALS}};

int guard_error(struct err *err, int code, const char *doing)
{
	if (code == -EPERM || code == -EACCES) {
		err_set(err, EPERM, ERR_COMMIT, "bind guard: %s: %s", doing, strerror(EPERM));
		err_hint(err, "run as root of the host, or with CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON; where the "
			      "kernel is locked "
			      "down, "
			      "write bind_guard = off");
		return -EPERM;
	}
	if (code == -ENOSYS || code == -EINVAL || code == -EOPNOTSUPP || code == -ENOTSUP) {
		err_set(err, EOPNOTSUPP, ERR_COMMIT, "bind guard: %s: this kernel cannot do that (%s)", doing,
			strerror(-code));
		err_hint(err, "it takes Linux 6.1 with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF; or write bind_guard = "
			      "off");
		return -EOPNOTSUPP;
	}
	err_set(err, -code, ERR_COMMIT, "bind guard: %s: %s", doing, strerror(-code));
	return code;
}

/* --- the kernel's objects --- */

int pin_open(const struct library *library, const struct place *place, const char *name)
{
	char path[PLACE_PATH];
	int pin = library->bpf_obj_get(place_path(place, name, path));

	return pin < 0 ? -1 : pin;
}

uint32_t map_id(const struct library *library, int map)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return map >= 0 && library->bpf_obj_get_info_by_fd(map, &info, &size) == 0 ? info.id : 0;
}

struct bpf_object *object_open(const struct library *library, struct err *err)
{
	const struct bpf_object_open_opts options = {.sz = sizeof(options), .object_name = "dflyguard"};
	struct bpf_object *object = library->bpf_object__open_mem(bindguard_object, bindguard_object_size, &options);

	if (!object)
		guard_error(err, -EOPNOTSUPP, "reading the programs");
	return object;
}

static bool may_load(void)
{
	static const unsigned int needed[] = {CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
	bool all = true;

	if (syscall(SYS_capget, &header, sets) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		all = all && sets[CAP_TO_INDEX(needed[i])].effective & CAP_TO_MASK(needed[i]);
	return all || sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

int object_load(const struct library *library, struct bpf_object *object, struct err *err)
{
	int code = library->bpf_object__load(object);

	/* What a program may call depends on who loads it: "Invalid argument" then means a privilege. */
	if (code == -EINVAL && !may_load())
		code = -EPERM;
	return code < 0 ? guard_error(err, code, "loading the programs into the kernel") : 0;
}

#define PROGRAM_MAPS 16 /* ours have three */

struct program {
	uint32_t id;
	uint8_t tag[BPF_TAG_SIZE];
	uint32_t maps[PROGRAM_MAPS];
	uint32_t map_count;
};

static bool program_info(const struct library *library, int descriptor, struct program *ret)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	*ret = (struct program){0};
	info.map_ids = (uint64_t)(uintptr_t)ret->maps;
	info.nr_map_ids = PROGRAM_MAPS;
	/* A pin of another kind of object answers something else, or nothing: its id differs. */
	if (descriptor < 0 || library->bpf_obj_get_info_by_fd(descriptor, &info, &size) < 0)
		return false;
	ret->id = info.id;
	memcpy(ret->tag, info.tag, sizeof(ret->tag));
	ret->map_count = info.nr_map_ids < PROGRAM_MAPS ? info.nr_map_ids : PROGRAM_MAPS;
	return true;
}

static bool uses_map(const struct program *program, uint32_t map)
{
	for (uint32_t i = 0; i < program->map_count; i++)
		if (map && program->maps[i] == map)
			return true;
	return false;
}

enum bindguard_attachment hook_state(
	const struct library *library, const struct place *place, const struct hook *hook, int program, uint32_t policy)
{
	_cleanup_close_ int link = pin_open(library, place, hook->link_pin);
	_cleanup_close_ int pinned = pin_open(library, place, hook->program_pin);
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	struct program ours;
	struct program theirs;

	if (link < 0)
		return ATTACHED_NOT;
	if (library->bpf_obj_get_info_by_fd(link, &info, &size) < 0 || info.type != BPF_LINK_TYPE_CGROUP ||
		info.cgroup.cgroup_id != place->cgroup_id || info.cgroup.attach_type != hook->type)
		return ATTACHED_NO_MORE;
	/* The link tells which program runs; to ask the kernel for it by that number takes more privileges. */
	if (!program_info(library, pinned, &theirs) || !program_info(library, program, &ours) ||
		theirs.id != info.prog_id || memcmp(theirs.tag, ours.tag, sizeof(ours.tag)) != 0 ||
		!uses_map(&theirs, policy))
		return ATTACHED_OTHER;
	return ATTACHED;
}

/* --- the rules --- */

static struct value mapped_v4(const uint8_t address[16])
{
	return value_from_bytes(WIDTH_IPV4, address + 12);
}

static bool is_mapped(const uint8_t address[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, prefix, sizeof(prefix)) == 0;
}

static struct bindguard_port *find_port(struct bindguard *guard, uint16_t port)
{
	for (size_t i = 0; i < guard->count; i++)
		if (guard->ports[i].port == port)
			return &guard->ports[i];
	return NULL;
}

/* False: not one of ours. */
static bool decode_port(
	const struct place *place, const struct guard_key *key, const struct guard_rule *rule, struct bindguard *ret)
{
	const struct intervals none_v4 = {.width = WIDTH_IPV4};
	const struct intervals none_v6 = {.width = WIDTH_IPV6};
	struct bindguard_port *port;

	if (rule->space != place->space || (rule->mode != MODE_DENY && rule->mode != MODE_REWRITE))
		return false;
	bindguard_add(
		ret, key->port, rule->mode == MODE_DENY ? BINDGUARD_DENY : BINDGUARD_REWRITE, &none_v4, &none_v6, 0);
	port = find_port(ret, key->port);
	if (!port)
		return false;
	port->has_v4 = rule->has_v4;
	port->has_v6 = rule->has_v6;
	port->first_v4 = mapped_v4(rule->first_v4);
	port->first_v6 = value_from_bytes(WIDTH_IPV6, rule->first_v6);
	return true;
}

static bool decode_address(const struct guard_key *key, struct bindguard *ret)
{
	struct bindguard_port *port = find_port(ret, key->port);
	struct value address;

	if (!port)
		return false;
	if (is_mapped(key->address)) {
		address = mapped_v4(key->address);
		intervals_add(&port->v4, (struct interval){address, address, 0});
	} else {
		address = value_from_bytes(WIDTH_IPV6, key->address);
		intervals_add(&port->v6, (struct interval){address, address, 0});
	}
	return true;
}

/* Ports first: the map has no order. */
static bool decode_kind(
	const struct library *library, const struct place *place, int rules, uint16_t kind, struct bindguard *ret)
{
	struct guard_key key;
	struct guard_key *before = NULL;
	struct guard_key next;

	for (size_t i = 0; library->bpf_map_get_next_key(rules, before, &next) == 0; i++) {
		struct guard_rule rule;

		key = next;
		before = &key;
		if (i >= RULES_MOST || (key.kind != KEY_PORT && key.kind != KEY_ADDRESS))
			return false;
		if (key.kind != kind)
			continue;
		if (library->bpf_map_lookup_elem(rules, &key, &rule) < 0)
			return false;
		if (kind == KEY_PORT ? !decode_port(place, &key, &rule, ret) : !decode_address(&key, ret))
			return false;
	}
	return true;
}

static bool are_rules(const struct library *library, int map, uint32_t id)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return map >= 0 && library->bpf_obj_get_info_by_fd(map, &info, &size) == 0 && info.id == id &&
	       info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(struct guard_key) &&
	       info.value_size == sizeof(struct guard_rule);
}

/* Which rules the programs ask, the slot tells by number. Who was killed in the middle of an exchange left them under
 * the name of the new ones. */
static bool read_rules(const struct library *library, const struct place *place, int policy, struct bindguard *ret)
{
	static const char *const names[] = {PIN_RULES, PIN_RULES_NEW};
	uint32_t slot = 0;
	uint32_t id = 0;

	if (library->bpf_map_lookup_elem(policy, &slot, &id) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_close_ int rules = pin_open(library, place, names[i]);

		if (!are_rules(library, rules, id))
			continue;
		return decode_kind(library, place, rules, KEY_PORT, ret) &&
		       decode_kind(library, place, rules, KEY_ADDRESS, ret);
	}
	return false;
}

static bool is_policy(const struct library *library, int map)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return map >= 0 && library->bpf_obj_get_info_by_fd(map, &info, &size) == 0 &&
	       info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

static void read_all(
	const struct library *library, const struct place *place, struct bpf_object *object, struct bindguard *ret)
{
	_cleanup_close_ int policy = pin_open(library, place, PIN_POLICY);
	bool known = is_policy(library, policy);
	uint32_t id = known ? map_id(library, policy) : 0;

	ret->everywhere = place->cgroup_id == 1;
	ret->remains = bindguard_remains();
	if (!ret->remains)
		return;
	for (unsigned int i = 0; i < BINDGUARD_HOOKS; i++) {
		const struct bpf_program *program =
			library->bpf_object__find_program_by_name(object, guard_hooks[i].program);

		ret->hooks[i] = hook_state(
			library, place, &guard_hooks[i], program ? library->bpf_program__fd(program) : -1, id);
	}
	if (known && read_rules(library, place, policy, ret))
		return;
	/* What was understood of it is not all. */
	for (size_t i = 0; i < ret->count; i++) {
		intervals_done(&ret->ports[i].v4);
		intervals_done(&ret->ports[i].v6);
	}
	ret->count = 0;
	ret->undecodable =
		known || ret->hooks[BINDGUARD_BIND4] != ATTACHED_NOT || ret->hooks[BINDGUARD_BIND6] != ATTACHED_NOT;
}

int bindguard_read(struct bindguard *ret, struct err *err)
{
	const struct library *library = library_load(err);
	_cleanup_(place_done) struct place place = {.cgroup = -1};
	struct bpf_object *object;
	int code;

	if (!library)
		return -EOPNOTSUPP;
	code = place_open(&place, err);
	if (code < 0)
		return code;
	object = object_open(library, err);
	if (!object)
		return -EOPNOTSUPP;
	/* What is pinned is compared with what would be: so it is loaded, with maps of its own, and let go. */
	code = object_load(library, object, err);
	if (code == 0) {
		struct bindguard found = {0};

		read_all(library, &place, object, &found);
		*ret = found;
	}
	library->bpf_object__close(object);
	return code;
}

/* --- what was tried --- */

static void take_attempt(const struct guard_attempt *attempt, const struct guard_tries *tries, uint64_t now,
	struct bindguard_refusals *ret)
{
	struct bindguard_refusal *item;
	bool v4 = is_mapped(attempt->address);

	ARRAY_GROW(ret->items, ret->count, ret->capacity);
	item = &ret->items[ret->count++];
	*item = (struct bindguard_refusal){.width = v4 ? WIDTH_IPV4 : WIDTH_IPV6,
		.mapped = v4 && attempt->family == 6,
		.address = v4 ? mapped_v4(attempt->address) : value_from_bytes(WIDTH_IPV6, attempt->address),
		.port = attempt->port,
		.rewritten = attempt->verdict == VERDICT_REWRITTEN,
		.count = tries->count,
		.seconds_ago = now > tries->last ? (now - tries->last) / 1000000000 : 0,
		.process = tries->process,
		.user = tries->user};
	memcpy(item->command, tries->command, sizeof(tries->command));
}

static int compare_refusals(const void *left, const void *right)
{
	const struct bindguard_refusal *a = left;
	const struct bindguard_refusal *b = right;

	if (a->seconds_ago != b->seconds_ago)
		return a->seconds_ago < b->seconds_ago ? -1 : 1;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return a->port != b->port ? a->port - b->port : value_compare(a->address, b->address);
}

static bool has_sizes(const struct library *library, int map, size_t key_size, size_t value_size)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return map >= 0 && library->bpf_obj_get_info_by_fd(map, &info, &size) == 0 && info.key_size == key_size &&
	       info.value_size == value_size;
}

static void read_attempts(const struct library *library, int map, struct bindguard_refusals *ret)
{
	struct guard_attempt attempt;
	struct guard_attempt *before = NULL;
	struct guard_attempt next;
	struct guard_tries tries;
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	/* It changes meanwhile, and a key that is gone leads back to the first. */
	for (size_t i = 0; i < ATTEMPTS_MOST && library->bpf_map_get_next_key(map, before, &next) == 0; i++) {
		attempt = next;
		before = &attempt;
		if (library->bpf_map_lookup_elem(map, &attempt, &tries) == 0)
			take_attempt(&attempt, &tries, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, ret);
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), compare_refusals);
}

int bindguard_read_refusals(struct bindguard_refusals *ret, struct err *err)
{
	const struct library *library;
	struct place place;
	uint32_t refused = VERDICT_REFUSED;
	uint32_t rewritten = VERDICT_REWRITTEN;

	if (!bindguard_remains() || !place_name(&place))
		return 0;
	library = library_load(err);
	if (!library)
		return -EOPNOTSUPP;
	_cleanup_close_ int totals = pin_open(library, &place, PIN_TOTALS);
	_cleanup_close_ int refusals = pin_open(library, &place, PIN_REFUSALS);

	if (!has_sizes(library, totals, sizeof(refused), sizeof(ret->refused)) ||
		!has_sizes(library, refusals, sizeof(struct guard_attempt), sizeof(struct guard_tries)) ||
		library->bpf_map_lookup_elem(totals, &refused, &ret->refused) < 0 ||
		library->bpf_map_lookup_elem(totals, &rewritten, &ret->rewritten) < 0)
		return err_set(err, EIO, ERR_IO, "bind guard: the counts in %s cannot be read", place.folder);
	read_attempts(library, refusals, ret);
	return 0;
}

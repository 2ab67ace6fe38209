/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts a guard in force, replaces it, takes it away. */

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindguard_private.h"

/* What one put works with. */
struct put {
	const struct library *library;
	struct place place;
	struct bpf_object *object;
};

/* --- pins --- */

/* Under a name of its own, then in one step under the right one: there always is the former or this one. */
static int pin_over(const struct put *put, int descriptor, const char *name, struct err *err)
{
	_cleanup_free_ char *beside = mem_format("%s-new", name);
	char from[PLACE_PATH];
	char to[PLACE_PATH];
	int code;

	unlink(place_path(&put->place, beside, from));
	code = put->library->bpf_obj_pin(descriptor, from);
	if (code < 0)
		return guard_error(err, code, "pinning");
	if (rename(from, place_path(&put->place, name, to)) < 0)
		return guard_error(err, -errno, "pinning");
	return 0;
}

static int make_folder(const struct place *place, struct err *err)
{
	_cleanup_free_ char *parent = mem_stringn(place->folder, (size_t)(strrchr(place->folder, '/') - place->folder));

	if (mkdir(parent, 0700) == 0 || errno == EEXIST) {
		if (!place_is_ours()) {
			err_set(err, EPERM, ERR_IO, "bind guard: %s is not a folder of root's alone", parent);
			err_hint(err, "find out who made it, and take it away");
			return -EPERM;
		}
	}
	if (mkdir(place->folder, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno, ERR_IO, "bind guard: cannot make the folder %s: %s", place->folder,
			strerror(errno));
	return 0;
}

/* --- maps --- */

/* What is pinned goes on, with its counts, where it is what these programs take. */
static bool reuse(const struct put *put, struct bpf_map *map, const char *pin)
{
	_cleanup_close_ int pinned = pin_open(put->library, &put->place, pin);
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	if (pinned < 0 || put->library->bpf_obj_get_info_by_fd(pinned, &info, &size) < 0)
		return false;
	if (info.type != put->library->bpf_map__type(map) || info.key_size != put->library->bpf_map__key_size(map) ||
		info.value_size != put->library->bpf_map__value_size(map) ||
		info.max_entries != put->library->bpf_map__max_entries(map))
		return false;
	return put->library->bpf_map__reuse_fd(map, pinned) == 0;
}

static int load(const struct put *put, struct err *err)
{
	bool reused[MAP_PINS];
	struct bpf_map *maps[MAP_PINS];
	int code;

	for (size_t i = 0; i < MAP_PINS; i++) {
		maps[i] = put->library->bpf_object__find_map_by_name(put->object, guard_maps[i].map);
		if (!maps[i])
			return guard_error(err, -ENOENT, "finding the maps");
		reused[i] = reuse(put, maps[i], guard_maps[i].pin);
	}
	code = object_load(put->library, put->object, err);
	for (size_t i = 0; i < MAP_PINS && code == 0; i++)
		if (!reused[i])
			code = pin_over(put, put->library->bpf_map__fd(maps[i]), guard_maps[i].pin, err);
	return code;
}

static void mapped_bytes(struct value address, uint8_t bytes[16])
{
	memset(bytes, 0, 10);
	bytes[10] = bytes[11] = 0xff;
	value_to_bytes(WIDTH_IPV4, address, bytes + 12);
}

static int add_rule(const struct put *put, int rules, const struct guard_key *key, const struct guard_rule *rule)
{
	return put->library->bpf_map_update_elem(rules, key, rule, BPF_ANY);
}

static int add_addresses(const struct put *put, int rules, uint16_t port, const struct intervals *list)
{
	const struct guard_rule nothing = {0};

	for (size_t i = 0; i < list->count; i++) {
		struct guard_key key = {.port = port, .kind = KEY_ADDRESS};
		int code;

		if (list->width == WIDTH_IPV4)
			mapped_bytes(intervals_get(list, i).first, key.address);
		else
			value_to_bytes(WIDTH_IPV6, intervals_get(list, i).first, key.address);
		code = add_rule(put, rules, &key, &nothing);
		if (code < 0)
			return code;
	}
	return 0;
}

static int add_port(const struct put *put, int rules, const struct bindguard_port *port)
{
	struct guard_key key = {.port = port->port, .kind = KEY_PORT};
	struct guard_rule rule = {.space = put->place.space,
		.mode = port->mode == BINDGUARD_DENY ? MODE_DENY : MODE_REWRITE,
		.has_v4 = port->has_v4,
		.has_v6 = port->has_v6};
	int code;

	if (port->has_v4)
		mapped_bytes(port->first_v4, rule.first_v4);
	if (port->has_v6)
		value_to_bytes(WIDTH_IPV6, port->first_v6, rule.first_v6);
	code = add_rule(put, rules, &key, &rule);
	if (code == 0)
		code = add_addresses(put, rules, port->port, &port->v4);
	return code == 0 ? add_addresses(put, rules, port->port, &port->v6) : code;
}

/* Complete before anybody asks them. */
static int make_rules(const struct put *put, const struct bindguard *wanted)
{
	size_t count = 0;
	int code = 0;
	int rules;

	for (size_t i = 0; i < wanted->count; i++)
		count += 1 + wanted->ports[i].v4.count + wanted->ports[i].v6.count;
	rules = put->library->bpf_map_create(BPF_MAP_TYPE_HASH, "guard_rules", sizeof(struct guard_key),
		sizeof(struct guard_rule), (uint32_t)count, NULL);
	for (size_t i = 0; i < wanted->count && rules >= 0 && code == 0; i++)
		code = add_port(put, rules, &wanted->ports[i]);
	if (code == 0)
		return rules;
	close(rules);
	return code;
}

/* One exchange, which both programs see at once. */
static int put_rules(const struct put *put, const struct bindguard *wanted, struct err *err)
{
	int policy =
		put->library->bpf_map__fd(put->library->bpf_object__find_map_by_name(put->object, guard_maps[0].map));
	char from[PLACE_PATH];
	char to[PLACE_PATH];
	uint32_t slot = 0;
	int rules = make_rules(put, wanted);
	int code;

	if (rules < 0)
		return guard_error(err, rules, "making the rules");
	/* Pinned before, so that whoever is killed in between leaves nothing that cannot be read. */
	unlink(place_path(&put->place, PIN_RULES_NEW, from));
	code = put->library->bpf_obj_pin(rules, from);
	if (code == 0)
		code = put->library->bpf_map_update_elem(policy, &slot, &rules, BPF_ANY);
	if (code == 0 && rename(from, place_path(&put->place, PIN_RULES, to)) < 0)
		code = -errno;
	close(rules);
	return code < 0 ? guard_error(err, code, "exchanging the rules") : 0;
}

/* --- programs --- */

static int attach(const struct put *put, const struct hook *hook, int program, struct err *err)
{
	_cleanup_close_ int former = pin_open(put->library, &put->place, hook->link_pin);
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	int link;
	int code;

	if (former >= 0 && put->library->bpf_obj_get_info_by_fd(former, &info, &size) == 0 &&
		info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == put->place.cgroup_id &&
		info.cgroup.attach_type == hook->type && put->library->bpf_link_update(former, program, NULL) == 0)
		return 0;
	/* Beside whatever others have there: attachments of this kind do not exclude each other. */
	link = put->library->bpf_link_create(program, put->place.cgroup, hook->type, NULL);
	if (link < 0) {
		code = guard_error(err, link, "attaching to the root cgroup");
		if (link == -EPERM)
			err_hint(err, "another program there may forbid others: bpftool cgroup tree");
		return code;
	}
	code = pin_over(put, link, hook->link_pin, err);
	close(link);
	return code;
}

static int put_hook(const struct put *put, const struct hook *hook, struct err *err)
{
	int program = put->library->bpf_program__fd(
		put->library->bpf_object__find_program_by_name(put->object, hook->program));
	uint32_t policy = map_id(put->library,
		put->library->bpf_map__fd(put->library->bpf_object__find_map_by_name(put->object, guard_maps[0].map)));
	int code;

	if (hook_state(put->library, &put->place, hook, program, policy) == ATTACHED)
		return 0;
	code = attach(put, hook, program, err);
	return code == 0 ? pin_over(put, program, hook->program_pin, err) : code;
}

int bindguard_put(const struct bindguard *wanted, struct err *err)
{
	struct put put = {.library = library_load(err), .place = {.cgroup = -1}};
	int code;

	if (!wanted->count)
		return bindguard_remove(err);
	if (!put.library)
		return -EOPNOTSUPP;
	code = place_open(&put.place, err);
	if (code == 0)
		code = make_folder(&put.place, err);
	if (code == 0) {
		put.object = object_open(put.library, err);
		code = put.object ? load(&put, err) : -EOPNOTSUPP;
	}
	if (code == 0)
		code = put_rules(&put, wanted, err);
	for (unsigned int i = 0; i < BINDGUARD_HOOKS && code == 0; i++)
		code = put_hook(&put, &guard_hooks[i], err);
	put.library->bpf_object__close(put.object);
	place_done(&put.place);
	return code;
}

/* --- removing --- */

/* An attachment that nobody holds any more is released later; this does it now. */
static void detach(const struct place *place)
{
	const struct library *library = library_load(NULL);

	for (unsigned int i = 0; i < BINDGUARD_HOOKS && library; i++) {
		_cleanup_close_ int link = pin_open(library, place, guard_hooks[i].link_pin);

		if (link >= 0)
			library->bpf_link_detach(link);
	}
}

int bindguard_remove(struct err *err)
{
	char path[PLACE_PATH + NAME_MAX];
	const struct dirent *entry;
	struct place place;
	DIR *folder;

	if (!bindguard_remains() || !place_name(&place))
		return 0;
	detach(&place);
	folder = opendir(place.folder);
	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/%s", place.folder, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlink(path);
	}
	if (folder)
		closedir(folder);
	if (rmdir(place.folder) < 0 && errno != ENOENT)
		return err_set(
			err, errno, ERR_IO, "bind guard: cannot take %s away: %s", place.folder, strerror(errno));
	/* Of the last one: those of other network namespaces stay. */
	*strrchr(place.folder, '/') = '\0';
	rmdir(place.folder);
	return 0;
}

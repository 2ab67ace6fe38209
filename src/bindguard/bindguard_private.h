/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/bindguard share. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bindguard.h"
#include "bindguard_maps.h"

/* ---- bindguard.c ---- */

uint64_t text_hash(const struct text *text);

/* ---- bindguard_library.c: libbpf, loaded ---- */

/* What we call, each as X(name). Returns are 0 or a descriptor, else a negative errno value; pointers are NULL. */
#define LIBRARY_FUNCTIONS(X)                                                                                           \
	X(libbpf_set_print)                                                                                            \
	X(bpf_object__open_mem)                                                                                        \
	X(bpf_object__load)                                                                                            \
	X(bpf_object__close)                                                                                           \
	X(bpf_object__find_map_by_name)                                                                                \
	X(bpf_object__find_program_by_name)                                                                            \
	X(bpf_map__fd)                                                                                                 \
	X(bpf_map__reuse_fd)                                                                                           \
	X(bpf_map__type)                                                                                               \
	X(bpf_map__key_size)                                                                                           \
	X(bpf_map__value_size)                                                                                         \
	X(bpf_map__max_entries)                                                                                        \
	X(bpf_program__fd)                                                                                             \
	X(bpf_map_create)                                                                                              \
	X(bpf_map_update_elem)                                                                                         \
	X(bpf_map_lookup_elem)                                                                                         \
	X(bpf_map_get_next_key)                                                                                        \
	X(bpf_obj_pin)                                                                                                 \
	X(bpf_obj_get)                                                                                                 \
	X(bpf_obj_get_info_by_fd)                                                                                      \
	X(bpf_link_create)                                                                                             \
	X(bpf_link_update)                                                                                             \
	X(bpf_link_detach)

struct library {
	void *handle;
#define X(name) __typeof__(name) *name;
	LIBRARY_FUNCTIONS(X)
#undef X
};

/* The functions; loaded once in a process. NULL and `err` (EOPNOTSUPP) where that cannot be. */
const struct library *library_load(struct err *err);

/* ---- bindguard_object.c: the programs, as clang made them ---- */

extern const unsigned char bindguard_object[];
extern const uint32_t bindguard_object_size; /* bytes */

/* ---- bindguard_place.c: where all of it is ---- */

struct place {
	uint64_t space;	    /* the cookie of this network namespace; 0: the kernel tells none */
	char folder[128];   /* BPFFS/dflyguard/COOKIE */
	int cgroup;	    /* the root's folder; -1: not open */
	uint64_t cgroup_id; /* as the kernel numbers it; 1: the root of all */
};

/* The cookie and the folder's name. False where the kernel tells no cookie. */
bool place_name(struct place *ret);
/* All of it; 0, or a negative errno value with `err`. Free with place_done(). */
int place_open(struct place *ret, struct err *err);
void place_done(const struct place *place);
/* Whether nobody but root, or the caller, can change what is in BPFFS/dflyguard. False also where that is not there. */
bool place_is_ours(void);
/* "FOLDER/name"; `buffer` holds PLACE_PATH bytes; returns it. */
#define PLACE_PATH 160
const char *place_path(const struct place *place, const char *name, char *buffer);

/* ---- bindguard_read.c ---- */

#define PIN_POLICY    "policy"
#define PIN_RULES     "rules"
#define PIN_RULES_NEW "rules-new"
#define PIN_REFUSALS  "refusals"
#define PIN_TOTALS    "totals"

struct hook {
	const char *program; /* in the object */
	const char *link_pin, *program_pin;
	enum bpf_attach_type type;
};
extern const struct hook guard_hooks[BINDGUARD_HOOKS];

struct map_pin {
	const char *map; /* in the object */
	const char *pin;
};
#define MAP_PINS 3
extern const struct map_pin guard_maps[MAP_PINS]; /* the policy first */

/* Opens a pin. -1 where there is none that can be opened. */
int pin_open(const struct library *library, const struct place *place, const char *name);
/* Whether what is pinned for this hook is attached to our root, and is the program `program` (of ours, loaded) on the
 * map `policy` (its id). */
enum bindguard_attachment hook_state(const struct library *library, const struct place *place, const struct hook *hook,
	int program, uint32_t policy);
/* Opens the object, quietly. NULL with `err`. */
struct bpf_object *object_open(const struct library *library, struct err *err);
/* Loads it into the kernel. 0, or a negative errno value with `err`. */
int object_load(const struct library *library, struct bpf_object *object, struct err *err);
/* 0 where it cannot be told. */
uint32_t map_id(const struct library *library, int map);
/* Says what `code` (negative errno) means when the kernel answers it to `doing`. Returns the code to return. */
int guard_error(struct err *err, int code, const char *doing);

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* bindguard.bpf.o as bytes. The Makefile says where it is. */

#include "bindguard_private.h"

#ifdef BINDGUARD_OBJECT /* not where only the C is analysed */
__asm__(".pushsection .rodata\n"
	".balign 8\n"
	".globl bindguard_object\n"
	".hidden bindguard_object\n"
	"bindguard_object:\n"
	".incbin \"" BINDGUARD_OBJECT "\"\n"
	"bindguard_object_end:\n"
	".balign 4\n"
	".globl bindguard_object_size\n"
	".hidden bindguard_object_size\n"
	"bindguard_object_size:\n"
	".long bindguard_object_end - bindguard_object\n"
	".popsection\n");
#endif

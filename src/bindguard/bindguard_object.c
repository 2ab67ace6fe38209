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
	".globl bindguard_object_end\n"
	".hidden bindguard_object_end\n"
	"bindguard_object_end:\n"
	".byte 0\n"
	".popsection\n");
#endif

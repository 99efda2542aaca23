/*
 * Every way to name a descriptor that compilers and people use, each a function
 * int way(void *portal, const struct descriptor *) that says whether the queue refused.
 * They lie in tables, one for each instruction, with the place that the descriptor must
 * be in.
 */

/* As in portal.c. */
#define ANYWHERE 0
#define LOW 1
#define STILL 2
#define OWN 3

#define GS_BASE 0x123000

	.intel_syntax noprefix
	.text

submitted:
	add rsp, 16
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

	/* From here on, the descriptor's address is at rsp + 8 and the portal's at rsp. */
	.macro begin op, place
	.pushsection \op\()_ways, "aw"
	.quad 777f, \place
	.popsection
	.p2align 4
777:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rsi
	push rdi
	.endm

	.macro finish
	setz al
	movzx eax, al
	jmp submitted
	.endm

	/* Each register as destination with each other one as base. */
	.macro by_base op
	.irp base, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.irp dest, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.ifnc \base, \dest
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	mov \dest, [rsp]
	\op \dest, [\base]
	finish
	.endif
	.endr
	.endr
	.endm

	/* Each register with displacements of 8 and of 32 bits. */
	.macro by_displacement op, dest, bases:vararg
	.irp base, \bases
	.irp offset, -128, -1, 64, 127, 128, -0x12345, 0x7fffff00
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	sub \base, \offset
	mov \dest, [rsp]
	\op \dest, [\base + \offset]
	finish
	.endr
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	sub \base, 64
	mov \dest, [rsp]
	{disp32} \op \dest, [\base + 64]
	finish
	.endr
	.endm

	/* Each register as index beside each other one, by each scale. */
	.macro by_index op, dest, registers:vararg
	.irp base, \registers
	.irp index, \registers
	.ifnc \base, \index
	indexed \op, \dest, \base, \index, 1, 0
	indexed \op, \dest, \base, \index, 2, 16
	indexed \op, \dest, \base, \index, 4, -0x1000
	indexed \op, \dest, \base, \index, 8, -8
	.endif
	.endr
	.endr
	.endm

	.macro indexed op, dest, base, index, scale, offset
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	sub \base, 0x7654 * \scale + \offset
	mov \index, 0x7654
	mov \dest, [rsp]
	\op \dest, [\base + \index * \scale + \offset]
	finish
	.endm

	/* An index and no base. */
	.macro by_index_alone op
	.irp index, rax, rbp, r12, r13, r15
	begin \op, ANYWHERE
	mov \index, [rsp + 8]
	sub \index, 0x40
	shr \index, 3
	mov rdi, [rsp]
	\op rdi, [\index * 8 + 0x40]
	finish
	.endr
	.endm

	.macro by_rip op
	.irp dest, rax, rdx, rbp, r8, r14
	begin \op, STILL
	mov \dest, [rsp]
	\op \dest, [rip + still_descriptor]
	finish
	.endr
	.endm

	/* A copy on the stack. */
	.macro on_stack op, dest, address:vararg
	begin \op, ANYWHERE
	mov rsi, [rsp + 8]
	mov \dest, [rsp]
	sub rsp, 128
	.irp at, 0, 16, 32, 48
	movups xmm0, [rsi + \at]
	movups [rsp + 64 + \at], xmm0
	.endr
	mov ecx, 8
	lea r12, [rsp + 72]
	\op \dest, [\address]
	setz al
	movzx eax, al
	lea rsp, [rsp + 128]
	jmp submitted
	.endm

	/* Addresses of 32 bits: what lies above does not count. */
	.macro short op, dest, short_dest, base, short_base
	begin \op, LOW
	mov \base, 0xdead1234 << 32
	or \base, [rsp + 8]
	mov \dest, 0xbeef5678 << 32
	or \dest, [rsp]
	\op \short_dest, [\short_base]
	finish
	begin \op, LOW
	mov \base, 0xdead1234 << 32
	or \base, [rsp + 8]
	sub \base, 0x120
	mov \dest, 0xbeef5678 << 32
	or \dest, [rsp]
	\op \short_dest, [\short_base + 0x120]
	finish
	.endm

	.macro by_short op
	short \op, rax, eax, rcx, ecx
	short \op, rbp, ebp, r12, r12d
	short \op, r9, r9d, rbp, ebp
	short \op, r15, r15d, r13, r13d
	begin \op, LOW
	mov ecx, [rsp + 8]
	sub ecx, 0x80001000
	mov r10d, 0x20000400
	mov esi, [rsp]
	/* It wraps around. */
	\op esi, [ecx + r10d * 4]
	finish
	begin \op, LOW
	mov edx, [rsp + 8]
	sub edx, GS_BASE
	mov eax, [rsp]
	\op eax, gs:[edx]
	finish
	.endm

	.macro by_segment op
	.irp dest, rax, rbx, r8, r13
	begin \op, OWN
	mov \dest, [rsp]
	\op \dest, fs:own_descriptor@tpoff
	finish
	.endr
	.irp base, rdx, rbp, r12, r13
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	sub \base, fs:0
	mov rdi, [rsp]
	\op rdi, fs:[\base]
	finish
	begin \op, ANYWHERE
	mov \base, [rsp + 8]
	sub \base, GS_BASE + 0x30
	mov r15, [rsp]
	\op r15, gs:[\base + 0x30]
	finish
	.endr
	.endm

	/* Prefixes of no effect, a REX that is not before the opcode among them. */
	.macro with_prefixes op
	begin \op, ANYWHERE
	mov rcx, [rsp + 8]
	mov rax, [rsp]
	.byte 0x2e, 0x3e, 0x4f
	\op rax, [rcx]
	finish
	begin \op, ANYWHERE
	mov rcx, [rsp + 8]
	mov r9, [rsp]
	.byte 0x26, 0x36, 0x40
	\op r9, [rcx]
	finish
	.endm

	/* The instruction lies in two pages. */
	.macro across_pages op
	.p2align 12
	jmp 778f
	.skip 4096 - 32, 0x90
778:
	begin \op, ANYWHERE
	mov rcx, [rsp + 8]
	mov rax, [rsp]
	jmp 779f
	.p2align 12
	.skip 4096 - 3, 0x90
779:
	\op rax, [rcx]
	finish
	.endm

	/*
	 * void OP_with_state(const struct state *before, struct state *after): all registers
	 * but RSP from there, `OP rax, [rdx]`, and all registers to there.
	 */
	.macro with_state op
	.globl \op\()_with_state
\op\()_with_state:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rsi
	cmp byte ptr [rip + has_avx], 0
	je 1f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups ymm\n, [rdi + 136 + 32 * \n]
	.endr
	jmp 2f
1:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups xmm\n, [rdi + 136 + 32 * \n]
	.endr
2:
	push [rdi + 128]
	popfq
	mov rax, [rdi]
	mov rcx, [rdi + 8]
	mov rdx, [rdi + 16]
	mov rbx, [rdi + 24]
	mov rbp, [rdi + 40]
	mov rsi, [rdi + 48]
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov r\n, [rdi + 8 * \n]
	.endr
	mov rdi, [rdi + 56]
	\op rax, [rdx]
	xchg rdi, [rsp]
	mov [rdi], rax
	mov [rdi + 8], rcx
	mov [rdi + 16], rdx
	mov [rdi + 24], rbx
	mov [rdi + 40], rbp
	mov [rdi + 48], rsi
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov [rdi + 8 * \n], r\n
	.endr
	pushfq
	pop [rdi + 128]
	cld
	pop rax
	mov [rdi + 56], rax
	cmp byte ptr [rip + has_avx], 0
	je 1f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups [rdi + 136 + 32 * \n], ymm\n
	.endr
	vzeroupper
	jmp 2f
1:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups [rdi + 136 + 32 * \n], xmm\n
	.endr
2:
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
	.endm

	/*
	 * int OP_over_red_zone(void *portal, const struct descriptor *, uint64_t seed): how
	 * many of the 16 words below the stack changed, and 256 if it was refused.
	 */
	.macro over_red_zone op
	.globl \op\()_over_red_zone
\op\()_over_red_zone:
	xor ecx, ecx
1:	lea rax, [rdx + rcx]
	mov [rsp + rcx * 8 - 128], rax
	inc ecx
	cmp ecx, 16
	jb 1b
	\op rdi, [rsi]
	setz r10b
	movzx eax, r10b
	shl eax, 8
	xor ecx, ecx
2:	lea r9, [rdx + rcx]
	cmp r9, [rsp + rcx * 8 - 128]
	je 3f
	inc eax
3:	inc ecx
	cmp ecx, 16
	jb 2b
	ret
	.endm

	.macro all op
	by_base \op
	by_displacement \op, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	by_displacement \op, r14, rax
	by_index \op, r11, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r12, r13, r14, r15
	by_index \op, rsi, r11, rdx
	by_index_alone \op
	by_rip \op
	on_stack \op, rax, rsp + 64
	on_stack \op, r13, rsp + rcx * 8
	on_stack \op, rbx, r12 - 8
	on_stack \op, r9, r12 + rcx - 16
	by_short \op
	by_segment \op
	with_prefixes \op
	across_pages \op
	with_state \op
	over_red_zone \op
	.endm

	all enqcmd
	all movdir64b

	.section .note.GNU-stack, "", @progbits

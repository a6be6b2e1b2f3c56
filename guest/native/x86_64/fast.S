// The fast way in: a patched call site jumps to its trampoline, which loads the number and the address to
// come back to and jumps here. No signal, no host call, and the extended state is not touched, because the
// runtime does not touch it either.
//
// In:  rax number, rcx return address (two bytes before it stands a syscall instruction: the slow way),
//      arguments as for syscall. r11 is scratch, as after any syscall.
// The guest's stack, red zone included, is left alone.

#define THREAD_GUEST_SP 8
#define THREAD_FAST_STACK 16
#define THREAD_SLOT 24
#define SLOT_ATTENTION 200

// The frame: fast.h's FastFrame.
#define FRAME_RDI 0
#define FRAME_RSI 8
#define FRAME_RDX 16
#define FRAME_R10 24
#define FRAME_R8 32
#define FRAME_R9 40
#define FRAME_RCX 48
#define FRAME_NR 56

// The guest's argument registers, as they were.
        .macro load_arguments
        mov     FRAME_RDI(%rsp), %rdi
        mov     FRAME_RSI(%rsp), %rsi
        mov     FRAME_RDX(%rsp), %rdx
        mov     FRAME_R10(%rsp), %r10
        mov     FRAME_R8(%rsp), %r8
        mov     FRAME_R9(%rsp), %r9
        .endm

        .text
        .globl dd_fast_entry
        .hidden dd_fast_entry
        .type dd_fast_entry, @function
dd_fast_entry:
        mov     %rsp, %gs:THREAD_GUEST_SP
        mov     %gs:THREAD_FAST_STACK, %rsp
        mov     %rdi, FRAME_RDI(%rsp)
        mov     %rsi, FRAME_RSI(%rsp)
        mov     %rdx, FRAME_RDX(%rsp)
        mov     %r10, FRAME_R10(%rsp)
        mov     %r8, FRAME_R8(%rsp)
        mov     %r9, FRAME_R9(%rsp)
        mov     %rcx, FRAME_RCX(%rsp)
        mov     %rax, FRAME_NR(%rsp)
        mov     %rsp, %rdi
        call    dd_fast_dispatch
        test    %rdx, %rdx
        jnz     2f
        // From here to the end a kick starts over: see OnKick.
        .globl dd_fast_exit_begin
        .hidden dd_fast_exit_begin
dd_fast_exit_begin:
        mov     %gs:THREAD_SLOT, %r11
        cmpl    $0, SLOT_ATTENTION(%r11)
        jne     1f
        load_arguments
        mov     FRAME_RCX(%rsp), %rcx
        mov     %gs:THREAD_GUEST_SP, %rsp
        jmp     *%rcx
        .globl dd_fast_exit_end
        .hidden dd_fast_exit_end
dd_fast_exit_end:

        // A signal is to be taken first.
1:      mov     %rsp, %rdi
        mov     %rax, %rsi
        call    dd_fast_remember
        jmp     3f

        // rdx 1: this call needs the guest's whole state: make it again, by trap.
2:      cmp     $1, %rdx
        jne     3f
        load_arguments
        mov     FRAME_RCX(%rsp), %rcx
        mov     FRAME_NR(%rsp), %rax
        mov     %gs:THREAD_GUEST_SP, %rsp
        sub     $2, %rcx
        jmp     *%rcx

        // rdx 2: the call is done, but what follows needs the guest's state: trap to get it.
3:      mov     FRAME_RDI(%rsp), %rdi
        mov     FRAME_RSI(%rsp), %rsi
        mov     FRAME_RDX(%rsp), %rdx
        mov     FRAME_R10(%rsp), %r10
        mov     FRAME_R8(%rsp), %r8
        mov     FRAME_R9(%rsp), %r9
        mov     %gs:THREAD_GUEST_SP, %rsp
        mov     $-1, %eax
        syscall                         // outside of the stub: a trap
        .globl dd_finish_trap
        .hidden dd_finish_trap
dd_finish_trap:
        hlt

        .section .note.GNU-stack, "", @progbits

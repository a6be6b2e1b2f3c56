// The runtime's only host calls. They live on pages of their own, so that a filter or Syscall User
// Dispatch can tell them from guest code by address. Nothing here touches memory below the stack pointer.

        .section .dd_stub, "ax", @progbits
        .balign 4096
        .globl dd_stub_start
        .hidden dd_stub_start
dd_stub_start:

// long dd_host_call(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
        .globl dd_host_call
        .hidden dd_host_call
        .type dd_host_call, @function
dd_host_call:
        mov     %rdi, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        mov     %rcx, %rdx
        mov     %r8, %r10
        mov     %r9, %r8
        mov     8(%rsp), %r9
        syscall
        ret

// The restorer of the runtime's own signal handlers: rt_sigreturn(2).
        .globl dd_sigreturn
        .hidden dd_sigreturn
        .type dd_sigreturn, @function
dd_sigreturn:
        mov     $15, %eax
        syscall
        hlt

// long dd_wait_call(const HostCall* call, const uint32_t* kicked)
// A host call that waits, and that a kick cannot miss: the kick handler moves a thread it finds between the
// two labels to dd_wait_aborted. Returns -EINTR then. HostCall: the number, six arguments.
        .globl dd_wait_call
        .hidden dd_wait_call
        .type dd_wait_call, @function
dd_wait_call:
        mov     %rdi, %r11              // lost by syscall, as is rcx
        mov     %rsi, %rcx
        mov     0(%r11), %rax
        mov     8(%r11), %rdi
        mov     16(%r11), %rsi
        mov     24(%r11), %rdx
        mov     32(%r11), %r10
        mov     40(%r11), %r8
        mov     48(%r11), %r9
        .globl dd_wait_begin
        .hidden dd_wait_begin
dd_wait_begin:
        cmpl    $0, (%rcx)
        jne     dd_wait_aborted
        syscall
        .globl dd_wait_end
        .hidden dd_wait_end
dd_wait_end:
        ret
        .globl dd_wait_aborted
        .hidden dd_wait_aborted
dd_wait_aborted:
        mov     $-4, %rax
        ret

// long dd_clone_thread(long flags, void* stack, uint32_t* parent_tid, uint32_t* child_tid, long tls,
//                      Thread* child)
// Returns in the parent only; the child goes on in dd_child_started(child) on its own stack.
        .globl dd_clone_thread
        .hidden dd_clone_thread
        .type dd_clone_thread, @function
dd_clone_thread:
        push    %rbx
        mov     %r9, %rbx
        mov     %rcx, %r10
        mov     $56, %eax
        syscall
        test    %rax, %rax
        jz      1f
        pop     %rbx
        ret
1:      wrgsbase %rbx
        mov     %rbx, %rdi
        xor     %ebp, %ebp
        and     $-16, %rsp
        call    dd_child_started
        hlt

// void dd_resume(void* ucontext): back into the context of a signal frame.
        .globl dd_resume
        .hidden dd_resume
        .type dd_resume, @function
dd_resume:
        mov     %rdi, %rsp
        mov     $15, %eax
        syscall
        hlt

        .balign 4096
        .globl dd_stub_end
        .hidden dd_stub_end
dd_stub_end:

        .text

// Accesses to guest memory, which may fault: the fault handler sends a thread it finds between the two
// labels to dd_access_failed. No stack use in between.
        .globl dd_access_begin
        .hidden dd_access_begin
dd_access_begin:

// long dd_copy(void* to, const void* from, size_t length): 0 or -EFAULT.
        .globl dd_copy
        .hidden dd_copy
        .type dd_copy, @function
dd_copy:
        mov     %rdx, %rcx
        rep movsb
        xor     %eax, %eax
        ret

// long dd_copy_string(char* to, const char* from, size_t limit)
// The string's length without its NUL (which is copied too), limit if there is none, or -EFAULT.
        .globl dd_copy_string
        .hidden dd_copy_string
        .type dd_copy_string, @function
dd_copy_string:
        xor     %eax, %eax
1:      cmp     %rdx, %rax
        je      2f
        movzbl  (%rsi,%rax), %ecx
        movb    %cl, (%rdi,%rax)
        test    %ecx, %ecx
        jz      2f
        inc     %rax
        jmp     1b
2:      ret

// long dd_store32(uint32_t* to, uint32_t value): 0 or -EFAULT.
        .globl dd_store32
        .hidden dd_store32
        .type dd_store32, @function
dd_store32:
        movl    %esi, (%rdi)
        xor     %eax, %eax
        ret

// long dd_probe(uint8_t* at): 0 if it can be written, or -EFAULT. Changes nothing, even for other threads.
        .globl dd_probe
        .hidden dd_probe
        .type dd_probe, @function
dd_probe:
        lock orb $0, (%rdi)
        xor     %eax, %eax
        ret

// long dd_load32(const uint32_t* from): the value, or -EFAULT.
        .globl dd_load32
        .hidden dd_load32
        .type dd_load32, @function
dd_load32:
        movl    (%rdi), %eax
        ret

        .globl dd_access_end
        .hidden dd_access_end
dd_access_end:
        .globl dd_access_failed
        .hidden dd_access_failed
dd_access_failed:
        mov     $-14, %rax
        ret

// void dd_switch_stack(void* stack, void (*function)(void*), void* argument): never returns.
        .globl dd_switch_stack
        .hidden dd_switch_stack
        .type dd_switch_stack, @function
dd_switch_stack:
        mov     %rdi, %rsp
        and     $-16, %rsp
        mov     %rdx, %rdi
        xor     %ebp, %ebp
        call    *%rsi
        hlt

        .section .note.GNU-stack, "", @progbits

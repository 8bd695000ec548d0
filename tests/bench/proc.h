/*
 * proc.h - what the kernel says about other processes: CPU time used and memory held.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* User plus system time of the process in microseconds (kernel ticks: steps of 10 ms), or -1.
 */
int64_t proc_cpu_us(pid_t pid);

/* The same over the process, its children, and those children it has already reaped. */
int64_t proc_tree_cpu_us(pid_t pid);

/* Proportional set size in bytes, or -1. Kernel memory (socket buffers) is not in it. */
int64_t proc_pss_bytes(pid_t pid);

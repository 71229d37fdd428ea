//! The C memory functions that compiled Rust code calls to copy, fill and compare memory.
//!
//! Each loop contains an empty asm block. Without it, the compiler would recognise the loop and replace it with
//! a call to the function itself.
//!
//! # Safety
//!
//! Each function has the contract of the C library function of the same name. `bcmp` is `memcmp`.

use core::arch::asm;

/// # Safety
///
/// As memcpy(3).
#[inline]
pub unsafe fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: guaranteed by the caller; the asm block is empty.
        unsafe {
            *to.add(index) = *from.add(index);
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memmove(3).
#[inline]
pub unsafe fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: this `memcpy` copies forwards, so it reads each byte before it overwrites it.
        return unsafe { memcpy(to, from, size) };
    }
    for index in (0..size).rev() {
        // SAFETY: guaranteed by the caller. The loop copies backwards, so it reads each byte before it
        // overwrites it.
        unsafe {
            *to.add(index) = *from.add(index);
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memset(3).
#[inline]
pub unsafe fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: guaranteed by the caller; the asm block is empty.
        unsafe {
            *to.add(index) = byte as u8;
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memcmp(3).
#[inline]
pub unsafe fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    for index in 0..size {
        // SAFETY: guaranteed by the caller; the asm block is empty.
        let (left, right) = unsafe {
            asm!("");
            (*left.add(index), *right.add(index))
        };
        if left != right {
            return i32::from(left).wrapping_sub(i32::from(right));
        }
    }
    0
}

/// # Safety
///
/// As strlen(3).
#[inline]
pub unsafe fn strlen(string: *const u8) -> usize {
    let mut length = 0_usize;
    // SAFETY: guaranteed by the caller; the asm block is empty.
    while unsafe { *string.add(length) } != 0 {
        length = length.wrapping_add(1);
        // SAFETY: the asm block is empty.
        unsafe { asm!("") };
    }
    length
}

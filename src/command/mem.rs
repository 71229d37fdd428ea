//! The functions that the compiler may call by name wherever it copies, fills or compares memory.
//!
//! Each loop has an empty asm block in it. Without it, the compiler would see what the loop does, and replace
//! it by a call to the function itself.
//!
//! # Safety
//!
//! Every function has the contract of the C library's function of the same name.

#![allow(unsafe_code)]

use core::arch::asm;

/// # Safety
///
/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
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
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: forwards, nothing is read after it was overwritten.
        return unsafe { memcpy(to, from, size) };
    }
    for index in (0..size).rev() {
        // SAFETY: the caller's promise; backwards, nothing is read after it was overwritten.
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
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
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
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
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
/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, size) }
}

/// # Safety
///
/// As strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0_usize;
    // SAFETY: the caller's promise; the asm block does nothing.
    while unsafe { *string.add(length) } != 0 {
        length = length.wrapping_add(1);
        // SAFETY: it does nothing.
        unsafe { asm!("") };
    }
    length
}

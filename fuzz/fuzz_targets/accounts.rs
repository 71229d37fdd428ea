//! Fuzzes lookups in the text of `/etc/passwd` and `/etc/group`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/accounts.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));

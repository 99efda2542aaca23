//! Any bytes as a canned page: see `pagepress_fuzz::canned`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pagepress_fuzz::canned::check(data));

//! Pages there and back: see `pagepress_fuzz::round_trip`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pagepress_fuzz::round_trip::check(data));

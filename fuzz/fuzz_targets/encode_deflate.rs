//! Any page through the software's deflate writer: see
//! `pagepress_fuzz::encode_deflate`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pagepress_fuzz::encode_deflate::check(data));

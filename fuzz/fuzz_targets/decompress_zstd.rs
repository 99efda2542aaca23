//! Any bytes as a page compressed with zstd: see `pagepress_fuzz::hostile`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pagepress::Codec;

fuzz_target!(|data: &[u8]| pagepress_fuzz::hostile::check(Codec::Zstd, data));

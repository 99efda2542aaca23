//! Descriptors on the device's model: see `pagepress_fuzz::model_descriptor`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pagepress_fuzz::model_descriptor::check(data));

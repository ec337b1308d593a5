#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::uri_via(data));

//! Any bytes: they are refused, or their text comes back as itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|wire: &[u8]| {
    if let Some(text) = transcode_fuzz::codec::print(wire) {
        transcode_fuzz::codec::assert_comes_back(&text);
    }
});

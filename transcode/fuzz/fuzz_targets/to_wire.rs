//! Any text: it is refused, or its message can be printed, and that text comes
//! back as itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    if let Ok(wire) = transcode_fuzz::codec::read(json) {
        let text = transcode_fuzz::codec::print(&wire).expect("what was read can be printed");
        transcode_fuzz::codec::assert_comes_back(&text);
    }
});

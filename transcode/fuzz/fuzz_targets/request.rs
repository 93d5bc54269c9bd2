//! Any request: it is refused, or becomes a message that says what its path says.
#![no_main]

libfuzzer_sys::fuzz_target!(|request: &str| transcode_fuzz::request::send(request));

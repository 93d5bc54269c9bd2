//! What streams cost the edge: a film of any length passes in the same memory. The
//! client, the service and the edge are one process here, so its resident size
//! bounds what the edge has. `FILM_BYTES=10000000000` makes it ten gigabytes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]
// It uses a part of what the other tests are made of.
#![allow(dead_code)]

#[path = "gateway/contracts.rs"]
mod contracts;
#[path = "gateway/films.rs"]
mod films;
#[path = "gateway/http1.rs"]
mod http1;
#[path = "gateway/library.rs"]
mod library;

use library::Setup;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Windows, socket buffers and pieces in flight, of three processes, and what the
/// allocator keeps of them; a film that were held would be ten times as much.
const ROOM_BYTES: u64 = 24 << 20;

/// Largest resident size so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

async fn upload(setup: &Setup, bytes: u64) {
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let token = setup.token();
    let head = format!(
        "PUT /v1/films/a HTTP/1.1\r\nhost: e\r\nconnection: close\r\nauthorization: {token}\r\n\
         content-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'f'; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(piece.len() as u64);
        stream.write_all(&piece[..usize::try_from(length).unwrap()]).await.unwrap();
        left -= length;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = http1::parse(&answer);
    assert_eq!((answer.status, &answer.json()["title"]), (200, &bytes.to_string().into()));
}

async fn download(setup: &Setup, bytes: u64) {
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let head = format!("GET /v1/films/{bytes} HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let (mut content, mut last) = (0, Vec::new());
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        // Nothing around the pieces has the letter that they are made of, but for
        // lengths in hexadecimal digits, which are few.
        content += buffer[..count].iter().filter(|byte| **byte == b'f').count() as u64;
        last.extend_from_slice(&buffer[..count]);
        last.drain(..last.len().saturating_sub(5));
    }
    assert_eq!(last, b"0\r\n\r\n", "it has not ended well");
    assert!((bytes..bytes + bytes / 1_000).contains(&content), "{content} of {bytes}");
}

#[tokio::test]
async fn a_stream_of_any_length_passes_in_the_same_memory() {
    let bytes = std::env::var("FILM_BYTES").map_or(256_000_000, |text| text.parse().unwrap());
    let setup = Setup::new().await;
    // What everything needs that is needed at all.
    upload(&setup, 16_000_000).await;
    download(&setup, 16_000_000).await;
    let before = peak_bytes();
    let begun = std::time::Instant::now();
    upload(&setup, bytes).await;
    let uploaded = peak_bytes();
    println!("up: {} MB more in {:?}", (uploaded - before) / 1_000_000, begun.elapsed());
    assert!(uploaded - before < ROOM_BYTES, "{before} became {uploaded}");
    download(&setup, bytes).await;
    let downloaded = peak_bytes();
    println!("down: {} MB more in {:?}", (downloaded - before) / 1_000_000, begun.elapsed());
    assert!(downloaded - before < ROOM_BYTES, "{before} became {downloaded}");
}

//! When a process is asked to end.

use tokio::signal::unix::{SignalKind, signal};

/// Set to `1`, the end of standard input ends the process: a supervisor that
/// holds the other end cannot leave orphans, however it dies.
const EXIT_ON_STDIN_EOF: &str = "TITAN_EXIT_ON_STDIN_EOF";

/// Returns when the process is asked to end: SIGTERM, SIGINT, or the end of
/// standard input where that is asked for.
pub async fn terminate() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the default action ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = end_of_input() => {}
    }
}

async fn end_of_input() {
    if std::env::var(EXIT_ON_STDIN_EOF).as_deref() != Ok("1") {
        std::future::pending::<()>().await;
    }
    // A thread of its own and not tokio's: that one would keep the runtime from
    // shutting down while it blocks in a read.
    let (sender, closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut input = std::io::stdin();
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        let _ = sender.send(());
    });
    let _ = closed.await;
}

//! The runtime to which a store's connections belong: the one that opened it.
//!
//! A socket is driven by the runtime in which it was opened. A pool opens its
//! connections inside the call that happens to need one, so those of a pool that
//! several runtimes use would stall while that caller's thread is blocked, and
//! break when its runtime ends. Whatever may open, close or give back a
//! connection therefore runs *in* the store's runtime, on the caller's thread.

use std::{
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, task::JoinHandle};

#[derive(Clone)]
pub(crate) struct Home(Handle);

impl Home {
    /// The runtime that runs this.
    pub(super) fn here() -> Self {
        Self(Handle::current())
    }

    /// Sockets, timers and tasks that `future` makes are the home's. The caller
    /// polls it: dropping it cancels it, and no thread is woken to begin it.
    pub(super) fn run<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        Within { home: self.clone(), future: Some(Box::pin(future)) }
    }

    /// Like [`Home::run`], for what must not stop halfway: what the caller drops
    /// before its end is brought there without it.
    pub(super) fn finish<T: Send + 'static>(
        &self,
        future: BoxFuture<'static, T>,
    ) -> impl Future<Output = T> {
        Finishing { home: self.clone(), future: Some(future) }
    }

    /// Runs `work` on one of the home's threads for what blocks.
    pub(super) fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.spawn_blocking(work)
    }

    /// What it holds is dropped at home: a connection finds its way back into
    /// the pool there, also when the thread that dropped it blocks or ends.
    pub(super) fn keep<T>(&self, value: T) -> Kept<T> {
        Kept { home: self.clone(), value: Some(value) }
    }
}

struct Within<F> {
    home: Home,
    /// `None` once it is done.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _home = this.home.0.enter();
        let future = this.future.as_mut().expect("a future that is done is not polled");
        let output = std::task::ready!(future.as_mut().poll(context));
        // Here, since a connection may be in it.
        this.future = None;
        Poll::Ready(output)
    }
}

impl<F> Drop for Within<F> {
    fn drop(&mut self) {
        let _home = self.home.0.enter();
        self.future = None;
    }
}

struct Finishing<T: Send + 'static> {
    home: Home,
    /// `None` once it is done.
    future: Option<BoxFuture<'static, T>>,
}

impl<T: Send + 'static> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _home = this.home.0.enter();
        let future = this.future.as_mut().expect("a future that is done is not polled");
        let output = std::task::ready!(future.as_mut().poll(context));
        this.future = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        if let Some(rest) = self.future.take() {
            self.home.0.spawn(rest);
        }
    }
}

pub(super) struct Kept<T> {
    home: Home,
    /// `None` only while it is dropped or taken.
    value: Option<T>,
}

impl<T> Kept<T> {
    /// Runs what consumes it at home.
    pub(super) async fn end<F: Future>(mut self, end: impl FnOnce(T) -> F) -> F::Output {
        let value = self.value.take().expect("it is taken once, here");
        let home = self.home.clone();
        home.run(end(value)).await
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is taken only by who owns it")
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is taken only by who owns it")
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let _home = self.home.0.enter();
        self.value = None;
    }
}

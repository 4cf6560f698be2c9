//! One pass of the scheduler: long enough for whatever can run now to run, and no longer.
//!
//! What a provider sends in one piece comes out of its connection bit by bit, each bit a task's work away from the next.
//! Writing each of them costs a system call and a wake-up of the client; waiting one pass costs microseconds.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Waits for passes, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pass {
    shared: Arc<Shared>,
    is_under_way: bool,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    waiting: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Release);
        self.waiting.wake();
    }
}

impl Pass {
    /// Ready when a pass is over that began with the first poll after the last one. Polls in between do not shorten it, which
    /// is why waking oneself would not do: hyper asks a body twice in a row.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.waiting.register(cx.waker());
        if !self.is_under_way {
            self.is_under_way = true;
            self.shared.is_over.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&self.shared));
            // The runtime keeps the waker for when nothing else can run; the future itself has done its part.
            if pin!(tokio::task::yield_now())
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                waker.wake();
            }
        }
        if self.shared.is_over.load(Ordering::Acquire) {
            self.is_under_way = false;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn whoever_can_run_runs_first_however_often_it_is_asked() {
        let mut pass = Pass::default();
        for _ in 0..2 {
            let other = tokio::spawn(async {});
            poll_fn(|cx| {
                assert!(pass.poll(cx).is_pending());
                assert!(pass.poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            assert!(!other.is_finished());
            poll_fn(|cx| pass.poll(cx)).await;
            assert!(other.is_finished());
        }
    }
}

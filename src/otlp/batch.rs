//! Items that are sent together.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Most items of one request, as the SDKs have it.
const MOST: usize = 512;

/// The next items: as many as are there when the first has waited for `every`, or sooner if there are many. After `end`
/// only what is left in the queue is given out; `None`: that is over.
pub(super) async fn next<T>(queue: &mut mpsc::Receiver<T>, every: Duration, end: &CancellationToken) -> Option<Vec<T>> {
    let mut batch = Vec::new();
    let first = tokio::select! {
        biased;
        first = queue.recv() => first?,
        () = end.cancelled() => return None,
    };
    batch.push(first);
    let due = Instant::now() + every;
    while batch.len() < MOST {
        let room = MOST - batch.len();
        let more = tokio::select! {
            biased;
            more = timeout_at(due, queue.recv_many(&mut batch, room)) => more,
            () = end.cancelled() => break,
        };
        if matches!(more, Err(_) | Ok(0)) {
            break;
        }
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn items_wait_for_company_and_not_longer_than_said() {
        let (queue, mut items) = mpsc::channel(2 * MOST);
        let end = CancellationToken::new();
        queue.try_send(1).unwrap();
        queue.try_send(2).unwrap();
        let began = Instant::now();
        assert_eq!(next(&mut items, EVERY, &end).await.unwrap(), [1, 2]);
        assert_eq!(began.elapsed(), EVERY);
        for item in 0..i32::try_from(MOST + 7).unwrap() {
            queue.try_send(item).unwrap();
        }
        let began = Instant::now();
        assert_eq!(next(&mut items, EVERY, &end).await.unwrap().len(), MOST);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_gives_out_what_is_left_at_once() {
        let (queue, mut items) = mpsc::channel(8);
        let end = CancellationToken::new();
        queue.try_send(1).unwrap();
        end.cancel();
        let began = Instant::now();
        assert_eq!(next(&mut items, EVERY, &end).await, Some(vec![1]));
        assert_eq!(next(&mut items, EVERY, &end).await, None);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

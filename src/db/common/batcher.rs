//! Joining concurrent requests into batches.
//!
//! A round trip, a commit or a round of Paxos costs the same for one request as for many. While one
//! batch is under way the next gathers in a bounded queue; then the worker takes all that wait, up
//! to a limit. A request never joins a batch that has been sent, so a read sees every write that had
//! returned when it was submitted. Each request has its own deadline and gets its own outcome.
//!
//! The queue is the same for a task and for a thread; what a batch does is the worker's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// What can wait in a [`Queue`].
pub(in crate::db) trait Queued: Send {
    /// When it need not be begun any more.
    fn deadline(&self) -> Instant;

    /// Answers it with an error; nothing has been done for it.
    fn refuse(self, error: StorageError);

    /// Answers that its deadline has passed while it waited; nothing has been done for it.
    fn expire(self)
    where
        Self: Sized,
    {
        self.refuse(waited_too_long());
    }
}

/// A request and the way back to its caller.
#[derive(Debug)]
pub(in crate::db) struct Pending<R, A> {
    pub(in crate::db) request: R,
    pub(in crate::db) context: ActContext,
    answer: oneshot::Sender<Result<A, StorageError>>,
    /// What it waits for, if not for its turn alone: the error when its deadline passes.
    waits_for: Option<fn() -> StorageError>,
}

/// The answer to a [`Pending`] request, once there is one.
pub(in crate::db) type Answer<A> = oneshot::Receiver<Result<A, StorageError>>;

impl<R, A> Pending<R, A> {
    /// A request; its context, and so its permit, lives until it is answered.
    pub(in crate::db) fn new(context: ActContext, request: R) -> (Self, Answer<A>) {
        let (answer, answered) = oneshot::channel();
        (Self { request, context, answer, waits_for: None }, answered)
    }

    /// The error that answers it if its deadline passes while it waits.
    pub(in crate::db) fn expires_with(&mut self, error: fn() -> StorageError) {
        self.waits_for = Some(error);
    }

    /// Gives the outcome. The caller may be gone; what was done stands all the same.
    pub(in crate::db) fn answer(self, outcome: Result<A, StorageError>) {
        let Self { context, answer, .. } = self;
        // Before the answer: its caller's next request must find the permit given back.
        drop(context);
        drop(answer.send(outcome));
    }
}

impl<R: Send, A: Send> Queued for Pending<R, A> {
    fn deadline(&self) -> Instant {
        self.context.deadline()
    }

    fn refuse(self, error: StorageError) {
        self.answer(Err(error));
    }

    fn expire(self) {
        let error = self.waits_for.unwrap_or(waited_too_long);
        self.refuse(error());
    }
}

/// Where requests wait. Its worker ends when this is dropped and everything in it is answered.
#[derive(Debug)]
pub(in crate::db) struct Queue<T> {
    sender: mpsc::UnboundedSender<T>,
    waiting: Arc<AtomicUsize>,
    capacity: usize,
}

/// The worker's end of a [`Queue`].
#[derive(Debug)]
pub(in crate::db) struct Batches<T> {
    receiver: mpsc::UnboundedReceiver<T>,
    /// Taken out of the channel while nothing could be carried out, to look at their deadlines, or put
    /// back; goes first, once `held_until` has passed.
    held: Vec<T>,
    held_until: Instant,
    /// Requests in the channel and in `held`. It bounds nothing but memory, so that it may be a moment
    /// late: no order with other memory is needed.
    waiting: Arc<AtomicUsize>,
}

/// A queue in which at most `capacity` requests wait: more are refused at once, before memory grows.
pub(in crate::db) fn queue<T: Queued>(capacity: usize) -> (Queue<T>, Batches<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let held_until = Instant::now();
    let batches = Batches { receiver, held: Vec::new(), held_until, waiting: waiting.clone() };
    (Queue { sender, waiting, capacity }, batches)
}

impl<T: Queued> Queue<T> {
    /// Puts a request into the queue, or answers it that the queue is full.
    pub(in crate::db) fn push(&self, item: T) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            item.refuse(if self.sender.is_closed() { stopped() } else { full() });
        } else if let Err(mpsc::error::SendError(item)) = self.sender.send(item) {
            item.refuse(stopped());
        }
    }
}

impl<R: Send, A: Send> Queue<Pending<R, A>> {
    /// Submits a request and waits for its answer. Once this was polled the request is carried out
    /// even if the future is dropped.
    pub(in crate::db) async fn submit(
        &self,
        context: ActContext,
        request: R,
    ) -> Result<A, StorageError> {
        let (pending, answer) = Pending::new(context, request);
        self.push(pending);
        answered(answer).await
    }
}

/// Waits for an answer; a worker that ended without one has panicked.
pub(in crate::db) async fn answered<A>(answer: Answer<A>) -> Result<A, StorageError> {
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

impl<T: Queued> Batches<T> {
    /// Waits for requests and takes up to `most` of them; `None` when there will be none any more.
    pub(in crate::db) async fn next(&mut self, most: usize) -> Option<Vec<T>> {
        let mut batch = Vec::new();
        loop {
            if batch.is_empty() && self.held_until <= Instant::now() {
                batch = self.take_held(most);
            }
            refuse_expired(&mut batch);
            if !batch.is_empty() {
                return Some(batch);
            }
            let count = tokio::select! {
                () = sleep_until(self.held_until), if !self.held.is_empty() => continue,
                count = self.receiver.recv_many(&mut batch, most) => count,
            };
            self.left(count);
            if count == 0 {
                if self.held.is_empty() {
                    return None;
                }
                // No further request can come; those that were put back are still to be answered.
                sleep_until(self.held_until).await;
            }
        }
    }

    /// Puts back requests that could not be carried out yet. They wait again, and are taken again at that
    /// time, or when those that were put back before them are.
    pub(in crate::db) fn put_back(&mut self, requests: Vec<T>, at: Instant) {
        if self.held_until <= Instant::now() {
            self.held_until = at;
        }
        self.waiting.fetch_add(requests.len(), Ordering::Relaxed);
        self.held.extend(requests);
    }

    /// The same as [`Self::next`] for a thread, where nothing is put back.
    pub(in crate::db) fn next_blocking(&mut self, most: usize) -> Option<Vec<T>> {
        loop {
            let mut batch = self.take_held(most);
            // Not while more is held: those that are left would wait for a request to come.
            if batch.is_empty() {
                let count = self.receiver.blocking_recv_many(&mut batch, most);
                self.left(count);
                if count == 0 {
                    return None;
                }
            }
            refuse_expired(&mut batch);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Answers those that wait and whose deadline has passed, while the worker cannot take a batch.
    pub(in crate::db) fn refuse_waiting(&mut self) {
        while let Ok(item) = self.receiver.try_recv() {
            self.held.push(item);
        }
        self.refuse_expired_held();
    }

    /// Refuses everything that waits and everything that comes, until `event` ends; `None` when
    /// there will be no request any more.
    pub(in crate::db) async fn refuse_until<E>(
        &mut self,
        error: &StorageError,
        refused: impl Fn(usize),
        event: impl Future<Output = E>,
    ) -> Option<E> {
        let mut event = std::pin::pin!(event);
        let mut batch = self.take_held(usize::MAX);
        if !batch.is_empty() {
            refused(batch.len());
            batch.drain(..).for_each(|item| item.refuse(error.shared()));
        }
        loop {
            tokio::select! {
                outcome = &mut event => return Some(outcome),
                count = self.receiver.recv_many(&mut batch, usize::MAX) => {
                    if count == 0 {
                        return None;
                    }
                    self.left(count);
                    refused(count);
                    for item in batch.drain(..) {
                        item.refuse(error.shared());
                    }
                }
            }
        }
    }

    /// Lets everything wait, each request until its own deadline, until `event` ends; `None` when
    /// there will be no request any more.
    pub(in crate::db) async fn hold_until<E>(
        &mut self,
        event: impl Future<Output = E>,
    ) -> Option<E> {
        let mut event = std::pin::pin!(event);
        let mut is_closed = false;
        loop {
            let next_deadline = self.held.iter().map(Queued::deadline).min();
            let expiry = async {
                match next_deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                outcome = &mut event => return Some(outcome),
                () = expiry => {}
                count = self.receiver.recv_many(&mut self.held, usize::MAX), if !is_closed => {
                    is_closed = count == 0;
                }
            }
            self.refuse_expired_held();
            if is_closed && self.held.is_empty() {
                return None;
            }
        }
    }

    fn take_held(&mut self, most: usize) -> Vec<T> {
        let taken: Vec<_> = self.held.drain(..most.min(self.held.len())).collect();
        self.left(taken.len());
        taken
    }

    fn refuse_expired_held(&mut self) {
        let before = self.held.len();
        refuse_expired(&mut self.held);
        self.left(before - self.held.len());
    }

    /// So many requests wait no more.
    fn left(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Takes out those whose deadline has passed while they waited.
pub(in crate::db) fn take_expired<T: Queued>(waiting: &mut Vec<T>) -> impl Iterator<Item = T> {
    let now = Instant::now();
    waiting.extract_if(.., move |item| item.deadline() <= now)
}

/// Answers those whose deadline has passed while they waited: nothing was done for them.
pub(in crate::db) fn refuse_expired<T: Queued>(batch: &mut Vec<T>) {
    take_expired(batch).for_each(Queued::expire);
}

fn waited_too_long() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "the request waited too long in the queue")
}

fn full() -> StorageError {
    StorageError::new(ErrorKind::Unavailable, "the queue is full")
}

fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the worker of a queue has stopped")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Item = Pending<u32, u32>;

    fn within(timeout: Duration) -> ActContext {
        ActContext::new().with_timeout(timeout)
    }

    #[tokio::test]
    async fn a_batch_has_all_that_waits_up_to_the_limit_and_each_its_own_outcome() {
        let (queue, mut batches) = queue::<Item>(10);
        let mut answers = Vec::new();
        for n in 0..5 {
            let (pending, answer) = Pending::new(ActContext::new(), n);
            queue.push(pending);
            answers.push(answer);
        }
        assert_eq!(batches.next(3).await.unwrap().len(), 3);
        for pending in batches.next(3).await.unwrap() {
            let n = pending.request;
            let failed = StorageError::new(ErrorKind::Conflict, "only this one");
            pending.answer(if n == 3 { Err(failed) } else { Ok(n) });
        }
        let last = answers.pop().unwrap();
        let one = answers.pop().unwrap();
        assert_eq!(answered(one).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(answered(last).await.unwrap(), 4);
        // The first batch was dropped without answers, as a worker that panics would.
        let lost = answered(answers.pop().unwrap()).await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (queue, batches) = queue::<Item>(1);
        let (pending, _answer) = Pending::new(ActContext::new(), 1);
        queue.push(pending);
        let error = queue.submit(ActContext::new(), 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        drop(batches);
        let error = queue.submit(ActContext::new(), 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn a_request_past_its_deadline_is_not_begun() {
        let (queue, mut batches) = queue::<Item>(10);
        let (late, answer) = Pending::new(within(Duration::ZERO), 1);
        let (timely, _answer) = Pending::new(within(Duration::from_secs(60)), 2);
        queue.push(late);
        queue.push(timely);
        let batch = batches.next(10).await.unwrap();
        assert_eq!(batch.iter().map(|item| item.request).collect::<Vec<_>>(), [2]);
        assert_eq!(answered(answer).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn what_is_held_is_carried_out_first_and_expires_at_its_deadline() {
        let (queue, mut batches) = queue::<Item>(10);
        let mut answers = Vec::new();
        for (n, timeout) in [(1, Duration::from_millis(1)), (2, Duration::from_secs(60))] {
            let (pending, answer) = Pending::new(within(timeout), n);
            queue.push(pending);
            answers.push(answer);
        }
        let late = answers.remove(0);
        let refused = batches.hold_until(answered(late)).await.expect("the queue is open");
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
        let (third, _answer) = Pending::new(within(Duration::from_secs(60)), 3);
        queue.push(third);
        for n in [2, 3] {
            assert_eq!(batches.next(10).await.unwrap()[0].request, n);
        }
    }

    #[tokio::test]
    async fn what_is_held_counts_as_waiting() {
        let (queue, mut batches) = queue::<Item>(2);
        let (first, _answer) = Pending::new(ActContext::new(), 1);
        let (second, _answer) = Pending::new(ActContext::new(), 2);
        queue.push(first);
        batches.refuse_waiting();
        queue.push(second);
        let error = queue.submit(ActContext::new(), 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(batches.next(1).await.unwrap()[0].request, 1);
        let (fourth, _answer) = Pending::new(ActContext::new(), 4);
        queue.push(fourth);
        assert_eq!(batches.next(10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_is_held_expires_although_a_whole_batch_of_it_has_expired() {
        let (queue, mut batches) = queue::<Item>(10);
        let mut answers = Vec::new();
        for n in 0..5 {
            let (pending, answer) = Pending::new(within(Duration::from_millis(20)), n);
            queue.push(pending);
            answers.push(answer);
        }
        batches.refuse_waiting();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let worker = std::thread::spawn(move || batches.next_blocking(2).map(|batch| batch.len()));
        for answer in answers {
            let answer = tokio::time::timeout(Duration::from_secs(60), answered(answer)).await;
            let refused = answer.expect("no request has to come for that").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }
        drop(queue);
        assert_eq!(worker.join().unwrap(), None);
    }

    /// A request that was taken from a queue.
    async fn taken(queue: &Queue<Item>, batches: &mut Batches<Item>, n: u32) -> Vec<Item> {
        queue.push(Pending::new(within(Duration::from_secs(600)), n).0);
        let batch = batches.next(10).await.unwrap();
        assert_eq!(batch.iter().map(|item| item.request).collect::<Vec<_>>(), [n]);
        batch
    }

    #[tokio::test]
    async fn what_is_put_back_delays_nothing_and_counts_as_waiting() {
        let (queue, mut batches) = queue::<Item>(2);
        let at = Instant::now() + Duration::from_secs(60);
        for n in [1, 2] {
            let batch = taken(&queue, &mut batches, n).await;
            batches.put_back(batch, at);
        }
        let error = queue.submit(ActContext::new(), 3).await.unwrap_err();
        assert_eq!(error.to_string(), "the queue is full");
    }

    #[tokio::test]
    async fn what_is_put_back_is_taken_again_at_its_time_however_much_is_put_back_since() {
        let (queue, mut batches) = queue::<Item>(10);
        let (first, second) =
            (taken(&queue, &mut batches, 1).await, taken(&queue, &mut batches, 2).await);
        let at = Instant::now() + Duration::from_millis(500);
        batches.put_back(first, at);
        batches.put_back(second, at + Duration::from_secs(60));
        // Nor does the queue end before.
        drop(queue);
        let batch = batches.next(10).await.unwrap();
        assert_eq!(batch.iter().map(|item| item.request).collect::<Vec<_>>(), [1, 2]);
        assert!(Instant::now() >= at);
        assert!(batches.next(10).await.is_none());
    }

    #[tokio::test]
    async fn while_the_database_is_away_all_requests_are_refused() {
        let (queue, mut batches) = queue::<Item>(10);
        let away = StorageError::new(ErrorKind::Unavailable, "away");
        let event = async {
            let error = queue.submit(ActContext::new(), 1).await.unwrap_err();
            assert_eq!(error.to_string(), "away");
        };
        assert_eq!(batches.refuse_until(&away, |_| {}, event).await, Some(()));
    }
}

//! The thread of a timeline in real time.

use super::{Agenda, Booking};
use crate::work::Work;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

enum Message {
    /// Work to run.
    Taken(Box<Work>, Booking),
    /// There is something new on the agenda.
    Look,
}

/// The device's side of a timeline in real time.
pub(super) struct Thread {
    start: Instant,
    waiting: Arc<AtomicUsize>,
    /// `None` once the thread is to end.
    inbox: Mutex<Option<Sender<Message>>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    pub(super) fn start(agenda: &Arc<Agenda>) -> Self {
        let (sender, inbox) = mpsc::channel();
        let start = Instant::now();
        let waiting = Arc::default();
        let handle = {
            let (agenda, waiting) = (Arc::clone(agenda), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name("pagepress-model".to_owned())
                .spawn(move || run(&agenda, &inbox, &waiting, start))
                .expect("the system lets a process have a thread")
        };
        Self {
            start,
            waiting,
            inbox: Mutex::new(Some(sender)),
            handle: Some(handle),
        }
    }

    pub(super) fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    /// Work that was sent and is not on the agenda yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn send(&self, work: Work, booking: Booking) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.tell(Message::Taken(Box::new(work), booking));
    }

    pub(super) fn wake(&self) {
        self.tell(Message::Look);
    }

    fn tell(&self, message: Message) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = &*inbox {
            // Refused only by a thread that has panicked, and then nothing
            // completes any more: a device that hangs.
            let _ = inbox.send(message);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        *self.inbox.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn run(agenda: &Agenda, inbox: &Receiver<Message>, waiting: &AtomicUsize, start: Instant) {
    loop {
        let next = {
            let mut state = agenda.locked();
            state.happen_until(nanoseconds(start.elapsed()));
            state.due.first_key_value().map(|(&(due, _), _)| due)
        };
        // A time that no clock reaches is none.
        let next = next.and_then(|due| start.checked_add(Duration::from_nanos(due)));
        let message = match next {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match message {
            Ok(Message::Taken(work, booking)) => {
                let done = Box::new(work.run());
                agenda.locked().schedule(done, booking);
                waiting.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

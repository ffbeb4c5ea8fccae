//! A queue of tasks for several threads. The newest task comes first, so a tree is walked in depth and few tasks wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The tasks, and the numbers of threads that work and wait.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    tasks: Vec<T>,
    working: usize,
    waiting: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                tasks: Vec::new(),
                working: 0,
                waiting: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many tasks wait.
    pub(super) fn len(&self) -> usize {
        self.lock().tasks.len()
    }

    /// Adds tasks. The last one is taken first.
    pub(super) fn push_all(&self, tasks: &mut Vec<T>) {
        if tasks.is_empty() {
            return;
        }
        let mut state = self.lock();
        let wake = state.waiting.min(tasks.len());
        state.tasks.append(tasks);
        drop(state);
        for _ in 0..wake {
            self.changed.notify_one();
        }
    }

    /// Works on tasks until there are none left and no thread can add more.
    pub(super) fn work(&self, mut on: impl FnMut(T)) {
        // If a thread panics, the others must not wait for its task.
        let _closes = CloseOnPanic(self);
        while let Some(task) = self.take() {
            on(task);
            self.finished();
        }
    }

    fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                state.working += 1;
                return Some(task);
            }
            if state.working == 0 {
                return None;
            }
            state.waiting += 1;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    fn finished(&self) {
        let mut state = self.lock();
        state.working -= 1;
        if state.working == 0 && state.tasks.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Drops the waiting tasks. Every thread ends after its current task.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.changed.notify_all();
        drop(tasks);
    }
}

struct CloseOnPanic<'a, T>(&'a Queue<T>);

impl<T> Drop for CloseOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Each task `n` makes two tasks `n - 1`.
    fn count(threads: usize, first: usize) -> usize {
        let (queue, done) = (Queue::new(), AtomicUsize::new(0));
        queue.push_all(&mut vec![first]);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    queue.work(|n| {
                        done.fetch_add(1, SeqCst);
                        if n > 0 {
                            queue.push_all(&mut vec![n - 1, n - 1]);
                        }
                    });
                });
            }
        });
        done.load(SeqCst)
    }

    #[test]
    fn work_runs_each_task_once() {
        for threads in [1, 2, 16] {
            assert_eq!(count(threads, 10), 2047);
        }
    }

    #[test]
    fn close_drops_waiting_tasks() {
        let queue = Queue::new();
        queue.push_all(&mut vec![1, 2, 3]);
        let mut seen = Vec::new();
        queue.work(|n| {
            seen.push(n);
            queue.close();
        });
        assert_eq!(seen, [3]);
    }

    #[test]
    fn panic_of_one_thread_ends_the_others() {
        let queue = Queue::new();
        queue.push_all(&mut vec![0]);
        let ended = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| queue.work(|_| panic!("a defect"))))
                .collect();
            let ended: Vec<_> = threads
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect();
            ended.iter().filter(|end| end.is_err()).count()
        });
        assert_eq!(ended, 1);
    }
}

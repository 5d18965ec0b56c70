//! What the door counted, for tests of what is refused by name. The recorder is this thread's: `#[tokio::test]` runs a
//! door and its clients on one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};

/// Counters and gauges by name and labels.
#[derive(Default)]
pub struct Counts(Mutex<HashMap<String, Arc<Count>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl Counts {
    /// Counts from here on, as long as the guard lives.
    pub fn begin() -> (&'static Self, metrics::LocalRecorderGuard<'static>) {
        let counts: &'static Self = Box::leak(Box::default());
        (counts, metrics::set_default_local_recorder(counts))
    }

    /// What a counter or gauge stands at: its name, and the value of its label where it has one.
    pub fn of(&self, name: &str, label: &str) -> u64 {
        let all = self.0.lock().unwrap();
        all.get(&format!("{name} {label}")).map_or(0, |it| it.0.load(Ordering::Relaxed))
    }

    fn place(&self, key: &Key) -> Arc<Count> {
        let label = key.labels().next().map_or("", |label| label.value());
        let mut all = self.0.lock().unwrap();
        Arc::clone(all.entry(format!("{} {label}", key.name())).or_default())
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.place(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.place(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl CounterFn for Count {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn absolute(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }
}

impl GaugeFn for Count {
    fn increment(&self, by: f64) {
        self.0.fetch_add(by as u64, Ordering::Relaxed);
    }

    fn decrement(&self, by: f64) {
        self.0.fetch_sub(by as u64, Ordering::Relaxed);
    }

    fn set(&self, to: f64) {
        self.0.store(to as u64, Ordering::Relaxed);
    }
}

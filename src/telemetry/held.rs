//! Series that somebody holds, by their labels, so that those of what was taken out of the configuration can go.
//!
//! A series that is dropped and made anew is another one: whoever still had the old one would count where nobody
//! looks. So a series goes only when it is served no more *and* nobody holds it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Series by the values of their `N` labels.
#[derive(Debug)]
pub(super) struct Held<const N: usize, V>(Mutex<BTreeMap<[String; N], Entry<V>>>);

#[derive(Debug)]
struct Entry<V> {
    series: Arc<V>,
    served: bool,
}

impl<const N: usize, V> Default for Held<N, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize, V> Held<N, V> {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<[String; N], Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series with these labels, made if there is none.
    pub(super) fn get(&self, labels: [&str; N], make: impl FnOnce() -> V) -> Arc<V> {
        let mut entries = self.entries();
        let entry = entries.entry(labels.map(str::to_owned));
        Arc::clone(&entry.or_insert_with(|| Entry { series: Arc::new(make()), served: true }).series)
    }

    /// Calls `look` with every series, in the order of their labels.
    pub(super) fn each(&self, mut look: impl FnMut(&[String; N], &V)) {
        self.entries().iter().for_each(|(labels, entry)| look(labels, &entry.series));
    }

    /// Notes which series are served.
    pub(super) fn serve(&self, is_served: impl Fn([&str; N]) -> bool) {
        for (labels, entry) in self.entries().iter_mut() {
            entry.served = is_served(labels.each_ref().map(String::as_str));
        }
    }

    /// Lets go of series that are not served and that nobody holds; `remove` takes them from what is shown.
    pub(super) fn let_go(&self, mut remove: impl FnMut([&str; N])) {
        self.entries().retain(|labels, entry| {
            let stays = entry.served || Arc::strong_count(&entry.series) > 1;
            if !stays {
                remove(labels.each_ref().map(String::as_str));
            }
            stays
        });
    }
}

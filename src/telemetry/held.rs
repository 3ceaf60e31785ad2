//! Series that cores hold, by their labels, so that those of what was taken out of the configuration can go.
//!
//! A series that is dropped and made anew is another one: whoever still had the old one would count where nobody
//! looks. So series go only when they are served no more *and* no core holds them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Series by the values of their `N` labels, one for each core that has asked.
#[derive(Debug)]
pub(super) struct Held<const N: usize, V>(Mutex<BTreeMap<[String; N], Entry<V>>>);

#[derive(Debug)]
struct Entry<V> {
    /// By the number of the core.
    series: Vec<Arc<V>>,
    served: bool,
}

impl<const N: usize, V> Default for Held<N, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize, V: Default> Held<N, V> {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<[String; N], Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A core's series with these labels, made if there is none.
    pub(super) fn get(&self, labels: [&str; N], core: usize) -> Arc<V> {
        let mut entries = self.entries();
        let entry = entries.entry(labels.map(str::to_owned));
        let entry = entry.or_insert_with(|| Entry { series: Vec::new(), served: true });
        if entry.series.len() <= core {
            entry.series.resize_with(core + 1, Arc::default);
        }
        Arc::clone(&entry.series[core])
    }

    /// What `read` makes of each label's series, in the order of the labels.
    pub(super) fn read<R>(&self, read: impl Fn(&[Arc<V>]) -> R) -> Vec<([String; N], R)> {
        self.entries().iter().map(|(labels, entry)| (labels.clone(), read(&entry.series))).collect()
    }

    /// Notes which series are served.
    pub(super) fn serve(&self, is_served: impl Fn([&str; N]) -> bool) {
        for (labels, entry) in self.entries().iter_mut() {
            entry.served = is_served(labels.each_ref().map(String::as_str));
        }
    }

    /// Lets go of series that are not served and that no core holds.
    pub(super) fn let_go(&self) {
        let is_held = |series: &Arc<V>| Arc::strong_count(series) > 1;
        self.entries().retain(|_, entry| entry.served || entry.series.iter().any(is_held));
    }
}

//! Metrics whose numbers the cores hold: what a scrape shows of them.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::series::{Count, LATENCY_BUCKETS, RouteSeries};

/// A metric's name, help and labels; its numbers are somewhere else.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
}

impl Summed {
    /// As numbers that only go up.
    pub(super) fn counters<'a, const N: usize>(
        &self,
        values: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) -> MetricFamily {
        self.family(MetricType::COUNTER, values, |metric, number| {
            let mut counter = Counter::default();
            counter.set_value(real(number));
            metric.set_counter(counter);
        })
    }

    /// As numbers of things that exist.
    pub(super) fn gauges<'a, const N: usize>(
        &self,
        values: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) -> MetricFamily {
        self.family(MetricType::GAUGE, values, |metric, number| {
            let mut gauge = Gauge::default();
            gauge.set_value(real(number));
            metric.set_gauge(gauge);
        })
    }

    /// As distributions of latencies.
    pub(super) fn latencies<'a, const N: usize>(
        &self,
        values: impl IntoIterator<Item = ([&'a str; N], &'a RouteSeries)>,
    ) -> MetricFamily {
        self.family(MetricType::HISTOGRAM, values, |metric, series| {
            let mut so_far = 0;
            let bounds = LATENCY_BUCKETS.iter().zip(&series.by_latency);
            let buckets = bounds.map(|(bound, count)| {
                so_far += count.get();
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(so_far);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(series.by_latency.iter().map(Count::get).sum());
            histogram.set_sample_sum(real(series.nanoseconds.get()) / 1e9);
            metric.set_histogram(histogram);
        })
    }

    fn family<'a, const N: usize, V>(
        &self,
        kind: MetricType,
        values: impl IntoIterator<Item = ([&'a str; N], V)>,
        set: impl Fn(&mut Metric, V),
    ) -> MetricFamily {
        let metrics = values.into_iter().map(|(labels, value)| {
            let mut metric = Metric::from_label(self.pairs(labels));
            set(&mut metric, value);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics.collect());
        family
    }

    /// Labels with their values, in the order of their names, as everywhere in the text.
    fn pairs<const N: usize>(&self, values: [&str; N]) -> Vec<LabelPair> {
        let mut named: Vec<_> = self.labels.iter().zip(values).collect();
        named.sort_unstable();
        let pair = |(name, value): (&&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        named.into_iter().map(pair).collect()
    }
}

/// Prometheus' numbers are all real.
#[expect(clippy::cast_precision_loss, reason = "a count above 2^53 may lose its last digits")]
fn real(number: u64) -> f64 {
    number as f64
}

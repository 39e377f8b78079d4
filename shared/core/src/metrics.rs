//! Owns what is asked of CloudWatch, and how its answer is read.
//!
//! All metrics of a run share one window, so that they fit one `GetMetricData` call. A metric without datapoints is
//! *absent*, which is not zero: most of these are emitted only while something happens.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::look::{Look, Unseen};

/// How CloudWatch sums up a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// The sum of all samples.
    Sum,
    /// Their mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
}

impl Stat {
    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
        }
    }
}

/// One metric that a check needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricQuery {
    /// What the judge asks for it by; also the query's id, so a lower-case letter first, then letters, digits and `_`.
    pub id: &'static str,
    /// Such as `AWS/Kinesis`.
    pub namespace: &'static str,
    /// Such as `IncomingRecords`.
    pub name: &'static str,
    /// Name and value of each dimension.
    pub dimensions: Vec<(&'static str, String)>,
    /// How a period is summed up.
    pub stat: Stat,
}

/// The length of the periods that all metrics are asked for, in seconds.
pub const PERIOD_SECONDS: u32 = 300;

/// How far back all metrics are asked for.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// One datapoint: the beginning of its period, and the value.
pub type Point = (Timestamp, f64);

/// The datapoints of one metric, oldest first. Periods without a sample are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series(Vec<Point>);

impl Series {
    /// A series of these points, in any order.
    pub fn new(mut points: Vec<Point>) -> Self {
        points.sort_by_key(|(at, _)| *at);
        Self(points)
    }

    /// All points, oldest first.
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// The newest point.
    pub fn last(&self) -> Option<Point> {
        self.0.last().copied()
    }

    /// The points whose period begins at `from` or later.
    pub fn since(&self, from: Timestamp) -> &[Point] {
        &self.0[self.0.partition_point(|(at, _)| *at < from)..]
    }

    /// The sum of the points since `from`; none if there are none.
    pub fn sum_since(&self, from: Timestamp) -> Option<f64> {
        let points = self.since(from);
        (!points.is_empty()).then(|| points.iter().map(|(_, value)| value).sum())
    }

    /// The smallest point since `from`; none if there are none.
    pub fn min_since(&self, from: Timestamp) -> Option<f64> {
        self.since(from).iter().map(|(_, value)| *value).reduce(f64::min)
    }

    /// Where the newest unbroken run of points for which `holds` is true began; none if the newest point is not one, or
    /// there is none.
    pub fn holds_since(&self, holds: impl Fn(f64) -> bool) -> Option<Timestamp> {
        self.0.iter().rev().take_while(|(_, value)| holds(*value)).last().map(|(at, _)| *at)
    }
}

/// The metrics of one run, by [`MetricQuery::id`].
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub BTreeMap<&'static str, Look<Series>>);

impl Metrics {
    /// The metric that was asked for as `id`. One that was never asked for counts as a failed read, not as absent.
    pub fn get(&self, id: &str) -> Look<&Series> {
        const ACTION: &str = "cloudwatch:GetMetricData";
        match self.0.get(id) {
            Some(look) => look.as_ref().map_err(Unseen::clone),
            None => Err(Unseen { action: ACTION, cause: crate::look::Cause::Failed, request_id: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn absent_is_not_zero() {
        let series = Series::new(vec![(at(0), 3.0)]);
        assert_eq!(series.sum_since(at(1)), None);
        assert_eq!(series.min_since(at(1)), None);
        assert_eq!(Series::new(vec![(at(0), 0.0)]).sum_since(at(0)), Some(0.0));
    }

    #[test]
    fn points_are_read_in_order_whatever_the_order_of_the_answer() {
        let series = Series::new(vec![(at(10), 2.0), (at(0), 9.0), (at(5), 1.0)]);
        assert_eq!(series.last(), Some((at(10), 2.0)));
        assert_eq!(series.sum_since(at(5)), Some(3.0));
        assert_eq!(series.min_since(at(0)), Some(1.0));
    }

    #[test]
    fn a_run_of_points_ends_with_the_newest_one() {
        let series = Series::new(vec![(at(0), 1.0), (at(5), 0.0), (at(10), 1.0), (at(15), 1.0)]);
        assert_eq!(series.holds_since(|value| value >= 1.0), Some(at(10)));
        assert_eq!(series.holds_since(|value| value < 1.0), None);
        assert_eq!(Series::default().holds_since(|_| true), None);
    }

    #[test]
    fn a_metric_that_nobody_asked_for_is_not_absent_but_unseen() {
        assert!(Metrics::default().get("iterator_age").is_err());
    }
}

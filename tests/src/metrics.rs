//! Owns the metrics that AWS would publish about what is watched: tests put them in its stead, and take them back, which AWS
//! cannot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::local_aws::LocalAws;

/// A metric with its dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Such as `AWS/Kinesis`.
    pub namespace: &'static str,
    /// Such as `IncomingRecords`.
    pub name: &'static str,
    /// Names and values.
    pub dimensions: Vec<(&'static str, String)>,
}

/// Points of a metric: minutes ago, and the value.
pub type Points = Vec<(u64, f64)>;

/// The same value in every period of five minutes, from `oldest` to `newest` minutes ago.
#[must_use]
pub fn flat(oldest: u64, newest: u64, value: f64) -> Points {
    (newest..=oldest).step_by(5).map(|ago| (ago, value)).collect()
}

impl LocalAws {
    /// Puts these points in place of all that the metric had.
    pub async fn replace_metric(&self, metric: &Metric, points: &Points) {
        let dimensions: serde_json::Map<String, Value> =
            metric.dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let forgotten = json!({ "namespace": metric.namespace, "name": metric.name, "dimensions": dimensions });
        self.control("POST", "forget-metric", &forgotten).await;
        let now = since_epoch();
        let named: Vec<Value> =
            metric.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let data: Vec<Value> = points
            .iter()
            .map(|(ago, value)| {
                let at = now.saturating_sub(Duration::from_secs(ago * 60)).as_secs();
                json!({ "MetricName": metric.name, "Dimensions": named, "Timestamp": at, "Value": value })
            })
            .collect();
        if !data.is_empty() {
            let input = json!({ "Namespace": metric.namespace, "MetricData": data });
            self.json_call("monitoring", "GraniteServiceVersion20100801.PutMetricData", &input).await;
        }
    }

    /// The sum of a metric in the last hour; none if there is no point.
    pub async fn metric_sum(&self, metric: &Metric) -> Option<f64> {
        let now = since_epoch().as_secs();
        let named: Vec<Value> =
            metric.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let found = json!({ "Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": named });
        let query = json!({ "Id": "m", "MetricStat": { "Metric": found, "Period": 300, "Stat": "Sum" } });
        let input = json!({ "MetricDataQueries": [query], "StartTime": now - 3600, "EndTime": now + 300 });
        let answer = self.json_call("monitoring", "GraniteServiceVersion20100801.GetMetricData", &input).await;
        let values = answer["MetricDataResults"][0]["Values"].as_array().cloned().unwrap_or_default();
        if values.is_empty() { None } else { Some(values.iter().filter_map(Value::as_f64).sum()) }
    }
}

/// The clock of the local AWS.
#[allow(clippy::disallowed_methods, reason = "this plays AWS, whose clock is the real one")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_metric_has_a_point_every_five_minutes() {
        assert_eq!(flat(20, 10, 1.0), [(10, 1.0), (15, 1.0), (20, 1.0)]);
    }
}

//! Owns whether the domain has memory and computing power enough.

use jiff::SignedDuration;

use super::super::check::Part;
use super::part::{FRESH, Found, PUT_ASIDE, STILL_TAKEN, about, latest, measured, metric, newest, shows};
use crate::finding::{Finding, Severity, Status, values};
use crate::metrics::{MetricQuery, Point, Stat};
use crate::snapshot::Snapshot;
use crate::spec::Spec;

pub(super) const MEMORY: Part =
    measured("memory", "the search domain is short of memory", |spec| shows(spec, memory_metric(spec)));
pub(super) const CPU: Part = measured("cpu", "the search domain is overloaded", |spec| shows(spec, cpu_metric(spec)));

pub(super) fn memory_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_jvm", "JVMMemoryPressure", Stat::Maximum)
}

pub(super) fn cpu_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_cpu", "CPUUtilization", Stat::Average)
}

/// AWS blocks writes after 30 minutes above 92 %
/// (<https://docs.aws.amazon.com/opensearch-service/latest/developerguide/handling-errors.html>).
pub(super) fn memory(spec: &Spec, snapshot: &Snapshot) -> Found {
    let all_above = |points: &[Point], limit: f64| points.iter().all(|(_, percent)| *percent >= limit);
    let Some((_, now)) = newest(snapshot, "domain_jvm")? else { return Ok(None) };
    let critical = latest(snapshot, "domain_jvm", 3, FRESH)?.is_some_and(|points| all_above(points, 95.0));
    // Six periods are 30 minutes; metrics come up to 15 minutes late.
    let lasting = latest(snapshot, "domain_jvm", 6, SignedDuration::from_mins(45))?;
    let lasting = lasting.is_some_and(|points| all_above(points, 92.0));
    let severity = match (critical, lasting) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::Warning,
        (false, false) => return Ok(None),
    };
    let finding = Finding {
        summary: "The search domain is short of memory.".to_owned(),
        expected: "memory pressure below 92 %".to_owned(),
        observed: format!("memory pressure {now:.0} %"),
        impact: format!(
            "It answers slowly. When memory pressure has been above 92 % for 30 minutes, AWS blocks all writes until it is down to 88 %. {PUT_ASIDE}"
        ),
        remedy: "Choose a larger DomainInstanceType for the stack, or keep fewer indices.".to_owned(),
        values: values([("jvmMemoryPressurePercent", now.into()), ("warningPercent", 92.into())]),
        ..about(spec, &MEMORY, Status::Unhealthy, severity)
    };
    Ok(Some(finding))
}

pub(super) fn cpu(spec: &Spec, snapshot: &Snapshot) -> Found {
    // Nine periods are 45 minutes; metrics come up to 15 minutes late.
    let points = latest(snapshot, "domain_cpu", 9, SignedDuration::from_mins(60))?;
    let Some(points) = points.filter(|points| points.iter().all(|(_, percent)| *percent >= 80.0)) else {
        return Ok(None);
    };
    let least = points.iter().map(|(_, percent)| *percent).fold(100.0, f64::min);
    Ok(Some(Finding {
        summary: "The search domain has been computing at its limit for 45 minutes.".to_owned(),
        expected: "CPU below 80 %".to_owned(),
        observed: format!("CPU at {least:.0} % or more for 45 min"),
        impact: format!("eMite's reports get slow, and writes may be turned away. {STILL_TAKEN}"),
        remedy: "Choose a larger DomainInstanceType for the stack, or find the searches that take so much.".to_owned(),
        values: values([("cpuUtilizationPercent", least.into()), ("warningPercent", 80.into())]),
        ..about(spec, &CPU, Status::Unhealthy, Severity::Warning)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{flat, said, series, severity, with};
    use super::*;

    #[test]
    fn memory_is_a_warning_while_high_and_critical_near_the_end() {
        let high = with("domain_jvm", series(&[93.0; 7]));
        let full = with("domain_jvm", series(&[50.0, 96.0, 97.0, 98.0]));
        insta::assert_snapshot!([high, full].iter().map(said).collect::<Vec<_>>().join("\n"));
        assert_eq!(severity(&with("domain_jvm", series(&[92.0; 6]))), Some(Severity::Warning));
        assert_eq!(severity(&with("domain_jvm", series(&[93.0; 5]))), None);
        assert_eq!(severity(&with("domain_jvm", flat(91.0))), None);
        assert_eq!(severity(&with("domain_jvm", series(&[93.0, 93.0, 93.0, 91.0, 93.0, 93.0, 93.0]))), None);
        assert_eq!(severity(&with("domain_jvm", series(&[98.0, 97.0, 50.0]))), None);
    }

    #[test]
    fn a_busy_processor_is_told_after_three_quarters_of_an_hour() {
        insta::assert_snapshot!(said(&with("domain_cpu", series(&[85.0; 9]))));
        assert_eq!(severity(&with("domain_cpu", series(&[85.0; 8]))), None);
        let mut breath = [85.0; 12];
        breath[8] = 40.0;
        assert_eq!(severity(&with("domain_cpu", series(&breath))), None);
    }
}

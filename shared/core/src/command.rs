//! Owns commands that people paste into AWS CloudShell: lines of the AWS CLI, and the one place that quotes for a shell.
//!
//! They are built from the stack's own settings, never from what an event says, except for the prefix of a redrive, which
//! is one that the redrive itself accepts. Every value is quoted, although none of those that AWS accepts needs it.

use serde_json::{Value, json};

use crate::handover;
use crate::layout;
use crate::metrics::{MetricQuery, PERIOD_SECONDS};
use crate::spec::Spec;

/// A command, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it does, as the sentence in front of it.
    pub does: &'static str,
    /// The command, on one line.
    pub line: String,
}

impl Command {
    /// A command that only shows the present state.
    pub fn shows(aws: AwsCli) -> Self {
        Self { does: "This command shows the present state:", line: aws.line() }
    }
}

/// One call of the AWS CLI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCli(String);

impl AwsCli {
    /// `aws <service> <operation>` in the region of the stack.
    pub fn new(spec: &Spec, service: &str, operation: &str) -> Self {
        Self(format!("aws {service} {operation}")).option("--region", &spec.home.region)
    }

    /// Adds an option with a value, which stays one word whatever it contains.
    pub fn option(self, name: &str, value: &str) -> Self {
        self.raw(name).word(value)
    }

    /// Adds an argument, which stays one word whatever it contains.
    pub fn word(self, value: &str) -> Self {
        self.raw(&quoted(value))
    }

    /// Adds what needs no quotes, or has them.
    pub fn raw(mut self, part: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(part);
        self
    }

    /// The line.
    pub fn line(self) -> String {
        self.0
    }
}

/// `value` as one word of a shell, on one line.
///
/// The crate `shlex` would quote more than needed (`Name=x,Values=y`), and prefers double quotes for `it's`.
fn quoted(value: &str) -> String {
    let value: String = value.chars().filter(|char| !char.is_control()).collect();
    let simple = |char: char| char.is_ascii_alphanumeric() || "-_.:/,=+@%".contains(char);
    if !value.is_empty() && value.chars().all(simple) {
        return value;
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A call about the Amazon Connect instance.
pub fn connect(spec: &Spec, operation: &str) -> AwsCli {
    AwsCli::new(spec, "connect", operation).option("--instance-id", &spec.instance.to_string())
}

/// Describes a Kinesis data stream.
pub fn data_stream(spec: &Spec, name: &str) -> AwsCli {
    AwsCli::new(spec, "kinesis", "describe-stream-summary").option("--stream-name", name)
}

/// Describes the delivery stream.
pub fn delivery_stream(spec: &Spec) -> AwsCli {
    AwsCli::new(spec, "firehose", "describe-delivery-stream")
        .option("--delivery-stream-name", spec.delivery_stream_name())
}

/// Lists the objects below a prefix of the backup bucket.
pub fn bucket(spec: &Spec, prefix: &str) -> AwsCli {
    AwsCli::new(spec, "s3", "ls")
        .raw("--recursive --human-readable --summarize")
        .word(&format!("s3://{}/{prefix}", spec.backup_bucket))
}

/// The last three hours of a metric.
pub fn statistics(spec: &Spec, metric: &MetricQuery) -> AwsCli {
    let command = AwsCli::new(spec, "cloudwatch", "get-metric-statistics")
        .option("--namespace", metric.namespace)
        .option("--metric-name", metric.name)
        .raw("--dimensions");
    let dimensions = metric.dimensions.iter().map(|(name, value)| format!("Name={name},Value={value}"));
    dimensions
        .fold(command, |command, dimension| command.word(&dimension))
        .raw("--start-time \"$(date -u -d '3 hours ago' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\"")
        .option("--period", &PERIOD_SECONDS.to_string())
        .option("--statistics", metric.stat.as_str())
        .option("--query", "sort_by(Datapoints, &Timestamp)")
        .option("--output", "table")
}

/// Runs the health check now.
pub fn check_now(spec: &Spec) -> String {
    invoke(spec, &spec.health_check_function, &quoted("{}"))
}

/// Silences one check for a day; `function` is the name of the reporter.
pub fn silence(spec: &Spec, function: &str, check: &str) -> String {
    let before = format!("{{\"silence\":{{\"check\":\"{check}\",\"until\":\"");
    let after = "\",\"reason\":\"being worked on\"}}";
    let payload = format!("{}\"$(date -u -d '1 day' +%FT%TZ)\"{}", quoted(&before), quoted(after));
    invoke(spec, function, &payload)
}

/// What a repair is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// Show what it would change.
    Plan,
    /// Change it, unless that replaces a third-party configuration.
    Apply,
    /// Change it even so.
    Replace,
}

/// Repairs the findings of one check. The CLI waits for longer than the function can run: after its usual 60 s it would
/// invoke the function a second time.
pub fn repair(spec: &Spec, check: &str, mode: RepairMode) -> String {
    const WAITS: &str = " --cli-read-timeout 320";
    let mode = match mode {
        RepairMode::Plan => r#""mode":"plan""#,
        RepairMode::Apply => r#""mode":"apply""#,
        RepairMode::Replace => r#""mode":"apply","replace":true"#,
    };
    let line = invoke(spec, &spec.repair_function, &quoted(&format!("{{{mode},\"checks\":[\"{check}\"]}}")));
    line + WAITS
}

fn invoke(spec: &Spec, function: &str, payload: &str) -> String {
    AwsCli::new(spec, "lambda", "invoke")
        .option("--function-name", function)
        .option("--cli-binary-format", "raw-in-base64-out")
        .raw("--payload")
        .raw(payload)
        .raw("/dev/stdout")
        .line()
}

/// Names the role of the health check.
pub fn health_check_role(spec: &Spec) -> Command {
    Command {
        does: "This command names the role of the health check, which needs the permission:",
        line: function_setting(spec, "Role").line(),
    }
}

/// Shows the log of the health check.
pub fn health_check_log(spec: &Spec) -> Command {
    let group = function_setting(spec, "LoggingConfig.LogGroup").line();
    Command {
        does: "This command shows the log of the health check:",
        line: AwsCli::new(spec, "logs", "tail").raw(&format!("\"$({group})\"")).option("--since", "1h").line(),
    }
}

fn function_setting(spec: &Spec, query: &str) -> AwsCli {
    AwsCli::new(spec, "lambda", "get-function-configuration")
        .option("--function-name", &spec.health_check_function)
        .option("--query", query)
        .option("--output", "text")
}

/// Prints the readable text of the handover.
pub fn handover(spec: &Spec) -> String {
    let document = format!("s3://{}/{}{}", spec.backup_bucket, spec.folder(layout::HANDOVER), handover::TEXT);
    AwsCli::new(spec, "s3", "cp").word(&document).raw("-").line()
}

/// Shows the failed records below `prefix`, and sends them again. The redrive reads from where the delivery stream puts
/// them unless it is given a prefix.
pub fn redrive(spec: &Spec, prefix: &str) -> Vec<Command> {
    let input: Value = match prefix == spec.failed_prefix {
        true => json!({"mode": "apply"}),
        false => json!({"mode": "apply", "prefix": prefix}),
    };
    let redrive = AwsCli::new(spec, "stepfunctions", "start-execution")
        .option("--state-machine-arn", &spec.redrive_state_machine.to_string())
        .option("--input", &input.to_string())
        .line();
    vec![
        Command::shows(bucket(spec, prefix)),
        Command {
            does: "Once the cause is mended, this command sends them to the search domain again; a message tells what came of it:",
            line: redrive,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::spec;

    #[test]
    fn value_stays_one_word_whatever_it_contains() {
        assert_eq!(quoted("plain-value_1.2"), "plain-value_1.2");
        assert_eq!(quoted("$(reboot) `x` \"y\"\n; z"), "'$(reboot) `x` \"y\"; z'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn commands_that_are_about_no_finding() {
        let spec = spec();
        let mut lines = vec![check_now(&spec), silence(&spec, "reporter", "emite-role"), handover(&spec)];
        for prefix in [spec.failed_prefix.clone(), spec.quarantine_prefix(), "ctr/it's $(reboot)".to_owned()] {
            lines.extend(redrive(&spec, &prefix).into_iter().map(|command| command.line));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}

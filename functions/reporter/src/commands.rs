//! Owns the commands that a mail offers: each can be pasted into AWS CloudShell as it stands.
//!
//! They are built from the check and the stack's own settings, never from what an event says; but for the prefix of a
//! redrive, which is one that the redrive itself would take. Every value is quoted for the shell, although none of those
//! that AWS lets through needs it.

use emite_core::change::PlannedChange;
use emite_core::finding::Status;
use emite_core::spec::{Server, Spec};
use serde_json::{Value, json};

use crate::episodes::Scene;

/// What a command is about: one finding, without its texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The check's name.
    pub(crate) check: &'a str,
    /// What kind of wrong it is.
    pub(crate) status: Status,
    /// Which part of the resource it is about: what stands behind its last `#`.
    pub(crate) part: &'a str,
    /// What is wrong. Only compared with what the stack itself owns.
    pub(crate) resource: &'a str,
    /// Whether a repair mends it, and how.
    pub(crate) mend: Mend,
}

/// What a repair can do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Only a person can mend it.
    ByHand,
    /// A repair mends it.
    Repair,
    /// A repair mends it, and somebody loses something by that.
    Interruption,
    /// A repair mends it by replacing what somebody else set up, if it is told to.
    Replacement,
}

impl Mend {
    /// What the repair that a report plans means.
    pub(crate) fn of(planned: Option<&PlannedChange>) -> Self {
        match planned {
            None => Self::ByHand,
            Some(planned) if planned.replaces_foreign => Self::Replacement,
            Some(planned) if planned.interrupts => Self::Interruption,
            Some(_) => Self::Repair,
        }
    }
}

/// A command, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// What it does, as the sentence in front of it.
    pub(crate) does: &'static str,
    /// The command, on one line.
    pub(crate) line: String,
}

const SHOWS: &str = "This command shows the present state:";
const NAMES_ROLE: &str = "This command names the role of the health check, which needs the permission:";
const MENDS: &str = "This command mends it, and shows that it did:";
const PLANS: &str = "This command shows what a repair would change, and changes nothing:";
const INTERRUPTS: &str = "This one mends it, in all that the plan lists. Run it if nobody needs what is there now:";
const REPLACES: &str = "This one puts eMite's back in the place of what is there now, in all that the plan lists. \
                        Run it if nobody needs that any more:";

/// The commands for one finding, in the order in which they should be run.
pub(crate) fn for_finding(spec: &Spec, subject: Subject<'_>) -> Vec<Command> {
    if subject.status == Status::Unobservable {
        return vec![Command { does: NAMES_ROLE, line: function_setting(spec, "Role") }];
    }
    let repair = |does, wish: &str| Command { does, line: repair(spec, subject.check, wish) };
    match subject.mend {
        Mend::Repair => vec![repair(MENDS, "\"mode\":\"apply\"")],
        Mend::Interruption => {
            vec![repair(PLANS, "\"mode\":\"plan\""), repair(INTERRUPTS, "\"mode\":\"apply\"")]
        }
        Mend::Replacement => {
            vec![repair(PLANS, "\"mode\":\"plan\""), repair(REPLACES, "\"mode\":\"apply\",\"replace\":true")]
        }
        Mend::ByHand => by_hand(spec, subject),
    }
}

/// The commands for what no repair mends.
fn by_hand(spec: &Spec, subject: Subject<'_>) -> Vec<Command> {
    let shows = |line| vec![Command { does: SHOWS, line }];
    match subject.check {
        "connect-instance" => shows(connect(spec, "describe-instance").line()),
        "data-streaming" => shows(data_streaming(spec, subject)),
        "approved-origins" => shows(connect(spec, "list-approved-origins").line()),
        "agent-event-stream" => shows(data_stream(spec, spec.agent_event_stream_name())),
        "iterator-age" => shows(kinesis_metric(spec, "GetRecords.IteratorAgeMilliseconds", "Maximum")),
        "stream-throttling" if subject.part == "read" => {
            shows(kinesis_metric(spec, "ReadProvisionedThroughputExceeded", "Sum"))
        }
        "stream-throttling" => shows(kinesis_metric(spec, "WriteProvisionedThroughputExceeded", "Sum")),
        "agent-event-flow" => shows(kinesis_metric(spec, "IncomingRecords", "Sum")),
        "contact-record-stream" => {
            shows(data_stream(spec, spec.contact_record_stream_name().unwrap_or(spec.agent_event_stream_name())))
        }
        "delivery-stream" => shows(describe_delivery_stream(spec)),
        "firehose-delivery" => vec![
            Command {
                does: "This command shows where contact records are delivered to:",
                line: describe_delivery_stream(spec),
            },
            Command {
                does: "This one shows what could not be delivered:",
                line: list_bucket(spec, &spec.failed_prefix),
            },
        ],
        "failed-records" if subject.resource.ends_with("/quarantine/") => failed_records(spec, &quarantine(spec)),
        "failed-records" => failed_records(spec, &spec.failed_prefix),
        "search-domain" => shows(search_domain(spec, subject.part)),
        "domain-access" => shows(access_policy(spec)),
        "emite-role" => shows(emite_role(spec, subject)),
        "emite-server" => spec.server.as_ref().map(|server| emite_server(spec, server, subject)).unwrap_or_default(),
        "alert-path" => shows(alert_path(spec, subject)),
        crate::episodes::HEALTH_CHECK => vec![Command {
            does: "This command shows the log of the health check:",
            line: Aws::new(spec, "logs", "tail")
                .raw(&format!("\"$({})\"", function_setting(spec, "LoggingConfig.LogGroup")))
                .option("--since", "1h")
                .line(),
        }],
        _ => Vec::new(),
    }
}

/// Runs the health check now.
pub(crate) fn look_again(spec: &Spec) -> String {
    invoke(spec, &spec.health_check_function, &quoted("{}"))
}

/// Mutes one check for a day.
pub(crate) fn silence(scene: &Scene, check: &str) -> String {
    let before = format!("{{\"silence\":{{\"check\":\"{check}\",\"until\":\"");
    let after = "\",\"reason\":\"being worked on\"}}";
    let payload = format!("{}\"$(date -u -d '1 day' +%FT%TZ)\"{}", quoted(&before), quoted(after));
    invoke(&scene.spec, &scene.function, &payload)
}

fn invoke(spec: &Spec, function: &str, payload: &str) -> String {
    Aws::new(spec, "lambda", "invoke")
        .option("--function-name", function)
        .option("--cli-binary-format", "raw-in-base64-out")
        .raw("--payload")
        .raw(payload)
        .raw("/dev/stdout")
        .line()
}

/// Mends the findings of one check as `wish` says. The CLI waits for longer than the function can run: after its usual 60 s
/// it would invoke it a second time.
fn repair(spec: &Spec, check: &str, wish: &str) -> String {
    const WAITS: &str = " --cli-read-timeout 320";
    let line = invoke(spec, &spec.repair_function, &quoted(&format!("{{{wish},\"checks\":[\"{check}\"]}}")));
    line + WAITS
}

fn data_streaming(spec: &Spec, subject: Subject<'_>) -> String {
    let resource_type = match subject.part {
        "CONTACT_TRACE_RECORDS" => "CONTACT_TRACE_RECORDS",
        _ => "AGENT_EVENTS",
    };
    connect(spec, "list-instance-storage-configs").option("--resource-type", resource_type).line()
}

fn data_stream(spec: &Spec, name: &str) -> String {
    Aws::new(spec, "kinesis", "describe-stream-summary").option("--stream-name", name).line()
}

fn emite_role(spec: &Spec, subject: Subject<'_>) -> String {
    let operation = if subject.part == "policy" { "list-role-policies" } else { "get-role" };
    Aws::new(spec, "iam", operation).option("--role-name", spec.emite_role_name()).line()
}

fn emite_server(spec: &Spec, server: &Server, subject: Subject<'_>) -> Vec<Command> {
    let ec2 = |operation: &str| Aws::new(spec, "ec2", operation);
    let id = &server.instance_id;
    let of_server = format!("Name=instance-id,Values={id}");
    let shows = |aws: Aws| Command { does: SHOWS, line: aws.line() };
    let does = |does, aws: Aws| Command { does, line: aws.line() };
    let status = || shows(ec2("describe-instance-status").raw("--include-all-instances").option("--instance-ids", id));
    let groups = ec2("describe-instances")
        .option("--instance-ids", id)
        .option("--query", "Reservations[].Instances[].NetworkInterfaces[].Groups[].GroupId")
        .option("--output", "text")
        .line();
    match subject.part {
        "state" => {
            let start = "This one starts the server, unless it is just being stopped:";
            vec![status(), does(start, ec2("start-instances").option("--instance-ids", id))]
        }
        "status" => {
            let chain = ["stop-instances", "wait instance-stopped", "start-instances"];
            let line = chain.map(|operation| ec2(operation).option("--instance-ids", id).line()).join(" && ");
            let again = "This one stops the server and starts it again, on another machine, which takes some minutes:";
            vec![status(), Command { does: again, line }]
        }
        "address" => vec![shows(ec2("describe-addresses").option("--allocation-ids", &server.allocation_id))],
        "profile" => vec![shows(ec2("describe-iam-instance-profile-associations").option("--filters", &of_server))],
        "remote-desktop" | "web" => {
            vec![shows(ec2("describe-security-groups").raw("--group-ids").raw(&format!("$({groups})")))]
        }
        "metadata" => vec![does(
            "This command has the server ask for a token from now on. Run it if no old program on the server needs it otherwise:",
            ec2("modify-instance-metadata-options").option("--instance-id", id).option("--http-tokens", "required"),
        )],
        _ => vec![shows(ec2("describe-instances").option("--instance-ids", id))],
    }
}

/// The prefix of one of the stack's folders.
fn folder(spec: &Spec, name: &str) -> String {
    format!("emite-connect/{}/{name}/", spec.delivery_stream_name())
}

/// Below what records are kept that the domain never takes.
pub(crate) fn quarantine(spec: &Spec) -> String {
    folder(spec, "quarantine")
}

/// Prints the readable text of the hand-over.
pub(crate) fn handover(spec: &Spec) -> String {
    let document = format!("s3://{}/{}{}", spec.backup_bucket, folder(spec, "handover"), emite_core::handover::TEXT);
    Aws::new(spec, "s3", "cp").raw(&quoted(&document)).raw("-").line()
}

/// What shows the failed records below `prefix`, and what sends them again. The redrive looks where the delivery stream puts
/// them unless it is told where.
pub(crate) fn failed_records(spec: &Spec, prefix: &str) -> Vec<Command> {
    let input = if prefix == spec.failed_prefix {
        json!({"mode": "apply"})
    } else {
        json!({"mode": "apply", "prefix": prefix})
    };
    let redrive = Aws::new(spec, "stepfunctions", "start-execution")
        .option("--state-machine-arn", &spec.redrive_state_machine.to_string())
        .json("--input", &input)
        .line();
    vec![
        Command { does: SHOWS, line: list_bucket(spec, prefix) },
        Command {
            does: "Once the cause is mended, this command sends them to the search domain again; a message tells what came of it:",
            line: redrive,
        },
    ]
}

fn search_domain(spec: &Spec, part: &str) -> String {
    let metric = match part {
        "status" => ("ClusterStatus.red", "Maximum"),
        "writes-blocked" => ("ClusterIndexWritesBlocked", "Maximum"),
        "storage" => ("FreeStorageSpace", "Minimum"),
        "memory" => ("JVMMemoryPressure", "Maximum"),
        "cpu" => ("CPUUtilization", "Average"),
        "snapshots" => ("AutomatedSnapshotFailure", "Maximum"),
        "nodes" => ("Nodes", "Minimum"),
        "replicas" => ("ClusterStatus.yellow", "Maximum"),
        _ => return Aws::new(spec, "opensearch", "describe-domain").option("--domain-name", spec.domain_name()).line(),
    };
    let dimensions =
        [format!("Name=DomainName,Value={}", spec.domain_name()), format!("Name=ClientId,Value={}", spec.home.account)];
    statistics(spec, "AWS/ES", metric, &dimensions)
}

fn access_policy(spec: &Spec) -> String {
    Aws::new(spec, "opensearch", "describe-domain-config")
        .option("--domain-name", spec.domain_name())
        .option("--query", "DomainConfig.AccessPolicies.Options")
        .option("--output", "text")
        .line()
}

fn alert_path(spec: &Spec, subject: Subject<'_>) -> String {
    if subject.resource == spec.dead_letter_queue {
        return Aws::new(spec, "sqs", "get-queue-attributes")
            .option("--queue-url", &spec.dead_letter_queue)
            .option("--attribute-names", "ApproximateNumberOfMessages")
            .line();
    }
    Aws::new(spec, "sns", "list-subscriptions-by-topic").option("--topic-arn", &spec.alert_topic.to_string()).line()
}

fn describe_delivery_stream(spec: &Spec) -> String {
    Aws::new(spec, "firehose", "describe-delivery-stream")
        .option("--delivery-stream-name", spec.delivery_stream_name())
        .line()
}

fn list_bucket(spec: &Spec, prefix: &str) -> String {
    let place = format!("s3://{}/{prefix}", spec.backup_bucket);
    Aws::new(spec, "s3", "ls").raw("--recursive").raw("--human-readable").raw("--summarize").raw(&quoted(&place)).line()
}

fn function_setting(spec: &Spec, query: &str) -> String {
    Aws::new(spec, "lambda", "get-function-configuration")
        .option("--function-name", &spec.health_check_function)
        .option("--query", query)
        .option("--output", "text")
        .line()
}

fn kinesis_metric(spec: &Spec, metric: &str, statistic: &str) -> String {
    let stream = format!("Name=StreamName,Value={}", spec.agent_event_stream_name());
    statistics(spec, "AWS/Kinesis", (metric, statistic), &[stream])
}

/// The last three hours of a metric, in steps of five minutes.
fn statistics(spec: &Spec, namespace: &str, (metric, statistic): (&str, &str), dimensions: &[String]) -> String {
    let command = Aws::new(spec, "cloudwatch", "get-metric-statistics")
        .option("--namespace", namespace)
        .option("--metric-name", metric)
        .raw("--dimensions");
    dimensions
        .iter()
        .fold(command, |command, dimension| command.raw(&quoted(dimension)))
        .raw("--start-time \"$(date -u -d '3 hours ago' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\"")
        .raw("--period 300")
        .option("--statistics", statistic)
        .option("--query", "sort_by(Datapoints, &Timestamp)")
        .option("--output", "table")
        .line()
}

fn connect(spec: &Spec, operation: &str) -> Aws {
    Aws::new(spec, "connect", operation).option("--instance-id", &spec.instance.to_string())
}

/// One call of the AWS CLI.
#[derive(Clone, Debug)]
struct Aws(String);

impl Aws {
    fn new(spec: &Spec, service: &str, operation: &str) -> Self {
        Self(format!("aws {service} {operation}")).option("--region", &spec.home.region)
    }

    fn option(self, name: &str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(name).raw(&value)
    }

    fn json(self, name: &str, value: &Value) -> Self {
        self.option(name, &value.to_string())
    }

    /// Adds what needs no quotes, or has them.
    fn raw(mut self, part: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(part);
        self
    }

    fn line(self) -> String {
        self.0
    }
}

/// `value` as one word of a shell, on one line.
fn quoted(value: &str) -> String {
    let value: String = value.chars().filter(|char| !char.is_control()).collect();
    let simple = |char: char| char.is_ascii_alphanumeric() || "-_.:/,=+@%".contains(char);
    if !value.is_empty() && value.chars().all(simple) {
        return value;
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_word_whatever_it_contains() {
        assert_eq!(quoted("plain-value_1.2"), "plain-value_1.2");
        assert_eq!(quoted("$(reboot) `x` \"y\"\n; z"), "'$(reboot) `x` \"y\"; z'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}

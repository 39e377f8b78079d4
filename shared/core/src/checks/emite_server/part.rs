//! Owns the parts of the check `emite-server`: the title of each, and the commands that a message about it offers.

use super::super::check::{Part, unread_events_lost};
use crate::command::{AwsCli, Command};
use crate::spec::{ServerSpec, Spec};

pub(super) const SERVER: Part =
    part("", "the eMite server is gone", |spec| by_id(spec, |server| vec![shows_server(spec, server)]));
pub(super) const STATE: Part = part("state", "the eMite server is not running", |spec| {
    let does = "This one starts the server, unless it is just being stopped:";
    by_id(spec, |server| {
        vec![shows_status(spec, server), Command { does, line: on_server(spec, server, "start-instances").line() }]
    })
});
pub(super) const STATUS: Part = part("status", "the eMite server has a fault", |spec| {
    let does = "This one stops the server and starts it again, on another machine, which takes some minutes:";
    by_id(spec, |server| {
        let chain = ["stop-instances", "wait instance-stopped", "start-instances"];
        let line = chain.map(|operation| on_server(spec, server, operation).line()).join(" && ");
        vec![shows_status(spec, server), Command { does, line }]
    })
});
pub(super) const ADDRESS: Part = part("address", "the eMite server has lost its address", |spec| {
    by_id(spec, |server| {
        let addresses = ec2(spec, "describe-addresses").option("--allocation-ids", &server.allocation_id);
        vec![Command::shows(addresses)]
    })
});
pub(super) const PROFILE: Part = part("profile", "the eMite server does not have its role", |spec| {
    by_id(spec, |server| {
        let of_server = format!("Name=instance-id,Values={}", server.instance_id);
        vec![Command::shows(ec2(spec, "describe-iam-instance-profile-associations").option("--filters", &of_server))]
    })
});
pub(super) const REMOTE_DESKTOP: Part = part("remote-desktop", "the eMite server is open too wide", shows_groups);
pub(super) const WEB_ACCESS: Part = part("web", "the eMite server lets no browser in", shows_groups);
pub(super) const METADATA: Part = part("metadata", "the eMite server's keys are poorly guarded", |spec| {
    let does = "This command has the server ask for a token from now on. Run it if no old program on the server needs it otherwise:";
    by_id(spec, |server| {
        let modify = ec2(spec, "modify-instance-metadata-options").option("--instance-id", &server.instance_id);
        vec![Command { does, line: modify.option("--http-tokens", "required").line() }]
    })
});

const fn part(name: &'static str, title: &'static str, commands: fn(&Spec) -> Vec<Command>) -> Part {
    Part { commands, loss: unread_events_lost, ..Part::new(name, title) }
}

/// The commands about the server, if there is one.
fn by_id(spec: &Spec, commands: impl Fn(&ServerSpec) -> Vec<Command>) -> Vec<Command> {
    spec.server.as_ref().map(commands).unwrap_or_default()
}

pub(super) fn ec2(spec: &Spec, operation: &str) -> AwsCli {
    AwsCli::new(spec, "ec2", operation)
}

pub(super) fn on_server(spec: &Spec, server: &ServerSpec, operation: &str) -> AwsCli {
    ec2(spec, operation).option("--instance-ids", &server.instance_id)
}

fn shows_server(spec: &Spec, server: &ServerSpec) -> Command {
    Command::shows(on_server(spec, server, "describe-instances"))
}

fn shows_status(spec: &Spec, server: &ServerSpec) -> Command {
    let status = ec2(spec, "describe-instance-status").raw("--include-all-instances");
    Command::shows(status.option("--instance-ids", &server.instance_id))
}

fn shows_groups(spec: &Spec) -> Vec<Command> {
    by_id(spec, |server| {
        let groups = on_server(spec, server, "describe-instances")
            .option("--query", "Reservations[].Instances[].NetworkInterfaces[].Groups[].GroupId")
            .option("--output", "text")
            .line();
        vec![Command::shows(ec2(spec, "describe-security-groups").raw(&format!("--group-ids $({groups})")))]
    })
}

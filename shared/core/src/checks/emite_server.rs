//! Owns the check `emite-server`: the eMite server of this account runs, has its address and its role, and is open to
//! no more than was asked for.

mod part;

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::check::{Check, Explains, Verdict, no_metrics, seen, together};
use super::iterator_age;
use crate::change::Change;
use crate::diff;
use crate::finding::{Finding, Severity, Status, texts, values};
use crate::links::emite_server::Profile;
use crate::look::Look;
use crate::policy::{is_wide, joined, shown};
use crate::snapshot::{SecurityGroup, Server, Snapshot};
use crate::spec::{ServerSpec, Spec};
use crate::words::listed;
use part::{ADDRESS, METADATA, PROFILE, REMOTE_DESKTOP, SERVER, STATE, STATUS, WEB_ACCESS, ec2, on_server};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "emite-server",
    resource: |spec| {
        let id = spec.server.as_ref().map_or("", |server| server.instance_id.as_str());
        spec.home.arn("ec2", format!("instance/{id}")).to_string()
    },
    metrics: no_metrics,
    judge,
    repair,
    parts: &[STATE, STATUS, ADDRESS, PROFILE, REMOTE_DESKTOP, WEB_ACCESS, METADATA, SERVER],
    unseen: "the eMite server cannot be checked",
    // Without its address it has no way into the internet.
    explains: &[Explains::of(&[SERVER, STATE, STATUS, ADDRESS, PROFILE], &[iterator_age::CHECK.all()])],
};

const RDP: i32 = 3389;
const WEB: [(i32, &str); 2] = [(80, "HTTP (80)"), (443, "HTTPS (443)")];

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(wanted) = &spec.server else { return Ok(Verdict::NotApplicable) };
    let lost_from = lost_from(spec, snapshot);
    let Some(server) = seen(&snapshot.server)? else {
        return Ok(Some(Finding { data_loss_at: Some(lost_from), ..missing(spec, wanted) }).into());
    };
    let stopped = stopped(spec, wanted, server);
    let status = if stopped.is_none() { status(spec, wanted, server) } else { Ok(None) };
    let stopped = stopped.map(|finding| Finding { data_loss_at: Some(lost_from), ..finding });
    let parts = [
        Ok(stopped),
        status,
        address(spec, wanted, server),
        profile(spec, wanted, server),
        seen(&server.groups).map(|groups| remote_desktop(spec, wanted, groups)),
        seen(&server.groups).map(|groups| web(spec, wanted, groups)),
        Ok(metadata(spec, wanted, server)),
    ];
    together(&CHECK, spec, parts.map(|part| part.map(|finding| finding.into_iter().collect())))
}

fn repair(spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let wanted = spec.server.as_ref()?;
    let server = snapshot.server.as_ref().ok()?.as_ref()?;
    // AWS associates no address with an instance that is still being started.
    if ADDRESS.is_of(finding) && server.state != "pending" {
        diff::server_address(wanted, server.address.as_ref().ok()?.as_ref()?)
    } else if PROFILE.is_of(finding) {
        let live = server.profile.as_ref().ok()?.as_ref();
        if accepts_profile(server, live) { diff::server_profile(wanted, live) } else { None }
    } else {
        None
    }
}

/// AWS attaches a profile to a running or stopped instance, but replaces one only on a running instance
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/attach-iam-role.html>).
fn accepts_profile(server: &Server, live: Option<&Profile>) -> bool {
    match server.state.as_str() {
        "running" => true,
        "stopped" => live.is_none(),
        _ => false,
    }
}

/// When the first agent event is lost, if none is read from now on.
fn lost_from(spec: &Spec, snapshot: &Snapshot) -> Timestamp {
    let unread = snapshot.unread_since.as_ref().ok().copied().flatten();
    let kept = SignedDuration::from_hours(spec.agent_event_retention_hours.into());
    (unread.unwrap_or(snapshot.taken_at) + kept).max(snapshot.taken_at)
}

fn does_not_read(spec: &Spec) -> String {
    let hours = spec.agent_event_retention_hours;
    format!("eMite does not read. Agent events that it has not read after {hours} hours are lost.")
}

fn missing(spec: &Spec, wanted: &ServerSpec) -> Finding {
    Finding {
        summary: "The eMite server does not exist any more.".to_owned(),
        expected: format!("the EC2 instance {} exists", wanted.instance_id),
        observed: "EC2 does not know it, or it is terminated".to_owned(),
        impact: format!("{} Nobody can open eMite.", does_not_read(spec)),
        remedy: "Find out who terminated it. For a new server, update the stack with HostingMode EmiteHosted (with what the eMite team gave you), \
         then with SelfHosted again; it has another address, and the eMite team has to install eMite on it."
            .to_owned(),
        values: values([
            ("instanceId", wanted.instance_id.as_str().into()),
            ("retentionHours", spec.agent_event_retention_hours.into()),
        ]),
        ..CHECK.finding(spec, &SERVER, Status::Missing, Severity::Critical)
    }
}

/// A server that is starting is as good as running.
fn stopped(spec: &Spec, wanted: &ServerSpec, server: &Server) -> Option<Finding> {
    if matches!(server.state.as_str(), "running" | "pending") {
        return None;
    }
    let start = on_server(spec, wanted, "start-instances").line();
    Some(Finding {
        summary: "The eMite server is not running.".to_owned(),
        expected: "it is running".to_owned(),
        observed: format!("it is {}", shown([server.state.as_str()])),
        impact: format!("{} Nobody can open eMite.", does_not_read(spec)),
        remedy: format!(
            "Start it in the EC2 console, or in CloudShell, once it is stopped: {start}. It keeps its address. Then find out who or \
             what stopped it."
        ),
        values: values([
            ("instanceId", wanted.instance_id.as_str().into()),
            ("instanceState", server.state.as_str().into()),
            ("expectedInstanceState", "running".into()),
            ("retentionHours", spec.agent_event_retention_hours.into()),
        ]),
        ..CHECK.finding(spec, &STATE, Status::Unhealthy, Severity::Critical)
    })
}

fn status(spec: &Spec, wanted: &ServerSpec, server: &Server) -> Look<Option<Finding>> {
    let checks = seen(&server.status)?;
    let impact = format!("Nobody may be able to open eMite. If it hangs, {}", does_not_read(spec));
    let found = |severity, summary: &str, impact, remedy| {
        Ok(Some(Finding {
            summary: summary.to_owned(),
            expected: "both of AWS's status checks are passed".to_owned(),
            observed: format!("system check: {}; instance check: {}", checks.system, checks.instance),
            impact,
            remedy,
            values: values([
                ("instanceId", wanted.instance_id.as_str().into()),
                ("systemStatus", checks.system.as_str().into()),
                ("instanceStatus", checks.instance.as_str().into()),
            ]),
            ..CHECK.finding(spec, &STATUS, Status::Unhealthy, severity)
        }))
    };
    let unsure = |check: &str| !matches!(check, "ok" | "initializing" | "not-applicable");
    match (checks.system.as_str(), checks.instance.as_str()) {
        ("impaired", _) => {
            let stop = on_server(spec, wanted, "stop-instances").line();
            let start = on_server(spec, wanted, "start-instances").line();
            let remedy = format!(
                "Stop it, and start it again once it is stopped, which moves it to another machine: {stop}, then {start}. It keeps its \
                 address and its disks."
            );
            let summary = "The machine of AWS that the eMite server runs on has a fault.";
            found(Severity::Critical, summary, impact, remedy)
        }
        (_, "impaired") => {
            let reboot = on_server(spec, wanted, "reboot-instances").line();
            let remedy = format!(
                "Restart it: {reboot}. If that does not help, look at it in the EC2 console under Actions, Monitor and \
                 troubleshoot, Get instance screenshot."
            );
            let summary = "The eMite server runs, but its operating system does not answer.";
            found(Severity::Critical, summary, impact, remedy)
        }
        (system, instance) if unsure(system) || unsure(instance) => found(
            Severity::Info,
            "AWS cannot tell at present whether the eMite server works.",
            "None, if it works.".to_owned(),
            "Nothing yet: the next run looks again.".to_owned(),
        ),
        _ => Ok(None),
    }
}

fn address(spec: &Spec, wanted: &ServerSpec, server: &Server) -> Look<Option<Finding>> {
    let ServerSpec { instance_id, address, allocation_id, .. } = wanted;
    let expected = format!("the Elastic IP {address} is associated with {instance_id}");
    let unreachable = "The search domain refuses eMite, which it knows by this address, and agents cannot open eMite. The server may \
                       not reach the internet at all, and then reads no agent events.";
    let live = seen(&server.address)?.as_ref();
    let values = values([
        ("instanceId", instance_id.as_str().into()),
        ("publicIp", address.to_string().into()),
        ("allocationId", allocation_id.as_str().into()),
        ("associatedWith", live.and_then(|live| live.holder.as_deref()).into()),
        ("addressesOfTheServer", live.map_or(Value::Null, |live| texts(&live.instead))),
    ]);
    let Some(live) = live else {
        return Ok(Some(Finding {
            summary: "The Elastic IP of the eMite server was released.".to_owned(),
            expected,
            observed: format!("this account has no {allocation_id} any more"),
            impact: format!(
                "{unreachable} AWS can give the address to somebody else, whom the search domain then admits."
            ),
            remedy: format!(
                "Remove {address} from the access policy of the search domain. Ask whoever deployed the stack for a new address, and \
                 tell it to the eMite team."
            ),
            values,
            ..CHECK.finding(spec, &ADDRESS, Status::Missing, Severity::Critical)
        }));
    };
    let (status, mut observed) = match &live.holder {
        Some(holder) if holder == instance_id => return Ok(None),
        Some(holder) => (Status::Incorrect, format!("it is associated with {}", shown([holder.as_str()]))),
        None => (Status::Missing, "it is associated with nothing".to_owned()),
    };
    if !live.instead.is_empty() {
        observed += &format!("; the server has {}", shown(live.instead.iter().map(String::as_str)));
    }
    Ok(Some(Finding {
        summary: "The eMite server has lost its Elastic IP.".to_owned(),
        expected,
        observed,
        impact: unreachable.to_owned(),
        remedy: format!(
            "In the EC2 console, under Elastic IPs, select {address}, then Actions, Associate, and choose {instance_id}."
        ),
        values,
        ..CHECK.finding(spec, &ADDRESS, status, Severity::Critical)
    }))
}

fn profile(spec: &Spec, wanted: &ServerSpec, server: &Server) -> Look<Option<Finding>> {
    let live = seen(&server.profile)?.as_ref();
    let (status, observed) = match live {
        Some(live) if live.arn == wanted.profile.to_string() => return Ok(None),
        Some(live) => (Status::Incorrect, format!("the instance profile is {}", shown([live.arn.as_str()]))),
        None => (Status::Missing, "the server has no instance profile".to_owned()),
    };
    let before = match (accepts_profile(server, live), server.state.as_str()) {
        (true, _) => "",
        (false, "stopped") => {
            "Start the server first: AWS replaces an instance profile only while the server is running. "
        }
        (false, _) => "Wait until the server is running. ",
    };
    Ok(Some(Finding {
        summary: "The eMite server does not have the role with which it reads.".to_owned(),
        expected: format!("the instance profile is {}", wanted.profile),
        observed,
        impact: does_not_read(spec),
        remedy: format!(
            "{before}In the EC2 console, select {}, then Actions, Security, Modify IAM role, and choose {}.",
            wanted.instance_id,
            spec.emite_role_name()
        ),
        values: values([
            ("instanceId", wanted.instance_id.as_str().into()),
            ("instanceState", server.state.as_str().into()),
            ("instanceProfileArn", live.map(|live| live.arn.as_str()).into()),
            ("expectedInstanceProfileArn", wanted.profile.to_string().into()),
            ("retentionHours", spec.agent_event_retention_hours.into()),
        ]),
        ..CHECK.finding(spec, &PROFILE, status, Severity::Critical)
    }))
}

/// From where TCP connections to `port` are let in, by any of the groups.
fn reaching(groups: &[SecurityGroup], port: i32) -> BTreeSet<&str> {
    let rules = groups.iter().flat_map(|group| &group.rules).filter(|rule| match rule.protocol.as_str() {
        "-1" => true,
        "tcp" | "6" => rule.ports.as_ref().is_none_or(|ports| ports.contains(&port)),
        _ => false,
    });
    rules.flat_map(|rule| &rule.from).map(String::as_str).collect()
}

/// Narrower than specified is fine.
fn remote_desktop(spec: &Spec, wanted: &ServerSpec, groups: &[SecurityGroup]) -> Option<Finding> {
    let meant = Ipv4Net::aggregate(&wanted.rdp_from.iter().copied().collect());
    let is_meant = |from: &&str| {
        let network: Option<Ipv4Net> = from.parse().ok();
        network.is_some_and(|network| meant.iter().any(|meant| meant.contains(&network)))
    };
    let others: Vec<&str> = reaching(groups, RDP).into_iter().filter(|from| !is_meant(from)).collect();
    let networks: Vec<IpNet> = others.iter().filter_map(|from| from.parse().ok()).collect();
    let v6 = networks.iter().filter(|network| matches!(network, IpNet::V6(_))).copied();
    let anybody = joined(&networks).into_iter().map(IpNet::V4).chain(v6).any(|network| is_wide(&network));
    let (severity, summary) = if anybody {
        (Severity::Critical, "Remote Desktop of the eMite server is open to the whole internet.")
    } else {
        (Severity::Warning, "Remote Desktop of the eMite server is open to more than was asked for.")
    };
    let expected = match wanted.rdp_from.iter().map(ToString::to_string).collect::<Vec<_>>() {
        from if from.is_empty() => "port 3389 is open to nobody, as Session Manager needs no open port".to_owned(),
        from => format!("port 3389 is open to {} only", shown(from.iter().map(String::as_str))),
    };
    let opening = groups.iter().filter(|group| {
        let from = reaching(std::slice::from_ref(group), RDP);
        others.iter().any(|other| from.contains(other))
    });
    let groups: Vec<&str> = opening.map(|group| group.id.as_str()).collect();
    let ids = shown(groups.iter().copied());
    (!others.is_empty()).then(|| Finding {
        summary: summary.to_owned(),
        expected,
        observed: format!("open to {} by {ids}", shown(others.iter().copied())),
        impact: "Whoever guesses or steals a password of the server, or knows a flaw of Remote Desktop, gets at eMite and all that it can read."
            .to_owned(),
        remedy: format!(
            "No repair changes this. If nobody needs it, open {ids} in the EC2 console under Security Groups, choose Edit inbound \
             rules, and delete these sources from the rules that include port 3389."
        ),
        values: values([
            ("port", RDP.into()),
            ("sources", texts(&others)),
            ("expectedSources", texts(wanted.rdp_from.iter().map(ToString::to_string))),
            ("securityGroupIds", texts(&groups)),
        ]),
        ..CHECK.finding(spec, &REMOTE_DESKTOP, Status::Unexpected, severity)
    })
}

fn web(spec: &Spec, wanted: &ServerSpec, groups: &[SecurityGroup]) -> Option<Finding> {
    let closed: Vec<_> = WEB.iter().filter(|(port, _)| reaching(groups, *port).is_empty()).collect();
    let names: Vec<String> = closed.iter().map(|(_, name)| (*name).to_owned()).collect();
    let in_group = groups.iter().any(|group| group.id == wanted.group_id);
    let without =
        if in_group { String::new() } else { format!("; the server is not in the group {}", wanted.group_id) };
    (!closed.is_empty()).then(|| Finding {
        summary: "Agents may not be able to open eMite: the server lets their browsers in no longer.".to_owned(),
        expected: "HTTP (80) and HTTPS (443) are open".to_owned(),
        observed: format!("closed to everybody: {}{without}", listed(&names)),
        impact: "Whoever opens eMite this way gets no answer. eMite goes on reading, so nothing is lost.".to_owned(),
        remedy: format!(
            "In the EC2 console, see that {} has the security group {}, and that its inbound rules let HTTP and HTTPS in.",
            wanted.instance_id, wanted.group_id
        ),
        values: values([
            ("closedPorts", closed.iter().map(|(port, _)| *port).collect()),
            ("securityGroupId", wanted.group_id.as_str().into()),
            ("isInSecurityGroup", in_group.into()),
        ]),
        ..CHECK.finding(spec, &WEB_ACCESS, Status::Incorrect, Severity::Warning)
    })
}

fn metadata(spec: &Spec, wanted: &ServerSpec, server: &Server) -> Option<Finding> {
    let require = ec2(spec, "modify-instance-metadata-options --http-tokens required");
    let require = require.option("--instance-id", &wanted.instance_id).line();
    (!server.metadata_guarded).then(|| Finding {
        summary: "The eMite server gives out its role's credentials without asking for a token.".to_owned(),
        expected: "the instance metadata service answers to tokens only (IMDSv2)".to_owned(),
        observed: "it answers without one, too (IMDSv1)".to_owned(),
        impact: "A flaw in a web page of the server could be enough to steal the credentials with which eMite reads."
            .to_owned(),
        remedy: format!("Unless an old program on the server needs it: {require}."),
        values: values([
            ("instanceId", wanted.instance_id.as_str().into()),
            ("httpTokens", "optional".into()),
            ("expectedHttpTokens", "required".into()),
        ]),
        ..CHECK.finding(spec, &METADATA, Status::Incorrect, Severity::Warning)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{
        findings, healthy_of, is_unobservable_without, noon, only, self_hosted, server_of, spec, unseen,
    };
    use crate::links::emite_server::Address;
    use crate::look::Cause;
    use crate::snapshot::{Ingress, StatusChecks};

    fn with(change: impl FnOnce(&mut Server)) -> Snapshot {
        let mut snapshot = healthy_of(&self_hosted());
        change(server_of(&mut snapshot));
        snapshot
    }

    fn found(change: impl FnOnce(&mut Server)) -> Vec<Finding> {
        findings(&CHECK, &self_hosted(), &with(change))
    }

    fn one(change: impl FnOnce(&mut Server)) -> Finding {
        only(&CHECK, &self_hosted(), &with(change))
    }

    fn rule(protocol: &str, ports: Option<std::ops::RangeInclusive<i32>>, from: &[&str]) -> Ingress {
        let from = from.iter().map(|from| (*from).to_owned()).collect();
        Ingress { protocol: protocol.to_owned(), ports, from }
    }

    /// With Remote Desktop meant to be open to these networks, and with a group of these rules beside the stack's own.
    fn opened(meant: &[&str], rules: Vec<Ingress>) -> Vec<Finding> {
        let mut spec = self_hosted();
        spec.server.as_mut().unwrap().rdp_from = meant.iter().map(|network| network.parse().unwrap()).collect();
        let snapshot = with(|server| {
            server.groups.as_mut().unwrap().push(SecurityGroup { id: "sg-0000000000000000b".into(), rules });
        });
        findings(&CHECK, &spec, &snapshot)
    }

    #[test]
    fn where_emite_hosts_the_server_there_is_nothing_to_look_at() {
        let mut snapshot = healthy_of(&spec());
        snapshot.server = Err(unseen(Cause::Denied));
        assert_eq!((CHECK.judge)(&spec(), &snapshot), Ok(Verdict::NotApplicable));
    }

    #[test]
    fn a_server_that_is_gone_or_stopped_reads_nothing_and_it_is_told_until_when_that_costs_nothing() {
        let mut gone = healthy_of(&self_hosted());
        gone.server = Ok(None);
        let gone = only(&CHECK, &self_hosted(), &gone);
        let stopped = one(|server| server.state = "stopped".into());
        let hours = SignedDuration::from_hours;
        assert_eq!((gone.data_loss_at, stopped.data_loss_at), (Some(noon() + hours(24)), Some(noon() + hours(24))));
        insta::assert_json_snapshot!([gone, stopped]);
        let mut unread = with(|server| server.state = "stopping".into());
        unread.unread_since = Ok(Some(noon() - hours(20)));
        assert_eq!(only(&CHECK, &self_hosted(), &unread).data_loss_at, Some(noon() + hours(4)));
        unread.unread_since = Ok(Some(noon() - hours(30)));
        assert_eq!(only(&CHECK, &self_hosted(), &unread).data_loss_at, Some(noon()));
    }

    #[test]
    fn a_server_that_starts_or_runs_is_left_in_peace_and_its_status_counts_only_then() {
        for state in ["pending", "running"] {
            assert_eq!(found(|server| server.state = state.into()), []);
        }
        let stopped = one(|server| {
            server.state = "stopped".into();
            server.status = Err(unseen(Cause::Denied));
        });
        assert_eq!(stopped.part(), "state");
    }

    #[test]
    fn status_checks_that_are_not_passed_are_told_by_what_has_the_fault() {
        let checked = |system: &str, instance: &str| {
            let status = StatusChecks { system: system.into(), instance: instance.into() };
            found(|server| server.status = Ok(status))
        };
        for good in [("ok", "ok"), ("initializing", "initializing"), ("ok", "initializing"), ("not-applicable", "ok")] {
            assert_eq!(checked(good.0, good.1), [], "{good:?}");
        }
        let told: Vec<_> = [
            checked("impaired", "impaired"),
            checked("ok", "impaired"),
            checked("insufficient-data", "ok"),
            checked("ok", "insufficient-data"),
        ]
        .concat();
        let severities: Vec<_> = told.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Critical, Severity::Critical, Severity::Info, Severity::Info]);
        insta::assert_json_snapshot!(&told[..3]);
    }

    #[test]
    fn an_address_that_is_elsewhere_or_gone_is_told() {
        let address = |holder: Option<&str>, instead: &[&str]| {
            let instead = instead.iter().map(|address| (*address).to_owned()).collect();
            Ok(Some(Address { holder: holder.map(str::to_owned), instead }))
        };
        let told: Vec<_> = [
            address(None, &[]),
            address(Some("i-0000000000000000b"), &[]),
            address(Some("eni-0000000000000000b"), &["203.0.113.99"]),
            Ok(None),
        ]
        .into_iter()
        .map(|address| one(|server| server.address = address))
        .collect();
        insta::assert_json_snapshot!(told);
    }

    #[test]
    fn a_server_without_its_role_is_told() {
        let other = Profile {
            association_id: "iip-assoc-1".into(),
            arn: "arn:aws:iam::111122223333:instance-profile/x".into(),
        };
        let told = [None, Some(other)].map(|profile| one(|server| server.profile = Ok(profile)));
        insta::assert_json_snapshot!(told);
    }

    #[test]
    fn remote_desktop_that_is_open_to_others_is_told_by_how_many_they_are() {
        use Severity::{Critical, Warning};
        let rdp = Some(3389..=3389);
        for (meant, rules, severity) in [
            (&[][..], vec![rule("tcp", rdp.clone(), &["0.0.0.0/0"])], Critical),
            (&[], vec![rule("tcp", rdp.clone(), &["::/0"])], Critical),
            (&[], vec![rule("6", Some(3000..=4000), &["0.0.0.0/1"])], Critical),
            (&[], vec![rule("-1", None, &["0.0.0.0/0"])], Critical),
            (&[], vec![rule("tcp", None, &["16.0.0.0/8", "17.0.0.0/8"])], Critical),
            (&[], vec![rule("tcp", rdp.clone(), &["16.0.0.0/8"]), rule("tcp", rdp.clone(), &["17.0.0.0/8"])], Critical),
            (&[], vec![rule("tcp", rdp.clone(), &["10.0.0.0/8"])], Warning),
            (&[], vec![rule("-1", None, &["sg-0000000000000000c"])], Warning),
            (&[], vec![rule("tcp", rdp.clone(), &["pl-0000000000000000c"])], Warning),
            (&["203.0.113.64/26"], vec![rule("tcp", rdp.clone(), &["203.0.113.0/24"])], Warning),
            (&["203.0.113.64/26"], vec![rule("tcp", rdp.clone(), &["203.0.113.64/26", "203.0.113.9/32"])], Warning),
        ] {
            let told = opened(meant, rules.clone());
            assert_eq!(
                told.iter().map(|one| (one.part(), one.severity)).collect::<Vec<_>>(),
                [("remote-desktop", severity)],
                "{rules:?}"
            );
        }
        let world = opened(&[], vec![rule("-1", None, &["0.0.0.0/0", "::/0"])]);
        let office = opened(&["203.0.113.64/26"], vec![rule("tcp", rdp, &["203.0.113.0/24", "sg-0000000000000000c"])]);
        insta::assert_json_snapshot!([world, office]);
    }

    #[test]
    fn what_was_asked_for_or_less_is_not_wider() {
        let meant = &["203.0.113.0/25", "203.0.113.128/25"];
        for rules in [
            vec![],
            vec![rule("tcp", Some(3389..=3389), &["203.0.113.0/25"])],
            vec![rule("tcp", Some(3389..=3389), &["203.0.113.0/24"])],
            vec![rule("tcp", Some(3389..=3389), &["203.0.113.200/32"])],
            vec![rule("tcp", Some(8080..=8080), &["0.0.0.0/0"])],
            vec![rule("udp", Some(3389..=3389), &["0.0.0.0/0"])],
            vec![rule("icmp", None, &["0.0.0.0/0"])],
        ] {
            assert_eq!(opened(meant, rules.clone()), [], "{rules:?}");
        }
    }

    #[test]
    fn a_web_server_that_nobody_can_reach_is_told() {
        let closed = one(|server| server.groups = Ok(vec![]));
        let half = one(|server| server.groups.as_mut().unwrap()[0].rules.truncate(1));
        insta::assert_json_snapshot!([closed, half]);
        let narrower = rule("tcp", Some(1..=1024), &["203.0.113.64/26"]);
        assert_eq!(found(|server| server.groups.as_mut().unwrap()[0].rules = vec![narrower]), []);
    }

    #[test]
    fn credentials_that_are_given_out_without_a_token_are_told() {
        insta::assert_json_snapshot!(one(|server| server.metadata_guarded = false));
    }

    #[test]
    fn profile_repair_is_offered_only_in_states_where_aws_accepts_it() {
        let other = Profile {
            association_id: "iip-assoc-1".into(),
            arn: "arn:aws:iam::111122223333:instance-profile/x".into(),
        };
        for (state, profile, offered) in [
            ("running", Some(other.clone()), true),
            ("running", None, true),
            ("stopped", None, true),
            ("stopped", Some(other.clone()), false),
            ("stopping", Some(other.clone()), false),
            ("stopping", None, false),
            ("pending", Some(other), false),
            ("pending", None, false),
        ] {
            let snapshot = with(|server| {
                server.state = state.into();
                server.profile = Ok(profile.clone());
            });
            let found = findings(&CHECK, &self_hosted(), &snapshot);
            let about = found.iter().find(|finding| finding.part() == "profile").unwrap();
            assert_eq!(repair(&self_hosted(), &snapshot, about).is_some(), offered, "{state} {profile:?}");
            let before = match (offered, state) {
                (true, _) => "In the EC2 console",
                (false, "stopped") => "Start the server first",
                (false, _) => "Wait until the server is running",
            };
            assert!(about.remedy.starts_with(before), "{state} {profile:?}: {}", about.remedy);
        }
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.server = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| server_of(snapshot).status = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| server_of(snapshot).address = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| server_of(snapshot).profile = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| server_of(snapshot).groups = Err(unseen));
    }

    #[test]
    fn what_cannot_be_looked_at_hides_nothing_else() {
        let told = found(|server| {
            server.groups = Err(unseen(Cause::Denied));
            server.profile = Ok(None);
        });
        let told: Vec<_> = told.iter().map(|finding| (finding.part(), finding.status)).collect();
        assert_eq!(told, [("profile", Status::Missing), ("test:Look", Status::Unobservable)]);
    }

    proptest! {
        /// However a range is written: if it is not within what is meant, it is told, and all of the internet is critical.
        #[test]
        fn no_network_beyond_what_is_meant_goes_unseen(address: u32, prefix in 0_u8..=32, first in 0..=3389_i32, last in 3389..=65_535_i32) {
            let network = Ipv4Net::new(address.into(), prefix).unwrap().trunc();
            let meant: Ipv4Net = "203.0.113.0/24".parse().unwrap();
            let told = opened(&["203.0.113.0/24"], vec![rule("tcp", Some(first..=last), &[&network.to_string()])]);
            let severity = if prefix < 8 { Severity::Critical } else { Severity::Warning };
            let expected = if meant.contains(&network) { vec![] } else { vec![severity] };
            prop_assert_eq!(told.iter().map(|finding| finding.severity).collect::<Vec<_>>(), expected);
        }
    }
}

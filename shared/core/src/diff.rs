//! Owns the diffs: what would have to change so that a link is as wanted, or as it was before us. All pure.

use serde_json::Value;

use crate::change::{Change, Consent};
use crate::links::Life;
use crate::links::approved_origin::{self, Place};
use crate::links::data_streaming::{Association, Claim, Source, Target};
use crate::links::emite_server::{Address, Profile};
use crate::policies::trust::Admission;
use crate::policies::{domain_access, emite_role};
use crate::policy::merge::merged;
use crate::snapshot::Role;
use crate::spec::{ServerSpec, Spec};

/// What has to change so that `source` streams to `desired`. Pure.
pub fn streaming(
    source: &Source,
    desired: &Target,
    live: Option<&Association>,
    claim: Option<&Claim>,
) -> Option<Change> {
    if live.is_some_and(|live| live.target == *desired) {
        return None;
    }
    let consent = match live.map(|live| &live.target) {
        Some(Target::Other(_)) => Consent::Irreversible,
        Some(target) if !claim.is_some_and(|claim| claim.set_by_us(target)) => Consent::ReplacesForeign,
        _ => Consent::Safe,
    };
    Some(Change::StreamTo { source: source.clone(), from: live.cloned(), to: desired.clone(), consent })
}

/// What has to change so that `source` streams to what it did before us. Pure.
///
/// Nothing, unless what is live now is ours, or we were in the middle of replacing it.
pub fn streaming_removal(source: &Source, live: Option<&Association>, claim: Option<&Claim>) -> Option<Change> {
    let claim = claim.filter(|claim| claim.life != Life::Released)?;
    let ours = match live {
        Some(live) => claim.set_by_us(&live.target),
        None => claim.detached,
    };
    let to: Vec<Target> = claim.previous.iter().rev().cloned().collect();
    match (live, to.first()) {
        _ if !ours => None,
        (Some(live), Some(newest)) if live.target == *newest => None,
        (Some(live), None) => Some(Change::StopStreaming { source: source.clone(), from: live.clone() }),
        (None, None) => None,
        (from, Some(_)) => Some(Change::RestoreStreaming { source: source.clone(), from: from.cloned(), to }),
    }
}

/// What has to change so that the instance lists the origin. Pure.
pub fn origin(place: &Place, live: Option<&str>) -> Option<Change> {
    live.is_none().then(|| Change::AllowOrigin { place: place.clone() })
}

/// What has to change so that the list is as it was before us. Pure.
pub fn origin_removal(place: &Place, live: Option<&str>, claim: Option<&approved_origin::Claim>) -> Option<Change> {
    let claim = claim.filter(|claim| claim.life != Life::Released && claim.added);
    claim.and(live).map(|listed| Change::RemoveOrigin { place: place.clone(), listed: listed.to_owned() })
}

/// What has to change so that the stream keeps its records for `wanted` hours at least. Pure.
pub fn retention(stream: &str, wanted: u32, live: u32) -> Option<Change> {
    (live < wanted).then(|| Change::SetRetention { stream: stream.to_owned(), from: live, to: wanted })
}

/// What has to change so that the policy admits eMite's servers and this account. Pure.
pub fn domain_access(spec: &Spec, live: &Value) -> Option<Change> {
    let statements = domain_access::statements(spec);
    let domain = spec.domain_name().to_owned();
    (merged(live, &statements) != *live).then(|| Change::AdmitToDomain { domain, seen: live.clone(), statements })
}

/// What has to change so that only eMite, with its external id, can assume the role. Pure.
pub fn role_trust(spec: &Spec, role: &Role) -> Option<Change> {
    let admission = Admission::of(spec);
    if admission.merged_into(&role.trust) == role.trust {
        return None;
    }
    let consent = if admission.drops_strangers(&role.trust) { Consent::ReplacesForeign } else { Consent::Safe };
    Some(Change::SetTrust { role: role_name(spec), seen: role.trust.clone(), admission, consent })
}

/// What has to change so that sessions last long enough. Pure.
pub fn role_session(spec: &Spec, role: &Role) -> Option<Change> {
    let from = role.max_session_seconds;
    (from < emite_role::SESSION_SECONDS).then(|| Change::SetSession {
        role: role_name(spec),
        from,
        to: emite_role::SESSION_SECONDS,
    })
}

/// What has to change so that the stack's inline policy says all that it was deployed with. Pure.
pub fn role_permissions(spec: &Spec, role: &Role) -> Option<Change> {
    let seen = role.inline.get(emite_role::POLICY).cloned().unwrap_or_default();
    let statements = emite_role::statements(spec);
    (merged(&seen, &statements) != seen).then(|| Change::SetRolePolicy { role: role_name(spec), seen, statements })
}

/// What has to change so that the role is held within the stack's boundary, if it has one. Pure.
pub fn role_boundary(spec: &Spec, role: &Role) -> Option<Change> {
    let to = spec.role_boundary.clone()?;
    let from = role.boundary.clone();
    (from.as_deref() != Some(to.to_string().as_str())).then(|| Change::SetBoundary { role: role_name(spec), from, to })
}

fn role_name(spec: &Spec) -> String {
    spec.emite_role_name().to_owned()
}

/// What has to change so that the server has its instance profile. Pure.
pub fn server_profile(wanted: &ServerSpec, live: Option<&Profile>) -> Option<Change> {
    (!live.is_some_and(|live| live.is(&wanted.profile))).then(|| Change::AttachProfile {
        instance: wanted.instance_id.clone(),
        from: live.cloned(),
        to: wanted.profile.clone(),
    })
}

/// What has to change so that the Elastic IP is the server's. Pure.
pub fn server_address(wanted: &ServerSpec, live: &Address) -> Option<Change> {
    (live.holder.as_ref() != Some(&wanted.instance_id)).then(|| Change::AssociateAddress {
        instance: wanted.instance_id.clone(),
        allocation: wanted.allocation_id.clone(),
        seen: live.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arn::{Arn, InstanceId};
    use crate::fixtures::self_hosted;
    use crate::links::data_streaming::ResourceType;

    fn source(resource_type: ResourceType) -> Source {
        let arn: Arn = "arn:aws:connect:eu-west-2:111122223333:instance/1b2c".parse().unwrap();
        Source { instance: InstanceId::of(&arn).unwrap(), resource_type }
    }

    fn arn(service: &str, resource: &str) -> Arn {
        format!("arn:aws:{service}:eu-west-2:111122223333:{resource}").parse().unwrap()
    }

    fn targets() -> impl Strategy<Value = Target> {
        (0..6u8).prop_map(|n| match n {
            5 => Target::Other("S3".into()),
            n if n % 2 == 0 => Target::KinesisStream(arn("kinesis", &format!("stream/{n}"))),
            n => Target::KinesisFirehose(arn("firehose", &format!("deliverystream/{n}"))),
        })
    }

    prop_compose! {
        fn claims()(
            life in prop_oneof![Just(Life::Held), Just(Life::Releasing), Just(Life::Released)],
            previous in proptest::collection::vec(targets(), 0..3),
            ours in proptest::collection::btree_set(targets().prop_filter("never ours", |target| !matches!(target, Target::Other(_))), 0..4),
            detached in any::<bool>(),
        ) -> Claim {
            Claim { life, previous, targets: ours, detached, ..Claim::on(None, "r") }
        }
    }

    fn associations() -> impl Strategy<Value = Option<Association>> {
        proptest::option::of(targets().prop_map(|target| Association { id: "a-1".into(), target }))
    }

    /// What is live after `change` worked.
    fn after(change: Option<&Change>, live: Option<Association>) -> Option<Association> {
        match change {
            None => live,
            Some(Change::StreamTo { to, .. }) => Some(Association { id: "a-2".into(), target: to.clone() }),
            Some(Change::RestoreStreaming { to, .. }) => {
                to.first().map(|to| Association { id: "a-2".into(), target: to.clone() })
            }
            Some(_) => None,
        }
    }

    proptest! {
        #[test]
        fn once_applied_nothing_differs(desired in targets(), live in associations(), claim in proptest::option::of(claims())) {
            let source = source(ResourceType::ContactTraceRecords);
            let change = streaming(&source, &desired, live.as_ref(), claim.as_ref());
            let live = after(change.as_ref(), live);
            prop_assert_eq!(streaming(&source, &desired, live.as_ref(), claim.as_ref()), None);
        }

        #[test]
        fn only_what_is_ours_or_empty_is_replaced_without_consent(desired in targets(), live in associations(), claim in proptest::option::of(claims())) {
            let source = source(ResourceType::ContactTraceRecords);
            if let Some(Change::StreamTo { consent, .. }) = streaming(&source, &desired, live.as_ref(), claim.as_ref()) {
                let ours = live.as_ref().is_none_or(|live| claim.as_ref().is_some_and(|claim| claim.targets.contains(&live.target)));
                prop_assert_eq!(consent == Consent::Safe, ours);
            }
        }

        #[test]
        fn removal_touches_nothing_of_others_and_leaves_what_was_there_before(live in associations(), claim in claims()) {
            let source = source(ResourceType::ContactTraceRecords);
            let change = streaming_removal(&source, live.as_ref(), Some(&claim));
            if change.is_some() {
                let ours = live.as_ref().map_or(claim.detached, |live| claim.targets.contains(&live.target));
                prop_assert!(ours && claim.life != Life::Released);
                let left = after(change.as_ref(), live).map(|live| live.target);
                prop_assert_eq!(left.as_ref(), claim.previous.last());
            } else if let Some(live) = live.filter(|live| claim.targets.contains(&live.target)) {
                prop_assert!(claim.life == Life::Released || claim.previous.last() == Some(&live.target));
            }
        }

        #[test]
        fn without_a_claim_removal_does_nothing(live in associations()) {
            prop_assert_eq!(streaming_removal(&source(ResourceType::AgentEvents), live.as_ref(), None), None);
        }
    }

    fn wanted() -> ServerSpec {
        self_hosted().server.unwrap()
    }

    fn other() -> Profile {
        let arn = "arn:aws:iam::111122223333:instance-profile/other".into();
        Profile { association_id: "iip-assoc-associated".into(), arn }
    }

    fn seen(holder: Option<&str>, instead: &[&str]) -> Address {
        let instead = instead.iter().map(|address| (*address).to_owned()).collect();
        Address { holder: holder.map(str::to_owned), instead }
    }

    #[test]
    fn what_somebody_else_set_up_is_replaced_only_when_asked_for_and_remembered() {
        let (free, other) = (seen(None, &[]), other());
        let changes = [
            (server_profile(&wanted(), None), Consent::Safe, false),
            (server_profile(&wanted(), Some(&other)), Consent::ReplacesForeign, true),
            (server_address(&wanted(), &free), Consent::Safe, false),
            (server_address(&wanted(), &seen(Some("i-b"), &[])), Consent::ReplacesForeign, true),
            (server_address(&wanted(), &seen(None, &["203.0.113.99"])), Consent::ReplacesForeign, true),
        ];
        for (change, consent, remembered) in changes {
            let change = change.unwrap();
            let told = (change.consent(), change.replaced().is_some(), change.interrupts());
            assert_eq!(told, (consent, remembered, remembered), "{change:?}");
        }
    }
}

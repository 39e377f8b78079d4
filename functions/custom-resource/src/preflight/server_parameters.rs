//! Owns the parameters of the eMite server in this account: what is wrong with them alone, and what an update must not change.
//! Pure.

use super::previous::Previous;
use super::problem::Problem;
use super::ranges::ranges;
use super::readers::Hosting;
use crate::properties::Properties;
use crate::request::Object;

/// The server that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerParameters {
    pub(super) vpc: String,
    pub(super) subnet: String,
    pub(super) instance_type: String,
    /// The name of the image among AWS's public parameters.
    pub(super) image: String,
    /// Empty: none.
    pub(super) key_pair: String,
}

/// The places that the security group has for addresses of one kind.
const MOST_RANGES: usize = 5;
const LEAST_GIB: u32 = 100;
const MOST_GIB: u32 = 16_384;

/// Reads the parameters, which count only if the server is in this account.
pub(super) fn read(read: &mut Properties<'_>, hosting: Hosting) -> Option<ServerParameters> {
    const PARAMETERS: [&str; 7] =
        ["VpcId", "SubnetId", "ServerInstanceType", "ServerVolumeGiB", "ServerImage", "ServerAccess", "KeyPairName"];
    if hosting == Hosting::EmiteHosted {
        for name in PARAMETERS {
            read.optional(name);
        }
        for name in ["OfficeCidrs", "EmiteOfficeCidrs"] {
            read.list(name);
        }
        return None;
    }
    let vpc = read.parsed("VpcId", |text| id(text, "vpc-"));
    let subnet = read.parsed("SubnetId", |text| id(text, "subnet-"));
    let instance_type = read.parsed("ServerInstanceType", |text| Ok::<_, &str>(text.to_owned()));
    read.parsed("ServerVolumeGiB", |text| match text.parse::<u32>() {
        Ok(gib) if (LEAST_GIB..=MOST_GIB).contains(&gib) => Ok(()),
        _ => Err(format!("must be a whole number of GiB from {LEAST_GIB} to {MOST_GIB}")),
    });
    let image = read.parsed("ServerImage", image);
    let key_pair = read.optional("KeyPairName").to_owned();
    let rdp = read.parsed("ServerAccess", access).unwrap_or(false);
    let offices = offices(read);
    if rdp && key_pair.is_empty() {
        let why = "is Rdp, which needs KeyPairName: the administrator's password is encrypted with it";
        read.problem("ServerAccess", format!("{why}. Name a key pair, or choose SessionManager"));
    }
    if rdp && offices.is_empty() {
        let why = "is Rdp, which needs addresses in OfficeCidrs or EmiteOfficeCidrs";
        read.problem("ServerAccess", format!("{why}. Give some, or choose SessionManager"));
    }
    Some(ServerParameters { vpc: vpc?, subnet: subnet?, instance_type: instance_type?, image: image?, key_pair })
}

/// The ranges that Remote Desktop is let in from.
fn offices<'a>(read: &mut Properties<'a>) -> Vec<&'a str> {
    let mut offices = ["OfficeCidrs", "EmiteOfficeCidrs"]
        .map(|parameter| {
            let ranges = ranges(read, parameter);
            // Here EC2 takes no address alone.
            if ranges.iter().any(|range| !range.contains('/')) {
                read.problem(parameter, "has an address without a prefix. Write one address as 203.0.113.10/32");
            }
            if ranges.len() > MOST_RANGES {
                let count = ranges.len();
                read.problem(parameter, format!("has {count} addresses. Give {MOST_RANGES} at most; a range is one"));
            }
            ranges
        })
        .concat();
    offices.sort_unstable();
    if let Some(twice) = offices.windows(2).find(|pair| pair[0] == pair[1]) {
        let shown: String = twice[0].chars().take(50).collect();
        read.problem(
            "OfficeCidrs",
            format!("and EmiteOfficeCidrs have '{shown}' twice, which EC2 refuses. Give each range once"),
        );
    }
    offices
}

fn id(text: &str, prefix: &str) -> Result<String, String> {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if (8..=17).contains(&digits.len()) && hexadecimal {
        return Ok(text.to_owned());
    }
    Err(format!("must look like {prefix}0a1b2c3d4e5f60718. Copy it from the VPC console"))
}

fn image(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if text.starts_with("Windows_Server-") && plain {
        return Ok(text.to_owned());
    }
    Err("must be the name of a Windows image of AWS, such as Windows_Server-2022-English-Full-Base")
}

/// Whether Remote Desktop is opened.
fn access(text: &str) -> Result<bool, &'static str> {
    match text {
        "SessionManager" => Ok(false),
        "Rdp" => Ok(true),
        _ => Err("must be SessionManager or Rdp"),
    }
}

/// What an update must not change, as AWS would replace the existing server.
pub(super) fn replacements(previous: Option<Previous<'_>>, properties: &Object) -> Vec<Problem> {
    const KEPT: [(&str, &str); 5] = [
        ("VpcId", "Set it back"),
        ("SubnetId", "Set it back"),
        ("KeyPairName", "Set it back; more people are given access in Windows itself"),
        ("ServerImage", "Set it back, and upgrade Windows on the server itself"),
        ("ServerVolumeGiB", "Set it back, and enlarge the volume in the EC2 console"),
    ];
    let hosted = |object: &Object| object.get("HostingMode").and_then(|mode| mode.as_str()) == Some("SelfHosted");
    let Some(previous) = previous.filter(|previous| hosted(previous.properties) && hosted(properties)) else {
        return Vec::new();
    };
    let changed = KEPT.into_iter().filter(|(name, _)| previous.properties.get(*name) != properties.get(*name));
    changed
        .map(|(name, instead)| {
            Problem::new(format!(
                "{name} cannot be changed once there is a server: AWS would put a new, empty one in its place. {instead}."
            ))
        })
        .collect()
}

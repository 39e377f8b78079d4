//! Owns running a command as somebody pastes it into AWS CloudShell: by a shell, with the real `aws`, in the local AWS.

use std::process::Stdio;

use crate::local_aws::{LocalAws, python};

/// CloudShell has version 2 of the command line, and here is version 1. They differ: 2 takes a payload for base64 unless told
/// otherwise, which 1 never does, and 1 knows no such option; 1 fetches values that look like a URL, unless told otherwise; and
/// 1 has an address of its own for SQS, whatever the environment says.
const VERSION_2_ONLY: &str = " --cli-binary-format raw-in-base64-out";
const AS_VERSION_2: &str = "[default]\ncli_follow_urlparam = false\n";

impl LocalAws {
    /// Runs a command; what it printed.
    ///
    /// # Errors
    /// What it printed, if it failed.
    pub async fn paste(&self, command: &str) -> Result<String, String> {
        let beside_python = python().parent().expect("the directory of the Python").to_path_buf();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(beside_python).chain(std::env::split_paths(&path));
        let sqs = format!("aws --endpoint-url {} sqs ", self.endpoints.endpoint);
        let here = command.replace(VERSION_2_ONLY, "").replace("aws sqs ", &sqs);
        // The region is in the command: a mail may be about another one than CloudShell is opened in.
        let regionless = self.root_environment().into_iter().filter(|(name, _)| !name.ends_with("REGION"));
        let config = self.endpoints.call_log.with_file_name("aws.config");
        std::fs::write(&config, AS_VERSION_2).expect("a file in the state directory");
        let output = tokio::process::Command::new("bash")
            .args(["-c", &here])
            .env("PATH", std::env::join_paths(places).expect("a PATH"))
            .env("AWS_CONFIG_FILE", config)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PAGER", "")
            .envs(regionless)
            .env_remove("AWS_REGION")
            .env_remove("AWS_DEFAULT_REGION")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("bash runs");
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        // As it answers for an empty folder.
        let lists_nothing = command.starts_with("aws s3 ls ") && printed.contains("Total Objects: 0");
        if output.status.success() || lists_nothing { Ok(printed) } else { Err(printed) }
    }
}
